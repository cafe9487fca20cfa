/* Webhooks as requests of clients: added, removed, rotated, replayed, listed. Rows of the control
 * store; the sender sees them when the store's version changes. Sends nothing itself; a secret is
 * in one answer and nowhere else. */
#include "actors/domain/webhook.h"
#include "actors/relay/relay_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEALED_SIZE = WEBHOOK_SECRET_SIZE + CRYPTO_SEAL_OVERHEAD,
    OVERLAP_S = 86400,
    LOG_ITEMS = 50,
    LOG_ITEMS_MAX = 500,
    TEXT_SIZE_MAX = 64,
};

bool relay_is_webhook_request(uint8_t type)
{
    return type >= request_type_webhook_add && type <= request_type_webhook_log;
}

static text_t name_of(const relay_read_t *read)
{
    switch (read->type) {
    case request_type_webhook_add:
        return read->command.webhook_add.name;
    case request_type_webhook_rotate:
        return read->command.webhook_rotate.name;
    case request_type_webhook_replay:
        return read->command.webhook_replay.name;
    case request_type_webhook_log:
        return read->command.webhook_log.name;
    default:
        return read->command.webhook_name.name;
    }
}

static void reply_failure(relay_read_t *read, result_t result)
{
    switch (result) {
    case RESULT_MISSING:
        relay_reply_error(read, RESULT_WEBHOOK_NOT_FOUND, "The tenant has no webhook of this name.",
                          NULL);
        break;
    case RESULT_ALREADY_EXISTS:
        relay_reply_error(read, RESULT_WEBHOOK_EXISTS,
                          "Remove it first, or rotate its secret if that was lost.", NULL);
        break;
    case RESULT_BUSY:
        if (read->type == request_type_webhook_replay) {
            relay_reply_error(read, RESULT_WEBHOOK_REPLAYS, "Wait until it is over.", NULL);
        } else {
            relay_reply_error(
                read, RESULT_TOO_MANY_WEBHOOKS,
                "A tenant has at most 16 webhooks, and 32 consumers with them: remove "
                "one first.",
                NULL);
        }
        break;
    default:
        relay_reply_error(read, result, "Webhooks cannot be read or kept now: try again.", NULL);
        break;
    }
}

/* --- Pages --- */

typedef struct gathering {
    int64_t now;
    text_t only; /* empty: all */
    size_t count;
    webhook_t items[LIMIT_WEBHOOKS];
    char names[LIMIT_WEBHOOKS][WEBHOOK_NAME_SIZE_MAX];
    char urls[LIMIT_WEBHOOKS][WEBHOOK_URL_SIZE_MAX];
    char reasons[LIMIT_WEBHOOKS][TEXT_SIZE_MAX];
} gathering_t;

static text_t keep(char *memory, size_t capacity, text_t text)
{
    const size_t size = text.size < capacity ? text.size : capacity;
    memcpy(memory, text.data, size);
    return (text_t){.data = memory, .size = size};
}

static bool gather(void *context, const webhook_row_t *row)
{
    gathering_t *const gathering = context;
    if (!text_is_empty(gathering->only) && !text_equal(gathering->only, row->name)) {
        return true;
    }
    const size_t index = gathering->count++;
    webhook_t *const item = &gathering->items[index];
    MESSAGE_SET(webhook, item, name,
                keep(gathering->names[index], WEBHOOK_NAME_SIZE_MAX, row->name));
    MESSAGE_SET(webhook, item, url, keep(gathering->urls[index], WEBHOOK_URL_SIZE_MAX, row->url));
    MESSAGE_SET(webhook, item, created_at, row->created_at);
    if (row->disabled.size > 0) {
        MESSAGE_SET(webhook, item, disabled,
                    keep(gathering->reasons[index], TEXT_SIZE_MAX, row->disabled));
    }
    if (row->previous_until > gathering->now) {
        MESSAGE_SET(webhook, item, previous_secret_until, row->previous_until);
    }
    if (row->replay_last > 0) {
        MESSAGE_SET(webhook, item, replay_next, row->replay_next);
        MESSAGE_SET(webhook, item, replay_last, row->replay_last);
    }
    return gathering->count < LIMIT_WEBHOOKS;
}

/* Malloc'ed; NULL after an answer. */
static gathering_t *gather_all(relay_read_t *read, text_t only)
{
    webhooks_t *const store = read->relay->ports.webhooks;
    gathering_t *const gathering = calloc(1, sizeof(*gathering));
    assert(gathering != NULL);
    gathering->only = only;
    gathering->now = read->relay->ports.wall_ms();
    const result_t result =
        store->functions->visit(store, relay_tenant_name(read->tenant), gather, gathering);
    if (result != RESULT_OK) {
        free(gathering);
        reply_failure(read, result == RESULT_MISSING ? RESULT_STORE_UNAVAILABLE : result);
        return NULL;
    }
    return gathering;
}

