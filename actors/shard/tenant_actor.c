/* Opening, failing and closing of tenants. Must not look into requests. */
#include "actors/shard/tenant_actor.h"
#include "actors/domain/siphash.h"
#include "actors/secrets.h"
#include "actors/shard/card_actor.h"
#include "actors/shard/member_desk.h"
#include "actors/shard/partition.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

typedef struct tenant_actor {
    tenant_t *tenant;
} tenant_actor_t;

static tenant_t **bucket_of(shard_t *shard, text_t name)
{
    return &shard->tenants[siphash(shard->hash_key, name) % SHARD_TENANT_BUCKETS];
}

tenant_t *tenant_find(const shard_t *shard, text_t name)
{
    tenant_t *tenant = *bucket_of((shard_t *)shard, name);
    while (tenant != NULL && !text_equal(tenant_name(tenant), name)) {
        tenant = tenant->chain;
    }
    return tenant;
}

tenant_t *tenant_acquire(shard_t *shard, text_t name)
{
    assert(name.size <= LIMIT_TENANT_NAME_SIZE);
    tenant_t *tenant = tenant_find(shard, name);
    if (tenant == NULL) {
        tenant = calloc(1, sizeof(*tenant));
        assert(tenant != NULL);
        tenant->shard = shard;
        tenant->name_size = (uint32_t)name.size;
        memcpy(tenant->name, name.data, name.size);
        tenant_t **const bucket = bucket_of(shard, name);
        tenant->chain = *bucket;
        *bucket = tenant;
    }
    return tenant;
}

static void free_opened(tenant_t *tenant)
{
    const crypto_functions_t *const crypto = tenant->shard->ports.crypto;
    crypto->wipe(&tenant->secret, sizeof(tenant->secret));
    if (tenant->keys != NULL) {
        crypto->wipe(tenant->keys, tenant->key_count * sizeof(*tenant->keys));
    }
    free(tenant->keys);
    free(tenant->partitions);
    tenant->keys = NULL;
    tenant->key_count = 0;
    tenant->active_key = NULL;
    tenant->partitions = NULL;
    tenant->partition_count = 0;
}

void tenant_destroy(tenant_t *tenant)
{
    tenant_t **place = bucket_of(tenant->shard, tenant_name(tenant));
    while (*place != tenant) { /* it is in this chain */
        place = &(*place)->chain;
    }
    *place = tenant->chain;
    free_opened(tenant);
    free(tenant);
}

/* A record that nobody refers to goes, unless it has a failure to remember. */
static void destroy_if_unused(tenant_t *tenant)
{
    if (tenant->status == TENANT_CLOSED && tenant->messages == 0 && tenant->operations == 0 &&
        tenant->card_count == 0 && tenant->actor == NULL && tenant->failure == RESULT_OK) {
        tenant_destroy(tenant);
    }
}

void tenant_reference(tenant_t *tenant)
{
    tenant->messages++;
}

void tenant_release(tenant_t **tenant)
{
    tenant_t *const released = *tenant;
    *tenant = NULL;
    assert(released->messages > 0);
    released->messages--;
    destroy_if_unused(released);
}

bool tenant_is_idle(const tenant_t *tenant)
{
    if (tenant->status != TENANT_OPEN || tenant->messages > 0 || tenant->operations > 0 ||
        tenant->is_sweeping || tenant->is_cleaning) {
        return false;
    }
    if (tenant->work_first != NULL && !tenant->shard->is_draining) {
        return false; /* the successor goes on with it */
    }
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        if (!partition_is_idle(&tenant->partitions[i])) {
            return false;
        }
    }
    return true;
}

static void unlist_partitions(const tenant_t *tenant, partition_t **place)
{
    while (*place != NULL) { /* bounded by the partitions of open tenants */
        if ((*place)->tenant == tenant) {
            (*place)->is_wanted = false;
            *place = (*place)->wanted_next;
        } else {
            place = &(*place)->wanted_next;
        }
    }
}

static void drop_cards(tenant_t *tenant)
{
    card_actor_t *card = tenant->cards;
    while (card != NULL) { /* bounded by LIMIT_ACTORS_ACTIVE */
        card_actor_t *const next = card_actor_next(card);
        card_actor_drop(card);
        card = next;
    }
}

static void drop_actor(tenant_t *tenant)
{
    actor_t *const actor = tenant->actor;
    if (actor != NULL) {
        tenant->actor = NULL;
        ((tenant_actor_t *)actor_state(actor))->tenant = NULL;
        actor_drop(actor);
    }
}

