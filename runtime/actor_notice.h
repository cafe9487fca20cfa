/* What an actor may ask the system to be told: an answer, a moment, another's end, room in a full
 * mailbox. Each is a notice: a message that exists from the beginning, so that it can always be
 * delivered, in the system lane (actor_system_type_t). An actor owns LIMIT_ACTOR_NOTICES_OWNED at
 * most; they end with its state. To be called within handlers of `self` or by its kind. */
#ifndef RUNTIME_ACTOR_NOTICE_H
#define RUNTIME_ACTOR_NOTICE_H

#include "runtime/actor_system.h"

/* Sends a question. Exactly one of these follows: a message with ACTOR_MESSAGE_REPLY and this
 * correlation, or ACTOR_SYSTEM_UNANSWERED with it, at the latest after `timeout_ms`; nothing after
 * actor_cancel. A question whose time has passed or that was cancelled is not handled any more when
 * it still waits. Errors as actor_tell, and NO_MEMORY; then nothing follows. */
MUST_USE result_t actor_ask(actor_t *self, actor_ref_t to, actor_message_t **question,
                            uint64_t timeout_ms, uint64_t *correlation);
/* Answers `question`, which its handler has or has taken. MISSING: nobody waits for it any more;
 * the caller still owns `answer` then. */
MUST_USE result_t actor_reply(actor_t *self, const actor_message_t *question,
                              actor_message_t **answer);

/* A timer, at once when `delay_ms` is 0 (but not within the call), every `period_ms` when that is
 * not 0. A tick that comes while the one before it still waits is merged into it: missed ticks do
 * not pile up. NO_MEMORY. */
MUST_USE result_t actor_timer_start(actor_t *self, uint64_t delay_ms, uint64_t period_ms,
                                    uint64_t *timer);

/* Told once when `subject` ends, at once when it has. NO_MEMORY. */
MUST_USE result_t actor_watch(actor_t *self, actor_ref_t subject, uint64_t *watch);
/* After BUSY: told once when the mailbox of `target` is half empty, or when it ended. */
MUST_USE result_t actor_wait_for_room(actor_t *self, actor_ref_t target);
/* To be called again after whatever waits now, of this actor and of others. */
MUST_USE result_t actor_yield(actor_t *self);

/* Ends a question, timer or watch, also when it lies in the mailbox already. Unknown: nothing. */
void actor_cancel(actor_t *self, uint64_t number);

/* Of a message with ACTOR_MESSAGE_SYSTEM, while its handler runs. */
uint32_t actor_notice_count(const actor_message_t *message);  /* ticks in one */
result_t actor_notice_result(const actor_message_t *message); /* why it ended or is unanswered */

#endif
