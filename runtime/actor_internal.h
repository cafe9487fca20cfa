/* The insides of actors, for the files runtime/actor_*.c. */
#ifndef RUNTIME_ACTOR_INTERNAL_H
#define RUNTIME_ACTOR_INTERNAL_H

#include "runtime/actor_group.h"
#include "runtime/actor_notice.h"
#include "runtime/keyed_hash.h"
#include "runtime/message_pool.h"
#include "runtime/scheduler.h"
#include "runtime/slab.h"
#include "runtime/timer_wheel.h"
#include <stdalign.h>

typedef enum actor_phase {
    ACTOR_NEW,        /* in the run queue: activation is due */
    ACTOR_WAITING,    /* in its kind's `waiting`, for a place in `activating` */
    ACTOR_ACTIVATING, /* in its kind's `activating`: activate was called, its end is awaited */
    ACTOR_IDLE,    /* in the list of idle actors, least recently used first; anonymous: in none */
    ACTOR_READY,   /* in the run queue: messages wait */
    ACTOR_RUNNING, /* in no list: its handler runs */
    ACTOR_BACKING_OFF, /* in no list: without state, its restart waits for a timer */
    ACTOR_DORMANT,     /* in the list of idle actors: it failed, its next message begins it anew */
    ACTOR_GONE,        /* in no list and not in the table: its messages are being given back */
} actor_phase_t;

/* What happens when its handler returns, or its activation ends; the strongest wins. */
typedef enum actor_due {
    ACTOR_DUE_NOTHING,
    ACTOR_DUE_DROP,
    ACTOR_DUE_RESTART, /* a failure: with backoff */
    ACTOR_DUE_ESCALATE,
    ACTOR_DUE_STOP,
} actor_due_t;

enum { ACTOR_KIND_BITS = 4, ACTOR_PLACE_BITS = 32 - ACTOR_KIND_BITS };

typedef struct actor_slot actor_slot_t; /* a registered kind */
typedef struct actor_notice actor_notice_t;
typedef struct actor_supervision actor_supervision_t;

/* Two cache lines: the first is what a turn touches. Behind it: the id, unless its kind is
 * anonymous, and the state. */
struct actor {
    alignas(16) slab_head_t head; /* what refers to it */
    mailbox_t mailbox;
    actor_t *next; /* of the one list that its phase says */
    actor_t *previous;
    actor_slot_t *slot;
    scheduler_tenant_t *tenant;

    message_pool_block_t *arena; /* blocks, the one that is being filled first */
    actor_notice_t *owned;
    actor_notice_t *watchers;
    actor_notice_t *room_waiters;
    actor_supervision_t *supervision; /* NULL: it never failed and is in no group */
    uint32_t bytes_reported;
    uint32_t arena_size; /* of all its blocks */
    uint32_t arena_used; /* of the first one */
    uint32_t hash;       /* in the table */
    uint16_t owned_count;
    uint8_t end_reason; /* result_t, when STOP is due */
    bool has_failed;    /* within the running handler: actor_allocate found no room */
};
static_assert(sizeof(actor_t) == 128, "two cache lines");

typedef struct actor_table_entry {
    uint32_t hash;
    uint32_t place; /* index with kind, + 1; 0: empty */
} actor_table_entry_t;

/* Actors by kind and identity: open addressing, at most three quarters full. Ids come from clients,
 * so the hash is SipHash with a key of this process. */
typedef struct actor_table {
    actor_table_entry_t *entries;
    uint64_t capacity; /* a power of two */
    uint64_t count;
    keyed_hash_key_t key;
} actor_table_t;

