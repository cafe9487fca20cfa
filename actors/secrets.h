/* The chain of sealed secrets and what each is bound to, in one place:
 *
 *   master key ── tenant secret   bound to "tenant:" NAME
 *              ├─ card key        bound to "card-key:" NAME ":" KID (decimal)
 *              └─ series          derived for "lag-series:" NAME 0x00 CONSUMER; for metrics
 *   tenant secret ── member key   bound to NAME 0x00 MEMBER_ID
 *   tenant secret ── stored reply bound to "reply:" NAME 0x00 IDEMPOTENCY_KEY
 *   tenant secret ── word key     derived for "name-words:" NAME; hashes words of names for search
 *   tenant secret ── status key   derived for "mem-status:" NAME; for statuses of members in Redis
 *   member key ── holder name     bound to MEMBER_ID
 *
 * A sealed text that is moved to another tenant, key or member does not open. Erasing a member key
 * erases the names that were sealed under it (DESIGN 2.4). Pure but for the nonce of `seal`; keeps
 * nothing. Callers wipe what they opened. */
#ifndef ACTORS_SECRETS_H
#define ACTORS_SECRETS_H

#include "actors/ports/crypto.h"

enum {
    SECRET_SEALED_KEY_SIZE = CRYPTO_KEY_SIZE + CRYPTO_SEAL_OVERHEAD,
    SECRET_NAME_SIZE_MAX = 256, /* card_issue.holder_name */
    SECRET_SERIES_SIZE = 17,    /* 16 hex digits and NUL */
    SECRET_SEALED_NAME_SIZE_MAX = SECRET_NAME_SIZE_MAX + CRYPTO_SEAL_OVERHEAD,
};

/* `tenant` is a valid name, `member_id` at most 128 bytes: asserted. The open functions return
 * false when the sealed text has the wrong size, was sealed for something else or was changed. */
void secret_tenant_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                        text_t tenant, const crypto_key_t *tenant_secret,
                        uint8_t sealed[SECRET_SEALED_KEY_SIZE]);
MUST_USE bool secret_tenant_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                                 text_t tenant, text_t sealed, crypto_key_t *tenant_secret);

void secret_card_key_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                          text_t tenant, uint32_t kid, const crypto_key_t *card_key,
                          uint8_t sealed[SECRET_SEALED_KEY_SIZE]);
MUST_USE bool secret_card_key_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                                   text_t tenant, uint32_t kid, text_t sealed,
                                   crypto_key_t *card_key);

void secret_member_key_seal(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                            text_t tenant, text_t member_id, const crypto_key_t *member_key,
                            uint8_t sealed[SECRET_SEALED_KEY_SIZE]);
MUST_USE bool secret_member_key_open(const crypto_functions_t *crypto,
                                     const crypto_key_t *tenant_secret, text_t tenant,
                                     text_t member_id, text_t sealed, crypto_key_t *member_key);

/* Writes holder_name.size + CRYPTO_SEAL_OVERHEAD bytes; holder_name.size ≤ SECRET_NAME_SIZE_MAX. */
void secret_holder_name_seal(const crypto_functions_t *crypto, const crypto_key_t *member_key,
                             text_t member_id, text_t holder_name,
                             uint8_t sealed[SECRET_SEALED_NAME_SIZE_MAX]);
/* `holder_name` points into `plain`. */
MUST_USE bool secret_holder_name_open(const crypto_functions_t *crypto,
                                      const crypto_key_t *member_key, text_t member_id,
                                      text_t sealed, char plain[SECRET_NAME_SIZE_MAX],
                                      text_t *holder_name);

/* A reply kept for an idempotency key of at most 128 bytes. Writes
 * reply.size + CRYPTO_SEAL_OVERHEAD bytes. */
void secret_reply_seal(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                       text_t tenant, text_t key, text_t reply, uint8_t *sealed);
/* `reply` points into `plain`; false also when that is too small. */
MUST_USE bool secret_reply_open(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                                text_t tenant, text_t key, text_t sealed, uint8_t *plain,
                                size_t plain_size, text_t *reply);

/* The request of a dead letter, under the master key: the command line shows it without the
 * tenant's journal. Writes request.size + CRYPTO_SEAL_OVERHEAD bytes. */
void secret_dead_letter_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                             text_t tenant, text_t fingerprint, text_t request, uint8_t *sealed);
MUST_USE bool secret_dead_letter_open(const crypto_functions_t *crypto,
                                      const crypto_key_t *master_key, text_t tenant,
                                      text_t fingerprint, text_t sealed, uint8_t *plain,
                                      size_t plain_size, text_t *request);

/* What signs the deliveries of a webhook, under the master key. Writes
 * secret.size + CRYPTO_SEAL_OVERHEAD bytes. */
void secret_webhook_seal(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                         text_t tenant, text_t name, text_t secret, uint8_t *sealed);
/* `plain_size` is that of the secret. */
MUST_USE bool secret_webhook_open(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                                  text_t tenant, text_t name, text_t sealed, char *plain,
                                  size_t plain_size);

/* What a consumer of events is called in metrics, which everyone may read who reaches the port: the
 * same on every node and for ever, and without the master key it tells neither tenant nor name. */
void secret_consumer_series(const crypto_functions_t *crypto, const crypto_key_t *master_key,
                            text_t tenant, text_t consumer, char series[SECRET_SERIES_SIZE]);

/* The key under which words of holders' names are hashed, so that a name can be searched for
 * without being stored. Whoever has the read models but not this key learns which cards share a
 * word. */
void secret_name_word_key(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                          text_t tenant, crypto_key_t *word_key);

/* The key under which ids of members are hashed for what nodes remember of them together, and which
 * vouches for it: whoever has Redis but not this key learns no member and can make up no status. */
void secret_member_status_key(const crypto_functions_t *crypto, const crypto_key_t *tenant_secret,
                              text_t tenant, crypto_key_t *status_key);

#endif
