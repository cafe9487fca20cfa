/* A directory of its own for a test, taken away with everything in it. */
#ifndef TESTS_SUPPORT_DIRECTORY_H
#define TESTS_SUPPORT_DIRECTORY_H

enum { DIRECTORY_SIZE = 128 };

/* Below TMPDIR, or /tmp. */
void directory_make(char out[DIRECTORY_SIZE]);
void directory_remove(const char *path);

#endif
