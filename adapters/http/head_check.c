/* See head_check.h. Character classes are those of RFC 9110 section 5.6.2 and RFC 9112. */
#include "adapters/http/head_check.h"

#include "runtime/limits.h"

#include <assert.h>

enum {
    REQUEST_LINE_SIZE_MAX = LIMIT_HTTP_URI_SIZE + 64, /* method, two blanks, version and room */
    CONTENT_LENGTH_DIGITS_MAX = 19,                   /* below 2^63 without a look at the value */
    PORT_DIGITS_MAX = 5,
};

enum {
    CLASS_TOKEN = 1,  /* tchar */
    CLASS_TARGET = 2, /* what a path and query may be made of, in the raw */
    CLASS_HOST = 4,   /* reg-name and IPv4 */
    CLASS_VALUE = 8,  /* field content: visible, blank, tab and bytes from 0x80 on */
};

#define DIGIT_CLASSES (CLASS_TOKEN | CLASS_TARGET | CLASS_HOST | CLASS_VALUE)
static const uint8_t classes[256] = {
    ['\t'] = CLASS_VALUE,
    [' '] = CLASS_VALUE,
    ['!'] = DIGIT_CLASSES,
    ['"'] = CLASS_VALUE,
    ['#'] = CLASS_TOKEN | CLASS_VALUE,
    ['$'] = DIGIT_CLASSES,
    ['%'] = DIGIT_CLASSES,
    ['&'] = DIGIT_CLASSES,
    ['\''] = DIGIT_CLASSES,
    ['('] = CLASS_TARGET | CLASS_HOST | CLASS_VALUE,
    [')'] = CLASS_TARGET | CLASS_HOST | CLASS_VALUE,
    ['*'] = DIGIT_CLASSES,
    ['+'] = DIGIT_CLASSES,
    [','] = CLASS_TARGET | CLASS_HOST | CLASS_VALUE,
    ['-'] = DIGIT_CLASSES,
    ['.'] = DIGIT_CLASSES,
    ['/'] = CLASS_TARGET | CLASS_VALUE,
    ['0' ... '9'] = DIGIT_CLASSES,
    [':'] = CLASS_TARGET | CLASS_VALUE,
    [';'] = CLASS_TARGET | CLASS_HOST | CLASS_VALUE,
    ['<'] = CLASS_VALUE,
    ['='] = CLASS_TARGET | CLASS_HOST | CLASS_VALUE,
    ['>'] = CLASS_VALUE,
    ['?'] = CLASS_TARGET | CLASS_VALUE,
    ['@'] = CLASS_TARGET | CLASS_VALUE,
    ['A' ... 'Z'] = DIGIT_CLASSES,
    ['['] = CLASS_TARGET | CLASS_VALUE,
    ['\\'] = CLASS_VALUE,
    [']'] = CLASS_TARGET | CLASS_VALUE,
    ['^'] = CLASS_TOKEN | CLASS_TARGET | CLASS_VALUE,
    ['_'] = DIGIT_CLASSES,
    ['`'] = CLASS_TOKEN | CLASS_TARGET | CLASS_VALUE,
    ['a' ... 'z'] = DIGIT_CLASSES,
    ['{'] = CLASS_TARGET | CLASS_VALUE,
    ['|'] = CLASS_TOKEN | CLASS_TARGET | CLASS_VALUE,
    ['}'] = CLASS_TARGET | CLASS_VALUE,
    ['~'] = DIGIT_CLASSES,
    [0x80 ... 0xff] = CLASS_VALUE,
};

static const text_t method_names[HEAD_METHOD_COUNT] = {
    [HEAD_METHOD_GET] = TEXT_LITERAL("GET"),         [HEAD_METHOD_HEAD] = TEXT_LITERAL("HEAD"),
    [HEAD_METHOD_POST] = TEXT_LITERAL("POST"),       [HEAD_METHOD_PUT] = TEXT_LITERAL("PUT"),
    [HEAD_METHOD_PATCH] = TEXT_LITERAL("PATCH"),     [HEAD_METHOD_DELETE] = TEXT_LITERAL("DELETE"),
    [HEAD_METHOD_OPTIONS] = TEXT_LITERAL("OPTIONS"),
};

