/* One whole request: path → route → command → gateway. Faults in ids, bodies and parameters are
 * told only to those who may make the request at all (DESIGN 3.3: authorisation is checked first).
 */
#include "adapters/http/http_internal.h"

#include "adapters/http/query.h"

#include <assert.h>
#include <stdlib.h>

enum { IDEMPOTENCY_KEY_SIZE = 256 };
#define VERSION_MAX UINT64_C(9007199254740991) /* of messages/internal.def: 2^53 - 1 */

/* A request while it is being put together. */
typedef struct work {
    http_slot_t *slot;
    const http_head_t *head;
    const route_t *route;
    gateway_request_t request;
    command_t command;
    char key[IDEMPOTENCY_KEY_SIZE];
} work_t;

/* What is wrong with a request that has a route. */
typedef struct fault {
    result_t result;
    text_t field;
    text_t detail;
} fault_t;

static const fault_t no_fault = {.result = RESULT_OK};

static fault_t fault_of(result_t result, const char *field, const char *detail)
{
    return (fault_t){.result = result, .field = text_from_c(field), .detail = text_from_c(detail)};
}

/* --- Small readers of header values --- */

static char lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character + ('a' - 'A')) : character;
}

/* `prefix` is lower case. */
static bool starts_ignoring_case(text_t text, text_t prefix)
{
    if (text.size < prefix.size) {
        return false;
    }
    for (size_t i = 0; i < prefix.size; i++) {
        if (lower(text.data[i]) != prefix.data[i]) {
            return false;
        }
    }
    return true;
}

static text_t without_start(text_t text, size_t size)
{
    text = (text_t){.data = text.data + size, .size = text.size - size};
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    return text;
}

/* The token of "Bearer token"; empty for other schemes and for none. */
static text_t bearer_token(const http_head_t *head)
{
    const text_t value = head->fields[HEAD_FIELD_AUTHORIZATION];
    if (!starts_ignoring_case(value, TEXT_LITERAL("bearer "))) {
        return TEXT_NONE;
    }
    return without_start(value, sizeof("bearer ") - 1);
}

/* application/json, alone or with charset=utf-8 (RFC 8259 section 11). */
static bool is_json(text_t type)
{
    static const text_t json = TEXT_LITERAL("application/json");
    static const text_t charset = TEXT_LITERAL("charset=utf-8");
    static const text_t charset_quoted = TEXT_LITERAL("charset=\"utf-8\"");
    if (!starts_ignoring_case(type, json)) {
        return false;
    }
    text_t rest = without_start(type, json.size);
    if (rest.size == 0) {
        return true;
    }
    if (rest.data[0] != ';') {
        return false;
    }
    rest = without_start(rest, 1);
    return rest.size == 0 || (rest.size == charset.size && starts_ignoring_case(rest, charset)) ||
           (rest.size == charset_quoted.size && starts_ignoring_case(rest, charset_quoted));
}

/* One `"7"` or `W/"7"` from the front of a list; false when it is none of ours. */
static bool next_version(text_t *rest, uint64_t *version)
{
    if (starts_ignoring_case(*rest, TEXT_LITERAL("w/"))) {
        *rest = without_start(*rest, 2);
    }
    size_t i = 1;
    uint64_t number = 0;
    while (i < rest->size && i <= 16 && rest->data[i] >= '0' && rest->data[i] <= '9') {
        number = number * 10 + (uint64_t)(rest->data[i] - '0');
        i++;
    }
    if (rest->size == 0 || rest->data[0] != '"' || i == 1 || i == rest->size ||
        rest->data[i] != '"') {
        return false;
    }
    *rest = without_start(*rest, i + 1);
    if (rest->size > 0 && rest->data[0] == ',') {
        *rest = without_start(*rest, 1);
    }
    *version = number;
    return true;
}

static void read_versions(const http_head_t *head, head_field_t field, http_versions_t *versions)
{
    if (!http_head_has(head, field)) {
        return;
    }
    text_t rest = head->fields[field];
    versions->present = true;
    versions->any = text_equal(rest, TEXT_LITERAL("*"));
    while (versions->count < HTTP_VERSIONS_MAX &&
           next_version(&rest, &versions->versions[versions->count])) {
        versions->count++;
    }
}

/* Takes the quotes off a structured string (RFC 8941 section 3.3.3); a bare key stays as it is.
 * False when it is neither. */
