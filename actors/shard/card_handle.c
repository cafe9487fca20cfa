/* What a message does to a card: decide, evolve at once, append to the batch, prepare the reply,
 * which leaves when the batch is durable. Must not read from the journal. */
#include "actors/secrets.h"
#include "actors/shard/card_actor_internal.h"
#include "actors/shard/card_reply.h"
#include "actors/shard/member_desk.h"
#include "actors/shard/reminder.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define SUSPENSION_ENDS "suspension-ends" /* name of the reminder, in journals for ever */

/* One message while it is handled. */
typedef struct handling {
    card_actor_t *card;
    tenant_t *tenant;
    shard_t *shard;
    const shard_message_t *message;
    batch_t *batch;
    int64_t now_ms;
    card_state_t state; /* of the card, as decided so far */
    uuid_t new_card;    /* of a replacement */
    card_state_t new_state;
    uuid_t validation_id;
    uint64_t validation_sequence;
    member_judgement_t judgement;
    uint8_t sealed_name[SECRET_SEALED_NAME_SIZE_MAX];
} handling_t;

static bool is_validation(const shard_message_t *message)
{
    return message->request.type == request_type_card_validate ||
           message->request.type == request_type_card_scan;
}

static card_command_kind_t command_kind(const shard_message_t *message)
{
    if (message->kind == SHARD_EXPIRE) {
        return CARD_EXPIRE;
    }
    if (message->kind == SHARD_REMIND) {
        return CARD_REINSTATE;
    }
    if (message->kind == SHARD_MEMBER) {
        return (card_command_kind_t)message->member_command;
    }
    switch (message->request.type) {
    case request_type_card_issue:
        return CARD_ISSUE;
    case request_type_card_activate:
        return CARD_ACTIVATE;
    case request_type_card_suspend:
        return CARD_SUSPEND;
    case request_type_card_reinstate:
        return CARD_REINSTATE;
    case request_type_card_renew:
        return CARD_RENEW;
    case request_type_card_replace:
        return CARD_REPLACE;
    case request_type_card_revoke:
        return CARD_REVOKE;
    default:
        assert(is_validation(message)); /* reads are no commands */
        return CARD_VALIDATE;
    }
}

/* --- Names and keys of members --- */

static text_t issued_name(const shard_message_t *message)
{
    if (message->kind != SHARD_REQUEST || message->request.type != request_type_card_issue ||
        !MESSAGE_HAS(card_issue, &message->command.issue, holder_name)) {
        return TEXT_NONE;
    }
    return message->command.issue.holder_name;
}

text_t card_handle_missing_member(const card_actor_t *card, const shard_message_t *message)
{
    (void)card;
    if (text_is_empty(issued_name(message))) {
        return TEXT_NONE;
    }
    member_keys_t *const keys = message->shard->member_keys;
    /* Another card of the member may have made its key meanwhile, and the cache may have lost it: a
     * second key would make the names under the first one unreadable. */
    if (message->member_is_new && !member_keys_has_forgotten_since(keys, message->keys_moment)) {
        return TEXT_NONE;
    }
    const text_t member_id = message->command.issue.member_id;
    const text_t identity = tenant_identity(message->tenant);
    const crypto_key_t *const key = member_keys_find(keys, identity, member_id);
    return key == NULL ? member_id : TEXT_NONE;
}

/* A member's first key goes into the batch of the first card, and into the cache at once, so that a
 * second card uses the same. */
static const crypto_key_t *make_member_key(handling_t *handling, text_t member_id)
{
    shard_t *const shard = handling->shard;
    batch_t *const batch = handling->batch;
    const text_t name = tenant_name(handling->tenant);
    const text_t identity = tenant_identity(handling->tenant);
    crypto_key_t key;
    shard->ports.random_fill(key.bytes, sizeof(key.bytes));
    uint8_t *const sealed = batch_allocate(batch, SECRET_SEALED_KEY_SIZE);
    secret_member_key_seal(shard->ports.crypto, &handling->tenant->secret, name, member_id, &key,
                           sealed);
    batch->member_keys[batch->member_key_count] = (journal_member_key_t){
        .member_id = batch_copy(batch, member_id),
        .sealed_key = {.data = (const char *)sealed, .size = SECRET_SEALED_KEY_SIZE},
    };
    batch->pinned[batch->member_key_count] =
        member_keys_put_pinned(shard->member_keys, identity, member_id, &key);
    batch->member_key_count++;
    shard->ports.crypto->wipe(&key, sizeof(key));
    return member_keys_find(shard->member_keys, identity, member_id);
}

