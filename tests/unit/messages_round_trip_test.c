/* decode(encode(x)) == x for every message in every form that can carry it, with random messages.
 */
#include "messages/messages.h"
#include "tests/unit/messages_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ARENA_SIZE = 4 << 20, BUFFER_SIZE = 4 << 20, ROUNDS = 40 };

typedef struct fixture {
    arena_t original;
    arena_t copy;
    uint8_t *buffer;
    uint8_t *messages[2];
} fixture_t;

static const char *const form_names[] = {"ids", "names", "JSON"};

static int fixture_create(void **state)
{
    fixture_t *fixture = calloc(1, sizeof(*fixture));
    fixture->original = (arena_t){.base = malloc(ARENA_SIZE), .size = ARENA_SIZE};
    fixture->copy = (arena_t){.base = malloc(ARENA_SIZE), .size = ARENA_SIZE};
    fixture->buffer = malloc(BUFFER_SIZE);
    fixture->messages[0] = malloc(65536);
    fixture->messages[1] = malloc(65536);
    *state = fixture;
    return 0;
}

static int fixture_destroy(void **state)
{
    fixture_t *fixture = *state;
    free(fixture->original.base);
    free(fixture->copy.base);
    free(fixture->buffer);
    free(fixture->messages[0]);
    free(fixture->messages[1]);
    free(fixture);
    return 0;
}

static void generate(fixture_t *fixture, const message_type_t *type, message_form_t form,
                     uint64_t seed)
{
    test_random_t random = {.state = seed};
    fixture->original.used = 0;
    fixture->copy.used = 0;
    assert_true(type->size <= 65536);
    test_message_generate(type, form, &random, &fixture->original, fixture->messages[0]);
}

static void round_trip(fixture_t *fixture, const message_type_t *type, message_form_t form,
                       uint64_t seed)
{
    generate(fixture, type, form, seed);
    const size_t size =
        test_message_encode(type, form, fixture->messages[0], fixture->buffer, BUFFER_SIZE);
    assert_true(size <= BUFFER_SIZE);
    message_fault_t fault;
    if (!test_message_decode(type, form, fixture->buffer, size, &fixture->copy,
                             fixture->messages[1], &fault)) {
        fail_msg("%s by %s, seed %llu: %s: %s", type->name, form_names[form],
                 (unsigned long long)seed, fault.field, fault.detail);
    }
    const char *difference =
        test_message_difference(type, fixture->messages[0], fixture->messages[1]);
    if (difference != NULL) {
        fail_msg("%s by %s, seed %llu: %s differs", type->name, form_names[form],
                 (unsigned long long)seed, difference);
    }
}

static void all_round_trip(fixture_t *fixture, message_form_t form)
{
    for (size_t i = 0; i < message_types_count; i++) {
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            round_trip(fixture, message_types[i], form, seed * 1000 + i);
        }
    }
}

static void every_message_survives_msgpack_by_ids(void **state)
{
    all_round_trip(*state, MESSAGE_FORM_IDS);
}

static void every_message_survives_msgpack_by_names(void **state)
{
    all_round_trip(*state, MESSAGE_FORM_NAMES);
}

static void every_message_survives_json(void **state)
{
    all_round_trip(*state, MESSAGE_FORM_JSON);
}

/* The size returned is the size needed, whatever the capacity, and nothing is written beyond it. */
static void encoders_tell_the_size_needed(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < message_types_count; i++) {
        for (message_form_t form = MESSAGE_FORM_IDS; form <= MESSAGE_FORM_JSON; form++) {
            const message_type_t *type = message_types[i];
            generate(fixture, type, form, 77 + i);
            const void *message = fixture->messages[0];
            const size_t size = test_message_encode(type, form, message, NULL, 0);
            for (size_t capacity = 0; capacity <= size && capacity < 600; capacity++) {
                fixture->buffer[capacity] = 0xa5;
                assert_int_equal(
                    test_message_encode(type, form, message, fixture->buffer, capacity), size);
                assert_int_equal(fixture->buffer[capacity], 0xa5);
            }
            assert_int_equal(test_message_encode(type, form, message, fixture->buffer, size), size);
        }
    }
}

/* Every truncation is copied to a block of its own, so that ASan sees a read beyond it. */
static void every_truncation_is_a_fault(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < message_types_count; i++) {
        for (message_form_t form = MESSAGE_FORM_IDS; form <= MESSAGE_FORM_JSON; form++) {
            const message_type_t *type = message_types[i];
            generate(fixture, type, form, 99 + i);
            const size_t size =
                test_message_encode(type, form, fixture->messages[0], fixture->buffer, BUFFER_SIZE);
            for (size_t cut = 0; cut < size && cut < 1500; cut++) {
                uint8_t *input = malloc(cut + (cut == 0));
                memcpy(input, fixture->buffer, cut);
                message_fault_t fault;
                fixture->copy.used = 0;
                assert_false(test_message_decode(type, form, input, cut, &fixture->copy,
                                                 fixture->messages[1], &fault));
                /* A cut through a character is no UTF-8 any more. */
                assert_true(fault.kind == MESSAGE_FAULT_MALFORMED ||
                            (form == MESSAGE_FORM_JSON && fault.kind == MESSAGE_FAULT_NOT_UTF8));
                assert_true(fault.detail[0] != '\0');
                free(input);
            }
        }
    }
}

