/* Read models of one tenant as the list of their commits: what is asked is worked out by going
 * through all of them. Slow and plain on purpose: it is what the contract and the simulator hold
 * real implementations and the relay against, and losing the last commits is cutting the list. */
#ifndef TESTS_SUPPORT_PROJECTIONS_LOG_H
#define TESTS_SUPPORT_PROJECTIONS_LOG_H

#include "actors/ports/projections.h"

enum { PROJECTIONS_LOG_CURSOR_SIZE = 64 };

typedef struct projections_log projections_log_t;

projections_log_t *projections_log_create(void);
void projections_log_destroy(projections_log_t **log);
void projections_log_clear(projections_log_t *log);
size_t projections_log_count(const projections_log_t *log);
/* Forgets all commits but the first `count`. */
void projections_log_cut(projections_log_t *log, size_t count);

void projections_log_cursors(const projections_log_t *log,
                             projection_cursor_t cursors[LIMIT_PARTITIONS + 1], bool *is_complete);
result_t projections_log_commit(projections_log_t *log, const projection_commit_t *commit);
/* Texts point into the log. */
void projections_log_load(const projections_log_t *log, const uuid_t *cards, size_t count,
                          text_t *bodies, projection_position_t *positions);
/* `rows` has room for list->limit. */
result_t projections_log_list(const projections_log_t *log, const projections_list_t *list,
                              projection_row_t *rows, size_t *count,
                              char cursor[PROJECTIONS_LOG_CURSOR_SIZE]);
/* `rows` is malloc. */
void projections_log_counters(const projections_log_t *log,
                              const projections_counters_query_t *query,
                              projection_counter_t **rows, size_t *count,
                              int64_t levels[PROJECTION_LEVELS_MAX]);
void projections_log_forget(projections_log_t *log, text_t member_id);

#endif
