/* A journal that lives as long as the test. Rows are copied one by one with malloc, so that ASan
 * sees every use of memory that was only borrowed. */
#include "tests/support/journal_fake_internal.h"
#include <assert.h>
#include <stdlib.h>

typedef struct fault {
    result_t result;
    uint32_t count;
} fault_t;

struct journal_fake {
    journal_t journal; /* first */
    loop_t *loop;
    fake_tenant_t *tenants[TENANTS_MAX];
    uint32_t tenant_count;
    journal_tenant_t *handles;
    job_t *jobs_first;
    job_t **jobs_last;
    fault_t fail_appends;
    fault_t fail_loads;
    fault_t fail_opens;
    fault_t refuse_appends;
    bool hold_appends;
    bool hold_loads;
    uint32_t released;
    bool is_pumping;
    uint8_t *arena;
};

/* --- Rows --- */

static char *copy_bytes(text_t text)
{
    char *copy = malloc(text.size + 1);
    assert(copy != NULL);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    copy[text.size] = '\0';
    return copy;
}

static fake_row_t *add_row(fake_table_t *table, text_t bytes)
{
    assert(table->count < ROWS_MAX);
    fake_row_t *row = calloc(1, sizeof(*row));
    assert(row != NULL);
    row->bytes = copy_bytes(bytes);
    row->size = bytes.size;
    table->rows[table->count] = row;
    table->count++;
    return row;
}

static void free_row(fake_row_t *row)
{
    free(row->bytes);
    free(row->name);
    free(row);
}

static void remove_row(fake_table_t *table, size_t index)
{
    free_row(table->rows[index]);
    table->count--;
    memmove(&table->rows[index], &table->rows[index + 1],
            (table->count - index) * sizeof(table->rows[0]));
}

static void free_table(fake_table_t *table)
{
    while (table->count > 0) {
        remove_row(table, table->count - 1);
    }
}

fake_row_t *row_by_name(const fake_table_t *table, text_t name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (text_equal(text_from_c(table->rows[i]->name), name)) {
            return table->rows[i];
        }
    }
    return NULL;
}

static fake_row_t *row_by_card(const fake_table_t *table, const uuid_t *card)
{
    for (size_t i = 0; i < table->count; i++) {
        if (uuid_equal(&table->rows[i]->card, card)) {
            return table->rows[i];
        }
    }
    return NULL;
}

/* --- Tenants --- */

fake_tenant_t *fake_tenant_find(journal_fake_t *fake, text_t name)
{
    for (uint32_t i = fake->tenant_count; i > 0; i--) { /* the latest of a name */
        if (text_equal(text_from_c(fake->tenants[i - 1]->name), name)) {
            return fake->tenants[i - 1];
        }
    }
    return NULL;
}

static fake_tenant_t *must_find(journal_fake_t *fake, const char *name)
{
    fake_tenant_t *const tenant = fake_tenant_find(fake, text_from_c(name));
    assert(tenant != NULL);
    return tenant;
}

void journal_fake_add_tenant(journal_fake_t *fake, const char *name, uint32_t partitions)
{
    assert(fake->tenant_count < TENANTS_MAX);
    assert(partitions >= 1 && partitions <= LIMIT_PARTITIONS);
    fake_tenant_t *tenant = calloc(1, sizeof(*tenant));
    assert(tenant != NULL);
    memcpy(tenant->name, name, strlen(name));
    tenant->partition_count = partitions;
    fake->tenants[fake->tenant_count] = tenant;
    fake->tenant_count++;
}

/* --- Jobs --- */

static void pump(void *context);

static void schedule(journal_fake_t *fake)
{
    if (!fake->is_pumping) {
        fake->is_pumping = true;
        loop_post(fake->loop, pump, fake);
    }
}

job_t *add_job(journal_fake_t *fake, job_kind_t kind, journal_tenant_t *handle, void *context)
{
    job_t *job = calloc(1, sizeof(*job));
    assert(job != NULL);
    assert(handle == NULL || !handle->is_closed);
    job->kind = kind;
    job->handle = handle;
    job->context = context;
    *fake->jobs_last = job;
    fake->jobs_last = &job->next;
    schedule(fake);
    return job;
}

static result_t take_fault(fault_t *fault)
{
    if (fault->count == 0) {
        return RESULT_OK;
    }
    fault->count--;
    return fault->result;
}

