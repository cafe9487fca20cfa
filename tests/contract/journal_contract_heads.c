/* The contract of the journal port: what the relay asks besides events, how far each partition has
 * come and the keys of members. */
#include "tests/contract/journal_contract_internal.h"
#include <stdio.h>

typedef struct waited_heads {
    loop_t *loop;
    bool is_done;
    journal_heads_t heads;
} waited_heads_t;

enum { KEY_SIZE_MAX = 32 };

typedef struct waited_keys {
    loop_t *loop;
    bool is_done;
    result_t result;
    size_t count;
    size_t sizes[LIMIT_PROJECTION_EVENTS];
    char keys[LIMIT_PROJECTION_EVENTS][KEY_SIZE_MAX];
} waited_keys_t;

static void heads_done(void *context, const journal_heads_t *heads)
{
    waited_heads_t *const waited = context;
    waited->heads = *heads;
    waited->is_done = true;
    loop_stop(waited->loop);
}

static void keys_done(void *context, const journal_member_keys_t *keys)
{
    waited_keys_t *const waited = context;
    waited->is_done = true;
    loop_stop(waited->loop);
    waited->result = keys->result;
    waited->count = keys->count;
    for (size_t i = 0; i < keys->count; i++) {
        const text_t key = keys->sealed_keys[i];
        assert_true(key.size <= KEY_SIZE_MAX);
        waited->sizes[i] = key.size;
        if (key.size > 0) {
            memcpy(waited->keys[i], key.data, key.size);
        }
    }
}

static void assert_heads(harness_t *harness, opened_t *opened, const uint64_t *expected)
{
    waited_heads_t waited = {.loop = harness->loop};
    assert_int_equal(harness->journal->functions->read_heads(opened->tenant, heads_done, &waited),
                     RESULT_OK);
    harness_wait(harness, &waited.is_done);
    assert_int_equal(waited.heads.result, RESULT_OK);
    assert_int_equal(waited.heads.partition_count, HARNESS_PARTITIONS);
    for (uint32_t i = 0; i < HARNESS_PARTITIONS; i++) {
        assert_int_equal(waited.heads.heads[i], expected[i]);
    }
}

static const waited_keys_t *read_keys(harness_t *harness, opened_t *opened, const text_t *members,
                                      size_t count)
{
    static waited_keys_t waited;
    waited = (waited_keys_t){.loop = harness->loop};
    assert_int_equal(harness->journal->functions->read_member_keys(opened->tenant, members, count,
                                                                   keys_done, &waited),
                     RESULT_OK);
    harness_wait(harness, &waited.is_done);
    assert_int_equal(waited.result, RESULT_OK);
    assert_int_equal(waited.count, count);
    return &waited;
}

static void assert_key(const waited_keys_t *waited, size_t index, const char *expected)
{
    assert_int_equal(waited->sizes[index], strlen(expected));
    assert_memory_equal(waited->keys[index], expected, strlen(expected));
}

static void put_keys(harness_t *harness, opened_t *opened, uint32_t partition,
                     const journal_member_key_t *keys, size_t count)
{
    const uuid_t card = harness_id(harness);
    const journal_batch_t batch = {.partition = partition,
                                   .epoch = opened->partitions[partition].epoch,
                                   .head = opened->partitions[partition].head,
                                   .events = harness_make_events(harness, &card, 1, 1),
                                   .event_count = 1,
                                   .member_keys = keys,
                                   .member_key_count = count};
    assert_int_equal(harness_append(harness, opened, &batch), RESULT_OK);
    opened->partitions[partition].head++;
}

void heads_are_those_of_every_partition_and_only_of_what_is_committed(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    uint64_t expected[HARNESS_PARTITIONS] = {0};
    const uuid_t first = harness_id(harness);
    const uuid_t second = harness_id(harness);
    assert_heads(harness, alpha, expected);
    assert_int_equal(harness_store(harness, alpha, 0, &first, 1, 3), RESULT_OK);
    assert_int_equal(harness_store(harness, alpha, 1, &second, 1, 1), RESULT_OK);
    expected[0] = 3;
    expected[1] = 1;
    assert_heads(harness, alpha, expected);
    opened_t reader = harness_open_readonly(harness, "alpha");
    assert_heads(harness, &reader, expected);
    assert_int_equal(harness_store(harness, alpha, 0, &first, 4, 1), RESULT_OK);
    expected[0] = 4;
    assert_heads(harness, &reader, expected);
    const journal_batch_t refused = {.epoch = alpha->partitions[0].epoch + 1,
                                     .head = 4,
                                     .events = harness_make_events(harness, &first, 5, 1),
                                     .event_count = 1};
    assert_int_equal(harness_append(harness, alpha, &refused), RESULT_FENCED);
    assert_heads(harness, &reader, expected);
    harness_close(harness, &reader);
}

void keys_come_in_the_order_of_the_members_asked_for(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const journal_member_key_t here[] = {{TEXT_LITERAL("m-1"), TEXT_LITERAL("first")},
                                         {TEXT_LITERAL("o'b%{},\"\\"), TEXT_LITERAL("odd")}};
    const journal_member_key_t there = {TEXT_LITERAL("Zo\xc3\xab"), TEXT_LITERAL("\x01key")};
    put_keys(harness, alpha, 0, here, 2);
    put_keys(harness, alpha, 1, &there, 1);
    const text_t asked[] = {there.member_id,      TEXT_LITERAL("nobody"), here[1].member_id,
                            here[0].member_id,    TEXT_LITERAL("M-1"),    TEXT_LITERAL("m-"),
                            TEXT_LITERAL("m-1 "), here[0].member_id,      TEXT_LITERAL("")};
    opened_t reader = harness_open_readonly(harness, "alpha");
    opened_t *const handles[] = {alpha, &reader};
    for (size_t i = 0; i < 2; i++) {
        const waited_keys_t *const keys =
            read_keys(harness, handles[i], asked, sizeof asked / sizeof asked[0]);
        const char *const expected[] = {"\x01key", "", "odd", "first", "", "", "", "first", ""};
        for (size_t k = 0; k < sizeof asked / sizeof asked[0]; k++) {
            assert_key(keys, k, expected[k]);
        }
    }
    harness_close(harness, &reader);
}

void keys_are_of_one_tenant_and_as_many_as_a_batch_needs(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    static char names[LIMIT_PROJECTION_EVENTS][16];
    static text_t asked[LIMIT_PROJECTION_EVENTS];
    journal_member_key_t kept[2] = {0};
    for (size_t i = 0; i < LIMIT_PROJECTION_EVENTS; i++) {
        (void)snprintf(names[i], sizeof names[i], "m-%zu", i);
        asked[i] = text_from_c(names[i]);
    }
    const size_t last = LIMIT_PROJECTION_EVENTS - 1;
    kept[0] = (journal_member_key_t){asked[0], TEXT_LITERAL("of the first")};
    kept[1] = (journal_member_key_t){asked[last], TEXT_LITERAL("of the last")};
    put_keys(harness, alpha, 0, kept, 2);
    const waited_keys_t *keys = read_keys(harness, alpha, asked, LIMIT_PROJECTION_EVENTS);
    assert_key(keys, 0, "of the first");
    assert_key(keys, last, "of the last");
    for (size_t i = 1; i < last; i++) {
        assert_key(keys, i, "");
    }
    harness_create_tenant(harness, "beta");
    opened_t beta = harness_open(harness, "beta");
    keys = read_keys(harness, &beta, asked, 1);
    assert_key(keys, 0, "");
    harness_close(harness, &beta);
}
