/* The reference model: a fold of the events on the disk, written from DESIGN and not from
 * actors/domain, and the comparison of everything else with it. */
#include "tests/simulation/model.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/membership.h"
#include "tests/simulation/projections.h"
#include "tests/simulation/store.h"
#include "tests/simulation/subscriber.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    NEAR_MS = 60000, /* an end that close to now may count or not */
    DAYS_MS = 3 * 86400000,
    OVERDUE_MS = 20000, /* a tenant nobody touches is opened every LIMIT_SWEEP_ROTATION_MS */
};

typedef struct model_card {
    uint32_t tenant;
    uint32_t partition;
    uuid_t id;
    uint8_t status;
    bool was_activated;
    bool is_suspended;
    int64_t until; /* when the suspension ends by itself; 0: never */
    uint64_t version;
    uint64_t sequence;
    int64_t valid_from;
    int64_t expires_at;
    text_t member_id;
    text_t tier;
    uint32_t listed; /* times */
    bool was_read;
    uint64_t history_next; /* card sequence that its next item has; 0: complete */
    membered_card_t membered;
} model_card_t;

typedef struct model {
    model_card_t cards[CARDS_MAX * 2];
    uint32_t card_count;
    uint32_t effects[COMMANDS_MAX];
    const store_event_t *effect[COMMANDS_MAX];
} model_t;

static model_card_t *find(model_t *model, uint32_t tenant, const uuid_t *id)
{
    for (uint32_t i = 0; i < model->card_count; i++) {
        if (model->cards[i].tenant == tenant && uuid_equal(&model->cards[i].id, id)) {
            return &model->cards[i];
        }
    }
    return NULL;
}

static void complain(world_t *world, uint32_t invariant, uint32_t tenant, const event_t *event,
                     const char *what)
{
    world_violation(world, invariant,
                    "tenant %u, partition %" PRIu64 ", sequence %" PRIu64 " (event %u of the "
                    "card): %s",
                    tenant, event->partition, event->sequence, (unsigned)event->card_sequence,
                    what);
}

/* --- The fold --- */

static uint8_t status_when_not_ended(const model_card_t *card)
{
    if (card->is_suspended) {
        return card_status_suspended;
    }
    return card->was_activated ? card_status_active : card_status_issued;
}

static bool is_alive(const model_card_t *card)
{
    return card->status == card_status_issued || card->status == card_status_active ||
           card->status == card_status_suspended;
}

/* False: the event cannot follow. */
static bool fold_validation(const model_card_t *card, const event_t *event)
{
    const bool is_in_time =
        event->occurred_at >= card->valid_from && event->occurred_at < card->expires_at;
    if (event->name == event_name_card_validated) {
        return card->status == card_status_active && is_in_time;
    }
    switch (event->data.refused_as) {
    case reason_not_active:
        return card->status == card_status_issued;
    case reason_not_yet_valid:
        return card->status == card_status_active && event->occurred_at < card->valid_from;
    case reason_suspended:
        return card->status == card_status_suspended;
    case reason_expired:
        return card->status == card_status_expired;
    case reason_revoked:
        return card->status == card_status_revoked;
    case reason_replaced:
        return card->status == card_status_replaced;
    case reason_member_inactive: /* who may say so: memberships_check_batch */
        return card->status == card_status_active && is_in_time;
    default:
        return false;
    }
}

/* Whose doing it was. False: the membership lifts what it did not do. */
static bool fold_member(model_card_t *card, const event_t *event)
{
    membered_card_t *const membered = &card->membered;
    const bool is_by_member =
        MESSAGE_HAS(event_data, &event->data, by_member) && event->data.by_member;
    bool is_good = true;
    switch (event->name) {
    case event_name_card_suspended:
    case event_name_card_revoked:
        membered->is_by_member = is_by_member;
        break;
    case event_name_card_reinstated:
        is_good = !is_by_member || membered->is_by_member;
        membered->is_by_member = false;
        break;
    default:
        break;
    }
    if (event->name == event_name_card_renewed ||
        (event->name == event_name_card_reinstated && !is_by_member)) {
        membered->revived_sequence = event->sequence;
    }
    return is_good;
}