static bool is_held(journal_fake_t *fake, const job_t *job)
{
    if (job->crashed != RESULT_OK) {
        return false;
    }
    if (job->kind == JOB_APPEND && fake->hold_appends) {
        if (fake->released == 0) {
            return true;
        }
        fake->released--;
        return false;
    }
    return job->kind == JOB_LOAD && fake->hold_loads;
}

/* --- open, close --- */

static void run_open(journal_fake_t *fake, job_t *job)
{
    journal_opened_t opened = {.result = take_fault(&fake->fail_opens)};
    if (job->crashed != RESULT_OK) {
        opened.result = job->crashed;
    } else if (opened.result == RESULT_OK && job->tenant == NULL) {
        opened.result = RESULT_MISSING;
    }
    if (opened.result == RESULT_OK) {
        journal_tenant_t *handle = calloc(1, sizeof(*handle));
        assert(handle != NULL);
        handle->functions = fake->journal.functions;
        handle->fake = fake;
        handle->tenant = job->tenant;
        handle->is_readonly = job->is_readonly;
        handle->next = fake->handles;
        fake->handles = handle;
        for (uint32_t i = 0; i < job->tenant->partition_count && !job->is_readonly; i++) {
            job->tenant->partitions[i].epoch++;
        }
        job->tenant->numbers.opens++;
        job->tenant->numbers.is_open = true;
        opened.tenant = handle;
        opened.partition_count = job->tenant->partition_count;
        opened.partitions = job->tenant->partitions;
    }
    job->opened(job->context, &opened);
}

static result_t open_for(journal_t *journal, text_t tenant, bool is_readonly,
                         journal_opened_done_t *done, void *context)
{
    journal_fake_t *const fake = (journal_fake_t *)journal;
    job_t *const job = add_job(fake, JOB_OPEN, NULL, context);
    job->tenant = fake_tenant_find(fake, tenant);
    job->is_readonly = is_readonly;
    job->opened = done;
    return RESULT_OK;
}

static result_t fake_open(journal_t *journal, text_t tenant, text_t incarnation,
                          journal_opened_done_t *done, void *context)
{
    assert(incarnation.size > 0);
    return open_for(journal, tenant, false, done, context);
}

static result_t fake_open_readonly(journal_t *journal, text_t tenant, journal_opened_done_t *done,
                                   void *context)
{
    return open_for(journal, tenant, true, done, context);
}

static void fake_close(journal_t *journal, journal_tenant_t **tenant)
{
    (void)journal;
    (*tenant)->is_closed = true;
    (*tenant)->tenant->numbers.closes++;
    (*tenant)->tenant->numbers.is_open = false;
    *tenant = NULL; /* freed with the fake: jobs may still name it */
}

/* --- append --- */

static void store_events(fake_tenant_t *tenant, const journal_batch_t *batch, uint8_t *arena_base)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        const journal_event_t *const given = &batch->events[i];
        fake_row_t *const row = add_row(&tenant->events, given->body);
        row->card = given->card;
        row->partition = batch->partition;
        row->number = batch->head + i + 1;
        row->name = copy_bytes(given->traceparent);
        event_t *const event = &row->event;
        MESSAGE_SET(event, event, event_id, given->event_id);
        MESSAGE_SET(event, event, tenant, text_from_c(tenant->name));
        MESSAGE_SET(event, event, partition, batch->partition);
        MESSAGE_SET(event, event, sequence, row->number);
        MESSAGE_SET(event, event, card, given->card);
        MESSAGE_SET(event, event, card_sequence, given->card_sequence);
        MESSAGE_SET(event, event, name, given->name);
        MESSAGE_SET(event, event, version, given->version);
        MESSAGE_SET(event, event, occurred_at, given->occurred_at);
        if (given->traceparent.size > 0) {
            MESSAGE_SET(event, event, traceparent, text_from_c(row->name));
        }
        arena_t arena = {.base = arena_base, .size = ARENA_SIZE};
        message_fault_t fault;
        const bool decoded =
            message_unpack(&event_data_message, MESSAGE_KEYS_IDS, (const uint8_t *)row->bytes,
                           row->size, &arena, &event->data, &fault);
        assert(decoded);
        MESSAGE_MARK(event, event, data);
    }
}

