/* The control store port on PostgreSQL: opening, schema, version and incarnations. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static result_t control_version(control_store_t *store, uint64_t *version)
{
    PGresult *rows = NULL;
    const result_t result = database_query(
        control_of(store), "SELECT version FROM control WHERE id = 1", NULL, 0, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    const bool is_there = PQntuples(rows) == 1;
    *version = is_there ? (uint64_t)row_integer(rows, 0, 0) : 0;
    PQclear(rows);
    return is_there ? RESULT_OK : RESULT_STORE_CORRUPT;
}

static result_t control_incarnation_add(control_store_t *store, text_t role, uint64_t incarnation,
                                        int64_t pid, int64_t now_ms)
{
    control_postgres_t *const control = control_of(store);
    const value_t values[] = {value_bytes(role), value_integer((int64_t)incarnation),
                              value_integer(pid), value_integer(now_ms)};
    const value_t kept = value_integer(LIMIT_CONTROL_INCARNATIONS);
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = database_query(control,
                            "INSERT INTO incarnation (role, incarnation, pid, started_at) VALUES "
                            "($1::text, $2::int8, $3::int8, $4::int8)",
                            values, 4, NULL);
    if (result == RESULT_OK) {
        result = database_query(control,
                                "DELETE FROM incarnation WHERE number <= (SELECT max(number) FROM "
                                "incarnation) - $1::int8",
                                &kept, 1, NULL);
    }
    return transaction_end(control, result);
}

static const control_store_functions_t functions = {
    .version = control_version,
    .tenants = control_postgres_tenants,
    .tenant = control_postgres_tenant,
    .token_keys = control_postgres_token_keys,
    .tenant_create = control_postgres_tenant_create,
    .tenant_delete = control_postgres_tenant_delete,
    .key_rotate = control_postgres_key_rotate,
    .key_set_state = control_postgres_key_set_state,
    .token_key_add = control_postgres_token_key_add,
    .incarnation_add = control_incarnation_add,
};

/* --- Opening --- */

typedef struct schema {
    bool is_there;
    int64_t version; /* 0: there is none */
} schema_t;

