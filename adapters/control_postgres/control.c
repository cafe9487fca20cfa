/* The control store port on PostgreSQL: opening, schema, version and incarnations. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/migration.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static result_t schema_prepare_once(control_postgres_t *control);

static result_t control_version(control_store_t *store, uint64_t *version)
{
    PGresult *rows = NULL;
    control_postgres_t *const control = control_of(store);
    result_t result = schema_prepare_once(control);
    if (result == RESULT_OK) {
        result =
            database_query(control, "SELECT version FROM control WHERE id = 1", NULL, 0, &rows);
    }
    if (result != RESULT_OK) {
        return result;
    }
    const bool is_there = PQntuples(rows) == 1;
    *version = is_there ? (uint64_t)field_integer(rows, 0, 0) : 0;
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
    .tenant_adopt = control_postgres_tenant_adopt,
    .tenant_delete = control_postgres_tenant_delete,
    .key_rotate = control_postgres_key_rotate,
    .tenant_set_quotas = control_postgres_tenant_set_quotas,
    .key_set_state = control_postgres_key_set_state,
    .token_key_add = control_postgres_token_key_add,
    .incarnation_add = control_incarnation_add,
};

/* --- Opening --- */

/* Zero: there is no schema at all. */
static result_t version_read(control_postgres_t *control, uint64_t *version)
{
    PGresult *rows = NULL;
    *version = 0;
    result_t result =
        database_query(control, "SELECT to_regclass('public.control') IS NOT NULL", NULL, 0, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    const bool is_there = field_bytes(rows, 0, 0).data[0] != 0;
    PQclear(rows);
    if (!is_there) {
        return RESULT_OK;
    }
    rows = NULL;
    result = database_query(control, "SELECT schema, prefix FROM control", NULL, 0, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    if (PQntuples(rows) != 1 || field_integer(rows, 0, 0) < 1) {
        result = RESULT_STORE_CORRUPT;
    } else {
        const text_t prefix = field_bytes(rows, 0, 1);
        *version = (uint64_t)field_integer(rows, 0, 0);
        (void)snprintf(control->prefix, sizeof control->prefix, "%.*s", TEXT_PRINT(prefix));
    }
    PQclear(rows);
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

static result_t control_row_make(control_postgres_t *control)
{
    char prefix[16];
    uint8_t random[4];
    random_fill(random, sizeof random);
    (void)snprintf(prefix, sizeof prefix, "dc_%02x%02x%02x%02x_", random[0], random[1], random[2],
                   random[3]);
    const value_t value = value_bytes(text_from_c(prefix));
    const result_t result = database_query(
        control, "INSERT INTO control (id, schema, version, prefix) VALUES (1, 1, 1, $1::text)",
        &value, 1, NULL);
    return result == RESULT_OK ? others_keep_out(control) : result;
}

/* Another process may be at its first start, or at the same steps. */
static result_t migration_lock(void *context)
{
    const result_t result = database_execute(context, "BEGIN; SET LOCAL statement_timeout = 0; "
                                                      "SET LOCAL lock_timeout = 0");
    return result == RESULT_OK
               ? database_execute(context, "SELECT pg_advisory_xact_lock(4847294728364)")
               : result;
}

static result_t migration_version(void *context, uint64_t *version)
{
    return version_read(context, version);
}

static result_t migration_apply(void *context, const char *step, uint64_t version)
{
    const value_t value = value_integer((int64_t)version);
    const result_t result = database_execute(context, step);
    if (result != RESULT_OK) {
        return result;
    }
    return version == 1 ? control_row_make(context)
                        : database_query(context, "UPDATE control SET schema = $1::int8::integer",
                                         &value, 1, NULL);
}

static result_t migration_commit(void *context)
{
    return transaction_end(context, RESULT_OK);
}

static void migration_undo(void *context)
{
    const result_t result = transaction_end(context, RESULT_INTERNAL); /* nothing after a commit */
    (void)result;
}

static result_t schema_prepare(control_postgres_t *control)
{
    static const migration_functions_t migration_functions = {.lock = migration_lock,
                                                              .version = migration_version,
                                                              .apply = migration_apply,
                                                              .commit = migration_commit,
                                                              .undo = migration_undo};
    const migration_t migration = {.store = "control store",
                                   .where = PQdb(control->connection),
                                   .steps = control_postgres_migrations,
                                   .step_count = control_postgres_migrations_count};
    uint64_t version = 0;
    bool is_behind = false;
    result_t result = version_read(control, &version);
    if (result == RESULT_OK) {
        result = migration_compare(&migration, version, &is_behind);
    }
    if (result == RESULT_OK && is_behind) {
        control->is_migrating = true;
        result = migration_run(&migration, &migration_functions, control, NULL);
        control->is_migrating = false;
        result = result == RESULT_OK ? version_read(control, &version) : result; /* the prefix */
    }
    return result;
}

/* Of a role that may make the schema: at the first call that reaches the server, and again in a
 * moment when that failed. */
static result_t schema_prepare_once(control_postgres_t *control)
{
    if (control->is_prepared || !control->options.create) {
        return RESULT_OK;
    }
    const uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < control->prepare_ms) {
        return RESULT_STORE_UNAVAILABLE;
    }
    control->prepare_ms = now_ms + LIMIT_POSTGRES_CONTROL_RETRY_MS;
    result_t result = database_ready(control);
    if (result == RESULT_OK) {
        result = schema_prepare(control);
    }
    control->is_prepared = result == RESULT_OK;
    return result;
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
    const char *detail = "";
    if (!is_known && control->connection != NULL) {
        detail = PQerrorMessage(control->connection);
    } else if (result == RESULT_STORE_UNAVAILABLE && control->hosts != NULL) {
        detail = "no address is known for the name of its server";
    }
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
    control_postgres_revocations_init(control);
    control_postgres_consumers_init(control);
    control_postgres_webhooks_init(control);
    control->options = *options;
    control->url = strdup(options->url);
    assert(control->url != NULL);
    return control;
}

static result_t url_check(const char *url)
{
    postgres_hosts_t *hosts = postgres_hosts_of_url(url);
    const result_t result = hosts == NULL ? RESULT_INVALID_ARGUMENT : RESULT_OK;
    postgres_hosts_destroy(&hosts);
    return result;
}

/* Without `create` nothing is made where nothing is. */
static result_t schema_find(control_postgres_t *control)
{
    uint64_t version = 0;
    const result_t result = version_read(control, &version);
    if (result != RESULT_OK) {
        return result;
    }
    return version == 0 ? RESULT_MISSING : schema_prepare(control);
}

result_t control_postgres_open(const control_postgres_options_t *options, char *error,
                               size_t error_size, control_store_t **store)
{
    control_postgres_t *control = control_create(options);
    result_t result = url_check(options->url);
    if (result == RESULT_OK && options->connect) {
        result = database_ready(control);
        if (result == RESULT_OK) {
            result = options->create ? schema_prepare(control) : schema_find(control);
        }
        control->is_prepared = result == RESULT_OK;
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

uint64_t control_postgres_schema_known(void)
{
    return control_postgres_migrations_count;
}

result_t control_postgres_schema(const char *url, migration_outcome_t *outcome, char *error,
                                 size_t error_size)
{
    const control_postgres_options_t options = {.url = url};
    control_postgres_t *control = control_create(&options);
    *outcome = (migration_outcome_t){.known = control_postgres_migrations_count};
    result_t result = url_check(url);
    if (result == RESULT_OK) {
        result = version_read(control, &outcome->found);
    }
    if (result == RESULT_OK && outcome->found > outcome->known) {
        result = RESULT_SCHEMA_TOO_NEW;
    }
    if (result != RESULT_OK) {
        error_tell(control, result, error, error_size);
    }
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
    explicit_bzero(&control->restored, sizeof control->restored);
    explicit_bzero(&control->options, sizeof control->options);
    postgres_hosts_destroy(&control->hosts);
    explicit_bzero(control->url, strlen(control->url));
    free(control->url);
    free(control);
}