struct actor_slot {
    actor_system_t *system;
    actor_kind_t kind;
    void *context;
    slab_t slab;
    uint32_t number;
    uint32_t until_sample; /* of the time of its handlers */
    uint32_t state_offset;
    uint32_t mailbox_max;
    uint32_t room_at; /* waiters are told when no more wait */
    uint32_t arena_size_max;
    uint64_t handler_ticks_max;
    uint64_t handler_ticks_longest; /* seen so far */
    actor_list_t activating;
    actor_list_t waiting; /* for a place in `activating` */
    uint32_t activating_count;
    actor_system_numbers_t numbers;
    actor_system_numbers_t counted; /* what the metrics have of `numbers` */
    metric_t *messages;
    metric_t *waiting_messages;
    metric_t *busy;
    metric_t *active;
    metric_t *activations;
    metric_t *passivations;
    metric_t *drops;
    metric_t *failures;
    metric_t *slow;
    metric_t *dead_undeliverable;
    metric_t *dead_not_awaited;
    metric_t *handler_time;
};

struct actor_system {
    loop_t *loop;
    loop_hook_t *hook;
    loop_timer_t *wheel_timer;
    uint64_t wheel_timer_ms; /* when it is set to fire; UINT64_MAX: it is not */
    metrics_t *metrics;
    scheduler_t scheduler;
    message_pool_t pool;
    actor_table_t table;
    slab_t notices;
    timer_wheel_t wheel;
    actor_group_t *groups;
    uint32_t group_count;
    uint64_t actors_max;
    uint64_t bytes_max;
    uint32_t activating_max;
    uint64_t actor_count; /* all places in use */
    uint64_t bytes;
    uint64_t ticks; /* the last reading */
    uint64_t ticks_per_us;
    uint64_t charge_ticks; /* LIMIT_TENANT_CHARGE_US */
    uint64_t turn_ticks_max;
    actor_list_t idle; /* of kinds with identities, least recently used first */
    actor_t *current_actor;
    actor_message_t *current_message; /* NULL once the handler took it */
    actor_description_t description;  /* of the current message, if its kind describes */
    char trace_id[ACTOR_TRACE_ID_SIZE];
    bool is_stopping;
    uint32_t slot_count;
    actor_slot_t slots[LIMIT_ACTOR_KINDS];
};

typedef enum actor_notice_kind {
    NOTICE_QUESTION,
    NOTICE_TIMER,
    NOTICE_WATCH,
    NOTICE_ROOM,
    NOTICE_AGAIN,
    NOTICE_BACKOFF,    /* the system's own: an actor's restart */
    NOTICE_ESCALATION, /* of a group to its owner */
} actor_notice_kind_t;

struct actor_notice {
    slab_head_t head;
    actor_message_t message;
    timer_entry_t timer;
    actor_system_t *system;
    actor_notice_t *owner_next; /* of the actor that is told */
    actor_notice_t *owner_previous;
    actor_notice_t *subject_next; /* of the actor it is about; a ring, `previous` of the first is
                                     the last */
    actor_notice_t *subject_previous;
    actor_ref_t owner;
    actor_ref_t subject;
    uint64_t period_ms;
    uint32_t count;
    result_t result;
    uint8_t kind;
    bool is_queued;    /* in the mailbox of its owner, or being handled */
    bool is_cancelled; /* while queued */
    bool is_owned;     /* in the owner's list */
    bool is_with_subject;
};

/* When the last failures were: a ring, as far as it is filled. */
typedef struct actor_failures {
    uint64_t at_ms[LIMIT_GROUP_RESTARTS];
    uint32_t count;
    uint32_t next;
} actor_failures_t;

struct actor_supervision {
    actor_group_t *group;
    actor_failures_t failures; /* of an actor without a group */
    uint32_t position;         /* in the group */
    uint64_t backoff;          /* number of the notice; 0: none */
    size_t argument_size;
    uint8_t argument[LIMIT_SPAWN_ARGUMENT_SIZE];
};

struct actor_group {
    actor_system_t *system;
    actor_group_t *next;
    actor_ref_t owner;
    actor_notice_t *escalation; /* for its owner; NULL: there is none, or it was told */
    actor_group_options_t options;
    actor_failures_t failures;
    uint32_t count;
    bool has_failed;
    actor_ref_t children[LIMIT_GROUP_CHILDREN]; /* in the order they were spawned */
};

