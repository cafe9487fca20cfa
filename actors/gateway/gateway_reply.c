/* How requests end: replies of shards and relay, errors made here, and problem documents. Every
 * request passes here exactly once, and its slot is free before its `done` runs, so that `done` may
 * submit the next one. */
#include "actors/domain/card.h"
#include "actors/gateway/gateway_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBLEM_TYPE_PREFIX "https://digitalcard.dev/problems/"

/* What is left of a request when its slot is gone. */
typedef struct ending {
    uint8_t type;
    gateway_done_t *done;
    void *context;
    uint64_t started_us;
    char trace_id[GATEWAY_TRACE_ID_SIZE];
} ending_t;

static ending_t end_pending(gateway_t *gateway, gateway_pending_t *pending)
{
    ending_t ending = {.type = pending->type,
                       .done = pending->done,
                       .context = pending->context,
                       .started_us = pending->started_us};
    memcpy(ending.trace_id, pending->trace_id, sizeof(ending.trace_id));
    gateway_pending_release(gateway, pending);
    return ending;
}

static void answer(gateway_t *gateway, const ending_t *ending, gateway_reply_t *reply)
{
    uint8_t outcome = outcome_error;
    if (reply->result == RESULT_OK) {
        outcome = outcome_ok;
    } else if (reply->result == RESULT_REFUSED) {
        outcome = outcome_refused;
    }
    const uint16_t status = result_http_status(reply->result);
    reply->retry_after_s = status == 503 || status == 429 ? 1 : 0;
    gateway_metrics_finish(gateway, ending->type, outcome, reply->result, ending->started_us);
    ending->done(ending->context, reply);
    if (gateway->is_draining && gateway->in_flight_count == 0) {
        gateway_tick_start(gateway); /* says `drained` from a clean stack */
    }
}

static void answer_error(gateway_t *gateway, const ending_t *ending, result_t result, text_t detail,
                         text_t field)
{
    gateway_reply_t reply = {
        .result = result,
        .detail = detail,
        .field = field,
        .trace_id = {.data = ending->trace_id, .size = sizeof(ending->trace_id)}};
    answer(gateway, ending, &reply);
}

void gateway_fail(gateway_t *gateway, gateway_pending_t *pending, result_t result,
                  const char *detail)
{
    const uint16_t peer = pending->peer;
    const ending_t ending = end_pending(gateway, pending);
    gateway_after_release(gateway, peer);
    answer_error(gateway, &ending, result, text_from_c(detail), TEXT_NONE);
}

void gateway_fail_unstarted(gateway_t *gateway, const gateway_request_t *request,
                            const gateway_admission_t *admission, result_t result,
                            gateway_done_t *done, void *context)
{
    ending_t ending = {.type = request->type,
                       .done = done,
                       .context = context,
                       .started_us = admission->started_us};
    memcpy(ending.trace_id, admission->traceparent + GATEWAY_TRACE_ID_OFFSET,
           sizeof(ending.trace_id));
    answer_error(gateway, &ending, result, text_from_c(admission->detail),
                 text_from_c(admission->field));
}

static bool is_page(const message_type_t *document)
{
    return document == &card_page_message || document == &history_page_message ||
           document == &event_page_message || document == &rollup_page_message ||
           document == &consumer_page_message || document == &webhook_page_message ||
           document == &delivery_page_message;
}

typedef union document {
    card_t card;
    verdict_t verdict;
    card_page_t cards;
    history_page_t history;
    event_page_t events;
    rollup_page_t rollups;
    consumer_t consumer;
    consumer_page_t consumers;
    webhook_t webhook;
    webhook_page_t webhooks;
    delivery_page_t deliveries;
} document_t;

static void count_undecodable(gateway_t *gateway, const char *what, const message_fault_t *fault)
{
    metric_add(gateway->numbers.undecodable, 1);
    log_warn("an envelope from another role cannot be read: do all roles have the same version?",
             LOG_STRING("what", what), LOG_STRING("field", fault->field),
             LOG_STRING("detail", fault->detail));
}

/* Decodes the document and answers with it. */
static void answer_document(gateway_t *gateway, const ending_t *ending, const reply_t *reply,
                            arena_t *arena)
{
    const message_type_t *type = gateway_shape(ending->type)->document;
    document_t document;
    assert(type->size <= sizeof(document));
    message_fault_t fault;
    if (!message_unpack(type, MESSAGE_KEYS_IDS, (const uint8_t *)reply->body.data, reply->body.size,
                        arena, &document, &fault)) {
        count_undecodable(gateway, "document", &fault);
        answer_error(gateway, ending, RESULT_INTERNAL,
                     TEXT_LITERAL("The answer could not be read within the service; the request "
                                  "may have taken effect."),
                     TEXT_NONE);
        return;
    }
    gateway_reply_t answered = {.result = RESULT_OK,
                                .document_type = type,
                                .document = &document,
                                .created = reply->created,
                                .has_card = MESSAGE_HAS(reply, reply, card),
                                .card = reply->card,
                                .version = reply->version,
                                .trace_id = reply->trace_id};
    answer(gateway, ending, &answered);
}

static void answer_ok(gateway_t *gateway, const ending_t *ending, const reply_t *reply)
{
    if (!is_page(gateway_shape(ending->type)->document)) {
        arena_t arena = {.base = gateway->arena_scratch, .size = sizeof(gateway->arena_scratch)};
        answer_document(gateway, ending, reply, &arena);
        return;
    }
    /* Pages are rare and large; memory that is not touched costs nothing. */
    arena_t arena = {.base = malloc(LIMIT_DOCUMENT_ARENA_SIZE), .size = LIMIT_DOCUMENT_ARENA_SIZE};
    if (arena.base == NULL) {
        answer_error(gateway, ending, RESULT_NO_MEMORY,
                     TEXT_LITERAL("There is no memory for the page now: ask again."), TEXT_NONE);
        return;
    }
    answer_document(gateway, ending, reply, &arena);
    free(arena.base);
}

