/* A Redis server of its own for a test: in a temporary directory, on a free port of loopback,
 * without saving. Ends with redis_server_stop, or with the test. */
#ifndef TESTS_SUPPORT_REDIS_SERVER_H
#define TESTS_SUPPORT_REDIS_SERVER_H

#include <stdint.h>
#include <sys/types.h>

enum { REDIS_SERVER_OPTIONS_MAX = 16 };

typedef struct redis_server {
    char directory[128];
    uint16_t port;
    uint16_t bus_port; /* of a Cluster */
    pid_t process;
    const char *options[REDIS_SERVER_OPTIONS_MAX + 1]; /* "--requirepass", "secret", …, NULL */
    const char *password;                              /* that redis_server_say uses; NULL: none */
    int is_sentinel;
} redis_server_t;

/* Fill `options`, or leave the struct zero. Waits until it answers. */
void redis_server_start(redis_server_t *server);
void redis_server_kill(redis_server_t *server);
/* On the same port and directory; everything it knew is gone. */
void redis_server_run_again(redis_server_t *server);
void redis_server_pause(redis_server_t *server); /* SIGSTOP: connections stand, nothing answers */
void redis_server_go_on(redis_server_t *server);
void redis_server_stop(redis_server_t *server);

/* One command in words, as for printf, without blanks inside of arguments. The answer as text
 * (malloc); numbers too; of arrays, the elements on lines. Errors of Redis begin with "ERROR ". */
char *redis_server_ask(const redis_server_t *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same; it must succeed. */
void redis_server_say(const redis_server_t *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Repeats it until the answer contains `wanted`; aborts after 20 s. */
void redis_server_await(const redis_server_t *server, const char *wanted, const char *command);

#endif
