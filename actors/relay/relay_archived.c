/* What was archived before a read model begins is no event any more, but its sums are: the model
 * takes them over before its first event, page by page, each in one commit with a cursor of its
 * own. A model whose cursor lies below what was archived later lacks those validations, and is made
 * anew. Must not count what the model has counted as events. */
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

typedef struct archived_step {
    relay_model_t *model;
    uint32_t generation; /* of the model when it began */
    projection_commit_t commit;
    projection_counter_t counters[LIMIT_PROJECTION_EVENTS];
    char *gates; /* of the counters */
    /* Of a check: */
    uint32_t partition;
    uint64_t archived_to;
    relay_archived_done_t *done;
    void *context;
} archived_step_t;

static const journal_functions_t *journal_of(const relay_model_t *model)
{
    return model->tenant->relay->ports.journal->functions;
}

static archived_step_t *step_create(relay_model_t *model)
{
    archived_step_t *const step = calloc(1, sizeof(*step));
    if (step != NULL) {
        step->model = model;
        step->generation = model->generation;
    }
    return step;
}

static void step_free(archived_step_t *step)
{
    free(step->gates);
    free(step);
}

/* --- Taking over --- */

static void end_step(archived_step_t *step, result_t result)
{
    relay_model_t *const model = step->model;
    relay_tenant_t *const tenant = model->tenant;
    const bool is_outdated = step->generation != model->generation;
    if (result == RESULT_OK && !is_outdated && step->commit.to.sequence > 0) {
        model->archived = step->commit.to;
    }
    step_free(step);
    tenant->relay->step_count -= 1;
    model->is_stepping = false;
    relay_model_stepped(model, is_outdated ? RESULT_OK : result);
    relay_operation_end(tenant);
}

static void committed(void *context, result_t result)
{
    end_step(context, result);
}

/* What a page points to is gone when its call ends. */
static bool counters_copy(archived_step_t *step, const journal_archived_sums_t *page)
{
    size_t size = 1;
    for (size_t i = 0; i < page->count; i++) {
        size += page->sums[i].gate.size;
    }
    step->gates = malloc(size);
    if (step->gates == NULL) {
        return false;
    }
    char *at = step->gates;
    for (size_t i = 0; i < page->count; i++) {
        const text_t gate = page->sums[i].gate;
        step->counters[i] = page->sums[i];
        step->counters[i].gate = (text_t){.data = at, .size = gate.size};
        if (gate.size > 0) {
            memcpy(at, gate.data, gate.size);
        }
        at += gate.size;
    }
    return true;
}

/* What makes the model begin anew, sooner or later. */
static result_t has_changed(const relay_model_t *model)
{
    log_warn("validations were archived that the read models had not counted: they are made anew",
             LOG_TEXT("tenant", model->tenant->name, model->tenant->name_size));
    return model->is_live ? RESULT_STORE_CORRUPT : RESULT_BUSY;
}

static void page_read(void *context, const journal_archived_sums_t *page)
{
    archived_step_t *const step = context;
    relay_model_t *const model = step->model;
    const uint64_t known = (uint64_t)model->archived.occurred_at;
    if (page->result != RESULT_OK || step->generation != model->generation) {
        end_step(step, page->result);
        return;
    }
    if (page->archived == 0) {
        model->has_archived = true;
        end_step(step, RESULT_OK);
        return;
    }
    if (model->archived.sequence > 0 && page->archived != known) {
        end_step(step, has_changed(model));
        return;
    }
    assert(page->count <= LIMIT_PROJECTION_EVENTS);
    if (!counters_copy(step, page)) {
        end_step(step, RESULT_NO_MEMORY);
        return;
    }
    const bool is_last = page->count < LIMIT_PROJECTION_EVENTS;
    step->commit =
        (projection_commit_t){.partition = PROJECTION_PARTITION_ARCHIVED,
                              .from = model->archived.sequence,
                              .to = {.sequence = is_last ? PROJECTION_ARCHIVED_ALL : page->last,
                                     .occurred_at = (int64_t)page->archived},
                              .counters = step->counters,
                              .counter_count = page->count};
    const result_t result = model->tenant->relay->ports.projections->functions->commit(
        model->handle, &step->commit, committed, step);
    if (result != RESULT_OK) {
        step->commit.to.sequence = 0;
        end_step(step, result);
    }
}

static bool has_begun(const relay_model_t *model)
{
    for (uint32_t i = 0; i < model->tenant->partition_count; i++) {
        if (model->partitions[i].applied.sequence > 0) {
            return true;
        }
    }
    return false;
}

bool relay_archived_step(relay_model_t *model)
{
    relay_tenant_t *const tenant = model->tenant;
    if (model->has_archived || journal_of(model)->read_archived_sums == NULL) {
        return false;
    }
    if (has_begun(model) || model->archived.sequence == PROJECTION_ARCHIVED_ALL) {
        model->has_archived = true;
        return false;
    }
    archived_step_t *const step = step_create(model);
    if (step == NULL) {
        return true; /* the next tick tries again */
    }
    model->is_stepping = true;
    tenant->relay->step_count += 1;
    relay_operation_begin(tenant);
    const result_t result = journal_of(model)->read_archived_sums(
        tenant->journal, model->archived.sequence, LIMIT_PROJECTION_EVENTS, page_read, step);
    if (result != RESULT_OK) {
        end_step(step, result);
    }
    return true;
}

/* --- Checking --- */

static void count_read(void *context, const journal_archived_sums_t *page)
{
    archived_step_t *const step = context;
    relay_model_t *const model = step->model;
    relay_archived_done_t *const done = step->done;
    void *const done_context = step->context;
    result_t result = page->result;
    if (result == RESULT_OK && step->generation == model->generation) {
        const bool is_known = page->archived == (uint64_t)model->archived.occurred_at;
        result = is_known ? RESULT_OK : has_changed(model);
        model->partitions[step->partition].archived_to = step->archived_to;
    }
    step_free(step);
    done(done_context, result);
}

result_t relay_archived_check(relay_model_t *model, uint32_t partition, uint64_t archived_to,
                              relay_archived_done_t *done, void *context)
{
    if (journal_of(model)->read_archived_sums == NULL) {
        return RESULT_STORE_CORRUPT;
    }
    archived_step_t *const step = step_create(model);
    if (step == NULL) {
        return RESULT_NO_MEMORY;
    }
    step->partition = partition;
    step->archived_to = archived_to;
    step->done = done;
    step->context = context;
    const result_t result = journal_of(model)->read_archived_sums(
        model->tenant->journal, PROJECTION_ARCHIVED_ALL, 1, count_read, step);
    if (result != RESULT_OK) {
        step_free(step);
    }
    return result;
}
