/* See http_parser_bridge.h. */
#include "adapters/http/http_parser_bridge.h"

#include <assert.h>
#include <http_parser.h>

static_assert(sizeof(http_parser) <= sizeof(((http_bridge_t *)NULL)->parser),
              "the parser fits into its place");

static http_parser *parser_of(http_bridge_t *bridge)
{
    return (http_parser *)(void *)bridge->parser;
}

static int on_headers_complete(http_parser *parser)
{
    http_bridge_t *bridge = parser->data;
    bridge->head_done = true;
    bridge->keep_alive = http_should_keep_alive(parser) != 0;
    parser->upgrade = 0; /* offers to change the protocol are ignored (RFC 9110 section 7.8) */
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    http_bridge_t *bridge = parser->data;
    if (bridge->body == NULL) {
        return 1;
    }
    char *to = bridge->body + bridge->body_size;
    if (to != at) {
        memmove(to, at, size);
    }
    bridge->body_size += size;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    http_bridge_t *bridge = parser->data;
    bridge->message_done = true;
    http_parser_pause(parser, 1); /* nothing after this message is looked at */
    return 0;
}

static const http_parser_settings settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* True when the parser took all bytes without a complaint. */
static bool feed(http_bridge_t *bridge, const char *data, size_t size)
{
    http_parser *parser = parser_of(bridge);
    parser->data = bridge;
    const size_t parsed = http_parser_execute(parser, &settings, data, size);
    const enum http_errno error = HTTP_PARSER_ERRNO(parser);
    return parsed == size && (error == HPE_OK || (error == HPE_PAUSED && bridge->message_done));
}

static bool agrees(http_bridge_t *bridge, const http_head_t *head)
{
    static const enum http_method methods[HEAD_METHOD_COUNT] = {
        [HEAD_METHOD_GET] = HTTP_GET,         [HEAD_METHOD_HEAD] = HTTP_HEAD,
        [HEAD_METHOD_POST] = HTTP_POST,       [HEAD_METHOD_PUT] = HTTP_PUT,
        [HEAD_METHOD_PATCH] = HTTP_PATCH,     [HEAD_METHOD_DELETE] = HTTP_DELETE,
        [HEAD_METHOD_OPTIONS] = HTTP_OPTIONS,
    };
    const http_parser *parser = parser_of(bridge);
    const bool chunked = (parser->flags & F_CHUNKED) != 0;
    const bool has_body = head->chunked || head->content_length > 0;
    return bridge->head_done && parser->method == methods[head->method] &&
           parser->http_major == 1 && parser->http_minor == (head->version_1_1 ? 1 : 0) &&
           chunked == head->chunked && bridge->message_done == !has_body &&
           (head->chunked || !has_body || parser->content_length == head->content_length);
}

bool http_bridge_head(http_bridge_t *bridge, text_t raw, const http_head_t *head)
{
    *bridge = (http_bridge_t){0};
    http_parser_init(parser_of(bridge), HTTP_REQUEST);
    return feed(bridge, raw.data, raw.size) && agrees(bridge, head);
}

bool http_bridge_body(http_bridge_t *bridge, const char *data, size_t size, char *body)
{
    assert(bridge->head_done);
    assert(!bridge->message_done);
    bridge->body = body;
    return feed(bridge, data, size);
}
