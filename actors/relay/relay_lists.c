/* Pages from the read models: lists of cards and rollups. Each shows everything that was committed
 * before it was asked: the heads of the journal are read first, and the page waits until the fold
 * has come so far. When that takes too long, it shows what there is and says how much is missing.
 * Read models that have never been complete are not shown at all. */
#include "actors/relay/name_words.h"
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

/* Cards of a page on their way to the reply, while keys of their members are read. */
typedef struct list_page {
    relay_tenant_t *tenant;
    relay_read_t *read; /* gone after the reply */
    size_t count;
    text_t next_cursor;
    card_state_t *states; /* texts point into `bytes` */
    bool *by_name_only;
    text_t *members;
    card_view_code_t *codes;
    card_t *items;
    char (*names)[SECRET_NAME_SIZE_MAX];
    uint8_t *bytes;
} list_page_t;

static void free_page(list_page_t *page)
{
    if (page->names != NULL) {
        page->tenant->relay->ports.crypto->wipe(page->names, page->count * sizeof(*page->names));
    }
    free(page->states);
    free(page->by_name_only);
    free(page->members);
    free(page->codes);
    free(page->items);
    free(page->names);
    free(page->bytes);
    free(page);
}

static list_page_t *make_page(relay_read_t *read, const projections_page_t *found)
{
    size_t size = found->next_cursor.size;
    for (size_t i = 0; i < found->row_count; i++) {
        size += found->rows[i].body.size;
    }
    const size_t count = found->row_count;
    list_page_t *page = calloc(1, sizeof(*page));
    if (page == NULL) {
        return NULL;
    }
    page->tenant = read->tenant;
    page->read = read;
    page->states = calloc(count + 1, sizeof(*page->states));
    page->by_name_only = calloc(count + 1, sizeof(*page->by_name_only));
    page->members = calloc(count + 1, sizeof(*page->members));
    page->codes = malloc((count + 1) * sizeof(*page->codes));
    page->items = malloc((count + 1) * sizeof(*page->items));
    page->names = malloc((count + 1) * sizeof(*page->names));
    page->bytes = malloc(size + 1);
    if (page->states == NULL || page->by_name_only == NULL || page->members == NULL ||
        page->codes == NULL || page->items == NULL || page->names == NULL || page->bytes == NULL) {
        free_page(page);
        return NULL;
    }
    return page;
}

/* --- Members that were erased --- */

typedef struct forgotten {
    relay_tenant_t *tenant;
    size_t size;
    char member_id[];
} forgotten_t;

static void forgotten_done(void *context, result_t result)
{
    forgotten_t *const forgotten = context;
    relay_tenant_t *const tenant = forgotten->tenant;
    if (result != RESULT_OK) {
        log_warn("words of an erased member's name could not be removed; the next search tries "
                 "again",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_STRING("code", result_code(result)));
    }
    free(forgotten);
    tenant->models->live.reads -= 1;
    relay_operation_end(tenant);
}

/* Whose key is gone must not be found by name either. */
static void forget_member(relay_tenant_t *tenant, text_t member_id)
{
    forgotten_t *const forgotten = malloc(sizeof(*forgotten) + member_id.size);
    projections_tenant_t *const handle = tenant->models->live.handle;
    if (forgotten == NULL || handle == NULL || tenant->relay->is_draining ||
        tenant->models->rebuild == RELAY_REBUILD_SWITCHING) { /* the next search tries again */
        free(forgotten);
        return;
    }
    forgotten->tenant = tenant;
    forgotten->size = member_id.size;
    memcpy(forgotten->member_id, member_id.data, member_id.size);
    const text_t copy = {.data = forgotten->member_id, .size = forgotten->size};
    if (tenant->relay->ports.projections->functions->forget_member(handle, copy, forgotten_done,
                                                                   forgotten) == RESULT_OK) {
        tenant->models->live.reads += 1;
        relay_operation_begin(tenant);
    } else {
        free(forgotten);
    }
}

/* --- The reply --- */

