/* Merging of Prometheus texts, and the client of the control socket without a service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/supervisor_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void assert_merged(const char *first, const char *second, const char *expected)
{
    size_t size = 0;
    metrics_merge_t *merge = metrics_merge_create();
    metrics_merge_add(merge, first, strlen(first));
    metrics_merge_add(merge, second, strlen(second));
    char *text = metrics_merge_text(merge, &size);
    assert_int_equal(size, strlen(text));
    assert_string_equal(text, expected);
    free(text);
    metrics_merge_destroy(&merge);
    assert_null(merge);
}

static void families_of_two_roles_are_gathered(void **state)
{
    (void)state;
    assert_merged("# HELP a First\n# TYPE a counter\na{r=\"1\"} 1\n# HELP b Second\n# TYPE b "
                  "gauge\nb{r=\"1\"} 2\n",
                  "# HELP b Second\n# TYPE b gauge\nb{r=\"2\"} 3\n# HELP a First\n# TYPE a "
                  "counter\na{r=\"2\"} 4\n",
                  "# HELP a First\n# TYPE a counter\na{r=\"1\"} 1\na{r=\"2\"} 4\n# HELP b "
                  "Second\n# TYPE b gauge\nb{r=\"1\"} 2\nb{r=\"2\"} 3\n");
}

static void histograms_stay_with_their_family(void **state)
{
    (void)state;
    assert_merged("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
                  "# TYPE h histogram\nh_bucket{le=\"1\",r=\"2\"} 5\n",
                  "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count "
                  "1\nh_bucket{le=\"1\",r=\"2\"} 5\n");
}

static void cut_and_empty_texts_do_no_harm(void **state)
{
    (void)state;
    assert_merged("", "\n\n# a comment\nlonely 1\n# HELP unused Never\ncut", "lonely 1\n");
}

static void more_families_than_the_limit_are_left_out(void **state)
{
    (void)state;
    size_t size = 0;
    char line[64];
    metrics_merge_t *merge = metrics_merge_create();
    for (size_t i = 0; i < LIMIT_METRICS + 10; i++) {
        const int written = snprintf(line, sizeof line, "# TYPE f%zu gauge\nf%zu 1\n", i, i);
        metrics_merge_add(merge, line, (size_t)written);
    }
    char *text = metrics_merge_text(merge, &size);
    assert_null(strstr(text, "f1024 1"));
    assert_non_null(strstr(text, "f1023 1"));
    free(text);
    metrics_merge_destroy(&merge);
}

static void no_service_is_missing(void **state)
{
    (void)state;
    char *answer = NULL;
    char directory[] = "/tmp/control-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    assert_int_equal(control_ask("/nonexistent", "{}", 100, &answer), RESULT_MISSING);
    assert_int_equal(control_ask(directory, "{}", 100, &answer), RESULT_MISSING);
    assert_null(answer);
    rmdir(directory);
}

static void answer_later(void *context, control_request_t *request, const char *json, size_t size)
{
    control_request_t **kept = context;
    (void)json;
    (void)size;
    *kept = request;
}

static void stale_socket_in_a_long_directory_is_replaced(void **state)
{
    (void)state;
    loop_t *loop = NULL;
    control_server_t *server = NULL;
    control_request_t *request = NULL;
    char base[] = "/tmp/control-test-XXXXXX";
    char directory[160];
    char path[192];
    struct stat about;
    assert_non_null(mkdtemp(base));
    (void)snprintf(directory, sizeof directory, "%s/%0120d", base, 7);
    (void)snprintf(path, sizeof path, "%s/control.sock", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(loop_create(&loop), RESULT_OK);
    for (size_t i = 0; i < 2; i++) {
        FILE *stale = i == 0 ? NULL : fopen(path, "w");
        if (stale != NULL) {
            (void)fclose(stale);
        }
        assert_int_equal(control_server_create(loop, directory, answer_later, &request, &server),
                         RESULT_OK);
        assert_int_equal(stat(path, &about), 0);
        assert_true(S_ISSOCK(about.st_mode));
        assert_int_equal(about.st_mode & 0777, 0600);
        control_server_destroy(&server);
        assert_int_equal(stat(path, &about), -1);
    }
    assert_int_equal(control_server_create(loop, "/nonexistent", answer_later, &request, &server),
                     RESULT_MISSING);
    loop_destroy(&loop);
    rmdir(directory);
    rmdir(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_of_two_roles_are_gathered),
        cmocka_unit_test(histograms_stay_with_their_family),
        cmocka_unit_test(cut_and_empty_texts_do_no_harm),
        cmocka_unit_test(more_families_than_the_limit_are_left_out),
        cmocka_unit_test(no_service_is_missing),
        cmocka_unit_test(stale_socket_in_a_long_directory_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
