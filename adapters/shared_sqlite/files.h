/* A database file as all adapters treat it: what an opened one may make SQLite do, single numbers
 * read from it, and how it goes with everything that SQLite keeps beside it. */
#ifndef ADAPTERS_SHARED_SQLITE_FILES_H
#define ADAPTERS_SHARED_SQLITE_FILES_H

#include <sqlite3.h>
#include <stdint.h>

/* Switches off what a hostile or damaged file may make SQLite do: triggers, views, functions with
 * side effects in the schema, strings in double quotes. Waits `busy_ms` for a lock. */
void database_harden(sqlite3 *database, int busy_ms);
/* The first column of the first row of `sql` (a pragma, a count). SQLITE_OK, or the code that the
 * adapter gives a meaning to; SQLITE_DONE when there was no row. */
int database_number_read(sqlite3 *database, const char *sql, int64_t *number);
/* Removes what stands beside a database file. SQLite would take the log of one that is gone for the
 * log of the next one of that name. */
void database_companions_remove(const char *path);
/* And then the file itself: without its log it is what it was at the last checkpoint. */
void database_files_remove(const char *path);

#endif
