/* store migrate: brings the control store and every journal to the schema of this program, ahead of
 * the first use that would do it. While a service runs, it must be of the same schemas: an older
 * one would be left with files that it does not know. */
#include "adapters/cli/control/control_client.h"

#include "adapters/cli/control/control_commands.h"
#include "adapters/cli/stores.h"
#include "runtime/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 3 };

typedef struct migrate_arguments {
    configuration_t configuration;
    const char *tenant;
    bool json;
} migrate_arguments_t;

static json_t *report_make(const char *store, const char *tenant, result_t result,
                           const migration_outcome_t *outcome)
{
    json_t *report =
        json_pack("{s:s,s:I,s:I,s:s}", "store", store, "found", (json_int_t)outcome->found, "known",
                  (json_int_t)outcome->known, "result", result_code(result));
    if (tenant != NULL) {
        (void)json_object_set_new(report, "tenant", json_string(tenant));
    }
    return report;
}

/* False after saying why not. No service, or one that cannot answer now, is told by the commands
 * that follow. */
static bool service_is_alike(const configuration_t *configuration)
{
    json_t *tree = control_client_look(configuration, json_pack("{s:s}", "command", "tree"));
    if (tree == NULL) {
        return true;
    }
    json_decref(tree);
    json_t *answer =
        control_client_look(configuration, json_pack("{s:s}", "command", "store.schema"));
    json_t *known = control_schemas();
    const bool is_alike = json_equal(json_object_get(answer, "schemas"), known) != 0;
    json_decref(known);
    json_decref(answer);
    if (!is_alike) {
        (void)command_fail("the service that runs on %s is of another version: stop it, migrate, "
                           "then start the new one",
                           configuration->texts.data);
    }
    return is_alike;
}

/* The tenants, whose reading brings the control store up to date when no service has. */
static json_t *tenants_read(const migrate_arguments_t *arguments)
{
    json_t *command = arguments->tenant == NULL ? json_pack("{s:s}", "command", "tenant.list")
                                                : json_pack("{s:s,s:s}", "command", "tenant.show",
                                                            "name", arguments->tenant);
    json_t *answer = control_client_execute(&arguments->configuration, command, false);
    json_t *one = json_object_get(answer, "tenant");
    json_t *list =
        one != NULL ? json_pack("[O]", one) : json_incref(json_object_get(answer, "tenants"));
    json_decref(answer);
    return list;
}

static void print_report(const json_t *report)
{
    const char *const tenant = json_string_value(json_object_get(report, "tenant"));
    const char *const result = json_string_value(json_object_get(report, "result"));
    const json_int_t found = json_integer_value(json_object_get(report, "found"));
    const json_int_t known = json_integer_value(json_object_get(report, "known"));
    (void)printf("%-39s  ", tenant == NULL ? "(control store)" : tenant);
    if (strcmp(result, result_code(RESULT_SCHEMA_TOO_NEW)) == 0) {
        (void)printf("FAILED: schema %lld, this program knows %lld: run the newer version\n",
                     (long long)found, (long long)known);
    } else if (strcmp(result, "ok") != 0) {
        (void)printf("FAILED: %s\n", result);
    } else if (found == known) {
        (void)printf("schema %lld, nothing to do\n", (long long)known);
    } else {
        (void)printf("schema %lld, was %lld\n", (long long)known, (long long)found);
    }
}

static bool migrate(const migrate_arguments_t *arguments, json_t *reports)
{
    const char *const data = arguments->configuration.texts.data;
    const char *const store = arguments->configuration.texts.store;
    const bool is_postgres = stores_is_postgres(store);
    const json_t *tenant = NULL;
    size_t i = 0;
    bool is_good = true;
    migration_outcome_t outcome;
    log_set_level(LOG_SILENT_LEVEL);
    const result_t looked = stores_control_schema(store, data, &outcome, NULL, 0);
    json_t *tenants = tenants_read(arguments);
    if (tenants == NULL) {
        return false;
    }
    (void)json_array_append_new(
        reports,
        report_make(is_postgres ? "control_postgres" : "control_sqlite", NULL, looked, &outcome));
    json_array_foreach(tenants, i, tenant)
    {
        const char *const name = json_string_value(json_object_get(tenant, "name"));
        const result_t result = stores_migrate(store, data, text_from_c(name), &outcome);
        is_good = is_good && result == RESULT_OK;
        (void)json_array_append_new(reports,
                                    report_make(is_postgres ? "journal_postgres" : "journal_sqlite",
                                                name, result, &outcome));
    }
    json_decref(tenants);
    return is_good;
}

int command_store_migrate(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    migrate_arguments_t arguments = {0};
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &arguments.tenant, "Only this one (all)");
    count += configuration_options(&arguments.configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments.json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, &status)) {
        return status;
    }
    if (!configuration_load_for(&arguments.configuration, &status)) {
        return status;
    }
    const json_t *report = NULL;
    size_t i = 0;
    json_t *reports = json_array();
    const bool is_good = service_is_alike(&arguments.configuration) && migrate(&arguments, reports);
    configuration_release(&arguments.configuration);
    json_array_foreach(reports, i, report)
    {
        if (!arguments.json) {
            print_report(report);
        }
    }
    if (arguments.json && json_array_size(reports) > 0) {
        (void)command_print_json(json_pack("{s:b,s:O}", "migrated", is_good, "stores", reports));
    }
    json_decref(reports);
    return is_good ? EXIT_OK : EXIT_FAILED;
}
