/* The port's calls as commands, answers as results, redirections of a Cluster. Must not connect. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_SIZE = LIMIT_CACHE_KEY_SIZE + LIMIT_TENANT_NAME_SIZE + 48,
    NUMBER_SIZE = 24,
    VERSION_SIZE = 40, /* of a value: two numbers of 20 digits; put_script knows it too */
};

typedef struct argument {
    const char *data;
    size_t size;
} argument_t;

static argument_t word(const char *text)
{
    return (argument_t){text, strlen(text)};
}

static cache_redis_t *cache_of(cache_t *cache)
{
    return (cache_redis_t *)cache; /* base is its first member */
}

/* --- Table --- */

static uint16_t command_index(const cache_redis_t *cache, const redis_command_t *command)
{
    return (uint16_t)(command - cache->commands);
}

static void command_free(cache_redis_t *cache, redis_command_t *command)
{
    redisFreeCommand(command->bytes);
    *command = (redis_command_t){.next = cache->free_first};
    cache->free_first = command_index(cache, command);
    cache->pending_count--;
}

/* The slot is free when `done` runs: it may ask for the next. */
static void command_end(cache_redis_t *cache, redis_command_t *command, result_t result,
                        text_t value, int64_t sum)
{
    const redis_command_t ended = *command;
    redis_count(result == RESULT_UNAVAILABLE ? cache->numbers.unavailable
                                             : cache->numbers.commands);
    command_free(cache, command);
    if (ended.kind == REDIS_COMMAND_GET) {
        ended.done.got(ended.context, result, value);
    } else if (ended.kind == REDIS_COMMAND_ADD) {
        ended.done.added(ended.context, result, sum);
    }
}

static void command_unavailable(cache_redis_t *cache, redis_command_t *command)
{
    command_end(cache, command, RESULT_UNAVAILABLE, TEXT_NONE, 0);
}

static redis_command_t *take_sent(redis_node_t *node)
{
    cache_redis_t *const cache = node->cache;
    if (node->sent_first == REDIS_COMMAND_NONE) {
        return NULL;
    }
    redis_command_t *const command = &cache->commands[node->sent_first];
    node->sent_first = command->next;
    if (node->sent_first == REDIS_COMMAND_NONE) {
        node->sent_last = REDIS_COMMAND_NONE;
    }
    return command;
}

static void append_sent(redis_node_t *node, redis_command_t *command)
{
    const uint16_t index = command_index(node->cache, command);
    command->state = REDIS_COMMAND_SENT;
    command->next = REDIS_COMMAND_NONE;
    if (node->sent_last == REDIS_COMMAND_NONE) {
        node->sent_first = index;
    } else {
        node->cache->commands[node->sent_last].next = index;
    }
    node->sent_last = index;
}

/* --- Sending --- */

static result_t send_to(redis_node_t *node, redis_command_t *command, bool asking)
{
    static const char asking_words[] = "*1\r\n$6\r\nASKING\r\n";
    const size_t asking_size = asking ? sizeof asking_words - 1 : 0;
    result_t result = RESULT_OK;
    if (!asking) {
        result = redis_connection_send(node->connection, command->bytes, command->size);
    } else { /* both or none */
        char *both = malloc(asking_size + command->size);
        if (both == NULL) {
            return RESULT_BUSY;
        }
        memcpy(both, asking_words, asking_size);
        memcpy(both + asking_size, command->bytes, command->size);
        result = redis_connection_send(node->connection, both, asking_size + command->size);
        free(both);
    }
    if (result != RESULT_OK) {
        return result;
    }
    command->node = (uint8_t)(node - node->cache->nodes);
    command->skips = asking ? 1 : 0;
    append_sent(node, command);
    return RESULT_OK;
}

/* CRC-16/XMODEM, by the Cluster's specification; only the tenant counts, since it stands in braces.
 */
static uint16_t slot_of(text_t tenant)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < tenant.size; i++) {
        crc ^= (uint32_t)(uint8_t)tenant.data[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x1021U : crc << 1;
        }
        crc &= 0xffffU;
    }
    return (uint16_t)(crc % REDIS_SLOTS);
}

static redis_node_t *node_of(cache_redis_t *cache, text_t tenant)
{
    redis_node_t *const node = &cache->nodes[cache->slots[slot_of(tenant)]];
    return node->state == REDIS_NODE_UP ? node : &cache->nodes[REDIS_SEED];
}

