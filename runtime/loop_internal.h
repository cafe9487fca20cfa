/* What the parts of runtime/ need of the loop beyond runtime/loop.h. Not for other folders. */
#ifndef RUNTIME_LOOP_INTERNAL_H
#define RUNTIME_LOOP_INTERNAL_H

#include "runtime/loop.h"

/* Order of the hooks of one turn. Actors run before the hooks of others, so that what they hand
 * out (batches to commit, lines to write) leaves in the same turn; channels flush last, so that
 * everything said in this turn travels in one message. */
typedef enum loop_phase {
    LOOP_PHASE_ACTORS,
    LOOP_PHASE_HOOKS, /* what loop_hook_create registers */
    LOOP_PHASE_FLUSH,
    LOOP_PHASES
} loop_phase_t;

loop_hook_t *loop_hook_create_in(loop_t *loop, loop_phase_t phase, loop_callback_t *callback,
                                 void *context);

/* Something with an edge-triggered descriptor (a ZeroMQ socket). Once marked it is looked at after
 * the hooks of each turn, and the loop does not wait while it is ready: then `run` handles a
 * bounded part of its input in the next turn. The memory is its owner's, who must remove it first.
 */
typedef struct loop_source loop_source_t;
struct loop_source {
    loop_source_t *previous;
    loop_source_t *next;
    bool is_marked;
    bool (*is_ready)(loop_source_t *source); /* looks again; false: wait for the descriptor */
    void (*run)(loop_source_t *source);
};

void loop_count_drops(loop_t *loop, loop_drop_t kind, uint64_t count);

/* Registered sources keep the loop from being destroyed: a forgotten one is a bug, and ZeroMQ would
 * wait for it for ever. */
void loop_source_add(loop_t *loop, loop_source_t *source);
void loop_source_mark(loop_t *loop, loop_source_t *source);
void loop_source_remove(loop_t *loop, loop_source_t *source);

/* Posting without allocation: the node is part of its owner, may be posted again once it runs, and
 * does nothing when it is posted already. From any thread. */
typedef struct loop_post_node loop_post_node_t;
struct loop_post_node {
    loop_post_node_t *next;
    loop_callback_t *callback;
    void *context;
    bool is_posted;
    bool is_owned; /* freed by the loop: made by loop_post */
};
void loop_post_node(loop_t *loop, loop_post_node_t *node);
/* Afterwards it will not run. On the loop's thread. */
void loop_post_cancel(loop_t *loop, loop_post_node_t *node);

#endif
