/* Execution of control commands on the control store. Everything is checked here, whoever asks. It
 * neither locks nor opens anything, and prints nothing. */
#include "adapters/cli/control/control_commands.h"

#include "actors/domain/card_id.h"
#include "actors/secrets.h"
#include "adapters/cli/control/control_backup.h"
#include "adapters/cli/control/control_dead_letters.h"
#include "adapters/cli/control/control_flags.h"
#include "adapters/cli/control/control_revocations.h"
#include "adapters/cli/control/control_webhooks.h"
#include "adapters/cli/stores.h"
#include "adapters/token/token.h"
#include "messages/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_KEY_BOUND_TO "token-key:"

typedef json_t *execute_t(const control_commands_t *commands, const json_t *command, bool *changed);

json_t *control_error(result_t why, const char *format, ...)
{
    char detail[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    json_t *error = json_pack("{s:{s:s,s:s}}", "error", "code", result_code(why), "detail", detail);
    assert(error != NULL);
    return error;
}

static text_t member_text(const json_t *command, const char *name)
{
    const json_t *value = json_object_get(command, name);
    return (text_t){json_string_value(value), json_string_length(value)};
}

static json_t *json_time(int64_t ms)
{
    char text[RFC3339_TEXT_SIZE];
    rfc3339_format(ms, text);
    return json_stringn(text, sizeof text);
}

static json_t *store_error(result_t result, text_t tenant)
{
    if (result == RESULT_MISSING) {
        return control_error(RESULT_TENANT_NOT_FOUND, "There is no tenant %.*s",
                             TEXT_PRINT(tenant));
    }
    if (result == RESULT_ALREADY_EXISTS) {
        return control_error(result, "The tenant %.*s exists already", TEXT_PRINT(tenant));
    }
    return control_error(result, "%s", result_title(result));
}

/* --- Tenants --- */

/* null: none. */
static json_t *json_quota(uint64_t quota)
{
    return quota == 0 ? json_null() : json_integer((json_int_t)quota);
}

static json_t *json_quotas(const control_quotas_t *quotas)
{
    return json_pack("{s:o,s:o,s:o}", "max_cards", json_quota(quotas->cards), "max_storage",
                     json_quota(quotas->storage), "max_rate", json_quota(quotas->rate));
}

static json_t *tenant_brief(const control_tenant_t *tenant)
{
    return json_pack("{s:s%,s:I,s:o,s:o}", "name", tenant->name.data, tenant->name.size,
                     "partitions", (json_int_t)tenant->partitions, "created_at",
                     json_time(tenant->created_at), "quotas", json_quotas(&tenant->quotas));
}

static json_t *tenant_keys(const control_tenant_t *tenant)
{
    json_t *keys = json_array();
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        const control_card_key_t *key = &tenant->keys[i];
        const text_t state = enum_name(&key_state_enum, key->state);
        (void)json_array_append_new(keys, json_pack("{s:I,s:s%,s:o}", "kid", (json_int_t)key->kid,
                                                    "state", state.data, state.size, "created_at",
                                                    json_time(key->created_at)));
    }
    return keys;
}

static bool visit_full(void *context, const control_tenant_t *tenant)
{
    json_t **out = context;
    *out = tenant_brief(tenant);
    (void)json_object_set_new(*out, "keys", tenant_keys(tenant));
    return false;
}

static bool visit_brief(void *context, const control_tenant_t *tenant)
{
    json_t *list = context;
    (void)json_array_append_new(list, tenant_brief(tenant));
    return json_array_size(list) < LIMIT_DIRECTORY_TENANTS;
}

static json_t *tenant_read(const control_commands_t *commands, text_t name, json_t **tenant)
{
    *tenant = NULL;
    const result_t result =
        commands->control->functions->tenant(commands->control, name, visit_full, tenant);
    if (result != RESULT_OK || *tenant == NULL) {
        return store_error(result == RESULT_OK ? RESULT_MISSING : result, name);
    }
    return NULL;
}

static json_t *check_tenant_name(text_t name)
{
    if (tenant_name_is_valid(name)) {
        return NULL;
    }
    return control_error(RESULT_INVALID_TENANT,
                         "A tenant name is 2 to 39 characters: a to z first, then a to z, 0 to 9 "
                         "and -; api, mapi, health, metrics and admin are reserved");
}

