/* The three vendor ports (actors/ports/vendor.h) over HTTP, as a vendor's adapter would do it, to
 * tests/peers/vendor.mjs: POST with a JSON document. For tests: what it sends is only as much as a
 * fake needs. */
#ifndef TESTS_SUPPORT_HTTP_VENDOR_H
#define TESTS_SUPPORT_HTTP_VENDOR_H

#include "actors/neighbours/neighbour.h"
#include "actors/ports/geography.h"
#include "actors/ports/http_client.h"
#include "actors/ports/notification.h"
#include "actors/ports/wallet.h"

typedef struct http_vendor {
    wallet_t wallet; /* each port finds its vendor by its own place in this struct */
    notification_t notification;
    geography_t geography;
    http_calls_t *client;
    uint16_t port;
    const char *modes[NEIGHBOUR_ADAPTERS]; /* first part of the path: what goes wrong there */
    uint32_t asked[NEIGHBOUR_ADAPTERS];
    uint32_t cancelled;
} http_vendor_t;

void http_vendor_init(http_vendor_t *vendor, http_calls_t *client, uint16_t port, bool is_keyed);

#endif
