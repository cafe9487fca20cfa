/* Log lines: what they hold, what they escape, where they are cut. Every line is parsed by jansson,
 * which is strict about JSON and UTF-8. */
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/result.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { CAPTURE_SIZE = 1 << 20 };

typedef struct capture {
    int file;
    int error_before;
    char text[CAPTURE_SIZE];
    size_t size;
} capture_t;

static capture_t capture;

static void capture_begin(void)
{
    capture.file = memfd_create("log", MFD_CLOEXEC);
    assert_true(capture.file >= 0);
    assert_int_equal(fcntl(capture.file, F_SETFL, O_APPEND), 0); /* as a log file is opened */
    capture.error_before = dup(STDERR_FILENO);
    assert_true(dup2(capture.file, STDERR_FILENO) >= 0);
}

static void capture_end(void)
{
    assert_true(dup2(capture.error_before, STDERR_FILENO) >= 0);
    close(capture.error_before);
    const ssize_t size = pread(capture.file, capture.text, sizeof(capture.text) - 1, 0);
    assert_true(size >= 0);
    capture.size = (size_t)size;
    capture.text[capture.size] = '\0';
    close(capture.file);
}

static json_t *parse_line(void)
{
    assert_true(capture.size > 0);
    assert_int_equal(capture.text[capture.size - 1], '\n');
    assert_ptr_equal(strchr(capture.text, '\n'), capture.text + capture.size - 1);
    json_error_t error;
    json_t *const line = json_loadb(capture.text, capture.size, JSON_REJECT_DUPLICATES, &error);
    if (line == NULL) {
        print_error("%s: %s\n", error.text, capture.text);
    }
    assert_non_null(line);
    return line;
}

static const char *text_of(const json_t *line, const char *name)
{
    const char *const text = json_string_value(json_object_get(line, name));
    assert_non_null(text);
    return text;
}

