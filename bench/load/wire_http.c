/* HTTP/1.1 with connections that stay open and one request at a time on each. Of replies only what
 * such a client may meet is accepted: a version, a status, one Content-Length, no transfer coding.
 */
#include "bench/load/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HEAD_SIZE_MAX = 16384, LINE_SIZE_MAX = 128 };

static void append_c(load_buffer_t *buffer, const char *text)
{
    load_buffer_append(buffer, text, strlen(text));
}

/* The header lines from Host on; Content-Length comes last, because it changes. */
static void write_constant(load_wire_t *wire)
{
    const load_options_t *const options = wire->options;
    append_c(&wire->constant, " HTTP/1.1\r\nHost: ");
    append_c(&wire->constant, options->service.host);
    append_c(&wire->constant, ":");
    append_c(&wire->constant, options->service.port);
    append_c(&wire->constant, "\r\nAuthorization: Bearer ");
    append_c(&wire->constant, options->token);
    append_c(&wire->constant, "\r\n");
}

/* "cards/…/validate" behind the area it belongs to. */
static void write_path(load_wire_t *wire, const load_request_t *request, load_buffer_t *out)
{
    const bool is_gate = request->action == LOAD_VALIDATE || request->action == LOAD_SCAN;
    append_c(out, request->action == LOAD_GET ? "GET /" : "POST /");
    append_c(out, wire->options->tenant);
    append_c(out, is_gate ? "/mapi/v1/" : "/api/v1/");
    if (request->action == LOAD_SCAN) {
        append_c(out, "scans");
        return;
    }
    append_c(out, "cards");
    if (request->action != LOAD_ISSUE) {
        append_c(out, "/");
        load_buffer_append(out, request->card, LOAD_ID_SIZE);
    }
    if (request->action != LOAD_ISSUE && request->action != LOAD_GET) {
        append_c(out, "/");
        append_c(out, load_action_names[request->action]);
    }
}

static void write_body(load_wire_t *wire, const load_request_t *request, load_buffer_t *out)
{
    char line[LINE_SIZE_MAX];
    char time[LOAD_TIME_SIZE];
    switch (request->action) {
    case LOAD_ISSUE:
        (void)snprintf(line, sizeof(line), "{\"member_id\":\"b-%" PRIx64 "-%" PRIu64 "\"",
                       wire->key_prefix, request->member);
        append_c(out, line);
        append_c(out, ",\"expires_at\":\"");
        load_buffer_append_text(out, load_wire_expiry(request, time));
        append_c(out, request->is_activated ? "\",\"activate\":true}" : "\"}");
        return;
    case LOAD_VALIDATE:
        append_c(out, "{\"gate\":\"north\"}");
        return;
    case LOAD_SCAN:
        append_c(out, "{\"gate\":\"north\",\"qr\":\"");
        load_buffer_append(out, request->qr, request->qr_size);
        append_c(out, "\"}");
        return;
    case LOAD_RENEW:
        append_c(out, "{\"expires_at\":\"");
        load_buffer_append_text(out, load_wire_expiry(request, time));
        append_c(out, "\"}");
        return;
    default:
        append_c(out, "{}");
        return;
    }
}

