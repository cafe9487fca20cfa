/* What the adapters role does about vendors: puts a question to the vendor of its kind, through the
 * breaker, queue and deadline of (tenant, adapter), and repeats what its port says is safe to
 * repeat. Where there is no vendor it says so at once (NOT_IMPLEMENTED): nothing is queued, and no
 * breaker learns of it. It keeps nothing durable: who asks has the question in his own journal
 * until it is answered. */
#ifndef ACTORS_VENDOR_DESK_H
#define ACTORS_VENDOR_DESK_H

#include "actors/neighbours/neighbour.h"
#include "actors/ports/geography.h"
#include "actors/ports/notification.h"
#include "actors/ports/wallet.h"

typedef struct vendor_desk vendor_desk_t;

typedef struct vendor_desk_ports {
    neighbours_t *neighbours; /* borrowed; destroyed before the desk: that ends every question */
    wallet_t *wallet;         /* NULL: there is no vendor; the same below */
    notification_t *notification;
    geography_t *geography;
} vendor_desk_ports_t;

vendor_desk_t *vendor_desk_create(loop_t *loop, const vendor_desk_ports_t *ports);
void vendor_desk_destroy(vendor_desk_t **desk);
/* Of the three; membership is not one of them. */
bool vendor_desk_has(const vendor_desk_t *desk, neighbour_adapter_t adapter);

/* `answer` is NULL unless `end` is NEIGHBOUR_ANSWERED; never a failure. May come within the call,
 * when the question is not even queued. */
typedef void vendor_wallet_done_t(void *context, neighbour_end_t end,
                                  const wallet_answer_t *answer);
typedef void vendor_notification_done_t(void *context, neighbour_end_t end,
                                        const notification_answer_t *answer);
typedef void vendor_geography_done_t(void *context, neighbour_end_t end,
                                     const geography_answer_t *answer);

/* Copy the question; its `deadline_ms` is that of the whole, repeats included. NOT_IMPLEMENTED:
 * there is no vendor; INVALID_ARGUMENT: a text is longer than LIMIT_VENDOR_TEXT_SIZE. Then `done`
 * does not come. */
MUST_USE result_t vendor_desk_wallet(vendor_desk_t *desk, const wallet_question_t *question,
                                     vendor_wallet_done_t *done, void *context);
MUST_USE result_t vendor_desk_notification(vendor_desk_t *desk,
                                           const notification_question_t *question,
                                           vendor_notification_done_t *done, void *context);
MUST_USE result_t vendor_desk_geography(vendor_desk_t *desk, const geography_question_t *question,
                                        vendor_geography_done_t *done, void *context);

#endif
