/* The relay's front door: creation, dispatch of envelopes, drain, status. The parts: relay_publish
 * (events out), relay_subscriptions (who listens, heads), relay_tenants (journals and keys),
 * relay_reads and relay_pages (lists, histories, replays), relay_flags (changed feature flags),
 * relay_share (events of other nodes),
 * relay_consumers (who has read how far), webhook_sender (events to endpoints). */
#include "actors/relay/relay.h"
#include "actors/relay/relay_models.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void init_numbers(relay_numbers_t *numbers, metrics_t *metrics)
{
    numbers->received = metrics_counter(metrics, "digitalcard_relay_events_received_total", "",
                                        "Committed events that shards told of");
    numbers->published = metrics_counter(metrics, "digitalcard_relay_events_published_total", "",
                                         "Events handed to subscribers");
    numbers->duplicates = metrics_counter(metrics, "digitalcard_relay_events_duplicate_total", "",
                                          "Events that had left before");
    numbers->refilled = metrics_counter(metrics, "digitalcard_relay_events_refilled_total", "",
                                        "Events read from the journal to fill a gap");
    numbers->not_published =
        metrics_counter(metrics, "digitalcard_relay_events_not_published_total", "",
                        "Events and heads that could not be handed over; subscribers repair");
    numbers->shared = metrics_counter(metrics, "digitalcard_relay_events_shared_total",
                                      "outcome=\"sent\"", "Events for the relays of other nodes");
    numbers->not_shared =
        metrics_counter(metrics, "digitalcard_relay_events_shared_total", "outcome=\"not_sent\"",
                        "Events for the relays of other nodes");
    numbers->consumers =
        metrics_gauge(metrics, "digitalcard_consumers", "", "Consumers of events with a name");
    numbers->consumer_lag_max =
        metrics_gauge(metrics, "digitalcard_consumer_lag_events", "of=\"furthest\"",
                      "Committed events that consumers have not acknowledged");
    numbers->consumer_lag_sum =
        metrics_gauge(metrics, "digitalcard_consumer_lag_events", "of=\"all\"",
                      "Committed events that consumers have not acknowledged");
    numbers->consumer_lag_rest =
        metrics_gauge(metrics, "digitalcard_consumer_lag_events", "of=\"without_series\"",
                      "Committed events that consumers have not acknowledged");
    numbers->consumers_rest = metrics_gauge(
        metrics, "digitalcard_consumers_without_series", "",
        "Consumers that digitalcard_consumer_own_lag_events leaves out: others are further behind, "
        "or how far they are is not known yet");
    for (size_t i = 0; i < LIMIT_CONSUMER_SERIES; i++) {
        numbers->consumer_lags[i] = metrics_place(
            metrics, "digitalcard_consumer_own_lag_events",
            "Committed events that one consumer has not acknowledged; `series` in lists of "
            "consumers is its label");
    }
    numbers->heads = metrics_counter(metrics, "digitalcard_relay_heads_total", "",
                                     "Heads handed to subscribers");
    numbers->reads = metrics_counter(metrics, "digitalcard_relay_reads_total", "",
                                     "Lists, histories and replays asked for");
    numbers->reads_failed = metrics_counter(metrics, "digitalcard_relay_reads_failed_total", "",
                                            "Reads that ended with an error");
    numbers->undecodable = metrics_counter(metrics, "digitalcard_relay_undecodable_total", "",
                                           "Envelopes from other roles that make no sense");
    numbers->subscriptions = metrics_gauge(metrics, "digitalcard_relay_subscriptions", "",
                                           "Different prefixes that are subscribed to");
    numbers->journals_open =
        metrics_gauge(metrics, "digitalcard_relay_journals_open", "", "Journals open for reading");
    numbers->folded = metrics_counter(metrics, "digitalcard_projection_events_total", "",
                                      "Events folded into read models");
    numbers->fold_failures =
        metrics_counter(metrics, "digitalcard_projection_failures_total", "",
                        "Batches and openings of read models that failed; tried again");
    numbers->lag_events = metrics_gauge(metrics, "digitalcard_projection_lag_events", "",
                                        "Committed events that read models do not show yet");
    numbers->lag_seconds =
        metrics_gauge(metrics, "digitalcard_projection_lag_seconds", "",
                      "How long some tenant's read models have not shown everything");
    numbers->rebuilds = metrics_counter(metrics, "digitalcard_projection_rebuilds_total", "",
                                        "Read models made anew because somebody asked for it");
}

