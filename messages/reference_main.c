/* Prints docs/messages.md from the tables. Reads nothing. */
#include "messages/messages.h"

#include <inttypes.h>
#include <stdio.h>

enum { CELL_SIZE = 128 };

static void type_write(const message_field_t *field, char out[CELL_SIZE])
{
    const uint64_t max = field->max;
    switch (field->type) {
    case FIELD_TYPE_TEXT:
        (void)snprintf(out, CELL_SIZE, "text, %" PRIu64 " bytes", max);
        break;
    case FIELD_TYPE_CODE:
        (void)snprintf(out, CELL_SIZE, "any text, %" PRIu64 " characters", max);
        break;
    case FIELD_TYPE_BYTES:
        (void)snprintf(out, CELL_SIZE, "binary, %" PRIu64 " bytes", max);
        break;
    case FIELD_TYPE_UUID:
        (void)snprintf(out, CELL_SIZE, "UUID");
        break;
    case FIELD_TYPE_TIME:
        (void)snprintf(out, CELL_SIZE, "time");
        break;
    case FIELD_TYPE_UNSIGNED:
        (void)snprintf(out, CELL_SIZE, "whole number, 0 to %" PRIu64, max);
        break;
    case FIELD_TYPE_NUMBER:
        (void)snprintf(out, CELL_SIZE, "number, ±%" PRIu64, max);
        break;
    case FIELD_TYPE_BOOL:
        (void)snprintf(out, CELL_SIZE, "boolean");
        break;
    case FIELD_TYPE_ENUM:
        (void)snprintf(out, CELL_SIZE, "[%s](#enum-%s)", field->enumeration->name,
                       field->enumeration->name);
        break;
    case FIELD_TYPE_MESSAGE:
        (void)snprintf(out, CELL_SIZE, "[%s](#%s)", field->message->name, field->message->name);
        break;
    case FIELD_TYPE_LIST:
        (void)snprintf(out, CELL_SIZE, "list of [%s](#%s), %" PRIu64, field->message->name,
                       field->message->name, max);
        break;
    case FIELD_TYPE_COLLECTION:
        (void)snprintf(out, CELL_SIZE, "array or object, %" PRIu64 " elements", max);
        break;
    }
}

static const char *presence_name(field_presence_t presence)
{
    static const char *const names[] = {
        [FIELD_REQUIRED] = "required", [FIELD_OPTIONAL] = "optional", [FIELD_NULLABLE] = "nullable",
        [FIELD_PATH] = "path",         [FIELD_INTERNAL] = "internal",
    };
    return names[presence];
}

static void message_print(const message_type_t *type)
{
    printf("\n### <a id=\"%s\"></a>%s\n\n%s.\n\n", type->name, type->name, type->doc);
    printf("| id | field | type | presence | meaning |\n|---|---|---|---|---|\n");
    for (uint16_t i = 0; i < type->field_count; i++) {
        const message_field_t *field = &type->fields[i];
        char cell[CELL_SIZE] = "";
        type_write(field, cell);
        printf("| %u | `%s` | %s | %s | %s |\n", (unsigned)field->id, field->name, cell,
               presence_name(field->presence), field->doc);
    }
}

static void enum_print(const enum_type_t *type)
{
    printf("\n### <a id=\"enum-%s\"></a>%s\n\n%s.\n\n", type->name, type->name, type->doc);
    printf("| number | name |\n|---|---|\n");
    for (uint8_t i = 0; i < type->count; i++) {
        if (type->names[i] != NULL) {
            printf("| %u | `%s` |\n", (unsigned)i, type->names[i]);
        }
    }
}

int main(void)
{
    printf(
        "# Messages\n\n"
        "Made by `digitalcard_reference` from `messages/*.def`; do not edit. After a change:\n"
        "`build/messages/digitalcard_reference > docs/messages.md`.\n\n"
        "Each message has three forms. JSON (HTTP) and msgpack with names (ROUTER API) show the\n"
        "field names below, and a decoder refuses unknown ones by name. Msgpack with ids, between\n"
        "roles and in the journal, uses the ids, which are for ever, and skips unknown ones.\n\n"
        "| type | JSON and msgpack with names | msgpack with ids |\n|---|---|---|\n"
        "| text | string, UTF-8 without control characters; a required one is not empty | the same "
        "|\n"
        "| any text | string, UTF-8, whatever it says | the same |\n"
        "| binary | not shown in JSON; bin | bin |\n"
        "| UUID | string of 36 characters | bin of 16 bytes |\n"
        "| time | RFC 3339 string, years 1970 to 9998 | ms since 1970, UTC |\n"
        "| whole number, number, boolean | the same | the same |\n"
        "| enum | its name | its number |\n"
        "| array or object | shown as an empty array | the number of elements |\n\n"
        "| presence | |\n|---|---|\n"
        "| required | decoding without it fails |\n"
        "| optional | left out when absent; null means absent |\n"
        "| nullable | null when absent; left out with ids |\n"
        "| path | part of the path on HTTP and refused in the body; required in msgpack with "
        "names |\n"
        "| internal | only in msgpack with ids |\n\n"
        "Arrays and maps may be nested %d deep, JSON and msgpack with names may have %d bytes, "
        "and JSON %d values.\n\n"
        "## Messages\n",
        MESSAGE_DEPTH_MAX, MESSAGE_INPUT_SIZE_MAX, MESSAGE_JSON_VALUES_MAX);
    for (size_t i = 0; i < message_types_count; i++) {
        message_print(message_types[i]);
    }
    printf("\n## Enumerations\n");
    for (size_t i = 0; i < enum_types_count; i++) {
        enum_print(enum_types[i]);
    }
    return 0;
}
