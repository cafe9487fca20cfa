/* Back-pressure towards the fronts, and their leave, and what they say of us to those who ask
 * whether the service is ready. A front may have so many requests with this
 * shard as it was granted; replies give the credit back, so a grant is one message per front, not
 * one per request. When the shard drains, every front says a last word once it has all its replies:
 * only then is it certain that no request is on its way into a process that ends. */
#include "actors/shard/shard_internal.h"
#include "runtime/log.h"
#include <assert.h>

static uint32_t credits_of(const shard_t *shard)
{
    const uint32_t fronts = shard->fronts.up == 0 ? 1 : shard->fronts.up;
    const uint32_t share = LIMIT_SHARD_REQUESTS / fronts;
    return share < LIMIT_FRONT_CREDITS ? share : LIMIT_FRONT_CREDITS;
}

static void grant(shard_t *shard, uint32_t peer)
{
    const uint32_t credits = credits_of(shard);
    envelope_t envelope = {0};
    MESSAGE_SET(credit, &envelope.credit, shard, shard->options.index);
    MESSAGE_SET(credit, &envelope.credit, requests, credits);
    MESSAGE_SET(credit, &envelope.credit, tenant_requests,
                credits < LIMIT_TENANT_CREDITS ? credits : LIMIT_TENANT_CREDITS);
    if (shard->store_watch.state > store_state_answers) {
        MESSAGE_SET(credit, &envelope.credit, store, shard->store_watch.state);
    }
    MESSAGE_MARK(envelope, &envelope, credit);
    uint8_t bytes[64];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    assert(size <= sizeof(bytes));
    shard->ports.reply(shard->ports.context, peer, bytes, size);
}

void shard_front_heard(shard_t *shard, uint32_t peer)
{
    shard_fronts_t *const fronts = &shard->fronts;
    for (uint32_t i = 0; i < fronts->known_count; i++) {
        if (fronts->known[i] == peer) {
            return;
        }
    }
    if (fronts->known_count < LIMIT_FRONTS) {
        fronts->known[fronts->known_count] = peer;
        fronts->known_count++;
    } else { /* mostly fronts that are gone; one that is not is granted the same again */
        fronts->known[fronts->replaced] = peer;
        fronts->replaced = (fronts->replaced + 1) % LIMIT_FRONTS;
    }
    grant(shard, peer);
}

void shard_fronts_tell(shard_t *shard)
{
    for (uint32_t i = 0; i < shard->fronts.known_count; i++) { /* LIMIT_FRONTS */
        grant(shard, shard->fronts.known[i]);
    }
}

void shard_set_fronts(shard_t *shard, uint32_t count)
{
    const uint32_t before = credits_of(shard);
    shard->fronts.up = count;
    if (credits_of(shard) != before) {
        shard_fronts_tell(shard);
    }
}

void shard_front_farewell(shard_t *shard)
{
    shard->fronts.farewells++; /* the front may know of the drain before we do */
}

bool shard_fronts_are_done(shard_t *shard)
{
    shard_fronts_t *const fronts = &shard->fronts;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    if (fronts->farewells >= fronts->up) {
        return true;
    }
    if (fronts->quiet_ms == 0) {
        fronts->quiet_ms = now_ms;
    }
    if (now_ms - fronts->quiet_ms < LIMIT_FAREWELL_MS) {
        return false;
    }
    log_warn("a front said no last word: requests of it may be on their way and get no answer",
             LOG_NUMBER("fronts", fronts->up), LOG_NUMBER("heard_of", fronts->farewells));
    return true;
}
