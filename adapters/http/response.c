/* See response.h. Written with memcpy: a formatted print would cost more than all the rest. */
#include "adapters/http/response.h"

#include <assert.h>
#include <stdio.h>

enum {
    HEAD_SIZE_FIXED = 768, /* all names and values that are no text of the response */
    NUMBER_SIZE_MAX = 20,  /* digits of 2^64 */
    SECONDS_PER_MS_DIVISOR = 1000,
};

typedef struct status_line {
    uint16_t status;
    text_t line;
} status_line_t;

static const status_line_t status_lines[] = {
    {200, TEXT_LITERAL("HTTP/1.1 200 OK\r\n")},
    {201, TEXT_LITERAL("HTTP/1.1 201 Created\r\n")},
    {204, TEXT_LITERAL("HTTP/1.1 204 No Content\r\n")},
    {304, TEXT_LITERAL("HTTP/1.1 304 Not Modified\r\n")},
    {400, TEXT_LITERAL("HTTP/1.1 400 Bad Request\r\n")},
    {401, TEXT_LITERAL("HTTP/1.1 401 Unauthorized\r\n")},
    {403, TEXT_LITERAL("HTTP/1.1 403 Forbidden\r\n")},
    {404, TEXT_LITERAL("HTTP/1.1 404 Not Found\r\n")},
    {405, TEXT_LITERAL("HTTP/1.1 405 Method Not Allowed\r\n")},
    {406, TEXT_LITERAL("HTTP/1.1 406 Not Acceptable\r\n")},
    {408, TEXT_LITERAL("HTTP/1.1 408 Request Timeout\r\n")},
    {409, TEXT_LITERAL("HTTP/1.1 409 Conflict\r\n")},
    {410, TEXT_LITERAL("HTTP/1.1 410 Gone\r\n")},
    {412, TEXT_LITERAL("HTTP/1.1 412 Precondition Failed\r\n")},
    {413, TEXT_LITERAL("HTTP/1.1 413 Content Too Large\r\n")},
    {414, TEXT_LITERAL("HTTP/1.1 414 URI Too Long\r\n")},
    {415, TEXT_LITERAL("HTTP/1.1 415 Unsupported Media Type\r\n")},
    {417, TEXT_LITERAL("HTTP/1.1 417 Expectation Failed\r\n")},
    {422, TEXT_LITERAL("HTTP/1.1 422 Unprocessable Content\r\n")},
    {429, TEXT_LITERAL("HTTP/1.1 429 Too Many Requests\r\n")},
    {431, TEXT_LITERAL("HTTP/1.1 431 Request Header Fields Too Large\r\n")},
    {500, TEXT_LITERAL("HTTP/1.1 500 Internal Server Error\r\n")},
    {501, TEXT_LITERAL("HTTP/1.1 501 Not Implemented\r\n")},
    {503, TEXT_LITERAL("HTTP/1.1 503 Service Unavailable\r\n")},
    {505, TEXT_LITERAL("HTTP/1.1 505 HTTP Version Not Supported\r\n")},
    {507, TEXT_LITERAL("HTTP/1.1 507 Insufficient Storage\r\n")},
};

void http_date_update(http_date_t *date, int64_t now_ms)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t second = (time_t)(now_ms / SECONDS_PER_MS_DIVISOR);
    if (second == date->second) {
        return;
    }
    struct tm parts;
    if (gmtime_r(&second, &parts) == NULL) {
        return; /* a year beyond an int: the old date stays */
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday],
                   parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                   parts.tm_min, parts.tm_sec);
    memcpy(date->text, text, HTTP_DATE_SIZE);
    date->second = second;
}

