/* Gives actors their turns, and is what they all live in. Handlers run only from the loop's hook,
 * one at a time. Must not know what messages mean. */
#include "runtime/actor_internal.h"

#include "runtime/loop_internal.h"
#include "runtime/ticks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Turns --- */

enum { SAMPLE_INTERVAL = 64, ACCOUNT_INTERVAL = 16 };

static void describe(actor_system_t *system, const actor_slot_t *slot,
                     const actor_message_t *message)
{
    actor_description_t *const description = &system->description;
    *description = (actor_description_t){0};
    if ((message->flags & ACTOR_MESSAGE_SYSTEM) != 0) {
        return; /* not the kind's, and nobody's command */
    }
    slot->kind.describe(message, description, slot->context);
    assert(description->trace_id_size <= ACTOR_TRACE_ID_SIZE);
    if (description->trace_id_size > 0) {
        memcpy(system->trace_id, description->trace_id, description->trace_id_size);
    }
}

/* What `count` handlers took, in messages, goes to the tenant's account. */
static void account(actor_system_t *system, actor_t *actor, uint32_t count)
{
    actor_slot_t *const slot = actor->slot;
    const uint64_t now = ticks_now();
    const uint64_t elapsed = now - system->ticks;
    system->ticks = now;
    uint32_t cost = count;
    if (__builtin_expect(elapsed > system->charge_ticks, 0)) {
        const uint64_t charges = elapsed / system->charge_ticks;
        cost += charges < LIMIT_TENANT_DEBT ? (uint32_t)charges : LIMIT_TENANT_DEBT;
    }
    scheduler_charge(actor->tenant, cost);
    if (--slot->until_sample == 0) { /* the histogram costs more than a small handler */
        slot->until_sample = SAMPLE_INTERVAL;
        metric_observe_us(slot->handler_time, elapsed / count / system->ticks_per_us);
    }
    if (__builtin_expect(elapsed > slot->handler_ticks_longest, 0)) {
        slot->handler_ticks_longest = elapsed;
    }
    if (__builtin_expect(elapsed > slot->handler_ticks_max, 0)) {
        slot->numbers.slow_handlers++;
        actor_log(actor, "a handler took longer than its budget", RESULT_OK,
                  elapsed / system->ticks_per_us);
    }
    slot->numbers.messages_handled += count;
}

static void handle(actor_system_t *system, actor_t *actor, actor_message_t *message)
{
    actor_slot_t *const slot = actor->slot;
    if (slot->kind.describe != NULL) {
        describe(system, slot, message);
    }
    system->current_message = message;
    result_t result = slot->kind.receive(actor, message, slot->context);
    if (slot->kind.describe != NULL) {
        account(system, actor, 1);
    }
    if (system->current_message != NULL) {
        actor_message_free(system, message);
    }
    if (__builtin_expect(actor->has_failed, 0)) {
        actor->has_failed = false;
        result = RESULT_NO_MEMORY;
    }
    if (__builtin_expect(result != RESULT_OK, 0)) {
        actor_supervise_failure(actor, result);
    }
}

/* One who waits is told when the mailbox is half empty: he may fill it, and the others would wake
 * for nothing. All are told when nothing is left, so that nobody waits for a turn that never comes.
 */
static void tell_room(actor_t *actor)
{
    const uint32_t count = actor->mailbox.count[MAILBOX_USER];
    if (count == 0) {
        notice_tell_room(actor, actor->slot->mailbox_max);
    } else if (count <= actor->slot->room_at) {
        notice_tell_room(actor, 1);
    }
}

/* Handles up to `messages_max` messages; returns how many. Reading the time stamp costs as much as
 * sending a message, so kinds without commands to be named are measured some handlers at a time. */