static void view_card(const list_page_t *page, size_t index, text_t sealed_member_key,
                      card_page_t *document)
{
    const relay_read_t *const read = page->read;
    const relay_ports_t *const ports = &read->relay->ports;
    relay_tenant_t *const tenant = read->tenant;
    const card_state_t *const state = &page->states[index];
    if (text_is_empty(sealed_member_key) && page->by_name_only[index]) {
        forget_member(tenant, state->member_id);
        return;
    }
    const text_t name = relay_open_name(tenant, state, sealed_member_key, page->names[index]);
    const bool shows_code = read->role != role_auditor; /* the code is a credential */
    card_view(state, ports->wall_ms(), relay_tenant_name(tenant), name,
              shows_code ? &tenant->secrets.active_key : NULL, ports->crypto, &page->codes[index],
              &page->items[document->items_count]);
    document->items_count += 1;
}

static void reply_page(list_page_t *page, const text_t *sealed_keys)
{
    relay_read_t *const read = page->read;
    const result_t result = relay_tenant_load_secrets(read->tenant);
    if (result != RESULT_OK) {
        relay_reply_error(read, result, "The keys of the tenant cannot be read.", NULL);
        return;
    }
    card_page_t document = {.items = page->items};
    for (size_t i = 0; i < page->count; i++) {
        view_card(page, i, sealed_keys[i], &document);
    }
    MESSAGE_MARK(card_page, &document, items);
    if (!text_is_empty(page->next_cursor)) {
        MESSAGE_SET(card_page, &document, next_cursor, page->next_cursor);
    }
    if (read->behind > 0) {
        MESSAGE_SET(card_page, &document, behind, read->behind);
        MESSAGE_SET(card_page, &document, as_of, read->as_of);
    }
    relay_reply_document(read, &card_page_message, &document);
}

static void keys_read(void *context, const journal_member_keys_t *keys)
{
    list_page_t *const page = context;
    relay_tenant_t *const tenant = page->tenant;
    if (keys->result == RESULT_OK) {
        assert(keys->count == page->count);
        reply_page(page, keys->sealed_keys);
    } else {
        relay_reply_error(page->read, keys->result, "The journal of the tenant could not be read.",
                          NULL);
    }
    free_page(page);
    relay_operation_end(tenant);
}

/* --- The page as the read models gave it --- */

/* Copies rows into the page. One that cannot be read is left out, as it is of no use to anybody. */
static void copy_rows(list_page_t *page, const projections_page_t *found)
{
    uint8_t *at = page->bytes;
    for (size_t i = 0; i < found->row_count; i++) {
        const text_t body = found->rows[i].body;
        card_state_t *const state = &page->states[page->count];
        arena_t arena = {.base = NULL, .size = 0}; /* a snapshot has no lists */
        message_fault_t fault;
        memcpy(at, body.data, body.size);
        if (!message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, at, body.size, &arena, state,
                            &fault)) {
            log_error("a card of the read models cannot be read and is left out of a list; run "
                      "`digitalcard store rebuild`",
                      LOG_TEXT("tenant", page->tenant->name, page->tenant->name_size));
            continue;
        }
        at += body.size;
        page->by_name_only[page->count] = found->rows[i].by_name_only;
        page->members[page->count] = state->member_id;
        page->count += 1;
    }
    if (!text_is_empty(found->next_cursor)) {
        memcpy(at, found->next_cursor.data, found->next_cursor.size);
        page->next_cursor = (text_t){.data = (const char *)at, .size = found->next_cursor.size};
    }
}

static void explain(relay_read_t *read, result_t result)
{
    if (result == RESULT_INVALID_CURSOR) {
        relay_reply_strange_cursor(read);
        return;
    }
    const bool is_damaged = result == RESULT_STORE_CORRUPT;
    relay_reply_error(read, is_damaged ? RESULT_UNAVAILABLE : result,
                      is_damaged ? "The lists of this tenant are being made anew: try again."
                                 : "The lists of the tenant could not be read: try again.",
                      NULL);
}

