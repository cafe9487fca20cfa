/* See worker.h. Each turn: what is due is sent to free slots, all that was written leaves, then the
 * thread waits for replies or for the moment when the next request is due.
 *
 * The latency of an open-loop request counts from that moment, whether a connection was free then
 * or not: what a stall keeps from being sent is as late as what it keeps from being answered. */
#include "bench/load/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 256,
    PREPARATION_FAILURES_MAX = 1000, /* a service that is only busy comes round */
    WAIT_MS_MAX = 50,                /* how late a round may begin and Ctrl-C be seen */
};

/* --- Free slots and those under way --- */

static void free_push(load_worker_t *worker, uint32_t slot)
{
    if (!worker->slots[slot].is_free_listed) {
        worker->slots[slot].is_free_listed = true;
        const uint32_t at = (worker->free_begin + worker->free_count) % worker->slot_count;
        worker->free_ring[at] = slot;
        worker->free_count++;
    }
}

static uint32_t free_take(load_worker_t *worker)
{
    while (worker->free_count > 0) {
        const uint32_t slot = worker->free_ring[worker->free_begin];
        worker->free_begin = (worker->free_begin + 1) % worker->slot_count;
        worker->free_count--;
        worker->slots[slot].is_free_listed = false;
        if (worker->connections[worker->slots[slot].connection].state == LOAD_OPEN) {
            return slot;
        }
    }
    return LOAD_SLOT_NONE;
}

static void busy_add(load_worker_t *worker, uint32_t index)
{
    load_slot_t *const slot = &worker->slots[index];
    slot->is_busy = true;
    slot->previous = worker->busy_last;
    slot->next = LOAD_SLOT_NONE;
    if (worker->busy_last == LOAD_SLOT_NONE) {
        worker->busy_first = index;
    } else {
        worker->slots[worker->busy_last].next = index;
    }
    worker->busy_last = index;
    worker->busy_count++;
}

static void busy_remove(load_worker_t *worker, uint32_t index)
{
    load_slot_t *const slot = &worker->slots[index];
    assert(slot->is_busy);
    slot->is_busy = false;
    slot->turn++;
    if (slot->previous == LOAD_SLOT_NONE) {
        worker->busy_first = slot->next;
    } else {
        worker->slots[slot->previous].next = slot->next;
    }
    if (slot->next == LOAD_SLOT_NONE) {
        worker->busy_last = slot->previous;
    } else {
        worker->slots[slot->next].previous = slot->previous;
    }
    worker->busy_count--;
}

/* --- Figures --- */

static void interval_flush(load_worker_t *worker)
{
    if (worker->interval_good + worker->interval_errors > 0) {
        load_run_interval(worker->run, worker->interval, worker->interval_good,
                          worker->interval_errors, &worker->interval_latency);
        histogram_clear(&worker->interval_latency);
        worker->interval_good = 0;
        worker->interval_errors = 0;
    }
}

static void interval_at(load_worker_t *worker, uint64_t now_ns)
{
    const size_t interval =
        (size_t)((now_ns - worker->round.begin_ns) / load_run_interval_ns(worker->run));
    if (interval != worker->interval) {
        interval_flush(worker);
        worker->interval = interval;
    }
}

static bool is_measured(const load_worker_t *worker, uint64_t time_ns)
{
    return time_ns >= worker->round.measured_ns && time_ns < worker->round.end_ns;
}

static void record_good(load_worker_t *worker, const load_slot_t *slot, uint64_t now_ns)
{
    const uint64_t latency_ns = now_ns - slot->due_ns;
    interval_at(worker, now_ns);
    worker->interval_good++;
    histogram_record(&worker->interval_latency, latency_ns);
    worker->tally.good_in_time += is_measured(worker, now_ns) ? 1 : 0;
    if (is_measured(worker, slot->due_ns)) {
        worker->tally.good++;
        histogram_record(&worker->latency, latency_ns);
    }
}

static void record_error(load_worker_t *worker, const load_slot_t *slot, text_t code)
{
    interval_at(worker, load_now_ns());
    worker->interval_errors++;
    if (is_measured(worker, slot->due_ns)) {
        load_tally_error(&worker->tally, code, 1);
    }
}

/* --- The end of a request --- */

static void acknowledge(load_worker_t *worker, const load_request_t *request,
                        const load_reply_t *reply)
{
    if (worker->acknowledged != NULL && request->action != LOAD_GET) {
        (void)fprintf(worker->acknowledged, "%s %.*s %.*s\n", load_action_names[request->action],
                      TEXT_PRINT(reply->card), TEXT_PRINT(reply->validation_id));
    }
}