static uint32_t actor_run(actor_system_t *system, actor_t *actor, uint32_t messages_max)
{
    actor_slot_t *const slot = actor->slot;
    uint32_t count = 0;
    uint32_t unaccounted = 0;
    actor->mailbox.phase = ACTOR_RUNNING;
    system->current_actor = actor;
    while (count < messages_max && actor->mailbox.due == ACTOR_DUE_NOTHING &&
           actor->tenant->deficit > 0) {
        actor_message_t *const message = mailbox_take(&actor->mailbox);
        if (message == NULL) {
            break;
        }
        slot->numbers.messages_waiting--;
        count++;
        if (message->flags != 0 && notice_is_dead_letter(system, message)) {
            scheduler_charge(actor->tenant, 1);
            if ((message->flags & ACTOR_MESSAGE_REQUEST) != 0) {
                metric_add(slot->dead_not_awaited, 1);
            }
            actor_message_free(system, message);
            continue;
        }
        handle(system, actor, message);
        if (++unaccounted == ACCOUNT_INTERVAL && slot->kind.describe == NULL) {
            account(system, actor, unaccounted);
            unaccounted = 0;
        }
    }
    if (unaccounted > 0 && slot->kind.describe == NULL) {
        account(system, actor, unaccounted);
    }
    if (__builtin_expect(actor->mailbox.has_room_waiters, 0)) {
        tell_room(actor);
    }
    system->current_actor = NULL;
    system->current_message = NULL;
    actor_turn_over(actor);
    return count;
}

/* What it took is its tenant's, and not that of whoever comes next. The actor may be gone. */
static void activate(actor_system_t *system, actor_t *actor, scheduler_tenant_t *tenant)
{
    const bool is_measured = !actor->slot->kind.is_anonymous; /* those load nothing */
    actor_activate(actor);
    uint64_t charges = 0;
    if (is_measured) {
        const uint64_t now = ticks_now();
        charges = (now - system->ticks) / system->charge_ticks;
        system->ticks = now;
    }
    scheduler_charge(tenant,
                     1 + (uint32_t)(charges < LIMIT_TENANT_DEBT ? charges : LIMIT_TENANT_DEBT));
}

/* One actor's turn; returns what it used of the loop's budget. */
static uint32_t run_next(actor_system_t *system, scheduler_tenant_t *tenant, uint32_t budget)
{
    actor_t *const actor = actor_list_take(&tenant->run);
    if (actor->mailbox.phase == ACTOR_NEW) {
        activate(system, actor, tenant);
        return 1;
    }
    return actor_run(system, actor,
                     budget < LIMIT_ACTOR_TURN_MESSAGES ? budget : LIMIT_ACTOR_TURN_MESSAGES);
}

static void count_metrics(actor_slot_t *slot)
{
    const actor_system_numbers_t *const now = &slot->numbers;
    const actor_system_numbers_t *const before = &slot->counted;
    metric_add(slot->messages, now->messages_handled - before->messages_handled);
    metric_add(slot->activations, now->activations - before->activations);
    metric_add(slot->passivations, now->passivations - before->passivations);
    metric_add(slot->drops, now->drops - before->drops);
    metric_add(slot->failures, now->failures - before->failures);
    metric_add(slot->slow, now->slow_handlers - before->slow_handlers);
    metric_set(slot->active, (int64_t)now->active);
    metric_set(slot->waiting_messages, (int64_t)now->messages_waiting);
    slot->counted = *now;
}

/* Begins before the budget is used up, so that there is time to go in order. */
static void passivate_excess(actor_system_t *system)
{
    const uint64_t comfortable = system->bytes_max - system->bytes_max / 16;
    for (int count = 0; count < LIMIT_SCHEDULER_TURN_MESSAGES && system->bytes > comfortable;
         count++) {
        if (!actor_passivate_one(system, system->bytes > system->bytes_max)) {
            return; /* all that are left are busy */
        }
    }
}

