/* Chooses between a local socket and ZeroMQ, and forwards. It keeps nothing. */
#include "runtime/channel_wire.h"

#include "runtime/channel_batch.h"

#include <string.h>

static const char local_scheme[] = "unix://";
enum { LOCAL_SCHEME_SIZE = sizeof(local_scheme) - 1 };

/* NULL: not a local one. */
static const char *local_path(const char *endpoint)
{
    return strncmp(endpoint, local_scheme, LOCAL_SCHEME_SIZE) == 0 ? endpoint + LOCAL_SCHEME_SIZE
                                                                   : NULL;
}

static result_t zeromq_create(loop_t *loop, int type, int messages_max, zsocket_receive_t *receive,
                              void *context, zsocket_t **socket)
{
    const zsocket_options_t options = {.type = type,
                                       .send_messages_max = messages_max,
                                       .receive_messages_max = messages_max,
                                       .message_size_max = CHANNEL_MESSAGE_SIZE_MAX,
                                       .use_fd = -1,
                                       .linger_ms = LIMIT_CHANNEL_LINGER_MS};
    return zsocket_create(loop, &options, receive, context, socket);
}

result_t channel_wire_bind(loop_t *loop, const char *endpoint, int messages_max,
                           zsocket_receive_t *receive, void *context, channel_wire_t *wire)
{
    *wire = (channel_wire_t){0};
    const char *const path = local_path(endpoint);
    if (path != NULL) {
        return local_socket_listen(loop, path, receive, context, &wire->local);
    }
    result_t result =
        zeromq_create(loop, ZSOCKET_ROUTER, messages_max, receive, context, &wire->zeromq);
    if (result == RESULT_OK) {
        result = zsocket_bind(wire->zeromq, endpoint);
    }
    if (result != RESULT_OK) {
        zsocket_destroy(&wire->zeromq);
    }
    return result;
}

result_t channel_wire_connect(loop_t *loop, const char *endpoint, zsocket_receive_t *receive,
                              void *context, channel_wire_t *wire)
{
    *wire = (channel_wire_t){0};
    const char *const path = local_path(endpoint);
    if (path != NULL) {
        return local_socket_connect(loop, path, receive, context, &wire->local);
    }
    result_t result = zeromq_create(loop, ZSOCKET_DEALER, LIMIT_CHANNEL_MESSAGES, receive, context,
                                    &wire->zeromq);
    if (result == RESULT_OK) {
        result = zsocket_connect(wire->zeromq, endpoint);
    }
    if (result != RESULT_OK) {
        zsocket_destroy(&wire->zeromq);
    }
    return result;
}

bool channel_wire_is_open(const channel_wire_t *wire)
{
    return wire->zeromq != NULL || wire->local != NULL;
}

result_t channel_wire_send(const channel_wire_t *wire, const zframe_view_t *frames,
                           size_t frame_count)
{
    return wire->local != NULL ? local_socket_send(wire->local, frames, frame_count)
                               : zsocket_send(wire->zeromq, frames, frame_count);
}

void channel_wire_close(channel_wire_t *wire, bool lingers)
{
    local_socket_destroy(&wire->local, lingers ? LIMIT_CHANNEL_LINGER_MS : 0);
    if (wire->zeromq != NULL && !lingers) {
        zsocket_set_linger(wire->zeromq, 0);
    }
    zsocket_destroy(&wire->zeromq);
}
