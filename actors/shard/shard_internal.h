/* Insides of the shard, for the files of this folder that make it up (README.md, "The shard") and
 * their tests: the shard itself, the message that carries one request through it, and how a request
 * ends. Everything here runs on the loop's thread. */
#ifndef ACTORS_SHARD_INTERNAL_H
#define ACTORS_SHARD_INTERNAL_H

#include "actors/member_keys.h"
#include "actors/reply.h"
#include "actors/shard/batch.h"
#include "actors/shard/clock_guard.h"
#include "actors/shard/directory.h"
#include "actors/shard/key_table.h"
#include "actors/shard/members.h"
#include "actors/shard/quarantine.h"
#include "actors/shard/shard.h"
#include "actors/shard/shard_metrics.h"

typedef struct tenant tenant_t;
typedef struct partition partition_t;
typedef struct card_actor card_actor_t;

enum { SHARD_TENANT_BUCKETS = 1024, SHARD_RANDOM_SIZE = 2048 };

typedef enum shard_message_kind {
    SHARD_REQUEST, /* from a front: gets exactly one reply */
    SHARD_EXPIRE,  /* from the sweep to a card */
    SHARD_SWEEP,   /* from the rotation to a tenant */
    SHARD_REMIND,  /* what an actor asked to be reminded of */
    SHARD_MEMBER,  /* to a card, because of its member: member_work.c */
} shard_message_kind_t;

/* A reminder that is due (actors/shard/reminder.h). Texts are in the message. */
typedef struct shard_reminder {
    uuid_t actor;
    text_t name;
    text_t data;
    int64_t due_at;
    int64_t period_ms;
    uint64_t missed; /* ticks before this one that nobody was told of */
} shard_reminder_t;

typedef union shard_command {
    card_issue_t issue;
    card_change_t change;
    card_validate_t validate; /* also of card.scan, whose fields are the same but for the id */
    card_get_t get;
    shard_reminder_t reminder; /* SHARD_REMIND */
} shard_command_t;

/* One request on its way. It owns a copy of the envelope's bytes, which every text in it borrows
 * from. Whoever holds it ends it with one of the functions below. */
struct shard_message {
    actor_message_t base; /* first: the mailboxes see only this */
    shard_t *shard;
    tenant_t *tenant; /* referenced; NULL until it is known */
    shard_message_kind_t kind;
    bool key_checked;                /* the store has no reply for its key */
    bool member_is_new;              /* the store has no key of its member, */
    bool in_key_table;               /* its key is marked as in flight */
    bool is_replay;                  /* a dead letter: the reply goes into its row */
    bool is_member_asked;            /* the membership context was asked, and said */
    uint8_t member_said;             /* enum member_status; none: nothing */
    int64_t member_until;            /* end of the membership; 0: none said */
    uint64_t member_asked_ms;        /* of loop_now_ms */
    uint64_t member_asked_watermark; /* what was applied of the context's events then */
    uint8_t member_command;          /* SHARD_MEMBER: card_command_kind_t */
    bool is_member_done;             /* SHARD_MEMBER: the card has done it, durably */
    bool is_member_aside;            /* SHARD_MEMBER: it is quarantined, nobody may ask it */
    uint64_t member_slice;           /* SHARD_MEMBER: of the work */
    uint64_t keys_moment;            /* as asked at this moment of the member keys */
    uint32_t peer;
    uint32_t partition;   /* of the card */
    uuid_t card;          /* where it goes */
    uint64_t serial;      /* of the shard, never twice */
    uint64_t deadline_ms; /* of loop_now_ms */
    uint64_t started_us;
    shard_message_t *key_chain; /* of the key table */
    uint64_t key_hash;
    request_t request;
    shard_command_t command;
    size_t size;
    uint8_t bytes[];
};

/* Whom credit was granted to. */
typedef struct shard_fronts {
    uint32_t up; /* as the supervisor says */
    uint32_t farewells;
    uint64_t quiet_ms; /* of loop_now_ms: since then the drain waits for them; 0: it does not */
    uint32_t known_count;
    uint32_t replaced; /* of known, next */
    uint32_t known[LIMIT_FRONTS];
} shard_fronts_t;

