/* The watch over handlers, each time in a process of its own, whose end is looked at as the
 * supervisor does. Everything is counted in processor time: no test waits for a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/handler_watch.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_NO_WATCH = 3, COMPUTED_MS = 4 * LIMIT_HANDLER_LOOP_MS, PIECE_MS = 10, PATIENCE_S = 60 };

static const uint8_t card[CRASH_ID_SIZE] = {1, 2, 3};

static void enter(crash_slot_t *slot, const char *text)
{
    const crash_command_t command = {
        .identity = {.tenant = "acme", .tenant_size = 4, .card = card, .type = 11, .text = ""},
        .actor = card,
        .trace = "",
        .request = text,
        .request_size = 1};
    crash_slot_enter(slot, &command);
}

/* Of the calling thread, which is what the watch goes by. */
static int64_t processor_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void compute(int64_t milliseconds)
{
    const int64_t end = processor_ms() + milliseconds;
    while (processor_ms() < end) { /* the clock runs while it is read */
    }
}

static void one_command_without_end(crash_slot_t *slot)
{
    enter(slot, "a");
    compute(PATIENCE_S * INT64_C(1000));
}

static void many_commands(crash_slot_t *slot)
{
    for (int64_t done = 0; done < COMPUTED_MS; done += PIECE_MS) {
        enter(slot, "a");
        compute(PIECE_MS);
        crash_slot_leave(slot);
    }
}

static void no_command(crash_slot_t *slot)
{
    enter(slot, "a");
    crash_slot_leave(slot);
    compute(COMPUTED_MS);
}

static void command_that_waits(crash_slot_t *slot)
{
    const struct timespec wait = {.tv_nsec = 2 * LIMIT_HANDLER_LOOP_MS * INT64_C(1000000)};
    enter(slot, "a");
    (void)nanosleep(&wait, NULL);
    crash_slot_leave(slot);
}

/* Its end may fall on a wake-up. */
static void begun_and_ended_often(crash_slot_t *slot)
{
    enum { TIMES = 200, LONG_MS = 2 * LIMIT_HANDLER_LOOP_MS / 5 };
    for (int count = 0; count < TIMES; count++) {
        handler_watch_t *watch = NULL;
        enter(slot, "a");
        if (handler_watch_start(slot, &watch) != RESULT_OK) {
            _exit(EXIT_NO_WATCH);
        }
        compute(count % 20 == 0 ? LONG_MS : 0);
        crash_slot_leave(slot);
        handler_watch_stop(&watch);
        handler_watch_stop(&watch);
    }
}

/* Runs `work` watched in another process; what the supervisor then sees. */
static int end_of(void (*work)(crash_slot_t *), bool *was_in_work, crash_origin_t *origin)
{
    static crash_record_t record;
    crash_slot_t *slot = NULL;
    int descriptor = -1;
    int status = 0;
    assert_int_equal(crash_slot_create(&slot, &descriptor), RESULT_OK);
    const pid_t child = fork();
    if (child == 0) {
        handler_watch_t *watch = NULL;
        crash_slot_t *const attached = crash_slot_attach(descriptor);
        if (attached == NULL || handler_watch_start(attached, &watch) != RESULT_OK) {
            _exit(EXIT_NO_WATCH);
        }
        work(attached);
        handler_watch_stop(&watch);
        _exit(watch == NULL ? 0 : EXIT_NO_WATCH);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    *was_in_work = crash_slot_read(slot, &record, origin);
    crash_slot_destroy(&slot, &descriptor);
    return status;
}

static void command_that_computes_without_end_ends_its_process(void **state)
{
    (void)state;
    bool was_in_work = false;
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    const int status = end_of(one_command_without_end, &was_in_work, &origin);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(was_in_work);
    assert_int_equal(origin, CRASH_ORIGIN_HANG);
}

static void nothing_else_is_blamed(void **state)
{
    (void)state;
    void (*const works[])(crash_slot_t *) = {many_commands, no_command, command_that_waits,
                                             begun_and_ended_often};
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        bool was_in_work = true;
        crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
        const int status = end_of(works[i], &was_in_work, &origin);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_false(was_in_work);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_that_computes_without_end_ends_its_process),
        cmocka_unit_test(nothing_else_is_blamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
