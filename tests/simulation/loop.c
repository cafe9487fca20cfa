/* runtime/loop.h on simulated time: one loop per process, turned by the agenda. Sources (ZeroMQ)
 * are not there: envelopes come through network.c. */
#include "runtime/loop_internal.h"
#include "tests/simulation/process.h"
#include <assert.h>
#include <stdlib.h>

enum { TURNS_MAX = 10000 };

struct loop_timer {
    loop_t *loop;
    loop_timer_t *next;
    loop_callback_t *callback;
    void *context;
    uint64_t due_us;
    uint64_t repeat_us;
    bool is_started;
};

struct loop_hook {
    loop_t *loop;
    loop_hook_t *next;
    loop_phase_t phase;
    loop_callback_t *callback;
    void *context;
};

struct loop {
    world_t *world;
    uint32_t owner;
    loop_timer_t *timers;
    loop_hook_t *hooks;
    loop_post_node_t *posts_first;
    loop_post_node_t *posts_last;
    bool again;
    uint64_t wake_us; /* when the next turn is on the agenda; UINT64_MAX: it is not */
};

loop_t *simulated_loop_create(world_t *world, uint32_t owner)
{
    loop_t *loop = calloc(1, sizeof(*loop));
    assert(loop != NULL);
    loop->world = world;
    loop->owner = owner;
    loop->wake_us = UINT64_MAX;
    return loop;
}

result_t loop_create(loop_t **loop)
{
    *loop = simulated_loop_create(world_current(), 0);
    return RESULT_OK;
}

void loop_destroy(loop_t **loop)
{
    assert((*loop)->timers == NULL);
    assert((*loop)->hooks == NULL);
    while ((*loop)->posts_first != NULL) {
        loop_post_node_t *const node = (*loop)->posts_first;
        (*loop)->posts_first = node->next;
        if (node->is_owned) {
            free(node);
        }
    }
    free(*loop);
    *loop = NULL;
}

static loop_timer_t *timer_due(const loop_t *loop)
{
    loop_timer_t *due = NULL;
    for (loop_timer_t *timer = loop->timers; timer != NULL; timer = timer->next) {
        if (timer->is_started && (due == NULL || timer->due_us < due->due_us)) {
            due = timer;
        }
    }
    return due;
}

static void run_timers(loop_t *loop)
{
    for (int count = 0; count < TURNS_MAX; count++) {
        loop_timer_t *const timer = timer_due(loop);
        if (timer == NULL || timer->due_us > loop->world->now_us) {
            return;
        }
        timer->is_started = timer->repeat_us != 0;
        timer->due_us = loop->world->now_us + timer->repeat_us;
        timer->callback(timer->context);
    }
}

static void run_posts(loop_t *loop)
{
    loop_post_node_t *const last = loop->posts_last;
    while (loop->posts_first != NULL) {
        loop_post_node_t *const node = loop->posts_first;
        loop->posts_first = node->next;
        if (loop->posts_first == NULL) {
            loop->posts_last = NULL;
        }
        node->is_posted = false;
        loop_callback_t *const callback = node->callback;
        void *const context = node->context;
        if (node->is_owned) {
            free(node);
        }
        const bool is_last = node == last; /* compared, not followed */
        callback(context);
        if (is_last) {
            return;
        }
    }
}

static void run_hooks(loop_t *loop)
{
    for (int phase = 0; phase < LOOP_PHASES; phase++) {
        for (loop_hook_t *hook = loop->hooks; hook != NULL; hook = hook->next) {
            if ((int)hook->phase == phase) {
                hook->callback(hook->context);
            }
        }
    }
}

static void woken(world_t *world, void *payload)
{
    (void)world;
    (void)payload; /* the turn that follows does it all */
}

