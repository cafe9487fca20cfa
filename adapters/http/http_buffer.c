/* See http_buffer.h. */
#include "adapters/http/http_buffer.h"

#include <stdlib.h>

enum { BUFFER_SIZE_MIN = 4096 }; /* five verdicts with their heads */

bool http_buffer_reserve(http_buffer_stock_t *stock, http_buffer_t *buffer, size_t more)
{
    if (buffer->capacity == 0 && stock->count > 0) {
        stock->count--;
        *buffer = stock->spare[stock->count];
    }
    if (buffer->capacity - buffer->size >= more) {
        return true;
    }
    size_t capacity = buffer->capacity < BUFFER_SIZE_MIN ? BUFFER_SIZE_MIN : buffer->capacity;
    while (capacity - buffer->size < more) {
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void http_buffer_release(http_buffer_stock_t *stock, http_buffer_t *buffer)
{
    buffer->size = 0;
    if (buffer->capacity > 0 && buffer->capacity <= LIMIT_HTTP_SPARE_BUFFER_SIZE &&
        stock->count < LIMIT_HTTP_SPARE_BUFFERS) {
        stock->spare[stock->count] = *buffer;
        stock->count++;
    } else {
        free(buffer->data);
    }
    *buffer = (http_buffer_t){0};
}

void http_buffer_stock_deinit(http_buffer_stock_t *stock)
{
    while (stock->count > 0) {
        stock->count--;
        free(stock->spare[stock->count].data);
    }
}
