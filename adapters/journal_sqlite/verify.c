/* `store verify`: is the file sound, and do its tables say the same? Read-only, in one read
 * transaction, so that a running service neither is disturbed nor makes it look wrong. */
#include "actors/card_fold.h"
#include "actors/verify_report.h"
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct verification {
    journal_tenant_t tenant; /* only its name and reader are used */
    uint64_t folded;         /* snapshots compared with their events */
    verify_report_t report;
} verification_t;

/* Each row of the answer is a problem, in its first column, except the text "ok". */
static void question_ask(verification_t *verification, const char *question, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(verification->tenant.reader.database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    for (uint32_t i = 0; code == SQLITE_ROW && i < LIMIT_STORE_VERIFY_PROBLEMS; i++) {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        if (answer == NULL || strcmp(answer, "ok") != 0) {
            verify_report_add(&verification->report, question, answer == NULL ? "" : answer);
        }
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        verify_report_add(&verification->report, question,
                          sqlite3_errmsg(verification->tenant.reader.database));
    }
    (void)sqlite3_finalize(statement);
}

static const struct {
    const char *question;
    const char *sql;
} questions[] = {
    {"the file is sound", "PRAGMA integrity_check(100)"},
    {"the head of a partition is its highest sequence",
     "SELECT 'partition ' || id || ': head ' || head FROM partition WHERE head <> (SELECT "
     "coalesce(max(event.id), 0) & 0xffffffffffffff FROM event WHERE event.id BETWEEN "
     "partition.id << 56 AND partition.id << 56 | 0xffffffffffffff)"},
    {"the sequence of a partition has no gap but where events were archived",
     "SELECT 'partition ' || p.id || ': head ' || p.head || ', archived ' || p.archived FROM "
     "partition p WHERE p.head <> p.archived + (SELECT count(*) FROM event e WHERE e.id BETWEEN "
     "p.id << 56 AND p.id << 56 | 0xffffffffffffff) OR p.head - p.archived_to <> (SELECT count(*) "
     "FROM event e WHERE e.id > (p.id << 56 | p.archived_to) AND e.id <= (p.id << 56 | "
     "0xffffffffffffff))"},
    {"what was archived is on record",
     "SELECT 'archived ' || a || ', on record ' || r FROM (SELECT (SELECT sum(archived) FROM "
     "partition) AS a, (SELECT coalesce(sum(events), 0) FROM archive) AS r) WHERE a <> r"},
    {"every event is of a partition",
     "SELECT 'event ' || id FROM event WHERE id >> 56 NOT IN (SELECT id FROM partition)"},
    {"an event follows the one before it of its card",
     "SELECT 'partition ' || (e.id >> 56) || ', sequence ' || (e.id & 0xffffffffffffff) "
     "FROM event e LEFT JOIN event p ON p.id = (e.id >> 56 << 56 | e.previous) AND e.previous > 0 "
     "WHERE CASE WHEN e.previous = 0 THEN e.card_sequence <> 1 ELSE p.id IS NULL OR "
     "p.card <> e.card OR p.card_sequence >= e.card_sequence OR p.id >= e.id OR (p.card_sequence < "
     "e.card_sequence - 1 AND e.previous >= (SELECT archived_to FROM partition WHERE id = e.id >> "
     "56)) END"},
    {"the head of a card is its last event",
     "SELECT 'card ' || hex(h.card) FROM card_head h LEFT JOIN event e ON e.id = h.last_event "
     "WHERE e.id IS NULL OR e.card <> h.card OR e.card_sequence <> h.card_sequence"},
    {"every event is of a card's chain",
     "SELECT 'events ' || e || ', in chains ' || c FROM (SELECT (SELECT count(*) FROM event) + "
     "(SELECT coalesce(sum(archived), 0) FROM partition) AS e, "
     "(SELECT coalesce(sum(card_sequence), 0) FROM card_head) AS c) WHERE e <> c"},
    {"a stored reply has its key, its hash and its time",
     "SELECT 'reply ' || number FROM idempotency WHERE length(key) = 0 OR length(request_hash) <> "
     "32 OR length(reply) = 0 OR recorded_at <= 0"},
    {"a snapshot is not ahead of its events",
     "SELECT 'card ' || hex(s.id) FROM card s LEFT JOIN card_head h ON h.card = s.id "
     "WHERE h.card IS NULL OR s.card_sequence > h.card_sequence"},
};

_Static_assert((int)event_name_card_renewed == 5 && (int)event_name_card_replaced == 6 &&
                   (int)event_name_card_expired == 8,
               "which events leave a card living, as SQL knows them");
/* Only where cards are real ones: what a card is, its last change says (card_evolve). With max()
 * SQLite takes the other columns from that row. */
static const char question_living[] = "the count of living cards is that of the events";
static const char sql_living[] =
    "SELECT 'partition ' || p.id || ': counted ' || p.cards || ', by its events ' || "
    "coalesce(l.cards, 0) FROM partition p LEFT JOIN (SELECT last >> 56 AS place, count(*) AS "
    "cards "
    "FROM (SELECT max(id) AS last, name FROM event WHERE name NOT IN (9, 10) GROUP BY card) WHERE "
    "name <= 5 GROUP BY 1) l ON l.place = p.id WHERE p.cards <> coalesce(l.cards, 0)";

static int64_t number_ask(verification_t *verification, const char *sql)
{
    int64_t number = 0;
    (void)database_number_read(verification->tenant.reader.database, sql, &number);
    return number;
}

/* Every stored document can be read back. */
static void events_decode(verification_t *verification)
{
    connection_t *const connection = &verification->tenant.reader;
    const char *const sql = "SELECT id, previous, card, card_sequence, name, version, occurred_at, "
                            "event_id, traceparent, body FROM event";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->database, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) { /* bounded by the events of the file */
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            break;
        }
        store_memory_t memory = {0};
        event_t event;
        int64_t previous = 0;
        if (event_from_row(&verification->tenant, connection, statement, &memory, &event,
                           &previous) != RESULT_OK) {
            char where[64];
            const int64_t id = sqlite3_column_int64(statement, 0);
            (void)snprintf(where, sizeof where, "partition %d, sequence %lld",
                           (int)(id >> JOURNAL_SEQUENCE_BITS),
                           (long long)(id & JOURNAL_SEQUENCE_MAX));
            verify_report_add(&verification->report, "every event can be read", where);
        }
        store_memory_release(&memory);
    }
    if (code != SQLITE_DONE) {
        verify_report_add(&verification->report, "every event can be read",
                          sqlite3_errmsg(connection->database));
    }
    (void)sqlite3_finalize(statement);
}

