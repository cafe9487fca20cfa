/* Which tokens are let in, and what is said of the others (RFC 8725). */
#include "runtime/limits.h"
#include "tests/unit/gateway_cmocka.h"
#include "tests/unit/token_support.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static void minted_token_verifies_with_its_claims(void **state)
{
    token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    token_claims_t claims;
    char detail[200];
    assert_int_equal(fixture->tokens->functions->verify(fixture->tokens, text_from_c(token),
                                                        TOKEN_NOW_MS, &claims, detail,
                                                        sizeof(detail)),
                     RESULT_OK);
    assert_string_equal(claims.subject, "gate-7");
    assert_string_equal(claims.tenant, "acme");
    assert_int_equal(claims.role, role_validator);
    assert_int_equal(claims.expires_at_ms, TOKEN_NOW_MS + 900000);
    free(token);
}

static void platform_admin_needs_no_tenant(void **state)
{
    token_fixture_t *fixture = *state;
    const token_claims_t claims = token_claims_of(role_platform_admin, "");
    char *token = NULL;
    assert_int_equal(token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, 1, &token), RESULT_OK);
    assert_int_equal(token_check(fixture, token), RESULT_OK);
    free(token);
}

/* Changes nothing but the header; the signature is right for it. */
static result_t check_header(const token_fixture_t *fixture, const char *alg, const char *typ,
                             const char *more)
{
    char *header = token_header(fixture, alg, typ, more);
    char *payload = token_payload("{}");
    char *token = token_sign_texts(fixture->private_jwk, header, payload);
    const result_t result = token_check(fixture, token);
    free(token);
    free(payload);
    free(header);
    return result;
}

static void type_must_be_that_of_an_access_token(void **state)
{
    const token_fixture_t *fixture = *state;
    assert_int_equal(check_header(fixture, "ES256", "at+jwt", ""), RESULT_OK);
    assert_int_equal(check_header(fixture, "ES256", "AT+JWT", ""), RESULT_OK);
    assert_int_equal(check_header(fixture, "ES256", "application/at+jwt", ""), RESULT_OK);
    assert_int_equal(check_header(fixture, "ES256", "JWT", ""), RESULT_UNAUTHENTICATED);
    assert_int_equal(check_header(fixture, "ES256", "", ""), RESULT_UNAUTHENTICATED);
}

static void algorithm_is_that_of_the_key_and_no_other(void **state)
{
    const token_fixture_t *fixture = *state;
    static const char *const others[] = {"none",  "None",  "HS256", "es256", "RS256",
                                         "ES384", "PS256", "EdDSA", ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(check_header(fixture, others[i], "at+jwt", ""), RESULT_UNAUTHENTICATED);
    }
}

static void header_cannot_bring_keys_or_extensions(void **state)
{
    const token_fixture_t *fixture = *state;
    char jwk[700];
    (void)snprintf(jwk, sizeof(jwk), ",\"jwk\":%s", fixture->other_public_jwk);
    const char *const more[] = {",\"crit\":[\"exp\"]",
                                ",\"crit\":[]",
                                ",\"b64\":false",
                                ",\"jku\":\"https://keys.invalid/\"",
                                ",\"x5u\":\"https://keys.invalid/\"",
                                ",\"x5c\":[\"AAAA\"]",
                                ",\"zip\":\"DEF\"",
                                jwk};
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        assert_int_equal(check_header(fixture, "ES256", "at+jwt", more[i]), RESULT_UNAUTHENTICATED);
    }
    assert_int_equal(check_header(fixture, "ES256", "at+jwt", ",\"note\":\"fine\""), RESULT_OK);
}

static void header_with_a_member_twice_is_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    assert_int_equal(check_header(fixture, "ES256", "at+jwt", ",\"alg\":\"ES256\""),
                     RESULT_UNAUTHENTICATED);
    assert_int_equal(check_header(fixture, "ES256", "at+jwt", ",\"kid\":\"x\""),
                     RESULT_UNAUTHENTICATED);
}

