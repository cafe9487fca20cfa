/* `store verify`: do the tables of a journal say the same? Read-only, in one snapshot, so that a
 * running service neither is disturbed nor makes it look wrong. Whatever the size of the journal,
 * a slice of a cursor is in memory, no more. */
#include "actors/card_fold.h"
#include "actors/verify_report.h"
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/limits.h"
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct verification {
    PGconn *connection;
    verify_report_t report;
    journal_tenant_t *tenant; /* only its name is used */
    card_fold_t *fold;        /* of the snapshot whose events are coming */
    uuid_t card;
    bool is_folding;
    bool has_gaps;   /* validations were archived */
    uint64_t folded; /* snapshots compared with their events */
} verification_t;

#define LAST "(p.id << 56 | 72057594037927935)"
enum { EVENT_ROOM = 1024 }; /* event_data has no lists; room for those of later versions */

/* Each row of an answer is a problem. */
static const struct {
    const char *question;
    const char *sql;
} questions[] = {
    {"the head of a partition is its highest sequence",
     "SELECT 'partition ' || p.id || ': head ' || p.head FROM partition p WHERE p.head <> "
     "(SELECT coalesce(max(e.id), 0) & 72057594037927935 FROM event e WHERE e.id BETWEEN "
     "p.id << 56 AND " LAST ")"},
    {"the sequence of a partition has no gap but where events were archived",
     "SELECT 'partition ' || p.id || ': head ' || p.head || ', archived ' || p.archived FROM "
     "partition p WHERE p.head <> p.archived + (SELECT count(*) FROM event e WHERE e.id BETWEEN "
     "p.id << 56 AND " LAST ") OR p.head - p.archived_to <> (SELECT count(*) FROM event e WHERE "
     "e.id > (p.id << 56 | p.archived_to) AND e.id <= " LAST ")"},
    {"what was archived is on record",
     "SELECT 'archived ' || a || ', on record ' || r FROM (SELECT (SELECT sum(archived) FROM "
     "partition) AS a, (SELECT coalesce(sum(events), 0) FROM archive) AS r) n WHERE a <> r"},
    {"an event stands in the table of its month",
     "SELECT 'event ' || e.id FROM event e, LATERAL (SELECT timestamp 'epoch' + "
     "e.occurred_at * interval '1 ms' AS t) o WHERE e.month <> 0 AND (e.name NOT IN (9, 10) OR "
     "e.month <> -1 - ((extract(year FROM t) - 1970) * 12 + extract(month FROM t) - 1))"},
    {"every event is of a partition",
     "SELECT 'event ' || e.id FROM event e WHERE e.id >> 56 NOT IN (SELECT id FROM partition)"},
    {"the events of a card have no gap but where validations were archived, stand in order and in "
     "one partition",
     "SELECT 'card ' || e.card FROM (SELECT card, id, card_sequence, lag(id, 1, 0) OVER c AS "
     "before, lag(card_sequence, 1, 0) OVER c AS last FROM event WINDOW c AS (PARTITION BY card "
     "ORDER BY card_sequence)) e JOIN partition p ON p.id = e.id >> 56 WHERE e.card_sequence <= "
     "e.last OR e.id <= e.before OR (e.last = 0 AND e.card_sequence <> 1) OR (e.last > 0 AND "
     "e.before >> 56 <> e.id >> 56) OR (e.card_sequence > e.last + 1 AND e.before & "
     "72057594037927935 >= p.archived_to) GROUP BY e.card"},
    {"as many events are missing in cards as were archived",
     "SELECT 'missing ' || m || ', archived ' || a FROM (SELECT (SELECT coalesce(sum(n), 0) FROM "
     "(SELECT max(card_sequence) - count(*) AS n FROM event GROUP BY card) c) AS m, (SELECT "
     "coalesce(sum(archived), 0) FROM partition) AS a) s WHERE m <> a"},
    {"a stored reply has its key, its hash and its time",
     "SELECT 'reply ' || number FROM idempotency WHERE length(key) = 0 OR length(request_hash) <> "
     "32 OR length(reply) = 0 OR recorded_at <= 0"},
    {"a snapshot is not ahead of its events",
     "SELECT 'card ' || s.id FROM card s WHERE NOT EXISTS (SELECT FROM event e WHERE e.card = s.id "
     "AND e.card_sequence >= s.card_sequence)"},
};

