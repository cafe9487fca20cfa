/* Webhooks as control commands: rows in, JSON out; secrets are made, sealed and shown once. Sends
 * nothing. */
#include "adapters/cli/control/control_webhooks.h"

#include "actors/domain/webhook.h"
#include "actors/secrets.h"
#include "messages/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SEALED_SIZE = WEBHOOK_SECRET_SIZE + CRYPTO_SEAL_OVERHEAD };

static text_t member(const json_t *command, const char *name)
{
    const json_t *value = json_object_get(command, name);
    return (text_t){json_string_value(value), json_string_length(value)};
}

static json_int_t number(const json_t *command, const char *name)
{
    return json_integer_value(json_object_get(command, name));
}

static json_t *json_when(int64_t ms)
{
    char text[RFC3339_TEXT_SIZE];
    rfc3339_format(ms, text);
    return json_stringn(text, sizeof text);
}

static json_t *json_text(text_t text)
{
    return json_stringn(text.data == NULL ? "" : text.data, text.size);
}

/* --- Checking --- */

static json_t *webhook_error(result_t result, const json_t *command)
{
    const text_t name = member(command, "name");
    const int size = (int)(name.size < 64 ? name.size : 64);
    switch (result) {
    case RESULT_MISSING:
        return control_error(result, "There is no such tenant, or it has no webhook %.*s", size,
                             name.data);
    case RESULT_ALREADY_EXISTS:
        return control_error(result, "The tenant has a webhook %.*s already", size, name.data);
    case RESULT_NOT_IMPLEMENTED:
        return control_error(result, "There are no webhooks here");
    default:
        return control_error(result, "%s", result_title(result));
    }
}

/* NULL: there is a store, and tenant and name can be those of a webhook. */
static json_t *check(const control_commands_t *commands, const json_t *command)
{
    if (commands->webhooks == NULL) {
        return webhook_error(RESULT_NOT_IMPLEMENTED, command);
    }
    const text_t tenant = member(command, "tenant");
    if (tenant.size == 0 || tenant.size > LIMIT_TENANT_NAME_SIZE ||
        !webhook_name_is_usable(member(command, "name"))) {
        return control_error(RESULT_INVALID_ARGUMENT,
                             "A webhook is named by its tenant and 1 to %d of a-z, 0-9, dot, "
                             "hyphen and underscore",
                             WEBHOOK_NAME_SIZE_MAX);
    }
    return NULL;
}

/* --- Secrets --- */

typedef struct made_secret {
    char text[WEBHOOK_SECRET_SIZE];
    uint8_t sealed[SEALED_SIZE];
} made_secret_t;

static void make_secret(const control_commands_t *commands, const json_t *command,
                        made_secret_t *secret)
{
    uint8_t random[32];
    random_fill(random, sizeof random);
    webhook_secret_format(random, secret->text);
    secret_webhook_seal(commands->crypto, commands->master_key, member(command, "tenant"),
                        member(command, "name"), (text_t){secret->text, sizeof secret->text},
                        secret->sealed);
    commands->crypto->wipe(random, sizeof random);
}

/* --- Commands --- */

static json_t *answer_name(const json_t *command)
{
    return json_pack("{s:O,s:O}", "tenant", json_object_get(command, "tenant"), "name",
                     json_object_get(command, "name"));
}