static void public_key_is_no_secret_for_hmac(void **state)
{
    const token_fixture_t *fixture = *state;
    char *header = token_header(fixture, "HS256", "at+jwt", "");
    char *payload = token_payload("{}");
    char *token = token_sign_texts(fixture->private_jwk, header, payload);
    char *signature = strrchr(token, '.');
    *signature = '\0';
    crypto_auth_hmacsha256_state hmac;
    uint8_t mac[32];
    crypto_auth_hmacsha256_init(&hmac, (const uint8_t *)fixture->public_jwk,
                                strlen(fixture->public_jwk));
    crypto_auth_hmacsha256_update(&hmac, (const uint8_t *)token, strlen(token));
    crypto_auth_hmacsha256_final(&hmac, mac);
    *signature = '.';
    (void)sodium_bin2base64(signature + 1, 60, mac, sizeof(mac),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    free(token);
    free(payload);
    free(header);
}

static void unsigned_token_is_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    strrchr(token, '.')[1] = '\0';
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    free(token);
}

static void token_of_another_key_is_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    const token_claims_t claims = token_claims_of(role_validator, "acme");
    char *token = NULL;
    assert_int_equal(token_mint(fixture->other_private_jwk, &claims, TOKEN_NOW_MS, 900, &token),
                     RESULT_OK);
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    free(token);
    /* The same, under the name of a key that we know. */
    char *header = token_header(fixture, "ES256", "at+jwt", "");
    char *payload = token_payload("{}");
    token = token_sign_texts(fixture->other_private_jwk, header, payload);
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    free(token);
    free(payload);
    free(header);
}

static void key_id_only_looks_up_our_own_keys(void **state)
{
    const token_fixture_t *fixture = *state;
    static const char *const headers[] = {
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":7}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":null}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"../../etc/passwd\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"' OR 1=1 --\"}",
        "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"a\\u0000b\"}"};
    char *payload = token_payload("{}");
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        char *token = token_sign_texts(fixture->private_jwk, headers[i], payload);
        assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
        free(token);
    }
    free(payload);
}

static void one_changed_character_anywhere_is_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    const size_t size = strlen(token);
    for (size_t i = 0; i < size; i += 3) {
        const char before = token[i];
        token[i] = before == 'A' ? 'B' : 'A';
        assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
        token[i] = before;
    }
    assert_int_equal(token_check(fixture, token), RESULT_OK);
    free(token);
}

/* cjose ends the process on some texts that are no base64url, and it reads the claims of tokens
 * whose signature nobody has checked yet: it must not get to see them. */
static void foreign_character_anywhere_is_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    static const char foreign[] = "=+/ %\n\x01\x7f\x80\xff";
    char *token = token_good(fixture);
    const size_t size = strlen(token);
    for (size_t i = 0; i < size; i++) {
        const char before = token[i];
        for (size_t j = 0; j < sizeof(foreign) - 1; j++) {
            token[i] = foreign[j];
            assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
        }
        token[i] = before;
    }
    assert_int_equal(token_check(fixture, token), RESULT_OK);
    free(token);
}

/* No length of the claims is one that cjose cannot decode. */
static void claims_of_any_length_are_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    const char *first = strchr(token, '.');
    assert_non_null(first);
    const char *second = strchr(first + 1, '.');
    assert_non_null(second);
    char changed[2048];
    for (const char *end = first + 1; end < second; end++) {
        (void)snprintf(changed, sizeof(changed), "%.*s%s", (int)(end - token), token, second);
        assert_int_equal(token_check(fixture, changed), RESULT_UNAUTHENTICATED);
        (void)snprintf(changed, sizeof(changed), "%.*s=%s", (int)(end - token), token, second);
        assert_int_equal(token_check(fixture, changed), RESULT_UNAUTHENTICATED);
    }
    free(token);
}

/* The last character of the signature has four bits that carry nothing: only zeros are taken. */
static void signature_has_one_spelling(void **state)
{
    const token_fixture_t *fixture = *state;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *token = token_good(fixture);
    char *last = token + strlen(token) - 1;
    const char before = *last;
    uint32_t accepted = 0;
    for (size_t i = 0; i < 64; i++) {
        *last = alphabet[i];
        accepted += token_check(fixture, token) == RESULT_OK ? 1U : 0U;
    }
    assert_int_equal(accepted, 1);
    *last = before;
    free(token);
}

