/* Choice of the store: see the header. */
#include "adapters/cli/stores.h"

#include "adapters/cli/connections.h"
#include "adapters/control_postgres/control_postgres.h"
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/journal_postgres/journal_postgres.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/projections_postgres/projections_postgres.h"
#include "adapters/projections_sqlite/projections_sqlite.h"
#include "adapters/signer/signer.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool stores_is_postgres(const char *store)
{
    return strncmp(store, "postgresql://", 13) == 0 || strncmp(store, "postgres://", 11) == 0;
}

const char *stores_of_role(void)
{
    const char *const store = getenv(STORES_ENVIRONMENT);
    return store == NULL || *store == '\0' ? "sqlite" : store;
}

/* --- The two adapters of PostgreSQL do not know each other --- */

void stores_place_copy(const control_postgres_place_t *from, journal_postgres_place_t *to)
{
    (void)snprintf(to->database, sizeof to->database, "%s", from->database);
    (void)snprintf(to->role, sizeof to->role, "%s", from->role);
    (void)snprintf(to->password, sizeof to->password, "%s", from->password);
}

static result_t journal_make(const char *url, const control_postgres_place_t *from,
                             uint32_t partitions)
{
    journal_postgres_place_t to;
    stores_place_copy(from, &to);
    const result_t result = journal_postgres_create_schema(url, &to, partitions);
    explicit_bzero(&to, sizeof to);
    return result;
}

static result_t journal_find(void *context, text_t tenant, journal_postgres_place_t *to)
{
    control_postgres_place_t from;
    const result_t result = control_postgres_find(context, tenant, &from);
    if (result == RESULT_OK) {
        stores_place_copy(&from, to);
        explicit_bzero(&from, sizeof from);
    }
    return result;
}

/* --- The control store --- */

const char *stores_control_name(const char *store)
{
    return stores_is_postgres(store) ? "the control database" : "control.db";
}

result_t stores_is_sealed(const char *store, const char *data, bool *is_sealed, char *error,
                          size_t error_size)
{
    if (stores_is_postgres(store)) {
        migration_outcome_t versions;
        const result_t result = control_postgres_schema(store, &versions, error, error_size);
        *is_sealed = versions.found > 0;
        return result;
    }
    char path[PATH_MAX + 16];
    struct stat about;
    (void)snprintf(path, sizeof path, "%s/control.db", data);
    *is_sealed = lstat(path, &about) == 0;
    return RESULT_OK;
}

result_t stores_control_open(const char *store, const char *data, stores_opening_t opening,
                             const crypto_key_t *master_key, metrics_t *metrics, char *error,
                             size_t error_size, control_store_t **control)
{
    if (!stores_is_postgres(store)) {
        return control_sqlite_open(data, opening == STORES_OPEN_OR_CREATE,
                                   journal_sqlite_create_tenant, control);
    }
    control_postgres_options_t options = {
        .url = store,
        .connect = opening == STORES_OPEN || opening == STORES_OPEN_OR_CREATE,
        .create = opening == STORES_CREATE_LATER || opening == STORES_OPEN_OR_CREATE,
        .make_journal = journal_make,
        .crypto = &signer_functions,
        .master_key = *master_key};
    if (metrics != NULL) {
        options.failures = metrics_counter(metrics, "digitalcard_control_store_failures_total", "",
                                           "What the control database on PostgreSQL refused, or "
                                           "left without an answer");
    }
    const result_t result = control_postgres_open(&options, error, error_size, control);
    explicit_bzero(&options, sizeof options);
    return result;
}

dead_letters_t *stores_dead_letters(const char *store, control_store_t *control)
{
    return stores_is_postgres(store) ? control_postgres_dead_letters(control)
                                     : control_sqlite_dead_letters(control);
}

revocations_t *stores_revocations(const char *store, control_store_t *control)
{
    return stores_is_postgres(store) ? control_postgres_revocations(control)
                                     : control_sqlite_revocations(control);
}