static bool read_key(text_t value, char out[IDEMPOTENCY_KEY_SIZE], text_t *key)
{
    *key = value;
    if (value.size == 0 || value.data[0] != '"') {
        return value.size > 0;
    }
    size_t size = 0;
    size_t i = 1;
    while (i < value.size && value.data[i] != '"') {
        if (value.data[i] == '\\') {
            i++;
            if (i == value.size || (value.data[i] != '"' && value.data[i] != '\\')) {
                return false;
            }
        }
        if (size == IDEMPOTENCY_KEY_SIZE) {
            return false;
        }
        out[size] = value.data[i];
        size++;
        i++;
    }
    *key = (text_t){.data = out, .size = size};
    return i + 1 == value.size && size > 0;
}

/* --- Answers that the gateway does not make --- */

static void set_trace_id(http_slot_t *slot, const http_head_t *head)
{
    command_trace_id(head == NULL ? TEXT_NONE : head->fields[HEAD_FIELD_TRACEPARENT],
                     slot->trace_id);
}

static void answer_problem(http_slot_t *slot, const http_head_t *head, result_t result,
                           const char *detail)
{
    set_trace_id(slot, head);
    http_answer_problem(slot, result, text_from_c(detail), TEXT_NONE, TEXT_NONE);
}

void http_request_refuse(http_connection_t *connection, result_t result, const char *detail)
{
    connection->last_request = true;
    http_slot_t *slot = http_slot_add(connection);
    if (slot == NULL) {
        connection->broken = true;
        return;
    }
    slot->framing.close = true;
    answer_problem(slot, NULL, result, detail);
}

/* --- From route to command --- */

/* Tells about a fault, but only who may make such a request. */
static void answer_fault(work_t *work, const fault_t *fault)
{
    http_slot_t *slot = work->slot;
    gateway_reply_t why_not = {0};
    if (!gateway_authorise(slot->connection->server->ports.gateway, &work->request, &why_not)) {
        http_answer_gateway(slot, &why_not);
        return;
    }
    set_trace_id(slot, work->head);
    http_answer_problem(slot, fault->result, fault->detail, fault->field, TEXT_NONE);
}

/* The card compares. What is no version of ours is one that no card has. */
static fault_t read_condition(work_t *work)
{
    const http_versions_t *const versions = &work->slot->if_match;
    if (!versions->present || versions->any) {
        return no_fault;
    }
    if (versions->count > 1) {
        return fault_of(RESULT_INVALID_PARAMETER, "If-Match",
                        "a command takes one version: the one that its sender has seen");
    }
    const uint64_t version = versions->count == 1 ? versions->versions[0] : 0;
    work->request.has_condition = true;
    work->request.if_version = version <= VERSION_MAX ? version : 0;
    return no_fault;
}

static fault_t read_headers(work_t *work)
{
    const http_head_t *head = work->head;
    http_slot_t *slot = work->slot;
    read_versions(head, HEAD_FIELD_IF_MATCH, &slot->if_match);
    read_versions(head, HEAD_FIELD_IF_NONE_MATCH, &slot->if_none_match);
    if (head->method != HEAD_METHOD_POST) {
        return no_fault;
    }
    const fault_t fault = read_condition(work);
    if (fault.result != RESULT_OK) {
        return fault;
    }
    if (http_head_has(head, HEAD_FIELD_IDEMPOTENCY_KEY)) {
        http_server_t *server = slot->connection->server;
        if (!read_key(head->fields[HEAD_FIELD_IDEMPOTENCY_KEY], work->key, &work->request.key)) {
            return fault_of(RESULT_INVALID_PARAMETER, "Idempotency-Key",
                            "must be a bare or quoted text of 1 to 128 visible characters");
        }
        const size_t size = route_path_print(head->method, &server->path, server->key_path,
                                             sizeof(server->key_path));
        work->request.method_and_path = (text_t){.data = server->key_path, .size = size};
    }
    return no_fault;
}

static fault_t check_media_type(const work_t *work, bool has_body)
{
    const http_head_t *head = work->head;
    if (!has_body || work->route->body == ROUTE_BODY_NONE) {
        return no_fault;
    }
    if (http_head_has(head, HEAD_FIELD_CONTENT_ENCODING) &&
        !text_equal(head->fields[HEAD_FIELD_CONTENT_ENCODING], TEXT_LITERAL("identity"))) {
        return fault_of(RESULT_UNSUPPORTED_MEDIA_TYPE, "Content-Encoding",
                        "the body must not be compressed");
    }
    if (!is_json(head->fields[HEAD_FIELD_CONTENT_TYPE])) {
        return fault_of(RESULT_UNSUPPORTED_MEDIA_TYPE, "Content-Type", "must be application/json");
    }
    return no_fault;
}

