/* The connecting end of a channel. Keeps one batch; a batch that the wire does not take stays and
 * is offered again at the end of every turn. Must not retry what was sent. */
#include "runtime/channel.h"

#include "runtime/channel_batch.h"
#include "runtime/channel_wire.h"
#include "runtime/log.h"
#include "runtime/loop_internal.h"

#include <assert.h>
#include <stdlib.h>

struct channel_client {
    loop_t *loop;
    loop_hook_t *hook;
    channel_wire_t wire; /* closed when not connected */
    channel_client_receive_t *receive;
    void *context;
    channel_batch_t batch;
    uint32_t envelopes_seen; /* when a turn ended last */
    loop_timer_t *pace;      /* NULL: not paced */
    uint64_t interval_ms;    /* between messages of a paced one */
    uint64_t sent_ms;        /* when the last one left */
    bool is_timed;
    uint64_t dropped;
    uint64_t connection; /* rises with every connect and disconnect */
    bool is_receiving;
    bool is_destroyed; /* within `receive`: freed when it returns */
};

static void client_drop(channel_client_t *client, uint64_t count)
{
    client->dropped += count;
    loop_count_drops(client->loop, LOOP_DROP_ENVELOPE, count);
}

static void client_free(channel_client_t *client)
{
    channel_batch_deinit(&client->batch);
    free(client);
}

static result_t client_flush(channel_client_t *client)
{
    if (client->batch.size == 0 || !channel_wire_is_open(&client->wire)) {
        return RESULT_OK;
    }
    const zframe_view_t frame = {client->batch.bytes, client->batch.size};
    const result_t result = channel_wire_send(&client->wire, &frame, 1);
    if (result == RESULT_BUSY) {
        return result;
    }
    if (result != RESULT_OK) {
        client_drop(client, client->batch.envelope_count);
        log_error("a batch of envelopes could not be sent",
                  LOG_STRING("error", result_code(result)),
                  LOG_NUMBER("envelopes", client->batch.envelope_count));
    }
    channel_batch_clear(&client->batch);
    return result;
}

static void on_pace(void *context)
{
    channel_client_t *const client = context;
    client->is_timed = false; /* the turn that ends now sends */
}

static bool waits_for_its_time(channel_client_t *client)
{
    const uint64_t elapsed_ms = loop_now_ms(client->loop) - client->sent_ms;
    if (client->pace == NULL || elapsed_ms >= client->interval_ms) {
        return false;
    }
    if (!client->is_timed) {
        client->is_timed = true;
        loop_timer_start(client->pace, client->interval_ms - elapsed_ms, 0);
    }
    return true;
}

/* While each turn brings more, the batch gathers: a message costs two threads a wake-up each, and a
 * look whether there is more costs one system call. */
static bool waits_for_more(channel_client_t *client)
{
    const uint32_t count = client->batch.envelope_count;
    if (client->pace != NULL || count == client->envelopes_seen || count >= LIMIT_CHANNEL_GATHER) {
        return false;
    }
    client->envelopes_seen = count;
    loop_again(client->loop);
    return true;
}

static void on_turn_end(void *context)
{
    channel_client_t *const client = context;
    if (client->batch.envelope_count == 0 || waits_for_its_time(client) || waits_for_more(client)) {
        return;
    }
    client->envelopes_seen = 0;
    if (client_flush(client) == RESULT_OK) { /* a refusal is counted, or offered again */
        client->sent_ms = loop_now_ms(client->loop);
    }
}

static void on_message(void *context, const zframe_view_t *frames, size_t frame_count)
{
    channel_client_t *const client = context;
    if (frame_count != 1) {
        client_drop(client, 1);
        return;
    }
    channel_reader_t reader = {frames[0].data, frames[0].size, false};
    const uint64_t connection = client->connection;
    const uint8_t *envelope = NULL;
    size_t size = 0;
    client->is_receiving = true;
    while (connection == client->connection && channel_reader_next(&reader, &envelope, &size)) {
        client->receive(client->context, envelope, size);
    }
    client->is_receiving = false;
    client_drop(client, reader.is_malformed ? 1 : 0);
    if (client->is_destroyed) {
        client_free(client);
    }
}

result_t channel_client_create(loop_t *loop, channel_client_receive_t *receive, void *context,
                               channel_client_t **client)
{
    channel_client_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->receive = receive;
    created->context = context;
    created->hook = loop_hook_create_in(loop, LOOP_PHASE_FLUSH, on_turn_end, created);
    *client = created;
    return RESULT_OK;
}

void channel_client_destroy(channel_client_t **client)
{
    channel_client_t *const destroyed = *client;
    if (destroyed == NULL) {
        return;
    }
    *client = NULL;
    (void)client_flush(destroyed); /* what does not leave now has no time left */
    channel_wire_close(&destroyed->wire, true);
    destroyed->connection++;
    loop_hook_destroy(&destroyed->hook);
    if (destroyed->pace != NULL) {
        loop_timer_destroy(&destroyed->pace);
    }
    if (destroyed->is_receiving) {
        destroyed->is_destroyed = true;
        return;
    }
    client_free(destroyed);
}

result_t channel_client_connect(channel_client_t *client, const char *endpoint)
{
    channel_client_disconnect(client);
    return channel_wire_connect(client->loop, endpoint, on_message, client, &client->wire);
}

void channel_client_disconnect(channel_client_t *client)
{
    client->connection++;
    channel_batch_clear(&client->batch);
    channel_wire_close(&client->wire, false);
}

result_t channel_client_send(channel_client_t *client, const uint8_t *envelope, size_t size)
{
    if (size == 0 || size > LIMIT_CHANNEL_ENVELOPE_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (!channel_wire_is_open(&client->wire)) {
        return RESULT_UNAVAILABLE;
    }
    if (!channel_batch_has_room(&client->batch, size)) {
        const result_t result = client_flush(client);
        if (result != RESULT_OK) {
            return result;
        }
    }
    return channel_batch_add(&client->batch, envelope, size);
}

void channel_client_pace(channel_client_t *client, uint64_t interval_ms)
{
    assert(client->pace == NULL);
    client->pace = loop_timer_create(client->loop, on_pace, client);
    client->interval_ms = interval_ms;
}

uint64_t channel_client_dropped(const channel_client_t *client)
{
    return client->dropped;
}
