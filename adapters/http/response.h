/* Answers as bytes: status line, header block and body appended to a buffer. Knows no connection,
 * no gateway and no routes. */
#ifndef ADAPTERS_HTTP_RESPONSE_H
#define ADAPTERS_HTTP_RESPONSE_H

#include "adapters/http/http_buffer.h"
#include "messages/text.h"

#include <time.h>

enum { HTTP_DATE_SIZE = 29 };

/* The Date header, made once per second. Zero before first use. */
typedef struct http_date {
    time_t second;
    char text[HTTP_DATE_SIZE];
} http_date_t;

void http_date_update(http_date_t *date, int64_t now_ms);

typedef enum http_challenge {
    HTTP_CHALLENGE_NONE,
    HTTP_CHALLENGE_PLAIN,   /* no token came */
    HTTP_CHALLENGE_INVALID, /* RFC 6750 section 3.1 */
} http_challenge_t;

/* How an answer is framed: depends on the request alone. */
typedef struct http_framing {
    bool without_body;   /* HEAD: the header block of GET and nothing after it */
    bool close;          /* Connection: close */
    bool announce_alive; /* HTTP/1.0 needs to be told that the connection stays */
} http_framing_t;

typedef struct http_response {
    uint16_t status;
    text_t content_type; /* empty: no body, and no Content-Length with 204 and 304 */
    text_t body;
    text_t trace_id;
    text_t cache_control; /* empty: no-store */
    text_t location;
    text_t content_location;
    text_t link;
    text_t allow;
    bool has_version; /* ETag */
    uint64_t version;
    uint32_t retry_after_s; /* 0: none */
    http_challenge_t challenge;
} http_response_t;

/* False: no memory; the buffer is as before. */
bool http_response_append(http_buffer_stock_t *stock, http_buffer_t *buffer,
                          const http_response_t *response, const http_framing_t *framing,
                          const http_date_t *date);

#endif
