/* Structs to JSON (RFC 8259), written straight into the caller's buffer. */
#include "messages/message_internal.h"
#include "messages/rfc3339.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_SIZE = 32 }; /* "-1.7976931348623157e+308" and room */

typedef struct json_writer {
    message_writer_t writer;
    size_t depth;
    message_walk_t levels[MESSAGE_DEPTH_MAX];
} json_writer_t;

static void put_string(message_writer_t *writer, const char *string)
{
    writer_put(writer, string, strlen(string));
}

static bool needs_escape(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

/* Bytes at the beginning of `text` that stand for themselves: eight at a time while none of the
 * eight is special. The borrow tricks may see a special byte where there is none (then the slow
 * loop decides), but never miss one. */
static size_t plain_size(text_t text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    const uint8_t *bytes = (const uint8_t *)text.data;
    size_t at = 0;
    uint64_t word;
    while (text.size - at >= sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        const uint64_t quote = word ^ (ones * '"');
        const uint64_t backslash = word ^ (ones * '\\');
        const uint64_t special = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
                                 ((backslash - ones) & ~backslash);
        if ((special & highs) != 0) {
            break;
        }
        at += sizeof(word);
    }
    while (at < text.size && !needs_escape(bytes[at])) {
        at++;
    }
    return at;
}

static void put_escaped(message_writer_t *writer, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                  ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    writer_put_byte(writer, '\\');
    if (shorts[byte] != 0) {
        writer_put_byte(writer, (uint8_t)shorts[byte]);
        return;
    }
    const char unicode[] = {'u', '0', '0', digits[byte >> 4], digits[byte & 15U]};
    writer_put(writer, unicode, sizeof(unicode));
}

static void put_text(message_writer_t *writer, text_t text)
{
    writer_put_byte(writer, '"');
    while (text.size > 0) {
        const size_t plain = plain_size(text);
        writer_put(writer, text.data, plain);
        if (plain == text.size) {
            break;
        }
        put_escaped(writer, (uint8_t)text.data[plain]);
        text = (text_t){.data = text.data + plain + 1, .size = text.size - plain - 1};
    }
    writer_put_byte(writer, '"');
}

static void put_unsigned(message_writer_t *writer, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        at--;
        digits[at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    writer_put(writer, digits + at, sizeof(digits) - at);
}

/* The shorter of the two forms that reads back as the same number. */
static void put_number(message_writer_t *writer, double value)
{
    char text[NUMBER_SIZE];
    (void)snprintf(text, sizeof(text), "%.15g", value);
    const double read_back = strtod(text, NULL);
    if (memcmp(&read_back, &value, sizeof(value)) != 0) {
        (void)snprintf(text, sizeof(text), "%.17g", value);
    }
    put_string(writer, text);
}

static void put_uuid(message_writer_t *writer, const uuid_t *uuid)
{
    char text[UUID_TEXT_SIZE + 2];
    text[0] = '"';
    uuid_format(uuid, text + 1);
    text[sizeof(text) - 1] = '"';
    writer_put(writer, text, sizeof(text));
}

static void put_time(message_writer_t *writer, int64_t ms)
{
    char text[RFC3339_TEXT_SIZE + 2];
    text[0] = '"';
    rfc3339_format(ms, text + 1);
    text[sizeof(text) - 1] = '"';
    writer_put(writer, text, sizeof(text));
}

static void message_open(json_writer_t *json, message_walk_t *level)
{
    level->left = message_fields_written(level->type, level->message, MESSAGE_FORM_JSON);
    level->is_first = true;
    writer_put_byte(&json->writer, '{');
}

static void level_push(json_writer_t *json, const message_type_t *type, const uint8_t *messages,
                       uint32_t count, bool is_list)
{
    assert(json->depth < MESSAGE_DEPTH_MAX);
    message_walk_t *level = &json->levels[json->depth];
    *level = (message_walk_t){
        .type = type, .message = messages, .siblings = count - 1, .is_list = is_list};
    json->depth++;
    message_open(json, level);
}

static void put_list(json_writer_t *json, const message_field_t *field, const uint8_t *message)
{
    const uint8_t *elements = *(const uint8_t *const *)(const void *)(message + field->offset);
    const uint32_t count = *(const uint32_t *)(const void *)(message + field->count_offset);
    assert(count <= field->max);
    writer_put_byte(&json->writer, '[');
    if (count == 0) {
        writer_put_byte(&json->writer, ']');
    } else {
        level_push(json, field->message, elements, count, true);
    }
}

/* Writes one present field; nested messages become the innermost level. */
static void put_value(json_writer_t *json, const message_field_t *field, const uint8_t *message)
{
    const void *member = message + field->offset;
    message_writer_t *writer = &json->writer;
    message_value_assert(field, member);
    switch (field->type) {
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_CODE:
        put_text(writer, *(const text_t *)member);
        break;
    case FIELD_TYPE_UUID:
        put_uuid(writer, member);
        break;
    case FIELD_TYPE_TIME:
        put_time(writer, *(const int64_t *)member);
        break;
    case FIELD_TYPE_UNSIGNED:
        put_unsigned(writer, *(const uint64_t *)member);
        break;
    case FIELD_TYPE_NUMBER:
        put_number(writer, *(const double *)member);
        break;
    case FIELD_TYPE_BOOL:
        put_string(writer, *(const bool *)member ? "true" : "false");
        break;
    case FIELD_TYPE_ENUM:
        put_text(writer, enum_name(field->enumeration, *(const uint8_t *)member));
        break;
    case FIELD_TYPE_COLLECTION:
        put_string(writer, "[]");
        break;
    case FIELD_TYPE_MESSAGE:
        level_push(json, field->message, member, 1, false);
        break;
    case FIELD_TYPE_LIST:
        put_list(json, field, message);
        break;
    case FIELD_TYPE_BYTES:
        assert(false && "bytes are never shown in JSON");
        break;
    }
}

static void put_field(json_writer_t *json, message_walk_t *level)
{
    const message_field_t *field = message_walk_next(level);
    if (!level->is_first) {
        writer_put_byte(&json->writer, ',');
    }
    level->is_first = false;
    writer_put(&json->writer, field->json_key, field->name_size + 3);
    const uint64_t present = *(const uint64_t *)(const void *)level->message;
    if ((present & message_field_bit(field)) == 0) {
        put_string(&json->writer, "null");
    } else {
        put_value(json, field, level->message);
    }
}

size_t message_to_json(const message_type_t *type, const void *message, char *out, size_t capacity)
{
    json_writer_t json;
    json.writer = (message_writer_t){.out = (uint8_t *)out, .capacity = capacity};
    json.depth = 0;
    level_push(&json, type, message, 1, false);
    while (json.depth > 0) {
        message_walk_t *level = &json.levels[json.depth - 1];
        if (level->left != 0) {
            put_field(&json, level);
            continue;
        }
        writer_put_byte(&json.writer, '}');
        if (level->siblings > 0) {
            level->siblings--;
            level->message += level->type->size;
            writer_put_byte(&json.writer, ',');
            message_open(&json, level);
            continue;
        }
        if (level->is_list) {
            writer_put_byte(&json.writer, ']');
        }
        json.depth--;
    }
    return json.writer.size;
}
