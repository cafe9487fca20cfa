/* The suite: tenants with their keys, token keys, versions, dead letters. Each test has an empty
 * store. Knows no implementation. */
#include "tests/contract/control_contract.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct fixture {
    const control_contract_factory_t *factory;
    control_store_t *store;
    dead_letters_t *letters;
} fixture_t;

static int setup(void **state)
{
    fixture_t *const fixture = *state;
    fixture->factory->open(fixture->factory->context, &fixture->store, &fixture->letters);
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    fixture->factory->close_and_clear(fixture->factory->context, &fixture->store);
    return 0;
}

static result_t create(fixture_t *fixture, const char *name)
{
    const control_card_key_t key = {.sealed_secret = TEXT_LITERAL("sealed key")};
    const control_tenant_t tenant = {.name = text_from_c(name),
                                     .partitions = 3,
                                     .created_at = 1700000000000,
                                     .sealed_secret = TEXT_LITERAL("sealed \x00 tenant"),
                                     .keys = &key,
                                     .key_count = 1};
    return fixture->store->functions->tenant_create(fixture->store, &tenant);
}

typedef struct seen {
    char names[256]; /* with a comma behind each */
    uint32_t stop_after;
    uint32_t count;
    uint32_t key_count;
    control_card_key_t keys[CONTROL_KEYS_PER_TENANT_MAX];
    control_quotas_t quotas;
    char first_secret[64];
} seen_t;

static bool tenant_seen(void *context, const control_tenant_t *tenant)
{
    seen_t *const seen = context;
    const size_t used = strlen(seen->names);
    (void)snprintf(seen->names + used, sizeof seen->names - used, "%.*s,",
                   TEXT_PRINT(tenant->name));
    assert_int_equal(tenant->partitions, 3);
    assert_int_equal(tenant->created_at, 1700000000000);
    assert_true(text_equal(tenant->sealed_secret, TEXT_LITERAL("sealed \x00 tenant")));
    seen->count++;
    seen->key_count = tenant->key_count;
    seen->quotas = tenant->quotas;
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        seen->keys[i] = tenant->keys[i];
    }
    (void)snprintf(seen->first_secret, sizeof seen->first_secret, "%.*s",
                   TEXT_PRINT(tenant->keys[0].sealed_secret));
    return seen->count != seen->stop_after;
}

static seen_t look_at(fixture_t *fixture, const char *name, result_t expected)
{
    seen_t seen = {0};
    assert_int_equal(
        fixture->store->functions->tenant(fixture->store, text_from_c(name), tenant_seen, &seen),
        expected);
    return seen;
}

static uint64_t version_of(control_store_t *store)
{
    uint64_t version = 0;
    assert_int_equal(store->functions->version(store, &version), RESULT_OK);
    return version;
}

/* --- Tenants --- */

static void a_created_tenant_has_one_active_key(void **state)
{
    fixture_t *const fixture = *state;
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    const seen_t seen = look_at(fixture, "alpha", RESULT_OK);
    assert_int_equal(seen.key_count, 1);
    assert_int_equal(seen.keys[0].kid, 1);
    assert_int_equal(seen.keys[0].state, key_state_active);
    assert_string_equal(seen.first_secret, "sealed key");
    (void)look_at(fixture, "alph", RESULT_MISSING);
    assert_int_equal(create(fixture, "alpha"), RESULT_ALREADY_EXISTS);
}

