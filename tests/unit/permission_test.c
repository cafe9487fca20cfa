/* Who may do what, written out a second time, from the side of the roles. */
#include "actors/domain/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BIT(type) (UINT64_C(1) << request_type_##type)

enum { REQUEST_TYPES_PUBLIC = 25 };

static const uint64_t change = BIT(card_issue) | BIT(card_activate) | BIT(card_suspend) |
                               BIT(card_reinstate) | BIT(card_renew) | BIT(card_replace) |
                               BIT(card_revoke);
static const uint64_t read = BIT(card_get) | BIT(card_list) | BIT(card_history);
static const uint64_t gate = BIT(card_validate) | BIT(card_scan);

static uint64_t allowed(uint8_t role)
{
    uint64_t bits = 0;
    for (uint8_t type = 0; type < 64; type++) {
        bits |= permission_allows(role, type) ? UINT64_C(1) << type : 0U;
    }
    return bits;
}

static void administrators_may_do_everything(void **context)
{
    (void)context;
    const uint64_t all = change | read | gate | BIT(events_read) | BIT(rollup_list) |
                         BIT(events_ack) | BIT(consumer_register) | BIT(consumer_remove) |
                         BIT(consumer_list) | BIT(webhook_add) | BIT(webhook_remove) |
                         BIT(webhook_enable) | BIT(webhook_rotate) | BIT(webhook_replay) |
                         BIT(webhook_list) | BIT(webhook_log);
    assert_int_equal(all, ((UINT64_C(1) << REQUEST_TYPES_PUBLIC) - 1) << 1);
    assert_int_equal(allowed(role_platform_admin), all);
    assert_int_equal(allowed(role_tenant_admin), all);
}

static void issuers_change_and_read_but_do_not_validate(void **context)
{
    (void)context;
    assert_int_equal(allowed(role_issuer), change | read);
}

static void validators_only_validate(void **context)
{
    (void)context;
    assert_int_equal(allowed(role_validator), gate);
}

static void auditors_only_read(void **context)
{
    (void)context;
    assert_int_equal(allowed(role_auditor), read | BIT(events_read) | BIT(rollup_list) |
                                                BIT(consumer_list) | BIT(webhook_list) |
                                                BIT(webhook_log));
}

static void members_only_get(void **context)
{
    (void)context;
    assert_int_equal(allowed(role_member), BIT(card_get));
}

static void nobody_from_outside_reads_the_directory(void **context)
{
    (void)context;
    for (unsigned role = 0; role <= UINT8_MAX; role++) {
        assert_false(permission_allows((uint8_t)role, request_type_directory_get));
    }
}

static void what_is_not_in_the_table_is_forbidden(void **context)
{
    (void)context;
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        assert_false(permission_allows(role_none, (uint8_t)type));
        for (unsigned role = role_member + 1; role <= UINT8_MAX; role++) {
            assert_false(permission_allows((uint8_t)role, (uint8_t)type));
        }
        if (type == request_type_none || type > REQUEST_TYPES_PUBLIC) {
            assert_false(permission_allows(role_platform_admin, (uint8_t)type));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(administrators_may_do_everything),
        cmocka_unit_test(issuers_change_and_read_but_do_not_validate),
        cmocka_unit_test(validators_only_validate),
        cmocka_unit_test(auditors_only_read),
        cmocka_unit_test(members_only_get),
        cmocka_unit_test(nobody_from_outside_reads_the_directory),
        cmocka_unit_test(what_is_not_in_the_table_is_forbidden),
    };
    return cmocka_run_group_tests_name("permission", tests, NULL, NULL);
}
