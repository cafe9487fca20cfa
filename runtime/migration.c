/* See the header. */
#include "runtime/migration.h"
#include "runtime/clock.h"
#include "runtime/log.h"

result_t migration_compare(const migration_t *migration, uint64_t version, bool *is_behind)
{
    *is_behind = version < migration->step_count;
    if (version <= migration->step_count) {
        return RESULT_OK;
    }
    log_error("the store was written by a newer version of this program: run that one",
              LOG_STRING("store", migration->store), LOG_STRING("where", migration->where),
              LOG_NUMBER("schema", version), LOG_NUMBER("schema_known", migration->step_count));
    return RESULT_SCHEMA_TOO_NEW;
}

/* One step, or none: `is_behind` tells whether there was one to take. */
static result_t step_take(const migration_t *migration, const migration_functions_t *functions,
                          void *context, uint64_t *version, bool *is_behind)
{
    const uint64_t began_ms = clock_monotonic_ms();
    result_t result = functions->lock(context);
    if (result != RESULT_OK) {
        return result;
    }
    result = functions->version(context, version);
    if (result == RESULT_OK) {
        result = migration_compare(migration, *version, is_behind);
    }
    if (result == RESULT_OK && *is_behind) {
        result = functions->apply(context, migration->steps[*version], *version + 1);
        if (result == RESULT_OK) {
            result = functions->commit(context);
        }
        if (result == RESULT_OK && *version > 0) { /* a new store is no news */
            log_info("the schema of a store was brought up to date",
                     LOG_STRING("store", migration->store), LOG_STRING("where", migration->where),
                     LOG_NUMBER("from", *version), LOG_NUMBER("to", *version + 1),
                     LOG_NUMBER("took_ms", clock_monotonic_ms() - began_ms));
        }
    }
    functions->undo(context);
    return result;
}

result_t migration_run(const migration_t *migration, const migration_functions_t *functions,
                       void *context, migration_outcome_t *outcome)
{
    migration_outcome_t seen = {.known = migration->step_count};
    /* Once more than there are steps, to see that none is left. */
    for (uint64_t i = 0; i <= migration->step_count; i++) {
        uint64_t version = 0;
        bool is_behind = false;
        const result_t result = step_take(migration, functions, context, &version, &is_behind);
        seen.found = i == 0 ? version : seen.found;
        if (outcome != NULL) {
            *outcome = seen;
        }
        if (result != RESULT_OK || !is_behind) {
            return result;
        }
    }
    return RESULT_OK;
}