static result_t schema_read(control_postgres_t *control, schema_t *schema)
{
    PGresult *rows = NULL;
    *schema = (schema_t){0};
    result_t result =
        database_query(control, "SELECT to_regclass('public.control') IS NOT NULL", NULL, 0, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    schema->is_there = row_bytes(rows, 0, 0).data[0] != 0;
    PQclear(rows);
    if (!schema->is_there) {
        return RESULT_OK;
    }
    rows = NULL;
    result = database_query(control, "SELECT schema, prefix FROM control", NULL, 0, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    if (PQntuples(rows) != 1) {
        result = RESULT_STORE_CORRUPT;
    } else {
        const text_t prefix = row_bytes(rows, 0, 1);
        schema->version = row_integer(rows, 0, 0);
        result = schema->version > (int64_t)control_postgres_migrations_count
                     ? RESULT_SCHEMA_TOO_NEW
                     : RESULT_OK;
        (void)snprintf(control->prefix, sizeof control->prefix, "%.*s", TEXT_PRINT(prefix));
    }
    PQclear(rows);
    return result;
}

static result_t schema_insert_row(control_postgres_t *control)
{
    char prefix[16];
    uint8_t random[4];
    random_fill(random, sizeof random);
    (void)snprintf(prefix, sizeof prefix, "dc_%02x%02x%02x%02x_", random[0], random[1], random[2],
                   random[3]);
    const value_t value = value_bytes(text_from_c(prefix));
    return database_query(control,
                          "INSERT INTO control (id, schema, version, prefix) VALUES (1, 0, 1, "
                          "$1::text)",
                          &value, 1, NULL);
}

/* From what is there to what this program knows, within a transaction that holds the lock. */
static result_t schema_migrate(control_postgres_t *control, const schema_t *schema)
{
    result_t result = RESULT_OK;
    const value_t version = value_integer((int64_t)control_postgres_migrations_count);
    for (size_t i = (size_t)schema->version;
         result == RESULT_OK && i < control_postgres_migrations_count; i++) {
        result = database_execute(control, control_postgres_migrations[i]);
    }
    if (result == RESULT_OK && !schema->is_there) {
        result = schema_insert_row(control);
    }
    if (result == RESULT_OK) {
        result = database_query(control, "UPDATE control SET schema = $1::int8 WHERE id = 1",
                                &version, 1, NULL);
    }
    return result;
}

/* Nobody but the installation's own user has business in the control database. */
static result_t others_keep_out(control_postgres_t *control)
{
    char sql[256];
    char *const name = PQescapeIdentifier(control->connection, PQdb(control->connection),
                                          strlen(PQdb(control->connection)));
    assert(name != NULL);
    (void)snprintf(sql, sizeof sql, "REVOKE ALL ON DATABASE %s FROM PUBLIC", name);
    PQfreemem(name);
    return database_execute(control, sql);
}

static bool schema_is_current(const schema_t *schema)
{
    return schema->version == (int64_t)control_postgres_migrations_count;
}

static result_t schema_prepare(control_postgres_t *control)
{
    schema_t schema;
    result_t result = schema_read(control, &schema);
    if (result != RESULT_OK || schema_is_current(&schema)) {
        return result;
    }
    result = database_execute(control, "BEGIN");
    if (result == RESULT_OK) { /* two starts at once */
        result = database_execute(control, "SELECT pg_advisory_xact_lock(4847294728364)");
    }
    if (result == RESULT_OK) {
        result = schema_read(control, &schema);
    }
    if (result == RESULT_OK && !schema_is_current(&schema)) {
        result = schema_migrate(control, &schema);
    }
    if (result == RESULT_OK && !schema.is_there) {
        result = others_keep_out(control);
    }
    result = transaction_end(control, result);
    return result == RESULT_OK ? schema_read(control, &schema) : result;
}

static const char *error_title(result_t result)
{
    switch (result) {
    case RESULT_INVALID_ARGUMENT:
        return "the URL cannot be used";
    case RESULT_MISSING:
        return "it is empty; create a tenant or run digitalcard serve first";
    case RESULT_SCHEMA_TOO_NEW:
        return "it was written by a newer version: run that one";
    case RESULT_STORE_CORRUPT:
        return "it holds something else, or is damaged: restore it from a backup";
    default:
        return "it cannot be opened";
    }
}

static void error_tell(control_postgres_t *control, result_t result, char *error, size_t size)
{
    const bool is_known = result == RESULT_MISSING || result == RESULT_SCHEMA_TOO_NEW;
    const char *detail =
        control->connection == NULL || is_known ? "" : PQerrorMessage(control->connection);
    if (error != NULL) {
        size_t length = strcspn(detail, "\n");
        length = length > 300 ? 300 : length;
        (void)snprintf(error, size, "the control database on PostgreSQL: %s%s%.*s",
                       error_title(result), length == 0 ? "" : ": ", (int)length, detail);
    }
}

static control_postgres_t *control_create(const control_postgres_options_t *options)
{
    control_postgres_t *control = calloc(1, sizeof *control);
    assert(control != NULL);
    control->base.functions = &functions;
    control_postgres_dead_letters_init(control);
    control_postgres_flags_init(control);
    control->options = *options;
    control->url = strdup(options->url);
    assert(control->url != NULL);
    return control;
}

static result_t url_check(const char *url)
{
    PQconninfoOption *const parsed = PQconninfoParse(url, NULL);
    PQconninfoFree(parsed);
    return parsed == NULL ? RESULT_INVALID_ARGUMENT : RESULT_OK;
}

static result_t schema_look(control_postgres_t *control)
{
    schema_t schema;
    const result_t result = schema_read(control, &schema);
    return result == RESULT_OK && !schema.is_there ? RESULT_MISSING : result;
}

result_t control_postgres_open(const control_postgres_options_t *options, char *error,
                               size_t error_size, control_store_t **store)
{
    control_postgres_t *control = control_create(options);
    result_t result = url_check(options->url);
    if (result == RESULT_OK && (options->create || options->connect)) {
        result = database_ready(control);
        if (result == RESULT_OK) {
            result = options->create ? schema_prepare(control) : schema_look(control);
        }
    }
    control_store_t *opened = &control->base;
    if (result != RESULT_OK) {
        error_tell(control, result, error, error_size);
        control_postgres_close(&opened);
        return result;
    }
    *store = opened;
    return RESULT_OK;
}

result_t control_postgres_is_sealed(const char *url, bool *is_sealed, char *error,
                                    size_t error_size)
{
    const control_postgres_options_t options = {.url = url};
    control_postgres_t *control = control_create(&options);
    schema_t schema = {0};
    result_t result = url_check(url);
    if (result == RESULT_OK) {
        result = schema_read(control, &schema);
    }
    if (result != RESULT_OK) {
        error_tell(control, result, error, error_size);
    }
    *is_sealed = schema.is_there;
    control_store_t *opened = &control->base;
    control_postgres_close(&opened);
    return result;
}

void control_postgres_close(control_store_t **store)
{
    if (*store == NULL) {
        return;
    }
    control_postgres_t *const control = control_of(*store);
    *store = NULL;
    control_disconnect(control);
    explicit_bzero(&control->options, sizeof control->options);
    explicit_bzero(control->url, strlen(control->url));
    free(control->url);
    free(control);
}