/* One flipped byte may still be a message, but must never be read out of bounds. */
static void every_flipped_byte_is_survived(void **state)
{
    fixture_t *fixture = *state;
    test_random_t random = {.state = 4711};
    for (size_t i = 0; i < message_types_count; i++) {
        for (message_form_t form = MESSAGE_FORM_IDS; form <= MESSAGE_FORM_JSON; form++) {
            const message_type_t *type = message_types[i];
            generate(fixture, type, form, 123 + i);
            const size_t size =
                test_message_encode(type, form, fixture->messages[0], fixture->buffer, BUFFER_SIZE);
            for (size_t at = 0; at < size && at < 800; at++) {
                uint8_t *input = malloc(size);
                memcpy(input, fixture->buffer, size);
                input[at] ^= (uint8_t)(1 + test_random_below(&random, 255));
                message_fault_t fault;
                fixture->copy.used = 0;
                const bool is_read = test_message_decode(type, form, input, size, &fixture->copy,
                                                         fixture->messages[1], &fault);
                assert_int_equal(fault.kind == MESSAGE_FAULT_NONE, is_read);
                free(input);
            }
        }
    }
}

static void copy_is_equal_and_independent(void **state)
{
    fixture_t *fixture = *state;
    for (size_t i = 0; i < message_types_count; i++) {
        const message_type_t *type = message_types[i];
        generate(fixture, type, MESSAGE_FORM_IDS, 5 + i);
        assert_true(message_copy(type, fixture->messages[0], &fixture->copy, fixture->messages[1]));
        const size_t size = test_message_encode(type, MESSAGE_FORM_IDS, fixture->messages[0],
                                                fixture->buffer, BUFFER_SIZE);
        assert_null(test_message_difference(type, fixture->messages[0], fixture->messages[1]));
        memset(fixture->original.base, 0, fixture->original.used);
        uint8_t *again = malloc(size);
        assert_int_equal(
            test_message_encode(type, MESSAGE_FORM_IDS, fixture->messages[1], again, size), size);
        assert_memory_equal(again, fixture->buffer, size);
        free(again);
    }
}

static void copy_fails_when_the_arena_is_full(void **state)
{
    fixture_t *fixture = *state;
    generate(fixture, &event_page_message, MESSAGE_FORM_IDS, 8);
    assert_true(message_copy(&event_page_message, fixture->messages[0], &fixture->copy,
                             fixture->messages[1]));
    const size_t needed = fixture->copy.used;
    assert_true(needed > 0);
    for (size_t size = 0; size < needed; size += 7) {
        arena_t small = {.base = fixture->copy.base, .size = size};
        assert_false(
            message_copy(&event_page_message, fixture->messages[0], &small, fixture->messages[1]));
    }
}

/* The decoders report a full arena, and never write beyond it. */
static void decoders_report_a_full_arena(void **state)
{
    fixture_t *fixture = *state;
    for (message_form_t form = MESSAGE_FORM_IDS; form <= MESSAGE_FORM_JSON; form++) {
        const message_type_t *type = &event_page_message;
        generate(fixture, type, form, 8);
        const size_t size =
            test_message_encode(type, form, fixture->messages[0], fixture->buffer, BUFFER_SIZE);
        message_fault_t fault;
        assert_true(test_message_decode(type, form, fixture->buffer, size, &fixture->copy,
                                        fixture->messages[1], &fault));
        const size_t needed = fixture->copy.used;
        assert_true(needed > 0);
        for (size_t room = 0; room < needed; room += 97) {
            arena_t small = {.base = malloc(room + 1), .size = room};
            assert_false(test_message_decode(type, form, fixture->buffer, size, &small,
                                             fixture->messages[1], &fault));
            assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_LARGE);
            free(small.base);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_msgpack_by_ids),
        cmocka_unit_test(every_message_survives_msgpack_by_names),
        cmocka_unit_test(every_message_survives_json),
        cmocka_unit_test(encoders_tell_the_size_needed),
        cmocka_unit_test(every_truncation_is_a_fault),
        cmocka_unit_test(every_flipped_byte_is_survived),
        cmocka_unit_test(copy_is_equal_and_independent),
        cmocka_unit_test(copy_fails_when_the_arena_is_full),
        cmocka_unit_test(decoders_report_a_full_arena),
    };
    return cmocka_run_group_tests(tests, fixture_create, fixture_destroy);
}
