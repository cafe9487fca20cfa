/* Strategies of groups of roles, and what follows when a role keeps failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/role_child.h"
#include "tests/unit/supervisor_support.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const role_plan_t plans[] = {
    {"plain", "front-0", 0}, {"plain", "shard-0", 1}, {"plain", "relay", 2}};

static void kill_role(const service_t *service, const char *name, json_int_t restarts)
{
    seen_t seen;
    wait_restarts(service, name, restarts, &seen);
    assert_int_equal(kill(seen.pid, SIGKILL), 0);
}

static void one_for_all_restarts_the_whole_group(void **state)
{
    (void)state;
    static const char *const names[] = {"front-0", "shard-0", "relay"};
    /* Siblings that were restarted along did not fail: each role may fail once here. */
    const supervisor_bounds_t bounds = {.restarts = 1, .backoff_ms_min = 1, .backoff_ms_max = 1};
    service_t service;
    seen_t seen;
    service_begin_as(&service, plans, 3, &bounds, SUPERVISOR_ONE_FOR_ALL);
    wait_started(&service);
    for (json_int_t round = 0; round < 3; round++) {
        kill_role(&service, names[round], round);
        for (size_t i = 0; i < 3; i++) {
            wait_restarts(&service, names[i], round + 1, &seen);
            assert_string_equal(seen.last_exit, (json_int_t)i == round ? "killed by SIGKILL"
                                                                       : "exited with status 0");
        }
    }
    service_stop(&service);
}

static void rest_for_one_restarts_those_declared_later(void **state)
{
    (void)state;
    const supervisor_bounds_t bounds = {.backoff_ms_min = 1, .backoff_ms_max = 1};
    service_t service;
    seen_t seen;
    service_begin_as(&service, plans, 3, &bounds, SUPERVISOR_REST_FOR_ONE);
    wait_started(&service);
    kill_role(&service, "shard-0", 0);
    wait_restarts(&service, "shard-0", 1, &seen);
    wait_restarts(&service, "relay", 1, &seen);
    assert_string_equal(seen.last_exit, "exited with status 0");
    wait_restarts(&service, "front-0", 0, &seen);
    kill_role(&service, "relay", 1);
    wait_restarts(&service, "relay", 2, &seen);
    wait_restarts(&service, "shard-0", 1, &seen);
    service_stop(&service);
}

static void one_for_one_restarts_it_alone(void **state)
{
    (void)state;
    const supervisor_bounds_t bounds = {0};
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 3, &bounds);
    wait_started(&service);
    kill_role(&service, "front-0", 0);
    wait_restarts(&service, "front-0", 1, &seen);
    wait_restarts(&service, "shard-0", 0, &seen);
    wait_restarts(&service, "relay", 0, &seen);
    service_stop(&service);
}

static void role_that_keeps_failing_takes_its_group_along_and_then_the_service(void **state)
{
    (void)state;
    const supervisor_bounds_t bounds = {
        .restarts = 1, .backoff_ms_min = 1, .backoff_ms_max = 1, .group_restarts = 1};
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 3, &bounds);
    wait_started(&service);
    kill_role(&service, "shard-0", 0); /* restarted alone */
    kill_role(&service, "shard-0", 1); /* once too often: the group */
    wait_restarts(&service, "shard-0", 2, &seen);
    wait_restarts(&service, "front-0", 1, &seen);
    wait_restarts(&service, "relay", 1, &seen);
    assert_string_equal(seen.last_exit, "exited with status 0");
    kill_role(&service, "shard-0", 2); /* its count began anew */
    kill_role(&service, "shard-0", 3); /* the group may not once more */
    assert_int_equal(service_ended(&service), RESULT_UNAVAILABLE);
    service_release(&service);
}

static void siblings_that_do_not_drain_are_killed(void **state)
{
    (void)state;
    static const role_plan_t with_deaf[] = {{"plain", "shard-0", 0}, {"deaf", "relay", 1}};
    const supervisor_bounds_t bounds = {
        .backoff_ms_min = 1, .backoff_ms_max = 1, .drain_ms = 100, .group_stop_ms = 50};
    service_t service;
    seen_t seen;
    service_begin_as(&service, with_deaf, 2, &bounds, SUPERVISOR_ONE_FOR_ALL);
    wait_started(&service);
    kill_role(&service, "shard-0", 0);
    wait_restarts(&service, "relay", 1, &seen);
    assert_string_equal(seen.last_exit, "killed by SIGKILL");
    wait_restarts(&service, "shard-0", 1, &seen);
    service_stop(&service);
}

static void group_restart_does_not_hold_up_the_end(void **state)
{
    (void)state;
    static const role_plan_t with_deaf[] = {{"plain", "shard-0", 0}, {"deaf", "relay", 1}};
    const supervisor_bounds_t bounds = {.drain_ms = 100, .group_stop_ms = 60000};
    service_t service;
    seen_t seen;
    service_begin_as(&service, with_deaf, 2, &bounds, SUPERVISOR_ONE_FOR_ALL);
    wait_started(&service);
    look(&service, "shard-0", &seen);
    assert_int_equal(kill(seen.pid, SIGKILL), 0);
    while (strcmp(seen.state, "waiting") != 0) { /* held: its sibling does not drain */
        look(&service, "shard-0", &seen);
    }
    service_stop(&service);
}

int main(int argc, char **argv)
{
    int status = 0;
    if (role_child_main(argc, argv, &status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_teardown(name, service_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_for_all_restarts_the_whole_group),
        TEST(rest_for_one_restarts_those_declared_later),
        TEST(one_for_one_restarts_it_alone),
        TEST(role_that_keeps_failing_takes_its_group_along_and_then_the_service),
        TEST(siblings_that_do_not_drain_are_killed),
        TEST(group_restart_does_not_hold_up_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
