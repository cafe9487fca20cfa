/* Control commands on a real control store: what they answer, what they refuse, what they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors/secrets.h"
#include "adapters/cli/control/control_commands.h"
#include "adapters/cli/installation.h"
#include "adapters/cli/stores.h"
#include "adapters/signer/signer.h"
#include "adapters/token/token.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "tests/support/directory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct fixture {
    char directory[DIRECTORY_SIZE];
    installation_t installation;
    control_commands_t commands;
} fixture_t;

static int set_up(void **state)
{
    char error[512];
    fixture_t *fixture = calloc(1, sizeof *fixture);
    directory_make(fixture->directory);
    assert_int_equal(installation_open(fixture->directory, "sqlite", true, &fixture->installation,
                                       error, sizeof error),
                     RESULT_OK);
    fixture->commands = (control_commands_t){
        .control = fixture->installation.control,
        .dead_letters = stores_dead_letters("sqlite", fixture->installation.control),
        .flags = stores_flags("sqlite", fixture->installation.control),
        .revocations = stores_revocations("sqlite", fixture->installation.control),
        .crypto = &signer_functions,
        .master_key = &fixture->installation.master_key};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *fixture = *state;
    installation_close(&fixture->installation);
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

/* Takes `command`. */
static json_t *execute(const fixture_t *fixture, json_t *command, bool expected_change)
{
    bool changed = !expected_change;
    json_t *answer = control_command_execute(&fixture->commands, command, &changed);
    json_decref(command);
    assert_non_null(answer);
    assert_int_equal(changed, expected_change);
    return answer;
}

static void assert_refused(const fixture_t *fixture, json_t *command, result_t why)
{
    json_t *answer = execute(fixture, command, false);
    const char *code = json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
    assert_non_null(code);
    assert_string_equal(code, result_code(why));
    json_decref(answer);
}

static json_t *named(const char *command, const char *name)
{
    return json_pack("{s:s,s:s}", "command", command, "name", name);
}

static json_t *keyed(const char *command, const char *tenant, int kid)
{
    return json_pack("{s:s,s:s,s:i}", "command", command, "tenant", tenant, "kid", kid);
}

static void create(const fixture_t *fixture, const char *name)
{
    json_decref(execute(fixture, named("tenant.create", name), true));
}

static void tenants_are_created_listed_shown_and_deleted(void **state)
{
    const fixture_t *fixture = *state;
    json_t *answer = execute(
        fixture,
        json_pack("{s:s,s:s,s:i}", "command", "tenant.create", "name", "acme", "partitions", 64),
        true);
    const json_t *tenant = json_object_get(answer, "tenant");
    assert_int_equal(json_integer_value(json_object_get(tenant, "partitions")), 64);
    json_decref(answer);
    create(fixture, "beta");
    assert_refused(fixture, named("tenant.create", "acme"), RESULT_ALREADY_EXISTS);
    answer = execute(fixture, json_pack("{s:s}", "command", "tenant.list"), false);
    assert_int_equal(json_array_size(json_object_get(answer, "tenants")), 2);
    json_decref(answer);
    answer = execute(fixture, named("tenant.show", "acme"), false);
    assert_int_equal(json_array_size(json_object_get(json_object_get(answer, "tenant"), "keys")),
                     1);
    json_decref(answer);
    answer = execute(fixture, named("tenant.delete", "acme"), true);
    const char *kept = json_string_value(json_object_get(answer, "kept_as"));
    assert_int_equal(access(kept, F_OK), 0);
    json_decref(answer);
    assert_refused(fixture, named("tenant.show", "acme"), RESULT_TENANT_NOT_FOUND);
    assert_refused(fixture, named("tenant.delete", "acme"), RESULT_TENANT_NOT_FOUND);
}

