/* Cursors of pages that are read straight from a journal, the same on every store: where a page
 * ended. Clients keep them, so their form is for ever. Cursors of read models: list_cursor.h. */
#ifndef ACTORS_PAGE_CURSOR_H
#define ACTORS_PAGE_CURSOR_H

#include "messages/text.h"
#include "runtime/result.h"

enum { PAGE_CURSOR_SIZE = 18 }; /* kind, version, 16 hexadecimal digits */

/* The kind keeps a cursor of one list from being taken for one of another. */
typedef enum page_cursor_kind {
    PAGE_CURSOR_CARDS = 'c',
    PAGE_CURSOR_HISTORY = 'h'
} page_cursor_kind_t;

/* `position`: 1 or more. The result points into `out`, which gets no NUL. */
text_t page_cursor_write(page_cursor_kind_t kind, int64_t position, char out[PAGE_CURSOR_SIZE]);
/* False: it is none of that kind. What it says is still a client's claim: the store holds
 * `position` (1 … INT64_MAX) against its rows. */
MUST_USE bool page_cursor_read(page_cursor_kind_t kind, text_t cursor, int64_t *position);

#endif