_Static_assert((int)event_name_card_renewed == 5 && (int)event_name_card_replaced == 6 &&
                   (int)event_name_card_expired == 8,
               "which events leave a card living, as SQL knows them");
/* Only where cards are real ones: what a card is, its last change says (card_evolve). */
static const char question_living[] = "the count of living cards is that of the events";
static const char sql_living[] =
    "SELECT 'partition ' || p.id || ': counted ' || p.cards || ', by its events ' || "
    "coalesce(l.cards, 0) FROM partition p LEFT JOIN (SELECT id >> 56 AS place, count(*) AS cards "
    "FROM (SELECT DISTINCT ON (card) id, name FROM event WHERE name NOT IN (9, 10) ORDER BY card, "
    "card_sequence DESC) e WHERE name <= 5 GROUP BY 1) l ON l.place = p.id WHERE p.cards <> "
    "coalesce(l.cards, 0)";

static void question_ask(verification_t *verification, const char *question, const char *sql)
{
    PGresult *const rows = PQexec(verification->connection, sql);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        verify_report_add(&verification->report, question, PQresultErrorMessage(rows));
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        verify_report_add(&verification->report, question, PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
}

/* --- Rows, slice by slice --- */

typedef void row_visit_t(verification_t *verification, const PGresult *rows, int row);

/* False at the end of the cursor, or after a problem with it. */
static bool slice_visit(verification_t *verification, const char *question, row_visit_t *visit)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "FETCH %d FROM slices", LIMIT_ARCHIVE_SLICE_ROWS);
    PGresult *const rows =
        PQexecParams(verification->connection, sql, 0, NULL, NULL, NULL, NULL, 1);
    const int count = PQntuples(rows);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        verify_report_add(&verification->report, question, PQresultErrorMessage(rows));
    }
    for (int row = 0; row < count; row++) {
        visit(verification, rows, row);
    }
    PQclear(rows);
    return count > 0;
}

static void rows_visit(verification_t *verification, const char *question, const char *declare,
                       row_visit_t *visit)
{
    PGresult *const declared = PQexec(verification->connection, declare);
    bool is_more = PQresultStatus(declared) == PGRES_COMMAND_OK;
    if (!is_more) {
        verify_report_add(&verification->report, question, PQresultErrorMessage(declared));
    }
    PQclear(declared);
    while (is_more) { /* bounded by the rows of the tables */
        is_more = slice_visit(verification, question, visit);
    }
    PQclear(PQexec(verification->connection, "CLOSE slices"));
}

#define EVENT_COLUMNS                                                                              \
    "e.id, e.card, e.card_sequence, e.name, e.version, e.occurred_at, e.event_id, e.traceparent, " \
    "e.body"
static const char question_readable[] = "every event can be read";
static const char question_fold[] = "a snapshot is the fold of its events";

/* `event` borrows from the rows; it has no lists, so it needs no memory but its own. */
static bool event_read(const verification_t *verification, const PGresult *rows, int row,
                       int column, event_t *event)
{
    _Alignas(max_align_t) uint8_t memory[EVENT_ROOM];
    arena_t arena = {.base = memory, .size = sizeof memory};
    return event_from_fields(verification->tenant, rows, row, column, &arena, event) == RESULT_OK;
}

static void event_check(verification_t *verification, const PGresult *rows, int row)
{
    event_t event;
    if (!event_read(verification, rows, row, 0, &event)) {
        char where[64];
        const int64_t id = field_integer(rows, row, 0);
        (void)snprintf(where, sizeof where, "partition %d, sequence %lld",
                       (int)(id >> JOURNAL_SEQUENCE_BITS), (long long)(id & JOURNAL_SEQUENCE_MAX));
        verify_report_add(&verification->report, question_readable, where);
    }
}

/* --- Snapshots --- */

static void fold_end(verification_t *verification)
{
    if (!verification->is_folding) {
        return;
    }
    verification->is_folding = false;
    verification->folded++;
    if (!card_fold_is_equal(verification->fold)) {
        char text[UUID_TEXT_SIZE + 1] = "";
        uuid_format(&verification->card, text);
        verify_report_add(&verification->report, question_fold, text);
    }
}

