/* Crash slots as the role writes them and the supervisor reads them, here through two mappings of
 * one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/clock.h"
#include "runtime/crash_slot_internal.h"
#include "runtime/work_pool.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t card[CRASH_ID_SIZE] = {1, 2, 3, 4};
static const uint8_t other_card[CRASH_ID_SIZE] = {9};
static const char trace[] = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

typedef struct fixture {
    crash_slot_t *supervisors;
    crash_slot_t *roles;
    int descriptor;
} fixture_t;

static fixture_t begin(void)
{
    fixture_t fixture;
    assert_int_equal(crash_slot_create(&fixture.supervisors, &fixture.descriptor), RESULT_OK);
    fixture.roles = crash_slot_attach(fixture.descriptor);
    assert_non_null(fixture.roles);
    return fixture;
}

static crash_command_t command_of(const char *request, size_t request_size, const char *text)
{
    return (crash_command_t){.identity = {.tenant = "acme",
                                          .tenant_size = 4,
                                          .card = card,
                                          .type = 11,
                                          .text = text,
                                          .text_size = strlen(text)},
                             .actor = other_card,
                             .trace = trace,
                             .trace_size = sizeof trace - 1,
                             .request = request,
                             .request_size = request_size};
}

static crash_record_t record;

static void supervisor_reads_what_the_role_works_on(void **state)
{
    (void)state;
    static const char request[] = "envelope:body";
    fixture_t fixture = begin();
    crash_origin_t origin = CRASH_ORIGIN_OTHER;
    uint8_t expected[CRASH_FINGERPRINT_SIZE];
    assert_false(crash_slot_read(fixture.supervisors, &record, &origin));
    const crash_command_t command = command_of(request, sizeof request - 1, request + 9);
    crash_slot_enter(fixture.roles, &command);
    assert_true(crash_slot_read(fixture.supervisors, &record, &origin));
    assert_int_equal(origin, CRASH_ORIGIN_UNKNOWN);
    assert_int_equal(record.request_size, sizeof request - 1);
    assert_memory_equal(record.request, request, sizeof request - 1);
    assert_memory_equal(record.tenant, "acme", record.tenant_size);
    assert_memory_equal(record.actor, other_card, CRASH_ID_SIZE);
    assert_memory_equal(record.trace, trace, record.trace_size);
    crash_fingerprint(&command.identity, expected);
    assert_memory_equal(record.fingerprint, expected, CRASH_FINGERPRINT_SIZE);
    crash_slot_leave(fixture.roles);
    assert_false(crash_slot_read(fixture.supervisors, &record, &origin));
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

static void waiting_for_others_is_no_work_on_the_command(void **state)
{
    (void)state;
    fixture_t fixture = begin();
    uint32_t before = 0;
    uint32_t after = 0;
    const crash_command_t command = command_of("body", 4, "");
    assert_false(crash_slot_pause(NULL));
    assert_false(crash_slot_pause(fixture.roles));
    crash_slot_resume(fixture.roles, false);
    assert_false(crash_slot_is_in_work(fixture.supervisors, &before));
    crash_slot_enter(fixture.roles, &command);
    assert_true(crash_slot_is_in_work(fixture.supervisors, &before));
    const bool was_in_work = crash_slot_pause(fixture.roles);
    assert_true(was_in_work);
    assert_false(crash_slot_is_in_work(fixture.supervisors, &after));
    crash_slot_resume(fixture.roles, was_in_work);
    assert_true(crash_slot_is_in_work(fixture.supervisors, &after));
    assert_int_not_equal(before, after);
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

/* The one that hung got done before the signal came: the next one did nothing. */
static void only_the_command_that_hung_is_to_blame(void **state)
{
    (void)state;
    fixture_t fixture = begin();
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    uint32_t hanging = 0;
    const crash_command_t command = command_of("body", 4, "");
    crash_slot_enter(fixture.roles, &command);
    assert_true(crash_slot_is_in_work(fixture.roles, &hanging));
    crash_slot_note_hang(fixture.roles, hanging);
    assert_true(crash_slot_read(fixture.supervisors, &record, &origin));
    assert_int_equal(origin, CRASH_ORIGIN_HANG);
    crash_slot_leave(fixture.roles);
    crash_slot_enter(fixture.roles, &command);
    assert_true(crash_slot_read(fixture.supervisors, &record, &origin));
    assert_int_equal(origin, CRASH_ORIGIN_OTHER);
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

static void large_request_leaves_its_fingerprint_only(void **state)
{
    (void)state;
    static char request[LIMIT_CRASH_REQUEST_SIZE + 100];
    memset(request, 'x', sizeof request - 1);
    fixture_t fixture = begin();
    crash_origin_t origin = CRASH_ORIGIN_OTHER;
    uint8_t expected[CRASH_FINGERPRINT_SIZE];
    const crash_command_t command = command_of(request, sizeof request - 1, request + 50);
    crash_slot_enter(fixture.roles, &command);
    assert_true(crash_slot_read(fixture.supervisors, &record, &origin));
    assert_int_equal(record.request_size, sizeof request - 1);
    crash_fingerprint(&command.identity, expected);
    assert_memory_equal(record.fingerprint, expected, CRASH_FINGERPRINT_SIZE);
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

static void fingerprint_tells_commands_apart_and_attempts_not(void **state)
{
    (void)state;
    uint8_t all[6][CRASH_FINGERPRINT_SIZE];
    crash_identity_t identity = command_of("body", 4, "body").identity;
    crash_fingerprint(&identity, all[0]);
    crash_fingerprint(&identity, all[1]);
    assert_memory_equal(all[0], all[1], CRASH_FINGERPRINT_SIZE);
    identity.is_key = true;
    crash_fingerprint(&identity, all[1]);
    identity.type = 12;
    crash_fingerprint(&identity, all[2]);
    identity.card = NULL;
    crash_fingerprint(&identity, all[3]);
    identity.tenant_size = 3;
    crash_fingerprint(&identity, all[4]);
    identity.text_size = 3;
    crash_fingerprint(&identity, all[5]);
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(all[i], all[j], CRASH_FINGERPRINT_SIZE);
        }
    }
}

