/* What can go wrong with a server on the other side: it dies in the middle of batches, it cuts
 * connections, its answer to a commit is lost, it is not there, there are more tenants than
 * connections. What was acknowledged is there afterwards, what was refused is not, nothing twice.
 */
#include "adapters/journal_postgres/journal_postgres.h"
#include "runtime/clock.h"
#include "runtime/limits.h"
#include "tests/contract/journal_harness.h"
#include "tests/contract/journal_postgres_place.h"
#include "tests/support/tcp_proxy.h"
#include <libpq-fe.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    KILLS = 10,
    PER_PARTITION = 24,
    EVENTS = 32, /* three transactions and more */
    BATCHES = HARNESS_PARTITIONS * PER_PARTITION,
    OPEN_TRIES = 1500,
};

typedef struct fixture {
    postgres_place_t place;
    journal_contract_factory_t factory;
    harness_t harness;
    uint64_t random;
    uint32_t accidents;
} fixture_t;

static fixture_t *fixture_of(void **state)
{
    return *state;
}

static int begin(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    harness_start(&fixture->harness, &fixture->factory);
    harness_create_tenant(&fixture->harness, "alpha");
    return 0;
}

static int end(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    harness_stop(&fixture->harness);
    fixture->place.url[0] = '\0';
    fixture->place.connections = 0;
    postgres_place_control_open(&fixture->place); /* whatever became of its connection */
    assert_true(fixture->factory.is_sound(fixture->factory.context, TEXT_LITERAL("alpha")));
    return 0;
}

static uint32_t draw(fixture_t *fixture, uint32_t bound)
{
    fixture->random =
        fixture->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(fixture->random >> 33) % bound;
}

/* A shard tries again as well, when the server is on its way up. */
static opened_t open_patiently(fixture_t *fixture)
{
    opened_t opened = {.result = RESULT_STORE_UNAVAILABLE};
    for (int i = 0; i < OPEN_TRIES && opened.result != RESULT_OK; i++) {
        opened = harness_open(&fixture->harness, "alpha");
        if (opened.result != RESULT_OK) {
            (void)poll(NULL, 0, 20);
        }
    }
    assert_int_equal(opened.result, RESULT_OK);
    return opened;
}

/* --- Batches on their way while something happens --- */

typedef struct round {
    pending_t pending[BATCHES];
    uint32_t counter;
} round_t;

static void round_submit(fixture_t *fixture, opened_t *alpha, round_t *round)
{
    harness_t *const harness = &fixture->harness;
    *round = (round_t){0};
    for (uint32_t i = 0; i < BATCHES; i++) {
        const uint32_t partition = i % HARNESS_PARTITIONS;
        const uuid_t card = harness_id(harness);
        journal_batch_t *batch = harness_take(harness, sizeof *batch);
        *batch = (journal_batch_t){.partition = partition,
                                   .epoch = alpha->partitions[partition].epoch,
                                   .head = alpha->partitions[partition].head +
                                           (uint64_t)(i / HARNESS_PARTITIONS) * EVENTS,
                                   .events = harness_make_events(harness, &card, 1, EVENTS),
                                   .event_count = EVENTS};
        round->pending[i].counter = &round->counter;
        assert_int_equal(harness_submit(harness, alpha, batch, &round->pending[i]), RESULT_OK);
    }
}

/* Waits for all, opens anew, and holds the heads against what was acknowledged. Returns how many
 * batches were. */
