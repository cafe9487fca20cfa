/* Why decoding failed, for machines (kind and path) and for people (one sentence). Quotes no more
 * than the beginning of the input, and only printable ASCII of it. */
#include "messages/message_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { EXPECTATION_SIZE = 112 };

void message_fault_clear(message_fault_t *fault)
{
    fault->kind = MESSAGE_FAULT_NONE;
    fault->field[0] = '\0';
    fault->detail[0] = '\0';
}

static char printable(char c)
{
    return c >= 0x20 && c <= 0x7e ? c : '?';
}

/* Appends to a C string within `size` bytes, NUL included. */
static void string_add(char *string, size_t size, text_t text)
{
    size_t at = strnlen(string, size - 1);
    for (size_t i = 0; i < text.size && at + 1 < size; i++) {
        string[at] = printable(text.data[i]);
        at++;
    }
    string[at] = '\0';
}

void fault_path_add_name(message_fault_t *fault, text_t name)
{
    if (fault->field[0] != '\0') {
        string_add(fault->field, sizeof(fault->field), TEXT_LITERAL("."));
    }
    string_add(fault->field, sizeof(fault->field), name);
}

void fault_path_add_index(message_fault_t *fault, uint32_t index)
{
    char text[16];
    const int size = snprintf(text, sizeof(text), "[%" PRIu32 "]", index);
    string_add(fault->field, sizeof(fault->field), (text_t){.data = text, .size = (size_t)size});
}

static void path_write(const message_reader_t *reader)
{
    for (size_t i = 1; i < reader->depth; i++) {
        const message_level_t *level = &reader->levels[i];
        fault_path_add_name(reader->fault, text_from_c(level->field->name));
        if (level->is_list) {
            fault_path_add_index(reader->fault, level->index);
        }
    }
    if (reader->name.size > 0) {
        fault_path_add_name(reader->fault, reader->name);
    }
}

bool fault_set(message_reader_t *reader, message_fault_kind_t kind, const char *format, ...)
{
    message_fault_t *fault = reader->fault;
    message_fault_clear(fault);
    fault->kind = kind;
    path_write(reader);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->detail, sizeof(fault->detail), format, arguments);
    va_end(arguments);
    return false;
}

/* `one of "in", "out"`, cut with "…" when there are too many. */
static void enum_names_write(const enum_type_t *type, char out[EXPECTATION_SIZE])
{
    const char *separator = "one of ";
    out[0] = '\0';
    for (uint8_t i = 0; i < type->count; i++) {
        if (type->names[i] == NULL) {
            continue;
        }
        if (strlen(out) + strlen(type->names[i]) + sizeof(", \"\", ...") > EXPECTATION_SIZE) {
            string_add(out, EXPECTATION_SIZE, TEXT_LITERAL(", ..."));
            return;
        }
        string_add(out, EXPECTATION_SIZE, text_from_c(separator));
        string_add(out, EXPECTATION_SIZE, TEXT_LITERAL("\""));
        string_add(out, EXPECTATION_SIZE, text_from_c(type->names[i]));
        string_add(out, EXPECTATION_SIZE, TEXT_LITERAL("\""));
        separator = ", ";
    }
}

/* What the field wants, as it stands after "must be". */
static void expectation_write(const message_reader_t *reader, const message_field_t *field,
                              char out[EXPECTATION_SIZE])
{
    const uint64_t max = field->max;
    switch (field->type) {
    case FIELD_TYPE_TEXT:
        (void)snprintf(out, EXPECTATION_SIZE,
                       "a text of %s%" PRIu64 " bytes, without control characters",
                       message_field_is_needed(field, reader->form) ? "1 to " : "at most ", max);
        break;
    case FIELD_TYPE_CODE:
        (void)snprintf(out, EXPECTATION_SIZE, "a text of at most %" PRIu64 " characters", max);
        break;
    case FIELD_TYPE_BYTES:
        (void)snprintf(out, EXPECTATION_SIZE, "binary data of at most %" PRIu64 " bytes", max);
        break;
    case FIELD_TYPE_UUID:
        (void)snprintf(out, EXPECTATION_SIZE,
                       "a UUID such as 0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5d");
        break;
    case FIELD_TYPE_TIME:
        (void)snprintf(out, EXPECTATION_SIZE,
                       "an RFC 3339 time such as 2026-01-31T12:00:00Z, between 1970 and 9998");
        break;
    case FIELD_TYPE_UNSIGNED:
        (void)snprintf(out, EXPECTATION_SIZE, "a whole number from 0 to %" PRIu64, max);
        break;
    case FIELD_TYPE_NUMBER:
        (void)snprintf(out, EXPECTATION_SIZE, "a number from -%" PRIu64 " to %" PRIu64, max, max);
        break;
    case FIELD_TYPE_BOOL:
        (void)snprintf(out, EXPECTATION_SIZE, "true or false");
        break;
    case FIELD_TYPE_ENUM:
        enum_names_write(field->enumeration, out);
        break;
    case FIELD_TYPE_MESSAGE:
        (void)snprintf(out, EXPECTATION_SIZE, "an object");
        break;
    case FIELD_TYPE_LIST:
        (void)snprintf(out, EXPECTATION_SIZE, "an array of at most %" PRIu64 " objects", max);
        break;
    case FIELD_TYPE_COLLECTION:
        (void)snprintf(out, EXPECTATION_SIZE, "an array or object of at most %" PRIu64 " elements",
                       max);
        break;
    }
}

bool fault_wrong_type(message_reader_t *reader, const message_field_t *field, const char *found)
{
    char expectation[EXPECTATION_SIZE];
    expectation_write(reader, field, expectation);
    return fault_set(reader, MESSAGE_FAULT_WRONG_TYPE, "%s must be %s; it was %s", field->name,
                     expectation, found);
}

bool fault_invalid(message_reader_t *reader, const message_field_t *field, text_t found)
{
    char expectation[EXPECTATION_SIZE];
    char excerpt[MESSAGE_EXCERPT_SIZE + 1] = "";
    expectation_write(reader, field, expectation);
    string_add(excerpt, sizeof(excerpt), found);
    return fault_set(reader, MESSAGE_FAULT_INVALID_VALUE, "%s must be %s; it was \"%s%s\"",
                     field->name, expectation, excerpt,
                     found.size > MESSAGE_EXCERPT_SIZE ? "..." : "");
}

bool fault_too_long(message_reader_t *reader, const message_field_t *field, uint64_t found)
{
    char expectation[EXPECTATION_SIZE];
    expectation_write(reader, field, expectation);
    const bool is_value = field->type == FIELD_TYPE_UNSIGNED;
    return fault_set(reader, MESSAGE_FAULT_TOO_LONG, "%s must be %s; it %s %" PRIu64, field->name,
                     expectation, is_value ? "was" : "had", found);
}

bool fault_unknown_field(message_reader_t *reader)
{
    const message_type_t *type = reader_level(reader)->type;
    char excerpt[MESSAGE_EXCERPT_SIZE + 1] = "";
    char known[128] = "";
    string_add(excerpt, sizeof(excerpt), reader->name);
    for (uint16_t i = 0; i < type->field_count; i++) {
        if (message_field_is_shown(&type->fields[i], reader->form)) {
            string_add(known, sizeof(known), text_from_c(known[0] == '\0' ? "" : ", "));
            string_add(known, sizeof(known), text_from_c(type->fields[i].name));
        }
    }
    return fault_set(reader, MESSAGE_FAULT_UNKNOWN_FIELD, "there is no field \"%s\"; known are %s",
                     excerpt, known);
}
