/* The shard's frame: made and ended here, envelopes come in, turns end, the control store is
 * polled. Must not know what happens to a tenant or a card (tenant_actor.c, card_actor.c). */
#include "actors/domain/card_id.h"
#include "actors/shard/card_actor.h"
#include "actors/shard/member_desk.h"
#include "actors/shard/partition.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

bool shard_send(shard_t *shard, uint32_t kind, const actor_identity_t *identity,
                shard_message_t **message)
{
    actor_message_t *base = &(*message)->base;
    if (actor_system_send(shard->system, kind, identity, &base) != RESULT_OK) {
        return false;
    }
    *message = NULL;
    return true;
}

uuid_t shard_uuid(shard_t *shard, int64_t now_ms, uint32_t partition)
{
    enum { UUID_RANDOM_SIZE = 10 };
    if (shard->random_used + UUID_RANDOM_SIZE > SHARD_RANDOM_SIZE) {
        shard->ports.random_fill(shard->random, SHARD_RANDOM_SIZE);
        shard->random_used = 0;
    }
    const uint8_t *const random = shard->random + shard->random_used;
    shard->random_used += UUID_RANDOM_SIZE;
    return card_id_make(now_ms, partition, random);
}

/* --- What comes in --- */

static void answer_directory(shard_t *shard, shard_message_t **message)
{
    directory_get_t question;
    arena_t arena = {.base = shard->arena, .size = sizeof(shard->arena)};
    message_fault_t fault;
    const text_t body = (*message)->request.body;
    if (!message_unpack(&directory_get_message, MESSAGE_KEYS_IDS, (const uint8_t *)body.data,
                        body.size, &arena, &question, &fault)) {
        shard_message_fail(message, RESULT_INVALID_BODY, fault.detail, fault.field);
        return;
    }
    if (!directory_is_known(shard->directory)) {
        shard_message_fail(message, RESULT_UNAVAILABLE, "The control store cannot be read.", NULL);
        return;
    }
    const text_t document = directory_answer(shard->directory, &question);
    reply_t reply;
    reply_begin(&(*message)->request, &reply);
    reply_succeed(&reply, document);
    shard_message_reply(message, &reply);
    free((void *)(uintptr_t)document.data);
}

void shard_accept(shard_t *shard, shard_message_t **message)
{
    const request_t *const request = &(*message)->request;
    if (shard->is_draining) {
        shard_message_fail(message, RESULT_DRAINING, NULL, NULL);
        return;
    }
    if (shard->messages_alive > LIMIT_SHARD_REQUESTS) {
        shard_message_fail(message, RESULT_BUSY, NULL, NULL); /* more than was granted */
        return;
    }
    if (shard_message_has_key(*message) && request->key_hash.size != 32) {
        shard_message_fail(message, RESULT_INTERNAL, "A key came without the hash of its request.",
                           NULL);
        return;
    }
    if (!tenant_name_is_valid(request->tenant)) {
        shard_message_fail(message, RESULT_TENANT_NOT_FOUND, NULL, NULL);
        return;
    }
    tenant_t *const tenant = tenant_acquire(shard, request->tenant);
    shard_message_set_tenant(*message, tenant);
    tenant_deliver(tenant, message);
}

void shard_receive(shard_t *shard, uint32_t peer, const uint8_t *envelope, size_t size)
{
    shard_message_t *message = shard_message_decode(shard, peer, envelope, size);
    if (message == NULL) {
        return;
    }
    shard_front_heard(shard, peer);
    if (message->request.type == request_type_directory_get) {
        answer_directory(shard, &message);
        return;
    }
    shard_accept(shard, &message);
}

/* --- The control store --- */

/* Refreshing may close a deleted tenant, whose record may go: the next one is noted before. */
static void refresh_tenants(shard_t *shard)
{
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        tenant_t *tenant = shard->tenants[i];
        while (tenant != NULL) {
            tenant_t *const next = tenant->chain;
            tenant_refresh(tenant);
            tenant = next;
        }
    }
}

void shard_control_changed(shard_t *shard)
{
    bool changed = false;
    const result_t result = directory_poll(shard->directory, &changed);
    if (result != RESULT_OK && !shard->is_control_failing) { /* once, not five times a second */
        log_error("the control store cannot be read; tenants, token keys and quotas stay as they "
                  "were until it can",
                  LOG_STRING("code", result_code(result)));
    }
    shard->is_control_failing = result != RESULT_OK;
    if (changed) {
        refresh_tenants(shard);
        quarantine_refresh(shard->quarantine);
    }
}