json_t *control_webhook_add(const control_commands_t *commands, const json_t *command,
                            bool *changed)
{
    json_t *problem = check(commands, command);
    const text_t url = member(command, "url");
    if (problem != NULL) {
        return problem;
    }
    if (!webhook_url_is_usable(url)) {
        return control_error(
            RESULT_INVALID_ARGUMENT,
            "The URL must be http:// or https:// with a host, without user, password and "
            "fragment, of at most %d characters",
            WEBHOOK_URL_SIZE_MAX);
    }
    made_secret_t secret;
    make_secret(commands, command, &secret);
    const webhook_row_t row = {.tenant = member(command, "tenant"),
                               .name = member(command, "name"),
                               .url = url,
                               .created_at = clock_wall_ms(),
                               .sealed_secret = {(char *)secret.sealed, sizeof secret.sealed}};
    const result_t result = commands->webhooks->functions->add(commands->webhooks, &row);
    json_t *answer = NULL;
    if (result == RESULT_OK) {
        *changed = true;
        answer = answer_name(command);
        (void)json_object_set_new(answer, "url", json_text(url));
        (void)json_object_set_new(answer, "secret", json_stringn(secret.text, sizeof secret.text));
    } else if (result == RESULT_BUSY) {
        answer = control_error(
            result, "A tenant has at most %d webhooks, and %d consumers of events with them",
            LIMIT_WEBHOOKS, LIMIT_CONSUMERS);
    } else {
        answer = webhook_error(result, command);
    }
    commands->crypto->wipe(&secret, sizeof secret);
    return answer;
}

json_t *control_webhook_rotate(const control_commands_t *commands, const json_t *command,
                               bool *changed)
{
    json_t *problem = check(commands, command);
    const json_int_t overlap_s = number(command, "overlap_s");
    if (problem != NULL) {
        return problem;
    }
    if (overlap_s < 0 || overlap_s > (json_int_t)LIMIT_WEBHOOK_OVERLAP_HOURS * 3600) {
        return control_error(RESULT_INVALID_ARGUMENT,
                             "The old secret signs for 0 to %d more seconds",
                             LIMIT_WEBHOOK_OVERLAP_HOURS * 3600);
    }
    made_secret_t secret;
    make_secret(commands, command, &secret);
    const int64_t until = clock_wall_ms() + overlap_s * 1000;
    const result_t result = commands->webhooks->functions->rotate(
        commands->webhooks, member(command, "tenant"), member(command, "name"),
        (text_t){(char *)secret.sealed, sizeof secret.sealed}, until);
    json_t *answer = NULL;
    if (result == RESULT_OK) {
        *changed = true;
        answer = answer_name(command);
        (void)json_object_set_new(answer, "secret", json_stringn(secret.text, sizeof secret.text));
        (void)json_object_set_new(answer, "previous_secret_until", json_when(until));
    } else {
        answer = webhook_error(result, command);
    }
    commands->crypto->wipe(&secret, sizeof secret);
    return answer;
}

json_t *control_webhook_remove(const control_commands_t *commands, const json_t *command,
                               bool *changed)
{
    json_t *problem = check(commands, command);
    if (problem != NULL) {
        return problem;
    }
    const text_t tenant = member(command, "tenant");
    const text_t name = member(command, "name");
    const result_t result = commands->webhooks->functions->remove(commands->webhooks, tenant, name);
    if (result != RESULT_OK) {
        return webhook_error(result, command);
    }
    *changed = true;
    return answer_name(command);
}

json_t *control_webhook_enable(const control_commands_t *commands, const json_t *command,
                               bool *changed)
{
    json_t *problem = check(commands, command);
    if (problem != NULL) {
        return problem;
    }
    const result_t result = commands->webhooks->functions->disable(
        commands->webhooks, member(command, "tenant"), member(command, "name"), TEXT_NONE);
    if (result != RESULT_OK) {
        return webhook_error(result, command);
    }
    *changed = true;
    return answer_name(command);
}

json_t *control_webhook_replay(const control_commands_t *commands, const json_t *command,
                               bool *changed)
{
    json_t *problem = check(commands, command);
    const json_int_t partition = number(command, "partition");
    const json_int_t from = number(command, "from");
    const json_int_t to = number(command, "to");
    if (problem != NULL) {
        return problem;
    }
    if (partition < 0 || partition >= LIMIT_PARTITIONS || from < 1 || to < from) {
        return control_error(RESULT_INVALID_ARGUMENT,
                             "A replay needs a partition and sequences: 1 <= from <= to");
    }
    const webhook_range_t replay = {
        .partition = (uint32_t)partition, .next = (uint64_t)from, .last = (uint64_t)to};
    const result_t result = commands->webhooks->functions->replay(
        commands->webhooks, member(command, "tenant"), member(command, "name"), &replay);
    if (result == RESULT_BUSY) {
        return control_error(result, "Another replay of this webhook is under way");
    }
    if (result != RESULT_OK) {
        return webhook_error(result, command);
    }
    *changed = true;
    return answer_name(command);
}

