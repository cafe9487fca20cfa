/* The binding end of a channel. Knows its peers by the routing ids that ZeroMQ gave them and keeps
 * one batch for each. ZeroMQ does not say when a peer goes: it is found out by the next send, or
 * the peer that was silent longest makes room. Must not retry what was sent. */
#include "runtime/channel_internal.h"

#include "runtime/channel_batch.h"
#include "runtime/channel_wire.h"
#include "runtime/log.h"
#include "runtime/loop_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    PEER_NONE = LIMIT_CHANNEL_PEERS, /* no index */
    BUCKETS = LIMIT_CHANNEL_PEERS,   /* a power of two: the hash is masked */
};
static_assert((BUCKETS & (BUCKETS - 1)) == 0, "the hash is masked");

typedef struct peer {
    uint8_t routing_id[LIMIT_ZMQ_ROUTING_ID_SIZE];
    uint8_t routing_id_size;
    bool is_used;
    bool is_pending;     /* listed in server->pending */
    uint16_t next;       /* of its bucket */
    uint32_t generation; /* of this place: a number is never given twice */
    uint64_t active;     /* server->clock when it was last heard or answered */
    channel_batch_t batch;
} peer_t;

struct channel_server {
    loop_t *loop;
    loop_hook_t *hook;
    channel_wire_t wire;
    channel_server_receive_t *receive;
    void *context;
    uint16_t buckets[BUCKETS];
    peer_t peers[LIMIT_CHANNEL_PEERS];
    uint16_t pending[LIMIT_CHANNEL_PEERS]; /* peers with a batch to send */
    uint16_t pending_count;
    uint64_t clock; /* counts messages */
    uint64_t dropped;
    bool is_receiving;
    bool is_destroyed; /* within `receive`: freed when it returns */
};

static void server_drop(channel_server_t *server, uint64_t count)
{
    server->dropped += count;
    loop_count_drops(server->loop, LOOP_DROP_ENVELOPE, count);
}

static void server_free(channel_server_t *server)
{
    for (uint32_t index = 0; index < LIMIT_CHANNEL_PEERS; index++) {
        channel_batch_deinit(&server->peers[index].batch);
    }
    free(server);
}

static uint32_t peer_number(const channel_server_t *server, const peer_t *peer)
{
    return peer->generation * LIMIT_CHANNEL_PEERS + (uint32_t)(peer - server->peers);
}

static peer_t *peer_of_number(channel_server_t *server, uint32_t number)
{
    peer_t *const peer = &server->peers[number % LIMIT_CHANNEL_PEERS];
    return peer->is_used && peer->generation == number / LIMIT_CHANNEL_PEERS ? peer : NULL;
}

/* FNV-1a. ZeroMQ chooses the ids, counting up: nobody can aim at a bucket over ipc or CURVE. */
static uint32_t bucket_of(const uint8_t *routing_id, size_t size)
{
    uint32_t hash = 2166136261U;
    for (size_t index = 0; index < size; index++) {
        hash = (hash ^ routing_id[index]) * 16777619U;
    }
    return (hash ^ (hash >> 16)) & (BUCKETS - 1);
}

static peer_t *peer_find(channel_server_t *server, const uint8_t *routing_id, size_t size)
{
    uint16_t index = server->buckets[bucket_of(routing_id, size)];
    while (index != PEER_NONE) {
        peer_t *const peer = &server->peers[index];
        if (peer->routing_id_size == size && memcmp(peer->routing_id, routing_id, size) == 0) {
            return peer;
        }
        index = peer->next;
    }
    return NULL;
}

static void peer_forget(channel_server_t *server, peer_t *peer)
{
    assert(peer->is_used);
    const uint16_t index = (uint16_t)(peer - server->peers);
    uint16_t *link = &server->buckets[bucket_of(peer->routing_id, peer->routing_id_size)];
    while (*link != index) {
        link = &server->peers[*link].next;
    }
    *link = peer->next;
    server_drop(server, peer->batch.envelope_count);
    channel_batch_deinit(&peer->batch);
    peer->is_used = false;
    peer->generation++;
}

/* BUSY keeps the batch, MISSING forgets the peer. */
static result_t peer_flush(channel_server_t *server, peer_t *peer)
{
    if (peer->batch.size == 0) {
        return RESULT_OK;
    }
    const zframe_view_t frames[] = {{peer->routing_id, peer->routing_id_size},
                                    {peer->batch.bytes, peer->batch.size}};
    const result_t result = channel_wire_send(&server->wire, frames, 2);
    if (result == RESULT_OK) {
        channel_batch_clear(&peer->batch);
    } else if (result != RESULT_BUSY) {
        peer_forget(server, peer);
    }
    return result;
}

