/* The control commands "tenant.sealed" and "tenant.adopt" (control_commands.h). */
#ifndef ADAPTERS_CLI_CONTROL_BACKUP_H
#define ADAPTERS_CLI_CONTROL_BACKUP_H

#include "adapters/cli/control/control_commands.h"

json_t *control_backup_sealed(const control_commands_t *commands, const json_t *command,
                              bool *changed);
json_t *control_backup_adopt(const control_commands_t *commands, const json_t *command,
                             bool *changed);

/* The JSON that both speak. */
json_t *control_sealed_json(const control_tenant_t *tenant);
/* Back again, for whoever asked "tenant.sealed"; false when it is none. */
typedef struct control_sealed {
    control_tenant_t tenant; /* points into the rest, and its name into the JSON */
    control_card_key_t keys[CONTROL_KEYS_PER_TENANT_MAX];
    uint8_t secrets[CONTROL_KEYS_PER_TENANT_MAX + 1][CONTROL_SECRET_SIZE_MAX];
} control_sealed_t;
MUST_USE bool control_sealed_read(const json_t *tenant, control_sealed_t *sealed);

#endif
