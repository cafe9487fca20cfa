/* Questions of the supervisor to its roles: numbered, bounded, each with a deadline. */
#include "runtime/supervisor_internal.h"

#include "runtime/link_frames.h"
#include <assert.h>

enum { NUMBER_SIZE = 4 };

static role_request_t *free_place(role_t *role)
{
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        if (role->requests[i].answer == NULL) {
            return &role->requests[i];
        }
    }
    return NULL;
}

static void request_end(role_t *role, role_request_t *request, const char *json, size_t size)
{
    const role_request_t ended = *request;
    request->answer = NULL;
    ended.answer(ended.context, role, json, size);
}

void role_ask(role_t *role, const char *json, size_t size, uint64_t timeout_ms,
              role_answer_t *answer, void *context)
{
    assert(size <= LIMIT_LINK_FRAME_SIZE - NUMBER_SIZE);
    role_request_t *request = free_place(role);
    const bool takes_requests = role->state == ROLE_READY || role->state == ROLE_DRAINING;
    if (request == NULL || role->link == NULL || !takes_requests) {
        answer(context, role, NULL, 0);
        return;
    }
    role->request_last++;
    *request = (role_request_t){.answer = answer,
                                .context = context,
                                .number = role->request_last,
                                .deadline_ms = loop_now_ms(role->supervisor->loop) + timeout_ms};
    uint8_t head[NUMBER_SIZE];
    link_number_write(head, request->number, sizeof head);
    frame_stream_send(role->link, LINK_FRAME_REQUEST, head, sizeof head, json, size);
}

void role_reply_received(role_t *role, const uint8_t *payload, size_t size)
{
    if (size < NUMBER_SIZE) {
        return;
    }
    const uint32_t number = (uint32_t)link_number_read(payload, NUMBER_SIZE);
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        role_request_t *request = &role->requests[i];
        if (request->answer != NULL && request->number == number) {
            request_end(role, request, (const char *)payload + NUMBER_SIZE, size - NUMBER_SIZE);
            return;
        }
    }
}

void role_requests_expire(role_t *role, uint64_t now_ms)
{
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        role_request_t *request = &role->requests[i];
        if (request->answer != NULL && request->deadline_ms <= now_ms) {
            request_end(role, request, NULL, 0);
        }
    }
}

void role_requests_end(role_t *role)
{
    for (size_t i = 0; i < LIMIT_LINK_REQUESTS; i++) {
        if (role->requests[i].answer != NULL) {
            request_end(role, &role->requests[i], NULL, 0);
        }
    }
}