static void store_snapshots(fake_tenant_t *tenant, const journal_batch_t *batch)
{
    for (size_t i = 0; i < batch->snapshot_count; i++) {
        const journal_snapshot_t *const given = &batch->snapshots[i];
        for (size_t j = 0; j < tenant->snapshots.count; j++) {
            if (uuid_equal(&tenant->snapshots.rows[j]->card, &given->card)) {
                assert(tenant->snapshots.rows[j]->number <= given->card_sequence);
                remove_row(&tenant->snapshots, j);
                break;
            }
        }
        fake_row_t *const row = add_row(&tenant->snapshots, given->body);
        row->card = given->card;
        row->number = given->card_sequence;
        row->name = copy_bytes(given->member_id);
        row->status = given->status;
        row->time = given->expires_at;
        row->snapshot = *given;
        row->snapshot.member_id = text_from_c(row->name);
        row->snapshot.tier = TEXT_NONE;
        row->snapshot.body = (text_t){row->bytes, row->size};
    }
}

static void store_rows(fake_tenant_t *tenant, const journal_batch_t *batch)
{
    for (size_t i = 0; i < batch->idempotency_count; i++) {
        const journal_idempotency_t *const given = &batch->idempotency[i];
        fake_row_t *const row = add_row(&tenant->idempotency, given->reply);
        row->name = copy_bytes(given->key);
        memcpy(row->hash, given->request_hash, sizeof(row->hash));
        row->time = given->recorded_at;
    }
    for (size_t i = 0; i < batch->member_key_count; i++) {
        const journal_member_key_t *const given = &batch->member_keys[i];
        assert(row_by_name(&tenant->member_keys, given->member_id) == NULL);
        fake_row_t *const row = add_row(&tenant->member_keys, given->sealed_key);
        row->name = copy_bytes(given->member_id);
        row->member_key = (journal_member_key_t){text_from_c(row->name), {row->bytes, row->size}};
    }
    for (size_t i = 0; i < batch->refusal_count; i++) {
        const journal_refusal_t *const given = &batch->refusals[i];
        fake_row_t *const row = add_row(&tenant->refusals, given->code);
        row->name = copy_bytes(given->gate);
        row->refusal = *given;
        row->refusal.gate = text_from_c(row->name);
        row->refusal.code = (text_t){row->bytes, row->size};
    }
}

/* Sequence of the card's last event, and whether it stands in another partition. */
static uint64_t last_of_card(const fake_tenant_t *tenant, const uuid_t *card, uint32_t partition,
                             bool *is_elsewhere)
{
    for (size_t i = tenant->events.count; i > 0; i--) {
        const event_t *const event = &tenant->events.rows[i - 1]->event;
        if (uuid_equal(&event->card, card)) {
            *is_elsewhere = event->partition != partition;
            return event->card_sequence;
        }
    }
    return 0;
}

/* What a store with constraints would refuse: a card's sequence that jumps or moves, a second
 * effect for one key. */
static bool is_storable(const fake_tenant_t *tenant, const journal_batch_t *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        const journal_event_t *const event = &batch->events[i];
        bool is_elsewhere = false;
        uint64_t last = last_of_card(tenant, &event->card, batch->partition, &is_elsewhere);
        for (size_t j = 0; j < i; j++) {
            last += uuid_equal(&batch->events[j].card, &event->card) ? 1 : 0;
        }
        if (is_elsewhere || event->card_sequence != last + 1) {
            return false;
        }
    }
    for (size_t i = 0; i < batch->idempotency_count; i++) {
        if (row_by_name(&tenant->idempotency, batch->idempotency[i].key) != NULL) {
            return false;
        }
    }
    return true;
}

static result_t store_batch(journal_fake_t *fake, fake_tenant_t *tenant,
                            const journal_batch_t *batch)
{
    assert(batch->partition < tenant->partition_count);
    assert(batch->event_count <= LIMIT_BATCH_EVENTS);
    journal_partition_t *const partition = &tenant->partitions[batch->partition];
    if (partition->epoch != batch->epoch || partition->head != batch->head ||
        !reminder_table_holds(&tenant->reminders, batch)) {
        return RESULT_FENCED;
    }
    if (!is_storable(tenant, batch)) {
        tenant->numbers.rejected++;
        return RESULT_STORE_UNAVAILABLE;
    }
    store_events(tenant, batch, fake->arena);
    store_snapshots(tenant, batch);
    store_rows(tenant, batch);
    for (size_t i = 0; i < batch->reminder_count; i++) {
        reminder_table_apply(&tenant->reminders, &batch->reminders[i]);
    }
    partition->head += batch->event_count;
    partition->cards += (uint64_t)batch->cards;
    partition->bytes += batch->bytes;
    tenant->numbers.batches++;
    tenant->numbers.batches_empty += batch->event_count == 0 ? 1 : 0;
    return RESULT_OK;
}