static void impossible_tenants_are_refused(void **state)
{
    const fixture_t *fixture = *state;
    static const char *const names[] = {
        "",      "a",   "A1",        "api",
        "mapi",  "..",  "a/b",       "health",
        "1abc",  "a_b", "../x",      "metrics",
        "admin", "a b", "caf\u00e9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const int partitions[] = {0, 65, -1};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_refused(fixture, named("tenant.create", names[i]), RESULT_INVALID_TENANT);
    }
    for (size_t i = 0; i < sizeof partitions / sizeof partitions[0]; i++) {
        assert_refused(fixture,
                       json_pack("{s:s,s:s,s:i}", "command", "tenant.create", "name", "acme",
                                 "partitions", partitions[i]),
                       RESULT_INVALID_ARGUMENT);
    }
    assert_refused(fixture, json_pack("{s:s,s:i}", "command", "tenant.create", "name", 7),
                   RESULT_INVALID_TENANT);
    assert_refused(fixture, json_pack("{s:s}", "command", "tenant.create"), RESULT_INVALID_TENANT);
    assert_refused(fixture, json_pack("{s:s}", "command", "tenant.rename"),
                   RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, json_pack("{}"), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, json_pack("[]"), RESULT_INVALID_ARGUMENT);
}

static bool secrets_open(void *context, const control_tenant_t *tenant)
{
    const control_commands_t *commands = context;
    crypto_key_t secret;
    assert_true(secret_tenant_open(commands->crypto, commands->master_key, tenant->name,
                                   tenant->sealed_secret, &secret));
    assert_int_equal(tenant->key_count, 2);
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        const control_card_key_t *key = &tenant->keys[i];
        assert_true(secret_card_key_open(commands->crypto, commands->master_key, tenant->name,
                                         key->kid, key->sealed_secret, &secret));
    }
    return false;
}

static void secrets_open_under_the_master_key_also_after_a_rotation(void **state)
{
    fixture_t *fixture = *state;
    create(fixture, "acme");
    json_t *answer = execute(fixture, keyed("key.rotate", "acme", 0), true);
    assert_int_equal(json_integer_value(json_object_get(answer, "kid")), 2);
    json_decref(answer);
    assert_int_equal(fixture->commands.control->functions->tenant(fixture->commands.control,
                                                                  TEXT_LITERAL("acme"),
                                                                  secrets_open, &fixture->commands),
                     RESULT_OK);
}

static void keys_change_state_but_never_the_active_one(void **state)
{
    const fixture_t *fixture = *state;
    create(fixture, "acme");
    assert_refused(fixture, keyed("key.retire", "acme", 1), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, keyed("key.retire", "acme", 7), RESULT_MISSING);
    assert_refused(fixture, keyed("key.retire", "acme", 0), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, keyed("key.retire", "nobody", 1), RESULT_TENANT_NOT_FOUND);
    assert_refused(fixture, keyed("key.rotate", "nobody", 0), RESULT_TENANT_NOT_FOUND);
    json_decref(execute(fixture, keyed("key.rotate", "acme", 0), true));
    json_decref(execute(fixture, keyed("key.compromise", "acme", 1), true));
    json_t *answer = execute(fixture, keyed("key.list", "acme", 0), false);
    const json_t *keys = json_object_get(answer, "keys");
    assert_string_equal(json_string_value(json_object_get(json_array_get(keys, 0), "state")),
                        "compromised");
    assert_string_equal(json_string_value(json_object_get(json_array_get(keys, 1), "state")),
                        "active");
    json_decref(answer);
    for (int i = 2; i < CONTROL_KEYS_PER_TENANT_MAX; i++) {
        json_decref(execute(fixture, keyed("key.rotate", "acme", 0), true));
    }
    assert_refused(fixture, keyed("key.rotate", "acme", 0), RESULT_NO_MEMORY);
}

static json_t *mint(const char *tenant, const char *role, int ttl_s)
{
    return json_pack("{s:s,s:s*,s:s,s:i}", "command", "token.mint", "tenant", tenant, "role", role,
                     "ttl_s", ttl_s);
}

typedef struct public_key {
    char kid[64];
    char jwk[1024];
    int count;
} public_key_t;

static bool keep_public_key(void *context, const control_token_key_t *key)
{
    public_key_t *kept = context;
    (void)snprintf(kept->kid, sizeof kept->kid, "%.*s", TEXT_PRINT(key->kid));
    (void)snprintf(kept->jwk, sizeof kept->jwk, "%.*s", TEXT_PRINT(key->public_jwk));
    kept->count++;
    return true;
}

