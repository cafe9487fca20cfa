/* Work on all cards of a member: a saga that survives every crash, because what is to be done and
 * how far it has come stand in the member's row, in the cards' own partition. Slice by slice: read
 * the next cards, have each decide, store how far it has come when all of them are durable. Until
 * it has ended, every scan of such a card sees the member's row first (member_standing.c). Doing a
 * slice twice is harmless: a card that has done it refuses. A quarantined card, which nobody may
 * ask, holds up no other: it is passed over, and the work stays open until it has been let in
 * again. */
#include "actors/domain/card.h"
#include "actors/domain/card_id.h"
#include "actors/shard/member_desk.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

enum { LONG_WORK_CARDS = 1000 }; /* says how far it has come in the log every so many */

typedef struct listing {
    tenant_t *tenant;
    uint64_t generation;
    uint64_t serial;
    card_list_t filter;
    char member_id[128];
    char cursor[MEMBER_CURSOR_SIZE];
} listing_t;

static partition_t *partition_of(const tenant_t *tenant, const member_t *member)
{
    return &tenant->partitions[placement_partition(member->member_id, tenant->partition_count)];
}

static member_t *find_slice(const tenant_t *tenant, uint64_t serial)
{
    member_t *member = tenant->work_first;
    while (member != NULL && member->serial != serial) { /* LIMIT_MEMBER_WORKS and those of notes */
        member = member->work_next;
    }
    return member;
}

void member_work_begin(tenant_t *tenant, member_t *member)
{
    shard_t *const shard = tenant->shard;
    shard->next_slice++;
    member->serial = shard->next_slice; /* what an older slice still does does not count */
    member->step = MEMBER_WAITING;
    member->is_work_done = false;
    member->pending = 0;
    member->retry_at_ms = 0;
    if (!member->is_listed) {
        member->is_listed = true;
        member->work_next = tenant->work_first;
        tenant->work_first = member;
        tenant->work_count++;
    }
    shard->has_member_work = true;
    loop_again(shard->loop);
}

static void begin_anew(member_t *member)
{
    if (member->is_work_done) { /* that one is over, and was told */
        member->work = member_work_none;
        member->work_until = 0;
        member->work_count = 0;
        member->is_work_done = false;
    }
    member->cursor_size = 0;
    member->cards_done = 0;
    member->tries = 0;
    member->aside = 0;
    member->aside_rounds = 0;
}

void member_work_set(member_t *member, uint8_t work)
{
    begin_anew(member);
    if (member->work != member_work_revoke) {
        member->work = work;
    }
}

void member_work_to_revoke(member_t *member, int64_t moment)
{
    begin_anew(member);
    if (member->work != member_work_revoke || moment > member->work_moment) {
        member->work_moment = moment;
    }
    if (member->work != member_work_revoke) {
        member->work_count = 0;
    }
    member->work = member_work_revoke;
}

void member_work_to_renew(member_t *member, int64_t until)
{
    begin_anew(member);
    member->work_until = until;
}

void member_work_forget(tenant_t *tenant)
{
    tenant->work_first = NULL; /* the members themselves are forgotten by whoever calls */
    tenant->work_count = 0;
}

/* --- A slice --- */

static void wait_for(const tenant_t *tenant, member_t *member, uint64_t first_ms,
                     uint32_t doublings)
{
    member->step = MEMBER_WAITING;
    member->retry_at_ms = loop_now_ms(tenant->shard->loop) + (first_ms << doublings);
}

static void retry_later(const tenant_t *tenant, member_t *member)
{
    wait_for(tenant, member, LIMIT_MEMBER_RETRY_MS, member->tries);
    if (member->tries < LIMIT_MEMBER_RETRY_DOUBLINGS) {
        member->tries++;
    }
}

/* Every card has been asked but those that are quarantined. The work stays open: were it ended,
 * such a card would be let in once it is free and the member is one again. */
static void wait_for_operator(const tenant_t *tenant, member_t *member)
{
    log_warn("quarantined cards of a member do not follow its membership yet: look for them with "
             "`digitalcard deadletters list`, then `replay` or `drop` them",
             LOG_TEXT("tenant", tenant->name, tenant->name_size),
             LOG_NUMBER("commands", member->aside), LOG_NUMBER("sequence", member->sequence));
    member->aside = 0;
    wait_for(tenant, member, LIMIT_MEMBER_ASIDE_MS, member->aside_rounds);
    if (member->aside_rounds < LIMIT_MEMBER_ASIDE_DOUBLINGS) {
        member->aside_rounds++;
    }
}

static void tell_card(tenant_t *tenant, member_t *member, const uuid_t *card, uint8_t command,
                      int64_t expires_at)
{
    shard_message_t *message = shard_message_create(tenant->shard, SHARD_MEMBER);
    shard_message_set_tenant(message, tenant);
    message->card = *card;
    message->partition = card_id_partition(card);
    message->member_command = command;
    message->member_slice = member->serial;
    message->request.subject = TEXT_LITERAL("membership");
    if (expires_at > 0) {
        MESSAGE_SET(card_change, &message->command.change, expires_at, expires_at);
    }
    member->pending++;
    tenant_send_to_card(tenant, &message);
}

