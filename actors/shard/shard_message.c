/* Messages of a shard from the envelope to the reply: made once, ended once. Must not decide
 * anything about cards. */
#include "actors/secrets.h"
#include "actors/shard/member_desk.h"
#include "actors/shard/shard_internal.h"
#include "actors/shard/tenant_actor.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

static void destroy_base(actor_message_t *base)
{
    shard_message_t *message = shard_message_of(base);
    shard_message_destroy(&message);
}

static shard_message_t *message_allocate(shard_t *shard, shard_message_kind_t kind, size_t size)
{
    shard_message_t *message = malloc(sizeof(*message) + size);
    assert(message != NULL);
    memset(message, 0, sizeof(*message));
    message->base.destroy = destroy_base;
    message->shard = shard;
    message->kind = kind;
    message->serial = shard->next_serial;
    message->started_us = clock_monotonic_us();
    message->size = size;
    shard->next_serial++;
    shard->messages_alive++;
    return message;
}

shard_message_t *shard_message_create(shard_t *shard, shard_message_kind_t kind)
{
    shard_message_t *message = message_allocate(shard, kind, 0);
    message->deadline_ms = UINT64_MAX;
    return message;
}

shard_message_t *shard_message_create_reminder(shard_t *shard, const journal_reminder_t *row)
{
    shard_message_t *message =
        message_allocate(shard, SHARD_REMIND, row->name.size + row->data.size);
    message->deadline_ms = UINT64_MAX;
    char *const texts = (char *)message->bytes;
    memcpy(texts, row->name.data, row->name.size);
    if (row->data.size > 0) {
        memcpy(texts + row->name.size, row->data.data, row->data.size);
    }
    message->command.reminder =
        (shard_reminder_t){.actor = row->actor,
                           .name = {.data = texts, .size = row->name.size},
                           .data = {.data = texts + row->name.size, .size = row->data.size},
                           .due_at = row->due_at,
                           .period_ms = row->period_ms};
    return message;
}

void shard_message_set_tenant(shard_message_t *message, tenant_t *tenant)
{
    assert(message->tenant == NULL);
    message->tenant = tenant;
    tenant_reference(tenant);
}

void shard_message_describe(const actor_message_t *message, actor_description_t *description,
                            void *context)
{
    enum { TRACEPARENT_SIZE = 55, TRACE_ID_AT = 3 }; /* W3C: 00-trace id-… */
    (void)context;
    const shard_message_t *const described = (const shard_message_t *)message;
    if (described->kind != SHARD_REQUEST) {
        description->command = described->kind == SHARD_EXPIRE   ? "expire"
                               : described->kind == SHARD_REMIND ? "remind"
                               : described->kind == SHARD_MEMBER ? "member"
                                                                 : "sweep";
        return;
    }
    description->command = enum_name(&request_type_enum, described->request.type).data;
    if (described->request.traceparent.size == TRACEPARENT_SIZE) {
        description->trace_id = described->request.traceparent.data + TRACE_ID_AT;
        description->trace_id_size = ACTOR_TRACE_ID_SIZE;
    }
}

void shard_message_destroy(shard_message_t **message)
{
    shard_message_t *const ended = *message;
    *message = NULL;
    if (ended->in_key_table) {
        key_table_remove(ended->shard->key_table, ended);
    }
    ended->shard->messages_alive--;
    if (ended->tenant != NULL) {
        if (ended->kind == SHARD_MEMBER) {
            member_work_card_done(ended);
        }
        if (ended->kind == SHARD_EXPIRE) {
            tenant_sweep_card_done(ended->tenant);
        }
        if (ended->kind == SHARD_REMIND) {
            tenant_remind_done(ended->tenant);
        }
        tenant_release(&ended->tenant);
    }
    free(ended);
}

/* The scan's fields under the names of the validation that it becomes once its code is read. */
static void scan_to_validate(const card_scan_t *scan, card_validate_t *validate)
{
    *validate = (card_validate_t){0};
    MESSAGE_SET(card_validate, validate, qr, scan->qr);
    MESSAGE_SET(card_validate, validate, gate, scan->gate);
    if (MESSAGE_HAS(card_scan, scan, zone)) {
        MESSAGE_SET(card_validate, validate, zone, scan->zone);
    }
    if (MESSAGE_HAS(card_scan, scan, direction)) {
        MESSAGE_SET(card_validate, validate, direction, scan->direction);
    }
    if (MESSAGE_HAS(card_scan, scan, at)) {
        MESSAGE_SET(card_validate, validate, at, scan->at);
    }
    if (MESSAGE_HAS(card_scan, scan, location)) {
        MESSAGE_SET(card_validate, validate, location, scan->location);
    }
}

