/* A preloaded library that answers for host names ending in ".test" as the file named by
 * NAMES_SWITCH says: "good" (127.0.0.1), "gone" (no name server answers), "hang" (nothing comes
 * back until the file says something else). For the end-to-end test of a name system that fails,
 * which must not touch that of the machine. */
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20, WAITS_MAX = 6000 }; /* two minutes: longer than any test */

static char mode_now(void)
{
    const char *path = getenv("NAMES_SWITCH");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    const int first = file == NULL ? 'g' : fgetc(file);
    const int second = file == NULL ? 'o' : fgetc(file);
    const int third = file == NULL ? 'o' : fgetc(file);
    if (file != NULL) {
        (void)fclose(file);
    }
    if (first == 'h') {
        return 'h';
    }
    return second == 'o' && third == 'n' ? 'n' : 'g';
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    const size_t size = node == NULL ? 0 : strlen(node);
    if (size < 5 || strcmp(node + size - 5, ".test") != 0) {
        return next(node, service, hints, result);
    }
    for (int i = 0; i < WAITS_MAX && mode_now() == 'h'; i++) {
        (void)poll(NULL, 0, WAIT_MS);
    }
    return mode_now() == 'n' ? EAI_AGAIN : next("127.0.0.1", service, hints, result);
}