/* Where the sealed name will be: the decision only needs to know that there is one. */
static text_t sealed_name_place(const handling_t *handling)
{
    const text_t holder_name = issued_name(handling->message);
    if (text_is_empty(holder_name)) {
        return TEXT_NONE;
    }
    return (text_t){.data = (const char *)handling->sealed_name,
                    .size = holder_name.size + CRYPTO_SEAL_OVERHEAD};
}

/* Only for a card that is issued: a refused one leaves no key behind. */
static void seal_name(handling_t *handling)
{
    const text_t holder_name = issued_name(handling->message);
    if (text_is_empty(holder_name)) {
        return;
    }
    shard_t *const shard = handling->shard;
    const text_t member_id = handling->message->command.issue.member_id;
    const crypto_key_t *key =
        member_keys_find(shard->member_keys, tenant_identity(handling->tenant), member_id);
    if (key == NULL) {
        key = make_member_key(handling, member_id);
    }
    secret_holder_name_seal(shard->ports.crypto, key, member_id, holder_name,
                            handling->sealed_name);
}

/* --- Events and snapshots --- */

static bool changes_card(uint8_t event_name)
{
    return event_name != event_name_card_validated &&
           event_name != event_name_card_validation_refused;
}

static void append_event(handling_t *handling, const card_decided_event_t *decided)
{
    const shard_message_t *const message = handling->message;
    batch_t *const batch = handling->batch;
    card_actor_t *const card = handling->card;
    card_state_t *const state = decided->of_new_card ? &handling->new_state : &handling->state;
    const uuid_t id = decided->of_new_card ? handling->new_card : message->card;
    const uint64_t sequence_before = state->card_sequence;
    const bool was_living = card_is_living(state->status);
    card_evolve(state, decided->name, &id, handling->now_ms, &decided->data);
    assert(state->card_sequence == sequence_before + 1); /* DESIGN invariant 4 */
    const journal_event_t event = {
        .event_id = shard_uuid(handling->shard, handling->now_ms, 0),
        .card = id,
        .card_sequence = state->card_sequence,
        .version = state->version,
        .occurred_at = handling->now_ms,
        .name = decided->name,
        .traceparent = message->request.traceparent, /* the batch owns the message */
        .body = batch_pack(batch, &event_data_message, &decided->data),
    };
    const int cards = (card_is_living(state->status) ? 1 : 0) - (was_living ? 1 : 0);
    const uint64_t sequence =
        partition_append(card->partition, batch, &event, &decided->data, cards);
    if (!changes_card(decided->name) && handling->validation_sequence == 0) {
        handling->validation_id = event.event_id;
        handling->validation_sequence = sequence;
    }
}

static journal_snapshot_t *snapshot_place(const card_actor_t *card, batch_t *batch)
{
    if (card != NULL && card->batch_number == batch->number &&
        card->snapshot_index != CARD_SNAPSHOT_NONE) {
        return &batch->snapshots[card->snapshot_index];
    }
    assert(batch->snapshot_count < LIMIT_BATCH_EVENTS);
    batch->snapshot_count++;
    return &batch->snapshots[batch->snapshot_count - 1];
}

static void put_snapshot(batch_t *batch, const card_state_t *state, journal_snapshot_t *snapshot)
{
    *snapshot = (journal_snapshot_t){
        .card = state->id,
        .member_id = batch_copy(batch, state->member_id),
        .tier = batch_copy(batch, state->tier),
        .status = state->status,
        .expires_at = state->expires_at,
        .card_sequence = state->card_sequence,
        .body = batch_pack(batch, &card_snapshot_message, state),
    };
    batch->stored_size += snapshot->body.size;
}

