/* msgpack to structs, driven by the table of the message: one pass over the input, which texts
 * borrow, with an explicit stack. Every byte is untrusted. */
#include "messages/message_internal.h"
#include "messages/msgpack_cursor.h"

#include <assert.h>

typedef struct unpacker {
    message_reader_t reader;
    msgpack_cursor_t cursor;
    uint64_t pairs_left[MESSAGE_DEPTH_MAX]; /* of the map of each level */
    /* After the last field read: writers keep the order of the table, and leave absent ones out. */
    const message_field_t *expected[MESSAGE_DEPTH_MAX];
} unpacker_t;

static bool fault_malformed(unpacker_t *unpacker)
{
    return fault_set(&unpacker->reader, MESSAGE_FAULT_MALFORMED,
                     "the input is not msgpack, or ends too early");
}

/* Arrays and maps that are open around the next value. */
static size_t containers_open(const message_reader_t *reader)
{
    size_t count = 0;
    for (size_t i = 0; i < reader->depth; i++) {
        count += reader->levels[i].is_list ? 2 : 1;
    }
    return count;
}

static bool value_skip(unpacker_t *unpacker)
{
    const size_t open = containers_open(&unpacker->reader);
    switch (msgpack_skip(&unpacker->cursor, MESSAGE_DEPTH_MAX - open)) {
    case MSGPACK_SKIPPED:
        return true;
    case MSGPACK_SKIP_TOO_DEEP:
        return fault_set(&unpacker->reader, MESSAGE_FAULT_TOO_DEEP,
                         "arrays and maps may be nested %d deep", MESSAGE_DEPTH_MAX);
    default:
        return fault_malformed(unpacker);
    }
}

/* Reads the head of the map that the innermost level is made from. */
static bool map_open(unpacker_t *unpacker)
{
    message_reader_t *reader = &unpacker->reader;
    msgpack_value_t value;
    if (!msgpack_read(&unpacker->cursor, &value)) {
        return fault_malformed(unpacker);
    }
    if (value.kind != MSGPACK_MAP) {
        return fault_set(reader, MESSAGE_FAULT_WRONG_TYPE, "%s must be a map; it was %s",
                         reader_level(reader)->field->name, msgpack_kind_name(value.kind));
    }
    unpacker->pairs_left[reader->depth - 1] = value.number;
    unpacker->expected[reader->depth - 1] = reader_level(reader)->type->fields;
    return true;
}

static const message_field_t *field_by_id(const message_type_t *type,
                                          const message_field_t *expected, uint64_t id)
{
    for (const message_field_t *field = expected; field < type->fields + type->field_count;
         field++) {
        if (field->id == id) {
            return field;
        }
    }
    for (const message_field_t *field = type->fields; field < expected; field++) {
        if (field->id == id) {
            return field;
        }
    }
    return NULL;
}

static bool name_matches(const message_field_t *field, text_t name)
{
    return field->name_size == name.size && memcmp(field->name, name.data, name.size) == 0;
}

static const message_field_t *field_by_name(const message_type_t *type,
                                            const message_field_t *expected, text_t name)
{
    for (const message_field_t *field = expected; field < type->fields + type->field_count;
         field++) {
        if (name_matches(field, name)) {
            return field;
        }
    }
    for (const message_field_t *field = type->fields; field < expected; field++) {
        if (name_matches(field, name)) {
            return field;
        }
    }
    return NULL;
}

/* Reads a key. `*field` is NULL when the field is unknown and its value to be skipped. */
static bool key_read(unpacker_t *unpacker, const message_field_t **field)
{
    message_reader_t *reader = &unpacker->reader;
    const message_type_t *type = reader_level(reader)->type;
    const message_field_t *const expected = unpacker->expected[reader->depth - 1];
    const bool by_ids = reader->form == MESSAGE_FORM_IDS;
    msgpack_value_t key;
    *field = NULL;
    reader->name = TEXT_NONE;
    if (!msgpack_read(&unpacker->cursor, &key)) {
        return fault_malformed(unpacker);
    }
    if (key.kind != (by_ids ? MSGPACK_UNSIGNED : MSGPACK_TEXT)) {
        return fault_set(reader, MESSAGE_FAULT_WRONG_TYPE, "the keys of a map must be %s",
                         by_ids ? "field ids" : "field names");
    }
    if (by_ids) {
        *field = field_by_id(type, expected, key.number);
        if (*field == NULL) {
            return true;
        }
        reader->name = (text_t){.data = (*field)->name, .size = (*field)->name_size};
    } else {
        reader->name = key.data;
        *field = field_by_name(type, expected, key.data);
        if (*field == NULL || !message_field_is_shown(*field, reader->form)) {
            return fault_unknown_field(reader);
        }
    }
    unpacker->expected[reader->depth - 1] = *field + 1;
    return reader_see(reader, *field);
}