/* `secret` may be empty. */
static void reply_one(relay_read_t *read, text_t secret)
{
    gathering_t *const gathering = gather_all(read, name_of(read));
    if (gathering == NULL) {
        return;
    }
    if (gathering->count == 0) {
        reply_failure(read, RESULT_MISSING);
    } else {
        if (!text_is_empty(secret)) {
            MESSAGE_SET(webhook, &gathering->items[0], secret, secret);
        }
        relay_reply_document(read, &webhook_message, &gathering->items[0]);
    }
    free(gathering);
}

static void reply_list(relay_read_t *read)
{
    const webhook_list_t *const list = &read->command.webhook_list;
    gathering_t *const gathering =
        gather_all(read, MESSAGE_HAS(webhook_list, list, name) ? list->name : TEXT_NONE);
    if (gathering == NULL) {
        return;
    }
    webhook_page_t page = {.items_count = (uint32_t)gathering->count};
    MESSAGE_SET(webhook_page, &page, items, gathering->items);
    relay_reply_document(read, &webhook_page_message, &page);
    free(gathering);
}

typedef struct log_gathering {
    size_t limit;
    size_t count;
    delivery_t items[LOG_ITEMS_MAX];
    char events[LOG_ITEMS_MAX][TEXT_SIZE_MAX];
    char cards[LOG_ITEMS_MAX][UUID_TEXT_SIZE];
    char details[LOG_ITEMS_MAX][TEXT_SIZE_MAX];
} log_gathering_t;

static bool gather_log(void *context, const webhook_delivery_t *row)
{
    static const char *const states[WEBHOOK_STATES] = {
        [WEBHOOK_STATE_DELIVERED] = "delivered",
        [WEBHOOK_STATE_RETRYING] = "retrying",
        [WEBHOOK_STATE_GIVEN_UP] = "given_up",
    };
    log_gathering_t *const gathering = context;
    const size_t index = gathering->count++;
    delivery_t *const item = &gathering->items[index];
    MESSAGE_SET(delivery, item, partition, row->partition);
    MESSAGE_SET(delivery, item, sequence, row->sequence);
    MESSAGE_SET(delivery, item, event, keep(gathering->events[index], TEXT_SIZE_MAX, row->event));
    MESSAGE_SET(delivery, item, card, keep(gathering->cards[index], UUID_TEXT_SIZE, row->card));
    MESSAGE_SET(delivery, item, attempts, row->attempts);
    MESSAGE_SET(delivery, item, first_at, row->first_at);
    MESSAGE_SET(delivery, item, last_at, row->last_at);
    MESSAGE_SET(delivery, item, status, row->status <= 999 ? row->status : 0);
    MESSAGE_SET(delivery, item, state,
                text_from_c((uint32_t)row->state < WEBHOOK_STATES ? states[row->state] : ""));
    MESSAGE_SET(delivery, item, detail,
                keep(gathering->details[index], TEXT_SIZE_MAX, row->detail));
    return gathering->count < gathering->limit;
}

static void reply_log(relay_read_t *read)
{
    webhooks_t *const store = read->relay->ports.webhooks;
    const webhook_log_t *const log = &read->command.webhook_log;
    const uint64_t limit = MESSAGE_HAS(webhook_log, log, limit) ? log->limit : LOG_ITEMS;
    if (limit == 0 || limit > LOG_ITEMS_MAX) {
        relay_reply_error(read, RESULT_INVALID_PARAMETER, "`limit` must be 1 to 500.", "limit");
        return;
    }
    log_gathering_t *const gathering = calloc(1, sizeof(*gathering));
    assert(gathering != NULL);
    gathering->limit = limit;
    const result_t result = store->functions->visit_log(store, relay_tenant_name(read->tenant),
                                                        log->name, false, gather_log, gathering);
    if (result != RESULT_OK) {
        reply_failure(read, result);
    } else {
        delivery_page_t page = {.items_count = (uint32_t)gathering->count};
        MESSAGE_SET(delivery_page, &page, items, gathering->items);
        relay_reply_document(read, &delivery_page_message, &page);
    }
    free(gathering);
}

/* --- Changes --- */

