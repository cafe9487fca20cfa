/* The hosts of a PostgreSQL URL: what of it is looked up, and what libpq is given in its place.
 * Names lead where the stand-in of the name system says. */
#include "adapters/shared_postgres/hosts.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

/* "two.test" has two addresses, "one.test" has one, and no other name has any. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    if (strcmp(node, "one.test") == 0) {
        return __real_getaddrinfo("10.0.0.1", service, hints, result);
    }
    if (strcmp(node, "two.test") != 0) {
        return EAI_NONAME;
    }
    const int failed = __real_getaddrinfo("10.0.0.2", service, hints, result);
    return failed != 0 ? failed
                       : __real_getaddrinfo("fd00::2", service, hints, &(*result)->ai_next);
}

static void assert_becomes(const char *url, name_state_t state, const char *host,
                           const char *hostaddr, const char *port)
{
    postgres_addresses_t addresses;
    postgres_hosts_t *hosts = postgres_hosts_of_url(url);
    assert_non_null(hosts);
    postgres_hosts_begin(hosts);
    assert_int_equal(postgres_hosts_wait(hosts), state);
    assert_true(postgres_hosts_addresses(hosts, &addresses));
    assert_string_equal(addresses.host, host);
    assert_string_equal(addresses.hostaddr, hostaddr);
    assert_string_equal(addresses.port, port);
    postgres_hosts_destroy(&hosts);
}

static void urls_without_names_are_left_as_they_are(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "postgresql:///cards",
        "postgresql://10.0.0.1:5433/cards",
        "postgresql://[::1]/cards",
        "postgresql:///cards?host=/run/postgresql",
        "postgresql://one.test/cards?hostaddr=10.0.0.9",
        "host=10.0.0.1,/run/postgresql dbname=cards",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_becomes(urls[i], NAME_STATE_KNOWN, "", "", "");
    }
}

static void each_address_of_a_name_comes_with_the_name_and_its_port(void **state)
{
    (void)state;
    assert_becomes("postgresql://one.test/cards", NAME_STATE_KNOWN, "one.test", "10.0.0.1", "5432");
    assert_becomes("postgresql://two.test:5433/cards", NAME_STATE_KNOWN, "two.test,two.test",
                   "10.0.0.2,fd00::2", "5433,5433");
    assert_becomes("postgresql://two.test:1,10.0.0.3:2,one.test:3/cards", NAME_STATE_KNOWN,
                   "two.test,two.test,10.0.0.3,one.test", "10.0.0.2,fd00::2,10.0.0.3,10.0.0.1",
                   "1,1,2,3");
    assert_becomes("host=/run/postgresql,one.test port=7 dbname=cards", NAME_STATE_KNOWN,
                   "/run/postgresql,one.test", ",10.0.0.1", "7,7");
}

static void name_without_an_address_is_left_out_when_others_have_one(void **state)
{
    (void)state;
    assert_becomes("postgresql://none.test:1,one.test:2/cards", NAME_STATE_FAILED, "one.test",
                   "10.0.0.1", "2");
    postgres_addresses_t addresses;
    postgres_hosts_t *hosts = postgres_hosts_of_url("postgresql://none.test/cards");
    postgres_hosts_begin(hosts);
    assert_int_equal(postgres_hosts_wait(hosts), NAME_STATE_FAILED);
    assert_false(postgres_hosts_addresses(hosts, &addresses));
    postgres_hosts_destroy(&hosts);
}

static void lists_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_null(postgres_hosts_of_url("host=a.test,b.test,c.test port=1,2 dbname=cards"));
    assert_null(postgres_hosts_of_url("host=a.test,b.test port=1,2,3 dbname=cards"));
    assert_null(postgres_hosts_of_url("host=a,b,c,d,e,f,g,h,i dbname=cards"));
    assert_null(postgres_hosts_of_url("nothing of the kind"));
}

int main(void)
{
    (void)unsetenv("PGHOST");
    (void)unsetenv("PGHOSTADDR");
    (void)unsetenv("PGPORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_without_names_are_left_as_they_are),
        cmocka_unit_test(each_address_of_a_name_comes_with_the_name_and_its_port),
        cmocka_unit_test(name_without_an_address_is_left_out_when_others_have_one),
        cmocka_unit_test(lists_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
