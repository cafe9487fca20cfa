/* What fronts, shards and relay say to each other, to the clock and to the crypto library, with the
 * planted bugs of the way in between. */
#include "tests/simulation/ports.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "tests/simulation/membership.h"
#include "tests/simulation/network.h"
#include "tests/simulation/subscriber.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum { SCRATCH_SIZE = 65536 };

/* --- Tokens --- */

static result_t set_keys(tokens_t *tokens, const directory_token_key_t *keys, size_t key_count)
{
    (void)tokens;
    (void)keys;
    (void)key_count;
    return RESULT_OK;
}

static size_t next_part(text_t token, size_t at)
{
    while (at < token.size && token.data[at] != '.') {
        at++;
    }
    return at;
}

static result_t verify(tokens_t *tokens, text_t token, int64_t now_ms, token_claims_t *claims,
                       char *detail, size_t detail_size)
{
    (void)tokens;
    (void)detail_size;
    const size_t role_end = next_part(token, 0);
    const size_t tenant_end = next_part(token, role_end + 1);
    const size_t since_end = next_part(token, tenant_end + 1);
    *claims = (token_claims_t){.expires_at_ms = now_ms + 3600000};
    if (since_end >= token.size ||
        !enum_parse(&role_enum, (text_t){token.data, role_end}, &claims->role)) {
        detail[0] = '\0';
        return RESULT_UNAUTHENTICATED;
    }
    memcpy(claims->tenant, token.data + role_end + 1, tenant_end - role_end - 1);
    memcpy(claims->subject, token.data + since_end + 1, token.size - since_end - 1);
    for (size_t i = tenant_end + 1; i < since_end; i++) {
        claims->tenant_since_ms = claims->tenant_since_ms * 10 + (token.data[i] - '0');
    }
    if (world_current()->bug == BUG_tokens_outlive_tenants) {
        claims->tenant_since_ms = 0;
    }
    return RESULT_OK;
}

const tokens_functions_t ports_tokens = {.set_keys = set_keys, .verify = verify};

/* --- Crypto, clock, randomness --- */

static void seal(const crypto_key_t *key, text_t plain, text_t bound_to, uint8_t *out)
{
    enum { NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES };
    unsigned long long size = 0;
    random_fill(out, NONCE_SIZE);
    const int failed = crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + NONCE_SIZE, &size, (const uint8_t *)plain.data, plain.size,
        (const uint8_t *)bound_to.data, bound_to.size, NULL, out, key->bytes);
    assert(failed == 0 && size + NONCE_SIZE == plain.size + CRYPTO_SEAL_OVERHEAD);
}

const crypto_functions_t *ports_crypto(void)
{
    static crypto_functions_t functions; /* the same bytes however often they are written */
    functions = signer_functions;
    functions.seal = seal;
    return &functions;
}

crypto_key_t ports_master_key(void)
{
    crypto_key_t key;
    memset(key.bytes, 7, sizeof(key.bytes));
    return key;
}

int64_t ports_wall_ms(void)
{
    const world_t *const world = world_current();
    return world->bug == BUG_frozen_clock ? world->wall_start_ms : clock_wall_ms();
}

void ports_random_fill(void *out, size_t size)
{
    random_fill(out, size);
}

/* --- Envelopes --- */

static bool unpack(const uint8_t *bytes, size_t size, envelope_t *envelope)
{
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    return message_unpack(&envelope_message, MESSAGE_KEYS_IDS, bytes, size, &arena, envelope,
                          &fault);
}

static bool is_read(uint8_t type)
{
    return type == request_type_card_get || type == request_type_card_list ||
           type == request_type_card_history || type == request_type_events_read ||
           type == request_type_rollup_list || type == request_type_directory_get;
}

static bool has_key(const request_t *request)
{
    return MESSAGE_HAS(request, request, key);
}

static void keep(process_t *process, uint32_t from, const uint8_t *bytes, size_t size)
{
    free(process->kept);
    process->kept = malloc(size);
    assert(process->kept != NULL);
    memcpy(process->kept, bytes, size);
    process->kept_size = size;
    process->kept_from = from;
}

static void send_changed(const process_t *process, uint32_t to, const envelope_t *envelope)
{
    uint8_t *bytes = malloc(SCRATCH_SIZE);
    assert(bytes != NULL);
    const size_t size =
        message_pack(&envelope_message, envelope, MESSAGE_KEYS_IDS, bytes, SCRATCH_SIZE);
    if (size <= SCRATCH_SIZE) {
        network_send(process->world, process->id, to, bytes, size, false);
    }
    free(bytes);
}

/* --- Fronts --- */

static void plant_in_front(process_t *process, uint32_t slot, envelope_t *envelope,
                           const uint8_t *bytes, size_t size)
{
    world_t *const world = process->world;
    request_t *const request = &envelope->request;
    if (world->bug == BUG_repeat_unkeyed && !has_key(request) && !is_read(request->type)) {
        keep(process, slot, bytes, size);
    }
    if (world->bug == BUG_repeat_keyed_without_key && has_key(request) &&
        generator_chance(&world->wire, 100)) {
        MESSAGE_CLEAR(request, request, key);
        MESSAGE_CLEAR(request, request, key_hash);
        send_changed(process, process->links[slot], envelope);
    }
}

