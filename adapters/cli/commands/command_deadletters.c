/* deadletters list|show|replay|drop: arguments in, control commands, their answers out. */
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/control/control_client.h"
#include "runtime/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Longer than a request may take, a restart after another kill included. */
enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 4, PATIENCE_MS = 15000, LOOK_MS = 50 };

typedef struct letter_arguments {
    configuration_t configuration;
    const char *id;
    const char *tenant;
    bool json;
} letter_arguments_t;

static bool begin(const command_t *command, int argc, char **argv, letter_arguments_t *arguments,
                  int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    const bool with_id = *command->arguments != '\0';
    if (!with_id) {
        options[count++] =
            OPTION_TEXT("tenant", "T", &arguments->tenant, "Of this organisation only");
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &arguments->id, with_id ? 1 : 0,
                         status)) {
        return false;
    }
    return configuration_load_for(&arguments->configuration, status);
}

static void print_list(const json_t *answer)
{
    const json_t *letter = NULL;
    size_t i = 0;
    (void)printf("%-32s  %-12s  %-7s  %-15s  %-24s  %5s  %s\n", "ID", "STATE", "SCOPE", "TYPE",
                 "SINCE", "KILLS", "TENANT");
    json_array_foreach(json_object_get(answer, "dead_letters"), i, letter)
    {
        (void)printf("%-32s  %-12s  %-7s  %-15s  %-24s  %5lld  %s\n", answer_text(letter, "id"),
                     answer_text(letter, "state"), answer_text(letter, "scope"),
                     answer_text(letter, "type"), answer_text(letter, "stored_at"),
                     answer_number(letter, "kills"), answer_text(letter, "tenant"));
    }
}

static void print_letter(const json_t *answer)
{
    static const char *const names[] = {"id",   "state",  "scope",     "tenant",   "type",
                                        "card", "reason", "stored_at", "trace_id", "outcome"};
    const json_t *letter = json_object_get(answer, "dead_letter");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)printf("%-12s  %s\n", names[i], answer_text(letter, names[i]));
    }
    (void)printf("%-12s  %lld\n", "kills", answer_number(letter, "kills"));
    (void)printf("%-12s  ", "request");
    (void)json_dumpf(json_object_get(letter, "request"), stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)putchar('\n');
}

int command_deadletters_list(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    letter_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    json_t *list =
        json_pack("{s:s,s:s*}", "command", "deadletters.list", "tenant", arguments.tenant);
    status = answer_finish(control_client_execute(&arguments.configuration, list, false),
                           arguments.json, print_list);
    configuration_release(&arguments.configuration);
    return status;
}

static json_t *named(const char *name, const letter_arguments_t *arguments)
{
    return json_pack("{s:s,s:s}", "command", name, "id", arguments->id);
}

int command_deadletters_show(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    letter_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    status = answer_finish(control_client_execute(&arguments.configuration,
                                                  named("deadletters.show", &arguments), false),
                           arguments.json, print_letter);
    configuration_release(&arguments.configuration);
    return status;
}

static void print_dropped(const json_t *answer)
{
    (void)printf("%s is dropped: what it names is no longer refused\n", answer_text(answer, "id"));
}

int command_deadletters_drop(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    letter_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    status = answer_finish(control_client_execute(&arguments.configuration,
                                                  named("deadletters.drop", &arguments), false),
                           arguments.json, print_dropped);
    configuration_release(&arguments.configuration);
    return status;
}

/* --- replay --- */

static bool is_on_its_way(const json_t *answer)
{
    const char *state = answer_text(json_object_get(answer, "dead_letter"), "state");
    return strcmp(state, "replay_asked") == 0 || strcmp(state, "replaying") == 0;
}

/* The dead letter once its replay has ended, or as it stands when patience ends. The role that
 * answers may be the one that the replay kills. */
static json_t *wait_replayed(const letter_arguments_t *arguments)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (clock_monotonic_ms() < deadline_ms) {
        json_t *answer =
            control_client_look(&arguments->configuration, named("deadletters.show", arguments));
        if (answer != NULL && !is_on_its_way(answer)) {
            return answer;
        }
        json_decref(answer);
        (void)poll(NULL, 0, LOOK_MS);
    }
    return control_client_execute(&arguments->configuration, named("deadletters.show", arguments),
                                  false);
}

static int say_replayed(const letter_arguments_t *arguments, json_t *answer)
{
    const json_t *letter = json_object_get(answer, "dead_letter");
    const bool is_replayed = strcmp(answer_text(letter, "state"), "replayed") == 0;
    int status = is_replayed ? EXIT_OK : EXIT_FAILED;
    if (arguments->json) {
        (void)command_print_json(answer);
        return status;
    }
    if (is_replayed) {
        (void)printf("%s was replayed: %s\n", arguments->id, answer_text(letter, "outcome"));
    } else if (is_on_its_way(answer)) {
        (void)command_fail("%s was not replayed yet; see deadletters show", arguments->id);
    } else {
        (void)command_fail("%s is quarantined again: it was %s", arguments->id,
                           answer_text(letter, "reason"));
    }
    json_decref(answer);
    return status;
}

int command_deadletters_replay(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    letter_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, &status)) {
        return status;
    }
    json_t *asked = control_client_ask_service(&arguments.configuration,
                                               named("deadletters.replay", &arguments));
    json_t *answer = asked == NULL ? NULL : wait_replayed(&arguments);
    json_decref(asked);
    status = answer == NULL ? EXIT_FAILED : say_replayed(&arguments, answer);
    configuration_release(&arguments.configuration);
    return status;
}
