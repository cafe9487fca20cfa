/* The event loop on libuv, and the process's one ZeroMQ context. A turn of libuv is timers → idle →
 * prepare → wait for descriptors and their callbacks → check; it is used so:
 *   check    ready sources (ZeroMQ sockets), then posted work
 *   prepare  hooks phase by phase, then every marked source is looked at once more
 * Between that last look and the wait nothing touches a source, so no edge of its descriptor can be
 * missed. The idle handle is started only to keep libuv from waiting. Must not know what hooks and
 * sources do. */
#include "runtime/loop_internal.h"

#include "runtime/limits.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>
#include <zmq.h>

struct loop_hook {
    loop_hook_t *previous;
    loop_hook_t *next;
    loop_t *loop;
    loop_phase_t phase;
    loop_callback_t *callback;
    void *context;
};

typedef struct hook_list {
    loop_hook_t *first;
    loop_hook_t *last;
} hook_list_t;

struct loop_timer {
    uv_timer_t handle;
    loop_callback_t *callback;
    void *context;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_poll_t wake; /* of wake_descriptor */
    int wake_descriptor;
    hook_list_t hooks[LOOP_PHASES];
    loop_hook_t *hook_next;     /* of the walk that is going on */
    loop_source_t *source_next; /* the same */
    loop_source_t *source_first;
    loop_source_t *source_last;
    uint32_t source_count; /* registered, marked or not */
    uint64_t drops[LOOP_DROPS];
    bool wants_again;
    bool has_zmq_context;
    pthread_mutex_t post_mutex; /* guards the five below and is_posted of the nodes */
    bool is_waiting;            /* for descriptors: a post has to wake it */
    loop_post_node_t *post_first;
    loop_post_node_t *post_last;
    size_t post_count;
};

/* The one ZeroMQ context of the process: sockets of two loops meet over inproc only in the same
 * one. It lives from the first loop that asks to the last loop that goes. */
static struct {
    pthread_mutex_t mutex;
    void *context;
    uint32_t loops;
} zmq_process = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void hooks_run(loop_t *loop)
{
    for (int phase = 0; phase < LOOP_PHASES; phase++) {
        loop_hook_t *hook = loop->hooks[phase].first;
        while (hook != NULL) {
            loop->hook_next = hook->next;
            hook->callback(hook->context);
            hook = loop->hook_next;
        }
    }
    loop->hook_next = NULL;
}

static void source_unmark(loop_t *loop, loop_source_t *source)
{
    if (source == loop->source_next) {
        loop->source_next = source->next;
    }
    if (source->previous == NULL) {
        loop->source_first = source->next;
    } else {
        source->previous->next = source->next;
    }
    if (source->next == NULL) {
        loop->source_last = source->previous;
    } else {
        source->next->previous = source->previous;
    }
    source->previous = NULL;
    source->next = NULL;
    source->is_marked = false;
}

static void sources_look(loop_t *loop)
{
    for (loop_source_t *source = loop->source_first; source != NULL;) {
        loop_source_t *const next = source->next;
        if (source->is_ready(source)) {
            loop->wants_again = true;
        } else {
            source_unmark(loop, source);
        }
        source = next;
    }
}

/* Each marked source once; those that their callbacks mark come after them in the same walk. */
static void sources_run(loop_t *loop)
{
    loop_source_t *source = loop->source_first;
    while (source != NULL) {
        loop->source_next = source->next;
        source->run(source);
        if (loop->source_next == NULL && source->is_marked) {
            loop->source_next = source->next;
        }
        source = loop->source_next;
    }
    loop->source_next = NULL;
}

static loop_post_node_t *post_take(loop_t *loop)
{
    pthread_mutex_lock(&loop->post_mutex);
    loop_post_node_t *const node = loop->post_first;
    if (node != NULL) {
        loop->post_first = node->next;
        loop->post_last = loop->post_first == NULL ? NULL : loop->post_last;
        loop->post_count--;
        node->next = NULL;
        node->is_posted = false;
    }
    pthread_mutex_unlock(&loop->post_mutex);
    return node;
}

