/* token revoke: the token in, one control command, its answer out. */
#include "adapters/cli/control/control_client.h"
#include "runtime/limits.h"

#include <stdio.h>
#include <string.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 2 };

/* An argument can be seen by everybody on the machine: "-" reads one line instead. */
static const char *token_of(const char *given, char line[LIMIT_TOKEN_SIZE + 2])
{
    if (strcmp(given, "-") != 0) {
        return given;
    }
    if (fgets(line, LIMIT_TOKEN_SIZE + 2, stdin) == NULL) {
        return "";
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

int command_token_revoke(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    bool json = false;
    const char *given = NULL;
    char line[LIMIT_TOKEN_SIZE + 2];
    configuration_t configuration = {0};
    option_t options[OPTIONS_MAX];
    size_t count = configuration_options(&configuration, false, options);
    options[count++] = OPTION_FLAG("json", &json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &given, 1, &status)) {
        return status;
    }
    if (!configuration_load(&configuration)) {
        return EXIT_FAILED;
    }
    json_t *answer = control_client_execute(
        &configuration,
        json_pack("{s:s,s:s}", "command", "token.revoke", "token", token_of(given, line)), false);
    status = answer == NULL ? EXIT_FAILED : EXIT_OK;
    if (answer != NULL && json) {
        (void)command_print_json(answer);
    } else if (answer != NULL) {
        const json_t *revoked = json_object_get(answer, "revoked");
        (void)printf("the token of %s is revoked; it would have ended at %s\n",
                     json_string_value(json_object_get(revoked, "subject")),
                     json_string_value(json_object_get(revoked, "expires_at")));
        json_decref(answer);
    }
    configuration_release(&configuration);
    return status;
}