static void on_turn(void *context)
{
    actor_system_t *const system = context;
    notice_turn(system);
    system->ticks = ticks_now();
    const uint64_t begin = system->ticks;
    uint32_t budget = LIMIT_SCHEDULER_TURN_MESSAGES;
    bool is_over = false;
    while (!is_over) {
        scheduler_tenant_t *const tenant = scheduler_next(&system->scheduler);
        if (tenant == NULL) {
            break;
        }
        tenant->actor_count++; /* its record stays, whatever its actors do */
        while (tenant->run.first != NULL && tenant->deficit > 0 && !is_over) {
            budget -= run_next(system, tenant, budget);
            is_over = budget == 0 || system->ticks - begin > system->turn_ticks_max;
        }
        scheduler_tenant_release(&system->scheduler, tenant);
    }
    passivate_excess(system);
    for (uint32_t kind = 0; kind < system->slot_count; kind++) {
        count_metrics(&system->slots[kind]);
    }
    notice_turn_end(system);
    if (scheduler_has_work(&system->scheduler)) {
        loop_again(system->loop);
    }
}

static void wheel_due(void *context)
{
    actor_system_t *const system = context; /* the turn that follows fires what is due */
    system->wheel_timer_ms = UINT64_MAX;
}

/* --- Begin and end --- */

