/* Places with generations, and blocks by size. */
#include "runtime/message_pool.h"
#include "runtime/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct thing {
    slab_head_t head;
    uint64_t value;
} thing_t;

static void place_that_was_given_back_is_found_no_more(void **state)
{
    (void)state;
    slab_t slab;
    slab_init(&slab, sizeof(thing_t), 1000000, UINT32_C(3) << 28);
    thing_t *const thing = slab_take(&slab);
    const uint32_t generation = thing->head.generation;
    assert_int_equal(thing->head.index, UINT32_C(3) << 28);
    assert_ptr_equal(slab_find(&slab, 0, generation), thing);
    assert_null(slab_find(&slab, 0, generation + 1));
    assert_null(slab_find(&slab, 1, generation));
    slab_give(&slab, thing);
    assert_null(slab_find(&slab, 0, generation));
    assert_null(slab_find(&slab, 0, generation + 1));
    thing_t *const again = slab_take(&slab);
    assert_ptr_equal(again, thing);
    assert_null(slab_find(&slab, 0, generation));
    assert_ptr_equal(slab_find(&slab, 0, again->head.generation), again);
    slab_deinit(&slab);
}

static void places_do_not_overlap_and_are_bounded(void **state)
{
    (void)state;
    enum { COUNT = 3 * SLAB_CHUNK_OBJECTS + 7 };
    slab_t slab;
    slab_init(&slab, sizeof(thing_t), COUNT, 0);
    for (uint64_t index = 0; index < COUNT; index++) {
        thing_t *const thing = slab_take(&slab);
        assert_non_null(thing);
        assert_int_equal((uintptr_t)thing % 64, 0);
        thing->value = index;
    }
    assert_null(slab_take(&slab));
    for (uint32_t index = 0; index < COUNT; index++) {
        const thing_t *const thing = slab_at(&slab, index);
        assert_int_equal(thing->value, index);
        assert_int_equal(thing->head.index, index);
    }
    slab_deinit(&slab);
}

static void blocks_have_the_size_of_their_class(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 65, 128, 129, 256, 257, 1024, 1025, 2048};
    message_pool_t pool;
    message_pool_init(&pool, 1 << 20);
    for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
        const uint32_t class = message_pool_class(sizes[index]);
        assert_true(message_pool_class_size(class) >= sizes[index]);
        assert_true(class == 0 || message_pool_class_size(class - 1) < sizes[index]);
        uint8_t *const block = message_pool_take(&pool, class);
        uint8_t *const other = message_pool_take(&pool, class);
        assert_true(other >= block + message_pool_class_size(class) ||
                    block >= other + message_pool_class_size(class));
        memset(block, 1, message_pool_class_size(class));
        memset(other, 2, message_pool_class_size(class));
        message_pool_give(&pool, class, block);
        assert_ptr_equal(message_pool_take(&pool, class), block);
    }
    assert_int_equal(message_pool_class(2049), MESSAGE_POOL_LARGE);
    message_pool_deinit(&pool);
}

static void pool_takes_no_more_memory_than_its_bound(void **state)
{
    (void)state;
    message_pool_t pool;
    message_pool_init(&pool, 3 * 65536);
    uint32_t count = 0;
    while (message_pool_take(&pool, 0) != NULL) {
        count++;
    }
    assert_int_equal(count, 3 * 1023); /* each chunk's first block links it */
    assert_int_equal(pool.memory, 3 * 65536);
    message_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place_that_was_given_back_is_found_no_more),
        cmocka_unit_test(places_do_not_overlap_and_are_bounded),
        cmocka_unit_test(blocks_have_the_size_of_their_class),
        cmocka_unit_test(pool_takes_no_more_memory_than_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
