/* The half of decoding that does not depend on the wire: levels, presence, and the check of every
 * value against the limits of its field. Reads no bytes of any format. */
#include "messages/message_internal.h"
#include "messages/rfc3339.h"
#include "messages/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

void reader_init(message_reader_t *reader, message_form_t form, const message_type_t *type,
                 void *message, arena_t *arena, message_fault_t *fault)
{
    memset(message, 0, type->size);
    message_fault_clear(fault);
    reader->form = form;
    reader->arena = arena;
    reader->fault = fault;
    reader->name = TEXT_NONE;
    reader->depth = 1;
    reader->levels[0] = (message_level_t){.type = type, .message = message};
}

bool reader_see(message_reader_t *reader, const message_field_t *field)
{
    message_level_t *level = reader_level(reader);
    const uint64_t bit = message_field_bit(field);
    if ((level->seen & bit) != 0) {
        return fault_set(reader, MESSAGE_FAULT_DUPLICATE_FIELD, "%s is there twice", field->name);
    }
    level->seen |= bit;
    return true;
}

bool reader_accept_null(message_reader_t *reader, const message_field_t *field)
{
    if (field->type == FIELD_TYPE_COLLECTION && reader->form != MESSAGE_FORM_IDS &&
        message_field_is_needed(field, reader->form)) {
        return reader_accept_collection(reader, field, 0);
    }
    if (message_field_is_needed(field, reader->form)) {
        return fault_wrong_type(reader, field, "null");
    }
    return true;
}

static bool level_open(message_reader_t *reader, message_level_t level)
{
    assert(reader->depth < MESSAGE_DEPTH_MAX);
    reader->levels[reader->depth] = level;
    reader->depth++;
    reader->name = TEXT_NONE;
    return true;
}

bool reader_open_message(message_reader_t *reader, const message_field_t *field)
{
    reader_mark(reader, field);
    return level_open(reader, (message_level_t){.type = field->message,
                                                .message = reader_member(reader, field),
                                                .field = field});
}

bool reader_open_list(message_reader_t *reader, const message_field_t *field, uint32_t count)
{
    if (count > field->max) {
        return fault_too_long(reader, field, count);
    }
    reader_mark(reader, field);
    if (count == 0) {
        return true;
    }
    const size_t size = count * field->message->size;
    uint8_t *elements = arena_take(reader->arena, size);
    if (elements == NULL) {
        return fault_set(reader, MESSAGE_FAULT_TOO_LARGE, "%s does not fit into the memory for it",
                         field->name);
    }
    memset(elements, 0, size);
    message_level_t *level = reader_level(reader);
    *(const void **)reader_member(reader, field) = elements;
    *(uint32_t *)(void *)(level->message + field->count_offset) = count;
    return level_open(reader, (message_level_t){.type = field->message,
                                                .message = elements,
                                                .field = field,
                                                .count = count,
                                                .is_list = true});
}

/* The first field that the form needs and the message has not, or NULL. */
static const message_field_t *field_missing(const message_level_t *level, message_form_t form)
{
    const message_type_t *type = level->type;
    const uint64_t absent = ~*message_present(level->message);
    if (form == MESSAGE_FORM_IDS) { /* what message_field_is_needed says of each */
        const uint64_t missing = type->required & absent;
        return missing == 0 ? NULL : &type->fields[__builtin_ctzll(missing)];
    }
    for (uint16_t i = 0; i < type->field_count; i++) {
        if ((absent >> i & 1U) != 0 && message_field_is_needed(&type->fields[i], form)) {
            return &type->fields[i];
        }
    }
    return NULL;
}

bool reader_close_level(message_reader_t *reader, bool *more)
{
    message_level_t *level = reader_level(reader);
    const message_field_t *missing = field_missing(level, reader->form);
    reader->name = TEXT_NONE;
    if (missing != NULL) {
        reader->name = text_from_c(missing->name);
        return fault_set(reader, MESSAGE_FAULT_MISSING_FIELD, "%s is required", missing->name);
    }
    *more = level->is_list && level->index + 1 < level->count;
    if (*more) {
        level->index++;
        level->message += level->type->size;
        level->seen = 0;
    } else {
        reader->depth--;
    }
    return true;
}

