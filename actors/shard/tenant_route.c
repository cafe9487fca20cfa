/* From an open tenant to the card: the checks that need no card, and the answers to requests that
 * never reach one. Must not read a card's state. */
#include "actors/domain/card_id.h"
#include "actors/shard/card_actor.h"
#include "actors/shard/card_reply.h"
#include "actors/shard/member_desk.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

static bool is_validation(const shard_message_t *message)
{
    return message->request.type == request_type_card_validate ||
           message->request.type == request_type_card_scan;
}

/* --- What a command may not say --- */

typedef struct complaint {
    result_t result; /* RESULT_OK: none */
    const char *detail;
    const char *field;
} complaint_t;

static complaint_t check_until(const shard_message_t *message)
{
    const card_change_t *const change = &message->command.change;
    if (!MESSAGE_HAS(card_change, change, until)) {
        return (complaint_t){0};
    }
    if (message->request.type != request_type_card_suspend) {
        return (complaint_t){RESULT_INVALID_BODY,
                             "until is given only when a card is suspended. Leave it out.",
                             "until"};
    }
    return (complaint_t){0};
}

static complaint_t check_change(const shard_message_t *message)
{
    const bool has_end = MESSAGE_HAS(card_change, &message->command.change, expires_at);
    if (message->request.type == request_type_card_renew) {
        if (!has_end) {
            return (complaint_t){RESULT_INVALID_BODY,
                                 "Renewing needs expires_at, the new end of the card, as an RFC "
                                 "3339 time later than the present one.",
                                 "expires_at"};
        }
    } else if (has_end && message->request.type != request_type_card_replace) {
        return (complaint_t){RESULT_INVALID_BODY,
                             "expires_at is given only when a card is renewed or replaced. Leave "
                             "it out, or renew the card to move its end.",
                             "expires_at"};
    }
    return check_until(message);
}

static complaint_t check_validation(const shard_message_t *message)
{
    const card_validate_t *const validate = &message->command.validate;
    if (MESSAGE_HAS(card_validate, validate, at) &&
        validate->at > message->shard->ports.wall_ms() + LIMIT_SCAN_AHEAD_MS) {
        return (complaint_t){RESULT_INVALID_BODY,
                             "at lies more than 60 seconds ahead of the clock of the service. Set "
                             "the clock of the scanner, or leave at out.",
                             "at"};
    }
    return (complaint_t){0};
}

static complaint_t check_command(const shard_message_t *message)
{
    switch (message->request.type) {
    case request_type_card_issue:
        if (MESSAGE_HAS(card_issue, &message->command.issue, rules) &&
            message->command.issue.rules > 0) {
            return (complaint_t){RESULT_NOT_IMPLEMENTED,
                                 "Rules of use do not exist yet. Leave rules out or empty.",
                                 "rules"};
        }
        return (complaint_t){0};
    case request_type_card_get:
        return (complaint_t){0};
    case request_type_card_validate:
    case request_type_card_scan:
        return check_validation(message);
    default:
        return check_change(message);
    }
}

/* --- Codes --- */

static const tenant_key_t *find_key(const tenant_t *tenant, uint32_t kid)
{
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        if (tenant->keys[i].signing.kid == kid) {
            return &tenant->keys[i];
        }
    }
    return NULL;
}

/* reason_valid, or why the code is not to be believed. Names the card that it is of. */
static uint8_t check_code(const tenant_t *tenant, text_t qr, uuid_t *card)
{
    card_code_t code;
    if (!card_code_parse(qr, &code)) {
        return reason_bad_signature;
    }
    if (code.tenant_tag != tenant->tag) {
        return reason_wrong_tenant;
    }
    const tenant_key_t *const key = find_key(tenant, code.kid);
    if (key == NULL) {
        return reason_bad_signature;
    }
    uint8_t bytes[CARD_CODE_MESSAGE_SIZE_MAX];
    const size_t size = card_code_message(&code, tenant_name(tenant), bytes);
    const text_t signed_text = {.data = (const char *)bytes, .size = size};
    if (!tenant->shard->ports.crypto->mac_verify(&key->signing.key, signed_text, code.mac)) {
        return reason_bad_signature;
    }
    if (key->state != key_state_active && key->state != key_state_verifying) {
        return reason_key_retired;
    }
    *card = code.card;
    return reason_valid;
}

/* Finds the card of a validation. reason_valid: message->card is it. */
static uint8_t identify(const tenant_t *tenant, shard_message_t *message)
{
    const card_validate_t *const validate = &message->command.validate;
    if (MESSAGE_HAS(card_validate, validate, qr)) {
        uuid_t card;
        const uint8_t reason = check_code(tenant, validate->qr, &card);
        if (reason != reason_valid) {
            return reason;
        }
        if (message->request.type == request_type_card_validate &&
            !uuid_equal(&card, &message->card)) {
            return reason_bad_signature; /* a good code of another card */
        }
        message->card = card;
    }
    return reason_valid;
}

