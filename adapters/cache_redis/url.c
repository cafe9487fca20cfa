/* The text of --redis. Must not connect, and must not repeat what it read: it holds a password. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include <stdio.h>
#include <string.h>

enum { PORT_OF_REDIS = 6379, PORT_OF_SENTINEL = 26379, DATABASE_MAX = 65535 };

static bool number_parse(text_t text, uint32_t max, uint32_t *number)
{
    uint32_t value = 0;
    if (text.size == 0 || text.size > 5) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *number = value;
    return value <= max;
}

/* %XX as in any URL; NUL and what does not fit is refused. */
static bool decode(text_t text, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            const int high = i + 2 < text.size ? text_hex_value(text.data[i + 1]) : -1;
            const int low = i + 2 < text.size ? text_hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (byte == '\0' || size + 1 >= capacity) {
            return false;
        }
        out[size++] = byte;
    }
    out[size] = '\0';
    return true;
}

static text_t before(text_t text, const char *end)
{
    return (text_t){.data = text.data, .size = (size_t)(end - text.data)};
}

static text_t after(text_t text, const char *end)
{
    return (text_t){.data = end + 1, .size = text.size - (size_t)(end + 1 - text.data)};
}

static bool host_set(redis_address_t *address, text_t host)
{
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = (text_t){.data = host.data + 1, .size = host.size - 2};
    }
    if (host.size == 0 || host.size >= sizeof address->host ||
        memchr(host.data, '\0', host.size) != NULL) {
        return false;
    }
    memcpy(address->host, host.data, host.size);
    address->host[host.size] = '\0';
    return true;
}

bool redis_address_parse(text_t text, redis_address_t *address)
{
    uint32_t port = 0;
    const char *colon = text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    if (colon == NULL || !number_parse(after(text, colon), UINT16_MAX, &port) || port == 0) {
        return false;
    }
    address->port = (uint16_t)port;
    return host_set(address, before(text, colon));
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static bool host_parse(text_t text, uint16_t otherwise, redis_address_t *address)
{
    const char *colon = text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    const char *bracket = text.size == 0 ? NULL : memrchr(text.data, ']', text.size);
    if (colon != NULL && (bracket == NULL || bracket < colon)) {
        return redis_address_parse(text, address);
    }
    address->port = otherwise;
    return host_set(address, text);
}

static const char *hosts_parse(text_t hosts, redis_url_t *url)
{
    const uint16_t port = url->is_sentinel ? PORT_OF_SENTINEL : PORT_OF_REDIS;
    for (;;) { /* bounded by LIMIT_CACHE_ADDRESSES */
        const char *comma = hosts.size == 0 ? NULL : memchr(hosts.data, ',', hosts.size);
        const text_t host = comma == NULL ? hosts : before(hosts, comma);
        if (url->address_count == LIMIT_CACHE_ADDRESSES) {
            return "it names more than 8 hosts";
        }
        if (!host_parse(host, port, &url->addresses[url->address_count])) {
            return "a host must be NAME, NAME:PORT, or [IPV6]:PORT";
        }
        url->address_count++;
        if (comma == NULL) {
            return NULL;
        }
        hosts = after(hosts, comma);
    }
}

static const char *user_parse(text_t user, redis_url_t *url)
{
    const char *colon = user.size == 0 ? NULL : memchr(user.data, ':', user.size);
    if (colon == NULL) {
        return "a user needs a password: USER:PASSWORD@HOST, or :PASSWORD@HOST";
    }
    if (!decode(before(user, colon), url->user, sizeof url->user) ||
        !decode(after(user, colon), url->password, sizeof url->password)) {
        return "its user or password cannot be read; write special characters as %XX";
    }
    return NULL;
}

static const char *path_parse(text_t path, redis_url_t *url)
{
    if (url->is_sentinel) {
        const char *slash = path.size == 0 ? NULL : memchr(path.data, '/', path.size);
        const text_t name = slash == NULL ? path : before(path, slash);
        if (name.size == 0 || !decode(name, url->primary, sizeof url->primary)) {
            return "it must name the primary: redis-sentinel://HOST:26379/NAME";
        }
        path = slash == NULL ? TEXT_NONE : after(path, slash);
    }
    if (path.size > 0 && !number_parse(path, DATABASE_MAX, &url->database)) {
        return "its database must be a number";
    }
    return NULL;
}

static bool scheme_take(text_t *text, const char *scheme)
{
    const size_t size = strlen(scheme);
    if (text->size < size || memcmp(text->data, scheme, size) != 0) {
        return false;
    }
    *text = (text_t){.data = text->data + size, .size = text->size - size};
    return true;
}

const char *redis_url_parse(const char *text, redis_url_t *url)
{
    text_t rest = text_from_c(text);
    *url = (redis_url_t){0};
    if (scheme_take(&rest, "rediss://")) {
        return "TLS to Redis is not possible: Debian's hiredis 0.14 has none; use redis:// over a "
               "network you trust, or a TLS proxy on this machine";
    }
    url->is_sentinel = scheme_take(&rest, "redis-sentinel://");
    if (!url->is_sentinel && !scheme_take(&rest, "redis://")) {
        return "it must begin with redis:// or redis-sentinel://";
    }
    const char *problem = NULL;
    const char *slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
    text_t place = slash == NULL ? rest : before(rest, slash);
    const char *at = place.size == 0 ? NULL : memrchr(place.data, '@', place.size);
    if (at != NULL) {
        problem = user_parse(before(place, at), url);
        place = after(place, at);
    }
    if (problem == NULL) {
        problem = hosts_parse(place, url);
    }
    if (problem == NULL) {
        problem = path_parse(slash == NULL ? TEXT_NONE : after(rest, slash), url);
    }
    return problem;
}

const char *cache_redis_url_problem(const char *url)
{
    redis_url_t parsed;
    const char *problem = redis_url_parse(url, &parsed);
    explicit_bzero(&parsed, sizeof parsed);
    return problem;
}
