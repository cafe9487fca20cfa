/* Checks bearer tokens by RFC 8725: everything about the form is decided here, before cjose sees
 * the token, and cjose does the one thing it is for: the signature. Must not follow anything that a
 * token names (jku, x5u, jwk), and must not say "expired" of a token whose signature is not ours.
 */
#include "actors/domain/card_id.h"
#include "adapters/token/token_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <cjose/cjose.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    KEYS_MAX = 16,                                 /* directory.token_keys */
    PART_BYTES_MAX = LIMIT_TOKEN_SIZE / 4 * 3 + 3, /* base64url takes 4 characters for 3 bytes */
};

/* The last second of the year 9998, as all our times. */
#define SECONDS_MAX INT64_C(253370764799)

typedef struct token_key {
    char kid[TOKEN_KID_SIZE_MAX];
    size_t kid_size;
    cjose_jwk_t *jwk;
} token_key_t;

typedef struct verifier {
    tokens_t port; /* first: tokens_t * is verifier_t * */
    EVP_MD *sha256;
    EVP_MD_CTX *hashing;
    token_cache_t *cache;
    token_key_t keys[KEYS_MAX];
    size_t key_count;
    token_numbers_t numbers;
} verifier_t;

typedef struct token_parts {
    text_t header;
    text_t payload;
    text_t signature;
} token_parts_t;

typedef struct token_explanation {
    char *out;
    size_t size;
} token_explanation_t;

static result_t refuse(const token_explanation_t *explanation, result_t result,
                       const char *sentence)
{
    if (explanation->size > 0) {
        (void)snprintf(explanation->out, explanation->size, "%s", sentence);
    }
    return result;
}

static result_t refuse_token(const token_explanation_t *explanation, const char *sentence)
{
    return refuse(explanation, RESULT_UNAUTHENTICATED, sentence);
}

static void forget_keys(verifier_t *verifier)
{
    for (size_t i = 0; i < verifier->key_count; i++) {
        (void)cjose_jwk_release(verifier->keys[i].jwk);
    }
    verifier->key_count = 0;
    token_cache_clear(verifier->cache);
}

/* NULL when the text is no public ES256 key, or names itself differently. */
static cjose_jwk_t *import_public_key(text_t kid, text_t text)
{
    json_t *jwk = token_json_object((const uint8_t *)text.data, text.size);
    if (jwk == NULL) {
        return NULL;
    }
    const text_t own_kid = token_json_text(jwk, "kid");
    const bool is_usable = token_jwk_is_usable(jwk, false) &&
                           (json_object_get(jwk, "kid") == NULL || text_equal(own_kid, kid));
    json_decref(jwk);
    return is_usable ? cjose_jwk_import(text.data, text.size, NULL) : NULL;
}

static const token_key_t *find_key(const verifier_t *verifier, text_t kid)
{
    for (size_t i = 0; i < verifier->key_count; i++) {
        const token_key_t *key = &verifier->keys[i];
        if (text_equal((text_t){.data = key->kid, .size = key->kid_size}, kid)) {
            return key;
        }
    }
    return NULL;
}

static result_t set_keys(tokens_t *tokens, const directory_token_key_t *keys, size_t key_count)
{
    verifier_t *verifier = (verifier_t *)tokens;
    forget_keys(verifier);
    result_t result = RESULT_OK;
    for (size_t i = 0; i < key_count; i++) {
        const text_t kid = keys[i].kid;
        if (find_key(verifier, kid) != NULL) {
            continue;
        }
        cjose_jwk_t *jwk = NULL;
        if (kid.size > 0 && kid.size <= TOKEN_KID_SIZE_MAX && verifier->key_count < KEYS_MAX) {
            jwk = import_public_key(kid, keys[i].jwk);
        }
        if (jwk == NULL) {
            log_warn("a token key cannot be used: tokens signed with it are refused",
                     LOG_TEXT("kid", kid.data, kid.size));
            result = RESULT_INVALID_ARGUMENT;
            continue;
        }
        token_key_t *key = &verifier->keys[verifier->key_count];
        verifier->key_count += 1;
        memcpy(key->kid, kid.data, kid.size);
        key->kid_size = kid.size;
        key->jwk = jwk;
    }
    return result;
}

