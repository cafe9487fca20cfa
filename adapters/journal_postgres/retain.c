/* Retention: old validations leave the journal, whole months of them. One transaction takes them
 * aside, gives them out to be archived, and only at its end drops them; whatever happens before,
 * everything is as it was. What stays of a card: its changes, and its last event, which numbers the
 * next one. Blocks. Must not know where the archive is. */
#include "actors/relay/archived_sums.h"
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Both are made and dropped within the transaction: nobody else ever sees them. */
#define ASIDE "event_archiving"
#define SUMS "event_archiving_sums"
#define COLUMNS                                                                                    \
    "id, card_sequence, version, occurred_at, card, event_id, name, traceparent, body, "           \
    "previous_hash"

_Static_assert((int)event_name_card_validated == 9 && (int)event_name_card_validation_refused == 10,
               "validations as SQL knows them");

struct journal_postgres_retain {
    PGconn *connection;
    int64_t before_ms;
    int32_t months[LIMIT_RETAIN_MONTHS];
    size_t month_count;
    uint64_t events;
};

static result_t execute(const journal_postgres_retain_t *retain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Only numbers and names of tables made of numbers are put into these. */
static result_t execute(const journal_postgres_retain_t *retain, const char *format, ...)
{
    char sql[1024];
    va_list values;
    va_start(values, format);
    const int size = vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    assert(size > 0 && (size_t)size < sizeof sql);
    return journal_database_execute(retain->connection, sql, "retain");
}

/* The text of the only row's first column; NULL after an error. */
static result_t text_ask(const journal_postgres_retain_t *retain, const char *sql, char *text,
                         size_t size)
{
    PGresult *const rows = PQexec(retain->connection, sql);
    const bool is_good = PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == 1;
    result_t result = RESULT_OK;
    if (is_good) {
        (void)snprintf(text, size, "%s", PQgetvalue(rows, 0, 0));
    } else {
        result = journal_database_error(retain->connection, rows, "retain");
    }
    PQclear(rows);
    return result;
}

/* --- Aside --- */

static result_t months_find(journal_postgres_retain_t *retain)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql,
                   "SELECT month FROM event_month WHERE month > %" PRId32 " ORDER BY month",
                   month_of_time(retain->before_ms));
    PGresult *const rows = PQexec(retain->connection, sql);
    const int count = PQntuples(rows);
    result_t result = RESULT_OK;
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        result = journal_database_error(retain->connection, rows, "retain");
    } else if (count > LIMIT_RETAIN_MONTHS) {
        result = RESULT_INVALID_ARGUMENT;
    }
    for (int i = 0; result == RESULT_OK && i < count; i++) {
        retain->months[retain->month_count] = (int32_t)strtol(PQgetvalue(rows, i, 0), NULL, 10);
        retain->month_count++;
    }
    PQclear(rows);
    return result;
}

/* The last event of a card moves to the table that stays. Who would write into an old month, since
 * his clock is wrong, waits. */
static result_t month_prepare(const journal_postgres_retain_t *retain, int32_t month)
{
    char name[MONTH_TABLE_NAME_SIZE];
    month_table_name(month, name);
    const result_t result = execute(retain, "LOCK TABLE %s IN SHARE MODE", name);
    return result != RESULT_OK
               ? result
               : execute(retain,
                         "WITH last AS (SELECT card, max(card_sequence) AS number FROM %s GROUP BY "
                         "card), moved AS (DELETE FROM %s e USING last l WHERE e.card = l.card AND "
                         "e.card_sequence = l.number AND NOT EXISTS (SELECT FROM event n WHERE "
                         "n.card = e.card AND n.card_sequence > e.card_sequence) RETURNING e.*) "
                         "INSERT INTO event_kept (" COLUMNS ") SELECT " COLUMNS " FROM moved",
                         name, name);
}

/* Those that stood in the table that stays: last events of before, and what was there before there
 * were months. */
static result_t kept_take_aside(const journal_postgres_retain_t *retain)
{
    const result_t result = execute(retain, "CREATE TABLE " ASIDE " (LIKE event_kept)");
    return result != RESULT_OK
               ? result
               : execute(retain,
                         "WITH gone AS (DELETE FROM event_kept e WHERE e.name IN (9, 10) AND "
                         "e.occurred_at < %" PRId64 " AND EXISTS (SELECT FROM event n WHERE n.card "
                         "= e.card AND n.card_sequence > e.card_sequence) RETURNING e.*) INSERT "
                         "INTO " ASIDE " SELECT * FROM gone",
                         retain->before_ms);
}

/* Every table with what goes: "SELECT … FROM a UNION ALL SELECT … FROM b". free() */
static char *selection(const journal_postgres_retain_t *retain, const char *columns,
                       const char *behind)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&sql, &size);
    assert(out != NULL);
    (void)fprintf(out, "SELECT %s FROM (SELECT * FROM " ASIDE, columns);
    for (size_t i = 0; i < retain->month_count; i++) {
        char name[MONTH_TABLE_NAME_SIZE];
        month_table_name(retain->months[i], name);
        (void)fprintf(out, " UNION ALL SELECT * FROM %s", name);
    }
    (void)fprintf(out, ") e %s", behind);
    const int failed = fclose(out);
    assert(failed == 0);
    return sql;
}

