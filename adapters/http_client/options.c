/* What one call may do, as options of libcurl: every bound of the port's contract is set here. */
#include "adapters/http_client/http_client_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- URL and headers --- */

static bool has_part(CURLU *parsed, CURLUPart part)
{
    char *text = NULL;
    const bool is_there = curl_url_get(parsed, part, &text, 0) == CURLUE_OK && text[0] != '\0';
    curl_free(text);
    return is_there;
}

static bool scheme_is_allowed(CURLU *parsed)
{
    char *scheme = NULL;
    const bool is_read = curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK;
    const bool is_allowed =
        is_read && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    return is_allowed;
}

result_t http_call_copy_url(text_t url, char **copy)
{
    if (url.size == 0 || url.size > LIMIT_HTTP_CALL_URL_SIZE ||
        memchr(url.data, '\0', url.size) != NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    char *text = strndup(url.data, url.size);
    CURLU *parsed = curl_url();
    const bool is_usable =
        text != NULL && parsed != NULL &&
        curl_url_set(parsed, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK &&
        scheme_is_allowed(parsed) && has_part(parsed, CURLUPART_HOST);
    curl_url_cleanup(parsed);
    if (!is_usable) {
        free(text);
        return RESULT_INVALID_ARGUMENT;
    }
    *copy = text;
    return RESULT_OK;
}

static bool is_header_text(text_t text, bool is_name)
{
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte < ' ' || byte == 0x7f || (is_name && (byte == ' ' || byte == ':'))) {
            return false;
        }
    }
    return !is_name || text.size > 0;
}

/* libcurl takes "Name: value", and "Name;" for one without a value. */
static result_t add_header(http_call_t *call, const http_call_header_t *header)
{
    if (!is_header_text(header->name, true) || !is_header_text(header->value, false) ||
        header->name.size + header->value.size > LIMIT_HTTP_CALL_URL_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    const size_t size = header->name.size + header->value.size + 3;
    char *line = malloc(size);
    if (line == NULL) {
        return RESULT_NO_MEMORY;
    }
    if (text_is_empty(header->value)) {
        (void)snprintf(line, size, "%.*s;", TEXT_PRINT(header->name));
    } else {
        (void)snprintf(line, size, "%.*s: %.*s", TEXT_PRINT(header->name),
                       TEXT_PRINT(header->value));
    }
    struct curl_slist *const longer = curl_slist_append(call->headers, line);
    free(line);
    if (longer == NULL) {
        return RESULT_NO_MEMORY;
    }
    call->headers = longer;
    return RESULT_OK;
}

static result_t add_headers(http_call_t *call, const http_call_request_t *request)
{
    /* libcurl would wait a second for "100 Continue" before a larger body. */
    call->headers = curl_slist_append(NULL, "Expect:");
    result_t result = call->headers == NULL ? RESULT_NO_MEMORY : RESULT_OK;
    for (size_t i = 0; i < request->header_count && result == RESULT_OK; i++) {
        result = add_header(call, &request->headers[i]);
    }
    return result;
}

/* --- What libcurl asks --- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    http_call_t *const call = context;
    (void)purpose;
    if (!call->client->options.allows_private && !http_address_is_public(&address->addr)) {
        call->met_forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    http_call_t *const call = context;
    (void)data;
    call->header_size += (uint32_t)(size * count);
    if (call->header_size > LIMIT_HTTP_CALL_HEAD_SIZE) {
        call->is_too_large = true;
        return 0;
    }
    return size * count;
}

static bool grow_body(http_call_t *call, size_t wanted)
{
    size_t capacity = call->body_capacity == 0 ? 4096 : call->body_capacity;
    while (capacity < wanted) { /* doubles up to body_size_max */
        capacity *= 2;
    }
    char *const larger = realloc(call->body, capacity);
    if (larger == NULL) {
        return false;
    }
    call->body = larger;
    call->body_capacity = capacity;
    return true;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    http_call_t *const call = context;
    const size_t more = size * count;
    if (more > call->body_size_max - call->body_size) {
        call->is_too_large = true;
        return 0;
    }
    const size_t wanted = call->body_size + more;
    if (wanted > call->body_capacity && !grow_body(call, wanted)) {
        return 0;
    }
    memcpy(call->body + call->body_size, data, more);
    call->body_size = wanted;
    return more;
}

