/* Breakers as JSON, for `tree`, health and `breaker …`, and the commands on them. */
#ifndef ADAPTERS_CLI_ADAPTERS_STATUS_H
#define ADAPTERS_CLI_ADAPTERS_STATUS_H

#include "actors/neighbours/membership_desk.h"
#include "actors/neighbours/vendor_desk.h"
#include <jansson.h>

/* {"breakers":[…],"open":n,…}: the first LIMIT_BREAKERS_SHOWN that are not as new. With `tenants`
 * false nothing names one: what `tree` and the health page show anybody. */
json_t *adapters_status(const neighbours_t *neighbours, const membership_desk_t *desk,
                        const vendor_desk_t *vendors, bool with_tenants);
/* breaker.list, .open, .close, .reset. NULL: another command. */
json_t *adapters_command(neighbours_t *neighbours, const membership_desk_t *desk,
                         const vendor_desk_t *vendors, const json_t *command);

#endif