static bool fold_change(model_card_t *card, const event_t *event)
{
    const event_data_t *const data = &event->data;
    const uint8_t before = card->status;
    switch (event->name) {
    case event_name_card_activated:
        card->was_activated = true;
        card->status = card_status_active;
        return before == card_status_issued;
    case event_name_card_suspended:
        card->is_suspended = true;
        card->until = MESSAGE_HAS(event_data, data, until) ? data->until : 0;
        card->status = card_status_suspended;
        return before == card_status_issued || before == card_status_active;
    case event_name_card_reinstated: {
        /* By itself: only the suspension that said so, once, and not before its time. */
        const bool is_its_end = !MESSAGE_HAS(event_data, data, until) ||
                                (card->until != 0 && event->occurred_at >= card->until);
        const bool is_lifted = before == card_status_expired && card->is_suspended &&
                               MESSAGE_HAS(event_data, data, by_member);
        card->is_suspended = false;
        card->until = 0;
        card->status = is_lifted ? before : status_when_not_ended(card);
        return (before == card_status_suspended || is_lifted) && is_its_end;
    }
    case event_name_card_renewed: {
        const bool is_later = data->expires_at > card->expires_at;
        card->expires_at = data->expires_at;
        card->status = status_when_not_ended(card);
        return is_later && before != card_status_revoked && before != card_status_replaced;
    }
    case event_name_card_replaced:
        card->status = card_status_replaced;
        return before == card_status_issued || before == card_status_active;
    case event_name_card_revoked:
        card->status = card_status_revoked;
        return before != card_status_revoked && before != card_status_replaced;
    case event_name_card_expired: {
        const bool is_due = is_alive(card) && event->occurred_at >= card->expires_at;
        card->status = card_status_expired;
        return is_due;
    }
    default:
        return false;
    }
}

static model_card_t *fold_issue(model_t *model, uint32_t tenant, const event_t *event)
{
    if (find(model, tenant, &event->card) != NULL) {
        return NULL;
    }
    assert(model->card_count < CARDS_MAX * 2);
    model_card_t *const card = &model->cards[model->card_count];
    model->card_count++;
    *card = (model_card_t){.tenant = tenant,
                           .partition = (uint32_t)event->partition,
                           .id = event->card,
                           .status = card_status_issued,
                           .version = 1,
                           .sequence = 1,
                           .valid_from = event->data.valid_from,
                           .expires_at = event->data.expires_at,
                           .member_id = event->data.member_id,
                           .tier = event->data.tier,
                           .membered.issued_sequence = event->sequence,
                           .membered.issued_at = event->occurred_at};
    return card;
}

static void fold(world_t *world, model_t *model, uint32_t tenant, const event_t *event)
{
    if (event->name == event_name_card_issued) {
        if (fold_issue(model, tenant, event) == NULL || event->card_sequence != 1 ||
            event->version != 1) {
            complain(world, 4, tenant, event, "a card is issued twice");
        }
        return;
    }
    model_card_t *const card = find(model, tenant, &event->card);
    if (card == NULL || card->partition != event->partition) {
        complain(world, 4, tenant, event, "the card was not issued in this partition before");
        return;
    }
    card->sequence++;
    if (event->card_sequence != card->sequence) {
        complain(world, 4, tenant, event, "the card's sequence has a gap or a repeat");
        return;
    }
    const bool is_validation = event->name == event_name_card_validated ||
                               event->name == event_name_card_validation_refused;
    card->version += is_validation ? 0 : 1;
    if (event->version != card->version) {
        complain(world, 4, tenant, event, "the version is not the number of changes");
    }
    if (is_validation ? !fold_validation(card, event) : !fold_change(card, event)) {
        complain(world, is_validation ? 2 : 8, tenant, event,
                 "the event cannot follow on the state of the card");
    }
    if (!fold_member(card, event)) {
        complain(world, 8, tenant, event, "the membership reinstates what it has not suspended");
    }
}