static uint32_t round_check(fixture_t *fixture, opened_t *alpha, round_t *round)
{
    uint64_t expected[HARNESS_PARTITIONS];
    bool has_failed[HARNESS_PARTITIONS] = {0};
    uint32_t stored = 0;
    for (uint32_t i = 0; i < HARNESS_PARTITIONS; i++) {
        expected[i] = alpha->partitions[i].head;
    }
    for (uint32_t i = 0; i < BATCHES; i++) {
        const uint32_t partition = i % HARNESS_PARTITIONS;
        harness_wait(&fixture->harness, &round->pending[i].is_done);
        const result_t result = round->pending[i].result;
        assert_true(result == RESULT_OK || result == RESULT_FENCED ||
                    result == RESULT_STORE_UNAVAILABLE); /* decided, never unknown */
        assert_false(result == RESULT_OK && has_failed[partition]);
        has_failed[partition] = has_failed[partition] || result != RESULT_OK;
        expected[partition] += result == RESULT_OK ? EVENTS : 0;
        stored += result == RESULT_OK ? 1 : 0;
    }
    assert_int_equal(round->counter, BATCHES);
    harness_close(&fixture->harness, alpha);
    *alpha = open_patiently(fixture);
    for (uint32_t i = 0; i < HARNESS_PARTITIONS; i++) {
        assert_int_equal(alpha->partitions[i].head, expected[i]);
    }
    return stored;
}

/* On the loop, in the middle of whatever is under way. A server started by a thread that ends would
 * end with it, so there is none. */
static void accidents_happen(fixture_t *fixture, int count, uint32_t within_ms,
                             loop_callback_t *accident)
{
    opened_t alpha = open_patiently(fixture);
    uint32_t stored = 0;
    for (int i = 0; i < count; i++) {
        round_t round;
        const size_t mark = fixture->harness.arena.used;
        loop_timer_t *timer = loop_timer_create(fixture->harness.loop, accident, fixture);
        fixture->accidents = 0;
        round_submit(fixture, &alpha, &round);
        loop_timer_start(timer, draw(fixture, within_ms), 0);
        stored += round_check(fixture, &alpha, &round);
        if (fixture->accidents == 0) {
            accident(fixture); /* all were quicker */
        }
        loop_timer_destroy(&timer);
        fixture->harness.arena.used = mark;
    }
    print_message("%u of %u batches were stored around %d accidents\n", stored, count * BATCHES,
                  count);
    harness_close(&fixture->harness, &alpha);
}

static void server_dies(void *context)
{
    fixture_t *const fixture = context;
    fixture->accidents++;
    postgres_server_kill(&fixture->place.server);
    postgres_server_run_again(&fixture->place.server);
}

static void nothing_is_lost_or_doubled_when_the_server_is_killed(void **state)
{
    accidents_happen(fixture_of(state), KILLS, 40, server_dies);
}

static void connections_are_cut(void *context)
{
    fixture_t *const fixture = context;
    fixture->accidents++;
    postgres_server_execute(&fixture->place.server, "postgres",
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname "
                            "LIKE 'dc\\_%'");
}

static void nothing_is_lost_or_doubled_when_connections_are_cut(void **state)
{
    accidents_happen(fixture_of(state), 2 * KILLS, 40, connections_are_cut);
}

/* The server commits, and the proxy keeps its answer. */
static void a_commit_whose_answer_is_lost_is_looked_up(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    tcp_proxy_t proxy;
    tcp_proxy_start(&proxy, fixture->place.server.port);
    (void)snprintf(fixture->place.url, sizeof fixture->place.url,
                   "postgresql://127.0.0.1:%u/digitalcard", proxy.port);
    harness_restart(harness);
    opened_t alpha = open_patiently(fixture);
    const uuid_t card = harness_id(harness);
    /* The second one is a validation: the table of its month is there from now on. */
    assert_int_equal(harness_store(harness, &alpha, 0, &card, 1, 2), RESULT_OK);

    tcp_proxy_swallow_next_answer(&proxy);
    assert_int_equal(harness_store(harness, &alpha, 0, &card, 3, 3), RESULT_OK);
    assert_int_equal(tcp_proxy_swallowed(&proxy), 1);
    /* Its own epoch was raised meanwhile: the owner opens again. */
    assert_int_equal(harness_store(harness, &alpha, 0, &card, 6, 1), RESULT_FENCED);
    harness_close(harness, &alpha);
    alpha = open_patiently(fixture);
    assert_int_equal(alpha.partitions[0].head, 5);

    /* Each once before, so that the next answer is not that of preparing the statement. */
    journal_batch_t batch = {.epoch = alpha.partitions[0].epoch,
                             .head = 5,
                             .idempotency = harness_make_idempotency(harness, "first", 1),
                             .idempotency_count = 1};
    assert_int_equal(harness_append(harness, &alpha, &batch), RESULT_OK);
    tcp_proxy_swallow_next_answer(&proxy);
    batch.idempotency = harness_make_idempotency(harness, "key", 1);
    assert_int_equal(harness_append(harness, &alpha, &batch), RESULT_OK);
    assert_int_equal(tcp_proxy_swallowed(&proxy), 2);
    harness_close(harness, &alpha);
    alpha = open_patiently(fixture);
    assert_true(harness_load(harness, &alpha, NULL, NULL, "key").idempotency_found);

    /* A check alone stores nothing, so there is nothing to look up. */
    assert_int_equal(harness_store(harness, &alpha, 0, &card, 6, 0), RESULT_OK);
    tcp_proxy_swallow_next_answer(&proxy);
    assert_int_equal(harness_store(harness, &alpha, 0, &card, 6, 0), RESULT_STORE_UNAVAILABLE);
    harness_close(harness, &alpha);
    harness_restart(harness);
    tcp_proxy_stop(&proxy);
}

