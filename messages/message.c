/* What needs the tables but no wire: names of enumerations, copies, and the rules about presence
 * that all codecs share. */
#include "messages/message_internal.h"
#include "messages/rfc3339.h"

#include <assert.h>
#include <math.h>

text_t enum_name(const enum_type_t *type, uint8_t value)
{
    assert(value < type->count);
    assert(type->names[value] != NULL);
    return text_from_c(type->names[value]);
}

bool enum_parse(const enum_type_t *type, text_t name, uint8_t *value)
{
    for (uint8_t i = 0; i < type->count; i++) {
        if (type->names[i] != NULL && text_equal(text_from_c(type->names[i]), name)) {
            *value = i;
            return true;
        }
    }
    return false;
}

uint64_t message_fields_written(const message_type_t *type, const void *message,
                                message_form_t form)
{
    const uint64_t present = *(const uint64_t *)message;
    if (form == MESSAGE_FORM_IDS) { /* all that is there: the way of every message between roles */
        assert((type->required & ~present) == 0);
        return present;
    }
    uint64_t written = 0;
    for (uint16_t i = 0; i < type->field_count; i++) {
        const message_field_t *field = &type->fields[i];
        const uint64_t bit = UINT64_C(1) << i;
        const bool is_present = (present & bit) != 0;
        assert(is_present || !message_field_is_needed(field, form));
        const bool is_null = field->presence == FIELD_NULLABLE;
        if ((is_present || is_null) && message_field_is_shown(field, form)) {
            written |= bit;
        }
    }
    return written;
}

void message_value_assert(const message_field_t *field, const void *member)
{
    switch (field->type) {
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_BYTES:
        assert(((const text_t *)member)->size <= field->max);
        break;
    case FIELD_TYPE_CODE:
        assert(((const text_t *)member)->size <= field->max * 4);
        break;
    case FIELD_TYPE_TIME:
        assert(*(const int64_t *)member >= 0);
        assert(*(const int64_t *)member <= RFC3339_MS_MAX);
        break;
    case FIELD_TYPE_UNSIGNED:
        assert(*(const uint64_t *)member <= field->max);
        break;
    case FIELD_TYPE_NUMBER:
        assert(fabs(*(const double *)member) <= (double)field->max);
        break;
    case FIELD_TYPE_ENUM:
        assert(*(const uint8_t *)member < field->enumeration->count);
        assert(field->enumeration->names[*(const uint8_t *)member] != NULL);
        break;
    case FIELD_TYPE_COLLECTION:
        assert(*(const uint32_t *)member <= field->max);
        break;
    case FIELD_TYPE_UUID:
    case FIELD_TYPE_BOOL:
    case FIELD_TYPE_MESSAGE:
    case FIELD_TYPE_LIST:
        break;
    }
}

/* One run of structs whose texts and lists still point into the source. */
typedef struct copy_level {
    const message_type_t *type;
    uint8_t *message;
    uint64_t left;
    uint32_t siblings;
} copy_level_t;

static copy_level_t copy_level_of(const message_type_t *type, uint8_t *messages, uint32_t count)
{
    return (copy_level_t){.type = type,
                          .message = messages,
                          .left = *message_present(messages),
                          .siblings = count - 1};
}

/* Texts move into the arena; a nested message or list becomes the level `next`, whose count is 0
 * when there is none. */
static bool copy_member(const message_field_t *field, uint8_t *message, arena_t *arena,
                        uint8_t **nested, uint32_t *nested_count)
{
    uint8_t *member = message + field->offset;
    *nested = NULL;
    *nested_count = 0;
    if (field->type == FIELD_TYPE_TEXT || field->type == FIELD_TYPE_CODE ||
        field->type == FIELD_TYPE_BYTES) {
        text_t *text = (void *)member;
        if (text->size == 0) {
            text->data = "";
            return true;
        }
        char *data = arena_take(arena, text->size);
        if (data == NULL) {
            return false;
        }
        memcpy(data, text->data, text->size);
        text->data = data;
    } else if (field->type == FIELD_TYPE_MESSAGE) {
        *nested = member;
        *nested_count = 1;
    } else if (field->type == FIELD_TYPE_LIST) {
        const void **list = (void *)member;
        const uint32_t count = *(const uint32_t *)(const void *)(message + field->count_offset);
        if (count == 0) {
            *list = NULL;
            return true;
        }
        const size_t size = count * field->message->size;
        *nested = arena_take(arena, size);
        if (*nested == NULL) {
            return false;
        }
        memcpy(*nested, *list, size);
        *list = *nested;
        *nested_count = count;
    }
    return true;
}

bool message_copy(const message_type_t *type, const void *source, arena_t *arena, void *copy)
{
    memmove(copy, source, type->size);
    copy_level_t levels[MESSAGE_DEPTH_MAX];
    size_t depth = 1;
    levels[0] = copy_level_of(type, copy, 1);
    while (depth > 0) {
        copy_level_t *level = &levels[depth - 1];
        if (level->left == 0) {
            if (level->siblings == 0) {
                depth--;
            } else {
                *level =
                    copy_level_of(level->type, level->message + level->type->size, level->siblings);
            }
            continue;
        }
        const message_field_t *field = &level->type->fields[__builtin_ctzll(level->left)];
        level->left &= level->left - 1;
        uint8_t *nested;
        uint32_t nested_count;
        if (!copy_member(field, level->message, arena, &nested, &nested_count)) {
            return false;
        }
        if (nested_count > 0) {
            assert(depth < MESSAGE_DEPTH_MAX);
            levels[depth] = copy_level_of(field->message, nested, nested_count);
            depth++;
        }
    }
    return true;
}
