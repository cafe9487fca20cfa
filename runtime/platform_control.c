/* The control socket over libuv, and its blocking client. It knows no commands. A client has one
 * request in flight; what it sent beyond waits in its buffer and then in the kernel. */
#include "runtime/control.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { SWEEP_MS = 1000, BACKLOG = 16 };

#define SOCKET_NAME "control.sock"
#define SOCKET_NAME_NEW "control.sock.new"
#define TOO_LONG                                                                                   \
    "{\"error\":{\"code\":\"body_too_large\",\"detail\":\"A command is one line of at most 65536 " \
    "bytes\"}}"
#define TOO_MANY                                                                                   \
    "{\"error\":{\"code\":\"busy\",\"detail\":\"Too many programs are connected; try again\"}}"

typedef struct control_client {
    uv_pipe_t pipe;
    control_server_t *server; /* NULL once the server is destroyed */
    size_t place;             /* in server->clients; LIMIT_CONTROL_CLIENTS: refused, not kept */
    control_request_t *request;
    uint64_t active_ms;
    bool closing;
    bool close_after_write;
    uv_write_t write;
    char *answer;
    size_t used;
    char line[LIMIT_CONTROL_LINE_SIZE];
} control_client_t;

struct control_request {
    control_client_t *client; /* NULL once it is gone */
};

struct control_server {
    loop_t *loop;
    uv_pipe_t *listener;
    ino_t inode;     /* of the socket that is ours */
    bool is_missing; /* it is gone, and cannot be made again */
    loop_timer_t *sweep;
    control_handler_t *handler;
    void *context;
    int directory; /* kept to remove the socket at the end */
    control_client_t *clients[LIMIT_CONTROL_CLIENTS];
};

static void client_closed(uv_handle_t *handle)
{
    control_client_t *client = handle->data;
    free(client->answer);
    free(client);
}

static void client_close(control_client_t *client)
{
    if (client->closing) {
        return;
    }
    client->closing = true;
    if (client->request != NULL) {
        client->request->client = NULL;
    }
    if (client->server != NULL && client->place < LIMIT_CONTROL_CLIENTS) {
        client->server->clients[client->place] = NULL;
    }
    uv_close((uv_handle_t *)&client->pipe, client_closed);
}

static void client_next(control_client_t *client);

static void client_written(uv_write_t *write, int status)
{
    control_client_t *client = write->data;
    free(client->answer);
    client->answer = NULL;
    if (client->closing) {
        return;
    }
    if (status != 0 || client->close_after_write || client->server == NULL) {
        client_close(client);
        return;
    }
    client->active_ms = loop_now_ms(client->server->loop);
    client_next(client);
}

static void client_write(control_client_t *client, const char *json, size_t size)
{
    client->answer = malloc(size + 1);
    if (client->answer == NULL) {
        client_close(client);
        return;
    }
    memcpy(client->answer, json, size);
    client->answer[size] = '\n';
    uv_buf_t buffer = uv_buf_init(client->answer, (unsigned)size + 1);
    client->write.data = client;
    if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buffer, 1, client_written) != 0) {
        client_close(client);
    }
}

static void client_reserve(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    control_client_t *client = handle->data;
    *buffer =
        uv_buf_init(client->line + client->used, (unsigned)(sizeof client->line - client->used));
}

static void client_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    control_client_t *client = handle->data;
    if (size < 0) {
        client_close(client);
        return;
    }
    client->used += (size_t)size;
    client->active_ms = loop_now_ms(client->server->loop);
    if (size > 0) {
        client_next(client);
    }
}