static void a_server_that_is_down_is_said_at_once_and_found_again(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    opened_t alpha = open_patiently(fixture);
    harness_close(&fixture->harness, &alpha);
    postgres_server_kill(&fixture->place.server);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(harness_open(&fixture->harness, "alpha").result, RESULT_STORE_UNAVAILABLE);
    }
    postgres_server_run_again(&fixture->place.server);
    alpha = open_patiently(fixture);
    harness_close(&fixture->harness, &alpha);
}

static void few_connections_serve_many_tenants(void **state)
{
    enum { TENANTS = 6, ROUNDS = 15 };
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    fixture->place.connections = 2;
    harness_restart(harness);
    opened_t opened[TENANTS];
    uuid_t cards[TENANTS];
    for (int i = 0; i < TENANTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        harness_create_tenant(harness, name);
        opened[i] = harness_open(harness, name);
        assert_int_equal(opened[i].result, RESULT_OK);
        cards[i] = harness_id(harness);
    }
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t counter = 0;
        pending_t pending[TENANTS] = {0};
        for (int i = 0; i < TENANTS; i++) {
            journal_batch_t *batch = harness_take(harness, sizeof *batch);
            *batch =
                (journal_batch_t){.epoch = opened[i].partitions[0].epoch,
                                  .head = round,
                                  .events = harness_make_events(harness, &cards[i], round + 1, 1),
                                  .event_count = 1};
            pending[i].counter = &counter;
            assert_int_equal(harness_submit(harness, &opened[i], batch, &pending[i]), RESULT_OK);
        }
        for (int i = 0; i < TENANTS; i++) {
            harness_wait(harness, &pending[i].is_done);
            assert_int_equal(pending[i].result, RESULT_OK);
        }
    }
    for (int i = 0; i < TENANTS; i++) {
        assert_int_equal(harness_load(harness, &opened[i], &cards[i], NULL, NULL).tail_count,
                         ROUNDS);
        harness_close(harness, &opened[i]);
    }
}

/* The number of its sessions, and the process of the oldest of them; 0: there is none. */
static uint32_t sessions_of(fixture_t *fixture, const char *tenant, int64_t *process)
{
    control_postgres_place_t where;
    char sql[512];
    assert_int_equal(control_postgres_find(fixture->place.control, text_from_c(tenant), &where),
                     RESULT_OK);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*), coalesce(min(pid), 0) FROM pg_stat_activity "
                   "WHERE datname = '%s' AND application_name = 'digitalcard'",
                   where.database);
    PGconn *const connection = PQconnectdb(fixture->place.server.superuser);
    PGresult *const rows = PQexec(connection, sql);
    assert_int_equal(PQresultStatus(rows), PGRES_TUPLES_OK);
    const uint32_t count = (uint32_t)strtoul(PQgetvalue(rows, 0, 0), NULL, 10);
    *process = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    PQclear(rows);
    PQfinish(connection);
    return count;
}

