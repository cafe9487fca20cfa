/* A bounded queue of messages for one actor with two lanes, system before user; each first in,
 * first out. The messages are chained through themselves, so that sending allocates nothing. */
#ifndef RUNTIME_MAILBOX_H
#define RUNTIME_MAILBOX_H

#include "runtime/actor_ref.h"
#include "runtime/result.h"
#include <assert.h>
#include <stddef.h>

typedef enum actor_message_flag {
    ACTOR_MESSAGE_REQUEST = 1, /* sent with actor_ask: `correlation` names the question */
    ACTOR_MESSAGE_REPLY = 2,   /* the answer to the question `correlation` */
    ACTOR_MESSAGE_SYSTEM = 4,  /* made by the actor system: types below */
} actor_message_flag_t;

/* Types of messages with ACTOR_MESSAGE_SYSTEM; all other types are the sender's business. */
typedef enum actor_system_type {
    ACTOR_SYSTEM_TIMER = 1,  /* `correlation`: the timer; actor_notice_count: ticks merged in it */
    ACTOR_SYSTEM_ENDED,      /* a watched actor ended: `sender` it, actor_notice_result why */
    ACTOR_SYSTEM_ROOM,       /* `sender`, whose mailbox was full, has room again */
    ACTOR_SYSTEM_UNANSWERED, /* a question: deadline passed, or `sender` ended */
    ACTOR_SYSTEM_AGAIN,      /* asked for with actor_yield */
    ACTOR_SYSTEM_ESCALATED,  /* to the owner of a group: it failed too often */
} actor_system_type_t;

/* First member of every message struct. Owned by the mailbox once sent. Messages of the pool come
 * from actor_message_create; other structs set `destroy` and may leave all else zero. */
typedef struct actor_message actor_message_t;
struct actor_message {
    actor_message_t *next;                     /* of the mailbox; the owner's while it is in none */
    void (*destroy)(actor_message_t *message); /* frees it; NULL: it is of the pool */
    actor_ref_t sender;                        /* none: sent from outside */
    uint64_t correlation;                      /* of a question, its answer, or a timer */
    uint32_t type;
    uint16_t flags;
    uint8_t size_class; /* of the pool */
};

typedef enum mailbox_lane { MAILBOX_SYSTEM, MAILBOX_USER, MAILBOX_LANES } mailbox_lane_t;

/* All zero is an empty one. Each lane is a ring of which the last message is kept: its `next` is
 * the first. */
typedef struct mailbox {
    actor_message_t *last[MAILBOX_LANES];
    uint16_t count[MAILBOX_LANES];
    /* What else a turn needs of its actor, here because the word has room. */
    uint8_t phase; /* actor_phase_t */
    uint8_t due;   /* actor_due_t */
    bool has_room_waiters;
    bool is_resting; /* its actor failed too often: nothing comes in for a while */
} mailbox_t;

static inline bool mailbox_is_empty(const mailbox_t *mailbox)
{
    return mailbox->last[MAILBOX_USER] == NULL && mailbox->last[MAILBOX_SYSTEM] == NULL;
}

/* The oldest message of the user lane, not taken; NULL when there is none. */
static inline const actor_message_t *mailbox_first(const mailbox_t *mailbox)
{
    const actor_message_t *const last = mailbox->last[MAILBOX_USER];
    return last == NULL ? NULL : last->next;
}

static inline void mailbox_append(mailbox_t *mailbox, mailbox_lane_t lane, actor_message_t *message)
{
    actor_message_t *const last = mailbox->last[lane];
    if (last == NULL) {
        message->next = message;
    } else {
        message->next = last->next;
        last->next = message;
    }
    mailbox->last[lane] = message;
    mailbox->count[lane]++;
}

static inline actor_message_t *mailbox_take_lane(mailbox_t *mailbox, mailbox_lane_t lane)
{
    actor_message_t *const last = mailbox->last[lane];
    if (last == NULL) {
        return NULL;
    }
    actor_message_t *const first = last->next;
    if (first == last) {
        mailbox->last[lane] = NULL;
    } else {
        last->next = first->next;
    }
    mailbox->count[lane]--;
    first->next = NULL;
    return first;
}

/* The oldest system message, else the oldest user message, now the caller's; NULL when empty. */
static inline actor_message_t *mailbox_take(mailbox_t *mailbox)
{
    actor_message_t *const message = mailbox_take_lane(mailbox, MAILBOX_SYSTEM);
    return message != NULL ? message : mailbox_take_lane(mailbox, MAILBOX_USER);
}

/* Into the user lane, which holds `count_max`. Takes the message and nulls the pointer. BUSY: full;
 * the caller still owns the message. */
MUST_USE static inline result_t mailbox_send(mailbox_t *mailbox, uint32_t count_max,
                                             actor_message_t **message)
{
    if (mailbox->count[MAILBOX_USER] >= count_max) {
        return RESULT_BUSY;
    }
    mailbox_append(mailbox, MAILBOX_USER, *message);
    *message = NULL;
    return RESULT_OK;
}

#endif
