/* What clients ask: drawn from the seed, with a marker in every text so that its effect can be
 * found. Must not look at answers (clients.c). */
#include "tests/simulation/clients.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS = 6, OPEN_MAX = 40 };

bool command_is_read(const command_t *command)
{
    return command->type == request_type_card_get || command->type == request_type_card_list ||
           command->type == request_type_card_history ||
           command->type == request_type_rollup_list || command->type == request_type_events_read;
}

uint8_t command_event(uint8_t type)
{
    switch (type) {
    case request_type_card_issue:
        return event_name_card_issued;
    case request_type_card_activate:
        return event_name_card_activated;
    case request_type_card_suspend:
        return event_name_card_suspended;
    case request_type_card_reinstate:
        return event_name_card_reinstated;
    case request_type_card_renew:
        return event_name_card_renewed;
    case request_type_card_replace:
        return event_name_card_replaced;
    case request_type_card_revoke:
        return event_name_card_revoked;
    default:
        return event_name_none;
    }
}

static void fill_issue(const command_t *command, card_issue_t *issue)
{
    MESSAGE_SET(card_issue, issue, member_id, text_from_c(command->member_id));
    MESSAGE_SET(card_issue, issue, holder_name, text_from_c(command->holder_name));
    MESSAGE_SET(card_issue, issue, tier, text_from_c(command->marker));
    MESSAGE_SET(card_issue, issue, expires_at, command->expires_at);
    if (command->activate) {
        MESSAGE_SET(card_issue, issue, activate, true);
    }
}

static void fill_rollups(const command_t *command, rollup_list_t *rollups)
{
    MESSAGE_SET(rollup_list, rollups, grain, grain_day);
    if (command->from != 0) {
        MESSAGE_SET(rollup_list, rollups, from, command->from);
        MESSAGE_SET(rollup_list, rollups, to, command->until);
    }
}

static void fill_page(const command_t *command, command_body_t *body)
{
    const text_t cursor = text_from_c(command->cursor);
    if (command->type == request_type_card_list) {
        MESSAGE_SET(card_list, &body->list, limit, 7);
        if (!text_is_empty(cursor)) {
            MESSAGE_SET(card_list, &body->list, cursor, cursor);
        }
    } else if (command->type == request_type_card_history) {
        MESSAGE_SET(card_history, &body->history, limit, 9);
        if (!text_is_empty(cursor)) {
            MESSAGE_SET(card_history, &body->history, cursor, cursor);
        }
    } else {
        MESSAGE_SET(events_read, &body->events, partition, command->partition);
        MESSAGE_SET(events_read, &body->events, after, command->after);
        MESSAGE_SET(events_read, &body->events, limit, 6);
    }
}

void command_fill(const command_t *command, command_body_t *body)
{
    *body = (command_body_t){0};
    switch (command->type) {
    case request_type_card_issue:
        fill_issue(command, &body->issue);
        break;
    case request_type_card_get:
        break;
    case request_type_card_list:
    case request_type_card_history:
    case request_type_events_read:
        fill_page(command, body);
        break;
    case request_type_rollup_list:
        fill_rollups(command, &body->rollups);
        break;
    case request_type_consumer_register:
        MESSAGE_SET(consumer_name, &body->consumer, name, TEXT_LITERAL("door-log"));
        break;
    case request_type_events_ack:
        MESSAGE_SET(events_ack, &body->ack, consumer, TEXT_LITERAL("door-log"));
        MESSAGE_SET(events_ack, &body->ack, partition, command->partition);
        MESSAGE_SET(events_ack, &body->ack, sequence, command->after);
        break;
    case request_type_card_validate:
        MESSAGE_SET(card_validate, &body->validate, gate, text_from_c(command->marker));
        break;
    case request_type_card_scan:
        MESSAGE_SET(card_scan, &body->scan, gate, text_from_c(command->marker));
        MESSAGE_SET(card_scan, &body->scan, qr, text_from_c(command->qr));
        break;
    default:
        MESSAGE_SET(card_change, &body->change, reason, text_from_c(command->marker));
        if (command->expires_at != 0) {
            MESSAGE_SET(card_change, &body->change, expires_at, command->expires_at);
        }
        if (command->until != 0) {
            MESSAGE_SET(card_change, &body->change, until, command->until);
        }
        break;
    }
}