/* What was posted before this turn; what the callbacks post comes in the next one. */
static void posts_run(loop_t *loop)
{
    pthread_mutex_lock(&loop->post_mutex);
    size_t count = loop->post_count;
    pthread_mutex_unlock(&loop->post_mutex);
    for (; count > 0; count--) {
        loop_post_node_t *const node = post_take(loop);
        if (node == NULL) {
            return; /* the rest was cancelled meanwhile */
        }
        loop_callback_t *const callback = node->callback;
        void *const context = node->context;
        if (node->is_owned) {
            free(node);
        }
        callback(context);
    }
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

/* Only ends the wait: on_check runs what was posted. */
static void on_wake(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    const loop_t *const loop = handle->data;
    uint64_t count = 0;
    (void)!read(loop->wake_descriptor, &count, sizeof(count)); /* empty: another turn took it */
}

/* From here to on_check a post has to write to the descriptor; at any other time the loop comes by
 * and looks. */
static void wait_begin(loop_t *loop)
{
    pthread_mutex_lock(&loop->post_mutex);
    loop->wants_again = loop->wants_again || loop->post_first != NULL;
    loop->is_waiting = !loop->wants_again;
    pthread_mutex_unlock(&loop->post_mutex);
}

static void wait_end(loop_t *loop)
{
    pthread_mutex_lock(&loop->post_mutex);
    loop->is_waiting = false;
    pthread_mutex_unlock(&loop->post_mutex);
}

static void on_prepare(uv_prepare_t *handle)
{
    loop_t *const loop = handle->data;
    uv_idle_stop(&loop->idle);
    loop->wants_again = false;
    hooks_run(loop);
    sources_look(loop);
    wait_begin(loop);
    if (loop->wants_again) {
        uv_idle_start(&loop->idle, on_idle);
    }
}

static void on_check(uv_check_t *handle)
{
    loop_t *const loop = handle->data;
    wait_end(loop);
    sources_run(loop);
    posts_run(loop);
}

/* Not uv_async_t: its loop, once awake, spins until the thread that woke it has come back from its
 * write, and on a busy machine that thread is just the one that had to make way. */
static result_t wake_start(loop_t *loop)
{
    loop->wake_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_descriptor < 0) {
        return RESULT_IO;
    }
    if (uv_poll_init(&loop->uv, &loop->wake, loop->wake_descriptor) != 0) {
        (void)close(loop->wake_descriptor);
        return RESULT_IO;
    }
    loop->wake.data = loop;
    const int failed = uv_poll_start(&loop->wake, UV_READABLE, on_wake);
    assert(failed == 0); /* the descriptor is ours and open */
    return RESULT_OK;
}

static result_t handles_start(loop_t *loop)
{
    if (wake_start(loop) != RESULT_OK) {
        return RESULT_IO;
    }
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->prepare.data = loop;
    loop->check.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    return RESULT_OK;
}

result_t loop_create(loop_t **loop)
{
    loop_t *const created = calloc(1, sizeof(*created));
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    if (uv_loop_init(&created->uv) != 0) {
        free(created);
        return RESULT_IO;
    }
    if (handles_start(created) != RESULT_OK) {
        (void)uv_loop_close(&created->uv);
        free(created);
        return RESULT_IO;
    }
    pthread_mutex_init(&created->post_mutex, NULL);
    /* A peer that hangs up is told by the result of the write, not by the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    *loop = created;
    return RESULT_OK;
}

static void handle_close(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void zmq_context_release(void)
{
    pthread_mutex_lock(&zmq_process.mutex);
    assert(zmq_process.loops > 0);
    zmq_process.loops--;
    void *const ended = zmq_process.loops == 0 ? zmq_process.context : NULL;
    zmq_process.context = zmq_process.loops == 0 ? NULL : zmq_process.context;
    pthread_mutex_unlock(&zmq_process.mutex);
    /* Waits for what lingers, LIMIT_CHANNEL_LINGER_MS at most. */
    while (ended != NULL && zmq_ctx_term(ended) != 0 && zmq_errno() == EINTR) {
    }
}