/* Peers that stay busy keep their place in the list: ZeroMQ wakes the loop when they read again. */
static void on_turn_end(void *context)
{
    channel_server_t *const server = context;
    uint16_t kept = 0;
    for (uint16_t index = 0; index < server->pending_count; index++) {
        peer_t *const peer = &server->peers[server->pending[index]];
        if (peer->is_used && peer_flush(server, peer) == RESULT_BUSY) {
            server->pending[kept++] = server->pending[index];
        } else {
            peer->is_pending = false;
        }
    }
    server->pending_count = kept;
}

/* A free place, or that of the peer that was silent longest. */
static peer_t *peer_place(channel_server_t *server)
{
    peer_t *oldest = &server->peers[0];
    for (uint32_t index = 0; index < LIMIT_CHANNEL_PEERS; index++) {
        peer_t *const peer = &server->peers[index];
        if (!peer->is_used) {
            return peer;
        }
        oldest = peer->active < oldest->active ? peer : oldest;
    }
    log_warn("a channel has more peers than it keeps: the one silent longest is forgotten",
             LOG_NUMBER("peers_max", LIMIT_CHANNEL_PEERS));
    if (peer_flush(server, oldest) != RESULT_MISSING) {
        peer_forget(server, oldest);
    }
    return oldest;
}

static peer_t *peer_add(channel_server_t *server, const uint8_t *routing_id, size_t size)
{
    peer_t *const peer = peer_place(server);
    uint16_t *const bucket = &server->buckets[bucket_of(routing_id, size)];
    memcpy(peer->routing_id, routing_id, size);
    peer->routing_id_size = (uint8_t)size;
    peer->is_used = true;
    peer->next = *bucket;
    *bucket = (uint16_t)(peer - server->peers);
    return peer;
}

static void on_message(void *context, const zframe_view_t *frames, size_t frame_count)
{
    channel_server_t *const server = context;
    if (frame_count != 2 || frames[0].size > LIMIT_ZMQ_ROUTING_ID_SIZE) {
        server_drop(server, 1);
        return;
    }
    peer_t *peer = peer_find(server, frames[0].data, frames[0].size);
    if (peer == NULL) {
        peer = peer_add(server, frames[0].data, frames[0].size);
    }
    peer->active = ++server->clock;
    const uint32_t number = peer_number(server, peer);
    channel_reader_t reader = {frames[1].data, frames[1].size, false};
    const uint8_t *envelope = NULL;
    size_t size = 0;
    server->is_receiving = true;
    while (!server->is_destroyed && channel_reader_next(&reader, &envelope, &size)) {
        server->receive(server->context, number, envelope, size);
    }
    server->is_receiving = false;
    server_drop(server, reader.is_malformed ? 1 : 0);
    if (server->is_destroyed) {
        server_free(server);
    }
}

result_t channel_server_create_bounded(loop_t *loop, const char *endpoint, int messages_max,
                                       channel_server_receive_t *receive, void *context,
                                       channel_server_t **server)
{
    channel_server_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->receive = receive;
    created->context = context;
    for (uint32_t index = 0; index < BUCKETS; index++) {
        created->buckets[index] = PEER_NONE;
    }
    const result_t result =
        channel_wire_bind(loop, endpoint, messages_max, on_message, created, &created->wire);
    if (result != RESULT_OK) {
        free(created);
        return result;
    }
    created->hook = loop_hook_create_in(loop, LOOP_PHASE_FLUSH, on_turn_end, created);
    *server = created;
    return RESULT_OK;
}

result_t channel_server_create(loop_t *loop, const char *endpoint,
                               channel_server_receive_t *receive, void *context,
                               channel_server_t **server)
{
    return channel_server_create_bounded(loop, endpoint, LIMIT_CHANNEL_MESSAGES, receive, context,
                                         server);
}

void channel_server_destroy(channel_server_t **server)
{
    channel_server_t *const destroyed = *server;
    if (destroyed == NULL) {
        return;
    }
    *server = NULL;
    on_turn_end(destroyed);
    channel_wire_close(&destroyed->wire, true);
    loop_hook_destroy(&destroyed->hook);
    if (destroyed->is_receiving) {
        destroyed->is_destroyed = true;
        return;
    }
    server_free(destroyed);
}

result_t channel_server_send(channel_server_t *server, uint32_t peer, const uint8_t *envelope,
                             size_t size)
{
    if (size == 0 || size > LIMIT_CHANNEL_ENVELOPE_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    peer_t *const receiver = peer_of_number(server, peer);
    if (receiver == NULL) {
        return RESULT_MISSING;
    }
    if (!channel_batch_has_room(&receiver->batch, size)) {
        const result_t result = peer_flush(server, receiver);
        if (result != RESULT_OK) {
            return result;
        }
    }
    const result_t result = channel_batch_add(&receiver->batch, envelope, size);
    if (result == RESULT_OK && !receiver->is_pending) {
        receiver->is_pending = true;
        server->pending[server->pending_count++] = (uint16_t)(receiver - server->peers);
    }
    return result;
}

uint64_t channel_server_dropped(const channel_server_t *server)
{
    return server->dropped;
}