/* Repeated: `once` is refused, `first` keeps the first, `none` counts as absent (W3C trace
 * context: more than one traceparent is as good as none). */
typedef enum repeat { REPEAT_ONCE, REPEAT_FIRST, REPEAT_NONE } repeat_t;
typedef struct known_field {
    text_t name; /* lower case */
    repeat_t repeat;
} known_field_t;

static const known_field_t known_fields[HEAD_FIELD_COUNT] = {
    [HEAD_FIELD_HOST] = {TEXT_LITERAL("host"), REPEAT_ONCE},
    [HEAD_FIELD_CONTENT_LENGTH] = {TEXT_LITERAL("content-length"), REPEAT_ONCE},
    [HEAD_FIELD_TRANSFER_ENCODING] = {TEXT_LITERAL("transfer-encoding"), REPEAT_ONCE},
    [HEAD_FIELD_EXPECT] = {TEXT_LITERAL("expect"), REPEAT_ONCE},
    [HEAD_FIELD_AUTHORIZATION] = {TEXT_LITERAL("authorization"), REPEAT_ONCE},
    [HEAD_FIELD_CONTENT_TYPE] = {TEXT_LITERAL("content-type"), REPEAT_ONCE},
    [HEAD_FIELD_CONTENT_ENCODING] = {TEXT_LITERAL("content-encoding"), REPEAT_ONCE},
    [HEAD_FIELD_IDEMPOTENCY_KEY] = {TEXT_LITERAL("idempotency-key"), REPEAT_ONCE},
    [HEAD_FIELD_TRACEPARENT] = {TEXT_LITERAL("traceparent"), REPEAT_NONE},
    [HEAD_FIELD_IF_MATCH] = {TEXT_LITERAL("if-match"), REPEAT_ONCE},
    [HEAD_FIELD_IF_NONE_MATCH] = {TEXT_LITERAL("if-none-match"), REPEAT_FIRST},
};

text_t head_method_name(head_method_t method)
{
    assert(method < HEAD_METHOD_COUNT);
    return method_names[method];
}

static bool refuse(head_refusal_t *refusal, result_t result, const char *detail)
{
    *refusal = (head_refusal_t){.result = result, .detail = detail};
    return false;
}

static bool refuse_request(head_refusal_t *refusal, const char *detail)
{
    return refuse(refusal, RESULT_INVALID_REQUEST, detail);
}

static bool is_class(char character, uint8_t wanted)
{
    return (classes[(uint8_t)character] & wanted) != 0;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static char lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character + ('a' - 'A')) : character;
}

/* `name` is lower case. */
static bool equal_ignoring_case(text_t text, text_t name)
{
    if (text.size != name.size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (lower(text.data[i]) != name.data[i]) {
            return false;
        }
    }
    return true;
}

static text_t slice(text_t text, size_t start, size_t end)
{
    return (text_t){.data = text.data + start, .size = end - start};
}

/* Index of the first character outside the class, or the size. */
static size_t span(text_t text, uint8_t wanted)
{
    size_t i = 0;
    while (i < text.size && is_class(text.data[i], wanted)) {
        i++;
    }
    return i;
}

/* --- Where does the head end? --- */

static head_scan_t scan_incomplete(const char *data, size_t size, const head_scan_state_t *state,
                                   head_refusal_t *refusal)
{
    const size_t first = state->leading ? 2 : 0;
    if (size > first && !is_class(data[first], CLASS_TOKEN) && data[first] != '\r') {
        (void)refuse_request(refusal, "the request does not begin with a method");
        return HEAD_SCAN_BAD;
    }
    const bool in_request_line = state->line == first;
    if (in_request_line && size - first > REQUEST_LINE_SIZE_MAX) {
        (void)refuse(refusal, RESULT_URI_TOO_LONG, "the request line is too long");
        return HEAD_SCAN_BAD;
    }
    if (size >= LIMIT_HTTP_HEAD_SIZE) {
        (void)refuse(refusal, RESULT_HEADERS_TOO_LARGE, "the header block is too large");
        return HEAD_SCAN_BAD;
    }
    return HEAD_SCAN_MORE;
}

