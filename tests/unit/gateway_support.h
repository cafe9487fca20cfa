/* A gateway between a fake transport and fake tokens, with time that stands still. */
#ifndef TESTS_UNIT_GATEWAY_SUPPORT_H
#define TESTS_UNIT_GATEWAY_SUPPORT_H

#include "actors/gateway/gateway.h"
#include "actors/gateway/gateway_internal.h"
#include "tests/support/gateway_loop_fake.h"

enum { SENT_MAX = 64, ENDED_MAX = 64, SHARDS = 2 };

/* What the transport was given, decoded. */
typedef struct sent {
    gateway_target_t target;
    uint32_t index;
    request_t request; /* texts point into `bytes` */
    uint8_t *bytes;
} sent_t;

/* How a request ended, copied. */
typedef struct ended {
    result_t result;
    uint8_t reason;
    char detail[512];
    char field[96];
    char trace_id[33];
    const message_type_t *document_type;
    card_t card;       /* when the document is a card; its texts are gone */
    size_t page_items; /* when it is a page */
    bool created;
    bool has_card;
    uuid_t card_id;
    uint64_t version;
    uint32_t retry_after_s;
} ended_t;

typedef struct gateway_fixture {
    gateway_t *gateway;
    metrics_t *metrics;
    tokens_t tokens;
    result_t send_result; /* of all sends but those of the directory */
    bool is_silent;       /* the transport forgets instead of recording: for large numbers */
    uint32_t send_count;
    sent_t sent[SENT_MAX];
    size_t sent_count;
    sent_t question; /* the last one of the directory */
    uint32_t question_count;
    ended_t ended[ENDED_MAX];
    size_t ended_count;
    uint32_t set_keys_count;
    size_t key_count;
    uint32_t drained_count;
    uint32_t farewell_count;
    uint32_t farewell_index;
} gateway_fixture_t;

/* Shards and relay up, tenants "acme" (1 partition), "big" (64) and "zeta" (4) known. */
int gateway_setup(void **state);
/* Nothing is up and nothing is known. */
int gateway_setup_bare(void **state);
int gateway_teardown(void **state);

/* Answers the directory's last question with this page. */
void gateway_answer_directory(gateway_fixture_t *fixture, const directory_t *page);
void gateway_answer_usual_directory(gateway_fixture_t *fixture, uint64_t version);

/* A token of the fake is "role@tenant", for example "issuer@acme" or "platform_admin@". */
gateway_request_t gateway_validate_request(const char *tenant, const char *token);
gateway_request_t gateway_issue_request(const char *tenant, const char *token);
gateway_request_t gateway_list_request(const char *tenant, const char *token);
gateway_request_t gateway_get_request(const char *tenant, const char *token);
uint64_t gateway_submit_to(gateway_fixture_t *fixture, const gateway_request_t *request);
const ended_t *gateway_last_ended(const gateway_fixture_t *fixture);
const sent_t *gateway_last_sent(const gateway_fixture_t *fixture);

/* Replies to a request that was sent. */
void gateway_reply_ok(gateway_fixture_t *fixture, const request_t *request);
void gateway_reply_refused(gateway_fixture_t *fixture, const request_t *request, uint8_t reason);
void gateway_reply_error(gateway_fixture_t *fixture, const request_t *request, uint64_t error);
void gateway_reply_with(gateway_fixture_t *fixture, const reply_t *reply);

uint64_t gateway_counter(const gateway_fixture_t *fixture, const char *name);

#endif
