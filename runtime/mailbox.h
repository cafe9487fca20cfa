/* A bounded queue of messages for one actor: first in, first out, full at LIMIT_MAILBOX_MESSAGES.
 * The messages are chained through themselves, so that sending allocates nothing. */
#ifndef RUNTIME_MAILBOX_H
#define RUNTIME_MAILBOX_H

#include "runtime/result.h"

/* First member of every message struct. Messages are allocated by the sender (malloc) and owned by
 * the mailbox once sent. */
typedef struct actor_message actor_message_t;
struct actor_message {
    actor_message_t *next;                     /* of the mailbox */
    void (*destroy)(actor_message_t *message); /* frees it */
};

/* All zero is an empty one. */
typedef struct mailbox {
    actor_message_t *first;
    actor_message_t *last;
    uint32_t count;
} mailbox_t;

/* Takes the message and nulls the pointer. BUSY: full; the caller still owns the message. */
MUST_USE result_t mailbox_send(mailbox_t *mailbox, actor_message_t **message);
/* The oldest message, now the caller's; NULL when empty. */
actor_message_t *mailbox_take(mailbox_t *mailbox);

#endif