void relay_drain_check(relay_t *relay)
{
    if (relay->is_draining && relay->drained != NULL && relay->operations == 0 &&
        relay->read_count == 0) {
        loop_timer_start(relay->head_timer, 0, 0); /* says `drained` from a clean stack */
    }
}

static void head_tick(void *context)
{
    relay_t *relay = context;
    if (!relay->is_draining) {
        relay_round_tick(relay);
        return;
    }
    if (relay->drained != NULL && relay->operations == 0 && relay->read_count == 0) {
        loop_callback_t *drained = relay->drained;
        relay->drained = NULL;
        relay_tenants_close(relay);
        drained(relay->drained_context);
    }
}

static void control_tick(void *context)
{
    relay_control_poll(context);
}

result_t relay_create(loop_t *loop, metrics_t *metrics, const relay_ports_t *ports, relay_t **relay)
{
    relay_t *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->loop = loop;
    made->ports = *ports;
    init_numbers(&made->numbers, metrics);
    made->subscriptions = calloc(LIMIT_EVENT_SUBSCRIPTIONS, sizeof(*made->subscriptions));
    made->head_timer = loop_timer_create(loop, head_tick, made);
    made->control_timer = loop_timer_create(loop, control_tick, made);
    if (ports->projections != NULL) {
        made->fold_timer = loop_timer_create(loop, relay_models_tick, made);
    }
    if (made->subscriptions == NULL || made->head_timer == NULL || made->control_timer == NULL ||
        (ports->projections != NULL && made->fold_timer == NULL) ||
        relay_tenants_begin(made) != RESULT_OK || relay_consumers_begin(made) != RESULT_OK ||
        relay_webhooks_begin(made, metrics) != RESULT_OK) {
        relay_destroy(&made);
        return RESULT_NO_MEMORY;
    }
    relay_flags_begin(made);
    relay_share_begin(made);
    relay_control_poll(made);
    loop_timer_start(made->head_timer, LIMIT_RELAY_HEAD_TICK_MS, LIMIT_RELAY_HEAD_TICK_MS);
    loop_timer_start(made->control_timer, LIMIT_DIRECTORY_POLL_MS, LIMIT_DIRECTORY_POLL_MS);
    if (made->fold_timer != NULL) {
        loop_timer_start(made->fold_timer, LIMIT_PROJECTION_INTERVAL_MS,
                         LIMIT_PROJECTION_INTERVAL_MS);
    }
    *relay = made;
    return RESULT_OK;
}

void relay_destroy(relay_t **relay)
{
    relay_t *old = *relay;
    *relay = NULL;
    if (old == NULL) {
        return;
    }
    relay_webhooks_end(old);
    assert(old->operations == 0); /* drained, or nothing was asked of a journal */
    old->is_draining = true;
    relay_lists_end(old);
    relay_tenants_close(old);
    if (old->head_timer != NULL) {
        loop_timer_destroy(&old->head_timer);
    }
    if (old->control_timer != NULL) {
        loop_timer_destroy(&old->control_timer);
    }
    if (old->fold_timer != NULL) {
        loop_timer_destroy(&old->fold_timer);
    }
    if (old->retired_timer != NULL) {
        loop_timer_destroy(&old->retired_timer);
    }
    relay_consumers_end(old);
    free(old->subscriptions);
    free(old->document_buffer.bytes);
    free(old->envelope_buffer.bytes);
    old->ports.crypto->wipe(&old->ports.master_key, sizeof(old->ports.master_key));
    free(old);
}

