/* What became of deliveries, and how far webhooks have come, to the control store: gathered for a
 * tick, outcomes first, so that no cursor stands beyond an outcome that nobody knows. Must not
 * decide anything. */
#include "actors/webhook_sender.h"
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

static bool store_outcomes(webhook_sender_t *sender)
{
    webhooks_t *const store = sender->relay->ports.webhooks;
    size_t count = 0;
    for (uint32_t i = 0; i < sender->outcome_count; i++) {
        const hook_outcome_t *const outcome = &sender->outcomes[i];
        if (outcome->hook == NULL) {
            continue;
        }
        webhook_delivery_t *const delivery = &sender->deliveries[count++];
        *delivery = outcome->delivery;
        delivery->tenant = hook_tenant_name(outcome->hook);
        delivery->name = hook_name(outcome->hook);
        delivery->event = enum_name(&event_name_enum, outcome->event);
        delivery->card = (text_t){.data = outcome->card, .size = sizeof(outcome->card)};
    }
    if (count > 0 && store->functions->record(store, sender->deliveries, count) != RESULT_OK) {
        return false;
    }
    sender->outcome_count = 0;
    return true;
}

/* The cursors of one webhook. */
static void store_cursors(hook_t *hook)
{
    consumers_t *const consumers = hook->sender->relay->ports.consumers;
    consumer_ack_t acks[LIMIT_PARTITIONS];
    size_t count = 0;
    for (uint32_t i = 0; i + 1 < hook->lane_count; i++) {
        const hook_lane_t *const lane = &hook->lanes[i];
        if (!lane->is_seeking && lane->window.watermark > lane->stored) {
            acks[count++] = (consumer_ack_t){.tenant = hook_tenant_name(hook),
                                             .name = hook_consumer_name(hook),
                                             .partition = lane->partition,
                                             .sequence = lane->window.watermark};
        }
    }
    if (count == 0 ||
        consumers->functions->ack(consumers, acks, count, hook->sender->relay->ports.wall_ms()) !=
            RESULT_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (acks[i].result == RESULT_OK) {
            hook->lanes[acks[i].partition].stored = acks[i].sequence;
        } else {
            hook->is_registered = false; /* somebody removed the consumer */
        }
    }
}

static void store_replay(hook_t *hook)
{
    webhooks_t *const store = hook->sender->relay->ports.webhooks;
    hook_lane_t *const lane = hook_replay_lane(hook);
    if (hook->replay.last == 0 || lane->window.watermark == lane->stored) {
        return;
    }
    const bool is_done = lane->window.watermark >= lane->last;
    const webhook_range_t replay = {.partition = lane->partition,
                                    .next = lane->window.watermark + 1,
                                    .last = is_done ? 0 : lane->last};
    if (store->functions->replay_move(store, hook_tenant_name(hook), hook_name(hook), &replay) ==
        RESULT_OK) {
        hook->replay = replay;
        lane->stored = lane->window.watermark;
        lane->last = is_done ? UINT64_MAX : lane->last;
    }
}

void hooks_store(webhook_sender_t *sender)
{
    if (!store_outcomes(sender)) {
        log_debug("outcomes of webhooks are stored later");
        return;
    }
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_t *const hook = sender->hooks[i];
        if (hook->lanes != NULL && !hook->is_gone) {
            store_cursors(hook);
            store_replay(hook);
        }
    }
}
