/* Notices: questions, timers, watches, room. One record each from arming to handling; the message
 * is part of it. Must not know what the actors do with them. */
#include "runtime/actor_internal.h"

#include <string.h>

/* --- The record --- */

static void ring_append(actor_notice_t **first, actor_notice_t *notice)
{
    notice->is_with_subject = true;
    if (*first == NULL) {
        *first = notice;
        notice->subject_next = NULL;
        notice->subject_previous = notice;
        return;
    }
    actor_notice_t *const last = (*first)->subject_previous;
    last->subject_next = notice;
    notice->subject_next = NULL;
    notice->subject_previous = last;
    (*first)->subject_previous = notice;
}

static void ring_remove(actor_notice_t **first, actor_notice_t *notice)
{
    notice->is_with_subject = false;
    if (notice->subject_next != NULL) {
        notice->subject_next->subject_previous = notice->subject_previous;
    } else {
        (*first)->subject_previous = notice->subject_previous;
    }
    if (*first == notice) {
        *first = notice->subject_next;
    } else {
        notice->subject_previous->subject_next = notice->subject_next;
    }
}

static void leave_subject(actor_notice_t *notice)
{
    if (!notice->is_with_subject) {
        return;
    }
    actor_t *const subject = actor_get_inline(notice->system, notice->subject);
    assert(subject != NULL); /* it tells all when it ends */
    if (notice->kind == NOTICE_WATCH) {
        ring_remove(&subject->watchers, notice);
    } else {
        ring_remove(&subject->room_waiters, notice);
        subject->mailbox.has_room_waiters = subject->room_waiters != NULL;
    }
}

static void leave_owner(actor_notice_t *notice)
{
    if (!notice->is_owned) {
        return;
    }
    notice->is_owned = false;
    actor_t *const owner = actor_get_inline(notice->system, notice->owner);
    assert(owner != NULL); /* it forgets all when it ends */
    owner->owned_count--;
    if (notice->owner_previous == NULL) {
        owner->owned = notice->owner_next;
    } else {
        notice->owner_previous->owner_next = notice->owner_next;
    }
    if (notice->owner_next != NULL) {
        notice->owner_next->owner_previous = notice->owner_previous;
    }
}

void notice_destroy(actor_notice_t *notice)
{
    timer_wheel_cancel(&notice->system->wheel, &notice->timer);
    leave_subject(notice);
    leave_owner(notice);
    slab_give(&notice->system->notices, notice);
}

/* Its message was handled, or thrown away. */
static void message_done(actor_message_t *message)
{
    actor_notice_t *const notice = notice_of(message);
    notice->is_queued = false;
    notice->count = 0;
    if (notice->is_cancelled || notice->period_ms == 0) {
        notice_destroy(notice);
    }
}

/* Answers that wait, and notices that were cancelled when they waited already, are owned no more:
 * the lane they wait in has the same bound, and holds at most twice as many. */
static bool may_own(const actor_t *owner)
{
    static_assert(2 * LIMIT_ACTOR_NOTICES_OWNED <= UINT16_MAX, "what a mailbox can count");
    return owner->mailbox.phase != ACTOR_GONE && owner->owned_count < LIMIT_ACTOR_NOTICES_OWNED &&
           owner->mailbox.count[MAILBOX_SYSTEM] < LIMIT_ACTOR_NOTICES_OWNED;
}

result_t notice_create(actor_system_t *system, actor_t *owner, actor_notice_kind_t kind,
                       actor_notice_t **notice)
{
    if (owner != NULL && !may_own(owner)) {
        return RESULT_NO_MEMORY;
    }
    actor_notice_t *const created = slab_take(&system->notices);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    memset((uint8_t *)created + sizeof(slab_head_t), 0, sizeof(*created) - sizeof(slab_head_t));
    created->system = system;
    created->kind = (uint8_t)kind;
    created->message.destroy = message_done;
    created->message.flags = ACTOR_MESSAGE_SYSTEM;
    created->message.correlation = notice_number(created);
    if (owner != NULL) {
        created->owner = actor_ref_inline(owner);
        created->is_owned = true;
        created->owner_next = owner->owned;
        if (owner->owned != NULL) {
            owner->owned->owner_previous = created;
        }
        owner->owned = created;
        owner->owned_count++;
    }
    *notice = created;
    return RESULT_OK;
}

