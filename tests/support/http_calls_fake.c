/* See http_calls_fake.h. */
#include "tests/support/http_calls_fake.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy(char *out, size_t capacity, text_t text)
{
    assert(text.size < capacity);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void take_header(http_call_t *call, const http_call_header_t *header)
{
    char value[sizeof call->signature];
    if (text_equal(header->name, TEXT_LITERAL("X-Signature"))) {
        copy(call->signature, sizeof call->signature, header->value);
    } else if (text_equal(header->name, TEXT_LITERAL("X-Attempt"))) {
        copy(value, sizeof value, header->value);
        call->attempt = (uint32_t)strtoul(value, NULL, 10);
    } else if (text_equal(header->name, TEXT_LITERAL("X-Replay"))) {
        call->is_replay = text_equal(header->value, TEXT_LITERAL("1"));
    }
}

static http_call_t *free_place(http_calls_fake_t *fake)
{
    for (size_t i = 0; i < FAKE_HTTP_CALLS; i++) {
        if (!fake->calls[i].is_waiting) {
            return &fake->calls[i];
        }
    }
    return NULL;
}

static result_t start(http_calls_t *client, const http_call_request_t *request,
                      http_call_done_t *done, void *context, http_call_t **call)
{
    http_calls_fake_t *const fake = (http_calls_fake_t *)client;
    http_call_t *const place = free_place(fake);
    if (fake->result != RESULT_OK || place == NULL) {
        return place == NULL ? RESULT_BUSY : fake->result;
    }
    *place = (http_call_t){.is_waiting = true,
                           .done = done,
                           .context = context,
                           .deadline_ms = request->deadline_ms,
                           .body_size_max = request->body_size_max};
    copy(place->url, sizeof place->url, request->url);
    for (size_t i = 0; i < request->header_count; i++) {
        take_header(place, &request->headers[i]);
    }
    copy(place->body, sizeof place->body, request->body);
    place->body_size = request->body.size;
    const char *const sequence = strstr(place->body, "\"sequence\":");
    assert(sequence != NULL);
    place->sequence = strtoull(sequence + strlen("\"sequence\":"), NULL, 10);
    fake->started++;
    fake->waiting++;
    fake->waiting_max = fake->waiting > fake->waiting_max ? fake->waiting : fake->waiting_max;
    *call = place;
    return RESULT_OK;
}

static void cancel(http_calls_t *client, http_call_t **call)
{
    http_calls_fake_t *const fake = (http_calls_fake_t *)client;
    assert((*call)->is_waiting);
    (*call)->is_waiting = false;
    fake->waiting--;
    *call = NULL;
}

void http_calls_fake_init(http_calls_fake_t *fake)
{
    static const http_calls_functions_t functions = {.start = start, .cancel = cancel};
    memset(fake, 0, sizeof *fake);
    fake->base.functions = &functions;
    fake->result = RESULT_OK;
}

http_call_t *http_calls_fake_find(http_calls_fake_t *fake, const char *url_end, uint64_t sequence)
{
    for (size_t i = 0; i < FAKE_HTTP_CALLS; i++) {
        http_call_t *const call = &fake->calls[i];
        const size_t size = strlen(call->url);
        const size_t end = strlen(url_end);
        if (call->is_waiting && call->sequence == sequence && size >= end &&
            strcmp(call->url + size - end, url_end) == 0) {
            return call;
        }
    }
    return NULL;
}

void http_calls_fake_end(http_calls_fake_t *fake, http_call_t *call,
                         const http_call_answer_t *answer)
{
    assert(call != NULL && call->is_waiting);
    call->is_waiting = false;
    fake->waiting--;
    call->done(call->context, answer);
}

void http_calls_fake_answer(http_calls_fake_t *fake, http_call_t *call, uint32_t status,
                            uint32_t duration_ms)
{
    const http_call_answer_t answer = {
        .end = HTTP_CALL_ANSWERED, .status = status, .duration_ms = duration_ms};
    http_calls_fake_end(fake, call, &answer);
}

uint32_t http_calls_fake_answer_all(http_calls_fake_t *fake, uint32_t status)
{
    uint32_t count = 0;
    for (size_t i = 0; i < FAKE_HTTP_CALLS; i++) {
        if (fake->calls[i].is_waiting) {
            http_calls_fake_answer(fake, &fake->calls[i], status, 10);
            count++;
        }
    }
    return count;
}
