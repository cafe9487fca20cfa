/* Printing answers: see the header. Knows no command. */
#include "adapters/cli/commands/answer.h"
#include "adapters/cli/command.h"

int answer_finish(json_t *answer, bool json, answer_print_t *print)
{
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    if (json) {
        return command_print_json(answer);
    }
    print(answer);
    json_decref(answer);
    return EXIT_OK;
}

const char *answer_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

long long answer_number(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}