static result_t command_send(redis_node_t *node, const argument_t *arguments, int count,
                             const redis_command_t *wanted)
{
    cache_redis_t *const cache = node->cache;
    const char *data[REDIS_ARGUMENTS_MAX];
    size_t sizes[REDIS_ARGUMENTS_MAX];
    if (node->state != REDIS_NODE_UP) {
        return RESULT_UNAVAILABLE;
    }
    if (cache->free_first == REDIS_COMMAND_NONE) {
        redis_count(cache->numbers.refused);
        return RESULT_BUSY;
    }
    assert(count <= REDIS_ARGUMENTS_MAX);
    for (int i = 0; i < count; i++) {
        data[i] = arguments[i].data;
        sizes[i] = arguments[i].size;
    }
    redis_command_t *const command = &cache->commands[cache->free_first];
    const uint16_t next_free = command->next;
    *command = *wanted;
    const int size = redisFormatCommandArgv(&command->bytes, count, data, sizes);
    command->size = size < 0 ? 0 : (size_t)size;
    command->deadline_ms = loop_now_ms(cache->loop) + LIMIT_CACHE_TIMEOUT_MS;
    const result_t result = size < 0 ? RESULT_BUSY : send_to(node, command, false);
    if (result != RESULT_OK) {
        redisFreeCommand(size < 0 ? NULL : command->bytes);
        *command = (redis_command_t){.next = next_free};
        redis_count(cache->numbers.refused);
        return RESULT_BUSY;
    }
    cache->free_first = next_free;
    cache->pending_count++;
    return RESULT_OK;
}

void redis_command_ping(redis_node_t *node)
{
    const redis_command_t wanted = {.kind = REDIS_COMMAND_PING};
    const argument_t arguments[] = {word("PING")};
    if (command_send(node, arguments, 1, &wanted) != RESULT_OK) {
        redis_node_fail(node, "too much waits for its answer");
    }
}

/* --- Redirections --- */

/* Its place may be another server's: the servers of a Cluster get ever new addresses in the course
 * of time. Nothing waits for a node that is down. One whose pause is not over keeps its place, so
 * that whoever tells ever new addresses does not get ever new connections out of us. */
static bool node_is_free(const redis_node_t *node, uint64_t now_ms)
{
    return node->state == REDIS_NODE_UNUSED ||
           (node->state == REDIS_NODE_DOWN && now_ms >= node->retry_ms);
}

/* The node of this address: known, or to be connected to. NULL when there are too many. */
static redis_node_t *node_find(cache_redis_t *cache, const redis_address_t *address)
{
    const uint64_t now_ms = loop_now_ms(cache->loop);
    redis_node_t *place = NULL;
    for (uint32_t i = 0; i < LIMIT_CACHE_NODES; i++) {
        redis_node_t *const node = &cache->nodes[i];
        if (node->state != REDIS_NODE_UNUSED && node->address.port == address->port &&
            strcmp(node->address.host, address->host) == 0) {
            return node;
        }
        const bool is_better = place == NULL || (place->state != REDIS_NODE_UNUSED &&
                                                 node->state == REDIS_NODE_UNUSED);
        if (i != REDIS_SEED && node_is_free(node, now_ms) && is_better) {
            place = node;
        }
    }
    if (place != NULL) {
        place->address = *address;
        place->state = REDIS_NODE_DOWN;
        place->failures = 0;
        place->retry_ms = 0;
    }
    return place;
}