/* The tenant's secret and its first card key: random, sealed, the plain ones wiped. */
static void make_secrets(const control_commands_t *commands, text_t name,
                         uint8_t sealed_tenant[SECRET_SEALED_KEY_SIZE],
                         uint8_t sealed_key[SECRET_SEALED_KEY_SIZE], uint32_t kid)
{
    crypto_key_t secret;
    if (sealed_tenant != NULL) {
        random_fill(secret.bytes, sizeof secret.bytes);
        secret_tenant_seal(commands->crypto, commands->master_key, name, &secret, sealed_tenant);
    }
    random_fill(secret.bytes, sizeof secret.bytes);
    secret_card_key_seal(commands->crypto, commands->master_key, name, kid, &secret, sealed_key);
    commands->crypto->wipe(&secret, sizeof secret);
}

/* Members that are there replace what `quotas` has. NULL: all are good. */
static json_t *quotas_read(const json_t *command, control_quotas_t *quotas)
{
    const struct {
        const char *name;
        uint64_t *quota;
        json_int_t max;
    } members[] = {{"max_cards", &quotas->cards, CONTROL_QUOTA_MAX},
                   {"max_storage", &quotas->storage, CONTROL_QUOTA_MAX},
                   {"max_rate", &quotas->rate, CONTROL_QUOTA_RATE_MAX}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const json_t *given = json_object_get(command, members[i].name);
        if (given == NULL) {
            continue;
        }
        const json_int_t value = json_integer_value(given);
        if (!json_is_integer(given) || value < 0 || value > members[i].max) {
            return control_error(RESULT_INVALID_ARGUMENT,
                                 "%s must be a whole number up to %" JSON_INTEGER_FORMAT
                                 "; 0 is no quota",
                                 members[i].name, members[i].max);
        }
        *members[i].quota = (uint64_t)value;
    }
    return NULL;
}

static bool visit_quotas(void *context, const control_tenant_t *tenant)
{
    *(control_quotas_t *)context = tenant->quotas;
    return false;
}

static json_t *tenant_set(const control_commands_t *commands, const json_t *command, bool *changed)
{
    control_store_t *const control = commands->control;
    const text_t name = member_text(command, "name");
    control_quotas_t quotas = {0};
    result_t result = control->functions->tenant(control, name, visit_quotas, &quotas);
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    json_t *problem = quotas_read(command, &quotas);
    if (problem != NULL) {
        return problem;
    }
    result = control->functions->tenant_set_quotas(control, name, &quotas);
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    *changed = true;
    json_t *tenant = NULL;
    problem = tenant_read(commands, name, &tenant);
    return problem != NULL ? problem : json_pack("{s:o}", "tenant", tenant);
}

static json_t *tenant_create(const control_commands_t *commands, const json_t *command,
                             bool *changed)
{
    control_quotas_t quotas = {0};
    const text_t name = member_text(command, "name");
    const json_t *given = json_object_get(command, "partitions");
    const json_int_t partitions = given == NULL ? 1 : json_integer_value(given);
    json_t *problem = check_tenant_name(name);
    if (problem != NULL) {
        return problem;
    }
    problem = quotas_read(command, &quotas);
    if (problem != NULL) {
        return problem;
    }
    if (partitions < 1 || partitions > LIMIT_PARTITIONS) {
        return control_error(RESULT_INVALID_ARGUMENT, "Partitions must be 1 to %d",
                             LIMIT_PARTITIONS);
    }
    uint8_t sealed_tenant[SECRET_SEALED_KEY_SIZE];
    uint8_t sealed_key[SECRET_SEALED_KEY_SIZE];
    make_secrets(commands, name, sealed_tenant, sealed_key, 1);
    const int64_t now_ms = clock_wall_ms();
    const control_card_key_t key = {.kid = 1,
                                    .state = key_state_active,
                                    .created_at = now_ms,
                                    .sealed_secret = {(char *)sealed_key, sizeof sealed_key}};
    const control_tenant_t tenant = {.name = name,
                                     .partitions = (uint32_t)partitions,
                                     .created_at = now_ms,
                                     .sealed_secret = {(char *)sealed_tenant, sizeof sealed_tenant},
                                     .keys = &key,
                                     .key_count = 1,
                                     .quotas = quotas};
    const result_t result = commands->control->functions->tenant_create(commands->control, &tenant);
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    *changed = true;
    json_t *answer = tenant_brief(&tenant);
    (void)json_object_set_new(answer, "keys", tenant_keys(&tenant));
    return json_pack("{s:o}", "tenant", answer);
}

static json_t *tenant_list(const control_commands_t *commands, const json_t *command, bool *changed)
{
    (void)command;
    (void)changed;
    json_t *list = json_array();
    const result_t result =
        commands->control->functions->tenants(commands->control, TEXT_NONE, visit_brief, list);
    if (result != RESULT_OK) {
        json_decref(list);
        return store_error(result, TEXT_NONE);
    }
    return json_pack("{s:o}", "tenants", list);
}

