/* A preloaded library that sets the wall clock back: by the seconds that the file named by
 * CLOCK_BACK_SWITCH holds, while it is there. The monotonic clock goes on. For the end-to-end test
 * of a clock that is set back, which must not change the clock of the machine. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long seconds_back(void)
{
    const char *path = getenv("CLOCK_BACK_SWITCH");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    char text[32] = "";
    if (file == NULL) {
        return 0;
    }
    const char *read = fgets(text, sizeof(text), file);
    (void)fclose(file);
    return read == NULL ? 0 : strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*next)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const int failed = next(clock, now);
    if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec -= seconds_back();
    }
    return failed;
}