static void signature_must_have_64_bytes(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    char longer[1024];
    (void)snprintf(longer, sizeof(longer), "%sAAAA", token);
    assert_int_equal(token_check(fixture, longer), RESULT_UNAUTHENTICATED);
    token[strlen(token) - 4] = '\0';
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    strrchr(token, '.')[0] = '\0';
    (void)snprintf(
        longer, sizeof(longer), "%s.%.*s", token, 86,
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAA");
    assert_int_equal(token_check(fixture, longer), RESULT_UNAUTHENTICATED);
    free(token);
}

static void form_must_be_exact(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    char changed[2048];
    static const char *const around[][2] = {{"", "."}, {".", ""}, {"", ".AAAA"}, {"", "="},
                                            {" ", ""}, {"", " "}, {"", "\n"},    {"Bearer ", ""}};
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        (void)snprintf(changed, sizeof(changed), "%s%s%s", around[i][0], token, around[i][1]);
        assert_int_equal(token_check(fixture, changed), RESULT_UNAUTHENTICATED);
    }
    free(token);
    static const char *const garbage[] = {"",
                                          ".",
                                          "..",
                                          "...",
                                          "a.b.c",
                                          "{}",
                                          "e30.e30.e30",
                                          "e30..",
                                          ".e30.",
                                          "W10.W10.AAAA",
                                          "\xff\xfe.\x01.x"};
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        assert_int_equal(token_check(fixture, garbage[i]), RESULT_UNAUTHENTICATED);
    }
}

static void huge_and_deep_tokens_are_refused(void **state)
{
    const token_fixture_t *fixture = *state;
    char *huge = malloc(LIMIT_TOKEN_SIZE + 2);
    assert_non_null(huge);
    memset(huge, 'A', LIMIT_TOKEN_SIZE + 1);
    huge[LIMIT_TOKEN_SIZE + 1] = '\0';
    assert_int_equal(token_check(fixture, huge), RESULT_UNAUTHENTICATED);
    huge[100] = '.';
    huge[200] = '.';
    huge[LIMIT_TOKEN_SIZE] = '\0';
    assert_int_equal(token_check(fixture, huge), RESULT_UNAUTHENTICATED);
    free(huge);
    char deep[1400] = ",\"x\":";
    size_t size = strlen(deep);
    memset(deep + size, '[', 600);
    memset(deep + size + 600, ']', 600);
    deep[size + 1200] = '\0';
    assert_int_equal(check_header(fixture, "ES256", "at+jwt", deep), RESULT_UNAUTHENTICATED);
}

static void issuer_and_audience_must_be_ours(void **state)
{
    const token_fixture_t *fixture = *state;
    assert_int_equal(token_check_change(fixture, "{\"iss\":\"other\"}"), RESULT_UNAUTHENTICATED);
    assert_int_equal(token_check_change(fixture, "{\"iss\":null}"), RESULT_UNAUTHENTICATED);
    assert_int_equal(token_check_change(fixture, "{\"aud\":\"other\"}"), RESULT_UNAUTHENTICATED);
    assert_int_equal(token_check_change(fixture, "{\"aud\":null}"), RESULT_UNAUTHENTICATED);
    assert_int_equal(token_check_change(fixture, "{\"aud\":[]}"), RESULT_UNAUTHENTICATED);
    assert_int_equal(token_check_change(fixture, "{\"aud\":[1,\"other\"]}"),
                     RESULT_UNAUTHENTICATED);
    assert_int_equal(token_check_change(fixture, "{\"aud\":[\"other\",\"digitalcard\"]}"),
                     RESULT_OK);
}

static void bearer_must_be_named_properly(void **state)
{
    const token_fixture_t *fixture = *state;
    static const char *const changes[] = {"{\"sub\":null}",
                                          "{\"sub\":\"\"}",
                                          "{\"sub\":\"a\\nb\"}",
                                          "{\"sub\":\"a\\u0085b\"}",
                                          "{\"sub\":\"a\\u007f\"}",
                                          "{\"sub\":5}",
                                          "{\"role\":null}",
                                          "{\"role\":\"root\"}",
                                          "{\"role\":\"\"}",
                                          "{\"role\":4}",
                                          "{\"tenant\":null}",
                                          "{\"tenant\":\"\"}",
                                          "{\"tenant\":\"Acme\"}",
                                          "{\"tenant\":\"../a\"}",
                                          "{\"tenant\":7}",
                                          "{\"tenant\":\"api\"}",
                                          "{\"tenant_since\":\"1\"}",
                                          "{\"tenant_since\":0}",
                                          "{\"tenant_since\":-1}",
                                          "{\"tenant_since\":1.5}",
                                          "{\"role\":\"platform_admin\",\"tenant\":5}"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_int_equal(token_check_change(fixture, changes[i]), RESULT_UNAUTHENTICATED);
    }
    char change[200];
    (void)snprintf(change, sizeof(change), "{\"sub\":\"%0129d\"}", 1);
    assert_int_equal(token_check_change(fixture, change), RESULT_UNAUTHENTICATED);
    (void)snprintf(change, sizeof(change), "{\"sub\":\"%0128d\"}", 1);
    assert_int_equal(token_check_change(fixture, change), RESULT_OK);
    assert_int_equal(token_check_change(fixture, "{\"sub\":\"Zo\\u00eb\"}"), RESULT_OK);
    assert_int_equal(token_check_change(fixture, "{\"role\":\"platform_admin\",\"tenant\":null}"),
                     RESULT_OK);
}