static void plan_wake(loop_t *loop)
{
    world_t *const world = loop->world;
    if (loop->wake_us <= world->now_us) {
        loop->wake_us = UINT64_MAX;
    }
    uint64_t wake_us = UINT64_MAX;
    const loop_timer_t *const timer = timer_due(loop);
    if (loop->again || loop->posts_first != NULL) {
        wake_us = world->now_us + 1;
    } else if (timer != NULL) {
        wake_us = timer->due_us > world->now_us ? timer->due_us : world->now_us + 1;
    }
    if (wake_us < loop->wake_us) {
        loop->wake_us = wake_us;
        agenda_add(world, wake_us - world->now_us, loop->owner, woken, NULL, NULL);
    }
}

void simulated_loop_turn(loop_t *loop)
{
    loop->again = false;
    run_timers(loop);
    run_posts(loop);
    run_hooks(loop);
    plan_wake(loop);
}

uint64_t loop_now_ms(const loop_t *loop)
{
    return world_now_ms(loop->world);
}

loop_timer_t *loop_timer_create(loop_t *loop, loop_callback_t *callback, void *context)
{
    loop_timer_t *timer = calloc(1, sizeof(*timer));
    assert(timer != NULL);
    timer->loop = loop;
    timer->callback = callback;
    timer->context = context;
    timer->next = loop->timers;
    loop->timers = timer;
    return timer;
}

void loop_timer_destroy(loop_timer_t **timer)
{
    loop_timer_t **place = &(*timer)->loop->timers;
    while (*place != *timer) {
        place = &(*place)->next;
    }
    *place = (*timer)->next;
    free(*timer);
    *timer = NULL;
}

void loop_timer_start(loop_timer_t *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
    timer->due_us = timer->loop->world->now_us + delay_ms * 1000;
    timer->repeat_us = repeat_ms * 1000;
    timer->is_started = true;
}

void loop_timer_stop(loop_timer_t *timer)
{
    timer->is_started = false;
}

loop_hook_t *loop_hook_create_in(loop_t *loop, loop_phase_t phase, loop_callback_t *callback,
                                 void *context)
{
    loop_hook_t *hook = calloc(1, sizeof(*hook));
    assert(hook != NULL);
    hook->loop = loop;
    hook->phase = phase;
    hook->callback = callback;
    hook->context = context;
    loop_hook_t **place = &loop->hooks;
    while (*place != NULL) {
        place = &(*place)->next;
    }
    *place = hook;
    return hook;
}

loop_hook_t *loop_hook_create(loop_t *loop, loop_callback_t *callback, void *context)
{
    return loop_hook_create_in(loop, LOOP_PHASE_HOOKS, callback, context);
}

void loop_hook_destroy(loop_hook_t **hook)
{
    loop_hook_t **place = &(*hook)->loop->hooks;
    while (*place != *hook) {
        place = &(*place)->next;
    }
    *place = (*hook)->next;
    free(*hook);
    *hook = NULL;
}

void loop_again(loop_t *loop)
{
    loop->again = true;
}

void loop_post_node(loop_t *loop, loop_post_node_t *node)
{
    if (node->is_posted) {
        return;
    }
    node->is_posted = true;
    node->next = NULL;
    if (loop->posts_last != NULL) {
        loop->posts_last->next = node;
    } else {
        loop->posts_first = node;
    }
    loop->posts_last = node;
}

void loop_post(loop_t *loop, loop_callback_t *callback, void *context)
{
    loop_post_node_t *node = calloc(1, sizeof(*node));
    assert(node != NULL);
    node->callback = callback;
    node->context = context;
    node->is_owned = true;
    loop_post_node(loop, node);
}

void loop_post_cancel(loop_t *loop, loop_post_node_t *node)
{
    loop_post_node_t *before = NULL;
    loop_post_node_t *other = loop->posts_first;
    while (other != NULL && other != node) {
        before = other;
        other = other->next;
    }
    if (other == NULL) {
        return;
    }
    if (before == NULL) {
        loop->posts_first = node->next;
    } else {
        before->next = node->next;
    }
    if (loop->posts_last == node) {
        loop->posts_last = before;
    }
    node->is_posted = false;
}
