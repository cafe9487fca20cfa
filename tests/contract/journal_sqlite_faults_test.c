/* What must hold when the disk or the process fails: every call of the file system fails in turn,
 * and the process is killed at random moments. The part that fails runs in a child process, which
 * reports what was acknowledged; the parent then looks at what is there. */
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "tests/contract/faulty_vfs.h"
#include "tests/contract/journal_harness.h"
#include "tests/contract/journal_sqlite_place.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCHES = 6, FAULTS_MAX = 400, KILLS = 20, QUIET_EXIT = 7 };

typedef struct faults_state {
    place_t place;
    journal_contract_factory_t factory;
} faults_state_t;

/* Written to the pipe for each acknowledged batch. */
typedef struct acknowledgement {
    uint32_t batch;
    uint32_t padding;
    uint64_t head; /* behind it */
} acknowledgement_t;

static void acknowledge(int descriptor, uint32_t batch, uint64_t head)
{
    const acknowledgement_t record = {.batch = batch, .head = head};
    if (write(descriptor, &record, sizeof record) != (ssize_t)sizeof record) {
        _exit(1);
    }
}

static text_t key_of(harness_t *harness, uint32_t batch)
{
    char *key = harness_take(harness, 32);
    (void)snprintf(key, 32, "key-%u", batch);
    return text_from_c(key);
}

/* Events, snapshot and reply of the one card, whose number is its head. */
static journal_batch_t *batch_make(harness_t *harness, const journal_partition_t *at, uint64_t head,
                                   const uuid_t *card, size_t count)
{
    journal_batch_t *batch = harness_take(harness, sizeof *batch);
    *batch = (journal_batch_t){
        .epoch = at->epoch,
        .head = head,
        .events = harness_make_events(harness, card, head + 1, count),
        .event_count = count,
        .snapshots =
            harness_make_snapshot(harness, card, "m-1", "", card_status_active, 100, head + count),
        .snapshot_count = 1,
        .idempotency =
            harness_make_idempotency(harness, key_of(harness, (uint32_t)head).data, 1700000000000),
        .idempotency_count = 1,
    };
    return batch;
}

static result_t batch_append(harness_t *harness, opened_t *opened, const uuid_t *card, size_t count)
{
    journal_partition_t *const at = &opened->partitions[0];
    const result_t result =
        harness_append(harness, opened, batch_make(harness, at, at->head, card, count));
    at->head += result == RESULT_OK ? count : 0;
    return result;
}

/* A harness on a place that is not emptied first. */
static void harness_start_again(harness_t *harness, const journal_contract_factory_t *factory)
{
    *harness = (harness_t){.factory = factory, .next_id = 1};
    harness->arena = (arena_t){.base = malloc(HARNESS_ARENA_SIZE), .size = HARNESS_ARENA_SIZE};
    assert_int_equal(loop_create(&harness->loop), RESULT_OK);
    harness->deadline = loop_timer_create(harness->loop, (loop_callback_t *)abort, NULL);
    harness->journal = factory->create(factory->context, harness->loop);
}

/* In the child: opens, appends BATCHES batches, closes. */
static int scenario_run(const journal_contract_factory_t *factory, int acknowledgements)
{
    harness_t harness;
    harness_start_again(&harness, factory);
    const uuid_t card = {{1}};
    opened_t opened = harness_open(&harness, "alpha");
    if (opened.result == RESULT_OK) {
        for (uint32_t i = 0; i < BATCHES; i++) {
            const result_t result = batch_append(&harness, &opened, &card, 3);
            if (result == RESULT_OK) {
                acknowledge(acknowledgements, i, opened.partitions[0].head);
            } else if (result != RESULT_STORE_FULL && result != RESULT_STORE_UNAVAILABLE) {
                return 1; /* not a promised error */
            }
            const journal_loaded_t loaded = harness_load(&harness, &opened, &card, NULL, NULL);
            if (loaded.result == RESULT_OK && opened.partitions[0].head > 0 && !loaded.card_found) {
                return 2; /* acknowledged and not to be seen */
            }
        }
        harness_close(&harness, &opened);
    } else if (opened.result != RESULT_STORE_FULL && opened.result != RESULT_STORE_UNAVAILABLE) {
        return 3;
    }
    harness_stop(&harness);
    return faulty_vfs_has_failed() ? 0 : QUIET_EXIT;
}

/* The same with all batches under way at once, so that they share a transaction. Those that work
 * are the first ones: each needs the one before it. */
