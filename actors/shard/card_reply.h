/* Documents that go into replies about cards, and the way of a decided reply into its batch.
 * Shared by the card actor and by the tenant's routing. Decides nothing. */
#ifndef ACTORS_CARD_REPLY_H
#define ACTORS_CARD_REPLY_H

#include "actors/shard/partition.h"
#include "actors/shard/tenant_actor.h"

/* What a verdict says. */
typedef struct verdict_facts {
    uint8_t reason;     /* enum reason */
    const card_t *card; /* NULL: none was identified */
    uuid_t validation_id;
    uint64_t sequence; /* of its event; 0: none */
    int64_t now_ms;
    const card_validate_t *validate;
    bool is_fallback; /* rests on knowledge that could not be refreshed, */
    bool has_age;
    uint64_t age_s; /* which is this old */
} verdict_facts_t;

/* Each packs a document into the shard's scratch and returns it; valid until the next one. */
text_t card_reply_pack_verdict(shard_t *shard, const verdict_facts_t *facts);
text_t card_reply_pack_card(shard_t *shard, const card_t *card);

/* The reply to a request whose card does not exist: a verdict for validations, else CARD_NOT_FOUND.
 * Counts the verdict and logs the refusal. */
void card_reply_without_card(tenant_t *tenant, const shard_message_t *message, uint8_t reason,
                             reply_t *reply);

/* Takes the message: its reply leaves when the batch is durable, and is stored with it under the
 * message's idempotency key if it has one. */
void card_reply_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                     const reply_t *reply);

#endif
