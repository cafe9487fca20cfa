/* store rebuild: read models made anew. With a service, its relay does it beside the ones in use;
 * without one, they are removed and the next start makes them. Cards and rollups are folded
 * together (docs/decisions/0009), so whichever is asked for, both are new. */
#include "adapters/cli/control/control_client.h"

#include "adapters/cli/data_directory.h"
#include "adapters/cli/stores.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 3, LOOK_MS = 100 };

typedef struct rebuild_arguments {
    configuration_t configuration;
    const char *tenant;
    bool json;
} rebuild_arguments_t;

static bool is_projection(const char *name)
{
    return strcmp(name, "cards") == 0 || strcmp(name, "rollups") == 0 || strcmp(name, "all") == 0;
}

static bool begin(const command_t *command, int argc, char **argv, rebuild_arguments_t *arguments,
                  int *status)
{
    option_t options[OPTIONS_MAX];
    const char *projection = NULL;
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Only this one (all)");
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &projection, 1, status)) {
        return false;
    }
    if (!is_projection(projection)) {
        *status = command_misuse(
            command, "there is no projection %s; they are cards, rollups and all", projection);
        return false;
    }
    *status = EXIT_FAILED;
    return configuration_load(&arguments->configuration);
}

static json_t *look(const rebuild_arguments_t *arguments, const char *name)
{
    return control_client_ask_service(
        &arguments->configuration,
        json_pack("{s:s,s:s}", "command", "store.rebuild.look", "tenant", name));
}

/* Waits for the end, as long as the service says that it goes on. NULL after saying why not. */
static json_t *rebuild_by_service(const rebuild_arguments_t *arguments, const char *name)
{
    json_t *answer = control_client_execute(
        &arguments->configuration,
        json_pack("{s:s,s:s}", "command", "store.rebuild", "tenant", name), false);
    while (answer != NULL && json_is_true(json_object_get(answer, "running"))) {
        json_decref(answer);
        (void)poll(NULL, 0, LOOK_MS);
        answer = look(arguments, name);
    }
    return answer;
}

static bool say(const rebuild_arguments_t *arguments, const char *name, json_t *answer,
                json_t *reports)
{
    const char *result = json_string_value(json_object_get(answer, "result"));
    const bool is_good = result != NULL && strcmp(result, "ok") == 0;
    if (!is_good) {
        (void)command_fail("%s: %s", name, result == NULL ? "no answer" : result);
    } else if (!arguments->json) {
        (void)printf("%-39s  %lld events\n", name,
                     json_integer_value(json_object_get(answer, "folded")));
    }
    (void)json_object_set_new(answer, "tenant", json_string(name));
    (void)json_array_append(reports, answer);
    return is_good;
}

/* No service runs: what there is goes. */
static json_t *rebuild_here(const rebuild_arguments_t *arguments, const char *name)
{
    const result_t result =
        stores_projections_remove(arguments->configuration.texts.store,
                                  arguments->configuration.texts.data, text_from_c(name));
    return json_pack("{s:s,s:i}", "result", result_code(result), "folded", 0);
}

static bool is_served(const rebuild_arguments_t *arguments, data_directory_t *directory)
{
    char error[1024];
    *directory = (data_directory_t){.lock = -1};
    return data_directory_open(arguments->configuration.texts.data, false, directory, error,
                               sizeof error) != RESULT_OK ||
           data_directory_lock(directory, error, sizeof error) != RESULT_OK;
}

static json_t *tenant_names(const rebuild_arguments_t *arguments)
{
    json_t *names = json_array();
    const json_t *tenant = NULL;
    size_t i = 0;
    json_t *answer = control_client_execute(
        &arguments->configuration,
        arguments->tenant == NULL
            ? json_pack("{s:s}", "command", "tenant.list")
            : json_pack("{s:s,s:s}", "command", "tenant.show", "name", arguments->tenant),
        false);
    if (answer != NULL && arguments->tenant != NULL) {
        (void)json_array_append_new(names, json_string(arguments->tenant));
    }
    json_array_foreach(json_object_get(answer, "tenants"), i, tenant)
    {
        (void)json_array_append(names, json_object_get(tenant, "name"));
    }
    const bool is_known = answer != NULL;
    json_decref(answer);
    if (!is_known) {
        json_decref(names);
        return NULL;
    }
    return names;
}

static bool rebuild_all(const rebuild_arguments_t *arguments, const json_t *names, json_t *reports)
{
    data_directory_t directory;
    const json_t *name = NULL;
    size_t i = 0;
    bool is_good = true;
    const bool by_service = is_served(arguments, &directory);
    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name);
        json_t *answer =
            by_service ? rebuild_by_service(arguments, text) : rebuild_here(arguments, text);
        is_good = answer != NULL && say(arguments, text, answer, reports) && is_good;
        json_decref(answer);
    }
    data_directory_close(&directory);
    if (!by_service && is_good && !arguments->json) {
        (void)printf("no service runs: they are made anew when one starts\n");
    }
    return is_good;
}

int command_store_rebuild(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    rebuild_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    json_t *names = tenant_names(&arguments);
    json_t *reports = json_array();
    const bool is_good = names != NULL && rebuild_all(&arguments, names, reports);
    configuration_release(&arguments.configuration);
    if (names != NULL && arguments.json) {
        (void)command_print_json(json_pack("{s:O}", "tenants", reports));
    }
    json_decref(reports);
    json_decref(names);
    return is_good ? EXIT_OK : EXIT_FAILED;
}
