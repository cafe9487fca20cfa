/* The cache on Redis: making, ticking, flushing once per turn, ending. */
#include "adapters/cache_redis/cache_redis_internal.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void redis_note_problem(cache_redis_t *cache, const char *problem)
{
    (void)snprintf(cache->problem, sizeof cache->problem, "%s", problem);
}

static void refusing_set(cache_redis_t *cache, bool is_refusing)
{
    cache->is_refusing = is_refusing;
    if (cache->numbers.is_refusing != NULL) {
        metric_set(cache->numbers.is_refusing, is_refusing ? 1 : 0);
    }
}

void redis_note_refusal(cache_redis_t *cache, const char *why)
{
    if (!cache->is_refusing) {
        log_warn("Redis refuses commands; this node counts and remembers alone meanwhile",
                 LOG_STRING("why", why));
    }
    redis_note_problem(cache, why);
    refusing_set(cache, true);
}

void redis_note_acceptance(cache_redis_t *cache)
{
    if (cache->is_refusing) {
        log_info("Redis takes commands again");
        redis_note_problem(cache, "");
        refusing_set(cache, false);
    }
}

static void tick(void *context)
{
    cache_redis_t *const cache = context;
    const uint64_t now_ms = loop_now_ms(cache->loop);
    for (size_t i = 0; i < REDIS_NODES; i++) {
        redis_node_tick(&cache->nodes[i], now_ms);
    }
    redis_commands_tick(cache, now_ms);
}

/* All commands of one turn of the loop are one write. */
static void flush(void *context)
{
    cache_redis_t *const cache = context;
    for (size_t i = 0; i < REDIS_NODES; i++) {
        if (cache->nodes[i].connection != NULL) {
            redis_connection_flush(cache->nodes[i].connection);
        }
    }
}

static void numbers_init(redis_numbers_t *numbers, metrics_t *metrics)
{
    static const char help[] = "Commands to the shared cache by how they ended";
    if (metrics == NULL) {
        return;
    }
    numbers->commands =
        metrics_counter(metrics, "digitalcard_cache_commands_total", "outcome=\"answered\"", help);
    numbers->unavailable = metrics_counter(metrics, "digitalcard_cache_commands_total",
                                           "outcome=\"unavailable\"", help);
    numbers->refused =
        metrics_counter(metrics, "digitalcard_cache_commands_total", "outcome=\"busy\"", help);
    numbers->redirects = metrics_counter(metrics, "digitalcard_cache_redirects_total", "",
                                         "MOVED and ASK of a Redis Cluster that were followed");
    numbers->connects = metrics_counter(metrics, "digitalcard_cache_connects_total", "",
                                        "Connections to Redis that came up");
    numbers->heard = metrics_counter(metrics, "digitalcard_cache_messages_heard_total", "",
                                     "News from other nodes");
    numbers->is_refusing =
        metrics_gauge(metrics, "digitalcard_cache_refusing", "",
                      "1 while the shared cache is there and refuses what is written to it");
    numbers->is_up = metrics_gauge(metrics, "digitalcard_cache_up", "",
                                   "1 while the shared cache is there; 0: each node by itself");
}

result_t cache_redis_create(loop_t *loop, metrics_t *metrics, const cache_redis_options_t *options,
                            cache_t **cache)
{
    cache_redis_t *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RESULT_NO_MEMORY;
    }
    made->loop = loop;
    if (redis_url_parse(options->url, &made->url) != NULL) {
        free(made);
        return RESULT_INVALID_ARGUMENT;
    }
    (void)snprintf(made->installation, sizeof made->installation, "%s", options->installation);
    random_fill(made->sender, sizeof made->sender);
    redis_commands_init(made);
    numbers_init(&made->numbers, metrics);
    for (size_t i = 0; i < REDIS_NODES; i++) {
        made->nodes[i] = (redis_node_t){
            .cache = made, .sent_first = REDIS_COMMAND_NONE, .sent_last = REDIS_COMMAND_NONE};
    }
    made->timer = loop_timer_create(loop, tick, made);
    made->flush = loop_hook_create(loop, flush, made);
    if (made->timer == NULL || made->flush == NULL) {
        cache_t *unmade = &made->base;
        cache_redis_destroy(&unmade);
        return RESULT_NO_MEMORY;
    }
    loop_timer_start(made->timer, 0, LIMIT_CACHE_TICK_MS);
    *cache = &made->base;
    return RESULT_OK;
}

void cache_redis_destroy(cache_t **cache)
{
    if (*cache == NULL) {
        return;
    }
    cache_redis_t *const closing = (cache_redis_t *)*cache;
    *cache = NULL;
    if (closing->timer != NULL) {
        loop_timer_destroy(&closing->timer);
    }
    if (closing->flush != NULL) {
        loop_hook_destroy(&closing->flush);
    }
    closing->is_ending = true; /* it is we who go */
    for (size_t i = 0; i < REDIS_NODES; i++) {
        if (closing->nodes[i].connection != NULL || closing->nodes[i].is_looking_up) {
            redis_node_fail(&closing->nodes[i], "it is closed");
        }
    }
    redis_names_forget(closing->names);
    explicit_bzero(&closing->url, sizeof closing->url);
    free(closing);
}
