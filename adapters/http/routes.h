/* From method and path to what is to be done: routes.def as a table. Knows no connection and no
 * gateway. */
#ifndef ADAPTERS_HTTP_ROUTES_H
#define ADAPTERS_HTTP_ROUTES_H

#include "adapters/http/head_check.h"
#include "messages/messages.h"
#include "runtime/limits.h"

typedef enum route_area {
    ROUTE_AREA_PLATFORM_PAGES,
    ROUTE_AREA_PLATFORM_ADMIN,
    ROUTE_AREA_PLATFORM_MOBILE,
    ROUTE_AREA_TENANT_PAGES,
    ROUTE_AREA_TENANT_ADMIN,
    ROUTE_AREA_TENANT_MOBILE,
} route_area_t;

typedef enum route_action {
    ROUTE_ACTION_DOCUMENT, /* ask the gateway, answer its document */
    ROUTE_ACTION_PAGE,     /* the same, with a Link to the next page */
    ROUTE_ACTION_QR_SVG,
    ROUTE_ACTION_QR_PNG,
    ROUTE_ACTION_HOME,
    ROUTE_ACTION_HEALTH_LIVE,
    ROUTE_ACTION_HEALTH_READY,
    ROUTE_ACTION_TREE,
    ROUTE_ACTION_METRICS,
    ROUTE_ACTION_JWKS,
    ROUTE_ACTION_NOT_IMPLEMENTED,
} route_action_t;

typedef enum route_body { ROUTE_BODY_NONE, ROUTE_BODY_OPTIONAL, ROUTE_BODY_REQUIRED } route_body_t;

typedef struct route {
    uint32_t methods; /* bit of each head_method */
    route_area_t area;
    const char *pattern;
    route_action_t action;
    uint8_t type; /* enum request_type, 0: none */
    const message_type_t *command;
    route_body_t body;
} route_t;

/* A path in decoded segments, which point into the raw path or into `decoded`. */
typedef struct route_path {
    text_t segments[LIMIT_HTTP_PATH_SEGMENTS];
    uint32_t count; /* LIMIT_HTTP_PATH_SEGMENTS + 1: there are more, so that no route fits */
    char decoded[LIMIT_HTTP_URI_SIZE];
} route_path_t;

typedef struct route_match {
    const route_t *route; /* NULL: none */
    uint32_t allowed;     /* methods that the path knows; 0: the path does not exist */
    text_t tenant;
    text_t card; /* the segment where {id} stands */
    bool has_card;
} route_match_t;

/* Splits and decodes; `path` begins with '/'. False when the encoding is not valid. */
bool route_path_split(text_t raw, route_path_t *path);

/* Writes "POST /acme/api/v1/cards" from decoded segments; returns the size, at most `capacity`
 * (LIMIT_HTTP_URI_SIZE + 16 is always enough). */
size_t route_path_print(head_method_t method, const route_path_t *path, char *out, size_t capacity);

void route_find(head_method_t method, const route_path_t *path, route_match_t *match);

/* Writes the value of Allow: "GET, HEAD, OPTIONS". `out` has 64 bytes; returns the size. */
size_t route_allow(uint32_t allowed, char *out);

#endif
