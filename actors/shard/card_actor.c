/* Life of a card actor: activation, messages in order, reads from the journal, passivation. Must
 * not know what a command means (card_handle.c, actors/domain). */
#include "actors/domain/card_id.h"
#include "actors/secrets.h"
#include "actors/shard/card_actor_internal.h"
#include "actors/shard/partition.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

static card_actor_t *card_of(actor_t *actor)
{
    return actor_state(actor);
}

card_actor_t *card_actor_next(const card_actor_t *card)
{
    return card->older;
}

/* In the batch that gathers anyway, or one of its own; bounded, so that a burst of passivations
 * does not become a burst of writes: who finds no room goes without. */
bool card_actor_save(card_actor_t *card)
{
    if (card->unsnapshot < LIMIT_PASSIVATION_TAIL_EVENTS ||
        card_tenant(card)->status != TENANT_OPEN) {
        return false;
    }
    batch_t *const batch = partition_gather_quietly(card->partition);
    if (batch->snapshot_count >= LIMIT_PASSIVATION_SNAPSHOTS) {
        return false;
    }
    card_handle_snapshot(card, batch);
    partition_want(card->partition);
    metric_add(card_tenant(card)->shard->metrics.passivation_snapshots, 1);
    return true;
}

void card_actor_drop(card_actor_t *card)
{
    actor_drop(actor_of_state(card));
}

/* --- What is under way --- */

static card_work_t *work_obtain(card_actor_t *card)
{
    if (card->work == NULL) {
        card->work = calloc(1, sizeof(*card->work));
        assert(card->work != NULL);
    }
    return card->work;
}

/* Frees it once nothing is under way any more. */
static void work_settle(card_actor_t *card)
{
    const card_work_t *const work = card->work;
    if (work != NULL && work->loading == NULL && work->repeat.serial == 0 &&
        work->held_first == NULL && !work->is_listed_unknown) {
        free(card->work);
        card->work = NULL;
    }
}

static bool is_loading(const card_actor_t *card)
{
    return card->work != NULL && card->work->loading != NULL;
}

static bool holds_messages(const card_actor_t *card)
{
    return card->work != NULL && card->work->held_first != NULL;
}

/* --- The tenant's list of cards, and the shard's of unknown ones --- */

static void list_with_tenant(card_actor_t *card, partition_t *partition)
{
    tenant_t *const tenant = partition->tenant;
    card->partition = partition;
    card->newer = NULL;
    card->older = tenant->cards;
    if (tenant->cards != NULL) {
        tenant->cards->newer = card;
    }
    tenant->cards = card;
    tenant->card_count++;
}

static void unlist_from_tenant(card_actor_t *card)
{
    tenant_t *const tenant = card_tenant(card);
    if (card->newer != NULL) {
        card->newer->older = card->older;
    } else {
        tenant->cards = card->older;
    }
    if (card->older != NULL) {
        card->older->newer = card->newer;
    }
    tenant->card_count--;
    card->partition = NULL;
}

static void list_as_unknown(card_actor_t *card)
{
    shard_t *const shard = card_tenant(card)->shard;
    card_work_t *const work = work_obtain(card);
    if (!work->is_listed_unknown) {
        work->is_listed_unknown = true;
        work->unknown_next = shard->unknown_first;
        shard->unknown_first = card;
    }
}

static void unlist_unknown(card_actor_t *card)
{
    card_actor_t **place = &card_tenant(card)->shard->unknown_first;
    while (*place != NULL && *place != card) { /* cards of one turn: LIMIT_LOADS_IN_FLIGHT */
        place = &(*place)->work->unknown_next;
    }
    if (*place == card) {
        *place = card->work->unknown_next;
    }
    card->work->is_listed_unknown = false;
}

void card_actor_drop_unknown(shard_t *shard)
{
    while (shard->unknown_first != NULL) { /* bounded as above */
        card_actor_t *const card = shard->unknown_first;
        shard->unknown_first = card->work->unknown_next;
        card->work->is_listed_unknown = false;
        if (card->status == card_status_none && card->work->loading == NULL) {
            card_actor_drop(card);
        } else {
            work_settle(card);
        }
    }
}

