/* What the nodes of an installation remember together of members, in Redis: for a node that knows
 * nothing of a member while the membership context cannot be asked. A hint that may be lost, never
 * a source: what an event or an answer of the context says here counts before it, and nobody waits
 * for it longer than LIMIT_MEMBER_RECALL_MS. Must not decide what a status means
 * (member_standing.c). */
#include "actors/secrets.h"
#include "actors/shard/member_desk.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HASH_TEXT_SIZE = 2 * CRYPTO_MAC_SIZE,
    KEY_SIZE = 8 + HASH_TEXT_SIZE,
    SAID_SIZE = 64, /* three numbers and blanks */
};

/* One question on its way to Redis. Its place is taken until Redis answered, or the cache said that
 * it will not: longer than anybody waits. */
typedef struct recall {
    member_recalls_t *recalls;
    bool is_used;
    uint64_t generation; /* of the tenant's opening */
    uint64_t deadline_ms;
    tenant_t *tenant; /* while somebody waits: kept by an operation */
    member_recalled_t *done;
    void *context;
    size_t tenant_size;
    size_t member_size;
    char tenant_name[LIMIT_TENANT_NAME_SIZE];
    char member_id[LIMIT_SEALED_NAME_SIZE];
} recall_t;

struct member_recalls {
    shard_t *shard;
    loop_timer_t *timer; /* while somebody waits: when the first has waited long enough */
    bool is_timed;
    uint64_t rests_until_ms; /* nobody waits: an answer did not come in time */
    uint32_t used;
    recall_t places[LIMIT_MEMBER_RECALLS];
};

/* --- What stands in Redis --- */

/* "member:" and a hash that tells neither the member's id nor that two tenants know one person. */
static text_t key_of(const shard_t *shard, const crypto_key_t *status_key, text_t member_id,
                     char key[KEY_SIZE])
{
    uint8_t mac[CRYPTO_MAC_SIZE];
    shard->ports.crypto->mac(status_key, member_id, mac);
    int size = snprintf(key, KEY_SIZE, "member:");
    for (size_t i = 0; i < sizeof mac; i++) {
        size += snprintf(key + size, KEY_SIZE - (size_t)size, "%02x", mac[i]);
    }
    return (text_t){.data = key, .size = (size_t)size};
}

/* Vouches for what is said of this member: whoever can write to Redis opens no door by it. */
static void vouch(const shard_t *shard, const crypto_key_t *status_key, text_t key, text_t said,
                  char mac_text[HASH_TEXT_SIZE + 1])
{
    char bound[KEY_SIZE + SAID_SIZE];
    uint8_t mac[CRYPTO_MAC_SIZE];
    assert(key.size + said.size <= sizeof bound);
    memcpy(bound, key.data, key.size);
    memcpy(bound + key.size, said.data, said.size);
    const text_t message = {.data = bound, .size = key.size + said.size};
    shard->ports.crypto->mac(status_key, message, mac);
    for (size_t i = 0; i < sizeof mac; i++) {
        (void)snprintf(mac_text + 2 * i, 3, "%02x", mac[i]);
    }
}

/* "STATUS KNOWN_AT SEQUENCE " and what vouches for it. False: not ours. */
static bool read_value(const tenant_t *tenant, text_t member_id, text_t value, uint8_t *status,
                       int64_t *known_at)
{
    const shard_t *const shard = tenant->shard;
    crypto_key_t status_key;
    char key[KEY_SIZE];
    char mac[HASH_TEXT_SIZE + 1];
    char said[SAID_SIZE];
    unsigned number = 0;
    if (value.size <= HASH_TEXT_SIZE || value.size - HASH_TEXT_SIZE >= sizeof said) {
        return false;
    }
    const size_t said_size = value.size - HASH_TEXT_SIZE;
    memcpy(said, value.data, said_size);
    said[said_size] = '\0';
    secret_member_status_key(shard->ports.crypto, &tenant->secret, tenant_name(tenant),
                             &status_key);
    vouch(shard, &status_key, key_of(shard, &status_key, member_id, key),
          (text_t){.data = said, .size = said_size}, mac);
    shard->ports.crypto->wipe(&status_key, sizeof status_key);
    if (!shard->ports.crypto->equal(mac, value.data + said_size, HASH_TEXT_SIZE) ||
        sscanf(said, "%3u %20" SCNd64, &number, known_at) != 2) {
        return false;
    }
    *status = (uint8_t)number;
    return number == member_status_active || number == member_status_suspended ||
           number == member_status_cancelled; /* missing: nothing to rely on */
}