static void log_line_has_time_level_role_pid_message_and_fields(void **state)
{
    (void)state;
    capture_begin();
    log_start("shard-0", LOG_INFO_LEVEL);
    log_warn("journal is slow", LOG_STRING("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
             LOG_NUMBER("latency_ms", -7), LOG_TEXT("part", "abcdef", 3));
    capture_end();
    json_t *const line = parse_line();
    const char *const time = text_of(line, "time");
    assert_int_equal(strlen(time), strlen("2026-01-02T03:04:05.678Z"));
    assert_int_equal(time[10], 'T');
    assert_int_equal(time[19], '.');
    assert_int_equal(time[23], 'Z');
    assert_string_equal(text_of(line, "level"), "warn");
    assert_string_equal(text_of(line, "role"), "shard-0");
    assert_int_equal(json_integer_value(json_object_get(line, "pid")), getpid());
    assert_string_equal(text_of(line, "message"), "journal is slow");
    assert_string_equal(text_of(line, "trace_id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_int_equal(json_integer_value(json_object_get(line, "latency_ms")), -7);
    assert_string_equal(text_of(line, "part"), "abc");
    json_decref(line);
}

static void log_line_without_fields_is_complete(void **state)
{
    (void)state;
    capture_begin();
    log_start("relay", LOG_INFO_LEVEL);
    log_info("ready");
    capture_end();
    json_t *const line = parse_line();
    assert_int_equal(json_object_size(line), 5);
    json_decref(line);
}

static void log_escapes_any_bytes_into_valid_json(void **state)
{
    (void)state;
    static const char bytes[] = "q\" b\\ n\n t\t r\r z\0 \x01 \x7f bad\xff\xc0\x80 \xed\xa0\x80 "
                                "\xf5 ok \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 cut\xe2\x82";
    capture_begin();
    log_start("shard-0", LOG_INFO_LEVEL);
    log_info("bytes", LOG_TEXT("value", bytes, sizeof(bytes) - 1));
    capture_end();
    json_error_t error;
    json_t *const line = json_loadb(capture.text, capture.size, JSON_ALLOW_NUL, &error);
    assert_non_null(line);
    const json_t *const value = json_object_get(line, "value");
    static const char expected[] =
        "q\" b\\ n\n t\t r\r z\0 \x01 \x7f bad\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD "
        "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD ok \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 "
        "cut\xEF\xBF\xBD\xEF\xBF\xBD";
    assert_int_equal(json_string_length(value), sizeof(expected) - 1);
    assert_memory_equal(json_string_value(value), expected, sizeof(expected) - 1);
    json_decref(line);
}

static void log_cuts_a_long_line_and_keeps_it_json(void **state)
{
    (void)state;
    static char value[2 * LIMIT_LOG_LINE_SIZE];
    static const char *const fills[] = {"a", "\n", "\x01", "\xff", "\xf0\x9f\x98\x80", "\""};
    for (size_t fill = 0; fill < sizeof(fills) / sizeof(fills[0]); fill++) {
        for (size_t shift = 0; shift < 8; shift++) {
            const size_t unit = strlen(fills[fill]);
            memset(value, 'x', shift);
            for (size_t index = shift; index + unit <= sizeof(value); index += unit) {
                memcpy(value + index, fills[fill], unit);
            }
            capture_begin();
            log_start("shard-0", LOG_INFO_LEVEL);
            log_info("long", LOG_TEXT("value", value, sizeof(value) - 8), LOG_NUMBER("after", 1));
            capture_end();
            assert_true(capture.size <= LIMIT_LOG_LINE_SIZE);
            assert_true(capture.size > LIMIT_LOG_LINE_SIZE - 16);
            json_t *const line = parse_line();
            const char *const text = text_of(line, "value");
            assert_string_equal(text + strlen(text) - 3, "\xE2\x80\xA6");
            assert_null(json_object_get(line, "after"));
            json_decref(line);
        }
    }
}

static void log_leaves_out_fields_that_do_not_fit(void **state)
{
    (void)state;
    log_field_t fields[512];
    for (size_t index = 0; index < 512; index++) {
        static char names[512][16];
        (void)snprintf(names[index], sizeof(names[index]), "field_%zu", index);
        fields[index] = LOG_NUMBER(names[index], INT64_MIN);
    }
    capture_begin();
    log_start("shard-0", LOG_INFO_LEVEL);
    log_write(LOG_INFO_LEVEL, "many", fields, 512);
    capture_end();
    assert_true(capture.size <= LIMIT_LOG_LINE_SIZE);
    json_t *const line = parse_line();
    assert_true(json_integer_value(json_object_get(line, "field_0")) == INT64_MIN);
    json_decref(line);
}

static void log_level_hides_what_is_below(void **state)
{
    (void)state;
    capture_begin();
    log_start("shard-0", LOG_WARN_LEVEL);
    log_debug("hidden");
    log_info("hidden");
    capture_end();
    assert_int_equal(capture.size, 0);
    capture_begin();
    log_set_level(LOG_DEBUG_LEVEL);
    log_debug("shown");
    capture_end();
    json_decref(parse_line());
}

static void log_level_parse_knows_exactly_four_names(void **state)
{
    (void)state;
    log_level_t level = LOG_DEBUG_LEVEL;
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR_LEVEL);
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG_LEVEL);
    assert_false(log_level_parse("ERROR", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_DEBUG_LEVEL);
}

static void log_keeps_errno_and_takes_null_texts(void **state)
{
    (void)state;
    capture_begin();
    log_start("a role name that is far longer than any role that exists", LOG_INFO_LEVEL);
    errno = ENOSPC;
    log_error("failed", LOG_STRING("path", NULL), LOG_TEXT("other", NULL, 3));
    assert_int_equal(errno, ENOSPC);
    capture_end();
    json_t *const line = parse_line();
    assert_string_equal(text_of(line, "path"), "");
    assert_int_equal(strlen(text_of(line, "role")), LIMIT_ROLE_NAME_SIZE);
    json_decref(line);
}

static void *log_from_thread(void *context)
{
    for (int count = 0; count < 500; count++) {
        log_info("from a thread", LOG_NUMBER("thread", *(const int *)context));
    }
    return NULL;
}

static void log_lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int numbers[THREADS];
    capture_begin();
    log_start("shard-0", LOG_INFO_LEVEL);
    for (int index = 0; index < THREADS; index++) {
        numbers[index] = index;
        assert_int_equal(pthread_create(&threads[index], NULL, log_from_thread, &numbers[index]),
                         0);
    }
    for (int index = 0; index < THREADS; index++) {
        pthread_join(threads[index], NULL);
    }
    capture_end();
    size_t lines = 0;
    for (char *line = capture.text; *line != '\0';) {
        char *const end = strchr(line, '\n');
        assert_non_null(end);
        json_t *const parsed = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
        lines++;
        line = end + 1;
    }
    assert_int_equal(lines, THREADS * 500);
}

/* Until nothing more goes in, not even one byte. */
static void fill(int descriptor)
{
    static const char bytes[4096];
    while (write(descriptor, bytes, sizeof bytes) > 0) {
    }
    while (write(descriptor, bytes, 1) > 0) {
    }
}

/* The reader of a pipe stands still: nobody waits for it, and what it missed is counted. */
static void log_does_not_wait_for_a_reader_that_stands_still(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int error_before = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    fill(ends[1]);
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* a write would wait for ever */
    log_start("shard-0", LOG_INFO_LEVEL);
    log_info("nobody reads this");
    log_info("nor this");
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while (read(ends[0], capture.text, sizeof capture.text) > 0) {
    }
    log_info("somebody reads again");
    const ssize_t size = read(ends[0], capture.text, sizeof capture.text - 1);
    log_info("and nothing was missed");
    assert_true(dup2(error_before, STDERR_FILENO) >= 0);
    assert_true(size > 0);
    capture.size = (size_t)size;
    capture.text[size] = '\0';
    json_t *line = parse_line();
    assert_string_equal(text_of(line, "message"), "somebody reads again");
    assert_int_equal(json_integer_value(json_object_get(line, "lines_lost")), 2);
    json_decref(line);
    const ssize_t next_size = read(ends[0], capture.text, sizeof capture.text - 1);
    assert_true(next_size > 0);
    capture.size = (size_t)next_size;
    capture.text[next_size] = '\0';
    line = parse_line();
    assert_null(json_object_get(line, "lines_lost"));
    json_decref(line);
    close(error_before);
    close(ends[0]);
    close(ends[1]);
}

static void result_table_knows_every_code(void **state)
{
    (void)state;
    assert_string_equal(result_code(RESULT_OK), "ok");
    assert_int_equal(result_http_status(RESULT_OK), 200);
    assert_string_equal(result_code(RESULT_BUSY), "busy");
    assert_int_equal(result_http_status(RESULT_BUSY), 503);
    assert_true(result_is_retryable(RESULT_BUSY));
    assert_false(result_is_retryable(RESULT_INTERNAL));
    assert_string_equal(result_title(RESULT_MISSING), "It does not exist");
    assert_true(result_is_known(0));
    assert_true(result_is_known(RESULT_MISSING));
    assert_false(result_is_known(15));
    assert_false(result_is_known(RESULT_MISSING + 1U));
    assert_false(result_is_known(UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_line_has_time_level_role_pid_message_and_fields),
        cmocka_unit_test(log_line_without_fields_is_complete),
        cmocka_unit_test(log_escapes_any_bytes_into_valid_json),
        cmocka_unit_test(log_cuts_a_long_line_and_keeps_it_json),
        cmocka_unit_test(log_leaves_out_fields_that_do_not_fit),
        cmocka_unit_test(log_level_hides_what_is_below),
        cmocka_unit_test(log_level_parse_knows_exactly_four_names),
        cmocka_unit_test(log_keeps_errno_and_takes_null_texts),
        cmocka_unit_test(log_lines_of_threads_do_not_mix),
        cmocka_unit_test(log_does_not_wait_for_a_reader_that_stands_still),
        cmocka_unit_test(result_table_knows_every_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