static void minted_tokens_verify_with_the_public_key(void **state)
{
    const fixture_t *fixture = *state;
    public_key_t kept = {.count = 0};
    tokens_t *tokens = NULL;
    token_claims_t claims;
    char detail[128];
    create(fixture, "acme");
    assert_int_equal(control_token_key_ensure(&fixture->commands), RESULT_OK);
    assert_int_equal(control_token_key_ensure(&fixture->commands), RESULT_OK);
    json_t *answer = execute(fixture, mint("acme", "issuer", 60), false);
    const char *token = json_string_value(json_object_get(answer, "token"));
    assert_non_null(token);
    assert_int_equal(fixture->commands.control->functions->token_keys(fixture->commands.control,
                                                                      keep_public_key, &kept),
                     RESULT_OK);
    assert_int_equal(kept.count, 1);
    const directory_token_key_t key = {.kid = text_from_c(kept.kid), .jwk = text_from_c(kept.jwk)};
    assert_int_equal(token_verifier_create(&tokens), RESULT_OK);
    assert_int_equal(tokens->functions->set_keys(tokens, &key, 1), RESULT_OK);
    assert_int_equal(tokens->functions->verify(tokens, text_from_c(token), clock_wall_ms(), &claims,
                                               detail, sizeof detail),
                     RESULT_OK);
    assert_string_equal(claims.tenant, "acme");
    assert_string_equal(claims.subject, "issuer");
    assert_int_equal(claims.role, role_issuer);
    assert_true(claims.tenant_since_ms > 0);
    token_verifier_destroy(&tokens);
    json_decref(answer);
}

static void impossible_tokens_are_refused(void **state)
{
    const fixture_t *fixture = *state;
    create(fixture, "acme");
    assert_refused(fixture, mint("acme", "king", 60), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, mint("nobody", "issuer", 60), RESULT_TENANT_NOT_FOUND);
    assert_refused(fixture, mint(NULL, "issuer", 60), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, mint("acme", "issuer", 0), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, mint("acme", "issuer", LIMIT_TOKEN_TTL_S_MAX + 1),
                   RESULT_INVALID_ARGUMENT);
    json_t *answer = execute(fixture, mint(NULL, "platform_admin", 60), false);
    assert_non_null(json_object_get(answer, "token"));
    json_decref(answer);
}

static json_t *lettered(const char *command, const char *id)
{
    return json_pack("{s:s,s:s}", "command", command, "id", id);
}

/* As a shard stores it. An empty request was too large. */
static void put_letter(const fixture_t *fixture, uint8_t number, text_t request)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE] = {0xab, number};
    static const uint8_t card[CRASH_ID_SIZE] = {1};
    uint8_t sealed[1024];
    const text_t tenant = TEXT_LITERAL("acme");
    secret_dead_letter_seal(&signer_functions, &fixture->installation.master_key, tenant,
                            (text_t){(const char *)fingerprint, sizeof fingerprint}, request,
                            sealed);
    const dead_letter_t letter = {
        .fingerprint = fingerprint,
        .state = DEAD_LETTER_QUARANTINED,
        .tenant = tenant,
        .type = request_type_card_validate,
        .actor = card,
        .kills = 2,
        .stored_at = 1700000000000 + number,
        .reason = TEXT_LITERAL("killed by SIGSEGV"),
        .trace_id = TEXT_LITERAL("0123456789abcdef0123456789abcdef"),
        .request_size = (uint32_t)request.size,
        .sealed_request = {(const char *)sealed,
                           request.size == 0 ? 0 : request.size + CRYPTO_SEAL_OVERHEAD}};
    dead_letters_t *letters = fixture->commands.dead_letters;
    assert_int_equal(letters->functions->put(letters, &letter), RESULT_OK);
}

