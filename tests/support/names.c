/* A preloaded library that answers for host names ending in ".test" as the file named by
 * NAMES_SWITCH says, or the one with the host's name added to its path ("says.db.test") where there
 * is one: "good" (127.0.0.1), addresses with blanks between them, "gone" (no name server answers),
 * "hang" (nothing comes back until the file says something else). For the end-to-end tests of a
 * name system that fails, which must not touch that of the machine. */
#include <ctype.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20, WAITS_MAX = 6000, WORD_SIZE = 256 }; /* two minutes: longer than any test */

typedef int getaddrinfo_t(const char *node, const char *service, const struct addrinfo *hints,
                          struct addrinfo **result);

static void word_read(const char *node, char word[WORD_SIZE])
{
    const char *path = getenv("NAMES_SWITCH");
    char own[1024];
    (void)snprintf(own, sizeof own, "%s.%s", path == NULL ? "" : path, node);
    FILE *file = fopen(own, "re");
    file = file == NULL && path != NULL ? fopen(path, "re") : file;
    if (file == NULL || fgets(word, WORD_SIZE, file) == NULL) {
        (void)snprintf(word, WORD_SIZE, "good");
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* One list of all of them, in their order. */
static int addresses_find(getaddrinfo_t *next, char *words, const char *service,
                          const struct addrinfo *hints, struct addrinfo **result)
{
    int failed = EAI_AGAIN;
    struct addrinfo **end = result;
    for (char *word = words; *word != '\0';) { /* WORD_SIZE */
        const size_t size = strcspn(word, " \n");
        const char separator = word[size];
        word[size] = '\0';
        failed = next(word, service, hints, end);
        while (failed == 0 && *end != NULL) {
            end = &(*end)->ai_next;
        }
        word += size + (separator == '\0' ? 0 : 1);
    }
    return failed;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    getaddrinfo_t *const next = (getaddrinfo_t *)dlsym(RTLD_NEXT, "getaddrinfo");
    const size_t size = node == NULL ? 0 : strlen(node);
    if (size < 5 || strcmp(node + size - 5, ".test") != 0) {
        return next(node, service, hints, result);
    }
    char word[WORD_SIZE];
    word_read(node, word);
    for (int i = 0; i < WAITS_MAX && word[0] == 'h'; i++) {
        (void)poll(NULL, 0, WAIT_MS);
        word_read(node, word);
    }
    if (isdigit((unsigned char)word[0]) != 0) {
        return addresses_find(next, word, service, hints, result);
    }
    return strncmp(word, "gone", 4) == 0 ? EAI_AGAIN : next("127.0.0.1", service, hints, result);
}
