/* The control socket: DIR/control.sock, mode 0600, one JSON text per line and direction. The server
 * side lives in the supervisor; the client side is control_ask of runtime/supervisor.h. */
#ifndef RUNTIME_CONTROL_H
#define RUNTIME_CONTROL_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct control_server control_server_t;
typedef struct control_request control_request_t; /* answered exactly once */

/* One line, without its end, borrowed for the call. */
typedef void control_handler_t(void *context, control_request_t *request, const char *json,
                               size_t size);

/* The caller has made sure (DIR/lock) that no other service runs there: an old socket is removed.
 * The path may be longer than a socket address allows. PERMISSION_DENIED, MISSING, IO. */
MUST_USE result_t control_server_create(loop_t *loop, const char *data_directory,
                                        control_handler_t *handler, void *context,
                                        control_server_t **server);
/* Requests that are not answered yet may be answered afterwards; nobody hears it. */
void control_server_destroy(control_server_t **server);

/* Takes the request. `json` must hold no line end. */
void control_request_answer(control_request_t **request, const char *json, size_t size);

#endif
