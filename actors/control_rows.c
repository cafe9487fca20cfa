/* Rows of a control store: see the header. */
#include "actors/control_rows.h"

#include "actors/domain/card_id.h"
#include "runtime/limits.h"

bool control_quotas_are_valid(const control_quotas_t *quotas)
{
    return quotas->cards <= CONTROL_QUOTA_MAX && quotas->storage <= CONTROL_QUOTA_MAX &&
           quotas->rate <= CONTROL_QUOTA_RATE_MAX;
}

bool control_tenant_is_valid(const control_tenant_t *tenant, bool is_new)
{
    const uint32_t keys_max = is_new ? 1 : CONTROL_KEYS_PER_TENANT_MAX;
    if (!tenant_name_is_well_formed(tenant->name) || tenant->partitions < 1 ||
        tenant->partitions > LIMIT_PARTITIONS || tenant->key_count < 1 ||
        tenant->key_count > keys_max) {
        return false;
    }
    bool fits = tenant->sealed_secret.size <= CONTROL_SECRET_SIZE_MAX;
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        fits = fits && tenant->keys[i].sealed_secret.size <= CONTROL_SECRET_SIZE_MAX;
    }
    return fits;
}
