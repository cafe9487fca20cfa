/* XPUB socket of the relay (DESIGN 3.4): frames [topic, header, body]. */
#ifndef ADAPTERS_EVENTS_EVENTS_PUBLISHER_H
#define ADAPTERS_EVENTS_EVENTS_PUBLISHER_H

#include "messages/text.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct events_publisher events_publisher_t;
typedef void
events_subscription_t(void *context,
                      text_t topic); /* prefix as the subscriber gave it, at most 128 bytes */

/* Each (un)subscription is reported (XPUB_VERBOSER), also repeated ones. For a subscriber that has
 * not read `messages_max` messages the next ones are dropped. */
MUST_USE result_t events_publisher_create(loop_t *loop, metrics_t *metrics, const char *endpoint,
                                          int listen_descriptor, uint32_t messages_max,
                                          events_subscription_t *subscribed,
                                          events_subscription_t *unsubscribed, void *context,
                                          events_publisher_t **publisher);
void events_publisher_destroy(events_publisher_t **publisher);
MUST_USE result_t events_publisher_send(events_publisher_t *publisher, text_t topic,
                                        const uint8_t *header, size_t header_size,
                                        const uint8_t *body, size_t body_size);

#endif
