/* Growing byte buffers with a bounded stock of spare ones, so that a busy connection does not
 * allocate for each answer and an idle one holds no memory. */
#ifndef ADAPTERS_HTTP_HTTP_BUFFER_H
#define ADAPTERS_HTTP_HTTP_BUFFER_H

#include "runtime/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct http_buffer {
    char *data; /* NULL when capacity is 0 */
    size_t size;
    size_t capacity;
} http_buffer_t;

typedef struct http_buffer_stock {
    http_buffer_t spare[LIMIT_HTTP_SPARE_BUFFERS];
    uint32_t count;
} http_buffer_stock_t;

/* Room for `more` bytes after `size`; takes a spare buffer for an empty one. False: no memory. */
bool http_buffer_reserve(http_buffer_stock_t *stock, http_buffer_t *buffer, size_t more);
/* Empties the buffer and gives its memory to the stock, or frees it. */
void http_buffer_release(http_buffer_stock_t *stock, http_buffer_t *buffer);
void http_buffer_stock_deinit(http_buffer_stock_t *stock);

#endif