/* --- Effects --- */

static uint32_t number_in(const world_t *world, uint32_t tenant, text_t marker)
{
    const text_t own = text_from_c(world->tenants[tenant].marker);
    if (!text_starts_with(marker, own) || marker.size != own.size + 6) {
        return COMMANDS_MAX;
    }
    uint32_t number = 0;
    for (size_t i = own.size; i < marker.size; i++) {
        number = number * 10 + (uint32_t)(marker.data[i] - '0');
    }
    return number < world->clients->command_count ? number : COMMANDS_MAX;
}

static void count_effect(world_t *world, model_t *model, uint32_t tenant, const store_event_t *row)
{
    const event_data_t *const data = &row->event.data;
    const uint8_t name = row->event.name;
    text_t marker = data->reason;
    if (name == event_name_card_issued) {
        marker = MESSAGE_HAS(event_data, data, replaces) ? TEXT_NONE : data->tier;
    } else if (name == event_name_card_validated || name == event_name_card_validation_refused) {
        marker = data->gate;
    }
    const uint32_t number = number_in(world, tenant, marker);
    if (number == COMMANDS_MAX) {
        return;
    }
    const command_t *const command = world->clients->commands[number];
    const bool is_scan =
        command->type == request_type_card_validate || command->type == request_type_card_scan;
    if (is_scan || name == command_event(command->type)) {
        model->effects[number]++;
        model->effect[number] = row;
    }
}

static void fold_partition(world_t *world, model_t *model, uint32_t tenant, uint32_t number)
{
    const store_partition_t *const partition = store_partition(world->store, tenant, number);
    for (size_t i = 0; i < partition->event_count; i++) {
        const event_t *const event = &partition->events[i]->event;
        if (event->sequence != i + 1) {
            complain(world, 4, tenant, event, "the partition's sequence has a gap or a repeat");
            return;
        }
        fold(world, model, tenant, event);
        count_effect(world, model, tenant, partition->events[i]);
    }
    if (partition->row.head != partition->event_count) {
        world_violation(world, 4, "the head of tenant %u, partition %u is not its last sequence",
                        tenant, number);
    }
}

static void fold_all(world_t *world, model_t *model)
{
    memset(model, 0, sizeof(*model));
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        for (uint32_t j = 0; j < world->tenants[i].partitions; j++) {
            fold_partition(world, model, i, j);
        }
    }
}

/* --- Reads --- */

static model_t *model_of(world_t *world)
{
    if (world->model == NULL) {
        world->model = malloc(sizeof(*world->model));
        assert(world->model != NULL);
    }
    return world->model;
}

void model_forget(world_t *world)
{
    free(world->model);
    world->model = NULL;
}

static void ask_rollups(world_t *world, uint32_t tenant)
{
    command_t *const rollups = clients_new_command(world, tenant, request_type_rollup_list);
    rollups->purpose = PURPOSE_CHECK;
    rollups->from = world->wall_start_ms - DAYS_MS; /* the clock jumps by less */
    rollups->until = world->wall_start_ms + DAYS_MS;
    clients_submit(world, rollups);
}

void model_ask(world_t *world)
{
    model_t *const model = model_of(world);
    fold_all(world, model);
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        if (world_is_there(world, i)) {
            command_t *const list = clients_new_command(world, i, request_type_card_list);
            list->purpose = PURPOSE_CHECK;
            clients_submit(world, list);
            ask_rollups(world, i);
        }
    }
    for (uint32_t i = 0; i < model->card_count; i++) {
        model_card_t *const card = &model->cards[i];
        if (!world_is_there(world, card->tenant)) {
            continue;
        }
        command_t *const get = clients_new_command(world, card->tenant, request_type_card_get);
        get->purpose = PURPOSE_CHECK;
        get->has_card = true;
        get->card_id = card->id;
        clients_submit(world, get);
        if (i % 4 == 0) {
            command_t *const history =
                clients_new_command(world, card->tenant, request_type_card_history);
            history->purpose = PURPOSE_CHECK;
            history->has_card = true;
            history->card_id = card->id;
            card->history_next = card->sequence;
            clients_submit(world, history);
        }
    }
}

