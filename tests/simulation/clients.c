/* Requests on their way and what clients make of the answers. Checks at once what can be seen at
 * once: invariants 2, 3, 5 and the order of what one client sees. */
#include "tests/simulation/clients.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/cursors.h"
#include "tests/simulation/lives.h"
#include "tests/simulation/quotas.h"
#include "tests/simulation/subscriber.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

clients_t *clients_create(world_t *world)
{
    (void)world;
    clients_t *clients = calloc(1, sizeof(*clients));
    assert(clients != NULL);
    return clients;
}

void clients_destroy(clients_t **clients)
{
    for (uint32_t i = 0; i < (*clients)->command_count; i++) {
        free((*clients)->commands[i]->reply);
        free((*clients)->commands[i]);
    }
    free(*clients);
    *clients = NULL;
}

command_t *clients_new_command(world_t *world, uint32_t tenant, uint8_t type)
{
    clients_t *const clients = world->clients;
    command_t *command = calloc(1, sizeof(*command));
    assert(command != NULL && clients->command_count < COMMANDS_MAX);
    command->number = clients->command_count;
    command->tenant = tenant;
    command->door = tenant;
    command->type = type;
    command->role = role_tenant_admin;
    command->card = CARDS_MAX;
    command->state = COMMAND_ENDED;
    (void)snprintf(command->marker, sizeof(command->marker), "%s%06u",
                   world->tenants[tenant].marker, command->number);
    clients->commands[clients->command_count] = command;
    clients->command_count++;
    return command;
}

known_card_t *clients_find_card(world_t *world, const uuid_t *id)
{
    for (uint32_t i = 0; i < world->clients->card_count; i++) {
        if (uuid_equal(&world->clients->cards[i].id, id)) {
            return &world->clients->cards[i];
        }
    }
    return NULL;
}

/* --- Asking --- */

static void done(void *context, const gateway_reply_t *reply);

static void call_gateway(process_t *front, command_t *command)
{
    const world_t *const world = front->world;
    command_body_t body;
    command_fill(command, &body);
    const world_tenant_t *const tenant = &world->tenants[command->tenant];
    char token[96];
    const int token_size =
        snprintf(token, sizeof(token), "%s.%s.%" PRId64 ".desk", role_enum.names[command->role],
                 tenant->name, tenant->created_at);
    const gateway_request_t request = {
        .type = command->type,
        .tenant = text_from_c(world->tenants[command->door].name),
        .token = {token, (size_t)token_size},
        .has_card = command->has_card,
        .card = command->card_id,
        .command = &body,
        .key = text_from_c(command->key),
        .method_and_path = TEXT_LITERAL("POST /simulated"),
        .raw_body = text_from_c(command->marker),
        .deadline_ms = 400 + 300 * (command->number % 7),
    };
    (void)gateway_submit(front->gateway, &request, done, command);
}

static void submit_due(world_t *world, void *payload)
{
    command_t *const command = world->clients->commands[*(const uint32_t *)payload];
    process_t *const front = process_find(world, command->front);
    if (command->state == COMMAND_WAITING && front != NULL) {
        call_gateway(front, command);
    }
}

static uint32_t *number_of(const command_t *command)
{
    uint32_t *number = malloc(sizeof(*number));
    assert(number != NULL);
    *number = command->number;
    return number;
}

static void again_due(world_t *world, void *payload);

static void pause_for(world_t *world, command_t *command, uint32_t pause_us)
{
    command->state = COMMAND_PAUSING;
    agenda_add(world, pause_us, 0, again_due, payload_free, number_of(command));
}

static void ask(world_t *world, command_t *command)
{
    const uint32_t slot = generator_below(&world->workload, world->front_count);
    const process_t *const front = cluster_process(world, slot);
    if (front == NULL || front->is_draining) {
        pause_for(world, command, generator_between(&world->workload, 5000, 50000));
        return;
    }
    command->state = COMMAND_WAITING;
    command->front = front->id;
    command->asked++;
    trace_add(world,
              "command %" PRIu64 " of type %" PRIu64 " and tenant %" PRIu64
              " goes to process %" PRIu64,
              command->number, command->type, command->tenant, front->id);
    agenda_add(world, generator_between(&world->workload, 10, 200), front->id, submit_due,
               payload_free, number_of(command));
}

static void again_due(world_t *world, void *payload)
{
    command_t *const command = world->clients->commands[*(const uint32_t *)payload];
    if (command->state == COMMAND_PAUSING) {
        ask(world, command);
    }
}

