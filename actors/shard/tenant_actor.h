/* The tenant actor: what a shard knows of one tenant while its journal is open.
 *
 * Takes   requests that come while it is not open, in order; SHARD_SWEEP from the rotation; its own
 *         reminders
 * Sends   each request on to the card it is for (tenant_route.c), SHARD_EXPIRE to cards that are
 * due, SHARD_REMIND Begins  with the first message: reads keys from the control store, opens the
 * journal Ends when idle and another tenant needs its place, when a commit fails (it is opened
 * anew, with a higher epoch, after a pause), when the tenant is deleted, and when the shard drains
 *
 * The record outlives the actor: it counts who still refers to it and remembers the last failure.
 */
#ifndef ACTORS_TENANT_ACTOR_H
#define ACTORS_TENANT_ACTOR_H

#include "actors/card_view.h"
#include "actors/domain/flag.h"
#include "actors/shard/shard_internal.h"

typedef enum tenant_status {
    TENANT_CLOSED,
    TENANT_WAITING, /* in line for a place among the open ones */
    TENANT_OPENING,
    TENANT_OPEN,
    TENANT_CLOSING, /* waits for what is with the store; every request is refused */
} tenant_status_t;

typedef struct tenant_key {
    card_signing_key_t signing;
    uint8_t state; /* enum key_state */
} tenant_key_t;

enum { REMINDERS_CHANGED_MAX = 64 };

/* Reminders that are being delivered, and when to look for the next (tenant_remind.c). */
typedef struct tenant_reminders {
    int64_t next_at;    /* ms UTC; 0: not known */
    bool is_delivering; /* a slice is being read, or not all of it has ended */
    bool has_more;
    uint32_t pending;                        /* of the slice */
    uint32_t taken;                          /* of these, with a commit */
    uint32_t changed_count;                  /* since it was read; more than fit: all */
    uint64_t changed[REMINDERS_CHANGED_MAX]; /* hashes of actor and name */
} tenant_reminders_t;

/* As the journal has counted, and what was decided since. */
typedef struct tenant_usage {
    int64_t cards; /* living: issued, active, suspended */
    uint64_t bytes;
} tenant_usage_t;

struct tenant {
    tenant_t *chain; /* of the shard's table */
    tenant_t *waiting_next;
    uint64_t wait_until_ms;
    shard_t *shard;
    uint32_t name_size;
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    uint32_t messages;   /* alive and referring to it */
    uint32_t mailbox;    /* of these, in the mailbox of its actor */
    uint32_t operations; /* with the journal */
    uint32_t card_count;
    card_actor_t *cards; /* active ones */
    actor_t *actor;
    tenant_status_t status;
    uint64_t generation; /* rises with every opening and closing */
    uint64_t used_at_ms;

    result_t failure; /* why it is closed; RESULT_OK: only idle */
    uint64_t retry_at_ms;
    uint32_t backoff_ms;
    bool is_deleted;

    int64_t created_at;        /* of the one whose journal is being opened or is open; 0: closed */
    journal_tenant_t *journal; /* from here on: while it is open */
    char identity[LIMIT_TENANT_NAME_SIZE + sizeof(int64_t)]; /* name and created_at */
    partition_t *partitions;
    uint32_t partition_count;
    uint32_t tag; /* of its card codes */
    crypto_key_t secret;
    tenant_key_t *keys;
    uint32_t key_count;
    const card_signing_key_t *active_key;
    flag_settings_t flags;

    bool has_membership; /* its context is configured, and its store keeps notes */
    bool is_policy_refuse;
    bool is_context_away;       /* its breaker is not closed */
    int64_t context_current_at; /* all events up to then are applied or on their way; 0: unknown */
    int64_t context_current_ms; /* the same by the clock of the process */
    bool are_notes_read;        /* watermarks and open work are known */
    bool are_notes_being_read;
    bool are_notes_left;        /* open ones that had no room in memory, or could not be read */
    uint64_t notes_retry_at_ms; /* earliest next try to read them */
    char notes_after[160];
    size_t notes_after_size;
    uint64_t inbox[LIMIT_PARTITIONS]; /* watermarks, ahead of what is committed */
    member_t *work_first;             /* members with work */
    uint32_t work_count;

    uint64_t sweep_at_ms;
    bool is_sweeping;
    bool sweep_has_more;
    uint32_t sweep_pending;    /* cards told to expire */
    uint32_t sweep_expired;    /* of this slice */
    uint64_t idempotency_rows; /* written since the last cleaning */
    uint32_t clean_slices;
    bool is_cleaning;
    bool is_clean_ensured; /* its reminder is there */
    tenant_reminders_t reminders;

    control_quotas_t quotas;
    tenant_usage_t usage;
    uint64_t rate_left;  /* thousandths of a request */
    uint64_t rate_at_ms; /* of loop_now_ms */

