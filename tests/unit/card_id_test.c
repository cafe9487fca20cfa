/* Ids that route themselves, placement that never changes, and names of tenants. */
#include "actors/domain/card_id.h"
#include "actors/domain/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void card_id_holds_time_partition_and_randomness(void **context)
{
    (void)context;
    const uint8_t random[10] = {0xf1, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa};
    const uuid_t id = card_id_make(INT64_C(0x0199e0a47c00), 37, random);
    const uint8_t expected[16] = {0x01, 0x99, 0xe0, 0xa4, 0x7c, 0x00, 0x71, 0x22,
                                  0xa5, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99};
    assert_memory_equal(id.bytes, expected, sizeof(expected));
    assert_int_equal(card_id_partition(&id), 37);
    assert_true(card_id_is_valid(&id));
}

static void card_id_gives_back_every_partition(void **context)
{
    (void)context;
    uint8_t random[10];
    for (unsigned fill = 0; fill <= UINT8_MAX; fill += 85) {
        memset(random, (int)fill, sizeof(random));
        for (uint32_t partition = 0; partition < 64; partition++) {
            const int64_t now_ms = fill == 0 ? 0 : (INT64_C(1) << 48) - 1;
            const uuid_t id = card_id_make(now_ms, partition, random);
            assert_int_equal(card_id_partition(&id), partition);
            assert_true(card_id_is_valid(&id));
        }
    }
}

static void card_ids_sort_by_time(void **context)
{
    (void)context;
    const uint8_t ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t zeros[10] = {0};
    const uuid_t earlier = card_id_make(INT64_C(1700000000000), 63, ones);
    const uuid_t later = card_id_make(INT64_C(1700000000001), 0, zeros);
    assert_true(memcmp(earlier.bytes, later.bytes, 16) < 0);
}

static void card_id_refuses_other_versions_and_variants(void **context)
{
    (void)context;
    for (unsigned high = 0; high < 16; high++) {
        uuid_t id = {{0}};
        id.bytes[6] = (uint8_t)(high << 4);
        id.bytes[8] = 0x80;
        assert_int_equal(card_id_is_valid(&id), high == 7);
        id.bytes[6] = 0x70;
        id.bytes[8] = (uint8_t)(high << 4);
        assert_int_equal(card_id_is_valid(&id), high >= 8 && high < 12);
    }
}

/* From the paper (appendix A) and, for a few lengths, its authors' reference vectors. */
static void siphash_matches_its_reference(void **context)
{
    (void)context;
    static const struct {
        size_t size;
        uint64_t hash;
    } vectors[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {2, UINT64_C(0x0d6c8009d9a94f5a)},  {3, UINT64_C(0x85676696d7fb7e2d)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)},
    };
    uint8_t key[SIPHASH_KEY_SIZE];
    char input[64];
    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] = (char)i;
    }
    memcpy(key, input, sizeof(key));
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const text_t text = {input, vectors[i].size};
        assert_int_equal(siphash(key, text), vectors[i].hash);
    }
}

/* These numbers stand in ids that are out in the world: they may never change. */
static void placement_is_the_same_for_ever(void **context)
{
    (void)context;
    assert_int_equal(siphash_fixed(TEXT_LITERAL("demo")), UINT64_C(0xfce26a9bf0fc91a7));
    assert_int_equal(placement_partition(TEXT_LITERAL("demo"), 64), 39);
    assert_int_equal(placement_partition(TEXT_LITERAL("alpine-club"), 64), 32);
    assert_int_equal(placement_partition(TEXT_LITERAL("member-1"), 64), 9);
    assert_int_equal(placement_partition(TEXT_LITERAL("member-1"), 1), 0);
    assert_int_equal(placement_partition(TEXT_NONE, 64), 30);
    assert_int_equal(placement_shard(TEXT_LITERAL("demo"), 2), 1);
    assert_int_equal(placement_shard(TEXT_LITERAL("alpine-club"), 2), 0);
}

static void placement_spreads_members_evenly(void **context)
{
    (void)context;
    enum { MEMBERS = 64000, PARTITIONS = 64 };
    unsigned members[PARTITIONS] = {0};
    for (unsigned i = 0; i < MEMBERS; i++) {
        char name[8];
        for (unsigned k = 0; k < sizeof(name); k++) {
            name[k] = (char)('0' + (i >> (2 * k)) % 4);
        }
        members[placement_partition((text_t){name, sizeof(name)}, PARTITIONS)]++;
    }
    for (unsigned i = 0; i < PARTITIONS; i++) {
        assert_in_range(members[i], MEMBERS / PARTITIONS * 8 / 10, MEMBERS / PARTITIONS * 12 / 10);
    }
}

static void tenant_name_is_what_the_contract_says(void **context)
{
    (void)context;
    static const text_t valid[] = {
        TEXT_LITERAL("demo"),
        TEXT_LITERAL("a1"),
        TEXT_LITERAL("a-"),
        TEXT_LITERAL("apis"),
        TEXT_LITERAL("ap"),
        TEXT_LITERAL("admin-2"),
        TEXT_LITERAL("z9-9-9"),
        TEXT_LITERAL("xn--demo"),
        TEXT_LITERAL("a23456789-123456789-123456789-123456789"), /* 39 */
    };
    static const text_t invalid[] = {
        TEXT_NONE,
        TEXT_LITERAL("a"),
        TEXT_LITERAL("1a"),
        TEXT_LITERAL("-a"),
        TEXT_LITERAL("Demo"),
        TEXT_LITERAL("deMo"),
        TEXT_LITERAL("de mo"),
        TEXT_LITERAL("de_mo"),
        TEXT_LITERAL("de.mo"),
        TEXT_LITERAL(".."),
        TEXT_LITERAL("../etc"),
        TEXT_LITERAL("a/b"),
        TEXT_LITERAL("demo\0"),
        TEXT_LITERAL("de\0mo"),
        TEXT_LITERAL("demo\n"),
        TEXT_LITERAL("d\xc3\xa9mo"),
        TEXT_LITERAL("api"),
        TEXT_LITERAL("mapi"),
        TEXT_LITERAL("health"),
        TEXT_LITERAL("metrics"),
        TEXT_LITERAL("admin"),
        TEXT_LITERAL("a23456789-123456789-123456789-123456789x"), /* 40 */
    };
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        assert_true(tenant_name_is_valid(valid[i]));
    }
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        assert_false(tenant_name_is_valid(invalid[i]));
    }
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name));
    assert_false(tenant_name_is_valid((text_t){long_name, sizeof(long_name)}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_id_holds_time_partition_and_randomness),
        cmocka_unit_test(card_id_gives_back_every_partition),
        cmocka_unit_test(card_ids_sort_by_time),
        cmocka_unit_test(card_id_refuses_other_versions_and_variants),
        cmocka_unit_test(siphash_matches_its_reference),
        cmocka_unit_test(placement_is_the_same_for_ever),
        cmocka_unit_test(placement_spreads_members_evenly),
        cmocka_unit_test(tenant_name_is_what_the_contract_says),
    };
    return cmocka_run_group_tests_name("card_id", tests, NULL, NULL);
}
