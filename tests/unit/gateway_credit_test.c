/* Back-pressure in the front: credits, queues of tenants that take turns, and what is told when
 * they are full. */
#include "actors/domain/card_id.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/gateway_support.h"
#include <stdio.h>

enum { FLOODS = 12, EACH_MAX = LIMIT_TENANT_CREDITS + LIMIT_TENANT_WAITING };

/* Two tenants of the usual directory with the same shard: of three on two shards there are. */
typedef struct pair {
    const char *one;
    const char *other;
    uint32_t shard;
} pair_t;

static uint32_t shard_of(const char *tenant)
{
    return placement_shard(text_from_c(tenant), SHARDS);
}

static pair_t neighbours(void)
{
    static const char *const names[] = {"acme", "big", "zeta"};
    for (size_t i = 0; i < 3; i++) {
        const char *next = names[(i + 1) % 3];
        if (shard_of(names[i]) == shard_of(next)) {
            return (pair_t){names[i], next, shard_of(next)};
        }
    }
    fail_msg("no two tenants share a shard");
    return (pair_t){0};
}

static void grant(gateway_fixture_t *fixture, uint32_t shard, uint32_t requests, uint32_t tenant)
{
    envelope_t envelope = {0};
    MESSAGE_SET(credit, &envelope.credit, shard, shard);
    MESSAGE_SET(credit, &envelope.credit, requests, requests);
    MESSAGE_SET(credit, &envelope.credit, tenant_requests, tenant);
    MESSAGE_MARK(envelope, &envelope, credit);
    uint8_t bytes[64];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    gateway_receive(fixture->gateway, bytes, size);
}

static uint64_t submit(gateway_fixture_t *fixture, const char *tenant)
{
    char token[128];
    (void)snprintf(token, sizeof(token), "validator@%s", tenant);
    const gateway_request_t request = gateway_validate_request(tenant, token);
    return gateway_submit_to(fixture, &request);
}

/* "a" for the one, "b" for the other, in the order in which they were sent. */
static void sent_order(const gateway_fixture_t *fixture, const pair_t *pair, char *out)
{
    for (size_t i = 0; i < fixture->sent_count; i++) {
        const text_t tenant = fixture->sent[i].request.tenant;
        out[i] = text_equal(tenant, text_from_c(pair->one)) ? 'a' : 'b';
    }
    out[fixture->sent_count] = '\0';
}

static void beyond_the_credit_requests_wait_for_replies(void **state)
{
    gateway_fixture_t *fixture = *state;
    const uint32_t shard = shard_of("acme");
    grant(fixture, shard, 2, 2);
    for (int i = 0; i < 5; i++) {
        assert_int_not_equal(submit(fixture, "acme"), 0);
    }
    assert_int_equal(fixture->sent_count, 2);
    gateway_reply_ok(fixture, &fixture->sent[0].request);
    assert_int_equal(fixture->sent_count, 3);
    grant(fixture, shard, 3, 3);
    assert_int_equal(fixture->sent_count, 4);
    grant(fixture, shard, 0, 0);
    gateway_reply_ok(fixture, &fixture->sent[1].request);
    gateway_reply_ok(fixture, &fixture->sent[2].request);
    gateway_reply_ok(fixture, &fixture->sent[3].request);
    assert_int_equal(fixture->sent_count, 4);
    grant(fixture, shard, 9, 9);
    assert_int_equal(fixture->sent_count, 5);
    gateway_reply_ok(fixture, &fixture->sent[4].request);
    assert_int_equal(fixture->ended_count, 5);
    assert_int_equal(fixture->gateway->in_flight_count, 0);
}

static void a_cancelled_request_gives_its_credit_back(void **state)
{
    gateway_fixture_t *fixture = *state;
    grant(fixture, shard_of("acme"), 1, 1);
    const uint64_t first = submit(fixture, "acme");
    const uint64_t second = submit(fixture, "acme");
    (void)submit(fixture, "acme");
    gateway_cancel(fixture->gateway, second); /* waits */
    gateway_cancel(fixture->gateway, first);  /* was sent */
    assert_int_equal(fixture->sent_count, 2);
    gateway_reply_ok(fixture, &fixture->sent[1].request);
    assert_int_equal(fixture->gateway->in_flight_count, 0);
}