/* store_watch.c */
typedef struct store_watch {
    uint8_t state;             /* enum store_state; 0: not looked yet, taken for `answers` */
    uint32_t looks;            /* in a row that found something under way and nothing ended */
    uint64_t ended;            /* at the last look */
    uint64_t failing_since_ms; /* the control store; 0: it does not */
    uint64_t told_ms;          /* the fronts, last */
    /* That a disk is full. */
    uint64_t full_since_ms;  /* the first refusal since a commit ended well; 0: none */
    uint64_t full_failed_ms; /* the last one */
    uint64_t full_tried_ms;  /* by ourselves */
    uint32_t full_refusals;
    bool has_opened;         /* behind the last one a tenant was opened, which writes a little */
    uint32_t full_name_size; /* of the tenant that was refused last: what is tried on */
    char full_name[LIMIT_TENANT_NAME_SIZE];
} store_watch_t;

struct shard {
    loop_t *loop;
    shard_ports_t ports;
    shard_options_t options;
    shard_metrics_t metrics;
    actor_system_t *system;
    uint32_t tenant_kind;
    uint32_t card_kind;
    loop_hook_t *turn_end;
    loop_timer_t *poll_timer;  /* control store, sweeps, refusal logs */
    loop_timer_t *retry_timer; /* a batch that the store had no room for */

    directory_cache_t *directory;
    member_keys_t *member_keys;
    key_table_t *key_table;
    quarantine_t *quarantine;
    members_t *members;
    struct member_recalls *recalls; /* NULL: there is no cache to share */
    shard_message_t *asking_first;  /* through base.next: wait for the membership context */
    uint32_t asking_count;
    uint64_t next_question;
    uint64_t next_slice;
    bool has_member_work; /* some tenant has, or had */
    /* Questions about members in the background, by place. */
    uint64_t next_refresh;
    uint64_t refresh_until_ms[LIMIT_MEMBER_REFRESHES];
    uint64_t refresh_serial[LIMIT_MEMBER_REFRESHES]; /* what its answer carries */
    uint64_t refresh_watermark[LIMIT_MEMBER_REFRESHES];
    char refresh_tenant[LIMIT_MEMBER_REFRESHES][LIMIT_TENANT_NAME_SIZE + 1];
    char refresh_member[LIMIT_MEMBER_REFRESHES][129];
    uint64_t adapters_heard_ms; /* of loop_now_ms; 0: never */
    uint64_t adapters_told_ms;  /* that this shard is here; 0: there is no channel */
    batch_pool_t batches;
    uint8_t hash_key[16];

    tenant_t *tenants[SHARD_TENANT_BUCKETS];
    uint32_t tenants_open;         /* or opening, or closing: files of the store */
    tenant_t *waiting_first;       /* tenants in line to be opened, */
    tenant_t *waiting_last;        /* each once: bounded by the mailboxes' messages */
    partition_t *wanted_first;     /* partitions with a batch to submit at the end of the turn */
    partition_t *submitting_first; /* those of this turn's end that are still to come */
    card_actor_t *unknown_first;   /* actors of cards that do not exist, dropped at its end */

    int64_t wall_seen_ms; /* at the last tick: a clock that was set back is told */
    uint64_t next_serial;
    uint64_t messages_alive;
    uint64_t operations; /* calls of the journal that have not ended */
    uint32_t loads_in_flight;
    uint32_t batches_in_flight;
    uint64_t flush_at_ms; /* refusal logs */
    clock_guard_t clock;
    uint64_t rotation_next_ms;
    char rotation_after[LIMIT_TENANT_NAME_SIZE]; /* the tenant swept last */
    size_t rotation_after_size;

    shard_fronts_t fronts;
    store_watch_t store_watch;

    bool is_control_failing;
    bool is_draining;
    bool has_saved_cards; /* while draining */
    bool is_drained;
    loop_callback_t *drained;
    void *drained_context;

    uint32_t random_used;
    uint8_t random[SHARD_RANDOM_SIZE]; /* for ids only, never for keys */
    uint8_t scratch[LIMIT_SHARD_SCRATCH_SIZE];
    uint8_t envelope[LIMIT_SHARD_SCRATCH_SIZE];
    uint8_t arena[LIMIT_SHARD_SCRATCH_SIZE]; /* of decoders */
};

