/* Buffers, and what belongs to both protocols. */
#include "bench/load/wire.h"
#include "messages/rfc3339.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_SIZE_MIN = 4096 };

void load_buffer_deinit(load_buffer_t *buffer)
{
    free(buffer->data);
    *buffer = (load_buffer_t){0};
}

void load_buffer_clear(load_buffer_t *buffer)
{
    buffer->begin = 0;
    buffer->end = 0;
}

uint8_t *load_buffer_room(load_buffer_t *buffer, size_t size)
{
    if (buffer->begin == buffer->end) {
        load_buffer_clear(buffer);
    }
    if (buffer->capacity - buffer->end < size && buffer->begin > 0) {
        memmove(buffer->data, buffer->data + buffer->begin, buffer->end - buffer->begin);
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    if (buffer->capacity - buffer->end < size) {
        size_t capacity = buffer->capacity == 0 ? BUFFER_SIZE_MIN : buffer->capacity;
        while (capacity - buffer->end < size) {
            capacity *= 2;
        }
        buffer->data = realloc(buffer->data, capacity);
        if (buffer->data == NULL) {
            abort(); /* a benchmark without memory is no benchmark */
        }
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->end;
}

void load_buffer_append(load_buffer_t *buffer, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(load_buffer_room(buffer, size), data, size);
        buffer->end += size;
    }
}

text_t load_wire_expiry(const load_request_t *request, char text[LOAD_TIME_SIZE])
{
    const uint64_t later_s = request->action == LOAD_ISSUE ? 0 : request->member + 1;
    rfc3339_format(INT64_C(2208988800000) + (int64_t)later_s * 1000, text);
    return (text_t){text, LOAD_TIME_SIZE};
}

void load_wire_deinit(load_wire_t *wire)
{
    load_buffer_deinit(&wire->constant);
    load_buffer_deinit(&wire->body);
    load_buffer_deinit(&wire->head);
}

void load_wire_init(load_wire_t *wire, const load_options_t *options, uint64_t key_prefix)
{
    *wire = (load_wire_t){.options = options, .key_prefix = key_prefix};
}