static result_t check_times(const token_fixture_t *fixture, int64_t iat, int64_t nbf, int64_t exp)
{
    char change[200];
    const int64_t now = TOKEN_NOW_MS / 1000;
    (void)snprintf(change, sizeof(change), "{\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
                   (long long)(now + iat), (long long)(now + nbf), (long long)(now + exp));
    return token_check_change(fixture, change);
}

static void times_are_checked_to_the_second(void **state)
{
    const token_fixture_t *fixture = *state;
    const int64_t skew = LIMIT_CLOCK_SKEW_S;
    assert_int_equal(check_times(fixture, -10, -10, 1), RESULT_OK);
    assert_int_equal(check_times(fixture, -10, -10, 0), RESULT_TOKEN_EXPIRED);
    assert_int_equal(check_times(fixture, -1000, -1000, -900), RESULT_TOKEN_EXPIRED);
    assert_int_equal(check_times(fixture, skew, skew, 900), RESULT_OK);
    assert_int_equal(check_times(fixture, skew + 1, 0, 900), RESULT_UNAUTHENTICATED);
    assert_int_equal(check_times(fixture, 0, skew + 1, 900), RESULT_UNAUTHENTICATED);
    assert_int_equal(check_times(fixture, 0, 0, LIMIT_TOKEN_TTL_S_MAX), RESULT_OK);
    assert_int_equal(check_times(fixture, 0, 0, LIMIT_TOKEN_TTL_S_MAX + 1), RESULT_UNAUTHENTICATED);
    assert_int_equal(check_times(fixture, 4, 0, 4), RESULT_UNAUTHENTICATED);
    static const char *const changes[] = {
        "{\"exp\":null}",         "{\"iat\":null}",  "{\"exp\":\"1790000900\"}",
        "{\"exp\":1790000900.5}", "{\"exp\":1e300}", "{\"iat\":-1}",
        "{\"nbf\":\"now\"}",      "{\"nbf\":{}}",    "{\"exp\":9223372036854775807}"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_int_equal(token_check_change(fixture, changes[i]), RESULT_UNAUTHENTICATED);
    }
    assert_int_equal(token_check_change(fixture, "{\"nbf\":null}"), RESULT_OK);
}

static void expired_is_said_only_of_our_own_tokens(void **state)
{
    const token_fixture_t *fixture = *state;
    char *header = token_header(fixture, "ES256", "at+jwt", "");
    char *payload = token_payload("{\"iat\":1000,\"nbf\":1000,\"exp\":2000}");
    char *token = token_sign_texts(fixture->private_jwk, header, payload);
    assert_int_equal(token_check(fixture, token), RESULT_TOKEN_EXPIRED);
    free(token);
    token = token_sign_texts(fixture->other_private_jwk, header, payload);
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    free(token);
    free(payload);
    free(header);
}

static result_t verify_at(const token_fixture_t *fixture, const char *token, int64_t now_ms)
{
    token_claims_t claims;
    char detail[200];
    return fixture->tokens->functions->verify(fixture->tokens, text_from_c(token), now_ms, &claims,
                                              detail, sizeof(detail));
}

static void remembered_token_dies_at_its_expiry(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    assert_int_equal(verify_at(fixture, token, TOKEN_NOW_MS), RESULT_OK);
    assert_int_equal(verify_at(fixture, token, TOKEN_NOW_MS + 899999), RESULT_OK);
    assert_int_equal(verify_at(fixture, token, TOKEN_NOW_MS + 900000), RESULT_TOKEN_EXPIRED);
    token_numbers_t numbers;
    fixture->tokens->functions->numbers(fixture->tokens, &numbers);
    assert_int_equal(numbers.checked, 1);
    assert_int_equal(numbers.remembered, 2);
    free(token);
}