static void slot_release(load_worker_t *worker, uint32_t index)
{
    busy_remove(worker, index);
    free_push(worker, index);
}

/* A refusal at the very beginning is nothing that would get better: the token, the tenant. */
static void preparation_failed(load_worker_t *worker, const load_frame_t *frame,
                               const load_reply_t *reply)
{
    const bool is_final = text_equal(reply->code, TEXT_LITERAL("unauthenticated")) ||
                          text_equal(reply->code, TEXT_LITERAL("forbidden")) ||
                          (frame->status >= 400 && frame->status < 500 && frame->status != 429) ||
                          (worker->run->options->protocol == LOAD_ROUTER && reply->code.size > 0 &&
                           !text_equal(reply->code, TEXT_LITERAL("busy")));
    worker->preparation_failures++;
    if (is_final || worker->preparation_failures > PREPARATION_FAILURES_MAX) {
        const bool is_token = text_equal(reply->code, TEXT_LITERAL("unauthenticated")) ||
                              text_equal(reply->code, TEXT_LITERAL("forbidden"));
        load_run_fatal(worker->run, "the service refused to issue a card: %.*s: %.*s%s",
                       TEXT_PRINT(reply->code), TEXT_PRINT(reply->detail),
                       is_token ? " (`digitalcard token mint --tenant NAME --role tenant_admin` "
                                  "makes a token that may)"
                                : "");
    }
}

void load_worker_fail(load_worker_t *worker, uint32_t index, text_t code, const char *detail)
{
    load_slot_t *const slot = &worker->slots[index];
    record_error(worker, slot, code);
    if (worker->round.kind == LOAD_ROUND_PREPARE) {
        load_run_fatal(worker->run, "no answer while issuing cards: %.*s: %s", TEXT_PRINT(code),
                       detail);
    }
    load_player_failed(&worker->player, &slot->script, &slot->request);
    slot_release(worker, index);
}

static uint32_t slot_of(load_worker_t *worker, const load_connection_t *connection,
                        const load_frame_t *frame)
{
    if (worker->run->options->protocol == LOAD_HTTP) {
        return connection->slot_first;
    }
    /* Twenty bits of the slot in its worker, twelve of its turn. */
    const uint32_t slot = frame->id & (LOAD_SLOTS_MAX - 1);
    if (!frame->has_id || slot >= worker->slot_count ||
        (worker->slots[slot].turn & 0xfffU) != frame->id >> 20) {
        return LOAD_SLOT_NONE;
    }
    return slot;
}

static void answered(load_worker_t *worker, load_slot_t *slot, const load_frame_t *frame,
                     const load_reply_t *reply)
{
    char told[LOAD_WRONG_SIZE];
    if (!reply->is_ok &&
        load_player_may_be_refused(&worker->player, &slot->script, &slot->request, reply)) {
        record_good(worker, slot, load_now_ns());
        return;
    }
    if (!reply->is_ok) {
        record_error(worker, slot, reply->code);
        if (worker->round.kind == LOAD_ROUND_PREPARE) {
            preparation_failed(worker, frame, reply);
        }
        load_player_failed(&worker->player, &slot->script, &slot->request);
        return;
    }
    const uint64_t now_ns = load_now_ns();
    const char *const wrong =
        load_player_done(&worker->player, &slot->script, &slot->request, reply, told);
    if (wrong == NULL) {
        record_good(worker, slot, now_ns);
        acknowledge(worker, &slot->request, reply);
        return;
    }
    worker->interval_errors++;
    load_tally_wrong(&worker->tally, wrong); /* wrong is wrong, measured or not */
    if (worker->round.kind == LOAD_ROUND_PREPARE) {
        load_run_fatal(worker->run, "a wrong answer: %s", wrong);
    }
}

/* A reply to nothing that is under way: too late, or a service that has too many connections. */
static void unasked(load_worker_t *worker, const load_frame_t *frame)
{
    load_reply_t reply = {0};
    const bool is_problem = worker->run->options->protocol == LOAD_HTTP && !frame->is_ok &&
                            load_document_read_json(frame, LOAD_GET, &reply);
    interval_at(worker, load_now_ns());
    worker->interval_errors++;
    load_tally_error(&worker->tally, is_problem ? reply.code : TEXT_LITERAL("unexpected_reply"), 1);
}