result_t actor_system_create(loop_t *loop, metrics_t *metrics, actor_system_t **system)
{
    assert(metrics != NULL);
    actor_system_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    if (actor_table_init(&created->table) != RESULT_OK) {
        free(created);
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->metrics = metrics;
    created->ticks_per_us = ticks_per_us();
    created->charge_ticks = LIMIT_TENANT_CHARGE_US * created->ticks_per_us;
    scheduler_init(&created->scheduler);
    message_pool_init(&created->pool, LIMIT_MESSAGE_POOL_SIZE);
    slab_init(&created->notices, sizeof(actor_notice_t), LIMIT_ACTOR_NOTICES, 0);
    timer_wheel_init(&created->wheel, loop_now_ms(loop));
    actor_system_configure(created, &(actor_system_options_t){0});
    created->wheel_timer = loop_timer_create(loop, wheel_due, created);
    created->wheel_timer_ms = UINT64_MAX;
    created->hook = loop_hook_create_in(loop, LOOP_PHASE_ACTORS, on_turn, created);
    *system = created;
    return RESULT_OK;
}

void actor_system_configure(actor_system_t *system, const actor_system_options_t *options)
{
    const uint64_t turn_us =
        options->turn_us_max == 0 ? LIMIT_SCHEDULER_TURN_US : options->turn_us_max;
    system->actors_max = options->actors_max == 0 ? LIMIT_ACTORS_ACTIVE : options->actors_max;
    system->bytes_max = options->bytes_max == 0 ? LIMIT_ACTOR_BYTES : options->bytes_max;
    system->activating_max =
        options->activating_max == 0 ? LIMIT_LOADS_IN_FLIGHT : options->activating_max;
    system->turn_ticks_max =
        turn_us > UINT64_MAX / system->ticks_per_us ? UINT64_MAX : turn_us * system->ticks_per_us;
}

static void end_all(actor_system_t *system)
{
    for (uint32_t kind = 0; kind < system->slot_count; kind++) {
        const slab_t *const slab = &system->slots[kind].slab;
        for (uint32_t index = 0; index < slab->used_places; index++) {
            actor_t *const actor = slab_at(slab, index);
            if ((actor->head.generation & 1) != 0) {
                actor_unlist(actor);
                actor_end(actor, RESULT_DRAINING);
            }
        }
    }
    assert(system->actor_count == 0);
}

void actor_system_destroy(actor_system_t **system)
{
    actor_system_t *const destroyed = *system;
    if (destroyed == NULL) {
        return;
    }
    assert(destroyed->current_actor == NULL);
    destroyed->is_stopping = true;
    end_all(destroyed);
    while (destroyed->groups != NULL) {
        actor_group_t *group = destroyed->groups;
        actor_group_destroy(&group);
    }
    assert(destroyed->notices.count == 0);
    for (uint32_t kind = 0; kind < destroyed->slot_count; kind++) {
        slab_deinit(&destroyed->slots[kind].slab);
    }
    slab_deinit(&destroyed->notices);
    message_pool_deinit(&destroyed->pool);
    actor_table_deinit(&destroyed->table);
    scheduler_deinit(&destroyed->scheduler);
    loop_timer_destroy(&destroyed->wheel_timer);
    loop_hook_destroy(&destroyed->hook);
    free(destroyed);
    *system = NULL; /* not earlier: the kinds still reach the system through it */
}

/* --- Kinds --- */

static metric_t *dead_letters(const actor_slot_t *slot, metrics_t *metrics, const char *reason)
{
    char labels[96];
    const int size =
        snprintf(labels, sizeof(labels), "kind=\"%s\",reason=\"%s\"", slot->kind.name, reason);
    assert((size_t)size < sizeof(labels));
    return metrics_counter(metrics, "digitalcard_actor_dead_letters_total", labels,
                           "Messages that no actor handled: it ended, or nobody waited any more");
}

static void register_dead_letters(actor_slot_t *slot, metrics_t *metrics)
{
    slot->dead_undeliverable = dead_letters(slot, metrics, "undeliverable");
    slot->dead_not_awaited = dead_letters(slot, metrics, "not_awaited");
}

static void register_metrics(actor_slot_t *slot, metrics_t *metrics)
{
    char labels[64];
    const int size = snprintf(labels, sizeof(labels), "kind=\"%s\"", slot->kind.name);
    assert((size_t)size < sizeof(labels));
    slot->messages = metrics_counter(metrics, "digitalcard_actor_messages_total", labels,
                                     "Messages handled by actors");
    slot->waiting_messages = metrics_gauge(metrics, "digitalcard_actor_messages_waiting", labels,
                                           "Messages in mailboxes");
    slot->busy = metrics_counter(metrics, "digitalcard_actor_busy_total", labels,
                                 "Messages refused: mailbox full or no room for the actor");
    slot->active =
        metrics_gauge(metrics, "digitalcard_actors_active", labels, "Actors with their state");
    slot->activations =
        metrics_counter(metrics, "digitalcard_actor_activations_total", labels, "Actors activated");
    slot->passivations = metrics_counter(metrics, "digitalcard_actor_passivations_total", labels,
                                         "Idle actors that made room for others");
    slot->drops = metrics_counter(metrics, "digitalcard_actor_drops_total", labels,
                                  "Actors whose state could not be trusted any more");
    slot->failures = metrics_counter(metrics, "digitalcard_actor_failures_total", labels,
                                     "Handlers that failed");
    slot->slow = metrics_counter(metrics, "digitalcard_actor_slow_handlers_total", labels,
                                 "Handlers that took longer than their budget");
    register_dead_letters(slot, metrics);
    slot->handler_time = metrics_histogram(metrics, "digitalcard_actor_handler_seconds", labels,
                                           "Time of one handler call, one call of 64 measured");
}

static uint32_t or_limit(uint32_t value, uint32_t limit)
{
    return value == 0 ? limit : value;
}

uint32_t actor_system_register(actor_system_t *system, const actor_kind_t *kind, void *context)
{
    assert(system->slot_count < LIMIT_ACTOR_KINDS);
    assert(kind->receive != NULL);
    assert(kind->is_anonymous ||
           (kind->activate != NULL && kind->undeliverable != NULL && kind->deactivate != NULL));
    static_assert(LIMIT_ACTOR_KINDS <= 1 << ACTOR_KIND_BITS, "a reference names the kind");
    actor_slot_t *const slot = &system->slots[system->slot_count];
    slot->system = system;
    slot->kind = *kind;
    slot->context = context;
    slot->number = system->slot_count;
    slot->until_sample = 1;
    slot->state_offset = (uint32_t)(sizeof(actor_t) + (kind->is_anonymous ? 0 : ACTOR_ID_SIZE));
    slot->mailbox_max = or_limit(kind->mailbox_max, LIMIT_MAILBOX_MESSAGES);
    assert(slot->mailbox_max + LIMIT_ACTOR_NOTICES_OWNED <= UINT16_MAX); /* with actor_yield */
    slot->room_at = slot->mailbox_max / 2;
    slot->arena_size_max = or_limit(kind->arena_size_max, LIMIT_ACTOR_ARENA_SIZE);
    slot->handler_ticks_max =
        or_limit(kind->handler_budget_us, LIMIT_HANDLER_BUDGET_US) * system->ticks_per_us;
    slab_init(&slot->slab, slot->state_offset + kind->state_size, LIMIT_ACTORS_OF_KIND,
              slot->number << ACTOR_PLACE_BITS);
    register_metrics(slot, system->metrics);
    return system->slot_count++;
}

const char *actor_system_kind_name(const actor_system_t *system, uint32_t kind)
{
    return kind < system->slot_count ? system->slots[kind].kind.name : NULL;
}

/* --- What handlers ask --- */

void *actor_state(actor_t *actor)
{
    return actor_state_inline(actor);
}

actor_t *actor_of_state(void *state)
{
    actor_t *const actor = (actor_t *)((uint8_t *)state - sizeof(actor_t) - ACTOR_ID_SIZE);
    assert(!actor->slot->kind.is_anonymous);
    return actor;
}

actor_identity_t actor_identity(const actor_t *actor)
{
    assert(!actor->slot->kind.is_anonymous);
    actor_identity_t identity = {.tenant = actor->tenant->name,
                                 .tenant_size = actor->tenant->name_size};
    memcpy(identity.id, actor_id_inline(actor), sizeof(identity.id));
    return identity;
}

actor_system_t *actor_system_of(const actor_t *actor)
{
    return actor->slot->system;
}

actor_ref_t actor_ref(const actor_t *actor)
{
    return actor_ref_inline(actor);
}

actor_t *actor_system_get(actor_system_t *system, actor_ref_t ref)
{
    return actor_get_inline(system, ref);
}

const actor_message_t *actor_first_message(const actor_t *actor)
{
    return mailbox_first(&actor->mailbox);
}

actor_message_t *actor_take_message(actor_t *actor)
{
    actor_system_t *const system = actor->slot->system;
    assert(system->current_actor == actor);
    actor_message_t *const message = system->current_message;
    assert(message != NULL);
    system->current_message = NULL;
    return message;
}

/* --- Numbers --- */

/* Walks the actors: for operators, not for every turn. */
static uint64_t depth_max_of(const actor_slot_t *slot)
{
    uint64_t depth = 0;
    for (uint32_t index = 0; index < slot->slab.used_places; index++) {
        const actor_t *const actor = slab_at(&slot->slab, index);
        const uint64_t count = (actor->head.generation & 1) == 0
                                   ? 0
                                   : actor->mailbox.count[MAILBOX_USER] +
                                         (uint64_t)actor->mailbox.count[MAILBOX_SYSTEM];
        depth = count > depth ? count : depth;
    }
    return depth;
}

/* The histogram knows the upper bound of a bucket only, which may be above all that was seen. */
static uint64_t handler_quantile(const actor_slot_t *slot, double quantile, uint64_t most_us)
{
    const uint64_t us = metric_quantile_us(slot->handler_time, quantile);
    return us < most_us ? us : most_us;
}

void actor_system_numbers(const actor_system_t *system, uint32_t kind,
                          actor_system_numbers_t *numbers)
{
    assert(kind < system->slot_count);
    const actor_slot_t *const slot = &system->slots[kind];
    *numbers = slot->numbers;
    numbers->mailbox_depth_max = slot->numbers.messages_waiting == 0 ? 0 : depth_max_of(slot);
    numbers->handler_us_max = slot->handler_ticks_longest / system->ticks_per_us;
    numbers->handler_us_p50 = handler_quantile(slot, 0.5, numbers->handler_us_max);
    numbers->handler_us_p99 = handler_quantile(slot, 0.99, numbers->handler_us_max);
}

uint32_t actor_mailbox_depth(const actor_t *actor)
{
    return (uint32_t)actor->mailbox.count[MAILBOX_SYSTEM] + actor->mailbox.count[MAILBOX_USER];
}

uint64_t actor_system_bytes_max(const actor_system_t *system)
{
    return system->bytes_max;
}

uint64_t actor_system_bytes(const actor_system_t *system)
{
    return system->bytes;
}
