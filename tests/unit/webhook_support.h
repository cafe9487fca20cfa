/* A relay whose webhooks are rows of a real control store on SQLite, whose journal is a fake and
 * whose receivers are the test. */
#ifndef TESTS_UNIT_WEBHOOK_SUPPORT_H
#define TESTS_UNIT_WEBHOOK_SUPPORT_H

#include "actors/relay/webhook_sender.h"
#include "tests/support/directory.h"
#include "tests/support/http_calls_fake.h"
#include "tests/unit/relay_support.h"

enum { DAY_MS = 86400000 };

typedef struct hooks_fixture {
    relay_fixture_t *relay;
    http_calls_fake_t http;
    control_store_t *control;
    webhooks_t *store;
    consumers_t *consumers;
    const webhooks_functions_t *functions; /* of the real store */
    result_t record_result;                /* RESULT_OK: as the store says */
    int64_t created_at;                    /* of the next webhook */
    bool has_others;                       /* services on the store: the claim decides */
    bool is_claimed;                       /* by ours */
    uint32_t visit_rows;                   /* so many in place of the store's; 0: the store's */
    char directory[DIRECTORY_SIZE];
} hooks_fixture_t;

/* One at a time. */
hooks_fixture_t *hooks_fixture(void);
int hooks_setup(void **state);
int hooks_teardown(void **state);
/* As when the process is killed: what was not stored is gone. */
void hooks_restart(hooks_fixture_t *fixture);

/* For `tenant`, at http://NAME.example/NAME, made before all events of the fake journal. */
void hooks_add(hooks_fixture_t *fixture, const char *tenant, const char *name);
void hooks_create_tenant(hooks_fixture_t *fixture, fake_tenant_t *tenant);
/* Events up to this one are in the journal, and the relay hears of it. */
void hooks_commit(hooks_fixture_t *fixture, fake_tenant_t *tenant, uint64_t head);
/* Time passes, and the journal answers. */
void hooks_turn(hooks_fixture_t *fixture, uint32_t milliseconds);
/* Time passes at once, clocks of the wall included. */
void hooks_leap(int64_t milliseconds);
/* No time passes; the clock on the wall is set by so much. */
void hooks_set_clock(int64_t milliseconds);

/* What the log says of an event: "delivered 200 3" (state, status, attempts), or "". */
const char *hooks_log(hooks_fixture_t *fixture, const char *tenant, const char *name,
                      uint64_t sequence);
/* Why it is disabled, or "". */
const char *hooks_disabled(hooks_fixture_t *fixture, const char *tenant, const char *name);
/* Cursor of the first partition. */
uint64_t hooks_cursor(hooks_fixture_t *fixture, const char *tenant, const char *name);
bool hooks_replays(hooks_fixture_t *fixture, const char *tenant, const char *name);

#endif