/* The snapshot comes with the first event of its card, then the others in order. */
static void snapshot_row(verification_t *verification, const PGresult *rows, int row)
{
    uuid_t card;
    event_t event;
    if (!field_uuid(rows, row, 0, &card)) {
        verify_report_add(&verification->report, question_fold, "a card whose id has another size");
        return;
    }
    if (!verification->is_folding || !uuid_equal(&card, &verification->card)) {
        fold_end(verification);
        verification->card = card;
        verification->is_folding = true;
        card_fold_begin(verification->fold, &card, field_bytes(rows, row, 1),
                        verification->has_gaps);
    }
    /* An event that cannot be read is missing in the fold, which then is another one. */
    if (!field_is_null(rows, row, 2) && event_read(verification, rows, row, 2, &event)) {
        card_fold_add(verification->fold, &event);
    }
}

static void snapshots_fold(verification_t *verification)
{
    rows_visit(verification, question_fold,
               "DECLARE slices NO SCROLL CURSOR FOR SELECT s.id, CASE WHEN e.id IS NULL OR "
               "e.card_sequence = 1 THEN s.body END, " EVENT_COLUMNS
               " FROM card s LEFT JOIN event e ON e.card = s.id AND e.card_sequence <= "
               "s.card_sequence ORDER BY s.id, e.card_sequence",
               snapshot_row);
    fold_end(verification);
}

static void counts_write(verification_t *verification)
{
    PGresult *const rows = PQexec(verification->connection,
                                  "SELECT (SELECT count(*) FROM partition), (SELECT count(*) FROM "
                                  "event), (SELECT count(DISTINCT card) FROM event), (SELECT "
                                  "sum(archived) FROM partition)");
    const bool is_there = PQntuples(rows) == 1;
    (void)fprintf(verification->report.out,
                  ",\"partitions\":%s,\"events\":%s,\"cards\":%s,\"archived\":%s",
                  is_there ? PQgetvalue(rows, 0, 0) : "0", is_there ? PQgetvalue(rows, 0, 1) : "0",
                  is_there ? PQgetvalue(rows, 0, 2) : "0", is_there ? PQgetvalue(rows, 0, 3) : "0");
    PQclear(rows);
}

static void report_write(verification_t *verification, text_t tenant, bool fold)
{
    (void)fprintf(verification->report.out, "{\"tenant\":\"%.*s\",\"problems\":[",
                  TEXT_PRINT(tenant));
    PGresult *const gaps =
        PQexec(verification->connection, "SELECT FROM partition WHERE archived > 0");
    verification->has_gaps = PQntuples(gaps) > 0;
    PQclear(gaps);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        question_ask(verification, questions[i].question, questions[i].sql);
    }
    rows_visit(verification, question_readable,
               "DECLARE slices NO SCROLL CURSOR FOR SELECT " EVENT_COLUMNS " FROM event e",
               event_check);
    if (fold) {
        question_ask(verification, question_living, sql_living);
        snapshots_fold(verification);
    }
    (void)fprintf(verification->report.out, "],\"problem_count\":%u",
                  verification->report.problems);
    counts_write(verification);
    (void)fprintf(verification->report.out, ",\"snapshots_folded\":%llu,\"ok\":%s}",
                  (unsigned long long)verification->folded,
                  verification->report.problems == 0 ? "true" : "false");
}

result_t journal_postgres_verify(const char *url, const journal_postgres_place_t *place,
                                 text_t tenant, bool fold, char **report)
{
    *report = NULL;
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    verification_t verification = {0};
    result_t result = journal_database_open(url, place, &verification.connection);
    if (result != RESULT_OK) {
        return result;
    }
    result = journal_database_execute(verification.connection,
                                      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                                      "SET LOCAL statement_timeout = 0",
                                      "verify");
    if (result == RESULT_OK) {
        size_t size = 0;
        verification.tenant = calloc(1, sizeof *verification.tenant);
        verification.fold = calloc(1, sizeof *verification.fold);
        verification.report.out = open_memstream(report, &size);
        assert(verification.tenant != NULL && verification.fold != NULL);
        assert(verification.report.out != NULL);
        memcpy(verification.tenant->name, tenant.data, tenant.size);
        report_write(&verification, tenant, fold);
        const int failed = fclose(verification.report.out);
        assert(failed == 0);
        free(verification.tenant);
        free(verification.fold);
    }
    PQfinish(verification.connection);
    return result == RESULT_OK && verification.report.problems > 0 ? RESULT_STORE_CORRUPT : result;
}