void clients_submit(world_t *world, command_t *command)
{
    clients_t *const clients = world->clients;
    clients->order++;
    command->first_order = clients->order;
    command->first_us = world->now_us;
    clients->open_count++;
    world->numbers.requests++;
    if (world->bug == BUG_early_revocation && command->type == request_type_card_revoke &&
        command->card != CARDS_MAX) {
        clients->order++;
        clients->cards[command->card].ended_order = clients->order;
    }
    ask(world, command);
}

static void end(world_t *world, command_t *command)
{
    command->state = COMMAND_ENDED;
    world->clients->open_count--;
}

void clients_read_events(world_t *world, uint32_t tenant, uint32_t partition, uint64_t after)
{
    if (world->clients->command_count == COMMANDS_MAX) {
        return;
    }
    command_t *const command = clients_new_command(world, tenant, request_type_events_read);
    command->purpose = PURPOSE_REPAIR;
    command->partition = partition;
    command->after = after;
    clients_submit(world, command);
}

void clients_repeat_all(world_t *world)
{
    for (uint32_t i = 0; i < world->clients->command_count; i++) {
        command_t *const command = world->clients->commands[i];
        const bool is_worth_it = command->is_known || quotas_is_refusal(command->last_error);
        if (command->purpose == PURPOSE_WORK && command->key[0] != '\0' && is_worth_it &&
            command->state == COMMAND_ENDED && world_is_there(world, command->tenant)) {
            command->is_repeating = true;
            world->clients->open_count++;
            ask(world, command);
        }
    }
}

/* --- What is learnt from an answer --- */

static size_t put(uint8_t *out, size_t at, const void *data, size_t size)
{
    assert(at + size <= COMMAND_REPLY_SIZE);
    if (size > 0) {
        memcpy(out + at, data, size);
    }
    return at + size;
}

/* The answer as bytes: a repeat must bring the same ones. */
static size_t flatten(const gateway_reply_t *reply, uint8_t *out)
{
    const uint64_t numbers[] = {reply->result, reply->reason, reply->created, reply->version,
                                reply->has_card};
    size_t size = put(out, 0, numbers, sizeof(numbers));
    size = put(out, size, &reply->card, reply->has_card ? sizeof(reply->card) : 0);
    size = put(out, size, reply->detail.data, reply->detail.size);
    size = put(out, size, reply->trace_id.data, reply->trace_id.size);
    if (reply->result == RESULT_OK) {
        size += message_pack(reply->document_type, reply->document, MESSAGE_KEYS_IDS, out + size,
                             COMMAND_REPLY_SIZE - size);
        assert(size <= COMMAND_REPLY_SIZE);
    }
    return size;
}

static void copy_text(char *out, size_t out_size, text_t text)
{
    const size_t size = text.size < out_size ? text.size : out_size - 1;
    if (size > 0) {
        memcpy(out, text.data, size);
    }
    out[size] = '\0';
}

static void know_card(world_t *world, const command_t *command, const card_t *card)
{
    clients_t *const clients = world->clients;
    if (clients_find_card(world, &card->id) != NULL || clients->card_count == CARDS_MAX) {
        return;
    }
    known_card_t *const known = &clients->cards[clients->card_count];
    clients->card_count++;
    known->tenant = command->tenant;
    known->id = card->id;
    known->version_acknowledged = card->version;
    known->ended_order = UINT64_MAX;
    copy_text(known->member_id, sizeof(known->member_id), card->member_id);
    copy_text(known->holder_name, sizeof(known->holder_name), card->holder_name);
    copy_text(known->tier, sizeof(known->tier), card->tier);
    copy_text(known->qr, sizeof(known->qr), card->qr.text);
}

static bool is_ended_before(const world_t *world, const command_t *command)
{
    return command->card != CARDS_MAX &&
           world->clients->cards[command->card].ended_order < command->first_order;
}

static void take_verdict(world_t *world, command_t *command, const verdict_t *verdict)
{
    command->verdict_result = verdict->result;
    command->sequence = MESSAGE_HAS(verdict, verdict, sequence) ? verdict->sequence : 0;
    command->document_id = verdict->validation_id;
    if (verdict->result == verdict_result_valid && is_ended_before(world, command)) {
        world_violation(world, 2, "command %u: a card is valid after its end was acknowledged",
                        command->number);
    }
    if (verdict->reason == reason_unknown_card && command->card != CARDS_MAX) {
        world_violation(world, 1, "command %u: a card that was issued is unknown", command->number);
    }
}

