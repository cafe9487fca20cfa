/* Whose journal a file is: its name can be changed by a copy, what is written inside cannot be by
 * accident. Must not decide what to do with a file that is another tenant's. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"

result_t owner_write(connection_t *connection, text_t tenant)
{
    sqlite3_stmt *statement = NULL;
    const result_t result = connection_statement(connection, STATEMENT_meta_put, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_text(statement, 1, tenant);
    return statement_finish(connection, statement);
}

result_t owner_check(connection_t *connection, text_t tenant)
{
    sqlite3_stmt *statement = NULL;
    result_t result = connection_statement(connection, STATEMENT_meta_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bool row = false;
    result = statement_next(connection, statement, &row);
    if (result != RESULT_OK) {
        return result;
    }
    const text_t found = row ? column_bytes(statement, 0) : TEXT_NONE;
    if (!row || !text_equal(found, tenant)) {
        log_error("the journal is another tenant's: the file was copied or renamed; put each file "
                  "back under the name of its tenant, or restore this one from a backup",
                  LOG_STRING("file", connection->path), LOG_TEXT("found", found.data, found.size),
                  LOG_TEXT("expected", tenant.data, tenant.size));
        result = RESULT_STORE_CORRUPT;
    }
    statement_done(statement);
    return result;
}