/* --- Drawing --- */

static uint32_t draw_card(world_t *world, uint32_t tenant)
{
    clients_t *const clients = world->clients;
    uint32_t mine[CARDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < clients->card_count; i++) {
        if (clients->cards[i].tenant == tenant) {
            mine[count] = i;
            count++;
        }
    }
    if (count == 0) {
        return CARDS_MAX;
    }
    /* Half of all requests go to the newest few, so that they meet. */
    const uint32_t recent = count > 4 && generator_chance(&world->workload, 500) ? 4 : count;
    return mine[count - 1 - generator_below(&world->workload, recent)];
}

static int64_t draw_end(world_t *world)
{
    const int64_t now_ms = world_wall_ms(world);
    const uint32_t kind = generator_below(&world->workload, 100);
    if (kind < 15) {
        return now_ms + generator_between(&world->workload, 300, 6000);
    }
    if (kind < 25) {
        return now_ms + generator_between(&world->workload, 60000, 3000000);
    }
    return now_ms + INT64_C(86400000) * generator_between(&world->workload, 2, 400);
}

static void give_key(world_t *world, command_t *command)
{
    (void)snprintf(command->key, sizeof(command->key), "k-%u",
                   world->clients->next_key[command->tenant]);
    world->clients->next_key[command->tenant]++;
}

static void aim(world_t *world, command_t *command, uint32_t card)
{
    const known_card_t *const known = &world->clients->cards[card];
    command->card = card;
    command->card_id = known->id;
    command->version_known = known->version_acknowledged;
    if (command->type == request_type_card_scan) {
        memcpy(command->qr, known->qr, sizeof(command->qr));
    } else {
        command->has_card = true;
    }
}

static void fill_new_card(world_t *world, command_t *command)
{
    const world_tenant_t *const tenant = &world->tenants[command->tenant];
    (void)snprintf(command->member_id, sizeof(command->member_id), "%sm%u", tenant->name_marker,
                   generator_below(&world->workload, MEMBERS));
    (void)snprintf(command->holder_name, sizeof(command->holder_name), "holder %s",
                   command->marker);
    command->expires_at = draw_end(world);
    command->activate = generator_chance(&world->workload, 600);
}

static uint8_t draw_type(world_t *world)
{
    static const struct {
        uint8_t type;
        uint8_t weight;
    } shares[] = {
        {request_type_card_issue, 14},  {request_type_card_activate, 8},
        {request_type_card_suspend, 8}, {request_type_card_reinstate, 7},
        {request_type_card_renew, 6},   {request_type_card_replace, 4},
        {request_type_card_revoke, 5},  {request_type_card_validate, 24},
        {request_type_card_scan, 8},    {request_type_card_get, 10},
        {request_type_card_list, 2},    {request_type_card_history, 3},
        {request_type_rollup_list, 1},
    };
    uint32_t drawn = generator_below(&world->workload, 100);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        if (drawn < shares[i].weight) {
            return shares[i].type;
        }
        drawn -= shares[i].weight;
    }
    return request_type_card_validate;
}

static uint32_t count_cards(const clients_t *clients, uint32_t tenant)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < clients->card_count; i++) {
        count += clients->cards[i].tenant == tenant ? 1 : 0;
    }
    return count;
}

static void ask_work(world_t *world)
{
    const uint32_t tenant = world_draw_tenant(world, &world->workload);
    uint8_t type = draw_type(world);
    const uint32_t card = draw_card(world, tenant);
    if (generator_chance(&world->workload, world->weather.reads)) {
        type = request_type_card_get;
    }
    const bool is_of_all = type == request_type_card_list || type == request_type_rollup_list;
    if (card == CARDS_MAX && !is_of_all) {
        type = request_type_card_issue;
    } else if (type == request_type_card_issue &&
               count_cards(world->clients, tenant) >= world->cards_max) {
        type = request_type_card_validate;
    }
    command_t *const command = clients_new_command(world, tenant, type);
    if (type == request_type_card_issue) {
        fill_new_card(world, command);
    } else if (!is_of_all) {
        aim(world, command, card);
    }
    if (type == request_type_card_renew) {
        command->expires_at = draw_end(world);
    }
    if (type == request_type_card_suspend && generator_chance(&world->workload, 700)) {
        command->until = world_wall_ms(world) + generator_between(&world->workload, 200, 9000);
    }
    if (!command_is_read(command) && generator_chance(&world->workload, 600)) {
        give_key(world, command);
    }
    clients_submit(world, command);
}