/* Nothing acknowledged depends on it (sequences count, they do not tell time), but cards, replies
 * and reminders live longer by as much, so somebody has to know. */
static void watch_clock(shard_t *shard)
{
    const int64_t now_ms = shard->ports.wall_ms();
    if (now_ms + LIMIT_CLOCK_BACK_MS < shard->wall_seen_ms) {
        metric_add(shard->metrics.clock_set_back, 1);
        log_warn(
            "the clock was set back: cards, stored replies and reminders end later by as much; "
            "check the time of this machine",
            LOG_NUMBER("back_ms", shard->wall_seen_ms - now_ms));
    }
    shard->wall_seen_ms = now_ms;
}

static void poll_due(void *context)
{
    shard_t *const shard = context;
    watch_clock(shard);
    shard_control_changed(shard);
    store_watch_tick(shard);
    quarantine_tick(shard->quarantine);
    members_tick(shard);
    if (!shard->is_draining) {
        shard_sweep_tick(shard);
    }
}

/* --- The end of a turn --- */

static void submit_wanted(shard_t *shard)
{
    /* A failure closes the tenant, which takes its partitions out of both lists. One that the store
     * has no room for comes back in the other list. */
    shard->submitting_first = shard->wanted_first;
    shard->wanted_first = NULL;
    while (shard->submitting_first != NULL) { /* each is in the list once */
        partition_t *const partition = shard->submitting_first;
        shard->submitting_first = partition->wanted_next;
        partition->is_wanted = false;
        partition->wanted_next = NULL;
        if (partition->tenant->status == TENANT_OPEN) {
            partition_submit(partition);
        }
    }
}

static bool is_quiet(const shard_t *shard)
{
    return shard->messages_alive == 0 && shard->operations == 0;
}

static void flush_refusals(shard_t *shard)
{
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            if (tenant->status == TENANT_OPEN) {
                partition_want(&tenant->partitions[0]);
            }
        }
    }
}

/* Once, for cards that were used last: their tails are short when they come back. What was not
 * written then is not missed. */
static void save_cards(shard_t *shard)
{
    uint32_t saved = 0;
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        for (tenant_t *tenant = shard->tenants[i]; tenant != NULL; tenant = tenant->chain) {
            const card_actor_t *card = tenant->status == TENANT_OPEN ? tenant->cards : NULL;
            while (card != NULL && saved < LIMIT_DRAIN_SNAPSHOTS) {
                saved += card_actor_save((card_actor_t *)(uintptr_t)card) ? 1 : 0;
                card = card_actor_next(card);
            }
        }
    }
    if (saved > 0) {
        loop_again(shard->loop); /* the turn that follows submits */
    }
}

static void close_tenants(shard_t *shard)
{
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        tenant_t *tenant = shard->tenants[i];
        while (tenant != NULL) {
            tenant_t *const next = tenant->chain;
            if (tenant_is_idle(tenant)) {
                tenant_close(tenant);
            }
            tenant = next;
        }
    }
}

static void drain_further(shard_t *shard)
{
    if (!shard->is_draining || shard->is_drained || !is_quiet(shard)) {
        return;
    }
    if (!shard_fronts_are_done(shard)) {
        return; /* the timer asks again */
    }
    if (!shard->has_saved_cards) {
        shard->has_saved_cards = true;
        save_cards(shard);
    }
    close_tenants(shard);
    if (shard->tenants_open > 0) {
        return; /* a refusal log is being written */
    }
    shard->is_drained = true;
    loop_timer_stop(shard->poll_timer);
    shard->drained(shard->drained_context);
}

static void turn_end(void *context)
{
    shard_t *const shard = context;
    card_actor_drop_unknown(shard);
    if (shard->is_draining) {
        flush_refusals(shard);
    }
    members_work(shard);
    submit_wanted(shard);
    tenants_admit(shard);
    metric_set(shard->metrics.keys_in_flight, key_table_count(shard->key_table));
    drain_further(shard);
}

static void retry_due(void *context)
{
    (void)context; /* the turn that follows submits */
}

