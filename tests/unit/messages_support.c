/* Random messages and their comparison; both walk the tables with an explicit stack. */
#include "tests/unit/messages_support.h"

#include "messages/rfc3339.h"

#include <assert.h>

uint64_t test_random_next(test_random_t *random)
{
    /* splitmix64 */
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = random->state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

uint64_t test_random_below(test_random_t *random, uint64_t bound)
{
    return test_random_next(random) % bound;
}

static void *take(arena_t *arena, size_t size)
{
    void *memory = arena_take(arena, size);
    assert(memory != NULL);
    return memory;
}

/* One UTF-8 character of at most `room` bytes; now and then one that needs an escape. */
static size_t character_write(test_random_t *random, size_t room, char *out)
{
    static const text_t characters[] = {
        TEXT_LITERAL("\""),   TEXT_LITERAL("\\"),           TEXT_LITERAL("\n"),
        TEXT_LITERAL("\x01"), TEXT_LITERAL("\x1f"),         TEXT_LITERAL("\x7f"),
        TEXT_LITERAL("ä"),    TEXT_LITERAL("\u20ac"),       TEXT_LITERAL("\xf0\x9f\x8e\xab"),
        TEXT_LITERAL("/"),    TEXT_LITERAL("\xed\x9f\xbf"), TEXT_LITERAL("\xf4\x8f\xbf\xbf"),
    };
    const text_t picked =
        characters[test_random_below(random, sizeof(characters) / sizeof(characters[0]))];
    if (picked.size > room || test_random_below(random, 4) != 0) {
        *out = (char)('a' + test_random_below(random, 26));
        return 1;
    }
    memcpy(out, picked.data, picked.size);
    return picked.size;
}

static text_t text_generate(const message_field_t *field, test_random_t *random, arena_t *arena,
                            bool may_be_empty)
{
    /* Very long ones are rare: they are there to need bigger heads. */
    const uint64_t limits[] = {1, 31, 32, 33, 255, 256, 1000, field->max};
    const uint64_t cap = test_random_below(random, 50) == 0 ? 70000 : 1200;
    uint64_t size = limits[test_random_below(random, sizeof(limits) / sizeof(limits[0]))];
    size = size > field->max ? field->max : size;
    size = size > cap ? cap : size;
    if (may_be_empty && test_random_below(random, 8) == 0) {
        size = 0;
    }
    char *data = take(arena, size + 1);
    size_t at = 0;
    while (at < size) {
        if (field->type == FIELD_TYPE_BYTES) {
            data[at] = (char)test_random_next(random);
            at++;
        } else if (field->type == FIELD_TYPE_CODE && test_random_below(random, 16) == 0) {
            data[at] = '\0';
            at++;
        } else {
            at += character_write(random, size - at, data + at);
        }
    }
    return (text_t){.data = data, .size = at};
}

/* As texts from outside have to be. */
static void controls_replace(text_t text)
{
    char *data = (char *)(uintptr_t)text.data;
    for (size_t i = 0; i < text.size; i++) {
        data[i] = (uint8_t)data[i] < 0x20 || data[i] == 0x7f ? '.' : data[i];
    }
}

static uint64_t number_generate(uint64_t max, test_random_t *random)
{
    const uint64_t limits[] = {0,          1,
                               127,        128,
                               255,        256,
                               65535,      65536,
                               UINT32_MAX, UINT64_C(1) << 32,
                               max,        max - (max > 0)};
    const size_t count = sizeof(limits) / sizeof(limits[0]);
    const uint64_t pick = test_random_below(random, count + 4);
    const uint64_t value = pick < count ? limits[pick] : test_random_next(random);
    return value > max ? value % (max + 1) : value;
}

static double real_generate(uint64_t max, test_random_t *random)
{
    const double limit = (double)max;
    switch (test_random_below(random, 5)) {
    case 0:
        return limit;
    case 1:
        return -limit;
    case 2:
        return 0.1;
    default:
        return ((double)test_random_next(random) / (double)UINT64_MAX * 2 - 1) * limit;
    }
}

static uint8_t enum_generate(const enum_type_t *type, test_random_t *random)
{
    for (;;) {
        const uint8_t value = (uint8_t)test_random_below(random, type->count);
        if (type->names[value] != NULL) {
            return value;
        }
    }
}

static void scalar_generate(const message_field_t *field, message_form_t form,
                            test_random_t *random, arena_t *arena, uint8_t *member)
{
    switch (field->type) {
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_CODE:
    case FIELD_TYPE_BYTES: {
        const bool may_be_empty = form == MESSAGE_FORM_IDS || field->type != FIELD_TYPE_TEXT ||
                                  !message_field_is_needed(field, form);
        const text_t text = text_generate(field, random, arena, may_be_empty);
        if (field->type == FIELD_TYPE_TEXT && form != MESSAGE_FORM_IDS) {
            controls_replace(text);
        }
        *(text_t *)(void *)member = text;
        break;
    }
    case FIELD_TYPE_UUID:
        for (size_t i = 0; i < sizeof(uuid_t); i++) {
            member[i] = (uint8_t)test_random_next(random);
        }
        break;
    case FIELD_TYPE_TIME:
        *(int64_t *)(void *)member = (int64_t)number_generate((uint64_t)RFC3339_MS_MAX, random);
        break;
    case FIELD_TYPE_UNSIGNED:
        *(uint64_t *)(void *)member = number_generate(field->max, random);
        break;
    case FIELD_TYPE_NUMBER:
        *(double *)(void *)member = real_generate(field->max, random);
        break;
    case FIELD_TYPE_BOOL:
        *(bool *)(void *)member = test_random_below(random, 2) == 1;
        break;
    case FIELD_TYPE_ENUM:
        *member = enum_generate(field->enumeration, random);
        break;
    case FIELD_TYPE_COLLECTION:
        *(uint32_t *)(void *)member =
            form == MESSAGE_FORM_IDS ? (uint32_t)number_generate(field->max, random) : 0;
        break;
    case FIELD_TYPE_MESSAGE:
    case FIELD_TYPE_LIST:
        break;
    }
}

typedef struct generate_level {
    const message_type_t *type;
    uint8_t *message;
    uint32_t siblings;
    uint16_t next;
} generate_level_t;

/* Fills one field; returns how many nested messages at `*nested` are to be filled next. */
static uint32_t field_generate(const message_field_t *field, message_form_t form,
                               test_random_t *random, arena_t *arena, uint8_t *message,
                               uint8_t **nested)
{
    uint8_t *member = message + field->offset;
    if (field->type == FIELD_TYPE_MESSAGE) {
        *nested = member;
        return 1;
    }
    if (field->type != FIELD_TYPE_LIST) {
        scalar_generate(field, form, random, arena, member);
        return 0;
    }
    uint64_t count = test_random_below(random, 4);
    if (test_random_below(random, 16) == 0) {
        count = 17;
    }
    count = count > field->max ? field->max : count;
    *(uint32_t *)(void *)(message + field->count_offset) = (uint32_t)count;
    if (count > 0) {
        *nested = take(arena, count * field->message->size);
        memset(*nested, 0, count * field->message->size);
        *(const void **)(void *)member = *nested;
    }
    return (uint32_t)count;
}

void test_message_generate(const message_type_t *type, message_form_t form, test_random_t *random,
                           arena_t *arena, void *message)
{
    generate_level_t levels[MESSAGE_DEPTH_MAX];
    size_t depth = 1;
    memset(message, 0, type->size);
    levels[0] = (generate_level_t){.type = type, .message = message};
    while (depth > 0) {
        generate_level_t *level = &levels[depth - 1];
        if (level->next == level->type->field_count) {
            if (level->siblings == 0) {
                depth--;
            } else {
                level->siblings--;
                level->message += level->type->size;
                level->next = 0;
            }
            continue;
        }
        const message_field_t *field = &level->type->fields[level->next];
        level->next++;
        if (!message_field_is_shown(field, form) ||
            (!message_field_is_needed(field, form) && test_random_below(random, 3) == 0)) {
            continue;
        }
        *message_present(level->message) |= UINT64_C(1) << (field - level->type->fields);
        uint8_t *nested = NULL;
        const uint32_t count = field_generate(field, form, random, arena, level->message, &nested);
        if (count > 0) {
            levels[depth] = (generate_level_t){
                .type = field->message, .message = nested, .siblings = count - 1};
            depth++;
        }
    }
}

static bool scalar_equal(const message_field_t *field, const uint8_t *a, const uint8_t *b)
{
    switch (field->type) {
    case FIELD_TYPE_TEXT:
    case FIELD_TYPE_CODE:
    case FIELD_TYPE_BYTES:
        return text_equal(*(const text_t *)(const void *)a, *(const text_t *)(const void *)b);
    case FIELD_TYPE_UUID:
        return memcmp(a, b, sizeof(uuid_t)) == 0;
    case FIELD_TYPE_TIME:
    case FIELD_TYPE_UNSIGNED:
        return memcmp(a, b, sizeof(uint64_t)) == 0;
    case FIELD_TYPE_NUMBER:
        return !(*(const double *)(const void *)a < *(const double *)(const void *)b) &&
               !(*(const double *)(const void *)a > *(const double *)(const void *)b);
    case FIELD_TYPE_BOOL:
        return *(const bool *)(const void *)a == *(const bool *)(const void *)b;
    case FIELD_TYPE_ENUM:
        return *a == *b;
    case FIELD_TYPE_COLLECTION:
        return memcmp(a, b, sizeof(uint32_t)) == 0;
    default:
        return true;
    }
}

typedef struct compare_level {
    const message_type_t *type;
    const uint8_t *a;
    const uint8_t *b;
    uint32_t siblings;
    uint16_t next;
} compare_level_t;

/* Opens the messages nested in a field; false when the two have different numbers of them. */
static bool nested_compare(const message_field_t *field, const compare_level_t *level,
                           compare_level_t *nested, uint32_t *count)
{
    const uint8_t *a = level->a + field->offset;
    const uint8_t *b = level->b + field->offset;
    *count = 0;
    if (field->type == FIELD_TYPE_MESSAGE) {
        *count = 1;
    } else if (field->type == FIELD_TYPE_LIST) {
        *count = *(const uint32_t *)(const void *)(level->a + field->count_offset);
        if (*count != *(const uint32_t *)(const void *)(level->b + field->count_offset)) {
            return false;
        }
        a = *(const uint8_t *const *)(const void *)a;
        b = *(const uint8_t *const *)(const void *)b;
    }
    if (*count > 0) {
        *nested = (compare_level_t){.type = field->message, .a = a, .b = b, .siblings = *count - 1};
    }
    return true;
}

const char *test_message_difference(const message_type_t *type, const void *a, const void *b)
{
    compare_level_t levels[MESSAGE_DEPTH_MAX];
    size_t depth = 1;
    levels[0] = (compare_level_t){.type = type, .a = a, .b = b};
    while (depth > 0) {
        compare_level_t *level = &levels[depth - 1];
        const uint64_t present = *(const uint64_t *)(const void *)level->a;
        if (present != *(const uint64_t *)(const void *)level->b) {
            return level->type->name;
        }
        if (level->next == level->type->field_count) {
            if (level->siblings == 0) {
                depth--;
                continue;
            }
            level->siblings--;
            level->a += level->type->size;
            level->b += level->type->size;
            level->next = 0;
            continue;
        }
        const message_field_t *field = &level->type->fields[level->next];
        level->next++;
        if ((present >> (field - level->type->fields) & 1U) == 0) {
            continue;
        }
        uint32_t count = 0;
        if (!scalar_equal(field, level->a + field->offset, level->b + field->offset) ||
            !nested_compare(field, level, &levels[depth], &count)) {
            return field->name;
        }
        depth += count > 0 ? 1 : 0;
    }
    return NULL;
}

size_t test_message_encode(const message_type_t *type, message_form_t form, const void *message,
                           uint8_t *out, size_t capacity)
{
    if (form == MESSAGE_FORM_JSON) {
        return message_to_json(type, message, (char *)out, capacity);
    }
    return message_pack(type, message,
                        form == MESSAGE_FORM_IDS ? MESSAGE_KEYS_IDS : MESSAGE_KEYS_NAMES, out,
                        capacity);
}

bool test_message_decode(const message_type_t *type, message_form_t form, const uint8_t *input,
                         size_t size, arena_t *arena, void *message, message_fault_t *fault)
{
    if (form == MESSAGE_FORM_JSON) {
        return message_from_json(type, (text_t){.data = (const char *)input, .size = size}, arena,
                                 message, fault);
    }
    return message_unpack(type, form == MESSAGE_FORM_IDS ? MESSAGE_KEYS_IDS : MESSAGE_KEYS_NAMES,
                          input, size, arena, message, fault);
}
