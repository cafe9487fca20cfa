/* Passes of cards in the wallets of phones, as the adapters role asks a vendor for them. The
 * contract of all vendors stands in vendor.h.
 *
 * Safe to repeat: both operations. A pass is known by its card, and the vendor keeps the one with
 * the highest `version`: an older one that comes late changes nothing and is answered as if it had
 * been kept. So a lost answer costs a second call, never a second pass.
 *
 * Deadline: LIMIT_VENDOR_DEADLINE_MS at most; nobody waits at a door for it. */
#ifndef ACTORS_PORTS_WALLET_H
#define ACTORS_PORTS_WALLET_H

#include "actors/ports/vendor.h"

typedef struct wallet wallet_t;

typedef enum wallet_operation {
    WALLET_PUT = 1, /* makes the pass of a card, or brings it up to date */
    WALLET_VOID,    /* the card is revoked or replaced: the pass stays, and says so */
} wallet_operation_t;

typedef struct wallet_question {
    text_t tenant;
    wallet_operation_t operation;
    uuid_t card;
    uint64_t version; /* of the card; rises */
    uint8_t status;   /* enum card_status */
    int64_t valid_from;
    int64_t expires_at;
    text_t code;  /* PUT: what the gate scans; at most LIMIT_VENDOR_TEXT_SIZE, as all of these */
    text_t title; /* PUT: name of the organisation */
    text_t tier;  /* may be empty */
    text_t holder_name; /* may be empty; leaves the service only in this question */
    uint32_t deadline_ms;
} wallet_question_t;

typedef struct wallet_answer {
    vendor_answer_t base;
    text_t link; /* PUT: where the holder gets the pass; https only */
} wallet_answer_t;
typedef void wallet_done_t(void *context, const wallet_answer_t *answer);

typedef struct wallet_functions {
    result_t (*ask)(wallet_t *wallet, const wallet_question_t *question, wallet_done_t *done,
                    void *context, vendor_call_t **call);
    void (*cancel)(wallet_t *wallet, vendor_call_t **call); /* nulls */
} wallet_functions_t;

struct wallet {
    const wallet_functions_t *functions; /* the adapter's struct begins with this one */
};

#endif
