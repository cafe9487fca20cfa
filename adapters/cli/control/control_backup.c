/* What backup and restore need of control data: a tenant's secrets, sealed as they are stored, out
 * as JSON and in again. Opens none of them. */
#include "adapters/cli/control/control_backup.h"

#include "actors/domain/card_id.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static text_t member_text(const json_t *command, const char *name)
{
    const json_t *value = json_object_get(command, name);
    return (text_t){json_string_value(value), json_string_length(value)};
}

/* Exactly `size` bytes. */
static bool hex_read(text_t text, uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    if (text.size != 2 * size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        const char *const digit = text.data[i] == '\0' ? NULL : strchr(digits, text.data[i]);
        if (digit == NULL) {
            return false;
        }
        const uint8_t value = (uint8_t)(digit - digits);
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : bytes[i / 2] | value);
    }
    return true;
}

static bool secret_read(text_t text, uint8_t secret[CONTROL_SECRET_SIZE_MAX], text_t *out)
{
    const size_t size = text.size / 2;
    *out = (text_t){(const char *)secret, size};
    return size > 0 && size <= CONTROL_SECRET_SIZE_MAX && hex_read(text, secret, size);
}

bool control_sealed_read(const json_t *tenant, control_sealed_t *sealed)
{
    const json_t *list = json_object_get(tenant, "keys");
    const json_t *item = NULL;
    size_t i = 0;
    const json_int_t partitions = json_integer_value(json_object_get(tenant, "partitions"));
    sealed->tenant =
        (control_tenant_t){.name = member_text(tenant, "name"),
                           .partitions = (uint32_t)partitions,
                           .created_at = json_integer_value(json_object_get(tenant, "created_at")),
                           .keys = sealed->keys,
                           .key_count = (uint32_t)json_array_size(list)};
    if (!tenant_name_is_valid(sealed->tenant.name) || partitions < 1 ||
        partitions > LIMIT_PARTITIONS || sealed->tenant.key_count < 1 ||
        sealed->tenant.key_count > CONTROL_KEYS_PER_TENANT_MAX ||
        !secret_read(member_text(tenant, "sealed_secret"),
                     sealed->secrets[CONTROL_KEYS_PER_TENANT_MAX], &sealed->tenant.sealed_secret)) {
        return false;
    }
    json_array_foreach(list, i, item)
    {
        const json_int_t kid = json_integer_value(json_object_get(item, "kid"));
        const json_int_t state = json_integer_value(json_object_get(item, "state"));
        control_card_key_t *const key = &sealed->keys[i];
        *key = (control_card_key_t){.kid = (uint32_t)kid,
                                    .state = (uint8_t)state,
                                    .created_at =
                                        json_integer_value(json_object_get(item, "created_at"))};
        if (kid < 1 || kid > UINT32_MAX || state < 0 || state > UINT8_MAX ||
            !secret_read(member_text(item, "sealed"), sealed->secrets[i], &key->sealed_secret)) {
            return false;
        }
    }
    return true;
}

static json_t *adopt(const control_commands_t *commands, control_tenant_t *tenant, bool *changed)
{
    const int64_t now_ms = clock_wall_ms();
    tenant->created_at = now_ms; /* roles tell it from one of that name which they knew */
    const result_t result =
        commands->control->functions->tenant_adopt(commands->control, tenant, now_ms);
    if (result == RESULT_MISSING) {
        return control_error(result, "No restored journal of %.*s is ready",
                             TEXT_PRINT(tenant->name));
    }
    if (result == RESULT_ALREADY_EXISTS) {
        return control_error(result, "The tenant %.*s exists already", TEXT_PRINT(tenant->name));
    }
    if (result != RESULT_OK) {
        return control_error(result, "%s", result_title(result));
    }
    *changed = true;
    return json_pack("{s:{s:s%,s:I}}", "tenant", "name", tenant->name.data, tenant->name.size,
                     "partitions", (json_int_t)tenant->partitions);
}

json_t *control_backup_adopt(const control_commands_t *commands, const json_t *command,
                             bool *changed)
{
    control_sealed_t *sealed = calloc(1, sizeof *sealed);
    assert(sealed != NULL);
    json_t *answer =
        control_sealed_read(command, sealed)
            ? adopt(commands, &sealed->tenant, changed)
            : control_error(RESULT_INVALID_ARGUMENT, "The tenant of the backup cannot be read");
    free(sealed);
    return answer;
}

static json_t *hex_json(text_t bytes)
{
    char text[2 * CONTROL_SECRET_SIZE_MAX + 1];
    assert(bytes.size <= CONTROL_SECRET_SIZE_MAX);
    for (size_t i = 0; i < bytes.size; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", (uint8_t)bytes.data[i]);
    }
    return json_stringn(text, 2 * bytes.size);
}

json_t *control_sealed_json(const control_tenant_t *tenant)
{
    json_t *keys = json_array();
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        const control_card_key_t *const key = &tenant->keys[i];
        (void)json_array_append_new(keys, json_pack("{s:I,s:i,s:I,s:o}", "kid",
                                                    (json_int_t)key->kid, "state", (int)key->state,
                                                    "created_at", (json_int_t)key->created_at,
                                                    "sealed", hex_json(key->sealed_secret)));
    }
    return json_pack("{s:s%,s:I,s:I,s:o,s:o}", "name", tenant->name.data, tenant->name.size,
                     "partitions", (json_int_t)tenant->partitions, "created_at",
                     (json_int_t)tenant->created_at, "sealed_secret",
                     hex_json(tenant->sealed_secret), "keys", keys);
}

static bool visit_sealed(void *context, const control_tenant_t *tenant)
{
    *(json_t **)context = control_sealed_json(tenant);
    return false;
}

/* For a backup: what is sealed under the master key, as it is. */
json_t *control_backup_sealed(const control_commands_t *commands, const json_t *command,
                              bool *changed)
{
    (void)changed;
    json_t *sealed = NULL;
    const text_t name = member_text(command, "name");
    const result_t result =
        commands->control->functions->tenant(commands->control, name, visit_sealed, &sealed);
    if (result == RESULT_MISSING) {
        return control_error(RESULT_TENANT_NOT_FOUND, "There is no tenant %.*s", TEXT_PRINT(name));
    }
    return result == RESULT_OK ? json_pack("{s:o,s:b}", "tenant", sealed, "is_postgres",
                                           commands->is_postgres ? 1 : 0)
                               : control_error(result, "%s", result_title(result));
}
