/* An actor system on a loop that the test turns by hand, and a kind of anonymous actor, the probe:
 * it runs the function that a message carries, and writes down every other message it gets. */
#ifndef TESTS_UNIT_ACTOR_SUPPORT_H
#define TESTS_UNIT_ACTOR_SUPPORT_H

#include "runtime/actor_group.h"
#include "runtime/actor_notice.h"
#include "runtime/limits.h"
#include "tests/support/loop_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PROBE_TRACE_SIZE = 8192, MESSAGE_RUN = 1000, MESSAGE_NOTE };

typedef struct probes {
    loop_t *loop;
    metrics_t *metrics;
    actor_system_t *system;
    uint32_t kind;
    actor_directive_t directive; /* of probes that fail */
    bool has_directive;
    uint64_t number; /* what functions leave for the test */
    actor_ref_t other;
    actor_message_t *taken;
    uint32_t handled;
    uint32_t activated;
    uint32_t deactivated;
    char trace[PROBE_TRACE_SIZE]; /* "name:what number " … */
    size_t trace_size;
} probes_t;

typedef struct probe {
    uint32_t name;
    uint32_t memory; /* of the state: 0 when it is new */
} probe_t;

typedef result_t probe_run_t(actor_t *self, actor_message_t *message, probes_t *probes);

int probes_setup(void **state);
int probes_teardown(void **state);
actor_ref_t probes_spawn(probes_t *probes, uint32_t name, const char *tenant, actor_group_t *group);
/* Has the actor run the function in a handler, and settles. */
void probes_run(probes_t *probes, actor_ref_t ref, probe_run_t *run);
/* Only sends it. */
result_t probes_send(probes_t *probes, actor_ref_t ref, probe_run_t *run);
result_t probes_note(probes_t *probes, actor_ref_t ref);
actor_message_t *probes_message(probes_t *probes, uint32_t type);
void probes_trace(probes_t *probes, const char *format, ...) __attribute__((format(printf, 2, 3)));
actor_system_numbers_t probes_numbers(const probes_t *probes);
/* Functions that handlers run. */
probe_run_t probe_fails;
probe_run_t probe_stops;

#define PROBE_TEST(name) cmocka_unit_test_setup_teardown(name, probes_setup, probes_teardown)

#endif