static const message_type_t *command_type(uint8_t type)
{
    switch (type) {
    case request_type_card_issue:
        return &card_issue_message;
    case request_type_card_get:
        return &card_get_message;
    case request_type_card_activate:
    case request_type_card_suspend:
    case request_type_card_reinstate:
    case request_type_card_renew:
    case request_type_card_replace:
    case request_type_card_revoke:
        return &card_change_message;
    case request_type_card_validate:
        return &card_validate_message;
    default:
        return NULL;
    }
}

/* False: the message was answered. */
static bool decode_command(shard_message_t **message)
{
    shard_message_t *const decoded = *message;
    shard_t *const shard = decoded->shard;
    arena_t arena = {.base = shard->arena, .size = sizeof(shard->arena)};
    const uint8_t *const body = (const uint8_t *)decoded->request.body.data;
    const size_t size = decoded->request.body.size;
    message_fault_t fault;
    bool is_decoded = true;
    if (decoded->request.type == request_type_card_scan) {
        card_scan_t scan;
        is_decoded =
            message_unpack(&card_scan_message, MESSAGE_KEYS_IDS, body, size, &arena, &scan, &fault);
        if (is_decoded) {
            scan_to_validate(&scan, &decoded->command.validate);
        }
    } else if (decoded->request.type != request_type_directory_get &&
               decoded->request.type != request_type_member_events) {
        const message_type_t *const type = command_type(decoded->request.type);
        if (type == NULL) {
            shard_message_fail(message, RESULT_UNKNOWN_TYPE,
                               "A shard answers requests to cards; this one goes elsewhere.", "");
            return false;
        }
        is_decoded =
            message_unpack(type, MESSAGE_KEYS_IDS, body, size, &arena, &decoded->command, &fault);
    }
    if (!is_decoded) {
        metric_add(shard->metrics.malformed, 1);
        shard_message_fail(message, RESULT_INVALID_BODY, fault.detail, fault.field);
    }
    return is_decoded;
}

static shard_message_t *decode(shard_t *shard, uint32_t peer, text_t envelope, bool is_replay)
{
    shard_message_t *message = message_allocate(shard, SHARD_REQUEST, envelope.size);
    memcpy(message->bytes, envelope.data, envelope.size);
    arena_t arena = {.base = shard->arena, .size = sizeof(shard->arena)};
    envelope_t decoded;
    message_fault_t fault;
    if (!message_unpack(&envelope_message, MESSAGE_KEYS_IDS, message->bytes, envelope.size, &arena,
                        &decoded, &fault) ||
        !MESSAGE_HAS(envelope, &decoded, request)) {
        if (fault.kind == MESSAGE_FAULT_NONE && MESSAGE_HAS(envelope, &decoded, farewell)) {
            shard_message_destroy(&message);
            shard_front_farewell(shard);
            return NULL;
        }
        metric_add(shard->metrics.malformed, 1);
        log_error("an envelope from a front is no request and was dropped; the roles may be of "
                  "different versions",
                  LOG_NUMBER("peer", peer), LOG_NUMBER("size", envelope.size));
        shard_message_destroy(&message);
        return NULL;
    }
    message->request = decoded.request;
    message->peer = peer;
    message->is_replay = is_replay;
    message->deadline_ms = loop_now_ms(shard->loop) +
                           (is_replay ? LIMIT_REQUEST_DEADLINE_MS : decoded.request.deadline_ms);
    if (MESSAGE_HAS(request, &message->request, card)) {
        message->card = message->request.card;
    }
    return decode_command(&message) ? message : NULL;
}

shard_message_t *shard_message_decode(shard_t *shard, uint32_t peer, const uint8_t *envelope,
                                      size_t size)
{
    return decode(shard, peer, (text_t){.data = (const char *)envelope, .size = size}, false);
}

shard_message_t *shard_message_decode_replay(shard_t *shard, text_t envelope)
{
    return decode(shard, 0, envelope, true);
}

/* --- The crash slot --- */

static crash_identity_t internal_identity(const shard_message_t *message)
{
    const text_t tenant = tenant_name(message->tenant);
    return (crash_identity_t){.tenant = tenant.data, .tenant_size = tenant.size};
}

crash_identity_t shard_message_identity(const shard_message_t *message)
{
    const request_t *const request = &message->request;
    const bool has_key = shard_message_has_key(message);
    const text_t text = has_key ? request->key : request->body;
    return (crash_identity_t){
        .tenant = request->tenant.data,
        .tenant_size = request->tenant.size,
        .card = MESSAGE_HAS(request, request, card) ? request->card.bytes : NULL,
        .type = request->type,
        .is_key = has_key,
        .text = text.data,
        .text_size = text.size,
    };
}

