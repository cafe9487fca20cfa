/* See routes.h and routes.def. */
#include "adapters/http/routes.h"

#include "adapters/http/percent.h"

#include <assert.h>

enum {
    METHODS_GET = (1 << HEAD_METHOD_GET) | (1 << HEAD_METHOD_HEAD),
    METHODS_POST = 1 << HEAD_METHOD_POST,
    METHODS_ANY = (1 << HEAD_METHOD_COUNT) - 1,
};

static const route_t routes[] = {
#define ROUTE(method, area_name, path_pattern, action_name, request, message, body_kind)           \
    {.methods = METHODS_##method,                                                                  \
     .area = ROUTE_AREA_##area_name,                                                               \
     .pattern = (path_pattern),                                                                    \
     .action = ROUTE_ACTION_##action_name,                                                         \
     .type = request_type_##request,                                                               \
     .command = &message##_message,                                                                \
     .body = ROUTE_BODY_##body_kind},
#include "adapters/http/routes.def"
#undef ROUTE
};
enum { ROUTE_COUNT = sizeof(routes) / sizeof(routes[0]) };

bool route_path_split(text_t raw, route_path_t *path)
{
    assert(raw.size > 0 && raw.size <= LIMIT_HTTP_URI_SIZE && raw.data[0] == '/');
    path->count = 0;
    size_t decoded = 0;
    size_t start = 1;
    while (start <= raw.size) {
        const char *slash = memchr(raw.data + start, '/', raw.size - start);
        const size_t end = slash == NULL ? raw.size : (size_t)(slash - raw.data);
        text_t segment = {.data = raw.data + start, .size = end - start};
        if (memchr(segment.data, '%', segment.size) != NULL) {
            char *out = path->decoded + decoded;
            size_t size = 0;
            if (!percent_decode(segment, PERCENT_PATH, out, &size)) {
                return false;
            }
            segment = (text_t){.data = out, .size = size};
            decoded += size;
        }
        if (path->count < LIMIT_HTTP_PATH_SEGMENTS) {
            path->segments[path->count] = segment;
            path->count++;
        } else {
            path->count = LIMIT_HTTP_PATH_SEGMENTS + 1;
        }
        start = end + 1;
    }
    return true;
}

size_t route_path_print(head_method_t method, const route_path_t *path, char *out, size_t capacity)
{
    const text_t name = head_method_name(method);
    assert(capacity >= LIMIT_HTTP_URI_SIZE + 16);
    assert(path->count <= LIMIT_HTTP_PATH_SEGMENTS);
    memcpy(out, name.data, name.size);
    size_t at = name.size;
    out[at] = ' ';
    at++;
    for (uint32_t i = 0; i < path->count; i++) {
        out[at] = '/';
        at++;
        memcpy(out + at, path->segments[i].data, path->segments[i].size);
        at += path->segments[i].size;
    }
    return at;
}

static bool is(text_t segment, const char *name)
{
    return text_equal(segment, text_from_c(name));
}

/* The shape of DESIGN 3.2; names that are reserved never get here. */
static bool is_tenant_shaped(text_t name)
{
    if (name.size < 2 || name.size > LIMIT_TENANT_NAME_SIZE || name.data[0] < 'a' ||
        name.data[0] > 'z') {
        return false;
    }
    for (size_t i = 1; i < name.size; i++) {
        const char character = name.data[i];
        const bool good = (character >= 'a' && character <= 'z') ||
                          (character >= '0' && character <= '9') || character == '-';
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool is_reserved(text_t name)
{
    return name.size == 0 || is(name, "health") || is(name, "metrics") || is(name, ".well-known") ||
           is(name, "admin") || is(name, "api") || is(name, "mapi");
}

/* Which of the six routing cases, and how many segments it takes off the front. False: none. */
static bool find_area(const route_path_t *path, route_area_t *area, uint32_t *skipped)
{
    const text_t first = path->segments[0];
    const bool api_version = path->count >= 3 && is(path->segments[2], "v1");
    if (path->count >= 2 && is(path->segments[1], "v1") &&
        (is(first, "api") || is(first, "mapi"))) {
        *area = is(first, "api") ? ROUTE_AREA_PLATFORM_ADMIN : ROUTE_AREA_PLATFORM_MOBILE;
        *skipped = 2;
    } else if (api_version && is(path->segments[1], "api")) {
        *area = ROUTE_AREA_TENANT_ADMIN;
        *skipped = 3;
    } else if (api_version && is(path->segments[1], "mapi")) {
        *area = ROUTE_AREA_TENANT_MOBILE;
        *skipped = 3;
    } else if (is_reserved(first)) {
        *area = ROUTE_AREA_PLATFORM_PAGES;
        *skipped = 0;
    } else {
        const bool api =
            path->count >= 2 && (is(path->segments[1], "api") || is(path->segments[1], "mapi"));
        *area = ROUTE_AREA_TENANT_PAGES;
        *skipped = 1;
        return is_tenant_shaped(first) && !api;
    }
    return true;
}

/* Compares segment by segment; an empty pattern fits the empty path only. */
static bool fits(const char *pattern, const route_path_t *path, uint32_t at, text_t *card)
{
    const char *rest = pattern;
    while (at < path->count) {
        if (strcmp(rest, "**") == 0) {
            return true;
        }
        const char *end = strchr(rest, '/');
        const size_t size = end == NULL ? strlen(rest) : (size_t)(end - rest);
        const text_t wanted = {.data = rest, .size = size};
        if (text_equal(wanted, TEXT_LITERAL("{id}"))) {
            *card = path->segments[at];
        } else if (!text_equal(wanted, path->segments[at])) {
            return false;
        }
        at++;
        if (end == NULL) {
            return at == path->count;
        }
        rest = end + 1;
    }
    return strcmp(rest, "**") == 0;
}

void route_find(head_method_t method, const route_path_t *path, route_match_t *match)
{
    *match = (route_match_t){0};
    route_area_t area = ROUTE_AREA_PLATFORM_PAGES;
    uint32_t skipped = 0;
    if (path->count > LIMIT_HTTP_PATH_SEGMENTS || !find_area(path, &area, &skipped)) {
        return;
    }
    if (area >= ROUTE_AREA_TENANT_PAGES) {
        match->tenant = path->segments[0];
    }
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        text_t card = TEXT_NONE;
        if (routes[i].area != area || !fits(routes[i].pattern, path, skipped, &card)) {
            continue;
        }
        match->allowed |= routes[i].methods;
        if (match->route == NULL && ((routes[i].methods >> method) & 1U) != 0) {
            match->route = &routes[i];
            match->has_card = strstr(routes[i].pattern, "{id}") != NULL;
            match->card = card;
        }
    }
}

size_t route_allow(uint32_t allowed, char *out)
{
    size_t at = 0;
    allowed |= 1U << HEAD_METHOD_OPTIONS;
    for (head_method_t i = 0; i < HEAD_METHOD_COUNT; i++) {
        if (((allowed >> i) & 1U) == 0) {
            continue;
        }
        const text_t name = head_method_name(i);
        if (at > 0) {
            out[at] = ',';
            out[at + 1] = ' ';
            at += 2;
        }
        memcpy(out + at, name.data, name.size);
        at += name.size;
    }
    return at;
}
