/* Insides of the card actor, for its two files: card_actor.c (life, mailbox, reads from the
 * journal) and card_handle.c (what a message means: decide, evolve, append, reply). */
#ifndef ACTORS_CARD_ACTOR_INTERNAL_H
#define ACTORS_CARD_ACTOR_INTERNAL_H

#include "actors/card_actor.h"
#include "actors/domain/card.h"

/* One read of the journal: an activation's, or for a message that is held. */
typedef struct card_load {
    shard_t *shard;
    tenant_t *tenant;
    card_actor_t *card; /* NULL: the actor is gone */
    bool is_activation;
    uint64_t serial; /* of the message whose key is looked up; 0: none */
    uint64_t keys_moment;
    uuid_t id;
    journal_load_t load;
    char member_id[128];
    char key[128];
} card_load_t;

/* What an activation has read for the message that caused it. */
typedef struct card_repeat {
    uint64_t serial;
    bool key_checked;
    bool member_is_new;
    uint64_t keys_moment;
    bool found; /* a reply for its key */
    uint8_t request_hash[32];
    char *reply; /* malloc'ed */
    size_t reply_size;
} card_repeat_t;

struct card_actor {
    actor_t *actor;
    tenant_t *tenant; /* NULL: not listed with it */
    card_actor_t *newer;
    card_actor_t *older;
    card_actor_t *unknown_next;
    bool is_listed_unknown;
    partition_t *partition;
    uint64_t generation; /* of the tenant when it was loaded */

    card_state_t state;
    char *texts; /* member_id, tier, sealed_name and holder_name of the state, one block */
    text_t holder_name;
    uint64_t batch_number;   /* of the last batch that carries something of it; 0: none */
    uint64_t snapshot_batch; /* where its last snapshot is, if that still gathers */
    size_t snapshot_index;
    uint64_t snapshot_sequence; /* events up to this one are in a snapshot */

    uint64_t messages;   /* handled since it was activated */
    uint64_t handled_ms; /* of loop_now_ms: the last one */

    card_load_t *loading;
    card_repeat_t *repeat;
    shard_message_t *held_first; /* through base.next */
    shard_message_t *held_last;
    uint32_t held_count;
};

/* --- card_texts.c --- */

/* Copies the state's texts and the name into one block of the card's own. */
void card_texts_own(card_actor_t *card, card_state_t *state, text_t holder_name);
void card_texts_free(card_actor_t *card);
/* Opens the name of a state with the member's key, if both are there. */
text_t card_texts_open_name(const tenant_t *tenant, const card_state_t *state,
                            text_t sealed_member_key, char plain[256]);

/* --- card_handle.c --- */

/* Takes the message and ends it, now or when its batch is durable. Everything that had to be read
 * has been. An error: nothing was decided, the message is still the caller's, and the card is to be
 * built anew. */
MUST_USE result_t card_handle(card_actor_t *card, shard_message_t **message);
/* The member whose key the message needs and the cache lacks; empty: none. */
text_t card_handle_missing_member(const card_actor_t *card, const shard_message_t *message);

#endif