static int scenario_run_together(const journal_contract_factory_t *factory, int acknowledgements)
{
    harness_t harness;
    harness_start_again(&harness, factory);
    const uuid_t card = {{1}};
    opened_t opened = harness_open(&harness, "alpha");
    if (opened.result != RESULT_OK) {
        harness_stop(&harness);
        return opened.result == RESULT_STORE_FULL ? 0 : 3;
    }
    uint32_t counter = 0;
    pending_t pending[BATCHES] = {0};
    for (uint32_t i = 0; i < BATCHES; i++) {
        pending[i].counter = &counter;
        const journal_batch_t *batch =
            batch_make(&harness, &opened.partitions[0], i * UINT64_C(3), &card, 3);
        if (harness_submit(&harness, &opened, batch, &pending[i]) != RESULT_OK) {
            return 4;
        }
    }
    harness_wait(&harness, &pending[BATCHES - 1].is_done);
    bool has_failed = false;
    for (uint32_t i = 0; i < BATCHES; i++) {
        const result_t result = pending[i].result;
        if (result != (has_failed ? RESULT_FENCED : RESULT_OK) &&
            (has_failed || result != RESULT_STORE_FULL)) {
            return 5;
        }
        has_failed = result != RESULT_OK;
        if (!has_failed) {
            acknowledge(acknowledgements, i, (i + 1) * UINT64_C(3));
        }
    }
    harness_close(&harness, &opened);
    harness_stop(&harness);
    return faulty_vfs_has_failed() ? 0 : QUIET_EXIT;
}

/* In the parent: what is there fits what was acknowledged. Returns the head. */
static uint64_t store_check(faults_state_t *faults, uint64_t acknowledged, size_t batch_size)
{
    assert_true(faults->factory.is_sound(faults->factory.context, TEXT_LITERAL("alpha")));
    harness_t harness;
    harness_start_again(&harness, &faults->factory);
    opened_t opened = harness_open(&harness, "alpha");
    assert_int_equal(opened.result, RESULT_OK);
    const uint64_t head = opened.partitions[0].head;
    assert_true(head >= acknowledged);
    assert_int_equal(head % batch_size, 0); /* whole batches only */
    for (uint64_t at = 0; at <= head; at += batch_size) {
        const text_t key = key_of(&harness, (uint32_t)at);
        const journal_loaded_t loaded = harness_load(&harness, &opened, NULL, NULL, key.data);
        assert_int_equal(loaded.idempotency_found, at < head);
    }
    harness_close(&harness, &opened);
    harness_stop(&harness);
    return head;
}

static uint64_t acknowledged_read(int descriptor)
{
    acknowledgement_t record;
    uint64_t head = 0;
    while (read(descriptor, &record, sizeof record) == (ssize_t)sizeof record) {
        head = record.head;
    }
    return head;
}

static void logs_silence(void)
{
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(nowhere, STDERR_FILENO);
    (void)close(nowhere);
}

typedef int scenario_t(const journal_contract_factory_t *factory, int acknowledgements);

/* One run with one fault. False when the scenario ended before the fault came. */
static bool fault_run(faults_state_t *faults, scenario_t *scenario, fault_kind_t kind,
                      uint32_t number, bool stays)
{
    place_empty(&faults->place);
    assert_int_equal(faults->factory.create_tenant(faults->factory.context, TEXT_LITERAL("alpha"),
                                                   HARNESS_PARTITIONS),
                     RESULT_OK);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        logs_silence();
        faulty_vfs_arm(kind, number, stays);
        _exit(scenario(&faults->factory, ends[1]));
    }
    (void)close(ends[1]);
    const uint64_t acknowledged = acknowledged_read(ends[0]);
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    const bool is_lost_sync = kind == FAULT_SYNC || kind == FAULT_TRUNCATE;
    const bool is_quiet = WIFEXITED(status) && WEXITSTATUS(status) == QUIET_EXIT;
    if (is_lost_sync && !is_quiet) {
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    } else {
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || is_quiet);
    }
    const uint64_t head = store_check(faults, acknowledged, 3);
    if (!is_lost_sync) {
        assert_int_equal(head, acknowledged); /* an error means that nothing was stored */
    }
    return !is_quiet;
}

static void fail_each_call(faults_state_t *faults, scenario_t *scenario, fault_kind_t kind,
                           bool stays)
{
    uint32_t number = 1;
    while (number <= FAULTS_MAX && fault_run(faults, scenario, kind, number, stays)) {
        number++;
    }
    print_message("%u calls failed in turn\n", number - 1);
    assert_true(number <= FAULTS_MAX);
}

static void a_full_disk_stores_nothing_that_was_not_acknowledged(void **state)
{
    fail_each_call(*state, scenario_run, FAULT_WRITE_FULL, false);
}