/* Takes the next whole line, or reads on. */
static void client_next(control_client_t *client)
{
    const char *end = memchr(client->line, '\n', client->used);
    if (end == NULL && client->used < sizeof client->line) {
        (void)uv_read_start((uv_stream_t *)&client->pipe, client_reserve, client_read);
        return;
    }
    (void)uv_read_stop((uv_stream_t *)&client->pipe);
    if (end == NULL) {
        client->close_after_write = true;
        client_write(client, TOO_LONG, sizeof TOO_LONG - 1);
        return;
    }
    control_request_t *request = calloc(1, sizeof *request);
    char *line = strndup(client->line, (size_t)(end - client->line));
    if (request == NULL || line == NULL) {
        free(request);
        free(line);
        client_close(client);
        return;
    }
    request->client = client;
    client->request = request;
    client->used -= (size_t)(end - client->line) + 1;
    memmove(client->line, end + 1, client->used);
    client->server->handler(client->server->context, request, line, strlen(line));
    free(line);
}

void control_request_answer(control_request_t **request, const char *json, size_t size)
{
    control_client_t *client = (*request)->client;
    free(*request);
    *request = NULL;
    if (client != NULL) {
        client->request = NULL;
        client_write(client, json, size);
    }
}

/* A place that is free; else that of the client which asked for nothing for the longest time, so
 * that programs that only stay connected lock nobody out. */
static size_t server_place(control_server_t *server)
{
    size_t place = 0;
    while (place < LIMIT_CONTROL_CLIENTS && server->clients[place] != NULL) {
        place++;
    }
    if (place < LIMIT_CONTROL_CLIENTS) {
        return place;
    }
    control_client_t *idle = NULL;
    for (size_t i = 0; i < LIMIT_CONTROL_CLIENTS; i++) {
        control_client_t *client = server->clients[i];
        const bool is_idle = client->request == NULL && client->answer == NULL;
        if (is_idle && (idle == NULL || client->active_ms < idle->active_ms)) {
            idle = client;
        }
    }
    if (idle != NULL) {
        place = idle->place;
        client_close(idle);
    }
    return place;
}

static void server_accept(uv_stream_t *handle, int status)
{
    control_server_t *server = handle->data;
    control_client_t *client = status == 0 ? calloc(1, sizeof *client) : NULL;
    if (client == NULL) {
        return;
    }
    const int initialised = uv_pipe_init(loop_uv(server->loop), &client->pipe, 0);
    assert(initialised == 0);
    client->pipe.data = client;
    client->place = server_place(server);
    client->server = server;
    client->active_ms = loop_now_ms(server->loop);
    if (uv_accept(handle, (uv_stream_t *)&client->pipe) != 0) {
        client->place = LIMIT_CONTROL_CLIENTS;
        client_close(client);
        return;
    }
    if (client->place == LIMIT_CONTROL_CLIENTS) {
        client->close_after_write = true;
        client_write(client, TOO_MANY, sizeof TOO_MANY - 1);
        return;
    }
    server->clients[client->place] = client;
    client_next(client);
}

/* The address goes through the open directory, so that a long path still fits into it. */
static void socket_address(int directory, const char *name, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", directory,
                   name);
}

static result_t result_from_errno(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
    case EROFS:
        return RESULT_PERMISSION_DENIED;
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return RESULT_MISSING;
    default:
        return RESULT_IO;
    }
}

/* Bound under another name and given its mode before it appears under the real one. */
static result_t bind_socket(int directory, int *descriptor)
{
    struct sockaddr_un address;
    socket_address(directory, SOCKET_NAME_NEW, &address);
    const int bound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bound < 0) {
        return RESULT_IO;
    }
    (void)unlinkat(directory, SOCKET_NAME_NEW, 0);
    const mode_t mask = umask(S_IRWXG | S_IRWXO | S_IXUSR);
    const int bind_result = bind(bound, (const struct sockaddr *)&address, sizeof address);
    const int bind_errno = errno;
    (void)umask(mask);
    if (bind_result != 0 || fchmodat(directory, SOCKET_NAME_NEW, S_IRUSR | S_IWUSR, 0) != 0 ||
        listen(bound, BACKLOG) != 0 ||
        renameat(directory, SOCKET_NAME_NEW, directory, SOCKET_NAME) != 0) {
        const int number = bind_result != 0 ? bind_errno : errno;
        (void)unlinkat(directory, SOCKET_NAME_NEW, 0);
        (void)close(bound);
        return result_from_errno(number);
    }
    *descriptor = bound;
    return RESULT_OK;
}

