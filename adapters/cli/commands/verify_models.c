/* `store verify` of read models: feeds the events of a journal, as a backup would get them, to the
 * adapter that compares. */
#include "adapters/cli/commands/verify_models.h"

#include "actors/relay/archived_sums.h"
#include "adapters/cli/stores.h"
#include "adapters/cli/stores_archive.h"
#include "adapters/projections_sqlite/projections_sqlite.h"
#include "messages/arena.h"
#include <stddef.h>

typedef struct feed {
    projections_sqlite_check_t *check;
} feed_t;

static projection_counter_t sum_of(const store_row_t *row)
{
    return (projection_counter_t){.series = (uint8_t)row->values[0].number,
                                  .grain = (uint8_t)row->values[1].number,
                                  .start = row->values[2].number,
                                  .kind = (uint16_t)row->values[3].number,
                                  .gate = row->values[4].bytes,
                                  .count = row->values[5].number};
}

static result_t event_feed(void *context, const store_row_t *row)
{
    feed_t *const feed = context;
    _Alignas(max_align_t) uint8_t memory[STORE_ROW_EVENT_ROOM];
    arena_t arena = {.base = memory, .size = sizeof memory};
    event_t event = {0};
    if (row->table == STORE_TABLE_archive) {
        projections_sqlite_check_archived(feed->check, row->values[0].number,
                                          (uint64_t)row->values[2].number);
    }
    if (row->table == STORE_TABLE_archived_sum) {
        const projection_counter_t sum = sum_of(row);
        return projections_sqlite_check_sum(feed->check, &sum);
    }
    if (row->table != STORE_TABLE_event) {
        return RESULT_OK;
    }
    return event_from_store_row(row, &arena, &event)
               ? projections_sqlite_check_event(feed->check, &event)
               : RESULT_STORE_CORRUPT; /* the check of the journal names it */
}

static result_t row_copy(void *context, projection_table_t table, const store_value_t *values,
                         uint32_t count)
{
    return projections_sqlite_copy_row(context, table, values, count);
}

/* The read models as they are now; events are read afterwards, so that none is missing. */
static result_t check_begin(const char *store, const char *data, text_t tenant,
                            projections_sqlite_check_t **check)
{
    if (!stores_is_postgres(store)) {
        return projections_sqlite_check_begin(data, tenant, check);
    }
    projections_sqlite_copy_t *copy = NULL;
    result_t result = projections_sqlite_copy_begin(data, &copy);
    if (result != RESULT_OK) {
        return result;
    }
    result = stores_projections_export(store, data, tenant, row_copy, copy);
    if (result != RESULT_OK) {
        projections_sqlite_copy_abandon(&copy);
        return result;
    }
    return projections_sqlite_copy_check(&copy, check);
}

static result_t check_run(const char *store, const char *data, text_t tenant,
                          projections_sqlite_checked_t *checked)
{
    feed_t feed = {0};
    result_t result = check_begin(store, data, tenant, &feed.check);
    if (result != RESULT_OK) {
        return result;
    }
    result = stores_export(store, data, tenant, event_feed, &feed);
    if (result != RESULT_OK) {
        const result_t ended = projections_sqlite_check_finish(&feed.check, NULL);
        (void)ended;
        return result;
    }
    return projections_sqlite_check_finish(&feed.check, checked);
}

result_t models_verify(const char *store, const char *data, text_t tenant, json_t *report)
{
    projections_sqlite_checked_t checked = {0};
    const result_t result = check_run(store, data, tenant, &checked);
    json_t *models = NULL;
    if (result == RESULT_MISSING) {
        models = json_pack("{s:s}", "result", "none");
    } else if (result != RESULT_OK) {
        models = json_pack("{s:s}", "result", result_code(result));
    } else if (checked.problems > 0) {
        models =
            json_pack("{s:s,s:I,s:I,s:s,s:s,s:s}", "result", "damaged", "events",
                      (json_int_t)checked.events, "problem_count", (json_int_t)checked.problems,
                      "check", checked.first, "found", checked.found, "do", "store rebuild all");
    } else {
        models = json_pack("{s:s,s:I}", "result", "ok", "events", (json_int_t)checked.events);
    }
    (void)json_object_set_new(report, "read_models", models);
    if (result == RESULT_MISSING) {
        return RESULT_OK;
    }
    return result == RESULT_OK && checked.problems > 0 ? RESULT_STORE_CORRUPT : result;
}
