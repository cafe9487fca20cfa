/* Results of the journal as pages: cards folded and shown with their names and codes, histories,
 * events. Must not send an event's sealed name on. */
#include "actors/relay/relay_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* What the views of one page borrow from, card by card. */
typedef struct page_card {
    card_view_code_t code;
    char holder_name[SECRET_NAME_SIZE_MAX];
} page_card_t;

static void explain_failure(relay_read_t *read, result_t result)
{
    if (result == RESULT_INVALID_CURSOR) {
        relay_reply_strange_cursor(read);
        return;
    }
    relay_reply_error(read, result, "The journal of the tenant could not be read.", NULL);
}

/* Snapshot and tail to state. Texts of the state point into the row. */
static bool fold(const journal_card_row_t *row, card_state_t *state)
{
    *state = (card_state_t){0};
    arena_t arena = {.base = NULL, .size = 0}; /* a snapshot has no lists */
    message_fault_t fault;
    if (!text_is_empty(row->snapshot) &&
        !message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS,
                        (const uint8_t *)row->snapshot.data, row->snapshot.size, &arena, state,
                        &fault)) {
        return false;
    }
    for (size_t i = 0; i < row->tail_count; i++) {
        const event_t *event = &row->tail[i];
        card_evolve(state, event->name, &event->card, event->occurred_at, &event->data);
    }
    return state->status != card_status_none;
}

text_t relay_open_name(const relay_tenant_t *tenant, const card_state_t *state,
                       text_t sealed_member_key, char plain[SECRET_NAME_SIZE_MAX])
{
    const crypto_functions_t *crypto = tenant->relay->ports.crypto;
    if (!MESSAGE_HAS(card_snapshot, state, sealed_name) || text_is_empty(sealed_member_key)) {
        return TEXT_NONE;
    }
    crypto_key_t member_key;
    text_t name = TEXT_NONE;
    const bool is_open =
        secret_member_key_open(crypto, &tenant->secrets.tenant_secret, relay_tenant_name(tenant),
                               state->member_id, sealed_member_key, &member_key) &&
        secret_holder_name_open(crypto, &member_key, state->member_id, state->sealed_name, plain,
                                &name);
    crypto->wipe(&member_key, sizeof(member_key));
    if (!is_open) {
        log_error("the name of a holder does not open with the keys of its tenant and is left out",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size));
        return TEXT_NONE;
    }
    return name;
}

static void view_row(const relay_read_t *read, const journal_card_row_t *row, page_card_t *memory,
                     card_page_t *page, card_t *items)
{
    card_state_t state;
    if (!fold(row, &state)) {
        log_error("a stored card cannot be read and is left out of a list; run `digitalcard store "
                  "verify`",
                  LOG_TEXT("tenant", read->tenant->name, read->tenant->name_size));
        return;
    }
    const relay_ports_t *ports = &read->relay->ports;
    const text_t name =
        relay_open_name(read->tenant, &state, row->sealed_member_key, memory->holder_name);
    const bool shows_code = read->role != role_auditor; /* the code is a credential */
    card_view(&state, ports->wall_ms(), relay_tenant_name(read->tenant), name,
              shows_code ? &read->tenant->secrets.active_key : NULL, ports->crypto, &memory->code,
              &items[page->items_count]);
    page->items_count += 1;
}

static void reply_cards(relay_read_t *read, const journal_cards_t *cards, card_t *items,
                        page_card_t *memory)
{
    card_page_t page = {0};
    for (size_t i = 0; i < cards->row_count; i++) {
        view_row(read, &cards->rows[i], &memory[i], &page, items);
    }
    page.items = items;
    MESSAGE_MARK(card_page, &page, items);
    if (!text_is_empty(cards->next_cursor)) {
        MESSAGE_SET(card_page, &page, next_cursor, cards->next_cursor);
    }
    relay_reply_document(read, &card_page_message, &page);
}

