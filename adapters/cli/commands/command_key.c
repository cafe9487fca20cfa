/* key list|rotate|retire|compromise and token mint: arguments in, one control command, its answer
 * out. */
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/control/control_client.h"
#include "messages/message.h"
#include "messages/messages.h"
#include "runtime/limits.h"
#include <stdio.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 6, TOKEN_TTL_S = 900 };

typedef struct key_arguments {
    configuration_t configuration;
    const char *tenant;
    uint64_t kid;
    bool json;
} key_arguments_t;

static bool begin(const command_t *command, int argc, char **argv, bool with_kid,
                  key_arguments_t *arguments, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "Organisation; needed");
    if (with_kid) {
        options[count++] = OPTION_NUMBER("kid", "N", &arguments->kid, "Number of the key; needed");
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, status)) {
        return false;
    }
    if (arguments->tenant == NULL || (with_kid && arguments->kid == 0)) {
        *status = command_misuse(command, "%s is missing",
                                 arguments->tenant == NULL ? "--tenant T" : "--kid N");
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

static void print_keys(const json_t *answer)
{
    const json_t *key = NULL;
    size_t i = 0;
    (void)printf("%6s  %-12s  %s\n", "KEY", "STATE", "CREATED");
    json_array_foreach(json_object_get(answer, "keys"), i, key)
    {
        (void)printf("%6lld  %-12s  %s\n", answer_number(key, "kid"), answer_text(key, "state"),
                     answer_text(key, "created_at"));
    }
}

static void print_key(const json_t *answer)
{
    const char *state = answer_text(answer, "state");
    (void)printf("key %lld of %s is %s\n", answer_number(answer, "kid"),
                 answer_text(answer, "tenant"), *state == '\0' ? "active" : state);
}

static int finish(key_arguments_t *arguments, json_t *command, void (*print)(const json_t *answer))
{
    json_t *answer = control_client_execute(&arguments->configuration, command, false);
    configuration_release(&arguments->configuration);
    return answer_finish(answer, arguments->json, print);
}

int command_key_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    key_arguments_t arguments = {0};
    if (!begin(command, argc, argv, false, &arguments, &status)) {
        return status;
    }
    return finish(&arguments,
                  json_pack("{s:s,s:s}", "command", "key.list", "tenant", arguments.tenant),
                  print_keys);
}

int command_key_rotate(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    key_arguments_t arguments = {0};
    if (!begin(command, argc, argv, false, &arguments, &status)) {
        return status;
    }
    return finish(&arguments,
                  json_pack("{s:s,s:s}", "command", "key.rotate", "tenant", arguments.tenant),
                  print_key);
}

static int set_state(const command_t *command, int argc, char **argv, const char *name)
{
    int status = EXIT_OK;
    key_arguments_t arguments = {0};
    if (!begin(command, argc, argv, true, &arguments, &status)) {
        return status;
    }
    return finish(&arguments,
                  json_pack("{s:s,s:s,s:I}", "command", name, "tenant", arguments.tenant, "kid",
                            (json_int_t)arguments.kid),
                  print_key);
}

int command_key_retire(const command_t *command, int argc, char **argv)
{
    return set_state(command, argc, argv, "key.retire");
}

int command_key_compromise(const command_t *command, int argc, char **argv)
{
    return set_state(command, argc, argv, "key.compromise");
}

static json_t *mint_command(const char *tenant, const char *role, const char *subject,
                            uint64_t ttl_s)
{
    json_t *mint = json_pack("{s:s,s:s,s:I}", "command", "token.mint", "role", role, "ttl_s",
                             (json_int_t)ttl_s);
    if (mint != NULL && tenant != NULL) {
        (void)json_object_set_new(mint, "tenant", json_string(tenant));
    }
    if (mint != NULL && subject != NULL) {
        (void)json_object_set_new(mint, "subject", json_string(subject));
    }
    return mint;
}

/* The same bytes that texts of the API must not hold. */
static bool has_control_character(const char *text)
{
    while (*text != '\0' && (unsigned char)*text >= 0x20 && *text != 0x7f) {
        text++;
    }
    return *text != '\0';
}

/* What is wrong with the arguments alone; NULL: nothing. */
static const char *mint_fault(const char *tenant, const char *role, const char *subject,
                              uint64_t ttl_s)
{
    uint8_t number = 0;
    if (role == NULL) {
        return "--role R is missing";
    }
    if (!enum_parse(&role_enum, text_from_c(role), &number)) {
        return "--role must be platform_admin, tenant_admin, issuer, validator, auditor or member";
    }
    if (tenant == NULL && number != role_platform_admin) {
        return "--tenant T is missing; only a platform_admin may go without";
    }
    if (subject == NULL && number == role_member) {
        return "--subject S is missing; for a member it is the member's id";
    }
    if (subject != NULL && has_control_character(subject)) {
        return "--subject must not contain control characters, line breaks included";
    }
    if (ttl_s < 1 || ttl_s > LIMIT_TOKEN_TTL_S_MAX) {
        return "--ttl must be 1 to 86400 seconds";
    }
    return NULL;
}

int command_token_mint(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    configuration_t configuration = {0};
    const char *tenant = NULL;
    const char *role = NULL;
    const char *subject = NULL;
    uint64_t ttl_s = TOKEN_TTL_S;
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] =
        OPTION_TEXT("tenant", "T", &tenant, "Organisation; only a platform_admin may go without");
    options[count++] = OPTION_TEXT("role", "R", &role,
                                   "platform_admin, tenant_admin, issuer, validator, auditor, "
                                   "member; needed");
    options[count++] =
        OPTION_TEXT("subject", "S", &subject, "Who bears it; a member's id for member (the role)");
    options[count++] = OPTION_NUMBER("ttl", "SECONDS", &ttl_s, "How long it lives (900)");
    count += configuration_options(&configuration, false, options + count);
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, &status)) {
        return status;
    }
    const char *fault = mint_fault(tenant, role, subject, ttl_s);
    if (fault != NULL) {
        return command_misuse(command, "%s", fault);
    }
    json_t *answer = configuration_load_for(&configuration, &status)
                         ? control_client_execute(&configuration,
                                                  mint_command(tenant, role, subject, ttl_s), false)
                         : NULL;
    configuration_release(&configuration);
    if (answer == NULL) {
        return status;
    }
    (void)printf("%s\n", json_string_value(json_object_get(answer, "token")));
    json_decref(answer);
    return EXIT_OK;
}
