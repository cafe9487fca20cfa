/* How the gateway learns of tenants and keys, and keeps them. */
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/gateway_support.h"
#include <stdio.h>

enum { PAGE = 1000 };

static char names[3 * PAGE][16];
static directory_tenant_t tenants[3 * PAGE];

/* Tenants t00000 … in order; each with one partition. */
static void make_tenants(void)
{
    for (size_t i = 0; i < 3 * PAGE; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "t%05zu", i);
        tenants[i] = (directory_tenant_t){0};
        MESSAGE_SET(directory_tenant, &tenants[i], name, text_from_c(names[i]));
        MESSAGE_SET(directory_tenant, &tenants[i], partitions, 1);
    }
}

static directory_t page_of(uint64_t version, size_t from, size_t count, bool more)
{
    directory_t page = {.tenants = &tenants[from], .tenants_count = (uint32_t)count};
    MESSAGE_MARK(directory, &page, tenants);
    MESSAGE_SET(directory, &page, version, version);
    MESSAGE_SET(directory, &page, unchanged, false);
    MESSAGE_SET(directory, &page, more, more);
    return page;
}

static bool knows(const gateway_fixture_t *fixture, const char *name)
{
    return gateway_directory_find(fixture->gateway, text_from_c(name)) != NULL;
}

static directory_get_t question_of(const gateway_fixture_t *fixture)
{
    directory_get_t question;
    arena_t arena = {0};
    message_fault_t fault;
    const text_t body = fixture->question.request.body;
    assert_true(message_unpack(&directory_get_message, MESSAGE_KEYS_IDS, (const uint8_t *)body.data,
                               body.size, &arena, &question, &fault));
    return question;
}

static void shard_0_is_asked_when_it_comes_up(void **state)
{
    gateway_fixture_t *fixture = *state;
    loop_fake_advance(1000);
    assert_int_equal(fixture->question_count, 0);
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 1);
    assert_int_equal(fixture->question_count, 0);
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    assert_int_equal(fixture->question_count, 1);
    assert_int_equal(fixture->question.target, GATEWAY_SHARD);
    assert_int_equal(fixture->question.index, 0);
    assert_int_equal(question_of(fixture).known_version, 0);
    gateway_answer_usual_directory(fixture, 5);
    assert_true(knows(fixture, "acme"));
    assert_true(knows(fixture, "zeta"));
    assert_false(knows(fixture, "acm"));
    assert_false(knows(fixture, "acme2"));
    assert_false(knows(fixture, ""));
    assert_int_equal(fixture->set_keys_count, 1);
    assert_int_equal(fixture->key_count, 1);
}

static void pages_are_put_together(void **state)
{
    gateway_fixture_t *fixture = *state;
    make_tenants();
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_false(fixture->gateway->directory.is_loaded);
        const directory_t page = page_of(9, i * PAGE, PAGE, i < 2);
        gateway_answer_directory(fixture, &page);
        if (i < 2) {
            assert_true(
                text_equal(question_of(fixture).after, text_from_c(names[(i + 1) * PAGE - 1])));
        }
    }
    assert_true(fixture->gateway->directory.is_loaded);
    assert_int_equal(fixture->question_count, 3);
    for (size_t i = 0; i < 3 * PAGE; i++) {
        assert_true(knows(fixture, names[i]));
    }
}

static void change_between_pages_begins_anew(void **state)
{
    gateway_fixture_t *fixture = *state;
    make_tenants();
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    directory_t page = page_of(9, 0, PAGE, true);
    gateway_answer_directory(fixture, &page);
    page = page_of(10, PAGE, PAGE, false);
    gateway_answer_directory(fixture, &page);
    assert_false(fixture->gateway->directory.is_loaded);
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(question_of(fixture).after.size, 0);
    page = page_of(10, 0, 10, false);
    gateway_answer_directory(fixture, &page);
    assert_true(fixture->gateway->directory.is_loaded);
    assert_false(knows(fixture, names[10]));
}

static void disorder_keeps_the_directory_before(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    gateway_answer_usual_directory(fixture, 1);
    make_tenants();
    const directory_tenant_t swapped = tenants[3];
    tenants[3] = tenants[4];
    tenants[4] = swapped;
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    const directory_t page = page_of(2, 0, 10, false);
    gateway_answer_directory(fixture, &page);
    assert_true(knows(fixture, "acme"));
    assert_false(knows(fixture, names[0]));
}

