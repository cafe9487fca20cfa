/* See the header. On SQLite a running service gives the restored file its name (control socket); on
 * PostgreSQL the control database is written under its own lock, and the service sees it within a
 * second. */
#include "adapters/cli/stores_archive.h"

#include "adapters/cli/control/control_backup.h"
#include "adapters/cli/control/control_client.h"
#include "adapters/control_postgres/control_postgres.h"
#include "adapters/journal_postgres/journal_postgres.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Out --- */

typedef struct visit_target {
    store_row_visit_t *visit;
    void *context;
} visit_target_t;

static result_t export_postgres(const char *store, const journal_postgres_place_t *place,
                                text_t tenant, void *context)
{
    const visit_target_t *const target = context;
    (void)tenant;
    return journal_postgres_export(store, place, target->visit, target->context);
}

result_t stores_export(const char *store, const char *data, text_t tenant, store_row_visit_t *visit,
                       void *context)
{
    visit_target_t target = {visit, context};
    return stores_is_postgres(store)
               ? stores_with_place(store, data, tenant, export_postgres, &target)
               : journal_sqlite_export(data, tenant, visit, context);
}

/* --- In --- */

struct stores_import {
    char *store;
    char *data;
    char tenant[LIMIT_TENANT_NAME_SIZE + 1];
    journal_sqlite_import_t *sqlite;
    control_store_t *control; /* PostgreSQL: holds the place that has no tenant yet */
    journal_postgres_import_t *postgres;
    journal_postgres_place_t place;
    char *lock_path; /* SQLite: of the only one that restores the tenant */
    int lock;        /* -1: not held */
};

/* Two restores of one tenant would fill the same file. The lock goes with the process. */
static result_t restore_lock(stores_import_t *import)
{
    struct stat opened;
    struct stat named;
    const int size =
        asprintf(&import->lock_path, "%s/restore-%s.lock", import->data, import->tenant);
    assert(size > 0);
    import->lock = open(import->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (import->lock < 0) {
        return RESULT_IO;
    }
    const bool is_held = flock(import->lock, LOCK_EX | LOCK_NB) == 0 &&
                         fstat(import->lock, &opened) == 0 &&
                         lstat(import->lock_path, &named) == 0 && opened.st_ino == named.st_ino;
    if (!is_held) {
        (void)close(import->lock);
        import->lock = -1;
    }
    return is_held ? RESULT_OK : RESULT_BUSY;
}

static result_t sqlite_begin(stores_import_t *import, text_t tenant)
{
    const result_t result = restore_lock(import);
    return result == RESULT_OK ? journal_sqlite_import_begin(import->data, tenant, &import->sqlite)
                               : result;
}

static void restore_unlock(stores_import_t *import)
{
    if (import->lock >= 0) {
        (void)unlink(import->lock_path); /* while it is held: nobody else has this one */
        (void)close(import->lock);
    }
    free(import->lock_path);
}

static result_t postgres_begin(stores_import_t *import)
{
    crypto_key_t master_key;
    control_postgres_place_t place;
    result_t result = signer_start();
    if (result == RESULT_OK) {
        result = signer_master_key(import->data, false, &master_key);
    }
    if (result == RESULT_OK) {
        result = stores_control_open(import->store, import->data, STORES_OPEN, &master_key, NULL,
                                     NULL, 0, &import->control);
        signer_functions.wipe(&master_key, sizeof master_key);
    }
    if (result == RESULT_OK) {
        result =
            control_postgres_restore_begin(import->control, text_from_c(import->tenant), &place);
    }
    if (result == RESULT_OK) {
        stores_place_copy(&place, &import->place);
        explicit_bzero(&place, sizeof place);
        result = journal_postgres_import_begin(import->store, &import->place, &import->postgres);
    }
    return result;
}

result_t stores_import_begin(const char *store, const char *data, text_t tenant,
                             stores_import_t **import)
{
    stores_import_t *begun = calloc(1, sizeof *begun);
    assert(begun != NULL && tenant.size <= LIMIT_TENANT_NAME_SIZE);
    begun->store = strdup(store);
    begun->data = strdup(data);
    assert(begun->store != NULL && begun->data != NULL);
    memcpy(begun->tenant, tenant.data, tenant.size);
    begun->lock = -1;
    const result_t result =
        stores_is_postgres(store) ? postgres_begin(begun) : sqlite_begin(begun, tenant);
    if (result != RESULT_OK) {
        stores_import_close(&begun);
        return result;
    }
    *import = begun;
    return RESULT_OK;
}

result_t stores_import_row(stores_import_t *import, const store_row_t *row)
{
    return import->postgres != NULL ? journal_postgres_import_row(import->postgres, row)
                                    : journal_sqlite_import_row(import->sqlite, row);
}

result_t stores_import_finish(stores_import_t *import, char **report)
{
    *report = NULL;
    if (import->postgres == NULL) {
        return journal_sqlite_import_finish(&import->sqlite, report);
    }
    const result_t result = journal_postgres_import_finish(&import->postgres);
    return result == RESULT_OK ? journal_postgres_verify(import->store, &import->place,
                                                         text_from_c(import->tenant), true, report)
                               : result;
}

bool stores_import_adopt(stores_import_t *import, const configuration_t *configuration,
                         const control_tenant_t *tenant)
{
    if (import->control != NULL) {
        control_tenant_t row = *tenant;
        row.created_at = clock_wall_ms(); /* roles tell it from one of that name they knew */
        const result_t result =
            import->control->functions->tenant_adopt(import->control, &row, row.created_at);
        if (result != RESULT_OK) {
            (void)command_fail("the tenant %s cannot be made: %s", import->tenant,
                               result_title(result));
        }
        return result == RESULT_OK;
    }
    json_t *command = control_sealed_json(tenant);
    (void)json_object_set_new(command, "command", json_string("tenant.adopt"));
    json_t *answer = control_client_execute(configuration, command, false);
    json_decref(answer);
    return answer != NULL;
}

void stores_import_close(stores_import_t **import)
{
    if (*import == NULL) {
        return;
    }
    stores_import_t *const closed = *import;
    *import = NULL;
    journal_sqlite_import_abandon(&closed->sqlite);
    journal_postgres_import_abandon(&closed->postgres);
    if (closed->control != NULL) {
        control_postgres_restore_abandon(closed->control);
        stores_control_close(closed->store, &closed->control);
    }
    restore_unlock(closed);
    explicit_bzero(&closed->place, sizeof closed->place);
    free(closed->store);
    free(closed->data);
    free(closed);
}