static void run_append(journal_fake_t *fake, job_t *job)
{
    result_t result = job->crashed;
    if (result == RESULT_OK) {
        result = take_fault(&fake->fail_appends);
    }
    if (result == RESULT_OK) {
        result = store_batch(fake, job->handle->tenant, job->batch);
    }
    job->batch_done(job->context, result);
}

static result_t fake_append(journal_tenant_t *handle, const journal_batch_t *batch,
                            journal_batch_done_t *done, void *context)
{
    assert(!handle->is_readonly);
    const result_t refused = take_fault(&handle->fake->refuse_appends);
    if (refused != RESULT_OK) {
        return refused;
    }
    job_t *const job = add_job(handle->fake, JOB_APPEND, handle, context);
    job->batch = batch;
    job->batch_done = done;
    return RESULT_OK;
}

/* --- load --- */

const event_t *collect_tail(const fake_tenant_t *tenant, const uuid_t *card, uint64_t after,
                            arena_t *arena, size_t *count)
{
    event_t *const tail = arena_take(arena, 0);
    *count = 0;
    for (size_t i = 0; i < tenant->events.count; i++) {
        const event_t *const event = &tenant->events.rows[i]->event;
        if (uuid_equal(&event->card, card) && event->card_sequence > after) {
            event_t *const place = arena_take(arena, sizeof(*place));
            assert(place != NULL);
            *place = *event;
            (*count)++;
        }
    }
    return tail;
}

static void load_card(journal_fake_t *fake, const fake_tenant_t *tenant, const uuid_t *card,
                      journal_loaded_t *loaded)
{
    const fake_row_t *const snapshot = row_by_card(&tenant->snapshots, card);
    arena_t arena = {.base = fake->arena, .size = ARENA_SIZE};
    loaded->tail = collect_tail(tenant, card, snapshot == NULL ? 0 : snapshot->number, &arena,
                                &loaded->tail_count);
    loaded->snapshot = row_text(snapshot);
    loaded->card_found = snapshot != NULL || loaded->tail_count > 0;
    if (tenant->is_corrupt && loaded->card_found) {
        loaded->snapshot = TEXT_LITERAL("\xc1 rubbish");
        loaded->tail_count = 0;
    }
    loaded->card_sequence = (snapshot == NULL ? 0 : snapshot->number) + loaded->tail_count;
    text_t member_id = snapshot == NULL ? TEXT_NONE : text_from_c(snapshot->name);
    for (size_t i = 0; i < loaded->tail_count && text_is_empty(member_id); i++) {
        member_id = loaded->tail[i].data.member_id;
    }
    loaded->sealed_member_key = row_text(row_by_name(&tenant->member_keys, member_id));
}

static void run_load(journal_fake_t *fake, job_t *job)
{
    const journal_load_t *const load = job->load;
    journal_loaded_t loaded = {.result = job->crashed};
    if (loaded.result == RESULT_OK) {
        loaded.result = take_fault(&fake->fail_loads);
    }
    if (loaded.result == RESULT_OK) {
        const fake_tenant_t *const tenant = job->handle->tenant;
        if (load->card != NULL) {
            load_card(fake, tenant, load->card, &loaded);
        }
        if (load->member_id.size > 0) {
            loaded.sealed_member_key = row_text(row_by_name(&tenant->member_keys, load->member_id));
        }
        const fake_row_t *const repeat =
            load->idempotency_key.size == 0
                ? NULL
                : row_by_name(&tenant->idempotency, load->idempotency_key);
        if (repeat != NULL) {
            loaded.idempotency_found = true;
            memcpy(loaded.request_hash, repeat->hash, sizeof(loaded.request_hash));
            loaded.reply = row_text(repeat);
        }
    }
    job->loaded(job->context, &loaded);
}

static result_t fake_load(journal_tenant_t *handle, const journal_load_t *load,
                          journal_loaded_done_t *done, void *context)
{
    handle->tenant->numbers.loads++;
    job_t *const job = add_job(handle->fake, JOB_LOAD, handle, context);
    job->load = load;
    job->loaded = done;
    return RESULT_OK;
}

/* --- due, clean --- */

