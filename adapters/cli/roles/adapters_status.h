/* Breakers as JSON, for `tree`, health and `breaker …`, and the commands on them. */
#ifndef ADAPTERS_CLI_ADAPTERS_STATUS_H
#define ADAPTERS_CLI_ADAPTERS_STATUS_H

#include "actors/neighbours/membership_desk.h"
#include "actors/neighbours/vendor_desk.h"
#include <jansson.h>

/* What there is to be seen of the role; all borrowed. */
typedef struct adapters_view {
    neighbours_t *neighbours;
    const membership_desk_t *desk;
    const vendor_desk_t *vendors;
    control_store_t *control;
} adapters_view_t;

/* {"actors":[…],"breakers":[…],"breakers_open":n,…}: the first LIMIT_BREAKERS_SHOWN breakers that
 * are not as new, of `tenant` or, when it is empty, of all, and how many more there are
 * (`breakers_left_out`). With `with_tenants` false nothing names a tenant: what `tree` and the
 * health page show anybody. */
json_t *adapters_status(const adapters_view_t *view, bool with_tenants, text_t tenant);

/* Takes the document over. */
typedef void adapters_answer_t(void *context, json_t *document);
/* breaker.list, .open, .close, .reset: `answer` comes once, at once or when the breaker has done
 * it; `view` stays until then. False: another command, and no answer comes. */
bool adapters_command(const adapters_view_t *view, const json_t *request, adapters_answer_t *answer,
                      void *context);

#endif