static void wild_writes_lead_nowhere(void **state)
{
    (void)state;
    fixture_t fixture = begin();
    crash_origin_t origin = CRASH_ORIGIN_OTHER;
    const crash_command_t command = command_of("body", 4, "");
    crash_slot_enter(fixture.roles, &command);
    memset(&fixture.roles->running, 0xff, sizeof fixture.roles->running);
    assert_false(crash_slot_read(fixture.supervisors, &record, &origin));
    crash_slot_enter(fixture.roles, &command);
    fixture.roles->running.identity_size = 5;
    assert_false(crash_slot_read(fixture.supervisors, &record, &origin));
    memset(&fixture.roles->order, 0xff, sizeof fixture.roles->order);
    fixture.roles->has_order = 1;
    assert_null(crash_slot_order(fixture.roles));
    assert_int_equal(ftruncate(fixture.descriptor, 0), -1); /* sealed */
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

static void order_stays_until_it_is_done(void **state)
{
    (void)state;
    fixture_t fixture = begin();
    crash_origin_t origin = CRASH_ORIGIN_OTHER;
    const crash_command_t command = command_of("body", 4, "");
    assert_null(crash_slot_order(fixture.roles));
    assert_null(crash_slot_order(NULL));
    crash_slot_enter(fixture.roles, &command);
    assert_true(crash_slot_read(fixture.supervisors, &record, &origin));
    crash_slot_give_order(fixture.supervisors, &record, 2, "killed by SIGSEGV");
    crash_slot_clear(fixture.supervisors); /* for the successor */
    assert_false(crash_slot_read(fixture.supervisors, &record, &origin));
    const crash_order_t *order = crash_slot_order(fixture.roles);
    assert_non_null(order);
    assert_int_equal(order->kills, 2);
    assert_string_equal(order->reason, "killed by SIGSEGV");
    crash_slot_order_done(fixture.roles);
    assert_null(crash_slot_order(fixture.supervisors));
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

static void other_files_are_no_slots(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_null(crash_slot_attach(fileno(file)));
    assert_int_equal(ftruncate(fileno(file), sizeof(crash_slot_t)), 0);
    assert_null(crash_slot_attach(fileno(file)));
    assert_null(crash_slot_attach(-1));
    (void)fclose(file);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they note no signals */

typedef enum reading_end { READING_ABORTS, READING_ENDED, READING_IS_KILLED } reading_end_t;

/* A thread that reads a card and dies of it, has read it, or is killed by somebody. */
static void *read_card(void *context)
{
    const reading_end_t end = *(const reading_end_t *)context;
    crash_reading_begin(
        &(crash_reading_t){.tenant = "acme", .tenant_size = 4, .actor = other_card});
    if (end == READING_ENDED) {
        crash_reading_end();
    }
    if (end == READING_IS_KILLED) {
        sigset_t fatal;
        (void)sigemptyset(&fatal);
        (void)sigaddset(&fatal, SIGSEGV);
        (void)pthread_sigmask(SIG_UNBLOCK, &fatal, NULL);
        const pid_t killer = fork();
        if (killer == 0) {
            (void)kill(getppid(), SIGSEGV);
            _exit(0);
        }
        for (;;) {
            (void)poll(NULL, 0, -1);
        }
    }
    abort();
}

/* In a child: the role, whose handlers work on a command of another card meanwhile. The kill goes
 * to the only thread that does not block it. */
static _Noreturn void be_role(int descriptor, reading_end_t end)
{
    pthread_t thread;
    sigset_t fatal;
    crash_slot_t *const slot = crash_slot_attach(descriptor);
    const crash_command_t command = command_of("body", 4, "");
    crash_slot_enter(slot, &command);
    (void)sigemptyset(&fatal);
    (void)sigaddset(&fatal, SIGSEGV);
    (void)pthread_sigmask(SIG_BLOCK, &fatal, NULL);
    if (pthread_create(&thread, NULL, read_card, &end) != 0) {
        _exit(1);
    }
    (void)pthread_join(thread, NULL);
    _exit(1);
}

static bool read_after(reading_end_t end, crash_origin_t *origin)
{
    fixture_t fixture = begin();
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        be_role(fixture.descriptor, end);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), end == READING_IS_KILLED ? SIGSEGV : SIGABRT);
    const bool is_read = crash_slot_read(fixture.supervisors, &record, origin);
    crash_slot_clear(fixture.supervisors);
    crash_origin_t ignored = CRASH_ORIGIN_UNKNOWN;
    static crash_record_t cleared;
    assert_false(crash_slot_read(fixture.supervisors, &cleared, &ignored));
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
    return is_read;
}

static void actor_whose_reading_kills_another_thread_is_named(void **state)
{
    (void)state;
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    assert_true(read_after(READING_ABORTS, &origin));
    assert_int_equal(origin, CRASH_ORIGIN_READING);
    assert_int_equal(record.tenant_size, 4);
    assert_memory_equal(record.tenant, "acme", 4);
    assert_memory_equal(record.actor, other_card, CRASH_ID_SIZE);
    assert_int_equal(record.stage, CRASH_STAGE_ACTIVATION);
    assert_int_equal(record.is_internal, 1);
    assert_int_equal(record.request_size, 0);
    const crash_identity_t identity = {.tenant = "acme", .tenant_size = 4};
    crash_fingerprint(&identity, fingerprint);
    assert_memory_equal(record.fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE);
}

static void reading_that_ended_is_not_to_blame(void **state)
{
    (void)state;
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    assert_true(read_after(READING_ENDED, &origin)); /* the command that was in work */
    assert_int_equal(origin, CRASH_ORIGIN_OTHER);
    assert_memory_equal(record.tenant, "acme", 4);
    assert_int_equal(record.is_internal, 0);
}

static void job_that_aborts(void *context)
{
    (void)context;
    abort();
}

/* In a child: the role, with a command in work while a job of its pool dies. */
static _Noreturn void be_role_with_pool(int descriptor)
{
    loop_t *loop = NULL;
    work_pool_t *pool = NULL;
    crash_slot_t *const slot = crash_slot_attach(descriptor);
    const crash_command_t command = command_of("body", 4, "");
    if (loop_create(&loop) != RESULT_OK || work_pool_create(loop, 1, 1, &pool) != RESULT_OK) {
        _exit(1);
    }
    crash_slot_enter(slot, &command);
    if (work_submit(work_lane_create(pool), job_that_aborts, job_that_aborts, NULL) != RESULT_OK) {
        _exit(1);
    }
    for (;;) {
        (void)poll(NULL, 0, -1);
    }
}

static void command_in_work_is_not_to_blame_for_a_job_of_the_pool(void **state)
{
    (void)state;
    fixture_t fixture = begin();
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        be_role_with_pool(fixture.descriptor);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_true(crash_slot_read(fixture.supervisors, &record, &origin));
    assert_int_equal(origin, CRASH_ORIGIN_OTHER);
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

static void reading_is_not_to_blame_for_signals_from_outside(void **state)
{
    (void)state;
    crash_origin_t origin = CRASH_ORIGIN_UNKNOWN;
    assert_true(read_after(READING_IS_KILLED, &origin));
    assert_int_equal(origin, CRASH_ORIGIN_OUTSIDE);
}
#endif

/* Prints what a command pays; decides nothing. */
static void cost_is_told(void **state)
{
    (void)state;
    enum { ROUNDS = 1000000 };
    static char request[256];
    fixture_t fixture = begin();
    const crash_command_t command = command_of(request, sizeof request, "");
    const uint64_t begin_us = clock_monotonic_us();
    for (int i = 0; i < ROUNDS; i++) {
        crash_slot_enter(fixture.roles, &command);
        crash_slot_leave(fixture.roles);
    }
    print_message("enter and leave with 256 bytes: %.1f ns\n",
                  (double)(clock_monotonic_us() - begin_us) * 1000.0 / ROUNDS);
    crash_slot_destroy(&fixture.supervisors, &fixture.descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(supervisor_reads_what_the_role_works_on),
        cmocka_unit_test(waiting_for_others_is_no_work_on_the_command),
        cmocka_unit_test(only_the_command_that_hung_is_to_blame),
        cmocka_unit_test(large_request_leaves_its_fingerprint_only),
        cmocka_unit_test(fingerprint_tells_commands_apart_and_attempts_not),
        cmocka_unit_test(wild_writes_lead_nowhere),
        cmocka_unit_test(order_stays_until_it_is_done),
        cmocka_unit_test(other_files_are_no_slots),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(actor_whose_reading_kills_another_thread_is_named),
        cmocka_unit_test(reading_that_ended_is_not_to_blame),
        cmocka_unit_test(reading_is_not_to_blame_for_signals_from_outside),
        cmocka_unit_test(command_in_work_is_not_to_blame_for_a_job_of_the_pool),
#endif
        cmocka_unit_test(cost_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