consumers_t *stores_consumers(const char *store, control_store_t *control)
{
    return stores_is_postgres(store) ? control_postgres_consumers(control)
                                     : control_sqlite_consumers(control);
}

webhooks_t *stores_webhooks(const char *store, control_store_t *control)
{
    return stores_is_postgres(store) ? control_postgres_webhooks(control)
                                     : control_sqlite_webhooks(control);
}

flags_t *stores_flags(const char *store, control_store_t *control)
{
    return stores_is_postgres(store) ? control_postgres_flags(control)
                                     : control_sqlite_flags(control);
}

void stores_control_close(const char *store, control_store_t **control)
{
    if (*control == NULL) {
        return;
    }
    if (stores_is_postgres(store)) {
        control_postgres_close(control);
    } else {
        control_sqlite_close(control);
    }
}

/* --- Journals --- */

result_t stores_journal_create(loop_t *loop, metrics_t *metrics, const char *data,
                               control_store_t *control, uint32_t connections, journal_t **journal)
{
    const char *const store = stores_of_role();
    if (!stores_is_postgres(store)) {
        return journal_sqlite_create(loop, metrics, data, journal);
    }
    const journal_postgres_options_t options = {
        .url = store, .connections = connections, .find = journal_find, .find_context = control};
    return journal_postgres_create(loop, metrics, &options, journal);
}

void stores_journal_destroy(journal_t **journal)
{
    if (stores_is_postgres(stores_of_role())) {
        journal_postgres_destroy(journal);
    } else {
        journal_sqlite_destroy(journal);
    }
}

result_t stores_with_place(const char *store, const char *data, text_t tenant,
                           stores_with_place_t *work, void *context)
{
    crypto_key_t master_key;
    control_store_t *control = NULL;
    result_t result = signer_start();
    if (result == RESULT_OK) {
        result = signer_master_key(data, false, &master_key);
    }
    if (result == RESULT_OK) {
        result =
            stores_control_open(store, data, STORES_OPEN, &master_key, NULL, NULL, 0, &control);
        signer_functions.wipe(&master_key, sizeof master_key);
    }
    if (result != RESULT_OK) {
        return result;
    }
    journal_postgres_place_t place;
    result = journal_find(control, tenant, &place);
    if (result == RESULT_OK) {
        result = work(store, &place, tenant, context);
        explicit_bzero(&place, sizeof place);
    }
    stores_control_close(store, &control);
    return result;
}

static result_t verify_postgres(const char *store, const journal_postgres_place_t *place,
                                text_t tenant, void *context)
{
    return journal_postgres_verify(store, place, tenant, true, context);
}

result_t stores_verify(const char *store, const char *data, text_t tenant, char **report)
{
    *report = NULL;
    return stores_is_postgres(store)
               ? stores_with_place(store, data, tenant, verify_postgres, report)
               : journal_sqlite_verify(data, tenant, true, report);
}

static result_t usage_postgres(const char *store, const journal_postgres_place_t *place,
                               text_t tenant, void *context)
{
    stores_usage_t *const usage = context;
    (void)tenant;
    return journal_postgres_usage(store, place, &usage->cards, &usage->bytes);
}

result_t stores_usage(const char *store, const char *data, text_t tenant, stores_usage_t *usage)
{
    return stores_is_postgres(store)
               ? stores_with_place(store, data, tenant, usage_postgres, usage)
               : journal_sqlite_usage(data, tenant, &usage->cards, &usage->bytes);
}

/* --- Schemas --- */

result_t stores_control_schema(const char *store, const char *data, migration_outcome_t *outcome,
                               char *error, size_t error_size)
{
    return stores_is_postgres(store) ? control_postgres_schema(store, outcome, error, error_size)
                                     : control_sqlite_schema(data, outcome);
}

