/* May this request go on, and where to? Checks in this order: token, tenant name, tenant of the
 * token, role, tenant exists, idempotency key, and the few things about a command that need no
 * card. Must not know what a command does to a card. */
#include "actors/domain/card.h"
#include "actors/domain/card_code.h"
#include "actors/domain/card_id.h"
#include "actors/gateway/gateway_internal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Subject, method, path and body of most commands; larger ones take memory for the moment. */
enum { KEY_INPUT_SIZE = 4096, CONDITION_SIZE = 32 };

const gateway_shape_t *gateway_shape(uint8_t type)
{
#define TO_CARD .target = GATEWAY_SHARD, .needs_card = true
#define TO_RELAY .target = GATEWAY_RELAY, .is_read = true
    static const gateway_shape_t shapes[GATEWAY_REQUEST_TYPES] = {
        [request_type_card_issue] = {&card_issue_message, &card_message, .target = GATEWAY_SHARD},
        [request_type_card_get] = {&card_get_message, &card_message, TO_CARD, .is_read = true},
        [request_type_card_list] = {&card_list_message, &card_page_message, TO_RELAY},
        [request_type_card_history] = {&card_history_message, &history_page_message, TO_RELAY,
                                       .needs_card = true},
        [request_type_card_activate] = {&card_change_message, &card_message, TO_CARD},
        [request_type_card_suspend] = {&card_change_message, &card_message, TO_CARD},
        [request_type_card_reinstate] = {&card_change_message, &card_message, TO_CARD},
        [request_type_card_renew] = {&card_change_message, &card_message, TO_CARD},
        [request_type_card_replace] = {&card_change_message, &card_message, TO_CARD},
        [request_type_card_revoke] = {&card_change_message, &card_message, TO_CARD},
        [request_type_card_validate] = {&card_validate_message, &verdict_message, TO_CARD},
        [request_type_card_scan] = {&card_scan_message, &verdict_message, .target = GATEWAY_SHARD},
        [request_type_events_read] = {&events_read_message, &event_page_message, TO_RELAY},
        [request_type_rollup_list] = {&rollup_list_message, &rollup_page_message, TO_RELAY},
        /* Written in the relay, but any of these may be done twice. */
        [request_type_events_ack] = {&events_ack_message, &consumer_message, TO_RELAY},
        [request_type_consumer_register] = {&consumer_name_message, &consumer_message, TO_RELAY},
        [request_type_consumer_remove] = {&consumer_name_message, &consumer_message, TO_RELAY},
        [request_type_consumer_list] = {&consumer_list_message, &consumer_page_message, TO_RELAY},
        /* These show a secret once, or begin something: never done twice unasked. */
        [request_type_webhook_add] = {&webhook_add_message, &webhook_message,
                                      .target = GATEWAY_RELAY},
        [request_type_webhook_rotate] = {&webhook_rotate_message, &webhook_message,
                                         .target = GATEWAY_RELAY},
        [request_type_webhook_replay] = {&webhook_replay_message, &webhook_message,
                                         .target = GATEWAY_RELAY},
        [request_type_webhook_remove] = {&webhook_name_message, &webhook_message, TO_RELAY},
        [request_type_webhook_enable] = {&webhook_name_message, &webhook_message, TO_RELAY},
        [request_type_webhook_list] = {&webhook_list_message, &webhook_page_message, TO_RELAY},
        [request_type_webhook_log] = {&webhook_log_message, &delivery_page_message, TO_RELAY},
    };
#undef TO_CARD
#undef TO_RELAY
    return type < GATEWAY_REQUEST_TYPES && shapes[type].command != NULL ? &shapes[type] : NULL;
}

__attribute__((format(printf, 3, 4))) static result_t
refuse(gateway_admission_t *admission, result_t result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(admission->detail, sizeof(admission->detail), format, arguments);
    va_end(arguments);
    return result;
}