/* Its texts are copied into the server's arena: `fault` lives as long as the command. */
static fault_t read_body(work_t *work, text_t body, arena_t *arena)
{
    const route_t *route = work->route;
    if (body.size == 0) {
        memset(&work->command, 0, route->command->size);
        return route->body == ROUTE_BODY_REQUIRED
                   ? fault_of(RESULT_MALFORMED_JSON, "", "the body is empty")
                   : no_fault;
    }
    message_fault_t *fault = arena_take(arena, sizeof(*fault));
    assert(fault != NULL); /* taken first */
    if (message_from_json(route->command, body, arena, &work->command, fault)) {
        return no_fault;
    }
    return fault_of(command_fault_result(route->command, fault, RESULT_MALFORMED_JSON),
                    fault->field, fault->detail);
}

static fault_t read_query(work_t *work, arena_t *arena)
{
    /* A command takes its parameters from the body: its query must be empty. */
    static const message_type_t nothing = {.name = "nothing", .size = sizeof(uint64_t)};
    const bool reads = work->route->body == ROUTE_BODY_NONE;
    uint64_t unused = 0;
    query_fault_t *fault = arena_take(arena, sizeof(*fault));
    assert(fault != NULL); /* taken first */
    const bool good = query_read(work->head->query, reads ? work->route->command : &nothing, arena,
                                 reads ? (void *)&work->command : (void *)&unused, fault);
    return good ? no_fault : fault_of(RESULT_INVALID_PARAMETER, fault->name, fault->detail);
}

static fault_t read_card(work_t *work, const route_match_t *match)
{
    if (!match->has_card) {
        return no_fault;
    }
    if (!uuid_parse(match->card, &work->request.card)) {
        return fault_of(RESULT_INVALID_ID, "id", "the id in the path is no UUID");
    }
    work->request.has_card = true;
    uuid_t *card = command_card(work->route->command, &work->command);
    if (card != NULL) {
        uint64_t *present = (uint64_t *)(void *)&work->command;
        *card = work->request.card;
        *present |= 1; /* the id is the first field of every command that has one */
    }
    return no_fault;
}

/* Keeps the target without its cursor, so that the next page can be linked. */
static bool keep_page_target(work_t *work)
{
    const http_head_t *head = work->head;
    http_slot_t *slot = work->slot;
    slot->next_page = malloc(head->path.size + head->query.size + 3);
    if (slot->next_page == NULL) {
        return false;
    }
    memcpy(slot->next_page, head->path.data, head->path.size);
    size_t at = head->path.size;
    char separator = '?';
    text_t rest = head->query;
    const text_t cursor = text_from_c(http_cursor_name(work->route->type));
    text_t name;
    text_t value;
    while (query_next(&rest, &name, &value)) {
        if (name.size == 0 || text_equal(name, cursor)) {
            continue;
        }
        slot->next_page[at] = separator;
        const size_t size = name.size + (value.data == NULL ? 0 : value.size + 1);
        memcpy(slot->next_page + at + 1, name.data, size);
        at += 1 + size;
        separator = '&';
    }
    slot->next_page[at] = separator;
    slot->next_page[at + 1] = '\0';
    return true;
}

/* Pages are megabytes, and clients may be slow to read them. */
static fault_t prepare_page(work_t *work)
{
    if (work->slot->connection->server->unsent > LIMIT_HTTP_UNSENT_SIZE) {
        return fault_of(RESULT_BUSY, "", "too many answers wait for their clients to read them");
    }
    return keep_page_target(work) ? no_fault : fault_of(RESULT_NO_MEMORY, "", "");
}

/* Fills the command; the first fault wins. */
static fault_t read_request(work_t *work, const route_match_t *match, text_t body, arena_t *arena)
{
    fault_t fault = read_headers(work);
    if (fault.result == RESULT_OK) {
        fault = check_media_type(work, body.size > 0);
    }
    if (fault.result == RESULT_OK) {
        fault = read_query(work, arena);
    }
    if (fault.result == RESULT_OK && work->route->body != ROUTE_BODY_NONE) {
        fault = read_body(work, body, arena);
    }
    if (fault.result == RESULT_OK) {
        fault = read_card(work, match);
    }
    if (fault.result == RESULT_OK && work->route->action == ROUTE_ACTION_PAGE) {
        fault = prepare_page(work);
    }
    return fault;
}

static void work_init(work_t *work, http_slot_t *slot, const http_head_t *head,
                      const route_match_t *match)
{
    work->slot = slot;
    work->head = head;
    work->route = match->route;
    work->request = (gateway_request_t){
        .type = match->route->type,
        .tenant = match->tenant,
        .token = bearer_token(head),
        .command = &work->command,
        .traceparent = head->fields[HEAD_FIELD_TRACEPARENT],
    };
    slot->has_token = work->request.token.size > 0;
}

