/* Events to endpoints: signed, started as far as breaker and bounds allow, and what the answers
 * mean. Must not read journals. */
#include "actors/relay/webhook_sender.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>

/* Five failures in a row open it; one success closes it: what waited was in order anyway. */
static const circuit_settings_t settings = {
    .failures_to_open = 5,
    .successes_to_close = 1,
    .open_ms_min = 5000,
    .open_ms_max = 900000,
    .jitter_permille = 500,
};

/* --- What came of a call --- */

static void disable(hook_t *hook, const char *reason)
{
    webhooks_t *const store = hook->sender->relay->ports.webhooks;
    hook->is_disabled = true;
    log_warn("a webhook is disabled", LOG_TEXT("tenant", hook->tenant, hook->tenant_size),
             LOG_TEXT("webhook", hook_name(hook).data, hook_name(hook).size),
             LOG_STRING("reason", reason));
    if (store->functions->disable(store, hook_tenant_name(hook), hook_name(hook),
                                  text_from_c(reason)) != RESULT_OK) {
        hook->sender->version = 0; /* read anew: still active, so the endpoint is asked again */
    }
}

static void take_delivered(hook_lane_t *lane, webhook_place_t *place, uint32_t status)
{
    lane->hook->delivered_at = lane->hook->sender->relay->ports.wall_ms();
    place->state = WEBHOOK_PLACE_DONE;
    hook_note(lane, place, WEBHOOK_STATE_DELIVERED, status, "delivered");
    metric_add(lane->hook->sender->delivered, 1);
}

/* An endpoint that took nothing at all meanwhile keeps its events and is disabled; one that takes
 * others loses this one. */
static void take_failed(hook_lane_t *lane, webhook_place_t *place, const http_call_answer_t *answer,
                        const char *detail)
{
    hook_t *const hook = lane->hook;
    const relay_ports_t *const ports = &hook->sender->relay->ports;
    const int64_t now = ports->wall_ms();
    const bool is_hopeless = webhook_is_hopeless(place->first_at, place->attempts, now);
    metric_add(hook->sender->failed, 1);
    place->state = WEBHOOK_PLACE_WAITS;
    if (is_hopeless && hook->delivered_at < place->first_at) {
        hook_note(lane, place, WEBHOOK_STATE_RETRYING, answer->status, detail);
        disable(hook, "silent_for_3_days");
    } else if (is_hopeless) {
        place->state = WEBHOOK_PLACE_DONE;
        metric_add(hook->sender->given_up, 1);
        hook_note(lane, place, WEBHOOK_STATE_GIVEN_UP, answer->status, detail);
    } else {
        place->not_before =
            hook_now_ms(hook) + (int64_t)webhook_pause_ms(place->attempts, answer->retry_after_s,
                                                          ports->random(UINT32_MAX));
        hook_note(lane, place, WEBHOOK_STATE_RETRYING, answer->status, detail);
    }
}

static void call_free(hook_call_t *call)
{
    hook_t *const hook = call->lane->hook;
    hook->call_count--;
    hook->sender->call_count--;
    hook->sender->slow_call_count -= call->is_slow ? 1 : 0;
    *call = (hook_call_t){0};
}

