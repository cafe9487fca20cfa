/* Questions to a membership context over HTTP (DESIGN 3.5). */
#include "adapters/membership/membership_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = LIMIT_HTTP_CALL_URL_SIZE };

static void http_done(void *context, const http_call_answer_t *answer)
{
    membership_call_t *call = context;
    call->http = NULL;
    membership_turn_end(call);
    if (answer->end != HTTP_CALL_ANSWERED) {
        membership_finish(call, NULL, http_call_end_name(answer->end));
        return;
    }
    if (answer->status == 404 && call->asks_member) {
        membership_finish_missing(call);
        return;
    }
    if (answer->status != 200) {
        char failure[32];
        (void)snprintf(failure, sizeof failure, "status %" PRIu32, answer->status);
        membership_finish(call, NULL, failure);
        return;
    }
    json_t *document = membership_read_json(answer->body.data, answer->body.size);
    membership_finish(call, document, document == NULL ? "the answer is no JSON object" : NULL);
    json_decref(document);
}

/* Everything but letters and digits: an id must not become another path. */
static size_t escape(text_t text, char *out, size_t capacity)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;
    for (size_t i = 0; i < text.size && size + 4 < capacity; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        const bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                              (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
        if (is_plain) {
            out[size++] = (char)byte;
        } else {
            out[size++] = '%';
            out[size++] = digits[byte >> 4U];
            out[size++] = digits[byte & 15U];
        }
    }
    out[size] = '\0';
    return size;
}

result_t membership_http_start(membership_call_t *call)
{
    const uint64_t now_ms = loop_now_ms(call->adapter->loop);
    const http_call_header_t headers[] = {
        {.name = TEXT_LITERAL("X-Tenant"), .value = {call->tenant, call->tenant_size}},
        {.name = TEXT_LITERAL("Accept"), .value = TEXT_LITERAL("application/json")}};
    const http_call_request_t request = {
        .method = HTTP_CALL_GET,
        .url = text_from_c(call->url),
        .headers = headers,
        .header_count = sizeof headers / sizeof headers[0],
        .deadline_ms = call->deadline_ms > now_ms ? (uint32_t)(call->deadline_ms - now_ms) : 1,
        .body_size_max =
            call->asks_member ? LIMIT_MEMBERSHIP_FRAME_SIZE : LIMIT_MEMBERSHIP_PAGE_SIZE,
    };
    http_calls_t *client = call->adapter->options.client;
    return client->functions->start(client, &request, http_done, call, &call->http);
}

result_t membership_ask_http(membership_adapter_t *adapter, text_t url,
                             const membership_question_t *question, membership_call_t *call)
{
    char path[PATH_SIZE];
    char member[3 * 128 + 4];
    const text_t context = url;
    while (url.size > 0 && url.data[url.size - 1] == '/') {
        url.size--;
    }
    (void)escape(question->member_id, member, sizeof member);
    const int size = call->asks_member
                         ? snprintf(path, sizeof path, "%.*s/members/%s", TEXT_PRINT(url), member)
                         : snprintf(path, sizeof path, "%.*s/events?after=%" PRIu64 "&limit=%u",
                                    TEXT_PRINT(url), question->after, question->limit);
    if (size < 0 || (size_t)size >= sizeof path || question->tenant.size > sizeof call->tenant) {
        return RESULT_INVALID_ARGUMENT;
    }
    call->url = strdup(path);
    assert(call->url != NULL);
    memcpy(call->tenant, question->tenant.data, question->tenant.size);
    call->tenant_size = question->tenant.size;
    call->deadline_ms = loop_now_ms(adapter->loop) + question->deadline_ms;
    membership_turn_wait(call, context);
    return RESULT_OK;
}
