/* The structs and tables made from the *.def files of this folder. For MESSAGE foo there are
 *   foo_t                        the struct, `uint64_t present` first
 *   foo_message                  its table (message_type_t)
 *   foo_field_bar                index of field bar, which is its bit in `present`
 * For ENUM foo there are
 *   enum foo                     foo_none = 0, foo_bar = 1 …; members of structs are uint8_t
 *   foo_enum                     its table (enum_type_t) */
#ifndef MESSAGES_MESSAGES_H
#define MESSAGES_MESSAGES_H

#include "messages/message.h"

#define ENUM_BEGIN(enumeration, doc) enum enumeration { enumeration##_none = 0,
#define VALUE(enumeration, number, name, wire) enumeration##_##name = (number),
#define ENUM_END(enumeration)                                                                      \
    }                                                                                              \
    ;                                                                                              \
    extern const enum_type_t enumeration##_enum;
#include "messages/enums.def"
#undef ENUM_BEGIN
#undef VALUE
#undef ENUM_END

#define MESSAGE_C_TEXT text_t
#define MESSAGE_C_CODE text_t
#define MESSAGE_C_BYTES text_t
#define MESSAGE_C_UUID uuid_t
#define MESSAGE_C_TIME int64_t
#define MESSAGE_C_UNSIGNED uint64_t
#define MESSAGE_C_NUMBER double
#define MESSAGE_C_BOOL bool
#define MESSAGE_C_COLLECTION uint32_t

#define MESSAGE_BEGIN(message, doc)                                                                \
    typedef struct message {                                                                       \
        uint64_t present;
#define FIELD(message, id, name, type, max, presence, doc) MESSAGE_C_##type name;
#define FIELD_ENUM(message, id, name, enumeration, presence, doc) uint8_t name;
#define FIELD_MESSAGE(message, id, name, nested, presence, doc) nested##_t name;
#define FIELD_LIST(message, id, name, nested, max, presence, doc)                                  \
    const nested##_t *name;                                                                        \
    uint32_t name##_count;
#define RESERVED(message, id, doc)
#define MESSAGE_END(message)                                                                       \
    }                                                                                              \
    message##_t;                                                                                   \
    extern const message_type_t message##_message;
#include "messages/card.def"
#include "messages/internal.def"
#undef MESSAGE_BEGIN
#undef FIELD
#undef FIELD_ENUM
#undef FIELD_MESSAGE
#undef FIELD_LIST
#undef MESSAGE_END

#define MESSAGE_BEGIN(message, doc)                                                                \
    enum message##_field_index                                                                     \
    {
#define FIELD(message, id, name, type, max, presence, doc) message##_field_##name,
#define FIELD_ENUM(message, id, name, enumeration, presence, doc) message##_field_##name,
#define FIELD_MESSAGE(message, id, name, nested, presence, doc) message##_field_##name,
#define FIELD_LIST(message, id, name, nested, max, presence, doc) message##_field_##name,
#define MESSAGE_END(message)                                                                       \
    message##_field_count_value                                                                    \
    }                                                                                              \
    ;
#include "messages/card.def"
#include "messages/internal.def"
#undef MESSAGE_BEGIN
#undef FIELD
#undef FIELD_ENUM
#undef FIELD_MESSAGE
#undef FIELD_LIST
#undef RESERVED
#undef MESSAGE_END

/* MESSAGE_HAS(card_issue, &command, tier): was the field there? */
#define MESSAGE_HAS(message, pointer, name)                                                        \
    ((((pointer)->present >> message##_field_##name) & 1U) != 0)
/* Marks a field as there, after its member was set. Members without their bit are not encoded. */
#define MESSAGE_MARK(message, pointer, name)                                                       \
    ((pointer)->present |= UINT64_C(1) << message##_field_##name)
#define MESSAGE_CLEAR(message, pointer, name)                                                      \
    ((pointer)->present &= ~(UINT64_C(1) << message##_field_##name))
/* MESSAGE_SET(card, &view, version, 3): assigns and marks. */
#define MESSAGE_SET(message, pointer, name, value)                                                 \
    do {                                                                                           \
        (pointer)->name = (value);                                                                 \
        MESSAGE_MARK(message, pointer, name);                                                      \
    } while (0)

/* All messages in order of definition, for the reference page, tests and fuzzers. */
extern const message_type_t *const message_types[];
extern const size_t message_types_count;
extern const enum_type_t *const enum_types[];
extern const size_t enum_types_count;

#endif