head_scan_t head_scan(const char *data, size_t size, head_scan_state_t *state, size_t *head_size,
                      head_refusal_t *refusal)
{
    if (size > LIMIT_HTTP_HEAD_SIZE) {
        size = LIMIT_HTTP_HEAD_SIZE;
    }
    while (state->scanned < size) {
        const char *found = memchr(data + state->scanned, '\n', size - state->scanned);
        if (found == NULL) {
            state->scanned = size;
            break;
        }
        const size_t at = (size_t)(found - data);
        if (at == state->line || data[at - 1] != '\r') {
            (void)refuse_request(refusal, "a line ends with LF alone");
            return HEAD_SCAN_BAD;
        }
        const bool empty = at - 1 == state->line;
        const bool first = state->line == (state->leading ? 2U : 0U);
        if (empty && !first) {
            *head_size = at + 1;
            return HEAD_SCAN_WHOLE;
        }
        if (empty && state->leading) {
            (void)refuse_request(refusal, "more than one empty line before the request");
            return HEAD_SCAN_BAD;
        }
        state->leading = state->leading || empty;
        state->line = at + 1;
        state->scanned = at + 1;
    }
    return scan_incomplete(data, size, state, refusal);
}

/* --- Request line --- */

static bool check_version(text_t version, http_head_t *head, head_refusal_t *refusal)
{
    const bool shaped = version.size == 8 && memcmp(version.data, "HTTP/", 5) == 0 &&
                        is_digit(version.data[5]) && version.data[6] == '.' &&
                        is_digit(version.data[7]);
    if (!shaped) {
        return refuse_request(refusal, "the request line does not end with HTTP/1.1");
    }
    const bool known = version.data[5] == '1' && version.data[7] <= '1';
    if (!known) {
        return refuse(refusal, RESULT_VERSION_NOT_SUPPORTED,
                      "only HTTP/1.0 and HTTP/1.1 are spoken");
    }
    head->version_1_1 = version.data[7] == '1';
    return true;
}

static bool check_method(text_t method, http_head_t *head, head_refusal_t *refusal)
{
    for (head_method_t i = 0; i < HEAD_METHOD_COUNT; i++) {
        if (text_equal(method, method_names[i])) {
            head->method = i;
            return true;
        }
    }
    return refuse(refusal, RESULT_NOT_IMPLEMENTED, "this method is not implemented");
}

static void split_query(text_t target, http_head_t *head)
{
    const char *mark = memchr(target.data, '?', target.size);
    if (mark == NULL) {
        head->path = target;
        return;
    }
    const size_t at = (size_t)(mark - target.data);
    head->path = slice(target, 0, at);
    head->query = slice(target, at + 1, target.size);
    head->has_query = true;
}

/* Takes "http://host" off an absolute-form target; `authority` stays empty for other forms. */
static bool split_authority(text_t *target, text_t *authority, head_refusal_t *refusal)
{
    size_t scheme = 0;
    if (target->size >= 7 && equal_ignoring_case(slice(*target, 0, 7), TEXT_LITERAL("http://"))) {
        scheme = 7;
    } else if (target->size >= 8 &&
               equal_ignoring_case(slice(*target, 0, 8), TEXT_LITERAL("https://"))) {
        scheme = 8;
    } else {
        return refuse_request(refusal, "the target is no path");
    }
    const text_t rest = slice(*target, scheme, target->size);
    size_t end = 0;
    while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?') {
        end++;
    }
    if (end == 0 || (end < rest.size && rest.data[end] == '?')) {
        return refuse_request(refusal, "the target is an absolute URI without host or path");
    }
    *authority = slice(rest, 0, end);
    *target = end == rest.size ? TEXT_LITERAL("/") : slice(rest, end, rest.size);
    return true;
}

