/* What blocks and runs apart from a service's loop: connections of the command line, and making a
 * journal's schema. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "adapters/shared_postgres/notices.h"
#include "runtime/log.h"
#include <stdio.h>
#include <stdlib.h>

result_t journal_database_error(const PGconn *connection, const PGresult *rows, const char *action)
{
    const char *const sqlstate = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
    detail = detail == NULL ? PQerrorMessage(connection) : detail;
    log_error("PostgreSQL refuses a statement on the database of a tenant",
              LOG_STRING("action", action), LOG_STRING("database", PQdb(connection)),
              LOG_STRING("sqlstate", sqlstate == NULL ? "" : sqlstate),
              LOG_STRING("detail", detail));
    return trouble_result(trouble_of(sqlstate));
}

static result_t connection_open(const PQconninfoOption *options, postgres_hosts_t *hosts,
                                const journal_postgres_place_t *place, PGconn **connection)
{
    postgres_addresses_t addresses;
    connection_keywords_t keywords;
    postgres_hosts_begin(hosts);
    (void)postgres_hosts_wait(hosts); /* what is known by then */
    if (!postgres_hosts_addresses(hosts, &addresses)) {
        log_error("the name of the PostgreSQL server cannot be looked up: see the name server",
                  LOG_STRING("database", place->database));
        return RESULT_STORE_UNAVAILABLE;
    }
    if (!connection_keywords_fill(options, &addresses, place, false, &keywords)) {
        return RESULT_INVALID_ARGUMENT;
    }
    *connection = PQconnectdbParams(keywords.keywords, keywords.values, 0);
    explicit_bzero(&keywords, sizeof keywords);
    notices_to_log(*connection);
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
    postgres_hosts_t *hosts = options == NULL ? NULL : postgres_hosts_create(options);
    const result_t result = hosts == NULL ? RESULT_INVALID_ARGUMENT
                                          : connection_open(options, hosts, place, connection);
    postgres_hosts_destroy(&hosts);
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

result_t schema_upgrade(const PQconninfoOption *url, postgres_hosts_t *hosts,
                        const journal_postgres_place_t *place, migration_outcome_t *outcome)
{
    PGconn *connection = NULL;
    result_t result = connection_open(url, hosts, place, &connection);
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
    postgres_hosts_t *hosts = options == NULL ? NULL : postgres_hosts_create(options);
    const result_t result =
        hosts == NULL ? RESULT_INVALID_ARGUMENT : schema_upgrade(options, hosts, place, outcome);
    postgres_hosts_destroy(&hosts);
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
