/* Every reason has a sentence of its own. */
#include "actors/domain/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const uint8_t reasons[] = {
#define ENUM_BEGIN(enumeration, doc)
#define VALUE(enumeration, number, name, wire) VALUE_##enumeration(number)
#define ENUM_END(enumeration)
#define VALUE_reason(number) (number),
#define VALUE_card_status(number)
#define VALUE_event_name(number)
#define VALUE_operational_name(number)
#define VALUE_verdict_result(number)
#define VALUE_direction(number)
#define VALUE_role(number)
#define VALUE_request_type(number)
#define VALUE_outcome(number)
#define VALUE_key_state(number)
#define VALUE_member_status(number)
#define VALUE_member_event_name(number)
#define VALUE_member_work(number)
#define VALUE_grain(number)
#define VALUE_store_state(number)
#include "messages/enums.def"
};

enum { REASONS = sizeof(reasons), MESSAGE_SIZE_MAX = 256 };

static bool is_fallback(text_t message)
{
    return text_equal(message, card_reason_message(reason_none));
}

static void card_reason_message_covers_every_reason(void **context)
{
    (void)context;
    assert_int_equal(REASONS, 26);
    for (size_t i = 0; i < REASONS; i++) {
        const text_t message = card_reason_message(reasons[i]);
        assert_true(message.size > 10);
        assert_true(message.size <= MESSAGE_SIZE_MAX); /* verdict.message */
        assert_false(is_fallback(message));
        assert_true(message.data[0] >= 'A' && message.data[0] <= 'Z');
        assert_int_equal(message.data[message.size - 1], '.');
    }
}

static void card_reason_messages_differ(void **context)
{
    (void)context;
    for (size_t i = 0; i < REASONS; i++) {
        for (size_t k = i + 1; k < REASONS; k++) {
            assert_false(
                text_equal(card_reason_message(reasons[i]), card_reason_message(reasons[k])));
        }
    }
}

static void card_reason_message_is_never_empty(void **context)
{
    (void)context;
    unsigned own = 0;
    for (unsigned reason = 0; reason <= UINT8_MAX; reason++) {
        const text_t message = card_reason_message((uint8_t)reason);
        assert_true(message.size > 0);
        own += is_fallback(message) ? 0U : 1U;
    }
    assert_int_equal(own, REASONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_reason_message_covers_every_reason),
        cmocka_unit_test(card_reason_messages_differ),
        cmocka_unit_test(card_reason_message_is_never_empty),
    };
    return cmocka_run_group_tests_name("card_reason", tests, NULL, NULL);
}