/* A card that was issued after the cancellation follows what the member is now. */
static uint8_t command_for(const member_t *member, int64_t issued_at)
{
    switch (member->work) {
    case member_work_suspend:
        return CARD_SUSPEND;
    case member_work_reinstate:
        return CARD_REINSTATE;
    default:
        if (issued_at <= member->work_moment) {
            return CARD_REVOKE;
        }
        return member->status == member_status_active ? CARD_REINSTATE : CARD_SUSPEND;
    }
}

static void tell_cards(tenant_t *tenant, member_t *member, const journal_cards_t *cards)
{
    member->step = MEMBER_RUNNING;
    member->is_slice_bad = false;
    member->pending = 1; /* this loop itself */
    const uint64_t serial = member->serial;
    for (size_t i = 0; i < cards->row_count; i++) {
        card_snapshot_t state;
        arena_t arena = {.base = NULL, .size = 0};
        message_fault_t fault;
        const text_t packed = cards->rows[i].snapshot;
        if (!message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, (const uint8_t *)packed.data,
                            packed.size, &arena, &state, &fault) ||
            !text_equal(state.member_id, member->member_id)) {
            continue; /* lists overlook case, members do not */
        }
        if (member->work != member_work_none) {
            tell_card(tenant, member, &state.id, command_for(member, state.issued_at), 0);
        }
        if (member->work_until > 0) {
            tell_card(tenant, member, &state.id, CARD_RENEW, member->work_until);
        }
    }
    assert(member->serial == serial);
    member->next_size = cards->next_cursor.size;
    if (cards->next_cursor.size > 0) {
        memcpy(member->next, cards->next_cursor.data, cards->next_cursor.size);
    }
    member->pending--;
    loop_again(tenant->shard->loop);
}

static void listed(void *context, const journal_cards_t *cards)
{
    listing_t *const listing = context;
    tenant_t *const tenant = listing->tenant;
    if (tenant->status == TENANT_OPEN && tenant->generation == listing->generation) {
        member_t *const member = find_slice(tenant, listing->serial);
        const bool fits = cards->next_cursor.size <= MEMBER_CURSOR_SIZE;
        if (member != NULL && cards->result == RESULT_OK && fits) {
            tell_cards(tenant, member, cards);
        } else if (member != NULL) {
            retry_later(tenant, member);
        }
    }
    free(listing);
    tenant_operation_end(tenant);
}

static void list_cards(tenant_t *tenant, member_t *member)
{
    shard_t *const shard = tenant->shard;
    listing_t *listing = calloc(1, sizeof *listing);
    assert(listing != NULL);
    listing->tenant = tenant;
    listing->generation = tenant->generation;
    shard->next_slice++;
    member->serial = shard->next_slice;
    listing->serial = member->serial;
    memcpy(listing->member_id, member->member_id.data, member->member_id.size);
    memcpy(listing->cursor, member->cursor, member->cursor_size);
    const text_t member_id = {.data = listing->member_id, .size = member->member_id.size};
    const text_t cursor = {.data = listing->cursor, .size = member->cursor_size};
    MESSAGE_SET(card_list, &listing->filter, member_id, member_id);
    if (cursor.size > 0) {
        MESSAGE_SET(card_list, &listing->filter, cursor, cursor);
    }
    const result_t result = shard->ports.journal->functions->list_cards(
        tenant->journal, &listing->filter, shard->ports.wall_ms(), LIMIT_MEMBER_SLICE, listed,
        listing);
    if (result != RESULT_OK) {
        free(listing);
        retry_later(tenant, member);
        return;
    }
    member->step = MEMBER_LISTING;
    tenant_operation_begin(tenant);
}

static void note_done(const tenant_t *tenant, member_t *member, uint8_t command)
{
    const shard_metrics_t *const metrics = &tenant->shard->metrics;
    metric_t *const done = command == CARD_REVOKE      ? metrics->member_revoked
                           : command == CARD_SUSPEND   ? metrics->member_suspended
                           : command == CARD_REINSTATE ? metrics->member_reinstated
                                                       : metrics->member_renewed;
    metric_add(done, 1);
    member->cards_done++;
    if (member->cards_done % LONG_WORK_CARDS == 0) {
        log_info("the cards of a member are being worked on",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_NUMBER("done", member->cards_done));
    }
}

void member_work_card_done(const shard_message_t *message)
{
    tenant_t *const tenant = message->tenant;
    member_t *const member = tenant == NULL ? NULL : find_slice(tenant, message->member_slice);
    if (member == NULL || member->step != MEMBER_RUNNING) {
        return; /* of a slice that does not count any more */
    }
    assert(member->pending > 0);
    member->pending--;
    if (message->is_member_aside) {
        member->aside++;
    } else if (!message->is_member_done) {
        member->is_slice_bad = true;
    }
    if (message->is_member_done) {
        note_done(tenant, member, message->member_command);
    }
    loop_again(tenant->shard->loop);
}

/* --- How far it has come --- */

