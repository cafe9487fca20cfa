/* Looking up a name beside the caller: how long it is waited for, what is kept when the name system
 * is gone, and that nothing waits for a look-up that hangs. The name system is a stand-in. */
#include "runtime/clock.h"
#include "runtime/name_lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What the stand-in does; guarded by its mutex. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool hangs;
    bool is_gone;
    unsigned asked;
    unsigned answered;
} names = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    assert_string_equal(node, "host.test");
    pthread_mutex_lock(&names.mutex);
    names.asked++;
    pthread_cond_broadcast(&names.changed);
    while (names.hangs) {
        pthread_cond_wait(&names.changed, &names.mutex);
    }
    names.answered++;
    const bool is_gone = names.is_gone;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.mutex);
    return is_gone ? EAI_AGAIN : __real_getaddrinfo("127.0.0.1", service, hints, result);
}

static void names_set(bool hangs, bool is_gone)
{
    pthread_mutex_lock(&names.mutex);
    names.hangs = hangs;
    names.is_gone = is_gone;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.mutex);
}

static unsigned asked_count(void)
{
    pthread_mutex_lock(&names.mutex);
    const unsigned count = names.asked;
    pthread_mutex_unlock(&names.mutex);
    return count;
}

static void answered_wait(unsigned count)
{
    pthread_mutex_lock(&names.mutex);
    while (names.answered < count) {
        pthread_cond_wait(&names.changed, &names.mutex);
    }
    pthread_mutex_unlock(&names.mutex);
}

static int names_reset(void **state)
{
    (void)state;
    names_set(false, false);
    names.asked = 0;
    names.answered = 0;
    return 0;
}

/* Past the time in which a look-up is not repeated. */
static name_state_t look_anew(name_lookup_t *lookup)
{
    const unsigned before = asked_count();
    while (asked_count() == before) { /* LIMIT_NAME_FRESH_MS */
        name_lookup_begin(lookup);
    }
    return name_lookup_wait(lookup);
}

/* After a failure patience is short, and on a busy machine the answer may come too late for it:
 * then it counts for who asks next. */
static void becomes_known(name_lookup_t *lookup)
{
    while (look_anew(lookup) != NAME_STATE_KNOWN) { /* bounded by the time CTest gives */
    }
}

static void addresses_need_no_lookup(void **state)
{
    (void)state;
    assert_true(name_is_address("127.0.0.1"));
    assert_true(name_is_address("::1"));
    assert_true(name_is_address("fe80::1%lo"));
    assert_false(name_is_address("localhost"));
    assert_false(name_is_address("127.0.0.1.example"));
}

static void name_is_found_and_not_asked_for_again_at_once(void **state)
{
    (void)state;
    name_lookup_t *lookup = name_lookup_create("host.test");
    name_addresses_t found;
    name_lookup_addresses(lookup, &found);
    assert_int_equal(found.count, 0);
    name_lookup_begin(lookup);
    assert_int_equal(name_lookup_wait(lookup), NAME_STATE_KNOWN);
    name_lookup_begin(lookup);
    assert_int_equal(name_lookup_state(lookup), NAME_STATE_KNOWN);
    name_lookup_addresses(lookup, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.texts[0], "127.0.0.1");
    assert_int_equal(asked_count(), 1);
    name_lookup_destroy(&lookup);
    assert_null(lookup);
}

static void what_was_found_is_kept_when_the_name_system_is_gone(void **state)
{
    (void)state;
    name_lookup_t *lookup = name_lookup_create("host.test");
    name_addresses_t found;
    name_lookup_begin(lookup);
    assert_int_equal(name_lookup_wait(lookup), NAME_STATE_KNOWN);
    names_set(false, true);
    assert_int_equal(look_anew(lookup), NAME_STATE_FAILED);
    name_lookup_addresses(lookup, &found);
    assert_int_equal(found.count, 1);
    names_set(false, false);
    becomes_known(lookup);
    name_lookup_destroy(&lookup);
}

static void lookup_that_hangs_is_waited_for_once_and_left_behind(void **state)
{
    (void)state;
    name_lookup_t *lookup = name_lookup_create("host.test");
    names_set(true, false);
    const uint64_t began_ms = clock_monotonic_ms();
    name_lookup_begin(lookup);
    assert_int_equal(name_lookup_state(lookup), NAME_STATE_PENDING);
    assert_int_equal(name_lookup_wait(lookup), NAME_STATE_FAILED);
    assert_true(clock_monotonic_ms() - began_ms >= LIMIT_NAME_WAIT_MS);
    name_lookup_begin(lookup); /* the same one goes on */
    assert_int_equal(name_lookup_state(lookup), NAME_STATE_FAILED);
    assert_int_equal(asked_count(), 1);
    name_lookup_destroy(&lookup); /* waits for nobody, or this test would not end */
    names_set(false, false);
    answered_wait(1);
}

static void late_answer_counts_for_who_asks_next(void **state)
{
    (void)state;
    name_lookup_t *lookup = name_lookup_create("host.test");
    names_set(true, false);
    name_lookup_begin(lookup);
    assert_int_equal(name_lookup_wait(lookup), NAME_STATE_FAILED);
    names_set(false, false);
    answered_wait(1);
    name_addresses_t found = {0};
    while (found.count == 0) { /* its thread is about to say so */
        name_lookup_addresses(lookup, &found);
    }
    name_lookup_begin(lookup);
    assert_int_equal(name_lookup_state(lookup), NAME_STATE_KNOWN);
    name_lookup_destroy(&lookup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_need_no_lookup),
        cmocka_unit_test_setup(name_is_found_and_not_asked_for_again_at_once, names_reset),
        cmocka_unit_test_setup(what_was_found_is_kept_when_the_name_system_is_gone, names_reset),
        cmocka_unit_test_setup(lookup_that_hangs_is_waited_for_once_and_left_behind, names_reset),
        cmocka_unit_test_setup(late_answer_counts_for_who_asks_next, names_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