static text_t holder_of(world_t *world, const model_card_t *card)
{
    const uint32_t number = number_in(world, card->tenant, card->tier);
    return number == COMMANDS_MAX ? TEXT_NONE
                                  : text_from_c(world->clients->commands[number]->holder_name);
}

/* A card in a list or read alone equals the fold (DESIGN 5, 8). */
static void compare(world_t *world, const command_t *command, const card_t *shown)
{
    model_card_t *const card = find(world->model, command->tenant, &shown->id);
    if (card == NULL) {
        world_violation(world, 8, "command %u shows a card that has no events", command->number);
        return;
    }
    const int64_t now_ms = world_wall_ms(world);
    const bool is_due = is_alive(card) && card->expires_at <= now_ms;
    const uint8_t status = is_due ? (uint8_t)card_status_expired : card->status;
    const uint64_t version = card->version + (is_due ? 1 : 0);
    const bool is_near =
        (card->expires_at > now_ms - NEAR_MS && card->expires_at < now_ms + NEAR_MS) ||
        (card->until != 0 && card->until < now_ms + NEAR_MS);
    if (!text_equal(shown->member_id, card->member_id) || !text_equal(shown->tier, card->tier) ||
        shown->expires_at != card->expires_at || shown->valid_from != card->valid_from ||
        (!is_near && (shown->status != status || shown->version != version))) {
        world_violation(world, 8,
                        "command %u shows status %u and version %" PRIu64
                        " of card %02x%02x%02x, its events say %u and %" PRIu64,
                        command->number, shown->status, shown->version, shown->id.bytes[13],
                        shown->id.bytes[14], shown->id.bytes[15], status, version);
    }
    if (!text_equal(shown->holder_name, holder_of(world, card))) {
        world_violation(world, 8, "command %u shows \"%.*s\" as the holder of a card",
                        command->number, TEXT_PRINT(shown->holder_name));
    }
    card->listed += command->type == request_type_card_list ? 1 : 0;
    card->was_read = card->was_read || command->type == request_type_card_get;
}

static void go_on(world_t *world, const command_t *command, text_t cursor)
{
    if (text_is_empty(cursor)) {
        return;
    }
    command_t *const next = clients_new_command(world, command->tenant, command->type);
    next->purpose = PURPOSE_CHECK;
    next->has_card = command->has_card;
    next->card_id = command->card_id;
    memcpy(next->cursor, cursor.data,
           cursor.size < sizeof(next->cursor) ? cursor.size : sizeof(next->cursor) - 1);
    clients_submit(world, next);
}

static void compare_history(world_t *world, const command_t *command, const history_page_t *page)
{
    model_card_t *const card = find(world->model, command->tenant, &command->card_id);
    for (uint32_t i = 0; i < page->items_count; i++) {
        const uint64_t sequence = page->items[i].card_sequence;
        if (sequence > card->sequence && !text_is_empty(text_from_c(command->cursor))) {
            continue;
        }
        if (sequence > card->sequence && card->history_next == card->sequence) {
            continue; /* its end came meanwhile, or that of its suspension */
        }
        if (sequence != card->history_next) {
            world_violation(world, 8, "command %u: the history of a card is not complete",
                            command->number);
            return;
        }
        card->history_next--;
    }
    go_on(world, command, page->next_cursor);
}