void load_worker_frame(load_worker_t *worker, load_connection_t *connection,
                       const load_frame_t *frame)
{
    const uint32_t index = slot_of(worker, connection, frame);
    if (index == LOAD_SLOT_NONE || !worker->slots[index].is_busy) {
        unasked(worker, frame);
        return;
    }
    load_slot_t *const slot = &worker->slots[index];
    load_reply_t reply;
    const bool is_document = worker->run->options->protocol == LOAD_HTTP
                                 ? load_document_read_json(frame, slot->request.action, &reply)
                                 : load_document_read_msgpack(frame, &reply);
    if (!is_document) {
        load_worker_fail(worker, index, TEXT_LITERAL("malformed_reply"), "no such document");
        return;
    }
    answered(worker, slot, frame, &reply);
    slot_release(worker, index);
}

/* --- The begin of a request --- */

void load_worker_connection_open(load_worker_t *worker, load_connection_t *connection)
{
    connection->failures = 0;
    worker->opening_count--;
    for (uint32_t index = 0; index < worker->run->options->pipeline; index++) {
        if (!worker->slots[connection->slot_first + index].is_busy) {
            free_push(worker, connection->slot_first + index);
        }
    }
}

/* When the next request is due. While the rate rises in proportion to the time, as many requests as
 * t² · rate / (2 · ramp) are due until t, so that the time of the next one is a root. */
static void due_advance(load_worker_t *worker)
{
    const load_options_t *const options = worker->run->options;
    const double ramp_ns = (double)worker->round.ramp_ns;
    const double even_ns = 1e9 * options->threads / worker->round.rate;
    double step = options->is_poisson ? -log(1 - load_random_part(&worker->random)) : 1;
    if (worker->due_next_ns < ramp_ns) {
        const double risen_ns2 = worker->due_next_ns * worker->due_next_ns;
        const double next_ns2 = risen_ns2 + 2 * step * even_ns * ramp_ns;
        if (next_ns2 <= ramp_ns * ramp_ns) {
            worker->due_next_ns = sqrt(next_ns2);
            return;
        }
        step -= (ramp_ns * ramp_ns - risen_ns2) / (2 * even_ns * ramp_ns);
        worker->due_next_ns = ramp_ns;
    }
    worker->due_next_ns += step * even_ns;
}

static uint64_t due_ns(const load_worker_t *worker)
{
    return worker->round.begin_ns + (uint64_t)worker->due_next_ns;
}

static void slot_send(load_worker_t *worker, uint32_t index, uint64_t due, uint64_t now_ns)
{
    load_slot_t *const slot = &worker->slots[index];
    load_connection_t *const connection = &worker->connections[slot->connection];
    slot->due_ns = due;
    slot->sent_ns = now_ns;
    slot->request.id = index | (uint32_t)(slot->turn & 0xfffU) << 20;
    if (worker->run->options->protocol == LOAD_HTTP) {
        load_http_write(&worker->wire, &slot->request, &connection->out);
    } else {
        load_router_write(&worker->wire, &slot->request, &connection->out);
    }
    busy_add(worker, index);
    if (!connection->is_dirty) {
        connection->is_dirty = true;
        worker->dirty[worker->dirty_count++] = slot->connection;
    }
}

static void send_prepare(load_worker_t *worker, uint64_t now_ns)
{
    for (uint32_t slot = free_take(worker); slot != LOAD_SLOT_NONE; slot = free_take(worker)) {
        if (!load_player_prepare(&worker->player, &worker->slots[slot].script,
                                 &worker->slots[slot].request)) {
            free_push(worker, slot);
            return;
        }
        slot_send(worker, slot, now_ns, now_ns);
    }
}

static void send_load(load_worker_t *worker, uint64_t now_ns)
{
    const bool is_open_loop = worker->round.rate > 0;
    while (worker->free_count > 0) {
        const uint64_t due = is_open_loop ? due_ns(worker) : now_ns;
        if (due > now_ns || due >= worker->round.end_ns) {
            return;
        }
        const uint32_t slot = free_take(worker);
        if (slot == LOAD_SLOT_NONE) {
            return;
        }
        if (is_open_loop) {
            worker->tally.asked += is_measured(worker, due) ? 1 : 0;
            due_advance(worker);
        }
        load_player_next(&worker->player, &worker->slots[slot].script,
                         &worker->slots[slot].request);
        slot_send(worker, slot, due, now_ns);
    }
}

