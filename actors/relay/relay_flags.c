/* Changed feature flags as operational events. The relay reads the rows that changed since it last
 * looked, whoever changed them; what changed while there was no relay is not told, since such
 * events are no history. Must not evaluate a flag. */
#include "actors/relay/relay_internal.h"
#include "runtime/log.h"

static bool note(void *context, const flag_setting_t *setting)
{
    relay_t *relay = context;
    relay->flag_change = setting->change;
    return true;
}

static bool tell(void *context, const flag_setting_t *setting)
{
    relay_t *relay = context;
    relay->flag_change = setting->change;
    if (!relay_has_subscribers(relay) || setting->tenant.size > LIMIT_TENANT_NAME_SIZE) {
        return true;
    }
    flag_changed_t body = {0};
    MESSAGE_SET(flag_changed, &body, flag, setting->name);
    if (setting->is_set) {
        MESSAGE_SET(flag_changed, &body, percent, setting->percent);
    }
    relay_publish_operational(relay, setting->tenant, operational_name_flag_changed,
                              setting->changed_at, &flag_changed_message, &body);
    return true;
}

static void look(relay_t *relay, flag_visit_t *visit)
{
    flags_t *store = relay->ports.flags;
    if (store == NULL) {
        return;
    }
    const result_t result =
        store->functions->visit(store, TEXT_NONE, relay->flag_change, visit, relay);
    if (result != RESULT_OK) {
        log_warn("changes of flags cannot be read; they are told later",
                 LOG_STRING("code", result_code(result)));
    }
}

void relay_flags_begin(relay_t *relay)
{
    look(relay, note);
}

void relay_flags_poll(relay_t *relay)
{
    look(relay, tell);
}