void notice_fire(actor_notice_t *notice, actor_system_type_t type, result_t result)
{
    actor_system_t *const system = notice->system;
    leave_subject(notice);
    notice->count++;
    if (notice->is_queued) {
        return; /* merged into the one that waits */
    }
    if (notice->period_ms == 0) {
        timer_wheel_cancel(&system->wheel, &notice->timer);
    }
    actor_t *const owner = actor_get_inline(system, notice->owner);
    if (owner == NULL || owner->mailbox.phase == ACTOR_GONE) {
        notice_destroy(notice);
        return;
    }
    notice->is_queued = true;
    notice->result = result;
    notice->message.type = type;
    notice->message.sender = notice->subject;
    owner->slot->numbers.messages_waiting++;
    mailbox_append(&owner->mailbox, type == ACTOR_SYSTEM_AGAIN ? MAILBOX_USER : MAILBOX_SYSTEM,
                   &notice->message);
    actor_wake(owner);
}

static void notice_cancel(actor_notice_t *notice)
{
    if (notice->is_queued) {
        notice->is_cancelled = true;
        leave_owner(notice);
    } else {
        notice_destroy(notice);
    }
}

void notice_forget_owned(actor_t *actor)
{
    while (actor->owned != NULL) {
        notice_cancel(actor->owned);
    }
}

void notice_tell_watchers(actor_t *actor, result_t why)
{
    while (actor->watchers != NULL) {
        notice_fire(actor->watchers, ACTOR_SYSTEM_ENDED, why);
    }
}

void notice_tell_room(actor_t *actor, uint32_t count_max)
{
    const result_t result = actor->mailbox.phase == ACTOR_GONE ? RESULT_MISSING : RESULT_OK;
    for (uint32_t count = 0; count < count_max && actor->room_waiters != NULL; count++) {
        notice_fire(actor->room_waiters, ACTOR_SYSTEM_ROOM, result);
    }
    actor->mailbox.has_room_waiters = actor->room_waiters != NULL;
}

/* --- Time --- */

