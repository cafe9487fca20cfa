/* A journal that says yes and keeps nothing: for yardsticks of what is in memory. */
#include "bench/cards/card_bench.h"

#include <stdlib.h>

enum { CALLS_MAX = 4096 };

typedef struct call {
    journal_opened_done_t *opened;
    journal_batch_done_t *batch;
    journal_loaded_done_t *loaded;
    journal_due_done_t *due;
    journal_reminders_done_t *reminders;
    void *context;
} call_t;

typedef struct journal_nothing {
    journal_t base; /* first */
    loop_timer_t *timer;
    call_t calls[CALLS_MAX]; /* a ring */
    uint32_t first;
    uint32_t count;
} journal_nothing_t;

struct journal_tenant {
    journal_nothing_t *journal;
};

static void run(const call_t *call, journal_nothing_t *journal)
{
    static const journal_partition_t partition = {.epoch = 1};
    if (call->opened != NULL) {
        journal_tenant_t *const tenant = calloc(1, sizeof(*tenant));
        card_bench_must(tenant == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
        tenant->journal = journal;
        call->opened(
            call->context,
            &(journal_opened_t){.tenant = tenant, .partition_count = 1, .partitions = &partition});
    } else if (call->batch != NULL) {
        call->batch(call->context, RESULT_OK);
    } else if (call->loaded != NULL) {
        call->loaded(call->context, &(journal_loaded_t){0});
    } else if (call->reminders != NULL) {
        call->reminders(call->context, &(journal_reminders_t){0});
    } else {
        call->due(call->context, &(journal_due_t){0});
    }
}

static void run_all(void *context)
{
    journal_nothing_t *const journal = context;
    const uint32_t count = journal->count;
    for (uint32_t index = 0; index < count; index++) {
        const call_t call = journal->calls[journal->first];
        journal->first = (journal->first + 1) % CALLS_MAX;
        journal->count--;
        run(&call, journal);
    }
}

static result_t add(journal_nothing_t *journal, call_t call)
{
    if (journal->count == CALLS_MAX) {
        return RESULT_BUSY;
    }
    journal->calls[(journal->first + journal->count) % CALLS_MAX] = call;
    journal->count++;
    loop_timer_start(journal->timer, 0, 0);
    return RESULT_OK;
}

static result_t open_tenant(journal_t *journal, text_t tenant, text_t incarnation,
                            journal_opened_done_t *done, void *context)
{
    (void)tenant;
    (void)incarnation;
    return add((journal_nothing_t *)journal, (call_t){.opened = done, .context = context});
}

static void close_tenant(journal_t *journal, journal_tenant_t **tenant)
{
    (void)journal;
    free(*tenant);
    *tenant = NULL;
}

static result_t append(journal_tenant_t *tenant, const journal_batch_t *batch,
                       journal_batch_done_t *done, void *context)
{
    (void)batch;
    return add(tenant->journal, (call_t){.batch = done, .context = context});
}

static result_t load(journal_tenant_t *tenant, const journal_load_t *load,
                     journal_loaded_done_t *done, void *context)
{
    (void)load;
    return add(tenant->journal, (call_t){.loaded = done, .context = context});
}

static result_t due(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                    journal_due_done_t *done, void *context)
{
    (void)now_ms;
    (void)limit;
    return add(tenant->journal, (call_t){.due = done, .context = context});
}

static result_t reminders(journal_tenant_t *tenant, int64_t now_ms, uint32_t limit,
                          journal_reminders_done_t *done, void *context)
{
    (void)now_ms;
    (void)limit;
    return add(tenant->journal, (call_t){.reminders = done, .context = context});
}

static result_t clean(journal_tenant_t *tenant, int64_t before_ms, journal_batch_done_t *done,
                      void *context)
{
    (void)before_ms;
    return add(tenant->journal, (call_t){.batch = done, .context = context});
}

static const journal_functions_t functions = {
    .open = open_tenant,
    .close = close_tenant,
    .append = append,
    .load = load,
    .due = due,
    .reminders = reminders,
    .clean = clean,
};

journal_t *card_bench_journal_nothing_create(loop_t *loop)
{
    journal_nothing_t *const journal = calloc(1, sizeof(*journal));
    card_bench_must(journal == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
    journal->base.functions = &functions;
    journal->timer = loop_timer_create(loop, run_all, journal);
    return &journal->base;
}

void card_bench_journal_nothing_destroy(journal_t **journal)
{
    journal_nothing_t *const destroyed = (journal_nothing_t *)*journal;
    loop_timer_destroy(&destroyed->timer);
    free(destroyed);
    *journal = NULL;
}