/* --- Options --- */

/* An option that libcurl does not know would be a bound that does not hold. */
#define SET(option, value)                                                                         \
    if (curl_easy_setopt(easy, option, value) != CURLE_OK) {                                       \
        return RESULT_INTERNAL;                                                                    \
    }

static result_t set_method(CURL *easy, const http_call_t *call, const http_call_request_t *request)
{
    switch (request->method) {
    case HTTP_CALL_GET:
        SET(CURLOPT_HTTPGET, 1L)
        return RESULT_OK;
    case HTTP_CALL_DELETE:
        SET(CURLOPT_CUSTOMREQUEST, "DELETE")
        return RESULT_OK;
    case HTTP_CALL_PUT:
        SET(CURLOPT_CUSTOMREQUEST, "PUT")
        break;
    case HTTP_CALL_POST:
        break;
    }
    SET(CURLOPT_POST, 1L)
    SET(CURLOPT_POSTFIELDSIZE, (long)request->body.size)
    SET(CURLOPT_POSTFIELDS, call->sent)
    return RESULT_OK;
}

static result_t set_safety(CURL *easy, const http_call_t *call)
{
    SET(CURLOPT_NOSIGNAL, 1L)
    SET(CURLOPT_QUICK_EXIT, 1L) /* a name server that hangs must not hang the loop at the end */
    SET(CURLOPT_PROTOCOLS_STR, "http,https")
    SET(CURLOPT_FOLLOWLOCATION, 0L)
    SET(CURLOPT_PROXY, "") /* not even from the environment */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1)
    SET(CURLOPT_HTTP09_ALLOWED, 0L)
    SET(CURLOPT_SSL_VERIFYPEER, 1L)
    SET(CURLOPT_SSL_VERIFYHOST, 2L)
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2)
    if (call->client->options.authorities != NULL) {
        SET(CURLOPT_CAINFO, call->client->options.authorities)
        SET(CURLOPT_CAPATH, NULL)
    }
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket)
    SET(CURLOPT_OPENSOCKETDATA, call)
    return RESULT_OK;
}

static result_t set_call(CURL *easy, http_call_t *call, const http_call_request_t *request,
                         const char *url)
{
    SET(CURLOPT_PRIVATE, call)
    SET(CURLOPT_URL, url)
    SET(CURLOPT_USERAGENT, "DigitalCard/" DIGITALCARD_VERSION)
    SET(CURLOPT_HTTPHEADER, call->headers)
    SET(CURLOPT_ERRORBUFFER, call->error)
    SET(CURLOPT_TIMEOUT_MS, (long)request->deadline_ms)
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->body_size_max)
    SET(CURLOPT_HEADERFUNCTION, take_header)
    SET(CURLOPT_HEADERDATA, call)
    SET(CURLOPT_WRITEFUNCTION, take_body)
    SET(CURLOPT_WRITEDATA, call)
    return RESULT_OK;
}

result_t http_call_configure(http_call_t *call, const http_call_request_t *request, const char *url)
{
    result_t result = add_headers(call, request);
    if (result == RESULT_OK && request->body.size > 0) {
        call->sent = malloc(request->body.size);
        result = call->sent == NULL ? RESULT_NO_MEMORY : RESULT_OK;
    }
    if (result == RESULT_OK && request->body.size > 0) {
        memcpy(call->sent, request->body.data, request->body.size);
    }
    if (result == RESULT_OK) {
        result = set_call(call->easy, call, request, url);
    }
    if (result == RESULT_OK) {
        result = set_method(call->easy, call, request);
    }
    if (result == RESULT_OK) {
        result = set_safety(call->easy, call);
    }
    return result;
}
