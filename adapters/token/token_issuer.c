/* The built-in issuer: makes P-256 keys and signs access tokens (RFC 9068) with them. Must not keep
 * a key. Private parts are written without jansson's help where this file makes them, so that they
 * can be wiped. */
#include "adapters/token/token_internal.h"
#include "runtime/random.h"
#include <assert.h>
#include <cjose/cjose.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    JWK_TEXT_SIZE = 512,
    THUMBPRINT_INPUT_SIZE = 160,
    THUMBPRINT_TEXT_SIZE = 44, /* base64url of SHA-256, and a NUL */
    TOKEN_ID_BYTES = 16,
};

typedef struct key_texts {
    char x[TOKEN_COORDINATE_TEXT_SIZE + 1];
    char y[TOKEN_COORDINATE_TEXT_SIZE + 1];
    char d[TOKEN_COORDINATE_TEXT_SIZE + 1];
} key_texts_t;

static bool read_number(const EVP_PKEY *key, const char *name,
                        char out[TOKEN_COORDINATE_TEXT_SIZE + 1])
{
    BIGNUM *number = NULL;
    uint8_t bytes[TOKEN_COORDINATE_SIZE];
    const bool is_read = EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
                         BN_bn2binpad(number, bytes, sizeof(bytes)) == (int)sizeof(bytes);
    if (is_read) {
        (void)token_base64_encode(bytes, sizeof(bytes), out, TOKEN_COORDINATE_TEXT_SIZE + 1);
    }
    BN_clear_free(number);
    sodium_memzero(bytes, sizeof(bytes));
    return is_read;
}

static bool generate_texts(key_texts_t *texts)
{
    EVP_PKEY *key = EVP_EC_gen(TOKEN_CURVE);
    const bool is_made = key != NULL && read_number(key, OSSL_PKEY_PARAM_EC_PUB_X, texts->x) &&
                         read_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, texts->y) &&
                         read_number(key, OSSL_PKEY_PARAM_PRIV_KEY, texts->d);
    EVP_PKEY_free(key);
    return is_made;
}

/* RFC 7638: SHA-256 over the required members in order of name, without blanks. */
static void make_thumbprint(const key_texts_t *texts, char out[THUMBPRINT_TEXT_SIZE])
{
    char input[THUMBPRINT_INPUT_SIZE];
    const int size = snprintf(input, sizeof(input),
                              "{\"crv\":\"" TOKEN_CURVE "\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":"
                              "\"%s\"}",
                              texts->x, texts->y);
    assert(size > 0 && (size_t)size < sizeof(input));
    uint8_t hash[crypto_hash_sha256_BYTES];
    const unsigned long long input_size = (unsigned long long)size;
    (void)crypto_hash_sha256(hash, (const uint8_t *)input, input_size);
    (void)token_base64_encode(hash, sizeof(hash), out, THUMBPRINT_TEXT_SIZE);
}

/* `private_part` is "" or the member d with a comma in front. */
static char *make_jwk(const key_texts_t *texts, const char *kid, const char *private_part)
{
    char *jwk = malloc(JWK_TEXT_SIZE);
    if (jwk == NULL) {
        return NULL;
    }
    const int size = snprintf(jwk, JWK_TEXT_SIZE,
                              "{\"kty\":\"EC\",\"crv\":\"" TOKEN_CURVE
                              "\",\"x\":\"%s\",\"y\":\"%s\",\"alg\":\"" TOKEN_ALGORITHM
                              "\",\"use\":\"sig\",\"kid\":\"%s\"%s}",
                              texts->x, texts->y, kid, private_part);
    assert(size > 0 && size < JWK_TEXT_SIZE);
    return jwk;
}

result_t token_key_generate(char **kid, char **private_jwk, char **public_jwk)
{
    if (sodium_init() < 0) {
        return RESULT_INTERNAL;
    }
    key_texts_t texts;
    if (!generate_texts(&texts)) {
        sodium_memzero(&texts, sizeof(texts));
        return RESULT_INTERNAL;
    }
    char thumbprint[THUMBPRINT_TEXT_SIZE];
    make_thumbprint(&texts, thumbprint);
    char private_part[TOKEN_COORDINATE_TEXT_SIZE + 16];
    (void)snprintf(private_part, sizeof(private_part), ",\"d\":\"%s\"", texts.d);
    char *made_kid = strdup(thumbprint);
    char *made_private = make_jwk(&texts, thumbprint, private_part);
    char *made_public = make_jwk(&texts, thumbprint, "");
    sodium_memzero(private_part, sizeof(private_part));
    sodium_memzero(&texts, sizeof(texts));
    if (made_kid == NULL || made_private == NULL || made_public == NULL) {
        free(made_kid);
        if (made_private != NULL) {
            sodium_memzero(made_private, JWK_TEXT_SIZE);
            free(made_private);
        }
        free(made_public);
        return RESULT_NO_MEMORY;
    }
    *kid = made_kid;
    *private_jwk = made_private;
    *public_jwk = made_public;
    return RESULT_OK;
}

