/* tree: what the supervisor says of its roles, as a picture. */
#include "adapters/cli/commands/tree_values.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- tree --- */

/* Actors and mailboxes, as the shard describes them: one line per kind. */
static void print_actors(const json_t *role, const char *stem)
{
    const json_t *status = json_object_get(role, "status");
    const json_t *kind = NULL;
    size_t i = 0;
    if (json_is_string(status)) {
        (void)printf("%s      %s\n", stem, json_string_value(status));
    }
    json_array_foreach(json_object_get(status, "actors"), i, kind)
    {
        (void)printf(
            "%s      actors %-8s active %lld, messages waiting %lld, deepest mailbox %lld, "
            "handled %lld, handler p50 %lld us p99 %lld us max %lld us, failures %lld, restarts "
            "%lld\n",
            stem, text_of(kind, "kind"), number_of(kind, "active"),
            number_of(kind, "messages_waiting"), number_of(kind, "mailbox_depth_max"),
            number_of(kind, "messages_handled"), number_of(kind, "handler_us_p50"),
            number_of(kind, "handler_us_p99"), number_of(kind, "handler_us_max"),
            number_of(kind, "failures"), number_of(kind, "restarts"));
    }
    if (json_object_get(status, "actor_bytes_max") != NULL) {
        (void)printf("%s      memory of actors %.1f of %.1f MB, %lld activations at once\n", stem,
                     mib_of(status, "actor_bytes"), mib_of(status, "actor_bytes_max"),
                     number_of(status, "activations_max"));
    }
}

/* Breakers that are not closed, as the adapters role describes them: one line each. */
static void print_breakers(const json_t *role, const char *stem)
{
    const json_t *breaker = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(json_object_get(role, "status"), "breakers"), i, breaker)
    {
        const char *error = text_of(breaker, "last_error");
        (void)printf("%s      breaker %-12s %s since %lld s%s, failed %lld, not asked %lld%s%s\n",
                     stem, text_of(breaker, "adapter"), text_of(breaker, "state"),
                     number_of(breaker, "changed_ms_ago") / 1000,
                     json_is_true(json_object_get(breaker, "by_hand")) ? " by hand" : "",
                     number_of(breaker, "failed"), number_of(breaker, "not_asked"),
                     *error == '\0' ? "" : ", last error: ", error);
    }
}

static void print_role(const json_t *role, bool last)
{
    char uptime[32];
    const char *exit_text = text_of(role, "last_exit");
    print_duration(number_of(role, "uptime_ms"), uptime, sizeof uptime);
    (void)printf("%s %-10s %-9s pid %-7lld up %-8s restarts %-3lld rss %.1f MB pss %.1f MB%s%s\n",
                 last ? "└─" : "├─", text_of(role, "name"), text_of(role, "state"),
                 number_of(role, "pid"), uptime, number_of(role, "restarts"),
                 mib_of(role, "rss_bytes"), mib_of(role, "pss_bytes"),
                 *exit_text == '\0' ? "" : "; before: ", exit_text);
    print_actors(role, last ? "  " : "│ ");
    print_breakers(role, last ? "  " : "│ ");
}

static void print_tree(const json_t *tree)
{
    char uptime[32];
    const json_t *service = json_object_get(tree, "service");
    const json_t *roles = json_object_get(tree, "roles");
    const json_t *role = NULL;
    size_t i = 0;
    print_duration(number_of(service, "uptime_ms"), uptime, sizeof uptime);
    (void)printf("digitalcard %s  %s  pid %lld up %s rss %.1f MB pss %.1f MB\n",
                 text_of(service, "version"),
                 json_is_true(json_object_get(service, "ready")) ? "ready" : "NOT READY",
                 number_of(service, "pid"), uptime, mib_of(service, "rss_bytes"),
                 mib_of(service, "pss_bytes"));
    json_array_foreach(roles, i, role)
    {
        print_role(role, i + 1 == json_array_size(roles));
    }
}

bool tree_begin(const command_t *command, int argc, char **argv, configuration_t *configuration,
                const option_t *own, size_t own_count, int *status)
{
    option_t options[TREE_OPTIONS_OWN_MAX + CONFIGURATION_SETTINGS + 1];
    assert(own_count <= TREE_OPTIONS_OWN_MAX);
    memcpy(options, own, own_count * sizeof own[0]);
    const size_t count =
        own_count + configuration_options(configuration, false, options + own_count);
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, status)) {
        return false;
    }
    return configuration_load_for(configuration, status);
}

int command_tree(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    bool json = false;
    configuration_t configuration = {0};
    const option_t own = OPTION_FLAG("json", &json, "Print JSON");
    if (!tree_begin(command, argc, argv, &configuration, &own, 1, &status)) {
        return status;
    }
    json_t *tree =
        control_client_ask_service(&configuration, json_pack("{s:s}", "command", "tree"));
    configuration_release(&configuration);
    if (tree == NULL) {
        return EXIT_FAILED;
    }
    if (json) {
        return command_print_json(tree);
    }
    print_tree(tree);
    json_decref(tree);
    return EXIT_OK;
}
