/* Names of the planted bugs (bugs.def). */
#ifndef TESTS_SIMULATION_BUGS_H
#define TESTS_SIMULATION_BUGS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum bug {
    BUG_none,
#define BUG(name, text) BUG_##name,
#include "tests/simulation/bugs.def"
#undef BUG
    BUG_COUNT
} bug_t;

const char *bug_name(bug_t bug);
const char *bug_text(bug_t bug);
/* BUG_none when there is no such name. */
bug_t bug_find(const char *name);

#endif