/* "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT"; no host: that of the node that says so. */
static bool redirect_parse(const redis_node_t *from, text_t text, uint32_t *slot,
                           redis_address_t *address)
{
    char copy[REDIS_HOST_SIZE + 32];
    char place[REDIS_HOST_SIZE + 16];
    char full[3 * REDIS_HOST_SIZE];
    if (text.size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (sscanf(copy, "%*s %5u %265s", slot, place) != 2 || *slot >= REDIS_SLOTS) {
        return false;
    }
    const bool has_host = place[0] != ':' && place[0] != '?';
    (void)snprintf(full, sizeof full, "%s%s", has_host ? "" : from->address.host,
                   place[0] == '?' ? place + 1 : place);
    return redis_address_parse(text_from_c(full), address);
}

static void redirect(redis_node_t *from, redis_command_t *command, text_t text, bool asking)
{
    cache_redis_t *const cache = from->cache;
    redis_address_t address;
    uint32_t slot = 0;
    redis_node_t *node = NULL;
    if (command->redirects < LIMIT_CACHE_REDIRECTS && redirect_parse(from, text, &slot, &address)) {
        node = node_find(cache, &address);
    }
    if (node == NULL) {
        command_unavailable(cache, command);
        return;
    }
    command->redirects++;
    redis_count(cache->numbers.redirects);
    if (!asking) {
        cache->slots[slot] = (uint8_t)(node - cache->nodes);
    }
    if (node->state == REDIS_NODE_UP) {
        if (send_to(node, command, asking) != RESULT_OK) {
            command_unavailable(cache, command);
        }
        return;
    }
    const bool may_open =
        node->state == REDIS_NODE_DOWN && loop_now_ms(cache->loop) >= node->retry_ms;
    if (node->state == REDIS_NODE_DOWN && !may_open) {
        command_unavailable(cache, command);
        return;
    }
    command->state = REDIS_COMMAND_WAITING;
    command->node = (uint8_t)(node - cache->nodes);
    command->skips = asking ? 1 : 0;
    if (may_open) {
        redis_node_open(node);
    }
}

void redis_commands_opened(redis_node_t *node)
{
    cache_redis_t *const cache = node->cache;
    const uint8_t index = (uint8_t)(node - cache->nodes);
    for (size_t i = 0; i < LIMIT_CACHE_PENDING && node->state == REDIS_NODE_UP; i++) {
        redis_command_t *const command = &cache->commands[i];
        if (command->state == REDIS_COMMAND_WAITING && command->node == index &&
            send_to(node, command, command->skips > 0) != RESULT_OK) {
            command_unavailable(cache, command);
        }
    }
}

/* --- Answers --- */

static bool starts_with(text_t text, const char *start)
{
    return text.size >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

static void replied_error(redis_node_t *node, redis_command_t *command, text_t text)
{
    cache_redis_t *const cache = node->cache;
    if (starts_with(text, "MOVED ")) {
        redirect(node, command, text, false);
        return;
    }
    if (starts_with(text, "ASK ")) {
        redirect(node, command, text, true);
        return;
    }
    command_unavailable(cache, command);
    if (starts_with(text, "READONLY")) {
        redis_node_fail(node, "it is a read-only replica"); /* its successor is looked for */
    } else if (starts_with(text, "NOAUTH") || starts_with(text, "NOPERM")) {
        redis_node_fail(node, "it wants another user or password");
    } else if (starts_with(text, "OOM")) {
        redis_note_refusal(cache, "it is full: raise maxmemory or set a maxmemory-policy");
    } else if (starts_with(text, "MISCONF")) {
        redis_note_refusal(cache, "it cannot save and takes no writes: see its log");
    } else if (starts_with(text, "CLUSTERDOWN")) {
        redis_note_refusal(cache, "its Cluster is down");
    } else {
        redis_note_refusal(cache, "it refused a command");
    }
}

/* One without a version was put by somebody else. */
static void got_value(cache_redis_t *cache, redis_command_t *command, text_t text)
{
    if (text.size < VERSION_SIZE) {
        command_end(cache, command, RESULT_MISSING, TEXT_NONE, 0);
        return;
    }
    const text_t value = {.data = text.data + VERSION_SIZE, .size = text.size - VERSION_SIZE};
    command_end(cache, command, RESULT_OK, value, 0);
}

/* False: not what this command is answered with. */
static bool replied_value(redis_node_t *node, redis_command_t *command, const redisReply *reply)
{
    cache_redis_t *const cache = node->cache;
    const text_t text = {.data = reply->str, .size = reply->len};
    switch (command->kind) {
    case REDIS_COMMAND_GET:
        if (reply->type == REDIS_REPLY_NIL) {
            command_end(cache, command, RESULT_MISSING, TEXT_NONE, 0);
            return true;
        }
        if (reply->type != REDIS_REPLY_STRING ||
            text.size > VERSION_SIZE + LIMIT_CACHE_VALUE_SIZE) {
            return false;
        }
        got_value(cache, command, text);
        return true;
    case REDIS_COMMAND_ADD:
        if (reply->type != REDIS_REPLY_INTEGER) {
            return false;
        }
        redis_note_acceptance(cache);
        command_end(cache, command, RESULT_OK, TEXT_NONE, reply->integer);
        return true;
    case REDIS_COMMAND_QUIET:
    case REDIS_COMMAND_PING:
        if (reply->type != REDIS_REPLY_STATUS && reply->type != REDIS_REPLY_INTEGER) {
            return false;
        }
        command_end(cache, command, RESULT_OK, TEXT_NONE, 0);
        return true;
    }
    return false;
}

void redis_command_replied(redis_node_t *node, const redisReply *reply)
{
    cache_redis_t *const cache = node->cache;
    if (node->sent_first == REDIS_COMMAND_NONE) {
        redis_node_fail(node, "it answers what nobody asked");
        return;
    }
    redis_command_t *command = &cache->commands[node->sent_first];
    if (command->skips > 0) {
        command->skips--;
        return;
    }
    command = take_sent(node);
    if (reply->type == REDIS_REPLY_ERROR) {
        replied_error(node, command, (text_t){.data = reply->str, .size = reply->len});
    } else if (!replied_value(node, command, reply)) {
        command_unavailable(cache, command);
        redis_node_fail(node, "it says what no Redis says");
    }
}

void redis_commands_fail(redis_node_t *node)
{
    cache_redis_t *const cache = node->cache;
    const uint8_t index = (uint8_t)(node - cache->nodes);
    for (size_t i = 0; i < LIMIT_CACHE_PENDING; i++) {
        redis_command_t *const command = take_sent(node);
        if (command == NULL) {
            break;
        }
        command_unavailable(cache, command);
    }
    for (size_t i = 0; i < LIMIT_CACHE_PENDING && cache->pending_count > 0; i++) {
        redis_command_t *const command = &cache->commands[i];
        if (command->state == REDIS_COMMAND_WAITING && command->node == index) {
            command_unavailable(cache, command);
        }
    }
}

uint64_t redis_commands_oldest_ms(const redis_node_t *node)
{
    return node->sent_first == REDIS_COMMAND_NONE
               ? UINT64_MAX
               : node->cache->commands[node->sent_first].deadline_ms;
}

/* Of those that were sent their node knows; what waits for a node must not wait longer either. */
void redis_commands_tick(cache_redis_t *cache, uint64_t now_ms)
{
    for (size_t i = 0; i < LIMIT_CACHE_PENDING && cache->pending_count > 0; i++) {
        redis_command_t *const command = &cache->commands[i];
        if (command->state == REDIS_COMMAND_WAITING && command->deadline_ms <= now_ms) {
            command_unavailable(cache, command);
        }
    }
}

/* --- The port --- */

static bool key_make(const cache_redis_t *cache, text_t tenant, text_t key, char out[KEY_SIZE])
{
    if (tenant.size > LIMIT_TENANT_NAME_SIZE || key.size == 0 || key.size > LIMIT_CACHE_KEY_SIZE) {
        return false;
    }
    (void)snprintf(out, KEY_SIZE, "dc:%s:{%.*s}:%.*s", cache->installation, TEXT_PRINT(tenant),
                   TEXT_PRINT(key));
    return true;
}

static result_t redis_get(cache_t *base, text_t tenant, text_t key, cache_got_t *done,
                          void *context)
{
    cache_redis_t *const cache = cache_of(base);
    char name[KEY_SIZE];
    const redis_command_t wanted = {
        .kind = REDIS_COMMAND_GET, .done.got = done, .context = context};
    if (!key_make(cache, tenant, key, name)) {
        return RESULT_INVALID_ARGUMENT;
    }
    const argument_t arguments[] = {word("GET"), word(name)};
    return command_send(node_of(cache, tenant), arguments, 2, &wanted);
}

/* The version stands before the value, as digits of one length, so that texts compare as numbers
 * do. In one script, so that of two nodes that put at once the newer value stays. What stands there
 * and is none of ours gives way. */
static const char put_script[] =
    "local old = redis.pcall('GET', KEYS[1]) "
    "if type(old) == 'string' and #old >= 40 then local version = string.sub(old, 1, 40) "
    "if string.match(version, '^%d+$') and version > ARGV[1] then return 0 end end "
    "redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3]) return 1";

static result_t redis_put(cache_t *base, text_t tenant, text_t key, const cache_version_t *version,
                          text_t value, uint32_t ttl_ms)
{
    cache_redis_t *const cache = cache_of(base);
    char name[KEY_SIZE];
    char ttl[NUMBER_SIZE];
    char order[VERSION_SIZE + 1];
    const redis_command_t wanted = {.kind = REDIS_COMMAND_QUIET};
    if (!key_make(cache, tenant, key, name) || value.size > LIMIT_CACHE_VALUE_SIZE || ttl_ms == 0) {
        return RESULT_INVALID_ARGUMENT;
    }
    (void)snprintf(ttl, sizeof ttl, "%u", ttl_ms);
    (void)snprintf(order, sizeof order, "%020" PRIu64 "%020" PRIu64, version->major,
                   version->minor);
    const argument_t arguments[] = {word("EVAL"), word(put_script),
                                    word("1"),    word(name),
                                    word(order),  {value.size == 0 ? "" : value.data, value.size},
                                    word(ttl)};
    return command_send(node_of(cache, tenant), arguments, 7, &wanted);
}

/* One script, so that no number is left without an end when the connection breaks between two
 * commands. */
static const char add_script[] =
    "local s = redis.call('INCRBY', KEYS[1], ARGV[1]) "
    "if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return s";

static result_t redis_add(cache_t *base, text_t tenant, text_t key, int64_t amount, uint32_t ttl_ms,
                          cache_added_t *done, void *context)
{
    cache_redis_t *const cache = cache_of(base);
    char name[KEY_SIZE];
    char number[NUMBER_SIZE];
    char ttl[NUMBER_SIZE];
    const redis_command_t wanted = {
        .kind = REDIS_COMMAND_ADD, .done.added = done, .context = context};
    if (!key_make(cache, tenant, key, name) || ttl_ms == 0) {
        return RESULT_INVALID_ARGUMENT;
    }
    (void)snprintf(number, sizeof number, "%lld", (long long)amount);
    (void)snprintf(ttl, sizeof ttl, "%u", ttl_ms);
    const argument_t arguments[] = {word("EVAL"), word(add_script), word("1"),
                                    word(name),   word(number),     word(ttl)};
    return command_send(node_of(cache, tenant), arguments, 6, &wanted);
}

static result_t redis_publish(cache_t *base, text_t tenant, text_t topic, text_t payload)
{
    cache_redis_t *const cache = cache_of(base);
    char name[KEY_SIZE];
    const redis_command_t wanted = {.kind = REDIS_COMMAND_QUIET};
    if (!key_make(cache, tenant, topic, name) || payload.size > LIMIT_CACHE_VALUE_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    char *message = malloc(REDIS_SENDER_SIZE + payload.size);
    if (message == NULL) {
        return RESULT_BUSY;
    }
    memcpy(message, cache->sender, REDIS_SENDER_SIZE);
    if (payload.size > 0) {
        memcpy(message + REDIS_SENDER_SIZE, payload.data, payload.size);
    }
    const argument_t arguments[] = {
        word("PUBLISH"), word(name), {message, REDIS_SENDER_SIZE + payload.size}};
    const result_t result = command_send(&cache->nodes[REDIS_SEED], arguments, 3, &wanted);
    free(message);
    return result;
}

static void redis_subscribe(cache_t *base, const char *topic, cache_heard_t *heard, void *context)
{
    cache_redis_t *const cache = cache_of(base);
    assert(cache->topic_count < LIMIT_CACHE_TOPICS);
    cache->topics[cache->topic_count] =
        (redis_topic_t){.name = topic, .heard = heard, .context = context};
    cache->topic_count++;
}

static bool redis_is_shared(const cache_t *base)
{
    return ((const cache_redis_t *)base)->nodes[REDIS_SEED].state == REDIS_NODE_UP;
}

static size_t redis_status(const cache_t *base, char *out, size_t capacity)
{
    const cache_redis_t *const cache = (const cache_redis_t *)base;
    uint32_t servers = 0;
    char text[512];
    for (uint32_t i = 0; i < LIMIT_CACHE_NODES; i++) {
        servers += cache->nodes[i].state == REDIS_NODE_UP ? 1 : 0;
    }
    /* Problems are texts of this adapter: nothing in them needs escaping. */
    const int size =
        snprintf(text, sizeof text,
                 "{\"kind\":\"redis\",\"up\":%s,\"hears\":%s,\"servers\":%u,\"pending\":%u,"
                 "\"problem\":\"%s\"}",
                 redis_is_shared(base) ? "true" : "false",
                 cache->nodes[REDIS_SUBSCRIBER].state == REDIS_NODE_UP ? "true" : "false", servers,
                 cache->pending_count, cache->problem);
    assert(size > 0 && (size_t)size < sizeof text);
    if ((size_t)size <= capacity) {
        memcpy(out, text, (size_t)size);
    }
    return (size_t)size;
}

void redis_commands_init(cache_redis_t *cache)
{
    static const cache_functions_t functions = {
        .get = redis_get,
        .put = redis_put,
        .add = redis_add,
        .publish = redis_publish,
        .subscribe = redis_subscribe,
        .is_shared = redis_is_shared,
        .status = redis_status,
    };
    cache->base.functions = &functions;
    for (uint16_t i = 0; i < LIMIT_CACHE_PENDING; i++) {
        const bool is_last = i + 1 == LIMIT_CACHE_PENDING;
        cache->commands[i].next = is_last ? REDIS_COMMAND_NONE : (uint16_t)(i + 1);
    }
    cache->free_first = 0;
}
