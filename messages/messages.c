/* The tables of all messages and enumerations, made from the *.def files by the preprocessor. No
 * code: a message is added by adding lines there. */
#include "messages/messages.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Enumerations: an array of names by number, then the table. */
#define ENUM_BEGIN(enumeration, about) static const char *const enumeration##_names[] = {
#define VALUE(enumeration, number, name, wire) [number] = (wire),
#define ENUM_END(enumeration)                                                                      \
    }                                                                                              \
    ;
#include "messages/enums.def"
#undef ENUM_BEGIN
#undef VALUE
#undef ENUM_END

#define ENUM_BEGIN(enumeration, about)                                                             \
    const enum_type_t enumeration##_enum = {.name = #enumeration,                                  \
                                            .names = enumeration##_names,                          \
                                            .count = COUNT_OF(enumeration##_names),                \
                                            .doc = (about)};
#define VALUE(enumeration, number, name, wire)
#define ENUM_END(enumeration)
#include "messages/enums.def"
#undef ENUM_BEGIN
#undef VALUE
#undef ENUM_END

#define ENUM_BEGIN(enumeration, about) &enumeration##_enum,
#define VALUE(enumeration, number, name, wire)
#define ENUM_END(enumeration)
const enum_type_t *const enum_types[] = {
#include "messages/enums.def"
};
const size_t enum_types_count = COUNT_OF(enum_types);
#undef ENUM_BEGIN
#undef VALUE
#undef ENUM_END

/* Messages: an array of fields, then the table. */
#define FIELD_COMMON(owner, number, member, kind, must, about)                                     \
    .id = (number), .index = owner##_field_##member, .name = #member,                              \
    .json_key = "\"" #member "\":", .name_size = sizeof(#member) - 1, .type = FIELD_TYPE_##kind,   \
    .presence = FIELD_##must, .offset = offsetof(owner##_t, member), .doc = (about)

#define RESERVED(owner, number, about)
#define MESSAGE_BEGIN(owner, about) static const message_field_t owner##_fields[] = {
#define FIELD(owner, number, member, kind, limit, must, about)                                     \
    {FIELD_COMMON(owner, number, member, kind, must, about), .max = (limit)},
#define FIELD_ENUM(owner, number, member, values, must, about)                                     \
    {FIELD_COMMON(owner, number, member, ENUM, must, about), .enumeration = &values##_enum},
#define FIELD_MESSAGE(owner, number, member, nested, must, about)                                  \
    {FIELD_COMMON(owner, number, member, MESSAGE, must, about), .message = &nested##_message},
#define FIELD_LIST(owner, number, member, nested, limit, must, about)                              \
    {FIELD_COMMON(owner, number, member, LIST, must, about), .max = (limit),                       \
     .message = &nested##_message, .count_offset = offsetof(owner##_t, member##_count)},
#define MESSAGE_END(owner)                                                                         \
    }                                                                                              \
    ;
#include "messages/card.def"
#include "messages/internal.def"
#undef MESSAGE_BEGIN
#undef FIELD
#undef FIELD_ENUM
#undef FIELD_MESSAGE
#undef FIELD_LIST
#undef MESSAGE_END

/* The bits of required fields are put together line by line: `.required` is the last member. */
#define BIT_IF_REQUIRED(owner, member, must)                                                       \
    | (uint64_t)(FIELD_##must == FIELD_REQUIRED) << owner##_field_##member
#define FIELD(owner, number, member, kind, limit, must, about) BIT_IF_REQUIRED(owner, member, must)
#define FIELD_ENUM(owner, number, member, values, must, about) BIT_IF_REQUIRED(owner, member, must)
#define FIELD_MESSAGE(owner, number, member, nested, must, about)                                  \
    BIT_IF_REQUIRED(owner, member, must)
#define FIELD_LIST(owner, number, member, nested, limit, must, about)                              \
    BIT_IF_REQUIRED(owner, member, must)
#define MESSAGE_BEGIN(owner, about)                                                                \
    _Static_assert(COUNT_OF(owner##_fields) <= 64, "`present` has 64 bits");                       \
    const message_type_t owner##_message = {.name = #owner,                                        \
                                            .doc = (about),                                        \
                                            .size = sizeof(owner##_t),                             \
                                            .fields = owner##_fields,                              \
                                            .field_count = COUNT_OF(owner##_fields),               \
                                            .required = 0
#define MESSAGE_END(owner)                                                                         \
    }                                                                                              \
    ;
#include "messages/card.def"
#include "messages/internal.def"
#undef MESSAGE_BEGIN
#undef FIELD
#undef FIELD_ENUM
#undef FIELD_MESSAGE
#undef FIELD_LIST
#undef MESSAGE_END

#define FIELD(owner, number, member, kind, limit, must, about)
#define FIELD_ENUM(owner, number, member, values, must, about)
#define FIELD_MESSAGE(owner, number, member, nested, must, about)
#define FIELD_LIST(owner, number, member, nested, limit, must, about)
#define MESSAGE_END(owner)
#define MESSAGE_BEGIN(owner, about) &owner##_message,
const message_type_t *const message_types[] = {
#include "messages/card.def"
#include "messages/internal.def"
};
const size_t message_types_count = COUNT_OF(message_types);