/* --- Begin and end --- */

void shard_drain(shard_t *shard, loop_callback_t *drained, void *context)
{
    assert(!shard->is_draining);
    shard->is_draining = true;
    shard->drained = drained;
    shard->drained_context = context;
    loop_timer_start(shard->retry_timer, 0, 0);
}

static void seed(shard_t *shard)
{
    shard->ports.random_fill(shard->hash_key, sizeof(shard->hash_key));
    shard->random_used = SHARD_RANDOM_SIZE;
}

result_t shard_create(loop_t *loop, metrics_t *metrics, const shard_ports_t *ports,
                      const shard_options_t *options, shard_t **shard)
{
    assert(options->shards >= 1 && options->index < options->shards);
    shard_t *created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    const result_t result = actor_system_create(loop, metrics, &created->system);
    if (result != RESULT_OK) {
        free(created);
        return result;
    }
    created->loop = loop;
    created->ports = *ports;
    created->options = *options;
    created->next_serial = 1;
    seed(created);
    shard_metrics_init(&created->metrics, metrics);
    created->options.activations_max =
        options->activations_max == 0 ? LIMIT_LOADS_IN_FLIGHT : options->activations_max;
    created->options.replies_ms =
        options->replies_ms == 0 ? (int64_t)LIMIT_IDEMPOTENCY_AGE_S * 1000 : options->replies_ms;
    const actor_system_options_t actor_options = {
        .bytes_max = options->actor_bytes_max, .activating_max = created->options.activations_max};
    actor_system_configure(created->system, &actor_options);
    created->tenant_kind = actor_system_register(created->system, &tenant_actor_kind, created);
    created->card_kind = actor_system_register(created->system, &card_actor_kind, created);
    created->directory = directory_create(ports->control, ports->revocations, ports->wall_ms);
    created->key_table = key_table_create(created->hash_key);
    created->member_keys =
        member_keys_create(ports->crypto, created->hash_key, LIMIT_MEMBER_KEYS_CACHED);
    created->members =
        members_create(created->hash_key, LIMIT_MEMBERS_CACHED, member_may_go, created);
    created->recalls = member_recalls_create(created);
    created->quarantine = quarantine_create(created);
    created->turn_end = loop_hook_create(loop, turn_end, created);
    created->retry_timer = loop_timer_create(loop, retry_due, created);
    created->poll_timer = loop_timer_create(loop, poll_due, created);
    loop_timer_start(created->poll_timer, LIMIT_DIRECTORY_POLL_MS, LIMIT_DIRECTORY_POLL_MS);
    *shard = created;
    shard_control_changed(created);
    return RESULT_OK;
}

/* Ends what waits for a commit that will not come; its clients are told nothing was stored. */
static void abandon_tenants(shard_t *shard)
{
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        tenant_t *tenant = shard->tenants[i];
        while (tenant != NULL) {
            tenant_t *const next = tenant->chain;
            tenant_fail(tenant, RESULT_DRAINING);
            tenant = next;
        }
    }
}

void shard_destroy(shard_t **shard)
{
    shard_t *const destroyed = *shard;
    if (destroyed == NULL) {
        return;
    }
    members_abandon(destroyed);
    abandon_tenants(destroyed);
    assert(destroyed->operations == 0); /* the journal has nothing of it any more */
    actor_system_destroy(&destroyed->system);
    for (size_t i = 0; i < SHARD_TENANT_BUCKETS; i++) {
        while (destroyed->tenants[i] != NULL) {
            tenant_destroy(destroyed->tenants[i]);
        }
    }
    loop_timer_destroy(&destroyed->poll_timer);
    loop_timer_destroy(&destroyed->retry_timer);
    loop_hook_destroy(&destroyed->turn_end);
    batch_pool_deinit(&destroyed->batches);
    member_keys_destroy(&destroyed->member_keys);
    members_destroy(&destroyed->members);
    member_recalls_destroy(&destroyed->recalls);
    key_table_destroy(&destroyed->key_table);
    quarantine_destroy(&destroyed->quarantine);
    directory_destroy(&destroyed->directory);
    destroyed->ports.crypto->wipe(&destroyed->ports.master_key,
                                  sizeof(destroyed->ports.master_key));
    free(destroyed);
    *shard = NULL;
}