/* --- Held messages --- */

static void hold_last(card_actor_t *card, shard_message_t *message)
{
    card_work_t *const work = work_obtain(card);
    message->base.next = NULL;
    if (work->held_last != NULL) {
        work->held_last->base.next = &message->base;
    } else {
        work->held_first = message;
    }
    work->held_last = message;
    work->held_count++;
}

static shard_message_t *unhold_first(card_actor_t *card)
{
    card_work_t *const work = card->work;
    shard_message_t *const message = work->held_first;
    work->held_first = message->base.next == NULL ? NULL : shard_message_of(message->base.next);
    if (work->held_first == NULL) {
        work->held_last = NULL;
    }
    message->base.next = NULL;
    work->held_count--;
    return message;
}

/* --- Reads from the journal --- */

static void free_repeat(card_actor_t *card)
{
    if (card->work != NULL) {
        free(card->work->repeat.reply);
        card->work->repeat = (card_repeat_t){0};
    }
}

static void copy_text(char *place, size_t size_max, text_t text, text_t *copy)
{
    assert(text.size <= size_max);
    if (text.size > 0) {
        memcpy(place, text.data, text.size);
    }
    *copy = (text_t){.data = place, .size = text.size};
}

static card_load_t *load_create(card_actor_t *card, tenant_t *tenant)
{
    card_load_t *load = calloc(1, sizeof(*load));
    assert(load != NULL);
    load->shard = tenant->shard;
    load->tenant = tenant;
    load->card = card;
    load->generation = tenant->generation;
    load->load.member_id = TEXT_NONE;
    load->keys_moment = member_keys_moment(tenant->shard->member_keys);
    return load;
}

/* Adds what a message needs besides the state of the card. */
static void load_for(card_load_t *load, const shard_message_t *message)
{
    load->serial = message->serial;
    if (shard_message_has_key(message) && !message->key_checked) {
        copy_text(load->key, sizeof(load->key), message->request.key, &load->load.idempotency_key);
    }
    copy_text(load->member_id, sizeof(load->member_id),
              card_handle_missing_member(load->card, message), &load->load.member_id);
    copy_text(load->standing_id, sizeof(load->standing_id), card_handle_member(load->card, message),
              &load->standing_of);
    if (!text_is_empty(load->standing_of)) {
        load->load.note_key = member_note_key(load->standing_of, load->note_key);
    }
    copy_text(load->recall_id, sizeof(load->recall_id), card_handle_recall(load->card, message),
              &load->recall_of);
}

/* False: what is stored of a member cannot be read. */
static bool put_standing(const card_load_t *load, const journal_loaded_t *loaded)
{
    return text_is_empty(load->standing_of) ||
           member_loaded(load->tenant, load->standing_of,
                         loaded->note_found ? loaded->note : TEXT_NONE);
}

static bool load_is_empty(const card_load_t *load)
{
    return load->load.card == NULL && text_is_empty(load->load.idempotency_key) &&
           text_is_empty(load->load.member_id) && text_is_empty(load->load.note_key);
}

static void load_done(void *context, const journal_loaded_t *loaded);

/* Starts it, or frees it. */
static result_t load_begin(card_load_t *load)
{
    tenant_t *const tenant = load->tenant;
    const result_t result =
        load->shard->ports.journal->functions->load(tenant->journal, &load->load, load_done, load);
    if (result != RESULT_OK) {
        free(load);
        return result;
    }
    load->shard->loads_in_flight++;
    metric_add(load->shard->metrics.loads, 1);
    tenant_operation_begin(tenant);
    return RESULT_OK;
}

static bool member_is_new(const card_load_t *load, const journal_loaded_t *loaded)
{
    return !text_is_empty(load->load.member_id) && text_is_empty(loaded->sealed_member_key);
}