/* --- Reading --- */

static bool visit_list(void *context, const webhook_row_t *row)
{
    json_t *list = context;
    const bool is_active = row->disabled.size == 0;
    json_t *entry =
        json_pack("{s:o,s:o,s:o,s:s,s:o}", "tenant", json_text(row->tenant), "name",
                  json_text(row->name), "url", json_text(row->url), "state",
                  is_active ? "active" : "disabled", "created_at", json_when(row->created_at));
    if (!is_active) {
        (void)json_object_set_new(entry, "reason", json_text(row->disabled));
    }
    if (row->previous_until > clock_wall_ms()) {
        (void)json_object_set_new(entry, "previous_secret_until", json_when(row->previous_until));
    }
    if (row->replay_last > 0) {
        (void)json_object_set_new(
            entry, "replay",
            json_pack("{s:I,s:I,s:I}", "partition", (json_int_t)row->replay_partition, "next",
                      (json_int_t)row->replay_next, "to", (json_int_t)row->replay_last));
    }
    (void)json_array_append_new(list, entry);
    return true;
}

json_t *control_webhook_list(const control_commands_t *commands, const json_t *command,
                             bool *changed)
{
    (void)changed;
    webhooks_t *const webhooks = commands->webhooks;
    json_t *list = json_array();
    const result_t result =
        webhooks == NULL
            ? RESULT_NOT_IMPLEMENTED
            : webhooks->functions->visit(webhooks, member(command, "tenant"), visit_list, list);
    if (result != RESULT_OK) {
        json_decref(list);
        return webhook_error(result, command);
    }
    return json_pack("{s:o}", "webhooks", list);
}

typedef struct log_page {
    json_t *list;
    size_t limit;
} log_page_t;

static bool visit_log(void *context, const webhook_delivery_t *delivery)
{
    static const char *const states[WEBHOOK_STATES] = {
        [WEBHOOK_STATE_DELIVERED] = "delivered",
        [WEBHOOK_STATE_RETRYING] = "retrying",
        [WEBHOOK_STATE_GIVEN_UP] = "given_up",
    };
    log_page_t *page = context;
    const char *state = (uint32_t)delivery->state < WEBHOOK_STATES ? states[delivery->state] : "";
    (void)json_array_append_new(
        page->list,
        json_pack("{s:I,s:I,s:o,s:o,s:I,s:o,s:o,s:I,s:s,s:o}", "partition",
                  (json_int_t)delivery->partition, "sequence", (json_int_t)delivery->sequence,
                  "event", json_text(delivery->event), "card", json_text(delivery->card),
                  "attempts", (json_int_t)delivery->attempts, "first_at",
                  json_when(delivery->first_at), "last_at", json_when(delivery->last_at), "status",
                  (json_int_t)delivery->status, "state", state, "detail",
                  json_text(delivery->detail)));
    return json_array_size(page->list) < page->limit;
}

json_t *control_webhook_log(const control_commands_t *commands, const json_t *command,
                            bool *changed)
{
    (void)changed;
    json_t *problem = check(commands, command);
    const json_int_t limit = number(command, "limit");
    if (problem != NULL) {
        return problem;
    }
    log_page_t page = {.list = json_array(),
                       .limit = limit > 0 && limit < LIMIT_WEBHOOK_LOG ? (size_t)limit
                                                                       : LIMIT_WEBHOOK_LOG};
    const result_t result =
        commands->webhooks->functions->visit_log(commands->webhooks, member(command, "tenant"),
                                                 member(command, "name"), false, visit_log, &page);
    if (result != RESULT_OK) {
        json_decref(page.list);
        return webhook_error(result, command);
    }
    return json_pack("{s:o}", "deliveries", page.list);
}
