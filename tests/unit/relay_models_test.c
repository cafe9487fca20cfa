/* Read models that change places while events come in. */
#include "actors/relay/relay_models.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/relay_support.h"

enum { ROUNDS = 8, BEFORE = 3 };

/* Read models that know their cursor and nothing else. Opens and commits answer when the test
 * lets them; a promotion waits until it is asked for. */
struct projections_tenant {
    uint64_t cursor;
};
typedef struct models_fake {
    projections_t base; /* first */
    projections_tenant_t live;
    projections_tenant_t next;
    projections_tenant_t *opened;
    projections_opened_done_t *opened_done;
    projections_tenant_t *committing;
    const projection_commit_t *commit;
    projections_done_t *commit_done;
    projections_done_t *promote_done;
    void *context[2]; /* of what is under way; of the promotion */
} models_fake_t;

static models_fake_t fake;

static result_t fake_open(projections_t *base, text_t tenant, int64_t created_at,
                          projections_slot_t slot, projections_opened_done_t *done, void *context)
{
    (void)base;
    (void)created_at;
    if (!text_equal(tenant, TEXT_LITERAL("acme"))) {
        return RESULT_STORE_UNAVAILABLE;
    }
    if (fake.opened != NULL || fake.committing != NULL) {
        return RESULT_BUSY;
    }
    fake.opened = slot == PROJECTIONS_LIVE ? &fake.live : &fake.next;
    fake.opened_done = done;
    fake.context[0] = context;
    return RESULT_OK;
}

static void fake_close(projections_t *base, projections_tenant_t **tenant, bool discard)
{
    (void)base;
    (void)discard;
    *tenant = NULL;
}

static result_t fake_commit(projections_tenant_t *tenant, const projection_commit_t *commit,
                            projections_done_t *done, void *context)
{
    assert_null(fake.promote_done); /* the port: no other call of either may be under way */
    if (fake.opened != NULL || fake.committing != NULL) {
        return RESULT_BUSY;
    }
    fake.committing = tenant;
    fake.commit = commit;
    fake.commit_done = done;
    fake.context[0] = context;
    return RESULT_OK;
}

static result_t fake_promote(projections_tenant_t *live, projections_tenant_t *next,
                             projections_done_t *done, void *context)
{
    assert_ptr_equal(live, &fake.live);
    assert_ptr_equal(next, &fake.next);
    fake.promote_done = done;
    fake.context[1] = context;
    return RESULT_OK;
}

static const projections_functions_t fake_functions = {
    .open = fake_open, .close = fake_close, .commit = fake_commit, .promote = fake_promote};

static void answer_open(void)
{
    const projections_opened_t opened = {
        .result = RESULT_OK,
        .tenant = fake.opened,
        .cursors = {{.sequence = fake.opened->cursor}},
    };
    fake.opened = NULL;
    fake.opened_done(fake.context[0], &opened);
}

static void answer_commit(void)
{
    projections_tenant_t *const tenant = fake.committing;
    const bool is_next = tenant->cursor == fake.commit->from;
    fake.committing = NULL;
    tenant->cursor = is_next ? fake.commit->to.sequence : tenant->cursor;
    fake.commit_done(fake.context[0], is_next ? RESULT_OK : RESULT_FENCED);
}

/* Ticks and answers, all but a promotion. */
static void go_on(relay_fixture_t *fixture)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        loop_fake_advance(LIMIT_PROJECTION_INTERVAL_MS);
        relay_models_tick(fixture->relay);
        relay_journal_fake_settle(fixture->journal);
        if (fake.opened != NULL) {
            answer_open();
        } else if (fake.committing != NULL) {
            answer_commit();
        }
    }
}

static void nothing_is_folded_while_read_models_change_places(void **state)
{
    relay_fixture_t *const fixture = *state;
    fake = (models_fake_t){.base = {.functions = &fake_functions}};
    fixture->relay->ports.projections = &fake.base;
    for (uint64_t i = 1; i <= BEFORE; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    go_on(fixture);
    assert_int_equal(fake.live.cursor, BEFORE);
    assert_int_equal(relay_rebuild(fixture->relay, TEXT_LITERAL("acme")), RESULT_OK);
    go_on(fixture);
    assert_int_equal(fake.next.cursor, BEFORE);
    assert_non_null(fake.promote_done);

    /* As many as begin a batch at once. */
    const uint64_t head = BEFORE + LIMIT_PROJECTION_EVENTS;
    for (uint64_t i = BEFORE + 1; i <= head; i++) {
        relay_send_event(fixture, fixture->acme, 0, i);
    }
    go_on(fixture); /* fake_commit asserts */
    assert_int_equal(fake.live.cursor, BEFORE);

    projections_done_t *const done = fake.promote_done;
    fake.promote_done = NULL;
    done(fake.context[1], RESULT_OK);
    go_on(fixture);
    assert_int_equal(fake.live.cursor, head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_folded_while_read_models_change_places,
                                        relay_setup, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
