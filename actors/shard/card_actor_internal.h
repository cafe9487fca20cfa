/* Insides of the card actor, for its files: card_actor.c (life, mailbox, reads from the journal),
 * card_handle.c (what a message means: decide, evolve, append, reply), card_memory.c (what a card
 * at rest takes). */
#ifndef ACTORS_CARD_ACTOR_INTERNAL_H
#define ACTORS_CARD_ACTOR_INTERNAL_H

#include "actors/domain/card.h"
#include "actors/shard/card_actor.h"
#include "actors/shard/member_desk.h"
#include "actors/shard/partition.h"
#include <assert.h>

/* One read of the journal: an activation's, or for a message that is held. */
typedef struct card_load {
    shard_t *shard;
    tenant_t *tenant;
    card_actor_t *card; /* NULL: the actor is gone */
    bool is_activation;
    uint64_t generation; /* of the tenant when it was asked */
    uint64_t serial;     /* of the message whose key is looked up; 0: none */
    uint64_t keys_moment;
    uuid_t id;
    journal_load_t load;
    char member_id[128];
    char key[128];
    text_t standing_of; /* in `standing_id`: the member whose note is read; empty: none */
    char standing_id[128];
    text_t recall_of; /* in `recall_id`: the member whom other nodes may know, and nothing else */
    char recall_id[128];
    char note_key[MEMBER_NOTE_KEY_SIZE];
} card_load_t;

/* What an activation has read for the message that caused it. */
typedef struct card_repeat {
    uint64_t serial; /* 0: nothing */
    bool key_checked;
    bool member_is_new;
    uint64_t keys_moment;
    bool found; /* a reply for its key */
    uint8_t request_hash[32];
    char *reply; /* malloc'ed */
    size_t reply_size;
} card_repeat_t;

/* What a card needs only while something of it is under way. */
typedef struct card_work {
    card_load_t *loading;
    card_repeat_t repeat;
    shard_message_t *held_first; /* through base.next */
    shard_message_t *held_last;
    uint32_t held_count;
    bool is_listed_unknown;
    card_actor_t *unknown_next;
} card_work_t;

enum { CARD_SNAPSHOT_NONE = UINT16_MAX };

/* A card at rest. A million of these are in memory (DESIGN 6: an idle card takes 256 bytes and its
 * texts), so the state that the rules work on (card_state_t) is kept in pieces and put together
 * for each message: card_memory.c. */
struct card_actor {
    card_actor_t *newer; /* of its tenant */
    card_actor_t *older;
    partition_t *partition; /* NULL: not listed with its tenant */
    card_work_t *work;      /* NULL: nothing is under way */
    char *texts;            /* of the state, then the holder's name, in one block */
    uint64_t batch_number;  /* of the last batch that carries something of it; 0: none */
    int64_t valid_from;
    int64_t expires_at;
    int64_t issued_at;
    uint64_t version;
    uint64_t card_sequence;
    uint32_t messages;       /* handled since it was activated */
    uint32_t handled_ms;     /* the last one: low half of loop_now_ms, for people who look */
    uint32_t unsnapshot;     /* its newest events that no snapshot has */
    uint16_t present;        /* of card_state_t */
    uint16_t snapshot_index; /* in batch_number, if that batch has a snapshot of it */
    uint16_t sealed_name_size;
    uint16_t holder_name_size;
    uint8_t member_id_size;
    uint8_t tier_size;
    uint8_t status;
    bool was_activated : 1;
    bool is_suspended : 1;
    bool has_holder_name : 1;
};
static_assert(sizeof(card_actor_t) == 112, "with header and id it fits into 256 bytes");
static_assert(card_snapshot_field_count_value <= 16, "as many as `present` has bits");

/* --- card_memory.c --- */

/* The state as the rules see it. Its texts are borrowed from the card. */
void card_memory_read(const card_actor_t *card, card_state_t *state);
/* Keeps a state, whose texts and name may be anybody's; `unsnapshot` and what follows from batches
 * is the caller's. */
void card_memory_keep(card_actor_t *card, const card_state_t *state, text_t holder_name);
/* The same when no text has changed since card_memory_read. */
void card_memory_update(card_actor_t *card, const card_state_t *state);
size_t card_memory_texts_size(const card_actor_t *card);
text_t card_memory_holder_name(const card_actor_t *card);
/* Wipes and frees its texts. */
void card_memory_free(card_actor_t *card, const crypto_functions_t *crypto);
/* Opens the name of a state with the member's key, if both are there. */
text_t card_memory_open_name(const tenant_t *tenant, const card_state_t *state,
                             text_t sealed_member_key, char plain[256]);

/* --- card_handle.c --- */

/* Takes the message and ends it, now or when its batch is durable. Everything that had to be read
 * has been. An error: nothing was decided, the message is still the caller's, and the card is to be
 * built anew. */
MUST_USE result_t card_handle(card_actor_t *card, shard_message_t **message);
/* Stores the card's state with the batch; it does not run ahead again before that is durable. */
void card_handle_snapshot(card_actor_t *card, batch_t *batch);
/* The member whose key the message needs and the cache lacks; empty: none. */
text_t card_handle_missing_member(const card_actor_t *card, const shard_message_t *message);

/* The member whose standing the message needs and the cache lacks; empty: none. */
text_t card_handle_member(const card_actor_t *card, const shard_message_t *message);
/* The member of whom other nodes may know what is not known here; empty: none. */
text_t card_handle_recall(const card_actor_t *card, const shard_message_t *message);

static inline tenant_t *card_tenant(const card_actor_t *card)
{
    return card->partition->tenant;
}

#endif