/* --- Small things that everything uses --- */

static inline void actor_list_append(actor_list_t *list, actor_t *actor)
{
    actor->previous = list->last;
    actor->next = NULL;
    if (list->last == NULL) {
        list->first = actor;
    } else {
        list->last->next = actor;
    }
    list->last = actor;
}

void actor_list_remove(actor_list_t *list, actor_t *actor);

/* Of a list that is not empty. */
static inline actor_t *actor_list_take(actor_list_t *list)
{
    actor_t *const actor = list->first;
    list->first = actor->next;
    if (list->first == NULL) {
        list->last = NULL;
    } else {
        list->first->previous = NULL;
    }
    actor->next = NULL;
    return actor;
}

static inline actor_ref_t actor_ref_inline(const actor_t *actor)
{
    return (actor_ref_t){actor->head.index, actor->head.generation};
}

static inline actor_t *actor_get_inline(const actor_system_t *system, actor_ref_t ref)
{
    const uint32_t kind = ref.index >> ACTOR_PLACE_BITS;
    const uint32_t place = ref.index & ((UINT32_C(1) << ACTOR_PLACE_BITS) - 1);
    return kind < LIMIT_ACTOR_KINDS ? slab_find(&system->slots[kind].slab, place, ref.generation)
                                    : NULL;
}

enum { ACTOR_ID_SIZE = 16 };

/* Of a kind that has identities: the tenant's part is in its record. */
static inline uint8_t *actor_id_inline(const actor_t *actor)
{
    return (uint8_t *)(uintptr_t)(actor + 1);
}

static inline void *actor_state_inline(actor_t *actor)
{
    return (uint8_t *)actor + actor->slot->state_offset;
}

static inline void actor_enqueue(actor_t *actor, actor_phase_t phase)
{
    actor_system_t *const system = actor->slot->system;
    scheduler_tenant_t *const tenant = actor->tenant;
    actor->mailbox.phase = (uint8_t)phase;
    actor_list_append(&tenant->run, actor);
    if (!tenant->is_in_ring) {
        scheduler_join(&system->scheduler, tenant);
        loop_again(system->loop); /* the sender may be a hook that runs after ours */
    }
}

void actor_begin_anew(actor_t *actor);

static inline void actor_become_idle(actor_t *actor)
{
    actor->mailbox.phase = ACTOR_IDLE;
    if (!actor->slot->kind.is_anonymous) {
        actor_list_append(&actor->slot->system->idle, actor);
    }
}

/* A message came: the actor is to have a turn, if it may. */
static inline void actor_wake(actor_t *actor)
{
    if (actor->mailbox.phase == ACTOR_IDLE) {
        if (!actor->slot->kind.is_anonymous) {
            actor_list_remove(&actor->slot->system->idle, actor);
        }
        actor_enqueue(actor, ACTOR_READY);
    } else if (actor->mailbox.phase == ACTOR_DORMANT) {
        actor_list_remove(&actor->slot->system->idle, actor);
        actor_begin_anew(actor);
    }
}

static inline void actor_message_free(actor_system_t *system, actor_message_t *message)
{
    if (message->destroy != NULL) {
        message->destroy(message);
    } else {
        message_pool_give(&system->pool, message->size_class, message);
    }
}

static inline uint64_t notice_number(const actor_notice_t *notice)
{
    return (uint64_t)notice->head.generation << 32 | notice->head.index;
}

static inline actor_notice_t *notice_find(const actor_system_t *system, uint64_t number)
{
    return slab_find(&system->notices, (uint32_t)number, (uint32_t)(number >> 32));
}

static inline actor_notice_t *notice_of(const actor_message_t *message)
{
    return (actor_notice_t *)((uintptr_t)message - offsetof(actor_notice_t, message));
}

/* --- actor_table.c --- */