void load_http_write(load_wire_t *wire, const load_request_t *request, load_buffer_t *out)
{
    if (wire->constant.end == 0) {
        write_constant(wire);
    }
    write_path(wire, request, out);
    load_buffer_append(out, wire->constant.data, wire->constant.end);
    if (request->action == LOAD_GET) {
        append_c(out, "\r\n");
        return;
    }
    load_buffer_clear(&wire->body);
    write_body(wire, request, &wire->body);
    char line[LINE_SIZE_MAX];
    if (wire->options->with_keys) {
        (void)snprintf(line, sizeof(line), "Idempotency-Key: \"%" PRIx64 "-%" PRIu64 "\"\r\n",
                       wire->key_prefix, request->member);
        append_c(out, line);
    }
    (void)snprintf(line, sizeof(line),
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", wire->body.end);
    append_c(out, line);
    load_buffer_append(out, wire->body.data, wire->body.end);
}

/* --- Replies --- */

typedef struct head {
    uint16_t status;
    bool has_length;
    size_t length;
    bool closes;
} head_t;

static bool read_decimal(text_t text, size_t max, size_t *number)
{
    size_t sum = 0;
    for (size_t index = 0; index < text.size; index++) {
        if (text.data[index] < '0' || text.data[index] > '9' || sum > max) {
            return false;
        }
        sum = sum * 10 + (size_t)(text.data[index] - '0');
    }
    *number = sum;
    return text.size > 0 && sum <= max;
}

static bool is_name(text_t line, const char *name, text_t *value)
{
    const size_t size = strlen(name);
    if (line.size <= size || line.data[size] != ':' || strncasecmp(line.data, name, size) != 0) {
        return false;
    }
    size_t begin = size + 1;
    while (begin < line.size && line.data[begin] == ' ') {
        begin++;
    }
    *value = (text_t){line.data + begin, line.size - begin};
    return true;
}

static bool read_status_line(text_t line, head_t *head)
{
    size_t status = 0;
    if (line.size < 12 || memcmp(line.data, "HTTP/1.1 ", 9) != 0 ||
        !read_decimal((text_t){line.data + 9, 3}, 599, &status) || status < 200) {
        return false;
    }
    head->status = (uint16_t)status;
    return true;
}

static const char *read_line(text_t line, head_t *head)
{
    text_t value;
    if (is_name(line, "Content-Length", &value)) {
        if (head->has_length || !read_decimal(value, LOAD_REPLY_SIZE_MAX, &head->length)) {
            return "the reply has no usable Content-Length";
        }
        head->has_length = true;
    } else if (is_name(line, "Transfer-Encoding", &value)) {
        return "the reply has a transfer coding";
    } else if (is_name(line, "Connection", &value)) {
        head->closes = value.size == 5 && strncasecmp(value.data, "close", 5) == 0;
    }
    return NULL;
}

static const char *read_head(text_t text, head_t *head)
{
    bool is_first = true;
    while (text.size > 0) {
        const char *const end = memmem(text.data, text.size, "\r\n", 2);
        const text_t line = {text.data, end == NULL ? text.size : (size_t)(end - text.data)};
        if (is_first && !read_status_line(line, head)) {
            return "the reply is not HTTP/1.1";
        }
        const char *const why = is_first ? NULL : read_line(line, head);
        if (why != NULL) {
            return why;
        }
        is_first = false;
        const size_t used = end == NULL ? line.size : line.size + 2;
        text = (text_t){text.data + used, text.size - used};
    }
    return head->has_length ? NULL : "the reply has no Content-Length";
}

load_take_t load_http_take(load_buffer_t *in, load_frame_t *frame, const char **why)
{
    const char *const data = (const char *)in->data + in->begin;
    const size_t size = load_buffer_size(in);
    const char *const end = size == 0 ? NULL : memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) {
        *why = "the head of the reply does not end";
        return size > HEAD_SIZE_MAX ? LOAD_TAKE_BROKEN : LOAD_TAKE_MORE;
    }
    const size_t head_size = (size_t)(end - data);
    head_t head = {0};
    *why = read_head((text_t){data, head_size}, &head);
    if (*why != NULL) {
        return LOAD_TAKE_BROKEN;
    }
    const size_t whole = head_size + 4 + head.length;
    if (size < whole) {
        return LOAD_TAKE_MORE;
    }
    *frame = (load_frame_t){.status = head.status,
                            .is_ok = head.status < 300,
                            .is_last = head.closes,
                            .body = {end + 4, head.length}};
    in->begin += whole;
    return LOAD_TAKE_FRAME;
}
