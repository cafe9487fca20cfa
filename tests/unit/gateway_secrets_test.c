/* The chain of sealed secrets: what was sealed for one place does not open in another. Also the
 * view of a card that shard and relay share. */
#include "actors/card_view.h"
#include "actors/secrets.h"
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"

static const crypto_functions_t *const crypto = &signer_functions;

static crypto_key_t key_of(uint8_t byte)
{
    crypto_key_t key;
    memset(key.bytes, byte, sizeof(key.bytes));
    return key;
}

static text_t text_of(const uint8_t *bytes, size_t size)
{
    return (text_t){.data = (const char *)bytes, .size = size};
}

static int setup(void **state)
{
    (void)state;
    return signer_start() == RESULT_OK ? 0 : -1;
}

static void tenant_secret_opens_for_its_tenant_only(void **state)
{
    (void)state;
    const crypto_key_t master = key_of(1);
    const crypto_key_t other_master = key_of(2);
    const crypto_key_t secret = key_of(3);
    const text_t acme = TEXT_LITERAL("acme");
    uint8_t bytes[SECRET_SEALED_KEY_SIZE];
    secret_tenant_seal(crypto, &master, acme, &secret, bytes);
    const text_t sealed = text_of(bytes, sizeof(bytes));
    crypto_key_t opened;
    assert_true(secret_tenant_open(crypto, &master, acme, sealed, &opened));
    assert_memory_equal(opened.bytes, secret.bytes, CRYPTO_KEY_SIZE);
    assert_false(secret_tenant_open(crypto, &master, TEXT_LITERAL("acme2"), sealed, &opened));
    assert_false(secret_tenant_open(crypto, &other_master, acme, sealed, &opened));
    assert_false(
        secret_tenant_open(crypto, &master, acme, text_of(bytes, sizeof(bytes) - 1), &opened));
    assert_false(secret_tenant_open(crypto, &master, acme, TEXT_NONE, &opened));
}

static void bindings_are_those_that_are_written_down(void **state)
{
    (void)state;
    const crypto_key_t key = key_of(1);
    const crypto_key_t secret = key_of(3);
    uint8_t sealed[SECRET_SEALED_KEY_SIZE];
    uint8_t plain[CRYPTO_KEY_SIZE];
    const text_t text = text_of(sealed, sizeof(sealed));
    secret_tenant_seal(crypto, &key, TEXT_LITERAL("acme"), &secret, sealed);
    assert_true(crypto->open(&key, text, TEXT_LITERAL("tenant:acme"), plain));
    secret_card_key_seal(crypto, &key, TEXT_LITERAL("acme"), 4294967295U, &secret, sealed);
    assert_true(crypto->open(&key, text, TEXT_LITERAL("card-key:acme:4294967295"), plain));
    secret_member_key_seal(crypto, &key, TEXT_LITERAL("acme"), TEXT_LITERAL("m-1"), &secret,
                           sealed);
    assert_true(crypto->open(&key, text, TEXT_LITERAL("acme\0m-1"), plain));
    uint8_t name[SECRET_SEALED_NAME_SIZE_MAX];
    char plain_name[SECRET_NAME_SIZE_MAX];
    secret_holder_name_seal(crypto, &key, TEXT_LITERAL("m-1"), TEXT_LITERAL("Zoe"), name);
    assert_true(crypto->open(&key, text_of(name, 3 + CRYPTO_SEAL_OVERHEAD), TEXT_LITERAL("m-1"),
                             (uint8_t *)plain_name));
}

static void card_key_opens_under_its_number_only(void **state)
{
    (void)state;
    const crypto_key_t master = key_of(1);
    const crypto_key_t secret = key_of(3);
    const text_t acme = TEXT_LITERAL("acme");
    uint8_t bytes[SECRET_SEALED_KEY_SIZE];
    secret_card_key_seal(crypto, &master, acme, 1, &secret, bytes);
    const text_t sealed = text_of(bytes, sizeof(bytes));
    crypto_key_t opened;
    assert_true(secret_card_key_open(crypto, &master, acme, 1, sealed, &opened));
    assert_false(secret_card_key_open(crypto, &master, acme, 2, sealed, &opened));
    assert_false(secret_card_key_open(crypto, &master, TEXT_LITERAL("beta"), 1, sealed, &opened));
    assert_false(secret_tenant_open(crypto, &master, acme, sealed, &opened));
}

