/* Verdicts and cards as reply bodies. Must not read or change the state of a card. */
#include "actors/shard/card_reply.h"
#include "actors/secrets.h"
#include <assert.h>

static text_t pack_into_scratch(shard_t *shard, const message_type_t *type, const void *document)
{
    const size_t size =
        message_pack(type, document, MESSAGE_KEYS_IDS, shard->scratch, sizeof(shard->scratch));
    assert(size <= sizeof(shard->scratch)); /* the longest texts of a card make 2 KiB */
    return (text_t){.data = (const char *)shard->scratch, .size = size};
}

text_t card_reply_pack_card(shard_t *shard, const card_t *card)
{
    return pack_into_scratch(shard, &card_message, card);
}

text_t card_reply_pack_verdict(shard_t *shard, const verdict_facts_t *facts)
{
    verdict_t verdict;
    verdict.present = 0;
    const uint8_t result = facts->reason == reason_valid ? (uint8_t)verdict_result_valid
                                                         : (uint8_t)verdict_result_refused;
    MESSAGE_SET(verdict, &verdict, result, result);
    MESSAGE_SET(verdict, &verdict, reason, facts->reason);
    MESSAGE_SET(verdict, &verdict, message, card_reason_message(facts->reason));
    if (facts->card != NULL) {
        MESSAGE_SET(verdict, &verdict, card, *facts->card);
    }
    MESSAGE_SET(verdict, &verdict, validation_id, facts->validation_id);
    if (facts->sequence != 0) {
        MESSAGE_SET(verdict, &verdict, sequence, facts->sequence);
    }
    MESSAGE_SET(verdict, &verdict, fallback, facts->is_fallback);
    if (facts->has_age) {
        MESSAGE_SET(verdict, &verdict, fallback_age_s, facts->age_s);
    }
    const bool has_at = MESSAGE_HAS(card_validate, facts->validate, at);
    MESSAGE_SET(verdict, &verdict, at, has_at ? facts->validate->at : facts->now_ms);
    MESSAGE_SET(verdict, &verdict, recorded_at, facts->now_ms);
    return pack_into_scratch(shard, &verdict_message, &verdict);
}

void card_reply_without_card(tenant_t *tenant, const shard_message_t *message, uint8_t reason,
                             reply_t *reply)
{
    shard_t *const shard = tenant->shard;
    reply_begin(&message->request, reply);
    if (message->request.type != request_type_card_validate &&
        message->request.type != request_type_card_scan) {
        reply_fail(reply, RESULT_CARD_NOT_FOUND, TEXT_NONE, TEXT_NONE);
        return;
    }
    const int64_t now_ms = shard->ports.wall_ms();
    const verdict_facts_t facts = {
        .reason = reason,
        .validation_id = shard_uuid(shard, now_ms, 0),
        .now_ms = now_ms,
        .validate = &message->command.validate,
    };
    reply_succeed(reply, card_reply_pack_verdict(shard, &facts));
    shard_metrics_verdict(&shard->metrics, reason);
    tenant_log_refusal(tenant, message, reason);
}

/* A stored reply shows names and codes, so it is sealed like everything personal. */
static text_t seal_for_store(batch_t *batch, const shard_message_t *message, const reply_t *reply)
{
    const crypto_functions_t *const crypto = message->shard->ports.crypto;
    uint8_t *const plain = message->shard->envelope;
    const size_t size = reply_pack_stored(reply, plain, sizeof(message->shard->envelope));
    assert(size <= sizeof(message->shard->envelope)); /* a card or a verdict: 3 KiB */
    uint8_t *const sealed = batch_allocate(batch, size + CRYPTO_SEAL_OVERHEAD);
    secret_reply_seal(crypto, &message->tenant->secret, tenant_name(message->tenant),
                      message->request.key, (text_t){.data = (const char *)plain, .size = size},
                      sealed);
    crypto->wipe(plain, size);
    return (text_t){.data = (const char *)sealed, .size = size + CRYPTO_SEAL_OVERHEAD};
}

static void keep_for_repeats(batch_t *batch, const shard_message_t *message, const reply_t *reply)
{
    journal_idempotency_t *const row = &batch->idempotency[batch->idempotency_count];
    batch->idempotency_count++;
    row->key = message->request.key; /* lives as long as the message, which the batch owns */
    assert(message->request.key_hash.size == sizeof(row->request_hash));
    memcpy(row->request_hash, message->request.key_hash.data, sizeof(row->request_hash));
    row->reply = seal_for_store(batch, message, reply);
    row->recorded_at = message->shard->ports.wall_ms();
    batch->stored_size += row->reply.size;
}

void card_reply_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                     const reply_t *reply)
{
    envelope_t envelope;
    envelope.present = 0;
    envelope.reply = *reply;
    MESSAGE_MARK(envelope, &envelope, reply);
    const text_t packed = batch_pack(batch, &envelope_message, &envelope);
    if (shard_message_has_key(*message)) {
        keep_for_repeats(batch, *message, reply);
    }
    partition_wait(partition, batch, message, packed, reply->outcome);
}
