/* The hosts of a PostgreSQL URL. libpq looks names up itself, and stands still meanwhile; here they
 * are looked up beside the caller (runtime/name_lookup.h), and libpq gets addresses along with the
 * names, which it still compares with certificates. A path, an address, or `hostaddr` in the URL
 * needs no look-up. May be used by several threads at once. */
#ifndef ADAPTERS_SHARED_POSTGRES_HOSTS_H
#define ADAPTERS_SHARED_POSTGRES_HOSTS_H

#include "runtime/name_lookup.h"
#include <libpq-fe.h>

typedef struct postgres_hosts postgres_hosts_t;

enum {
    POSTGRES_HOST_SIZE = 256,
    POSTGRES_PORT_SIZE = 16,
    POSTGRES_ADDRESSES = LIMIT_POSTGRES_HOSTS * LIMIT_NAME_ADDRESSES,
};

/* Values of libpq's keywords: lists of the same length, each address of a name with that name.
 * Empty, which libpq takes for not given, when the URL says all. */
typedef struct postgres_addresses {
    char host[POSTGRES_ADDRESSES * POSTGRES_HOST_SIZE];
    char hostaddr[POSTGRES_ADDRESSES * NAME_ADDRESS_SIZE];
    char port[POSTGRES_ADDRESSES * POSTGRES_PORT_SIZE];
} postgres_addresses_t;

/* NULL: too many hosts, or one that is too long, or not as many ports as hosts. */
postgres_hosts_t *postgres_hosts_create(const PQconninfoOption *url);
/* Of text; NULL also when it is no URL. */
postgres_hosts_t *postgres_hosts_of_url(const char *url);
void postgres_hosts_destroy(postgres_hosts_t **hosts);

/* Before each connection: looks its names up anew. */
void postgres_hosts_begin(postgres_hosts_t *hosts);
/* PENDING: ask again in a moment. FAILED: one of them is not known now. */
name_state_t postgres_hosts_state(postgres_hosts_t *hosts);
name_state_t postgres_hosts_wait(postgres_hosts_t *hosts);
/* False: none of them has an address. A name that has none is left out when others have one. */
MUST_USE bool postgres_hosts_addresses(postgres_hosts_t *hosts, postgres_addresses_t *addresses);

#endif