/* False: there is one that does not open. */
static bool put_member_key(const card_load_t *load, text_t sealed_key)
{
    if (text_is_empty(load->load.member_id) || text_is_empty(sealed_key)) {
        return true;
    }
    shard_t *const shard = load->shard;
    const text_t name = tenant_name(load->tenant);
    crypto_key_t key;
    if (!secret_member_key_open(shard->ports.crypto, &load->tenant->secret, name,
                                load->load.member_id, sealed_key, &key)) {
        log_error("the key of a member cannot be opened; run `digitalcard store verify`",
                  LOG_TEXT("tenant", name.data, name.size));
        return false;
    }
    const text_t identity = tenant_identity(load->tenant);
    if (member_keys_find(shard->member_keys, identity, load->load.member_id) == NULL) {
        member_keys_put(shard->member_keys, identity, load->load.member_id, &key);
    }
    shard->ports.crypto->wipe(&key, sizeof(key));
    return true;
}

/* What was read for a message, until that message is received. */
static void keep_repeat(card_actor_t *card, const card_load_t *load, const journal_loaded_t *loaded)
{
    card_repeat_t *const repeat = &work_obtain(card)->repeat;
    *repeat = (card_repeat_t){.serial = load->serial};
    repeat->key_checked = !text_is_empty(load->load.idempotency_key);
    repeat->member_is_new = member_is_new(load, loaded);
    repeat->keys_moment = load->keys_moment;
    repeat->found = repeat->key_checked && loaded->idempotency_found;
    if (repeat->found) {
        memcpy(repeat->request_hash, loaded->request_hash, sizeof(repeat->request_hash));
        repeat->reply = malloc(loaded->reply.size + 1);
        assert(repeat->reply != NULL);
        memcpy(repeat->reply, loaded->reply.data, loaded->reply.size);
        repeat->reply_size = loaded->reply.size;
    }
}

/* --- Activation --- */

/* The fold of snapshot and tail. False: the store is damaged. */
static bool fold(card_state_t *state, const uuid_t *id, const journal_loaded_t *loaded,
                 arena_t *arena, uint64_t *snapshot_sequence)
{
    *snapshot_sequence = 0;
    if (!text_is_empty(loaded->snapshot)) {
        message_fault_t fault;
        if (!message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS,
                            (const uint8_t *)loaded->snapshot.data, loaded->snapshot.size, arena,
                            state, &fault)) {
            return false;
        }
        *snapshot_sequence = state->card_sequence;
    }
    for (size_t i = 0; i < loaded->tail_count; i++) {
        const event_t *const event = &loaded->tail[i];
        if (event->card_sequence <= state->card_sequence ||
            !card_event_fits(state, event->name, &event->data)) {
            return false;
        }
        card_evolve(state, event->name, id, event->occurred_at, &event->data);
        if (event->version != state->version) {
            return false; /* a change is missing; validations may be, once they were archived */
        }
        state->card_sequence = event->card_sequence;
    }
    if (loaded->card_sequence != state->card_sequence) { /* validations that were left out */
        if (loaded->tail_count > 0 || loaded->card_sequence < state->card_sequence) {
            return false;
        }
        MESSAGE_SET(card_snapshot, state, card_sequence, loaded->card_sequence);
    }
    return state->status != card_status_none;
}

/* Leaves nothing behind, whether or not the actor system calls `deactivate` as well. */
static void release(card_actor_t *card)
{
    if (card->partition == NULL) {
        return;
    }
    const crypto_functions_t *const crypto = card_tenant(card)->shard->ports.crypto;
    if (card->work != NULL) {
        if (card->work->is_listed_unknown) {
            unlist_unknown(card);
        }
        if (card->work->loading != NULL) {
            card->work->loading->card = NULL;
        }
        free_repeat(card);
        free(card->work);
        card->work = NULL;
    }
    card_memory_free(card, crypto);
    card->status = card_status_none;
    unlist_from_tenant(card);
}

static void fail_activation(card_actor_t *card, result_t why)
{
    release(card);
    actor_failed(actor_of_state(card), why);
}

