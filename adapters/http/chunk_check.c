/* See chunk_check.h. */
#include "adapters/http/chunk_check.h"

#include "runtime/limits.h"

enum { CHUNK_SIZE_DIGITS_MAX = 8 }; /* 1 MiB needs six */

static bool refuse(head_refusal_t *refusal, result_t result, const char *detail)
{
    *refusal = (head_refusal_t){.result = result, .detail = detail};
    return false;
}

static bool end_of_size(chunk_check_t *check, head_refusal_t *refusal)
{
    check->body += check->left;
    if (check->body > LIMIT_HTTP_BODY_SIZE) {
        return refuse(refusal, RESULT_BODY_TOO_LARGE, "the body is larger than 1 MiB");
    }
    check->state = check->left == 0 ? CHUNK_STATE_END_CR : CHUNK_STATE_DATA;
    check->digits = 0;
    check->extension = 0;
    return true;
}

static bool feed_size(chunk_check_t *check, char character, head_refusal_t *refusal)
{
    const int value = text_hex_value(character);
    if (value >= 0) {
        check->digits++;
        check->left = check->left * 16 + (uint64_t)value;
        return check->digits <= CHUNK_SIZE_DIGITS_MAX ||
               refuse(refusal, RESULT_INVALID_REQUEST, "a chunk size is too long");
    }
    if (check->digits == 0 || (character != '\r' && character != ';')) {
        return refuse(refusal, RESULT_INVALID_REQUEST, "a chunk size is no hexadecimal number");
    }
    check->state = character == ';' ? CHUNK_STATE_EXTENSION : CHUNK_STATE_SIZE_LF;
    return true;
}

static bool feed_extension(chunk_check_t *check, char character, head_refusal_t *refusal)
{
    if (character == '\r') {
        check->state = CHUNK_STATE_SIZE_LF;
        return true;
    }
    check->extension++;
    const uint8_t byte = (uint8_t)character;
    if ((byte < 0x20 && byte != '\t') || byte >= 0x7f ||
        check->extension > LIMIT_HTTP_CHUNK_EXTENSION_SIZE) {
        return refuse(refusal, RESULT_INVALID_REQUEST, "a chunk extension is not valid");
    }
    return true;
}

static bool feed_end(chunk_check_t *check, char character, char wanted, chunk_state_t next,
                     head_refusal_t *refusal)
{
    if (character != wanted) {
        return refuse(refusal, RESULT_INVALID_REQUEST,
                      check->state == CHUNK_STATE_END_CR ? "trailers are not accepted"
                                                         : "a chunk does not end with CRLF");
    }
    check->state = next;
    return true;
}

/* One byte that is no chunk data. */
static bool feed_framing(chunk_check_t *check, char character, head_refusal_t *refusal)
{
    check->framing++;
    if (check->framing > LIMIT_HTTP_CHUNK_OVERHEAD_SIZE) {
        return refuse(refusal, RESULT_BODY_TOO_LARGE, "the body has too many chunks");
    }
    switch (check->state) {
    case CHUNK_STATE_SIZE:
        return feed_size(check, character, refusal);
    case CHUNK_STATE_EXTENSION:
        return feed_extension(check, character, refusal);
    case CHUNK_STATE_SIZE_LF:
        return feed_end(check, character, '\n', CHUNK_STATE_DATA, refusal) &&
               end_of_size(check, refusal);
    case CHUNK_STATE_DATA_CR:
        return feed_end(check, character, '\r', CHUNK_STATE_DATA_LF, refusal);
    case CHUNK_STATE_DATA_LF:
        return feed_end(check, character, '\n', CHUNK_STATE_SIZE, refusal);
    case CHUNK_STATE_END_CR:
        return feed_end(check, character, '\r', CHUNK_STATE_END_LF, refusal);
    case CHUNK_STATE_END_LF:
        return feed_end(check, character, '\n', CHUNK_STATE_DONE, refusal);
    case CHUNK_STATE_DATA:
    case CHUNK_STATE_DONE:
        break;
    }
    return refuse(refusal, RESULT_INVALID_REQUEST, "bytes after the end of the body");
}

bool chunk_check_feed(chunk_check_t *check, const char *data, size_t size, size_t *used,
                      head_refusal_t *refusal)
{
    size_t i = 0;
    while (i < size && check->state != CHUNK_STATE_DONE) {
        if (check->state == CHUNK_STATE_DATA) {
            const size_t step = check->left < size - i ? (size_t)check->left : size - i;
            check->left -= step;
            i += step;
            check->state = check->left == 0 ? CHUNK_STATE_DATA_CR : CHUNK_STATE_DATA;
        } else if (feed_framing(check, data[i], refusal)) {
            i++;
        } else {
            return false;
        }
    }
    *used = i;
    return true;
}
