/* Calls to other people's HTTP servers. Implemented by adapters/http_client with libcurl.
 *
 * Contract:
 *  - `start` copies what it is given and never calls `done` itself. `done` runs later on the loop's
 *    thread, exactly once, unless the call was cancelled; what the answer points to is valid during
 *    `done` only, which may start and cancel calls.
 *  - Every call ends: by its deadline at the latest, name resolution and TLS included.
 *  - HTTP_CALL_ANSWERED means that a whole answer came, whatever its status; redirects are answers
 *    (301 …) and are never followed, so that no neighbour can send us to another host.
 *  - Only http and https, no user and password in the URL, no proxy, no cookies, no compression
 *    (a small answer cannot unpack into a large one). Certificates are checked.
 *  - A client that is not `allows_private` connects to public addresses only, and that is decided
 *    on the resolved address when the connection is made: a name that resolves to something else
 *    the second time does not help. */
#ifndef ACTORS_PORTS_HTTP_CLIENT_H
#define ACTORS_PORTS_HTTP_CLIENT_H

#include "messages/text.h"
#include "runtime/limits.h"
#include "runtime/result.h"

typedef struct http_calls http_calls_t; /* the client */
typedef struct http_call http_call_t;   /* one call on its way */

typedef enum http_call_method {
    HTTP_CALL_GET,
    HTTP_CALL_POST,
    HTTP_CALL_PUT,
    HTTP_CALL_DELETE,
} http_call_method_t;

typedef enum http_call_end {
    HTTP_CALL_ANSWERED,
    HTTP_CALL_TIMED_OUT,
    HTTP_CALL_UNRESOLVED,        /* the name has no address, or nobody to ask for it */
    HTTP_CALL_UNREACHABLE,       /* refused, no route */
    HTTP_CALL_ADDRESS_FORBIDDEN, /* not public, and the client may not go there */
    HTTP_CALL_TLS_FAILED,        /* certificate, host name or handshake */
    HTTP_CALL_TOO_LARGE,         /* header or body beyond its bound */
    HTTP_CALL_BROKEN,            /* closed midway, or no HTTP */
    HTTP_CALL_ENDS,
} http_call_end_t;

typedef struct http_call_header {
    text_t name;
    text_t value;
} http_call_header_t;

typedef struct http_call_request {
    http_call_method_t method;
    text_t url;
    const http_call_header_t *headers; /* Content-Type of a body included */
    size_t header_count;               /* at most LIMIT_HTTP_CALL_HEADERS */
    text_t body;                       /* of POST and PUT; at most LIMIT_HTTP_CALL_SENT_SIZE */
    uint32_t deadline_ms;              /* 1 … LIMIT_HTTP_CALL_DEADLINE_MS_MAX, from now */
    uint32_t body_size_max;            /* of the answer; at most LIMIT_HTTP_CALL_BODY_SIZE_MAX */
} http_call_request_t;

typedef struct http_call_answer {
    http_call_end_t end;
    uint32_t status;        /* of ANSWERED */
    text_t content_type;    /* without parameters; empty: none */
    uint32_t retry_after_s; /* 0: none given, or a date */
    text_t body;
    uint32_t duration_ms;
    const char *detail; /* why not, for a log line; names no address and no secret */
} http_call_answer_t;
typedef void http_call_done_t(void *context, const http_call_answer_t *answer);

typedef struct http_calls_functions {
    /* INVALID_ARGUMENT: the URL or a header cannot be used, or a bound above is crossed; BUSY:
     * LIMIT_HTTP_CALLS are on their way. `call` is the caller's until `done` or cancel. */
    result_t (*start)(http_calls_t *client, const http_call_request_t *request,
                      http_call_done_t *done, void *context, http_call_t **call);
    /* Its connection is closed: half an answer on it would be taken for the next one's. Nulls. */
    void (*cancel)(http_calls_t *client, http_call_t **call);
} http_calls_functions_t;

struct http_calls {
    const http_calls_functions_t *functions; /* the adapter's struct begins with this one */
};

/* "timed_out", for logs and metrics. */
static inline const char *http_call_end_name(http_call_end_t end)
{
    static const char *const names[HTTP_CALL_ENDS] = {
        [HTTP_CALL_ANSWERED] = "answered",     [HTTP_CALL_TIMED_OUT] = "timed_out",
        [HTTP_CALL_UNRESOLVED] = "unresolved", [HTTP_CALL_UNREACHABLE] = "unreachable",
        [HTTP_CALL_TLS_FAILED] = "tls_failed", [HTTP_CALL_ADDRESS_FORBIDDEN] = "address_forbidden",
        [HTTP_CALL_TOO_LARGE] = "too_large",   [HTTP_CALL_BROKEN] = "broken",
    };
    return names[end];
}

#endif
