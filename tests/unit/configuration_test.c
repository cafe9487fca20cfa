/* Settings, arguments, addresses and the data directory of the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/cli/configuration.h"
#include "adapters/cli/data_directory.h"
#include "adapters/cli/endpoint.h"
#include "runtime/limits.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char message[2048]; /* what command_fail said last; tests run one by one */

int command_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

static char directory[32];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/cli-test-XXXXXX");
    message[0] = '\0';
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"c.yaml", "lock", "run/shard-0.7", "run/x", "run", "file"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)remove(path);
    }
#define SETTING(name, flag, variable, otherwise, value_name, help) (void)unsetenv(variable);
#include "adapters/cli/configuration.def"
#undef SETTING
    return rmdir(directory);
}

static const char *write_file(const char *text)
{
    static char path[64];
    (void)snprintf(path, sizeof path, "%s/c.yaml", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    return path;
}

static void defaults_hold_when_nothing_is_given(void **state)
{
    (void)state;
    configuration_t configuration = {0};
    assert_true(configuration_load(&configuration));
    assert_string_equal(configuration.texts.data, "./var");
    assert_string_equal(configuration.texts.http, "127.0.0.1:8080");
    assert_string_equal(configuration.texts.api, "tcp://127.0.0.1:5555");
    assert_true(configuration.shards >= 1 && configuration.shards <= LIMIT_SHARDS);
    assert_int_equal(configuration.actor_bytes_max, LIMIT_ACTOR_BYTES);
    assert_int_equal(configuration.activations_max, LIMIT_LOADS_IN_FLIGHT);
    assert_int_equal(configuration.replies_hours * 3600, LIMIT_IDEMPOTENCY_AGE_S);
    configuration_release(&configuration);
}

static void memory_and_activations_have_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *activations;
        bool is_good;
    } cases[] = {{"1048576", "1", true},       {"1048575", "1", false}, {"64m", "1", false},
                 {"1048576", "16384", true},   {"1048576", "0", false}, {"1048576", "16385", false},
                 {"99999999999999", "7", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configuration_t configuration = {.given.actor_bytes_max = cases[i].bytes,
                                         .given.activations_max = cases[i].activations};
        assert_int_equal(configuration_load(&configuration), cases[i].is_good);
        configuration_release(&configuration);
    }
}

static void what_waits_for_a_subscriber_has_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        bool is_good;
    } cases[] = {{"100", true}, {"100000", true}, {"99", false}, {"100001", false}, {"all", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configuration_t configuration = {.given.subscriber_messages = cases[i].messages};
        assert_int_equal(configuration_load(&configuration), cases[i].is_good);
        configuration_release(&configuration);
    }
}

static void replies_are_kept_an_hour_to_a_month(void **state)
{
    (void)state;
    static const struct {
        const char *hours;
        bool is_good;
    } cases[] = {{"1", true}, {"720", true}, {"0", false}, {"721", false}, {"a day", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configuration_t configuration = {.given.replies_hours = cases[i].hours};
        assert_int_equal(configuration_load(&configuration), cases[i].is_good);
        configuration_release(&configuration);
    }
}

static void flags_beat_environment_beats_file(void **state)
{
    (void)state;
    configuration_t configuration = {
        .file = write_file("data: /file\nhttp: 127.0.0.1:1\napi: tcp://127.0.0.1:2\nshards: 3\n"),
        .given.data = "/flag"};
    assert_int_equal(setenv("DIGITALCARD_DATA", "/environment", 1), 0);
    assert_int_equal(setenv("DIGITALCARD_HTTP", "127.0.0.1:9", 1), 0);
    assert_true(configuration_load(&configuration));
    assert_string_equal(configuration.texts.data, "/flag");
    assert_string_equal(configuration.texts.http, "127.0.0.1:9");
    assert_string_equal(configuration.texts.api, "tcp://127.0.0.1:2");
    assert_string_equal(configuration.texts.events, "tcp://127.0.0.1:5556");
    assert_int_equal(configuration.shards, 3);
    configuration_release(&configuration);
}

static void unusable_files_are_refused_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *said;
    } cases[] = {{"data: /x\ncolour: red\n", "colour"},
                 {"data: /x\ncolour: red\n", "line"},
                 {"data: [1, 2]\n", "data"},
                 {"- a\n- b\n", "c.yaml"},
                 {"data: \"x\n", "c.yaml"},
                 {"a: &b 1\nc: *b\n", "c.yaml"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configuration_t configuration = {.file = write_file(cases[i].text)};
        assert_false(configuration_load(&configuration));
        assert_non_null(strstr(message, cases[i].said));
        assert_null(strchr(message, '\n'));
        configuration_release(&configuration);
    }
    configuration_t missing = {.file = "/nonexistent.yaml"};
    assert_false(configuration_load(&missing));
    assert_non_null(strstr(message, "/nonexistent.yaml"));
}