/* --- Requests that never reach a card --- */

typedef struct key_lookup {
    tenant_t *tenant;
    shard_message_t *message;
    uint8_t reason;
    journal_load_t load;
} key_lookup_t;

/* Stored under the key like every decided reply, in the batch of the tenant's first partition. */
static void store_without_card(tenant_t *tenant, shard_message_t **message, uint8_t reason)
{
    partition_t *const partition = &tenant->partitions[0];
    batch_t *batch = NULL;
    if (partition_gather(partition, &batch) != RESULT_OK) {
        shard_message_fail(message, RESULT_BUSY, NULL, NULL);
        return;
    }
    reply_t reply;
    card_reply_without_card(tenant, *message, reason, &reply);
    card_reply_wait(partition, batch, message, &reply);
}

static void key_lookup_done(void *context, const journal_loaded_t *loaded)
{
    key_lookup_t *const lookup = context;
    tenant_t *const tenant = lookup->tenant;
    tenant->shard->loads_in_flight--;
    if (tenant->status != TENANT_OPEN) {
        shard_message_fail(&lookup->message, RESULT_STORE_UNAVAILABLE, NULL, NULL);
    } else if (loaded->result != RESULT_OK) {
        shard_message_fail(&lookup->message, loaded->result, NULL, NULL);
    } else if (loaded->idempotency_found) {
        shard_message_repeat(&lookup->message, loaded->request_hash, loaded->reply);
    } else {
        store_without_card(tenant, &lookup->message, lookup->reason);
    }
    free(lookup);
    tenant_operation_end(tenant);
}

static void answer_with_key(tenant_t *tenant, shard_message_t **message, uint8_t reason)
{
    shard_t *const shard = tenant->shard;
    key_lookup_t *lookup = calloc(1, sizeof(*lookup));
    assert(lookup != NULL);
    lookup->tenant = tenant;
    lookup->message = *message;
    lookup->reason = reason;
    lookup->load.idempotency_key = (*message)->request.key;
    result_t result = RESULT_BUSY;
    if (shard->loads_in_flight < shard->options.activations_max) {
        result = shard->ports.journal->functions->load(tenant->journal, &lookup->load,
                                                       key_lookup_done, lookup);
    }
    if (result != RESULT_OK) {
        free(lookup);
        shard_message_fail(message, result, NULL, NULL);
        return;
    }
    *message = NULL;
    shard->loads_in_flight++;
    metric_add(shard->metrics.loads, 1);
    tenant_operation_begin(tenant);
}

static void answer_without_card(tenant_t *tenant, shard_message_t **message, uint8_t reason)
{
    if (shard_message_has_key(*message)) {
        answer_with_key(tenant, message, reason);
        return;
    }
    reply_t reply;
    card_reply_without_card(tenant, *message, reason, &reply);
    shard_message_reply(message, &reply);
}

/* --- The refusal log --- */

/* At most LIMIT_REFUSAL_LOG_PER_SECOND of a tenant; the rest is counted. */
static bool refusal_is_within_rate(tenant_t *tenant)
{
    const uint64_t second = loop_now_ms(tenant->shard->loop) / 1000;
    if (tenant->refusal_second != second) {
        tenant->refusal_second = second;
        tenant->refusals_in_second = 0;
    }
    if (tenant->refusals_in_second >= LIMIT_REFUSAL_LOG_PER_SECOND) {
        return false;
    }
    tenant->refusals_in_second++;
    return true;
}

void tenant_log_refusal(tenant_t *tenant, const shard_message_t *message, uint8_t reason)
{
    shard_t *const shard = tenant->shard;
    batch_t *const batch = partition_gather_quietly(&tenant->partitions[0]);
    if (!refusal_is_within_rate(tenant) || batch->refusal_count >= LIMIT_REFUSAL_LOG_PER_SECOND) {
        metric_add(shard->metrics.refusals_dropped, 1);
        return;
    }
    const card_validate_t *const validate = &message->command.validate;
    char id[UUID_TEXT_SIZE];
    text_t code = validate->qr;
    if (!MESSAGE_HAS(card_validate, validate, qr)) {
        uuid_format(&message->card, id);
        code = (text_t){.data = id, .size = sizeof(id)};
    }
    journal_refusal_t *const row = &batch->refusals[batch->refusal_count];
    batch->refusal_count++;
    row->recorded_at = shard->ports.wall_ms();
    row->reason = reason;
    row->gate = batch_copy(batch, validate->gate);
    row->code = batch_copy(batch, code);
    batch->stored_size += row->gate.size + row->code.size;
}

/* --- Quarantine --- */

