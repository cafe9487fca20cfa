/* What the codecs of this folder share: forms, the writer, and the reader with its faults. Not for
 * other folders. */
#ifndef MESSAGES_MESSAGE_INTERNAL_H
#define MESSAGES_MESSAGE_INTERNAL_H

#include "messages/message.h"

typedef enum message_form {
    MESSAGE_FORM_IDS,
    MESSAGE_FORM_NAMES,
    MESSAGE_FORM_JSON,
} message_form_t;

/* Whether the form knows the field at all. */
static inline bool message_field_is_shown(const message_field_t *field, message_form_t form)
{
    if (form == MESSAGE_FORM_IDS) {
        return true;
    }
    if (field->presence == FIELD_INTERNAL) {
        return false;
    }
    return form == MESSAGE_FORM_NAMES ||
           (field->presence != FIELD_PATH && field->type != FIELD_TYPE_BYTES);
}

/* Whether decoding without the field is a fault. */
static inline bool message_field_is_needed(const message_field_t *field, message_form_t form)
{
    if (field->presence == FIELD_PATH) {
        return form == MESSAGE_FORM_NAMES;
    }
    return field->presence == FIELD_REQUIRED && message_field_is_shown(field, form);
}

/* Of `present`, and of what was seen or is still to be written. */
static inline uint64_t message_field_bit(const message_field_t *field)
{
    return UINT64_C(1) << field->index;
}

/* The bits of `present`; every struct begins with them. */
static inline uint64_t *message_present(void *message)
{
    return message;
}

/* --- Encoding --- */

/* Counts every byte, and keeps those that fit. */
typedef struct message_writer {
    uint8_t *out;
    size_t capacity;
    size_t size;
} message_writer_t;

static inline void writer_put(message_writer_t *writer, const void *data, size_t size)
{
    if (writer->size <= writer->capacity && size <= writer->capacity - writer->size && size != 0) {
        memcpy(writer->out + writer->size, data, size);
    }
    writer->size += size;
}

static inline void writer_put_byte(message_writer_t *writer, uint8_t byte)
{
    if (writer->size < writer->capacity) {
        writer->out[writer->size] = byte;
    }
    writer->size++;
}

/* One message being encoded, or one of a list with those that follow it. */
typedef struct message_walk {
    const message_type_t *type;
    const uint8_t *message;
    uint64_t left;     /* fields still to be written, by bit */
    uint32_t siblings; /* elements of the list after this one */
    bool is_list;
    bool is_first; /* JSON: no field was written yet */
} message_walk_t;

/* Fields that the form writes, by bit. Asserts that what the form needs is there. */
uint64_t message_fields_written(const message_type_t *type, const void *message,
                                message_form_t form);

/* Takes the lowest bit of `left`. */
static inline const message_field_t *message_walk_next(message_walk_t *walk)
{
    const int index = __builtin_ctzll(walk->left);
    walk->left &= walk->left - 1;
    return &walk->type->fields[index];
}

/* Asserts that a value may be encoded: a text, number or count within the limit of its field. */
void message_value_assert(const message_field_t *field, const void *member);

/* --- Decoding --- */

/* One message being decoded, and how it was reached. */
typedef struct message_level {
    const message_type_t *type;
    uint8_t *message;
    const message_field_t *field; /* of the level above; NULL at the root */
    uint64_t seen;                /* fields read, absent ones (null) included */
    uint32_t index;               /* in the list */
    uint32_t count;               /* of the list */
    bool is_list;
} message_level_t;

typedef struct message_reader {
    message_form_t form;
    arena_t *arena;
    message_fault_t *fault;
    text_t name;  /* of the field being read, for faults; empty between fields */
    size_t depth; /* levels in use */
    message_level_t levels[MESSAGE_DEPTH_MAX];
} message_reader_t;

/* Zeroes the message and opens the root level. */
void reader_init(message_reader_t *reader, message_form_t form, const message_type_t *type,
                 void *message, arena_t *arena, message_fault_t *fault);

static inline message_level_t *reader_level(message_reader_t *reader)
{
    return &reader->levels[reader->depth - 1];
}

/* Where the value of a field lives. */
static inline void *reader_member(message_reader_t *reader, const message_field_t *field)
{
    return reader_level(reader)->message + field->offset;
}

static inline void reader_mark(message_reader_t *reader, const message_field_t *field)
{
    message_level_t *level = reader_level(reader);
    *message_present(level->message) |= message_field_bit(field);
}

/* Remembers that the field was read; false when it had been before. */
bool reader_see(message_reader_t *reader, const message_field_t *field);
/* Null from outside: absent where that is allowed. */
bool reader_accept_null(message_reader_t *reader, const message_field_t *field);
/* Marks the field and opens a level for its message. */
bool reader_open_message(message_reader_t *reader, const message_field_t *field);
/* Marks the field, takes memory for `count` elements and, unless there are none, opens a level for
 * the first. */
bool reader_open_list(message_reader_t *reader, const message_field_t *field, uint32_t count);
/* The level has no more fields: are all there? Steps to the next element of a list (*more), or
 * closes the level. */
bool reader_close_level(message_reader_t *reader, bool *more);

/* Check a value, keep it in its member and mark it. */
bool reader_accept_text(message_reader_t *reader, const message_field_t *field, text_t text);
bool reader_accept_bytes(message_reader_t *reader, const message_field_t *field, text_t bytes);
bool reader_accept_uuid_text(message_reader_t *reader, const message_field_t *field, text_t text);
bool reader_accept_time_text(message_reader_t *reader, const message_field_t *field, text_t text);
bool reader_accept_enum_text(message_reader_t *reader, const message_field_t *field, text_t text);
bool reader_accept_time(message_reader_t *reader, const message_field_t *field, uint64_t ms);
bool reader_accept_enum(message_reader_t *reader, const message_field_t *field, uint64_t number);
bool reader_accept_unsigned(message_reader_t *reader, const message_field_t *field, uint64_t value);
bool reader_accept_number(message_reader_t *reader, const message_field_t *field, double value);
bool reader_accept_bool(message_reader_t *reader, const message_field_t *field, bool value);
bool reader_accept_collection(message_reader_t *reader, const message_field_t *field,
                              uint64_t count);

/* --- Faults: all of these return false --- */

void message_fault_clear(message_fault_t *fault);
bool fault_set(message_reader_t *reader, message_fault_kind_t kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool fault_wrong_type(message_reader_t *reader, const message_field_t *field, const char *found);
/* A value that is no value of the field: quotes the beginning of `found`. */
bool fault_invalid(message_reader_t *reader, const message_field_t *field, text_t found);
bool fault_too_long(message_reader_t *reader, const message_field_t *field, uint64_t found);
bool fault_unknown_field(message_reader_t *reader);

/* Appends to the path of a fault: ".name" or "[7]"; what is no printable ASCII becomes '?'. */
void fault_path_add_name(message_fault_t *fault, text_t name);
void fault_path_add_index(message_fault_t *fault, uint32_t index);

#endif
