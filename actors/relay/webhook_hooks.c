/* Rows of the control store as hooks: read anew when the store changed. Opens secrets; must not
 * send. */
#include "actors/relay/webhook_sender.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

static bool is_of(const hook_t *hook, const webhook_row_t *row)
{
    return !hook->is_gone && hook->created_at == row->created_at &&
           hook->tenant_created_at == row->tenant_created_at &&
           text_equal(hook_tenant_name(hook), row->tenant) &&
           text_equal(hook_name(hook), row->name);
}

/* Rows come in the order in which they came the last time: it is mostly the next one. */
static hook_t *find(webhook_sender_t *sender, const webhook_row_t *row)
{
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        const uint32_t index = (sender->look + i) % sender->hook_count;
        if (is_of(sender->hooks[index], row)) {
            sender->look = index + 1;
            return sender->hooks[index];
        }
    }
    return NULL;
}

static hook_t *make(webhook_sender_t *sender, const webhook_row_t *row)
{
    if (sender->hook_count == LIMIT_WEBHOOKS_ALL) {
        return NULL;
    }
    hook_t *const hook = calloc(1, sizeof(*hook));
    assert(hook != NULL);
    hook->sender = sender;
    memcpy(hook->tenant, row->tenant.data, row->tenant.size);
    hook->tenant_size = row->tenant.size;
    hook->name_size = webhook_consumer_name(row->name, hook->name).size;
    hook->created_at = row->created_at;
    hook->tenant_created_at = row->tenant_created_at;
    circuit_breaker_init(&hook->breaker, hook_now_ms(hook));
    sender->hooks[sender->hook_count++] = hook;
    return hook;
}

static bool open_secrets(hook_t *hook, const webhook_row_t *row)
{
    const relay_ports_t *const ports = &hook->sender->relay->ports;
    if (!secret_webhook_open(ports->crypto, &ports->master_key, row->tenant, row->name,
                             row->sealed_secret, hook->secret, sizeof(hook->secret))) {
        return false;
    }
    const bool has_previous =
        row->sealed_previous.size > 0 &&
        secret_webhook_open(ports->crypto, &ports->master_key, row->tenant, row->name,
                            row->sealed_previous, hook->previous, sizeof(hook->previous));
    hook->previous_until = has_previous ? row->previous_until : 0;
    return true;
}

static void enable(hook_t *hook, bool is_disabled)
{
    if (hook->is_disabled && !is_disabled) {
        circuit_breaker_reset(&hook->breaker, hook_now_ms(hook));
        hook->begins_anew = true;
    }
    hook->is_disabled = is_disabled;
}

/* No call of the store in here. */
static bool take_row(void *context, const webhook_row_t *row)
{
    webhook_sender_t *const sender = context;
    if (row->tenant.size > LIMIT_TENANT_NAME_SIZE || row->name.size > WEBHOOK_NAME_SIZE_MAX ||
        row->url.size > WEBHOOK_URL_SIZE_MAX) {
        return true; /* of a later version */
    }
    hook_t *hook = find(sender, row);
    hook = hook == NULL ? make(sender, row) : hook;
    if (hook == NULL) {
        log_error("there are more webhooks than a relay serves: one gets nothing",
                  LOG_NUMBER("limit", LIMIT_WEBHOOKS_ALL),
                  LOG_TEXT("tenant", row->tenant.data, row->tenant.size));
        return true;
    }
    hook->is_seen = true;
    memcpy(hook->url, row->url.data, row->url.size);
    hook->url_size = row->url.size;
    const bool opens = open_secrets(hook, row);
    if (!opens) {
        log_error("the secret of a webhook does not open: is it the master key it was sealed with?",
                  LOG_TEXT("tenant", row->tenant.data, row->tenant.size),
                  LOG_TEXT("webhook", row->name.data, row->name.size));
    }
    enable(hook, !opens || row->disabled.size > 0);
    if (hook->replay.last == 0 && row->replay_last > 0) {
        hook->replay = (webhook_range_t){
            .partition = row->replay_partition, .next = row->replay_next, .last = row->replay_last};
    }
    return true;
}

void hook_begin_anew(hook_t *hook)
{
    if (hook->is_stale && hook->reading == 0 && hook->call_count == 0) {
        hook_lanes_free(hook);
        hook->replay = (webhook_range_t){0};
        hook->is_stale = false;
        hook->sender->version = 0; /* a replay that the other one has gone on with is in its row */
    }
    if (hook->begins_anew && hook->reading == 0 && hook->call_count == 0) {
        hook_lanes_free(hook);
        hook->begins_anew = false;
        hook->forgets_tries = true;
    }
}

void hooks_load(webhook_sender_t *sender)
{
    relay_t *const relay = sender->relay;
    if (relay->control_version == sender->version) {
        return;
    }
    sender->look = 0;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        sender->hooks[i]->is_seen = false;
    }
    webhooks_t *const store = relay->ports.webhooks;
    if (store->functions->visit(store, TEXT_NONE, take_row, sender) != RESULT_OK) {
        return; /* as last known; tried again in the next turn */
    }
    sender->version = relay->control_version;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_t *const hook = sender->hooks[i];
        if (!hook->is_gone && !hook->is_seen) {
            hook->is_gone = true;
        }
        if (hook->is_gone || hook->is_disabled) {
            hook_cancel_calls(hook);
        }
    }
}

static void forget_outcomes(webhook_sender_t *sender, const hook_t *hook)
{
    for (uint32_t i = 0; i < sender->outcome_count; i++) {
        if (sender->outcomes[i].hook == hook) {
            sender->outcomes[i].hook = NULL;
        }
    }
}

void hooks_sweep(webhook_sender_t *sender, bool all)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_t *const hook = sender->hooks[i];
        if (!all && (!hook->is_gone || hook->reading > 0)) {
            sender->hooks[kept++] = hook;
            continue;
        }
        assert(hook->reading == 0 && hook->call_count == 0);
        forget_outcomes(sender, hook);
        hook_lanes_free(hook);
        sender->relay->ports.crypto->wipe(hook, sizeof(*hook));
        free(hook);
    }
    sender->hook_count = kept;
}