static bool take_state(card_actor_t *card, const card_load_t *load, const journal_loaded_t *loaded)
{
    shard_t *const shard = load->shard;
    card_state_t state = {0};
    arena_t arena = {.base = shard->arena, .size = sizeof(shard->arena)};
    uint64_t snapshot_sequence = 0;
    if (!fold(&state, &load->id, loaded, &arena, &snapshot_sequence)) {
        char id[UUID_TEXT_SIZE];
        uuid_format(&load->id, id);
        log_error("the stored events of a card do not follow from each other; run "
                  "`digitalcard store verify`",
                  LOG_TEXT("tenant", load->tenant->name, load->tenant->name_size),
                  LOG_TEXT("card", id, sizeof(id)));
        return false;
    }
    char plain[256];
    const text_t holder_name =
        card_memory_open_name(load->tenant, &state, loaded->sealed_member_key, plain);
    card_memory_keep(card, &state, holder_name);
    card->unsnapshot = (uint32_t)(state.card_sequence - snapshot_sequence);
    shard->ports.crypto->wipe(plain, sizeof(plain));
    return true;
}

static partition_t *partition_of(const tenant_t *tenant, const uuid_t *id)
{
    return &tenant->partitions[card_id_partition(id)];
}

static void activate_loaded(card_load_t *load, const journal_loaded_t *loaded)
{
    card_actor_t *const card = load->card;
    tenant_t *const tenant = load->tenant;
    if (tenant->status != TENANT_OPEN || tenant->generation != load->generation) {
        fail_activation(card, RESULT_STORE_UNAVAILABLE);
        return;
    }
    if (loaded->result != RESULT_OK) {
        fail_activation(card, loaded->result);
        return;
    }
    if (!put_member_key(load, loaded->sealed_member_key) || !put_standing(load, loaded)) {
        fail_activation(card, RESULT_STORE_CORRUPT);
        return;
    }
    list_with_tenant(card, partition_of(tenant, &load->id));
    if (load->load.card != NULL && loaded->card_found && !take_state(card, load, loaded)) {
        fail_activation(card, RESULT_STORE_CORRUPT);
        return;
    }
    if (load->serial != 0) {
        keep_repeat(card, load, loaded);
    }
    actor_activated(actor_of_state(card));
}

/* What the card is activated for. */
static const shard_message_t *first_message(card_actor_t *card)
{
    return shard_message_of(
        (actor_message_t *)(uintptr_t)actor_first_message(actor_of_state(card)));
}

static bool is_late(const shard_t *shard, const shard_message_t *message)
{
    return loop_now_ms(shard->loop) >= message->deadline_ms;
}

static void activate(actor_t *actor, void *context)
{
    shard_t *const shard = context;
    card_actor_t *const card = card_of(actor);
    const actor_identity_t identity = actor_identity(actor);
    tenant_t *const tenant =
        tenant_find(shard, (text_t){.data = identity.tenant, .size = identity.tenant_size});
    assert(tenant != NULL); /* its waiting messages keep the record */
    if (tenant->status != TENANT_OPEN) {
        fail_activation(card,
                        tenant->failure == RESULT_OK ? RESULT_STORE_UNAVAILABLE : tenant->failure);
        return;
    }
    const shard_message_t *const first = first_message(card);
    if (first != NULL && actor_mailbox_depth(actor) == 1 && is_late(shard, first)) {
        fail_activation(card, RESULT_DEADLINE_EXCEEDED); /* nobody waits for what it would read */
        return;
    }
    card_load_t *load = load_create(card, tenant);
    load->is_activation = true;
    memcpy(load->id.bytes, identity.id, sizeof(load->id.bytes));
    const bool is_new = first != NULL && first->request.type == request_type_card_issue;
    load->load.card = is_new ? NULL : &load->id; /* an id made a moment ago is in no store */
    if (first != NULL) {
        load_for(load, first);
    }
    if (load_is_empty(load)) {
        list_with_tenant(card, partition_of(tenant, &load->id));
        free(load);
        actor_activated(actor);
        return;
    }
    const result_t result = load_begin(load);
    if (result != RESULT_OK) {
        fail_activation(card, result);
    }
}

/* --- Messages --- */

