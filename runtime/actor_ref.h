/* Who an actor is to those that send to it: a number, never a pointer. A reference outlives its
 * actor: what is sent to an actor that ended is refused as MISSING, also when its place was given
 * to another. */
#ifndef RUNTIME_ACTOR_REF_H
#define RUNTIME_ACTOR_REF_H

#include <stdbool.h>
#include <stdint.h>

typedef struct actor_ref {
    uint32_t index;      /* kind and place in the slab of that kind */
    uint32_t generation; /* of that place; never 0 for an actor */
} actor_ref_t;

#define ACTOR_REF_NONE ((actor_ref_t){0, 0})

static inline bool actor_ref_is_none(actor_ref_t ref)
{
    return ref.generation == 0;
}

static inline bool actor_ref_equals(actor_ref_t one, actor_ref_t other)
{
    return one.index == other.index && one.generation == other.generation;
}

#endif
