/* What archived validations add up to: rows of events (ports/store_rows.h) as a retention takes
 * them out of a journal, folded to counters of the rollups (projection_fold.h). Whoever archives
 * keeps the counters in the journal, so that read models that are made anew have them. Pure but for
 * `store`; memory is bounded by one batch. */
#ifndef ACTORS_RELAY_ARCHIVED_SUMS_H
#define ACTORS_RELAY_ARCHIVED_SUMS_H

#include "actors/ports/projections.h"
#include "actors/ports/store_rows.h"

/* Counters of one batch, none twice: to be added to what is stored. */
typedef result_t archived_sums_store_t(void *context, const projection_counter_t *counters,
                                       size_t count);

typedef struct archived_sums archived_sums_t;

archived_sums_t *archived_sums_create(archived_sums_store_t *store, void *context);
/* A store_row_visit_t whose context is the sums. Rows of other tables are passed over.
 * STORE_CORRUPT: an event that cannot be read, or is no validation. */
MUST_USE result_t archived_sums_row(void *sums, const store_row_t *row);
/* Stores the last batch. */
MUST_USE result_t archived_sums_finish(archived_sums_t *sums);
void archived_sums_destroy(archived_sums_t **sums);

/* The event of a row; its data lives in `arena` and in the row. False when it cannot be read. */
enum { STORE_ROW_EVENT_ROOM = 1024 }; /* event_data has no lists; room for those of later ones */
MUST_USE bool event_from_store_row(const store_row_t *row, arena_t *arena, event_t *event);

#endif
