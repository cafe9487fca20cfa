/* The command line's side of the control socket: connect, one line out, one line in, blocking with
 * a deadline. It interprets nothing. */
#include "runtime/supervisor.h"

#include "runtime/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_SIZE_FIRST = 65536, LOOK_MS = 2000 };

/* Waits until the socket can do what is asked; false at the deadline. */
static bool wait_for(int descriptor, short events, uint64_t deadline_ms)
{
    struct pollfd wanted = {.fd = descriptor, .events = events};
    for (;;) { /* bounded by the deadline */
        const uint64_t now_ms = clock_monotonic_ms();
        if (now_ms >= deadline_ms) {
            return false;
        }
        const int ready = poll(&wanted, 1, (int)(deadline_ms - now_ms));
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return false;
        }
    }
}

static result_t connect_control(const char *data_directory, uint64_t deadline_ms, int *descriptor)
{
    const int directory = open(data_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return errno == EACCES ? RESULT_PERMISSION_DENIED : RESULT_MISSING;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control.sock",
                   directory);
    const int connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connected < 0) {
        (void)close(directory);
        return RESULT_IO;
    }
    result_t result = RESULT_OK;
    while (connect(connected, (const struct sockaddr *)&address, sizeof address) != 0) {
        const int number = errno;
        if (number == EAGAIN && clock_monotonic_ms() < deadline_ms) { /* its backlog is full */
            (void)poll(NULL, 0, 10);
            continue;
        }
        result = number == EAGAIN                      ? RESULT_DEADLINE_EXCEEDED
                 : number == EACCES || number == EPERM ? RESULT_PERMISSION_DENIED
                                                       : RESULT_MISSING;
        break;
    }
    (void)close(directory);
    if (result != RESULT_OK) {
        (void)close(connected);
        return result;
    }
    *descriptor = connected;
    return RESULT_OK;
}

static result_t send_all(int descriptor, const char *bytes, size_t size, uint64_t deadline_ms)
{
    size_t sent = 0;
    while (sent < size) {
        const ssize_t written = send(descriptor, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (written > 0) {
            sent += (size_t)written;
        } else if (errno == EAGAIN) {
            if (!wait_for(descriptor, POLLOUT, deadline_ms)) {
                return RESULT_DEADLINE_EXCEEDED;
            }
        } else if (errno != EINTR) {
            /* A server that refuses says why before it closes: read that. */
            return errno == EPIPE || errno == ECONNRESET ? RESULT_OK : RESULT_IO;
        }
    }
    return RESULT_OK;
}

/* Whoever listens, as the kernel noted it, and whether a signal or a debugger has stopped it. */
static bool is_stopped(int descriptor, int64_t *pid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return false;
    }
    char path[32];
    char text[512];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)peer.pid);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) {
        (void)close(file);
    }
    if (length <= 0) {
        return false;
    }
    text[length] = '\0';
    const char *const name_end = strrchr(text, ')'); /* ") T …" */
    *pid = peer.pid;
    return name_end != NULL && strlen(name_end) > 2 && (name_end[2] == 'T' || name_end[2] == 't');
}

/* As wait_for, but nobody waits long for a process that does not run. */
static bool wait_for_answer(int descriptor, uint64_t deadline_ms)
{
    bool is_there = false;
    int64_t pid = 0;
    while (!is_there) { /* bounded by the deadline */
        const uint64_t look_ms = clock_monotonic_ms() + LOOK_MS;
        is_there = wait_for(descriptor, POLLIN, look_ms < deadline_ms ? look_ms : deadline_ms);
        if (!is_there && (clock_monotonic_ms() >= deadline_ms || is_stopped(descriptor, &pid))) {
            return false;
        }
    }
    return true;
}

static bool grow(char **buffer, size_t *size)
{
    if (*size >= LIMIT_CONTROL_ANSWER_SIZE) {
        return false;
    }
    char *grown = realloc(*buffer, *size * 2);
    if (grown == NULL) {
        return false;
    }
    *buffer = grown;
    *size *= 2;
    return true;
}

static result_t receive_line(int descriptor, uint64_t deadline_ms, char **answer)
{
    size_t size = ANSWER_SIZE_FIRST;
    size_t used = 0;
    char *buffer = malloc(size);
    result_t result = buffer == NULL ? RESULT_NO_MEMORY : RESULT_OK;
    while (result == RESULT_OK) {
        if (used == size && !grow(&buffer, &size)) {
            result = RESULT_NO_MEMORY;
            break;
        }
        const ssize_t received = recv(descriptor, buffer + used, size - used, 0);
        if (received > 0) {
            const char *end = memchr(buffer + used, '\n', (size_t)received);
            used += (size_t)received;
            if (end != NULL) {
                buffer[end - buffer] = '\0';
                *answer = buffer;
                return RESULT_OK;
            }
        } else if (received == 0) {
            result = RESULT_UNAVAILABLE; /* it ended before it answered */
        } else if (errno == EAGAIN) {
            result =
                wait_for_answer(descriptor, deadline_ms) ? RESULT_OK : RESULT_DEADLINE_EXCEEDED;
        } else if (errno != EINTR) {
            result = RESULT_UNAVAILABLE;
        }
    }
    free(buffer);
    return result;
}

result_t control_ask(const char *data_directory, const char *json, uint32_t timeout_ms,
                     char **answer)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    int descriptor = -1;
    result_t result = connect_control(data_directory, deadline_ms, &descriptor);
    if (result != RESULT_OK) {
        return result;
    }
    result = send_all(descriptor, json, strlen(json), deadline_ms);
    if (result == RESULT_OK) {
        result = send_all(descriptor, "\n", 1, deadline_ms);
    }
    if (result == RESULT_OK) {
        result = receive_line(descriptor, deadline_ms, answer);
    }
    (void)close(descriptor);
    return result;
}

int64_t control_stopped_process(const char *data_directory)
{
    int descriptor = -1;
    int64_t pid = 0;
    if (connect_control(data_directory, clock_monotonic_ms(), &descriptor) != RESULT_OK) {
        return 0;
    }
    const bool stopped = is_stopped(descriptor, &pid);
    (void)close(descriptor);
    return stopped ? pid : 0;
}