static result_t check_token(gateway_t *gateway, const gateway_request_t *request,
                            gateway_admission_t *admission)
{
    if (!gateway->directory.is_loaded) {
        return refuse(admission, RESULT_UNAVAILABLE,
                      "The service is starting and does not know its tenants yet: try again in a "
                      "moment.");
    }
    if (text_is_empty(request->token)) {
        return refuse(admission, RESULT_UNAUTHENTICATED,
                      "Send a bearer token, for example one made by `digitalcard token mint`.");
    }
    tokens_t *tokens = gateway->ports.tokens;
    const result_t result =
        tokens->functions->verify(tokens, request->token, clock_wall_ms(), &admission->claims,
                                  admission->detail, sizeof(admission->detail));
    const revoked_tokens_t *revoked = gateway->ports.revoked;
    if (result == RESULT_OK && revoked != NULL &&
        revoked_tokens_has(revoked, admission->claims.hash)) {
        return refuse(admission, RESULT_UNAUTHENTICATED,
                      "The token was revoked: ask for a new one.");
    }
    return result;
}

static result_t check_tenant_of_token(const gateway_request_t *request,
                                      gateway_admission_t *admission)
{
    if (!tenant_name_is_valid(request->tenant)) {
        return refuse(admission, RESULT_INVALID_TENANT,
                      "A tenant name is 2 to 39 characters of a-z, 0-9 and hyphen, begins with a "
                      "letter and is none of api, mapi, health, metrics, admin.");
    }
    const text_t own = text_from_c(admission->claims.tenant);
    const bool is_for_all = text_is_empty(own) && admission->claims.role == role_platform_admin;
    if (!is_for_all && !text_equal(own, request->tenant)) {
        return refuse(admission, RESULT_WRONG_TENANT, "The token is for another tenant than %.*s.",
                      TEXT_PRINT(request->tenant));
    }
    return RESULT_OK;
}

static result_t refuse_role(const gateway_request_t *request, gateway_admission_t *admission)
{
    char needed[128];
    size_t size = 0;
    needed[0] = '\0';
    for (uint8_t role = role_none + 1; role < role_enum.count; role++) {
        if (role_enum.names[role] == NULL || !permission_allows(role, request->type)) {
            continue;
        }
        const int added = snprintf(needed + size, sizeof(needed) - size, "%s%s",
                                   size == 0 ? "" : ", ", role_enum.names[role]);
        assert(added > 0 && (size_t)added < sizeof(needed) - size);
        size += (size_t)added;
    }
    const text_t own = enum_name(&role_enum, admission->claims.role);
    const text_t type = enum_name(&request_type_enum, request->type);
    return refuse(admission, RESULT_FORBIDDEN,
                  "The role %.*s may not do %.*s; it takes one of: %s.", TEXT_PRINT(own),
                  TEXT_PRINT(type), needed);
}

static result_t check_key(const gateway_request_t *request, gateway_admission_t *admission)
{
    bool is_valid = request->key.size <= LIMIT_IDEMPOTENCY_KEY_SIZE;
    for (size_t i = 0; is_valid && i < request->key.size; i++) {
        is_valid = request->key.data[i] > ' ' && request->key.data[i] < 0x7f;
    }
    if (!is_valid) {
        admission->field = "idempotency-key";
        return refuse(admission, RESULT_INVALID_PARAMETER,
                      "An idempotency key is 1 to %d visible ASCII characters.",
                      LIMIT_IDEMPOTENCY_KEY_SIZE);
    }
    return RESULT_OK;
}

static result_t check_at(bool has_at, int64_t at, gateway_admission_t *admission)
{
    if (has_at && at > clock_wall_ms() + LIMIT_SCAN_AHEAD_MS) {
        admission->field = "at";
        return refuse(admission, RESULT_INVALID_DATES,
                      "`at` lies more than %d s ahead: set the clock of the scanner.",
                      LIMIT_SCAN_AHEAD_MS / 1000);
    }
    return RESULT_OK;
}