/* Ends a closing once the store has nothing of the tenant any more. */
static void finish_closing(tenant_t *tenant)
{
    if (tenant->status != TENANT_CLOSING || tenant->operations > 0) {
        return;
    }
    assert(tenant->cards == NULL); /* they point to its partitions */
    member_tenant_closed(tenant);
    shard_t *const shard = tenant->shard;
    shard->ports.journal->functions->close(shard->ports.journal, &tenant->journal);
    unlist_partitions(tenant, &shard->wanted_first);
    unlist_partitions(tenant, &shard->submitting_first);
    if (tenant->is_deleted) {
        member_keys_forget_tenant(shard->member_keys, tenant_identity(tenant));
        tenant->is_deleted = false;
        tenant->failure = RESULT_OK;
    }
    free_opened(tenant);
    tenant->is_sweeping = false;
    tenant->is_cleaning = false;
    tenant->is_clean_ensured = false;
    tenant->reminders = (tenant_reminders_t){0};
    tenant->created_at = 0;
    tenant->status = TENANT_CLOSED;
    shard->tenants_open--;
    metric_set(shard->metrics.tenants_open, shard->tenants_open);
}

void tenant_operation_begin(tenant_t *tenant)
{
    tenant->operations++;
    tenant->shard->operations++;
}

void tenant_operation_end(tenant_t *tenant)
{
    assert(tenant->operations > 0);
    tenant->operations--;
    tenant->shard->operations--;
    finish_closing(tenant);
    destroy_if_unused(tenant);
}

static void begin_closing(tenant_t *tenant)
{
    tenant->status = TENANT_CLOSING;
    tenant->generation++;
    tenant_reference(tenant); /* keeps the record while its cards and actor go */
    drop_cards(tenant);
    drop_actor(tenant);
    finish_closing(tenant);
    tenant_release(&tenant);
}

void tenant_close(tenant_t *tenant)
{
    assert(tenant_is_idle(tenant));
    tenant->failure = RESULT_OK;
    begin_closing(tenant);
}

/* The pause before it is opened again doubles with each failure in a row. */
static void note_failure(tenant_t *tenant, result_t why)
{
    tenant->failure = why;
    tenant->backoff_ms = tenant->backoff_ms == 0 ? LIMIT_BACKOFF_MS_MIN : 2 * tenant->backoff_ms;
    if (tenant->backoff_ms > LIMIT_BACKOFF_MS_MAX) {
        tenant->backoff_ms = LIMIT_BACKOFF_MS_MAX;
    }
    tenant->retry_at_ms = loop_now_ms(tenant->shard->loop) + tenant->backoff_ms;
    if (why == RESULT_DRAINING) {
        return; /* the shard ends */
    }
    if (why == RESULT_STORE_FULL) {
        store_watch_refused(tenant->shard, tenant_name(tenant));
    }
    log_error("the store of a tenant failed; nothing that was not acknowledged is kept, and it is "
              "opened again after a pause",
              LOG_TEXT("tenant", tenant->name, tenant->name_size),
              LOG_STRING("code", result_code(why)), LOG_NUMBER("pause_ms", tenant->backoff_ms));
}

void tenant_fail(tenant_t *tenant, result_t why)
{
    if (tenant->status != TENANT_OPEN) {
        return; /* the first failure has said it all */
    }
    if (tenant->is_deleted) {
        tenant->failure = RESULT_TENANT_NOT_FOUND;
        tenant->retry_at_ms = 0;
    } else {
        note_failure(tenant, why);
    }
    tenant->status = TENANT_CLOSING; /* replies below must not lead to new work */
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        partition_fail(&tenant->partitions[i], tenant->failure, NULL);
    }
    begin_closing(tenant);
}

void tenant_committed(tenant_t *tenant)
{
    tenant->backoff_ms = 0;
}

/* --- Keys --- */

typedef struct key_reading {
    tenant_t *tenant;
    bool is_usable;
} key_reading_t;

static bool open_keys(tenant_t *tenant, const control_tenant_t *row, tenant_key_t *keys)
{
    const shard_ports_t *const ports = &tenant->shard->ports;
    for (uint32_t i = 0; i < row->key_count; i++) {
        keys[i].state = row->keys[i].state;
        keys[i].signing.kid = row->keys[i].kid;
        if (!secret_card_key_open(ports->crypto, &ports->master_key, tenant_name(tenant),
                                  row->keys[i].kid, row->keys[i].sealed_secret,
                                  &keys[i].signing.key)) {
            return false;
        }
    }
    return secret_tenant_open(ports->crypto, &ports->master_key, tenant_name(tenant),
                              row->sealed_secret, &tenant->secret);
}

