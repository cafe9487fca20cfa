/* News between nodes: one pattern per topic on a connection of its own. A message is the sender's
 * eight bytes and the payload; our own come back and are dropped. Must not trust what arrives. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include <stdio.h>
#include <string.h>

enum { PATTERN_SIZE = 96 };

static void pattern_of(const cache_redis_t *cache, const redis_topic_t *topic,
                       char out[PATTERN_SIZE])
{
    (void)snprintf(out, PATTERN_SIZE, "dc:%s:{*}:%s", cache->installation, topic->name);
}

void redis_subscription_begin(redis_node_t *node)
{
    const cache_redis_t *const cache = node->cache;
    for (uint32_t i = 0; i < cache->topic_count; i++) {
        char pattern[PATTERN_SIZE];
        char *bytes = NULL;
        pattern_of(cache, &cache->topics[i], pattern);
        const char *words[] = {"PSUBSCRIBE", pattern};
        const int size = redisFormatCommandArgv(&bytes, 2, words, NULL);
        const result_t result = size < 0
                                    ? RESULT_NO_MEMORY
                                    : redis_connection_send(node->connection, bytes, (size_t)size);
        redisFreeCommand(bytes);
        if (result != RESULT_OK) {
            redis_node_fail(node, "there is no memory to subscribe");
            return;
        }
    }
}

static text_t text_of(const redisReply *reply)
{
    return (text_t){.data = reply->str, .size = reply->len};
}

/* The tenant in "dc:INSTALLATION:{TENANT}:TOPIC", of which the pattern says the rest. */
static bool tenant_of(const cache_redis_t *cache, text_t channel, text_t *tenant)
{
    const size_t start = strlen("dc:") + strlen(cache->installation) + strlen(":{");
    if (channel.size <= start) {
        return false;
    }
    const char *const first = channel.data + start;
    const char *const end = memchr(first, '}', channel.size - start);
    if (end == NULL || (size_t)(end - first) > LIMIT_TENANT_NAME_SIZE) {
        return false;
    }
    *tenant = (text_t){.data = first, .size = (size_t)(end - first)};
    return true;
}

static void deliver(cache_redis_t *cache, text_t pattern, text_t channel, text_t message)
{
    text_t tenant;
    if (message.size < REDIS_SENDER_SIZE ||
        message.size > REDIS_SENDER_SIZE + LIMIT_CACHE_VALUE_SIZE ||
        memcmp(message.data, cache->sender, REDIS_SENDER_SIZE) == 0 ||
        !tenant_of(cache, channel, &tenant)) {
        return;
    }
    const text_t payload = {.data = message.data + REDIS_SENDER_SIZE,
                            .size = message.size - REDIS_SENDER_SIZE};
    for (uint32_t i = 0; i < cache->topic_count; i++) {
        char own[PATTERN_SIZE];
        pattern_of(cache, &cache->topics[i], own);
        if (text_equal(pattern, text_from_c(own))) {
            redis_count(cache->numbers.heard);
            cache->topics[i].heard(cache->topics[i].context, tenant, payload);
            return;
        }
    }
}

void redis_subscription_heard(redis_node_t *node, const redisReply *reply)
{
    const bool is_array = reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2;
    for (size_t i = 0; is_array && i < reply->elements; i++) {
        const int type = reply->element[i]->type;
        if (type != REDIS_REPLY_STRING && type != REDIS_REPLY_INTEGER) {
            redis_node_fail(node, "it says what no Redis says");
            return;
        }
    }
    if (!is_array || reply->element[0]->type != REDIS_REPLY_STRING) {
        redis_node_fail(node, "it says what no Redis says");
        return;
    }
    const bool is_message = text_equal(text_of(reply->element[0]), TEXT_LITERAL("pmessage"));
    if (!is_message) {
        return; /* psubscribe, pong */
    }
    if (reply->elements != 4 || reply->element[1]->type != REDIS_REPLY_STRING ||
        reply->element[2]->type != REDIS_REPLY_STRING ||
        reply->element[3]->type != REDIS_REPLY_STRING) {
        redis_node_fail(node, "it says what no Redis says");
        return;
    }
    deliver(node->cache, text_of(reply->element[1]), text_of(reply->element[2]),
            text_of(reply->element[3]));
}