/* The models may have been thrown away meanwhile by another page. */
static void end_of_read(relay_tenant_t *tenant, const projections_tenant_t *asked, result_t result)
{
    tenant->models->live.reads -= 1;
    if (result == RESULT_STORE_CORRUPT && tenant->models->live.handle == asked) {
        relay_models_discard(tenant);
    }
}

static void page_read(void *context, const projections_page_t *found)
{
    relay_read_t *const read = context;
    relay_tenant_t *const tenant = read->tenant;
    end_of_read(tenant, read->asked, found->result);
    if (found->result != RESULT_OK) {
        explain(read, found->result);
        relay_operation_end(tenant);
        return;
    }
    assert(found->row_count <= LIMIT_PAGE_ITEMS_MAX);
    list_page_t *page = make_page(read, found);
    if (page == NULL) {
        relay_reply_error(read, RESULT_NO_MEMORY, "There is no memory for the page now.", NULL);
        relay_operation_end(tenant);
        return;
    }
    copy_rows(page, found);
    result_t result = RESULT_OK;
    if (page->count > 0) {
        result = tenant->relay->ports.journal->functions->read_member_keys(
            tenant->journal, page->members, page->count, keys_read, page);
        if (result == RESULT_OK) {
            return;
        }
        relay_reply_error(read, result, "The journal takes no more reads now: try again.", NULL);
    } else {
        reply_page(page, NULL);
    }
    free_page(page);
    relay_operation_end(tenant);
}

static void counters_read(void *context, const projections_counters_t *counters)
{
    relay_read_t *const read = context;
    relay_tenant_t *const tenant = read->tenant;
    end_of_read(tenant, read->asked, counters->result);
    if (counters->result == RESULT_OK) {
        relay_page_rollups(read, counters);
    } else {
        explain(read, counters->result);
    }
    relay_operation_end(tenant);
}

/* --- Asking --- */

static result_t ask_list(relay_read_t *read)
{
    const relay_ports_t *const ports = &read->relay->ports;
    relay_tenant_t *const tenant = read->tenant;
    read->query = (projections_list_t){.filter = &read->command.list,
                                       .words = read->words,
                                       .now_ms = ports->wall_ms(),
                                       .limit = read->limit};
    if (MESSAGE_HAS(card_list, &read->command.list, q)) {
        const result_t result = relay_tenant_load_secrets(tenant);
        if (result != RESULT_OK) {
            return result;
        }
        crypto_key_t key;
        secret_name_word_key(ports->crypto, &tenant->secrets.tenant_secret,
                             relay_tenant_name(tenant), &key);
        read->query.word_count =
            name_words_hash(ports->crypto, &key, read->command.list.q, read->words);
        ports->crypto->wipe(&key, sizeof(key));
    }
    return ports->projections->functions->list(read->asked, &read->query, page_read, read);
}

static result_t ask_rollups(relay_read_t *read)
{
    projections_counters_query_t query;
    relay_rollups_query(read, &query);
    return read->relay->ports.projections->functions->read_counters(read->asked, &query,
                                                                    counters_read, read);
}

/* Events that were committed before it was asked and are not in the live models. */
static uint64_t count_missing(const relay_read_t *read)
{
    const relay_model_t *const live = &read->tenant->models->live;
    uint64_t missing = 0;
    for (uint32_t i = 0; i < read->needed.partition_count; i++) {
        const uint64_t applied = live->partitions[i].applied.sequence;
        missing += read->needed.heads[i] > applied ? read->needed.heads[i] - applied : 0;
    }
    return missing;
}

static int64_t newest_shown(const relay_model_t *live)
{
    int64_t newest = 0;
    for (size_t i = 0; i < LIMIT_PARTITIONS; i++) {
        const int64_t occurred_at = live->partitions[i].applied.occurred_at;
        newest = occurred_at > newest ? occurred_at : newest;
    }
    return newest;
}