static char *put(char *at, text_t text)
{
    memcpy(at, text.data, text.size);
    return at + text.size;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[NUMBER_SIZE_MAX];
    size_t start = NUMBER_SIZE_MAX;
    do {
        start--;
        digits[start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(at, digits + start, NUMBER_SIZE_MAX - start);
    return at + (NUMBER_SIZE_MAX - start);
}

static char *put_field(char *at, text_t name_and_colon, text_t value)
{
    if (text_is_empty(value)) {
        return at;
    }
    at = put(at, name_and_colon);
    at = put(at, value);
    return put(at, TEXT_LITERAL("\r\n"));
}

static text_t status_line(uint16_t status)
{
    for (size_t i = 0; i < sizeof(status_lines) / sizeof(status_lines[0]); i++) {
        if (status_lines[i].status == status) {
            return status_lines[i].line;
        }
    }
    assert(false); /* errors.def has a status that is missing above */
    return TEXT_NONE;
}

static char *put_challenge(char *at, http_challenge_t challenge)
{
    if (challenge == HTTP_CHALLENGE_NONE) {
        return at;
    }
    at = put(at, TEXT_LITERAL("WWW-Authenticate: Bearer realm=\"digitalcard\""));
    if (challenge == HTTP_CHALLENGE_INVALID) {
        at = put(at, TEXT_LITERAL(", error=\"invalid_token\""));
    }
    return put(at, TEXT_LITERAL("\r\n"));
}

static char *put_rare_fields(char *at, const http_response_t *response)
{
    at = put_field(at, TEXT_LITERAL("Location: "), response->location);
    at = put_field(at, TEXT_LITERAL("Content-Location: "), response->content_location);
    at = put_field(at, TEXT_LITERAL("Link: "), response->link);
    at = put_field(at, TEXT_LITERAL("Allow: "), response->allow);
    at = put_challenge(at, response->challenge);
    if (response->retry_after_s > 0) {
        at = put(at, TEXT_LITERAL("Retry-After: "));
        at = put_number(at, response->retry_after_s);
        at = put(at, TEXT_LITERAL("\r\n"));
    }
    return at;
}

static char *put_head(char *at, const http_response_t *response, const http_framing_t *framing,
                      const http_date_t *date)
{
    at = put(at, status_line(response->status));
    at =
        put_field(at, TEXT_LITERAL("Date: "), (text_t){.data = date->text, .size = HTTP_DATE_SIZE});
    at = put_field(at, TEXT_LITERAL("Content-Type: "), response->content_type);
    if (response->status != 204 && response->status != 304) {
        at = put(at, TEXT_LITERAL("Content-Length: "));
        at = put_number(at, response->body.size);
        at = put(at, TEXT_LITERAL("\r\n"));
    }
    at = put_field(at, TEXT_LITERAL("Cache-Control: "),
                   text_is_empty(response->cache_control) ? TEXT_LITERAL("no-store")
                                                          : response->cache_control);
    at = put(at, TEXT_LITERAL("X-Content-Type-Options: nosniff\r\n"));
    at = put_field(at, TEXT_LITERAL("X-Trace-Id: "), response->trace_id);
    if (response->has_version) {
        at = put(at, TEXT_LITERAL("ETag: \""));
        at = put_number(at, response->version);
        at = put(at, TEXT_LITERAL("\"\r\n"));
    }
    at = put_rare_fields(at, response);
    if (framing->close) {
        at = put(at, TEXT_LITERAL("Connection: close\r\n"));
    } else if (framing->announce_alive) {
        at = put(at, TEXT_LITERAL("Connection: keep-alive\r\n"));
    }
    return put(at, TEXT_LITERAL("\r\n"));
}

bool http_response_append(http_buffer_stock_t *stock, http_buffer_t *buffer,
                          const http_response_t *response, const http_framing_t *framing,
                          const http_date_t *date)
{
    const size_t texts = response->content_type.size + response->body.size +
                         response->trace_id.size + response->cache_control.size +
                         response->location.size + response->content_location.size +
                         response->link.size + response->allow.size;
    if (!http_buffer_reserve(stock, buffer, HEAD_SIZE_FIXED + texts)) {
        return false;
    }
    char *at = put_head(buffer->data + buffer->size, response, framing, date);
    if (!framing->without_body && response->status != 204 && response->status != 304 &&
        response->body.size > 0) {
        at = put(at, response->body);
    }
    buffer->size = (size_t)(at - buffer->data);
    assert(buffer->size <= buffer->capacity);
    return true;
}
