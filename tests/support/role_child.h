/* A tiny role for tests of the supervisor: the test program starts itself as `role-child MODE …`.
 */
#ifndef TESTS_SUPPORT_ROLE_CHILD_H
#define TESTS_SUPPORT_ROLE_CHILD_H

#include <stdbool.h>

/* True when this start of the test program is a role; then main returns `*status`. Arguments:
 * role-child MODE NAME DIRECTORY --incarnation N; MODE is one of
 *   plain        ready at once; ends when drained
 *   deaf         ready, but ignores drain
 *   silent       never ready
 *   crash        exits with status 3 at once
 * A drained role appends its name to DIRECTORY/drained. Its status is {"name":…,"incarnation":…,
 * "descriptor":…,"peers":"name@incarnation=state …"}; {"command":"echo"} is answered with
 * {"echo":NAME}; {"command":"ask"} with what the supervisor says to {"command":"metrics"}. */
bool role_child_main(int argc, char **argv, int *status);

#endif