/* Exactly three parts; what they contain is checked where they are decoded. */
static bool split_token(text_t token, token_parts_t *parts)
{
    const char *first = memchr(token.data, '.', token.size);
    if (first == NULL) {
        return false;
    }
    const char *end = token.data + token.size;
    const char *second = memchr(first + 1, '.', (size_t)(end - first) - 1);
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second) - 1) != NULL) {
        return false;
    }
    parts->header = (text_t){.data = token.data, .size = (size_t)(first - token.data)};
    parts->payload = (text_t){.data = first + 1, .size = (size_t)(second - first) - 1};
    parts->signature = (text_t){.data = second + 1, .size = (size_t)(end - second) - 1};
    return true;
}

static bool text_equal_ignoring_case(text_t a, text_t b)
{
    return a.size == b.size && strncasecmp(a.data, b.data, a.size) == 0;
}

/* Members that would change what is verified or fetch a key from elsewhere. */
static bool names_foreign_key(const json_t *header)
{
    static const char *const refused[] = {"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (json_object_get(header, refused[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static result_t check_header(const verifier_t *verifier, const json_t *header,
                             const token_explanation_t *explanation, const token_key_t **key)
{
    if (names_foreign_key(header)) {
        return refuse_token(explanation,
                            "The header of the token names a key or an extension (crit, b64, jku, "
                            "jwk, x5u, x5c or zip), which is never followed.");
    }
    if (!text_equal(token_json_text(header, "alg"), TEXT_LITERAL(TOKEN_ALGORITHM))) {
        return refuse_token(explanation, "The token is not signed with ES256.");
    }
    const text_t type = token_json_text(header, "typ");
    if (!text_equal_ignoring_case(type, TEXT_LITERAL(TOKEN_TYPE)) &&
        !text_equal_ignoring_case(type, TEXT_LITERAL("application/" TOKEN_TYPE))) {
        return refuse_token(explanation, "The token is no access token: typ must be at+jwt.");
    }
    const text_t kid = token_json_text(header, "kid");
    *key = kid.size == 0 ? NULL : find_key(verifier, kid);
    if (*key == NULL) {
        return refuse_token(explanation, "The token is not signed with a key of this service.");
    }
    return RESULT_OK;
}

static bool signature_is_valid(text_t token, const token_key_t *key)
{
    cjose_jws_t *jws = cjose_jws_import(token.data, token.size, NULL);
    if (jws == NULL) {
        return false;
    }
    const bool is_valid = cjose_jws_verify(jws, key->jwk, NULL);
    cjose_jws_release(jws);
    return is_valid;
}

/* Seconds since 1970. False when the claim is there and cannot be one. */
static bool read_seconds(const json_t *payload, const char *name, int64_t *seconds)
{
    const json_t *value = json_object_get(payload, name);
    if (!json_is_integer(value)) {
        return false;
    }
    *seconds = json_integer_value(value);
    return *seconds >= 0 && *seconds <= SECONDS_MAX;
}

static bool audience_is_ours(const json_t *payload)
{
    const text_t ours = TEXT_LITERAL(TOKEN_AUDIENCE);
    const json_t *audience = json_object_get(payload, "aud");
    if (!json_is_array(audience)) {
        return text_equal(token_json_text(payload, "aud"), ours);
    }
    const size_t count = json_array_size(audience);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(audience, i);
        if (json_is_string(entry) && text_equal((text_t){.data = json_string_value(entry),
                                                         .size = json_string_length(entry)},
                                                ours)) {
            return true;
        }
    }
    return false;
}

/* 1 … 128 bytes without control characters, C1 included; jansson has checked that it is UTF-8. */
static bool subject_is_valid(text_t subject)
{
    if (subject.size == 0 || subject.size > 128) {
        return false;
    }
    for (size_t i = 0; i < subject.size; i++) {
        const uint8_t byte = (uint8_t)subject.data[i];
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
        if (byte == 0xc2 && i + 1 < subject.size && (uint8_t)subject.data[i + 1] < 0xa0) {
            return false;
        }
    }
    return true;
}

/* Which of several tenants of one name, one after the other, the token was made for. */
static bool read_tenant_since(const json_t *payload, token_claims_t *claims)
{
    const json_t *since = json_object_get(payload, "tenant_since");
    claims->tenant_since_ms = json_integer_value(since);
    return since == NULL || (json_is_integer(since) && claims->tenant_since_ms > 0);
}

