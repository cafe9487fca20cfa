/* Cursors of lists from read models, the same on every store: where a page ended. Clients keep
 * them, so their form is for ever; what they say is checked here and nowhere else. */
#ifndef ACTORS_LIST_CURSOR_H
#define ACTORS_LIST_CURSOR_H

#include "actors/ports/projections.h"

enum { LIST_CURSOR_SIZE = 2 + 16 + 16 };

/* `position` lies within what an int64_t holds, both parts. */
void list_cursor_write(const projection_position_t *position, char out[LIST_CURSOR_SIZE]);
/* False: it is none. */
MUST_USE bool list_cursor_read(text_t cursor, projection_position_t *position);

#endif
