/* actors/ports/http_client.h in memory, for tests: calls wait until the test answers them. Keeps
 * what a webhook's receiver would look at. */
#ifndef TESTS_SUPPORT_HTTP_CALLS_FAKE_H
#define TESTS_SUPPORT_HTTP_CALLS_FAKE_H

#include "actors/ports/http_client.h"

enum { FAKE_HTTP_CALLS = 256 };

struct http_call {
    bool is_waiting;
    http_call_done_t *done;
    void *context;
    char url[128];
    char signature[200];
    uint32_t attempt;
    bool is_replay;
    uint64_t sequence; /* in the body */
    uint32_t deadline_ms;
    uint32_t body_size_max;
    char body[2048];
    size_t body_size;
};

typedef struct http_calls_fake {
    http_calls_t base; /* first */
    http_call_t calls[FAKE_HTTP_CALLS];
    uint32_t waiting;
    uint32_t waiting_max;
    uint32_t started;
    result_t result; /* of the calls that are started from now on */
} http_calls_fake_t;

void http_calls_fake_init(http_calls_fake_t *fake);
/* The waiting call with this event to a URL that ends so; NULL: there is none. */
http_call_t *http_calls_fake_find(http_calls_fake_t *fake, const char *url_end, uint64_t sequence);
/* The URL's end is enough; asserts that it waits. */
void http_calls_fake_answer(http_calls_fake_t *fake, http_call_t *call, uint32_t status,
                            uint32_t duration_ms);
void http_calls_fake_end(http_calls_fake_t *fake, http_call_t *call,
                         const http_call_answer_t *answer);
/* Answers all that wait now, and those that this starts, with `status`. Returns how many. */
uint32_t http_calls_fake_answer_all(http_calls_fake_t *fake, uint32_t status);

#endif
