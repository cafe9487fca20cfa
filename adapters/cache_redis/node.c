/* One server: where it is, dialling, greeting, answers, failing and the pause before dialling
 * again. Must not know keys or values. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

static bool is_subscriber(const redis_node_t *node)
{
    return node == &node->cache->nodes[REDIS_SUBSCRIBER];
}

static bool is_seed(const redis_node_t *node)
{
    return node == &node->cache->nodes[REDIS_SEED];
}

/* --- Failing --- */

/* Full jitter: those that lost the same server do not come back at the same moment. */
static uint64_t pause_ms(uint32_t failures)
{
    uint32_t most = LIMIT_CACHE_BACKOFF_MS_MIN;
    for (uint32_t i = 1; i < failures && most < LIMIT_CACHE_BACKOFF_MS_MAX; i++) {
        most *= 2;
    }
    most = most > LIMIT_CACHE_BACKOFF_MS_MAX ? LIMIT_CACHE_BACKOFF_MS_MAX : most;
    return 1 + random_below(most);
}

/* Each reason once in an outage: the first is often that the connection broke, and only a later one
 * says what is the matter. False: it was told, or is one too many. */
static bool is_new_reason(cache_redis_t *cache, const char *why)
{
    for (uint32_t i = 0; i < cache->outage_reason_count; i++) {
        if (strcmp(cache->outage_reasons[i], why) == 0) {
            return false;
        }
    }
    if (cache->outage_reason_count == REDIS_OUTAGE_REASONS) {
        return false;
    }
    cache->outage_reasons[cache->outage_reason_count] = why;
    cache->outage_reason_count++;
    return true;
}

static void log_outage(redis_node_t *node, const char *why)
{
    cache_redis_t *const cache = node->cache;
    if (is_seed(node) && !cache->is_ending && is_new_reason(cache, why)) {
        log_warn("Redis is away; this node counts and remembers alone until it is back",
                 LOG_STRING("host", node->address.host), LOG_NUMBER("port", node->address.port),
                 LOG_STRING("why", why));
    }
}

static void forget_slots(const redis_node_t *node)
{
    cache_redis_t *const cache = node->cache;
    const uint8_t index = (uint8_t)(node - cache->nodes);
    for (size_t i = 0; i < REDIS_SLOTS; i++) {
        if (cache->slots[i] == index) {
            cache->slots[i] = REDIS_SEED;
        }
    }
}

void redis_node_fail(redis_node_t *node, const char *why)
{
    cache_redis_t *const cache = node->cache;
    redis_connection_close(&node->connection);
    node->state = REDIS_NODE_DOWN;
    node->is_looking_up = false;
    node->failures++;
    node->retry_ms = loop_now_ms(cache->loop) + pause_ms(node->failures);
    redis_note_problem(cache, why);
    log_outage(node, why);
    if (is_seed(node)) {
        cache->next_address = (cache->next_address + 1) % cache->url.address_count;
        if (cache->numbers.is_up != NULL) {
            metric_set(cache->numbers.is_up, 0);
        }
    } else if (!is_subscriber(node)) {
        forget_slots(node);
    }
    redis_commands_fail(node);
}

/* --- Greeting --- */

static result_t send_words(redis_node_t *node, int count, const char **words)
{
    char *bytes = NULL;
    const int size = redisFormatCommandArgv(&bytes, count, words, NULL);
    if (size < 0) {
        return RESULT_NO_MEMORY;
    }
    const result_t result = redis_connection_send(node->connection, bytes, (size_t)size);
    explicit_bzero(bytes, (size_t)size); /* it may be the password */
    redisFreeCommand(bytes);
    return result;
}

static result_t greet(redis_node_t *node)
{
    const redis_url_t *const url = &node->cache->url;
    char database[12];
    result_t result = RESULT_OK;
    node->greetings_left = 1; /* PING */
    if (url->password[0] != '\0') {
        const char *with_user[] = {"AUTH", url->user, url->password};
        const char *without[] = {"AUTH", url->password};
        const bool has_user = url->user[0] != '\0';
        result = send_words(node, has_user ? 3 : 2, has_user ? with_user : without);
        node->greetings_left++;
    }
    if (result == RESULT_OK && url->database != 0) {
        const char *words[] = {"SELECT", database};
        (void)snprintf(database, sizeof database, "%u", url->database);
        result = send_words(node, 2, words);
        node->greetings_left++;
    }
    node->greeting_asks_role = url->is_sentinel && is_seed(node);
    if (result == RESULT_OK && node->greeting_asks_role) {
        const char *words[] = {"ROLE"};
        result = send_words(node, 1, words);
        node->greetings_left++;
    }
    const char *ping[] = {"PING"};
    return result == RESULT_OK ? send_words(node, 1, ping) : result;
}

