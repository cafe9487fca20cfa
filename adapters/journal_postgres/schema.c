/* What blocks and runs apart from a service's loop: making a journal's schema, and `store verify`.
 */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

result_t journal_database_error(const PGconn *connection, const PGresult *rows, const char *action)
{
    const char *const sqlstate = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    detail = detail == NULL ? PQerrorMessage(connection) : detail;
    log_error("the journal database of a tenant refuses", LOG_STRING("action", action),
              LOG_STRING("database", PQdb(connection)),
              LOG_STRING("sqlstate", sqlstate == NULL ? "" : sqlstate),
              LOG_STRING("detail", detail));
    return trouble_result(trouble_of(sqlstate));
}

static result_t connection_open(const PQconninfoOption *options,
                                const journal_postgres_place_t *place, PGconn **connection)
{
    connection_keywords_t keywords;
    if (options == NULL || !connection_keywords_fill(options, place, false, &keywords)) {
        return RESULT_INVALID_ARGUMENT;
    }
    *connection = PQconnectdbParams(keywords.keywords, keywords.values, 0);
    explicit_bzero(&keywords, sizeof keywords);
    if (PQstatus(*connection) == CONNECTION_OK) {
        return RESULT_OK;
    }
    const result_t result = journal_database_error(*connection, NULL, "connect");
    PQfinish(*connection);
    *connection = NULL;
    return result;
}

result_t journal_database_open(const char *url, const journal_postgres_place_t *place,
                               PGconn **connection)
{
    PQconninfoOption *const options = PQconninfoParse(url, NULL);
    const result_t result = connection_open(options, place, connection);
    PQconninfoFree(options);
    return result;
}

result_t journal_database_execute(PGconn *connection, const char *sql, const char *action)
{
    PGresult *const rows = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(rows);
    const result_t result = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
                                ? RESULT_OK
                                : journal_database_error(connection, rows, action);
    PQclear(rows);
    return result;
}

static result_t execute_with_number(PGconn *connection, const char *sql, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    const char *const values[] = {text};
    PGresult *const rows = PQexecParams(connection, sql, 1, NULL, values, NULL, NULL, 0);
    const result_t result = PQresultStatus(rows) == PGRES_COMMAND_OK
                                ? RESULT_OK
                                : journal_database_error(connection, rows, "fill");
    PQclear(rows);
    return result;
}

/* --- Migrations --- */

/* Zero: there is no schema. */
static result_t migration_version(void *context, uint64_t *version)
{
    *version = 0;
    PGresult *rows = PQexec(context, "SELECT to_regclass('journal_schema') IS NOT NULL");
    const bool is_there = PQntuples(rows) == 1 && PQgetvalue(rows, 0, 0)[0] == 't';
    result_t result = PQresultStatus(rows) == PGRES_TUPLES_OK
                          ? RESULT_OK
                          : journal_database_error(context, rows, "look for the schema");
    PQclear(rows);
    if (result != RESULT_OK || !is_there) {
        return result;
    }
    rows = PQexec(context, "SELECT version FROM journal_schema");
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        result = journal_database_error(context, rows, "read the version of the schema");
    } else if (PQntuples(rows) != 1) {
        result = RESULT_STORE_CORRUPT;
    } else {
        *version = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
    }
    PQclear(rows);
    return result;
}

static result_t migration_lock(void *context)
{
    const result_t result = journal_database_execute(
        context, "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0", "begin");
    return result == RESULT_OK ? journal_database_execute(
                                     context, "SELECT pg_advisory_xact_lock(4847294728365)", "lock")
                               : result;
}

static result_t migration_apply(void *context, const char *step, uint64_t version)
{
    const result_t result = journal_database_execute(context, step, "migrate");
    if (result != RESULT_OK) {
        return result;
    }
    return execute_with_number(context,
                               version == 1 ? "INSERT INTO journal_schema VALUES ($1::integer)"
                                            : "UPDATE journal_schema SET version = $1::integer",
                               version);
}