/* True when the message was answered with the reply of its first attempt. */
static bool answer_repeat(card_actor_t *card, shard_message_t **message)
{
    if (card->work == NULL || card->work->repeat.serial != (*message)->serial) {
        return false;
    }
    const card_repeat_t *const repeat = &card->work->repeat;
    (*message)->key_checked = repeat->key_checked;
    (*message)->member_is_new = repeat->member_is_new;
    (*message)->keys_moment = repeat->keys_moment;
    if (repeat->found) {
        shard_message_repeat(message, repeat->request_hash,
                             (text_t){.data = repeat->reply, .size = repeat->reply_size});
    }
    free_repeat(card);
    return *message == NULL;
}

/* One whose deadline has passed is refused by its handler, and nothing is read for it. */
static bool needs_load(const card_actor_t *card, const shard_message_t *message)
{
    if (is_late(message->shard, message)) {
        return false;
    }
    return (shard_message_has_key(message) && !message->key_checked) ||
           !text_is_empty(card_handle_missing_member(card, message)) ||
           !text_is_empty(card_handle_member(card, message)) ||
           !text_is_empty(card_handle_recall(card, message));
}

/* A handler that fails concerns its message and its card alone. */
static result_t handle(card_actor_t *card, shard_message_t **message)
{
    shard_t *const shard = (*message)->shard;
    shard_message_enter(*message, CRASH_STAGE_HANDLER);
    const result_t result = card_handle(card, message);
    shard_message_leave(shard);
    if (result != RESULT_OK) {
        metric_add(shard->metrics.dead_poison, 1);
        shard_message_fail(message, RESULT_INTERNAL, NULL, NULL);
    }
    return result;
}

/* Built anew it would be older than what is decided but not committed: then it goes on as it is,
 * since a handler that failed has changed nothing. */
static bool may_be_rebuilt(const card_actor_t *card)
{
    return card->partition == NULL || partition_is_durable(card->partition, card->batch_number);
}

static bool is_unknown(const card_actor_t *card)
{
    return card->status == card_status_none && !is_loading(card);
}

static void recalled(void *context);

/* Other nodes are asked when everything that is stored here has been read: of a member whose note
 * is still to be read nobody knows whether he is known. Nobody to ask: it goes on without. */
static void recall_for_held(card_actor_t *card, card_load_t *load)
{
    if (member_recall(load->tenant, load->recall_of, recalled, load)) {
        card->work->loading = load;
    } else {
        free(load);
    }
}

/* Starts the read that the first held message needs, or fails it. */
static void load_for_held(card_actor_t *card)
{
    shard_message_t *message = card->work->held_first;
    card_load_t *const load = load_create(card, card_tenant(card));
    load_for(load, message);
    if (load_is_empty(load)) {
        recall_for_held(card, load);
        return;
    }
    const result_t result = load_begin(load);
    if (result == RESULT_OK) {
        card->work->loading = load;
        return;
    }
    message = unhold_first(card);
    shard_message_fail(&message, result, NULL, NULL);
}

/* Handles what is held, in order, until one has to wait for the journal. */
static void run_held(card_actor_t *card)
{
    while (holds_messages(card) && !is_loading(card)) { /* LIMIT_MAILBOX_MESSAGES */
        if (needs_load(card, card->work->held_first)) {
            load_for_held(card);
            continue;
        }
        shard_message_t *message = unhold_first(card);
        /* Not within a turn of the actor system: nobody supervises but us. */
        if (handle(card, &message) != RESULT_OK && may_be_rebuilt(card)) {
            card_actor_drop(card);
            return;
        }
    }
    if (is_unknown(card)) {
        list_as_unknown(card);
    }
    work_settle(card);
}

static result_t receive(actor_t *actor, actor_message_t *base, void *context)
{
    (void)base;
    (void)context;
    card_actor_t *const card = card_of(actor);
    shard_message_t *message = shard_message_of(actor_take_message(actor));
    result_t result = RESULT_OK;
    if (answer_repeat(card, &message)) {
        if (is_unknown(card)) {
            list_as_unknown(card);
        }
    } else if (holds_messages(card) && card->work->held_count >= LIMIT_MAILBOX_MESSAGES) {
        shard_message_fail(&message, RESULT_BUSY, NULL, NULL);
    } else if (!holds_messages(card) && !needs_load(card, message)) {
        result = handle(card, &message);
        if (result == RESULT_OK && card->status == card_status_none) {
            list_as_unknown(card);
        }
    } else {
        hold_last(card, message);
        run_held(card);
        return RESULT_OK;
    }
    work_settle(card);
    return result;
}

