/* What a control store may be given, whichever store it is: checked here before it is written. */
#ifndef ACTORS_CONTROL_ROWS_H
#define ACTORS_CONTROL_ROWS_H

#include "actors/ports/control_store.h"

/* Within CONTROL_QUOTA_MAX and CONTROL_QUOTA_RATE_MAX. */
bool control_quotas_are_valid(const control_quotas_t *quotas);
/* Name, partitions, number of keys (one when it is new) and sizes of sealed secrets. */
bool control_tenant_is_valid(const control_tenant_t *tenant, bool is_new);

#endif