static void a_disk_that_stays_full_refuses_and_keeps_what_it_has(void **state)
{
    fail_each_call(*state, scenario_run, FAULT_WRITE_FULL, true);
}

static void batches_that_share_a_transaction_fail_one_by_one(void **state)
{
    fail_each_call(*state, scenario_run_together, FAULT_WRITE_FULL, false);
    fail_each_call(*state, scenario_run_together, FAULT_WRITE_FULL, true);
    fail_each_call(*state, scenario_run_together, FAULT_SYNC, false);
}

static void a_failed_fsync_ends_the_process_and_loses_nothing(void **state)
{
    fail_each_call(*state, scenario_run, FAULT_SYNC, false);
}

static void a_failed_truncate_ends_the_process_and_loses_nothing(void **state)
{
    fail_each_call(*state, scenario_run, FAULT_TRUNCATE, false);
}

static void failed_reads_and_opens_are_errors_and_lose_nothing(void **state)
{
    fail_each_call(*state, scenario_run, FAULT_READ, false);
    fail_each_call(*state, scenario_run, FAULT_OPEN, false);
    fail_each_call(*state, scenario_run, FAULT_SHARED, false);
}

/* A creation that failed left nothing behind: the same name can be created afterwards. */
static void a_failed_creation_leaves_nothing_behind(void **state)
{
    faults_state_t *const faults = *state;
    static const fault_kind_t kinds[] = {FAULT_WRITE_FULL, FAULT_OPEN, FAULT_SHARED, FAULT_READ};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool has_failed = true;
        for (uint32_t number = 1; has_failed && number < FAULTS_MAX; number++) {
            place_empty(&faults->place);
            faulty_vfs_arm(kinds[i], number, true);
            const result_t result = faults->factory.create_tenant(
                faults->factory.context, TEXT_LITERAL("alpha"), HARNESS_PARTITIONS);
            has_failed = faulty_vfs_has_failed();
            faulty_vfs_arm(FAULT_NONE, 0, false);
            if (result != RESULT_OK) {
                assert_int_equal(faults->factory.create_tenant(faults->factory.context,
                                                               TEXT_LITERAL("alpha"),
                                                               HARNESS_PARTITIONS),
                                 RESULT_OK);
            }
            assert_int_equal(store_check(faults, 0, 3), 0);
        }
        assert_false(has_failed);
    }
}

static void a_commit_is_synced_before_it_is_acknowledged_and_a_check_is_not(void **state)
{
    faults_state_t *const faults = *state;
    harness_t harness;
    harness_start(&harness, &faults->factory);
    harness_create_tenant(&harness, "alpha");
    opened_t opened = harness_open(&harness, "alpha");
    const uuid_t card = {{1}};
    for (uint64_t i = 1; i < 20; i++) {
        const uint32_t before = faulty_vfs_syncs();
        assert_int_equal(harness_store(&harness, &opened, 0, &card, i, 1), RESULT_OK);
        const uint32_t after = faulty_vfs_syncs();
        assert_true(after > before);
        assert_int_equal(harness_store(&harness, &opened, 0, &card, i + 1, 0), RESULT_OK);
        assert_int_equal(faulty_vfs_syncs(), after);
    }
    harness_close(&harness, &opened);
    harness_stop(&harness);
}

/* --- kill -9 --- */

static void append_for_ever(const journal_contract_factory_t *factory, int acknowledgements)
{
    harness_t harness;
    harness_start_again(&harness, factory);
    const uuid_t card = {{1}};
    opened_t opened = harness_open(&harness, "alpha");
    if (opened.result != RESULT_OK) {
        _exit(1);
    }
    const size_t mark = harness.arena.used;
    for (uint32_t i = 0;; i++) { /* until it is killed */
        harness.arena.used = mark;
        if (batch_append(&harness, &opened, &card, 4) != RESULT_OK) {
            _exit(1);
        }
        acknowledge(acknowledgements, i, opened.partitions[0].head);
    }
}

static uint64_t kill_once(faults_state_t *faults, uint32_t after_acknowledgements)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        append_for_ever(&faults->factory, ends[1]);
    }
    (void)close(ends[1]);
    acknowledgement_t record = {0};
    for (uint32_t i = 0; i < after_acknowledgements; i++) {
        assert_int_equal(read(ends[0], &record, sizeof record), sizeof record);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    const uint64_t later = acknowledged_read(ends[0]); /* what got into the pipe before */
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return later > record.head ? later : record.head;
}