static void flush_dirty(load_worker_t *worker)
{
    for (uint32_t index = 0; index < worker->dirty_count; index++) {
        load_connection_t *const connection = &worker->connections[worker->dirty[index]];
        if (connection->is_dirty) {
            connection->is_dirty = false;
            load_connection_flush(worker, connection);
        }
    }
    worker->dirty_count = 0;
}

/* --- Time --- */

/* HTTP has no way to give up on one request but to give up its connection. */
static void expire(load_worker_t *worker, uint64_t now_ns)
{
    const uint64_t timeout_ns = worker->run->options->timeout_ms * LOAD_NS_PER_MS;
    while (worker->busy_first != LOAD_SLOT_NONE) {
        const uint32_t index = worker->busy_first;
        if (now_ns - worker->slots[index].sent_ns < timeout_ns) {
            return;
        }
        const uint32_t connection = worker->slots[index].connection;
        load_worker_fail(worker, index, TEXT_LITERAL("timeout"), "no answer in time");
        if (worker->run->options->protocol == LOAD_HTTP) {
            load_connection_lose(worker, &worker->connections[connection], TEXT_LITERAL("timeout"),
                                 "no answer in time");
        }
    }
}

static void reconnect(load_worker_t *worker, uint64_t now_ns)
{
    if (worker->closed_count + worker->opening_count == 0) {
        return;
    }
    for (uint32_t index = 0; index < worker->connection_count; index++) {
        load_connection_t *const connection = &worker->connections[index];
        if (connection->state == LOAD_CLOSED && connection->retry_ns <= now_ns) {
            load_connection_start(worker, connection);
        } else if (connection->state != LOAD_CLOSED) {
            load_connection_expire(worker, connection, now_ns);
        }
    }
}

static uint64_t wait_until_ns(const load_worker_t *worker, uint64_t now_ns)
{
    uint64_t until = now_ns + WAIT_MS_MAX * LOAD_NS_PER_MS;
    if (worker->closed_count > 0) {
        until = now_ns + LOAD_NS_PER_MS;
    }
    const bool is_load = worker->round.kind == LOAD_ROUND_LOAD;
    if (is_load && worker->round.end_ns > now_ns && worker->round.end_ns < until) {
        until = worker->round.end_ns;
    }
    if (is_load && worker->round.rate > 0 && worker->free_count > 0 && due_ns(worker) < until) {
        until = due_ns(worker);
    }
    return until;
}

static void wait_and_handle(load_worker_t *worker)
{
    struct epoll_event events[EVENTS_PER_TURN];
    const uint64_t now_ns = load_now_ns();
    const uint64_t until_ns = wait_until_ns(worker, now_ns);
    const uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    const struct timespec wait = {.tv_sec = (time_t)(wait_ns / LOAD_NS_PER_S),
                                  .tv_nsec = (long)(wait_ns % LOAD_NS_PER_S)};
    const int count = epoll_pwait2(worker->epoll, events, EVENTS_PER_TURN, &wait, NULL);
    for (int index = 0; index < count; index++) {
        load_connection_event(worker, &worker->connections[events[index].data.u32],
                              events[index].events);
    }
}

static void turn(load_worker_t *worker, bool is_sending)
{
    const uint64_t now_ns = load_now_ns();
    reconnect(worker, now_ns);
    expire(worker, now_ns);
    if (is_sending && worker->round.kind == LOAD_ROUND_PREPARE) {
        send_prepare(worker, now_ns);
    } else if (is_sending) {
        send_load(worker, now_ns);
    }
    flush_dirty(worker);
    wait_and_handle(worker);
}

/* --- Rounds --- */

static bool is_stopped(const load_worker_t *worker)
{
    return atomic_load_explicit(&worker->run->is_stopped, memory_order_relaxed);
}

static void round_begin(load_worker_t *worker)
{
    worker->tally = (load_tally_t){0};
    histogram_clear(&worker->latency);
    histogram_clear(&worker->interval_latency);
    worker->interval_good = 0;
    worker->interval_errors = 0;
    worker->interval = 0;
    if (worker->round.rate > 0) {
        worker->due_next_ns = 1e9 / worker->round.rate * worker->index;
    }
}

/* What was due and found no free connection until the end has waited at least until now. */
static void unsent_record(load_worker_t *worker, uint64_t end_ns)
{
    if (worker->round.rate <= 0) {
        return;
    }
    while (due_ns(worker) < end_ns) {
        const uint64_t due = due_ns(worker);
        if (is_measured(worker, due)) {
            worker->tally.asked++;
            worker->tally.unsent++;
            histogram_record(&worker->latency, end_ns - due);
        }
        due_advance(worker);
    }
}