result_t ports_front_send(void *context, gateway_target_t target, uint32_t index,
                          const uint8_t *bytes, size_t size)
{
    process_t *const process = context;
    const uint32_t slot = target == GATEWAY_RELAY ? WORLD_SLOT_RELAY : WORLD_FRONTS_MAX + index;
    if (process->links[slot] == 0) {
        return RESULT_UNAVAILABLE;
    }
    envelope_t envelope;
    const bool is_good = unpack(bytes, size, &envelope);
    assert(is_good);
    const bool may_repeat = has_key(&envelope.request) || is_read(envelope.request.type);
    if (process->world->bug == BUG_tenant_unsaid) {
        MESSAGE_CLEAR(request, &envelope.request, tenant_since);
        send_changed(process, process->links[slot], &envelope);
        return RESULT_OK;
    }
    network_send(process->world, process->id, process->links[slot], bytes, size, may_repeat);
    plant_in_front(process, slot, &envelope, bytes, size);
    return RESULT_OK;
}

void ports_front_peer_up(process_t *process, uint32_t slot)
{
    if (process->kept != NULL && process->kept_from == slot) {
        network_send(process->world, process->id, process->links[slot], process->kept,
                     process->kept_size, false);
    }
}

/* --- Shards --- */

static bool swap_with_kept(process_t *process, uint32_t peer, const uint8_t *bytes, size_t size)
{
    if (process->kept == NULL || process->kept_from != peer) {
        keep(process, peer, bytes, size);
        return true;
    }
    envelope_t kept;
    envelope_t now;
    if (!unpack(process->kept, process->kept_size, &kept) || !unpack(bytes, size, &now)) {
        return false;
    }
    const uint64_t correlation = kept.reply.correlation;
    kept.reply.correlation = now.reply.correlation;
    now.reply.correlation = correlation;
    send_changed(process, peer, &kept);
    send_changed(process, peer, &now);
    free(process->kept);
    process->kept = NULL;
    return true;
}

void ports_shard_reply(void *context, uint32_t peer, const uint8_t *bytes, size_t size)
{
    process_t *const process = context;
    if (process->is_dying) {
        return;
    }
    world_t *const world = process->world;
    if (world->bug == BUG_swap_replies && generator_chance(&world->wire, 200) &&
        swap_with_kept(process, peer, bytes, size)) {
        return;
    }
    network_send(world, process->id, peer, bytes, size, true);
}

void ports_shard_publish(void *context, const uint8_t *bytes, size_t size)
{
    process_t *const process = context;
    const uint32_t relay = process->links[WORLD_SLOT_RELAY];
    world_t *const world = process->world;
    envelope_t envelope;
    const bool is_good = unpack(bytes, size, &envelope);
    if (is_good && MESSAGE_HAS(envelope, &envelope, cards) && world->bug != BUG_end_untold) {
        memberships_told(world, &envelope);
    }
    if (process->is_dying || relay == 0) {
        return;
    }
    if (world->bug == BUG_event_tenant_unsaid && is_good) {
        MESSAGE_CLEAR(envelope, &envelope, tenant_since);
        send_changed(process, relay, &envelope);
        return;
    }
    network_send(world, process->id, relay, bytes, size, true);
    if (world->bug == BUG_republish_as_new && generator_chance(&world->wire, 100) && is_good &&
        MESSAGE_HAS(envelope, &envelope, event)) {
        envelope.event.sequence++;
        send_changed(process, relay, &envelope);
    }
}

/* --- Shards and adapters --- */

void ports_shard_to_adapters(void *context, const uint8_t *bytes, size_t size)
{
    process_t *const process = context;
    const uint32_t adapters = process->links[WORLD_SLOT_ADAPTERS];
    if (!process->is_dying && adapters != 0) {
        network_send(process->world, process->id, adapters, bytes, size, true);
    }
}

bool ports_is_adapters(world_t *world, uint32_t id)
{
    const process_t *const process = process_find(world, id);
    return process != NULL && process->kind == PROCESS_ADAPTERS;
}

result_t ports_adapters_send(void *context, uint32_t peer, const uint8_t *bytes, size_t size)
{
    process_t *const process = context;
    if (process->is_dying || process_find(process->world, peer) == NULL) {
        return RESULT_MISSING;
    }
    network_send(process->world, process->id, peer, bytes, size, true);
    return RESULT_OK;
}

void ports_breaker_changed(void *context, const neighbour_t *neighbour, const char *reason)
{
    const process_t *const process = context;
    (void)reason;
    if (!process->is_dying && process->desk != NULL) {
        membership_desk_breaker_changed(process->desk, neighbour_tenant(neighbour));
    }
}

uint32_t ports_random_below(uint32_t below)
{
    return generator_below(&world_current()->secrets, below);
}

uint64_t ports_monotonic_us(void)
{
    return clock_monotonic_us();
}

/* --- Relay --- */

void ports_relay_reply(void *context, uint32_t peer, const uint8_t *bytes, size_t size)
{
    process_t *const process = context;
    if (!process->is_dying) {
        network_send(process->world, process->id, peer, bytes, size, true);
    }
}

result_t ports_relay_publish(void *context, text_t topic, const uint8_t *header, size_t header_size,
                             const uint8_t *body, size_t body_size)
{
    const process_t *const process = context;
    if (!process->is_dying) {
        subscribers_publish(process->world, process, topic,
                            (text_t){(const char *)header, header_size},
                            (text_t){(const char *)body, body_size});
    }
    return RESULT_OK;
}
