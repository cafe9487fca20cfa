/* Structs to msgpack, written straight into the caller's buffer: no library, no allocation, since
 * every validation passes here several times. */
#include "messages/message_internal.h"
#include "messages/rfc3339.h"

#include <assert.h>

typedef struct packer {
    message_writer_t writer;
    message_form_t form;
    size_t depth;
    message_walk_t levels[MESSAGE_DEPTH_MAX];
} packer_t;

/* A type byte and `size` bytes of `value`, big-endian. */
static void put_big_endian(message_writer_t *writer, uint8_t type, uint64_t value, size_t size)
{
    const uint64_t swapped = __builtin_bswap64(value << (64 - 8 * size));
    writer_put_byte(writer, type);
    if (writer->size + sizeof(swapped) <= writer->capacity) { /* what follows overwrites the rest */
        memcpy(writer->out + writer->size, &swapped, sizeof(swapped));
        writer->size += size;
    } else {
        writer_put(writer, &swapped, size);
    }
}

static void put_large_unsigned(message_writer_t *writer, uint64_t value)
{
    if (value <= UINT8_MAX) {
        put_big_endian(writer, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        put_big_endian(writer, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        put_big_endian(writer, 0xce, value, 4);
    } else {
        put_big_endian(writer, 0xcf, value, 8);
    }
}

static inline void put_unsigned(message_writer_t *writer, uint64_t value)
{
    if (value < 0x80) { /* ids of fields, nearly always */
        writer_put_byte(writer, (uint8_t)value);
    } else {
        put_large_unsigned(writer, value);
    }
}

static void put_number(message_writer_t *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_big_endian(writer, 0xcb, bits, 8);
}

static void put_text(message_writer_t *writer, const char *data, size_t size)
{
    if (size < 32) {
        writer_put_byte(writer, (uint8_t)(0xa0U | size));
    } else if (size <= UINT8_MAX) {
        put_big_endian(writer, 0xd9, size, 1);
    } else if (size <= UINT16_MAX) {
        put_big_endian(writer, 0xda, size, 2);
    } else {
        put_big_endian(writer, 0xdb, size, 4);
    }
    writer_put(writer, data, size);
}

static void put_bytes(message_writer_t *writer, const void *data, size_t size)
{
    if (size <= UINT8_MAX) {
        put_big_endian(writer, 0xc4, size, 1);
    } else if (size <= UINT16_MAX) {
        put_big_endian(writer, 0xc5, size, 2);
    } else {
        put_big_endian(writer, 0xc6, size, 4);
    }
    writer_put(writer, data, size);
}

static void put_array_header(message_writer_t *writer, uint32_t count)
{
    if (count < 16) {
        writer_put_byte(writer, (uint8_t)(0x90U | count));
    } else if (count <= UINT16_MAX) {
        put_big_endian(writer, 0xdc, count, 2);
    } else {
        put_big_endian(writer, 0xdd, count, 4);
    }
}

static void put_map_header(message_writer_t *writer, uint32_t count)
{
    if (count < 16) {
        writer_put_byte(writer, (uint8_t)(0x80U | count));
    } else {
        put_big_endian(writer, 0xde, count, 2);
    }
}

/* Writes the head of one message and makes its fields the next to be written. */
static void message_open(packer_t *packer, message_walk_t *level)
{
    level->left = message_fields_written(level->type, level->message, packer->form);
    put_map_header(&packer->writer, (uint32_t)__builtin_popcountll(level->left));
}

static void level_push(packer_t *packer, const message_type_t *type, const uint8_t *messages,
                       uint32_t count)
{
    assert(packer->depth < MESSAGE_DEPTH_MAX);
    message_walk_t *level = &packer->levels[packer->depth];
    *level = (message_walk_t){.type = type, .message = messages, .siblings = count - 1};
    packer->depth++;
    message_open(packer, level);
}

/* What ids carry in binary and names as text. */
static void put_uuid(packer_t *packer, const uuid_t *uuid)
{
    if (packer->form == MESSAGE_FORM_IDS) {
        put_bytes(&packer->writer, uuid->bytes, sizeof(uuid->bytes));
        return;
    }
    char text[UUID_TEXT_SIZE];
    uuid_format(uuid, text);
    put_text(&packer->writer, text, sizeof(text));
}

static void put_time(packer_t *packer, int64_t ms)
{
    if (packer->form == MESSAGE_FORM_IDS) {
        put_unsigned(&packer->writer, (uint64_t)ms);
        return;
    }
    char text[RFC3339_TEXT_SIZE];
    rfc3339_format(ms, text);
    put_text(&packer->writer, text, sizeof(text));
}

static void put_enum(packer_t *packer, const enum_type_t *type, uint8_t value)
{
    if (packer->form == MESSAGE_FORM_IDS) {
        put_unsigned(&packer->writer, value);
        return;
    }
    const text_t name = enum_name(type, value);
    put_text(&packer->writer, name.data, name.size);
}

static void put_collection(packer_t *packer, uint32_t count)
{
    if (packer->form == MESSAGE_FORM_IDS) {
        put_unsigned(&packer->writer, count);
    } else {
        put_array_header(&packer->writer, 0);
    }
}

static void put_list(packer_t *packer, const message_field_t *field, const uint8_t *message)
{
    const uint8_t *elements = *(const uint8_t *const *)(const void *)(message + field->offset);
    const uint32_t count = *(const uint32_t *)(const void *)(message + field->count_offset);
    assert(count <= field->max);
    put_array_header(&packer->writer, count);
    if (count > 0) {
        level_push(packer, field->message, elements, count);
    }
}

/* Writes one present field; nested messages become the innermost level. */
static void put_value(packer_t *packer, const message_field_t *field, const uint8_t *message)
{
    const void *member = message + field->offset;
    message_writer_t *writer = &packer->writer;
    message_value_assert(field, member);
    switch (field->type) {
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_CODE:
        put_text(writer, ((const text_t *)member)->data, ((const text_t *)member)->size);
        break;
    case FIELD_TYPE_BYTES:
        put_bytes(writer, ((const text_t *)member)->data, ((const text_t *)member)->size);
        break;
    case FIELD_TYPE_UUID:
        put_uuid(packer, member);
        break;
    case FIELD_TYPE_TIME:
        put_time(packer, *(const int64_t *)member);
        break;
    case FIELD_TYPE_UNSIGNED:
        put_unsigned(writer, *(const uint64_t *)member);
        break;
    case FIELD_TYPE_NUMBER:
        put_number(writer, *(const double *)member);
        break;
    case FIELD_TYPE_BOOL:
        writer_put_byte(writer, *(const bool *)member ? 0xc3 : 0xc2);
        break;
    case FIELD_TYPE_ENUM:
        put_enum(packer, field->enumeration, *(const uint8_t *)member);
        break;
    case FIELD_TYPE_COLLECTION:
        put_collection(packer, *(const uint32_t *)member);
        break;
    case FIELD_TYPE_MESSAGE:
        level_push(packer, field->message, member, 1);
        break;
    case FIELD_TYPE_LIST:
        put_list(packer, field, message);
        break;
    }
}

static void put_field(packer_t *packer, message_walk_t *level)
{
    const message_field_t *field = message_walk_next(level);
    if (packer->form == MESSAGE_FORM_IDS) {
        put_unsigned(&packer->writer, field->id);
    } else {
        put_text(&packer->writer, field->name, field->name_size);
    }
    const uint64_t present = *(const uint64_t *)(const void *)level->message;
    if ((present & message_field_bit(field)) == 0) {
        writer_put_byte(&packer->writer, 0xc0);
    } else {
        put_value(packer, field, level->message);
    }
}

size_t message_pack(const message_type_t *type, const void *message, message_keys_t keys,
                    uint8_t *out, size_t capacity)
{
    packer_t packer;
    packer.writer = (message_writer_t){.out = out, .capacity = capacity};
    packer.form = keys == MESSAGE_KEYS_IDS ? MESSAGE_FORM_IDS : MESSAGE_FORM_NAMES;
    packer.depth = 0;
    level_push(&packer, type, message, 1);
    while (packer.depth > 0) {
        message_walk_t *level = &packer.levels[packer.depth - 1];
        if (level->left != 0) {
            put_field(&packer, level);
        } else if (level->siblings > 0) {
            level->siblings--;
            level->message += level->type->size;
            message_open(&packer, level);
        } else {
            packer.depth--;
        }
    }
    return packer.writer.size;
}
