/* libcurl's sockets and timer on the loop, and how calls end. Must not decide what an answer means:
 * that is for whoever called. */
#include "adapters/http_client/http_client_internal.h"

#include "runtime/clock.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* One socket of libcurl. The memory goes when libuv has closed the handle. */
typedef struct watched_socket {
    uv_poll_t poll;
    curl_socket_t descriptor;
    http_calls_curl_t *client;
} watched_socket_t;

static http_calls_curl_t *client_of(http_calls_t *base)
{
    return (http_calls_curl_t *)base; /* base is its first member */
}

/* --- How a call ends --- */

static http_call_end_t end_of(const http_call_t *call, CURLcode code)
{
    if (call->is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return HTTP_CALL_TOO_LARGE;
    }
    switch (code) {
    case CURLE_OK:
        return HTTP_CALL_ANSWERED;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_CALL_TIMED_OUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return HTTP_CALL_UNRESOLVED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
        return call->met_forbidden ? HTTP_CALL_ADDRESS_FORBIDDEN : HTTP_CALL_UNREACHABLE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CIPHER:
        return HTTP_CALL_TLS_FAILED;
    default:
        return HTTP_CALL_BROKEN;
    }
}

static void fill_answer(const http_call_t *call, CURLcode code, http_call_answer_t *answer)
{
    *answer = (http_call_answer_t){.end = end_of(call, code), .detail = curl_easy_strerror(code)};
    answer->duration_ms = (uint32_t)((clock_monotonic_us() - call->started_us) / 1000);
    if (answer->end != HTTP_CALL_ANSWERED) {
        return;
    }
    long status = 0;
    curl_off_t retry_after = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    (void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after);
    answer->status = (uint32_t)status;
    if (type != NULL) {
        answer->content_type = (text_t){.data = type, .size = strcspn(type, "; \t")};
    }
    answer->retry_after_s = retry_after > 86400 ? 86400 : (uint32_t)retry_after;
    answer->body = (text_t){.data = call->body, .size = call->body_size};
}

static void unlist(http_call_t *call)
{
    http_calls_curl_t *const client = call->client;
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        client->first = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    client->count--;
    metric_set(client->in_flight, client->count);
}

static void call_free(http_call_t *call)
{
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    free(call->sent);
    free(call->body);
    free(call);
}

static void finish(http_call_t *call, CURLcode code)
{
    http_calls_curl_t *const client = call->client;
    http_call_answer_t answer;
    fill_answer(call, code, &answer);
    unlist(call);
    (void)curl_multi_remove_handle(client->multi, call->easy);
    metric_add(client->calls[answer.end], 1);
    metric_observe_us(client->seconds, clock_monotonic_us() - call->started_us);
    call->done(call->context, &answer);
    call_free(call);
}

static void finish_done(http_calls_curl_t *client)
{
    int left = 0;
    CURLMsg *message = curl_multi_info_read(client->multi, &left);
    while (message != NULL) { /* bounded by LIMIT_HTTP_CALLS: one each */
        if (message->msg == CURLMSG_DONE) {
            const CURLcode code = message->data.result;
            char *pointer = NULL;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &pointer);
            finish((http_call_t *)(void *)pointer, code);
        }
        message = curl_multi_info_read(client->multi, &left);
    }
}

/* --- Sockets and time --- */

static void drive(http_calls_curl_t *client, curl_socket_t descriptor, int events)
{
    int running = 0;
    (void)curl_multi_socket_action(client->multi, descriptor, events, &running);
    finish_done(client);
}

static void timer_due(void *context)
{
    drive(context, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl does not ask again when its timer runs early, and then waits for ever. The loop's time is
 * in whole milliseconds: hence one more. */
static int timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
    const http_calls_curl_t *const client = context;
    (void)multi;
    if (timeout_ms < 0) {
        loop_timer_stop(client->timer);
    } else {
        loop_timer_start(client->timer, timeout_ms == 0 ? 0 : (uint64_t)timeout_ms + 1, 0);
    }
    return 0;
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
    const watched_socket_t *const watched = poll->data;
    int what = 0;
    if (status < 0) {
        what = CURL_CSELECT_ERR;
    } else {
        what |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
        what |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    }
    drive(watched->client, watched->descriptor, what);
}

static void socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static watched_socket_t *watch(http_calls_curl_t *client, curl_socket_t descriptor)
{
    watched_socket_t *watched = calloc(1, sizeof *watched);
    assert(watched != NULL);
    watched->client = client;
    watched->descriptor = descriptor;
    const int status = uv_poll_init(loop_uv(client->loop), &watched->poll, descriptor);
    assert(status == 0); /* an open socket that is watched once */
    watched->poll.data = watched;
    (void)curl_multi_assign(client->multi, descriptor, watched);
    return watched;
}

static int socket_wanted(CURL *easy, curl_socket_t descriptor, int what, void *context,
                         void *assigned)
{
    http_calls_curl_t *const client = context;
    watched_socket_t *watched = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL) {
            (void)uv_poll_stop(&watched->poll);
            (void)curl_multi_assign(client->multi, descriptor, NULL);
            uv_close((uv_handle_t *)&watched->poll, socket_closed);
        }
        return 0;
    }
    if (watched == NULL) {
        watched = watch(client, descriptor);
    }
    int events = 0;
    events |= (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
    events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
    (void)uv_poll_start(&watched->poll, events, socket_ready);
    return 0;
}