static bool read_keys(void *context, const control_tenant_t *row)
{
    key_reading_t *const reading = context;
    tenant_t *const tenant = reading->tenant;
    const crypto_functions_t *const crypto = tenant->shard->ports.crypto;
    if (row->created_at != tenant->created_at) { /* a namesake, whose keys are not for this one */
        tenant->is_deleted = true;
        reading->is_usable = true;
        return false;
    }
    if (row->key_count == 0 || row->key_count > CONTROL_KEYS_PER_TENANT_MAX) {
        return false;
    }
    tenant_key_t *keys = calloc(row->key_count, sizeof(*keys));
    assert(keys != NULL);
    if (!open_keys(tenant, row, keys)) {
        crypto->wipe(keys, row->key_count * sizeof(*keys));
        free(keys);
        return false;
    }
    if (tenant->keys != NULL) {
        crypto->wipe(tenant->keys, tenant->key_count * sizeof(*tenant->keys));
        free(tenant->keys);
    }
    tenant->keys = keys;
    tenant->key_count = row->key_count;
    tenant->active_key = NULL;
    for (uint32_t i = 0; i < row->key_count; i++) {
        if (keys[i].state == key_state_active) {
            tenant->active_key = &keys[i].signing;
        }
    }
    if (tenant->quotas.rate != row->quotas.rate) {
        tenant->rate_at_ms = loop_now_ms(tenant->shard->loop);
        tenant->rate_left = row->quotas.rate * 1000;
    }
    tenant->quotas = row->quotas;
    reading->is_usable = tenant->active_key != NULL;
    return false;
}

/* TENANT_NOT_FOUND, or STORE_UNAVAILABLE when the keys cannot be had. When there is another tenant
 * of that name, `is_deleted`. */
static result_t load_keys(tenant_t *tenant)
{
    key_reading_t reading = {.tenant = tenant};
    control_store_t *const control = tenant->shard->ports.control;
    const result_t result =
        control->functions->tenant(control, tenant_name(tenant), read_keys, &reading);
    if (result == RESULT_MISSING) {
        return RESULT_TENANT_NOT_FOUND;
    }
    if (result != RESULT_OK || !reading.is_usable) {
        log_error("the keys of a tenant cannot be read; check control store and master key",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size),
                  LOG_STRING("code", result_code(result)));
        return RESULT_STORE_UNAVAILABLE;
    }
    return RESULT_OK;
}

/* --- Flags --- */

/* One that this version does not know is of another: it is left alone. */
static bool read_flag(void *context, const flag_setting_t *setting)
{
    flag_settings_t *const settings = context;
    flag_t flag;
    if (setting->is_set && flag_parse(setting->name, &flag)) {
        settings->percent[flag] = setting->percent;
    }
    return true;
}

/* What is known stays when they cannot be read: a flag must not stop a gate. */
static void load_flags(tenant_t *tenant)
{
    flags_t *const store = tenant->shard->ports.flags;
    flag_settings_t settings = {0};
    if (store == NULL) {
        return;
    }
    const result_t result =
        store->functions->visit(store, tenant_name(tenant), 0, read_flag, &settings);
    if (result == RESULT_OK) {
        tenant->flags = settings;
    } else {
        log_warn("the flags of a tenant cannot be read; they stay as they were",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size),
                 LOG_STRING("code", result_code(result)));
    }
}

static result_t load_control(tenant_t *tenant)
{
    const result_t result = load_keys(tenant);
    if (result == RESULT_OK && !tenant->is_deleted) {
        load_flags(tenant);
    }
    return result;
}

void tenant_refresh(tenant_t *tenant)
{
    if (tenant->status != TENANT_OPEN) {
        return; /* the keys are read when it opens */
    }
    const result_t result = load_control(tenant);
    if (result == RESULT_TENANT_NOT_FOUND || tenant->is_deleted) {
        log_info("a tenant was deleted; its journal is closed",
                 LOG_TEXT("tenant", tenant->name, tenant->name_size));
        tenant->is_deleted = true;
        tenant_fail(tenant, RESULT_TENANT_NOT_FOUND);
    }
}

