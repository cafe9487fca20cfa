/* Insides of the HTTP client, for its files and their tests. */
#ifndef ADAPTERS_HTTP_CLIENT_HTTP_CLIENT_INTERNAL_H
#define ADAPTERS_HTTP_CLIENT_HTTP_CLIENT_INTERNAL_H

#include "adapters/http_client/http_client.h"
#include <curl/curl.h>
#include <sys/socket.h>

typedef struct http_calls_curl http_calls_curl_t;

struct http_call {
    http_call_t *next; /* of those on their way */
    http_call_t *previous;
    http_calls_curl_t *client;
    CURL *easy;
    struct curl_slist *headers;
    char *sent; /* body, owned */
    http_call_done_t *done;
    void *context;
    uint64_t started_us;
    uint32_t body_size_max;
    uint32_t header_size;
    bool is_too_large;
    bool met_forbidden; /* at least one address that may not be connected to */
    char *body;
    size_t body_size;
    size_t body_capacity;
    char error[CURL_ERROR_SIZE];
};

struct http_calls_curl {
    http_calls_t base; /* first: callers see only this */
    loop_t *loop;
    http_calls_options_t options;
    CURLM *multi;
    loop_timer_t *timer;
    http_call_t *first;
    uint32_t count;
    metric_t *calls[HTTP_CALL_ENDS];
    metric_t *in_flight;
    metric_t *seconds;
};

/* --- address.c --- */

/* Reachable by everybody on the internet: not loopback, private, link-local, shared, reserved,
 * multicast, documentation, nor an IPv6 address that stands for such an IPv4 address. */
bool http_address_is_public(const struct sockaddr *address);

/* --- options.c --- */

/* Everything that a call is allowed to do. `url` ends with NUL. */
MUST_USE result_t http_call_configure(http_call_t *call, const http_call_request_t *request,
                                      const char *url);
/* A URL of http or https with a host and without a user; copied with a NUL, to be freed. */
MUST_USE result_t http_call_copy_url(text_t url, char **copy);

#endif
