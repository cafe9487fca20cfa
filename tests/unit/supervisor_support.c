/* See the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/clock.h"
#include "runtime/log.h"
#include "tests/support/role_child.h"
#include "tests/unit/supervisor_support.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROLES_MAX = 4, ARGUMENTS = 5 };

/* Of the test that runs: what it leaves when it fails is ended by service_tear_down. */
pid_t service_running;

int service_tear_down(void **state)
{
    (void)state;
    if (service_running > 0) {
        (void)kill(service_running, SIGKILL);
        (void)waitpid(service_running, NULL, 0);
        service_running = 0;
    }
    return 0;
}

static void say_started(void *context)
{
    const int *pipe_end = context;
    (void)!write(*pipe_end, "x", 1);
}

/* In the child: the service. Its exit status is the result's number. */
static _Noreturn void serve(const service_t *service, const role_plan_t *plans, size_t count,
                            const supervisor_bounds_t *bounds, supervisor_strategy_t strategy,
                            int pipe_end)
{
    const char *arguments[ROLES_MAX][ARGUMENTS];
    supervisor_role_t roles[ROLES_MAX];
    log_start("supervisor", LOG_ERROR_LEVEL);
    if (freopen("/dev/null", "w", stderr) == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        const char *const plan[ARGUMENTS] = {"role-child", plans[i].mode, plans[i].name,
                                             service->directory, NULL};
        memcpy(arguments[i], plan, sizeof plan);
        roles[i] = (supervisor_role_t){.name = plans[i].name,
                                       .arguments = arguments[i],
                                       .descriptors = {i == 0 ? 0 : -1, -1, -1, -1},
                                       .has_crash_slot = strcmp(plans[i].mode, "slotted") == 0,
                                       .hands_over = strncmp(plans[i].mode, "handing", 7) == 0,
                                       .drain_order = plans[i].drain_order};
    }
    const supervisor_options_t options = {.data_directory = service->directory,
                                          .roles = roles,
                                          .role_count = count,
                                          .strategies = {strategy},
                                          .control_role = plans[0].name,
                                          .started = say_started,
                                          .context = &pipe_end,
                                          .version = "test",
                                          .bounds = *bounds};
    exit((int)supervisor_run(&options)); /* not _exit: the leak check of ASan runs at exit */
}

void service_begin_as(service_t *service, const role_plan_t *plans, size_t count,
                      const supervisor_bounds_t *bounds, supervisor_strategy_t strategy)
{
    int ends[2];
    (void)snprintf(service->directory, sizeof service->directory, "/tmp/supervisor-test-XXXXXX");
    assert_non_null(mkdtemp(service->directory));
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(NULL);
    service->pid = fork();
    if (service->pid == 0) {
        serve(service, plans, count, bounds, strategy, ends[1]);
    }
    service_running = service->pid;
    close(ends[1]);
    service->started = ends[0];
}

void service_begin(service_t *service, const role_plan_t *plans, size_t count,
                   const supervisor_bounds_t *bounds)
{
    service_begin_as(service, plans, count, bounds, SUPERVISOR_ONE_FOR_ONE);
}

void wait_started(const service_t *service)
{
    struct pollfd wanted = {.fd = service->started, .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, DEADLINE_MS), 1);
    assert_true((wanted.revents & POLLIN) != 0);
}

/* Waits for the end of the service; returns its result's number. */
int service_ended(const service_t *service)
{
    const uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    int status = 0;
    while (waitpid(service->pid, &status, WNOHANG) == 0) {
        assert_true(clock_monotonic_ms() < deadline);
        (void)poll(NULL, 0, POLL_MS);
    }
    service_running = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void service_release(const service_t *service)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/drained", service->directory);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/control.sock", service->directory);
    (void)unlink(path);
    assert_int_equal(rmdir(service->directory), 0);
    close(service->started);
}

void service_stop(const service_t *service)
{
    (void)kill(service->pid, SIGTERM);
    assert_int_equal(service_ended(service), RESULT_OK);
    service_release(service);
}

json_t *ask(const service_t *service, const char *command)
{
    char *answer = NULL;
    assert_int_equal(control_ask(service->directory, command, DEADLINE_MS, &answer), RESULT_OK);
    json_t *json = json_loads(answer, 0, NULL);
    assert_non_null(json);
    free(answer);
    return json;
}

void look(const service_t *service, const char *name, seen_t *seen)
{
    json_t *tree = ask(service, "{\"command\":\"tree\"}");
    const json_t *role = NULL;
    size_t i = 0;
    memset(seen, 0, sizeof *seen);
    json_array_foreach(json_object_get(tree, "roles"), i, role)
    {
        if (strcmp(json_string_value(json_object_get(role, "name")), name) == 0) {
            const json_t *status = json_object_get(role, "status");
            seen->order = json_integer_value(json_object_get(status, "order"));
            seen->is_actor = json_is_true(json_object_get(status, "is_actor"));
            (void)snprintf(
                seen->reason, sizeof seen->reason, "%s",
                json_is_object(status) ? json_string_value(json_object_get(status, "reason")) : "");
            const char *peers = json_string_value(json_object_get(status, "peers"));
            seen->pid = (pid_t)json_integer_value(json_object_get(role, "pid"));
            seen->incarnation = json_integer_value(json_object_get(role, "incarnation"));
            seen->restarts = json_integer_value(json_object_get(role, "restarts"));
            seen->answered = json_is_object(status);
            seen->descriptor = json_is_true(json_object_get(status, "descriptor"));
            (void)snprintf(seen->state, sizeof seen->state, "%s",
                           json_string_value(json_object_get(role, "state")));
            (void)snprintf(seen->last_exit, sizeof seen->last_exit, "%s",
                           json_string_value(json_object_get(role, "last_exit")));
            (void)snprintf(seen->peers, sizeof seen->peers, "%s", peers == NULL ? "" : peers);
        }
    }
    json_decref(tree);
}

/* Until the role was restarted that often, is ready again and answers. */
void wait_restarts(const service_t *service, const char *name, json_int_t restarts, seen_t *seen)
{
    const uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    look(service, name, seen);
    while (seen->restarts != restarts || strcmp(seen->state, "ready") != 0 || !seen->answered) {
        assert_true(clock_monotonic_ms() < deadline);
        (void)poll(NULL, 0, POLL_MS);
        look(service, name, seen);
    }
}