static void answer_refusal(gateway_t *gateway, const ending_t *ending, const reply_t *reply)
{
    gateway_reply_t answered = {.result = RESULT_REFUSED,
                                .reason = reply->reason,
                                .detail = reply->detail,
                                .field = reply->field,
                                .trace_id = reply->trace_id};
    answer(gateway, ending, &answered);
}

static result_t error_of(const reply_t *reply)
{
    const bool is_error = MESSAGE_HAS(reply, reply, error) && result_is_known(reply->error) &&
                          reply->error != RESULT_OK;
    return is_error ? (result_t)reply->error : RESULT_INTERNAL;
}

static void answer_failure(gateway_t *gateway, const ending_t *ending, const reply_t *reply)
{
    gateway_reply_t answered = {
        .result = error_of(reply),
        .detail = reply->detail,
        .field = reply->field,
        .first_sequence = reply->first_sequence,
        .trace_id = {.data = ending->trace_id, .size = sizeof(ending->trace_id)}};
    answer(gateway, ending, &answered);
}

/* A shard that is draining has done nothing with the request: its successor gets it. When this
 * process is stopping too there may be none. */
static bool waits_for_successor(gateway_t *gateway, gateway_pending_t *pending,
                                const reply_t *reply)
{
    if (reply->outcome != outcome_error || error_of(reply) != RESULT_DRAINING ||
        gateway->is_draining) {
        return false;
    }
    gateway->peers[pending->peer].held_until_ms =
        loop_now_ms(gateway->loop) + LIMIT_DRAINING_HOLD_MS;
    gateway_pending_set_unsent(gateway, pending);
    if (pending->sent_count > 0) {
        pending->sent_count--; /* that time had no effect */
    }
    gateway_say_farewell(gateway, pending->peer);
    return true;
}

static void receive_reply(gateway_t *gateway, const reply_t *reply)
{
    if ((reply->correlation & 0xffffU) == GATEWAY_DIRECTORY_SLOT) {
        gateway_directory_receive(gateway, reply);
        return;
    }
    gateway_pending_t *pending = gateway_pending_find(gateway, reply->correlation);
    if (pending == NULL) {
        metric_add(gateway->numbers.late, 1);
        return;
    }
    if (waits_for_successor(gateway, pending, reply)) {
        return;
    }
    const uint16_t peer = pending->peer;
    ending_t ending = end_pending(gateway, pending);
    gateway_after_release(gateway, peer);
    if (reply->trace_id.size == sizeof(ending.trace_id)) {
        /* A repeat answers what the first request was answered, its trace id included. */
        memcpy(ending.trace_id, reply->trace_id.data, sizeof(ending.trace_id));
    }
    if (reply->outcome == outcome_ok) {
        answer_ok(gateway, &ending, reply);
    } else if (reply->outcome == outcome_refused && reply->reason != reason_none) {
        answer_refusal(gateway, &ending, reply);
    } else {
        answer_failure(gateway, &ending, reply);
    }
}

void gateway_receive(gateway_t *gateway, const uint8_t *envelope, size_t size)
{
    envelope_t decoded;
    arena_t arena = {.base = NULL, .size = 0}; /* a reply has no lists */
    message_fault_t fault = {0};
    if (!message_unpack(&envelope_message, MESSAGE_KEYS_IDS, envelope, size, &arena, &decoded,
                        &fault)) {
        count_undecodable(gateway, "envelope", &fault);
        return;
    }
    if (MESSAGE_HAS(envelope, &decoded, reply)) {
        receive_reply(gateway, &decoded.reply);
    } else if (MESSAGE_HAS(envelope, &decoded, credit)) {
        gateway_receive_credit(gateway, &decoded.credit);
    } else {
        count_undecodable(gateway, "envelope", &fault);
    }
}

void gateway_problem(const gateway_reply_t *reply, char type_text[128], problem_t *problem)
{
    assert(reply->result != RESULT_OK);
    const text_t code = reply->result == RESULT_REFUSED && reply->reason != reason_none
                            ? enum_name(&reason_enum, reply->reason)
                            : text_from_c(result_code(reply->result));
    const text_t title = text_from_c(result_title(reply->result));
    const int type_size = snprintf(type_text, 128, PROBLEM_TYPE_PREFIX "%.*s", TEXT_PRINT(code));
    assert(type_size > 0 && type_size < 128);
    text_t detail = reply->detail;
    if (text_is_empty(detail)) {
        detail = reply->result == RESULT_REFUSED ? card_reason_message(reply->reason) : title;
    }
    *problem = (problem_t){0};
    MESSAGE_SET(problem, problem, type, ((text_t){.data = type_text, .size = (size_t)type_size}));
    MESSAGE_SET(problem, problem, title, title);
    MESSAGE_SET(problem, problem, status, result_http_status(reply->result));
    MESSAGE_SET(problem, problem, detail, detail);
    MESSAGE_SET(problem, problem, code, code);
    MESSAGE_SET(problem, problem, trace_id, reply->trace_id);
    if (!text_is_empty(reply->field)) {
        MESSAGE_SET(problem, problem, field, reply->field);
    }
    if (reply->first_sequence > 0) {
        MESSAGE_SET(problem, problem, first_sequence, reply->first_sequence);
    }
}
