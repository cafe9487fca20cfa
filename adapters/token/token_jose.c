/* Strict base64url and JSON for tokens and keys. Must not decide whether a token is good. */
#include "adapters/token/token_internal.h"
#include <assert.h>
#include <sodium.h>

enum { JSON_DEPTH_MAX = 4 };

bool token_base64_decode(text_t text, uint8_t *out, size_t capacity, size_t *size)
{
    const char *end = NULL;
    if (text.size == 0 || sodium_base642bin(out, capacity, text.data, text.size, NULL, size, &end,
                                            sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
        return false;
    }
    return end == text.data + text.size;
}

size_t token_base64_encode(const uint8_t *bytes, size_t size, char *out, size_t capacity)
{
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    const size_t needed = sodium_base64_encoded_len(size, variant);
    assert(needed <= capacity);
    (void)sodium_bin2base64(out, capacity, bytes, size, variant);
    return needed - 1;
}

/* jansson recurses into what it reads: nothing deep gets that far. */
static bool is_shallow(const uint8_t *bytes, size_t size)
{
    bool in_string = false;
    size_t depth = 0;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = bytes[i];
        if (in_string) {
            if (byte == '\\') {
                i += 1;
            } else if (byte == '"') {
                in_string = false;
            }
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            depth += 1;
            if (depth > JSON_DEPTH_MAX) {
                return false;
            }
        } else if ((byte == '}' || byte == ']') && depth > 0) {
            depth -= 1;
        }
    }
    return true;
}

json_t *token_json_object(const uint8_t *bytes, size_t size)
{
    if (!is_shallow(bytes, size)) {
        return NULL;
    }
    json_t *root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    if (root != NULL && !json_is_object(root)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

text_t token_json_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) {
        return TEXT_NONE;
    }
    return (text_t){.data = json_string_value(value), .size = json_string_length(value)};
}

static bool is_coordinate(const json_t *jwk, const char *name)
{
    uint8_t bytes[TOKEN_COORDINATE_SIZE];
    size_t size = 0;
    const bool decoded =
        token_base64_decode(token_json_text(jwk, name), bytes, sizeof(bytes), &size);
    sodium_memzero(bytes, sizeof(bytes));
    return decoded && size == sizeof(bytes);
}

bool token_jwk_is_usable(const json_t *jwk, bool with_private)
{
    const json_t *use = json_object_get(jwk, "use");
    const bool for_signatures =
        use == NULL || text_equal(token_json_text(jwk, "use"), TEXT_LITERAL("sig"));
    const bool has_private = json_object_get(jwk, "d") != NULL;
    return for_signatures && has_private == with_private &&
           text_equal(token_json_text(jwk, "kty"), TEXT_LITERAL("EC")) &&
           text_equal(token_json_text(jwk, "crv"), TEXT_LITERAL(TOKEN_CURVE)) &&
           text_equal(token_json_text(jwk, "alg"), TEXT_LITERAL(TOKEN_ALGORITHM)) &&
           is_coordinate(jwk, "x") && is_coordinate(jwk, "y") &&
           (!with_private || is_coordinate(jwk, "d"));
}
