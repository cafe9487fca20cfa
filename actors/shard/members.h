/* What a shard knows of members, as their notes in the journal say, and what has been decided since
 * (DESIGN 2.3: a member's status lives in the member's partition). A cache: what is not here is
 * read before it is needed; what has work or is not committed yet stays. An unknown member is kept
 * too, as one of which nothing is known. */
#ifndef ACTORS_MEMBERS_H
#define ACTORS_MEMBERS_H

#include "messages/messages.h"
#include "runtime/limits.h"

enum { MEMBER_CURSOR_SIZE = 64 };

#define MEMBER_NEVER INT64_MIN /* a moment of which nobody can say how long ago it was */

typedef enum member_step {
    MEMBER_AT_REST,
    MEMBER_WAITING, /* its row is not durable yet, or another step has to be tried again */
    MEMBER_LISTING, /* cards are being read */
    MEMBER_RUNNING, /* cards work */
    MEMBER_SAVING,  /* how far it has come is not durable yet */
    MEMBER_TELLING, /* every card is revoked: when that is durable it is told, then the row closes
                     */
} member_step_t;

typedef struct member member_t;
struct member {
    member_t *chain;
    member_t *newer;
    member_t *older;
    uint64_t hash;
    text_t tenant; /* both in `texts` */
    text_t member_id;
    uint8_t status; /* enum member_status; none: unknown */
    int64_t known_at;
    int64_t known_ms; /* the same by the clock of the process, which nobody sets */
    bool is_missing;  /* the context said since then that it does not know the member */
    int64_t valid_until;
    uint8_t work; /* enum member_work: revoke, suspend, reinstate */
    int64_t work_until;
    int64_t work_moment; /* revoking: of the cancellation; cards issued later stay */
    uint64_t work_count; /* cards revoked, as stored with each of them */
    size_t cursor_size;
    char cursor[MEMBER_CURSOR_SIZE];
    size_t next_size; /* of the cursor after the slice that is being worked on */
    char next[MEMBER_CURSOR_SIZE];
    member_step_t step;
    uint64_t serial;     /* of the slice: what belongs to another one does not count */
    uint64_t cards_done; /* of the work, in this process: for who looks */
    uint32_t pending;    /* cards of the slice, and one while they are told */
    bool is_slice_bad;
    uint32_t tries;        /* of this slice that were bad */
    uint64_t aside;        /* commands that quarantined cards did not get, since the first card */
    uint32_t aside_rounds; /* that ended with some */
    uint32_t aside_seen;   /* cards that were quarantined then: another number is worth a look */
    bool is_work_done;     /* the row says so; memory, when that is durable */
    uint64_t batch_number; /* of the batch of its partition that has its newest row; 0: none */
    size_t note_index;     /* in that batch */
    uint64_t retry_at_ms;
    uint64_t asked_at_ms; /* the context, in the background */
    /* What nodes remember together (member_recall.c), for as long as nothing is known here. */
    uint64_t recall_asked_ms; /* 0: never */
    int64_t recalled_ms;      /* by the clock of the process: since when that is known */
    uint8_t recalled_status;  /* none: nothing */
    uint64_t sequence;   /* of the last event that changed it: what was asked before is older */
    member_t *work_next; /* of its tenant's list */
    bool is_listed;
    char texts[];
};

typedef struct members members_t;

/* What has work stays; of the others `may_go` says whether their row is as durable as they are. */
typedef bool members_may_go_t(void *context, const member_t *member);
members_t *members_create(const uint8_t hash_key[16], uint32_t entries_max,
                          members_may_go_t *may_go, void *context);
void members_destroy(members_t **members);
/* NULL: to be read. */
member_t *members_find(members_t *members, text_t tenant, text_t member_id);
/* Makes one of which nothing is known, unless it is there. Never NULL. */
member_t *members_put(members_t *members, text_t tenant, text_t member_id);
/* Everything of it: what was not committed is not to be trusted. */
void members_forget_tenant(members_t *members, text_t tenant);

static inline bool member_has_work(const member_t *member)
{
    return !member->is_work_done && (member->work != member_work_none || member->work_until != 0);
}

#endif