/* --- shard_message.c: messages and how they end --- */

/* Decodes an envelope from a front into a message of its own. NULL when it is no request; counted
 * and logged. */
shard_message_t *shard_message_decode(shard_t *shard, uint32_t peer, const uint8_t *envelope,
                                      size_t size);
/* A dead letter that is run again. NULL when it is no request. A reply may already have been given
 * to quarantine_replayed. */
shard_message_t *shard_message_decode_replay(shard_t *shard, text_t envelope);
/* An internal one. */
shard_message_t *shard_message_create(shard_t *shard, shard_message_kind_t kind);
shard_message_t *shard_message_create_reminder(shard_t *shard, const journal_reminder_t *row);
void shard_message_set_tenant(shard_message_t *message, tenant_t *tenant);
static inline shard_message_t *shard_message_of(actor_message_t *message)
{
    return (shard_message_t *)message; /* base is its first member */
}
/* For log lines about a handler: the type of the request and its trace id. */
void shard_message_describe(const actor_message_t *message, actor_description_t *description,
                            void *context);
/* Forgets a message without a reply: it never was one, or the reply was sent. Nulls the pointer. */
void shard_message_destroy(shard_message_t **message);

static inline bool shard_message_has_key(const shard_message_t *message)
{
    return MESSAGE_HAS(request, &message->request, key) &&
           message->request.type != request_type_card_get;
}

/* What makes it the same command when it comes again. Borrows from the message. */
crash_identity_t shard_message_identity(const shard_message_t *message);
/* Around every handler: names the message, should the process die meanwhile. One that came from
 * within the shard is named with its card only, and only where a card is concerned. */
void shard_message_enter(const shard_message_t *message, crash_stage_t stage);
static inline void shard_message_leave(shard_t *shard)
{
    crash_slot_leave(shard->ports.crash_slot);
}

/* Each of these ends the message with its one reply (none for internal ones), at once. */
void shard_message_fail(shard_message_t **message, result_t result, const char *detail,
                        const char *field);
/* For undeliverable messages, which the actor system destroys afterwards: only sends the reply. */
void shard_message_fail_undelivered(shard_message_t *message, result_t result);
/* `envelope` is the packed reply. */
void shard_message_answer(shard_message_t **message, text_t envelope, uint8_t outcome);
/* Packs the reply itself. */
void shard_message_reply(shard_message_t **message, const reply_t *reply);
/* With the reply that the store has kept for its key, or with KEY_REUSED. */
void shard_message_repeat(shard_message_t **message, const uint8_t request_hash[32], text_t stored);

/* --- shard_fronts.c: credits, and the last word of fronts --- */

/* A front sent something: the first time it is granted its credits. */
void shard_front_heard(shard_t *shard, uint32_t peer);
void shard_front_farewell(shard_t *shard);
/* What was granted and how the stores are, once more, to all of them. */
void shard_fronts_tell(shard_t *shard);
/* Nothing more comes from any front, as far as can be known. */
bool shard_fronts_are_done(shard_t *shard);

/* --- store_watch.c --- */

/* Every LIMIT_DIRECTORY_POLL_MS, after the control store was polled. */
void store_watch_tick(shard_t *shard);
/* A commit or an opening of that tenant failed because the disk is full. */
void store_watch_refused(shard_t *shard, text_t tenant);
/* A commit with events ended well. */
void store_watch_committed(shard_t *shard);
/* A tenant was opened for writing. */
void store_watch_opened(shard_t *shard);
/* That tenant is there no more. */
void store_watch_gone(shard_t *shard, text_t tenant);

/* --- shard.c --- */

/* A decoded request on its way to its tenant. */
void shard_accept(shard_t *shard, shard_message_t **message);

/* Sends a message to an actor and nulls the pointer; false when there is no room for it. */
MUST_USE bool shard_send(shard_t *shard, uint32_t kind, const actor_identity_t *identity,
                         shard_message_t **message);
/* A fresh UUIDv7, of a card when `partition` says something, else of an event. */
uuid_t shard_uuid(shard_t *shard, int64_t now_ms, uint32_t partition);

#endif
