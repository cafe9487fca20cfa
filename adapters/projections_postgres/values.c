/* Binary values: see the header. Integers travel with their highest byte first. */
#include "adapters/projections_postgres/values.h"
#include <assert.h>
#include <stdlib.h>

enum { SIZE_FIRST = 4096 };

static uint8_t *room_take(value_list_t *list, size_t size)
{
    const size_t needed = list->size + size;
    if (needed > list->capacity) {
        size_t capacity = list->capacity == 0 ? SIZE_FIRST : list->capacity;
        while (capacity < needed) { /* bounded by the size of a commit */
            capacity *= 2;
        }
        list->bytes = realloc(list->bytes, capacity);
        assert(list->bytes != NULL);
        list->capacity = capacity;
    }
    uint8_t *const room = list->bytes + list->size;
    list->size = needed;
    return room;
}

static void number_add(value_list_t *list, uint64_t value, size_t size)
{
    uint8_t *const out = room_take(list, size);
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
}

static void bytes_add(value_list_t *list, const void *data, size_t size)
{
    uint8_t *const room = room_take(list, size);
    if (size > 0) {
        memcpy(room, data, size);
    }
}

static void value_begin(value_list_t *list, bool is_null)
{
    assert(list->count < VALUE_LIST_MAX);
    list->offsets[list->count] = list->size;
    list->is_null[list->count] = is_null;
}

static void value_end(value_list_t *list)
{
    const size_t size = list->size - list->offsets[list->count];
    assert(size <= INT32_MAX);
    list->lengths[list->count] = (int)size;
    list->formats[list->count] = 1;
    list->count++;
}

void value_list_finish(value_list_t *list)
{
    (void)room_take(list, 1); /* so that an empty value has an address */
    for (int i = 0; i < list->count; i++) {
        list->values[i] = list->is_null[i] ? NULL : (const char *)list->bytes + list->offsets[i];
    }
}

void value_list_release(value_list_t *list)
{
    free(list->bytes);
    *list = (value_list_t){0};
}

void value_list_integer(value_list_t *list, int64_t value)
{
    value_begin(list, false);
    number_add(list, (uint64_t)value, 8);
    value_end(list);
}

void value_list_bytes(value_list_t *list, const void *data, size_t size)
{
    value_begin(list, false);
    bytes_add(list, data, size);
    value_end(list);
}

void value_list_null(value_list_t *list)
{
    value_begin(list, true);
    value_end(list);
}

/* Dimensions, whether there are NULLs, type, then per dimension size and lower bound. */
void value_list_array_begin(value_list_t *list, uint32_t type, size_t count)
{
    value_begin(list, false);
    number_add(list, count == 0 ? 0 : 1, 4);
    number_add(list, 0, 4);
    number_add(list, type, 4);
    if (count > 0) {
        number_add(list, count, 4);
        number_add(list, 1, 4);
    }
}

void value_list_array_end(value_list_t *list)
{
    value_end(list);
}

void value_list_element_integer(value_list_t *list, int64_t value)
{
    number_add(list, 8, 4);
    number_add(list, (uint64_t)value, 8);
}

void value_list_element_bytes(value_list_t *list, const void *data, size_t size)
{
    number_add(list, size, 4);
    bytes_add(list, data, size);
}
