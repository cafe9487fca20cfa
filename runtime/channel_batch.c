/* Builds and reads the messages of a channel. Must not send and must not look into envelopes. */
#include "runtime/channel_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool channel_batch_has_room(const channel_batch_t *batch, size_t envelope_size)
{
    return batch->size == 0 ||
           batch->size + CHANNEL_PREFIX_SIZE + envelope_size <= LIMIT_CHANNEL_BATCH_SIZE;
}

static result_t batch_reserve(channel_batch_t *batch, size_t size)
{
    enum { CAPACITY_FIRST = 4096 };
    if (size <= batch->capacity) {
        return RESULT_OK;
    }
    size_t capacity = batch->capacity == 0 ? CAPACITY_FIRST : batch->capacity * 2;
    capacity = capacity < size ? size : capacity;
    uint8_t *const bytes = realloc(batch->bytes, capacity);
    if (bytes == NULL) {
        return RESULT_NO_MEMORY;
    }
    batch->bytes = bytes;
    batch->capacity = capacity;
    return RESULT_OK;
}

result_t channel_batch_add(channel_batch_t *batch, const uint8_t *envelope, size_t size)
{
    assert(size > 0);
    assert(size <= LIMIT_CHANNEL_ENVELOPE_SIZE);
    assert(channel_batch_has_room(batch, size));
    const result_t result = batch_reserve(batch, batch->size + CHANNEL_PREFIX_SIZE + size);
    if (result != RESULT_OK) {
        return result;
    }
    uint8_t *const place = batch->bytes + batch->size;
    for (unsigned index = 0; index < CHANNEL_PREFIX_SIZE; index++) {
        place[index] = (uint8_t)(size >> (8 * index));
    }
    memcpy(place + CHANNEL_PREFIX_SIZE, envelope, size);
    batch->size += CHANNEL_PREFIX_SIZE + size;
    batch->envelope_count++;
    return RESULT_OK;
}

void channel_batch_clear(channel_batch_t *batch)
{
    batch->size = 0;
    batch->envelope_count = 0;
    if (batch->capacity > LIMIT_CHANNEL_BUFFER_KEPT_SIZE) {
        channel_batch_deinit(batch);
    }
}

void channel_batch_deinit(channel_batch_t *batch)
{
    free(batch->bytes);
    *batch = (channel_batch_t){0};
}

/* ThreadSanitizer calls this a race with the thread of ZeroMQ that received the message. It is
 * none: what it takes for the write is the malloc of the message's block, and the message came
 * through ZeroMQ's pipe, whose atomics it does not see (tests/tsan.suppressions). */
bool channel_reader_next(channel_reader_t *reader, const uint8_t **envelope, size_t *size)
{
    if (reader->size == 0) {
        return false;
    }
    size_t claimed = 0;
    if (reader->size >= CHANNEL_PREFIX_SIZE) {
        for (unsigned index = 0; index < CHANNEL_PREFIX_SIZE; index++) {
            claimed |= (size_t)reader->bytes[index] << (8 * index);
        }
    }
    if (claimed == 0 || claimed > LIMIT_CHANNEL_ENVELOPE_SIZE ||
        claimed > reader->size - CHANNEL_PREFIX_SIZE) {
        reader->is_malformed = true;
        reader->size = 0;
        return false;
    }
    *envelope = reader->bytes + CHANNEL_PREFIX_SIZE;
    *size = claimed;
    reader->bytes += CHANNEL_PREFIX_SIZE + claimed;
    reader->size -= CHANNEL_PREFIX_SIZE + claimed;
    return true;
}
