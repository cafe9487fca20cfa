/* Any bytes as a bearer token, and as header and claims of one. Nobody but the holder of the
 * private key gets in: the key here is fixed and its private part is not in this file, so
 * everything is refused, and refused with a sentence. */
#include "adapters/token/token_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define KID "fuzz"
#define JWK                                                                                        \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"use\":\"sig\",\"kid\":\"" KID "\","     \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                       \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"

enum { TEXT_SIZE_MAX = 8192 };

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void refuse(tokens_t *tokens, text_t token)
{
    token_claims_t claims;
    char detail[200] = "";
    const result_t result = tokens->functions->verify(tokens, token, INT64_C(1790000000000),
                                                      &claims, detail, sizeof(detail));
    require(result == RESULT_UNAUTHENTICATED);
    require(detail[0] != '\0');
}

/* {"alg":"ES256","typ":"at+jwt","kid":"fuzz"} */
#define HEADER "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImZ1enoifQ"
#define SIGNATURE                                                                                  \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* The input as claims as they are, between a header and a signature that are well formed. */
static void refuse_as_claims(tokens_t *tokens, const uint8_t *data, size_t size)
{
    char token[TEXT_SIZE_MAX + 256];
    if (size > TEXT_SIZE_MAX) {
        return;
    }
    const int written =
        snprintf(token, sizeof(token), HEADER ".%.*s." SIGNATURE, (int)size, (const char *)data);
    require(written > 0);
    refuse(tokens, (text_t){.data = token, .size = (size_t)written});
}

/* The input as one part of a token whose other parts are well formed. */
static void refuse_as_part(tokens_t *tokens, const uint8_t *data, size_t size, bool as_header)
{
    char part[TEXT_SIZE_MAX];
    char token[TEXT_SIZE_MAX + 256];
    if (sodium_base64_encoded_len(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING) > sizeof(part)) {
        return;
    }
    sodium_bin2base64(part, sizeof(part), data, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    const int written = snprintf(token, sizeof(token), "%s.%s." SIGNATURE,
                                 as_header ? part : HEADER, as_header ? "e30" : part);
    require(written > 0);
    refuse(tokens, (text_t){.data = token, .size = (size_t)written});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tokens_t *tokens;
    if (tokens == NULL) {
        require(token_verifier_create(&tokens) == RESULT_OK);
        const directory_token_key_t key = {.kid = TEXT_LITERAL(KID), .jwk = TEXT_LITERAL(JWK)};
        require(tokens->functions->set_keys(tokens, &key, 1) == RESULT_OK);
    }
    refuse(tokens, (text_t){.data = (const char *)data, .size = size});
    refuse_as_part(tokens, data, size, true);
    refuse_as_part(tokens, data, size, false);
    refuse_as_claims(tokens, data, size);
    json_t *jwk = token_json_object(data, size);
    if (jwk != NULL) {
        (void)token_jwk_is_usable(jwk, false);
        (void)token_jwk_is_usable(jwk, true);
        json_decref(jwk);
    }
    return 0;
}
