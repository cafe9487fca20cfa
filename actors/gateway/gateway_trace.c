/* W3C trace context: takes over what a client sent or begins a new trace. Must not be the reason
 * why a request fails. */
#include "actors/gateway/gateway_internal.h"
#include "runtime/random.h"

enum { PARENT_ID_OFFSET = 36, FLAGS_OFFSET = 53, TRACE_RANDOM_SIZE = 24 };

/* Lower-case hexadecimal digits, and not only zeros unless that is allowed. */
static bool is_hexadecimal(const char *digits, size_t size, bool may_be_zero)
{
    bool is_zero = true;
    for (size_t i = 0; i < size; i++) {
        const char digit = digits[i];
        if ((digit < '0' || digit > '9') && (digit < 'a' || digit > 'f')) {
            return false;
        }
        is_zero = is_zero && digit == '0';
    }
    return may_be_zero || !is_zero;
}

bool gateway_traceparent_is_valid(text_t traceparent)
{
    const char *data = traceparent.data;
    return traceparent.size == GATEWAY_TRACEPARENT_SIZE && memcmp(data, "00-", 3) == 0 &&
           is_hexadecimal(data + GATEWAY_TRACE_ID_OFFSET, GATEWAY_TRACE_ID_SIZE, false) &&
           data[PARENT_ID_OFFSET - 1] == '-' &&
           is_hexadecimal(data + PARENT_ID_OFFSET, 16, false) && data[FLAGS_OFFSET - 1] == '-' &&
           is_hexadecimal(data + FLAGS_OFFSET, 2, true);
}

static void write_hexadecimal(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15U];
    }
}

/* Randomness is fetched for many traces at once: it costs a system call. */
static const uint8_t *take_random(gateway_t *gateway)
{
    if (gateway->trace_pool_used + TRACE_RANDOM_SIZE > sizeof(gateway->trace_pool)) {
        random_fill(gateway->trace_pool, sizeof(gateway->trace_pool));
        gateway->trace_pool_used = 0;
    }
    uint8_t *bytes = gateway->trace_pool + gateway->trace_pool_used;
    gateway->trace_pool_used += TRACE_RANDOM_SIZE;
    bytes[0] |= 1U; /* neither id is all zero */
    bytes[16] |= 1U;
    return bytes;
}

void gateway_traceparent(gateway_t *gateway, text_t given, char out[GATEWAY_TRACEPARENT_SIZE])
{
    if (gateway_traceparent_is_valid(given)) {
        memcpy(out, given.data, GATEWAY_TRACEPARENT_SIZE);
        return;
    }
    const uint8_t *bytes = take_random(gateway);
    memcpy(out, "00-", GATEWAY_TRACE_ID_OFFSET);
    write_hexadecimal(bytes, 16, out + GATEWAY_TRACE_ID_OFFSET);
    out[PARENT_ID_OFFSET - 1] = '-';
    write_hexadecimal(bytes + 16, 8, out + PARENT_ID_OFFSET);
    out[FLAGS_OFFSET - 1] = '-';
    out[FLAGS_OFFSET] = '0';
    out[FLAGS_OFFSET + 1] = '1';
}
