/* See token_support.h. Signing is done with OpenSSL here, so that it is not cjose that checks
 * cjose. */
#include "tests/unit/token_support.h"
#include "tests/unit/gateway_cmocka.h"
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

int token_setup(void **state)
{
    token_fixture_t *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(token_verifier_create(&fixture->tokens), RESULT_OK);
    assert_int_equal(token_key_generate(&fixture->kid, &fixture->private_jwk, &fixture->public_jwk),
                     RESULT_OK);
    assert_int_equal(token_key_generate(&fixture->other_kid, &fixture->other_private_jwk,
                                        &fixture->other_public_jwk),
                     RESULT_OK);
    const directory_token_key_t key = {.kid = text_from_c(fixture->kid),
                                       .jwk = text_from_c(fixture->public_jwk)};
    assert_int_equal(fixture->tokens->functions->set_keys(fixture->tokens, &key, 1), RESULT_OK);
    *state = fixture;
    return 0;
}

int token_teardown(void **state)
{
    token_fixture_t *fixture = *state;
    token_verifier_destroy(&fixture->tokens);
    free(fixture->kid);
    free(fixture->private_jwk);
    free(fixture->public_jwk);
    free(fixture->other_kid);
    free(fixture->other_private_jwk);
    free(fixture->other_public_jwk);
    free(fixture);
    return 0;
}

token_claims_t token_claims_of(uint8_t role, const char *tenant)
{
    token_claims_t claims = {.role = role};
    (void)snprintf(claims.subject, sizeof(claims.subject), "gate-7");
    (void)snprintf(claims.tenant, sizeof(claims.tenant), "%s", tenant);
    return claims;
}

char *token_good(const token_fixture_t *fixture)
{
    const token_claims_t claims = token_claims_of(role_validator, "acme");
    char *token = NULL;
    assert_int_equal(token_mint(fixture->private_jwk, &claims, TOKEN_NOW_MS, 900, &token),
                     RESULT_OK);
    return token;
}

static size_t encode(const uint8_t *bytes, size_t size, char *out, size_t capacity)
{
    (void)sodium_bin2base64(out, capacity, bytes, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return strlen(out);
}

static void decode_member(const json_t *jwk, const char *name, uint8_t out[32])
{
    const char *text = json_string_value(json_object_get(jwk, name));
    size_t size = 0;
    assert_int_equal(sodium_base642bin(out, 32, text, strlen(text), NULL, &size, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    assert_int_equal(size, 32);
}

static EVP_PKEY *private_key(const char *private_jwk)
{
    json_t *jwk = json_loads(private_jwk, 0, NULL);
    uint8_t point[65] = {4};
    uint8_t number[32];
    decode_member(jwk, "x", point + 1);
    decode_member(jwk, "y", point + 33);
    decode_member(jwk, "d", number);
    json_decref(jwk);
    BIGNUM *secret = BN_bin2bn(number, sizeof(number), NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point));
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(secret);
    return key;
}

static void sign_raw(const char *private_jwk, const char *text, uint8_t raw[64])
{
    EVP_PKEY *key = private_key(private_jwk);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t der[128];
    size_t size = sizeof(der);
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, der, &size, (const uint8_t *)text, strlen(text)), 1);
    const uint8_t *at = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32), 32);
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

char *token_sign_texts(const char *private_jwk, const char *header, const char *payload)
{
    const size_t capacity = 2 * (strlen(header) + strlen(payload)) + 200;
    char *token = malloc(capacity);
    assert_non_null(token);
    size_t size = encode((const uint8_t *)header, strlen(header), token, capacity);
    token[size] = '.';
    size += 1;
    size += encode((const uint8_t *)payload, strlen(payload), token + size, capacity - size);
    token[size] = '\0';
    uint8_t raw[64];
    sign_raw(private_jwk, token, raw);
    token[size] = '.';
    (void)encode(raw, sizeof(raw), token + size + 1, capacity - size - 1);
    return token;
}

char *token_header(const token_fixture_t *fixture, const char *alg, const char *typ,
                   const char *more)
{
    char *header = NULL;
    assert_true(asprintf(&header, "{\"alg\":\"%s\",\"typ\":\"%s\",\"kid\":\"%s\"%s}", alg, typ,
                         fixture->kid, more) > 0);
    return header;
}

char *token_payload(const char *change)
{
    const json_int_t now = TOKEN_NOW_MS / 1000;
    json_t *payload = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "iss", TOKEN_ISSUER,
                                "aud", TOKEN_AUDIENCE, "sub", "gate-7", "role", "validator",
                                "tenant", "acme", "iat", now, "nbf", now, "exp", now + 900);
    json_t *changes = json_loads(change, 0, NULL);
    assert_non_null(changes);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(changes, name, value)
    {
        if (json_is_null(value)) {
            json_object_del(payload, name);
        } else {
            json_object_set(payload, name, value);
        }
    }
    char *text = json_dumps(payload, JSON_COMPACT);
    json_decref(changes);
    json_decref(payload);
    return text;
}

result_t token_check(const token_fixture_t *fixture, const char *token)
{
    token_claims_t claims;
    char detail[200] = "";
    const result_t result = fixture->tokens->functions->verify(
        fixture->tokens, text_from_c(token), TOKEN_NOW_MS, &claims, detail, sizeof(detail));
    if (result != RESULT_OK) {
        assert_true(strlen(detail) > 10);
        assert_int_equal(detail[strlen(detail) - 1], '.');
    }
    return result;
}

result_t token_check_change(const token_fixture_t *fixture, const char *change)
{
    char *header = token_header(fixture, "ES256", "at+jwt", "");
    char *payload = token_payload(change);
    char *token = token_sign_texts(fixture->private_jwk, header, payload);
    const result_t result = token_check(fixture, token);
    free(token);
    free(payload);
    free(header);
    return result;
}
