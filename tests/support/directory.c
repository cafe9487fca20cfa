/* See directory.h. */
#include "tests/support/directory.h"
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DESCRIPTORS_MAX = 16 };

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

void directory_make(char out[DIRECTORY_SIZE])
{
    const char *const parent = getenv("TMPDIR");
    const int size = snprintf(out, DIRECTORY_SIZE, "%s/digitalcard-test-XXXXXX",
                              parent == NULL ? "/tmp" : parent);
    assert(size > 0 && size < DIRECTORY_SIZE);
    const char *const made = mkdtemp(out);
    assert(made != NULL);
}

void directory_remove(const char *path)
{
    (void)chmod(path, 0700); /* a test may have taken the right to change it */
    (void)nftw(path, entry_remove, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);
}
