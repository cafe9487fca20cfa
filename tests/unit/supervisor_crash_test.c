/* Deaths of roles and whose fault they are: only the command that was in work when its role crashed
 * or hung, twice, is to be set aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/clock.h"
#include "runtime/platform_process.h"
#include "tests/support/role_child.h"
#include "tests/unit/supervisor_support.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const role_plan_t plans[] = {{"slotted", "shard-0", 1}, {"plain", "front-0", 0}};
static const supervisor_bounds_t bounds = {
    .restarts = 20, .backoff_ms_min = 1, .backoff_ms_max = 2};

/* The role that works on it may end before it answers. */
static void tell(const service_t *service, const char *what)
{
    char command[128];
    (void)snprintf(command, sizeof command, "{\"command\":\"%s\"}", what);
    json_decref(ask(service, command));
}

static void command_that_kills_twice_is_ordered_into_quarantine(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    tell(&service, "work abort 1");
    wait_restarts(&service, "shard-0", 1, &seen);
    assert_int_equal(seen.order, 0);
    tell(&service, "work abort 2"); /* another one */
    wait_restarts(&service, "shard-0", 2, &seen);
    assert_int_equal(seen.order, 0);
    tell(&service, "work abort 1");
    wait_restarts(&service, "shard-0", 3, &seen);
    assert_int_equal(seen.order, 2);
    assert_non_null(strstr(seen.reason, "killed by SIGABRT"));
    service_stop(&service);
}

/* One kill of each; none of them gives an order. */
static json_int_t killed_without_order(const service_t *service, const char *const *works,
                                       size_t count)
{
    seen_t seen;
    for (size_t i = 0; i < count; i++) {
        tell(service, works[i]);
        wait_restarts(service, "shard-0", (json_int_t)i + 1, &seen);
        assert_int_equal(seen.order, 0);
    }
    return (json_int_t)count;
}

/* Those before the last give no order, the last one is about its actor. */
static void assert_actor_order(const char *const *works, size_t count)
{
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    const json_int_t kills = killed_without_order(&service, works, count - 1);
    tell(&service, works[count - 1]);
    wait_restarts(&service, "shard-0", kills + 1, &seen);
    assert_true(seen.order >= 2);
    assert_true(seen.is_actor);
    service_stop(&service);
}

static void actor_that_kills_twice_while_it_is_built_is_quarantined_whatever_was_asked(void **state)
{
    (void)state;
    static const char *const works[] = {"work abort built 1", "work abort built other 2",
                                        "work abort built 3"};
    assert_actor_order(works, 3);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they note no signals */
static void actor_whose_reading_kills_twice_is_quarantined_whatever_was_in_work(void **state)
{
    (void)state;
    static const char *const works[] = {"work abort read 1", "work abort read other 2",
                                        "work abort read 3"};
    assert_actor_order(works, 3);
}
#endif

static void actor_is_to_blame_for_what_nobody_asked(void **state)
{
    (void)state;
    static const char *const works[] = {"work abort internal 1", "work abort internal 2"};
    assert_actor_order(works, 2);
}

static void actor_is_to_blame_when_three_different_commands_kill_and_not_when_two_do(void **state)
{
    (void)state;
    static const char *const works[] = {"work abort 1", "work abort 2", "work abort 3"};
    assert_actor_order(works, 3);
}

static void one_command_again_and_again_does_not_blame_its_actor(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 4; i++) {
        tell(&service, "work abort 1");
        wait_restarts(&service, "shard-0", i + 1, &seen);
        assert_false(seen.is_actor);
        assert_int_equal(seen.order, i == 0 ? 0 : i + 1);
    }
    service_stop(&service);
}

static void order_outlives_a_role_that_did_not_take_it(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 2; i++) {
        tell(&service, "work abort 1");
        wait_restarts(&service, "shard-0", i + 1, &seen);
    }
    assert_int_equal(kill(seen.pid, SIGKILL), 0);
    wait_restarts(&service, "shard-0", 3, &seen);
    assert_int_equal(seen.order, 2);
    service_stop(&service);
}

static void hanging_command_is_to_blame_when_the_watchdog_kills(void **state)
{
    (void)state;
    const supervisor_bounds_t short_watchdog = {
        .restarts = 20, .backoff_ms_min = 1, .backoff_ms_max = 2, .watchdog_ms = 400};
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &short_watchdog);
    wait_started(&service);
    for (json_int_t i = 0; i < 2; i++) {
        tell(&service, "work hang 1");
        wait_restarts(&service, "shard-0", i + 1, &seen);
    }
    assert_int_equal(seen.order, 2);
    assert_string_equal(seen.reason, "killed by the watchdog");
    service_stop(&service);
}

/* LIMIT_WATCHDOG_MS is beyond what wait_restarts waits for. */
static void hanging_command_ends_its_role_before_silence_would(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    assert_true((int)LIMIT_WATCHDOG_MS > (int)DEADLINE_MS);
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 2; i++) {
        tell(&service, "work hang 1");
        wait_restarts(&service, "shard-0", i + 1, &seen);
    }
    assert_int_equal(seen.order, 2);
    assert_string_equal(seen.reason, "killed by the watchdog");
    service_stop(&service);
}

