/* Keys and tokens that the built-in issuer makes. */
#include "adapters/token/token_internal.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/token_support.h"
#include <jansson.h>
#include <stdlib.h>

static void key_has_a_public_part_without_the_private_one(void **state)
{
    const token_fixture_t *fixture = *state;
    json_t *public_jwk = json_loads(fixture->public_jwk, JSON_REJECT_DUPLICATES, NULL);
    json_t *private_jwk = json_loads(fixture->private_jwk, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(public_jwk);
    assert_non_null(private_jwk);
    assert_null(json_object_get(public_jwk, "d"));
    assert_non_null(json_object_get(private_jwk, "d"));
    assert_string_equal(json_string_value(json_object_get(public_jwk, "alg")), "ES256");
    assert_string_equal(json_string_value(json_object_get(public_jwk, "use")), "sig");
    assert_string_equal(json_string_value(json_object_get(public_jwk, "kid")), fixture->kid);
    assert_string_not_equal(fixture->kid, fixture->other_kid);
    assert_int_equal(strlen(fixture->kid), 43);
    json_decref(public_jwk);
    json_decref(private_jwk);
}

static void lifetime_is_bounded(void **state)
{
    const token_fixture_t *fixture = *state;
    const token_claims_t claims = token_claims_of(role_issuer, "acme");
    char *token = NULL;
    assert_int_equal(token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, 0, &token),
                     RESULT_INVALID_ARGUMENT);
    assert_int_equal(
        token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, LIMIT_TOKEN_TTL_S_MAX + 1, &token),
        RESULT_INVALID_ARGUMENT);
    assert_null(token);
    assert_int_equal(
        token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, LIMIT_TOKEN_TTL_S_MAX, &token),
        RESULT_OK);
    assert_int_equal(token_check(fixture, token), RESULT_OK);
    free(token);
}

static void only_private_es256_keys_sign(void **state)
{
    const token_fixture_t *fixture = *state;
    const token_claims_t claims = token_claims_of(role_issuer, "acme");
    char *token = NULL;
    static const char *const unusable[] = {"", "{}", "null", "{\"kty\":\"oct\",\"k\":\"AA\"}"};
    for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
        assert_int_equal(token_mint(unusable[i], &claims, TOKEN_NOW_MS, 60, &token),
                         RESULT_INVALID_ARGUMENT);
    }
    assert_int_equal(token_mint(fixture->public_jwk, &claims, TOKEN_NOW_MS, 60, &token),
                     RESULT_INVALID_ARGUMENT);
    assert_null(token);
}

static void only_platform_admins_go_without_a_tenant(void **state)
{
    const token_fixture_t *fixture = *state;
    token_claims_t claims = token_claims_of(role_issuer, "");
    char *token = NULL;
    assert_int_equal(token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, 60, &token),
                     RESULT_INVALID_ARGUMENT);
    claims = token_claims_of(role_issuer, "acme");
    claims.subject[0] = '\0';
    assert_int_equal(token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, 60, &token),
                     RESULT_INVALID_ARGUMENT);
    assert_null(token);
}

static void every_token_is_another_one(void **state)
{
    const token_fixture_t *fixture = *state;
    char *first = token_good(fixture);
    char *second = token_good(fixture);
    assert_string_not_equal(first, second); /* jti */
    free(first);
    free(second);
}

static void memory_forgets_the_oldest_token_first(void **state)
{
    (void)state;
    token_cache_t *cache = NULL;
    assert_int_equal(token_cache_create(&cache), RESULT_OK);
    token_claims_t claims = {0};
    uint8_t hash[TOKEN_HASH_SIZE] = {0};
    for (uint32_t i = 0; i < LIMIT_TOKENS_CACHED + 10; i++) {
        memcpy(hash, &i, sizeof(i));
        claims.expires_at_ms = i;
        token_cache_add(cache, hash, &claims);
    }
    for (uint32_t i = 0; i < LIMIT_TOKENS_CACHED + 10; i++) {
        memcpy(hash, &i, sizeof(i));
        const token_claims_t *found = token_cache_find(cache, hash);
        assert_int_equal(found != NULL, i >= 10);
        if (found != NULL) {
            assert_int_equal(found->expires_at_ms, i);
        }
    }
    token_cache_clear(cache);
    assert_null(token_cache_find(cache, hash));
    token_cache_destroy(&cache);
    assert_null(cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, token_setup, token_teardown)
    const struct CMUnitTest tests[] = {
        TEST(key_has_a_public_part_without_the_private_one),
        TEST(lifetime_is_bounded),
        TEST(only_private_es256_keys_sign),
        TEST(only_platform_admins_go_without_a_tenant),
        TEST(every_token_is_another_one),
        TEST(memory_forgets_the_oldest_token_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
