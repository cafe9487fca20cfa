/* Requests in flight of a connection: a queue in order of arrival. An answer whose turn has come
 * goes straight into the connection's output, an earlier one waits in its slot (RFC 9112 section
 * 9.3.2). No parsing and no sockets here. */
#include "adapters/http/http_internal.h"

#include "runtime/clock.h"

#include <assert.h>
#include <stdlib.h>

http_slot_t *http_slot_add(http_connection_t *connection)
{
    http_server_t *server = connection->server;
    assert(connection->slot_count < LIMIT_HTTP_PIPELINE);
    http_slot_t *slot = STAILQ_FIRST(&server->spare_slots);
    if (slot != NULL) {
        STAILQ_REMOVE_HEAD(&server->spare_slots, link);
        server->spare_slot_count--;
    } else {
        slot = malloc(sizeof(*slot));
        if (slot == NULL) {
            return NULL;
        }
    }
    *slot = (http_slot_t){.connection = connection, .started_us = clock_monotonic_us()};
    STAILQ_INSERT_TAIL(&connection->slots, slot, link);
    connection->slot_count++;
    connection->has_asked = true;
    server->in_flight++;
    return slot;
}

/* Its connection let go of it already. */
static void slot_release(http_server_t *server, http_slot_t *slot)
{
    if (slot->fetch != NULL) {
        http_fetch_forget(slot->fetch);
    }
    free(slot->next_page);
    http_buffer_release(&server->stock, &slot->answer);
    server->in_flight--;
    if (server->spare_slot_count < LIMIT_HTTP_SPARE_SLOTS) {
        STAILQ_INSERT_HEAD(&server->spare_slots, slot, link);
        server->spare_slot_count++;
    } else {
        free(slot);
    }
}

static void slot_remove_first(http_connection_t *connection)
{
    http_slot_t *slot = STAILQ_FIRST(&connection->slots);
    STAILQ_REMOVE_HEAD(&connection->slots, link);
    connection->slot_count--;
    if (slot->is_page) {
        connection->pages--;
    }
    slot_release(connection->server, slot);
}

/* Moves answers that waited for the one before them. */
static void slots_advance(http_connection_t *connection)
{
    http_server_t *server = connection->server;
    http_slot_t *slot = STAILQ_FIRST(&connection->slots);
    while (slot != NULL && slot->answered) {
        if (slot->answer.size > 0 &&
            http_buffer_reserve(&server->stock, &connection->output, slot->answer.size)) {
            memcpy(connection->output.data + connection->output.size, slot->answer.data,
                   slot->answer.size);
            connection->output.size += slot->answer.size;
        } else {
            connection->broken = true;
        }
        slot_remove_first(connection);
        slot = STAILQ_FIRST(&connection->slots);
    }
}

void http_slot_answer(http_slot_t *slot, const http_response_t *response)
{
    http_connection_t *connection = slot->connection;
    http_server_t *server = connection->server;
    assert(!slot->answered);
    slot->answered = true;
    slot->gateway_handle = 0;
    /* A drain that began meanwhile ends the connection with its last answer. */
    if (server->draining && STAILQ_NEXT(slot, link) == NULL &&
        connection->phase == HTTP_PHASE_HEAD && connection->input.size == 0) {
        slot->framing.close = true;
        connection->last_request = true;
    }
    const bool first = slot == STAILQ_FIRST(&connection->slots);
    http_buffer_t *buffer = first ? &connection->output : &slot->answer;
    if (!http_response_append(&server->stock, buffer, response, &slot->framing, &server->date)) {
        connection->broken = true;
    }
    metric_add(server->metrics.requests[response->status / 100], 1);
    metric_observe_us(server->metrics.seconds, clock_monotonic_us() - slot->started_us);
    if (first) {
        slot_remove_first(connection);
        slots_advance(connection);
    }
    http_connection_touch(connection);
}

void http_slot_drop(http_slot_t *slot)
{
    http_connection_t *connection = slot->connection;
    assert(STAILQ_NEXT(slot, link) == NULL);
    assert(!slot->answered);
    STAILQ_REMOVE(&connection->slots, slot, http_slot, link);
    connection->slot_count--;
    slot_release(connection->server, slot);
}

void http_slots_cancel(http_connection_t *connection)
{
    http_server_t *server = connection->server;
    while (!STAILQ_EMPTY(&connection->slots)) {
        http_slot_t *slot = STAILQ_FIRST(&connection->slots);
        if (slot->gateway_handle != 0) {
            gateway_cancel(server->ports.gateway, slot->gateway_handle);
            metric_add(server->metrics.disconnects, 1);
        }
        slot_remove_first(connection);
    }
}

void http_slots_deinit(http_server_t *server)
{
    while (!STAILQ_EMPTY(&server->spare_slots)) {
        http_slot_t *slot = STAILQ_FIRST(&server->spare_slots);
        STAILQ_REMOVE_HEAD(&server->spare_slots, link);
        free(slot);
    }
}