/* What can be said about a command without its card. */
static result_t check_command(const gateway_request_t *request, gateway_admission_t *admission)
{
    if (admission->shape->needs_card && !request->has_card) {
        admission->field = "id";
        return refuse(admission, RESULT_INVALID_ID, "The request needs the id of a card.");
    }
    if (request->has_condition && admission->shape->command != &card_change_message) {
        admission->field = "if_version";
        return refuse(admission, RESULT_INVALID_PARAMETER,
                      "Only changes of a card can depend on its version (If-Match, if_version).");
    }
    if (request->type == request_type_card_issue) {
        const card_issue_t *issue = request->command;
        if (MESSAGE_HAS(card_issue, issue, rules) && issue->rules > 0) {
            admission->field = "rules";
            return refuse(admission, RESULT_NOT_IMPLEMENTED,
                          "Rules of use do not exist yet: leave `rules` out or empty.");
        }
    } else if (request->type == request_type_card_validate) {
        const card_validate_t *validate = request->command;
        return check_at(MESSAGE_HAS(card_validate, validate, at), validate->at, admission);
    } else if (request->type == request_type_card_scan) {
        const card_scan_t *scan = request->command;
        return check_at(MESSAGE_HAS(card_scan, scan, at), scan->at, admission);
    }
    return RESULT_OK;
}

/* The card of the request, read unverified from a scanned code: the shard checks its signature. */
static void find_card(const gateway_request_t *request, gateway_admission_t *admission)
{
    admission->has_card = request->has_card;
    admission->card = request->card;
    if (request->type == request_type_card_scan) {
        const card_scan_t *scan = request->command;
        card_code_t code;
        admission->has_card = card_code_parse(scan->qr, &code);
        if (admission->has_card) {
            admission->card = code.card;
        }
    }
}

/* Ids that cannot be of this tenant go to partition 0, whose shard has the exact answer. */
static void place(const gateway_t *gateway, const gateway_request_t *request,
                  gateway_admission_t *admission)
{
    find_card(request, admission);
    admission->partition = 0;
    if (request->type == request_type_card_issue) {
        const card_issue_t *issue = request->command;
        admission->partition = placement_partition(issue->member_id, admission->tenant->partitions);
    } else if (admission->has_card && card_id_is_valid(&admission->card)) {
        const uint32_t partition = card_id_partition(&admission->card);
        admission->partition = partition < admission->tenant->partitions ? partition : 0;
    }
    admission->peer = GATEWAY_RELAY_PEER;
    if (admission->shape->target == GATEWAY_SHARD) {
        admission->peer = (uint16_t)placement_shard(request->tenant, gateway->ports.shards);
    }
}

static size_t put(uint8_t *out, size_t at, text_t text)
{
    if (text.size > 0) {
        memcpy(out + at, text.data, text.size);
    }
    return at + text.size;
}

/* SHA-256 of subject, 0x00, method and path, the condition if there is one, 0x00, body: the same
 * change under another condition is another request. */
static result_t hash_key(const gateway_t *gateway, const gateway_request_t *request,
                         gateway_admission_t *admission)
{
    if (text_is_empty(request->key)) {
        return RESULT_OK;
    }
    const text_t subject = text_from_c(admission->claims.subject);
    char condition[CONDITION_SIZE] = "";
    if (request->has_condition) { /* paths and types have no blank at their end */
        (void)snprintf(condition, sizeof(condition), " if %" PRIu64, request->if_version);
    }
    const text_t condition_text = text_from_c(condition);
    const size_t size = subject.size + 1 + request->method_and_path.size + condition_text.size + 1 +
                        request->raw_body.size;
    uint8_t small[KEY_INPUT_SIZE];
    uint8_t *input = size <= sizeof(small) ? small : malloc(size);
    if (input == NULL) {
        return refuse(admission, RESULT_NO_MEMORY, "There is no memory for this body now.");
    }
    size_t used = put(input, 0, subject);
    input[used] = 0;
    used = put(input, used + 1, request->method_and_path);
    used = put(input, used, condition_text);
    input[used] = 0;
    used = put(input, used + 1, request->raw_body);
    assert(used == size);
    gateway->ports.crypto->sha256((text_t){.data = (const char *)input, .size = size},
                                  admission->key_hash);
    admission->has_key_hash = true;
    if (input != small) {
        free(input);
    }
    return RESULT_OK;
}

