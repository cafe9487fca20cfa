/* Arguments and columns of a SQLite statement. Arguments are borrowed until statement_done; what
 * points into a row is valid until the next step. Binding fails only for a bug, which asserts; a
 * statement that could not be prepared (NULL) is left alone here, and its first step says why. */
#ifndef ADAPTERS_SHARED_SQLITE_STATEMENTS_H
#define ADAPTERS_SHARED_SQLITE_STATEMENTS_H

#include "messages/text.h"
#include "messages/uuid.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

void bind_integer(sqlite3_stmt *statement, int index, int64_t value);
void bind_text(sqlite3_stmt *statement, int index, text_t value);                  /* never NULL */
void bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size); /* never NULL */
void bind_bytes(sqlite3_stmt *statement, int index, text_t value);                 /* as a blob */
text_t column_bytes(sqlite3_stmt *statement, int column);
uint64_t column_unsigned(sqlite3_stmt *statement, int column);
bool column_uuid(sqlite3_stmt *statement, int column, uuid_t *uuid); /* false: not 16 bytes */
/* Resets the statement and drops its borrowed arguments. */
void statement_done(sqlite3_stmt *statement);

#endif
