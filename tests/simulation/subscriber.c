/* Subscribers. Each event they apply must be the one on the disk, in order, once (DESIGN 5, 6). */
#include "tests/simulation/subscriber.h"
#include "actors/relay/relay_internal.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/process.h"
#include "tests/simulation/store.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_SIZE_MAX = 8192,
    REPAIR_PAUSE_US = 30000,
    LOOK_US = 1000 * LIMIT_DIRECTORY_POLL_MS + 60000, /* and what was begun before it */
};

typedef struct position {
    uint64_t applied; /* every event up to this one */
    uint64_t seen;    /* highest sequence heard of */
    bool is_repairing;
} position_t;

struct subscribers {
    uint32_t relay;
    position_t positions[WORLD_TENANTS_MAX][WORLD_PARTITIONS_MAX];
};

typedef struct news {
    uint32_t tenant;
    uint32_t relay;
    bool is_head;
    size_t header_size;
    size_t body_size;
    uint8_t bytes[]; /* header, body */
} news_t;

subscribers_t *subscribers_create(world_t *world)
{
    (void)world;
    subscribers_t *subscribers = calloc(1, sizeof(*subscribers));
    assert(subscribers != NULL);
    return subscribers;
}

void subscribers_destroy(subscribers_t **subscribers)
{
    free(*subscribers);
    *subscribers = NULL;
}

uint64_t subscribers_applied(const world_t *world, uint32_t tenant, uint32_t partition)
{
    return world->subscribers->positions[tenant][partition].applied;
}

/* --- Applying --- */

static bool is_same_data(const store_event_t *row, text_t body)
{
    event_data_t data = row->event.data;
    MESSAGE_CLEAR(event_data, &data, sealed_name);
    uint8_t expected[BODY_SIZE_MAX];
    const size_t size =
        message_pack(&event_data_message, &data, MESSAGE_KEYS_NAMES, expected, sizeof(expected));
    return text_equal(body, (text_t){(const char *)expected, size});
}

/* What a subscriber learns must be committed, and the same for everybody. */
static void check_event(world_t *world, uint32_t tenant, const event_header_t *header, text_t body)
{
    const store_partition_t *const partition =
        store_partition(world->store, tenant, (uint32_t)header->partition);
    const store_event_t *row = NULL;
    for (size_t i = partition->event_count; i > 0 && row == NULL; i--) {
        if (partition->events[i - 1]->event.sequence == header->sequence) {
            row = partition->events[i - 1];
        }
    }
    if (row == NULL) {
        world_violation(world, 6,
                        "a subscriber got event %" PRIu64 " of tenant %u, partition %" PRIu64
                        ", which is not committed",
                        header->sequence, tenant, header->partition);
        return;
    }
    const event_t *const event = &row->event;
    if (!uuid_equal(&event->event_id, &header->event_id) ||
        !uuid_equal(&event->card, &header->card) || event->name != header->name ||
        event->card_sequence != header->card_sequence || event->version != header->version ||
        event->occurred_at != header->occurred_at || !is_same_data(row, body)) {
        world_violation(world, 6,
                        "event %" PRIu64 " of tenant %u, partition %" PRIu64
                        " is another one for a subscriber than on the disk",
                        header->sequence, tenant, header->partition);
    }
}

static void apply(world_t *world, uint32_t tenant, const event_header_t *header, text_t body)
{
    position_t *const position = &world->subscribers->positions[tenant][header->partition];
    check_event(world, tenant, header, body);
    if (header->sequence > position->seen) {
        position->seen = header->sequence;
    }
    if (header->sequence == position->applied + 1) {
        position->applied = header->sequence;
        trace_add(world, "tenant %" PRIu64 " applies %" PRIu64 " of partition %" PRIu64, tenant,
                  header->sequence, header->partition, 0);
    }
}

/* --- Repairing --- */

typedef struct repair {
    uint32_t tenant;
    uint32_t partition;
} repair_t;

static void repair_due(world_t *world, void *payload)
{
    const repair_t *const repair = payload;
    const position_t *const position =
        &world->subscribers->positions[repair->tenant][repair->partition];
    world->numbers.repairs++;
    clients_read_events(world, repair->tenant, repair->partition, position->applied);
}

static void repair(world_t *world, uint32_t tenant, uint32_t partition, uint64_t delay_us)
{
    position_t *const position = &world->subscribers->positions[tenant][partition];
    if (position->is_repairing || position->seen <= position->applied ||
        world->tenants[tenant].stage == STAGE_GONE) {
        return;
    }
    position->is_repairing = true;
    repair_t *payload = malloc(sizeof(*payload));
    assert(payload != NULL);
    *payload = (repair_t){tenant, partition};
    agenda_add(world, delay_us, 0, repair_due, payload_free, payload);
}

