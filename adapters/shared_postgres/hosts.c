/* Lists of hosts, ports and addresses: see the header. */
#include "adapters/shared_postgres/hosts.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct postgres_host {
    char host[POSTGRES_HOST_SIZE];
    char port[POSTGRES_PORT_SIZE];
    name_lookup_t *lookup; /* NULL: a path or an address */
} postgres_host_t;

struct postgres_hosts {
    postgres_host_t entries[LIMIT_POSTGRES_HOSTS];
    size_t count; /* 0: nothing to look up */
};

/* --- Making --- */

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *at = options; at != NULL && at->keyword != NULL; at++) {
        if (strcmp(at->keyword, keyword) == 0) {
            return at->val == NULL || at->val[0] == '\0' ? NULL : at->val;
        }
    }
    return NULL;
}

/* What libpq does without it: the environment. */
static const char *option_or_default(const PQconninfoOption *url, const PQconninfoOption *defaults,
                                     const char *keyword)
{
    const char *const given = option_value(url, keyword);
    return given == NULL ? option_value(defaults, keyword) : given;
}

/* The next part of a list with commas; NULL: it does not fit. `*list` becomes NULL at its end. */
static const char *part_take(const char **list, char *part, size_t size)
{
    const size_t length = strcspn(*list, ",");
    if (length >= size) {
        return NULL;
    }
    memcpy(part, *list, length);
    part[length] = '\0';
    *list = (*list)[length] == ',' ? *list + length + 1 : NULL;
    return part;
}

/* libpq: a path begins with a slash, an abstract one with "@"; an empty one is the default path. */
static bool is_name(const char *host)
{
    return host[0] != '\0' && host[0] != '/' && host[0] != '@' && !name_is_address(host);
}

/* One port counts for all hosts. */
static bool entries_fill(postgres_hosts_t *hosts, const char *host, const char *port)
{
    const char *ports = port == NULL ? "" : port;
    const bool is_one_port = strchr(ports, ',') == NULL;
    for (const char *list = host; list != NULL;) {
        if (hosts->count == LIMIT_POSTGRES_HOSTS || ports == NULL) {
            return false;
        }
        postgres_host_t *const entry = &hosts->entries[hosts->count];
        const char *const ports_before = ports;
        if (part_take(&list, entry->host, sizeof entry->host) == NULL ||
            part_take(&ports, entry->port, sizeof entry->port) == NULL) {
            return false;
        }
        ports = is_one_port ? ports_before : ports;
        hosts->count++;
    }
    return is_one_port || ports == NULL;
}

static void lookups_make(postgres_hosts_t *hosts)
{
    bool has_names = false;
    for (size_t i = 0; i < hosts->count; i++) {
        postgres_host_t *const entry = &hosts->entries[i];
        if (is_name(entry->host)) {
            entry->lookup = name_lookup_create(entry->host);
            has_names = true;
        }
    }
    hosts->count = has_names ? hosts->count : 0;
}

postgres_hosts_t *postgres_hosts_create(const PQconninfoOption *url)
{
    postgres_hosts_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    PQconninfoOption *const defaults = PQconndefaults();
    const char *const host = option_or_default(url, defaults, "host");
    const bool is_looked_up = host != NULL && option_or_default(url, defaults, "hostaddr") == NULL;
    const bool is_good =
        !is_looked_up || entries_fill(created, host, option_or_default(url, defaults, "port"));
    PQconninfoFree(defaults);
    if (!is_good) {
        free(created);
        return NULL;
    }
    lookups_make(created);
    return created;
}

postgres_hosts_t *postgres_hosts_of_url(const char *url)
{
    PQconninfoOption *const parsed = PQconninfoParse(url, NULL);
    postgres_hosts_t *const created = parsed == NULL ? NULL : postgres_hosts_create(parsed);
    PQconninfoFree(parsed);
    return created;
}

void postgres_hosts_destroy(postgres_hosts_t **hosts)
{
    if (*hosts == NULL) {
        return;
    }
    for (size_t i = 0; i < LIMIT_POSTGRES_HOSTS; i++) {
        name_lookup_destroy(&(*hosts)->entries[i].lookup);
    }
    free(*hosts);
    *hosts = NULL;
}

/* --- Looking up --- */

void postgres_hosts_begin(postgres_hosts_t *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        if (hosts->entries[i].lookup != NULL) {
            name_lookup_begin(hosts->entries[i].lookup);
        }
    }
}

static name_state_t worst_state(postgres_hosts_t *hosts,
                                name_state_t (*state_of)(name_lookup_t *lookup))
{
    name_state_t worst = NAME_STATE_KNOWN;
    for (size_t i = 0; i < hosts->count; i++) {
        name_lookup_t *const lookup = hosts->entries[i].lookup;
        const name_state_t state = lookup == NULL ? NAME_STATE_KNOWN : state_of(lookup);
        if (state == NAME_STATE_PENDING) {
            return state;
        }
        worst = state == NAME_STATE_FAILED ? state : worst;
    }
    return worst;
}

name_state_t postgres_hosts_state(postgres_hosts_t *hosts)
{
    return worst_state(hosts, name_lookup_state);
}

name_state_t postgres_hosts_wait(postgres_hosts_t *hosts)
{
    return worst_state(hosts, name_lookup_wait);
}

static void list_add(char *list, size_t size, bool is_first, const char *part)
{
    const size_t length = strlen(list);
    const int added = snprintf(list + length, size - length, is_first ? "%s" : ",%s", part);
    assert(added >= 0 && (size_t)added < size - length); /* sizes of the header */
}

/* An address is its own; libpq takes an empty one of a path for none. */
static void entry_add(const postgres_host_t *entry, const char *address, bool is_first,
                      postgres_addresses_t *addresses)
{
    list_add(addresses->host, sizeof addresses->host, is_first, entry->host);
    list_add(addresses->hostaddr, sizeof addresses->hostaddr, is_first, address);
    list_add(addresses->port, sizeof addresses->port, is_first, entry->port);
}

bool postgres_hosts_addresses(postgres_hosts_t *hosts, postgres_addresses_t *addresses)
{
    addresses->host[0] = '\0';
    addresses->hostaddr[0] = '\0';
    addresses->port[0] = '\0';
    size_t count = 0;
    for (size_t i = 0; i < hosts->count; i++) {
        const postgres_host_t *const entry = &hosts->entries[i];
        name_addresses_t found = {.count = 1}; /* a path */
        if (entry->lookup != NULL) {
            name_lookup_addresses(entry->lookup, &found);
        } else if (name_is_address(entry->host)) {
            (void)snprintf(found.texts[0], sizeof found.texts[0], "%s", entry->host);
        }
        for (size_t j = 0; j < found.count; j++) {
            entry_add(entry, found.texts[j], count == 0, addresses);
            count++;
        }
    }
    return count > 0 || hosts->count == 0;
}