static void listener_closed(uv_handle_t *handle)
{
    free(handle);
}

/* 0: no socket has the name. */
static ino_t named_inode(const control_server_t *server)
{
    struct stat about;
    const bool is_socket =
        fstatat(server->directory, SOCKET_NAME, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISSOCK(about.st_mode);
    return is_socket ? about.st_ino : 0;
}

static result_t server_listen(control_server_t *server)
{
    int descriptor = -1;
    const result_t result = bind_socket(server->directory, &descriptor);
    if (result != RESULT_OK) {
        return result;
    }
    server->inode = named_inode(server);
    uv_pipe_t *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        (void)close(descriptor);
        return RESULT_NO_MEMORY;
    }
    const int initialised = uv_pipe_init(loop_uv(server->loop), listener, 0);
    assert(initialised == 0);
    listener->data = server;
    if (uv_pipe_open(listener, descriptor) != 0 ||
        uv_listen((uv_stream_t *)listener, BACKLOG, server_accept) != 0) {
        uv_close((uv_handle_t *)listener, listener_closed);
        return RESULT_IO;
    }
    server->listener = listener;
    return RESULT_OK;
}

/* Whoever tidies up a directory may take the socket for a leftover, and whoever copies one back may
 * put something else in its place. The name is ours as long as we hold the directory's lock. Those
 * who are connected stay. */
static void server_look(control_server_t *server)
{
    const ino_t named = named_inode(server);
    if (named != 0 && named == server->inode) {
        server->is_missing = false;
        return;
    }
    uv_pipe_t *const removed = server->listener;
    const result_t result = server_listen(server);
    if (result == RESULT_OK) {
        uv_close((uv_handle_t *)removed, listener_closed);
        log_warn("somebody removed or replaced control.sock of the data directory: it was made "
                 "again");
    } else if (!server->is_missing) {
        log_error("control.sock of the data directory is gone and cannot be made again: `tree`, "
                  "`top` and commands find no service until it can; remove what has its name",
                  LOG_STRING("code", result_code(result)));
    }
    server->is_missing = result != RESULT_OK;
}

static void server_sweep(void *context)
{
    control_server_t *server = context;
    const uint64_t now_ms = loop_now_ms(server->loop);
    for (size_t i = 0; i < LIMIT_CONTROL_CLIENTS; i++) {
        control_client_t *client = server->clients[i];
        if (client != NULL && client->request == NULL &&
            now_ms - client->active_ms > LIMIT_CONTROL_IDLE_MS) {
            client_close(client);
        }
    }
    server_look(server);
}

result_t control_server_create(loop_t *loop, const char *data_directory, control_handler_t *handler,
                               void *context, control_server_t **server)
{
    control_server_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->handler = handler;
    created->context = context;
    created->directory = open(data_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (created->directory < 0) {
        const result_t result = result_from_errno(errno);
        free(created);
        return result;
    }
    const result_t result = server_listen(created);
    if (result != RESULT_OK) {
        (void)close(created->directory);
        free(created);
        return result;
    }
    created->sweep = loop_timer_create(loop, server_sweep, created);
    loop_timer_start(created->sweep, SWEEP_MS, SWEEP_MS);
    *server = created;
    return RESULT_OK;
}

static void server_closed(uv_handle_t *handle)
{
    free(handle->data);
    free(handle);
}

void control_server_destroy(control_server_t **server)
{
    control_server_t *ending = *server;
    *server = NULL;
    if (ending == NULL) {
        return;
    }
    for (size_t i = 0; i < LIMIT_CONTROL_CLIENTS; i++) {
        if (ending->clients[i] != NULL) {
            client_close(ending->clients[i]);
        }
    }
    loop_timer_destroy(&ending->sweep);
    (void)unlinkat(ending->directory, SOCKET_NAME, 0);
    (void)close(ending->directory);
    uv_close((uv_handle_t *)ending->listener, server_closed);
}