static bool number_accept(message_reader_t *reader, const message_field_t *field,
                          const msgpack_value_t *value)
{
    switch (value->kind) {
    case MSGPACK_FLOAT:
        return reader_accept_number(reader, field, value->real);
    case MSGPACK_UNSIGNED:
        return reader_accept_number(reader, field, (double)value->number);
    case MSGPACK_NEGATIVE:
        return reader_accept_number(reader, field, (double)(int64_t)value->number);
    default:
        return fault_wrong_type(reader, field, msgpack_kind_name(value->kind));
    }
}

/* The kind that a field has on the wire, where it has one only. */
static msgpack_kind_t kind_expected(const message_field_t *field, message_form_t form)
{
    const bool by_ids = form == MESSAGE_FORM_IDS;
    switch (field->type) {
    case FIELD_TYPE_BYTES:
        return MSGPACK_BYTES;
    case FIELD_TYPE_UUID:
        return by_ids ? MSGPACK_BYTES : MSGPACK_TEXT;
    case FIELD_TYPE_TIME:
    case FIELD_TYPE_ENUM:
        return by_ids ? MSGPACK_UNSIGNED : MSGPACK_TEXT;
    case FIELD_TYPE_UNSIGNED:
    case FIELD_TYPE_COLLECTION:
        return MSGPACK_UNSIGNED;
    case FIELD_TYPE_BOOL:
        return MSGPACK_BOOL;
    case FIELD_TYPE_MESSAGE:
        return MSGPACK_MAP;
    case FIELD_TYPE_LIST:
        return MSGPACK_ARRAY;
    default:
        return MSGPACK_TEXT;
    }
}

static bool message_accept(unpacker_t *unpacker, const message_field_t *field, uint64_t pairs)
{
    message_reader_t *reader = &unpacker->reader;
    if (!reader_open_message(reader, field)) {
        return false;
    }
    unpacker->pairs_left[reader->depth - 1] = pairs;
    unpacker->expected[reader->depth - 1] = reader_level(reader)->type->fields;
    return true;
}

static bool list_accept(unpacker_t *unpacker, const message_field_t *field, uint64_t count)
{
    /* The input is smaller than 4 GiB, so the count is too. */
    return reader_open_list(&unpacker->reader, field, (uint32_t)count) &&
           (count == 0 || map_open(unpacker));
}

static bool value_accept(unpacker_t *unpacker, const message_field_t *field,
                         const msgpack_value_t *value)
{
    message_reader_t *reader = &unpacker->reader;
    const bool by_ids = reader->form == MESSAGE_FORM_IDS;
    if (value->kind != kind_expected(field, reader->form)) {
        return fault_wrong_type(reader, field, msgpack_kind_name(value->kind));
    }
    switch (field->type) {
    case FIELD_TYPE_BYTES:
        return reader_accept_bytes(reader, field, value->data);
    case FIELD_TYPE_UUID:
        return by_ids ? reader_accept_bytes(reader, field, value->data)
                      : reader_accept_uuid_text(reader, field, value->data);
    case FIELD_TYPE_TIME:
        return by_ids ? reader_accept_time(reader, field, value->number)
                      : reader_accept_time_text(reader, field, value->data);
    case FIELD_TYPE_ENUM:
        return by_ids ? reader_accept_enum(reader, field, value->number)
                      : reader_accept_enum_text(reader, field, value->data);
    case FIELD_TYPE_UNSIGNED:
        return reader_accept_unsigned(reader, field, value->number);
    case FIELD_TYPE_COLLECTION:
        return reader_accept_collection(reader, field, value->number);
    case FIELD_TYPE_BOOL:
        return reader_accept_bool(reader, field, value->number != 0);
    case FIELD_TYPE_MESSAGE:
        return message_accept(unpacker, field, value->number);
    case FIELD_TYPE_LIST:
        return list_accept(unpacker, field, value->number);
    default:
        return reader_accept_text(reader, field, value->data);
    }
}

