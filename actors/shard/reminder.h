/* Durable reminders: an actor is told something at a moment, whether it is resident then or not,
 * also after a crash. Asked for, taken and moved in the ordinary batch of the actor's partition, so
 * that a reminder and what is decided because of it are stored together or not at all.
 *
 *   in a handler      reminder_set / reminder_cancel: part of the batch that carries the decision
 *   when it is due    a SHARD_REMIND message to the card, or (actor all zero) the tenant's handler
 *                     of that name in tenant_remind.c; ticks that a periodic one has missed
 *                     meanwhile come merged into one, which says how many they were
 *   in that handler   reminder_is_current (else leave it: it is read again), then reminder_take
 *                     together with the effect, or reminder_postpone
 *
 * Delivered at least once; the effect is exactly once, because a batch that takes a reminder which
 * is not there any more as it was delivered stores nothing (journal.h). A tenant nobody touches is
 * opened for its reminders every LIMIT_SWEEP_ROTATION_MS. */
#ifndef ACTORS_REMINDER_H
#define ACTORS_REMINDER_H

#include "actors/shard/tenant_actor.h"

typedef struct reminder_request {
    uuid_t actor; /* a card of the batch's partition, or all zero: the tenant, partition 0 */
    text_t name;  /* at most JOURNAL_REMINDER_NAME_SIZE_MAX bytes; no personal data */
    int64_t due_at;
    int64_t period_ms; /* 0: once */
    text_t data;       /* at most JOURNAL_REMINDER_DATA_SIZE_MAX bytes; no personal data */
} reminder_request_t;

/* Texts are copied into the batch. The batch has room for one change more than it has requests. */
void reminder_set(tenant_t *tenant, batch_t *batch, const reminder_request_t *request);
/* Only if there is none of that name. */
void reminder_ensure(tenant_t *tenant, batch_t *batch, const reminder_request_t *request);
void reminder_cancel(tenant_t *tenant, batch_t *batch, const uuid_t *actor, text_t name);

/* False: when due reminders were read, changes of its partition were not committed yet, so that
 * what was read may be out of date. */
bool reminder_is_known(const tenant_t *tenant, const uuid_t *actor);
/* False: it was changed by what was decided since it was read, or the clock went back to before it
 * is due. It stays as it is, and is read again. */
bool reminder_is_current(const tenant_t *tenant, const shard_reminder_t *reminder, int64_t now_ms);
/* It goes, or a periodic one moves on to its next tick. */
void reminder_take(tenant_t *tenant, batch_t *batch, const shard_reminder_t *reminder);
/* It comes again then, as if it had been asked for that moment. */
void reminder_postpone(tenant_t *tenant, batch_t *batch, const shard_reminder_t *reminder,
                       int64_t due_at);

#endif