static void ask(relay_read_t *read)
{
    relay_tenant_t *const tenant = read->tenant;
    relay_model_t *const live = &tenant->models->live;
    read->asked = live->handle;
    read->as_of = newest_shown(live);
    relay_operation_begin(tenant);
    live->reads += 1;
    const result_t result =
        read->type == request_type_rollup_list ? ask_rollups(read) : ask_list(read);
    if (result != RESULT_OK) {
        live->reads -= 1;
        relay_reply_error(read, result, "The read models take no more reads now: try again.", NULL);
        relay_operation_end(tenant);
    }
}

static void wait_on(relay_models_t *models, relay_read_t *read)
{
    read->next = NULL;
    if (models->waiting_last == NULL) {
        models->waiting_first = read;
    } else {
        models->waiting_last->next = read;
    }
    models->waiting_last = read;
}

/* Asks, answers, or lets it wait on. */
static void look(relay_tenant_t *tenant, relay_read_t *read)
{
    relay_models_t *const models = tenant->models;
    const bool is_late =
        loop_now_ms(tenant->relay->loop) >= read->wait_until_ms || tenant->relay->is_draining;
    const bool is_usable =
        models->live.handle != NULL && models->rebuild != RELAY_REBUILD_SWITCHING;
    read->behind = count_missing(read);
    if (tenant->is_retired) {
        relay_read_refuse_deleted(read);
    } else if (is_usable && (read->behind == 0 || (is_late && models->live.is_complete))) {
        ask(read);
    } else if (is_late) {
        relay_reply_error(read, RESULT_UNAVAILABLE,
                          "The lists of this tenant are being made from its journal and are not "
                          "complete yet: try again later.",
                          NULL);
    } else {
        wait_on(models, read);
    }
}

void relay_lists_look(relay_tenant_t *tenant)
{
    relay_read_t *read = tenant->models->waiting_first;
    tenant->models->waiting_first = NULL;
    tenant->models->waiting_last = NULL;
    while (read != NULL) { /* bounded by LIMIT_RELAY_READS */
        relay_read_t *const next = read->next;
        look(tenant, read);
        read = next;
    }
}

void relay_lists_refuse(const relay_tenant_t *tenant)
{
    relay_models_t *const models = tenant->models;
    while (models != NULL && models->waiting_first != NULL) { /* bounded by LIMIT_RELAY_READS */
        relay_read_t *const read = models->waiting_first;
        models->waiting_first = read->next;
        relay_read_refuse_deleted(read);
    }
}

void relay_lists_end(relay_t *relay)
{
    for (const relay_tenant_t *tenant = relay->oldest; tenant != NULL; tenant = tenant->newer) {
        relay_models_t *const models = tenant->models;
        while (models != NULL && models->waiting_first != NULL) { /* bounded by LIMIT_RELAY_READS */
            relay_read_t *const read = models->waiting_first;
            models->waiting_first = read->next;
            relay_reply_error(read, RESULT_DRAINING, "The relay is stopping.", NULL);
        }
    }
}

static void heads_read(void *context, const journal_heads_t *heads)
{
    relay_read_t *const read = context;
    relay_tenant_t *const tenant = read->tenant;
    const uint64_t now_ms = loop_now_ms(tenant->relay->loop);
    if (heads->result != RESULT_OK) {
        relay_reply_error(read, heads->result, "The journal of the tenant could not be read.",
                          NULL);
        relay_operation_end(tenant);
        return;
    }
    relay_models_open(tenant);
    if (tenant->models == NULL) {
        relay_reply_error(read, RESULT_NO_MEMORY, "There is no memory for the page now.", NULL);
        relay_operation_end(tenant);
        return;
    }
    for (uint32_t i = 0; i < heads->partition_count; i++) {
        relay_models_hear(tenant, i, heads->heads[i]);
    }
    read->needed = *heads;
    read->wait_until_ms = now_ms + LIMIT_PROJECTION_WAIT_MS;
    if (read->wait_until_ms > read->deadline_ms) {
        read->wait_until_ms = read->deadline_ms;
    }
    look(tenant, read);
    relay_model_step(&tenant->models->live);
    relay_operation_end(tenant);
}

void relay_list_begin(relay_read_t *read)
{
    relay_read_heads(read, heads_read);
}