static cache_t *cache_of(const tenant_t *tenant)
{
    cache_t *const cache = tenant->shard->ports.member_cache;
    return cache != NULL && cache->functions->is_shared(cache) ? cache : NULL;
}

void member_remember(const tenant_t *tenant, text_t member_id, uint8_t status, int64_t known_at,
                     uint64_t sequence)
{
    const shard_t *const shard = tenant->shard;
    cache_t *const cache = cache_of(tenant);
    const int64_t ttl_ms = shard->options.membership_stale_ms;
    if (cache == NULL || status == member_status_none || ttl_ms <= 0 || known_at < 0) {
        return;
    }
    crypto_key_t status_key;
    char key[KEY_SIZE];
    char value[SAID_SIZE + HASH_TEXT_SIZE + 1];
    secret_member_status_key(shard->ports.crypto, &tenant->secret, tenant_name(tenant),
                             &status_key);
    const text_t name = key_of(shard, &status_key, member_id, key);
    const int said_size = snprintf(value, SAID_SIZE, "%u %" PRId64 " %" PRIu64 " ",
                                   (unsigned)status, known_at, sequence);
    assert(said_size > 0 && said_size < SAID_SIZE);
    const text_t said = {.data = value, .size = (size_t)said_size};
    vouch(shard, &status_key, name, said, value + said_size);
    shard->ports.crypto->wipe(&status_key, sizeof status_key);
    const cache_version_t version = {.major = sequence, .minor = (uint64_t)known_at};
    const text_t whole = {.data = value, .size = said.size + HASH_TEXT_SIZE};
    const result_t result =
        cache->functions->put(cache, tenant_name(tenant), name, &version, whole,
                              ttl_ms < UINT32_MAX ? (uint32_t)ttl_ms : UINT32_MAX);
    (void)result; /* counted by the cache; what it holds ends by itself */
}

/* --- Asking --- */

/* Who waits goes on; the place stays taken until the cache has answered. */
static void go_on(recall_t *recall)
{
    member_recalled_t *const done = recall->done;
    tenant_t *const tenant = recall->tenant;
    recall->done = NULL;
    recall->tenant = NULL;
    if (done != NULL) {
        done(recall->context);
        tenant_operation_end(tenant);
    }
}

static void take_value(const recall_t *recall, text_t value)
{
    shard_t *const shard = recall->recalls->shard;
    const text_t name = {.data = recall->tenant_name, .size = recall->tenant_size};
    const text_t member_id = {.data = recall->member_id, .size = recall->member_size};
    const tenant_t *const tenant = tenant_find(shard, name);
    if (tenant == NULL || tenant->status != TENANT_OPEN ||
        tenant->generation != recall->generation) {
        return;
    }
    member_t *const member = members_find(shard->members, name, member_id);
    uint8_t status = member_status_none;
    int64_t known_at = 0;
    if (member != NULL && read_value(tenant, member_id, value, &status, &known_at)) {
        member->recalled_status = status;
        member->recalled_ms = member_moment(shard, known_at);
        metric_add(shard->metrics.recalls_found, 1);
    }
}

/* Whatever came of it: nobody waits for this member again. */
static void note_asked(const shard_t *shard, text_t tenant, text_t member_id)
{
    member_t *const member = members_find(shard->members, tenant, member_id);
    if (member != NULL) {
        member->recall_asked_ms = loop_now_ms(shard->loop);
    }
}

static void note_waited(const recall_t *recall)
{
    const text_t name = {.data = recall->tenant_name, .size = recall->tenant_size};
    const text_t member_id = {.data = recall->member_id, .size = recall->member_size};
    note_asked(recall->recalls->shard, name, member_id);
}

static void answered(void *context, result_t result, text_t value)
{
    recall_t *const recall = context;
    member_recalls_t *const recalls = recall->recalls;
    if (result == RESULT_OK) {
        take_value(recall, value);
    } else if (result == RESULT_MISSING) {
        metric_add(recalls->shard->metrics.recalls_missing, 1);
    } else {
        metric_add(recalls->shard->metrics.recalls_failed, 1);
    }
    if (recall->done != NULL) {
        note_waited(recall);
    }
    go_on(recall);
    recall->is_used = false;
    recalls->used--;
}

