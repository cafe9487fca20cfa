/* Arguments and columns of a SQLite statement: see the header. */
#include "adapters/shared_sqlite/statements.h"
#include <assert.h>

void bind_integer(sqlite3_stmt *statement, int index, int64_t value)
{
    const int code = sqlite3_bind_int64(statement, index, value);
    assert(code == SQLITE_OK || statement == NULL);
}

void bind_text(sqlite3_stmt *statement, int index, text_t value)
{
    const char *const data = value.data == NULL ? "" : value.data;
    const int code =
        sqlite3_bind_text64(statement, index, data, value.size, SQLITE_STATIC, SQLITE_UTF8);
    assert(code == SQLITE_OK || statement == NULL);
}

void bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    const int code =
        sqlite3_bind_blob64(statement, index, data == NULL ? "" : data, size, SQLITE_STATIC);
    assert(code == SQLITE_OK || statement == NULL);
}

void bind_bytes(sqlite3_stmt *statement, int index, text_t value)
{
    bind_blob(statement, index, value.data, value.size);
}

text_t column_bytes(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return (text_t){.data = data, .size = (size_t)sqlite3_column_bytes(statement, column)};
}

uint64_t column_unsigned(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

bool column_uuid(sqlite3_stmt *statement, int column, uuid_t *uuid)
{
    const text_t bytes = column_bytes(statement, column);
    if (bytes.size != sizeof uuid->bytes) {
        return false;
    }
    memcpy(uuid->bytes, bytes.data, sizeof uuid->bytes);
    return true;
}

void statement_done(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}