void loop_destroy(loop_t **loop)
{
    loop_t *const destroyed = *loop;
    if (destroyed == NULL) {
        return;
    }
    *loop = NULL;
    assert(destroyed->source_count == 0);
    enum { CLOSE_ROUNDS_MAX = 64 }; /* a close callback may open another handle, but not for ever */
    int rounds = 0;
    while (uv_loop_close(&destroyed->uv) == UV_EBUSY) {
        assert(rounds < CLOSE_ROUNDS_MAX);
        rounds++;
        uv_walk(&destroyed->uv, handle_close, NULL);
        uv_run(&destroyed->uv, UV_RUN_DEFAULT);
    }
    for (int phase = 0; phase < LOOP_PHASES; phase++) {
        for (loop_hook_t *hook = destroyed->hooks[phase].first; hook != NULL;) {
            loop_hook_t *const next = hook->next;
            free(hook);
            hook = next;
        }
    }
    for (loop_post_node_t *node = post_take(destroyed); node != NULL; node = post_take(destroyed)) {
        if (node->is_owned) {
            free(node);
        }
    }
    if (destroyed->has_zmq_context) {
        zmq_context_release();
    }
    (void)close(destroyed->wake_descriptor);
    pthread_mutex_destroy(&destroyed->post_mutex);
    free(destroyed);
}

