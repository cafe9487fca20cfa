/* The directory that fronts ask for: pages in order of name, unchanged, and faults. */
#include "actors/shard/directory.h"
#include "adapters/signer/signer.h"
#include "tests/support/control_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MEMORY_SIZE = 1 << 18 };

typedef struct fixture {
    control_fake_t *control;
    directory_cache_t *directory;
    uint8_t *memory;
    text_t packed;
} fixture_t;

static int setup(void **state)
{
    fixture_t *fixture = calloc(1, sizeof(*fixture));
    const crypto_key_t master_key = {{1}};
    fixture->control = control_fake_create(&signer_functions, &master_key);
    fixture->directory = directory_create(control_fake_store(fixture->control), NULL, NULL);
    fixture->memory = malloc(MEMORY_SIZE);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    directory_destroy(&fixture->directory);
    control_fake_destroy(&fixture->control);
    free((void *)(uintptr_t)fixture->packed.data);
    free(fixture->memory);
    free(fixture);
    return 0;
}

static void poll_expecting(fixture_t *fixture, bool changed_expected)
{
    bool changed = !changed_expected;
    assert_int_equal(directory_poll(fixture->directory, &changed), RESULT_OK);
    assert_int_equal(changed, changed_expected);
}

static directory_t answer(fixture_t *fixture, uint64_t known_version, const char *after)
{
    directory_get_t question = {0};
    MESSAGE_SET(directory_get, &question, known_version, known_version);
    if (after != NULL) {
        MESSAGE_SET(directory_get, &question, after, text_from_c(after));
    }
    free((void *)(uintptr_t)fixture->packed.data);
    fixture->packed = directory_answer(fixture->directory, &question);
    arena_t arena = {.base = fixture->memory, .size = MEMORY_SIZE};
    directory_t document;
    message_fault_t fault;
    assert_true(message_unpack(&directory_message, MESSAGE_KEYS_IDS,
                               (const uint8_t *)fixture->packed.data, fixture->packed.size, &arena,
                               &document, &fault));
    return document;
}

static void unchanged_version_answers_with_nothing_else(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "acme", 3);
    poll_expecting(fixture, true);
    poll_expecting(fixture, false);
    const directory_t first = answer(fixture, 0, NULL);
    assert_false(first.unchanged);
    assert_int_equal(first.tenants_count, 1);
    assert_int_equal(first.tenants[0].partitions, 3);
    const directory_t again = answer(fixture, first.version, NULL);
    assert_true(again.unchanged);
    assert_int_equal(again.tenants_count, 0);
    control_fake_add_tenant(fixture->control, "zeta", 1);
    poll_expecting(fixture, true);
    assert_false(answer(fixture, first.version, NULL).unchanged);
}

static void pages_follow_each_other_by_name(void **state)
{
    fixture_t *const fixture = *state;
    enum { TENANTS = 2 * DIRECTORY_PAGE_TENANTS + 5 };
    for (int i = 0; i < TENANTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%05d", i);
        control_fake_add_tenant(fixture->control, name, 1);
    }
    control_fake_add_token_key(fixture->control, "k1", "{}");
    poll_expecting(fixture, true);
    char after[LIMIT_TENANT_NAME_SIZE + 1] = {0};
    int seen = 0;
    bool more = true;
    while (more) {
        const directory_t page = answer(fixture, 0, seen == 0 ? NULL : after);
        assert_int_equal(page.token_keys_count, seen == 0 ? 1 : 0);
        for (uint32_t i = 0; i < page.tenants_count; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "t%05d", seen);
            assert_true(text_equal(page.tenants[i].name, text_from_c(name)));
            seen++;
        }
        const text_t last = page.tenants[page.tenants_count - 1].name;
        memcpy(after, last.data, last.size);
        after[last.size] = '\0';
        more = page.more;
    }
    assert_int_equal(seen, TENANTS);
}

static void newest_token_keys_are_shown(void **state)
{
    fixture_t *const fixture = *state;
    for (int i = 0; i < DIRECTORY_TOKEN_KEYS + 4; i++) {
        char kid[16];
        (void)snprintf(kid, sizeof(kid), "k%d", i);
        control_fake_add_token_key(fixture->control, kid, "{}");
    }
    poll_expecting(fixture, true);
    const directory_t page = answer(fixture, 0, NULL);
    assert_int_equal(page.token_keys_count, DIRECTORY_TOKEN_KEYS);
    assert_true(text_equal(page.token_keys[0].kid, TEXT_LITERAL("k19")));
}

static void faults_keep_what_is_known(void **state)
{
    fixture_t *const fixture = *state;
    control_fake_add_tenant(fixture->control, "acme", 1);
    poll_expecting(fixture, true);
    control_fake_add_tenant(fixture->control, "zeta", 1);
    control_fake_fail(fixture->control, RESULT_STORE_UNAVAILABLE);
    bool changed = true;
    assert_int_equal(directory_poll(fixture->directory, &changed), RESULT_STORE_UNAVAILABLE);
    assert_false(changed);
    assert_int_equal(directory_tenant_count(fixture->directory), 1);
    control_fake_fail(fixture->control, RESULT_OK);
    poll_expecting(fixture, true);
    assert_int_equal(directory_tenant_count(fixture->directory), 2);
    assert_true(
        text_equal(directory_tenant_after(fixture->directory, TEXT_NONE), TEXT_LITERAL("acme")));
    assert_true(text_equal(directory_tenant_after(fixture->directory, TEXT_LITERAL("b")),
                           TEXT_LITERAL("zeta")));
    assert_true(text_is_empty(directory_tenant_after(fixture->directory, TEXT_LITERAL("zeta"))));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    if (signer_start() != RESULT_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        TEST(unchanged_version_answers_with_nothing_else),
        TEST(pages_follow_each_other_by_name),
        TEST(newest_token_keys_are_shown),
        TEST(faults_keep_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
