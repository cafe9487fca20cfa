/* See run.h. */
#include "bench/load/run.h"
#include "bench/bench.h"
#include "bench/load/options.h"
#include "bench/load/print.h"
#include "bench/load/subscribers.h"
#include "bench/load/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 20 };

/* --- What workers ask of the run --- */

void load_run_fatal(load_run_t *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&run->mutex);
    if (run->fatal[0] == '\0') {
        (void)vsnprintf(run->fatal, sizeof(run->fatal), format, arguments);
    }
    pthread_mutex_unlock(&run->mutex);
    va_end(arguments);
    atomic_store(&run->is_stopped, true);
}

load_round_t load_run_next_round(load_run_t *run, uint64_t number)
{
    pthread_mutex_lock(&run->mutex);
    while (run->round.number == number) {
        pthread_cond_wait(&run->changed, &run->mutex);
    }
    const load_round_t round = run->round;
    pthread_mutex_unlock(&run->mutex);
    return round;
}

void load_run_round_done(load_run_t *run)
{
    pthread_mutex_lock(&run->mutex);
    run->workers_done++;
    pthread_mutex_unlock(&run->mutex);
}

uint64_t load_run_interval_ns(const load_run_t *run)
{
    const load_options_t *const options = run->options;
    const double whole_ms = (options->duration_s + options->warmup_s + options->ramp_s) * 1000;
    const double least_ms = ceil(whole_ms / (LOAD_INTERVALS_MAX - 1));
    const double asked_ms = options->interval_ms;
    return (uint64_t)(asked_ms > least_ms ? asked_ms : least_ms) * LOAD_NS_PER_MS;
}

void load_run_interval(load_run_t *run, size_t index, uint64_t good, uint64_t errors,
                       const histogram_t *latency)
{
    pthread_mutex_lock(&run->mutex);
    if (run->round.kind == LOAD_ROUND_LOAD && index < LOAD_INTERVALS_MAX) {
        load_curve_t *const curve = run->curve;
        load_interval_t *const interval = &curve->intervals[index];
        if (interval->latency.buckets == NULL) {
            histogram_init(&interval->latency, HISTOGRAM_BITS_COARSE);
        }
        interval->good += good;
        interval->errors += errors;
        histogram_merge(&interval->latency, latency);
        curve->count = index >= curve->count ? index + 1 : curve->count;
    }
    pthread_mutex_unlock(&run->mutex);
}

/* --- Ctrl-C --- */

static volatile sig_atomic_t interrupts;

static void on_signal(int number)
{
    (void)number;
    interrupts++;
    if (interrupts > 2) {
        _exit(BENCH_EXIT_FAILED); /* whoever presses it three times does not want to wait */
    }
}