void loop_run(loop_t *loop)
{
    uv_update_time(&loop->uv);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(loop_t *loop)
{
    uv_stop(&loop->uv);
}

void loop_count_drops(loop_t *loop, loop_drop_t kind, uint64_t count)
{
    loop->drops[kind] += count;
}

uint64_t loop_drops(const loop_t *loop, loop_drop_t kind)
{
    return loop->drops[kind];
}

uint64_t loop_now_ms(const loop_t *loop)
{
    return uv_now(&loop->uv);
}

struct uv_loop_s *loop_uv(loop_t *loop)
{
    return &loop->uv;
}

void *loop_zmq_context(loop_t *loop)
{
    pthread_mutex_lock(&zmq_process.mutex);
    if (zmq_process.context == NULL) {
        zmq_process.context = zmq_ctx_new();
        assert(zmq_process.context != NULL);
        (void)zmq_ctx_set(zmq_process.context, ZMQ_IO_THREADS, 1);
        (void)zmq_ctx_set(zmq_process.context, ZMQ_MAX_SOCKETS, LIMIT_ZMQ_SOCKETS);
    }
    if (!loop->has_zmq_context) {
        loop->has_zmq_context = true;
        zmq_process.loops++;
    }
    void *const context = zmq_process.context;
    pthread_mutex_unlock(&zmq_process.mutex);
    return context;
}

static void on_timer(uv_timer_t *handle)
{
    const loop_timer_t *const timer = handle->data;
    timer->callback(timer->context);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

loop_timer_t *loop_timer_create(loop_t *loop, loop_callback_t *callback, void *context)
{
    loop_timer_t *const timer = calloc(1, sizeof(*timer));
    assert(timer != NULL);
    timer->callback = callback;
    timer->context = context;
    uv_timer_init(&loop->uv, &timer->handle);
    timer->handle.data = timer;
    return timer;
}

void loop_timer_destroy(loop_timer_t **timer)
{
    if (*timer == NULL) {
        return;
    }
    uv_close((uv_handle_t *)&(*timer)->handle, on_timer_closed);
    *timer = NULL;
}

void loop_timer_start(loop_timer_t *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
    /* From now, not from the start of a turn that may have been long: never too early. */
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, on_timer, delay_ms, repeat_ms);
}

void loop_timer_stop(loop_timer_t *timer)
{
    uv_timer_stop(&timer->handle);
}

loop_hook_t *loop_hook_create_in(loop_t *loop, loop_phase_t phase, loop_callback_t *callback,
                                 void *context)
{
    loop_hook_t *const hook = calloc(1, sizeof(*hook));
    assert(hook != NULL);
    hook_list_t *const list = &loop->hooks[phase];
    *hook = (loop_hook_t){list->last, NULL, loop, phase, callback, context};
    if (list->last == NULL) {
        list->first = hook;
    } else {
        list->last->next = hook;
    }
    list->last = hook;
    return hook;
}

loop_hook_t *loop_hook_create(loop_t *loop, loop_callback_t *callback, void *context)
{
    return loop_hook_create_in(loop, LOOP_PHASE_HOOKS, callback, context);
}

void loop_hook_destroy(loop_hook_t **hook)
{
    loop_hook_t *const destroyed = *hook;
    if (destroyed == NULL) {
        return;
    }
    *hook = NULL;
    loop_t *const loop = destroyed->loop;
    hook_list_t *const list = &loop->hooks[destroyed->phase];
    if (loop->hook_next == destroyed) {
        loop->hook_next = destroyed->next;
    }
    if (destroyed->previous == NULL) {
        list->first = destroyed->next;
    } else {
        destroyed->previous->next = destroyed->next;
    }
    if (destroyed->next == NULL) {
        list->last = destroyed->previous;
    } else {
        destroyed->next->previous = destroyed->previous;
    }
    free(destroyed);
}

void loop_again(loop_t *loop)
{
    loop->wants_again = true;
}

void loop_source_add(loop_t *loop, loop_source_t *source)
{
    assert(!source->is_marked);
    loop->source_count++;
}

void loop_source_mark(loop_t *loop, loop_source_t *source)
{
    if (source->is_marked) {
        return;
    }
    source->is_marked = true;
    source->previous = loop->source_last;
    source->next = NULL;
    if (loop->source_last == NULL) {
        loop->source_first = source;
    } else {
        loop->source_last->next = source;
    }
    loop->source_last = source;
}

void loop_source_remove(loop_t *loop, loop_source_t *source)
{
    if (source->is_marked) {
        source_unmark(loop, source);
    }
    assert(loop->source_count > 0);
    loop->source_count--;
}

void loop_post_node(loop_t *loop, loop_post_node_t *node)
{
    pthread_mutex_lock(&loop->post_mutex);
    const bool was_posted = node->is_posted;
    const bool wakes = !was_posted && loop->is_waiting;
    if (!was_posted) {
        node->is_posted = true;
        node->next = NULL;
        if (loop->post_last == NULL) {
            loop->post_first = node;
        } else {
            loop->post_last->next = node;
        }
        loop->post_last = node;
        loop->post_count++;
        loop->is_waiting = false; /* one wake-up is enough */
    }
    pthread_mutex_unlock(&loop->post_mutex);
    if (wakes) {
        const uint64_t one = 1;
        const ssize_t written = write(loop->wake_descriptor, &one, sizeof(one));
        assert(written == (ssize_t)sizeof(one)); /* a counter that is read each time it was set */
    }
}

void loop_post(loop_t *loop, loop_callback_t *callback, void *context)
{
    loop_post_node_t *const node = calloc(1, sizeof(*node));
    assert(node != NULL); /* a lost completion would leave its caller waiting for ever */
    node->callback = callback;
    node->context = context;
    node->is_owned = true;
    loop_post_node(loop, node);
}

void loop_post_cancel(loop_t *loop, loop_post_node_t *node)
{
    pthread_mutex_lock(&loop->post_mutex);
    loop_post_node_t *previous = NULL;
    loop_post_node_t *walked = node->is_posted ? loop->post_first : NULL;
    while (walked != NULL && walked != node) {
        previous = walked;
        walked = walked->next;
    }
    if (walked != NULL) {
        if (previous == NULL) {
            loop->post_first = node->next;
        } else {
            previous->next = node->next;
        }
        loop->post_last = loop->post_last == node ? previous : loop->post_last;
        loop->post_count--;
        node->is_posted = false;
    }
    pthread_mutex_unlock(&loop->post_mutex);
}
