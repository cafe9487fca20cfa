/* Query parameters into the message of a read: the message's own fields say which parameters there
 * are, so that no second list exists. Strict: unknown, repeated and malformed ones are refused by
 * name. */
#ifndef ADAPTERS_HTTP_QUERY_H
#define ADAPTERS_HTTP_QUERY_H

#include "messages/message.h"

enum { QUERY_NAME_SIZE = 48, QUERY_DETAIL_SIZE = 160 };

typedef struct query_fault {
    char name[QUERY_NAME_SIZE]; /* of the parameter, cut; only visible ASCII */
    char detail[QUERY_DETAIL_SIZE];
} query_fault_t;

/* `message` is zeroed first; decoded texts live in `arena`. Fields in the path are not parameters.
 */
bool query_read(text_t query, const message_type_t *type, arena_t *arena, void *message,
                query_fault_t *fault);

/* Next "name=value" of a raw query, split but not decoded; false at the end. */
bool query_next(text_t *rest, text_t *name, text_t *value);

#endif
