/* The membership context (DESIGN 3.5) as the adapters role asks it and hears from it. Implemented
 * by adapters/membership over HTTP and over ZeroMQ; docs/membership.md is its page for the people
 * on the other side.
 *
 * Contract:
 *  - `ask` never calls `done` itself; `done` comes later on the loop's thread, exactly once, unless
 *    cancelled. Every question ends by its deadline. What an answer points to is valid during
 *    `done` only.
 *  - An answer that makes no sense (another member's, no JSON, unknown status, too large) is a
 *    failure, as no answer is. That a member does not exist is an answer: status missing.
 *  - What the context publishes is handed over as it comes: perhaps twice, late, or not at all.
 *    What cannot be read at all is counted and dropped: the gap shows. */
#ifndef ACTORS_PORTS_MEMBERSHIP_H
#define ACTORS_PORTS_MEMBERSHIP_H

#include "messages/messages.h"
#include "runtime/limits.h"
#include "runtime/result.h"

typedef struct membership membership_t;
typedef struct membership_call membership_call_t;

typedef struct membership_question {
    text_t tenant;
    text_t member_id; /* empty: events after `after` */
    uint64_t after;
    uint32_t limit; /* of events; at most LIMIT_MEMBERSHIP_PAGE */
    uint32_t deadline_ms;
} membership_question_t;

typedef struct membership_answer {
    const char *failure;          /* NULL: answered; else why not, for people, without names */
    uint8_t status;               /* enum member_status */
    int64_t valid_until;          /* 0: none said */
    const member_event_t *events; /* in order of sequence */
    size_t event_count;
} membership_answer_t;
typedef void membership_done_t(void *context, const membership_answer_t *answer);

/* Borrowed for the call. */
typedef void membership_heard_t(void *context, text_t tenant, const member_event_t *event);

typedef struct membership_functions {
    /* MISSING: nothing is configured for that tenant; INVALID_ARGUMENT; BUSY. */
    result_t (*ask)(membership_t *membership, const membership_question_t *question,
                    membership_done_t *done, void *context, membership_call_t **call);
    void (*cancel)(membership_t *membership, membership_call_t **call); /* nulls */
    bool (*is_configured)(const membership_t *membership, text_t tenant);
    /* Whether its events are heard (else they are read only). */
    result_t (*subscribe)(membership_t *membership, text_t tenant);
    void (*unsubscribe)(membership_t *membership, text_t tenant);
} membership_functions_t;

struct membership {
    const membership_functions_t *functions; /* the adapter's struct begins with this one */
};

#endif