/* JSON of the claims (malloc); NULL when a claim is not UTF-8 or memory is out. */
static char *make_payload(const token_claims_t *claims, int64_t now_s, uint32_t ttl_s)
{
    uint8_t id[TOKEN_ID_BYTES];
    random_fill(id, sizeof(id));
    char id_text[2 * TOKEN_ID_BYTES + 1];
    (void)sodium_bin2hex(id_text, sizeof(id_text), id, sizeof(id));
    const text_t role = enum_name(&role_enum, claims->role);
    const json_int_t expires_s = now_s + ttl_s;
    json_t *payload =
        json_pack("{s:s, s:s, s:s, s:s%, s:I, s:I, s:I, s:s}", "iss", TOKEN_ISSUER, "aud",
                  TOKEN_AUDIENCE, "sub", claims->subject, "role", role.data, role.size, "iat",
                  (json_int_t)now_s, "nbf", (json_int_t)now_s, "exp", expires_s, "jti", id_text);
    if (payload == NULL) {
        return NULL;
    }
    char *text = NULL;
    const bool has_tenant = claims->tenant[0] != '\0';
    const bool has_since = has_tenant && claims->tenant_since_ms > 0;
    const json_int_t since_ms = claims->tenant_since_ms;
    if ((!has_tenant || json_object_set_new(payload, "tenant", json_string(claims->tenant)) == 0) &&
        (!has_since || json_object_set_new(payload, "tenant_since", json_integer(since_ms)) == 0)) {
        text = json_dumps(payload, JSON_COMPACT);
    }
    json_decref(payload);
    return text;
}

static char *sign(const cjose_jwk_t *key, const char *kid, const char *payload)
{
    cjose_header_t *header = cjose_header_new(NULL);
    cjose_jws_t *jws = NULL;
    const char *compact = NULL;
    char *token = NULL;
    if (header != NULL && cjose_header_set(header, CJOSE_HDR_ALG, TOKEN_ALGORITHM, NULL) &&
        cjose_header_set(header, "typ", TOKEN_TYPE, NULL) &&
        cjose_header_set(header, CJOSE_HDR_KID, kid, NULL)) {
        jws = cjose_jws_sign(key, header, (const uint8_t *)payload, strlen(payload), NULL);
    }
    if (jws != NULL && cjose_jws_export(jws, &compact, NULL)) {
        token = strdup(compact);
    }
    cjose_jws_release(jws);
    cjose_header_release(header);
    return token;
}

static result_t sign_claims(const char *private_jwk, const char *payload, char **token)
{
    const text_t text = text_from_c(private_jwk);
    json_t *jwk = token_json_object((const uint8_t *)text.data, text.size);
    if (jwk == NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    result_t result = RESULT_INVALID_ARGUMENT;
    const text_t kid = token_json_text(jwk, "kid");
    cjose_jwk_t *key = NULL;
    if (token_jwk_is_usable(jwk, true) && kid.size > 0 && kid.size <= TOKEN_KID_SIZE_MAX) {
        key = cjose_jwk_import(text.data, text.size, NULL);
    }
    if (key != NULL) {
        char *made = sign(key, kid.data, payload);
        result = made == NULL ? RESULT_INTERNAL : RESULT_OK;
        if (made != NULL) {
            *token = made;
        }
        (void)cjose_jwk_release(key);
    }
    json_decref(jwk);
    return result;
}

result_t token_mint(const char *private_jwk, const token_claims_t *claims, int64_t now_ms,
                    uint32_t ttl_s, char **token)
{
    if (ttl_s == 0 || ttl_s > LIMIT_TOKEN_TTL_S_MAX || claims->subject[0] == '\0' ||
        (claims->tenant[0] == '\0' && claims->role != role_platform_admin)) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (sodium_init() < 0) {
        return RESULT_INTERNAL;
    }
    char *payload = make_payload(claims, now_ms / 1000, ttl_s);
    if (payload == NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    const result_t result = sign_claims(private_jwk, payload, token);
    free(payload);
    return result;
}
