/* Service or local: see the header. A service that is just starting or stopping holds the lock
 * without answering, so both ways are tried until a deadline. */
#include "adapters/cli/control/control_client.h"

#include "adapters/cli/control/control_commands.h"
#include "adapters/cli/installation.h"
#include "adapters/cli/stores.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/supervisor.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, RETRY_MS = 50 };

static json_t *say_error(json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    const char *detail = json_string_value(json_object_get(error, "detail"));
    if (error == NULL) {
        return answer;
    }
    (void)command_fail("%s", detail == NULL ? "the service refused" : detail);
    json_decref(answer);
    return NULL;
}

static bool is_busy(const json_t *answer)
{
    const char *code = json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
    return code != NULL && strcmp(code, result_code(RESULT_BUSY)) == 0;
}

static result_t ask(const configuration_t *configuration, const char *text, json_t **answer)
{
    char *line = NULL;
    const result_t result =
        control_ask(configuration->texts.data, text, LIMIT_CONTROL_TIMEOUT_MS + 2000, &line);
    if (result == RESULT_OK) {
        *answer = json_loads(line, 0, NULL);
        free(line);
        return *answer == NULL ? RESULT_IO : RESULT_OK;
    }
    return result;
}

static result_t execute_here(const configuration_t *configuration, const json_t *command,
                             bool create, json_t **answer, char *error, size_t error_size)
{
    installation_t installation;
    bool changed = false;
    const result_t result = installation_open(configuration->texts.data, configuration->texts.store,
                                              create, &installation, error, error_size);
    if (result != RESULT_OK) {
        return result;
    }
    const control_commands_t commands = {
        .control = installation.control,
        .is_postgres = stores_is_postgres(installation.store),
        .dead_letters = stores_dead_letters(installation.store, installation.control),
        .flags = stores_flags(installation.store, installation.control),
        .revocations = stores_revocations(installation.store, installation.control),
        .webhooks = stores_webhooks(installation.store, installation.control),
        .crypto = &signer_functions,
        .master_key = &installation.master_key};
    *answer = control_command_execute(&commands, command, &changed);
    installation_close(&installation);
    return RESULT_OK;
}

/* Tries both ways once. RESULT_BUSY: try again. */
static result_t attempt(const configuration_t *configuration, const json_t *command,
                        const char *text, bool create, json_t **answer, char *error,
                        size_t error_size)
{
    result_t result = ask(configuration, text, answer);
    if (result == RESULT_OK && is_busy(*answer)) {
        (void)snprintf(error, error_size, "the service does not take commands now");
        json_decref(*answer);
        *answer = NULL;
        return RESULT_BUSY;
    }
    if (result == RESULT_MISSING) {
        result = execute_here(configuration, command, create, answer, error, error_size);
        return result == RESULT_DATA_DIRECTORY_IN_USE ? RESULT_BUSY : result;
    }
    if (result != RESULT_OK) {
        (void)snprintf(error, error_size, "the service on %s did not answer: %s",
                       configuration->texts.data, result_title(result));
    }
    return result;
}

json_t *control_client_execute(const configuration_t *configuration, json_t *command, bool create)
{
    char error[1024] = "";
    json_t *answer = NULL;
    char *text = command == NULL ? NULL : json_dumps(command, JSON_COMPACT);
    if (text == NULL) { /* json_pack refuses what is not UTF-8 */
        json_decref(command);
        (void)command_fail("an argument is not UTF-8");
        return NULL;
    }
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    result_t result = RESULT_BUSY;
    while (result == RESULT_BUSY) {
        result = attempt(configuration, command, text, create, &answer, error, sizeof error);
        if (result == RESULT_BUSY && clock_monotonic_ms() >= deadline_ms) {
            break;
        }
        if (result == RESULT_BUSY) {
            (void)poll(NULL, 0, RETRY_MS);
        }
    }
    free(text);
    json_decref(command);
    if (result != RESULT_OK) {
        (void)command_fail("%s", error);
        return NULL;
    }
    return say_error(answer);
}

static void fail_unanswered(const configuration_t *configuration, result_t result)
{
    const int64_t stopped = control_stopped_process(configuration->texts.data);
    if (stopped != 0) {
        (void)command_fail("the service on %s does not answer: its process %lld is stopped "
                           "(SIGSTOP, or a debugger); `kill -CONT %lld` lets it go on",
                           configuration->texts.data, (long long)stopped, (long long)stopped);
    } else {
        (void)command_fail("the service on %s did not answer: %s", configuration->texts.data,
                           result_title(result));
    }
}

json_t *control_client_ask_service(const configuration_t *configuration, json_t *command)
{
    json_t *answer = NULL;
    char *text = json_dumps(command, JSON_COMPACT);
    json_decref(command);
    const result_t result = text == NULL ? RESULT_NO_MEMORY : ask(configuration, text, &answer);
    free(text);
    if (result == RESULT_MISSING) {
        (void)command_fail("no service runs on data directory %s: %s", configuration->texts.data,
                           access(configuration->texts.data, F_OK) == 0
                               ? "nobody answers on its control.sock"
                               : "there is no such directory; name another with --data");
        return NULL;
    }
    if (result != RESULT_OK) {
        fail_unanswered(configuration, result);
        return NULL;
    }
    return say_error(answer);
}

json_t *control_client_look(const configuration_t *configuration, json_t *command)
{
    json_t *answer = NULL;
    char *text = json_dumps(command, JSON_COMPACT);
    json_decref(command);
    const result_t result = text == NULL ? RESULT_NO_MEMORY : ask(configuration, text, &answer);
    free(text);
    if (result == RESULT_OK && json_object_get(answer, "error") != NULL) {
        json_decref(answer);
        return NULL;
    }
    return result == RESULT_OK ? answer : NULL;
}
