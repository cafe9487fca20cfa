/* Feature flags as control commands: rows in, JSON out. Evaluates none of them. */
#include "adapters/cli/control/control_flags.h"

#include "actors/domain/flag.h"
#include "messages/rfc3339.h"
#include "runtime/clock.h"
#include <assert.h>

static text_t member(const json_t *command, const char *name)
{
    const json_t *value = json_object_get(command, name);
    return (text_t){json_string_value(value), json_string_length(value)};
}

static json_t *known_names(void)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < FLAG_COUNT; i++) {
        const text_t name = flag_name((flag_t)i);
        const text_t about = flag_about((flag_t)i);
        (void)json_array_append_new(names, json_pack("{s:s%,s:s%}", "name", name.data, name.size,
                                                     "about", about.data, about.size));
    }
    return names;
}

static json_t *flag_error(result_t result, const json_t *command)
{
    if (result == RESULT_MISSING) {
        const text_t tenant = member(command, "tenant");
        return control_error(result, "There is no tenant %.*s, or the flag is not set for it",
                             (int)(tenant.size < 64 ? tenant.size : 64), tenant.data);
    }
    return control_error(result, "%s", result_title(result));
}

static bool visit_list(void *context, const flag_setting_t *setting)
{
    json_t *list = context;
    flag_t flag;
    char time[RFC3339_TEXT_SIZE];
    if (setting->is_set) {
        rfc3339_format(setting->changed_at, time);
        (void)json_array_append_new(
            list, json_pack("{s:s%,s:s%,s:i,s:s%,s:b}", "tenant", setting->tenant.data,
                            setting->tenant.size, "name", setting->name.data, setting->name.size,
                            "percent", (int)setting->percent, "changed_at", time, sizeof time,
                            "known", flag_parse(setting->name, &flag)));
    }
    return true;
}

json_t *control_flag_list(const control_commands_t *commands, const json_t *command, bool *changed)
{
    (void)changed;
    flags_t *const flags = commands->flags;
    json_t *list = json_array();
    const result_t result =
        flags == NULL
            ? RESULT_NOT_IMPLEMENTED
            : flags->functions->visit(flags, member(command, "tenant"), 0, visit_list, list);
    if (result != RESULT_OK) {
        json_decref(list);
        return flag_error(result, command);
    }
    return json_pack("{s:o,s:o}", "known", known_names(), "flags", list);
}

/* NULL: `flag` is one that this version knows. */
static json_t *check_name(const json_t *command, flag_t *flag)
{
    const text_t name = member(command, "name");
    if (flag_parse(name, flag)) {
        return NULL;
    }
    return control_error(RESULT_INVALID_ARGUMENT,
                         "There is no flag %.*s; see `digitalcard flag list`",
                         (int)(name.size < 64 ? name.size : 64), name.data);
}

json_t *control_flag_set(const control_commands_t *commands, const json_t *command, bool *changed)
{
    flag_t flag;
    flags_t *const flags = commands->flags;
    const json_t *percent = json_object_get(command, "percent");
    const json_int_t value = json_integer_value(percent);
    json_t *problem = check_name(command, &flag);
    if (problem != NULL) {
        return problem;
    }
    if (!json_is_integer(percent) || value < 0 || value > FLAG_PERCENT_MAX) {
        return control_error(RESULT_INVALID_ARGUMENT, "The percentage must be 0 to 100");
    }
    const result_t result =
        flags == NULL ? RESULT_NOT_IMPLEMENTED
                      : flags->functions->set(flags, member(command, "tenant"), flag_name(flag),
                                              (uint8_t)value, clock_wall_ms());
    if (result != RESULT_OK) {
        return flag_error(result, command);
    }
    *changed = true;
    return json_pack("{s:O,s:O,s:O}", "tenant", json_object_get(command, "tenant"), "name",
                     json_object_get(command, "name"), "percent", percent);
}

/* Also of a flag that this version does not know any more. */
json_t *control_flag_unset(const control_commands_t *commands, const json_t *command, bool *changed)
{
    flags_t *const flags = commands->flags;
    const result_t result = flags == NULL
                                ? RESULT_NOT_IMPLEMENTED
                                : flags->functions->unset(flags, member(command, "tenant"),
                                                          member(command, "name"), clock_wall_ms());
    if (result != RESULT_OK) {
        return flag_error(result, command);
    }
    *changed = true;
    return json_pack("{s:O,s:O,s:n}", "tenant", json_object_get(command, "tenant"), "name",
                     json_object_get(command, "name"), "percent");
}
