/* An HTTP server on loopback that behaves as its path says, well or badly, on threads of its own.
 *
 *   /ok             200, {"ok":true}, application/json; charset=utf-8
 *   /status/N       N, with its number as body; 3xx with Location to /ok, 503 with Retry-After: 7
 *   /echo           200, the body and the header X-Echo that came
 *   /garbage        bytes that are no HTTP
 *   /huge           200 and 100 MB
 *   /endless        a header block without end
 *   /drip           200, 1,000 bytes announced, one each second
 *   /never          nothing, and the connection stays open
 *   /half           200, 100 bytes announced, 10 come, closed
 *   /slam           closed at once */
#ifndef TESTS_SUPPORT_BAD_SERVER_H
#define TESTS_SUPPORT_BAD_SERVER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bad_server bad_server_t;

/* With TLS it shows a certificate for "localhost", signed by itself, which it writes to
 * `certificate` (a path; NULL: plain HTTP). */
bad_server_t *bad_server_start(const char *certificate);
void bad_server_stop(bad_server_t **server);
int bad_server_port(const bad_server_t *server);
/* Connections accepted so far. */
uint32_t bad_server_connections(const bad_server_t *server);

#endif