static result_t check_bearer(const json_t *payload, const token_explanation_t *explanation,
                             token_claims_t *claims)
{
    const text_t subject = token_json_text(payload, "sub");
    if (!subject_is_valid(subject)) {
        return refuse_token(explanation,
                            "The claim sub must be a text of 1 to 128 bytes without control "
                            "characters.");
    }
    if (!enum_parse(&role_enum, token_json_text(payload, "role"), &claims->role)) {
        return refuse_token(explanation, "The claim role names no role of this service.");
    }
    const text_t tenant = token_json_text(payload, "tenant");
    const bool is_for_all = json_object_get(payload, "tenant") == NULL || tenant.size == 0;
    if (is_for_all ? claims->role != role_platform_admin ||
                         (json_object_get(payload, "tenant") != NULL && tenant.data == NULL)
                   : !tenant_name_is_valid(tenant)) {
        return refuse_token(explanation, "The claim tenant names no possible tenant.");
    }
    if (!read_tenant_since(payload, claims)) {
        return refuse_token(explanation, "The claim tenant_since is no time in milliseconds.");
    }
    memcpy(claims->subject, subject.data, subject.size);
    if (tenant.size > 0) {
        memcpy(claims->tenant, tenant.data, tenant.size);
    }
    return RESULT_OK;
}

static result_t check_times(const json_t *payload, int64_t now_ms,
                            const token_explanation_t *explanation, token_claims_t *claims)
{
    int64_t issued_at = 0;
    int64_t expires_at = 0;
    int64_t not_before = 0;
    if (!read_seconds(payload, "iat", &issued_at) || !read_seconds(payload, "exp", &expires_at) ||
        (json_object_get(payload, "nbf") != NULL && !read_seconds(payload, "nbf", &not_before))) {
        return refuse_token(explanation,
                            "The claims iat and exp, and nbf when given, must be whole seconds "
                            "since 1970.");
    }
    if (expires_at <= issued_at || expires_at - issued_at > LIMIT_TOKEN_TTL_S_MAX) {
        return refuse_token(explanation,
                            "The token must expire after it was issued, and within 24 hours.");
    }
    const int64_t latest_ms = now_ms + INT64_C(1000) * LIMIT_CLOCK_SKEW_S;
    if (issued_at * 1000 > latest_ms || not_before * 1000 > latest_ms) {
        return refuse_token(explanation, "The token is not valid yet: compare the clocks.");
    }
    claims->expires_at_ms = expires_at * 1000;
    return RESULT_OK;
}

static result_t check_claims(const json_t *payload, int64_t now_ms,
                             const token_explanation_t *explanation, token_claims_t *claims)
{
    *claims = (token_claims_t){0};
    if (!text_equal(token_json_text(payload, "iss"), TEXT_LITERAL(TOKEN_ISSUER))) {
        return refuse_token(explanation, "The token comes from another issuer.");
    }
    if (!audience_is_ours(payload)) {
        return refuse_token(explanation, "The token is meant for another audience.");
    }
    const result_t result = check_bearer(payload, explanation, claims);
    if (result != RESULT_OK) {
        return result;
    }
    return check_times(payload, now_ms, explanation, claims);
}

static result_t check_expiry(const token_claims_t *claims, int64_t now_ms,
                             const token_explanation_t *explanation)
{
    if (now_ms >= claims->expires_at_ms) {
        return refuse(explanation, RESULT_TOKEN_EXPIRED,
                      "The token has expired: ask for a new one.");
    }
    return RESULT_OK;
}

static bool is_base64url(text_t part)
{
    uint8_t bytes[PART_BYTES_MAX];
    size_t size = 0;
    return token_base64_decode(part, bytes, sizeof(bytes), &size);
}

/* Decodes one part into JSON; NULL when it is not exactly that. */
static json_t *decode_part(text_t part)
{
    uint8_t bytes[PART_BYTES_MAX];
    size_t size = 0;
    return token_base64_decode(part, bytes, sizeof(bytes), &size) ? token_json_object(bytes, size)
                                                                  : NULL;
}

static result_t check_signed(const verifier_t *verifier, text_t token, const token_parts_t *parts,
                             const token_explanation_t *explanation)
{
    json_t *header = decode_part(parts->header);
    if (header == NULL) {
        return refuse_token(explanation, "The header of the token cannot be read.");
    }
    const token_key_t *key = NULL;
    const result_t result = check_header(verifier, header, explanation, &key);
    json_decref(header);
    if (result != RESULT_OK) {
        return result;
    }
    uint8_t signature[TOKEN_SIGNATURE_SIZE];
    size_t size = 0;
    if (!token_base64_decode(parts->signature, signature, sizeof(signature), &size) ||
        size != sizeof(signature) || !signature_is_valid(token, key)) {
        return refuse_token(explanation, "The signature of the token is not valid.");
    }
    return RESULT_OK;
}