static result_t migrate_postgres(const char *store, const journal_postgres_place_t *place,
                                 text_t tenant, void *context)
{
    (void)tenant;
    return journal_postgres_migrate(store, place, context);
}

result_t stores_migrate(const char *store, const char *data, text_t tenant,
                        migration_outcome_t *outcome)
{
    *outcome = (migration_outcome_t){.known = journal_postgres_schema()};
    return stores_is_postgres(store)
               ? stores_with_place(store, data, tenant, migrate_postgres, outcome)
               : journal_sqlite_migrate(data, tenant, outcome);
}

stores_schemas_t stores_schemas(void)
{
    return (stores_schemas_t){.control_sqlite = control_sqlite_schema_known(),
                              .control_postgres = control_postgres_schema_known(),
                              .journal_sqlite = journal_sqlite_schema(),
                              .journal_postgres = journal_postgres_schema()};
}

/* --- Read models --- */

static result_t projections_find(void *context, text_t tenant, projections_postgres_place_t *to)
{
    control_postgres_place_t from;
    const result_t result = control_postgres_find(context, tenant, &from);
    if (result == RESULT_OK) {
        (void)snprintf(to->database, sizeof to->database, "%s", from.database);
        (void)snprintf(to->role, sizeof to->role, "%s", from.role);
        (void)snprintf(to->password, sizeof to->password, "%s", from.password);
        explicit_bzero(&from, sizeof from);
    }
    return result;
}

result_t stores_projections_create(loop_t *loop, metrics_t *metrics, const char *data,
                                   control_store_t *control, projections_t **projections)
{
    const char *const store = stores_of_role();
    if (!stores_is_postgres(store)) {
        return projections_sqlite_create(loop, metrics, data, projections);
    }
    const projections_postgres_options_t options = {.url = store,
                                                    .directory = data,
                                                    .sessions = connections_of_role().sessions,
                                                    .find = projections_find,
                                                    .find_context = control};
    return projections_postgres_create(loop, metrics, &options, projections);
}

void stores_projections_destroy(projections_t **projections)
{
    if (stores_is_postgres(stores_of_role())) {
        projections_postgres_destroy(projections);
    } else {
        projections_sqlite_destroy(projections);
    }
}

static void models_place_copy(const journal_postgres_place_t *from,
                              projections_postgres_place_t *to)
{
    (void)snprintf(to->database, sizeof to->database, "%s", from->database);
    (void)snprintf(to->role, sizeof to->role, "%s", from->role);
    (void)snprintf(to->password, sizeof to->password, "%s", from->password);
}

typedef struct models_visit {
    projection_row_visit_t *visit;
    void *context;
} models_visit_t;

static result_t export_models(const char *store, const journal_postgres_place_t *from,
                              text_t tenant, void *context)
{
    const models_visit_t *const visit = context;
    projections_postgres_place_t place;
    (void)tenant;
    models_place_copy(from, &place);
    const result_t result =
        projections_postgres_export(store, &place, visit->visit, visit->context);
    explicit_bzero(&place, sizeof place);
    return result;
}

result_t stores_projections_export(const char *store, const char *data, text_t tenant,
                                   projection_row_visit_t *visit, void *context)
{
    models_visit_t models = {visit, context};
    return stores_with_place(store, data, tenant, export_models, &models);
}

static result_t remove_postgres(const char *store, const journal_postgres_place_t *from,
                                text_t tenant, void *context)
{
    (void)tenant;
    (void)context;
    projections_postgres_place_t place;
    models_place_copy(from, &place);
    const result_t result = projections_postgres_remove(store, &place);
    explicit_bzero(&place, sizeof place);
    return result;
}

result_t stores_projections_remove(const char *store, const char *data, text_t tenant)
{
    if (stores_is_postgres(store)) {
        return stores_with_place(store, data, tenant, remove_postgres, NULL);
    }
    projections_sqlite_remove(data, tenant);
    return RESULT_OK;
}