/* From outside a collection is an array or map, of which only the size is kept. */
static bool collection_skip(unpacker_t *unpacker, const message_field_t *field,
                            msgpack_cursor_t start, const msgpack_value_t *value)
{
    if (value->kind != MSGPACK_ARRAY && value->kind != MSGPACK_MAP) {
        return fault_wrong_type(&unpacker->reader, field, msgpack_kind_name(value->kind));
    }
    unpacker->cursor = start;
    return value_skip(unpacker) &&
           reader_accept_collection(&unpacker->reader, field, value->number);
}

static bool pair_read(unpacker_t *unpacker)
{
    message_reader_t *reader = &unpacker->reader;
    const message_field_t *field;
    if (!key_read(unpacker, &field)) {
        return false;
    }
    if (field == NULL) {
        return value_skip(unpacker);
    }
    const msgpack_cursor_t start = unpacker->cursor;
    msgpack_value_t value;
    if (!msgpack_read(&unpacker->cursor, &value)) {
        return fault_malformed(unpacker);
    }
    if (value.kind == MSGPACK_NIL) {
        return reader_accept_null(reader, field);
    }
    if (field->type == FIELD_TYPE_NUMBER) {
        return number_accept(reader, field, &value);
    }
    if (field->type == FIELD_TYPE_COLLECTION && reader->form != MESSAGE_FORM_IDS) {
        return collection_skip(unpacker, field, start, &value);
    }
    return value_accept(unpacker, field, &value);
}

/* The whole input is one map, or we say what it is instead. */
static bool root_open(unpacker_t *unpacker)
{
    message_reader_t *reader = &unpacker->reader;
    const msgpack_cursor_t start = unpacker->cursor;
    msgpack_value_t value;
    if (!msgpack_read(&unpacker->cursor, &value)) {
        return fault_malformed(unpacker);
    }
    if (value.kind == MSGPACK_MAP) {
        unpacker->pairs_left[0] = value.number;
        unpacker->expected[0] = reader_level(reader)->type->fields;
        return true;
    }
    unpacker->cursor = start;
    reader->depth = 0; /* nothing is open around this value */
    if (!value_skip(unpacker)) {
        return false;
    }
    if (unpacker->cursor.at != unpacker->cursor.end) {
        return fault_malformed(unpacker);
    }
    return fault_set(reader, MESSAGE_FAULT_NOT_OBJECT, "the input must be a map; it was %s",
                     msgpack_kind_name(value.kind));
}

static bool levels_read(unpacker_t *unpacker)
{
    message_reader_t *reader = &unpacker->reader;
    while (reader->depth > 0) {
        uint64_t *pairs_left = &unpacker->pairs_left[reader->depth - 1];
        if (*pairs_left > 0) {
            (*pairs_left)--;
            if (!pair_read(unpacker)) {
                return false;
            }
            continue;
        }
        bool more;
        if (!reader_close_level(reader, &more) || (more && !map_open(unpacker))) {
            return false;
        }
    }
    if (unpacker->cursor.at != unpacker->cursor.end) {
        return fault_set(reader, MESSAGE_FAULT_MALFORMED, "there are bytes after the map");
    }
    return true;
}

bool message_unpack(const message_type_t *type, message_keys_t keys, const uint8_t *input,
                    size_t size, arena_t *arena, void *message, message_fault_t *fault)
{
    unpacker_t unpacker;
    const bool by_ids = keys == MESSAGE_KEYS_IDS;
    reader_init(&unpacker.reader, by_ids ? MESSAGE_FORM_IDS : MESSAGE_FORM_NAMES, type, message,
                arena, fault);
    if (size == 0) {
        return fault_set(&unpacker.reader, MESSAGE_FAULT_MALFORMED, "the input is empty");
    }
    if (size > (by_ids ? UINT32_MAX : (size_t)MESSAGE_INPUT_SIZE_MAX)) {
        return fault_set(&unpacker.reader, MESSAGE_FAULT_TOO_LARGE,
                         "the input has %zu bytes, more than are read", size);
    }
    unpacker.cursor = (msgpack_cursor_t){.at = input, .end = input + size};
    return root_open(&unpacker) && levels_read(&unpacker);
}