/* The whole check, for a token that is not remembered. */
static result_t check_token(const verifier_t *verifier, text_t token, int64_t now_ms,
                            const token_explanation_t *explanation, token_claims_t *claims)
{
    token_parts_t parts;
    /* cjose decodes the claims before it looks at the signature, and ends the process (assert) on
     * some texts that are no base64url: whatever anybody sends must be well formed before that. */
    if (!split_token(token, &parts) || !is_base64url(parts.payload)) {
        return refuse_token(explanation,
                            "The token is no JWT: three parts of base64url with dots between.");
    }
    result_t result = check_signed(verifier, token, &parts, explanation);
    if (result != RESULT_OK) {
        return result;
    }
    json_t *payload = decode_part(parts.payload);
    if (payload == NULL) {
        return refuse_token(explanation, "The claims of the token cannot be read.");
    }
    result = check_claims(payload, now_ms, explanation, claims);
    json_decref(payload);
    return result == RESULT_OK ? check_expiry(claims, now_ms, explanation) : result;
}

static void hash_token(const verifier_t *verifier, text_t token, uint8_t hash[TOKEN_HASH_SIZE])
{
    unsigned int size = 0;
    const bool hashed = EVP_DigestInit_ex2(verifier->hashing, verifier->sha256, NULL) == 1 &&
                        EVP_DigestUpdate(verifier->hashing, token.data, token.size) == 1 &&
                        EVP_DigestFinal_ex(verifier->hashing, hash, &size) == 1;
    assert(hashed);
    assert(size == TOKEN_HASH_SIZE);
}

static result_t verify(tokens_t *tokens, text_t token, int64_t now_ms, token_claims_t *claims,
                       char *detail, size_t detail_size)
{
    verifier_t *verifier = (verifier_t *)tokens;
    const token_explanation_t explanation = {.out = detail, .size = detail_size};
    if (token.size == 0) {
        return refuse_token(&explanation, "A bearer token is needed.");
    }
    if (token.size > LIMIT_TOKEN_SIZE) {
        return refuse_token(&explanation, "The token is longer than 4096 characters.");
    }
    uint8_t hash[TOKEN_HASH_SIZE];
    hash_token(verifier, token, hash);
    const token_claims_t *known = token_cache_find(verifier->cache, hash);
    if (known != NULL) {
        verifier->numbers.remembered += 1;
        *claims = *known;
        return check_expiry(claims, now_ms, &explanation);
    }
    verifier->numbers.checked += 1;
    const result_t result = check_token(verifier, token, now_ms, &explanation, claims);
    if (result == RESULT_OK) {
        memcpy(claims->hash, hash, sizeof claims->hash);
        token_cache_add(verifier->cache, hash, claims);
    }
    return result;
}

static void read_numbers(const tokens_t *tokens, token_numbers_t *numbers)
{
    *numbers = ((const verifier_t *)tokens)->numbers;
}

result_t token_verifier_create(tokens_t **tokens)
{
    static const tokens_functions_t functions = {
        .set_keys = set_keys, .verify = verify, .numbers = read_numbers};
    if (sodium_init() < 0) {
        return RESULT_INTERNAL;
    }
    verifier_t *verifier = calloc(1, sizeof(*verifier));
    if (verifier == NULL) {
        return RESULT_NO_MEMORY;
    }
    tokens_t *port = &verifier->port;
    port->functions = &functions;
    verifier->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    verifier->hashing = EVP_MD_CTX_new();
    const result_t result = token_cache_create(&verifier->cache);
    if (verifier->sha256 == NULL || verifier->hashing == NULL || result != RESULT_OK) {
        token_verifier_destroy(&port);
        return RESULT_NO_MEMORY;
    }
    *tokens = port;
    return RESULT_OK;
}

void token_verifier_destroy(tokens_t **tokens)
{
    verifier_t *verifier = (verifier_t *)*tokens;
    *tokens = NULL;
    if (verifier == NULL) {
        return;
    }
    if (verifier->cache != NULL) {
        forget_keys(verifier);
        token_cache_destroy(&verifier->cache);
    }
    EVP_MD_CTX_free(verifier->hashing);
    EVP_MD_free(verifier->sha256);
    free(verifier);
}