static bool check_target(text_t target, http_head_t *head, text_t *authority,
                         head_refusal_t *refusal)
{
    if (target.size > LIMIT_HTTP_URI_SIZE) {
        return refuse(refusal, RESULT_URI_TOO_LONG, "the target is too long");
    }
    if (target.size == 0 || span(target, CLASS_TARGET) != target.size) {
        return refuse_request(refusal, "the target has a character that must be percent-encoded");
    }
    if (text_equal(target, TEXT_LITERAL("*")) && head->method == HEAD_METHOD_OPTIONS) {
        head->path = target;
        return true;
    }
    if (target.data[0] != '/' && !split_authority(&target, authority, refusal)) {
        return false;
    }
    split_query(target, head);
    return true;
}

static bool check_request_line(text_t line, http_head_t *head, text_t *authority,
                               head_refusal_t *refusal)
{
    const size_t method_end = span(line, CLASS_TOKEN);
    if (method_end == 0 || method_end == line.size || line.data[method_end] != ' ') {
        return refuse_request(refusal, "the request line does not begin with a method");
    }
    size_t target_end = method_end + 1;
    while (target_end < line.size && line.data[target_end] != ' ') {
        target_end++;
    }
    if (target_end == line.size) {
        return refuse_request(refusal, "the request line has no version");
    }
    return check_version(slice(line, target_end + 1, line.size), head, refusal) &&
           check_method(slice(line, 0, method_end), head, refusal) &&
           check_target(slice(line, method_end + 1, target_end), head, authority, refusal);
}

/* --- Fields --- */

static bool check_port(text_t port, head_refusal_t *refusal)
{
    assert(port.data != NULL);
    bool good = port.size >= 2 && port.size <= 1 + PORT_DIGITS_MAX && port.data[0] == ':';
    for (size_t i = 1; good && i < port.size; i++) {
        good = is_digit(port.data[i]);
    }
    return good || refuse_request(refusal, "Host is not valid");
}

static bool check_host(text_t host, head_refusal_t *refusal)
{
    size_t end = 0;
    if (host.size > 0 && host.data[0] == '[') {
        end = 1;
        while (end < host.size &&
               (is_digit(host.data[end]) || host.data[end] == ':' || host.data[end] == '.' ||
                (lower(host.data[end]) >= 'a' && lower(host.data[end]) <= 'f'))) {
            end++;
        }
        if (end < 4 || end == host.size || host.data[end] != ']') {
            return refuse_request(refusal, "Host is not valid");
        }
        end++;
    } else {
        end = span(host, CLASS_HOST);
    }
    if (end == 0) {
        return refuse_request(refusal, "Host is not valid");
    }
    return end == host.size || check_port(slice(host, end, host.size), refusal);
}

static bool check_content_length(text_t value, http_head_t *head, head_refusal_t *refusal)
{
    if (value.size == 0 || value.size > CONTENT_LENGTH_DIGITS_MAX) {
        return refuse_request(refusal, "Content-Length is no number");
    }
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (!is_digit(value.data[i])) {
            return refuse_request(refusal, "Content-Length is no number");
        }
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    /* 19 digits reach 10^19 - 1, which is below 2^64: no overflow is possible. */
    head->content_length = length;
    head->has_content_length = true;
    return true;
}

static text_t trim(text_t value)
{
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value.data++;
        value.size--;
    }
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t')) {
        value.size--;
    }
    return value;
}

static bool keep_field(text_t name, text_t value, http_head_t *head, head_refusal_t *refusal)
{
    for (head_field_t i = 0; i < HEAD_FIELD_COUNT; i++) {
        if (!equal_ignoring_case(name, known_fields[i].name)) {
            continue;
        }
        if (!http_head_has(head, i)) {
            head->fields[i] = value;
        } else if (known_fields[i].repeat == REPEAT_ONCE) {
            return refuse_request(refusal, "a header that may be there once is there twice");
        } else if (known_fields[i].repeat == REPEAT_NONE) {
            head->fields[i] = TEXT_NONE;
        }
        head->seen |= 1U << i;
        return true;
    }
    return true;
}

