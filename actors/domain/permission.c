/* Looks up permissions.def. What the table does not name is forbidden, so that a request type or a
 * role that is added elsewhere is closed until somebody opens it here. No tenant or ownership
 * checks: those need to know the card. */
#include "actors/domain/card.h"

#define YES 1U
#define NO 0U

enum { ROLE_COUNT = 7, REQUEST_TYPE_COUNT = 65 };

/* Bit r: role r may. */
static const uint8_t roles_by_request_type[REQUEST_TYPE_COUNT] = {
#define PERMISSION(type, platform_admin, tenant_admin, issuer, validator, auditor, member)         \
    [request_type_##type] =                                                                        \
        (uint8_t)((platform_admin) << role_platform_admin | (tenant_admin) << role_tenant_admin |  \
                  (issuer) << role_issuer | (validator) << role_validator |                        \
                  (auditor) << role_auditor | (member) << role_member),
#include "actors/domain/permissions.def"
#undef PERMISSION
};

bool permission_allows(uint8_t role, uint8_t request_type)
{
    if (role == role_none || role >= ROLE_COUNT || request_type >= REQUEST_TYPE_COUNT) {
        return false;
    }
    return ((roles_by_request_type[request_type] >> role) & 1U) != 0;
}
