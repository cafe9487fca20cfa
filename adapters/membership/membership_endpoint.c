/* Where a ZeroMQ socket is connected to. ZeroMQ has one thread for all sockets of the role, and a
 * name that hangs in it would stop those of every tenant, and those to the shards: names are looked
 * up beside it, each for itself, and sockets are connected to addresses. Must not know what is said
 * over them. */
#include "adapters/membership/membership_internal.h"

#include "runtime/log.h"
#include <stdio.h>
#include <string.h>

/* Of "tcp://host:port" or "tcp://source;host:port". False: it is no name. */
static bool host_find(const char *endpoint, size_t *begin, size_t *size)
{
    static const char scheme[] = "tcp://";
    if (strncmp(endpoint, scheme, sizeof scheme - 1) != 0) {
        return false;
    }
    const char *const semicolon = strrchr(endpoint, ';');
    const char *const host = semicolon == NULL ? endpoint + sizeof scheme - 1 : semicolon + 1;
    const char *const colon = strrchr(host, ':');
    if (host[0] == '[' || colon == NULL || colon == host) {
        return false;
    }
    *begin = (size_t)(host - endpoint);
    *size = (size_t)(colon - host);
    char name[ENDPOINT_SIZE];
    memcpy(name, host, *size);
    name[*size] = '\0';
    return !name_is_address(name);
}

static result_t connect_to(membership_dealer_t *dealer, const char *endpoint)
{
    const result_t result = zsocket_connect(dealer->socket, endpoint);
    if (result == RESULT_OK) {
        (void)snprintf(dealer->connected, sizeof dealer->connected, "%s", endpoint);
    }
    return result;
}

result_t membership_endpoint_open(membership_dealer_t *dealer)
{
    size_t begin = 0;
    size_t size = 0;
    if (!host_find(dealer->endpoint, &begin, &size)) {
        return connect_to(dealer, dealer->endpoint);
    }
    char name[ENDPOINT_SIZE];
    memcpy(name, dealer->endpoint + begin, size);
    name[size] = '\0';
    dealer->lookup = name_lookup_create(name);
    membership_endpoint_follow(dealer, loop_now_ms(dealer->adapter->loop));
    return RESULT_OK;
}

static void endpoint_make(const membership_dealer_t *dealer, const char *address,
                          char made[ENDPOINT_SIZE + NAME_ADDRESS_SIZE])
{
    size_t begin = 0;
    size_t size = 0;
    (void)host_find(dealer->endpoint, &begin, &size);
    const bool is_six = strchr(address, ':') != NULL;
    (void)snprintf(made, ENDPOINT_SIZE + NAME_ADDRESS_SIZE, "%.*s%s%s%s%s", (int)begin,
                   dealer->endpoint, is_six ? "[" : "", address, is_six ? "]" : "",
                   dealer->endpoint + begin + size);
}

/* Stays where it is as long as that is one of the name's addresses, in whatever order they come. */
static void addresses_follow(membership_dealer_t *dealer, const name_addresses_t *addresses)
{
    char made[ENDPOINT_SIZE + NAME_ADDRESS_SIZE];
    for (size_t i = 0; i < addresses->count; i++) {
        endpoint_make(dealer, addresses->texts[i], made);
        if (strcmp(made, dealer->connected) == 0) {
            return;
        }
    }
    const bool is_first = dealer->connected[0] == '\0';
    if (!is_first) {
        const result_t left = zsocket_disconnect(dealer->socket, dealer->connected);
        (void)left; /* it is not used any more */
        dealer->connected[0] = '\0';
    }
    endpoint_make(dealer, addresses->texts[0], made);
    if (connect_to(dealer, made) != RESULT_OK) {
        log_error("an address of a membership context cannot be connected to",
                  LOG_STRING("endpoint", dealer->endpoint), LOG_STRING("address", made));
        return;
    }
    if (is_first) {
        membership_send_unsent(dealer);
    } else {
        log_info("a membership context has another address",
                 LOG_STRING("endpoint", dealer->endpoint), LOG_STRING("address", made));
    }
}

void membership_endpoint_follow(membership_dealer_t *dealer, uint64_t now_ms)
{
    if (dealer->lookup == NULL) {
        return;
    }
    if (now_ms >= dealer->look_ms) {
        name_lookup_begin(dealer->lookup);
        dealer->look_ms =
            now_ms + (dealer->connected[0] == '\0' ? LIMIT_NAME_FRESH_MS : LIMIT_NAME_FOLLOW_MS);
    }
    name_addresses_t addresses;
    name_lookup_addresses(dealer->lookup, &addresses);
    if (addresses.count > 0) {
        addresses_follow(dealer, &addresses);
    }
}
