/* The queue of one actor. */
#include "runtime/limits.h"
#include "runtime/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void message_free(actor_message_t *message)
{
    free(message);
}

static actor_message_t *message_create(void)
{
    actor_message_t *const message = calloc(1, sizeof(*message));
    assert_non_null(message);
    message->destroy = message_free;
    return message;
}

static void mailbox_is_empty_at_first(void **state)
{
    (void)state;
    mailbox_t mailbox = {0};
    assert_null(mailbox_take(&mailbox));
}

static void mailbox_gives_messages_in_order_of_sending(void **state)
{
    (void)state;
    mailbox_t mailbox = {0};
    actor_message_t *sent[3];
    for (int round = 0; round < 2; round++) {
        for (int index = 0; index < 3; index++) {
            actor_message_t *message = message_create();
            sent[index] = message;
            assert_int_equal(mailbox_send(&mailbox, &message), RESULT_OK);
            assert_null(message);
        }
        assert_int_equal(mailbox.count, 3);
        for (int index = 0; index < 3; index++) {
            actor_message_t *const taken = mailbox_take(&mailbox);
            assert_ptr_equal(taken, sent[index]);
            assert_null(taken->next);
            taken->destroy(taken);
        }
        assert_null(mailbox_take(&mailbox));
    }
}

static void mailbox_refuses_what_exceeds_its_limit_and_leaves_it_to_the_sender(void **state)
{
    (void)state;
    mailbox_t mailbox = {0};
    for (int count = 0; count < LIMIT_MAILBOX_MESSAGES; count++) {
        actor_message_t *message = message_create();
        assert_int_equal(mailbox_send(&mailbox, &message), RESULT_OK);
    }
    actor_message_t *message = message_create();
    actor_message_t *const before = message;
    assert_int_equal(mailbox_send(&mailbox, &message), RESULT_BUSY);
    assert_ptr_equal(message, before);
    actor_message_t *taken = mailbox_take(&mailbox);
    taken->destroy(taken);
    assert_int_equal(mailbox_send(&mailbox, &message), RESULT_OK);
    for (taken = mailbox_take(&mailbox); taken != NULL; taken = mailbox_take(&mailbox)) {
        taken->destroy(taken);
    }
    assert_int_equal(mailbox.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_is_empty_at_first),
        cmocka_unit_test(mailbox_gives_messages_in_order_of_sending),
        cmocka_unit_test(mailbox_refuses_what_exceeds_its_limit_and_leaves_it_to_the_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