static json_t *tenant_show(const control_commands_t *commands, const json_t *command, bool *changed)
{
    (void)changed;
    json_t *tenant = NULL;
    json_t *problem = tenant_read(commands, member_text(command, "name"), &tenant);
    return problem != NULL ? problem : json_pack("{s:o}", "tenant", tenant);
}

static json_t *tenant_delete(const control_commands_t *commands, const json_t *command,
                             bool *changed)
{
    char kept_as[PATH_MAX] = "";
    const text_t name = member_text(command, "name");
    const result_t result = commands->control->functions->tenant_delete(
        commands->control, name, clock_wall_ms(), kept_as, sizeof kept_as);
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    *changed = true;
    return json_pack("{s:s%,s:s}", "deleted", name.data, name.size, "kept_as", kept_as);
}

/* --- Card keys --- */

static json_t *key_list(const control_commands_t *commands, const json_t *command, bool *changed)
{
    (void)changed;
    json_t *tenant = NULL;
    const text_t name = member_text(command, "tenant");
    json_t *problem = tenant_read(commands, name, &tenant);
    if (problem != NULL) {
        return problem;
    }
    json_t *answer = json_pack("{s:s%,s:O}", "tenant", name.data, name.size, "keys",
                               json_object_get(tenant, "keys"));
    json_decref(tenant);
    return answer;
}

static bool visit_highest_kid(void *context, const control_tenant_t *tenant)
{
    uint32_t *kid = context;
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        *kid = tenant->keys[i].kid > *kid ? tenant->keys[i].kid : *kid;
    }
    return false;
}

static json_t *key_rotate(const control_commands_t *commands, const json_t *command, bool *changed)
{
    uint8_t sealed[SECRET_SEALED_KEY_SIZE];
    uint32_t highest = 0;
    uint32_t kid = 0;
    const text_t name = member_text(command, "tenant");
    result_t result =
        commands->control->functions->tenant(commands->control, name, visit_highest_kid, &highest);
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    /* The secret is bound to its number, which is known before: there is one writer. */
    make_secrets(commands, name, NULL, sealed, highest + 1);
    result = commands->control->functions->key_rotate(
        commands->control, name, (text_t){(char *)sealed, sizeof sealed}, clock_wall_ms(), &kid);
    if (result == RESULT_NO_MEMORY) {
        return control_error(result, "A tenant has at most %d keys", CONTROL_KEYS_PER_TENANT_MAX);
    }
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    assert(kid == highest + 1);
    *changed = true;
    return json_pack("{s:s%,s:I}", "tenant", name.data, name.size, "kid", (json_int_t)kid);
}

static json_t *key_set_state(const control_commands_t *commands, const json_t *command,
                             uint8_t state, bool *changed)
{
    json_t *tenant = NULL;
    const text_t name = member_text(command, "tenant");
    const json_int_t kid = json_integer_value(json_object_get(command, "kid"));
    json_t *problem = tenant_read(commands, name, &tenant);
    if (problem != NULL) {
        return problem;
    }
    json_decref(tenant);
    if (kid < 1 || kid > UINT32_MAX) {
        return control_error(RESULT_INVALID_ARGUMENT, "A key is named by its number (--kid)");
    }
    const result_t result =
        commands->control->functions->key_set_state(commands->control, name, (uint32_t)kid, state);
    if (result == RESULT_INVALID_ARGUMENT) {
        return control_error(result, "Key %lld signs new codes: rotate first", (long long)kid);
    }
    if (result == RESULT_MISSING) {
        return control_error(result, "The tenant %.*s has no key %lld", TEXT_PRINT(name),
                             (long long)kid);
    }
    if (result != RESULT_OK) {
        return store_error(result, name);
    }
    *changed = true;
    const text_t state_name = enum_name(&key_state_enum, state);
    return json_pack("{s:s%,s:I,s:s%}", "tenant", name.data, name.size, "kid", kid, "state",
                     state_name.data, state_name.size);
}

static json_t *key_retire(const control_commands_t *commands, const json_t *command, bool *changed)
{
    return key_set_state(commands, command, key_state_retired, changed);
}

static json_t *key_compromise(const control_commands_t *commands, const json_t *command,
                              bool *changed)
{
    return key_set_state(commands, command, key_state_compromised, changed);
}

/* --- Tokens --- */

