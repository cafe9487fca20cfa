/* The sender of webhooks: a tick that reads, sends and stores in turns, so that no webhook is first
 * for ever. Begins and ends with the relay. */
#include "actors/relay/webhook_sender.h"
#include "runtime/log.h"
#include <stdlib.h>

static void serve(hook_t *hook)
{
    hook_begin_anew(hook);
    if (!hook->is_stale) {
        hook_read(hook);
        hook_send(hook);
    }
}

static void tick(void *context)
{
    webhook_sender_t *const sender = context;
    hooks_load(sender);
    const bool may_send = hooks_may_send(sender);
    int64_t open = 0;
    int64_t active = 0;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_t *const hook = sender->hooks[(sender->turn + i) % sender->hook_count];
        if (!hook->is_gone && !hook->is_disabled) {
            if (may_send) {
                serve(hook);
            }
            active++;
        }
        open += circuit_breaker_is_closed(&hook->breaker) ? 0 : 1;
    }
    sender->turn++;
    metric_set(sender->events_held, sender->held);
    metric_set(sender->open, open);
    metric_set(sender->hooks_active, active);
    metric_set(sender->sends, may_send ? 1 : 0);
    if (may_send) {
        hooks_store(sender);
    }
    hooks_sweep(sender, false);
}

result_t relay_webhooks_begin(relay_t *relay, metrics_t *metrics)
{
    if (relay->ports.webhooks == NULL) {
        return RESULT_OK;
    }
    webhook_sender_t *const sender = calloc(1, sizeof(*sender));
    if (sender == NULL) {
        return RESULT_NO_MEMORY;
    }
    sender->relay = relay;
    relay->webhooks = sender;
    static const char *const help = "Attempts to deliver an event to a webhook";
    sender->delivered = metrics_counter(metrics, "digitalcard_webhook_attempts_total",
                                        "outcome=\"delivered\"", help);
    sender->failed =
        metrics_counter(metrics, "digitalcard_webhook_attempts_total", "outcome=\"failed\"", help);
    sender->given_up = metrics_counter(metrics, "digitalcard_webhook_given_up_total", "",
                                       "Events that were not delivered in three days");
    sender->events_held = metrics_gauge(metrics, "digitalcard_webhook_events_held", "",
                                        "Events in memory that webhooks have not taken yet");
    sender->open = metrics_gauge(metrics, "digitalcard_webhook_breakers_open", "",
                                 "Webhooks whose endpoint is taken for dead");
    sender->hooks_active =
        metrics_gauge(metrics, "digitalcard_webhooks_active", "", "Webhooks that are not disabled");
    sender->sends = metrics_gauge(metrics, "digitalcard_webhooks_sending", "",
                                  "1: this service sends, among those on one store");
    sender->timer = loop_timer_create(relay->loop, tick, sender);
    if (sender->timer == NULL) {
        return RESULT_NO_MEMORY;
    }
    loop_timer_start(sender->timer, LIMIT_WEBHOOK_TICK_MS, LIMIT_WEBHOOK_TICK_MS);
    return RESULT_OK;
}

void relay_webhooks_stop(relay_t *relay)
{
    webhook_sender_t *const sender = relay->webhooks;
    if (sender == NULL || sender->is_stopped) {
        return;
    }
    sender->is_stopped = true;
    loop_timer_stop(sender->timer);
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_cancel_calls(sender->hooks[i]);
    }
    hooks_store(sender);
    hooks_release(sender);
}

void relay_webhooks_end(relay_t *relay)
{
    webhook_sender_t *const sender = relay->webhooks;
    if (sender == NULL) {
        return;
    }
    relay->webhooks = NULL;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_cancel_calls(sender->hooks[i]);
    }
    hooks_sweep(sender, true);
    if (sender->timer != NULL) {
        loop_timer_destroy(&sender->timer);
    }
    free(sender);
}
