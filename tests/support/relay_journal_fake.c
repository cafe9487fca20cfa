/* See relay_journal_fake.h. */
#include "tests/support/relay_journal_fake.h"
#include "actors/secrets.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum fake_kind {
    FAKE_OPEN,
    FAKE_LIST,
    FAKE_HISTORY,
    FAKE_EVENTS_READ,
    FAKE_HEADS_READ
} fake_kind_t;

struct fake_call {
    fake_kind_t kind;
    fake_tenant_t *tenant;
    uint32_t partition;
    uint64_t after;
    uint64_t head; /* when it was asked: later commits are not seen */
    uint32_t limit;
    uuid_t card;
    journal_opened_done_t *opened;
    journal_cards_done_t *cards;
    journal_events_done_t *events;
    journal_heads_done_t *heads;
    void *context;
};

static relay_journal_fake_t *fake_of(const fake_tenant_t *tenant)
{
    return (relay_journal_fake_t *)tenant->journal;
}

static result_t push(relay_journal_fake_t *fake, const fake_call_t *call)
{
    if (fake->call_result != RESULT_OK) {
        return fake->call_result;
    }
    assert(fake->call_count < FAKE_CALLS);
    fake->calls[fake->call_count] = *call;
    fake->call_count += 1;
    return RESULT_OK;
}

static fake_tenant_t *find(relay_journal_fake_t *fake, text_t name)
{
    for (size_t i = 0; i < fake->tenant_count; i++) {
        if (!fake->tenants[i].is_deleted && text_equal(text_from_c(fake->tenants[i].name), name)) {
            return &fake->tenants[i];
        }
    }
    return NULL;
}

static result_t open_readonly(journal_t *journal, text_t tenant, journal_opened_done_t *done,
                              void *context)
{
    relay_journal_fake_t *fake = (relay_journal_fake_t *)journal;
    fake->opens_total += 1;
    return push(fake, &(fake_call_t){.kind = FAKE_OPEN,
                                     .tenant = find(fake, tenant),
                                     .opened = done,
                                     .context = context});
}

static void close_tenant(journal_t *journal, journal_tenant_t **tenant)
{
    relay_journal_fake_t *fake = (relay_journal_fake_t *)journal;
    fake_tenant_t *closed = (fake_tenant_t *)*tenant;
    assert(closed->opens > 0);
    closed->opens -= 1;
    fake->open_now -= 1;
    *tenant = NULL;
}

static result_t list_cards(journal_tenant_t *tenant, const card_list_t *filter, int64_t now_ms,
                           uint32_t limit, journal_cards_done_t *done, void *context)
{
    fake_tenant_t *of = (fake_tenant_t *)tenant;
    relay_journal_fake_t *fake = fake_of(of);
    (void)now_ms;
    fake->last_list = *filter;
    (void)snprintf(fake->last_member_id, sizeof(fake->last_member_id), "%.*s",
                   TEXT_PRINT(filter->member_id));
    fake->last_limit = limit;
    return push(fake,
                &(fake_call_t){.kind = FAKE_LIST, .tenant = of, .cards = done, .context = context});
}

static result_t read_history(journal_tenant_t *tenant, const uuid_t *card, text_t cursor,
                             uint32_t limit, journal_events_done_t *done, void *context)
{
    fake_tenant_t *of = (fake_tenant_t *)tenant;
    (void)cursor;
    fake_of(of)->last_limit = limit;
    return push(fake_of(of), &(fake_call_t){.kind = FAKE_HISTORY,
                                            .tenant = of,
                                            .card = *card,
                                            .limit = limit,
                                            .events = done,
                                            .context = context});
}

static result_t read_events(journal_tenant_t *tenant, uint32_t partition, uint64_t after,
                            uint32_t limit, journal_events_done_t *done, void *context)
{
    fake_tenant_t *of = (fake_tenant_t *)tenant;
    relay_journal_fake_t *fake = fake_of(of);
    fake->last_limit = limit;
    fake->last_after = after;
    fake->reads_total += 1;
    return push(fake, &(fake_call_t){.kind = FAKE_EVENTS_READ,
                                     .tenant = of,
                                     .head = of->heads[partition % FAKE_PARTITIONS],
                                     .partition = partition,
                                     .after = after,
                                     .limit = limit,
                                     .events = done,
                                     .context = context});
}

static result_t read_heads(journal_tenant_t *tenant, journal_heads_done_t *done, void *context)
{
    fake_tenant_t *of = (fake_tenant_t *)tenant;
    return push(
        fake_of(of),
        &(fake_call_t){.kind = FAKE_HEADS_READ, .tenant = of, .heads = done, .context = context});
}

