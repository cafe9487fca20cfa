/* actors/ports/projections.h on SQLite: DIR/tenants/NAME.read.db, beside the journal that it is the
 * fold of. WAL, synchronous=NORMAL: a loss of power may take the last commits, which are then made
 * anew from the journal. */
#ifndef ADAPTERS_PROJECTIONS_SQLITE_PROJECTIONS_SQLITE_H
#define ADAPTERS_PROJECTIONS_SQLITE_PROJECTIONS_SQLITE_H

#include "actors/ports/projections.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

/* `metrics` may be NULL. Threads: LIMIT_PROJECTION_THREADS, made here. */
MUST_USE result_t projections_sqlite_create(loop_t *loop, metrics_t *metrics,
                                            const char *data_directory,
                                            projections_t **projections);
void projections_sqlite_destroy(projections_t **projections); /* all tenants must be closed */

/* Removes the read models of a tenant. Only when no relay runs: the next one makes them anew. */
void projections_sqlite_remove(const char *data_directory, text_t tenant);

/* `store verify`: are the read models of a tenant the fold of its events up to their cursors? The
 * fold is made anew in a temporary database and compared row by row, in bounded memory. Reads the
 * live file only, in one read transaction that begins before the journal's. Blocks. */
typedef struct projections_sqlite_check projections_sqlite_check_t;

/* MISSING: there are none, or of another format, which the relay makes anew. STORE_*. */
MUST_USE result_t projections_sqlite_check_begin(const char *data_directory, text_t tenant,
                                                 projections_sqlite_check_t **check);
/* Every event of the journal, partition by partition in order. STORE_CORRUPT: one cannot follow. */
MUST_USE result_t projections_sqlite_check_event(projections_sqlite_check_t *check,
                                                 const event_t *event);

/* So many validations before that moment (the beginning of a day) are gone from the journal. Unless
 * the journal has the sums of them all, rollups from before are left alone: those of an archive
 * that an older program made are in read models only. */
void projections_sqlite_check_archived(projections_sqlite_check_t *check, int64_t before_ms,
                                       uint64_t events);
/* One number of what they add up to. */
MUST_USE result_t projections_sqlite_check_sum(projections_sqlite_check_t *check,
                                               const projection_counter_t *sum);

typedef struct projections_sqlite_checked {
    uint64_t events;   /* folded */
    uint64_t problems; /* at most LIMIT_STORE_VERIFY_PROBLEMS per question are counted */
    char first[128];   /* what the first of them is about */
    char found[128];
} projections_sqlite_checked_t;
/* Frees the check in any case. With an error of before: `checked` may be NULL. */
MUST_USE result_t projections_sqlite_check_finish(projections_sqlite_check_t **check,
                                                  projections_sqlite_checked_t *checked);

/* Read models of another store, to be checked the same way: its rows go into a file of their own in
 * the data directory, which is gone afterwards. */
typedef struct projections_sqlite_copy projections_sqlite_copy_t;
MUST_USE result_t projections_sqlite_copy_begin(const char *data_directory,
                                                projections_sqlite_copy_t **copy);
MUST_USE result_t projections_sqlite_copy_row(projections_sqlite_copy_t *copy,
                                              projection_table_t table, const store_value_t *values,
                                              uint32_t count);
/* All rows are in. Frees the copy in any case. */
MUST_USE result_t projections_sqlite_copy_check(projections_sqlite_copy_t **copy,
                                                projections_sqlite_check_t **check);
void projections_sqlite_copy_abandon(projections_sqlite_copy_t **copy);

#endif