/* --- The actor --- */

/* Ends an activation; its waiting messages are answered with `why`. */
static void fail_activation(tenant_t *tenant, actor_t *actor, result_t why)
{
    ((tenant_actor_t *)actor_state(actor))->tenant = NULL;
    tenant->actor = NULL;
    tenant_reference(tenant); /* keeps the record until its messages are answered */
    actor_failed(actor, why);
    tenant_release(&tenant);
}

static void fail_opening(tenant_t *tenant, result_t why)
{
    shard_t *const shard = tenant->shard;
    if (tenant->journal != NULL) {
        shard->ports.journal->functions->close(shard->ports.journal, &tenant->journal);
    }
    free_opened(tenant);
    tenant->is_deleted = false;
    tenant->created_at = 0;
    tenant->status = TENANT_CLOSED;
    shard->tenants_open--;
    metric_set(shard->metrics.tenants_open, shard->tenants_open);
    if (why == RESULT_TENANT_NOT_FOUND || why == RESULT_BUSY) {
        tenant->failure = RESULT_OK;
    } else {
        note_failure(tenant, why);
    }
    fail_activation(tenant, tenant->actor, why);
}

static void set_partitions(tenant_t *tenant, const journal_opened_t *opened)
{
    tenant->partition_count = opened->partition_count;
    tenant->partitions = calloc(opened->partition_count, sizeof(*tenant->partitions));
    assert(tenant->partitions != NULL);
    tenant->usage = (tenant_usage_t){0};
    for (uint32_t i = 0; i < opened->partition_count; i++) {
        tenant->usage.cards += (int64_t)opened->partitions[i].cards;
        tenant->usage.bytes += opened->partitions[i].bytes;
        partition_init(&tenant->partitions[i], tenant, i, &opened->partitions[i]);
    }
}

static void open_done(void *context, const journal_opened_t *opened)
{
    tenant_t *const tenant = context;
    shard_t *const shard = tenant->shard;
    assert(tenant->status == TENANT_OPENING);
    result_t result = opened->result;
    if (result == RESULT_OK) {
        assert(opened->partition_count >= 1 && opened->partition_count <= LIMIT_PARTITIONS);
        tenant->journal = opened->tenant;
        result = load_control(tenant);
        if (result == RESULT_OK && tenant->is_deleted) {
            result = RESULT_BUSY; /* whose journal that is nobody knows: opened anew */
        }
    } else if (result == RESULT_MISSING) {
        log_error("the journal of a tenant is missing; restore it from a backup",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size));
        result = RESULT_STORE_UNAVAILABLE;
    }
    if (result != RESULT_OK) {
        fail_opening(tenant, result);
    } else {
        set_partitions(tenant, opened);
        tenant->tag = card_code_tenant_tag(tenant_name(tenant));
        tenant->status = TENANT_OPEN;
        tenant->failure = RESULT_OK;
        tenant->retry_at_ms = 0;
        tenant->generation++;
        tenant->sweep_at_ms = loop_now_ms(shard->loop); /* what fell due while it was closed */
        store_watch_opened(shard);
        member_tenant_opened(tenant);
        actor_activated(tenant->actor);
    }
    tenant_operation_end(tenant);
}

/* Closes the idle tenant that was used longest ago when too many are open. */
static result_t make_room(shard_t *shard)
{
    if (shard->tenants_open < journal_tenants_max(shard->ports.journal)) {
        return RESULT_OK;
    }
    tenant_t *oldest = NULL;
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            if (tenant_is_idle(tenant) &&
                (oldest == NULL || tenant->used_at_ms < oldest->used_at_ms)) {
                oldest = tenant;
            }
        }
    }
    if (oldest == NULL) {
        return RESULT_BUSY;
    }
    tenant_close(oldest);
    return RESULT_OK;
}

static bool is_failing(const tenant_t *tenant)
{
    return tenant->status == TENANT_CLOSING ||
           (tenant->status == TENANT_CLOSED && tenant->failure != RESULT_OK &&
            loop_now_ms(tenant->shard->loop) < tenant->retry_at_ms);
}

static result_t failure_of(const tenant_t *tenant)
{
    return tenant->failure == RESULT_OK ? RESULT_UNAVAILABLE : tenant->failure;
}

static bool note_identity(void *context, const control_tenant_t *row)
{
    tenant_t *const tenant = context;
    tenant->created_at = row->created_at;
    memcpy(tenant->identity, tenant->name, tenant->name_size);
    memcpy(tenant->identity + tenant->name_size, &row->created_at, sizeof(row->created_at));
    return false;
}