static void ask_gateway(http_slot_t *slot, const http_head_t *head, const route_match_t *match,
                        text_t body)
{
    http_server_t *server = slot->connection->server;
    arena_t arena = {.base = (uint8_t *)server->arena, .size = sizeof(server->arena)};
    work_t work;
    work_init(&work, slot, head, match);
    const fault_t fault = read_request(&work, match, body, &arena);
    if (fault.result != RESULT_OK) {
        answer_fault(&work, &fault);
        return;
    }
    work.request.raw_body = body;
    if (match->route->action == ROUTE_ACTION_PAGE) {
        slot->is_page = true;
        slot->connection->pages++;
    }
    /* When `done` ran within the call the handle is 0 and the slot may be gone. */
    const uint64_t handle =
        gateway_submit(server->ports.gateway, &work.request, http_answer_gateway, slot);
    if (handle != 0) {
        slot->gateway_handle = handle;
    }
}

/* --- Routing --- */

static void answer_options(http_slot_t *slot, uint32_t allowed)
{
    char allow[64];
    const http_response_t response = {
        .status = 204, .allow = {.data = allow, .size = route_allow(allowed, allow)}};
    http_slot_answer(slot, &response);
}

/* Answers what has no route to follow; true when there is one. */
static bool find_route(http_slot_t *slot, const http_head_t *head, route_match_t *match)
{
    http_server_t *server = slot->connection->server;
    if (text_equal(head->path, TEXT_LITERAL("*"))) {
        answer_options(slot, (1U << HEAD_METHOD_GET) | (1U << HEAD_METHOD_HEAD) |
                                 (1U << HEAD_METHOD_POST));
        return false;
    }
    if (!route_path_split(head->path, &server->path)) {
        answer_problem(slot, head, RESULT_INVALID_REQUEST,
                       "the path is not validly percent-encoded");
        return false;
    }
    route_find(head->method, &server->path, match);
    if (match->route != NULL) {
        slot->route = match->route;
        return true;
    }
    if (match->allowed == 0) {
        answer_problem(slot, head, RESULT_NOT_FOUND, "this path does not exist");
    } else if (head->method == HEAD_METHOD_OPTIONS) {
        answer_options(slot, match->allowed);
    } else {
        char allow[64];
        const text_t allowed = {.data = allow, .size = route_allow(match->allowed, allow)};
        set_trace_id(slot, head);
        http_answer_problem(slot, RESULT_METHOD_NOT_ALLOWED,
                            text_from_c("see Allow for the methods of this path"), TEXT_NONE,
                            allowed);
    }
    return false;
}

static http_slot_t *add_slot(http_connection_t *connection, const http_head_t *head,
                             bool keep_alive)
{
    http_slot_t *slot = http_slot_add(connection);
    if (slot == NULL) {
        connection->broken = true;
        return NULL;
    }
    slot->framing = (http_framing_t){.without_body = head->method == HEAD_METHOD_HEAD,
                                     .close = !keep_alive,
                                     .announce_alive = keep_alive && !head->version_1_1};
    return slot;
}

void http_request_handle(http_connection_t *connection, const http_head_t *head, text_t body,
                         bool keep_alive)
{
    route_match_t match;
    http_slot_t *slot = add_slot(connection, head, keep_alive);
    if (slot == NULL || !find_route(slot, head, &match)) {
        return;
    }
    switch (match.route->action) {
    case ROUTE_ACTION_DOCUMENT:
    case ROUTE_ACTION_PAGE:
    case ROUTE_ACTION_QR_SVG:
    case ROUTE_ACTION_QR_PNG:
        ask_gateway(slot, head, &match, body);
        return;
    default:
        set_trace_id(slot, head);
        http_pages_handle(slot);
        return;
    }
}

bool http_request_expected(http_connection_t *connection, const http_head_t *head)
{
    route_match_t match;
    http_slot_t *slot = add_slot(connection, head, false);
    bool expected = false;
    if (slot != NULL && find_route(slot, head, &match)) {
        if (match.route->body == ROUTE_BODY_NONE) {
            expected = true; /* its body is thrown away, whatever it is */
        } else {
            work_t work;
            work_init(&work, slot, head, &match);
            const fault_t fault = check_media_type(&work, true);
            gateway_reply_t why_not = {0};
            if (!gateway_authorise(connection->server->ports.gateway, &work.request, &why_not)) {
                http_answer_gateway(slot, &why_not);
            } else if (fault.result != RESULT_OK) {
                answer_fault(&work, &fault);
            } else {
                expected = true;
            }
        }
    }
    if (expected) {
        http_slot_drop(slot);
    } else {
        connection->last_request = true;
    }
    return expected;
}