static text_t packed_request(uint8_t out[512])
{
    uint8_t body[128];
    card_validate_t validate = {0};
    envelope_t envelope = {0};
    request_t *request = &envelope.request;
    MESSAGE_SET(card_validate, &validate, gate, TEXT_LITERAL("north"));
    const size_t size =
        message_pack(&card_validate_message, &validate, MESSAGE_KEYS_IDS, body, sizeof body);
    MESSAGE_SET(request, request, correlation, 7);
    MESSAGE_SET(request, request, type, request_type_card_validate);
    MESSAGE_SET(request, request, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(request, request, partition, 0);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("gate-1"));
    MESSAGE_SET(request, request, role, role_validator);
    MESSAGE_SET(request, request, deadline_ms, 5000);
    MESSAGE_SET(request, request, traceparent, TEXT_LITERAL("00-"));
    MESSAGE_SET(request, request, body, ((text_t){(const char *)body, size}));
    MESSAGE_MARK(envelope, &envelope, request);
    return (text_t){(const char *)out,
                    message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, out, 512)};
}

#define LETTER_1 "ab010000000000000000000000000000"
#define LETTER_2 "ab020000000000000000000000000000"

static void dead_letters_are_listed_shown_and_dropped(void **state)
{
    const fixture_t *fixture = *state;
    uint8_t packed[512];
    put_letter(fixture, 1, packed_request(packed));
    put_letter(fixture, 2, TEXT_NONE);
    json_t *answer = execute(fixture, json_pack("{s:s}", "command", "deadletters.list"), false);
    const json_t *list = json_object_get(answer, "dead_letters");
    assert_int_equal(json_array_size(list), 2);
    const json_t *newest = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(newest, "id")), LETTER_2);
    assert_true(json_is_false(json_object_get(newest, "can_replay")));
    json_decref(answer);
    answer = execute(
        fixture, json_pack("{s:s,s:s}", "command", "deadletters.list", "tenant", "beta"), false);
    assert_int_equal(json_array_size(json_object_get(answer, "dead_letters")), 0);
    json_decref(answer);
    answer = execute(fixture, lettered("deadletters.show", LETTER_1), false);
    const json_t *request = json_object_get(json_object_get(answer, "dead_letter"), "request");
    assert_string_equal(json_string_value(json_object_get(request, "subject")), "gate-1");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(request, "body"), "gate")), "north");
    json_decref(answer);
    json_decref(execute(fixture, lettered("deadletters.drop", LETTER_1), true));
    assert_refused(fixture, lettered("deadletters.show", LETTER_1), RESULT_MISSING);
    assert_refused(fixture, lettered("deadletters.drop", LETTER_1), RESULT_MISSING);
    assert_refused(fixture, lettered("deadletters.show", "AB"), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, lettered("deadletters.drop", "zz010000000000000000000000000000"),
                   RESULT_INVALID_ARGUMENT);
}

static void replay_is_asked_for_once_and_needs_the_request(void **state)
{
    const fixture_t *fixture = *state;
    uint8_t packed[512];
    put_letter(fixture, 1, packed_request(packed));
    put_letter(fixture, 2, TEXT_NONE);
    json_decref(execute(fixture, lettered("deadletters.replay", LETTER_1), true));
    json_t *answer = execute(fixture, lettered("deadletters.replay", LETTER_1), false);
    assert_string_equal(json_string_value(json_object_get(answer, "state")), "replay_asked");
    json_decref(answer);
    assert_refused(fixture, lettered("deadletters.replay", LETTER_2), RESULT_INVALID_ARGUMENT);
    assert_refused(fixture, lettered("deadletters.replay", "ab030000000000000000000000000000"),
                   RESULT_MISSING);
}

int main(void)
{
    log_start("test", LOG_ERROR_LEVEL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tenants_are_created_listed_shown_and_deleted),
        TEST(impossible_tenants_are_refused),
        TEST(secrets_open_under_the_master_key_also_after_a_rotation),
        TEST(keys_change_state_but_never_the_active_one),
        TEST(minted_tokens_verify_with_the_public_key),
        TEST(impossible_tokens_are_refused),
        TEST(dead_letters_are_listed_shown_and_dropped),
        TEST(replay_is_asked_for_once_and_needs_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
