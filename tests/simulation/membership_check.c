/* What must be true of members and their cards, whatever was lost, doubled or late, and whoever
 * died: held against the contexts' own logs. */
#include "actors/domain/card_id.h"
#include "tests/simulation/membership_internal.h"
#include "tests/simulation/store_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const disk_note_t *note_of_member(const disk_tenant_t *tenant, text_t member_id)
{
    char key[160];
    const int size = snprintf(key, sizeof(key), "member:%.*s", TEXT_PRINT(member_id));
    return store_note(tenant, (text_t){key, (size_t)size});
}

static bool read_row(const disk_note_t *note, member_row_t *row)
{
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    *row = (member_row_t){0};
    return note != NULL &&
           message_unpack(&member_row_message, MESSAGE_KEYS_IDS, (const uint8_t *)note->body.data,
                          note->body.size, &arena, row, &fault);
}

/* --- At once --- */

static text_t member_of(const disk_tenant_t *tenant, const journal_event_t *event,
                        event_data_t *data)
{
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    const bool is_good =
        message_unpack(&event_data_message, MESSAGE_KEYS_IDS, (const uint8_t *)event->body.data,
                       event->body.size, &arena, data, &fault);
    assert(is_good);
    if (event->name == event_name_card_issued) {
        return data->member_id;
    }
    const disk_card_t *const card = store_card(tenant, &event->card);
    return card == NULL || card->event_count == 0 ? TEXT_NONE
                                                  : card->events[0]->event.data.member_id;
}

