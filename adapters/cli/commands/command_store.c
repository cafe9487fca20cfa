/* store verify, and the commands of this group that other issues bring. */
#include "adapters/cli/control/control_client.h"

#include "adapters/cli/commands/answer.h"
#include "adapters/cli/commands/verify_models.h"
#include "adapters/cli/stores.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 3 };

typedef struct store_arguments {
    configuration_t configuration;
    const char *tenant;
    bool json;
} store_arguments_t;

static bool begin(const command_t *command, int argc, char **argv, store_arguments_t *arguments,
                  const char **file, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Only this one (all)");
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse_optional(command, argc, argv, options, count, file, status)) {
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

static json_t *tenant_names(const store_arguments_t *arguments)
{
    json_t *names = json_array();
    const json_t *tenant = NULL;
    size_t i = 0;
    json_t *answer =
        arguments->tenant == NULL
            ? control_client_execute(&arguments->configuration,
                                     json_pack("{s:s}", "command", "tenant.list"), false)
            : control_client_execute(
                  &arguments->configuration,
                  json_pack("{s:s,s:s}", "command", "tenant.show", "name", arguments->tenant),
                  false);
    if (answer == NULL) {
        json_decref(names);
        return NULL;
    }
    if (arguments->tenant != NULL) {
        (void)json_array_append_new(names, json_string(arguments->tenant));
    }
    json_array_foreach(json_object_get(answer, "tenants"), i, tenant)
    {
        (void)json_array_append(names, json_object_get(tenant, "name"));
    }
    json_decref(answer);
    return names;
}

/* One report: what stores_verify says, with the tenant's name and the result. */
static json_t *verify_tenant(const configuration_texts_t *texts, const char *name, bool *sound)
{
    char *text = NULL;
    result_t result = stores_verify(texts->store, texts->data, text_from_c(name), &text);
    json_t *report = text == NULL ? NULL : json_loads(text, 0, NULL);
    free(text);
    if (report == NULL) {
        report = json_object();
    }
    /* A journal that is not sound has no fold to hold anything against. */
    if (result == RESULT_OK) {
        result = models_verify(texts->store, texts->data, text_from_c(name), report);
    }
    (void)json_object_set_new(report, "tenant", json_string(name));
    (void)json_object_set_new(report, "result", json_string(result_code(result)));
    *sound = *sound && result == RESULT_OK;
    return report;
}

/* A line for the tenant, and one for each problem below it. */
static void print_report(const json_t *report)
{
    const json_t *problem = NULL;
    size_t i = 0;
    const char *const result = answer_text(report, "result");
    const bool is_sound = strcmp(result, "ok") == 0;
    const bool is_damaged = strcmp(result, result_code(RESULT_STORE_CORRUPT)) == 0;
    (void)printf("%-39s  %s", answer_text(report, "tenant"),
                 is_sound ? "sound  " : (is_damaged ? "DAMAGED" : "UNREAD"));
    if (json_object_get(report, "events") != NULL) { /* else nothing could be counted */
        (void)printf("  %lld events of %lld cards, partitions: %lld",
                     answer_number(report, "events"), answer_number(report, "cards"),
                     answer_number(report, "partitions"));
    }
    const json_t *const models = json_object_get(report, "read_models");
    if (models != NULL) {
        (void)printf(", read models: %s", answer_text(models, "result"));
    }
    (void)printf("%s%s%s\n", is_sound ? "" : "  (", is_sound ? "" : result, is_sound ? "" : ")");
    json_array_foreach(json_object_get(report, "problems"), i, problem)
    {
        (void)printf("  not so: %s: %s\n", answer_text(problem, "check"),
                     answer_text(problem, "found"));
    }
}

int command_store_verify(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    store_arguments_t arguments = {0};
    bool sound = true;
    const json_t *name = NULL;
    const char *file = NULL;
    size_t i = 0;
    if (!begin(command, argc, argv, &arguments, &file, &status)) {
        return status;
    }
    if (file != NULL) {
        configuration_release(&arguments.configuration);
        return command_verify_file(file, arguments.json);
    }
    json_t *names = tenant_names(&arguments);
    json_t *reports = json_array();
    json_array_foreach(names, i, name)
    {
        json_t *report =
            verify_tenant(&arguments.configuration.texts, json_string_value(name), &sound);
        if (!arguments.json) {
            print_report(report);
        }
        (void)json_array_append_new(reports, report);
    }
    const bool listed = names != NULL;
    json_decref(names);
    configuration_release(&arguments.configuration);
    if (listed && arguments.json) {
        (void)command_print_json(json_pack("{s:b,s:O}", "sound", sound, "tenants", reports));
    }
    json_decref(reports);
    return listed && sound ? EXIT_OK : EXIT_FAILED;
}

int command_audit_verify(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    store_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, NULL, &status)) {
        return status;
    }
    configuration_release(&arguments.configuration);
    return command_fail("%s: not built yet", command->words);
}
