/* A shard with a journal, a control store and a loop that the test holds in its hands, requests as
 * one call each, and the replies by correlation. */
#ifndef TESTS_UNIT_SHARD_SUPPORT_H
#define TESTS_UNIT_SHARD_SUPPORT_H

#include "actors/shard/shard.h"
#include "messages/messages.h"
#include "tests/support/control_fake.h"
#include "tests/support/journal_fake.h"
#include "tests/support/loop_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The clock of the wall when a test begins; cards end at END unless told. */
#define START INT64_C(1800000000000)
#define DAY_MS INT64_C(86400000)
#define END (START + 30 * DAY_MS)

enum { REPLIES_MAX = 12000, EVENTS_MAX = 12000 };

typedef struct answer {
    uint64_t correlation;
    uint32_t peer;
    uint8_t *bytes;
    uint8_t *arena;
    reply_t reply;
    card_t card;       /* of an ok with a card */
    verdict_t verdict; /* of an ok with a verdict */
} answer_t;

typedef struct fixture {
    credit_t credit; /* the last one granted */
    uint32_t credit_count;
    loop_t *loop;
    metrics_t *metrics;
    journal_fake_t *journal;
    control_fake_t *control;
    shard_t *shard;
    shard_options_t options;
    uint64_t next_correlation;
    uint8_t *types; /* request type by correlation */
    answer_t *answers;
    size_t answer_count;
    event_t *events; /* published; texts are not kept */
    size_t event_count;
    bool is_drained;
    crypto_key_t master_key;
    crash_slot_t *crash_slot;         /* NULL unless a test makes one */
    dead_letters_t *dead_letters;     /* the same */
    int64_t (*wall_ms)(void);         /* wall_now unless a test has its own */
    const crypto_functions_t *crypto; /* signer_functions unless a test has its own */
} fixture_t;

/* One request. Everything but tenant and type may be left out. */
typedef struct ask {
    const char *tenant;
    uint8_t type;
    const uuid_t *card;
    const char *member_id; /* issue */
    const char *holder_name;
    const char *tier;
    bool activate;
    uint32_t rules;
    int64_t valid_from;
    int64_t expires_at; /* issue: END when 0; changes: absent when 0 */
    int64_t until;
    const char *reason;
    const char *qr;
    size_t qr_size;   /* 0: to the NUL */
    const char *gate; /* "north" when NULL */
    int64_t at;
    const char *key;
    const char *hash; /* of the key; "a" when NULL */
    bool has_condition;
    uint64_t if_version;
    int64_t since; /* created_at of the tenant that is meant; 0: it does not say */
    const char *subject;
    uint8_t role; /* tenant_admin when 0 */
    uint32_t partition;
    uint32_t deadline_ms; /* 5000 when 0; UINT32_MAX: 0 */
} ask_t;

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_start_shard(fixture_t *fixture);
/* Ends the shard as kill -9 would, and starts the next incarnation on the same stores. */
void fixture_crash(fixture_t *fixture);
void fixture_drain(fixture_t *fixture);

void wall_set(int64_t ms);
int64_t wall_now(void);
/* Moves loop and wall clock on together. */
void advance(fixture_t *fixture, uint64_t milliseconds);

/* Sends, without a turn of the loop. Returns the correlation. */
uint64_t ask(fixture_t *fixture, const ask_t *asked);
void settle(fixture_t *fixture);
bool is_answered(const fixture_t *fixture, uint64_t correlation);
/* The one answer; fails when there is none or more than one. */
const answer_t *answer_to(const fixture_t *fixture, uint64_t correlation);
/* ask, settle, answer_to. */
const answer_t *ask_now(fixture_t *fixture, const ask_t *asked);

/* Shorter forms for tenant "acme". */
uuid_t issue_active(fixture_t *fixture, const char *member_id);
uint64_t send_change(fixture_t *fixture, uint8_t type, const uuid_t *card);
uint64_t send_validate(fixture_t *fixture, const uuid_t *card);
const answer_t *change(fixture_t *fixture, uint8_t type, const uuid_t *card);
const answer_t *validate(fixture_t *fixture, const uuid_t *card);
const answer_t *get(fixture_t *fixture, const uuid_t *card);

void assert_error(const answer_t *answer, result_t result);
void assert_refused(const answer_t *answer, uint8_t reason);
void assert_verdict(const answer_t *answer, uint8_t reason);
void assert_text(text_t text, const char *expected);
/* The number behind `"name":` in the status of the shard, first one after `section`. */
uint64_t status_number(const fixture_t *fixture, const char *section, const char *name);
/* The value of a series in the metrics' text, by its beginning. */
uint64_t metric_number(const fixture_t *fixture, const char *series);

#endif