/* Names that do not exist must not reach the journal. Which tenant it is, is noted before its
 * journal is opened and compared afterwards: between the two it may give way to a namesake. */
static result_t check_exists(tenant_t *tenant)
{
    control_store_t *const control = tenant->shard->ports.control;
    const result_t result =
        control->functions->tenant(control, tenant_name(tenant), note_identity, tenant);
    if (result == RESULT_MISSING) {
        store_watch_gone(tenant->shard, tenant_name(tenant));
        return RESULT_TENANT_NOT_FOUND;
    }
    return result == RESULT_OK ? RESULT_OK : RESULT_STORE_UNAVAILABLE;
}

/* --- The line of those that wait for a place --- */

static void wait_in_line(tenant_t *tenant)
{
    shard_t *const shard = tenant->shard;
    const actor_message_t *const first = actor_first_message(tenant->actor);
    tenant->status = TENANT_WAITING;
    tenant->waiting_next = NULL;
    tenant->wait_until_ms = loop_now_ms(shard->loop) + LIMIT_REQUEST_DEADLINE_MS;
    if (first != NULL) {
        const uint64_t deadline_ms = ((const shard_message_t *)first)->deadline_ms;
        if (deadline_ms < tenant->wait_until_ms) {
            tenant->wait_until_ms = deadline_ms;
        }
    }
    if (shard->waiting_last == NULL) {
        shard->waiting_first = tenant;
    } else {
        shard->waiting_last->waiting_next = tenant;
    }
    shard->waiting_last = tenant;
}

static void leave_line(shard_t *shard, tenant_t *previous, tenant_t *tenant)
{
    if (previous == NULL) {
        shard->waiting_first = tenant->waiting_next;
    } else {
        previous->waiting_next = tenant->waiting_next;
    }
    if (shard->waiting_last == tenant) {
        shard->waiting_last = previous;
    }
    tenant->waiting_next = NULL;
}

/* False: the store is still closing files of others; the tenant keeps its place in line. */
static bool open_first(shard_t *shard)
{
    tenant_t *const tenant = shard->waiting_first;
    tenant->status = TENANT_OPENING;
    const result_t result = shard->ports.journal->functions->open(
        shard->ports.journal, tenant_name(tenant), text_from_c(shard->options.incarnation),
        open_done, tenant);
    if (result == RESULT_BUSY) {
        tenant->status = TENANT_WAITING;
        return false;
    }
    leave_line(shard, NULL, tenant);
    shard->tenants_open++;
    metric_set(shard->metrics.tenants_open, shard->tenants_open);
    if (result == RESULT_OK) {
        tenant_operation_begin(tenant);
    } else {
        fail_opening(tenant, result);
    }
    return true;
}

static void refuse_late(shard_t *shard)
{
    const uint64_t now_ms = loop_now_ms(shard->loop);
    tenant_t *previous = NULL;
    tenant_t *tenant = shard->waiting_first;
    while (tenant != NULL) { /* each is in the line once */
        tenant_t *const next = tenant->waiting_next;
        if (now_ms >= tenant->wait_until_ms) {
            leave_line(shard, previous, tenant);
            tenant->status = TENANT_CLOSED;
            tenant->failure = RESULT_OK;
            fail_activation(tenant, tenant->actor, RESULT_BUSY);
        } else {
            previous = tenant;
        }
        tenant = next;
    }
}

void tenants_admit(shard_t *shard)
{
    bool goes_on = true;
    while (goes_on && shard->waiting_first != NULL) { /* each turn one leaves the line */
        goes_on = make_room(shard) == RESULT_OK && open_first(shard);
    }
    if (shard->waiting_first != NULL) {
        refuse_late(shard);
    }
}

static void activate(actor_t *actor, void *context)
{
    shard_t *const shard = context;
    const actor_identity_t identity = actor_identity(actor);
    tenant_t *const tenant =
        tenant_find(shard, (text_t){.data = identity.tenant, .size = identity.tenant_size});
    assert(tenant != NULL); /* its waiting messages keep the record */
    if (is_failing(tenant)) {
        fail_activation(tenant, actor, failure_of(tenant));
        return;
    }
    assert(tenant->status == TENANT_CLOSED);
    const result_t result = check_exists(tenant);
    if (result != RESULT_OK) {
        tenant->failure = RESULT_OK;
        fail_activation(tenant, actor, result);
        return;
    }
    ((tenant_actor_t *)actor_state(actor))->tenant = tenant;
    tenant->actor = actor;
    wait_in_line(tenant);
    tenants_admit(shard);
}