static void quotas_are_none_until_they_are_set(void **state)
{
    fixture_t *const fixture = *state;
    control_store_t *const store = fixture->store;
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    assert_int_equal(create(fixture, "beta"), RESULT_OK);
    assert_int_equal(look_at(fixture, "alpha", RESULT_OK).quotas.cards, 0);
    const uint64_t before = version_of(store);
    const control_quotas_t quotas = {
        .cards = 1, .storage = CONTROL_QUOTA_MAX, .rate = CONTROL_QUOTA_RATE_MAX};
    assert_int_equal(store->functions->tenant_set_quotas(store, TEXT_LITERAL("alpha"), &quotas),
                     RESULT_OK);
    assert_true(version_of(store) > before);
    const seen_t seen = look_at(fixture, "alpha", RESULT_OK);
    assert_int_equal(seen.quotas.cards, 1);
    assert_int_equal(seen.quotas.storage, CONTROL_QUOTA_MAX);
    assert_int_equal(seen.quotas.rate, CONTROL_QUOTA_RATE_MAX);
    assert_int_equal(look_at(fixture, "beta", RESULT_OK).quotas.rate, 0);
    assert_int_equal(store->functions->tenant_set_quotas(store, TEXT_LITERAL("nobody"), &quotas),
                     RESULT_MISSING);
    const control_quotas_t beyond[] = {{.cards = CONTROL_QUOTA_MAX + 1},
                                       {.storage = CONTROL_QUOTA_MAX + 1},
                                       {.rate = CONTROL_QUOTA_RATE_MAX + 1}};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        assert_int_equal(
            store->functions->tenant_set_quotas(store, TEXT_LITERAL("alpha"), &beyond[i]),
            RESULT_INVALID_ARGUMENT);
    }
    assert_int_equal(look_at(fixture, "alpha", RESULT_OK).quotas.cards, 1);
}

static void a_deleted_tenant_is_gone_and_its_name_is_free(void **state)
{
    fixture_t *const fixture = *state;
    const control_store_functions_t *const functions = fixture->store->functions;
    char kept[256] = "";
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    assert_int_equal(functions->tenant_delete(fixture->store, TEXT_LITERAL("alpha"), 1700000000123,
                                              kept, sizeof kept),
                     RESULT_OK);
    assert_string_not_equal(kept, "");
    (void)look_at(fixture, "alpha", RESULT_MISSING);
    assert_int_equal(
        functions->tenant_delete(fixture->store, TEXT_LITERAL("alpha"), 0, kept, sizeof kept),
        RESULT_MISSING);
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
}

static void names_that_mean_something_else_are_refused(void **state)
{
    fixture_t *const fixture = *state;
    static const char *const names[] = {"",
                                        "a",
                                        "..",
                                        "a/b",
                                        "A",
                                        "Ab",
                                        "9a",
                                        "-a",
                                        "a_b",
                                        "a b",
                                        "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(create(fixture, names[i]), RESULT_INVALID_ARGUMENT);
    }
}

static void tenants_come_in_order_of_name(void **state)
{
    fixture_t *const fixture = *state;
    static const char *const names[] = {"delta", "alpha", "charlie", "bravo"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(create(fixture, names[i]), RESULT_OK);
    }
    const control_store_functions_t *const functions = fixture->store->functions;
    seen_t all = {0};
    assert_int_equal(functions->tenants(fixture->store, TEXT_NONE, tenant_seen, &all), RESULT_OK);
    assert_string_equal(all.names, "alpha,bravo,charlie,delta,");
    seen_t after = {.stop_after = 1};
    assert_int_equal(functions->tenants(fixture->store, TEXT_LITERAL("alpha"), tenant_seen, &after),
                     RESULT_OK);
    assert_string_equal(after.names, "bravo,");
    /* Stopping early leaves nothing open. */
    assert_int_equal(create(fixture, "echo"), RESULT_OK);
}

/* --- Keys --- */

