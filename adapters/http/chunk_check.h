/* The strict check of chunked framing (RFC 9112 section 7.1) in front of the parser, which lets a
 * bare LF pass within chunk extensions and knows no bound for them. Extensions are read over within
 * a bound; trailers are refused, because a proxy that merges them into the head would be fooled. */
#ifndef ADAPTERS_HTTP_CHUNK_CHECK_H
#define ADAPTERS_HTTP_CHUNK_CHECK_H

#include "adapters/http/head_check.h"

typedef enum chunk_state {
    CHUNK_STATE_SIZE,
    CHUNK_STATE_EXTENSION,
    CHUNK_STATE_SIZE_LF,
    CHUNK_STATE_DATA,
    CHUNK_STATE_DATA_CR,
    CHUNK_STATE_DATA_LF,
    CHUNK_STATE_END_CR, /* after the last chunk: the empty line */
    CHUNK_STATE_END_LF,
    CHUNK_STATE_DONE,
} chunk_state_t;

/* Zero before the first byte of a body. */
typedef struct chunk_check {
    chunk_state_t state;
    uint32_t digits;    /* of the size being read */
    uint32_t extension; /* bytes of the extension being read */
    uint64_t left;      /* of the chunk */
    uint64_t body;      /* bytes of all chunks announced so far */
    uint64_t framing;   /* bytes that are no body */
} chunk_check_t;

/* Looks at the next bytes; `used` is how many belong to the body (all of them unless it ended).
 * False: INVALID_REQUEST or BODY_TOO_LARGE. */
bool chunk_check_feed(chunk_check_t *check, const char *data, size_t size, size_t *used,
                      head_refusal_t *refusal);

#endif
