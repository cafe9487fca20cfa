/* What the test of a channel sees beyond runtime/channel.h. */
#ifndef RUNTIME_CHANNEL_INTERNAL_H
#define RUNTIME_CHANNEL_INTERNAL_H

#include "runtime/channel.h"

/* channel_server_create with another high-water mark than LIMIT_CHANNEL_MESSAGES, so that a test
 * reaches it quickly. */
MUST_USE result_t channel_server_create_bounded(loop_t *loop, const char *endpoint,
                                                int messages_max, channel_server_receive_t *receive,
                                                void *context, channel_server_t **server);

#endif
