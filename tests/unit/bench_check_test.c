/* A yardstick whose result is wrong is refused, by a message that names both numbers. */
#include "bench/actors/actors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t expected(uint64_t count)
{
    return 3 * (int64_t)count;
}

static const bench_yardstick_t threes = {.name = "threes", .expected = expected};

static void right_results_pass_and_wrong_ones_are_named(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *complaints = open_memstream(&text, &size);
    assert_non_null(complaints);
    assert_true(bench_actors_check(&threes, 4, 12, complaints));
    assert_int_equal(fflush(complaints), 0);
    assert_int_equal(size, 0);
    assert_false(bench_actors_check(&threes, 4, 11, complaints));
    assert_int_equal(fclose(complaints), 0);
    assert_string_equal(text, "digitalcard-bench: threes gave 11 instead of 12\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_results_pass_and_wrong_ones_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