void card_handle_snapshot(card_actor_t *card, batch_t *batch)
{
    card_state_t state;
    card_memory_read(card, &state);
    journal_snapshot_t *const snapshot = snapshot_place(card, batch);
    put_snapshot(batch, &state, snapshot);
    card->snapshot_index = (uint16_t)(snapshot - batch->snapshots);
    card->unsnapshot = 0;
    card->batch_number = batch->number;
}

/* With every change, because lists and the sweep read snapshots, and often enough that a tail stays
 * short. Of one batch only the newest counts. */
static void snapshot_card(handling_t *handling, uint32_t events, bool changed)
{
    card_actor_t *const card = handling->card;
    batch_t *const batch = handling->batch;
    if (!changed && card->unsnapshot + events < LIMIT_SNAPSHOT_INTERVAL_EVENTS) {
        card->unsnapshot += events;
        card->snapshot_index =
            card->batch_number == batch->number ? card->snapshot_index : CARD_SNAPSHOT_NONE;
        return;
    }
    journal_snapshot_t *const snapshot = snapshot_place(card, batch);
    put_snapshot(batch, &handling->state, snapshot);
    card->snapshot_index = (uint16_t)(snapshot - batch->snapshots);
    card->unsnapshot = 0;
}

/* What was decided becomes the card at rest. */
static void keep_state(handling_t *handling, const char *member_id_before)
{
    card_actor_t *const card = handling->card;
    const bool has_ids = MESSAGE_HAS(card_snapshot, &handling->state, replaced_by);
    const bool is_issued = handling->state.member_id.data != member_id_before;
    if (is_issued) { /* its texts are the command's */
        card_memory_keep(card, &handling->state, issued_name(handling->message));
    } else if (has_ids) {
        card_memory_keep(card, &handling->state, card_memory_holder_name(card));
    } else {
        card_memory_update(card, &handling->state);
    }
}

/* --- The end of a suspension --- */

/* A suspension for a time leaves a reminder; whatever else ends it takes that along. */
static void remind_of_end(handling_t *handling, const card_decided_event_t *decided)
{
    const uuid_t *const card = &handling->message->card;
    const text_t name = TEXT_LITERAL(SUSPENSION_ENDS);
    switch (decided->name) {
    case event_name_card_suspended:
        if (MESSAGE_HAS(event_data, &decided->data, until)) {
            const reminder_request_t request = {
                .actor = *card, .name = name, .due_at = decided->data.until};
            reminder_set(handling->tenant, handling->batch, &request);
        }
        break;
    case event_name_card_reinstated:
    case event_name_card_revoked:
    case event_name_card_replaced:
        reminder_cancel(handling->tenant, handling->batch, card, name);
        break;
    default:
        break;
    }
}

static void own_new_state(handling_t *handling)
{
    card_state_t *const state = &handling->new_state;
    state->member_id = batch_copy(handling->batch, state->member_id);
    state->tier = batch_copy(handling->batch, state->tier);
    state->sealed_name = batch_copy(handling->batch, state->sealed_name);
}

static void apply(handling_t *handling, const card_decision_t *decision)
{
    card_actor_t *const card = handling->card;
    const char *const member_id_before = handling->state.member_id.data;
    uint32_t events = 0;
    bool changed = false;
    for (uint32_t i = 0; i < decision->event_count; i++) {
        append_event(handling, &decision->events[i]);
        if (!decision->events[i].of_new_card) {
            events++;
            remind_of_end(handling, &decision->events[i]);
            changed = changed || changes_card(decision->events[i].name);
        }
    }
    if (decision->event_count == 0) {
        return;
    }
    if (handling->new_state.status != card_status_none) { /* it borrows from the card's texts */
        own_new_state(handling);
    }
    keep_state(handling, member_id_before);
    card_memory_read(card, &handling->state); /* its texts are the card's own from here on */
    snapshot_card(handling, events, changed);
    card->batch_number = handling->batch->number;
    if (handling->new_state.status != card_status_none) {
        put_snapshot(handling->batch, &handling->new_state, snapshot_place(NULL, handling->batch));
    }
}

/* --- Replies --- */