/* What only commands do: nothing of it happens any more while reads are answered. */
static void compare_rollups(world_t *world, const command_t *command, const rollup_page_t *page)
{
    int64_t counts[32] = {0};
    for (uint32_t i = 0; i < page->items_count; i++) {
        const rollup_t *const day = &page->items[i];
        counts[event_name_card_issued] += (int64_t)day->issued;
        counts[event_name_card_activated] += (int64_t)day->activated;
        counts[event_name_card_replaced] += (int64_t)day->replaced;
        counts[event_name_card_validated] += (int64_t)day->validated;
        counts[event_name_card_validation_refused] += (int64_t)day->refused;
    }
    for (uint32_t i = 0; i < world->tenants[command->tenant].partitions; i++) {
        const store_partition_t *const partition =
            store_partition(world->store, command->tenant, i);
        for (size_t j = 0; j < partition->event_count; j++) {
            counts[partition->events[j]->event.name]--;
        }
    }
    static const uint8_t names[] = {event_name_card_issued, event_name_card_activated,
                                    event_name_card_replaced, event_name_card_validated,
                                    event_name_card_validation_refused};
    for (size_t i = 0; i < sizeof(names); i++) {
        if (counts[names[i]] != 0 && !MESSAGE_HAS(rollup_page, page, behind)) {
            world_violation(world, 8,
                            "command %u: the rollups of tenant %u differ by %" PRId64
                            " from its events of kind %u",
                            command->number, command->tenant, counts[names[i]], names[i]);
        }
    }
}

void model_receive(world_t *world, command_t *command, const gateway_reply_t *reply)
{
    if (world->has_failed) {
        return;
    }
    if (command->type == request_type_card_get) {
        compare(world, command, reply->document);
    } else if (command->type == request_type_card_list) {
        const card_page_t *const page = reply->document;
        for (uint32_t i = 0; i < page->items_count; i++) {
            compare(world, command, &page->items[i]);
        }
        go_on(world, command, page->next_cursor);
    } else if (command->type == request_type_rollup_list) {
        compare_rollups(world, command, reply->document);
    } else {
        compare_history(world, command, reply->document);
    }
}

/* --- In the end --- */

static void check_reads(world_t *world, const model_t *model)
{
    for (uint32_t i = 0; i < model->card_count; i++) {
        const model_card_t *const card = &model->cards[i];
        if (!world_is_there(world, card->tenant)) {
            continue;
        }
        if (card->listed != 1 || !card->was_read || card->history_next != 0) {
            world_violation(world, 8,
                            "a card of tenant %u is listed %u times, %s read, and %" PRIu64
                            " events are missing in its history",
                            card->tenant, card->listed, card->was_read ? "was" : "was not",
                            card->history_next);
        }
    }
}

static void check_effect(world_t *world, const command_t *command, uint32_t effects,
                         const store_event_t *row)
{
    const bool is_scan =
        command->type == request_type_card_validate || command->type == request_type_card_scan;
    if (command->result == RESULT_REFUSED) {
        if (effects != 0) {
            world_violation(world, 3, "command %u was refused and has an effect", command->number);
        }
        return;
    }
    if (effects != 1) {
        world_violation(world, effects == 0 ? 1 : 3,
                        "command %u was acknowledged and has %u effects", command->number, effects);
        return;
    }
    const event_t *const event = &row->event;
    if (is_scan && (event->sequence != command->sequence ||
                    !uuid_equal(&event->event_id, &command->document_id) ||
                    (command->verdict_result == verdict_result_valid) !=
                        (event->name == event_name_card_validated))) {
        world_violation(world, 1, "command %u: the verdict is not the one that was stored",
                        command->number);
    }
    const bool is_same_version = command->type == request_type_card_issue ||
                                 command->type == request_type_card_replace || is_scan ||
                                 command->version == 0 || event->version == command->version;
    if (!is_same_version) {
        world_violation(world, 1, "command %u: another version was stored than acknowledged",
                        command->number);
    }
}

/* Who asked a tenant that was being deleted is told that there is none, whatever was under way. */
static bool must_have_none(const world_t *world, const command_t *command)
{
    const bool is_gone =
        !world_is_there(world, command->tenant) && command->last_error == RESULT_TENANT_NOT_FOUND;
    return !command->maybe_unknown && command->key[0] == '\0' && !is_gone;
}

