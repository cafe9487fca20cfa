/* The metrics registry: values, buckets, and the text that Prometheus reads. */
#include "runtime/limits.h"
#include "runtime/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *print_all(const metrics_t *metrics)
{
    const size_t size = metrics_print(metrics, NULL, 0);
    char *const text = malloc(size + 1);
    assert_non_null(text);
    assert_int_equal(metrics_print(metrics, text, size), size);
    text[size] = '\0';
    return text;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *found = strstr(text, part); found != NULL; found = strstr(found + 1, part)) {
        count++;
    }
    return count;
}

static void metrics_print_groups_series_under_one_head(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("front-0");
    metric_t *const ok = metrics_counter(metrics, "requests_total", "code=\"ok\"", "Requests");
    metric_t *const open = metrics_gauge(metrics, "connections", "", "Open now");
    metric_t *const busy = metrics_counter(metrics, "requests_total", "code=\"busy\"", "Requests");
    metric_add(ok, 3);
    metric_add(busy, 1);
    metric_set(open, -2);
    char *const text = print_all(metrics);
    assert_non_null(strstr(text, "# HELP requests_total Requests\n"
                                 "# TYPE requests_total counter\n"
                                 "requests_total{role=\"front-0\",code=\"ok\"} 3\n"
                                 "requests_total{role=\"front-0\",code=\"busy\"} 1\n"));
    assert_non_null(strstr(text, "# TYPE connections gauge\n"
                                 "connections{role=\"front-0\"} -2\n"));
    assert_int_equal(count_of(text, "# TYPE requests_total"), 1);
    free(text);
    metrics_destroy(&metrics);
    assert_null(metrics);
}

static void metrics_place_is_printed_while_it_has_labels(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("relay");
    metric_t *const first = metrics_place(metrics, "lag", "Behind");
    metric_t *const second = metrics_place(metrics, "lag", "Behind");
    assert_ptr_not_equal(first, second);
    metric_label(second, "of=\"b\"");
    metric_set(second, 7);
    metric_set(first, 9);
    char *text = print_all(metrics);
    assert_non_null(strstr(text, "lag{role=\"relay\",of=\"b\"} 7\n"));
    assert_int_equal(count_of(text, "\nlag{"), 1);
    free(text);
    metric_label(second, "of=\"c\"");
    metric_label(first, "of=\"a\"");
    text = print_all(metrics);
    assert_non_null(
        strstr(text, "lag{role=\"relay\",of=\"a\"} 9\nlag{role=\"relay\",of=\"c\"} 7\n"));
    free(text);
    metric_label(first, NULL);
    metric_label(second, NULL);
    text = print_all(metrics);
    assert_int_equal(count_of(text, "\nlag{"), 0);
    free(text);
    metrics_destroy(&metrics);
}

static void metrics_escape_role_and_help(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("a\"b\\c\nd");
    (void)metrics_counter(metrics, "x_total", "", "one \\ two\n\"three\"");
    char *const text = print_all(metrics);
    assert_non_null(strstr(text, "# HELP x_total one \\\\ two\\n\"three\"\n"));
    assert_non_null(strstr(text, "x_total{role=\"a\\\"b\\\\c\\nd\"} 0\n"));
    free(text);
    metrics_destroy(&metrics);
}

static void metrics_histogram_has_cumulative_buckets_sum_and_count(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("r");
    metric_t *const wait = metrics_histogram(metrics, "wait_seconds", "kind=\"card\"", "Wait");
    metric_observe_us(wait, 0);
    metric_observe_us(wait, 50);
    metric_observe_us(wait, 51);
    metric_observe_us(wait, 100);
    metric_observe_us(wait, 101);
    metric_observe_us(wait, 13107200);
    metric_observe_us(wait, 13107201);
    char *const text = print_all(metrics);
    static const char *const lines[] = {
        "wait_seconds_bucket{role=\"r\",kind=\"card\",le=\"5e-05\"} 2\n",
        "wait_seconds_bucket{role=\"r\",kind=\"card\",le=\"0.0001\"} 4\n",
        "wait_seconds_bucket{role=\"r\",kind=\"card\",le=\"0.0002\"} 5\n",
        "wait_seconds_bucket{role=\"r\",kind=\"card\",le=\"6.5536\"} 5\n",
        "wait_seconds_bucket{role=\"r\",kind=\"card\",le=\"13.1072\"} 6\n",
        "wait_seconds_bucket{role=\"r\",kind=\"card\",le=\"+Inf\"} 7\n",
        "wait_seconds_sum{role=\"r\",kind=\"card\"} 26.214703\n",
        "wait_seconds_count{role=\"r\",kind=\"card\"} 7\n",
    };
    for (size_t index = 0; index < sizeof(lines) / sizeof(lines[0]); index++) {
        if (strstr(text, lines[index]) == NULL) {
            print_error("missing %s in\n%s", lines[index], text);
        }
        assert_non_null(strstr(text, lines[index]));
    }
    assert_int_equal(count_of(text, "_bucket{"), 20);
    assert_int_equal(metric_value(wait), 7);
    free(text);
    metrics_destroy(&metrics);
}