static void run_due(job_t *job)
{
    uuid_t cards[LIMIT_SWEEP_SLICE];
    int64_t times[LIMIT_SWEEP_SLICE];
    journal_due_t due = {.result = job->crashed, .cards = cards};
    assert(job->limit <= LIMIT_SWEEP_SLICE);
    const fake_table_t *const table = &job->handle->tenant->snapshots;
    for (size_t i = 0; i < table->count && due.result == RESULT_OK; i++) {
        const fake_row_t *const row = table->rows[i];
        const bool may_expire = row->status == card_status_issued ||
                                row->status == card_status_active ||
                                row->status == card_status_suspended;
        if (!may_expire || row->time > job->now_ms) {
            continue;
        }
        size_t index = due.card_count < job->limit ? due.card_count : job->limit - 1;
        if (due.card_count == job->limit && times[index] <= row->time) {
            continue;
        }
        while (index > 0 && times[index - 1] > row->time) {
            times[index] = times[index - 1];
            cards[index] = cards[index - 1];
            index--;
        }
        times[index] = row->time;
        cards[index] = row->card;
        due.card_count += due.card_count < job->limit ? 1 : 0;
    }
    job->due(job->context, &due);
}

static result_t fake_due(journal_tenant_t *handle, int64_t now_ms, uint32_t limit,
                         journal_due_done_t *done, void *context)
{
    job_t *const job = add_job(handle->fake, JOB_DUE, handle, context);
    job->now_ms = now_ms;
    job->limit = limit;
    job->due = done;
    return RESULT_OK;
}

static void run_clean(job_t *job)
{
    fake_table_t *const table = &job->handle->tenant->idempotency;
    size_t deleted = 0;
    size_t index = 0;
    while (index < table->count && deleted < LIMIT_IDEMPOTENCY_CLEAN_SLICE &&
           job->crashed == RESULT_OK) {
        if (table->rows[index]->time < job->now_ms) {
            remove_row(table, index);
            deleted++;
        } else {
            index++;
        }
    }
    job->batch_done(job->context, job->crashed);
}

static result_t fake_clean(journal_tenant_t *handle, int64_t before_ms, journal_batch_done_t *done,
                           void *context)
{
    job_t *const job = add_job(handle->fake, JOB_CLEAN, handle, context);
    job->now_ms = before_ms;
    job->batch_done = done;
    return RESULT_OK;
}

/* --- The pump --- */

static void run_job(journal_fake_t *fake, job_t *job)
{
    switch (job->kind) {
    case JOB_OPEN:
        run_open(fake, job);
        break;
    case JOB_APPEND:
        run_append(fake, job);
        break;
    case JOB_LOAD:
        run_load(fake, job);
        break;
    case JOB_DUE:
        run_due(job);
        break;
    case JOB_REMINDERS:
        run_reminders(job);
        break;
    case JOB_CLEAN:
        run_clean(job);
        break;
    case JOB_PAGE:
        run_page(fake->arena, job);
        break;
    }
}

/* Takes the first job that is not held out of the queue. */
static job_t *take_job(journal_fake_t *fake)
{
    job_t **place = &fake->jobs_first;
    while (*place != NULL && is_held(fake, *place)) {
        place = &(*place)->next;
    }
    job_t *const job = *place;
    if (job != NULL) {
        *place = job->next;
        if (job->next == NULL) {
            fake->jobs_last = place;
        }
    }
    return job;
}

/* Only what was there when it began: what `done` submits ends in another turn. */
static void pump(void *context)
{
    journal_fake_t *const fake = context;
    fake->is_pumping = false;
    size_t count = 0;
    for (const job_t *job = fake->jobs_first; job != NULL; job = job->next) {
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        job_t *const job = take_job(fake);
        if (job == NULL) {
            return;
        }
        run_job(fake, job);
        free(job);
    }
}

/* --- Test side --- */

static const journal_functions_t functions = {
    .open = fake_open,
    .open_readonly = fake_open_readonly,
    .close = fake_close,
    .append = fake_append,
    .load = fake_load,
    .due = fake_due,
    .reminders = fake_reminders,
    .clean = fake_clean,
    .list_cards = fake_list_cards,
    .read_history = fake_read_history,
    .read_events = fake_read_events,
};

journal_fake_t *journal_fake_create(loop_t *loop)
{
    journal_fake_t *fake = calloc(1, sizeof(*fake));
    assert(fake != NULL);
    fake->journal.functions = &functions;
    fake->loop = loop;
    fake->jobs_last = &fake->jobs_first;
    fake->arena = malloc(ARENA_SIZE);
    assert(fake->arena != NULL);
    return fake;
}

