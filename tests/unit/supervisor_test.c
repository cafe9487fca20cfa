/* The process supervisor with real processes: each test runs a service in a child of its own and
 * looks at it through the control socket, as the command line does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/clock.h"
#include "tests/support/role_child.h"
#include "tests/unit/supervisor_support.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const role_plan_t three_roles[] = {
    {"plain", "front-0", 0}, {"plain", "shard-0", 1}, {"plain", "relay", 2}};
static const supervisor_bounds_t defaults = {0};

static void all_roles_become_ready_and_know_each_other(void **state)
{
    (void)state;
    service_t service;
    seen_t front;
    seen_t shard;
    char expected[64];
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    look(&service, "shard-0", &shard);
    look(&service, "front-0", &front);
    assert_string_equal(front.state, "ready");
    assert_true(front.descriptor);
    assert_int_not_equal(front.incarnation, shard.incarnation);
    (void)snprintf(expected, sizeof expected, "shard-0@%lld=up", (long long)shard.incarnation);
    assert_non_null(strstr(front.peers, expected));
    assert_non_null(strstr(front.peers, "relay@"));
    assert_null(strstr(front.peers, "front-0@"));
    service_stop(&service);
}

static void killed_role_is_restarted_and_its_peers_hear_of_it(void **state)
{
    (void)state;
    service_t service;
    seen_t before;
    seen_t after;
    seen_t front;
    char expected[64];
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    look(&service, "shard-0", &before);
    assert_int_equal(kill(before.pid, SIGKILL), 0);
    wait_restarts(&service, "shard-0", 1, &after);
    assert_int_not_equal(after.pid, before.pid);
    assert_true(after.incarnation > before.incarnation);
    assert_string_equal(after.last_exit, "killed by SIGKILL");
    assert_non_null(strstr(after.peers, "front-0@"));
    look(&service, "front-0", &front);
    (void)snprintf(expected, sizeof expected, "shard-0@%lld=up", (long long)after.incarnation);
    assert_non_null(strstr(front.peers, expected));
    assert_int_equal(front.restarts, 0);
    service_stop(&service);
}

static void too_many_restarts_end_the_service(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"plain", "front-0", 0}, {"crash", "shard-0", 1}};
    const supervisor_bounds_t bounds = {.restarts = 3, .backoff_ms_min = 1, .backoff_ms_max = 10};
    service_t service;
    service_begin(&service, plans, 2, &bounds);
    assert_int_equal(service_ended(&service), RESULT_UNAVAILABLE);
    service_release(&service);
}

static void restarts_outside_the_window_do_not_end_the_service(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"plain", "shard-0", 0}};
    const supervisor_bounds_t bounds = {
        .restarts = 2, .restarts_window_ms = 1, .backoff_ms_min = 2, .backoff_ms_max = 10};
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 1, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 6; i++) {
        wait_restarts(&service, "shard-0", i, &seen);
        assert_int_equal(kill(seen.pid, SIGKILL), 0);
    }
    wait_restarts(&service, "shard-0", 6, &seen);
    service_stop(&service);
}

static void sigterm_drains_in_order_and_ends_with_success(void **state)
{
    (void)state;
    char path[128];
    char text[128] = "";
    service_t service;
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    (void)kill(service.pid, SIGTERM);
    assert_int_equal(service_ended(&service), RESULT_OK);
    (void)snprintf(path, sizeof path, "%s/drained", service.directory);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    (void)fclose(file);
    assert_string_equal(text, "front-0\nshard-0\nrelay\n");
    (void)snprintf(path, sizeof path, "%s/control.sock", service.directory);
    assert_int_equal(access(path, F_OK), -1);
    service_release(&service);
}

static void role_that_does_not_drain_is_killed_at_the_bound(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"deaf", "front-0", 0}, {"plain", "shard-0", 1}};
    const supervisor_bounds_t bounds = {.drain_ms = 200};
    service_t service;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    (void)kill(service.pid, SIGTERM);
    assert_int_equal(service_ended(&service), RESULT_OK);
    service_release(&service);
}

static void second_sigint_kills_at_once(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"deaf", "front-0", 0}, {"plain", "shard-0", 1}};
    const supervisor_bounds_t bounds = {.drain_ms = 60000};
    service_t service;
    seen_t seen;
    const uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    (void)kill(service.pid, SIGINT);
    look(&service, "front-0", &seen);
    while (strcmp(seen.state, "draining") != 0) {
        assert_true(clock_monotonic_ms() < deadline);
        look(&service, "front-0", &seen);
    }
    (void)kill(service.pid, SIGINT);
    assert_int_equal(service_ended(&service), RESULT_OK);
    service_release(&service);
}

static void sighup_restarts_every_role_once_without_counting(void **state)
{
    (void)state;
    const supervisor_bounds_t bounds = {.restarts = 1};
    service_t service;
    seen_t seen;
    service_begin(&service, three_roles, 3, &bounds);
    wait_started(&service);
    (void)kill(service.pid, SIGHUP);
    wait_restarts(&service, "relay", 1, &seen);
    wait_restarts(&service, "front-0", 1, &seen);
    wait_restarts(&service, "shard-0", 1, &seen);
    assert_string_equal(seen.last_exit, "exited with status 0");
    (void)kill(service.pid, SIGHUP);
    wait_restarts(&service, "relay", 2, &seen);
    service_stop(&service);
}

static size_t lines_of(const service_t *service, const char *name)
{
    char path[128];
    char line[64];
    size_t lines = 0;
    (void)snprintf(path, sizeof path, "%s/%s", service->directory, name);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        lines++;
    }
    if (file != NULL) {
        (void)fclose(file);
        (void)unlink(path);
    }
    return lines;
}

static size_t role_count(const service_t *service)
{
    json_t *tree = ask(service, "{\"command\":\"tree\"}");
    const size_t count = json_array_size(json_object_get(tree, "roles"));
    json_decref(tree);
    return count;
}

static void role_that_hands_over_is_told_when_its_successor_is_ready(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"handing", "front-0", 0}, {"plain", "shard-0", 1}};
    const supervisor_bounds_t bounds = {.restarts = 1};
    service_t service;
    seen_t seen;
    service_begin(&service, plans, 2, &bounds);
    wait_started(&service);
    assert_int_equal(role_count(&service), 2);
    for (json_int_t i = 1; i <= 3; i++) {
        (void)kill(service.pid, SIGHUP);
        wait_restarts(&service, "shard-0", i, &seen); /* after the front */
        assert_non_null(strstr(seen.peers, "front-0"));
        assert_null(strstr(seen.peers, "down"));
        wait_restarts(&service, "front-0", i, &seen);
        assert_true(seen.descriptor);
    }
    assert_int_equal(role_count(&service), 2);
    (void)kill(service.pid, SIGTERM);
    assert_int_equal(service_ended(&service), RESULT_OK);
    assert_int_equal(lines_of(&service, "handed-over"), 3);
    assert_int_equal(lines_of(&service, "drained"), 5); /* three times the shard, then both */
    service_release(&service);
}