static void a_tenant_in_use_keeps_its_connection_when_rare_ones_come_by(void **state)
{
    enum { RARE = 5, CONNECTIONS = 3, ROUNDS = 4, USES = 40 };
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    fixture->place.connections = CONNECTIONS;
    harness_restart(harness);
    opened_t busy = harness_open(harness, "alpha");
    opened_t rare[RARE];
    uuid_t card = harness_id(harness);
    uint64_t sequence = 1;
    int64_t process = 0;
    for (int i = 0; i < RARE; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        harness_create_tenant(harness, name);
        rare[i] = harness_open(harness, name);
        assert_int_equal(rare[i].result, RESULT_OK);
    }
    for (int use = 0; use < USES; use++, sequence++) {
        assert_int_equal(harness_store(harness, &busy, 0, &card, sequence, 1), RESULT_OK);
    }
    (void)sessions_of(fixture, "alpha", &process);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < RARE; i++) { /* more than would leave it one by order of use */
            const uuid_t issued = harness_issue(harness, &rare[i], "m", "gold", 1, 1);
            assert_true(harness_load(harness, &rare[i], &issued, NULL, NULL).card_found);
        }
        int64_t now = 0;
        assert_int_equal(sessions_of(fixture, "alpha", &now), 1);
        assert_int_equal(now, process);
    }
    harness_close(harness, &busy);
    for (int i = 0; i < RARE; i++) {
        harness_close(harness, &rare[i]);
    }
}

/* One connection does for both lanes when there are no more; what it reads is what was written. */
/* A session begins with a look at the schema: the lock holds its beginning up. */
static PGconn *schema_lock(fixture_t *fixture, const char *tenant)
{
    control_postgres_place_t where;
    char url[256];
    assert_int_equal(control_postgres_find(fixture->place.control, text_from_c(tenant), &where),
                     RESULT_OK);
    (void)snprintf(url, sizeof url, "host=127.0.0.1 port=%u user=postgres password=super dbname=%s",
                   fixture->place.server.port, where.database);
    PGconn *const connection = PQconnectdb(url);
    PQclear(PQexec(connection, "BEGIN"));
    PGresult *const rows = PQexec(connection, "LOCK TABLE journal_schema IN ACCESS EXCLUSIVE MODE");
    assert_int_equal(PQresultStatus(rows), PGRES_COMMAND_OK);
    PQclear(rows);
    return connection;
}

enum { STUCK = LIMIT_POSTGRES_BEGINNING };

/* Whether `other` got a connection before those that are held up gave up. `first` is there to turn
 * the loop until all have noticed that their connections are gone. */
static bool other_comes_first(fixture_t *fixture, opened_t *stuck, opened_t *first, opened_t *other)
{
    harness_t *const harness = &fixture->harness;
    PGconn *locks[STUCK];
    pending_t pending[STUCK] = {0};
    uint32_t over = 0;
    connections_are_cut(fixture);
    for (int i = 0; i < STUCK; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        locks[i] = schema_lock(fixture, name);
    }
    const uuid_t card = harness_id(harness);
    (void)harness_load(harness, first, &card, NULL, NULL);
    for (int i = 0; i < STUCK; i++) {
        journal_batch_t *batch = harness_take(harness, sizeof *batch);
        *batch = (journal_batch_t){.epoch = stuck[i].partitions[0].epoch,
                                   .events = harness_make_events(harness, &card, 1, 1),
                                   .event_count = 1};
        pending[i].counter = &over;
        assert_int_equal(harness_submit(harness, &stuck[i], batch, &pending[i]), RESULT_OK);
    }
    const uint64_t began_ms = clock_monotonic_ms();
    const result_t result = harness_load(harness, other, &card, NULL, NULL).result;
    const bool comes_first = result == RESULT_OK && over == 0;
    print_message("the other tenant: %s after %llu ms; %u of those held up were over\n",
                  result_code(result), (unsigned long long)(clock_monotonic_ms() - began_ms), over);
    for (int i = 0; i < STUCK; i++) {
        PQfinish(locks[i]);
        harness_wait(harness, &pending[i].is_done);
    }
    return comes_first;
}

