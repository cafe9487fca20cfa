/* The journal port as plain calls that wait: each runs the loop until `done`, and copies the result
 * so that it can be looked at afterwards. Knows no implementation. */
#ifndef TESTS_CONTRACT_JOURNAL_HARNESS_H
#define TESTS_CONTRACT_JOURNAL_HARNESS_H

#include "tests/contract/journal_contract.h"

enum {
    HARNESS_ARENA_SIZE = 16 * 1024 * 1024,
    HARNESS_DEADLINE_MS = 20000, /* a call that has not answered by then fails the test */
    HARNESS_PARTITIONS = 4,
};

typedef struct harness {
    const journal_contract_factory_t *factory;
    loop_t *loop;
    loop_timer_t *deadline;
    journal_t *journal;
    arena_t arena; /* arguments and results of one test */
    uint64_t next_id;
} harness_t;

void harness_start(harness_t *harness, const journal_contract_factory_t *factory);
void harness_stop(harness_t *harness);
/* Closes nothing: ends the adapter and makes a new one, as a restart does. */
void harness_restart(harness_t *harness);
/* Runs the loop until `*flag`. */
void harness_wait(harness_t *harness, const bool *flag);
void *harness_take(harness_t *harness, size_t size); /* zeroed */

typedef struct opened {
    result_t result;
    journal_tenant_t *tenant;
    uint32_t partition_count;
    journal_partition_t partitions[LIMIT_PARTITIONS];
} opened_t;

void harness_create_tenant(harness_t *harness, const char *name);
opened_t harness_open(harness_t *harness, const char *name);
opened_t harness_open_readonly(harness_t *harness, const char *name);
void harness_close(harness_t *harness, opened_t *opened);

result_t harness_append(harness_t *harness, opened_t *opened, const journal_batch_t *batch);
/* A batch that is under way. */
typedef struct pending {
    bool is_done;
    result_t result;
    uint32_t order; /* 1 for the first that was done */
    uint32_t *counter;
    loop_t *loop;
} pending_t;
result_t harness_submit(harness_t *harness, opened_t *opened, const journal_batch_t *batch,
                        pending_t *pending);

journal_loaded_t harness_load(harness_t *harness, opened_t *opened, const uuid_t *card,
                              const char *member_id, const char *key);
journal_due_t harness_due(harness_t *harness, opened_t *opened, int64_t now_ms, uint32_t limit);
journal_reminders_t harness_reminders(harness_t *harness, opened_t *opened, int64_t now_ms,
                                      uint32_t limit);
result_t harness_clean(harness_t *harness, opened_t *opened, int64_t before_ms);
journal_cards_t harness_list(harness_t *harness, opened_t *opened, const card_list_t *filter,
                             int64_t now_ms, uint32_t limit);
journal_events_t harness_history(harness_t *harness, opened_t *opened, const uuid_t *card,
                                 text_t cursor, uint32_t limit);
journal_events_t harness_events(harness_t *harness, opened_t *opened, uint32_t partition,
                                uint64_t after, uint32_t limit);

/* --- Makers of arguments, in the harness's memory --- */

uuid_t harness_id(harness_t *harness); /* unique, rising */
journal_event_t *harness_make_events(harness_t *harness, const uuid_t *card, uint64_t card_sequence,
                                     size_t count);
journal_snapshot_t *harness_make_snapshot(harness_t *harness, const uuid_t *card,
                                          const char *member_id, const char *tier, uint8_t status,
                                          int64_t expires_at, uint64_t card_sequence);
journal_idempotency_t *harness_make_idempotency(harness_t *harness, const char *key,
                                                int64_t recorded_at);
/* Events `count` of one card at the partition's head, which is moved in `opened` when it works. */
result_t harness_store(harness_t *harness, opened_t *opened, uint32_t partition, const uuid_t *card,
                       uint64_t card_sequence, size_t count);
/* Issues a card: one event and its snapshot. */
uuid_t harness_issue(harness_t *harness, opened_t *opened, const char *member_id, const char *tier,
                     uint8_t status, int64_t expires_at);

#endif
