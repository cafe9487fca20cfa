/* See the header. */
#include "tests/unit/relay_models_fake.h"
#include "actors/relay/relay_models.h"
#include "tests/unit/gateway_cmocka.h"

enum { ROUNDS = 8 };

static models_fake_t *fake_of(projections_t *base)
{
    return (models_fake_t *)base;
}

static result_t fake_open(projections_t *base, text_t tenant, int64_t created_at,
                          projections_slot_t slot, projections_opened_done_t *done, void *context)
{
    models_fake_t *const fake = fake_of(base);
    (void)created_at;
    if (!text_equal(tenant, TEXT_LITERAL("acme"))) {
        return RESULT_STORE_UNAVAILABLE;
    }
    if (fake->opened != NULL || fake->committing != NULL) {
        return RESULT_BUSY;
    }
    fake->opened = slot == PROJECTIONS_LIVE ? &fake->live : &fake->next;
    fake->opened->fake = fake;
    fake->opened_done = done;
    fake->context[0] = context;
    return RESULT_OK;
}

static void fake_close(projections_t *base, projections_tenant_t **tenant, bool discard)
{
    models_fake_t *const fake = fake_of(base);
    if (discard) {
        fake->discarded += 1;
        memset((*tenant)->cursors, 0, sizeof((*tenant)->cursors));
    }
    *tenant = NULL;
}

static result_t fake_commit(projections_tenant_t *tenant, const projection_commit_t *commit,
                            projections_done_t *done, void *context)
{
    models_fake_t *const fake = tenant->fake;
    assert_null(fake->promote_done); /* the port: no other call of either may be under way */
    if (fake->opened != NULL || fake->committing != NULL) {
        return RESULT_BUSY;
    }
    fake->committing = tenant;
    fake->commit = commit;
    fake->commit_done = done;
    fake->context[0] = context;
    return RESULT_OK;
}

static result_t fake_promote(projections_tenant_t *live, projections_tenant_t *next,
                             projections_done_t *done, void *context)
{
    models_fake_t *const fake = live->fake;
    assert_ptr_equal(live, &fake->live);
    assert_ptr_equal(next, &fake->next);
    fake->promote_done = done;
    fake->context[1] = context;
    return RESULT_OK;
}

static void answer_open(models_fake_t *fake)
{
    projections_opened_t opened = {.result = RESULT_OK, .tenant = fake->opened};
    memcpy(opened.cursors, fake->opened->cursors, sizeof(opened.cursors));
    fake->opened = NULL;
    fake->opened_done(fake->context[0], &opened);
}

static void answer_commit(models_fake_t *fake)
{
    projections_tenant_t *const tenant = fake->committing;
    projection_cursor_t *const cursor = &tenant->cursors[fake->commit->partition];
    const bool is_next = cursor->sequence == fake->commit->from;
    fake->committing = NULL;
    if (fake->look != NULL) {
        fake->look(fake->commit);
    }
    *cursor = is_next ? fake->commit->to : *cursor;
    fake->commit_done(fake->context[0], is_next ? RESULT_OK : RESULT_FENCED);
}

void models_fake_begin(models_fake_t *fake, relay_fixture_t *fixture)
{
    static const projections_functions_t functions = {
        .open = fake_open, .close = fake_close, .commit = fake_commit, .promote = fake_promote};
    *fake = (models_fake_t){.base = {.functions = &functions}};
    fixture->relay->ports.projections = &fake->base;
}

void models_fake_go_on(models_fake_t *fake, relay_fixture_t *fixture)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        loop_fake_advance(LIMIT_PROJECTION_INTERVAL_MS);
        relay_models_tick(fixture->relay);
        relay_journal_fake_settle(fixture->journal);
        if (fake->opened != NULL) {
            answer_open(fake);
        } else if (fake->committing != NULL) {
            answer_commit(fake);
        }
    }
}