static void take_card(world_t *world, command_t *command, const card_t *card)
{
    clients_t *const clients = world->clients;
    command->document_id = card->id;
    command->version = card->version;
    if (command->type == request_type_card_issue &&
        !text_equal(card->holder_name, text_from_c(command->holder_name))) {
        world_violation(world, 8, "command %u: the card shows another name", command->number);
    }
    if (command->type == request_type_card_issue || command->type == request_type_card_replace) {
        know_card(world, command, card);
    }
    if (command->card == CARDS_MAX) {
        return;
    }
    known_card_t *const known = &clients->cards[command->card];
    if (command->type == request_type_card_get) {
        if (card->version < command->version_known ||
            (is_ended_before(world, command) && card->status != card_status_revoked &&
             card->status != card_status_replaced)) {
            world_violation(world, 1,
                            "command %u: a card is read as it was before version %" PRIu64
                            " that was acknowledged",
                            command->number, command->version_known);
        }
        return;
    }
    if (command->type == request_type_card_revoke || command->type == request_type_card_replace) {
        known->ended_order =
            clients->order < known->ended_order ? clients->order : known->ended_order;
    }
    if (command->type != request_type_card_replace && card->version > known->version_acknowledged) {
        known->version_acknowledged = card->version;
    }
}

static void learn(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    command->is_known = true;
    command->result = reply->result;
    command->reason = reply->reason;
    world->numbers.acknowledged++;
    world->clients->order++;
    if (reply->result == RESULT_OK && reply->document_type == &verdict_message) {
        take_verdict(world, command, reply->document);
    } else if (reply->result == RESULT_OK && reply->document_type == &card_message) {
        take_card(world, command, reply->document);
    }
}

static void decided(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    const size_t size = flatten(reply, world->clients->scratch);
    if (command->is_known) {
        world->numbers.repeats++;
        if (size != command->reply_size ||
            memcmp(world->clients->scratch, command->reply, size) != 0) {
            world_violation(world, 3, "command %u: a repeat got another reply than the first",
                            command->number);
        }
    } else {
        command->reply = malloc(size);
        assert(command->reply != NULL);
        memcpy(command->reply, world->clients->scratch, size);
        command->reply_size = size;
        learn(world, command, reply);
    }
    if (command->key[0] != '\0' && !command->is_repeating &&
        generator_chance(&world->workload, 350)) {
        command->is_repeating = true;
        pause_for(world, command, generator_below(&world->workload, 1500000));
        return;
    }
    end(world, command);
}

/* --- Answers --- */

/* "There is no such tenant", or "the token is of an earlier tenant of this name". */
static bool is_of_no_tenant(result_t result)
{
    return result == RESULT_TENANT_NOT_FOUND || result == RESULT_UNAUTHENTICATED;
}

/* It was deleted, or not everybody can have heard of it yet. */
static bool may_be_unknown(const world_t *world, const command_t *command)
{
    return world->tenants[command->tenant].stage == STAGE_GONE ||
           (world->tenants[command->tenant].number > 0 && !lives_are_known(world));
}

static bool is_worth_repeating(const world_t *world, const command_t *command, result_t result)
{
    return result_is_retryable(result) ||
           (is_of_no_tenant(result) && world_is_there(world, command->tenant)) ||
           (quotas_is_refusal(result) && world->is_calm); /* they were lifted */
}

static bool is_expected_error(const world_t *world, const command_t *command, result_t result)
{
    return result_is_retryable(result) ||
           (is_of_no_tenant(result) && may_be_unknown(world, command)) ||
           (!command->is_known && quotas_may_refuse(world, command, result)) ||
           result == RESULT_INVALID_DATES ||
           (result == RESULT_CARD_NOT_FOUND && command->card == CARDS_MAX);
}

static void take_error(world_t *world, command_t *command, result_t result)
{
    command->last_error = result;
    if (result == RESULT_OUTCOME_UNKNOWN) {
        command->maybe_unknown = true;
        if (world->bug == BUG_unknown_is_success && command->key[0] == '\0' &&
            command_event(command->type) != event_name_none) {
            command->is_known = true;
            command->result = RESULT_OK;
        }
    }
    if (!is_expected_error(world, command, result)) {
        world_violation(world, command->is_known ? 3 : 1, "command %u ends with %s",
                        command->number, result_code(result));
    }
    const bool asks_again = command->key[0] != '\0' || command->purpose == PURPOSE_CHECK;
    if (asks_again && is_worth_repeating(world, command, result)) {
        pause_for(world, command, generator_between(&world->workload, 20000, 300000));
        return;
    }
    end(world, command);
}