static void beginnings_that_are_held_up_keep_no_other_tenant_waiting(void **state)
{
    enum { TRIES = 5 }; /* a machine that stands still for two seconds may turn the order round */
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    fixture->place.connections = 2 * STUCK;
    harness_restart(harness);
    opened_t stuck[STUCK];
    harness_create_tenant(harness, "beta");
    opened_t first = harness_open(harness, "alpha");
    opened_t other = harness_open(harness, "beta");
    for (int i = 0; i < STUCK; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        harness_create_tenant(harness, name);
        stuck[i] = harness_open(harness, name);
        assert_int_equal(stuck[i].result, RESULT_OK);
    }
    bool comes_first = false;
    for (int i = 0; !comes_first && i < TRIES; i++) {
        comes_first = other_comes_first(fixture, stuck, &first, &other);
    }
    assert_true(comes_first);
    for (int i = 0; i < STUCK; i++) {
        harness_close(harness, &stuck[i]);
    }
    harness_close(harness, &first);
    harness_close(harness, &other);
}

static void one_connection_writes_and_reads(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    fixture->place.connections = 1;
    harness_restart(harness);
    opened_t alpha = harness_open(harness, "alpha");
    int64_t process = 0;
    int64_t now = 0;
    uuid_t card = harness_id(harness);
    for (uint64_t sequence = 1; sequence <= 20; sequence++) {
        assert_int_equal(harness_store(harness, &alpha, 0, &card, sequence, 1), RESULT_OK);
        assert_int_equal(harness_load(harness, &alpha, &card, NULL, NULL).tail_count, sequence);
        assert_int_equal(sessions_of(fixture, "alpha", &now), 1);
        assert_true(process == 0 || process == now); /* never made anew */
        process = now;
    }
    harness_close(harness, &alpha);
}

/* Connecting takes longer than the turn that a connection is given for. */
static void a_turn_begins_when_the_connection_stands(void **state)
{
    enum { TENANTS = 5, CONNECTIONS = 2, ROUNDS = 2 };
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    tcp_proxy_t proxy;
    tcp_proxy_start(&proxy, fixture->place.server.port);
    atomic_store(&proxy.delay_ms, 2 * LIMIT_POSTGRES_TURN_MS);
    (void)snprintf(fixture->place.url, sizeof fixture->place.url,
                   "postgresql://127.0.0.1:%u/digitalcard", proxy.port);
    fixture->place.connections = CONNECTIONS;
    harness_restart(harness);
    opened_t opened[TENANTS];
    for (int i = 0; i < TENANTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        harness_create_tenant(harness, name);
        opened[i] = harness_open(harness, name);
        assert_int_equal(opened[i].result, RESULT_OK);
    }
    for (uint64_t round = 0; round < ROUNDS; round++) {
        pending_t pending[TENANTS] = {0};
        uint32_t counter = 0;
        for (int i = 0; i < TENANTS; i++) {
            const uuid_t card = harness_id(harness);
            journal_batch_t *batch = harness_take(harness, sizeof *batch);
            *batch = (journal_batch_t){.epoch = opened[i].partitions[0].epoch,
                                       .head = round,
                                       .events = harness_make_events(harness, &card, 1, 1),
                                       .event_count = 1};
            pending[i].counter = &counter;
            assert_int_equal(harness_submit(harness, &opened[i], batch, &pending[i]), RESULT_OK);
        }
        for (int i = 0; i < TENANTS; i++) {
            harness_wait(harness, &pending[i].is_done);
            assert_int_equal(pending[i].result, RESULT_OK);
        }
    }
    for (int i = 0; i < TENANTS; i++) {
        harness_close(harness, &opened[i]);
    }
    harness_restart(harness);
    tcp_proxy_stop(&proxy);
}

/* A tenant that is never without work: each answer brings the next batch, and the next load. */
typedef struct worker {
    harness_t *harness;
    opened_t *opened;
    uuid_t card;
    journal_batch_t batch;
    uint64_t appended;
    uint64_t loaded;
    uint64_t rounds;
    uint32_t failed;
    uint32_t *busy; /* workers that are not done */
    bool *are_done;
} worker_t;

static void worker_settle(worker_t *worker)
{
    if (worker->appended == worker->rounds && worker->loaded == worker->rounds) {
        (*worker->busy)--;
        *worker->are_done = *worker->busy == 0;
        loop_stop(worker->harness->loop);
    }
}