static result_t migration_commit(void *context)
{
    return journal_database_execute(context, "COMMIT", "commit");
}

static void migration_undo(void *context)
{
    if (PQtransactionStatus(context) != PQTRANS_IDLE) {
        PQclear(PQexec(context, "ROLLBACK"));
    }
}

static result_t migrate(PGconn *connection, migration_outcome_t *outcome)
{
    static const migration_functions_t migration_functions = {.lock = migration_lock,
                                                              .version = migration_version,
                                                              .apply = migration_apply,
                                                              .commit = migration_commit,
                                                              .undo = migration_undo};
    const migration_t migration = {.store = "journal",
                                   .where = PQdb(connection),
                                   .steps = journal_postgres_migrations,
                                   .step_count = journal_postgres_migrations_count};
    return migration_run(&migration, &migration_functions, connection, outcome);
}

uint64_t journal_postgres_schema(void)
{
    return journal_postgres_migrations_count;
}

result_t schema_upgrade(const PQconninfoOption *url, const journal_postgres_place_t *place,
                        migration_outcome_t *outcome)
{
    PGconn *connection = NULL;
    result_t result = connection_open(url, place, &connection);
    if (result != RESULT_OK) {
        return result;
    }
    /* Looks first: what is up to date is not locked. */
    result = migration_version(connection, &outcome->found);
    if (result == RESULT_OK && outcome->found == 0) {
        log_error("the database of the tenant has no journal: restore it from a backup",
                  LOG_STRING("database", place->database));
        result = RESULT_STORE_CORRUPT;
    }
    if (result == RESULT_OK && outcome->found != outcome->known) {
        result = migrate(connection, outcome);
    }
    PQfinish(connection);
    return result;
}

result_t journal_postgres_migrate(const char *url, const journal_postgres_place_t *place,
                                  migration_outcome_t *outcome)
{
    *outcome = (migration_outcome_t){.known = journal_postgres_migrations_count};
    PQconninfoOption *const options = PQconninfoParse(url, NULL);
    const result_t result = schema_upgrade(options, place, outcome);
    PQconninfoFree(options);
    return result;
}

/* A database whose making was interrupted is empty, or has its schema and no partitions. */
result_t journal_postgres_create_schema(const char *url, const journal_postgres_place_t *place,
                                        uint32_t partitions)
{
    if (partitions > LIMIT_PARTITIONS) {
        return RESULT_INVALID_ARGUMENT;
    }
    PGconn *connection = NULL;
    result_t result = journal_database_open(url, place, &connection);
    if (result != RESULT_OK) {
        return result;
    }
    result = migrate(connection, NULL);
    if (result == RESULT_OK) {
        result = execute_with_number(
            connection,
            "INSERT INTO partition (id) SELECT * FROM generate_series(0, $1::bigint - 1)",
            partitions);
    }
    PQfinish(connection);
    return result;
}

/* --- Verification --- */

typedef struct verification {
    PGconn *connection;
    FILE *report;
    uint32_t problems;
} verification_t;

static void json_text_write(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(out, "\\%c", *c);
        } else if (*c < 0x20 || *c > 0x7e) {
            (void)fprintf(out, "\\u%04x", *c);
        } else {
            (void)fputc(*c, out);
        }
    }
    (void)fputc('"', out);
}

static void problem_add(verification_t *verification, const char *question, const char *answer)
{
    verification->problems++;
    if (verification->problems > LIMIT_STORE_VERIFY_PROBLEMS) {
        return;
    }
    (void)fputs(verification->problems == 1 ? "" : ",", verification->report);
    (void)fputs("{\"check\":", verification->report);
    json_text_write(verification->report, question);
    (void)fputs(",\"found\":", verification->report);
    json_text_write(verification->report, answer);
    (void)fputc('}', verification->report);
}

