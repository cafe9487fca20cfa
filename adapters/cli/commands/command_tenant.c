/* tenant create|list|show|delete: arguments in, one control command, its answer out. */
#include "actors/domain/card_id.h"
#include "adapters/cli/command.h"
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/commands/backup.h"
#include "adapters/cli/control/control_client.h"
#include "adapters/cli/stores.h"
#include "runtime/limits.h"
#include <limits.h>
#include <stdio.h>

typedef struct tenant_arguments {
    configuration_t configuration;
    uint64_t partitions;
    uint64_t max_cards; /* QUOTA_NOT_GIVEN: as it is */
    uint64_t max_storage;
    uint64_t max_rate;
    bool json;
    bool yes;
    bool without_backup;
    const char *name;
} tenant_arguments_t;

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 6, QUOTAS = 3 };
#define QUOTA_NOT_GIVEN UINT64_MAX

/* Parses, and loads the configuration. False: end with `status`. */
static bool begin(const command_t *command, int argc, char **argv, tenant_arguments_t *arguments,
                  const option_t *own, size_t own_count, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    for (; count < own_count; count++) {
        options[count] = own[count];
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    const size_t plain = *command->arguments == '\0' ? 0 : 1;
    if (!arguments_parse(command, argc, argv, options, count, &arguments->name, plain, status)) {
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

static int finish(tenant_arguments_t *arguments, json_t *answer,
                  void (*print)(const json_t *answer))
{
    configuration_release(&arguments->configuration);
    return answer_finish(answer, arguments->json, print);
}

/* `used` names the member of the usage beside it; NULL: nothing is counted. */
static void print_quota(const json_t *tenant, const char *name, const char *label, const char *unit,
                        const char *used)
{
    const json_t *quota = json_object_get(json_object_get(tenant, "quotas"), name);
    const json_t *usage = json_object_get(tenant, "usage");
    if (json_is_integer(quota)) {
        (void)printf("%-11s  %lld%s", label, (long long)json_integer_value(quota), unit);
    } else {
        (void)printf("%-11s  none", label);
    }
    if (used != NULL && json_is_object(usage)) {
        (void)printf(", %lld%s in use", answer_number(usage, used), unit);
    }
    (void)printf("\n");
}

/* Adds to a command the quotas that were given. */
static void put_quotas(const tenant_arguments_t *arguments, json_t *command)
{
    const struct {
        const char *name;
        uint64_t value;
    } given[QUOTAS] = {{"max_cards", arguments->max_cards},
                       {"max_storage", arguments->max_storage},
                       {"max_rate", arguments->max_rate}};
    for (size_t i = 0; i < QUOTAS; i++) {
        if (given[i].value != QUOTA_NOT_GIVEN) {
            const json_int_t value =
                given[i].value > INT64_MAX ? INT64_MAX : (json_int_t)given[i].value;
            (void)json_object_set_new(command, given[i].name, json_integer(value));
        }
    }
}

static void quota_options(tenant_arguments_t *arguments, option_t options[QUOTAS])
{
    arguments->max_cards = QUOTA_NOT_GIVEN;
    arguments->max_storage = QUOTA_NOT_GIVEN;
    arguments->max_rate = QUOTA_NOT_GIVEN;
    options[0] = OPTION_NUMBER("max-cards", "N", &arguments->max_cards,
                               "Cards that may be issued, active or suspended at a time; 0: no "
                               "quota");
    options[1] = OPTION_NUMBER("max-storage", "BYTES", &arguments->max_storage,
                               "That events may take; then desks add nothing, doors go on; 0: no "
                               "quota");
    options[2] = OPTION_NUMBER("max-rate", "N", &arguments->max_rate,
                               "Requests a second, beyond: 429; 0: no quota");
}

static void print_tenant(const json_t *answer)
{
    const json_t *tenant = json_object_get(answer, "tenant");
    const json_t *key = NULL;
    size_t i = 0;
    (void)printf("tenant       %s\npartitions   %lld\ncreated      %s\n",
                 answer_text(tenant, "name"), answer_number(tenant, "partitions"),
                 answer_text(tenant, "created_at"));
    print_quota(tenant, "max_cards", "max cards", "", "cards");
    print_quota(tenant, "max_storage", "max storage", " bytes", "storage");
    print_quota(tenant, "max_rate", "max rate", " requests/s", NULL);
    json_array_foreach(json_object_get(tenant, "keys"), i, key)
    {
        (void)printf("key %-7lld  %s since %s\n", answer_number(key, "kid"),
                     answer_text(key, "state"), answer_text(key, "created_at"));
    }
}

static void print_tenants(const json_t *answer)
{
    const json_t *tenant = NULL;
    size_t i = 0;
    (void)printf("%-39s  %10s  %s\n", "TENANT", "PARTITIONS", "CREATED");
    json_array_foreach(json_object_get(answer, "tenants"), i, tenant)
    {
        (void)printf("%-39s  %10lld  %s\n", answer_text(tenant, "name"),
                     answer_number(tenant, "partitions"), answer_text(tenant, "created_at"));
    }
}

static void print_deleted(const json_t *answer)
{
    (void)printf("deleted %s; its journal is kept as %s\n", answer_text(answer, "deleted"),
                 answer_text(answer, "kept_as"));
    if (json_object_get(answer, "backup") != NULL) {
        (void)printf("backup of it: %s\n", answer_text(answer, "backup"));
    }
}

/* What is wrong with the arguments alone; NULL: nothing. */
static const char *create_fault(const tenant_arguments_t *arguments)
{
    if (!tenant_name_is_valid(text_from_c(arguments->name))) {
        return "a tenant name is 2 to 39 characters: a to z first, then a to z, 0 to 9 and -; "
               "api, mapi, health, metrics and admin are reserved";
    }
    if (arguments->partitions < 1 || arguments->partitions > LIMIT_PARTITIONS) {
        return "--partitions must be 1 to 64";
    }
    return NULL;
}

int command_tenant_create(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {.partitions = 1};
    option_t own[1 + QUOTAS];
    own[0] = OPTION_NUMBER("partitions", "N", &arguments.partitions, "1 to 64, fixed for ever (1)");
    quota_options(&arguments, own + 1);
    if (!begin(command, argc, argv, &arguments, own, 1 + QUOTAS, &status)) {
        return status;
    }
    const char *fault = create_fault(&arguments);
    if (fault != NULL) {
        configuration_release(&arguments.configuration);
        return command_misuse(command, "%s", fault);
    }
    json_t *create = json_pack("{s:s,s:s,s:I}", "command", "tenant.create", "name", arguments.name,
                               "partitions", (json_int_t)arguments.partitions);
    put_quotas(&arguments, create);
    json_t *answer = control_client_execute(&arguments.configuration, create, true);
    return finish(&arguments, answer, print_tenant);
}

int command_tenant_set(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {0};
    option_t own[QUOTAS];
    quota_options(&arguments, own);
    if (!begin(command, argc, argv, &arguments, own, QUOTAS, &status)) {
        return status;
    }
    if (arguments.max_cards == QUOTA_NOT_GIVEN && arguments.max_storage == QUOTA_NOT_GIVEN &&
        arguments.max_rate == QUOTA_NOT_GIVEN) {
        configuration_release(&arguments.configuration);
        return command_misuse(command, "there is nothing to set");
    }
    json_t *set = json_pack("{s:s,s:s}", "command", "tenant.set", "name", arguments.name);
    put_quotas(&arguments, set);
    json_t *answer = control_client_execute(&arguments.configuration, set, false);
    return finish(&arguments, answer, print_tenant);
}

int command_tenant_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, NULL, 0, &status)) {
        return status;
    }
    json_t *answer = control_client_execute(&arguments.configuration,
                                            json_pack("{s:s}", "command", "tenant.list"), false);
    return finish(&arguments, answer, print_tenants);
}

