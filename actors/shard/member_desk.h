/* A shard's part in the membership context: what a member's standing means for a command
 * (member_standing.c), events of the context (member_events.c), and the work on all cards of a
 * member (member_work.c). Only for tenants whose context is configured; for the others nothing
 * here runs. */
#ifndef ACTORS_MEMBER_DESK_H
#define ACTORS_MEMBER_DESK_H

#include "actors/shard/partition.h"
#include "actors/shard/tenant_actor.h"

enum { SHARD_PEER_ADAPTERS = UINT32_MAX }; /* replies to it leave by neighbour_send */

/* --- member_standing.c --- */

/* A tenant opened: whether it has a context, which policy counts. */
void member_tenant_opened(tenant_t *tenant);
void member_tenant_closed(tenant_t *tenant);

/* A moment of the wall clock by the clock of the process, from when on nobody who sets the wall
 * clock makes it younger. What lies in the future was told by a clock that was wrong. */
int64_t member_moment(const shard_t *shard, int64_t wall_ms);

/* The key of a member's note. */
enum { MEMBER_NOTE_KEY_SIZE = 160 };
text_t member_note_key(text_t member_id, char key[MEMBER_NOTE_KEY_SIZE]);
/* The member whom the command of this card needs, of whom nothing is known here while the context
 * cannot be asked: other nodes may remember. Empty: none. */
text_t member_to_recall(const tenant_t *tenant, text_t member_id);
/* What was read of it; an empty body: there is none. False: the store is damaged. */
MUST_USE bool member_loaded(tenant_t *tenant, text_t member_id, text_t body);
/* The member whose note the command of this card needs and the cache lacks; empty: none. */
text_t member_missing(const tenant_t *tenant, text_t member_id);
/* For the cache: its row is durable. `context`: the shard. */
bool member_may_go(void *context, const member_t *member);
/* Puts the member's row into the batch that gathers. */
void member_store(tenant_t *tenant, member_t *member, batch_t *batch);

typedef struct member_judgement {
    result_t failure; /* the command cannot be decided now: MEMBERSHIP_UNAVAILABLE */
    uint8_t refusal;  /* enum reason; none: the member's standing forbids nothing */
    bool is_fallback; /* it rests on what could not be refreshed */
    bool has_age;
    uint64_t age_s;
} member_judgement_t;

/* For a scan: answers at once, and has old knowledge refreshed in the background. */
void member_judge_scan(tenant_t *tenant, text_t member_id, member_judgement_t *judgement);
/* For issuing and replacing: what the context said to this message, if it did. Keeps what it said
 * in `batch`. */
void member_judge_issue(tenant_t *tenant, const shard_message_t *message, text_t member_id,
                        int64_t now_ms, batch_t *batch, member_judgement_t *judgement);

/* Asks the context before a card is issued; takes the message and sends it on when the answer, or
 * none, is there. False: nothing to ask, the message is still the caller's. */
MUST_USE bool member_ask(tenant_t *tenant, shard_message_t **message);
/* Those who waited too long for the context go on without it. */
void members_tick(shard_t *shard);
void members_abandon(shard_t *shard);

/* An envelope from the adapters role. */
void shard_neighbour_receive(shard_t *shard, const uint8_t *envelope, size_t size);
/* Its channel is there; or gone. */
void shard_neighbour_up(shard_t *shard);
void shard_neighbour_down(shard_t *shard);

/* --- member_recall.c: what nodes remember of members together, in Redis --- */

typedef struct member_recalls member_recalls_t;

/* NULL without a cache that is shared: nothing here does anything then. */
member_recalls_t *member_recalls_create(shard_t *shard);
/* After the cache. */
void member_recalls_destroy(member_recalls_t **recalls);
/* What the context said, in an event or an answer: `sequence` is that of the newest event which had
 * been applied by then. What is older than what is there changes nothing. Status missing: whoever
 * asks finds nothing to rely on. */
void member_remember(const tenant_t *tenant, text_t member_id, uint8_t status, int64_t known_at,
                     uint64_t sequence);
/* Is it worth a wait of LIMIT_MEMBER_RECALL_MS at most? Nothing is known of the member here, and
 * nobody has asked the others yet. */
bool member_recall_may_wait(const tenant_t *tenant, const member_t *member);
/* `done` is called once and never within the call. What was found stands in the member then.
 * False: nobody can be asked. */
typedef void member_recalled_t(void *context);
MUST_USE bool member_recall(tenant_t *tenant, text_t member_id, member_recalled_t *done,
                            void *context);
/* In the background, for a scan that has been answered from what there is. */
void member_recall_again(const tenant_t *tenant, member_t *member);

/* --- member_events.c --- */

/* A message with events of the context. */
void member_events_run(tenant_t *tenant, shard_message_t **message);
/* Before the watermarks and the open work of a tenant are known, nothing is applied. */
void member_events_opened(tenant_t *tenant);
/* Open notes that had no room in memory, when there is room. */
void member_events_read_on(tenant_t *tenant);

/* --- member_work.c --- */

/* What is to be done to its cards from now on. Revoking goes on, whatever is asked for meanwhile:
 * the cards that it does not concern follow the member's status. Begins with the first card: what
 * was done already is refused, harmlessly. */
void member_work_set(member_t *member, uint8_t work);
/* Every card issued up to `moment`. While cards are being revoked, the later moment counts. */
void member_work_to_revoke(member_t *member, int64_t moment);
void member_work_to_renew(member_t *member, int64_t until);
/* The member's row, with its work, is in `batch`: begins when that is durable. */
void member_work_begin(tenant_t *tenant, member_t *member);
/* At the end of a turn. */
void members_work(shard_t *shard);
/* A card of it was revoked, in this batch: the count goes with it, so that no crash comes between.
 */
void member_work_count(tenant_t *tenant, text_t member_id, batch_t *batch);
/* A card has done its part, or has not. */
void member_work_card_done(const shard_message_t *message);
void member_work_forget(tenant_t *tenant);

#endif
