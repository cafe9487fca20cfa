/* What the ports to vendors have in common: wallet.h, notification.h, geography.h. Each is
 * implemented by an adapter per vendor; actors ask through vendor_desk.h, which puts the vendor
 * behind its breaker, queue and deadline (neighbour.h).
 *
 * Contract of `ask`, for all three:
 *  - It copies what it needs of the question and never calls `done` itself; `done` comes later on
 *    the loop's thread, exactly once, unless cancelled. What an answer points to is valid during
 *    `done` only.
 *  - Every question ends by its `deadline_ms`, name resolution and TLS included.
 *  - No answer, a late one, one that makes no sense, and whatever the vendor says about itself
 * (5xx, 429, credentials that it does not take) are failures: `failure` says why, for people,
 * without address, name or secret. They count for the breaker, and the desk may ask again.
 *  - That the vendor refuses what was asked (4xx about the question) is an answer: `is_refused`,
 * with a reason. It counts as success for the breaker, and asking again would change nothing.
 *  - The call itself says INVALID_ARGUMENT for a question that cannot be put to this vendor,
 * MISSING when nothing is configured for that tenant, BUSY when it can take no more; then `done`
 * does not come.
 *  - It keeps nothing durable and repeats nothing by itself. */
#ifndef ACTORS_PORTS_VENDOR_H
#define ACTORS_PORTS_VENDOR_H

#include "messages/messages.h"
#include "runtime/limits.h"
#include "runtime/result.h"

typedef struct vendor_call vendor_call_t; /* of the implementation */

typedef struct vendor_answer {
    const char *failure; /* NULL: it answered */
    bool is_refused;     /* it answered that it does not do that; `reason` says why */
    text_t reason;
} vendor_answer_t;

#endif