/* Beside the quotas; null when it cannot be read now. */
static void add_usage(const tenant_arguments_t *arguments, json_t *tenant)
{
    const configuration_texts_t *const texts = &arguments->configuration.texts;
    stores_usage_t usage = {0};
    if (tenant == NULL) {
        return; /* there is none, which is said already */
    }
    const result_t result =
        stores_usage(texts->store, texts->data, text_from_c(arguments->name), &usage);
    json_t *const shown = result == RESULT_OK
                              ? json_pack("{s:I,s:I}", "cards", (json_int_t)usage.cards, "storage",
                                          (json_int_t)usage.bytes)
                              : json_null();
    (void)json_object_set_new(tenant, "usage", shown);
}

int command_tenant_show(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    tenant_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, NULL, 0, &status)) {
        return status;
    }
    json_t *answer = control_client_execute(
        &arguments.configuration,
        json_pack("{s:s,s:s}", "command", "tenant.show", "name", arguments.name), false);
    add_usage(&arguments, json_object_get(answer, "tenant"));
    return finish(&arguments, answer, print_tenant);
}

/* Leaves a backup; false after saying why there is none. */
static bool backed_up(const tenant_arguments_t *arguments, char *file)
{
    json_t *tenant = control_client_execute(
        &arguments->configuration,
        json_pack("{s:s,s:s}", "command", "tenant.show", "name", arguments->name), false);
    json_decref(tenant);
    if (tenant == NULL) {
        return false; /* there is none */
    }
    if (!backup_before_delete(&arguments->configuration, arguments->name, file)) {
        (void)command_fail("%s was not deleted, because no backup of it could be made; "
                           "--without-backup deletes it all the same and keeps its journal aside",
                           arguments->name);
        return false;
    }
    return true;
}

int command_tenant_delete(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    char file[PATH_MAX] = "";
    tenant_arguments_t arguments = {0};
    const option_t own[] = {
        OPTION_FLAG("yes", &arguments.yes, "Really; needed"),
        OPTION_FLAG("without-backup", &arguments.without_backup,
                    "Leave none: for a tenant whose journal cannot be read any more")};
    if (!begin(command, argc, argv, &arguments, own, 2, &status)) {
        return status;
    }
    if (!arguments.yes) {
        configuration_release(&arguments.configuration);
        return command_misuse(command, "this deletes every card of %s; say --yes to do it",
                              arguments.name);
    }
    if (!arguments.without_backup && !backed_up(&arguments, file)) {
        configuration_release(&arguments.configuration);
        return EXIT_FAILED;
    }
    json_t *answer = control_client_execute(
        &arguments.configuration,
        json_pack("{s:s,s:s}", "command", "tenant.delete", "name", arguments.name), false);
    if (answer != NULL && file[0] != '\0') {
        (void)json_object_set_new(answer, "backup", json_string(file));
    }
    return finish(&arguments, answer, print_deleted);
}