static result_t check_access(gateway_t *gateway, const gateway_request_t *request,
                             gateway_admission_t *admission)
{
    result_t result = check_token(gateway, request, admission);
    if (result == RESULT_OK) {
        result = check_tenant_of_token(request, admission);
    }
    if (result != RESULT_OK) {
        return result;
    }
    if (!permission_allows(admission->claims.role, request->type)) {
        return refuse_role(request, admission);
    }
    admission->tenant = gateway_directory_find(gateway, request->tenant);
    if (admission->tenant == NULL) {
        return refuse(admission, RESULT_TENANT_NOT_FOUND, "There is no tenant %.*s.",
                      TEXT_PRINT(request->tenant));
    }
    /* A deleted tenant's tokens must not open a later one that was given the same name. */
    const int64_t since_ms = admission->claims.tenant_since_ms;
    if (since_ms != 0 && admission->tenant->created_at_ms != 0 &&
        since_ms != admission->tenant->created_at_ms) {
        return refuse(admission, RESULT_UNAUTHENTICATED,
                      "The token was made for an earlier tenant of this name: ask for a new one.");
    }
    return RESULT_OK;
}

static uint64_t first_bytes(const uint8_t *hash)
{
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number = number << 8 | hash[i];
    }
    return number;
}

static result_t check_rate(gateway_t *gateway, const gateway_request_t *request,
                           gateway_admission_t *admission)
{
    const bool is_validation =
        request->type == request_type_card_validate || request->type == request_type_card_scan;
    if (gateway->ports.limits == NULL) {
        return RESULT_OK;
    }
    const rate_scope_t reached = rate_limits_take(
        gateway->ports.limits, request->tenant, first_bytes(admission->claims.hash), is_validation);
    if (reached == RATE_SCOPE_NONE) {
        return RESULT_OK;
    }
    return refuse(admission, RESULT_RATE_LIMITED,
                  "This %s has made as many requests as it may in one second: try again in the "
                  "next.",
                  reached == RATE_SCOPE_TOKEN ? "token" : "tenant");
}

/* What is checked first: is there such a request, and may the bearer make it? */
static result_t check_bearer(gateway_t *gateway, const gateway_request_t *request,
                             gateway_admission_t *admission)
{
    if (gateway->is_draining) {
        return refuse(admission, RESULT_DRAINING,
                      "The service is stopping: try again, another process will answer.");
    }
    admission->shape = gateway_shape(request->type);
    if (admission->shape == NULL) {
        return refuse(admission, RESULT_UNKNOWN_TYPE, "There is no such request type.");
    }
    const result_t result = check_access(gateway, request, admission);
    return result == RESULT_OK ? check_rate(gateway, request, admission) : result;
}

result_t gateway_admit(gateway_t *gateway, const gateway_request_t *request,
                       gateway_admission_t *admission)
{
    result_t result = check_bearer(gateway, request, admission);
    if (result == RESULT_OK) {
        result = check_key(request, admission);
    }
    if (result == RESULT_OK) {
        result = check_command(request, admission);
    }
    if (result != RESULT_OK) {
        return result;
    }
    place(gateway, request, admission);
    return hash_key(gateway, request, admission);
}

bool gateway_authorise(gateway_t *gateway, const gateway_request_t *request,
                       gateway_reply_t *why_not)
{
    gateway_admission_t admission;
    admission.detail[0] = '\0';
    admission.field = NULL;
    const result_t result = check_bearer(gateway, request, &admission);
    if (result == RESULT_OK) {
        return true;
    }
    const uint16_t status = result_http_status(result);
    gateway_traceparent(gateway, request->traceparent, gateway->authorise_traceparent);
    memcpy(gateway->authorise_detail, admission.detail, sizeof(gateway->authorise_detail));
    *why_not = (gateway_reply_t){
        .result = result,
        .detail = text_from_c(gateway->authorise_detail),
        .field = text_from_c(admission.field),
        .trace_id = {.data = gateway->authorise_traceparent + GATEWAY_TRACE_ID_OFFSET,
                     .size = GATEWAY_TRACE_ID_SIZE},
        .retry_after_s = status == 503 || status == 429 ? 1 : 0,
    };
    return false;
}
