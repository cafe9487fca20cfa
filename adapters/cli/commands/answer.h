/* The answer of a control command on its way to standard output. */
#ifndef ADAPTERS_CLI_COMMANDS_ANSWER_H
#define ADAPTERS_CLI_COMMANDS_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

typedef void answer_print_t(const json_t *answer);

/* Takes `answer` (NULL: why there is none was said already) and prints it: as JSON when asked for,
 * else by `print`. Returns the exit status. */
int answer_finish(json_t *answer, bool json, answer_print_t *print);

/* A member of an object, borrowed from it; "" and 0 where there is none of that kind. */
const char *answer_text(const json_t *object, const char *name);
long long answer_number(const json_t *object, const char *name);

#endif