static void command_in_work_is_not_to_blame_for_signals_from_outside(void **state)
{
    (void)state;
    /* Under a sanitizer nobody notes where SIGSEGV came from. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    static const int signals[] = {SIGKILL, SIGKILL, SIGKILL, SIGKILL};
#else
    static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGKILL};
#endif
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 4; i++) {
        wait_restarts(&service, "shard-0", i, &seen);
        tell(&service, "work stay 1");
        assert_int_equal(kill(seen.pid, signals[i]), 0);
        wait_restarts(&service, "shard-0", i + 1, &seen);
        assert_int_equal(seen.order, 0);
    }
    service_stop(&service);
}

/* What the kernel tells of processes that it killed for want of memory: nothing, or one more each
 * time somebody looks. */
typedef struct kernel {
    atomic_bool kills;
    atomic_uint count;
} kernel_t;

static kernel_t *kernel; /* shared with the service, which is another process; NULL: the real one */

uint64_t __real_process_oom_kills(const process_oom_t *oom);
uint64_t __wrap_process_oom_kills(const process_oom_t *oom);

uint64_t __wrap_process_oom_kills(const process_oom_t *oom)
{
    if (kernel == NULL) {
        return __real_process_oom_kills(oom);
    }
    return atomic_load(&kernel->kills) ? atomic_fetch_add(&kernel->count, 1) + 1
                                       : atomic_load(&kernel->count);
}

static void kernel_begin(void)
{
    kernel = mmap(NULL, sizeof *kernel, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(kernel != MAP_FAILED);
}

static int kernel_end(void **state)
{
    if (kernel != NULL) {
        (void)munmap(kernel, sizeof *kernel);
        kernel = NULL;
    }
    return service_tear_down(state);
}

/* The kernel kills with SIGKILL, as an operator does; only its count tells them apart. */
static void command_in_work_is_to_blame_when_the_kernel_kills_for_want_of_memory(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    kernel_begin();
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 3; i++) {
        atomic_store(&kernel->kills, i > 0); /* the first one is an operator's */
        wait_restarts(&service, "shard-0", i, &seen);
        tell(&service, "work stay 1");
        assert_int_equal(kill(seen.pid, SIGKILL), 0);
        wait_restarts(&service, "shard-0", i + 1, &seen);
        assert_int_equal(seen.order, i < 2 ? 0 : 2);
    }
    assert_string_equal(seen.reason, "killed for want of memory");
    service_stop(&service);
}

/* It dies as of any other crash, and is started anew: nobody was at work. */
static void role_killed_for_want_of_memory_while_idle_comes_back_without_blame(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    kernel_begin();
    atomic_store(&kernel->kills, true);
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 2; i++) {
        wait_restarts(&service, "shard-0", i, &seen);
        assert_int_equal(kill(seen.pid, SIGKILL), 0);
        wait_restarts(&service, "shard-0", i + 1, &seen);
        assert_int_equal(seen.order, 0);
        assert_non_null(strstr(seen.last_exit, "SIGKILL"));
    }
    service_stop(&service);
}

static void command_that_returned_is_not_to_blame(void **state)
{
    (void)state;
    const supervisor_bounds_t short_watchdog = {
        .restarts = 20, .backoff_ms_min = 1, .backoff_ms_max = 2, .watchdog_ms = 400};
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &short_watchdog);
    wait_started(&service);
    for (json_int_t i = 0; i < 2; i++) {
        wait_restarts(&service, "shard-0", i, &seen);
        tell(&service, "work return 1");
        assert_int_equal(kill(seen.pid, SIGSTOP), 0); /* the watchdog ends it */
        wait_restarts(&service, "shard-0", i + 1, &seen);
        assert_int_equal(seen.order, 0);
    }
    service_stop(&service);
}

static void kernels_count_of_memory_kills_is_read(void **state)
{
    (void)state;
    char path[] = "/tmp/memory-events-XXXXXX";
    static const char events[] = "low 0\nhigh 3\nmax 17\noom 2\noom_kill 41\noom_group_kill 7\n";
    const int file = mkstemp(path);
    process_oom_t oom = {0};
    assert_int_equal(write(file, events, sizeof events - 1), sizeof events - 1);
    (void)snprintf(oom.path, sizeof oom.path, "%s", path);
    assert_int_equal(process_oom_kills(&oom), 41);
    close(file);
    (void)unlink(path);
    assert_int_equal(process_oom_kills(&oom), 0);
    process_oom_find(&oom);
    assert_int_equal(access(oom.path, R_OK), 0);
}

int main(int argc, char **argv)
{
    int status = 0;
    if (role_child_main(argc, argv, &status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_teardown(name, kernel_end)
    const struct CMUnitTest tests[] = {
        TEST(command_that_kills_twice_is_ordered_into_quarantine),
        TEST(actor_that_kills_twice_while_it_is_built_is_quarantined_whatever_was_asked),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        TEST(actor_whose_reading_kills_twice_is_quarantined_whatever_was_in_work),
#endif
        TEST(actor_is_to_blame_for_what_nobody_asked),
        TEST(actor_is_to_blame_when_three_different_commands_kill_and_not_when_two_do),
        TEST(one_command_again_and_again_does_not_blame_its_actor),
        TEST(order_outlives_a_role_that_did_not_take_it),
        TEST(hanging_command_is_to_blame_when_the_watchdog_kills),
        TEST(hanging_command_ends_its_role_before_silence_would),
        TEST(command_in_work_is_not_to_blame_for_signals_from_outside),
        TEST(command_in_work_is_to_blame_when_the_kernel_kills_for_want_of_memory),
        TEST(role_killed_for_want_of_memory_while_idle_comes_back_without_blame),
        TEST(command_that_returned_is_not_to_blame),
        TEST(kernels_count_of_memory_kills_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