/* They go on with what there is; for a while nobody waits for such a cache. */
static void timer_due(void *context)
{
    member_recalls_t *const recalls = context;
    const uint64_t now_ms = loop_now_ms(recalls->shard->loop);
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < LIMIT_MEMBER_RECALLS; i++) {
        recall_t *const recall = &recalls->places[i];
        if (recall->is_used && recall->done != NULL && recall->deadline_ms <= now_ms) {
            recalls->rests_until_ms = now_ms + LIMIT_MEMBER_RECALL_REST_MS;
            metric_add(recalls->shard->metrics.recalls_late, 1);
            note_waited(recall);
            go_on(recall);
        } else if (recall->is_used && recall->done != NULL && recall->deadline_ms < next_ms) {
            next_ms = recall->deadline_ms;
        }
    }
    recalls->is_timed = next_ms != UINT64_MAX;
    if (recalls->is_timed) {
        loop_timer_start(recalls->timer, next_ms - now_ms, 0);
    }
}

static recall_t *place_take(member_recalls_t *recalls)
{
    for (size_t i = 0; i < LIMIT_MEMBER_RECALLS && recalls->used < LIMIT_MEMBER_RECALLS; i++) {
        if (!recalls->places[i].is_used) {
            recalls->used++;
            return &recalls->places[i];
        }
    }
    return NULL;
}

bool member_recall_may_wait(const tenant_t *tenant, const member_t *member)
{
    const member_recalls_t *const recalls = tenant->shard->recalls;
    return recalls != NULL && member->status == member_status_none &&
           member->recall_asked_ms == 0 && recalls->used < LIMIT_MEMBER_RECALLS &&
           cache_of(tenant) != NULL && loop_now_ms(tenant->shard->loop) >= recalls->rests_until_ms;
}

static recall_t *ask(const tenant_t *tenant, text_t member_id)
{
    const shard_t *const shard = tenant->shard;
    cache_t *const cache = cache_of(tenant);
    recall_t *const recall =
        shard->recalls == NULL || cache == NULL ? NULL : place_take(shard->recalls);
    if (recall == NULL) {
        return NULL;
    }
    *recall = (recall_t){.recalls = shard->recalls,
                         .is_used = true,
                         .generation = tenant->generation,
                         .deadline_ms = loop_now_ms(shard->loop) + LIMIT_MEMBER_RECALL_MS,
                         .tenant_size = tenant->name_size,
                         .member_size = member_id.size};
    assert(member_id.size <= sizeof recall->member_id);
    memcpy(recall->tenant_name, tenant->name, tenant->name_size);
    memcpy(recall->member_id, member_id.data, member_id.size);
    crypto_key_t status_key;
    char key[KEY_SIZE];
    secret_member_status_key(shard->ports.crypto, &tenant->secret, tenant_name(tenant),
                             &status_key);
    const text_t name = key_of(shard, &status_key, member_id, key);
    shard->ports.crypto->wipe(&status_key, sizeof status_key);
    if (cache->functions->get(cache, tenant_name(tenant), name, answered, recall) != RESULT_OK) {
        recall->is_used = false;
        shard->recalls->used--;
        return NULL;
    }
    return recall;
}

bool member_recall(tenant_t *tenant, text_t member_id, member_recalled_t *done, void *context)
{
    recall_t *const recall = ask(tenant, member_id);
    if (recall == NULL) {
        note_asked(tenant->shard, tenant_name(tenant), member_id);
        return false;
    }
    recall->tenant = tenant;
    recall->done = done;
    recall->context = context;
    tenant_operation_begin(tenant);
    member_recalls_t *const recalls = recall->recalls;
    if (!recalls->is_timed) { /* all wait equally long: who came before is not put off */
        recalls->is_timed = true;
        loop_timer_start(recalls->timer, LIMIT_MEMBER_RECALL_MS, 0);
    }
    return true;
}

void member_recall_again(const tenant_t *tenant, member_t *member)
{
    const uint64_t now_ms = loop_now_ms(tenant->shard->loop);
    if (member->recall_asked_ms == 0 ||
        now_ms >= member->recall_asked_ms + LIMIT_MEMBER_REFRESH_MS) {
        member->recall_asked_ms = now_ms;
        (void)ask(tenant, member->member_id); /* else with a later scan */
    }
}

member_recalls_t *member_recalls_create(shard_t *shard)
{
    if (shard->ports.member_cache == NULL) {
        return NULL;
    }
    member_recalls_t *const recalls = calloc(1, sizeof *recalls);
    assert(recalls != NULL);
    recalls->shard = shard;
    recalls->timer = loop_timer_create(shard->loop, timer_due, recalls);
    assert(recalls->timer != NULL);
    return recalls;
}

void member_recalls_destroy(member_recalls_t **recalls)
{
    if (*recalls != NULL) {
        assert((*recalls)->used == 0); /* the cache went first, and has answered everything */
        loop_timer_destroy(&(*recalls)->timer);
        free(*recalls);
        *recalls = NULL;
    }
}
