/* http-parser behind one door: http_parser_bridge.c alone includes http_parser.h, so that llhttp
 * can take its place. The strict checks run first; the parser then reads the same bytes, frames and
 * decodes the body, and has to come to the same conclusions, or the request is refused. */
#ifndef ADAPTERS_HTTP_HTTP_PARSER_BRIDGE_H
#define ADAPTERS_HTTP_HTTP_PARSER_BRIDGE_H

#include "adapters/http/head_check.h"

typedef struct http_bridge {
    uint64_t parser[6]; /* struct http_parser, asserted to fit */
    char *body;         /* where decoded bytes go; NULL while there may be none */
    size_t body_size;
    bool head_done;
    bool message_done;
    bool keep_alive;
} http_bridge_t;

/* Reads a whole head. False when the parser refuses it or understands it in another way than
 * `head` says. Afterwards keep_alive is known, and message_done when there is no body. */
bool http_bridge_head(http_bridge_t *bridge, text_t raw, const http_head_t *head);

/* Reads `size` bytes that all belong to the body. Decoded bytes are appended at `body` + body_size,
 * which may lie in the same memory at or before `data`. False when the parser refuses them. */
bool http_bridge_body(http_bridge_t *bridge, const char *data, size_t size, char *body);

#endif