void journal_fake_destroy(journal_fake_t **fake)
{
    assert((*fake)->jobs_first == NULL);
    for (uint32_t i = 0; i < (*fake)->tenant_count; i++) {
        fake_tenant_t *const tenant = (*fake)->tenants[i];
        free_table(&tenant->events);
        free_table(&tenant->snapshots);
        free_table(&tenant->idempotency);
        free_table(&tenant->member_keys);
        free_table(&tenant->refusals);
        free(tenant);
    }
    while ((*fake)->handles != NULL) {
        journal_tenant_t *const handle = (*fake)->handles;
        assert(handle->is_closed);
        (*fake)->handles = handle->next;
        free(handle);
    }
    free((*fake)->arena);
    free(*fake);
    *fake = NULL;
}

journal_t *journal_fake_journal(journal_fake_t *fake)
{
    return &fake->journal;
}

void journal_fake_fail_appends(journal_fake_t *fake, result_t result, uint32_t count)
{
    fake->fail_appends = (fault_t){result, count};
}

void journal_fake_fail_loads(journal_fake_t *fake, result_t result, uint32_t count)
{
    fake->fail_loads = (fault_t){result, count};
}

void journal_fake_fail_opens(journal_fake_t *fake, result_t result, uint32_t count)
{
    fake->fail_opens = (fault_t){result, count};
}

void journal_fake_refuse_appends(journal_fake_t *fake, result_t result, uint32_t count)
{
    fake->refuse_appends = (fault_t){result, count};
}

void journal_fake_hold_appends(journal_fake_t *fake, bool hold)
{
    fake->hold_appends = hold;
    fake->released = 0;
    schedule(fake);
}

void journal_fake_hold_loads(journal_fake_t *fake, bool hold)
{
    fake->hold_loads = hold;
    schedule(fake);
}

void journal_fake_release(journal_fake_t *fake, uint32_t count)
{
    fake->released += count;
    schedule(fake);
}

void journal_fake_fence(journal_fake_t *fake, const char *tenant)
{
    fake_tenant_t *const fenced = must_find(fake, tenant);
    for (uint32_t i = 0; i < fenced->partition_count; i++) {
        fenced->partitions[i].epoch++;
    }
}

void journal_fake_corrupt(journal_fake_t *fake, const char *tenant)
{
    must_find(fake, tenant)->is_corrupt = true;
}

void journal_fake_crash(journal_fake_t *fake)
{
    for (job_t *job = fake->jobs_first; job != NULL; job = job->next) {
        job->crashed = RESULT_STORE_UNAVAILABLE;
    }
    while (fake->jobs_first != NULL) {
        job_t *const job = take_job(fake);
        run_job(fake, job);
        free(job);
    }
}

journal_fake_numbers_t journal_fake_numbers(journal_fake_t *fake, const char *tenant)
{
    const fake_tenant_t *const counted = must_find(fake, tenant);
    journal_fake_numbers_t numbers = counted->numbers;
    numbers.events = counted->events.count;
    numbers.snapshots = counted->snapshots.count;
    numbers.idempotency = counted->idempotency.count;
    numbers.member_keys = counted->member_keys.count;
    numbers.refusals = counted->refusals.count;
    for (const job_t *job = fake->jobs_first; job != NULL; job = job->next) {
        numbers.held += job->kind == JOB_APPEND && job->handle->tenant == counted ? 1 : 0;
    }
    return numbers;
}

const event_t *journal_fake_event(journal_fake_t *fake, const char *tenant, size_t index)
{
    const fake_tenant_t *const asked = must_find(fake, tenant);
    assert(index < asked->events.count);
    return &asked->events.rows[index]->event;
}

const journal_refusal_t *journal_fake_refusal(journal_fake_t *fake, const char *tenant,
                                              size_t index)
{
    const fake_tenant_t *const asked = must_find(fake, tenant);
    assert(index < asked->refusals.count);
    return &asked->refusals.rows[index]->refusal;
}

const journal_member_key_t *journal_fake_member_key(journal_fake_t *fake, const char *tenant,
                                                    size_t index)
{
    const fake_tenant_t *const asked = must_find(fake, tenant);
    assert(index < asked->member_keys.count);
    return &asked->member_keys.rows[index]->member_key;
}

const journal_snapshot_t *journal_fake_snapshot(journal_fake_t *fake, const char *tenant,
                                                size_t index)
{
    const fake_tenant_t *const asked = must_find(fake, tenant);
    assert(index < asked->snapshots.count);
    return &asked->snapshots.rows[index]->snapshot;
}