    uint64_t refusal_second; /* of loop_now_ms */
    uint32_t refusals_in_second;
};

static inline text_t tenant_name(const tenant_t *tenant)
{
    return (text_t){.data = tenant->name, .size = tenant->name_size};
}
/* Of an open one: what tells it from an earlier tenant of its name, for what outlives an opening.
 */
static inline text_t tenant_identity(const tenant_t *tenant)
{
    return (text_t){.data = tenant->identity, .size = tenant->name_size + sizeof(int64_t)};
}
static inline shard_t *tenant_shard(const tenant_t *tenant)
{
    return tenant->shard;
}
static inline journal_tenant_t *tenant_journal(const tenant_t *tenant)
{
    return tenant->journal;
}

/* --- tenant_actor.c --- */

extern const actor_kind_t tenant_actor_kind; /* context: the shard */

/* The record of a tenant, made when there is none. `name` is a valid tenant name. */
tenant_t *tenant_acquire(shard_t *shard, text_t name);
tenant_t *tenant_find(const shard_t *shard, text_t name);
void tenant_reference(tenant_t *tenant); /* by a message */
void tenant_release(tenant_t **tenant);
void tenant_operation_begin(tenant_t *tenant);
void tenant_operation_end(tenant_t *tenant);

/* Takes the message to the tenant: to its card at once when it is open, into its mailbox otherwise.
 */
void tenant_deliver(tenant_t *tenant, shard_message_t **message);
/* Is it for this tenant, not for an earlier or a later one of its name? True when it does not say.
 */
bool tenant_is_meant(const tenant_t *tenant, const shard_message_t *message);
/* Answers what is not meant for this one: TENANT_NOT_FOUND, or BUSY when it is for the namesake
 * whose turn comes once the deleted one is closed. */
void tenant_refuse_namesake(const tenant_t *tenant, shard_message_t **message);
/* Something it rests on failed: ends what waits, forgets its cards, closes, opens anew on the next
 * message after a pause. */
void tenant_fail(tenant_t *tenant, result_t why);
/* A batch became durable: the pause after the next failure is short again. */
void tenant_committed(tenant_t *tenant);
/* Opens those that wait in line, as far as others are idle; refuses those that waited too long. */
void tenants_admit(shard_t *shard);
/* Nothing is under way? */
bool tenant_is_idle(const tenant_t *tenant);
/* Closes an idle tenant. */
void tenant_close(tenant_t *tenant);
/* Reads its keys again; a deleted tenant is closed. */
void tenant_refresh(tenant_t *tenant);
/* For shard_destroy: forgets the record whatever refers to it. */
void tenant_destroy(tenant_t *tenant);

/* --- tenant_route.c --- */

/* Checks what can be checked without the card, its signed code included, and sends the message to
 * the card; or answers it. The tenant is open. */
void tenant_route(tenant_t *tenant, shard_message_t **message);
/* An internal message, whose card and partition are set. */
void tenant_send_to_card(tenant_t *tenant, shard_message_t **message);
/* The same to this card; without room for it the message ends. */
void tenant_send_to(tenant_t *tenant, const uuid_t *card, shard_message_t **message);
/* Tells a card that its end has come. */
void tenant_expire_card(tenant_t *tenant, const uuid_t *card);
/* Keeps a scan that identified no card, as far as the rate allows. */
void tenant_log_refusal(tenant_t *tenant, const shard_message_t *message, uint8_t reason);

/* --- tenant_quota.c --- */

/* Each ends the message with its error and returns false when a quota is used up: of requests, on
 * arrival; of cards or storage, before a command is decided. */
MUST_USE bool tenant_quota_admits(tenant_t *tenant, shard_message_t **message);
MUST_USE bool tenant_quota_allows(tenant_t *tenant, uint8_t status, shard_message_t **message);

/* --- tenant_sweep.c --- */

void tenant_sweep(tenant_t *tenant);
void tenant_sweep_card_expired(tenant_t *tenant);
void tenant_sweep_card_done(tenant_t *tenant); /* expired or not */
void tenant_note_idempotency(tenant_t *tenant, size_t rows);
/* Deletes replies that are older than a day: after the reminder for it. */
void tenant_clean(tenant_t *tenant, uint64_t missed);

/* --- tenant_remind.c --- */

/* Looks for reminders that are due, unless none can be. */
void tenant_remind(tenant_t *tenant);
/* A delivered one has ended, with a commit or without. */
void tenant_remind_done(tenant_t *tenant);
void tenant_remind_committed(const shard_message_t *message);
/* Asks to be reminded of cleaning. */
void tenant_remind_clean(tenant_t *tenant);

/* --- Both --- */

/* By the shard's timer: reminders, sweeps that are due, tenants nobody touches, refusals that wait.
 */
void shard_sweep_tick(shard_t *shard);
/* Of one that is not open. */
void tenant_open_and_sweep(shard_t *shard, text_t name);

#endif