static void unusable_values_are_refused(void **state)
{
    (void)state;
    const configuration_texts_t cases[] = {
        {.store = "mysql"},
        {.store_connections = "0"},
        {.store_connections = "many"},
        {.store_connections_total = "9", .shards = "1"},
        {.store_connections_total = "15", .shards = "3"},
        {.store_connections_total = "9999"},
        {.store_connections_total = "64", .store_connections = "16"},
        {.redis = "http://x"},
        {.redis = "rediss://x"},
        {.rate_per_token = "-1"},
        {.rate_per_tenant = "1000001"},
        {.shards = "0"},
        {.shards = "33"},
        {.shards = "two"},
        {.shards = "-1"},
        {.log_level = "chatty"},
        {.data = ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configuration_t configuration = {.given = cases[i]};
        message[0] = '\0';
        assert_false(configuration_load(&configuration));
        assert_true(message[0] != '\0');
    }
    configuration_t postgresql = {.given.store = "postgresql://user:secret@host/db"};
    assert_true(configuration_load(&postgresql));
    configuration_t mistyped = {.given.store = "postgres:/user:secret@host/db"};
    assert_false(configuration_load(&mistyped));
    assert_null(strstr(message, "secret"));
}

static void assert_told_without_secret(const configuration_texts_t *given)
{
    configuration_t configuration = {.given = *given};
    message[0] = '\0';
    assert_false(configuration_load(&configuration));
    assert_non_null(strstr(message, "--membership-"));
    assert_null(strstr(message, "hunter2"));
}

static void password_of_a_refused_membership_url_is_not_told(void **state)
{
    (void)state;
    static const char *const urls[] = {"acme=http://me:hunter2@h", "me:hunter2@h",
                                       "me:hunter2@h/?x=http://y", "acme=me:hunter2@h/?x=http://y",
                                       "me:hunter2://x@h"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_told_without_secret(&(configuration_texts_t){.membership_url = urls[i]});
    }
    static const char *const events[] = {"udp://me:hunter2@h", "me:hunter2@h/?x=tcp://y"};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        assert_told_without_secret(&(configuration_texts_t){.membership_events = events[i]});
    }
    configuration_t scheme = {.given.membership_url = "acme=http://me:hunter2@h"};
    assert_false(configuration_load(&scheme));
    assert_non_null(strstr(message, "--membership-url acme=http://…:"));
}

static void connections_are_shared_out_among_roles(void **state)
{
    (void)state;
    configuration_t configuration = {.given = {.store_connections_total = "64", .shards = "1"}};
    assert_true(configuration_load(&configuration));
    assert_int_equal(configuration.connections.shard, 49);
    assert_int_equal(configuration.connections.relay + configuration.connections.sessions, 12);
    for (uint64_t shards = 1; shards <= LIMIT_SHARDS; shards++) {
        for (uint64_t total = connections_total_min(shards);
             total <= LIMIT_POSTGRES_CONNECTIONS_MAX; total++) {
            const connections_t share = connections_share(0, total, shards);
            const uint64_t control = shards + 2; /* shards, relay, adapters */
            assert_in_range(shards * share.shard + share.relay + share.sessions + control, 1,
                            total);
            assert_true(share.shard >= 2 && share.relay >= 2);
            assert_true(share.sessions > LIMIT_PROJECTION_THREADS);
            assert_true(share.sessions <= LIMIT_PROJECTION_SESSIONS_MAX);
        }
    }
    const connections_t each = connections_share(7, 0, 2);
    assert_int_equal(each.shard, 7);
    assert_int_equal(each.relay, 7);
    assert_true(connections_hand_down(&each));
    assert_int_equal(connections_of_role().shard, 7);
    configuration_release(&configuration);
}