void relay_page_cards(relay_read_t *read, const journal_cards_t *cards)
{
    if (cards->result != RESULT_OK) {
        explain_failure(read, cards->result);
        return;
    }
    assert(cards->row_count <= LIMIT_PAGE_ITEMS_MAX);
    const result_t result = relay_tenant_load_secrets(read->tenant);
    if (result != RESULT_OK) {
        relay_reply_error(read, result, "The keys of the tenant cannot be read.", NULL);
        return;
    }
    const crypto_functions_t *crypto = read->relay->ports.crypto;
    const size_t memory_size = (cards->row_count + 1) * sizeof(page_card_t);
    page_card_t *memory = malloc(memory_size);
    card_t *items = calloc(cards->row_count + 1, sizeof(*items));
    if (memory == NULL || items == NULL) {
        relay_reply_error(read, RESULT_NO_MEMORY, "There is no memory for the page now.", NULL);
    } else {
        reply_cards(read, cards, items, memory);
        crypto->wipe(memory, memory_size);
    }
    free(items);
    free(memory);
}

static void fill_item(const event_t *event, history_item_t *item)
{
    MESSAGE_SET(history_item, item, event_id, event->event_id);
    MESSAGE_SET(history_item, item, sequence, event->sequence);
    MESSAGE_SET(history_item, item, card_sequence, event->card_sequence);
    MESSAGE_SET(history_item, item, name, event->name);
    MESSAGE_SET(history_item, item, occurred_at, event->occurred_at);
    MESSAGE_SET(history_item, item, data, event->data);
    MESSAGE_CLEAR(event_data, &item->data, sealed_name);
}

void relay_page_history(relay_read_t *read, const journal_events_t *events)
{
    if (events->result != RESULT_OK) {
        explain_failure(read, events->result);
        return;
    }
    assert(events->event_count <= LIMIT_PAGE_ITEMS_MAX);
    if (events->event_count == 0 && !MESSAGE_HAS(card_history, &read->command.history, cursor)) {
        relay_reply_error(read, RESULT_CARD_NOT_FOUND, "The tenant has no card with this id.",
                          NULL);
        return;
    }
    history_item_t *items = calloc(events->event_count + 1, sizeof(*items));
    if (items == NULL) {
        relay_reply_error(read, RESULT_NO_MEMORY, "There is no memory for the page now.", NULL);
        return;
    }
    for (size_t i = 0; i < events->event_count; i++) {
        fill_item(&events->events[i], &items[i]);
    }
    history_page_t page = {.items = items, .items_count = (uint32_t)events->event_count};
    MESSAGE_MARK(history_page, &page, items);
    if (!text_is_empty(events->next_cursor)) {
        MESSAGE_SET(history_page, &page, next_cursor, events->next_cursor);
    }
    const size_t count = events->event_count;
    if (count > 0 && events->events[count - 1].occurred_at < events->archived_before) {
        MESSAGE_SET(history_page, &page, archived_before, events->archived_before);
    }
    relay_reply_document(read, &history_page_message, &page);
    free(items);
}

void relay_page_events(relay_read_t *read, const journal_events_t *events)
{
    if (events->result != RESULT_OK) {
        explain_failure(read, events->result);
        return;
    }
    if (read->command.events.after < events->archived_to) {
        relay_reply_archived(read, events->archived_to + 1);
        return;
    }
    assert(events->event_count <= LIMIT_PAGE_EVENTS_MAX);
    /* Who read an event may acknowledge it, even before its shard told of it. */
    relay_publish_hear(read->tenant, (uint32_t)read->command.events.partition, events->head);
    event_t *items = calloc(events->event_count + 1, sizeof(*items));
    if (items == NULL) {
        relay_reply_error(read, RESULT_NO_MEMORY, "There is no memory for the page now.", NULL);
        return;
    }
    for (size_t i = 0; i < events->event_count; i++) {
        items[i] = events->events[i];
        MESSAGE_CLEAR(event_data, &items[i].data, sealed_name);
    }
    event_page_t page = {.items = items, .items_count = (uint32_t)events->event_count};
    MESSAGE_MARK(event_page, &page, items);
    MESSAGE_SET(event_page, &page, head, events->head);
    char cursor[24];
    const uint64_t last =
        events->event_count == 0 ? events->head : items[events->event_count - 1].sequence;
    if (last < events->head) {
        const int size = snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)last);
        assert(size > 0);
        MESSAGE_SET(event_page, &page, next_cursor,
                    ((text_t){.data = cursor, .size = (size_t)size}));
    }
    relay_reply_document(read, &event_page_message, &page);
    free(items);
}
