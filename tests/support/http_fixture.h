/* An HTTP server on loopback with a fake gateway, and clients of raw bytes, all on one loop: the
 * client's calls turn the loop until what they wait for is there (or 10 s are over). */
#ifndef TESTS_SUPPORT_HTTP_FIXTURE_H
#define TESTS_SUPPORT_HTTP_FIXTURE_H

#include "adapters/http/http_internal.h"
#include "tests/support/gateway_fake.h"

enum { HTTP_CLIENT_BUFFER = 4 << 20 };

typedef struct http_fixture {
    loop_t *loop;
    metrics_t *metrics;
    http_server_t *server;
    gateway_t gateway;
    http_options_t options;
    int port;
    int listener; /* a copy of the descriptor, as another front would have it */
    /* The supervisor: answers `fetched` at once, or is silent, or refuses. */
    const char *fetched;
    result_t fetch_fails_with;
    bool fetch_holds;
    http_fetched_t *fetch_done;
    void *fetch_context;
    char fetch_what[16];
    uint32_t drained;
    char *body; /* of the last answer that was read */
} http_fixture_t;

typedef struct http_client {
    http_fixture_t *fixture;
    int descriptor;
    char *data; /* HTTP_CLIENT_BUFFER bytes that came and were not taken */
    size_t size;
    bool closed;
} http_client_t;

typedef struct http_reply {
    int status;
    char head[8192]; /* NUL-terminated */
    char *body;      /* NUL-terminated, of the fixture; valid until the next answer */
    size_t body_size;
} http_reply_t;

void http_fixture_start(http_fixture_t *fixture, const http_options_t *options); /* NULL: default */
void http_fixture_stop(http_fixture_t *fixture);
/* Turns the loop once without waiting. */
void http_fixture_turn(http_fixture_t *fixture);
/* Turns until `value` is at least `wanted`; fails the test after 10 s. */
void http_fixture_until(http_fixture_t *fixture, const uint64_t *value, uint64_t wanted);
void http_fixture_until_connections(http_fixture_t *fixture, uint32_t wanted);

void http_client_open(http_client_t *client, http_fixture_t *fixture);
void http_client_close(http_client_t *client); /* with FIN */
void http_client_reset(http_client_t *client); /* with RST */
void http_client_send(http_client_t *client, const char *data, size_t size);
void http_client_say(http_client_t *client, const char *text);
/* Reads one answer; fails the test when none comes. `expects_body`: false after HEAD. */
void http_client_read(http_client_t *client, http_reply_t *reply, bool expects_body);
/* True when the server closed its side (and nothing is left to read). */
bool http_client_at_end(http_client_t *client);
/* One request on a connection of its own. */
void http_ask(http_fixture_t *fixture, const char *request, http_reply_t *reply);

#endif