static result_t sums_make(journal_postgres_retain_t *retain)
{
    char count[24] = "0";
    result_t result =
        execute(retain, "CREATE TABLE " SUMS " (id bigint, last bigint, events bigint, bytes "
                        "bigint)");
    if (result == RESULT_OK) {
        char *const sums = selection(retain,
                                     "id >> 56, max(id & 72057594037927935), count(*), "
                                     "sum(length(body) + 120)",
                                     "GROUP BY 1");
        char *sql = NULL;
        const int size = asprintf(&sql, "INSERT INTO " SUMS " %s", sums);
        assert(size > 0);
        result = journal_database_execute(retain->connection, sql, "retain");
        free(sql);
        free(sums);
    }
    if (result == RESULT_OK) {
        result =
            text_ask(retain, "SELECT coalesce(sum(events), 0) FROM " SUMS, count, sizeof count);
    }
    retain->events = strtoull(count, NULL, 10);
    return result;
}

static result_t begin(journal_postgres_retain_t *retain)
{
    char locked[8] = "";
    result_t result = execute(retain, "BEGIN; SET LOCAL statement_timeout = 0; "
                                      "SET LOCAL client_connection_check_interval = 1000");
    if (result == RESULT_OK) {
        result = text_ask(retain, "SELECT pg_try_advisory_xact_lock(4847294728367)", locked,
                          sizeof locked);
    }
    if (result == RESULT_OK && locked[0] != 't') {
        result = RESULT_BUSY;
    }
    if (result == RESULT_OK) {
        result = months_find(retain);
    }
    for (size_t i = 0; result == RESULT_OK && i < retain->month_count; i++) {
        result = month_prepare(retain, retain->months[i]);
    }
    if (result == RESULT_OK) {
        result = kept_take_aside(retain);
    }
    return result == RESULT_OK ? sums_make(retain) : result;
}

result_t journal_postgres_retain_begin(const char *url, const journal_postgres_place_t *place,
                                       int64_t before_ms, journal_postgres_retain_t **retain,
                                       uint64_t *events)
{
    journal_postgres_retain_t *begun = calloc(1, sizeof *begun);
    assert(begun != NULL);
    begun->before_ms = before_ms;
    result_t result = journal_database_open(url, place, &begun->connection);
    if (result == RESULT_OK) {
        result = begin(begun);
    }
    if (result != RESULT_OK) {
        journal_postgres_retain_abandon(&begun);
        return result;
    }
    *events = begun->events;
    *retain = begun;
    return RESULT_OK;
}

result_t journal_postgres_retain_export(journal_postgres_retain_t *retain, store_row_visit_t *visit,
                                        void *context)
{
    char *const sql = selection(retain,
                                "id, card, card_sequence, name, version, occurred_at, event_id, "
                                "traceparent, body, previous_hash",
                                "ORDER BY id");
    result_t result = table_export(retain->connection, STORE_TABLE_partition, NULL, visit, context);
    if (result == RESULT_OK) {
        result = table_export(retain->connection, STORE_TABLE_event, sql, visit, context);
    }
    free(sql);
    return result;
}

/* --- What they add up to --- */

static void column_add(parameters_t *parameters, const projection_counter_t *sums, size_t count,
                       int64_t (*member)(const projection_counter_t *))
{
    parameter_array_begin(parameters, TYPE_INT8, count);
    for (size_t i = 0; i < count; i++) {
        element_int8(parameters, member(&sums[i]));
    }
    parameter_array_end(parameters);
}

static int64_t series_of(const projection_counter_t *sum)
{
    return sum->series;
}

static int64_t grain_of(const projection_counter_t *sum)
{
    return sum->grain;
}

static int64_t start_of(const projection_counter_t *sum)
{
    return sum->start;
}

static int64_t kind_of(const projection_counter_t *sum)
{
    return sum->kind;
}

static int64_t count_of(const projection_counter_t *sum)
{
    return sum->count;
}

static result_t sums_store(void *context, const projection_counter_t *sums, size_t count)
{
    const journal_postgres_retain_t *const retain = context;
    parameters_t values = {0};
    column_add(&values, sums, count, series_of);
    column_add(&values, sums, count, grain_of);
    column_add(&values, sums, count, start_of);
    column_add(&values, sums, count, kind_of);
    column_add(&values, sums, count, count_of);
    parameter_array_begin(&values, TYPE_BYTEA, count);
    for (size_t i = 0; i < count; i++) {
        element_bytes(&values, sums[i].gate);
    }
    parameter_array_end(&values);
    parameters_finish(&values);
    PGresult *const rows = PQexecParams(
        retain->connection,
        "INSERT INTO archived_sum (series, grain, start, kind, count, gate) SELECT * FROM "
        "unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::bytea[]) ON "
        "CONFLICT (series, grain, start, kind, gate) DO UPDATE SET count = archived_sum.count + "
        "excluded.count",
        values.count, NULL, values.values, values.lengths, values.formats, 1);
    const result_t result = PQresultStatus(rows) == PGRES_COMMAND_OK
                                ? RESULT_OK
                                : journal_database_error(retain->connection, rows, "retain");
    PQclear(rows);
    parameters_release(&values);
    return result;
}

