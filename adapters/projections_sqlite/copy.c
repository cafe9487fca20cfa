/* Read models of another store, copied into a file of this one so that they can be checked like its
 * own (check.c). The file has no name any more as soon as it is open for that. Blocks. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct projections_sqlite_copy {
    model_database_t database;
    char *path;
    sqlite3_stmt *statements[PROJECTION_TABLES];
};

static const struct {
    const char *sql;
    const char *kinds; /* t: text */
} tables[PROJECTION_TABLES] = {
    [PROJECTION_TABLE_cursor] = {"INSERT INTO cursor (partition, sequence, event_id, occurred_at) "
                                 "VALUES (?1, ?2, ?3, ?4)",
                                 "iibi"},
    [PROJECTION_TABLE_card] = {"INSERT INTO card (id, issued_at, issue_event, member_id, tier, "
                               "status, expires_at, words, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                               "?7, x'', ?8)",
                               "biittiib"},
    [PROJECTION_TABLE_word] = {"INSERT INTO word (word, issued_at, issue_event, card) VALUES (?1, "
                               "?2, ?3, coalesce((SELECT number FROM card WHERE issued_at = ?2 "
                               "AND issue_event = ?3), 0))",
                               "iii"},
    [PROJECTION_TABLE_counter] = {"INSERT INTO counter (series, grain, start, kind, gate, count) "
                                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                  "iiiiti"},
};

static result_t schema_make(model_database_t *database)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %zu",
                   MODEL_APPLICATION_ID, projections_sqlite_migrations_count);
    result_t result = model_database_execute(
        database, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
    for (size_t i = 0; result == RESULT_OK && i < projections_sqlite_migrations_count; i++) {
        result = model_database_execute(database, projections_sqlite_migrations[i]);
    }
    return result == RESULT_OK ? model_database_execute(database, sql) : result;
}

result_t projections_sqlite_copy_begin(const char *data_directory, projections_sqlite_copy_t **copy)
{
    projections_sqlite_copy_t *begun = calloc(1, sizeof *begun);
    assert(begun != NULL);
    const int size = asprintf(&begun->path, "%s/verify-XXXXXX", data_directory);
    assert(size > 0);
    begun->database.path = "the read models that are checked";
    const int file = mkstemp(begun->path); /* mode 0600 */
    if (file < 0) {
        free(begun->path);
        free(begun);
        return RESULT_IO;
    }
    (void)close(file);
    const int code =
        sqlite3_open_v2(begun->path, &begun->database.handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    const result_t result = code == SQLITE_OK
                                ? schema_make(&begun->database)
                                : model_database_error(&begun->database, code, "open");
    if (result != RESULT_OK) {
        projections_sqlite_copy_abandon(&begun);
        return result;
    }
    *copy = begun;
    return RESULT_OK;
}

result_t projections_sqlite_copy_row(projections_sqlite_copy_t *copy, projection_table_t table,
                                     const store_value_t *values, uint32_t count)
{
    sqlite3_stmt **const statement = &copy->statements[table];
    const char *const kinds = tables[table].kinds;
    if (*statement == NULL) {
        const int code =
            sqlite3_prepare_v2(copy->database.handle, tables[table].sql, -1, statement, NULL);
        if (code != SQLITE_OK) {
            return model_database_error(&copy->database, code, tables[table].sql);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (kinds[i] == 'i') {
            bind_integer(*statement, (int)i + 1, values[i].number);
        } else if (kinds[i] == 't') {
            bind_text(*statement, (int)i + 1, values[i].bytes);
        } else {
            bind_blob(*statement, (int)i + 1, values[i].bytes.data, values[i].bytes.size);
        }
    }
    return model_finish(&copy->database, *statement);
}

static void copy_close(projections_sqlite_copy_t *copy)
{
    for (size_t i = 0; i < PROJECTION_TABLES; i++) {
        (void)sqlite3_finalize(copy->statements[i]);
        copy->statements[i] = NULL;
    }
    if (copy->database.handle != NULL) {
        const int closed = sqlite3_close(copy->database.handle);
        assert(closed == SQLITE_OK);
        copy->database.handle = NULL;
    }
}

result_t projections_sqlite_copy_check(projections_sqlite_copy_t **copy,
                                       projections_sqlite_check_t **check)
{
    result_t result = model_database_execute(&(*copy)->database, "COMMIT");
    copy_close(*copy);
    if (result == RESULT_OK) {
        result = projection_check_open((*copy)->path, check);
    }
    projections_sqlite_copy_abandon(copy);
    return result;
}

void projections_sqlite_copy_abandon(projections_sqlite_copy_t **copy)
{
    if (*copy == NULL) {
        return;
    }
    copy_close(*copy);
    (void)unlink((*copy)->path);
    free((*copy)->path);
    free(*copy);
    *copy = NULL;
}