static result_t control_read_version(control_store_t *store, uint64_t *version)
{
    const relay_journal_fake_t *fake =
        (const relay_journal_fake_t *)(const void *)((const char *)store -
                                                     offsetof(relay_journal_fake_t, control));
    *version = fake->control_version;
    return RESULT_OK;
}

static relay_journal_fake_t *fake_of_control(control_store_t *store)
{
    return (relay_journal_fake_t *)(void *)((char *)store -
                                            offsetof(relay_journal_fake_t, control));
}

static control_tenant_t row_of(const fake_tenant_t *tenant)
{
    return (control_tenant_t){
        .name = text_from_c(tenant->name),
        .partitions = tenant->partitions,
        .created_at = tenant->created_at,
        .sealed_secret = {.data = (const char *)tenant->sealed_secret, .size = 72},
        .keys = &tenant->key,
        .key_count = 1};
}

/* Tenants were added in order of name. */
static result_t control_tenants(control_store_t *store, text_t after, control_tenant_visit_t *visit,
                                void *context)
{
    relay_journal_fake_t *fake = fake_of_control(store);
    char start[40];
    (void)snprintf(start, sizeof(start), "%.*s", TEXT_PRINT(after));
    for (size_t i = 0; i < fake->tenant_count; i++) {
        const fake_tenant_t *tenant = &fake->tenants[i];
        if (tenant->is_deleted || strcmp(tenant->name, start) <= 0) {
            continue;
        }
        const control_tenant_t row = row_of(tenant);
        if (!visit(context, &row)) {
            break;
        }
    }
    return RESULT_OK;
}

static result_t control_tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                               void *context)
{
    const result_t failure = fake_of_control(store)->control_failure;
    const fake_tenant_t *tenant = find(fake_of_control(store), name);
    if (failure != RESULT_OK) {
        return failure;
    }
    if (tenant == NULL) {
        return RESULT_MISSING;
    }
    const control_tenant_t row = row_of(tenant);
    (void)visit(context, &row);
    return RESULT_OK;
}

relay_journal_fake_t *relay_journal_fake_create(void)
{
    static const journal_functions_t journal_functions = {.open_readonly = open_readonly,
                                                          .close = close_tenant,
                                                          .list_cards = list_cards,
                                                          .read_history = read_history,
                                                          .read_events = read_events,
                                                          .read_heads = read_heads};
    static const control_store_functions_t control_functions = {
        .version = control_read_version, .tenants = control_tenants, .tenant = control_tenant};
    relay_journal_fake_t *fake = calloc(1, sizeof(*fake));
    assert(fake != NULL);
    fake->calls = calloc(FAKE_CALLS, sizeof(*fake->calls));
    assert(fake->calls != NULL);
    fake->journal.functions = &journal_functions;
    fake->control.functions = &control_functions;
    fake->control_version = 1;
    return fake;
}

void relay_journal_fake_destroy(relay_journal_fake_t **fake)
{
    free((*fake)->calls);
    free(*fake);
    *fake = NULL;
}

fake_tenant_t *relay_journal_fake_add(relay_journal_fake_t *fake, const char *name,
                                      uint32_t partitions, const crypto_functions_t *crypto,
                                      const crypto_key_t *master_key)
{
    assert(fake->tenant_count < FAKE_TENANTS);
    fake_tenant_t *tenant = &fake->tenants[fake->tenant_count];
    fake->tenant_count += 1;
    tenant->journal = &fake->journal;
    (void)snprintf(tenant->name, sizeof(tenant->name), "%s", name);
    tenant->partitions = partitions;
    tenant->created_at = (int64_t)fake->tenant_count;
    crypto_key_t secret;
    memset(&secret, (int)name[0], sizeof(secret)); /* another one for each tenant */
    secret_tenant_seal(crypto, master_key, text_from_c(name), &secret, tenant->sealed_secret);
    secret_card_key_seal(crypto, master_key, text_from_c(name), 3, &secret,
                         tenant->sealed_card_key);
    tenant->key = (control_card_key_t){
        .kid = 3,
        .state = key_state_active,
        .sealed_secret = {.data = (const char *)tenant->sealed_card_key, .size = 72}};
    return tenant;
}