/* Another row of the member in the same batch: which came first is not told. */
static bool is_in_batch(const journal_batch_t *batch, text_t member_id)
{
    for (size_t i = 0; i < batch->note_count; i++) {
        const text_t key = batch->notes[i].key;
        if (key.size == member_id.size + 7 &&
            memcmp(key.data + 7, member_id.data, member_id.size) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_inactive(uint8_t status)
{
    return status == member_status_suspended || status == member_status_cancelled;
}

void memberships_check_batch(world_t *world, uint32_t tenant, const journal_batch_t *batch)
{
    const disk_tenant_t *const disk = world->store->tenants[tenant];
    for (size_t i = 0; memberships_has(world, tenant) && i < batch->event_count; i++) {
        const journal_event_t *const event = &batch->events[i];
        const bool is_refusal = event->name == event_name_card_validation_refused;
        if (!is_refusal && event->name != event_name_card_validated &&
            event->name != event_name_card_issued) {
            continue;
        }
        event_data_t data;
        member_row_t row;
        const text_t member_id = member_of(disk, event, &data);
        const bool is_known = read_row(note_of_member(disk, member_id), &row);
        const bool says_inactive = is_refusal && data.refused_as == reason_member_inactive;
        if (text_is_empty(member_id) || is_in_batch(batch, member_id)) {
            continue;
        }
        if (!is_refusal && is_known && is_inactive(row.status)) {
            world_violation(world, 2, "tenant %u: a card of a member whose status is %u is %s",
                            tenant, row.status,
                            event->name == event_name_card_issued ? "issued" : "let in");
        } else if (says_inactive && !(is_known && is_inactive(row.status)) &&
                   !memberships_refuse(world, tenant)) {
            world_violation(world, 8, "tenant %u: an active member is refused", tenant);
        }
    }
}

/* --- The end of a revocation --- */

static revoking_t *revoking_of(world_t *world, uint32_t tenant, text_t member_id)
{
    context_t *const context = memberships_context(world, tenant);
    for (uint32_t i = 0; i < CONTEXT_MEMBERS; i++) {
        if (text_equal(text_from_c(context->ids[i]), member_id)) {
            return &context->revoking[i];
        }
    }
    return NULL;
}

static void count_revoked(world_t *world, uint32_t tenant, const journal_batch_t *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        event_data_t data;
        if (batch->events[i].name != event_name_card_revoked) {
            continue;
        }
        const text_t member_id = member_of(world->store->tenants[tenant], &batch->events[i], &data);
        revoking_t *const revoking = revoking_of(world, tenant, member_id);
        if (revoking != NULL && MESSAGE_HAS(event_data, &data, by_member)) {
            revoking->revoked++;
        }
    }
}

/* Not before it was told: who dies in between would leave nobody who knows that it is to be. */
static void look_at_end(world_t *world, uint32_t tenant, const journal_note_t *note)
{
    member_row_t row = {0};
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (!text_starts_with(note->key, TEXT_LITERAL("member:")) ||
        !message_unpack(&member_row_message, MESSAGE_KEYS_IDS, (const uint8_t *)note->body.data,
                        note->body.size, &arena, &row, &fault)) {
        return;
    }
    revoking_t *const revoking = revoking_of(world, tenant, row.member_id);
    if (revoking == NULL) {
        return;
    }
    const bool is_open = row.work == member_work_revoke;
    if (revoking->is_open && !is_open && !revoking->is_told) {
        world_violation(world, 8, "tenant %u: that the cards of %.*s are revoked was never told",
                        tenant, TEXT_PRINT(row.member_id));
    }
    if (revoking->is_told && row.work_count == 0) { /* over; this may be the next one already */
        revoking->before = revoking->revoked;
        revoking->revoked = 0;
        revoking->is_told = false;
    }
    revoking->is_open = is_open;
}

/* Not of one that was deleted. */
static bool is_said_of(const world_t *world, uint32_t tenant, const envelope_t *envelope)
{
    return world_is_there(world, tenant) && MESSAGE_HAS(envelope, envelope, tenant_since) &&
           (int64_t)envelope->tenant_since == world->tenants[tenant].created_at;
}

void memberships_told(world_t *world, const envelope_t *envelope)
{
    const cards_notice_t *const notice = &envelope->cards;
    const uint32_t tenant = world_newest(world, world_name_index(world, notice->tenant));
    revoking_t *const revoking = revoking_of(world, tenant, notice->body.member_id);
    if (revoking == NULL || !is_said_of(world, tenant, envelope)) {
        return;
    }
    revoking->is_told = true;
    if (notice->body.count != revoking->revoked && notice->body.count != revoking->before) {
        world_violation(
            world, 8, "tenant %u: %" PRIu64 " cards of %.*s are told, and %" PRIu64 " revoked",
            tenant, notice->body.count, TEXT_PRINT(notice->body.member_id), revoking->revoked);
    }
}

void memberships_stored(world_t *world, uint32_t tenant, const journal_batch_t *batch)
{
    context_t *const context = memberships_context(world, tenant);
    if (world->tenants[tenant].stage == STAGE_GONE) {
        return; /* what is known of the context's events is of the one that has the name */
    }
    if (context->exists) {
        count_revoked(world, tenant, batch);
    }
    for (size_t i = 0; i < batch->note_count; i++) {
        look_at_end(world, tenant, &batch->notes[i]);
        inbox_row_t row;
        arena_t arena = {.base = NULL, .size = 0};
        message_fault_t fault;
        const journal_note_t *const note = &batch->notes[i];
        if (!text_starts_with(note->key, TEXT_LITERAL("inbox:")) ||
            !message_unpack(&inbox_row_message, MESSAGE_KEYS_IDS, (const uint8_t *)note->body.data,
                            note->body.size, &arena, &row, &fault)) {
            continue;
        }
        uint64_t *const watermark = &context->watermarks[batch->partition];
        if (row.sequence < *watermark || row.sequence > context->event_count) {
            world_violation(world, 6,
                            "tenant %u, partition %u: the watermark goes from %" PRIu64
                            " to %" PRIu64 ", and there are %u events",
                            tenant, batch->partition, *watermark, row.sequence,
                            context->event_count);
            return;
        }
        for (uint64_t j = *watermark; j < row.sequence; j++) {
            context_event_t *const event = &context->events[j];
            if (event->partition == batch->partition) {
                event->is_applied = true;
                event->head_before = batch->head;
                event->head_after = batch->head + batch->event_count;
            }
        }
        *watermark = row.sequence;
    }
}

/* --- In the end --- */

bool memberships_settled(world_t *world)
{
    for (uint32_t i = 0; memberships_exist(world) && i < world->tenant_count; i++) {
        if (!world_is_there(world, i)) {
            continue;
        }
        const context_t *const context = memberships_context(world, i);
        for (uint32_t j = 0; j < context->event_count; j++) {
            if (!context->events[j].is_applied) {
                return false;
            }
        }
        const disk_tenant_t *const disk = world->store->tenants[i];
        for (size_t j = 0; j < disk->note_count; j++) {
            member_row_t row;
            if (text_starts_with(disk->notes[j].key, TEXT_LITERAL("member:")) &&
                (disk->notes[j].is_open || !read_row(&disk->notes[j], &row) ||
                 row.work != member_work_none || row.work_until != 0)) {
                return false;
            }
        }
    }
    return true;
}

static void check_member(world_t *world, uint32_t tenant, uint32_t number)
{
    const context_t *const context = memberships_context(world, tenant);
    const text_t member_id = text_from_c(context->ids[number]);
    uint8_t status = member_status_active;
    bool has_events = false;
    for (uint32_t i = 0; i < context->event_count; i++) {
        const member_event_t *const event = &context->events[i].event;
        if (!event->is_dead && text_equal(event->member_id, member_id)) {
            status = context_fold(status, event->name);
            has_events = has_events || event->name != member_event_name_none;
        }
    }
    assert(status == context->statuses[number]);
    member_row_t row;
    const bool is_known = read_row(note_of_member(world->store->tenants[tenant], member_id), &row);
    /* Of who was only updated nothing has to be known. */
    if (has_events && (is_known ? row.status : member_status_active) != status &&
        !(status == member_status_active && row.status == member_status_none)) {
        world_violation(world, 6, "tenant %u: member %u has status %u here and %u there", tenant,
                        number, row.status, status);
    }
}

void memberships_check_members(world_t *world)
{
    if (!memberships_exist(world)) {
        return;
    }
    if (!memberships_settled(world)) {
        world_violation(world, 10,
                        "events of a membership context are not applied, or the work "
                        "on cards of a member does not end");
        return;
    }
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        const bool is_followed = world_is_there(world, i) && memberships_has(world, i);
        for (uint32_t j = 0; is_followed && j < CONTEXT_MEMBERS; j++) {
            check_member(world, i, j);
        }
    }
}

typedef struct verdict_of_log {
    bool must_be_revoked;
    bool may_be_revoked;
    bool must_be_suspended; /* the last word, and it came after the card was issued */
    uint64_t suspended_head;
    uint8_t status;
    int64_t valid_until; /* it was renewed to that after it was issued; 0: no */
} verdict_of_log_t;

static verdict_of_log_t read_log(const context_t *context, const membered_card_t *card)
{
    verdict_of_log_t said = {.status = member_status_active};
    for (uint32_t i = 0; i < context->event_count; i++) {
        const context_event_t *const event = &context->events[i];
        if (event->event.is_dead || !text_equal(event->event.member_id, card->member_id)) {
            continue;
        }
        const bool is_after = card->issued_sequence <= event->head_before;
        const bool may_be_after = card->issued_sequence <= event->head_after;
        const uint8_t name = event->event.name;
        /* Issued when it had happened, and was not heard: that card it does not concern. */
        const bool is_meant = card->issued_at <= event->event.occurred_at;
        if (name == member_event_name_cancelled) {
            said.must_be_revoked = said.must_be_revoked || (is_after && is_meant);
            said.may_be_revoked = said.may_be_revoked || (may_be_after && is_meant);
            said.must_be_suspended = is_after;
            said.suspended_head = event->head_before;
            said.valid_until = 0; /* of the membership that ended */
        } else if (name == member_event_name_renewed && said.status != member_status_cancelled) {
            said.valid_until = is_after ? event->event.valid_until : 0;
        } else if (name == member_event_name_suspended && said.status != member_status_cancelled) {
            said.must_be_suspended = is_after; /* a cancelled membership cannot be suspended */
            said.suspended_head = event->head_before;
        }
        said.status = context_fold(said.status, name);
    }
    said.must_be_suspended = said.must_be_suspended && is_inactive(said.status);
    return said;
}

static const char *fault_of(const membered_card_t *card, const verdict_of_log_t *said)
{
    const bool is_gone =
        card->status == card_status_revoked || card->status == card_status_replaced;
    if (said->must_be_revoked && !is_gone) {
        return "its member was cancelled, and it goes on";
    }
    if (card->status == card_status_revoked && card->is_by_member && !said->may_be_revoked) {
        return "it is revoked, and its member was not cancelled since it was issued";
    }
    if (card->status == card_status_suspended && card->is_by_member &&
        said->status == member_status_active) {
        return "it is suspended, and its member was reinstated";
    }
    const bool is_open = card->status == card_status_issued || card->status == card_status_active;
    if (said->must_be_suspended && is_open && card->revived_sequence <= said->suspended_head) {
        return "it is not suspended, and its member is";
    }
    if (!is_gone && card->expires_at < said->valid_until) {
        return "it ends before the membership, which was renewed";
    }
    return NULL;
}

void memberships_check_card(world_t *world, const membered_card_t *card)
{
    const context_t *const context = memberships_context(world, card->tenant);
    if (!context->exists || !world_is_there(world, card->tenant)) {
        return;
    }
    const verdict_of_log_t said = read_log(context, card);
    const char *const fault = fault_of(card, &said);
    if (fault != NULL) {
        world_violation(world, 8,
                        "tenant %u, partition %u: the card issued at %" PRIu64 " of member %.*s, "
                        "status %u: %s",
                        card->tenant, card->partition, card->issued_sequence,
                        TEXT_PRINT(card->member_id), card->status, fault);
    }
}
