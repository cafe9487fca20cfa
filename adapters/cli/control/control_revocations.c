/* Revoking a token: only one that would be let in is kept, by its hash. Must not show the token. */
#include "adapters/cli/control/control_revocations.h"

#include "adapters/token/token.h"
#include "messages/rfc3339.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdlib.h>

typedef struct public_keys {
    directory_token_key_t keys[LIMIT_DIRECTORY_TOKEN_KEYS];
    char *texts[2 * LIMIT_DIRECTORY_TOKEN_KEYS];
    size_t count;
} public_keys_t;

static text_t keep(char **place, text_t text)
{
    *place = malloc(text.size + 1);
    assert(*place != NULL);
    memcpy(*place, text.data, text.size);
    return (text_t){.data = *place, .size = text.size};
}

static bool visit_key(void *context, const control_token_key_t *row)
{
    public_keys_t *const keys = context;
    if (keys->count == LIMIT_DIRECTORY_TOKEN_KEYS) {
        return false;
    }
    directory_token_key_t *const key = &keys->keys[keys->count];
    MESSAGE_SET(directory_token_key, key, kid, keep(&keys->texts[2 * keys->count], row->kid));
    MESSAGE_SET(directory_token_key, key, jwk,
                keep(&keys->texts[2 * keys->count + 1], row->public_jwk));
    keys->count++;
    return true;
}

static result_t verify_token(const control_commands_t *commands, text_t token, int64_t now_ms,
                             token_claims_t *claims, char *detail, size_t detail_size)
{
    public_keys_t keys = {0};
    tokens_t *tokens = NULL;
    result_t result = commands->control->functions->token_keys(commands->control, visit_key, &keys);
    if (result == RESULT_OK) {
        result = token_verifier_create(&tokens);
    }
    if (result == RESULT_OK) {
        result = tokens->functions->set_keys(tokens, keys.keys, keys.count);
    }
    if (result == RESULT_OK) {
        result = tokens->functions->verify(tokens, token, now_ms, claims, detail, detail_size);
    }
    if (tokens != NULL) {
        token_verifier_destroy(&tokens);
    }
    for (size_t i = 0; i < 2 * keys.count; i++) {
        free(keys.texts[i]);
    }
    return result;
}

static json_t *revoked_json(const token_claims_t *claims)
{
    char end[RFC3339_TEXT_SIZE];
    const text_t role = enum_name(&role_enum, claims->role);
    rfc3339_format(claims->expires_at_ms, end);
    return json_pack("{s:{s:s,s:s,s:s%,s:s%}}", "revoked", "subject", claims->subject, "tenant",
                     claims->tenant, "role", role.data, role.size, "expires_at", end, sizeof end);
}

json_t *control_token_revoke(const control_commands_t *commands, const json_t *command,
                             bool *changed)
{
    token_claims_t claims = {0};
    char detail[256] = "";
    const json_t *given = json_object_get(command, "token");
    const text_t token = {json_string_value(given), json_string_length(given)};
    const int64_t now_ms = clock_wall_ms();
    if (commands->revocations == NULL) {
        return control_error(RESULT_NOT_IMPLEMENTED, "Tokens cannot be revoked here");
    }
    result_t result = verify_token(commands, token, now_ms, &claims, detail, sizeof detail);
    if (result != RESULT_OK) {
        return control_error(result, "There is nothing to revoke: %s",
                             detail[0] == '\0' ? result_title(result) : detail);
    }
    result = commands->revocations->functions->add(commands->revocations, claims.hash,
                                                   claims.expires_at_ms, now_ms);
    if (result == RESULT_BUSY) {
        return control_error(result,
                             "%d tokens are revoked already; change the token key instead, which "
                             "ends all tokens",
                             LIMIT_REVOKED_TOKENS);
    }
    if (result != RESULT_OK) {
        return control_error(result, "%s", result_title(result));
    }
    *changed = true;
    return revoked_json(&claims);
}
