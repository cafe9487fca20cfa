/* The strict check of a request head (request line and header block), done on the raw bytes before
 * the parser sees them. It refuses everything about which two HTTP implementations might disagree,
 * because disagreement is request smuggling (RFC 9112 section 11.2). It keeps nothing and allocates
 * nothing: what it finds are slices of the bytes it was given. No knowledge of routes or bodies. */
#ifndef ADAPTERS_HTTP_HEAD_CHECK_H
#define ADAPTERS_HTTP_HEAD_CHECK_H

#include "messages/text.h"
#include "runtime/result.h"

/* Why a head is refused; `detail` is a literal. Every refusal ends the connection. */
typedef struct head_refusal {
    result_t result;
    const char *detail;
} head_refusal_t;

typedef enum head_scan {
    HEAD_SCAN_MORE,  /* no end yet, nothing wrong so far */
    HEAD_SCAN_WHOLE, /* `head_size` bytes are one head with its empty line */
    HEAD_SCAN_BAD,
} head_scan_t;

/* Where the search for the end of a head stands; zero before the first byte of each. */
typedef struct head_scan_state {
    size_t line;    /* start of the line being looked at */
    size_t scanned; /* bytes looked at */
    bool leading;   /* one empty line came first (RFC 9112 section 2.2) */
} head_scan_state_t;

/* Looks for the end of the head at the start of `data`; called again with more bytes after the same
 * ones. Refuses a bare LF and a head, or a request line, beyond its limit as soon as it shows. */
head_scan_t head_scan(const char *data, size_t size, head_scan_state_t *state, size_t *head_size,
                      head_refusal_t *refusal);

typedef enum head_method {
    HEAD_METHOD_GET,
    HEAD_METHOD_HEAD,
    HEAD_METHOD_POST,
    HEAD_METHOD_PUT,
    HEAD_METHOD_PATCH,
    HEAD_METHOD_DELETE,
    HEAD_METHOD_OPTIONS,
    HEAD_METHOD_COUNT,
} head_method_t;

text_t head_method_name(head_method_t method);

/* Fields that this service reads. A second Host, Content-Length, Authorization, … is refused;
 * of those marked `first` in head_check.c only the first counts. */
typedef enum head_field {
    HEAD_FIELD_HOST,
    HEAD_FIELD_CONTENT_LENGTH,
    HEAD_FIELD_TRANSFER_ENCODING,
    HEAD_FIELD_EXPECT,
    HEAD_FIELD_AUTHORIZATION,
    HEAD_FIELD_CONTENT_TYPE,
    HEAD_FIELD_CONTENT_ENCODING,
    HEAD_FIELD_IDEMPOTENCY_KEY,
    HEAD_FIELD_TRACEPARENT,
    HEAD_FIELD_IF_MATCH,
    HEAD_FIELD_IF_NONE_MATCH,
    HEAD_FIELD_COUNT,
} head_field_t;

typedef struct http_head {
    head_method_t method;
    text_t path;  /* origin-form without the query; "*" for OPTIONS * */
    text_t query; /* after the question mark */
    bool has_query;
    bool version_1_1;
    bool chunked;
    bool has_content_length;
    uint64_t content_length;
    bool expects_continue;
    uint32_t field_count;
    uint32_t seen;                   /* bit i: fields[i] was there, possibly empty */
    text_t fields[HEAD_FIELD_COUNT]; /* without the blanks around the value */
} http_head_t;

static inline bool http_head_has(const http_head_t *head, head_field_t field)
{
    return ((head->seen >> field) & 1U) != 0;
}

/* Checks a whole head as head_scan found it. INVALID_REQUEST, VERSION_NOT_SUPPORTED,
 * NOT_IMPLEMENTED (method), URI_TOO_LONG, HEADERS_TOO_LARGE or EXPECTATION_FAILED. */
bool head_check(text_t raw, http_head_t *head, head_refusal_t *refusal);

#endif