/* --- Calls --- */

static bool is_within_bounds(const http_call_request_t *request)
{
    const bool may_have_body =
        request->method == HTTP_CALL_POST || request->method == HTTP_CALL_PUT;
    return request->header_count <= LIMIT_HTTP_CALL_HEADERS &&
           request->body.size <= (may_have_body ? LIMIT_HTTP_CALL_SENT_SIZE : 0) &&
           request->deadline_ms > 0 && request->deadline_ms <= LIMIT_HTTP_CALL_DEADLINE_MS_MAX &&
           request->body_size_max <= LIMIT_HTTP_CALL_BODY_SIZE_MAX;
}

static http_call_t *call_create(http_calls_curl_t *client, const http_call_request_t *request)
{
    http_call_t *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->client = client;
    call->body_size_max = request->body_size_max;
    call->started_us = clock_monotonic_us();
    call->easy = curl_easy_init();
    assert(call->easy != NULL);
    return call;
}

static void list(http_call_t *call)
{
    http_calls_curl_t *const client = call->client;
    call->next = client->first;
    if (client->first != NULL) {
        client->first->previous = call;
    }
    client->first = call;
    client->count++;
    metric_set(client->in_flight, client->count);
}

static result_t start(http_calls_t *base, const http_call_request_t *request,
                      http_call_done_t *done, void *context, http_call_t **call)
{
    http_calls_curl_t *const client = client_of(base);
    char *url = NULL;
    if (!is_within_bounds(request)) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (client->count >= LIMIT_HTTP_CALLS) {
        return RESULT_BUSY;
    }
    result_t result = http_call_copy_url(request->url, &url);
    if (result != RESULT_OK) {
        return result;
    }
    http_call_t *created = call_create(client, request);
    created->done = done;
    created->context = context;
    result = http_call_configure(created, request, url);
    free(url);
    if (result == RESULT_OK && curl_multi_add_handle(client->multi, created->easy) != CURLM_OK) {
        result = RESULT_NO_MEMORY;
    }
    if (result != RESULT_OK) {
        call_free(created);
        return result;
    }
    list(created);
    *call = created;
    return RESULT_OK;
}

static void cancel(http_calls_t *base, http_call_t **call)
{
    http_call_t *const cancelled = *call;
    *call = NULL;
    unlist(cancelled);
    (void)curl_multi_remove_handle(client_of(base)->multi, cancelled->easy);
    call_free(cancelled);
}

static const http_calls_functions_t functions = {.start = start, .cancel = cancel};

/* --- Begin and end --- */

static void register_metrics(http_calls_curl_t *client, metrics_t *metrics)
{
    char labels[96];
    for (int end = 0; end < HTTP_CALL_ENDS; end++) {
        (void)snprintf(labels, sizeof labels, "client=\"%s\",end=\"%s\"", client->options.name,
                       http_call_end_name((http_call_end_t)end));
        client->calls[end] = metrics_counter(metrics, "digitalcard_http_calls_total", labels,
                                             "Calls to other servers, by how they ended");
    }
    (void)snprintf(labels, sizeof labels, "client=\"%s\"", client->options.name);
    client->in_flight = metrics_gauge(metrics, "digitalcard_http_calls_in_flight", labels,
                                      "Calls to other servers that have not ended");
    client->seconds = metrics_histogram(metrics, "digitalcard_http_call_seconds", labels,
                                        "How long calls to other servers took");
}

static result_t configure_multi(http_calls_curl_t *client)
{
    CURLM *const multi = client->multi;
    const bool is_set =
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)LIMIT_HTTP_CALLS_KEPT) == CURLM_OK;
    return is_set ? RESULT_OK : RESULT_INTERNAL;
}

result_t http_calls_create(loop_t *loop, metrics_t *metrics, const http_calls_options_t *options,
                           http_calls_t **client)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return RESULT_NO_MEMORY;
    }
    /* Without it a name server that hangs would hang the whole role. */
    if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0) {
        return RESULT_INTERNAL;
    }
    http_calls_curl_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    created->base.functions = &functions;
    created->loop = loop;
    created->options = *options;
    created->timer = loop_timer_create(loop, timer_due, created);
    created->multi = curl_multi_init();
    assert(created->multi != NULL);
    register_metrics(created, metrics);
    *client = &created->base;
    const result_t result = configure_multi(created);
    if (result != RESULT_OK) {
        http_calls_destroy(client);
    }
    return result;
}

void http_calls_destroy(http_calls_t **client)
{
    if (*client == NULL) {
        return;
    }
    http_calls_curl_t *const destroyed = client_of(*client);
    while (destroyed->first != NULL) { /* LIMIT_HTTP_CALLS */
        http_call_t *call = destroyed->first;
        cancel(*client, &call);
    }
    (void)curl_multi_cleanup(destroyed->multi); /* closes what it kept, and unwatches it */
    loop_timer_destroy(&destroyed->timer);
    free(destroyed);
    curl_global_cleanup();
    *client = NULL;
}