static void round_load(load_worker_t *worker)
{
    while (!is_stopped(worker) && load_now_ns() < worker->round.end_ns) {
        turn(worker, true);
    }
    const uint64_t now_ns = load_now_ns();
    const uint64_t patience_ns = now_ns + worker->run->options->timeout_ms * LOAD_NS_PER_MS;
    while (worker->busy_count > 0 && load_now_ns() < patience_ns &&
           !(is_stopped(worker) && load_now_ns() > now_ns + LOAD_NS_PER_S)) {
        turn(worker, false);
    }
    /* Only now: there may be many of them, and the last replies shall not wait for that. */
    unsent_record(worker, now_ns < worker->round.end_ns ? now_ns : worker->round.end_ns);
    interval_flush(worker);
}

static void round_prepare(load_worker_t *worker)
{
    while (!is_stopped(worker) && !load_player_is_prepared(&worker->player)) {
        turn(worker, true);
    }
}

void *load_worker_main(void *context)
{
    load_worker_t *const worker = context;
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* wakes when a request is due, not 50 µs later */
    for (;;) {
        worker->round = load_run_next_round(worker->run, worker->round.number);
        if (worker->round.kind == LOAD_ROUND_END) {
            load_run_round_done(worker->run);
            return NULL;
        }
        round_begin(worker);
        if (worker->round.kind == LOAD_ROUND_PREPARE) {
            round_prepare(worker);
        } else {
            round_load(worker);
        }
        load_run_round_done(worker->run);
    }
}

/* --- Making and ending a worker --- */

static uint32_t share(uint32_t whole, uint32_t parts, uint32_t index)
{
    return whole / parts + (index < whole % parts ? 1 : 0);
}

static void *make(size_t count, size_t size)
{
    void *const made = calloc(count, size);
    if (made == NULL) {
        abort(); /* a benchmark without memory is no benchmark */
    }
    return made;
}

static void connections_init(load_worker_t *worker, uint32_t pipeline)
{
    for (uint32_t index = 0; index < worker->connection_count; index++) {
        worker->connections[index].fd = -1;
        worker->connections[index].slot_first = index * pipeline;
        worker->closed_count++;
        for (uint32_t slot = 0; slot < pipeline; slot++) {
            worker->slots[index * pipeline + slot].connection = index;
        }
    }
}

void load_worker_init(load_worker_t *worker, load_run_t *run, uint32_t index)
{
    const load_options_t *const options = run->options;
    const uint32_t cards = share(options->cards, options->threads, index);
    *worker = (load_worker_t){.run = run,
                              .index = index,
                              .busy_first = LOAD_SLOT_NONE,
                              .busy_last = LOAD_SLOT_NONE,
                              .random = {options->seed + index}};
    worker->connection_count = share(options->connections, options->threads, index);
    worker->slot_count = worker->connection_count * options->pipeline;
    worker->connections = make(worker->connection_count, sizeof(*worker->connections));
    worker->slots = make(worker->slot_count, sizeof(*worker->slots));
    worker->free_ring = make(worker->slot_count, sizeof(*worker->free_ring));
    worker->dirty = make(worker->connection_count, sizeof(*worker->dirty));
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    connections_init(worker, options->pipeline);
    load_wire_init(&worker->wire, options, run->run_id << 8 | index);
    load_player_init(&worker->player, options, cards == 0 ? 1 : cards,
                     options->seed ^ (uint64_t)(index + 1) << 32);
    histogram_init(&worker->latency, HISTOGRAM_BITS_FINE);
    histogram_init(&worker->interval_latency, HISTOGRAM_BITS_COARSE);
}

void load_worker_deinit(load_worker_t *worker)
{
    for (uint32_t index = 0; index < worker->connection_count; index++) {
        load_connection_t *const connection = &worker->connections[index];
        if (connection->fd >= 0) {
            (void)close(connection->fd);
        }
        load_buffer_deinit(&connection->in);
        load_buffer_deinit(&connection->out);
    }
    (void)close(worker->epoll);
    free(worker->connections);
    free(worker->slots);
    free(worker->free_ring);
    free(worker->dirty);
    load_wire_deinit(&worker->wire);
    load_player_deinit(&worker->player);
    histogram_deinit(&worker->latency);
    histogram_deinit(&worker->interval_latency);
}