/* `previous_until` of a rotation; 0: a new webhook. */
static void put_secret(relay_read_t *read, int64_t previous_until)
{
    const relay_ports_t *const ports = &read->relay->ports;
    const text_t tenant = relay_tenant_name(read->tenant);
    uint8_t random[32];
    char secret[WEBHOOK_SECRET_SIZE];
    uint8_t sealed[SEALED_SIZE];
    ports->random_fill(random, sizeof(random));
    webhook_secret_format(random, secret);
    secret_webhook_seal(ports->crypto, &ports->master_key, tenant, name_of(read),
                        (text_t){.data = secret, .size = sizeof(secret)}, sealed);
    const text_t sealed_text = {.data = (const char *)sealed, .size = sizeof(sealed)};
    const webhook_row_t row = {.tenant = tenant,
                               .name = name_of(read),
                               .url =
                                   previous_until == 0 ? read->command.webhook_add.url : TEXT_NONE,
                               .created_at = ports->wall_ms(),
                               .sealed_secret = sealed_text};
    const webhooks_functions_t *const functions = ports->webhooks->functions;
    const result_t result =
        previous_until == 0
            ? functions->add(ports->webhooks, &row)
            : functions->rotate(ports->webhooks, tenant, row.name, sealed_text, previous_until);
    const crypto_functions_t *const crypto = ports->crypto;
    if (result == RESULT_OK) {
        reply_one(read, (text_t){.data = secret, .size = sizeof(secret)});
    } else {
        reply_failure(read, result);
    }
    crypto->wipe(secret, sizeof(secret));
    crypto->wipe(random, sizeof(random));
}

static void rotate(relay_read_t *read)
{
    const webhook_rotate_t *const command = &read->command.webhook_rotate;
    const uint64_t overlap_s =
        MESSAGE_HAS(webhook_rotate, command, overlap_s) ? command->overlap_s : OVERLAP_S;
    put_secret(read, read->relay->ports.wall_ms() + (int64_t)overlap_s * 1000);
}

/* Answers what it was. */
static void remove_webhook(relay_read_t *read)
{
    const relay_ports_t *const ports = &read->relay->ports;
    const text_t tenant = relay_tenant_name(read->tenant);
    const text_t name = name_of(read);
    gathering_t *const gathering = gather_all(read, name);
    if (gathering == NULL) {
        return;
    }
    const result_t result = ports->webhooks->functions->remove(ports->webhooks, tenant, name);
    if (result != RESULT_OK || gathering->count == 0) {
        reply_failure(read, result == RESULT_OK ? RESULT_MISSING : result);
        free(gathering);
        return;
    }
    relay_reply_document(read, &webhook_message, &gathering->items[0]);
    free(gathering);
}

static void replay(relay_read_t *read)
{
    webhooks_t *const store = read->relay->ports.webhooks;
    const webhook_replay_t *const command = &read->command.webhook_replay;
    const uint64_t partition =
        MESSAGE_HAS(webhook_replay, command, partition) ? command->partition : 0;
    if (partition >= read->tenant->partition_count) {
        relay_reply_error(read, RESULT_INVALID_PARAMETER,
                          "The tenant has no partition of this number.", "partition");
        return;
    }
    if (command->first == 0 || command->last < command->first) {
        relay_reply_error(read, RESULT_INVALID_PARAMETER,
                          "Sequences begin with 1, and `first` is not after `last`.", "first");
        return;
    }
    const webhook_range_t range = {
        .partition = (uint32_t)partition, .next = command->first, .last = command->last};
    const result_t result =
        store->functions->replay(store, relay_tenant_name(read->tenant), command->name, &range);
    if (result == RESULT_OK) {
        reply_one(read, TEXT_NONE);
    } else {
        reply_failure(read, result);
    }
}

static void enable(relay_read_t *read)
{
    webhooks_t *const store = read->relay->ports.webhooks;
    const result_t result =
        store->functions->disable(store, relay_tenant_name(read->tenant), name_of(read), TEXT_NONE);
    if (result == RESULT_OK) {
        reply_one(read, TEXT_NONE);
    } else {
        reply_failure(read, result);
    }
}

/* --- Dispatch --- */

static bool is_usable(relay_read_t *read)
{
    if (read->relay->ports.webhooks == NULL) {
        relay_reply_error(read, RESULT_NOT_IMPLEMENTED, "There are no webhooks here.", NULL);
        return false;
    }
    if (read->type != request_type_webhook_list && !webhook_name_is_usable(name_of(read))) {
        relay_reply_error(read, RESULT_INVALID_BODY,
                          "A webhook's name is 1 to 48 of a-z, 0-9, dot, hyphen and underscore, "
                          "and begins with a letter or digit.",
                          "name");
        return false;
    }
    if (read->type == request_type_webhook_add &&
        !webhook_url_is_usable(read->command.webhook_add.url)) {
        relay_reply_error(
            read, RESULT_INVALID_BODY,
            "The URL must be http:// or https:// with a host, without user, password and "
            "fragment.",
            "url");
        return false;
    }
    return true;
}

void relay_webhook_run(relay_read_t *read)
{
    if (!is_usable(read)) {
        return;
    }
    switch (read->type) {
    case request_type_webhook_add:
        put_secret(read, 0);
        break;
    case request_type_webhook_remove:
        remove_webhook(read);
        break;
    case request_type_webhook_enable:
        enable(read);
        break;
    case request_type_webhook_rotate:
        rotate(read);
        break;
    case request_type_webhook_replay:
        replay(read);
        break;
    case request_type_webhook_log:
        reply_log(read);
        break;
    default:
        reply_list(read);
        break;
    }
}