static void member_key_and_name_open_for_their_member_only(void **state)
{
    (void)state;
    const crypto_key_t tenant_secret = key_of(1);
    const crypto_key_t member_key = key_of(3);
    const text_t acme = TEXT_LITERAL("acme");
    const text_t member = TEXT_LITERAL("m-1");
    uint8_t bytes[SECRET_SEALED_KEY_SIZE];
    secret_member_key_seal(crypto, &tenant_secret, acme, member, &member_key, bytes);
    crypto_key_t opened;
    const text_t sealed = text_of(bytes, sizeof(bytes));
    assert_true(secret_member_key_open(crypto, &tenant_secret, acme, member, sealed, &opened));
    assert_false(
        secret_member_key_open(crypto, &tenant_secret, acme, TEXT_LITERAL("m-2"), sealed, &opened));
    assert_false(secret_member_key_open(crypto, &tenant_secret, TEXT_LITERAL("beta"), member,
                                        sealed, &opened));
    uint8_t name[SECRET_SEALED_NAME_SIZE_MAX];
    secret_holder_name_seal(crypto, &member_key, member, TEXT_LITERAL("Zoë"), name);
    char plain[SECRET_NAME_SIZE_MAX];
    text_t holder = TEXT_NONE;
    const text_t sealed_name = text_of(name, 4 + CRYPTO_SEAL_OVERHEAD);
    assert_true(secret_holder_name_open(crypto, &member_key, member, sealed_name, plain, &holder));
    assert_true(text_equal(holder, TEXT_LITERAL("Zoë")));
    assert_false(secret_holder_name_open(crypto, &member_key, TEXT_LITERAL("m-2"), sealed_name,
                                         plain, &holder));
    assert_false(secret_holder_name_open(crypto, &member_key, member, TEXT_LITERAL("short"), plain,
                                         &holder));
}

static card_state_t some_state(void)
{
    card_state_t state = {0};
    MESSAGE_SET(card_snapshot, &state, id, ((uuid_t){.bytes = {1, 2}}));
    MESSAGE_SET(card_snapshot, &state, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card_snapshot, &state, status, card_status_active);
    MESSAGE_SET(card_snapshot, &state, valid_from, 1000);
    MESSAGE_SET(card_snapshot, &state, expires_at, 5000);
    MESSAGE_SET(card_snapshot, &state, issued_at, 1000);
    MESSAGE_SET(card_snapshot, &state, version, 2);
    MESSAGE_SET(card_snapshot, &state, was_activated, true);
    return state;
}

static void view_counts_expiry_by_the_clock(void **state)
{
    (void)state;
    const card_state_t card = some_state();
    card_t view;
    card_view(&card, 4999, TEXT_LITERAL("acme"), TEXT_NONE, NULL, NULL, NULL, &view);
    assert_int_equal(view.status, card_status_active);
    assert_int_equal(view.version, 2);
    card_view(&card, 5000, TEXT_LITERAL("acme"), TEXT_NONE, NULL, NULL, NULL, &view);
    assert_int_equal(view.status, card_status_expired);
    assert_int_equal(view.version, 3);
}

static void view_shows_null_for_what_is_not_there(void **state)
{
    (void)state;
    const card_state_t card = some_state();
    card_t view;
    card_view(&card, 2000, TEXT_LITERAL("acme"), TEXT_NONE, NULL, NULL, NULL, &view);
    char json[1024];
    const size_t size = message_to_json(&card_message, &view, json, sizeof(json) - 1);
    assert_true(size < sizeof(json));
    json[size] = '\0';
    assert_non_null(strstr(json, "\"holder_name\":null"));
    assert_non_null(strstr(json, "\"tier\":null"));
    assert_non_null(strstr(json, "\"qr\":null"));
    assert_non_null(strstr(json, "\"rules\":[]"));
    assert_null(strstr(json, "replaces"));
}

static void view_has_a_code_that_verifies(void **state)
{
    (void)state;
    const card_state_t card = some_state();
    static const uint32_t kids[] = {1, 10, 4294967295U};
    static const char *const texts[] = {"1", "10", "4294967295"};
    for (size_t i = 0; i < 3; i++) {
        const card_signing_key_t key = {.kid = kids[i], .key = key_of(9)};
        card_view_code_t memory;
        card_t view;
        card_view(&card, 2000, TEXT_LITERAL("acme"), TEXT_LITERAL("Zoe"), &key, crypto, &memory,
                  &view);
        assert_true(text_equal(view.qr.kid, text_from_c(texts[i])));
        assert_true(text_equal(view.holder_name, TEXT_LITERAL("Zoe")));
        card_code_t code;
        assert_true(card_code_parse(view.qr.text, &code));
        assert_int_equal(code.kid, kids[i]);
        assert_int_equal(code.tenant_tag, card_code_tenant_tag(TEXT_LITERAL("acme")));
        uint8_t message[CARD_CODE_MESSAGE_SIZE_MAX];
        const size_t size = card_code_message(&code, TEXT_LITERAL("acme"), message);
        assert_true(crypto->mac_verify(&key.key, text_of(message, size), code.mac));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenant_secret_opens_for_its_tenant_only),
        cmocka_unit_test(bindings_are_those_that_are_written_down),
        cmocka_unit_test(card_key_opens_under_its_number_only),
        cmocka_unit_test(member_key_and_name_open_for_their_member_only),
        cmocka_unit_test(view_counts_expiry_by_the_clock),
        cmocka_unit_test(view_shows_null_for_what_is_not_there),
        cmocka_unit_test(view_has_a_code_that_verifies),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
