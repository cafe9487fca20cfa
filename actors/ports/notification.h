/* Messages to people (e-mail, push, text message), as the adapters role asks a vendor to deliver
 * them. The contract of all vendors stands in vendor.h.
 *
 * Safe to repeat: only when `key` is there and the vendor honours it (is_keyed), so that the same
 * key never reaches a person twice. Without that a failure is final: whether the message left is
 * not known, and a person is told too little rather than twice.
 *
 * Deadline: LIMIT_VENDOR_DEADLINE_MS at most. An answer means that the vendor took the message, not
 * that somebody has read it. */
#ifndef ACTORS_PORTS_NOTIFICATION_H
#define ACTORS_PORTS_NOTIFICATION_H

#include "actors/ports/vendor.h"

typedef struct notification notification_t;

typedef enum notification_channel {
    NOTIFICATION_EMAIL = 1,
    NOTIFICATION_PUSH,
    NOTIFICATION_TEXT_MESSAGE,
} notification_channel_t;

typedef struct notification_question {
    text_t tenant;
    text_t key; /* of this message; empty: it has none */
    notification_channel_t channel;
    text_t recipient; /* address of that channel; leaves the service only in this question */
    text_t subject;   /* may be empty; at most LIMIT_VENDOR_TEXT_SIZE, as all of these */
    text_t body;      /* plain text */
    uint32_t deadline_ms;
} notification_question_t;

typedef struct notification_answer {
    vendor_answer_t base;
    text_t message_id; /* of the vendor; may be empty */
} notification_answer_t;
typedef void notification_done_t(void *context, const notification_answer_t *answer);

typedef struct notification_functions {
    result_t (*ask)(notification_t *notification, const notification_question_t *question,
                    notification_done_t *done, void *context, vendor_call_t **call);
    void (*cancel)(notification_t *notification, vendor_call_t **call); /* nulls */
    bool is_keyed; /* a repeated key is delivered once */
} notification_functions_t;

struct notification {
    const notification_functions_t *functions; /* the adapter's struct begins with this one */
};

#endif
