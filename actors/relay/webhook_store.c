/* What became of deliveries, and how far webhooks have come, to the control store: gathered for a
 * tick and stored in one commit. Must not decide anything. */
#include "actors/relay/webhook_sender.h"
#include "runtime/log.h"
#include <assert.h>

void hook_note(hook_lane_t *lane, const webhook_place_t *place, webhook_state_t state,
               uint32_t status, const char *detail)
{
    hook_t *const hook = lane->hook;
    webhook_sender_t *const sender = hook->sender;
    const hook_event_t *const event = place->event;
    assert(sender->outcome_count < LIMIT_WEBHOOK_OUTCOMES); /* each call has its place */
    hook_outcome_t *const outcome = &sender->outcomes[sender->outcome_count++];
    *outcome = (hook_outcome_t){.hook = hook, .event = event->name};
    outcome->delivery = (webhook_delivery_t){.partition = lane->partition,
                                             .sequence = place->sequence,
                                             .attempts = place->attempts,
                                             .first_at = place->first_at,
                                             .last_at = sender->relay->ports.wall_ms(),
                                             .status = status,
                                             .state = state,
                                             .detail = text_from_c(detail)};
    uuid_format(&event->card, outcome->card);
}

/* Returns how many. */
static size_t gather_outcomes(webhook_sender_t *sender)
{
    size_t count = 0;
    for (uint32_t i = 0; i < sender->outcome_count; i++) {
        const hook_outcome_t *const outcome = &sender->outcomes[i];
        if (outcome->hook == NULL || outcome->hook->is_gone) {
            continue;
        }
        webhook_delivery_t *const delivery = &sender->deliveries[count++];
        *delivery = outcome->delivery;
        delivery->tenant = hook_tenant_name(outcome->hook);
        delivery->name = hook_name(outcome->hook);
        delivery->created_at = outcome->hook->created_at;
        delivery->event = enum_name(&event_name_enum, outcome->event);
        delivery->card = (text_t){.data = outcome->card, .size = sizeof(outcome->card)};
    }
    return count;
}

static void gather_cursors(webhook_sender_t *sender, hook_t *hook)
{
    const bool is_of_use = hook->lanes != NULL && !hook->is_gone;
    for (uint32_t i = 0; is_of_use && i < hook->lane_count; i++) {
        hook_lane_t *const lane = &hook->lanes[i];
        const bool has_begun = lane->is_replay ? lane->last != UINT64_MAX : !lane->is_seeking;
        const bool is_over = lane->is_replay && lane->window.watermark >= lane->last;
        if (!has_begun || (lane->window.watermark == lane->stored && !is_over) ||
            sender->cursor_count == LIMIT_WEBHOOK_CURSORS) {
            continue;
        }
        sender->moved[sender->cursor_count] = lane;
        sender->cursors[sender->cursor_count++] =
            (webhook_cursor_t){.tenant = hook_tenant_name(hook),
                               .name = hook_name(hook),
                               .created_at = hook->created_at,
                               .partition = is_over ? hook->replay.partition : lane->partition,
                               .sequence = is_over ? hook->replay.last : lane->window.watermark,
                               .replay_last = lane->is_replay ? hook->replay.last : 0};
    }
}

static void cursors_stored(webhook_sender_t *sender)
{
    for (uint32_t i = 0; i < sender->cursor_count; i++) {
        hook_lane_t *const lane = sender->moved[i];
        lane->stored = lane->window.watermark;
        if (lane->is_replay && lane->stored >= lane->last) {
            lane->hook->replay = (webhook_range_t){0};
            lane->last = UINT64_MAX; /* room for another one */
            webhook_window_init(&lane->window, 0);
        }
    }
}

void hooks_store(webhook_sender_t *sender)
{
    webhooks_t *const store = sender->relay->ports.webhooks;
    sender->cursor_count = 0;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        gather_cursors(sender, sender->hooks[(sender->turn + i) % sender->hook_count]);
    }
    const webhook_progress_t progress = {.deliveries = sender->deliveries,
                                         .delivery_count = gather_outcomes(sender),
                                         .cursors = sender->cursors,
                                         .cursor_count = sender->cursor_count,
                                         .now_ms = sender->relay->ports.wall_ms()};
    if ((progress.delivery_count > 0 || progress.cursor_count > 0) &&
        store->functions->record(store, &progress) != RESULT_OK) {
        log_debug("outcomes of webhooks are stored later");
        return;
    }
    sender->outcome_count = 0;
    cursors_stored(sender);
}
