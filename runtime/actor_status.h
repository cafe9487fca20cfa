/* What `tree` and `top` show of the actors of a role. */
#ifndef RUNTIME_ACTOR_STATUS_H
#define RUNTIME_ACTOR_STATUS_H

#include "runtime/actor_system.h"

/* A JSON array with an object for each kind, as far as `capacity` goes, ended with 0 when that is
 * not 0. Returns the size of all of it. Changes nothing. */
size_t actor_status(const actor_system_t *system, char *out, size_t capacity);

#endif