/* The child leaves a byte at each start (role_child.c). */
static bool was_started_twice(const service_t *service)
{
    char path[128];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/started-front-0", service->directory);
    return stat(path, &file) == 0 && file.st_size >= 2;
}

static void successor_that_fails_leaves_the_old_one_at_work(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"handing-once", "front-0", 0}};
    const supervisor_bounds_t bounds = {.restarts = 1};
    const uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    service_t service;
    seen_t before;
    seen_t seen;
    service_begin(&service, plans, 1, &bounds);
    wait_started(&service);
    look(&service, "front-0", &before);
    (void)kill(service.pid, SIGHUP);
    while (!was_started_twice(&service)) {
        assert_true(clock_monotonic_ms() < deadline);
        (void)poll(NULL, 0, POLL_MS);
    }
    while (role_count(&service) != 1) {
        assert_true(clock_monotonic_ms() < deadline);
    }
    look(&service, "front-0", &seen);
    assert_int_equal(seen.pid, before.pid);
    assert_string_equal(seen.state, "ready");
    (void)kill(service.pid, SIGTERM);
    assert_int_equal(service_ended(&service), RESULT_OK);
    (void)lines_of(&service, "started-front-0");
    (void)lines_of(&service, "drained");
    service_release(&service);
}

static void role_that_gets_sigterm_drains_and_comes_back_without_counting(void **state)
{
    (void)state;
    const supervisor_bounds_t bounds = {.restarts = 1};
    service_t service;
    seen_t seen;
    service_begin(&service, three_roles, 3, &bounds);
    wait_started(&service);
    for (json_int_t i = 0; i < 3; i++) {
        wait_restarts(&service, "shard-0", i, &seen);
        assert_int_equal(kill(seen.pid, SIGTERM), 0);
    }
    wait_restarts(&service, "shard-0", 3, &seen);
    assert_string_equal(seen.last_exit, "exited with status 0");
    service_stop(&service);
}