static void check_command(world_t *world, const command_t *command, uint32_t effects,
                          const store_event_t *row)
{
    if (command_is_read(command) || command->purpose == PURPOSE_REPAIR ||
        command->purpose == PURPOSE_CURSOR) {
        return;
    }
    if (command->purpose == PURPOSE_INTRUSION || command->purpose == PURPOSE_REUSE) {
        if (effects != 0) {
            world_violation(world, command->purpose == PURPOSE_REUSE ? 3 : 5,
                            "command %u had to have no effect", command->number);
        }
        return;
    }
    if (command->is_known) {
        check_effect(world, command, effects, row);
    } else if (effects > 1 || (effects == 1 && must_have_none(world, command))) {
        world_violation(world, effects > 1 ? 3 : 1, "command %u ended with %s and has %u effects",
                        command->number, result_code(command->last_error), effects);
    }
}

static void check_subscribers(world_t *world)
{
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        for (uint32_t j = 0; world_is_there(world, i) && j < world->tenants[i].partitions; j++) {
            const store_partition_t *const partition = store_partition(world->store, i, j);
            if (subscribers_applied(world, i, j) != partition->row.head) {
                world_violation(world, 6,
                                "the subscriber of tenant %u has %" PRIu64 " of %" PRIu64
                                " events of partition %u",
                                i, subscribers_applied(world, i, j), partition->row.head, j);
            }
        }
    }
}

/* Every reminder has come, or is still to come (put off while the card was expired, by a clock that
 * has gone back since): no suspension outlives its end otherwise. */
static void check_suspensions(world_t *world, const model_t *model)
{
    for (uint32_t i = 0; i < model->card_count; i++) {
        const model_card_t *const card = &model->cards[i];
        if (card->status == card_status_suspended && card->until != 0 &&
            card->until < world_wall_ms(world) - OVERDUE_MS &&
            world_is_there(world, card->tenant) &&
            !store_has_reminder(world->store, card->tenant, &card->id)) {
            world_violation(world, 10,
                            "tenant %u: a suspension that was to end %" PRId64
                            " ms ago goes on: its reminder is lost",
                            card->tenant, world_wall_ms(world) - card->until);
        }
    }
}

/* What quotas are held against: counted by batches, and exact after any crash. */
static void check_living(world_t *world, const model_t *model)
{
    uint64_t living[WORLD_TENANTS_MAX][WORLD_PARTITIONS_MAX] = {0};
    for (uint32_t i = 0; i < model->card_count; i++) {
        const model_card_t *const card = &model->cards[i];
        living[card->tenant][card->partition] += is_alive(card) ? 1 : 0;
    }
    for (uint32_t i = 0; i < world->tenant_count; i++) {
        for (uint32_t j = 0; j < world->tenants[i].partitions; j++) {
            const uint64_t counted = store_partition(world->store, i, j)->row.cards;
            if (counted != living[i][j]) {
                world_violation(world, 8,
                                "tenant %u, partition %u: %" PRIu64
                                " living cards are counted, their events say %" PRIu64,
                                i, j, counted, living[i][j]);
            }
        }
    }
}

static void check_memberships(world_t *world, model_t *model)
{
    memberships_check_members(world);
    for (uint32_t i = 0; i < model->card_count; i++) {
        model_card_t *const card = &model->cards[i];
        card->membered.tenant = card->tenant;
        card->membered.partition = card->partition;
        card->membered.member_id = card->member_id;
        card->membered.status = card->status;
        card->membered.expires_at = card->expires_at;
        memberships_check_card(world, &card->membered);
    }
}

void model_check(world_t *world)
{
    model_t *const model = model_of(world);
    check_reads(world, model);
    fold_all(world, model);
    for (uint32_t i = 0; i < world->clients->command_count; i++) {
        check_command(world, world->clients->commands[i], model->effects[i], model->effect[i]);
    }
    check_suspensions(world, model);
    check_living(world, model);
    check_memberships(world, model);
    check_subscribers(world);
    projections_disk_check(world);
}