void subscribers_repaired(world_t *world, uint32_t tenant, uint32_t partition,
                          const event_page_t *page)
{
    world->subscribers->positions[tenant][partition].is_repairing = false;
    for (uint32_t i = 0; page != NULL && i < page->items_count; i++) {
        const event_t *const event = &page->items[i];
        event_data_t data = event->data;
        if (MESSAGE_HAS(event_data, &data, sealed_name)) {
            world_violation(world, 5, "events.read shows a sealed name");
        }
        uint8_t body[BODY_SIZE_MAX];
        const size_t size =
            message_pack(&event_data_message, &data, MESSAGE_KEYS_NAMES, body, sizeof(body));
        const event_header_t header = {.event_id = event->event_id,
                                       .partition = event->partition,
                                       .sequence = event->sequence,
                                       .card = event->card,
                                       .card_sequence = event->card_sequence,
                                       .name = event->name,
                                       .version = event->version,
                                       .occurred_at = event->occurred_at};
        if (event->partition != partition) {
            world_violation(world, 6, "events.read shows another partition");
            return;
        }
        apply(world, tenant, &header, (text_t){(const char *)body, size});
    }
    repair(world, tenant, partition, REPAIR_PAUSE_US);
}

/* --- What comes from the relay --- */

static void hear_head(world_t *world, uint32_t tenant, text_t body)
{
    partition_head_t head;
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (!message_unpack(&partition_head_message, MESSAGE_KEYS_NAMES, (const uint8_t *)body.data,
                        body.size, &arena, &head, &fault) ||
        head.partition >= world->tenants[tenant].partitions) {
        world_violation(world, 6, "a head cannot be read");
        return;
    }
    position_t *const position = &world->subscribers->positions[tenant][head.partition];
    if (head.sequence > store_partition(world->store, tenant, (uint32_t)head.partition)->row.head) {
        world_violation(world, 6, "a head of tenant %u is ahead of the disk", tenant);
    }
    if (head.sequence > position->seen) {
        position->seen = head.sequence;
    }
    repair(world, tenant, (uint32_t)head.partition, 100);
}

static void hear_event(world_t *world, uint32_t tenant, text_t head, text_t body)
{
    event_header_t header;
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (!message_unpack(&event_header_message, MESSAGE_KEYS_NAMES, (const uint8_t *)head.data,
                        head.size, &arena, &header, &fault)) {
        world_violation(world, 6, "a published event cannot be read: %s", fault.detail);
        return;
    }
    if (!text_equal(text_from_c(world->tenants[tenant].name), header.tenant) ||
        header.partition >= world->tenants[tenant].partitions) {
        world_violation(world, 5, "a subscriber of tenant %u got an event of another one", tenant);
        return;
    }
    apply(world, tenant, &header, body);
    repair(world, tenant, (uint32_t)header.partition, 2000);
}

static void hear(world_t *world, void *payload)
{
    const news_t *const news = payload;
    if (news->relay != world->subscribers->relay) {
        return; /* of a relay that is gone: the connection broke */
    }
    const text_t header = {(const char *)news->bytes, news->header_size};
    const text_t body = {(const char *)news->bytes + news->header_size, news->body_size};
    if (world_is_foreign(world, news->tenant, news->bytes, news->header_size + news->body_size)) {
        world_violation(world, 5, "a subscriber of tenant %u got bytes of another one",
                        news->tenant);
    } else if (news->is_head) {
        hear_head(world, news->tenant, body);
    } else {
        hear_event(world, news->tenant, header, body);
    }
}

static void send_news(world_t *world, uint32_t tenant, uint32_t relay, bool is_head, text_t header,
                      text_t body)
{
    news_t *news = malloc(sizeof(*news) + header.size + body.size);
    assert(news != NULL);
    *news = (news_t){tenant, relay, is_head, header.size, body.size};
    memcpy(news->bytes, header.data, header.size);
    memcpy(news->bytes + header.size, body.data, body.size);
    const uint32_t delay_us_max = world->is_stormy ? world->weather.delay_us_max : 0;
    agenda_add(world, 50 + generator_below(&world->wire, delay_us_max + 1), 0, hear, payload_free,
               news);
}

/* --- What a relay says of a tenant that gave way to a namesake --- */

static bool has_event(const world_t *world, uint32_t tenant, const event_header_t *header)
{
    if (header->partition >= world->tenants[tenant].partitions) {
        return false;
    }
    const store_partition_t *const partition =
        store_partition(world->store, tenant, (uint32_t)header->partition);
    for (size_t i = partition->event_count; i > 0; i--) {
        if (uuid_equal(&partition->events[i - 1]->event.event_id, &header->event_id)) {
            return true;
        }
    }
    return false;
}