static void role_that_is_never_ready_is_killed_and_counts(void **state)
{
    (void)state;
    const role_plan_t plans[] = {{"silent", "shard-0", 0}};
    const supervisor_bounds_t bounds = {
        .restarts = 1, .start_ms = 50, .backoff_ms_min = 1, .backoff_ms_max = 1};
    service_t service;
    service_begin(&service, plans, 1, &bounds);
    assert_int_equal(service_ended(&service), RESULT_UNAVAILABLE);
    service_release(&service);
}

static void role_that_hangs_is_killed_by_the_watchdog(void **state)
{
    (void)state;
    const supervisor_bounds_t bounds = {.watchdog_ms = 200};
    service_t service;
    seen_t seen;
    service_begin(&service, three_roles, 3, &bounds);
    wait_started(&service);
    look(&service, "shard-0", &seen);
    assert_int_equal(kill(seen.pid, SIGSTOP), 0);
    wait_restarts(&service, "shard-0", 1, &seen);
    assert_string_equal(seen.last_exit, "killed by SIGKILL");
    service_stop(&service);
}

static void role_that_does_not_answer_shows_in_the_tree(void **state)
{
    (void)state;
    service_t service;
    seen_t seen;
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    look(&service, "relay", &seen);
    assert_int_equal(kill(seen.pid, SIGSTOP), 0);
    json_t *tree = ask(&service, "{\"command\":\"tree\"}");
    const json_t *relay = json_array_get(json_object_get(tree, "roles"), 2);
    assert_string_equal(json_string_value(json_object_get(relay, "status")), "no answer");
    json_decref(tree);
    assert_int_equal(kill(seen.pid, SIGCONT), 0);
    service_stop(&service);
}

static void death_of_the_supervisor_leaves_no_orphan(void **state)
{
    (void)state;
    service_t service;
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans become ours to wait for */
    (void)kill(service.pid, SIGKILL);
    const uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    pid_t ended = 0;
    while (ended >= 0) { /* until there is no child any more */
        assert_true(clock_monotonic_ms() < deadline);
        ended = waitpid(-1, NULL, WNOHANG);
        if (ended == 0) {
            (void)poll(NULL, 0, POLL_MS);
        }
    }
    service_running = 0;
    service_release(&service);
}

static void other_commands_go_to_the_control_role(void **state)
{
    (void)state;
    service_t service;
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    json_t *answer = ask(&service, "{\"command\":\"echo\"}");
    assert_string_equal(json_string_value(json_object_get(answer, "echo")), "front-0");
    json_decref(answer);
    service_stop(&service);
}