static void set_loop_timer(actor_system_t *system)
{
    const uint64_t next_ms = timer_wheel_next_ms(&system->wheel);
    if (next_ms == system->wheel_timer_ms) {
        return;
    }
    system->wheel_timer_ms = next_ms;
    if (next_ms == UINT64_MAX) {
        loop_timer_stop(system->wheel_timer);
        return;
    }
    const uint64_t now_ms = loop_now_ms(system->loop);
    loop_timer_start(system->wheel_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void backoff_end_of(actor_t *actor, actor_notice_t *notice)
{
    notice_destroy(notice);
    assert(actor->mailbox.phase == ACTOR_BACKING_OFF);
    actor->supervision->backoff = 0;
    actor_restart_after(actor, 0);
    actor->slot->numbers.restarts--; /* counted when it began to wait */
}

/* Those of its group that wait as long come with it, in the order they were spawned. */
static void backoff_end(actor_notice_t *notice)
{
    actor_system_t *const system = notice->system;
    const uint64_t due_ms = notice->timer.due_ms;
    actor_t *const actor = actor_get_inline(system, notice->subject);
    assert(actor != NULL);
    const actor_group_t *const group = actor->supervision->group;
    if (group == NULL) {
        backoff_end_of(actor, notice);
        return;
    }
    for (uint32_t position = 0; position < group->count; position++) {
        actor_t *const child = actor_get_inline(system, group->children[position]);
        actor_notice_t *const other = notice_find(system, child->supervision->backoff);
        if (other != NULL && other->timer.due_ms <= due_ms) {
            backoff_end_of(child, other);
        }
    }
}

/* What lies beyond the end of time never comes. */
static uint64_t time_after(uint64_t time_ms, uint64_t delay_ms)
{
    return delay_ms > UINT64_MAX - time_ms ? UINT64_MAX : time_ms + delay_ms;
}

static void notice_due(actor_notice_t *notice, uint64_t now_ms)
{
    switch ((actor_notice_kind_t)notice->kind) {
    case NOTICE_QUESTION:
        notice_fire(notice, ACTOR_SYSTEM_UNANSWERED, RESULT_DEADLINE_EXCEEDED);
        break;
    case NOTICE_TIMER:
        if (notice->period_ms > 0) { /* armed first: firing may end it */
            const uint64_t missed = (now_ms - notice->timer.due_ms) / notice->period_ms;
            notice->count += (uint32_t)missed;
            timer_wheel_start(
                &notice->system->wheel, &notice->timer,
                time_after(notice->timer.due_ms + missed * notice->period_ms, notice->period_ms));
        }
        notice_fire(notice, ACTOR_SYSTEM_TIMER, RESULT_OK);
        break;
    case NOTICE_BACKOFF:
        backoff_end(notice);
        break;
    case NOTICE_WATCH:
    case NOTICE_ROOM:
    case NOTICE_AGAIN:
    case NOTICE_ESCALATION:
        assert(false); /* these have no timer */
        break;
    }
}

void notice_turn(actor_system_t *system)
{
    const uint64_t now_ms = loop_now_ms(system->loop);
    if (system->wheel.count == 0) {
        system->wheel.now_ms = now_ms > system->wheel.now_ms ? now_ms : system->wheel.now_ms;
    } else {
        timer_entry_t *entry = timer_wheel_take_due(&system->wheel, now_ms);
        while (entry != NULL) { /* what is armed meanwhile is due later */
            notice_due((actor_notice_t *)((uintptr_t)entry - offsetof(actor_notice_t, timer)),
                       now_ms);
            entry = timer_wheel_take_due(&system->wheel, now_ms);
        }
    }
}

void notice_turn_end(actor_system_t *system)
{
    set_loop_timer(system);
}

/* Counted from the loop's time, which the wheel follows. */
void notice_start_timer(actor_notice_t *notice, uint64_t delay_ms)
{
    actor_system_t *const system = notice->system;
    timer_wheel_start(&system->wheel, &notice->timer,
                      time_after(loop_now_ms(system->loop), delay_ms));
    loop_again(system->loop); /* it may be started from outside of a turn */
}

/* --- What actors call --- */

result_t actor_timer_start(actor_t *self, uint64_t delay_ms, uint64_t period_ms, uint64_t *timer)
{
    actor_notice_t *notice = NULL;
    const result_t result = notice_create(self->slot->system, self, NOTICE_TIMER, &notice);
    if (result != RESULT_OK) {
        return result;
    }
    notice->period_ms = period_ms;
    notice_start_timer(notice, delay_ms);
    *timer = notice_number(notice);
    return RESULT_OK;
}

result_t actor_ask(actor_t *self, actor_ref_t to, actor_message_t **question, uint64_t timeout_ms,
                   uint64_t *correlation)
{
    actor_notice_t *notice = NULL;
    result_t result = notice_create(self->slot->system, self, NOTICE_QUESTION, &notice);
    if (result != RESULT_OK) {
        return result;
    }
    const uint64_t number = notice_number(notice);
    (*question)->flags |= ACTOR_MESSAGE_REQUEST;
    (*question)->correlation = number;
    actor_message_t *const message = *question;
    result = actor_tell(self, to, question);
    if (result != RESULT_OK) {
        message->flags &= (uint16_t)~ACTOR_MESSAGE_REQUEST;
        notice_destroy(notice);
        return result;
    }
    notice->subject = to;
    notice_start_timer(notice, timeout_ms);
    *correlation = number;
    return RESULT_OK;
}

/* The record of a question somebody still waits for. */
static actor_notice_t *question_find(const actor_system_t *system, const actor_message_t *question)
{
    actor_notice_t *const notice = notice_find(system, question->correlation);
    const bool is_open = notice != NULL && notice->kind == NOTICE_QUESTION && !notice->is_queued &&
                         actor_ref_equals(notice->owner, question->sender);
    return is_open ? notice : NULL;
}

result_t actor_reply(actor_t *self, const actor_message_t *question, actor_message_t **answer)
{
    actor_system_t *const system = self->slot->system;
    assert((question->flags & ACTOR_MESSAGE_REQUEST) != 0);
    actor_notice_t *const notice = question_find(system, question);
    if (notice == NULL) {
        return RESULT_MISSING;
    }
    actor_t *const owner = actor_get_inline(system, notice->owner);
    actor_message_t *const message = *answer;
    *answer = NULL;
    message->flags = ACTOR_MESSAGE_REPLY;
    message->correlation = question->correlation;
    message->sender = actor_ref_inline(self);
    notice_destroy(notice);
    owner->slot->numbers.messages_waiting++;
    mailbox_append(&owner->mailbox, MAILBOX_SYSTEM, message);
    actor_wake(owner);
    return RESULT_OK;
}

void notice_refuse_question(actor_system_t *system, const actor_message_t *question, result_t why)
{
    if ((question->flags & ACTOR_MESSAGE_REQUEST) != 0) {
        actor_notice_t *const notice = question_find(system, question);
        if (notice != NULL) {
            notice_fire(notice, ACTOR_SYSTEM_UNANSWERED, why);
        }
    }
}

bool notice_is_dead_letter(actor_system_t *system, const actor_message_t *message)
{
    if ((message->flags & ACTOR_MESSAGE_REQUEST) != 0) {
        return question_find(system, message) == NULL;
    }
    return (message->flags & ACTOR_MESSAGE_SYSTEM) != 0 && notice_of(message)->is_cancelled;
}

result_t actor_watch(actor_t *self, actor_ref_t subject, uint64_t *watch)
{
    actor_system_t *const system = self->slot->system;
    actor_notice_t *notice = NULL;
    const result_t result = notice_create(system, self, NOTICE_WATCH, &notice);
    if (result != RESULT_OK) {
        return result;
    }
    notice->subject = subject;
    *watch = notice_number(notice);
    actor_t *const watched = actor_get_inline(system, subject);
    if (watched == NULL || watched->mailbox.phase == ACTOR_GONE) {
        notice_fire(notice, ACTOR_SYSTEM_ENDED, RESULT_MISSING);
    } else {
        ring_append(&watched->watchers, notice);
    }
    return RESULT_OK;
}

result_t actor_wait_for_room(actor_t *self, actor_ref_t target)
{
    actor_system_t *const system = self->slot->system;
    actor_notice_t *notice = NULL;
    const result_t result = notice_create(system, self, NOTICE_ROOM, &notice);
    if (result != RESULT_OK) {
        return result;
    }
    notice->subject = target;
    actor_t *const full = actor_get_inline(system, target);
    if (full == NULL || full->mailbox.phase == ACTOR_GONE) {
        notice_fire(notice, ACTOR_SYSTEM_ROOM, RESULT_MISSING);
    } else if (full->mailbox.count[MAILBOX_USER] <= full->slot->room_at) {
        notice_fire(notice, ACTOR_SYSTEM_ROOM, RESULT_OK);
    } else {
        ring_append(&full->room_waiters, notice);
        full->mailbox.has_room_waiters = true;
    }
    return RESULT_OK;
}

result_t actor_yield(actor_t *self)
{
    actor_notice_t *notice = NULL;
    const result_t result = notice_create(self->slot->system, self, NOTICE_AGAIN, &notice);
    if (result == RESULT_OK) {
        notice_fire(notice, ACTOR_SYSTEM_AGAIN, RESULT_OK);
    }
    return result;
}

void actor_cancel(actor_t *self, uint64_t number)
{
    actor_notice_t *const notice = notice_find(self->slot->system, number);
    if (notice != NULL && notice->is_owned &&
        actor_ref_equals(notice->owner, actor_ref_inline(self))) {
        notice_cancel(notice);
    }
}

uint32_t actor_notice_count(const actor_message_t *message)
{
    assert((message->flags & ACTOR_MESSAGE_SYSTEM) != 0);
    return notice_of(message)->count;
}

result_t actor_notice_result(const actor_message_t *message)
{
    assert((message->flags & ACTOR_MESSAGE_SYSTEM) != 0);
    return notice_of(message)->result;
}
