/* Lets actors handle what has been sent to them. */
#ifndef TESTS_ACTORS_SETTLE_H
#define TESTS_ACTORS_SETTLE_H

#include "runtime/actor_system.h"

/* Turns of the loop until no message waits in a mailbox of the system; fails the test after 30 s.
 */
void actors_settle(loop_t *loop, const actor_system_t *system);

#endif
