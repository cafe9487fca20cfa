/* One event loop per role thread: libuv, with ZeroMQ sockets joined to it (runtime/channel.h and
 * zsocket.h do the joining). All callbacks run on the loop's thread. Only loop_post may be called
 * from another thread.
 *
 * Each turn: timers, sockets and descriptors → posted work → `after turn` callbacks (flush what was
 * gathered: channels send their batch here) → wait. */
#ifndef RUNTIME_LOOP_H
#define RUNTIME_LOOP_H

#include "runtime/result.h"
#include <stdint.h>

typedef struct loop loop_t;
typedef struct loop_timer loop_timer_t;
typedef void loop_callback_t(void *context);

/* NO_MEMORY; IO: no descriptors are left. */
MUST_USE result_t loop_create(loop_t **loop);
void loop_destroy(loop_t **loop); /* closes what is left; all timers must be destroyed before */

/* Runs on this thread until loop_stop, which a callback of the loop calls: the turn is finished. */
void loop_run(loop_t *loop);
void loop_stop(loop_t *loop);
/* Monotonic, cached at the start of the turn: cheap, for deadlines. */
uint64_t loop_now_ms(const loop_t *loop);

/* `struct uv_loop_s *` for adapters that speak libuv themselves. */
struct uv_loop_s *loop_uv(loop_t *loop);
/* The one ZeroMQ context of the process (`void *`), created on first use. */
void *loop_zmq_context(loop_t *loop);

/* Not started. Never NULL. Its callback may start, stop and destroy it. */
loop_timer_t *loop_timer_create(loop_t *loop, loop_callback_t *callback, void *context);
void loop_timer_destroy(loop_timer_t **timer);
/* First after `delay_ms`, then every `repeat_ms` when not 0. Starting a started timer restarts it.
 */
void loop_timer_start(loop_timer_t *timer, uint64_t delay_ms, uint64_t repeat_ms);
/* It does not fire any more, also when it is due already. */
void loop_timer_stop(loop_timer_t *timer);

/* Runs once per turn, after everything else of the turn and before waiting, in order of
 * registration. When one of them asks for it with loop_again, the loop does not wait before the
 * next turn. */
typedef struct loop_hook loop_hook_t;
loop_hook_t *loop_hook_create(loop_t *loop, loop_callback_t *callback, void *context);
void loop_hook_destroy(loop_hook_t **hook);
void loop_again(loop_t *loop);

/* What could not be delivered by whatever lives on this loop, summed up for its metrics. */
typedef enum loop_drop {
    LOOP_DROP_ENVELOPE, /* of a channel: taken, then without a receiver, or malformed */
    LOOP_DROP_MESSAGE,  /* of a ZeroMQ socket: too many frames, or nobody reads it */
    LOOP_DROPS
} loop_drop_t;
/* Since the loop was made. */
uint64_t loop_drops(const loop_t *loop, loop_drop_t kind);

/* From any thread: run `callback(context)` on the loop's thread soon. Unbounded by itself: callers
 * bound what they post (the work pool by LIMIT_STORE_QUEUE). */
void loop_post(loop_t *loop, loop_callback_t *callback, void *context);

#endif