/* A read for a held message: it is the first of the held ones. */
static void continue_held(card_load_t *load, const journal_loaded_t *loaded)
{
    card_actor_t *const card = load->card;
    card->work->loading = NULL;
    shard_message_t *message = card->work->held_first;
    if (loaded->result != RESULT_OK) {
        message = unhold_first(card);
        shard_message_fail(&message, loaded->result, NULL, NULL);
    } else if (!text_is_empty(load->load.idempotency_key) && loaded->idempotency_found) {
        message = unhold_first(card);
        shard_message_repeat(&message, loaded->request_hash, loaded->reply);
    } else if (!put_member_key(load, loaded->sealed_member_key) || !put_standing(load, loaded)) {
        message = unhold_first(card);
        shard_message_fail(&message, RESULT_STORE_CORRUPT, NULL, NULL);
    } else {
        message->key_checked = true;
        message->member_is_new = member_is_new(load, loaded);
        message->keys_moment = load->keys_moment;
    }
    run_held(card);
}

static void recalled(void *context)
{
    card_load_t *const load = context;
    if (load->card != NULL) {
        load->card->work->loading = NULL;
        run_held(load->card);
    }
    free(load);
}

static void load_done(void *context, const journal_loaded_t *loaded)
{
    card_load_t *const load = context;
    tenant_t *const tenant = load->tenant;
    load->shard->loads_in_flight--;
    if (load->is_activation) {
        const shard_message_t *const first = first_message(load->card);
        if (first != NULL) { /* what is stored may kill the role as well as what it does */
            shard_message_enter(first, CRASH_STAGE_ACTIVATION);
        }
        activate_loaded(load, loaded);
        shard_message_leave(load->shard);
    } else if (load->card != NULL) {
        continue_held(load, loaded);
    }
    free(load);
    tenant_operation_end(tenant);
}

/* --- What the actor system asks --- */

static void undeliverable(actor_t *actor, actor_message_t *base, result_t why, void *context)
{
    (void)actor;
    (void)context;
    shard_message_fail_undelivered(shard_message_of(base), why);
}

/* Not while its state runs ahead of what is committed: read again it would be older. */
static bool may_passivate(actor_t *actor, bool is_pressing, void *context)
{
    (void)context;
    card_actor_t *const card = card_of(actor);
    if (card->work != NULL || card->partition == NULL) {
        return card->work == NULL;
    }
    if (!partition_is_durable(card->partition, card->batch_number)) {
        return false;
    }
    return is_pressing || !card_actor_save(card);
}

static void deactivate(actor_t *actor, void *context)
{
    (void)context;
    card_actor_t *const card = card_of(actor);
    if (card->partition == NULL) {
        return;
    }
    const result_t failure = card_tenant(card)->failure;
    while (holds_messages(card)) { /* at most LIMIT_MAILBOX_MESSAGES */
        shard_message_t *message = unhold_first(card);
        shard_message_fail(&message, failure == RESULT_OK ? RESULT_STORE_UNAVAILABLE : failure,
                           NULL, NULL);
    }
    release(card);
}

static actor_directive_t directive(actor_t *actor, result_t why, void *context)
{
    (void)why;
    (void)context;
    return may_be_rebuilt(card_of(actor)) ? ACTOR_DIRECTIVE_RESTART : ACTOR_DIRECTIVE_RESUME;
}

const actor_kind_t card_actor_kind = {
    .name = "card",
    .state_size = sizeof(card_actor_t),
    .activate = activate,
    .receive = receive,
    .undeliverable = undeliverable,
    .may_passivate = may_passivate,
    .deactivate = deactivate,
    .directive = directive,
    .describe = shard_message_describe,
};