event_t relay_journal_fake_event(const fake_tenant_t *tenant, uint32_t partition, uint64_t sequence)
{
    event_t event = {0};
    uuid_t id = {.bytes = {(uint8_t)(sequence >> 8), (uint8_t)sequence, (uint8_t)partition}};
    MESSAGE_SET(event, &event, event_id, id);
    MESSAGE_SET(event, &event, tenant, text_from_c(tenant->name));
    MESSAGE_SET(event, &event, partition, partition);
    MESSAGE_SET(event, &event, sequence, sequence);
    const uint8_t card = (uint8_t)(tenant->cards == 0 ? 7 : sequence % tenant->cards);
    MESSAGE_SET(event, &event, card, ((uuid_t){.bytes = {card}}));
    MESSAGE_SET(event, &event, card_sequence, sequence);
    MESSAGE_SET(event, &event, name, event_name_card_validated);
    MESSAGE_SET(event, &event, version, 1);
    MESSAGE_SET(event, &event, occurred_at, (int64_t)(1000 + sequence));
    MESSAGE_SET(event_data, &event.data, gate, TEXT_LITERAL("north"));
    MESSAGE_SET(event_data, &event.data, sealed_name, TEXT_LITERAL("sealed sealed sealed"));
    MESSAGE_MARK(event, &event, data);
    return event;
}

static void run_open(relay_journal_fake_t *fake, const fake_call_t *call)
{
    journal_partition_t partitions[FAKE_PARTITIONS] = {{0}};
    journal_opened_t opened = {.result = fake->next_open, .partitions = partitions};
    if (call->tenant == NULL) {
        opened.result = RESULT_MISSING;
    }
    if (opened.result == RESULT_OK) {
        opened.tenant = (journal_tenant_t *)call->tenant;
        opened.partition_count = call->tenant->partitions;
        for (size_t i = 0; i < FAKE_PARTITIONS; i++) {
            partitions[i].head = call->tenant->heads[i];
        }
        call->tenant->opens += 1;
        fake->open_now += 1;
        if (fake->open_now > fake->open_max) {
            fake->open_max = fake->open_now;
        }
    }
    call->opened(call->context, &opened);
}

static void run_events(relay_journal_fake_t *fake, const fake_call_t *call)
{
    static event_t events[FAKE_EVENTS];
    const uint64_t head = call->head;
    journal_events_t result = {.result = fake->next_read, .events = events, .head = head};
    if (result.result == RESULT_OK) {
        for (uint64_t i = call->after + 1; i <= head && result.event_count < call->limit; i++) {
            events[result.event_count] = relay_journal_fake_event(call->tenant, call->partition, i);
            result.event_count += 1;
        }
    }
    call->events(call->context, &result);
}

/* The card with first byte 7 has three events; no other card exists. */
static void run_history(relay_journal_fake_t *fake, const fake_call_t *call)
{
    event_t events[3];
    journal_events_t result = {.result = fake->next_read, .events = events};
    if (result.result == RESULT_OK && call->card.bytes[0] == 7) {
        for (uint64_t i = 0; i < 3; i++) {
            events[i] = relay_journal_fake_event(call->tenant, 0, 3 - i);
        }
        result.event_count = 3;
        result.next_cursor = fake->next_cursor;
    }
    call->events(call->context, &result);
}

static void run_heads(const relay_journal_fake_t *fake, const fake_call_t *call)
{
    journal_heads_t heads = {.result = fake->next_read,
                             .partition_count = call->tenant->partitions};
    for (size_t i = 0; i < FAKE_PARTITIONS; i++) {
        heads.heads[i] = call->tenant->heads[i];
    }
    call->heads(call->context, &heads);
}

static void run_call(relay_journal_fake_t *fake, const fake_call_t *call)
{
    switch (call->kind) {
    case FAKE_OPEN:
        run_open(fake, call);
        break;
    case FAKE_LIST: {
        const journal_cards_t cards = {.result = fake->next_read,
                                       .rows = call->tenant->rows,
                                       .row_count = call->tenant->row_count,
                                       .next_cursor = fake->next_cursor};
        call->cards(call->context, &cards);
        break;
    }
    case FAKE_HISTORY:
        run_history(fake, call);
        break;
    case FAKE_EVENTS_READ:
        run_events(fake, call);
        break;
    case FAKE_HEADS_READ:
        run_heads(fake, call);
        break;
    }
}

void relay_journal_fake_run(relay_journal_fake_t *fake)
{
    const size_t count = fake->call_count;
    fake_call_t *calls = fake->calls;
    fake->calls = calloc(FAKE_CALLS, sizeof(*fake->calls));
    assert(fake->calls != NULL);
    fake->call_count = 0;
    for (size_t i = 0; i < count; i++) {
        run_call(fake, &calls[i]);
    }
    free(calls);
}

void relay_journal_fake_settle(relay_journal_fake_t *fake)
{
    while (fake->call_count > 0) {
        relay_journal_fake_run(fake);
    }
}
