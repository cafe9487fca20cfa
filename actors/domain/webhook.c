/* See webhook.h. */
#include "actors/domain/webhook.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- Names and URLs --- */

bool webhook_name_is_usable(text_t name)
{
    bool is_usable = name.size > 0 && name.size <= WEBHOOK_NAME_SIZE_MAX;
    for (size_t i = 0; is_usable && i < name.size; i++) {
        const char c = name.data[i];
        is_usable = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                    (i > 0 && (c == '.' || c == '-' || c == '_'));
    }
    return is_usable;
}

/* Bytes at the front of `text` that may stand in a host: a name, an IPv4 or, in brackets, an IPv6
 * address. 0 when it begins with none. */
static size_t host_size(text_t text)
{
    const bool is_bracketed = text.size > 0 && text.data[0] == '[';
    size_t i = is_bracketed ? 1 : 0;
    for (; i < text.size; i++) {
        const char c = text.data[i];
        const bool is_digit = c >= '0' && c <= '9';
        const bool is_hex = is_digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (is_bracketed ? !(is_hex || c == ':' || c == '.')
                         : !(is_digit || is_letter || c == '-' || c == '.' || c == '_')) {
            break;
        }
    }
    if (!is_bracketed) {
        return i;
    }
    return i > 1 && i < text.size && text.data[i] == ']' ? i + 1 : 0;
}

/* Nothing, or ":1" to ":65535". */
static bool port_is_usable(text_t port)
{
    if (port.size == 0) {
        return true;
    }
    if (port.data[0] != ':' || port.size < 2 || port.size > 6) {
        return false;
    }
    uint32_t number = 0;
    for (size_t i = 1; i < port.size; i++) {
        if (port.data[i] < '0' || port.data[i] > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(port.data[i] - '0');
    }
    return number >= 1 && number <= 65535;
}

bool webhook_url_is_usable(text_t url)
{
    const bool is_http = url.size > 7 && memcmp(url.data, "http://", 7) == 0;
    const bool is_https = url.size > 8 && memcmp(url.data, "https://", 8) == 0;
    if ((!is_http && !is_https) || url.size > WEBHOOK_URL_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < url.size; i++) {
        if (url.data[i] <= ' ' || url.data[i] >= 0x7f || url.data[i] == '@' || url.data[i] == '#' ||
            url.data[i] == '\\') {
            return false;
        }
    }
    const size_t start = is_https ? 8 : 7;
    size_t end = start;
    while (end < url.size && url.data[end] != '/' && url.data[end] != '?') {
        end++;
    }
    const text_t authority = {.data = url.data + start, .size = end - start};
    const size_t host = host_size(authority);
    return host > 0 && port_is_usable((text_t){authority.data + host, authority.size - host});
}

/* --- Signing --- */

static void hex_write(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void webhook_secret_format(const uint8_t random[32], char out[WEBHOOK_SECRET_SIZE])
{
    memcpy(out, "whsec_", 6);
    hex_write(random, 32, out + 6);
}

size_t webhook_stamp(int64_t at_s, char out[WEBHOOK_STAMP_SIZE])
{
    assert(at_s >= 0);
    char text[24];
    const int size = snprintf(text, sizeof text, "%lld.", (long long)at_s);
    assert(size > 1 && size < WEBHOOK_STAMP_SIZE);
    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

size_t webhook_signature(int64_t at_s, const uint8_t macs[][WEBHOOK_MAC_SIZE], size_t count,
                         char out[WEBHOOK_SIGNATURE_SIZE])
{
    assert(count >= 1 && count <= 2);
    char stamp[WEBHOOK_STAMP_SIZE];
    size_t size = 2;
    memcpy(out, "t=", 2);
    const size_t digits = webhook_stamp(at_s, stamp) - 1;
    memcpy(out + size, stamp, digits);
    size += digits;
    for (size_t i = 0; i < count; i++) {
        memcpy(out + size, ",v1=", 4);
        hex_write(macs[i], WEBHOOK_MAC_SIZE, out + size + 4);
        size += 4 + 2 * (size_t)WEBHOOK_MAC_SIZE;
    }
    assert(size <= WEBHOOK_SIGNATURE_SIZE);
    return size;
}

/* --- Judging and waiting --- */

webhook_verdict_t webhook_judge(bool is_answered, uint32_t status)
{
    if (is_answered && status >= 200 && status < 300) {
        return WEBHOOK_DELIVERED;
    }
    return is_answered && status == 410 ? WEBHOOK_GONE : WEBHOOK_AGAIN;
}

uint64_t webhook_pause_ms(uint32_t attempts, uint32_t retry_after_s, uint32_t jitter)
{
    assert(attempts >= 1);
    uint64_t bound = WEBHOOK_PAUSE_MS;
    for (uint32_t i = 1; i < attempts && bound < WEBHOOK_PAUSE_MS_MAX; i++) {
        bound *= 2;
    }
    bound = bound < WEBHOOK_PAUSE_MS_MAX ? bound : WEBHOOK_PAUSE_MS_MAX;
    const uint64_t pause = (bound * jitter) >> 32;
    const uint64_t asked = (uint64_t)retry_after_s * 1000;
    const uint64_t least = asked < WEBHOOK_PAUSE_MS_MAX ? asked : WEBHOOK_PAUSE_MS_MAX;
    return pause > least ? pause : least;
}

bool webhook_is_hopeless(int64_t first_at, uint32_t attempts, int64_t now_ms)
{
    return attempts >= WEBHOOK_ATTEMPTS_MIN &&
           now_ms - first_at >= (int64_t)WEBHOOK_TRY_HOURS * 3600 * 1000;
}

/* --- The window --- */

void webhook_window_init(webhook_window_t *window, uint64_t cursor)
{
    *window = (webhook_window_t){.watermark = cursor, .last_read = cursor};
}

webhook_place_t *webhook_window_add(webhook_window_t *window, uint64_t sequence, uuid_t card,
                                    void *event)
{
    assert(sequence > window->last_read);
    if (window->count == WEBHOOK_WINDOW) {
        return NULL;
    }
    webhook_place_t *const place = &window->places[window->count];
    *place = (webhook_place_t){.sequence = sequence, .card = card, .event = event};
    window->count++;
    window->last_read = sequence;
    return place;
}

static bool is_behind_its_card(const webhook_window_t *window, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        const webhook_place_t *const earlier = &window->places[i];
        if (earlier->state != WEBHOOK_PLACE_DONE &&
            memcmp(&earlier->card, &window->places[index].card, sizeof earlier->card) == 0) {
            return true;
        }
    }
    return false;
}

webhook_place_t *webhook_window_next(webhook_window_t *window, int64_t now_ms)
{
    for (uint32_t i = 0; i < window->count; i++) {
        webhook_place_t *const place = &window->places[i];
        if (place->state == WEBHOOK_PLACE_WAITS && place->not_before <= now_ms &&
            !is_behind_its_card(window, i)) {
            return place;
        }
    }
    return NULL;
}

webhook_place_t *webhook_window_find(webhook_window_t *window, uint64_t sequence)
{
    for (uint32_t i = 0; i < window->count; i++) {
        if (window->places[i].sequence == sequence) {
            return &window->places[i];
        }
    }
    return NULL;
}

bool webhook_window_settle(webhook_window_t *window)
{
    uint32_t done = 0;
    while (done < window->count && window->places[done].state == WEBHOOK_PLACE_DONE) {
        done++;
    }
    if (done == 0) {
        return false;
    }
    window->watermark = window->places[done - 1].sequence;
    window->count -= done;
    memmove(window->places, window->places + done, window->count * sizeof window->places[0]);
    return true;
}
