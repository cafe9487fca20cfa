/* A gateway without shards, for tests of the protocol adapters: the functions of
 * actors/gateway/gateway.h that they call. Token "good" may do everything in tenant acme, "auditor"
 * sees no codes, "expired" has expired; all others are unknown. */
#ifndef TESTS_SUPPORT_GATEWAY_FAKE_H
#define TESTS_SUPPORT_GATEWAY_FAKE_H

#include "actors/command.h"
#include "actors/gateway/gateway.h"

enum { GATEWAY_FAKE_REQUESTS = 256, GATEWAY_FAKE_TEXT = 512 };

#define GATEWAY_FAKE_CARD "01890a5d-ac96-774b-bcce-b302099a8057"

/* One request as it came, texts copied (cut at GATEWAY_FAKE_TEXT). */
typedef struct gateway_fake_request {
    uint64_t handle; /* 0: free */
    gateway_done_t *done;
    void *context;
    uint8_t type;
    bool has_card;
    uuid_t card;
    uint32_t deadline_ms;
    size_t body_size;
    char tenant[GATEWAY_FAKE_TEXT];
    char token[GATEWAY_FAKE_TEXT];
    char key[GATEWAY_FAKE_TEXT];
    char method_and_path[GATEWAY_FAKE_TEXT];
    char traceparent[GATEWAY_FAKE_TEXT];
    bool has_condition;
    uint64_t if_version;
    command_t command; /* its texts are not to be followed */
    char member_id[GATEWAY_FAKE_TEXT];
    char gate[GATEWAY_FAKE_TEXT];
    bool has_token_of_auditor;
} gateway_fake_request_t;

struct gateway {
    bool holds; /* keeps requests until gateway_fake_answer; else answers within submit */
    bool is_not_ready;
    result_t fails_with; /* RESULT_OK: answers a document */
    uint8_t reason;      /* of REFUSED */
    uint64_t version;    /* of the card that it answers */
    size_t page_items;   /* of each page */
    uint64_t submitted;
    uint64_t cancelled;
    uint64_t authorised;
    uint32_t held;
    uint64_t next_handle;
    gateway_fake_request_t requests[GATEWAY_FAKE_REQUESTS]; /* held ones */
    gateway_fake_request_t last;
};

void gateway_fake_init(gateway_t *gateway);
/* Answers the held request that came as number `position` of those that are held now. */
void gateway_fake_answer(gateway_t *gateway, uint32_t position);

#endif