/* Where there are namesakes, mostly one of them. */
static uint32_t draw_other(world_t *world, uint32_t tenant)
{
    const uint32_t name_index = world->tenants[tenant].name_index;
    const uint32_t newest = world_newest(world, name_index);
    if (world->tenants[newest].number > 0 && generator_chance(&world->workload, 700)) {
        return tenant == newest ? name_index : newest;
    }
    return world_newest(world, (name_index + 1) % world->name_count);
}

/* With the id or the code of another tenant's card, or at another tenant's door. */
static void ask_intrusion(world_t *world)
{
    const uint32_t tenant = world_draw_tenant(world, &world->workload);
    const uint32_t other = draw_other(world, tenant);
    const uint32_t card = draw_card(world, other);
    if (other == tenant || card == CARDS_MAX) {
        return;
    }
    static const uint8_t types[] = {request_type_card_get, request_type_card_validate,
                                    request_type_card_scan, request_type_card_history,
                                    request_type_card_revoke};
    command_t *const command =
        clients_new_command(world, tenant, types[generator_below(&world->workload, sizeof(types))]);
    command->purpose = PURPOSE_INTRUSION;
    aim(world, command, card);
    command->card = CARDS_MAX;
    command->door = generator_chance(&world->workload, 300) ? other : tenant;
    clients_submit(world, command);
}

/* A key that belongs to another request. */
static void ask_reuse(world_t *world)
{
    clients_t *const clients = world->clients;
    const command_t *const first =
        clients->commands[generator_below(&world->workload, clients->command_count)];
    if (first->key[0] == '\0' || !first->is_known || first->purpose != PURPOSE_WORK) {
        return;
    }
    command_t *const command = clients_new_command(world, first->tenant, first->type);
    command->purpose = PURPOSE_REUSE;
    command->role = first->role;
    command->card = first->card;
    command->card_id = first->card_id;
    command->has_card = first->has_card;
    command->expires_at = first->expires_at;
    command->until = first->until;
    memcpy(command->key, first->key, sizeof(command->key));
    memcpy(command->member_id, first->member_id, sizeof(command->member_id));
    memcpy(command->holder_name, first->holder_name, sizeof(command->holder_name));
    memcpy(command->qr, first->qr, sizeof(command->qr));
    clients_submit(world, command);
}

void clients_step(world_t *world)
{
    clients_t *const clients = world->clients;
    if (clients->open_count >= OPEN_MAX || clients->command_count + 64 > COMMANDS_MAX) {
        return;
    }
    const uint32_t kind = generator_below(&world->workload, 100);
    if (kind < 4) {
        ask_intrusion(world);
    } else if (kind < 8 && clients->command_count > 0) {
        ask_reuse(world);
    } else {
        const uint32_t count = generator_chance(&world->workload, 60) ? 8 : 1;
        for (uint32_t i = 0; i < count; i++) {
            ask_work(world);
        }
    }
}

void clients_probe(world_t *world)
{
    for (uint32_t tenant = 0; tenant < world->tenant_count; tenant++) {
        const uint32_t issues = world_is_there(world, tenant) ? 3 : 1;
        for (uint32_t i = 0; i < issues; i++) {
            command_t *const command = clients_new_command(world, tenant, request_type_card_issue);
            fill_new_card(world, command);
            give_key(world, command);
            clients_submit(world, command);
        }
        const uint32_t card = draw_card(world, tenant);
        if (card != CARDS_MAX) {
            command_t *const command =
                clients_new_command(world, tenant, request_type_card_validate);
            aim(world, command, card);
            give_key(world, command);
            clients_submit(world, command);
        }
    }
}
