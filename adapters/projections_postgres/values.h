/* Values of one statement in PostgreSQL's binary form. Knows nothing of projections. */
#ifndef ADAPTERS_PROJECTIONS_POSTGRES_VALUES_H
#define ADAPTERS_PROJECTIONS_POSTGRES_VALUES_H

#include "messages/text.h"

enum { VALUE_LIST_MAX = 12 };

/* Types of elements (pg_type.dat; they are for ever). */
enum { ELEMENT_BYTEA = 17, ELEMENT_INT8 = 20, ELEMENT_UUID = 2950 };

typedef struct value_list {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    int count;
    size_t offsets[VALUE_LIST_MAX];
    const char *values[VALUE_LIST_MAX]; /* after value_list_finish */
    int lengths[VALUE_LIST_MAX];
    int formats[VALUE_LIST_MAX];
    bool is_null[VALUE_LIST_MAX];
} value_list_t;

void value_list_finish(value_list_t *list);
void value_list_release(value_list_t *list);

void value_list_integer(value_list_t *list, int64_t value); /* int8 */
void value_list_bytes(value_list_t *list, const void *data, size_t size);
void value_list_null(value_list_t *list);
/* An array of `count` elements, each added by one of the two functions below. */
void value_list_array_begin(value_list_t *list, uint32_t type, size_t count);
void value_list_array_end(value_list_t *list);
void value_list_element_integer(value_list_t *list, int64_t value);
void value_list_element_bytes(value_list_t *list, const void *data, size_t size);

#endif
