/* Verifiers of passwords, against a vector made with Python's hashlib and hmac. That PostgreSQL
 * takes them, every contract test shows that logs a tenant's role in. */
#include "adapters/control_postgres/scram.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_verifier_is_that_of_rfc_5802_with_one_iteration(void **state)
{
    (void)state;
    uint8_t salt[SCRAM_SALT_SIZE];
    char verifier[SCRAM_VERIFIER_SIZE];
    for (uint8_t i = 0; i < SCRAM_SALT_SIZE; i++) {
        salt[i] = i;
    }
    scram_verifier(TEXT_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
                   salt, verifier);
    assert_string_equal(verifier, "SCRAM-SHA-256$1:AAECAwQFBgcICQoLDA0ODw=="
                                  "$lhnGm64SfIhCBvUxEhA9yY+7JVS7//r4Dtuaipile4g="
                                  ":HzFTDfRal26RAPRVjVPT3YdpEpV06UwLY3lPq2aRou4=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verifier_is_that_of_rfc_5802_with_one_iteration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
