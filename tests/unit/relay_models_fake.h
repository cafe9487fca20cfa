/* Read models for tests of the relay that know their cursors and nothing else. Opens and commits
 * answer when the test lets them; a promotion waits until it is asked for. Only "acme" has any. */
#ifndef TESTS_UNIT_RELAY_MODELS_FAKE_H
#define TESTS_UNIT_RELAY_MODELS_FAKE_H

#include "actors/ports/projections.h"
#include "tests/unit/relay_support.h"

struct models_fake;
struct projections_tenant {
    struct models_fake *fake;
    projection_cursor_t cursors[LIMIT_PARTITIONS + 1];
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
    uint32_t discarded;
    /* Looks at each commit before it is answered; NULL: nobody does. */
    void (*look)(const projection_commit_t *commit);
} models_fake_t;

/* Empty, and the read models of `fixture` from now on. */
void models_fake_begin(models_fake_t *fake, relay_fixture_t *fixture);
/* Ticks and answers, all but a promotion. */
void models_fake_go_on(models_fake_t *fake, relay_fixture_t *fixture);

#endif