static void publish_cards(relay_t *relay, const cards_notice_t *notice, uint64_t since)
{
    relay_tenant_t *tenant = NULL;
    if (relay_tenant_meet(relay, notice->tenant, since, &tenant) != RESULT_OK) {
        metric_add(relay->numbers.not_published, 1);
        return;
    }
    relay_publish_operational(relay, notice->tenant, operational_name_cards_revoked,
                              notice->occurred_at, &cards_revoked_message, &notice->body);
}

void relay_receive(relay_t *relay, uint32_t peer, const uint8_t *envelope, size_t size)
{
    envelope_t decoded;
    arena_t arena = {.base = NULL, .size = 0}; /* neither requests nor events have lists */
    message_fault_t fault = {0};
    if (!message_unpack(&envelope_message, MESSAGE_KEYS_IDS, envelope, size, &arena, &decoded,
                        &fault)) {
        metric_add(relay->numbers.undecodable, 1);
        log_warn("an envelope cannot be read: do all roles have the same version?",
                 LOG_STRING("field", fault.field), LOG_STRING("detail", fault.detail));
        return;
    }
    if (MESSAGE_HAS(envelope, &decoded, event)) {
        relay_publish_receive(relay, &decoded.event, decoded.tenant_since);
        relay_share(relay, &decoded.event, decoded.tenant_since);
    } else if (MESSAGE_HAS(envelope, &decoded, request)) {
        relay_read_receive(relay, peer, &decoded.request);
    } else if (MESSAGE_HAS(envelope, &decoded, breaker)) {
        const breaker_notice_t *const notice = &decoded.breaker;
        relay_publish_operational(relay, notice->tenant, notice->name, notice->occurred_at,
                                  &breaker_changed_message, &notice->body);
    } else if (MESSAGE_HAS(envelope, &decoded, cards)) {
        publish_cards(relay, &decoded.cards, decoded.tenant_since);
    } else {
        metric_add(relay->numbers.undecodable, 1);
    }
}

void relay_drain(relay_t *relay, loop_callback_t *drained, void *context)
{
    relay->is_draining = true;
    relay->drained = drained;
    relay->drained_context = context;
    loop_timer_stop(relay->head_timer);
    loop_timer_stop(relay->control_timer);
    relay_parked_end(relay);
    relay_webhooks_stop(relay);
    if (relay->fold_timer != NULL) {
        loop_timer_stop(relay->fold_timer);
        relay_models_tick(relay); /* pages that wait are answered with what there is */
    }
    relay_drain_check(relay);
}

size_t relay_status(const relay_t *relay, char *out, size_t capacity)
{
    const relay_numbers_t *numbers = &relay->numbers;
    char text[512];
    const int size = snprintf(
        text, sizeof(text),
        "{\"tenants\":%u,\"journals_open\":%u,\"subscriptions\":%u,\"reads_waiting\":%u,"
        "\"published\":%llu,\"refilled\":%llu,\"not_published\":%llu,"
        "\"projection\":{\"lag_events\":%llu,\"lag_seconds\":%llu,\"folded\":%llu,"
        "\"failures\":%llu,\"rebuilding\":%u}}",
        relay->tenant_count, relay->open_count, relay->subscription_count, relay->read_count,
        (unsigned long long)metric_value(numbers->published),
        (unsigned long long)metric_value(numbers->refilled),
        (unsigned long long)metric_value(numbers->not_published), (unsigned long long)relay->lag,
        (unsigned long long)metric_value(numbers->lag_seconds),
        (unsigned long long)metric_value(numbers->folded),
        (unsigned long long)metric_value(numbers->fold_failures), relay->rebuild_count);
    assert(size > 0 && (size_t)size < sizeof(text));
    if ((size_t)size <= capacity) {
        memcpy(out, text, (size_t)size);
    }
    return (size_t)size;
}