/* Of an earlier tenant of that name, and not of this one? */
static bool is_of_earlier(const world_t *world, uint32_t tenant, bool is_head, text_t frame)
{
    event_header_t header = {0};
    partition_head_t head = {0};
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    const message_type_t *const type = is_head ? &partition_head_message : &event_header_message;
    void *const out = is_head ? (void *)&head : (void *)&header;
    if (!message_unpack(type, MESSAGE_KEYS_NAMES, (const uint8_t *)frame.data, frame.size, &arena,
                        out, &fault)) {
        return false;
    }
    const uint32_t name_index = world->tenants[tenant].name_index;
    if (is_head) {
        return head.partition >= world->tenants[tenant].partitions ||
               head.sequence >
                   store_partition(world->store, tenant, (uint32_t)head.partition)->row.head;
    }
    for (uint32_t i = 0; i < tenant && !has_event(world, tenant, &header); i++) {
        if (world->tenants[i].name_index == name_index && has_event(world, i, &header)) {
            return true;
        }
    }
    return false;
}

/* Between two looks at the control store a relay goes on with a tenant that was deleted; longer it
 * must not. Who subscribed for the namesake is not led to believe that it is of theirs. */
static bool is_of_deleted(world_t *world, const process_t *relay, uint32_t tenant, bool is_head,
                          text_t frame)
{
    const world_tenant_t *const newest = &world->tenants[tenant];
    if (newest->number == 0 || world->has_failed || !is_of_earlier(world, tenant, is_head, frame)) {
        return false;
    }
    uint64_t known_us = newest->made_us;
    known_us = relay->started_us > known_us ? relay->started_us : known_us;
    known_us = relay->paused_until_us > known_us ? relay->paused_until_us : known_us;
    known_us = world->control_us > known_us ? world->control_us : known_us;
    if (world->now_us > known_us + LOOK_US ||
        relay->relay->control_version >= newest->control_version) {
        world_violation(world, 5, "a relay publishes %s of a deleted tenant under the name of %s",
                        is_head ? "a head" : "an event", newest->marker);
    }
    world->numbers.late_news++;
    return true;
}

static bool is_for(const world_t *world, uint32_t tenant, text_t topic)
{
    char prefix[64];
    const int size =
        snprintf(prefix, sizeof(prefix), "digitalcard.%s.", world->tenants[tenant].name);
    return world->bug == BUG_cross_tenant_topic ||
           text_starts_with(topic, (text_t){prefix, (size_t)size});
}

void subscribers_publish(world_t *world, const process_t *relay, text_t topic, text_t header,
                         text_t body)
{
    if (topic.size > 13 && memcmp(topic.data + topic.size - 13, ".CardsRevoked", 13) == 0) {
        return; /* operational: of no sequence */
    }
    const bool is_head = topic.size > 5 && memcmp(topic.data + topic.size - 5, ".Head", 5) == 0;
    if (is_head && world->bug == BUG_no_heads) {
        return;
    }
    for (uint32_t name_index = 0; name_index < world->name_count; name_index++) {
        const uint32_t i = world_newest(world, name_index);
        if (!is_for(world, i, topic) ||
            is_of_deleted(world, relay, i, is_head, is_head ? body : header)) {
            continue;
        }
        if (world->is_stormy &&
            generator_chance(&world->wire, world->weather.loss_to_subscribers)) {
            world->numbers.lost++;
            continue;
        }
        send_news(world, i, relay->id, is_head, header, body);
        if (world->is_stormy && generator_chance(&world->wire, world->weather.duplicates)) {
            world->numbers.duplicated++;
            send_news(world, i, relay->id, is_head, header, body);
        }
    }
}

static void connect_due(world_t *world, void *payload)
{
    const uint32_t relay = *(const uint32_t *)payload;
    process_t *const process = process_find(world, relay);
    if (relay < world->subscribers->relay) {
        return; /* a zombie that woke up: its successor is heard already */
    }
    world->subscribers->relay = relay;
    for (uint32_t i = 0; i < world->name_count; i++) {
        char prefix[64];
        const int size =
            snprintf(prefix, sizeof(prefix), "digitalcard.%s.", world->tenants[i].name);
        relay_subscribed(process->relay, (text_t){prefix, (size_t)size});
    }
}

void subscribers_connect(world_t *world, uint32_t relay)
{
    uint32_t *payload = malloc(sizeof(*payload));
    assert(payload != NULL);
    *payload = relay;
    agenda_add(world, generator_between(&world->wire, 1000, world->is_stormy ? 200000 : 5000),
               relay, connect_due, payload_free, payload);
}