static bool starts_with(const redisReply *reply, const char *text)
{
    return reply->len >= strlen(text) && strncmp(reply->str, text, strlen(text)) == 0;
}

static const char *refusal(const redisReply *reply)
{
    if (starts_with(reply, "NOAUTH") || starts_with(reply, "WRONGPASS") ||
        starts_with(reply, "ERR invalid password") || starts_with(reply, "ERR AUTH")) {
        return "it wants another user or password";
    }
    if (starts_with(reply, "LOADING")) {
        return "it is loading its data";
    }
    if (starts_with(reply, "ERR max number of clients")) {
        return "it has too many clients";
    }
    if (starts_with(reply, "ERR DB index")) {
        return "it has no such database";
    }
    return "it refused the greeting";
}

static bool is_primary(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, "master") == 0;
}

static void node_is_up(redis_node_t *node)
{
    cache_redis_t *const cache = node->cache;
    node->state = REDIS_NODE_UP;
    node->failures = 0;
    redis_count(cache->numbers.connects);
    if (is_subscriber(node)) {
        redis_subscription_begin(node);
        return;
    }
    if (is_seed(node)) {
        if (cache->outage_reason_count > 0) {
            log_info("Redis is back", LOG_STRING("host", node->address.host),
                     LOG_NUMBER("port", node->address.port));
        }
        cache->outage_reason_count = 0;
        redis_note_problem(cache, "");
        memset(cache->slots, REDIS_SEED, sizeof cache->slots);
        if (cache->numbers.is_up != NULL) {
            metric_set(cache->numbers.is_up, 1);
        }
    }
    redis_commands_opened(node);
}

static void greeted(redis_node_t *node, const redisReply *reply)
{
    const bool is_role = node->greeting_asks_role && node->greetings_left == 2;
    node->greetings_left--;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_node_fail(node, refusal(reply));
    } else if (is_role && !is_primary(reply)) {
        redis_node_fail(node, "the Sentinel's primary is none yet");
    } else if (!is_role && reply->type != REDIS_REPLY_STATUS) {
        redis_node_fail(node, "it says what no Redis says");
    } else if (node->greetings_left == 0) {
        if (strcmp(reply->str, "PONG") == 0) {
            node_is_up(node);
        } else {
            redis_node_fail(node, "it says what no Redis says");
        }
    }
}

/* --- Sentinel --- */

static void dial(redis_node_t *node);

/* *2 host, port: the primary; nil: it knows none of this name. */
static void told_of_primary(redis_node_t *node, const redisReply *reply)
{
    redis_address_t address;
    char text[REDIS_HOST_SIZE + 8];
    const bool has_both = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                          reply->element[0]->type == REDIS_REPLY_STRING &&
                          reply->element[1]->type == REDIS_REPLY_STRING;
    if (!has_both) {
        redis_node_fail(node, reply->type == REDIS_REPLY_NIL
                                  ? "the Sentinel knows no primary of this name"
                                  : "the Sentinel does not tell of the primary");
        return;
    }
    (void)snprintf(text, sizeof text, "%.253s:%.6s", reply->element[0]->str,
                   reply->element[1]->str);
    if (!redis_address_parse(text_from_c(text), &address)) {
        redis_node_fail(node, "the Sentinel tells an address that cannot be");
        return;
    }
    redis_connection_close(&node->connection);
    node->address = address;
    node->state = REDIS_NODE_OPENING;
    dial(node);
}

/* --- The connection --- */

static void node_opened(void *context)
{
    redis_node_t *const node = context;
    result_t result = RESULT_OK;
    if (node->state == REDIS_NODE_ASKING) {
        const char *words[] = {"SENTINEL", "get-master-addr-by-name", node->cache->url.primary};
        result = send_words(node, 3, words);
    } else {
        node->state = REDIS_NODE_GREETING;
        result = greet(node);
    }
    if (result != RESULT_OK) {
        redis_node_fail(node, "there is no memory to greet it");
    }
}