static void rotation_leaves_exactly_one_active_key(void **state)
{
    fixture_t *const fixture = *state;
    const control_store_functions_t *const functions = fixture->store->functions;
    const text_t alpha = TEXT_LITERAL("alpha");
    uint32_t kid = 0;
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    for (uint32_t i = 2; i <= CONTROL_KEYS_PER_TENANT_MAX; i++) {
        assert_int_equal(
            functions->key_rotate(fixture->store, alpha, TEXT_LITERAL("next"), i, &kid), RESULT_OK);
        assert_int_equal(kid, i);
        const seen_t seen = look_at(fixture, "alpha", RESULT_OK);
        assert_int_equal(seen.key_count, i);
        for (uint32_t k = 0; k < i; k++) {
            assert_int_equal(seen.keys[k].kid, k + 1);
            assert_int_equal(seen.keys[k].state,
                             k + 1 == i ? key_state_active : key_state_verifying);
        }
    }
    assert_int_equal(functions->key_rotate(fixture->store, alpha, TEXT_LITERAL("x"), 1, &kid),
                     RESULT_NO_MEMORY);
    assert_int_equal(look_at(fixture, "alpha", RESULT_OK).keys[63].state, key_state_active);
    assert_int_equal(
        functions->key_rotate(fixture->store, TEXT_LITERAL("nobody"), TEXT_LITERAL("x"), 1, &kid),
        RESULT_MISSING);
}