#define LAST "(p.id << 56 | 72057594037927935)"
/* Each row of an answer is a problem. */
static const struct {
    const char *question;
    const char *sql;
} questions[] = {
    {"the head of a partition is its highest sequence",
     "SELECT 'partition ' || p.id || ': head ' || p.head FROM partition p WHERE p.head <> "
     "(SELECT coalesce(max(e.id), 0) & 72057594037927935 FROM event e WHERE e.id BETWEEN "
     "p.id << 56 AND " LAST ")"},
    {"the sequence of a partition has no gap",
     "SELECT 'partition ' || p.id || ': head ' || p.head FROM partition p WHERE p.head <> "
     "(SELECT count(*) FROM event e WHERE e.id BETWEEN p.id << 56 AND " LAST ")"},
    {"every event is of a partition",
     "SELECT 'event ' || e.id FROM event e WHERE e.id >> 56 NOT IN (SELECT id FROM partition)"},
    {"the events of a card have no gap, stand in order and in one partition",
     "SELECT 'card ' || card FROM event GROUP BY card HAVING min(card_sequence) <> 1 OR "
     "max(card_sequence) <> count(*) OR min(id >> 56) <> max(id >> 56)"},
    {"a later event of a card has a higher sequence",
     "SELECT 'card ' || e.card FROM event e JOIN event n ON n.card = e.card AND n.card_sequence = "
     "e.card_sequence + 1 WHERE n.id <= e.id"},
    {"a snapshot is not ahead of its events",
     "SELECT 'card ' || s.id FROM card s LEFT JOIN event e ON e.card = s.id AND e.card_sequence = "
     "s.card_sequence WHERE e.id IS NULL"},
};

static void question_ask(verification_t *verification, const char *question, const char *sql)
{
    PGresult *const rows = PQexec(verification->connection, sql);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        problem_add(verification, question, PQresultErrorMessage(rows));
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        problem_add(verification, question, PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
}

static void counts_write(verification_t *verification)
{
    PGresult *const rows = PQexec(verification->connection,
                                  "SELECT (SELECT count(*) FROM partition), (SELECT count(*) FROM "
                                  "event), (SELECT count(DISTINCT card) FROM event)");
    const bool is_there = PQntuples(rows) == 1;
    (void)fprintf(verification->report, ",\"partitions\":%s,\"events\":%s,\"cards\":%s",
                  is_there ? PQgetvalue(rows, 0, 0) : "0", is_there ? PQgetvalue(rows, 0, 1) : "0",
                  is_there ? PQgetvalue(rows, 0, 2) : "0");
    PQclear(rows);
}

result_t journal_postgres_verify(const char *url, const journal_postgres_place_t *place,
                                 text_t tenant, char **report)
{
    *report = NULL;
    if (!journal_name_is_valid(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    verification_t verification = {0};
    result_t result = journal_database_open(url, place, &verification.connection);
    if (result != RESULT_OK) {
        return result;
    }
    size_t size = 0;
    verification.report = open_memstream(report, &size);
    assert(verification.report != NULL);
    result = journal_database_execute(verification.connection,
                                      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "verify");
    (void)fprintf(verification.report, "{\"tenant\":\"%.*s\",\"problems\":[", TEXT_PRINT(tenant));
    for (size_t i = 0; result == RESULT_OK && i < sizeof questions / sizeof questions[0]; i++) {
        question_ask(&verification, questions[i].question, questions[i].sql);
    }
    (void)fprintf(verification.report, "],\"problem_count\":%u", verification.problems);
    counts_write(&verification);
    (void)fprintf(verification.report, ",\"ok\":%s}",
                  verification.problems == 0 ? "true" : "false");
    const int failed = fclose(verification.report);
    assert(failed == 0);
    PQfinish(verification.connection);
    if (result == RESULT_OK && verification.problems > 0) {
        result = RESULT_STORE_CORRUPT;
    }
    return result;
}