static bool check_field(text_t line, http_head_t *head, head_refusal_t *refusal)
{
    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return refuse_request(refusal, "a header line is folded");
    }
    const size_t colon = span(line, CLASS_TOKEN);
    if (colon == 0 || colon == line.size || line.data[colon] != ':') {
        return refuse_request(refusal, "a header name is not valid");
    }
    const text_t value = slice(line, colon + 1, line.size);
    if (span(value, CLASS_VALUE) != value.size) {
        return refuse_request(refusal, "a header value has a control character");
    }
    head->field_count++;
    if (head->field_count > LIMIT_HTTP_HEADERS) {
        return refuse(refusal, RESULT_HEADERS_TOO_LARGE, "there are too many headers");
    }
    return keep_field(slice(line, 0, colon), trim(value), head, refusal);
}

/* --- What the fields mean together --- */

static bool check_framing(http_head_t *head, head_refusal_t *refusal)
{
    if (http_head_has(head, HEAD_FIELD_TRANSFER_ENCODING)) {
        if (http_head_has(head, HEAD_FIELD_CONTENT_LENGTH)) {
            return refuse_request(refusal,
                                  "Transfer-Encoding and Content-Length exclude each other");
        }
        if (!head->version_1_1) {
            return refuse_request(refusal, "HTTP/1.0 has no Transfer-Encoding");
        }
        if (!equal_ignoring_case(head->fields[HEAD_FIELD_TRANSFER_ENCODING],
                                 TEXT_LITERAL("chunked"))) {
            return refuse_request(refusal, "Transfer-Encoding must be exactly chunked");
        }
        head->chunked = true;
        return true;
    }
    return !http_head_has(head, HEAD_FIELD_CONTENT_LENGTH) ||
           check_content_length(head->fields[HEAD_FIELD_CONTENT_LENGTH], head, refusal);
}

static bool check_expect(http_head_t *head, head_refusal_t *refusal)
{
    /* RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored. */
    if (!http_head_has(head, HEAD_FIELD_EXPECT) || !head->version_1_1) {
        return true;
    }
    if (!equal_ignoring_case(head->fields[HEAD_FIELD_EXPECT], TEXT_LITERAL("100-continue"))) {
        return refuse(refusal, RESULT_EXPECTATION_FAILED, "only 100-continue can be expected");
    }
    head->expects_continue = head->chunked || head->content_length > 0;
    return true;
}

static bool check_authority(const http_head_t *head, text_t authority, head_refusal_t *refusal)
{
    if (!http_head_has(head, HEAD_FIELD_HOST)) {
        return !head->version_1_1 || refuse_request(refusal, "Host is missing");
    }
    const text_t host = head->fields[HEAD_FIELD_HOST];
    if (!check_host(host, refusal)) {
        return false;
    }
    bool same = authority.size == 0 || authority.size == host.size;
    for (size_t i = 0; same && i < authority.size; i++) {
        same = lower(authority.data[i]) == lower(host.data[i]);
    }
    return same || refuse_request(refusal, "the target and Host name different hosts");
}

bool head_check(text_t raw, http_head_t *head, head_refusal_t *refusal)
{
    *head = (http_head_t){0};
    text_t authority = TEXT_NONE;
    text_t rest = raw;
    if (rest.size >= 2 && rest.data[0] == '\r' && rest.data[1] == '\n') {
        rest = slice(rest, 2, rest.size);
    }
    bool request_line = true;
    while (rest.size > 0) {
        const char *end = memchr(rest.data, '\n', rest.size);
        if (end == NULL || end == rest.data || end[-1] != '\r') {
            return refuse_request(refusal, "a line does not end with CRLF");
        }
        const text_t line = slice(rest, 0, (size_t)(end - rest.data) - 1);
        rest = slice(rest, line.size + 2, rest.size);
        if (request_line) {
            if (!check_request_line(line, head, &authority, refusal)) {
                return false;
            }
            request_line = false;
        } else if (line.size == 0) {
            break;
        } else if (!check_field(line, head, refusal)) {
            return false;
        }
    }
    if (request_line || rest.size > 0) {
        return refuse_request(refusal, "this is no whole head");
    }
    return check_authority(head, authority, refusal) && check_framing(head, refusal) &&
           check_expect(head, refusal);
}