static void view(const handling_t *handling, const card_state_t *state, bool with_code,
                 card_view_code_t *code, card_t *document)
{
    card_view(state, handling->now_ms, tenant_name(handling->tenant),
              card_memory_holder_name(handling->card),
              with_code ? handling->tenant->active_key : NULL, handling->shard->ports.crypto, code,
              document);
}

static void reply_card(const handling_t *handling, const card_state_t *state, bool created,
                       reply_t *reply)
{
    card_view_code_t code;
    card_t document;
    /* The code is a credential: auditors see the card without it. */
    const bool with_code = handling->message->request.role != role_auditor;
    view(handling, state, with_code, &code, &document);
    reply_succeed(reply, card_reply_pack_card(handling->shard, &document));
    reply_name_card(reply, &document.id, document.version, created);
}

static void reply_verdict(const handling_t *handling, uint8_t reason, reply_t *reply)
{
    card_t document;
    view(handling, &handling->state, false, NULL, &document);
    if (flag_is_on(&handling->tenant->flags, FLAG_verdict_hides_holder, &document.id)) {
        document.holder_name = TEXT_NONE;
        MESSAGE_CLEAR(card, &document, holder_name);
    }
    const verdict_facts_t facts = {
        .reason = reason,
        .card = &document,
        .validation_id = handling->validation_id,
        .sequence = handling->validation_sequence,
        .now_ms = handling->now_ms,
        .validate = &handling->message->command.validate,
        .is_fallback = handling->judgement.is_fallback,
        .has_age = handling->judgement.has_age,
        .age_s = handling->judgement.age_s,
    };
    reply_succeed(reply, card_reply_pack_verdict(handling->shard, &facts));
    shard_metrics_verdict(&handling->shard->metrics, reason);
}

static text_t dates_detail(const handling_t *handling)
{
    if (handling->message->request.type == request_type_card_issue) {
        return TEXT_LITERAL("expires_at must lie in the future and after valid_from.");
    }
    if (handling->message->request.type == request_type_card_suspend) {
        return TEXT_LITERAL("until must lie in the future: the card is reinstated at that moment.");
    }
    return TEXT_LITERAL("The new expires_at must lie in the future and after the card's "
                        "valid_from.");
}

static void reply_decided(const handling_t *handling, const card_decision_t *decision,
                          reply_t *reply)
{
    const uint8_t type = handling->message->request.type;
    switch (decision->outcome) {
    case CARD_REFUSED:
        reply_refuse(reply, decision->reason, card_reason_message(decision->reason));
        break;
    case CARD_UNKNOWN:
        card_reply_without_card(handling->tenant, handling->message, reason_unknown_card, reply);
        break;
    case CARD_INVALID_DATES:
        reply_fail(reply, RESULT_INVALID_DATES, dates_detail(handling),
                   type == request_type_card_suspend ? TEXT_LITERAL("until")
                                                     : TEXT_LITERAL("expires_at"));
        break;
    case CARD_ACCEPTED:
        if (is_validation(handling->message)) {
            reply_verdict(handling, decision->reason, reply);
        } else if (type == request_type_card_replace) {
            reply_card(handling, &handling->new_state, false, reply);
        } else {
            reply_card(handling, &handling->state, type == request_type_card_issue, reply);
        }
        break;
    }
}

/* --- Handling --- */

/* What the member's standing has to do with it. */
static void judge(handling_t *handling, card_command_t *command)
{
    tenant_t *const tenant = handling->tenant;
    const shard_message_t *const message = handling->message;
    if (!tenant->has_membership || message->kind != SHARD_REQUEST) {
        return;
    }
    if (command->kind == CARD_VALIDATE && handling->state.status != card_status_none) {
        member_judge_scan(tenant, handling->state.member_id, &handling->judgement);
    } else if (command->kind == CARD_ISSUE) {
        member_judge_issue(tenant, message, message->command.issue.member_id, handling->now_ms,
                           handling->batch, &handling->judgement);
    } else if (command->kind == CARD_REPLACE && handling->state.status != card_status_none) {
        member_judge_issue(tenant, message, handling->state.member_id, handling->now_ms,
                           handling->batch, &handling->judgement);
    }
    command->member_refusal = handling->judgement.refusal;
}