static void tenants_take_turns(void **state)
{
    gateway_fixture_t *fixture = *state;
    const pair_t pair = neighbours();
    grant(fixture, pair.shard, 1, 1);
    for (int i = 0; i < 5; i++) {
        (void)submit(fixture, pair.one);
    }
    for (int i = 0; i < 3; i++) {
        (void)submit(fixture, pair.other);
    }
    for (size_t i = 0; i < 8; i++) {
        gateway_reply_ok(fixture, &fixture->sent[i].request);
    }
    char order[SENT_MAX + 1];
    sent_order(fixture, &pair, order);
    assert_string_equal(order, "abababaa");
}

static void a_flood_leaves_the_credit_of_another_tenant_alone(void **state)
{
    gateway_fixture_t *fixture = *state;
    const pair_t pair = neighbours();
    grant(fixture, pair.shard, 4, 2);
    for (int i = 0; i < 50; i++) {
        (void)submit(fixture, pair.one);
    }
    assert_int_equal(fixture->sent_count, 2);
    (void)submit(fixture, pair.other); /* at once, before all that wait */
    char order[SENT_MAX + 1];
    sent_order(fixture, &pair, order);
    assert_string_equal(order, "aab");
}

static void a_full_queue_answers_busy_to_its_tenant_alone(void **state)
{
    gateway_fixture_t *fixture = *state;
    const pair_t pair = neighbours();
    fixture->is_silent = true;
    for (size_t i = 0; i < EACH_MAX; i++) {
        assert_int_not_equal(submit(fixture, pair.one), 0);
    }
    assert_int_equal(fixture->send_count, LIMIT_TENANT_CREDITS);
    assert_int_equal(submit(fixture, pair.one), 0);
    assert_int_equal(gateway_last_ended(fixture)->result, RESULT_BUSY);
    assert_int_equal(gateway_last_ended(fixture)->retry_after_s, 1);
    assert_int_equal(gateway_counter(fixture, "digitalcard_requests_busy_total"), 1);
    for (int i = 0; i < 100; i++) {
        assert_int_not_equal(submit(fixture, pair.other), 0);
    }
    assert_int_equal(fixture->send_count, LIMIT_TENANT_CREDITS + 100);
    assert_int_equal(fixture->ended_count, 1);
}

static void many_floods_leave_room_for_one_more_tenant(void **state)
{
    gateway_fixture_t *fixture = *state;
    static char names[FLOODS + 1][8];
    directory_tenant_t tenants[FLOODS + 1] = {{0}};
    for (size_t i = 0; i <= FLOODS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "t-%02zu", i);
        MESSAGE_SET(directory_tenant, &tenants[i], name, text_from_c(names[i]));
        MESSAGE_SET(directory_tenant, &tenants[i], partitions, 1);
    }
    directory_t page = {.tenants = tenants, .tenants_count = FLOODS + 1};
    MESSAGE_MARK(directory, &page, tenants);
    MESSAGE_SET(directory, &page, version, 2);
    MESSAGE_SET(directory, &page, unchanged, false);
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    gateway_answer_directory(fixture, &page);
    fixture->is_silent = true;
    for (size_t i = 0; i < FLOODS; i++) {
        while (submit(fixture, names[i]) != 0) {
        }
        assert_int_equal(gateway_last_ended(fixture)->result, RESULT_BUSY);
    }
    assert_true(fixture->gateway->in_flight_count < LIMIT_REQUESTS_IN_FLIGHT);
    assert_int_not_equal(submit(fixture, names[FLOODS]), 0);
    loop_fake_advance(LIMIT_REQUEST_DEADLINE_MS + LIMIT_DEADLINE_TICK_MS);
    assert_int_equal(fixture->gateway->in_flight_count, 0); /* all told, none forgotten */
    for (size_t i = 0; i < GATEWAY_PEERS; i++) {
        assert_int_equal(fixture->gateway->peers[i].ring.first, GATEWAY_NONE);
        assert_int_equal(fixture->gateway->peers[i].sent_count, 0);
    }
}

