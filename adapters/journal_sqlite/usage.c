/* What the quotas of a tenant count, read beside a running service. Must not write. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include <stdlib.h>

static result_t sum_read(connection_t *reader, int64_t *cards, int64_t *bytes)
{
    sqlite3_stmt *sum = NULL;
    int code = sqlite3_prepare_v2(
        reader->database, "SELECT total(cards), total(bytes) FROM partition", -1, &sum, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(sum);
    }
    if (code == SQLITE_ROW) {
        *cards = sqlite3_column_int64(sum, 0);
        *bytes = sqlite3_column_int64(sum, 1);
    }
    const result_t result =
        code == SQLITE_ROW ? RESULT_OK : connection_error(reader, code, "reading what is in use");
    (void)sqlite3_finalize(sum);
    return result;
}

result_t journal_sqlite_usage(const char *data_directory, text_t tenant, int64_t *cards,
                              int64_t *bytes)
{
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    connection_t reader = {0};
    char *path = tenant_path(data_directory, tenant);
    result_t result = connection_open(&reader, path, CONNECTION_READONLY);
    free(path);
    if (result == RESULT_OK) {
        result = sum_read(&reader, cards, bytes);
        connection_close(&reader, false);
    }
    return result;
}