/* JSON texts live in the parser's memory, which goes away; msgpack's are borrowed. */
static bool text_keep(message_reader_t *reader, const message_field_t *field, text_t text)
{
    if (text.size == 0) {
        text.data = "";
    } else if (reader->form == MESSAGE_FORM_JSON) {
        char *copy = arena_take(reader->arena, text.size);
        if (copy == NULL) {
            return fault_set(reader, MESSAGE_FAULT_TOO_LARGE,
                             "%s does not fit into the memory for it", field->name);
        }
        memcpy(copy, text.data, text.size);
        text.data = copy;
    }
    *(text_t *)reader_member(reader, field) = text;
    reader_mark(reader, field);
    return true;
}

#define BYTES_ONE UINT64_C(0x0101010101010101)

/* Not 0 when one of eight bytes is below `limit`, at most 128 (Anderson, Bit Twiddling Hacks). */
static uint64_t bytes_below(uint64_t word, uint64_t limit)
{
    return (word - BYTES_ONE * limit) & ~word & (BYTES_ONE * 0x80);
}

/* U+0000 to U+001F, U+007F, and U+0080 to U+009F, among which are a line break (U+0085) and what
 * terminals take for an escape sequence (U+009B). The text is UTF-8: 0xc2 has a successor. */
static bool is_control(const uint8_t *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

/* Index of the first control character, or the size of the text. */
static size_t control_find(text_t text)
{
    uint64_t word;
    size_t i = 0;
    while (text.size - i >= sizeof(word)) {
        memcpy(&word, text.data + i, sizeof(word));
        if ((bytes_below(word, 0x20) | bytes_below(word ^ (BYTES_ONE * 0x7f), 1) |
             bytes_below(word ^ (BYTES_ONE * 0xc2), 1)) != 0) {
            break;
        }
        i += sizeof(word);
    }
    while (i < text.size && !is_control((const uint8_t *)text.data + i)) {
        i++;
    }
    return i;
}

/* Texts from outside end up in logs, lists and printed pages: one that holds a line break could
 * pretend to be two. Between roles only a NUL is refused, as ever: what is stored stays readable.
 */
static bool characters_check(message_reader_t *reader, const message_field_t *field, text_t text)
{
    if (reader->form == MESSAGE_FORM_IDS) {
        return memchr(text.data, '\0', text.size) == NULL ||
               fault_set(reader, MESSAGE_FAULT_INVALID_VALUE, "%s must not contain a NUL",
                         field->name);
    }
    const size_t at = control_find(text);
    if (at == text.size) {
        return true;
    }
    const uint8_t *const found = (const uint8_t *)text.data + at;
    return fault_set(reader, MESSAGE_FAULT_INVALID_VALUE,
                     "%s must not contain control characters; byte %zu was U+%04X", field->name,
                     at + 1, (unsigned)(found[0] < 0x80 ? found[0] : found[1]));
}

bool reader_accept_text(message_reader_t *reader, const message_field_t *field, text_t text)
{
    const bool is_code = field->type == FIELD_TYPE_CODE;
    if (text.size > (is_code ? field->max * 4 : field->max)) {
        return fault_too_long(reader, field, text.size);
    }
    if (!utf8_is_valid(text)) {
        return fault_set(reader, MESSAGE_FAULT_NOT_UTF8, "%s must be UTF-8", field->name);
    }
    if (is_code) {
        const size_t count = utf8_count(text);
        if (count > field->max) {
            return fault_too_long(reader, field, count);
        }
        return text_keep(reader, field, text);
    }
    if (text.size == 0) {
        /* Between roles an empty text is one: only people forget to fill in. */
        if (reader->form != MESSAGE_FORM_IDS && message_field_is_needed(field, reader->form)) {
            return fault_set(reader, MESSAGE_FAULT_INVALID_VALUE, "%s must not be empty",
                             field->name);
        }
    } else if (!characters_check(reader, field, text)) {
        return false;
    }
    return text_keep(reader, field, text);
}

bool reader_accept_bytes(message_reader_t *reader, const message_field_t *field, text_t bytes)
{
    if (field->type == FIELD_TYPE_UUID) {
        if (bytes.size != sizeof(uuid_t)) {
            return fault_set(reader, MESSAGE_FAULT_INVALID_VALUE,
                             "%s must be a UUID of 16 bytes; it had %zu", field->name, bytes.size);
        }
        memcpy(reader_member(reader, field), bytes.data, sizeof(uuid_t));
        reader_mark(reader, field);
        return true;
    }
    if (bytes.size > field->max) {
        return fault_too_long(reader, field, bytes.size);
    }
    return text_keep(reader, field, bytes);
}

bool reader_accept_uuid_text(message_reader_t *reader, const message_field_t *field, text_t text)
{
    if (!uuid_parse(text, reader_member(reader, field))) {
        return fault_invalid(reader, field, text);
    }
    reader_mark(reader, field);
    return true;
}

bool reader_accept_time_text(message_reader_t *reader, const message_field_t *field, text_t text)
{
    if (!rfc3339_parse(text, reader_member(reader, field))) {
        return fault_invalid(reader, field, text);
    }
    reader_mark(reader, field);
    return true;
}

bool reader_accept_enum_text(message_reader_t *reader, const message_field_t *field, text_t text)
{
    if (!enum_parse(field->enumeration, text, reader_member(reader, field))) {
        return fault_invalid(reader, field, text);
    }
    reader_mark(reader, field);
    return true;
}

bool reader_accept_time(message_reader_t *reader, const message_field_t *field, uint64_t ms)
{
    if (ms > (uint64_t)RFC3339_MS_MAX) {
        return fault_set(reader, MESSAGE_FAULT_INVALID_VALUE, "%s must be before the year 9999",
                         field->name);
    }
    *(int64_t *)reader_member(reader, field) = (int64_t)ms;
    reader_mark(reader, field);
    return true;
}

bool reader_accept_enum(message_reader_t *reader, const message_field_t *field, uint64_t number)
{
    if (number >= field->enumeration->count || field->enumeration->names[number] == NULL) {
        return fault_set(reader, MESSAGE_FAULT_INVALID_VALUE, "%s has no value of that number",
                         field->name);
    }
    *(uint8_t *)reader_member(reader, field) = (uint8_t)number;
    reader_mark(reader, field);
    return true;
}

bool reader_accept_unsigned(message_reader_t *reader, const message_field_t *field, uint64_t value)
{
    if (value > field->max) {
        return fault_too_long(reader, field, value);
    }
    *(uint64_t *)reader_member(reader, field) = value;
    reader_mark(reader, field);
    return true;
}

bool reader_accept_number(message_reader_t *reader, const message_field_t *field, double value)
{
    /* Written so that NaN fails too. */
    if (!(fabs(value) <= (double)field->max)) {
        char found[32];
        const int size = snprintf(found, sizeof(found), "%.6g", value);
        (void)fault_invalid(reader, field, (text_t){.data = found, .size = (size_t)size});
        reader->fault->kind =
            isfinite(value) ? MESSAGE_FAULT_TOO_LONG : MESSAGE_FAULT_INVALID_VALUE;
        return false;
    }
    /* Adding zero makes -0.0 zero: JSON readers, ours too, take the -0 it is written as for 0. */
    *(double *)reader_member(reader, field) = value + 0.0;
    reader_mark(reader, field);
    return true;
}

bool reader_accept_bool(message_reader_t *reader, const message_field_t *field, bool value)
{
    *(bool *)reader_member(reader, field) = value;
    reader_mark(reader, field);
    return true;
}

bool reader_accept_collection(message_reader_t *reader, const message_field_t *field,
                              uint64_t count)
{
    if (count > field->max) {
        return fault_too_long(reader, field, count);
    }
    *(uint32_t *)reader_member(reader, field) = (uint32_t)count;
    reader_mark(reader, field);
    return true;
}