static void worker_appended(void *context, result_t result);
static void worker_loaded(void *context, const journal_loaded_t *loaded);

static void worker_append(worker_t *worker)
{
    worker->batch = (journal_batch_t){
        .epoch = worker->opened->partitions[0].epoch,
        .head = worker->appended,
        .events = harness_make_events(worker->harness, &worker->card, worker->appended + 1, 1),
        .event_count = 1};
    assert_int_equal(worker->harness->journal->functions->append(
                         worker->opened->tenant, &worker->batch, worker_appended, worker),
                     RESULT_OK);
}

static void worker_load(worker_t *worker)
{
    static const journal_load_t asked = {.member_id = {"m-1", 3}};
    assert_int_equal(worker->harness->journal->functions->load(worker->opened->tenant, &asked,
                                                               worker_loaded, worker),
                     RESULT_OK);
}

static void worker_appended(void *context, result_t result)
{
    worker_t *const worker = context;
    worker->failed += result == RESULT_OK ? 0 : 1;
    worker->appended++;
    if (worker->appended < worker->rounds && result == RESULT_OK) {
        worker_append(worker);
    } else {
        worker->appended = worker->rounds;
    }
    worker_settle(worker);
}

static void worker_loaded(void *context, const journal_loaded_t *loaded)
{
    worker_t *const worker = context;
    worker->failed += loaded->result == RESULT_OK ? 0 : 1;
    worker->loaded++;
    if (worker->loaded < worker->rounds && loaded->result == RESULT_OK) {
        worker_load(worker);
    } else {
        worker->loaded = worker->rounds;
    }
    worker_settle(worker);
}

static void tenants_that_are_never_idle_share_few_connections(void **state)
{
    enum { TENANTS = 8, ROUNDS = 60 };
    fixture_t *const fixture = fixture_of(state);
    harness_t *const harness = &fixture->harness;
    fixture->place.connections = 3;
    harness_restart(harness);
    opened_t opened[TENANTS];
    worker_t workers[TENANTS];
    uint32_t busy = TENANTS;
    bool are_done = false;
    for (int i = 0; i < TENANTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        harness_create_tenant(harness, name);
        opened[i] = harness_open(harness, name);
        assert_int_equal(opened[i].result, RESULT_OK);
        workers[i] = (worker_t){.harness = harness,
                                .opened = &opened[i],
                                .card = harness_id(harness),
                                .rounds = ROUNDS,
                                .busy = &busy,
                                .are_done = &are_done};
    }
    for (int i = 0; i < TENANTS; i++) {
        worker_append(&workers[i]);
        worker_load(&workers[i]);
    }
    harness_wait(harness, &are_done);
    for (int i = 0; i < TENANTS; i++) {
        assert_int_equal(workers[i].failed, 0);
        harness_close(harness, &opened[i]);
    }
}

/* --- What a tenant's role may reach, and what is refused --- */

static bool may_connect(fixture_t *fixture, const char *tenant, const char *database)
{
    control_postgres_place_t where;
    char text[512];
    assert_int_equal(control_postgres_find(fixture->place.control, text_from_c(tenant), &where),
                     RESULT_OK);
    (void)snprintf(text, sizeof text, "host=127.0.0.1 port=%u user=%s password=%s dbname=%s",
                   fixture->place.server.port, where.role, where.password,
                   database == NULL ? where.database : database);
    PGconn *const connection = PQconnectdb(text);
    const bool is_open = PQstatus(connection) == CONNECTION_OK;
    PQfinish(connection);
    return is_open;
}

static void a_tenants_role_reaches_its_own_database_alone(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    control_postgres_place_t beta;
    harness_create_tenant(&fixture->harness, "beta");
    assert_int_equal(control_postgres_find(fixture->place.control, TEXT_LITERAL("beta"), &beta),
                     RESULT_OK);
    assert_true(may_connect(fixture, "alpha", NULL));
    assert_true(may_connect(fixture, "beta", NULL));
    assert_false(may_connect(fixture, "alpha", beta.database));
    assert_false(may_connect(fixture, "alpha", "digitalcard"));
}

