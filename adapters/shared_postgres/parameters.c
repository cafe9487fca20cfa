/* Binary parameters: see the header. Integers travel with their highest byte first. */
#include "adapters/shared_postgres/parameters.h"
#include <assert.h>
#include <stdlib.h>

enum { SIZE_FIRST = 4096 };

static uint8_t *room_take(parameters_t *parameters, size_t size)
{
    const size_t needed = parameters->size + size;
    if (needed > parameters->capacity) {
        size_t capacity = parameters->capacity == 0 ? SIZE_FIRST : parameters->capacity;
        while (capacity < needed) { /* bounded by the size of a batch or commit */
            capacity *= 2;
        }
        parameters->bytes = realloc(parameters->bytes, capacity);
        assert(parameters->bytes != NULL);
        parameters->capacity = capacity;
    }
    uint8_t *const room = parameters->bytes + parameters->size;
    parameters->size = needed;
    return room;
}

static void big_endian_put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
}

static void number_add(parameters_t *parameters, uint64_t value, size_t size)
{
    big_endian_put(room_take(parameters, size), value, size);
}

static void bytes_add(parameters_t *parameters, const void *data, size_t size)
{
    uint8_t *const room = room_take(parameters, size);
    if (size > 0) {
        memcpy(room, data, size);
    }
}

/* --- Parameters --- */

void parameters_reset(parameters_t *parameters)
{
    parameters->size = 0;
    parameters->count = 0;
}

void parameters_release(parameters_t *parameters)
{
    free(parameters->bytes);
    *parameters = (parameters_t){0};
}

static void parameter_begin(parameters_t *parameters, bool is_null)
{
    assert(parameters->count < PARAMETERS_MAX);
    parameters->offsets[parameters->count] = parameters->size;
    parameters->is_null[parameters->count] = is_null;
}

static void parameter_end(parameters_t *parameters)
{
    const int index = parameters->count;
    const size_t size = parameters->size - parameters->offsets[index];
    assert(size <= INT32_MAX);
    parameters->lengths[index] = (int)size;
    parameters->formats[index] = 1;
    parameters->count++;
}

void parameters_finish(parameters_t *parameters)
{
    (void)room_take(parameters, 1); /* so that an empty value has an address */
    for (int i = 0; i < parameters->count; i++) {
        parameters->values[i] = parameters->is_null[i]
                                    ? NULL
                                    : (const char *)parameters->bytes + parameters->offsets[i];
    }
}

void parameter_integer(parameters_t *parameters, int64_t value)
{
    parameter_begin(parameters, false);
    number_add(parameters, (uint64_t)value, 8);
    parameter_end(parameters);
}

void parameter_bytes(parameters_t *parameters, text_t value)
{
    parameter_begin(parameters, false);
    bytes_add(parameters, value.data, value.size);
    parameter_end(parameters);
}

void parameter_uuid(parameters_t *parameters, const uuid_t *value)
{
    parameter_begin(parameters, false);
    bytes_add(parameters, value->bytes, sizeof value->bytes);
    parameter_end(parameters);
}

void parameter_null(parameters_t *parameters)
{
    parameter_begin(parameters, true);
    parameter_end(parameters);
}

/* --- Arrays: dimensions, whether there are NULLs, type, then per dimension size and lower bound
 * --- */

void parameter_array_begin(parameters_t *parameters, uint32_t type, size_t count)
{
    parameter_begin(parameters, false);
    number_add(parameters, count == 0 ? 0 : 1, 4);
    number_add(parameters, 1, 4); /* there may be NULLs */
    number_add(parameters, type, 4);
    if (count > 0) {
        number_add(parameters, count, 4);
        number_add(parameters, 1, 4);
    }
}

void parameter_array_end(parameters_t *parameters)
{
    parameter_end(parameters);
}

void element_int8(parameters_t *parameters, int64_t value)
{
    number_add(parameters, 8, 4);
    number_add(parameters, (uint64_t)value, 8);
}

void element_int4(parameters_t *parameters, int32_t value)
{
    number_add(parameters, 4, 4);
    number_add(parameters, (uint32_t)value, 4);
}

void element_int2(parameters_t *parameters, int16_t value)
{
    number_add(parameters, 2, 4);
    number_add(parameters, (uint16_t)value, 2);
}

void element_bool(parameters_t *parameters, bool value)
{
    number_add(parameters, 1, 4);
    number_add(parameters, value ? 1 : 0, 1);
}

void element_bytes(parameters_t *parameters, text_t value)
{
    number_add(parameters, value.size, 4);
    bytes_add(parameters, value.data, value.size);
}

void element_uuid(parameters_t *parameters, const uuid_t *value)
{
    number_add(parameters, sizeof value->bytes, 4);
    bytes_add(parameters, value->bytes, sizeof value->bytes);
}

void element_null(parameters_t *parameters)
{
    number_add(parameters, UINT32_MAX, 4);
}