static void take_repair(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    const bool is_good = reply != NULL && reply->result == RESULT_OK;
    end(world, command);
    subscribers_repaired(world, command->tenant, (uint32_t)command->partition,
                         is_good ? reply->document : NULL);
}

static void take_intrusion(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    const verdict_t *const verdict =
        reply->document_type == &verdict_message ? reply->document : NULL;
    const bool is_let_in =
        reply->result == RESULT_OK && (verdict == NULL || verdict->result == verdict_result_valid ||
                                       MESSAGE_HAS(verdict, verdict, card));
    if (is_let_in || reply->result == RESULT_REFUSED) {
        world_violation(world, 5, "command %u reached a card of another tenant", command->number);
    }
    end(world, command);
}

static void take_reuse(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    const bool is_early = is_of_no_tenant(reply->result) && may_be_unknown(world, command);
    if (reply->result != RESULT_KEY_REUSED && !result_is_retryable(reply->result) && !is_early) {
        world_violation(world, 3, "command %u: the key of another request was taken, result %s",
                        command->number, result_code(reply->result));
    }
    end(world, command);
}

static void take_cursor(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    const result_t result = reply == NULL ? RESULT_OUTCOME_UNKNOWN : reply->result;
    end(world, command);
    if (result == RESULT_OK) {
        cursors_answered(world, command, reply->document);
    } else if (!result_is_retryable(result) && result != RESULT_CONSUMER_NOT_FOUND &&
               result != RESULT_INVALID_PARAMETER && /* a head that the relay has not heard of */
               !(is_of_no_tenant(result) && may_be_unknown(world, command))) {
        world_violation(world, 1, "command %u of a consumer ends with %s", command->number,
                        result_code(result));
    }
}

/* `reply` is NULL when the connection broke. */
static void take(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    const result_t result = reply == NULL ? RESULT_OUTCOME_UNKNOWN : reply->result;
    trace_add(world, "command %" PRIu64 " gets %" PRIu64 " reason %" PRIu64 " at attempt %" PRIu64,
              command->number, result, reply == NULL ? 0 : reply->reason, command->asked);
    if (command->purpose == PURPOSE_REPAIR) {
        take_repair(world, command, reply);
    } else if (command->purpose == PURPOSE_CURSOR) {
        take_cursor(world, command, reply);
    } else if (reply == NULL) {
        if (command->purpose == PURPOSE_REUSE || command->purpose == PURPOSE_INTRUSION) {
            end(world, command);
        } else {
            take_error(world, command, result);
        }
    } else if (command->purpose == PURPOSE_INTRUSION) {
        take_intrusion(world, command, reply);
    } else if (command->purpose == PURPOSE_REUSE) {
        take_reuse(world, command, reply);
    } else if (result != RESULT_OK && result != RESULT_REFUSED) {
        take_error(world, command, result);
    } else if (command->purpose == PURPOSE_CHECK) {
        end(world, command);
        model_receive(world, command, reply);
    } else if (command_is_read(command) && command->type != request_type_card_get) {
        end(world, command);
    } else {
        decided(world, command, reply);
    }
}

/* Deleted so long ago that everybody must have heard of it. */
static bool is_served_too_long(const world_t *world, const command_t *command, result_t result)
{
    return world->tenants[command->tenant].stage == STAGE_GONE && lives_are_known(world) &&
           (result == RESULT_OK || result == RESULT_REFUSED);
}

static void done(void *context, const gateway_reply_t *reply)
{
    command_t *const command = context;
    world_t *const world = world_current();
    assert(command->state == COMMAND_WAITING);
    command->front = 0;
    if (is_served_too_long(world, command, reply->result)) {
        world_violation(world, 5, "command %u is answered by a tenant that was deleted",
                        command->number);
    }
    if (reply->result == RESULT_OK) {
        const size_t size = flatten(reply, world->clients->scratch);
        if (world_is_foreign(world, command->tenant, world->clients->scratch, size)) {
            world_violation(world, 5, "command %u got bytes of another tenant", command->number);
        }
    }
    take(world, command, reply);
}

void clients_front_died(world_t *world, uint32_t process)
{
    for (uint32_t i = 0; i < world->clients->command_count; i++) {
        command_t *const command = world->clients->commands[i];
        if (command->state == COMMAND_WAITING && command->front == process) {
            command->front = 0;
            take(world, command, NULL);
        }
    }
}