static void arguments_are_taken_in_both_spellings(void **state)
{
    (void)state;
    const command_t command = {"test", "NAME", "Test", NULL};
    const char *text = NULL;
    uint64_t number = 0;
    bool flag = false;
    const char *plain = NULL;
    int status = -1;
    const option_t options[] = {OPTION_TEXT("text", "T", &text, ""),
                                OPTION_NUMBER("number", "N", &number, ""),
                                OPTION_FLAG("flag", &flag, "")};
    char *argv[] = {"--text=a=b", "--number", "42", "--flag", "--", "--name"};
    assert_true(arguments_parse(&command, 6, argv, options, 3, &plain, 1, &status));
    assert_string_equal(text, "a=b");
    assert_int_equal(number, 42);
    assert_true(flag);
    assert_string_equal(plain, "--name");
}

static void wrong_arguments_are_usage_errors(void **state)
{
    (void)state;
    const command_t command = {"test", "NAME", "Test", NULL};
    uint64_t number = 0;
    bool flag = false;
    const char *plain = NULL;
    const option_t options[] = {OPTION_NUMBER("number", "N", &number, ""),
                                OPTION_FLAG("flag", &flag, "")};
    char *cases[][3] = {{"name", "--number", NULL},
                        {"name", "--number", "1x"},
                        {"name", "--number=", NULL},
                        {"name", "--unknown", NULL},
                        {"name", "--flag=1", NULL},
                        {"name", "other", NULL},
                        {"name", "-x", NULL},
                        {"--flag", NULL, NULL},
                        {"name", "--number", "99999999999999999999"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = -1;
        int count = 0;
        while (count < 3 && cases[i][count] != NULL) {
            count++;
        }
        assert_false(arguments_parse(&command, count, cases[i], options, 2, &plain, 1, &status));
        assert_int_equal(status, EXIT_USAGE);
    }
}

static void addresses_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        result_t result;
    } zmq[] = {{"tcp://127.0.0.1:5555", RESULT_OK},
               {"tcp://127.9.9.9:1", RESULT_OK},
               {"tcp://localhost:0", RESULT_OK},
               {"tcp://[::1]:5555", RESULT_OK},
               {"ipc:///tmp/a", RESULT_OK},
               {"ipc://relative", RESULT_OK},
               {"tcp://0.0.0.0:5555", RESULT_PERMISSION_DENIED},
               {"tcp://192.168.1.2:5555", RESULT_PERMISSION_DENIED},
               {"tcp://[::]:5555", RESULT_PERMISSION_DENIED},
               {"tcp://[::ffff:10.0.0.1]:5555", RESULT_PERMISSION_DENIED},
               {"tcp://*:5555", RESULT_INVALID_ARGUMENT},
               {"tcp://example.org:5555", RESULT_INVALID_ARGUMENT},
               {"tcp://127.0.0.1:70000", RESULT_INVALID_ARGUMENT},
               {"tcp://127.0.0.1", RESULT_INVALID_ARGUMENT},
               {"tcp://127.0.0.1:", RESULT_INVALID_ARGUMENT},
               {"tcp://::1:5555", RESULT_INVALID_ARGUMENT},
               {"tcp://[127.0.0.1]:5555", RESULT_INVALID_ARGUMENT},
               {"tcp://[localhost]:5555", RESULT_INVALID_ARGUMENT},
               {"udp://127.0.0.1:5555", RESULT_INVALID_ARGUMENT},
               {"ipc://@abstract", RESULT_INVALID_ARGUMENT},
               {"ipc://", RESULT_INVALID_ARGUMENT},
               {"", RESULT_INVALID_ARGUMENT}};
    endpoint_t endpoint;
    for (size_t i = 0; i < sizeof zmq / sizeof zmq[0]; i++) {
        assert_int_equal(endpoint_parse_zmq(zmq[i].text, &endpoint), zmq[i].result);
    }
    assert_int_equal(endpoint_parse_http("0.0.0.0:8080", &endpoint), RESULT_OK);
    assert_int_equal(endpoint_parse_http("[::]:8080", &endpoint), RESULT_OK);
    assert_int_equal(endpoint_parse_http("8080", &endpoint), RESULT_INVALID_ARGUMENT);
    assert_int_equal(endpoint_parse_http(":8080", &endpoint), RESULT_INVALID_ARGUMENT);
}

