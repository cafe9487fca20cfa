/* See query.h. */
#include "adapters/http/query.h"

#include "adapters/http/percent.h"
#include "messages/rfc3339.h"
#include "runtime/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { UNSIGNED_DIGITS_MAX = 16 }; /* of 2^53 */

static bool refuse(query_fault_t *fault, text_t name, const char *detail)
{
    size_t size = name.size < QUERY_NAME_SIZE - 1 ? name.size : QUERY_NAME_SIZE - 1;
    for (size_t i = 0; i < size; i++) {
        const char character = name.data[i];
        fault->name[i] = character > ' ' && character <= '~' ? character : '?';
    }
    fault->name[size] = '\0';
    (void)snprintf(fault->detail, sizeof(fault->detail), "%s", detail);
    return false;
}

bool query_next(text_t *rest, text_t *name, text_t *value)
{
    if (rest->size == 0) {
        return false;
    }
    const char *ampersand = memchr(rest->data, '&', rest->size);
    const size_t size = ampersand == NULL ? rest->size : (size_t)(ampersand - rest->data);
    const text_t part = {.data = rest->data, .size = size};
    const size_t used = ampersand == NULL ? size : size + 1;
    *rest = (text_t){.data = rest->data + used, .size = rest->size - used};
    const char *equals = memchr(part.data, '=', part.size);
    const size_t name_size = equals == NULL ? part.size : (size_t)(equals - part.data);
    *name = (text_t){.data = part.data, .size = name_size};
    *value = equals == NULL ? TEXT_NONE
                            : (text_t){.data = equals + 1, .size = part.size - name_size - 1};
    return true;
}

static bool read_text(const message_field_t *field, text_t value, void *member,
                      query_fault_t *fault)
{
    if (value.size == 0 || value.size > field->max) {
        char detail[QUERY_DETAIL_SIZE];
        (void)snprintf(detail, sizeof(detail), "must have 1 to %" PRIu64 " bytes", field->max);
        return refuse(fault, text_from_c(field->name), detail);
    }
    *(text_t *)member = value;
    return true;
}

static bool read_unsigned(const message_field_t *field, text_t value, void *member,
                          query_fault_t *fault)
{
    /* A page of no items asks for nothing, and could never end. */
    const uint64_t least = strcmp(field->name, "limit") == 0 ? 1 : 0;
    bool good = value.size > 0 && value.size <= UNSIGNED_DIGITS_MAX;
    uint64_t number = 0;
    for (size_t i = 0; good && i < value.size; i++) {
        good = value.data[i] >= '0' && value.data[i] <= '9';
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    if (!good || number < least || number > field->max) {
        char detail[QUERY_DETAIL_SIZE];
        (void)snprintf(detail, sizeof(detail),
                       "must be a whole number from %" PRIu64 " to %" PRIu64, least, field->max);
        return refuse(fault, text_from_c(field->name), detail);
    }
    *(uint64_t *)member = number;
    return true;
}

static bool read_value(const message_field_t *field, text_t value, void *member,
                       query_fault_t *fault)
{
    switch (field->type) {
    case FIELD_TYPE_TEXT:
        return read_text(field, value, member, fault);
    case FIELD_TYPE_UNSIGNED:
        return read_unsigned(field, value, member, fault);
    case FIELD_TYPE_TIME:
        return rfc3339_parse(value, member) ||
               refuse(fault, text_from_c(field->name),
                      "must be a moment like 2026-11-20T17:56:48Z, with %2B for a plus");
    case FIELD_TYPE_ENUM:
        return enum_parse(field->enumeration, value, member) ||
               refuse(fault, text_from_c(field->name), "is none of the values that exist");
    default:
        assert(false); /* no read has other parameters */
        return false;
    }
}

static bool read_parameter(text_t name, text_t value, const message_type_t *type, void *message,
                           query_fault_t *fault)
{
    uint64_t *present = message; /* the first member of every message */
    for (uint16_t i = 0; i < type->field_count; i++) {
        const message_field_t *field = &type->fields[i];
        if (field->presence != FIELD_OPTIONAL || !text_equal(name, text_from_c(field->name))) {
            continue;
        }
        if (((*present >> i) & 1U) != 0) {
            return refuse(fault, name, "is there twice");
        }
        if (!read_value(field, value, (uint8_t *)message + field->offset, fault)) {
            return false;
        }
        *present |= UINT64_C(1) << i;
        return true;
    }
    return refuse(fault, name, "is no parameter of this path");
}

/* Decodes into the arena. */
static bool decode(text_t raw, arena_t *arena, text_t *decoded)
{
    char *out = arena_take(arena, raw.size + 1);
    size_t size = 0;
    if (out == NULL || !percent_decode(raw, PERCENT_QUERY, out, &size)) {
        return false;
    }
    *decoded = (text_t){.data = out, .size = size};
    return true;
}

bool query_read(text_t query, const message_type_t *type, arena_t *arena, void *message,
                query_fault_t *fault)
{
    memset(message, 0, type->size);
    text_t raw_name;
    text_t raw_value;
    uint32_t count = 0;
    while (query_next(&query, &raw_name, &raw_value)) {
        text_t name;
        text_t value;
        count++;
        if (count > LIMIT_HTTP_QUERY_PARAMETERS) {
            return refuse(fault, raw_name, "is one parameter too many");
        }
        if (raw_name.size == 0 && raw_value.size == 0) {
            continue; /* "?", "?a=1&" and the like */
        }
        if (!decode(raw_name, arena, &name) || !decode(raw_value, arena, &value)) {
            return refuse(fault, raw_name,
                          "is not percent-encoded UTF-8 without control characters");
        }
        if (!read_parameter(name, value, type, message, fault)) {
            return false;
        }
    }
    return true;
}