static void store_row(tenant_t *tenant, member_t *member)
{
    partition_t *const partition = partition_of(tenant, member);
    member->step = MEMBER_SAVING;
    member_store(tenant, member, partition_gather_quietly(partition));
    partition_want(partition);
}

void member_work_count(tenant_t *tenant, text_t member_id, batch_t *batch)
{
    member_t *const member = members_find(tenant->shard->members, tenant_name(tenant), member_id);
    if (member == NULL || member->work != member_work_revoke || member->is_work_done) {
        return; /* of work that nobody waits for any more */
    }
    member->work_count++;
    member_store(tenant, member, batch);
}

/* The row of a revocation closes only when the end has been told: a crash in between tells it a
 * second time. It is stored once more before: who has been replaced by another owner, and has not
 * found out, is refused there and tells nothing. */
static void end_slice(tenant_t *tenant, member_t *member)
{
    member->tries = 0;
    member->cursor_size = member->next_size;
    memcpy(member->cursor, member->next, member->next_size);
    if (member->cursor_size == 0 && member->aside > 0) {
        wait_for_operator(tenant, member);
        return;
    }
    if (member->cursor_size == 0 && member->work == member_work_revoke) {
        store_row(tenant, member);
        member->step = MEMBER_TELLING;
        return;
    }
    member->is_work_done = member->cursor_size == 0;
    store_row(tenant, member);
}

static void tell_end(const tenant_t *tenant, const member_t *member)
{
    const shard_t *const shard = tenant->shard;
    uint8_t bytes[512];
    envelope_t envelope = {0};
    cards_notice_t *const notice = &envelope.cards;
    MESSAGE_MARK(envelope, &envelope, cards);
    if (tenant->created_at > 0) {
        MESSAGE_SET(envelope, &envelope, tenant_since, (uint64_t)tenant->created_at);
    }
    MESSAGE_SET(cards_notice, notice, tenant, tenant_name(tenant));
    MESSAGE_SET(cards_notice, notice, occurred_at, shard->ports.wall_ms());
    MESSAGE_MARK(cards_notice, notice, body);
    MESSAGE_SET(cards_revoked, &notice->body, member_id, member->member_id);
    MESSAGE_SET(cards_revoked, &notice->body, count, member->work_count);
    if (member->work_moment != INT64_MAX) {
        MESSAGE_SET(cards_revoked, &notice->body, cancelled_at, member->work_moment);
    }
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof bytes);
    assert(size <= sizeof bytes);
    shard->ports.publish(shard->ports.context, bytes, size);
}

static bool is_due(const tenant_t *tenant, const member_t *member)
{
    const shard_t *const shard = tenant->shard;
    return loop_now_ms(shard->loop) >= member->retry_at_ms ||
           (member->aside_rounds > 0 && quarantine_cards(shard->quarantine) != member->aside_seen);
}

/* True: nothing is left to do. */
static bool advance(tenant_t *tenant, member_t *member)
{
    const bool is_durable =
        partition_is_durable(partition_of(tenant, member), member->batch_number);
    switch (member->step) {
    case MEMBER_WAITING:
        if (is_durable && is_due(tenant, member)) {
            member->aside_seen = quarantine_cards(tenant->shard->quarantine);
            list_cards(tenant, member);
        }
        return false;
    case MEMBER_RUNNING:
        if (member->pending == 0 && member->is_slice_bad) {
            retry_later(tenant, member);
        } else if (member->pending == 0) {
            end_slice(tenant, member);
            loop_again(tenant->shard->loop);
        }
        return false;
    case MEMBER_TELLING:
        if (is_durable) {
            tell_end(tenant, member);
            member->is_work_done = true;
            store_row(tenant, member);
        }
        return false;
    case MEMBER_SAVING:
        if (!is_durable) {
            return false;
        }
        if (member->cursor_size > 0) {
            list_cards(tenant, member);
            return false;
        }
        return true;
    default:
        return false;
    }
}

static void finish(tenant_t *tenant, member_t *member)
{
    member->work = member_work_none;
    member->work_until = 0;
    member->work_moment = 0;
    member->work_count = 0;
    member->is_work_done = false;
    member->tries = 0;
    member->aside_rounds = 0;
    member->step = MEMBER_AT_REST;
    member->is_listed = false;
    member->work_next = NULL;
    tenant->work_count--;
}

static bool work_tenant(tenant_t *tenant)
{
    member_t **place = &tenant->work_first;
    while (*place != NULL) { /* members with work */
        member_t *const member = *place;
        if (advance(tenant, member)) {
            *place = member->work_next;
            finish(tenant, member);
        } else {
            place = &member->work_next;
        }
    }
    member_events_read_on(tenant);
    return tenant->work_first != NULL || tenant->are_notes_left;
}

void members_work(shard_t *shard)
{
    if (!shard->has_member_work || shard->is_draining) {
        return;
    }
    bool is_left = false;
    uint32_t works = 0;
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            if (tenant->status == TENANT_OPEN &&
                (tenant->work_first != NULL || tenant->are_notes_left)) {
                is_left = work_tenant(tenant) || is_left;
                works += tenant->work_count;
            }
        }
    }
    shard->has_member_work = is_left;
    metric_set(shard->metrics.member_works, works);
}
