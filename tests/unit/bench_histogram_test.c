/* The histogram of the load harness against sorted values: whatever their distribution, each
 * percentile is off by at most the error that its precision promises. */
#include "bench/load/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VALUES = 200000 };

static const double parts[] = {0.000001, 0.01, 0.1,   0.25,   0.5,     0.75,     0.9,
                               0.95,     0.99, 0.999, 0.9999, 0.99999, 0.999999, 1};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 11;
}

static double next_part(uint64_t *seed)
{
    return ((double)next_random(seed) + 1) / 0x1p53;
}

static uint64_t test_seed(void)
{
    const char *const text = getenv("DIGITALCARD_TEST_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 20260;
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

static uint64_t uniform(uint64_t *seed, size_t index)
{
    (void)index;
    return next_random(seed) % UINT64_C(10000000000);
}

/* Most are quick, a few take very long, as replies do. */
static uint64_t long_tail(uint64_t *seed, size_t index)
{
    (void)index;
    return (uint64_t)(50000 * pow(next_part(seed), -1.3));
}

static uint64_t two_humps(uint64_t *seed, size_t index)
{
    return index % 100 == 0 ? 1000000000 + next_random(seed) % 1000 : 300000 + index % 7;
}

static uint64_t all_equal(uint64_t *seed, size_t index)
{
    (void)seed;
    (void)index;
    return 123456789;
}

/* Each at the very edge of a bucket, where a mistake by one shows. */
static uint64_t edges(uint64_t *seed, size_t index)
{
    const uint64_t power = UINT64_C(1) << (next_random(seed) % 39);
    return index % 3 == 0 ? power : index % 3 == 1 ? power - 1 : power + 1;
}

static uint64_t tiny(uint64_t *seed, size_t index)
{
    (void)index;
    return next_random(seed) % 5;
}

/* One value of 18 minutes among zeros. */
static uint64_t one_giant(uint64_t *seed, size_t index)
{
    (void)seed;
    return index == 77 ? (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1 : 0;
}

static uint64_t rising(uint64_t *seed, size_t index)
{
    (void)seed;
    return (uint64_t)index * index;
}

typedef uint64_t distribution_t(uint64_t *seed, size_t index);
static distribution_t *const distributions[] = {uniform, long_tail, two_humps, all_equal,
                                                edges,   tiny,      one_giant, rising};
enum { DISTRIBUTIONS = sizeof(distributions) / sizeof(distributions[0]) };

static int compare(const void *one, const void *other)
{
    const uint64_t left = *(const uint64_t *)one;
    const uint64_t right = *(const uint64_t *)other;
    return left < right ? -1 : left > right;
}

static uint64_t exact_percentile(const uint64_t *sorted, size_t count, double part)
{
    const double exact = ceil(part * (double)count);
    const size_t rank = exact < 1 ? 1 : (size_t)exact;
    return sorted[(rank > count ? count : rank) - 1];
}

static void assert_close(uint64_t told, uint64_t exact, double error)
{
    const double off = fabs((double)told - (double)exact);
    if (off > error * (double)exact) {
        fail_msg("told %llu instead of %llu", (unsigned long long)told, (unsigned long long)exact);
    }
}

static void assert_percentiles(const histogram_t *histogram, uint64_t *values, size_t count)
{
    const double error = 1.0 / (double)(2U << histogram->bits);
    qsort(values, count, sizeof(*values), compare);
    for (size_t index = 0; index < PARTS; index++) {
        assert_close(histogram_percentile(histogram, parts[index]),
                     exact_percentile(values, count, parts[index]), error);
    }
    assert_int_equal(histogram->min, values[0]);
    assert_int_equal(histogram->max, values[count - 1]);
    assert_int_equal(histogram->count, count);
}

static void percentiles_are_within_a_thousandth_of_the_exact_ones(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    uint64_t *const values = malloc(VALUES * sizeof(*values));
    assert_non_null(values);
    for (size_t kind = 0; kind < DISTRIBUTIONS; kind++) {
        histogram_t histogram;
        histogram_init(&histogram, HISTOGRAM_BITS_FINE);
        for (size_t index = 0; index < VALUES; index++) {
            values[index] = distributions[kind](&seed, index);
            values[index] = values[index] >> HISTOGRAM_VALUE_BITS == 0 ? values[index] : 1;
            histogram_record(&histogram, values[index]);
        }
        assert_percentiles(&histogram, values, VALUES);
        histogram_deinit(&histogram);
    }
    free(values);
}

static void the_sum_of_histograms_is_the_histogram_of_all_values(void **state)
{
    (void)state;
    enum { THREADS = 5, EACH = 20000 };
    uint64_t seed = test_seed();
    uint64_t *const values = malloc(sizeof(*values) * THREADS * EACH);
    assert_non_null(values);
    histogram_t fine;
    histogram_t coarse;
    histogram_init(&fine, HISTOGRAM_BITS_FINE);
    histogram_init(&coarse, HISTOGRAM_BITS_COARSE);
    for (size_t thread = 0; thread < THREADS; thread++) {
        histogram_t own;
        histogram_init(&own, HISTOGRAM_BITS_FINE);
        for (size_t index = 0; index < EACH; index++) {
            const uint64_t value = distributions[thread](&seed, index);
            values[thread * EACH + index] = value;
            histogram_record(&own, value);
        }
        histogram_merge(&fine, &own);
        histogram_merge(&coarse, &own);
        histogram_clear(&own);
        histogram_merge(&fine, &own); /* an empty one changes nothing */
        histogram_deinit(&own);
    }
    assert_percentiles(&fine, values, (size_t)THREADS * EACH);
    /* The middle of a fine bucket is moved to the coarse one: the errors add up. */
    for (size_t index = 0; index < PARTS; index++) {
        assert_close(histogram_percentile(&coarse, parts[index]),
                     exact_percentile(values, (size_t)THREADS * EACH, parts[index]), 0.017);
    }
    histogram_deinit(&fine);
    histogram_deinit(&coarse);
    free(values);
}

static void
an_empty_histogram_has_no_percentiles_and_a_huge_value_is_kept_as_the_largest(void **state)
{
    (void)state;
    histogram_t histogram;
    histogram_init(&histogram, HISTOGRAM_BITS_FINE);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
    assert_int_equal(histogram_mean(&histogram), 0);
    histogram_record(&histogram, UINT64_MAX);
    histogram_record(&histogram, 1);
    assert_int_equal(histogram_percentile(&histogram, 1),
                     (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 1);
    histogram_deinit(&histogram);
}

static void drawing_puts_every_value_into_the_part_where_it_lies(void **state)
{
    (void)state;
    histogram_t histogram;
    uint64_t counts[4] = {0};
    histogram_init(&histogram, HISTOGRAM_BITS_FINE);
    histogram_spread(&histogram, 1, 10, counts, 4);
    const uint64_t values[] = {1, 15, 150, 1500, 1600, 15000, 999999999};
    for (size_t index = 0; index < sizeof(values) / sizeof(values[0]); index++) {
        histogram_record(&histogram, values[index]);
    }
    histogram_spread(&histogram, 10, 100000, counts, 4);
    const uint64_t expected[4] = {2, 1, 2, 2};
    assert_memory_equal(counts, expected, sizeof(counts));
    histogram_deinit(&histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_a_thousandth_of_the_exact_ones),
        cmocka_unit_test(the_sum_of_histograms_is_the_histogram_of_all_values),
        cmocka_unit_test(drawing_puts_every_value_into_the_part_where_it_lies),
        cmocka_unit_test(
            an_empty_histogram_has_no_percentiles_and_a_huge_value_is_kept_as_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