static void port_zero_gets_a_real_port_that_is_then_in_use(void **state)
{
    (void)state;
    endpoint_t first;
    endpoint_t second;
    assert_int_equal(endpoint_parse_zmq("tcp://127.0.0.1:0", &first), RESULT_OK);
    assert_int_equal(endpoint_bind(&first), RESULT_OK);
    assert_null(strstr(first.text, ":0"));
    assert_true((fcntl(first.descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(endpoint_parse_zmq(first.text, &second), RESULT_OK);
    assert_int_equal(endpoint_bind(&second), RESULT_ADDRESS_IN_USE);
    endpoint_close(&first);
}

static void directory_is_made_private_and_locked_once(void **state)
{
    (void)state;
    char path[64];
    char error[512];
    struct stat about;
    data_directory_t first;
    data_directory_t second;
    (void)snprintf(path, sizeof path, "%s/run/x", directory);
    assert_int_equal(data_directory_open(path, false, &first, error, sizeof error), RESULT_MISSING);
    assert_int_equal(data_directory_open(path, true, &first, error, sizeof error), RESULT_OK);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
    assert_int_equal(data_directory_open(directory, true, &first, error, sizeof error), RESULT_OK);
    assert_int_equal(data_directory_open(directory, true, &second, error, sizeof error), RESULT_OK);
    assert_int_equal(data_directory_lock(&first, error, sizeof error), RESULT_OK);
    assert_int_equal(data_directory_lock(&second, error, sizeof error),
                     RESULT_DATA_DIRECTORY_IN_USE);
    (void)snprintf(path, sizeof path, "in use by process %ld", (long)getpid());
    assert_non_null(strstr(error, path));
    (void)snprintf(path, sizeof path, "%s/lock", directory);
    assert_int_equal(unlink(path), 0); /* somebody tidies up: it is still in use */
    assert_int_equal(data_directory_lock(&second, error, sizeof error),
                     RESULT_DATA_DIRECTORY_IN_USE);
    assert_non_null(strstr(error, "was removed"));
    data_directory_close(&first);
    assert_int_equal(data_directory_lock(&second, error, sizeof error), RESULT_OK);
    data_directory_close(&second);
}

static void unusable_directories_are_refused(void **state)
{
    (void)state;
    char path[64];
    char error[512] = "";
    data_directory_t opened;
    (void)snprintf(path, sizeof path, "%s/file", directory);
    const int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(data_directory_open(path, true, &opened, error, sizeof error),
                     RESULT_INVALID_ARGUMENT);
    assert_non_null(strstr(error, path));
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(data_directory_open(directory, true, &opened, error, sizeof error),
                     RESULT_PERMISSION_DENIED);
    assert_non_null(strstr(error, "(mode 0777): chmod 0700 it"));
    assert_int_equal(chmod(directory, 0700), 0);
    assert_int_equal(data_directory_open("/proc/nonexistent/x", true, &opened, error, sizeof error),
                     RESULT_MISSING);
    if (geteuid() != 0) { /* nothing is unwritable for root */
        assert_int_equal(data_directory_open("/usr", true, &opened, error, sizeof error),
                         RESULT_PERMISSION_DENIED);
    }
}

static void sockets_of_the_dead_are_removed(void **state)
{
    (void)state;
    char path[64];
    char error[512];
    data_directory_t opened;
    assert_int_equal(data_directory_open(directory, true, &opened, error, sizeof error), RESULT_OK);
    assert_int_equal(data_directory_clear_run(&opened, error, sizeof error), RESULT_OK);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/run/shard-0.7", directory);
        const int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        close(file);
        if (i == 0) {
            data_directory_remove_socket(&opened, "shard-0", 7);
        } else {
            assert_int_equal(data_directory_clear_run(&opened, error, sizeof error), RESULT_OK);
        }
        assert_int_equal(access(path, F_OK), -1);
    }
    data_directory_close(&opened);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_hold_when_nothing_is_given),
        TEST(memory_and_activations_have_bounds),
        TEST(what_waits_for_a_subscriber_has_bounds),
        TEST(replies_are_kept_an_hour_to_a_month),
        TEST(flags_beat_environment_beats_file),
        TEST(unusable_files_are_refused_in_one_line),
        TEST(unusable_values_are_refused),
        TEST(password_of_a_refused_membership_url_is_not_told),
        TEST(connections_are_shared_out_among_roles),
        TEST(arguments_are_taken_in_both_spellings),
        TEST(wrong_arguments_are_usage_errors),
        TEST(addresses_are_judged),
        TEST(port_zero_gets_a_real_port_that_is_then_in_use),
        TEST(directory_is_made_private_and_locked_once),
        TEST(unusable_directories_are_refused),
        TEST(sockets_of_the_dead_are_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