/* The member on whose standing the message depends; empty: none. */
static text_t member_of(const card_actor_t *card, const shard_message_t *message)
{
    if (!message->tenant->has_membership || message->kind != SHARD_REQUEST) {
        return TEXT_NONE;
    }
    if (message->request.type == request_type_card_issue) {
        return message->command.issue.member_id;
    }
    if ((!is_validation(message) && message->request.type != request_type_card_replace) ||
        card->status == card_status_none) {
        return TEXT_NONE;
    }
    card_state_t state;
    card_memory_read(card, &state);
    return state.member_id;
}

text_t card_handle_member(const card_actor_t *card, const shard_message_t *message)
{
    const text_t member_id = member_of(card, message);
    return text_is_empty(member_id) ? TEXT_NONE : member_missing(message->tenant, member_id);
}

text_t card_handle_recall(const card_actor_t *card, const shard_message_t *message)
{
    if (message->shard->recalls == NULL || message->member_said != member_status_none) {
        return TEXT_NONE;
    }
    const text_t member_id = member_of(card, message);
    return text_is_empty(member_id) ? TEXT_NONE : member_to_recall(message->tenant, member_id);
}

static void decide(handling_t *handling, card_decision_t *decision)
{
    const shard_message_t *const message = handling->message;
    card_command_t command = {
        .kind = command_kind(message),
        .subject = message->request.subject,
        .now_ms = handling->now_ms,
        .by_member = message->kind == SHARD_MEMBER,
    };
    judge(handling, &command);
    switch (command.kind) {
    case CARD_ISSUE:
        command.issue = &message->command.issue;
        command.sealed_name = sealed_name_place(handling);
        command.new_card = message->card;
        break;
    case CARD_VALIDATE:
        command.validate = &message->command.validate;
        break;
    case CARD_EXPIRE:
        break;
    case CARD_REPLACE:
        handling->new_card =
            shard_uuid(handling->shard, handling->now_ms, handling->card->partition->number);
        command.new_card = handling->new_card;
        command.change = &message->command.change;
        break;
    default:
        if (message->kind == SHARD_REMIND) {
            command.until = message->command.reminder.due_at;
        } else {
            command.change = &message->command.change;
        }
        break;
    }
    card_decide(&handling->state, &command, decision);
    if (command.kind == CARD_ISSUE && decision->outcome == CARD_ACCEPTED) {
        seal_name(handling);
    }
}

/* A holder sees only the own card; to others it does not exist. */
static bool is_hidden(const handling_t *handling)
{
    const request_t *const request = &handling->message->request;
    return request->role == role_member && !text_equal(request->subject, handling->state.member_id);
}

static void read_card(handling_t *handling, shard_message_t **message)
{
    reply_t reply;
    reply_begin(&(*message)->request, &reply);
    if (handling->state.status == card_status_none || is_hidden(handling)) {
        reply_fail(&reply, RESULT_CARD_NOT_FOUND, TEXT_NONE, TEXT_NONE);
    } else {
        reply_card(handling, &handling->state, false, &reply);
    }
    card_reply_wait(handling->card->partition, handling->batch, message, &reply);
}

/* The reminder goes with its effect. A card that has expired meanwhile cannot be reinstated (it has
 * to be renewed first) and remembers the suspension: it is asked again later. */
static void run_reminder(handling_t *handling, shard_message_t **message)
{
    const shard_reminder_t *const reminder = &(*message)->command.reminder;
    if (!text_equal(reminder->name, TEXT_LITERAL(SUSPENSION_ENDS)) ||
        !reminder_is_current(handling->tenant, reminder, handling->now_ms)) {
        shard_message_destroy(message); /* changed since it was read: it is read again */
        return;
    }
    card_decision_t decision;
    decide(handling, &decision);
    const bool is_due_later = decision.outcome == CARD_REFUSED &&
                              decision.reason == reason_expired && handling->state.is_suspended;
    if (is_due_later) {
        reminder_postpone(handling->tenant, handling->batch, reminder,
                          handling->now_ms + LIMIT_SUSPENSION_RETRY_MS);
    } else {
        reminder_take(handling->tenant, handling->batch, reminder);
    }
    apply(handling, &decision);
    partition_wait(handling->card->partition, handling->batch, message, TEXT_NONE, outcome_ok);
}

