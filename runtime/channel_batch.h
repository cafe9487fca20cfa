/* The framing of a channel: envelopes gathered into one message, and taken out of one again. For
 * channel_server.c, channel_client.c and their tests. */
#ifndef RUNTIME_CHANNEL_BATCH_H
#define RUNTIME_CHANNEL_BATCH_H

#include "runtime/limits.h"
#include "runtime/result.h"
#include <stddef.h>

enum {
    CHANNEL_PREFIX_SIZE = 4, /* u32 little-endian size before each envelope */
    /* The largest message: a batch, or one envelope that is larger than a batch. */
    CHANNEL_MESSAGE_SIZE_MAX = LIMIT_CHANNEL_ENVELOPE_SIZE + CHANNEL_PREFIX_SIZE,
};

typedef struct channel_batch {
    uint8_t *bytes;
    size_t capacity;
    size_t size;
    uint32_t envelope_count;
} channel_batch_t;

/* False when the batch must be sent before this envelope fits: it never grows beyond
 * LIMIT_CHANNEL_BATCH_SIZE, except for a single larger envelope. */
bool channel_batch_has_room(const channel_batch_t *batch, size_t envelope_size);
/* NO_MEMORY leaves the batch as it was. There must be room. */
MUST_USE result_t channel_batch_add(channel_batch_t *batch, const uint8_t *envelope, size_t size);
/* Empties it; memory beyond LIMIT_CHANNEL_BUFFER_KEPT_SIZE goes back. */
void channel_batch_clear(channel_batch_t *batch);
void channel_batch_deinit(channel_batch_t *batch);

/* Steps through a received message: true and the next envelope, or false at its end. After that
 * `is_malformed` says whether the rest was no whole envelope. */
typedef struct channel_reader {
    const uint8_t *bytes;
    size_t size;
    bool is_malformed;
} channel_reader_t;
bool channel_reader_next(channel_reader_t *reader, const uint8_t **envelope, size_t *size);

#endif
