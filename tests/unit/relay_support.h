/* A relay with a fake journal, a recording publisher and fronts that record replies. */
#ifndef TESTS_UNIT_RELAY_SUPPORT_H
#define TESTS_UNIT_RELAY_SUPPORT_H

#include "actors/relay/relay.h"
#include "actors/relay/relay_internal.h"
#include "tests/support/gateway_loop_fake.h"
#include "tests/support/relay_journal_fake.h"

enum { PUBLISHED_MAX = 2048, REPLY_ARENA_SIZE = 4194304 };

typedef struct published {
    char topic[LIMIT_EVENT_TOPIC_SIZE];
    uint64_t partition;
    uint64_t sequence;
    bool is_head;
} published_t;

typedef struct relay_fixture {
    relay_t *relay;
    metrics_t *metrics;
    relay_journal_fake_t *journal;
    crypto_key_t master_key;
    fake_tenant_t *acme; /* one partition */
    fake_tenant_t *big;  /* four */
    int64_t since;       /* of the tenant that the next reads mean; 0: they do not say */
    result_t publish_result;
    published_t published[PUBLISHED_MAX];
    size_t published_count;
    event_header_t last_header; /* texts are gone */
    event_data_t last_data;
    bool has_sealed_name; /* ever seen on the way out */
    /* The last reply. */
    uint32_t reply_count;
    uint32_t reply_peer;
    uint8_t *reply_bytes;
    reply_t reply;
    uint8_t *arena_memory;
    uint32_t drained_count;
} relay_fixture_t;

int relay_setup(void **state);
/* With further ports. */
typedef void relay_ports_fill_t(relay_ports_t *ports);
int relay_setup_with(void **state, relay_ports_fill_t *fill);
/* The relay ends as with its process, and another one takes its place. */
void relay_restart(relay_fixture_t *fixture, relay_ports_fill_t *fill);
int relay_teardown(void **state);

/* An event as the shard of `tenant` sends it, which says since when there is that tenant. Raises
 * the head of the fake journal. */
void relay_send_event(relay_fixture_t *fixture, fake_tenant_t *tenant, uint32_t partition,
                      uint64_t sequence);
/* Committed, but the shard never told. */
void relay_commit_silently(fake_tenant_t *tenant, uint32_t partition, uint64_t head);
void relay_subscribe(relay_fixture_t *fixture, const char *prefix);
void relay_unsubscribe(relay_fixture_t *fixture, const char *prefix);

/* Asserts that what was published of this tenant and partition, heads left out, is first … last in
 * order. */
void relay_assert_published(const relay_fixture_t *fixture, const char *tenant, uint32_t partition,
                            uint64_t first, uint64_t last);
/* Sequence of the last head, or UINT64_MAX when there was none. */
uint64_t relay_last_head(const relay_fixture_t *fixture, const char *tenant, uint32_t partition);
size_t relay_head_count(const relay_fixture_t *fixture, const char *tenant);

/* Sends a read; the reply is there after relay_journal_fake_settle. */
void relay_ask(relay_fixture_t *fixture, uint8_t type, const char *tenant, uint8_t role,
               const uuid_t *card, const void *command);
/* Decodes the document of the last reply, which must be OK. */
void relay_reply_document_into(relay_fixture_t *fixture, const message_type_t *type,
                               void *document);
uint64_t relay_reply_error_of(const relay_fixture_t *fixture);

#endif
