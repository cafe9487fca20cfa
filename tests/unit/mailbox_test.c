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
            assert_int_equal(mailbox_send(&mailbox, LIMIT_MAILBOX_MESSAGES, &message), RESULT_OK);
            assert_null(message);
        }
        assert_int_equal(mailbox.count[MAILBOX_USER], 3);
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
        assert_int_equal(mailbox_send(&mailbox, LIMIT_MAILBOX_MESSAGES, &message), RESULT_OK);
    }
    actor_message_t *message = message_create();
    actor_message_t *const before = message;
    assert_int_equal(mailbox_send(&mailbox, LIMIT_MAILBOX_MESSAGES, &message), RESULT_BUSY);
    assert_ptr_equal(message, before);
    actor_message_t *taken = mailbox_take(&mailbox);
    taken->destroy(taken);
    assert_int_equal(mailbox_send(&mailbox, LIMIT_MAILBOX_MESSAGES, &message), RESULT_OK);
    for (taken = mailbox_take(&mailbox); taken != NULL; taken = mailbox_take(&mailbox)) {
        taken->destroy(taken);
    }
    assert_int_equal(mailbox.count[MAILBOX_USER], 0);
}

static void mailbox_gives_system_messages_first_and_takes_them_when_full(void **state)
{
    (void)state;
    mailbox_t mailbox = {0};
    for (uint32_t type = 1; type <= 2; type++) {
        actor_message_t *message = message_create();
        message->type = type;
        assert_int_equal(mailbox_send(&mailbox, 2, &message), RESULT_OK);
    }
    actor_message_t *refused = message_create();
    assert_int_equal(mailbox_send(&mailbox, 2, &refused), RESULT_BUSY);
    refused->type = 3;
    mailbox_append(&mailbox, MAILBOX_SYSTEM, refused);
    static const uint32_t expected[] = {3, 1, 2};
    assert_int_equal(mailbox_first(&mailbox)->type, 1);
    for (size_t index = 0; index < 3; index++) {
        actor_message_t *const taken = mailbox_take(&mailbox);
        assert_int_equal(taken->type, expected[index]);
        taken->destroy(taken);
    }
    assert_true(mailbox_is_empty(&mailbox));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_is_empty_at_first),
        cmocka_unit_test(mailbox_gives_messages_in_order_of_sending),
        cmocka_unit_test(mailbox_refuses_what_exceeds_its_limit_and_leaves_it_to_the_sender),
        cmocka_unit_test(mailbox_gives_system_messages_first_and_takes_them_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
