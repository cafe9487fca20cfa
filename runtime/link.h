/* The line between the supervisor and one role: a socket pair of bytes, descriptor 3 in the role.
 * Frames are [u32 size][u8 kind][payload]. The role's side lives here, the supervisor's in
 * runtime/supervisor.c. When the line breaks the supervisor is gone, and the role drains and exits:
 * no orphan survives. */
#ifndef RUNTIME_LINK_H
#define RUNTIME_LINK_H

#include "runtime/loop.h"
#include <stddef.h>

typedef struct link link_t;
typedef struct link_request link_request_t; /* answered exactly once with link_reply */

typedef struct link_handler {
    /* A sibling is ready at `endpoint`, or gone. `name` is "shard-0", "relay", "front-0". A role
     * is told the current state of all siblings before anything else, also while it is not ready
     * yet, so that it may wait for them before it says that it is. Incarnation
     * rises with every start of that role. A sibling that is `draining` takes no new work; it is
     * told before `down`. */
    void (*peer_up)(void *context, const char *name, const char *endpoint, uint64_t incarnation);
    void (*peer_draining)(void *context, const char *name);
    void (*peer_down)(void *context, const char *name);
    /* Finish what is in flight, then loop_stop; the process exits 0 within LIMIT_DRAIN_MS. */
    void (*drain)(void *context);
    /* The same, while a successor of this role takes work already: there is time to let clients go
     * gently, still within LIMIT_DRAIN_MS. NULL: as drain. */
    void (*hand_over)(void *context);
    /* SIGHUP: read settings again. May be NULL. */
    void (*reload)(void *context);
    /* The supervisor asks (JSON text, borrowed for the call): {"command":"metrics"|"status"|…}. */
    void (*request)(void *context, link_request_t *request, const char *json, size_t size);
} link_handler_t;

/* `descriptor` is taken over. */
MUST_USE result_t link_create(loop_t *loop, int descriptor, const link_handler_t *handler,
                              void *context, link_t **link);
void link_destroy(link_t **link);

/* The role has bound `endpoint` (may be "" when it serves none) and takes work. */
void link_ready(link_t *link, const char *endpoint);
/* Takes the request and ends it. May be called later than the handler returned. */
void link_reply(link_request_t **request, const char *json, size_t size);

/* Ask the supervisor: {"command":"tree"} or {"command":"metrics"} (Prometheus text of all roles as
 * the JSON string `text`). `answer` gets the JSON, or NULL after LIMIT_LINK_TIMEOUT_MS. BUSY beyond
 * LIMIT_LINK_REQUESTS. */
typedef void link_answer_t(void *context, const char *json, size_t size);
MUST_USE result_t link_ask(link_t *link, const char *json, size_t size, link_answer_t *answer,
                           void *context);

#endif