static size_t token_key_bound_to(text_t kid, char *out, size_t size)
{
    const int written = snprintf(out, size, TOKEN_KEY_BOUND_TO "%.*s", TEXT_PRINT(kid));
    assert(written > 0 && (size_t)written < size);
    return (size_t)written;
}

typedef struct signing_key {
    const control_commands_t *commands;
    bool found;
    bool opened;
    char jwk[CONTROL_SECRET_SIZE_MAX + 1];
} signing_key_t;

static bool visit_newest(void *context, const control_token_key_t *key)
{
    signing_key_t *signing = context;
    const control_commands_t *commands = signing->commands;
    char bound_to[128];
    const text_t bound = {bound_to, token_key_bound_to(key->kid, bound_to, sizeof bound_to)};
    const text_t sealed = key->sealed_private_jwk;
    signing->found = true;
    signing->opened =
        sealed.size > CRYPTO_SEAL_OVERHEAD && sealed.size <= CONTROL_SECRET_SIZE_MAX &&
        commands->crypto->open(commands->master_key, sealed, bound, (uint8_t *)signing->jwk);
    if (signing->opened) {
        signing->jwk[sealed.size - CRYPTO_SEAL_OVERHEAD] = '\0';
    }
    return false; /* the newest signs, the others only verify */
}

static result_t token_key_add(const control_commands_t *commands)
{
    char *kid = NULL;
    char *private_jwk = NULL;
    char *public_jwk = NULL;
    result_t result = token_key_generate(&kid, &private_jwk, &public_jwk);
    if (result != RESULT_OK) {
        return result;
    }
    uint8_t sealed[CONTROL_SECRET_SIZE_MAX];
    char bound_to[128];
    const text_t plain = text_from_c(private_jwk);
    assert(plain.size + CRYPTO_SEAL_OVERHEAD <= sizeof sealed);
    const size_t bound_size = token_key_bound_to(text_from_c(kid), bound_to, sizeof bound_to);
    commands->crypto->seal(commands->master_key, plain, (text_t){bound_to, bound_size}, sealed);
    const control_token_key_t key = {
        .kid = text_from_c(kid),
        .sealed_private_jwk = {(char *)sealed, plain.size + CRYPTO_SEAL_OVERHEAD},
        .public_jwk = text_from_c(public_jwk),
        .created_at = clock_wall_ms()};
    result = commands->control->functions->token_key_add(commands->control, &key);
    commands->crypto->wipe(private_jwk, plain.size);
    free(private_jwk);
    free(public_jwk);
    free(kid);
    return result;
}

static result_t signing_key_read(const control_commands_t *commands, signing_key_t *signing)
{
    *signing = (signing_key_t){.commands = commands};
    return commands->control->functions->token_keys(commands->control, visit_newest, signing);
}

result_t control_token_key_ensure(const control_commands_t *commands)
{
    signing_key_t signing;
    const result_t result = signing_key_read(commands, &signing);
    commands->crypto->wipe(signing.jwk, sizeof signing.jwk);
    if (result == RESULT_OK && signing.found && !signing.opened) {
        return RESULT_STORE_CORRUPT;
    }
    if (result != RESULT_OK || signing.found) {
        return result;
    }
    return token_key_add(commands);
}

static bool visit_created_at(void *context, const control_tenant_t *row)
{
    *(int64_t *)context = row->created_at;
    return false;
}

/* The tenant of a token, and since when there is this tenant. */
static json_t *read_tenant_claims(const control_commands_t *commands, text_t tenant,
                                  token_claims_t *claims)
{
    if (tenant.size == 0) {
        return control_error(RESULT_INVALID_ARGUMENT, "Only a platform_admin needs no tenant");
    }
    const result_t result = commands->control->functions->tenant(
        commands->control, tenant, visit_created_at, &claims->tenant_since_ms);
    if (result != RESULT_OK) {
        return store_error(result, tenant);
    }
    assert(tenant.size < sizeof claims->tenant);
    memcpy(claims->tenant, tenant.data, tenant.size);
    return NULL;
}

/* Fills the claims, or says what is wrong with the command. */
static json_t *read_claims(const control_commands_t *commands, const json_t *command,
                           token_claims_t *claims)
{
    const text_t tenant = member_text(command, "tenant");
    const text_t role = member_text(command, "role");
    const text_t subject =
        json_object_get(command, "subject") == NULL ? role : member_text(command, "subject");
    *claims = (token_claims_t){0};
    if (!enum_parse(&role_enum, role, &claims->role)) {
        return control_error(RESULT_INVALID_ARGUMENT,
                             "There is no role %.*s; roles are platform_admin, tenant_admin, "
                             "issuer, validator, auditor and member",
                             (int)(role.size < 64 ? role.size : 64), role.data);
    }
    if (subject.size == 0 || subject.size >= sizeof claims->subject) {
        return control_error(RESULT_INVALID_ARGUMENT, "A subject has 1 to %zu bytes",
                             sizeof claims->subject - 1);
    }
    memcpy(claims->subject, subject.data, subject.size);
    if (tenant.size == 0 && claims->role == role_platform_admin) {
        return NULL;
    }
    return read_tenant_claims(commands, tenant, claims);
}