static void call_done(void *context, const http_call_answer_t *answer)
{
    hook_call_t *const call = context;
    hook_lane_t *const lane = call->lane;
    hook_t *const hook = lane->hook;
    const relay_ports_t *const ports = &hook->sender->relay->ports;
    const bool is_answered = answer->end == HTTP_CALL_ANSWERED;
    const webhook_verdict_t verdict = webhook_judge(is_answered, answer->status);
    webhook_place_t *const place = webhook_window_find(&lane->window, call->sequence);
    assert(place != NULL && place->state == WEBHOOK_PLACE_FLIES);
    const circuit_answer_t circuit = {.is_failure = verdict == WEBHOOK_AGAIN,
                                      .duration_ms = answer->duration_ms,
                                      .jitter = ports->random(UINT32_MAX)};
    circuit_breaker_answer(&hook->breaker, &settings, call->ticket, &circuit, hook_now_ms(hook));
    hook->is_quick = is_answered && answer->duration_ms < LIMIT_WEBHOOK_QUICK_MS;
    call_free(call);
    if (verdict == WEBHOOK_DELIVERED) {
        take_delivered(lane, place, answer->status);
    } else if (verdict == WEBHOOK_GONE) {
        place->state = WEBHOOK_PLACE_WAITS; /* if it is enabled again, it begins with this one */
        hook_note(lane, place, WEBHOOK_STATE_RETRYING, answer->status, "gone");
        disable(hook, "gone");
    } else {
        take_failed(lane, place, answer, http_call_end_name(answer->end));
    }
    hook_lane_settle(lane);
    if (hook->is_disabled) {
        hook_cancel_calls(hook);
    } else {
        hook_send(hook);
    }
}

/* --- Starting --- */

typedef struct signed_text {
    text_t body;
    size_t signature_size;
    char signature[WEBHOOK_SIGNATURE_SIZE];
} signed_text_t;

/* Over "SECONDS.BODY", which is put together in the sender's scratch. */
static void sign(hook_t *hook, const hook_event_t *event, signed_text_t *out)
{
    webhook_sender_t *const sender = hook->sender;
    const relay_ports_t *const ports = &sender->relay->ports;
    const int64_t now = ports->wall_ms();
    uint8_t macs[2][WEBHOOK_MAC_SIZE];
    const size_t stamp = webhook_stamp(now / 1000, sender->scratch);
    memcpy(sender->scratch + stamp, event->json, event->size);
    const text_t whole = {.data = sender->scratch, .size = stamp + event->size};
    size_t count = 1;
    ports->crypto->hmac((text_t){.data = hook->secret, .size = sizeof(hook->secret)}, whole,
                        macs[0]);
    if (now < hook->previous_until) {
        ports->crypto->hmac((text_t){.data = hook->previous, .size = sizeof(hook->previous)}, whole,
                            macs[1]);
        count = 2;
    }
    out->body = (text_t){.data = sender->scratch + stamp, .size = event->size};
    out->signature_size = webhook_signature(now / 1000, (const uint8_t(*)[WEBHOOK_MAC_SIZE])macs,
                                            count, out->signature);
}

static result_t start(hook_lane_t *lane, webhook_place_t *place, hook_call_t *call)
{
    hook_t *const hook = lane->hook;
    const hook_event_t *const event = place->event;
    http_calls_t *const client = hook->sender->relay->ports.http_calls;
    signed_text_t text;
    char id[UUID_TEXT_SIZE];
    char attempt[12];
    sign(hook, event, &text);
    uuid_format(&event->event_id, id);
    const int attempt_size = snprintf(attempt, sizeof(attempt), "%u", place->attempts + 1);
    assert(attempt_size > 0);
    const http_call_header_t headers[] = {
        {TEXT_LITERAL("Content-Type"), TEXT_LITERAL("application/json")},
        {TEXT_LITERAL("X-Signature"), {text.signature, text.signature_size}},
        {TEXT_LITERAL("X-Event-Id"), {id, sizeof(id)}},
        {TEXT_LITERAL("X-Webhook"), hook_name(hook)},
        {TEXT_LITERAL("X-Attempt"), {attempt, (size_t)attempt_size}},
        {TEXT_LITERAL("X-Replay"), lane->is_replay ? TEXT_LITERAL("1") : TEXT_LITERAL("0")},
    };
    const http_call_request_t request = {
        .method = HTTP_CALL_POST,
        .url = {.data = hook->url, .size = hook->url_size},
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .body = text.body,
        .deadline_ms = LIMIT_WEBHOOK_DEADLINE_MS,
        .body_size_max = LIMIT_WEBHOOK_ANSWER_SIZE,
    };
    return client->functions->start(client, &request, call_done, call, &call->call);
}

