/* What the service manager hears, with a socket of the test in its place: an abstract one and one
 * in the file system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/clock.h"
#include "runtime/notify.h"
#include "tests/support/role_child.h"
#include "tests/unit/supervisor_support.h"
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct manager {
    int descriptor;
    char path[64];
} manager_t;

static manager_t manager_begin(bool is_abstract)
{
    manager_t manager = {.descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(manager.path, sizeof manager.path, "%s/notify-test-%ld",
                   is_abstract ? "@" : "/tmp", (long)getpid());
    const size_t size = strlen(manager.path);
    memcpy(address.sun_path, manager.path, size);
    if (is_abstract) {
        address.sun_path[0] = '\0';
    } else {
        (void)unlink(manager.path);
    }
    assert_int_equal(
        bind(manager.descriptor, (const struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (is_abstract ? 0 : 1))),
        0);
    assert_int_equal(setenv("NOTIFY_SOCKET", manager.path, 1), 0);
    return manager;
}

static void manager_end(const manager_t *manager)
{
    close(manager->descriptor);
    if (manager->path[0] == '/') {
        (void)unlink(manager->path);
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

/* The next datagram; empty when none comes within `timeout_ms`. */
static void receive(const manager_t *manager, char *text, size_t size, int timeout_ms)
{
    struct pollfd wanted = {.fd = manager->descriptor, .events = POLLIN};
    text[0] = '\0';
    if (poll(&wanted, 1, timeout_ms) == 1) {
        const ssize_t got = recv(manager->descriptor, text, size - 1, 0);
        assert_true(got > 0);
        text[got] = '\0';
    }
}

/* Until one comes that begins with `beginning`. */
static void expect(const manager_t *manager, const char *beginning, char *text, size_t size)
{
    const uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    do {
        assert_true(clock_monotonic_ms() < deadline);
        receive(manager, text, size, DEADLINE_MS);
    } while (strncmp(text, beginning, strlen(beginning)) != 0);
}

static const role_plan_t plans[] = {{"plain", "front-0", 0}, {"plain", "shard-0", 1}};
static const supervisor_bounds_t defaults = {0};

static void manager_hears_ready_watchdog_reloading_and_stopping(void **state)
{
    (void)state;
    char text[NOTIFY_TEXT_SIZE];
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
        service_t service;
        uint64_t reload_us = 0;
        manager_t manager = manager_begin(is_abstract == 1);
        (void)setenv("WATCHDOG_USEC", "200000", 1);
        const uint64_t begin_us = clock_monotonic_us();
        service_begin(&service, plans, 2, &defaults);
        receive(&manager, text, sizeof text, DEADLINE_MS); /* nothing comes before it */
        assert_string_equal(text, "READY=1\nSTATUS=all 2 roles are ready");
        expect(&manager, "WATCHDOG=1", text, sizeof text);
        assert_string_equal(text, "WATCHDOG=1");
        (void)kill(service.pid, SIGHUP);
        expect(&manager, "RELOADING=1\n", text, sizeof text);
        assert_int_equal(
            sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "\nSTATUS=", &reload_us), 1);
        assert_true(reload_us > begin_us && reload_us < clock_monotonic_us());
        expect(&manager, "READY=1\n", text, sizeof text);
        (void)kill(service.pid, SIGTERM);
        expect(&manager, "STOPPING=1\n", text, sizeof text);
        assert_int_equal(service_ended(&service), RESULT_OK);
        receive(&manager, text, sizeof text, 0);
        assert_string_equal(text, "");
        service_release(&service);
        manager_end(&manager);
    }
}

static void watchdog_is_silent_while_a_role_does_not_answer(void **state)
{
    (void)state;
    char text[NOTIFY_TEXT_SIZE];
    service_t service;
    seen_t seen;
    manager_t manager = manager_begin(true);
    (void)setenv("WATCHDOG_USEC", "200000", 1);
    service_begin(&service, plans, 2, &defaults);
    expect(&manager, "WATCHDOG=1", text, sizeof text);
    look(&service, "shard-0", &seen);
    assert_int_equal(kill(seen.pid, SIGKILL), 0);
    expect(&manager, "STATUS=role shard-0 is started anew (killed by SIGKILL)", text, sizeof text);
    receive(&manager, text, sizeof text, DEADLINE_MS);
    assert_string_equal(text, "READY=1\nSTATUS=all 2 roles are ready"); /* no WATCHDOG before */
    service_stop(&service);
    manager_end(&manager);
}

static void roles_do_not_inherit_the_managers_socket(void **state)
{
    (void)state;
    notify_t notify;
    manager_t manager = manager_begin(true);
    (void)setenv("WATCHDOG_USEC", "1000000", 1);
    (void)setenv("WATCHDOG_PID", "1", 1); /* somebody else's watchdog */
    notify_open(&notify);
    assert_true(notify_is_wanted(&notify));
    assert_int_equal(notify.watchdog_ms, 0);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    notify_close(&notify);
    manager_end(&manager);
}

static void unusable_socket_names_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"", "@", "/", "relative", "vsock:2:1234"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        notify_t notify;
        (void)setenv("NOTIFY_SOCKET", names[i], 1);
        notify_open(&notify);
        assert_false(notify_is_wanted(&notify));
        notify_send(&notify, "READY=1");
        notify_close(&notify);
    }
    char longer[256] = "/";
    notify_t notify;
    memset(longer + 1, 'x', 200);
    (void)setenv("NOTIFY_SOCKET", longer, 1);
    notify_open(&notify);
    assert_false(notify_is_wanted(&notify));
}

int main(int argc, char **argv)
{
    int status = 0;
    if (role_child_main(argc, argv, &status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_teardown(name, service_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(manager_hears_ready_watchdog_reloading_and_stopping),
        TEST(watchdog_is_silent_while_a_role_does_not_answer),
        TEST(roles_do_not_inherit_the_managers_socket),
        TEST(unusable_socket_names_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
