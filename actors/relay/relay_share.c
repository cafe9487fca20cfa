/* Live events between nodes: what this node's shards committed goes to the relays of the others,
 * and theirs are published here as if a shard of this node had told of them. Who misses one sees
 * the gap and reads the journal, as ever. Must not pass on what came from another node. */
#include "actors/relay/relay_internal.h"
#include "runtime/log.h"

#define TOPIC "events"

/* Sealed personal data stays in the journal, as with everything that is published. */
void relay_share(relay_t *relay, const event_t *event, uint64_t since)
{
    cache_t *const cache = relay->ports.cache;
    if (cache == NULL || !cache->functions->is_shared(cache)) {
        return;
    }
    envelope_t envelope = {0};
    envelope.event = *event;
    MESSAGE_CLEAR(event_data, &envelope.event.data, sealed_name);
    MESSAGE_MARK(envelope, &envelope, event);
    if (since > 0) {
        MESSAGE_SET(envelope, &envelope, tenant_since, since);
    }
    const size_t size = message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS,
                                     relay->body_scratch, sizeof(relay->body_scratch));
    const text_t payload = {.data = (const char *)relay->body_scratch, .size = size};
    const bool is_sent =
        size <= sizeof(relay->body_scratch) &&
        cache->functions->publish(cache, event->tenant, TEXT_LITERAL(TOPIC), payload) == RESULT_OK;
    metric_add(is_sent ? relay->numbers.shared : relay->numbers.not_shared, 1);
}

static void heard(void *context, text_t tenant, text_t payload)
{
    relay_t *const relay = context;
    envelope_t decoded;
    arena_t arena = {.base = NULL, .size = 0}; /* events have no lists */
    message_fault_t fault = {0};
    if (relay->is_draining) {
        return;
    }
    if (!message_unpack(&envelope_message, MESSAGE_KEYS_IDS, (const uint8_t *)payload.data,
                        payload.size, &arena, &decoded, &fault) ||
        !MESSAGE_HAS(envelope, &decoded, event) || !text_equal(decoded.event.tenant, tenant)) {
        metric_add(relay->numbers.undecodable, 1);
        return;
    }
    relay_publish_receive(relay, &decoded.event, decoded.tenant_since);
}

void relay_share_begin(relay_t *relay)
{
    cache_t *const cache = relay->ports.cache;
    if (cache != NULL) {
        cache->functions->subscribe(cache, TOPIC, heard, relay);
    }
}