static void what_waited_past_its_deadline_is_not_sent(void **state)
{
    gateway_fixture_t *fixture = *state;
    grant(fixture, shard_of("acme"), 1, 1);
    for (int i = 0; i < 4; i++) {
        (void)submit(fixture, "acme");
    }
    loop_fake_stall(LIMIT_REQUEST_DEADLINE_MS); /* no timer has run */
    gateway_reply_ok(fixture, &fixture->sent[0].request);
    assert_int_equal(fixture->sent_count, 1);
    assert_int_equal(fixture->ended_count, 4);
    assert_int_equal(gateway_counter(fixture, "digitalcard_requests_deadline_exceeded_total"), 3);
    assert_int_equal(fixture->gateway->in_flight_count, 0);
}

static void a_waiting_request_is_sent_with_the_time_it_has_left(void **state)
{
    gateway_fixture_t *fixture = *state;
    grant(fixture, shard_of("acme"), 1, 1);
    (void)submit(fixture, "acme");
    (void)submit(fixture, "acme");
    loop_fake_advance(1000);
    gateway_reply_ok(fixture, &fixture->sent[0].request);
    assert_int_equal(fixture->sent[1].request.deadline_ms, LIMIT_REQUEST_DEADLINE_MS - 1000);
}

static void a_successor_begins_with_the_usual_credits(void **state)
{
    gateway_fixture_t *fixture = *state;
    const uint32_t shard = shard_of("acme");
    grant(fixture, shard, 1, 1);
    for (int i = 0; i < 4; i++) {
        (void)submit(fixture, "acme");
    }
    gateway_peer_down(fixture->gateway, GATEWAY_SHARD, shard);
    assert_int_equal(fixture->ended_count, 1); /* sent, without a key */
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, shard);
    assert_int_equal(fixture->sent_count, 4);
    grant(fixture, 31, 1, 1); /* of a shard that is none */
}

static void a_farewell_is_said_once_when_every_reply_is_there(void **state)
{
    gateway_fixture_t *fixture = *state;
    const uint32_t shard = shard_of("acme");
    (void)submit(fixture, "acme");
    (void)submit(fixture, "acme");
    gateway_peer_draining(fixture->gateway, GATEWAY_SHARD, shard);
    (void)submit(fixture, "acme");
    assert_int_equal(fixture->sent_count, 2); /* the third waits for the successor */
    gateway_reply_error(fixture, &fixture->sent[0].request, RESULT_DRAINING);
    assert_int_equal(fixture->farewell_count, 0);
    gateway_reply_ok(fixture, &fixture->sent[1].request);
    assert_int_equal(fixture->farewell_count, 1);
    assert_int_equal(fixture->farewell_index, shard);
    loop_fake_advance(100);
    assert_int_equal(fixture->farewell_count, 1);
    gateway_peer_down(fixture->gateway, GATEWAY_SHARD, shard);
    assert_int_equal(fixture->ended_count, 1); /* nothing of unknown outcome */
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, shard);
    assert_int_equal(fixture->sent_count, 4);
    gateway_peer_draining(fixture->gateway, GATEWAY_RELAY, 0);
    assert_int_equal(fixture->farewell_count, 1); /* the relay only reads */
}

static void an_idle_front_says_farewell_at_once(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_draining(fixture->gateway, GATEWAY_SHARD, 1);
    assert_int_equal(fixture->farewell_count, 1);
    assert_int_equal(fixture->farewell_index, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, gateway_setup, gateway_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(beyond_the_credit_requests_wait_for_replies),
        TEST(a_cancelled_request_gives_its_credit_back),
        TEST(tenants_take_turns),
        TEST(a_flood_leaves_the_credit_of_another_tenant_alone),
        TEST(a_full_queue_answers_busy_to_its_tenant_alone),
        TEST(many_floods_leave_room_for_one_more_tenant),
        TEST(what_waited_past_its_deadline_is_not_sent),
        TEST(a_waiting_request_is_sent_with_the_time_it_has_left),
        TEST(a_successor_begins_with_the_usual_credits),
        TEST(a_farewell_is_said_once_when_every_reply_is_there),
        TEST(an_idle_front_says_farewell_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