static hook_call_t *free_call(hook_t *hook)
{
    for (size_t i = 0; i < LIMIT_WEBHOOK_CALLS; i++) {
        if (hook->calls[i].lane == NULL) {
            return &hook->calls[i];
        }
    }
    return NULL;
}

/* The lanes take turns. */
static webhook_place_t *next_place(hook_t *hook, int64_t now_ms, hook_lane_t **lane)
{
    for (uint32_t i = 0; i < hook->lane_count; i++) {
        *lane = &hook->lanes[(hook->turn + i) % hook->lane_count];
        webhook_place_t *const place = webhook_window_next(&(*lane)->window, now_ms);
        if (place != NULL) {
            hook->turn = (hook->turn + i + 1) % hook->lane_count;
            return place;
        }
    }
    return NULL;
}

/* Whether the webhook may have one call more beside those of its tenant, of the slow and of all. */
static bool has_share(const hook_t *hook)
{
    const webhook_sender_t *const sender = hook->sender;
    if (sender->call_count >= LIMIT_WEBHOOK_CALLS_ALL ||
        (!hook->is_quick && sender->slow_call_count >= LIMIT_WEBHOOK_CALLS_SLOW)) {
        return false;
    }
    uint32_t of_tenant = 0;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        const hook_t *const other = sender->hooks[i];
        if (other->call_count > 0 && text_equal(hook_tenant_name(other), hook_tenant_name(hook))) {
            of_tenant += other->call_count;
        }
    }
    return of_tenant < LIMIT_WEBHOOK_CALLS_TENANT;
}

/* False: nothing more can be started now. */
static bool send_one(hook_t *hook)
{
    webhook_sender_t *const sender = hook->sender;
    const int64_t now = hook_now_ms(hook);
    hook_lane_t *lane = NULL;
    hook_call_t *const call = free_call(hook);
    webhook_place_t *const place = call == NULL ? NULL : next_place(hook, now, &lane);
    circuit_ticket_t ticket;
    if (place == NULL || !has_share(hook) || !circuit_breaker_ask(&hook->breaker, now, &ticket)) {
        return false;
    }
    const result_t result = start(lane, place, call);
    if (result != RESULT_OK) {
        circuit_breaker_abandon(&hook->breaker, ticket);
        if (result == RESULT_INVALID_ARGUMENT) {
            disable(hook, "url_cannot_be_used");
        }
        return false;
    }
    call->lane = lane;
    call->sequence = place->sequence;
    call->ticket = ticket;
    call->is_slow = !hook->is_quick;
    place->state = WEBHOOK_PLACE_FLIES;
    place->attempts++;
    place->first_at = place->first_at == 0 ? sender->relay->ports.wall_ms() : place->first_at;
    hook->call_count++;
    sender->call_count++;
    sender->slow_call_count += call->is_slow ? 1 : 0;
    return true;
}

void hook_send(hook_t *hook)
{
    webhook_sender_t *const sender = hook->sender;
    if (hook->lanes == NULL || hook->is_gone || hook->is_disabled || sender->is_stopped) {
        return;
    }
    bool goes_on = true;
    while (goes_on && sender->outcome_count + sender->call_count < LIMIT_WEBHOOK_OUTCOMES) {
        goes_on = send_one(hook); /* at most LIMIT_WEBHOOK_CALLS times */
    }
}

void hook_cancel_calls(hook_t *hook)
{
    http_calls_t *const client = hook->sender->relay->ports.http_calls;
    for (size_t i = 0; i < LIMIT_WEBHOOK_CALLS; i++) {
        hook_call_t *const call = &hook->calls[i];
        if (call->lane != NULL) {
            webhook_place_t *const place = webhook_window_find(&call->lane->window, call->sequence);
            assert(place != NULL);
            place->state = WEBHOOK_PLACE_WAITS;
            circuit_breaker_abandon(&hook->breaker, call->ticket);
            client->functions->cancel(client, &call->call);
            call_free(call);
        }
    }
}
