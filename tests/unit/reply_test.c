/* Replies between roles: what each kind carries, and the stored form. */
#include "actors/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static request_t request_with(text_t traceparent)
{
    request_t request = {0};
    MESSAGE_SET(request, &request, correlation, 77);
    MESSAGE_SET(request, &request, traceparent, traceparent);
    return request;
}

static reply_t round_trip(const reply_t *reply, uint8_t *bytes, size_t capacity)
{
    const size_t size = reply_pack(reply, bytes, capacity);
    assert_true(size <= capacity);
    envelope_t envelope;
    arena_t arena = {0};
    message_fault_t fault;
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, bytes, size, &arena, &envelope,
                               &fault));
    assert_false(MESSAGE_HAS(envelope, &envelope, request));
    assert_true(MESSAGE_HAS(envelope, &envelope, reply));
    return envelope.reply;
}

static void trace_id_comes_from_the_request(void **state)
{
    (void)state;
    const request_t good =
        request_with(TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert_memory_equal(reply_trace_id(&good).data, "0af7651916cd43dd8448eb211c80319c", 32);
    const request_t bad = request_with(TEXT_LITERAL("rubbish"));
    assert_memory_equal(reply_trace_id(&bad).data, "00000000000000000000000000000000", 32);
}

static void errors_always_have_a_sentence_and_fit(void **state)
{
    (void)state;
    const request_t request = request_with(TEXT_NONE);
    for (uint64_t number = 1; number < 128; number++) {
        if (!result_is_known(number)) {
            continue;
        }
        reply_t reply;
        reply_begin(&request, &reply);
        reply_fail(&reply, (result_t)number, TEXT_NONE, TEXT_NONE);
        uint8_t bytes[REPLY_FAILED_SIZE_MAX];
        const reply_t received = round_trip(&reply, bytes, sizeof(bytes));
        assert_int_equal(received.correlation, 77);
        assert_int_equal(received.outcome, outcome_error);
        assert_int_equal(received.error, number);
        assert_true(received.detail.size > 0);
        assert_false(MESSAGE_HAS(reply, &received, field));
    }
}

static void a_card_is_named_for_location_and_etag(void **state)
{
    (void)state;
    const request_t request = request_with(TEXT_NONE);
    const uuid_t card = {{1, 2, 3}};
    reply_t reply;
    reply_begin(&request, &reply);
    reply_succeed(&reply, TEXT_LITERAL("body"));
    reply_name_card(&reply, &card, 9, true);
    uint8_t bytes[256];
    const reply_t received = round_trip(&reply, bytes, sizeof(bytes));
    assert_int_equal(received.outcome, outcome_ok);
    assert_true(uuid_equal(&received.card, &card));
    assert_int_equal(received.version, 9);
    assert_true(received.created);
    assert_int_equal(received.body.size, 4);
}

static void stored_replies_come_back_under_another_correlation(void **state)
{
    (void)state;
    const request_t request = request_with(TEXT_NONE);
    reply_t reply;
    reply_begin(&request, &reply);
    reply_refuse(&reply, reason_revoked, TEXT_LITERAL("no"));
    uint8_t bytes[256];
    const size_t size = reply_pack_stored(&reply, bytes, sizeof(bytes));
    reply_t repeated;
    assert_true(reply_unpack_stored((text_t){(const char *)bytes, size}, 78, &repeated));
    assert_int_equal(repeated.correlation, 78);
    assert_int_equal(repeated.outcome, outcome_refused);
    assert_int_equal(repeated.reason, reason_revoked);
    assert_false(reply_unpack_stored((text_t){(const char *)bytes, size - 1}, 78, &repeated));
    assert_false(reply_unpack_stored(TEXT_NONE, 78, &repeated));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_id_comes_from_the_request),
        cmocka_unit_test(errors_always_have_a_sentence_and_fit),
        cmocka_unit_test(a_card_is_named_for_location_and_etag),
        cmocka_unit_test(stored_replies_come_back_under_another_correlation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
