/* The queue of one actor. Must not look into messages. */
#include "runtime/mailbox.h"

#include "runtime/limits.h"

#include <assert.h>
#include <stddef.h>

result_t mailbox_send(mailbox_t *mailbox, actor_message_t **message)
{
    actor_message_t *const sent = *message;
    assert(sent != NULL);
    assert(sent->destroy != NULL);
    if (mailbox->count == LIMIT_MAILBOX_MESSAGES) {
        return RESULT_BUSY;
    }
    *message = NULL;
    sent->next = NULL;
    if (mailbox->last == NULL) {
        mailbox->first = sent;
    } else {
        mailbox->last->next = sent;
    }
    mailbox->last = sent;
    mailbox->count++;
    return RESULT_OK;
}

actor_message_t *mailbox_take(mailbox_t *mailbox)
{
    actor_message_t *const taken = mailbox->first;
    if (taken == NULL) {
        assert(mailbox->count == 0);
        return NULL;
    }
    mailbox->first = taken->next;
    mailbox->last = mailbox->first == NULL ? NULL : mailbox->last;
    mailbox->count--;
    taken->next = NULL;
    return taken;
}