static result_t receive(actor_t *actor, actor_message_t *base, void *context)
{
    (void)base;
    (void)context;
    tenant_t *const tenant = ((tenant_actor_t *)actor_state(actor))->tenant;
    shard_message_t *message = shard_message_of(actor_take_message(actor));
    assert(message->tenant->mailbox > 0);
    message->tenant->mailbox--;
    if (tenant == NULL || tenant->status != TENANT_OPEN) {
        shard_message_fail(&message, failure_of(message->tenant), NULL, NULL);
    } else if (message->kind == SHARD_SWEEP) {
        tenant_sweep(tenant);
        shard_message_destroy(&message);
    } else {
        tenant_route(tenant, &message);
    }
    return RESULT_OK;
}

static void undeliverable(actor_t *actor, actor_message_t *base, result_t why, void *context)
{
    (void)context;
    (void)actor;
    shard_message_t *const message = shard_message_of(base);
    assert(message->tenant->mailbox > 0);
    message->tenant->mailbox--;
    shard_message_fail_undelivered(message, why);
}

static bool may_passivate(actor_t *actor, bool is_pressing, void *context)
{
    (void)actor;
    (void)is_pressing;
    (void)context;
    return false; /* make_room does, by open files */
}

static void deactivate(actor_t *actor, void *context)
{
    (void)context;
    tenant_t *const tenant = ((tenant_actor_t *)actor_state(actor))->tenant;
    if (tenant != NULL) {
        tenant->actor = NULL;
    }
}

const actor_kind_t tenant_actor_kind = {
    .name = "tenant",
    .state_size = sizeof(tenant_actor_t),
    .activate = activate,
    .receive = receive,
    .undeliverable = undeliverable,
    .may_passivate = may_passivate,
    .deactivate = deactivate,
    .describe = shard_message_describe,
};

/* --- Namesakes: a tenant that was deleted, and one that was given its name --- */

bool tenant_is_meant(const tenant_t *tenant, const shard_message_t *message)
{
    const request_t *const request = &message->request;
    return message->kind != SHARD_REQUEST || !MESSAGE_HAS(request, request, tenant_since) ||
           (int64_t)request->tenant_since == tenant->created_at;
}

static bool read_since(void *context, const control_tenant_t *row)
{
    *(int64_t *)context = row->created_at;
    return false;
}

void tenant_refuse_namesake(const tenant_t *tenant, shard_message_t **message)
{
    control_store_t *const control = tenant->shard->ports.control;
    int64_t since = 0;
    const result_t result =
        control->functions->tenant(control, tenant_name(tenant), read_since, &since);
    const bool is_gone =
        result == RESULT_MISSING ||
        (result == RESULT_OK && since != (int64_t)(*message)->request.tenant_since);
    shard_message_fail(message, is_gone ? RESULT_TENANT_NOT_FOUND : RESULT_BUSY, NULL, NULL);
}

void tenant_deliver(tenant_t *tenant, shard_message_t **message)
{
    shard_t *const shard = tenant->shard;
    tenant->used_at_ms =
        (*message)->kind == SHARD_SWEEP ? tenant->used_at_ms : loop_now_ms(shard->loop);
    if (tenant->status == TENANT_OPEN && !tenant_is_meant(tenant, *message)) {
        tenant_refresh(tenant); /* the deleted one goes, and its namesake is opened */
    }
    if (tenant->status == TENANT_CLOSING && !tenant_is_meant(tenant, *message)) {
        tenant_refuse_namesake(tenant, message);
        return;
    }
    if (is_failing(tenant)) {
        shard_message_fail(message, failure_of(tenant), NULL, NULL);
        return;
    }
    if (tenant->status == TENANT_OPEN && tenant->mailbox == 0 && (*message)->kind != SHARD_SWEEP) {
        tenant_route(tenant, message);
        return;
    }
    const actor_identity_t identity = {.tenant = tenant->name, .tenant_size = tenant->name_size};
    tenant->mailbox++;
    if (!shard_send(shard, shard->tenant_kind, &identity, message)) {
        tenant->mailbox--;
        shard_message_fail(message, RESULT_BUSY, NULL, NULL);
    }
}
