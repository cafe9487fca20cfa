/* What every process of the service does to itself at its start. */
#include "runtime/platform_process.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void a_prepared_process_leaves_no_core(void **state)
{
    (void)state;
    process_prepare();
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_true(limit.rlim_cur <= 1);
    assert_true(limit.rlim_max <= 1); /* nobody but root raises it again */
}

static void the_memory_of_a_prepared_process_can_be_read(void **state)
{
    (void)state;
    process_prepare();
    process_numbers_t numbers;
    process_numbers(getpid(), &numbers);
    assert_true(numbers.resident_bytes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prepared_process_leaves_no_core),
        cmocka_unit_test(the_memory_of_a_prepared_process_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
