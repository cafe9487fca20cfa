/* Starting, asking and ending Redis servers. */
#include "tests/support/redis_server.h"
#include "tests/support/directory.h"
#include "tests/support/free_port.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10, TRIES = 2000, ARGUMENTS_MAX = 40, WORDS_MAX = 16, TEXT_SIZE = 4096 };

static void child_run(const redis_server_t *server, char *const arguments[])
{
    char log[192];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(log, sizeof log, "%s/log", server->directory);
    const int output = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)execvp(arguments[0], arguments);
    _exit(127);
}

static size_t put_plain(const redis_server_t *server, char **arguments, char *port, char *bus)
{
    static char *const fixed[] = {
        "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay",
        "0"};
    size_t count = 0;
    arguments[count++] = "redis-server";
    arguments[count++] = "--port";
    arguments[count++] = port;
    arguments[count++] = "--dir";
    arguments[count++] = (char *)server->directory;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        arguments[count++] = fixed[i];
    }
    if (server->bus_port != 0) {
        arguments[count++] = "--cluster-enabled";
        arguments[count++] = "yes";
        arguments[count++] = "--cluster-port";
        arguments[count++] = bus;
    }
    for (size_t i = 0; server->options[i] != NULL; i++) {
        arguments[count++] = (char *)server->options[i];
    }
    return count;
}

static void child_start(redis_server_t *server)
{
    char port[8];
    char bus[8];
    char file[192];
    char *arguments[ARGUMENTS_MAX] = {NULL};
    (void)snprintf(port, sizeof port, "%u", server->port);
    (void)snprintf(bus, sizeof bus, "%u", server->bus_port);
    if (server->is_sentinel) {
        (void)snprintf(file, sizeof file, "%s/sentinel.conf", server->directory);
        arguments[0] = "redis-server";
        arguments[1] = file;
        arguments[2] = "--sentinel";
    } else {
        const size_t count = put_plain(server, arguments, port, bus);
        assert(count < ARGUMENTS_MAX);
    }
    server->process = fork();
    assert(server->process >= 0);
    if (server->process == 0) {
        child_run(server, arguments);
    }
}

static redisContext *connect_to(const redis_server_t *server)
{
    const struct timeval patience = {.tv_sec = 5};
    redisContext *context = redisConnectWithTimeout("127.0.0.1", server->port, patience);
    if (context != NULL && context->err != 0) {
        redisFree(context);
        return NULL;
    }
    if (context != NULL && server->password != NULL) {
        freeReplyObject(redisCommand(context, "AUTH %s", server->password));
    }
    return context;
}

static void await_answer(const redis_server_t *server)
{
    for (int i = 0; i < TRIES; i++) {
        redisContext *context = connect_to(server);
        redisReply *reply = context == NULL ? NULL : redisCommand(context, "PING");
        const bool is_there = reply != NULL && reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (context != NULL) {
            redisFree(context);
        }
        if (is_there) {
            return;
        }
        (void)poll(NULL, 0, WAIT_MS);
    }
    (void)fprintf(stderr, "Redis does not start: see %s/log\n", server->directory);
    abort();
}

void redis_server_start(redis_server_t *server)
{
    if (server->directory[0] == '\0') {
        directory_make(server->directory);
    }
    if (server->port == 0) {
        server->port = free_port();
    }
    redis_server_run_again(server);
}

void redis_server_run_again(redis_server_t *server)
{
    child_start(server);
    await_answer(server);
}

void redis_server_kill(redis_server_t *server)
{
    if (server->process > 0) {
        (void)kill(server->process, SIGKILL);
        while (waitpid(server->process, NULL, 0) < 0 && errno == EINTR) {
        }
        server->process = 0;
    }
}

void redis_server_pause(redis_server_t *server)
{
    (void)kill(server->process, SIGSTOP);
}

void redis_server_go_on(redis_server_t *server)
{
    (void)kill(server->process, SIGCONT);
}

void redis_server_stop(redis_server_t *server)
{
    redis_server_kill(server);
    if (server->directory[0] != '\0') {
        directory_remove(server->directory);
        server->directory[0] = '\0';
    }
}

/* --- Asking --- */

static void print_reply(FILE *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_ERROR:
        (void)fprintf(out, "ERROR %s", reply->str);
        break;
    case REDIS_REPLY_INTEGER:
        (void)fprintf(out, "%lld", reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) { /* flat: no test asks for more */
            const redisReply *const element = reply->element[i];
            (void)fprintf(out, "%s\n", element->str == NULL ? "" : element->str);
        }
        break;
    default:
        (void)fprintf(out, "%s", reply->str == NULL ? "" : reply->str);
        break;
    }
}

static char *ask(const redis_server_t *server, char *text)
{
    const char *words[WORDS_MAX];
    int count = 0;
    for (char *rest = text; rest != NULL && count < WORDS_MAX;) {
        words[count++] = strsep(&rest, " ");
        text = rest;
    }
    redisContext *context = connect_to(server);
    redisReply *reply = context == NULL ? NULL : redisCommandArgv(context, count, words, NULL);
    char *answer = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&answer, &size);
    assert(out != NULL);
    if (reply == NULL) {
        (void)fprintf(out, "ERROR no answer");
    } else {
        print_reply(out, reply);
    }
    (void)fclose(out);
    freeReplyObject(reply);
    if (context != NULL) {
        redisFree(context);
    }
    return answer;
}

char *redis_server_ask(const redis_server_t *server, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return ask(server, text);
}

void redis_server_say(const redis_server_t *server, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *answer = ask(server, text);
    if (strncmp(answer, "ERROR ", 6) == 0) {
        (void)fprintf(stderr, "Redis on port %u: %s: %s\n", server->port, text, answer);
        abort();
    }
    free(answer);
}

void redis_server_await(const redis_server_t *server, const char *wanted, const char *command)
{
    for (int i = 0; i < TRIES; i++) {
        char *answer = redis_server_ask(server, "%s", command);
        const bool is_there = strstr(answer, wanted) != NULL;
        free(answer);
        if (is_there) {
            return;
        }
        (void)poll(NULL, 0, WAIT_MS);
    }
    (void)fprintf(stderr, "Redis on port %u: %s never says %s\n", server->port, command, wanted);
    abort();
}