static void remembered_token_dies_with_its_key(void **state)
{
    const token_fixture_t *fixture = *state;
    char *token = token_good(fixture);
    assert_int_equal(token_check(fixture, token), RESULT_OK);
    const directory_token_key_t other = {.kid = text_from_c(fixture->other_kid),
                                         .jwk = text_from_c(fixture->other_public_jwk)};
    assert_int_equal(fixture->tokens->functions->set_keys(fixture->tokens, &other, 1), RESULT_OK);
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    assert_int_equal(fixture->tokens->functions->set_keys(fixture->tokens, NULL, 0), RESULT_OK);
    assert_int_equal(token_check(fixture, token), RESULT_UNAUTHENTICATED);
    free(token);
}

static void several_keys_are_in_force_at_once(void **state)
{
    const token_fixture_t *fixture = *state;
    const directory_token_key_t keys[] = {
        {.kid = text_from_c(fixture->other_kid), .jwk = text_from_c(fixture->other_public_jwk)},
        {.kid = text_from_c(fixture->kid), .jwk = text_from_c(fixture->public_jwk)}};
    assert_int_equal(fixture->tokens->functions->set_keys(fixture->tokens, keys, 2), RESULT_OK);
    char *token = token_good(fixture);
    assert_int_equal(token_check(fixture, token), RESULT_OK);
    free(token);
}

static void keys_that_are_no_public_es256_keys_are_left_out(void **state)
{
    const token_fixture_t *fixture = *state;
    static const char *const unusable[] = {
        "", "{}", "[]", "{\"kty\":\"oct\",\"k\":\"AAAA\",\"alg\":\"HS256\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"alg\":\"ES256\"}"};
    for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
        const directory_token_key_t key = {.kid = TEXT_LITERAL("k"),
                                           .jwk = text_from_c(unusable[i])};
        assert_int_equal(fixture->tokens->functions->set_keys(fixture->tokens, &key, 1),
                         RESULT_INVALID_ARGUMENT);
    }
    const directory_token_key_t keys[] = {
        {.kid = text_from_c(fixture->other_kid), .jwk = text_from_c(fixture->other_private_jwk)},
        {.kid = TEXT_LITERAL("another-name"), .jwk = text_from_c(fixture->other_public_jwk)},
        {.kid = text_from_c(fixture->kid), .jwk = text_from_c(fixture->public_jwk)}};
    assert_int_equal(fixture->tokens->functions->set_keys(fixture->tokens, keys, 3),
                     RESULT_INVALID_ARGUMENT);
    char *token = token_good(fixture);
    assert_int_equal(token_check(fixture, token), RESULT_OK); /* the good one is in force */
    free(token);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, token_setup, token_teardown)
    const struct CMUnitTest tests[] = {
        TEST(minted_token_verifies_with_its_claims),
        TEST(platform_admin_needs_no_tenant),
        TEST(type_must_be_that_of_an_access_token),
        TEST(algorithm_is_that_of_the_key_and_no_other),
        TEST(header_cannot_bring_keys_or_extensions),
        TEST(header_with_a_member_twice_is_refused),
        TEST(public_key_is_no_secret_for_hmac),
        TEST(unsigned_token_is_refused),
        TEST(token_of_another_key_is_refused),
        TEST(key_id_only_looks_up_our_own_keys),
        TEST(one_changed_character_anywhere_is_refused),
        TEST(foreign_character_anywhere_is_refused),
        TEST(claims_of_any_length_are_refused),
        TEST(signature_has_one_spelling),
        TEST(signature_must_have_64_bytes),
        TEST(form_must_be_exact),
        TEST(huge_and_deep_tokens_are_refused),
        TEST(issuer_and_audience_must_be_ours),
        TEST(bearer_must_be_named_properly),
        TEST(times_are_checked_to_the_second),
        TEST(expired_is_said_only_of_our_own_tokens),
        TEST(remembered_token_dies_at_its_expiry),
        TEST(remembered_token_dies_with_its_key),
        TEST(several_keys_are_in_force_at_once),
        TEST(keys_that_are_no_public_es256_keys_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
