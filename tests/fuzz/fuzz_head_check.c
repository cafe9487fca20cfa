/* The bytes of an HTTP connection: head check, chunk check and http-parser must agree, whatever
 * comes and wherever it is cut; then path and query of what passed. */
#include "adapters/http/chunk_check.h"
#include "adapters/http/head_check.h"
#include "adapters/http/http_parser_bridge.h"
#include "adapters/http/query.h"
#include "adapters/http/routes.h"

#include <assert.h>
#include <stdlib.h>

enum { ARENA_SIZE = 65536 };

/* The same end and the same verdict in one piece and byte by byte. */
static head_scan_t scan(const char *data, size_t size, size_t *head_size)
{
    head_scan_state_t whole = {0};
    head_refusal_t refusal;
    const head_scan_t result = head_scan(data, size, &whole, head_size, &refusal);
    head_scan_state_t pieces = {0};
    head_scan_t last = HEAD_SCAN_MORE;
    size_t last_size = 0;
    for (size_t came = 1; came <= size && last == HEAD_SCAN_MORE; came++) {
        last = head_scan(data, came, &pieces, &last_size, &refusal);
    }
    if (result == HEAD_SCAN_WHOLE && last == HEAD_SCAN_WHOLE) {
        assert(*head_size == last_size);
    }
    /* In pieces a refusal may come earlier, never later. */
    assert(result != HEAD_SCAN_BAD || last == HEAD_SCAN_BAD);
    assert(last != HEAD_SCAN_WHOLE || result == HEAD_SCAN_WHOLE);
    return result;
}

static void check_target(const http_head_t *head)
{
    static route_path_t path;
    static uint8_t memory[ARENA_SIZE];
    static char printed[LIMIT_HTTP_URI_SIZE + 16];
    route_match_t match;
    if (head->path.data[0] == '/' && route_path_split(head->path, &path)) {
        route_find(head->method, &path, &match);
        if (match.route != NULL) {
            (void)route_path_print(head->method, &path, printed, sizeof(printed));
        }
    }
    arena_t arena = {.base = memory, .size = sizeof(memory)};
    card_list_t list;
    query_fault_t fault;
    if (!query_read(head->query, &card_list_message, &arena, &list, &fault)) {
        assert(fault.detail[0] != '\0');
    }
}

/* `step` bytes at a time, decoded in place. */
static void check_chunks(http_bridge_t *bridge, char *data, size_t size, size_t step)
{
    chunk_check_t check = {0};
    head_refusal_t refusal;
    size_t at = 0;
    while (at < size && !bridge->message_done) {
        const size_t piece = size - at < step ? size - at : step;
        size_t used = 0;
        if (!chunk_check_feed(&check, data + at, piece, &used, &refusal)) {
            return;
        }
        const bool good = http_bridge_body(bridge, data + at, used, data);
        assert(good); /* what we let pass, the parser understands */
        assert(bridge->message_done == (check.state == CHUNK_STATE_DONE));
        assert(bridge->body_size <= check.body);
        at += used;
    }
    if (bridge->message_done) {
        assert(bridge->body_size == check.body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    size_t head_size = 0;
    const char *data = (const char *)input;
    if (scan(data, size, &head_size) != HEAD_SCAN_WHOLE) {
        return 0;
    }
    http_head_t head;
    head_refusal_t refusal;
    const text_t raw = {.data = data, .size = head_size};
    if (!head_check(raw, &head, &refusal)) {
        assert(refusal.result != RESULT_OK);
        return 0;
    }
    http_bridge_t bridge;
    const bool agreed = http_bridge_head(&bridge, raw, &head);
    if (agreed) {
        check_target(&head);
    }
    if (agreed && head.chunked && size > head_size) {
        char *body = malloc(size - head_size);
        assert(body != NULL);
        memcpy(body, data + head_size, size - head_size);
        check_chunks(&bridge, body, size - head_size, 1 + (size_t)input[head_size] % 16);
        free(body);
    }
    return 0;
}