static void changes_are_seen_at_the_next_poll(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    gateway_answer_usual_directory(fixture, 1);
    const uint32_t asked = fixture->question_count;
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(fixture->question_count, asked + 1);
    assert_int_equal(question_of(fixture).known_version, 1);
    directory_t page = {0};
    MESSAGE_SET(directory, &page, version, 1);
    MESSAGE_SET(directory, &page, unchanged, true);
    gateway_answer_directory(fixture, &page);
    assert_true(knows(fixture, "acme"));
    assert_int_equal(fixture->set_keys_count, 1);
    make_tenants();
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    page = page_of(2, 0, 5, false);
    gateway_answer_directory(fixture, &page);
    assert_false(knows(fixture, "acme"));
    assert_true(knows(fixture, names[4]));
    assert_int_equal(fixture->set_keys_count, 2); /* none is left: tokens die */
    assert_int_equal(fixture->key_count, 0);
}

static void same_keys_are_not_set_again(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    gateway_answer_usual_directory(fixture, 1);
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    gateway_answer_usual_directory(fixture, 2);
    assert_int_equal(fixture->set_keys_count, 1);
}

static void question_without_an_answer_is_asked_again(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    const uint64_t first = fixture->question.request.correlation;
    loop_fake_advance(LIMIT_DIRECTORY_TIMEOUT_MS - 1);
    assert_int_equal(fixture->question_count, 1);
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(fixture->question_count, 2);
    const uint64_t second = fixture->question.request.correlation;
    assert_int_not_equal(first, second);
    fixture->question.request.correlation = first; /* late */
    gateway_answer_usual_directory(fixture, 1);
    assert_false(fixture->gateway->directory.is_loaded);
    fixture->question.request.correlation = second;
    gateway_answer_usual_directory(fixture, 1);
    assert_true(fixture->gateway->directory.is_loaded);
}

static void directory_outlives_shard_0(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    gateway_answer_usual_directory(fixture, 1);
    gateway_peer_down(fixture->gateway, GATEWAY_SHARD, 0);
    const uint32_t asked = fixture->question_count;
    loop_fake_advance(5000);
    assert_int_equal(fixture->question_count, asked);
    assert_true(knows(fixture, "acme"));
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    assert_int_equal(fixture->question_count, asked + 1);
    assert_int_equal(question_of(fixture).known_version, 0); /* its versions may mean others */
    gateway_answer_usual_directory(fixture, 1);
    loop_fake_advance(LIMIT_DIRECTORY_POLL_MS);
    assert_int_equal(question_of(fixture).known_version, 1);
}

static void unchanged_without_a_directory_is_no_directory(void **state)
{
    gateway_fixture_t *fixture = *state;
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    directory_t page = {0};
    MESSAGE_SET(directory, &page, version, 1);
    MESSAGE_SET(directory, &page, unchanged, true);
    gateway_answer_directory(fixture, &page);
    assert_false(fixture->gateway->directory.is_loaded);
}

static void keys_are_shown_as_jwks(void **state)
{
    gateway_fixture_t *fixture = *state;
    char out[100];
    assert_int_equal(gateway_jwks(fixture->gateway, out, sizeof(out)), 11);
    assert_memory_equal(out, "{\"keys\":[]}", 11);
    gateway_peer_up(fixture->gateway, GATEWAY_SHARD, 0);
    gateway_answer_usual_directory(fixture, 1);
    const size_t size = gateway_jwks(fixture->gateway, NULL, 0);
    assert_int_equal(gateway_jwks(fixture->gateway, out, size), size);
    assert_memory_equal(out, "{\"keys\":[{\"kty\":\"EC\"}]}", size);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, gateway_setup_bare, gateway_teardown)
    const struct CMUnitTest tests[] = {
        TEST(shard_0_is_asked_when_it_comes_up),
        TEST(pages_are_put_together),
        TEST(change_between_pages_begins_anew),
        TEST(disorder_keeps_the_directory_before),
        TEST(changes_are_seen_at_the_next_poll),
        TEST(same_keys_are_not_set_again),
        TEST(question_without_an_answer_is_asked_again),
        TEST(directory_outlives_shard_0),
        TEST(unchanged_without_a_directory_is_no_directory),
        TEST(keys_are_shown_as_jwks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