static result_t sums_keep(journal_postgres_retain_t *retain)
{
    archived_sums_t *sums = archived_sums_create(sums_store, retain);
    result_t result = journal_postgres_retain_export(retain, archived_sums_row, sums);
    if (result == RESULT_OK) {
        result = archived_sums_finish(sums);
    }
    archived_sums_destroy(&sums);
    return result;
}

/* --- Gone --- */

/* Everybody who reads events holds this up, a backup for as long as it takes; and while it waits,
 * nobody can write. So it waits shortly, and again. */
static result_t events_lock(const journal_postgres_retain_t *retain)
{
    bool is_locked = false;
    result_t result = RESULT_OK;
    for (int i = 0; result == RESULT_OK && !is_locked && i < LIMIT_RETAIN_LOCK_TRIES; i++) {
        result =
            execute(retain, "SAVEPOINT wait; SET LOCAL lock_timeout = %d", LIMIT_RETAIN_LOCK_MS);
        if (result != RESULT_OK) {
            break;
        }
        PGresult *const rows =
            PQexec(retain->connection, "LOCK TABLE ONLY event IN ACCESS EXCLUSIVE MODE");
        const char *const sqlstate = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
        is_locked = PQresultStatus(rows) == PGRES_COMMAND_OK;
        if (!is_locked && (sqlstate == NULL || strcmp(sqlstate, "55P03") != 0)) {
            result = journal_database_error(retain->connection, rows, "retain");
        } else if (!is_locked) {
            result = execute(retain, "ROLLBACK TO SAVEPOINT wait; SELECT pg_sleep(%d / 1000.0)",
                             LIMIT_RETAIN_LOCK_MS);
        }
        PQclear(rows);
    }
    return result == RESULT_OK && !is_locked ? RESULT_BUSY : result;
}

static result_t months_drop(const journal_postgres_retain_t *retain)
{
    result_t result = RESULT_OK;
    for (size_t i = 0; result == RESULT_OK && i < retain->month_count; i++) {
        char name[MONTH_TABLE_NAME_SIZE];
        month_table_name(retain->months[i], name);
        result = execute(retain,
                         "ALTER TABLE event DETACH PARTITION %s; DROP TABLE %s; "
                         "DELETE FROM event_month WHERE month = %" PRId32,
                         name, name, retain->months[i]);
    }
    return result;
}

static result_t record(const journal_postgres_retain_t *retain,
                       const journal_postgres_retained_t *retained)
{
    char hash[2 * JOURNAL_POSTGRES_HASH_SIZE + 1];
    for (size_t i = 0; i < JOURNAL_POSTGRES_HASH_SIZE; i++) {
        (void)snprintf(hash + 2 * i, 3, "%02x", retained->hash[i]);
    }
    const result_t result = execute(
        retain,
        "UPDATE partition p SET archived_to = greatest(p.archived_to, s.last), archived = "
        "p.archived + s.events, bytes = greatest(p.bytes - s.bytes, 0) FROM " SUMS
        " s WHERE s.id = p.id; INSERT INTO archive (before, archived_at, events, hash) VALUES "
        "(%" PRId64 ", %" PRId64 ", %" PRIu64 ", decode('%s', 'hex')); DROP TABLE " SUMS ", " ASIDE,
        retain->before_ms, retained->archived_at, retain->events, hash);
    return result;
}

result_t journal_postgres_retain_finish(journal_postgres_retain_t **retain,
                                        const journal_postgres_retained_t *retained)
{
    result_t result = sums_keep(*retain);
    if (result == RESULT_OK) {
        result = events_lock(*retain);
    }
    if (result == RESULT_OK) {
        result = months_drop(*retain);
    }
    if (result == RESULT_OK) {
        result = record(*retain, retained);
    }
    if (result == RESULT_OK) {
        result = execute(*retain, "COMMIT");
        /* Whether it happened is seen by whoever tries again. */
        result = PQstatus((*retain)->connection) == CONNECTION_OK ? result : RESULT_OUTCOME_UNKNOWN;
    }
    journal_postgres_retain_abandon(retain);
    return result;
}

void journal_postgres_retain_abandon(journal_postgres_retain_t **retain)
{
    if (*retain == NULL) {
        return;
    }
    if ((*retain)->connection != NULL) {
        PQfinish((*retain)->connection); /* undoes what is not committed */
    }
    free(*retain);
    *retain = NULL;
}
