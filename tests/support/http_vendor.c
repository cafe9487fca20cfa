/* See http_vendor.h. */
#include "tests/support/http_vendor.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { URL_SIZE = 128, BODY_SIZE_MAX = 4096 };

struct vendor_call {
    http_vendor_t *vendor;
    neighbour_adapter_t adapter;
    http_call_t *http;
    void *context;
    wallet_done_t *wallet_done;
    notification_done_t *notification_done;
    geography_done_t *geography_done;
};

static text_t text_of(const json_t *document, const char *name)
{
    const char *const text = json_string_value(json_object_get(document, name));
    return text == NULL ? TEXT_NONE : text_from_c(text);
}

static void tell(vendor_call_t *call, const vendor_answer_t *base, const json_t *document)
{
    if (call->adapter == NEIGHBOUR_WALLET) {
        const wallet_answer_t answer = {.base = *base, .link = text_of(document, "link")};
        call->wallet_done(call->context, &answer);
    } else if (call->adapter == NEIGHBOUR_NOTIFICATION) {
        const notification_answer_t answer = {.base = *base,
                                              .message_id = text_of(document, "message_id")};
        call->notification_done(call->context, &answer);
    } else {
        const geography_answer_t answer = {.base = *base,
                                           .place = text_of(document, "place"),
                                           .country = text_of(document, "country")};
        call->geography_done(call->context, &answer);
    }
}

static void http_done(void *context, const http_call_answer_t *http)
{
    vendor_call_t *const call = context;
    json_t *document = http->end == HTTP_CALL_ANSWERED
                           ? json_loadb(http->body.data, http->body.size, 0, NULL)
                           : NULL;
    const bool is_client_fault =
        http->end == HTTP_CALL_ANSWERED && http->status >= 400 && http->status < 500;
    vendor_answer_t base = {.is_refused = is_client_fault};
    if (http->end != HTTP_CALL_ANSWERED) {
        base.failure = http_call_end_name(http->end);
    } else if (!is_client_fault && http->status != 200) {
        base.failure = "an unexpected status";
    } else if (document == NULL) {
        base.failure = "the answer is no JSON";
    }
    base.reason = text_of(document, "reason");
    tell(call, &base, document);
    json_decref(document);
    free(call);
}

static result_t post(http_vendor_t *vendor, neighbour_adapter_t adapter, uint32_t deadline_ms,
                     vendor_call_t **call)
{
    char url[URL_SIZE];
    const http_call_header_t header = {.name = TEXT_LITERAL("Content-Type"),
                                       .value = TEXT_LITERAL("application/json")};
    const int size = snprintf(url, sizeof url, "http://127.0.0.1:%u/%s/%s", vendor->port,
                              vendor->modes[adapter], neighbour_adapter_name(adapter));
    const http_call_request_t request = {.method = HTTP_CALL_POST,
                                         .url = {.data = url, .size = (size_t)size},
                                         .headers = &header,
                                         .header_count = 1,
                                         .body = TEXT_LITERAL("{}"),
                                         .deadline_ms = deadline_ms,
                                         .body_size_max = BODY_SIZE_MAX};
    (*call)->vendor = vendor;
    (*call)->adapter = adapter;
    vendor->asked[adapter]++;
    const result_t result = vendor->client->functions->start(vendor->client, &request, http_done,
                                                             *call, &(*call)->http);
    if (result != RESULT_OK) {
        free(*call);
        *call = NULL;
    }
    return result;
}

static vendor_call_t *call_create(void *context)
{
    vendor_call_t *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->context = context;
    return call;
}

static void cancel(http_vendor_t *vendor, vendor_call_t **call)
{
    vendor->cancelled++;
    vendor->client->functions->cancel(vendor->client, &(*call)->http);
    free(*call);
    *call = NULL;
}

static http_vendor_t *of_wallet(wallet_t *wallet)
{
    return (http_vendor_t *)(void *)((char *)wallet - offsetof(http_vendor_t, wallet));
}

static http_vendor_t *of_notification(notification_t *notification)
{
    return (http_vendor_t *)(void *)((char *)notification - offsetof(http_vendor_t, notification));
}

static http_vendor_t *of_geography(geography_t *geography)
{
    return (http_vendor_t *)(void *)((char *)geography - offsetof(http_vendor_t, geography));
}

static result_t wallet_ask(wallet_t *wallet, const wallet_question_t *question, wallet_done_t *done,
                           void *context, vendor_call_t **call)
{
    *call = call_create(context);
    (*call)->wallet_done = done;
    return post(of_wallet(wallet), NEIGHBOUR_WALLET, question->deadline_ms, call);
}

static void wallet_cancel(wallet_t *wallet, vendor_call_t **call)
{
    cancel(of_wallet(wallet), call);
}

static result_t notification_ask(notification_t *notification,
                                 const notification_question_t *question, notification_done_t *done,
                                 void *context, vendor_call_t **call)
{
    *call = call_create(context);
    (*call)->notification_done = done;
    return post(of_notification(notification), NEIGHBOUR_NOTIFICATION, question->deadline_ms, call);
}

static void notification_cancel(notification_t *notification, vendor_call_t **call)
{
    cancel(of_notification(notification), call);
}

static result_t geography_ask(geography_t *geography, const geography_question_t *question,
                              geography_done_t *done, void *context, vendor_call_t **call)
{
    *call = call_create(context);
    (*call)->geography_done = done;
    return post(of_geography(geography), NEIGHBOUR_GEOGRAPHY, question->deadline_ms, call);
}

static void geography_cancel(geography_t *geography, vendor_call_t **call)
{
    cancel(of_geography(geography), call);
}

void http_vendor_init(http_vendor_t *vendor, http_calls_t *client, uint16_t port, bool is_keyed)
{
    static const wallet_functions_t wallet = {.ask = wallet_ask, .cancel = wallet_cancel};
    static const notification_functions_t keyed = {
        .ask = notification_ask, .cancel = notification_cancel, .is_keyed = true};
    static const notification_functions_t unkeyed = {.ask = notification_ask,
                                                     .cancel = notification_cancel};
    static const geography_functions_t geography = {.ask = geography_ask,
                                                    .cancel = geography_cancel};
    *vendor = (http_vendor_t){.client = client, .port = port};
    vendor->wallet.functions = &wallet;
    vendor->notification.functions = is_keyed ? &keyed : &unkeyed;
    vendor->geography.functions = &geography;
    for (size_t i = 0; i < NEIGHBOUR_ADAPTERS; i++) {
        vendor->modes[i] = "good";
    }
}