static void nothing_acknowledged_is_lost_when_the_process_is_killed(void **state)
{
    faults_state_t *const faults = *state;
    place_empty(&faults->place);
    assert_int_equal(faults->factory.create_tenant(faults->factory.context, TEXT_LITERAL("alpha"),
                                                   HARNESS_PARTITIONS),
                     RESULT_OK);
    const char *const chosen = getenv("JOURNAL_SEED");
    unsigned seed = chosen == NULL ? 20261120 : (unsigned)strtoul(chosen, NULL, 10);
    print_message("seed %u (JOURNAL_SEED)\n", seed);
    uint64_t head = 0;
    for (int i = 0; i < KILLS; i++) {
        const uint32_t after = 1 + (uint32_t)rand_r(&seed) % 100;
        const uint64_t acknowledged = kill_once(faults, after);
        assert_true(acknowledged >= head);
        head = store_check(faults, acknowledged, 4);
    }
    print_message("%llu events\n", (unsigned long long)head);
}

/* --- Another process reads --- */

enum { READ_BATCHES = 800, READ_BATCH_SIZE = 50, READ_DEADLINE_S = 60 };

/* The relay: follows partition 0 until everything was seen, each event once and in order. */
static int follow(const journal_contract_factory_t *factory, int ready)
{
    (void)alarm(READ_DEADLINE_S);
    harness_t harness;
    harness_start_again(&harness, factory);
    opened_t opened = harness_open_readonly(&harness, "alpha");
    if (opened.result != RESULT_OK) {
        return 1;
    }
    acknowledge(ready, 0, opened.partitions[0].head);
    const size_t mark = harness.arena.used;
    uint64_t seen = 0;
    while (seen < READ_BATCHES * READ_BATCH_SIZE) {
        harness.arena.used = mark;
        const journal_events_t page = harness_events(&harness, &opened, 0, seen, 500);
        if (page.result != RESULT_OK || page.head % READ_BATCH_SIZE != 0) {
            return 2; /* a part of a batch was to be seen */
        }
        for (size_t i = 0; i < page.event_count; i++) {
            if (page.events[i].sequence != ++seen) {
                return 3;
            }
        }
    }
    harness_close(&harness, &opened);
    harness_stop(&harness);
    return 0;
}

static void another_process_follows_while_batches_are_committed(void **state)
{
    faults_state_t *const faults = *state;
    place_empty(&faults->place);
    assert_int_equal(faults->factory.create_tenant(faults->factory.context, TEXT_LITERAL("alpha"),
                                                   HARNESS_PARTITIONS),
                     RESULT_OK);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        _exit(follow(&faults->factory, ends[1]));
    }
    acknowledgement_t ready;
    assert_int_equal(read(ends[0], &ready, sizeof ready), sizeof ready);
    harness_t harness;
    harness_start_again(&harness, &faults->factory);
    opened_t opened = harness_open(&harness, "alpha");
    const uuid_t card = {{1}};
    const size_t mark = harness.arena.used;
    for (uint64_t i = 0; i < READ_BATCHES; i++) {
        harness.arena.used = mark;
        assert_int_equal(
            harness_store(&harness, &opened, 0, &card, 1 + i * READ_BATCH_SIZE, READ_BATCH_SIZE),
            RESULT_OK);
    }
    harness_close(&harness, &opened); /* the reader may be in the middle of it */
    harness_stop(&harness);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_true(faults->factory.is_sound(faults->factory.context, TEXT_LITERAL("alpha")));
}

static int group_setup(void **state)
{
    faults_state_t *faults = calloc(1, sizeof *faults);
    place_create(&faults->place);
    faults->factory = place_factory(&faults->place);
    faulty_vfs_install();
    *state = faults;
    return 0;
}

static int group_teardown(void **state)
{
    place_remove(&((faults_state_t *)*state)->place);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_synced_before_it_is_acknowledged_and_a_check_is_not),
        cmocka_unit_test(a_full_disk_stores_nothing_that_was_not_acknowledged),
        cmocka_unit_test(a_disk_that_stays_full_refuses_and_keeps_what_it_has),
        cmocka_unit_test(batches_that_share_a_transaction_fail_one_by_one),
        cmocka_unit_test(a_failed_fsync_ends_the_process_and_loses_nothing),
        cmocka_unit_test(a_failed_truncate_ends_the_process_and_loses_nothing),
        cmocka_unit_test(failed_reads_and_opens_are_errors_and_lose_nothing),
        cmocka_unit_test(a_failed_creation_leaves_nothing_behind),
        cmocka_unit_test(nothing_acknowledged_is_lost_when_the_process_is_killed),
        cmocka_unit_test(another_process_follows_while_batches_are_committed),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
