/* actors/ports/journal.h in memory, for tests: deterministic, survives the shard or relay that uses
 * it (so that a test can restart one), with faults to switch on. Calls end on the loop in order of
 * submission, never within the call; held ones end when they are released. */
#ifndef TESTS_SUPPORT_JOURNAL_FAKE_H
#define TESTS_SUPPORT_JOURNAL_FAKE_H

#include "actors/ports/journal.h"
#include "runtime/loop.h"

typedef struct journal_fake journal_fake_t;

journal_fake_t *journal_fake_create(loop_t *loop);
void journal_fake_destroy(journal_fake_t **fake);
journal_t *journal_fake_journal(journal_fake_t *fake);
/* A second one of a name takes the place of the first, which stays for those that have it open. */
void journal_fake_add_tenant(journal_fake_t *fake, const char *name, uint32_t partitions);

/* --- Faults --- */

/* The next `count` appends store nothing and end with `result`. */
void journal_fake_fail_appends(journal_fake_t *fake, result_t result, uint32_t count);
void journal_fake_fail_loads(journal_fake_t *fake, result_t result, uint32_t count);
void journal_fake_fail_opens(journal_fake_t *fake, result_t result, uint32_t count);
/* The next `count` appends are refused by the call itself. */
void journal_fake_refuse_appends(journal_fake_t *fake, result_t result, uint32_t count);
/* Appends (loads) neither happen nor end until they are released. */
void journal_fake_hold_appends(journal_fake_t *fake, bool hold);
void journal_fake_hold_loads(journal_fake_t *fake, bool hold);
/* Lets the oldest `count` of the held appends through. */
void journal_fake_release(journal_fake_t *fake, uint32_t count);
/* As if another process had opened the tenant: epochs rise. */
void journal_fake_fence(journal_fake_t *fake, const char *tenant);
/* Snapshots and events of every card of it can no longer be read. */
void journal_fake_corrupt(journal_fake_t *fake, const char *tenant);
/* Everything that is under way ends with STORE_UNAVAILABLE and stores nothing: before a shard is
 * destroyed without a drain, as a crash would. */
void journal_fake_crash(journal_fake_t *fake);

/* --- What is stored --- */

typedef struct journal_fake_numbers {
    size_t events;
    size_t snapshots;
    size_t idempotency;
    size_t member_keys;
    size_t refusals;
    size_t batches;       /* committed, empty ones included */
    size_t batches_empty; /* without events */
    size_t rejected;      /* batches that contradict what is stored: a bug of the caller */
    size_t held;
    size_t opens;
    size_t closes;
    size_t loads;
    bool is_open;
} journal_fake_numbers_t;
journal_fake_numbers_t journal_fake_numbers(journal_fake_t *fake, const char *tenant);
/* In order of commit. Valid until the next append. */
const event_t *journal_fake_event(journal_fake_t *fake, const char *tenant, size_t index);
const journal_refusal_t *journal_fake_refusal(journal_fake_t *fake, const char *tenant,
                                              size_t index);
const journal_member_key_t *journal_fake_member_key(journal_fake_t *fake, const char *tenant,
                                                    size_t index);
/* Reminders that are stored, in no order; a due time of 0 when there is no such one. */
size_t journal_fake_reminder_count(journal_fake_t *fake, const char *tenant);
int64_t journal_fake_reminder_at(journal_fake_t *fake, const char *tenant, const uuid_t *actor,
                                 const char *name);
/* Of an idempotency key. */
text_t journal_fake_reply(journal_fake_t *fake, const char *tenant, size_t index);
const journal_snapshot_t *journal_fake_snapshot(journal_fake_t *fake, const char *tenant,
                                                size_t index);

#endif