static void node_replied(void *context, const redisReply *reply)
{
    redis_node_t *const node = context;
    node->heard_ms = loop_now_ms(node->cache->loop);
    if (node->state == REDIS_NODE_ASKING) {
        told_of_primary(node, reply);
    } else if (node->state == REDIS_NODE_GREETING) {
        greeted(node, reply);
    } else if (is_subscriber(node)) {
        redis_subscription_heard(node, reply);
    } else {
        redis_command_replied(node, reply);
    }
}

static void node_failed(void *context, const char *why)
{
    redis_node_t *const node = context;
    node->connection = NULL;
    redis_node_fail(node, why);
}

static const redis_address_t *target_of(const redis_node_t *node)
{
    const cache_redis_t *const cache = node->cache;
    return node->state == REDIS_NODE_ASKING ? &cache->url.addresses[cache->next_address]
                                            : &node->address;
}

/* Connects when its name has been looked up; until then each tick looks again. */
static void connect_when_known(redis_node_t *node)
{
    static const redis_connection_handler_t handler = {
        .opened = node_opened, .replied = node_replied, .failed = node_failed};
    cache_redis_t *const cache = node->cache;
    const redis_address_t *const target = target_of(node);
    char address[NAME_ADDRESS_SIZE];
    const name_state_t state =
        redis_name_address(cache->names, target->host, node->failures, address);
    node->is_looking_up = state == NAME_STATE_PENDING;
    if (state == NAME_STATE_FAILED) {
        redis_node_fail(node, "its name cannot be looked up");
    } else if (state == NAME_STATE_KNOWN) {
        node->deadline_ms = loop_now_ms(cache->loop) + LIMIT_CACHE_CONNECT_MS;
        if (redis_connection_open(cache->loop, address, target->port, &handler, node,
                                  &node->connection) != RESULT_OK) {
            redis_node_fail(node, "it cannot be connected to");
        }
    }
}

static void dial(redis_node_t *node)
{
    if (!redis_name_begin(node->cache, target_of(node)->host)) {
        redis_node_fail(node, "too many names of servers are being looked up");
        return;
    }
    connect_when_known(node);
}

void redis_node_open(redis_node_t *node)
{
    cache_redis_t *const cache = node->cache;
    const uint64_t now_ms = loop_now_ms(cache->loop);
    assert(node->connection == NULL);
    node->heard_ms = now_ms;
    node->pinged_ms = now_ms;
    node->state = REDIS_NODE_OPENING;
    if (is_seed(node)) {
        node->state = cache->url.is_sentinel ? REDIS_NODE_ASKING : REDIS_NODE_OPENING;
        node->address = cache->url.addresses[cache->next_address];
    } else if (is_subscriber(node)) {
        node->address = cache->nodes[REDIS_SEED].address;
    }
    dial(node);
}

/* --- Time --- */

static void tick_up(redis_node_t *node, uint64_t now_ms)
{
    if (is_subscriber(node) && node->pinged_ms > node->heard_ms &&
        now_ms - node->pinged_ms > LIMIT_CACHE_TIMEOUT_MS) {
        redis_node_fail(node, "it does not answer in time");
    } else if (redis_commands_oldest_ms(node) <= now_ms) {
        redis_node_fail(node, "it does not answer in time");
    } else if (now_ms - node->heard_ms >= LIMIT_CACHE_IDLE_MS &&
               node->pinged_ms <= node->heard_ms) {
        node->pinged_ms = now_ms;
        if (!is_subscriber(node)) {
            redis_command_ping(node);
            return;
        }
        const char *words[] = {"PING"};
        if (send_words(node, 1, words) != RESULT_OK) {
            redis_node_fail(node, "there is no memory to ask it");
        }
    }
}

void redis_node_tick(redis_node_t *node, uint64_t now_ms)
{
    const bool is_needed = is_seed(node) || (is_subscriber(node) && node->cache->topic_count > 0 &&
                                             node->cache->nodes[REDIS_SEED].state == REDIS_NODE_UP);
    switch (node->state) {
    case REDIS_NODE_UNUSED:
        if (is_needed) {
            redis_node_open(node);
        }
        break;
    case REDIS_NODE_DOWN:
        if (is_needed && now_ms >= node->retry_ms) {
            redis_node_open(node);
        }
        break;
    case REDIS_NODE_ASKING:
    case REDIS_NODE_OPENING:
    case REDIS_NODE_GREETING:
        if (node->is_looking_up) {
            connect_when_known(node);
        } else if (now_ms >= node->deadline_ms) {
            redis_node_fail(node, "it does not answer in time");
        }
        break;
    case REDIS_NODE_UP:
        tick_up(node, now_ms);
        break;
    }
}
