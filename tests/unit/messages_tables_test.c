/* The tables themselves: what the preprocessor cannot check about the *.def files. */
#include "messages/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void ids_and_names_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_types_count; i++) {
        const message_type_t *type = message_types[i];
        assert_in_range(type->field_count, 1, 64);
        for (uint16_t a = 0; a < type->field_count; a++) {
            assert_in_range(type->fields[a].id, 1, UINT16_MAX);
            assert_int_equal(type->fields[a].name_size, strlen(type->fields[a].name));
            for (uint16_t b = 0; b < a; b++) {
                if (type->fields[a].id == type->fields[b].id ||
                    strcmp(type->fields[a].name, type->fields[b].name) == 0) {
                    fail_msg("%s: %s and %s", type->name, type->fields[a].name,
                             type->fields[b].name);
                }
            }
        }
        for (size_t other = 0; other < i; other++) {
            assert_string_not_equal(type->name, message_types[other]->name);
        }
    }
}

/* RESERVED lines stand in no table: here they become one, to be held against the living fields. */
typedef struct id_of_message {
    const char *message;
    unsigned id;
} id_of_message_t;

#define MESSAGE_BEGIN(message, doc)
#define FIELD(message, id, name, type, max, presence, doc)
#define FIELD_ENUM(message, id, name, enumeration, presence, doc)
#define FIELD_MESSAGE(message, id, name, nested, presence, doc)
#define FIELD_LIST(message, id, name, nested, max, presence, doc)
#define RESERVED(message, id, doc) {#message, (id)},
#define MESSAGE_END(message)
static const id_of_message_t reserved[] = {
#include "messages/card.def"
#include "messages/internal.def"
    {"", 0},
};

static void reserved_ids_are_not_used_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        for (size_t j = 0; j < message_types_count; j++) {
            const message_type_t *type = message_types[j];
            for (uint16_t k = 0; k < type->field_count; k++) {
                assert_false(strcmp(reserved[i].message, type->name) == 0 &&
                             reserved[i].id == type->fields[k].id);
            }
        }
    }
}

/* The preprocessor lets two values share a number: the last one would win in the table. */
typedef struct value_of_enum {
    const char *enumeration;
    unsigned number;
    const char *wire;
} value_of_enum_t;

#define ENUM_BEGIN(enumeration, doc)
#define VALUE(enumeration, number, name, wire) {#enumeration, (number), (wire)},
#define ENUM_END(enumeration)
static const value_of_enum_t values[] = {
#include "messages/enums.def"
};

static void enum_numbers_and_names_are_unique(void **state)
{
    (void)state;
    for (size_t a = 0; a < sizeof(values) / sizeof(values[0]); a++) {
        assert_in_range(values[a].number, 1, 254);
        for (size_t b = 0; b < a; b++) {
            if (strcmp(values[a].enumeration, values[b].enumeration) == 0) {
                assert_int_not_equal(values[a].number, values[b].number);
                assert_string_not_equal(values[a].wire, values[b].wire);
            }
        }
    }
}

static void members_lie_within_their_structs(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_types_count; i++) {
        const message_type_t *type = message_types[i];
        for (uint16_t k = 0; k < type->field_count; k++) {
            const message_field_t *field = &type->fields[k];
            assert_true(field->offset >= sizeof(uint64_t));
            assert_true(field->offset < type->size);
            const bool is_nested =
                field->type == FIELD_TYPE_MESSAGE || field->type == FIELD_TYPE_LIST;
            assert_int_equal(is_nested, field->message != NULL);
            assert_int_equal(field->type == FIELD_TYPE_ENUM, field->enumeration != NULL);
            assert_int_equal(field->type == FIELD_TYPE_LIST, field->count_offset != 0);
            assert_true(field->max <= UINT32_MAX || field->type == FIELD_TYPE_UNSIGNED);
        }
    }
}

/* Height of a type: arrays and maps within each other. Types are measured in rounds, each of which
 * needs only what the round before knew; a cycle would never settle. */
static void nesting_is_bounded_and_has_no_cycle(void **state)
{
    (void)state;
    size_t *heights = calloc(message_types_count, sizeof(*heights));
    bool changed = true;
    for (size_t round = 0; changed; round++) {
        assert_true(round <= MESSAGE_DEPTH_MAX);
        changed = false;
        for (size_t i = 0; i < message_types_count; i++) {
            size_t height = 1;
            for (uint16_t k = 0; k < message_types[i]->field_count; k++) {
                const message_field_t *field = &message_types[i]->fields[k];
                size_t inner = field->type == FIELD_TYPE_COLLECTION ? 1 : 0;
                for (size_t j = 0; j < message_types_count; j++) {
                    if (message_types[j] == field->message) {
                        inner = heights[j] + (field->type == FIELD_TYPE_LIST ? 1 : 0);
                    }
                }
                height = inner + 1 > height ? inner + 1 : height;
            }
            assert_true(height <= MESSAGE_DEPTH_MAX);
            changed = changed || heights[i] != height;
            heights[i] = height;
        }
    }
    free(heights);
}

/* The longest path of a field of ours fits, so that no fault is cut. */
static void names_leave_room_in_a_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_types_count; i++) {
        for (uint16_t k = 0; k < message_types[i]->field_count; k++) {
            assert_true(message_types[i]->fields[k].name_size * 4 < MESSAGE_FIELD_PATH_SIZE);
        }
    }
}

/* The codecs ask the place of a field and the mask of its message, never the lines again. */
static void places_and_masks_are_those_of_the_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_types_count; i++) {
        const message_type_t *type = message_types[i];
        uint64_t required = 0;
        for (uint16_t k = 0; k < type->field_count; k++) {
            assert_int_equal(type->fields[k].index, k);
            required |= (uint64_t)(type->fields[k].presence == FIELD_REQUIRED) << k;
        }
        assert_int_equal(type->required, required);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_names_are_unique),
        cmocka_unit_test(reserved_ids_are_not_used_again),
        cmocka_unit_test(enum_numbers_and_names_are_unique),
        cmocka_unit_test(members_lie_within_their_structs),
        cmocka_unit_test(nesting_is_bounded_and_has_no_cycle),
        cmocka_unit_test(names_leave_room_in_a_path),
        cmocka_unit_test(places_and_masks_are_those_of_the_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
