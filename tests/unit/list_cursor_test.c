/* Cursors of lists: every position comes back, and nothing else is taken for one. */
#include "actors/list_cursor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static text_t text_of(const char text[LIST_CURSOR_SIZE])
{
    return (text_t){.data = text, .size = LIST_CURSOR_SIZE};
}

static void every_position_comes_back(void **state)
{
    (void)state;
    const projection_position_t positions[] = {
        {0, 0}, {1, 2}, {INT64_MAX, INT64_MAX}, {INT64_C(1767225600000), UINT64_C(63) << 56 | 7}};
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        char text[LIST_CURSOR_SIZE];
        projection_position_t read = {0};
        list_cursor_write(&positions[i], text);
        assert_true(list_cursor_read(text_of(text), &read));
        assert_int_equal(read.issued_at, positions[i].issued_at);
        assert_int_equal(read.event, positions[i].event);
    }
}

static void what_clients_know_stays_as_it_is(void **state)
{
    (void)state;
    char text[LIST_CURSOR_SIZE];
    list_cursor_write(&(projection_position_t){.issued_at = 0x1a2b, .event = 0xff}, text);
    assert_memory_equal(text, "r10000000000001a2b00000000000000ff", LIST_CURSOR_SIZE);
}

static void nothing_else_is_a_cursor(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "",
        "r1",
        "r10000000000001a2b00000000000000f",
        "r10000000000001a2b00000000000000ff0",
        "r20000000000001a2b00000000000000ff",
        "x10000000000001a2b00000000000000ff",
        "r10000000000001A2b00000000000000ff",
        "r1000000000000-a2b00000000000000ff",
        "r18000000000001a2b00000000000000ff", /* beyond what a store can compare */
        "r10000000000001a2bf0000000000000ff",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        projection_position_t read;
        assert_false(list_cursor_read(text_from_c(wrong[i]), &read));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_position_comes_back),
        cmocka_unit_test(what_clients_know_stays_as_it_is),
        cmocka_unit_test(nothing_else_is_a_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
