/* Preloaded into the supervisor by callgrind.mjs: a role that it starts is started below valgrind,
 * which cannot follow /proc/self/exe by itself. Must not be part of any build. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 128 };

/* CALLGRIND_PROGRAM is the service's binary, CALLGRIND_FILE the pattern of the profiles. */
int execv(const char *path, char *const arguments[])
{
    int (*const real)(const char *, char *const[]) =
        (int (*)(const char *, char *const[]))dlsym(RTLD_NEXT, "execv");
    const char *const program = getenv("CALLGRIND_PROGRAM");
    if (strcmp(path, "/proc/self/exe") != 0 || program == NULL) {
        return real(path, arguments);
    }
    char *words[ARGUMENTS_MAX + 8] = {"valgrind", "--tool=callgrind",       "--instr-atstart=no",
                                      "-q",       getenv("CALLGRIND_FILE"), (char *)program};
    size_t count = 6;
    for (size_t index = 1; arguments[index] != NULL && index < ARGUMENTS_MAX; index++) {
        words[count++] = arguments[index];
    }
    unsetenv("LD_PRELOAD");
    return real("/usr/bin/valgrind", words);
}