static void signals_take(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* --- Rounds --- */

static void curve_clear(load_curve_t *curve)
{
    for (size_t index = 0; index < curve->count; index++) {
        curve->intervals[index].good = 0;
        curve->intervals[index].errors = 0;
        if (curve->intervals[index].latency.buckets != NULL) {
            histogram_clear(&curve->intervals[index].latency);
        }
    }
    curve->count = 0;
}

static void curve_deinit(load_curve_t *curve)
{
    for (size_t index = 0; index < LOAD_INTERVALS_MAX; index++) {
        histogram_deinit(&curve->intervals[index].latency);
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The figures of the last whole second; under the mutex. */
static void live_line(load_run_t *run, uint64_t now_ns)
{
    const uint64_t interval_ns = load_run_interval_ns(run);
    const size_t now = (size_t)((now_ns - run->round.begin_ns) / interval_ns);
    const size_t per_second = (size_t)(LOAD_NS_PER_S / interval_ns);
    const size_t wanted = per_second == 0 ? 1 : per_second;
    const size_t first = now > wanted ? now - wanted : 0;
    const load_curve_t *const curve = run->curve;
    histogram_t latency;
    uint64_t good = 0;
    uint64_t errors = 0;
    histogram_init(&latency, HISTOGRAM_BITS_COARSE);
    for (size_t index = first; index < now && index < curve->count; index++) {
        good += curve->intervals[index].good;
        if (curve->intervals[index].latency.buckets != NULL) {
            histogram_merge(&latency, &curve->intervals[index].latency);
        }
    }
    for (size_t index = 0; index < curve->count; index++) {
        errors += curve->intervals[index].errors;
    }
    load_print_live(run, (double)(now_ns - run->round.begin_ns) / 1e9,
                    (double)(run->round.end_ns - run->round.begin_ns) / 1e9, good, errors,
                    (double)(now - first) * (double)interval_ns / 1e9, &latency);
    histogram_deinit(&latency);
}

/* Starts a round and waits until all workers are through with it. */
static void round_run(load_run_t *run, load_round_t round)
{
    const struct timespec pause = {.tv_nsec = TICK_MS * 1000000L};
    const bool is_live = run->options->is_live && round.kind == LOAD_ROUND_LOAD;
    uint64_t live_ns = round.begin_ns + LOAD_NS_PER_S + LOAD_NS_PER_S / 10;
    pthread_mutex_lock(&run->mutex);
    round.number = run->round.number + 1;
    run->round = round;
    run->workers_done = 0;
    curve_clear(run->curve);
    pthread_cond_broadcast(&run->changed);
    while (run->workers_done < run->options->threads) {
        if (is_live && load_now_ns() >= live_ns) {
            live_line(run, load_now_ns());
            live_ns += LOAD_NS_PER_S;
        }
        pthread_mutex_unlock(&run->mutex);
        if (interrupts > 0) {
            atomic_store(&run->is_stopped, true);
        }
        (void)nanosleep(&pause, NULL);
        pthread_mutex_lock(&run->mutex);
    }
    pthread_mutex_unlock(&run->mutex);
    if (is_live && isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
}

static void result_collect(load_run_t *run, load_result_t *result)
{
    histogram_clear(&result->latency);
    result->tally = (load_tally_t){0};
    for (uint32_t index = 0; index < run->options->threads; index++) {
        histogram_merge(&result->latency, &run->workers[index].latency);
        load_tally_merge(&result->tally, &run->workers[index].tally);
    }
}

static void load_round(load_run_t *run, double rate, double duration_s, load_result_t *result)
{
    const load_options_t *const options = run->options;
    load_round_t round = {.kind = LOAD_ROUND_LOAD, .rate = rate, .begin_ns = load_now_ns()};
    const double cpu_before = cpu_seconds();
    round.ramp_ns = (uint64_t)((rate > 0 ? options->ramp_s : 0) * 1e9);
    round.measured_ns = round.begin_ns + round.ramp_ns + (uint64_t)(options->warmup_s * 1e9);
    round.end_ns = round.measured_ns + (uint64_t)(duration_s * 1e9);
    round_run(run, round);
    const uint64_t now_ns = load_now_ns();
    const uint64_t until_ns = now_ns < round.end_ns ? now_ns : round.end_ns;
    result_collect(run, result);
    result->round = round;
    result->was_interrupted = interrupts > 0;
    result->generator_cpu =
        (cpu_seconds() - cpu_before) / ((double)(now_ns - round.begin_ns) / 1e9);
    result->measured_s =
        until_ns > round.measured_ns ? (double)(until_ns - round.measured_ns) / 1e9 : 0;
    result->rate =
        result->measured_s > 0 ? (double)result->tally.good_in_time / result->measured_s : 0;
    result->reached = rate > 0 && result->tally.asked > 0
                          ? (double)result->tally.good / (double)result->tally.asked
                          : 1;
}

static bool prepare(load_run_t *run)
{
    const load_round_t round = {.kind = LOAD_ROUND_PREPARE,
                                .begin_ns = load_now_ns(),
                                .measured_ns = UINT64_MAX,
                                .end_ns = UINT64_MAX};
    if (run->options->is_live) {
        (void)fprintf(stderr, "issuing %u cards …\n", run->options->cards);
    }
    round_run(run, round);
    return !atomic_load(&run->is_stopped);
}

/* --- The highest rate that keeps a p99 --- */

/* A rate is kept when it is reached within one percent, the percentile holds, and nothing fails. */
enum { SEARCH_STEPS = 8 };

static bool step_run(load_run_t *run, double rate, load_result_t *result)
{
    load_round(run, rate, run->options->step_s, result);
    load_step_t *const step = &run->steps[run->step_count++];
    step->rate_asked = rate;
    step->rate = result->rate;
    step->p99_ms = (double)histogram_percentile(&result->latency, 0.99) / 1e6;
    step->errors = result->tally.errors;
    /* Of a step that was cut short nobody knows whether it would have been kept to its end. */
    step->is_good = !result->was_interrupted && step->errors == 0 && result->tally.good > 0 &&
                    step->p99_ms <= run->options->p99_ms && result->reached >= LOAD_REACHED_MIN;
    if (!run->options->json) {
        load_print_step(step);
    }
    return step->is_good;
}

static void result_init(load_result_t *result)
{
    *result = (load_result_t){0};
    histogram_init(&result->latency, HISTOGRAM_BITS_FINE);
}

static void curves_swap(load_run_t *run)
{
    pthread_mutex_lock(&run->mutex);
    load_curve_t *const other = run->curve;
    run->curve = run->spare;
    run->spare = other;
    pthread_mutex_unlock(&run->mutex);
}

/* First what the service does when it is never left alone, then halving between a rate that is kept
 * and one that is not. The figures and curves of the best step are the run's. */
static bool find_rate(load_run_t *run)
{
    load_result_t tried;
    bool is_found = false;
    result_init(&tried);
    (void)step_run(run, 0, &run->result);
    double low = 0;
    double high = run->result.rate * 1.1;
    for (int step = 0; step < SEARCH_STEPS && high > 1 && !atomic_load(&run->is_stopped); step++) {
        const double rate = step == 0 ? high * 0.8 : (low + high) / 2;
        curves_swap(run);
        if (step_run(run, rate, &tried)) {
            low = rate;
            is_found = true;
            const load_result_t other = run->result;
            run->result = tried;
            tried = other;
        } else {
            curves_swap(run);
            high = rate;
        }
    }
    run->result.was_interrupted = interrupts > 0;
    histogram_deinit(&tried.latency);
    return is_found;
}

/* --- The whole --- */

static bool run_start(load_run_t *run)
{
    const load_options_t *const options = run->options;
    char name[4096];
    run->workers = calloc(options->threads, sizeof(*run->workers));
    if (run->workers == NULL) {
        abort();
    }
    for (uint32_t index = 0; index < options->threads; index++) {
        load_worker_t *const worker = &run->workers[index];
        load_worker_init(worker, run, index);
        if (options->acknowledged != NULL) {
            (void)snprintf(name, sizeof(name), "%s.%u", options->acknowledged, index);
            worker->acknowledged = fopen(name, "we");
            if (worker->acknowledged == NULL) {
                load_run_fatal(run, "cannot write %s: %s", name, strerror(errno));
            }
        }
        if (pthread_create(&worker->thread, NULL, load_worker_main, worker) != 0) {
            abort();
        }
    }
    return !atomic_load(&run->is_stopped);
}

static void run_end(load_run_t *run)
{
    round_run(run, (load_round_t){.kind = LOAD_ROUND_END});
}

static void run_destroy(load_run_t *run)
{
    for (uint32_t index = 0; index < run->options->threads; index++) {
        (void)pthread_join(run->workers[index].thread, NULL);
        if (run->workers[index].acknowledged != NULL &&
            fclose(run->workers[index].acknowledged) != 0) {
            load_run_fatal(run, "cannot write %s: %s", run->options->acknowledged, strerror(errno));
        }
        load_worker_deinit(&run->workers[index]);
    }
    curve_deinit(&run->curves[0]);
    curve_deinit(&run->curves[1]);
    histogram_deinit(&run->result.latency);
    free(run->workers);
    free(run);
}

static bool measure(load_run_t *run)
{
    const load_options_t *const options = run->options;
    if (!prepare(run)) {
        return false;
    }
    if (options->events != NULL) {
        const char *why = NULL;
        run->subscribers = load_subscribers_start(options, &why);
        if (run->subscribers == NULL) {
            load_run_fatal(run, "cannot connect to %s: %s", options->events, why);
            return false;
        }
    }
    bool is_good = true;
    if (options->finds_rate) {
        is_good = find_rate(run);
    } else {
        load_round(run, options->rate, options->duration_s, &run->result);
    }
    if (run->subscribers != NULL) {
        load_subscribers_finish(&run->subscribers, &run->events);
    }
    return is_good;
}

/* A subscriber that was cut off or never heard anything measured nothing; gaps are told, since a
 * publisher may leave out what a slow subscriber does not take. */
static bool has_heard(const load_run_t *run)
{
    const load_options_t *const options = run->options;
    const load_events_t *const events = &run->events;
    if (options->events == NULL || options->allows_errors) {
        return true;
    }
    if (events->lost > 0) {
        (void)fprintf(stderr, "digitalcard-bench: %s ended %" PRIu64 " of %u subscriptions%s\n",
                      options->events, events->lost, options->subscribers,
                      events->received == 0 ? "; is it the --events endpoint of the service?" : "");
    } else if (events->received == 0) {
        (void)fprintf(stderr,
                      "digitalcard-bench: no event came from %s; is it the --events endpoint of "
                      "this service?\n",
                      options->events);
    }
    return events->lost == 0 && events->received > 0;
}

static bool is_successful(const load_run_t *run)
{
    const load_options_t *const options = run->options;
    const load_tally_t *const tally = &run->result.tally;
    return tally->good > 0 && tally->wrong == 0 && (tally->errors == 0 || options->allows_errors) &&
           (options->rate <= 0 || run->result.reached >= LOAD_REACHED_MIN);
}

static bool tell(load_run_t *run)
{
    if (run->options->json) {
        load_print_json(run, stdout);
        load_print_not_reached(run, stderr);
    } else {
        load_print_text(run);
    }
    if (run->options->report != NULL && !load_report_write(run, run->options->report)) {
        (void)fprintf(stderr, "digitalcard-bench: cannot write %s: %s\n", run->options->report,
                      strerror(errno));
        return false;
    }
    return true;
}

int load_run(const load_options_t *options)
{
    load_run_t *const run = calloc(1, sizeof(*run));
    if (run == NULL) {
        abort();
    }
    run->options = options;
    run->curve = &run->curves[0];
    run->spare = &run->curves[1];
    load_random_t random = {load_now_ns() ^ (uint64_t)getpid() << 40};
    run->run_id = load_random_next(&random) >> 24;
    pthread_mutex_init(&run->mutex, NULL);
    pthread_cond_init(&run->changed, NULL);
    result_init(&run->result);
    signals_take();
    bool is_good = run_start(run) && measure(run);
    const bool has_figures =
        run->result.round.kind == LOAD_ROUND_LOAD && run->result.measured_s > 0;
    if (run->fatal[0] != '\0') {
        (void)fprintf(stderr, "digitalcard-bench: %s\n", run->fatal);
        is_good = false;
    } else if (!has_figures) {
        (void)fprintf(stderr, "digitalcard-bench: interrupted before anything was measured\n");
        is_good = false;
    }
    if (has_figures) {
        is_good = tell(run) && has_heard(run) && is_good && is_successful(run);
    }
    run_end(run);
    run_destroy(run);
    return is_good ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}