MUST_USE result_t actor_table_init(actor_table_t *table);
void actor_table_deinit(actor_table_t *table); /* must be empty */
uint64_t actor_table_hash(const actor_table_t *table, uint32_t kind,
                          const actor_identity_t *identity);
actor_t *actor_table_find(const actor_system_t *system, uint64_t hash, uint32_t kind,
                          const actor_identity_t *identity);
/* NO_MEMORY; the actor's hash and identity are set and not in the table yet. */
MUST_USE result_t actor_table_insert(actor_table_t *table, const actor_t *actor);
void actor_table_remove(actor_table_t *table, const actor_t *actor);

/* --- actor_life.c --- */

/* A place, all zero, of which the system knows only the count. BUSY, NO_MEMORY. */
MUST_USE result_t actor_allocate_place(actor_system_t *system, actor_slot_t *slot,
                                       const char *tenant, size_t tenant_size, actor_t **actor);
/* Of an actor that is in no list and no table and owns nothing. */
void actor_place_free(actor_t *actor);
void actor_activate(actor_t *actor);
/* The actor is active and in no list: its state goes after a failure. It stays known, and begins
 * anew now or after `delay_ms`. */
void actor_restart_after(actor_t *actor, uint64_t delay_ms);
/* The same, and until then whatever waits for it and comes is BUSY, rather than too late. */
void actor_rest(actor_t *actor, uint64_t delay_ms);
/* In no list: ends it for good. */
void actor_end(actor_t *actor, result_t why);
/* Takes it out of the list it is in. */
void actor_unlist(actor_t *actor);
/* After a handler or an activation: what is due, else its next list. The actor may be gone when it
 * returns. */
void actor_turn_over(actor_t *actor);
void actor_set_due(actor_t *actor, actor_due_t due);
/* True when a place was made for one more actor. */
bool actor_passivate_one(actor_system_t *system, bool is_pressing);

/* --- actor_arena.c --- */

void actor_arena_free(actor_t *actor);
/* Adds to, or takes from, what the actor counts for. */
static inline void actor_count_bytes(actor_t *actor, int64_t bytes)
{
    actor->slot->system->bytes += (uint64_t)bytes;
}

/* --- actor_notice.c --- */

void notice_fire(actor_notice_t *notice, actor_system_type_t type, result_t result);
MUST_USE result_t notice_create(actor_system_t *system, actor_t *owner, actor_notice_kind_t kind,
                                actor_notice_t **notice);
void notice_destroy(actor_notice_t *notice);
/* A question that nobody will answer, if somebody still waits for it. */
void notice_refuse_question(actor_system_t *system, const actor_message_t *question, result_t why);
/* Its own end: what it asked for is forgotten. */
void notice_forget_owned(actor_t *actor);
void notice_tell_watchers(actor_t *actor, result_t why);
void notice_tell_room(actor_t *actor, uint32_t count_max);
/* Fires what is due; at the end of a turn the loop's timer is set for what comes. */
void notice_turn(actor_system_t *system);
void notice_turn_end(actor_system_t *system);
/* A question nobody waits for any more, or a notice that was cancelled: not to be handled. */
bool notice_is_dead_letter(actor_system_t *system, const actor_message_t *message);
void notice_start_timer(actor_notice_t *notice, uint64_t delay_ms);

/* --- actor_supervision.c --- */

/* Its handler failed with `why`: what is due is set. */
void actor_supervise_failure(actor_t *actor, result_t why);
/* Its due is RESTART: with its group, if it has one. The actor may be gone when it returns. */
void actor_supervise_restart(actor_t *actor);
/* With its group, or alone. The actor is gone when it returns. */
void actor_supervise_escalation(actor_t *actor);
void actor_log(actor_t *actor, const char *what, result_t result, uint64_t handler_us);
MUST_USE result_t actor_supervision_attach(actor_t *actor, actor_group_t *group,
                                           const actor_spawn_t *spawn);
void actor_supervision_detach(actor_t *actor);

#endif