static json_t *token_mint_command(const control_commands_t *commands, const json_t *command,
                                  bool *changed)
{
    token_claims_t claims;
    signing_key_t signing;
    char *token = NULL;
    const json_int_t ttl_s = json_integer_value(json_object_get(command, "ttl_s"));
    json_t *problem = read_claims(commands, command, &claims);
    if (problem != NULL) {
        return problem;
    }
    if (ttl_s < 1 || ttl_s > LIMIT_TOKEN_TTL_S_MAX) {
        return control_error(RESULT_INVALID_ARGUMENT, "A token lives 1 to %d seconds",
                             LIMIT_TOKEN_TTL_S_MAX);
    }
    (void)changed; /* whoever opened the store has ensured the first token key */
    result_t result = signing_key_read(commands, &signing);
    if (result == RESULT_OK && !signing.opened) {
        return control_error(RESULT_STORE_CORRUPT,
                             "The signing key does not open with DIR/master.key: is it the right "
                             "one?");
    }
    if (result == RESULT_OK) {
        result = token_mint(signing.jwk, &claims, clock_wall_ms(), (uint32_t)ttl_s, &token);
    }
    commands->crypto->wipe(signing.jwk, sizeof signing.jwk);
    if (result != RESULT_OK) {
        return control_error(result, "The token cannot be made: %s", result_title(result));
    }
    json_t *answer = json_pack("{s:s}", "token", token);
    free(token);
    return answer;
}

/* --- The store --- */

json_t *control_schemas(void)
{
    const stores_schemas_t known = stores_schemas();
    return json_pack("{s:I,s:I,s:I,s:I}", "control_sqlite", (json_int_t)known.control_sqlite,
                     "control_postgres", (json_int_t)known.control_postgres, "journal_sqlite",
                     (json_int_t)known.journal_sqlite, "journal_postgres",
                     (json_int_t)known.journal_postgres);
}

static json_t *store_schema(const control_commands_t *commands, const json_t *command,
                            bool *changed)
{
    (void)commands;
    (void)command;
    (void)changed;
    return json_pack("{s:o}", "schemas", control_schemas());
}

json_t *control_command_execute(const control_commands_t *commands, const json_t *command,
                                bool *changed)
{
    static const struct {
        const char *name;
        execute_t *execute;
    } table[] = {{"tenant.create", tenant_create},
                 {"tenant.list", tenant_list},
                 {"tenant.show", tenant_show},
                 {"tenant.set", tenant_set},
                 {"tenant.delete", tenant_delete},
                 {"tenant.sealed", control_backup_sealed},
                 {"tenant.adopt", control_backup_adopt},
                 {"token.mint", token_mint_command},
                 {"token.revoke", control_token_revoke},
                 {"key.list", key_list},
                 {"key.rotate", key_rotate},
                 {"key.retire", key_retire},
                 {"key.compromise", key_compromise},
                 {"store.schema", store_schema},
                 {"flag.list", control_flag_list},
                 {"flag.set", control_flag_set},
                 {"flag.unset", control_flag_unset},
                 {"webhook.list", control_webhook_list},
                 {"webhook.add", control_webhook_add},
                 {"webhook.remove", control_webhook_remove},
                 {"webhook.enable", control_webhook_enable},
                 {"webhook.rotate", control_webhook_rotate},
                 {"webhook.replay", control_webhook_replay},
                 {"webhook.log", control_webhook_log},
                 {"deadletters.list", control_dead_letters_list},
                 {"deadletters.show", control_dead_letters_show},
                 {"deadletters.replay", control_dead_letters_replay},
                 {"deadletters.drop", control_dead_letters_drop}};
    const text_t name = member_text(command, "command");
    *changed = false;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (text_equal(name, text_from_c(table[i].name))) {
            json_t *answer = table[i].execute(commands, command, changed);
            return answer != NULL ? answer : control_error(RESULT_NO_MEMORY, "No memory");
        }
    }
    return control_error(RESULT_INVALID_ARGUMENT, "There is no command %.*s",
                         (int)(name.size < 64 ? name.size : 64), name.data);
}