void shard_message_enter(const shard_message_t *message, crash_stage_t stage)
{
    const bool is_internal = message->kind != SHARD_REQUEST;
    if (is_internal && (stage == CRASH_STAGE_COMMAND || message->tenant == NULL)) {
        return;
    }
    const request_t *const request = &message->request;
    static_assert(sizeof(message->card.bytes) == CRASH_ID_SIZE, "ids are UUIDs");
    const crash_command_t command = {
        .identity = is_internal ? internal_identity(message) : shard_message_identity(message),
        .stage = stage,
        .is_internal = is_internal,
        .actor = message->card.bytes,
        .trace = is_internal ? "" : request->traceparent.data,
        .trace_size = is_internal ? 0 : request->traceparent.size,
        .request = message->bytes,
        .request_size = is_internal ? 0 : message->size,
    };
    crash_slot_enter(message->shard->ports.crash_slot, &command);
}

static void send_reply(const shard_message_t *message, text_t envelope, uint8_t outcome)
{
    shard_t *const shard = message->shard;
    if (message->is_replay) {
        quarantine_replayed(shard->quarantine, envelope);
    } else if (message->peer == SHARD_PEER_ADAPTERS) {
        shard->ports.neighbour_send(shard->ports.context, (const uint8_t *)envelope.data,
                                    envelope.size);
    } else {
        shard->ports.reply(shard->ports.context, message->peer, (const uint8_t *)envelope.data,
                           envelope.size);
    }
    shard_metrics_request(&shard->metrics, message->request.type, outcome,
                          clock_monotonic_us() - message->started_us);
}

void shard_message_answer(shard_message_t **message, text_t envelope, uint8_t outcome)
{
    if ((*message)->kind == SHARD_REQUEST) {
        send_reply(*message, envelope, outcome);
    }
    shard_message_destroy(message);
}

static void pack_and_send(const shard_message_t *message, const reply_t *reply)
{
    shard_t *const shard = message->shard;
    uint8_t *bytes = shard->envelope;
    uint8_t *larger = NULL;
    size_t size = reply_pack(reply, bytes, sizeof(shard->envelope));
    if (size > sizeof(shard->envelope)) { /* a page of the directory */
        larger = malloc(size);
        assert(larger != NULL);
        size = reply_pack(reply, larger, size);
        bytes = larger;
    }
    send_reply(message, (text_t){.data = (const char *)bytes, .size = size}, reply->outcome);
    free(larger);
}

void shard_message_reply(shard_message_t **message, const reply_t *reply)
{
    pack_and_send(*message, reply);
    shard_message_destroy(message);
}

static void send_failure(const shard_message_t *message, result_t result, text_t detail,
                         text_t field)
{
    if (message->kind != SHARD_REQUEST) {
        return;
    }
    if (result == RESULT_BUSY) {
        metric_add(message->shard->metrics.busy, 1);
    } else if (result == RESULT_DEADLINE_EXCEEDED) {
        metric_add(message->shard->metrics.dead_deadline, 1);
    }
    reply_t reply;
    reply_begin(&message->request, &reply);
    reply_fail(&reply, result, detail, field);
    pack_and_send(message, &reply);
}

void shard_message_fail_undelivered(shard_message_t *message, result_t result)
{
    if (result != RESULT_DEADLINE_EXCEEDED) { /* counted as that */
        metric_add(message->shard->metrics.dead_undeliverable, 1);
    }
    send_failure(message, result, TEXT_NONE, TEXT_NONE);
}

void shard_message_fail(shard_message_t **message, result_t result, const char *detail,
                        const char *field)
{
    send_failure(*message, result, text_from_c(detail), text_from_c(field));
    shard_message_destroy(message);
}

void shard_message_repeat(shard_message_t **message, const uint8_t request_hash[32], text_t stored)
{
    const request_t *const request = &(*message)->request;
    if (request->key_hash.size != 32 || memcmp(request->key_hash.data, request_hash, 32) != 0) {
        shard_message_fail(message, RESULT_KEY_REUSED, NULL, NULL);
        return;
    }
    uint8_t *const plain = (*message)->shard->scratch;
    const tenant_t *const tenant = (*message)->tenant;
    text_t packed;
    reply_t reply;
    if (!secret_reply_open((*message)->shard->ports.crypto, &tenant->secret, tenant_name(tenant),
                           request->key, stored, plain, sizeof((*message)->shard->scratch),
                           &packed) ||
        !reply_unpack_stored(packed, request->correlation, &reply)) {
        log_error("a stored reply cannot be read; run `digitalcard store verify`",
                  LOG_TEXT("tenant", request->tenant.data, request->tenant.size));
        shard_message_fail(message, RESULT_STORE_CORRUPT, NULL, NULL);
        return;
    }
    metric_add((*message)->shard->metrics.repeats, 1);
    shard_message_reply(message, &reply);
}
