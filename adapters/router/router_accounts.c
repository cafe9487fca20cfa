/* How many bytes of replies wait for each client. ZeroMQ bounds what waits for a client by the
 * number of messages; of small ones that is enough, a page may have a thousand times their size. So
 * large replies are on an account of their client, and one that would be too much is answered by a
 * small problem in its place. Must not send. */
#include "adapters/router/router_internal.h"

#include <string.h>

static bool is_of(const router_account_t *place, const zframe_view_t *client)
{
    return place->account != NULL && place->client_size == client->size &&
           memcmp(place->client, client->data, client->size) == 0;
}

/* Takes a place in which nothing waits when the client has none; NULL: there is none. */
static router_account_t *account_place(router_front_t *front, const zframe_view_t *client)
{
    router_account_t *idle = NULL;
    for (size_t i = 0; i < LIMIT_API_ACCOUNTS; i++) {
        router_account_t *const place = &front->accounts[i];
        if (is_of(place, client)) {
            return place;
        }
        if (idle == NULL && (place->account == NULL || zsocket_account_size(place->account) == 0)) {
            idle = place;
        }
    }
    if (idle == NULL || client->size > sizeof(idle->client)) {
        return NULL;
    }
    if (idle->account == NULL) {
        idle->account = zsocket_account_create();
        if (idle->account == NULL) {
            return NULL;
        }
        front->account_count++;
    }
    memcpy(idle->client, client->data, client->size);
    idle->client_size = client->size;
    return idle;
}

size_t router_accounts_size(const router_front_t *front)
{
    size_t size = 0;
    for (size_t i = 0; i < front->account_count; i++) { /* they are made from the first one on */
        const zsocket_account_t *const account = front->accounts[i].account;
        size += account == NULL ? 0 : zsocket_account_size(account);
    }
    return size;
}

/* A client for which nothing waits always gets one: else those who do not read would take it from
 * those who do. */
bool router_accounts_admit(router_front_t *front, const zframe_view_t *client, size_t size)
{
    if (size <= LIMIT_API_SMALL_REPLY) {
        return true;
    }
    const router_account_t *const place = account_place(front, client);
    if (place == NULL) {
        return false;
    }
    const size_t own = zsocket_account_size(place->account);
    return own == 0 || (own + size <= LIMIT_API_CLIENT_BYTES &&
                        router_accounts_size(front) + size <= LIMIT_API_UNREAD_BYTES);
}

zsocket_account_t *router_accounts_find(router_front_t *front, const zframe_view_t *client,
                                        size_t size)
{
    router_account_t *const place =
        size <= LIMIT_API_SMALL_REPLY ? NULL : account_place(front, client);
    return place == NULL ? NULL : place->account;
}

void router_accounts_end(router_front_t *front)
{
    for (size_t i = 0; i < LIMIT_API_ACCOUNTS; i++) {
        zsocket_account_release(&front->accounts[i].account);
    }
}