static void metrics_of_all_roles_come_as_one_page(void **state)
{
    (void)state;
    static const char *const commands[] = {"{\"command\":\"metrics\"}", "{\"command\":\"ask\"}"};
    service_t service;
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    for (size_t i = 0; i < 2; i++) { /* by the control socket, and by a role through its link */
        json_t *answer = ask(&service, commands[i]);
        const char *text = json_string_value(json_object_get(answer, "text"));
        assert_non_null(text);
        const char *type = strstr(text, "# TYPE test_total counter\n");
        assert_non_null(type);
        assert_null(strstr(type + 1, "# TYPE test_total"));
        assert_non_null(strstr(text, "test_total{role=\"front-0\"} 1\n"));
        assert_non_null(strstr(text, "test_total{role=\"relay\"} 1\n"));
        assert_non_null(strstr(text, "digitalcard_role_restarts_total{"));
        json_decref(answer);
    }
    service_stop(&service);
}

static void control_socket_is_private_and_refuses_nonsense(void **state)
{
    (void)state;
    static const char *const nonsense[] = {"", "{", "[]", "{\"command\":7}", "\xff\xfe"};
    char path[128];
    struct stat about;
    service_t service;
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    (void)snprintf(path, sizeof path, "%s/control.sock", service.directory);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        json_t *answer = ask(&service, nonsense[i]);
        const json_t *error = json_object_get(answer, "error");
        assert_string_equal(json_string_value(json_object_get(error, "code")), "malformed_json");
        json_decref(answer);
    }
    service_stop(&service);
}

/* One that asks finds a place among those that only stay connected. */
static void control_socket_bounds_its_lines_and_clients(void **state)
{
    (void)state;
    service_t service;
    char *line = calloc(1, LIMIT_CONTROL_LINE_SIZE + 2);
    int clients[LIMIT_CONTROL_CLIENTS];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    service_begin(&service, three_roles, 3, &defaults);
    wait_started(&service);
    memset(line, 'x', LIMIT_CONTROL_LINE_SIZE + 1);
    json_t *answer = ask(&service, line);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(answer, "error"), "code")),
        "body_too_large");
    json_decref(answer);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", service.directory);
    for (size_t i = 0; i < LIMIT_CONTROL_CLIENTS; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(clients[i], (const struct sockaddr *)&address, sizeof address), 0);
    }
    answer = ask(&service, "{\"command\":\"tree\"}");
    assert_non_null(json_object_get(answer, "roles"));
    json_decref(answer);
    char byte;
    assert_int_equal(recv(clients[0], &byte, 1, 0), 0); /* idle longest: it had to go */
    assert_int_equal(recv(clients[LIMIT_CONTROL_CLIENTS - 1], &byte, 1, MSG_DONTWAIT), -1);
    for (size_t i = 0; i < LIMIT_CONTROL_CLIENTS; i++) {
        close(clients[i]);
    }
    free(line);
    service_stop(&service);
}

int main(int argc, char **argv)
{
    int status = 0;
    if (role_child_main(argc, argv, &status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_teardown(name, service_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_roles_become_ready_and_know_each_other),
        TEST(killed_role_is_restarted_and_its_peers_hear_of_it),
        TEST(too_many_restarts_end_the_service),
        TEST(restarts_outside_the_window_do_not_end_the_service),
        TEST(sigterm_drains_in_order_and_ends_with_success),
        TEST(role_that_does_not_drain_is_killed_at_the_bound),
        TEST(second_sigint_kills_at_once),
        TEST(sighup_restarts_every_role_once_without_counting),
        TEST(role_that_hands_over_is_told_when_its_successor_is_ready),
        TEST(successor_that_fails_leaves_the_old_one_at_work),
        TEST(role_that_gets_sigterm_drains_and_comes_back_without_counting),
        TEST(role_that_is_never_ready_is_killed_and_counts),
        TEST(role_that_hangs_is_killed_by_the_watchdog),
        TEST(role_that_does_not_answer_shows_in_the_tree),
        TEST(death_of_the_supervisor_leaves_no_orphan),
        TEST(other_commands_go_to_the_control_role),
        TEST(metrics_of_all_roles_come_as_one_page),
        TEST(control_socket_is_private_and_refuses_nonsense),
        TEST(control_socket_bounds_its_lines_and_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