static void a_wrong_password_a_lost_database_and_a_newer_schema_are_told_apart(void **state)
{
    fixture_t *const fixture = fixture_of(state);
    control_postgres_place_t where;
    char sql[256];
    assert_int_equal(control_postgres_find(fixture->place.control, TEXT_LITERAL("alpha"), &where),
                     RESULT_OK);
    postgres_server_execute(&fixture->place.server, where.database,
                            "UPDATE journal_schema SET version = version + 1");
    assert_int_equal(harness_open(&fixture->harness, "alpha").result, RESULT_SCHEMA_TOO_NEW);
    postgres_server_execute(&fixture->place.server, where.database,
                            "UPDATE journal_schema SET version = version - 1");

    (void)snprintf(sql, sizeof sql, "ALTER DATABASE %s SET default_transaction_read_only = on",
                   where.database);
    postgres_server_execute(&fixture->place.server, "postgres", sql);
    assert_int_equal(harness_open(&fixture->harness, "alpha").result, RESULT_STORE_UNAVAILABLE);
    (void)snprintf(sql, sizeof sql, "ALTER DATABASE %s RESET default_transaction_read_only",
                   where.database);
    postgres_server_execute(&fixture->place.server, "postgres", sql);

    (void)snprintf(sql, sizeof sql, "ALTER ROLE %s PASSWORD 'other'", where.role);
    postgres_server_execute(&fixture->place.server, "postgres", sql);
    assert_int_equal(harness_open(&fixture->harness, "alpha").result, RESULT_STORE_UNAVAILABLE);
    (void)snprintf(sql, sizeof sql, "ALTER ROLE %s PASSWORD '%s'", where.role, where.password);
    postgres_server_execute(&fixture->place.server, "postgres", sql);

    (void)snprintf(sql, sizeof sql, "ALTER DATABASE %s RENAME TO elsewhere", where.database);
    postgres_server_execute(&fixture->place.server, "postgres", sql);
    assert_int_equal(harness_open(&fixture->harness, "alpha").result, RESULT_MISSING);
    (void)snprintf(sql, sizeof sql, "ALTER DATABASE elsewhere RENAME TO %s", where.database);
    postgres_server_execute(&fixture->place.server, "postgres", sql);
    opened_t alpha = open_patiently(fixture);
    harness_close(&fixture->harness, &alpha);
}

#define FAULT_TEST(name) cmocka_unit_test_prestate_setup_teardown(name, begin, end, &fixture)

int main(void)
{
    static fixture_t fixture;
    const char *const seed = getenv("JOURNAL_SEED");
    fixture.random = seed == NULL ? 20261120 : strtoull(seed, NULL, 10);
    postgres_place_create(&fixture.place);
    fixture.factory = postgres_place_factory(&fixture.place);
    const struct CMUnitTest tests[] = {
        FAULT_TEST(nothing_is_lost_or_doubled_when_the_server_is_killed),
        FAULT_TEST(nothing_is_lost_or_doubled_when_connections_are_cut),
        FAULT_TEST(a_commit_whose_answer_is_lost_is_looked_up),
        FAULT_TEST(a_server_that_is_down_is_said_at_once_and_found_again),
        FAULT_TEST(few_connections_serve_many_tenants),
        FAULT_TEST(a_tenant_in_use_keeps_its_connection_when_rare_ones_come_by),
        FAULT_TEST(beginnings_that_are_held_up_keep_no_other_tenant_waiting),
        FAULT_TEST(one_connection_writes_and_reads),
        FAULT_TEST(a_turn_begins_when_the_connection_stands),
        FAULT_TEST(tenants_that_are_never_idle_share_few_connections),
        FAULT_TEST(a_tenants_role_reaches_its_own_database_alone),
        FAULT_TEST(a_wrong_password_a_lost_database_and_a_newer_schema_are_told_apart),
    };
    const int failed =
        cmocka_run_group_tests_name("journal on PostgreSQL, faults", tests, NULL, NULL);
    postgres_place_remove(&fixture.place);
    return failed;
}
