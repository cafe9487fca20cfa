/* The list of planted bugs. Must not do anything: whoever has a bug looks at world->bug. */
#include "tests/simulation/bugs.h"
#include <string.h>

static const char *const names[] = {
    "none",
#define BUG(name, text) #name,
#include "tests/simulation/bugs.def"
#undef BUG
};

static const char *const texts[] = {
    "nothing is wrong",
#define BUG(name, text) text,
#include "tests/simulation/bugs.def"
#undef BUG
};

const char *bug_name(bug_t bug)
{
    return names[bug];
}

const char *bug_text(bug_t bug)
{
    return texts[bug];
}

bug_t bug_find(const char *name)
{
    for (size_t i = 1; i < BUG_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            return (bug_t)i;
        }
    }
    return BUG_none;
}