static void only_keys_that_do_not_sign_are_retired(void **state)
{
    fixture_t *const fixture = *state;
    control_store_t *const store = fixture->store;
    const text_t alpha = TEXT_LITERAL("alpha");
    uint32_t kid = 0;
    assert_int_equal(create(fixture, "alpha"), RESULT_OK);
    assert_int_equal(store->functions->key_set_state(store, alpha, 1, key_state_retired),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(store->functions->key_rotate(store, alpha, TEXT_LITERAL("next"), 1, &kid),
                     RESULT_OK);
    assert_int_equal(store->functions->key_set_state(store, alpha, 1, key_state_active),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(store->functions->key_set_state(store, alpha, 1, key_state_verifying),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(store->functions->key_set_state(store, alpha, 1, key_state_retired),
                     RESULT_OK);
    assert_int_equal(look_at(fixture, "alpha", RESULT_OK).keys[0].state, key_state_retired);
    assert_int_equal(store->functions->key_set_state(store, alpha, 1, key_state_compromised),
                     RESULT_OK);
    assert_int_equal(look_at(fixture, "alpha", RESULT_OK).keys[0].state, key_state_compromised);
    assert_int_equal(store->functions->key_set_state(store, alpha, 3, key_state_retired),
                     RESULT_MISSING);
}

static bool token_key_seen(void *context, const control_token_key_t *key)
{
    char *const kids = context;
    const size_t used = strlen(kids);
    (void)snprintf(kids + used, 64 - used, "%.*s,", TEXT_PRINT(key->kid));
    assert_true(text_equal(key->sealed_private_jwk, TEXT_LITERAL("\x01\x00")));
    assert_true(text_equal(key->public_jwk, TEXT_LITERAL("{}")));
    return used == 0 || kids[0] != 'c' || used < 4;
}

static void token_keys_come_newest_first(void **state)
{
    fixture_t *const fixture = *state;
    control_store_t *const store = fixture->store;
    static const char *const kids[] = {"b", "a", "c"};
    for (int i = 0; i < 3; i++) {
        const control_token_key_t key = {.kid = text_from_c(kids[i]),
                                         .sealed_private_jwk = TEXT_LITERAL("\x01\x00"),
                                         .public_jwk = TEXT_LITERAL("{}"),
                                         .created_at = i == 1 ? 1 : 2};
        assert_int_equal(store->functions->token_key_add(store, &key), RESULT_OK);
        assert_int_equal(store->functions->token_key_add(store, &key), RESULT_ALREADY_EXISTS);
    }
    char seen[64] = "";
    assert_int_equal(store->functions->token_keys(store, token_key_seen, seen), RESULT_OK);
    assert_string_equal(seen, "c,b,a,");
}

/* --- Versions --- */

static void every_change_raises_the_version_and_no_read_does(void **state)
{
    fixture_t *const fixture = *state;
    control_store_t *const store = fixture->store;
    uint64_t version = version_of(store);
    uint32_t kid = 0;
    char kept[256];
    const control_token_key_t key = {.kid = TEXT_LITERAL("k"), .public_jwk = TEXT_LITERAL("{}")};
    for (int step = 0; step < 6; step++) {
        result_t result = RESULT_OK;
        if (step == 0) {
            result = create(fixture, "alpha");
        } else if (step == 1) {
            result = store->functions->key_rotate(store, TEXT_LITERAL("alpha"), TEXT_LITERAL("x"),
                                                  1, &kid);
        } else if (step == 2) {
            result =
                store->functions->key_set_state(store, TEXT_LITERAL("alpha"), 1, key_state_retired);
        } else if (step == 3) {
            result = store->functions->token_key_add(store, &key);
        } else if (step == 4) {
            result = store->functions->incarnation_add(store, TEXT_LITERAL("shard-0"), 1, 2, 3);
        } else {
            result =
                store->functions->tenant_delete(store, TEXT_LITERAL("alpha"), 9, kept, sizeof kept);
        }
        assert_int_equal(result, RESULT_OK);
        assert_true(version_of(store) > version);
        version = version_of(store);
        (void)look_at(fixture, "alpha", step == 5 ? RESULT_MISSING : RESULT_OK);
        assert_int_equal(version_of(store), version);
    }
}

/* --- Dead letters --- */

static void put_letter(dead_letters_t *letters, const char *tenant, uint32_t number,
                       dead_letter_state_t letter_state)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE] = {(uint8_t)number, (uint8_t)(number >> 8),
                                                   (uint8_t)tenant[0]};
    static const uint8_t card[CRASH_ID_SIZE] = {1};
    const dead_letter_t letter = {.fingerprint = fingerprint,
                                  .state = letter_state,
                                  .tenant = text_from_c(tenant),
                                  .type = 11,
                                  .actor = card,
                                  .kills = 2,
                                  .stored_at = number,
                                  .reason = TEXT_LITERAL("killed by SIGSEGV"),
                                  .sealed_request = TEXT_LITERAL("sealed")};
    assert_int_equal(letters->functions->put(letters, &letter), RESULT_OK);
}

typedef struct counted {
    uint32_t count;
    uint32_t replayed;
    uint32_t first; /* number of the first one that was visited */
} counted_t;

static bool count_letter(void *context, const dead_letter_t *letter)
{
    counted_t *counted = context;
    if (counted->count == 0) {
        counted->first = letter->fingerprint[0] + 256U * letter->fingerprint[1];
    }
    counted->count++;
    counted->replayed += letter->state == DEAD_LETTER_REPLAYED ? 1 : 0;
    return true;
}

static counted_t count_letters(dead_letters_t *letters, const char *tenant)
{
    counted_t counted = {0};
    assert_int_equal(
        letters->functions->visit(letters, text_from_c(tenant), count_letter, &counted), RESULT_OK);
    return counted;
}

static void dead_letters_are_kept_newest_first_within_their_bound(void **state)
{
    fixture_t *fixture = *state;
    dead_letters_t *letters = fixture->letters;
    uint64_t before = 0;
    uint64_t after = 0;
    put_letter(letters, "beta", 1, DEAD_LETTER_QUARANTINED);
    for (uint32_t i = 1; i <= LIMIT_DEAD_LETTERS; i++) {
        put_letter(letters, "acme", i,
                   i == LIMIT_DEAD_LETTERS ? DEAD_LETTER_REPLAYED : DEAD_LETTER_QUARANTINED);
    }
    assert_int_equal(count_letters(letters, "acme").replayed, 1);
    assert_int_equal(fixture->store->functions->version(fixture->store, &before), RESULT_OK);
    put_letter(letters, "acme", LIMIT_DEAD_LETTERS + 1, DEAD_LETTER_QUARANTINED);
    assert_int_equal(fixture->store->functions->version(fixture->store, &after), RESULT_OK);
    assert_int_not_equal(before, after); /* shards look again */
    counted_t counted = count_letters(letters, "acme");
    assert_int_equal(counted.count, LIMIT_DEAD_LETTERS);
    assert_int_equal(counted.replayed, 0); /* it was the least needed */
    assert_int_equal(counted.first, LIMIT_DEAD_LETTERS + 1);
    put_letter(letters, "acme", LIMIT_DEAD_LETTERS + 2, DEAD_LETTER_QUARANTINED);
    assert_int_equal(count_letters(letters, "acme").count, LIMIT_DEAD_LETTERS);
    put_letter(letters, "acme", LIMIT_DEAD_LETTERS + 2, DEAD_LETTER_QUARANTINED); /* again */
    assert_int_equal(count_letters(letters, "acme").count, LIMIT_DEAD_LETTERS);
    assert_int_equal(count_letters(letters, "").count, LIMIT_DEAD_LETTERS + 1);
}

static void dead_letters_change_from_the_state_they_are_in(void **state)
{
    fixture_t *fixture = *state;
    dead_letters_t *letters = fixture->letters;
    const uint8_t fingerprint[CRASH_FINGERPRINT_SIZE] = {7, 0, 'a'};
    const dead_letters_functions_t *functions = letters->functions;
    counted_t counted = {0};
    assert_int_equal(functions->visit_one(letters, fingerprint, count_letter, &counted),
                     RESULT_MISSING);
    put_letter(letters, "acme", 7, DEAD_LETTER_QUARANTINED);
    assert_int_equal(functions->change(letters, fingerprint, DEAD_LETTER_REPLAYING,
                                       DEAD_LETTER_REPLAYED, TEXT_NONE),
                     RESULT_MISSING);
    assert_int_equal(functions->change(letters, fingerprint, DEAD_LETTER_QUARANTINED,
                                       DEAD_LETTER_REPLAYED, TEXT_LITERAL("ok")),
                     RESULT_OK);
    assert_int_equal(functions->visit_one(letters, fingerprint, count_letter, &counted), RESULT_OK);
    assert_int_equal(counted.replayed, 1);
    assert_int_equal(functions->drop(letters, fingerprint), RESULT_OK);
    assert_int_equal(functions->drop(letters, fingerprint), RESULT_MISSING);
}

static void dead_letters_go_with_their_tenant(void **state)
{
    fixture_t *fixture = *state;
    char kept_as[256];
    dead_letters_t *letters = fixture->letters;
    assert_int_equal(create(fixture, "acme"), RESULT_OK);
    put_letter(letters, "acme", 1, DEAD_LETTER_QUARANTINED);
    put_letter(letters, "beta", 1, DEAD_LETTER_QUARANTINED);
    assert_int_equal(fixture->store->functions->tenant_delete(fixture->store, TEXT_LITERAL("acme"),
                                                              1, kept_as, sizeof kept_as),
                     RESULT_OK);
    assert_int_equal(count_letters(letters, "acme").count, 0);
    assert_int_equal(count_letters(letters, "beta").count, 1);
}

#define CONTROL_TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, &fixture)

int control_contract_run(const control_contract_factory_t *factory)
{
    fixture_t fixture = {.factory = factory};
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(a_created_tenant_has_one_active_key),
        CONTROL_TEST(quotas_are_none_until_they_are_set),
        CONTROL_TEST(a_deleted_tenant_is_gone_and_its_name_is_free),
        CONTROL_TEST(names_that_mean_something_else_are_refused),
        CONTROL_TEST(tenants_come_in_order_of_name),
        CONTROL_TEST(rotation_leaves_exactly_one_active_key),
        CONTROL_TEST(only_keys_that_do_not_sign_are_retired),
        CONTROL_TEST(token_keys_come_newest_first),
        CONTROL_TEST(every_change_raises_the_version_and_no_read_does),
        CONTROL_TEST(dead_letters_are_kept_newest_first_within_their_bound),
        CONTROL_TEST(dead_letters_change_from_the_state_they_are_in),
        CONTROL_TEST(dead_letters_go_with_their_tenant),
    };
    return cmocka_run_group_tests_name("control store", tests, NULL, NULL);
}