static void metrics_quantile_is_the_upper_bound_of_its_bucket(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("r");
    metric_t *const wait = metrics_histogram(metrics, "wait_seconds", "", "Wait");
    assert_int_equal(metric_quantile_us(wait, 0.5), 0);
    for (int count = 0; count < 98; count++) {
        metric_observe_us(wait, 70);
    }
    metric_observe_us(wait, 1000);
    metric_observe_us(wait, 5000);
    assert_int_equal(metric_quantile_us(wait, 0.0), 100);
    assert_int_equal(metric_quantile_us(wait, 0.5), 100);
    assert_int_equal(metric_quantile_us(wait, 0.99), 1600);
    assert_int_equal(metric_quantile_us(wait, 1.0), 6400);
    metrics_destroy(&metrics);
}

static void metrics_same_name_and_labels_are_one_series(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("r");
    char labels[] = "kind=\"card\"";
    metric_t *const first = metrics_counter(metrics, "x_total", labels, "X");
    assert_ptr_equal(metrics_counter(metrics, "x_total", "kind=\"card\"", "X"), first);
    assert_ptr_not_equal(metrics_counter(metrics, "x_total", "kind=\"tenant\"", "X"), first);
    memset(labels, '?', sizeof(labels) - 1); /* the registry has its own copy */
    assert_ptr_equal(metrics_counter(metrics, "x_total", "kind=\"card\"", "X"), first);
    metrics_destroy(&metrics);
}

static void metrics_beyond_the_limit_share_a_sink_and_are_counted(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("r");
    static char labels[LIMIT_METRICS + 10][32];
    metric_t *last = NULL;
    for (int index = 0; index < LIMIT_METRICS + 10; index++) {
        (void)snprintf(labels[index], sizeof(labels[index]), "n=\"%d\"", index);
        last = metrics_counter(metrics, "x_total", labels[index], "X");
        metric_add(last, 1);
    }
    assert_ptr_equal(metrics_gauge(metrics, "g", "", "G"), last);
    metric_set(last, 5);
    metric_observe_us(metrics_histogram(metrics, "h_seconds", "", "H"), 5);
    char *const text = print_all(metrics);
    /* One of the series is the overflow counter itself. */
    assert_non_null(strstr(text, "digitalcard_metrics_overflow_total{role=\"r\"} 13\n"));
    assert_int_equal(count_of(text, "x_total{"), LIMIT_METRICS - 1);
    assert_null(strstr(text, "h_seconds"));
    free(text);
    metrics_destroy(&metrics);
}

static void metrics_print_tells_the_size_needed(void **state)
{
    (void)state;
    metrics_t *metrics = metrics_create("r");
    (void)metrics_histogram(metrics, "wait_seconds", "", "Wait");
    char *const whole = print_all(metrics);
    const size_t size = strlen(whole);
    for (size_t capacity = 0; capacity <= size; capacity++) {
        char *const out = malloc(capacity + 1);
        assert_non_null(out);
        out[capacity] = '~';
        assert_int_equal(metrics_print(metrics, out, capacity), size);
        assert_int_equal(out[capacity], '~');
        free(out);
    }
    free(whole);
    metrics_destroy(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_print_groups_series_under_one_head),
        cmocka_unit_test(metrics_place_is_printed_while_it_has_labels),
        cmocka_unit_test(metrics_escape_role_and_help),
        cmocka_unit_test(metrics_histogram_has_cumulative_buckets_sum_and_count),
        cmocka_unit_test(metrics_quantile_is_the_upper_bound_of_its_bucket),
        cmocka_unit_test(metrics_same_name_and_labels_are_one_series),
        cmocka_unit_test(metrics_beyond_the_limit_share_a_sink_and_are_counted),
        cmocka_unit_test(metrics_print_tells_the_size_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