/* Compared with the state as decided so far: two changes that name the same version never both
 * happen, however close they come. A card that does not exist is told first. */
static bool is_condition_false(const handling_t *handling)
{
    const request_t *const request = &handling->message->request;
    return handling->message->kind == SHARD_REQUEST && MESSAGE_HAS(request, request, if_version) &&
           handling->state.status != card_status_none &&
           request->if_version != handling->state.version;
}

/* Like every decision it waits for the batch before it, which made the version that it tells, and
 * is kept for repeats of its key: a version that is gone never comes back. */
static void reply_condition_false(handling_t *handling, shard_message_t **message)
{
    reply_t reply;
    char detail[128];
    (void)snprintf(detail, sizeof(detail),
                   "The card has version %" PRIu64 " now, not the one that the request names. "
                   "Nothing was done; read the card again.",
                   handling->state.version);
    reply_begin(&(*message)->request, &reply);
    reply_fail(&reply, RESULT_PRECONDITION_FAILED, text_from_c(detail), TEXT_NONE);
    card_reply_wait(handling->card->partition, handling->batch, message, &reply);
}

static void run_command(handling_t *handling, shard_message_t **message)
{
    if (!tenant_quota_allows(handling->tenant, handling->state.status, message)) {
        return;
    }
    if (is_condition_false(handling)) {
        reply_condition_false(handling, message);
        return;
    }
    card_decision_t decision;
    decide(handling, &decision);
    if (handling->judgement.failure != RESULT_OK) { /* nothing was applied, and nothing is stored */
        shard_message_fail(message, handling->judgement.failure, NULL, NULL);
        return;
    }
    apply(handling, &decision);
    if ((*message)->kind == SHARD_MEMBER && (*message)->member_command == CARD_REVOKE &&
        decision.outcome == CARD_ACCEPTED) {
        member_work_count(handling->tenant, handling->state.member_id, handling->batch);
    }
    if ((*message)->kind != SHARD_REQUEST) {
        if (decision.event_count == 0) {
            (*message)->is_member_done = true;
            shard_message_destroy(message);
        } else {
            partition_wait(handling->card->partition, handling->batch, message, TEXT_NONE,
                           outcome_ok);
        }
        return;
    }
    reply_t reply;
    reply_begin(&(*message)->request, &reply);
    reply_decided(handling, &decision, &reply);
    card_reply_wait(handling->card->partition, handling->batch, message, &reply);
}

result_t card_handle(card_actor_t *card, shard_message_t **message)
{
    tenant_t *const tenant = card_tenant(card);
    shard_t *const shard = tenant->shard;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    card->handled_ms = (uint32_t)now_ms;
    card->messages++;
    if (now_ms >= (*message)->deadline_ms) {
        shard_message_fail(message, RESULT_DEADLINE_EXCEEDED, NULL, NULL);
        return RESULT_OK;
    }
    handling_t handling;
    handling.card = card;
    handling.tenant = tenant;
    handling.shard = shard;
    handling.message = *message;
    handling.now_ms = shard->ports.wall_ms();
    handling.validation_sequence = 0;
    handling.judgement = (member_judgement_t){0};
    card_memory_read(card, &handling.state);
    handling.new_state = (card_state_t){0};
    const result_t result = partition_gather(card->partition, &handling.batch);
    if (result != RESULT_OK) {
        shard_message_fail(message, result, NULL, NULL);
        return RESULT_OK;
    }
    if ((*message)->kind == SHARD_REQUEST && (*message)->request.type == request_type_card_get) {
        read_card(&handling, message);
    } else if ((*message)->kind == SHARD_REMIND) {
        run_reminder(&handling, message);
    } else {
        run_command(&handling, message);
    }
    partition_leave_empty(card->partition); /* not everything that is answered stores something */
    partition_want(card->partition); /* what is refused may have gathered a member's new key */
    return RESULT_OK;
}