static void refuse_quarantined(tenant_t *tenant, shard_message_t **message, const char *detail)
{
    /* The work of a member asks again and again: each time would look like one more refusal. */
    metric_add(tenant->shard->metrics.dead_quarantined, (*message)->kind == SHARD_REQUEST ? 1 : 0);
    (*message)->is_member_aside = true;
    if ((*message)->kind != SHARD_REQUEST || !is_validation(*message)) {
        shard_message_fail(message, RESULT_QUARANTINED, detail, NULL);
        return;
    }
    /* Not stored under its key: what an operator decides later shall count for a repeat. */
    reply_t reply;
    card_reply_without_card(tenant, *message, reason_quarantined, &reply);
    shard_message_reply(message, &reply);
}

/* --- Routing --- */

static void send_to_card(tenant_t *tenant, shard_message_t **message)
{
    shard_t *const shard = tenant->shard;
    if (quarantine_holds_card(shard->quarantine, *message)) {
        refuse_quarantined(tenant, message,
                           "This card made the service fail whatever was asked of it, so all of it "
                           "is set aside. An operator sees it in `digitalcard deadletters list`, "
                           "tries it again with `replay` and lets it in with `drop`.");
        return;
    }
    actor_identity_t identity = {.tenant = tenant->name, .tenant_size = tenant->name_size};
    memcpy(identity.id, (*message)->card.bytes, sizeof(identity.id));
    if (!shard_send(shard, shard->card_kind, &identity, message)) {
        shard_message_fail(message, RESULT_BUSY, NULL, NULL);
    }
}

void tenant_send_to(tenant_t *tenant, const uuid_t *card, shard_message_t **message)
{
    (*message)->card = *card;
    (*message)->partition = card_id_partition(card);
    if ((*message)->partition >= tenant->partition_count) {
        shard_message_destroy(message);
        return;
    }
    send_to_card(tenant, message);
}

static void route_issue(tenant_t *tenant, shard_message_t **message)
{
    shard_t *const shard = tenant->shard;
    const uint32_t partition =
        placement_partition((*message)->command.issue.member_id, tenant->partition_count);
    if ((*message)->request.partition != partition) {
        log_warn("a request came for a partition that is not its member's and was refused: the "
                 "front knew an older tenant of this name",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_NUMBER("partition", (*message)->request.partition));
        shard_message_fail(message, RESULT_UNAVAILABLE, NULL, NULL);
        return;
    }
    (*message)->partition = partition;
    if (member_ask(tenant, message)) {
        return; /* comes here again with what the context said */
    }
    (*message)->card = shard_uuid(shard, shard->ports.wall_ms(), partition);
    send_to_card(tenant, message);
}

static void route(tenant_t *tenant, shard_message_t **message)
{
    if ((*message)->request.type == request_type_member_events) {
        member_events_run(tenant, message);
        return;
    }
    if (shard_message_has_key(*message) && !(*message)->in_key_table) {
        const result_t result = key_table_add(tenant->shard->key_table, *message);
        if (result != RESULT_OK) {
            shard_message_fail(message, result, NULL, NULL);
            return;
        }
    }
    const complaint_t complaint = check_command(*message);
    if (complaint.result != RESULT_OK) {
        shard_message_fail(message, complaint.result, complaint.detail, complaint.field);
        return;
    }
    if ((*message)->request.type == request_type_card_issue) {
        route_issue(tenant, message);
        return;
    }
    const uint8_t reason = is_validation(*message) ? identify(tenant, *message) : reason_valid;
    if (reason != reason_valid) {
        answer_without_card(tenant, message, reason);
        return;
    }
    (*message)->partition = card_id_partition(&(*message)->card);
    if (!card_id_is_valid(&(*message)->card) || (*message)->partition >= tenant->partition_count) {
        answer_without_card(tenant, message, reason_unknown_card);
        return;
    }
    send_to_card(tenant, message);
}

void tenant_route(tenant_t *tenant, shard_message_t **message)
{
    assert(tenant->status == TENANT_OPEN);
    shard_t *const shard = tenant->shard;
    if (!tenant_is_meant(tenant, *message)) {
        tenant_refuse_namesake(tenant, message);
        return;
    }
    if (!tenant_quota_admits(tenant, message)) {
        return;
    }
    if (quarantine_holds(shard->quarantine, *message)) {
        refuse_quarantined(tenant, message, NULL); /* everything else of its card goes on */
        return;
    }
    shard_message_enter(*message, CRASH_STAGE_COMMAND);
    route(tenant, message);
    shard_message_leave(shard);
}

void tenant_send_to_card(tenant_t *tenant, shard_message_t **message)
{
    send_to_card(tenant, message);
}

void tenant_expire_card(tenant_t *tenant, const uuid_t *card)
{
    shard_message_t *message = shard_message_create(tenant->shard, SHARD_EXPIRE);
    shard_message_set_tenant(message, tenant);
    tenant_send_to(tenant, card, &message);
}
