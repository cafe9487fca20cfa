/* A loop that the test turns by hand. */
#include "tests/support/loop_fake.h"
#include "runtime/loop_internal.h"
#include <assert.h>
#include <stdlib.h>

enum { TURNS_MAX = 100000 };

struct loop_timer {
    loop_t *loop;
    loop_timer_t *next;
    loop_callback_t *callback;
    void *context;
    uint64_t due_ms;
    uint64_t repeat_ms;
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
    uint64_t now_ms;
    loop_timer_t *timers;
    loop_hook_t *hooks;
    loop_post_node_t *posts_first;
    loop_post_node_t *posts_last;
    bool again;
    bool is_stopped;
};

result_t loop_create(loop_t **loop)
{
    *loop = calloc(1, sizeof(**loop));
    assert(*loop != NULL);
    (*loop)->now_ms = 1000000;
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
        if (timer->is_started && (due == NULL || timer->due_ms < due->due_ms)) {
            due = timer;
        }
    }
    return due;
}

static void run_timers(loop_t *loop)
{
    for (int count = 0; count < TURNS_MAX; count++) {
        loop_timer_t *const timer = timer_due(loop);
        if (timer == NULL || timer->due_ms > loop->now_ms) {
            return;
        }
        timer->is_started = timer->repeat_ms != 0;
        timer->due_ms = loop->now_ms + timer->repeat_ms;
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

void loop_fake_turn(loop_t *loop)
{
    loop->again = false;
    run_timers(loop);
    run_posts(loop);
    run_hooks(loop);
}

void loop_fake_settle(loop_t *loop)
{
    int turns = 0;
    do {
        loop_fake_turn(loop);
        turns++;
        assert(turns < TURNS_MAX);
    } while (loop->again || loop->posts_first != NULL);
}

void loop_fake_advance(loop_t *loop, uint64_t milliseconds)
{
    const uint64_t end_ms = loop->now_ms + milliseconds;
    loop_fake_settle(loop);
    for (int count = 0; count < TURNS_MAX; count++) {
        const loop_timer_t *const timer = timer_due(loop);
        if (timer == NULL || timer->due_ms > end_ms) {
            break;
        }
        if (timer->due_ms > loop->now_ms) {
            loop->now_ms = timer->due_ms;
        }
        loop_fake_settle(loop);
    }
    loop->now_ms = end_ms;
    loop_fake_settle(loop);
}

void loop_fake_jump(loop_t *loop, uint64_t milliseconds)
{
    loop->now_ms += milliseconds;
}

void loop_run(loop_t *loop)
{
    loop->is_stopped = false;
    while (!loop->is_stopped) {
        loop_fake_advance(loop, 1);
    }
}

void loop_stop(loop_t *loop)
{
    loop->is_stopped = true;
}

uint64_t loop_now_ms(const loop_t *loop)
{
    return loop->now_ms;
}

struct uv_loop_s *loop_uv(loop_t *loop)
{
    (void)loop;
    return NULL;
}

void *loop_zmq_context(loop_t *loop)
{
    (void)loop;
    return NULL;
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
    timer->due_ms = timer->loop->now_ms + delay_ms;
    timer->repeat_ms = repeat_ms;
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

void loop_source_add(loop_t *loop, loop_source_t *source)
{
    (void)loop;
    (void)source;
}

void loop_source_mark(loop_t *loop, loop_source_t *source)
{
    (void)loop;
    (void)source;
}

void loop_source_remove(loop_t *loop, loop_source_t *source)
{
    (void)loop;
    (void)source;
}