/* --- Snapshots --- */

/* The chain of a card, which verify reads over the connection that it has. */
static void snapshot_check(verification_t *verification, const uuid_t *card, text_t snapshot)
{
    store_memory_t memory = {0};
    event_tail_t tail = {0};
    card_head_t head;
    result_t result = card_head_read(&verification->tenant.reader, card, &head);
    if (result == RESULT_OK) {
        result = event_tail_read(&verification->tenant, card, &head, 0, &memory, &tail);
    }
    if (result != RESULT_OK || !card_fold_matches(card, tail.events, tail.count, snapshot,
                                                  verification->tenant.has_gaps)) {
        char text[UUID_TEXT_SIZE + 1] = "";
        uuid_format(card, text);
        verify_report_add(&verification->report, "a snapshot is the fold of its events", text);
    }
    store_memory_release(&memory);
}

/* A card whose events are more than one reading may have is passed over and counted. */
static void snapshots_fold(verification_t *verification)
{
    const char *const sql = "SELECT s.id, s.body FROM card s JOIN card_head h ON h.card = s.id "
                            "WHERE h.card_sequence <= ?1";
    sqlite3 *const database = verification->tenant.reader.database;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        bind_integer(statement, 1, LIMIT_LOAD_TAIL_EVENTS);
    }
    while (code == SQLITE_OK || code == SQLITE_ROW) { /* bounded by the cards of the file */
        uuid_t card;
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            break;
        }
        if (column_uuid(statement, 0, &card)) {
            verification->folded++;
            snapshot_check(verification, &card, column_bytes(statement, 1));
        }
    }
    if (code != SQLITE_DONE) {
        verify_report_add(&verification->report, "a snapshot is the fold of its events",
                          sqlite3_errmsg(database));
    }
    (void)sqlite3_finalize(statement);
}

static void report_write(verification_t *verification, text_t tenant, bool fold)
{
    verification->tenant.has_gaps =
        number_ask(verification, "SELECT sum(archived) FROM partition") > 0;
    (void)fputs("{\"tenant\":", verification->report.out);
    (void)fprintf(verification->report.out, "\"%.*s\",\"problems\":[", TEXT_PRINT(tenant));
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        question_ask(verification, questions[i].question, questions[i].sql);
    }
    events_decode(verification);
    if (fold) {
        question_ask(verification, question_living, sql_living);
        snapshots_fold(verification);
    }
    (void)fprintf(verification->report.out,
                  "],\"problem_count\":%u,\"partitions\":%lld,\"events\":%lld,\"cards\":%lld,"
                  "\"archived\":%lld,\"snapshots_folded\":%llu,\"ok\":%s}",
                  verification->report.problems,
                  (long long)number_ask(verification, "SELECT count(*) FROM partition"),
                  (long long)number_ask(verification, "SELECT count(*) FROM event"),
                  (long long)number_ask(verification, "SELECT count(*) FROM card_head"),
                  (long long)number_ask(verification, "SELECT sum(archived) FROM partition"),
                  (unsigned long long)verification->folded,
                  verification->report.problems == 0 ? "true" : "false");
}

result_t verify_file(const char *path, text_t tenant, bool fold, char **report)
{
    verification_t verification = {0};
    memcpy(verification.tenant.name, tenant.data, tenant.size);
    result_t result = connection_open(&verification.tenant.reader, path, CONNECTION_READONLY);
    if (result == RESULT_OK) {
        result = owner_check(&verification.tenant.reader, tenant);
        if (result != RESULT_OK) {
            connection_close(&verification.tenant.reader, false);
        }
    }
    if (result == RESULT_OK) {
        size_t size = 0;
        verification.report.out = open_memstream(report, &size);
        assert(verification.report.out != NULL);
        result = connection_run(&verification.tenant.reader, STATEMENT_begin);
        report_write(&verification, tenant, fold);
        connection_rollback(&verification.tenant.reader);
        const int failed = fclose(verification.report.out);
        assert(failed == 0);
        connection_close(&verification.tenant.reader, false);
        if (verification.report.problems > 0) {
            result = RESULT_STORE_CORRUPT;
        }
    }
    return result;
}

result_t journal_sqlite_verify(const char *data_directory, text_t tenant, bool fold, char **report)
{
    *report = NULL;
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    char *path = tenant_path(data_directory, tenant);
    const result_t result = verify_file(path, tenant, fold, report);
    free(path);
    return result;
}
