/* A run as text and as JSON. */
#include "bench/load/print.h"

#include "messages/utf8.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const double parts[] = {0.5, 0.9, 0.99, 0.999};
static const char *const part_names[] = {"p50", "p90", "p99", "p99_9"};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

const char *load_grouped(uint64_t number, char text[32])
{
    char digits[24];
    const int size = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    int at = 0;
    for (int index = 0; index < size; index++) {
        if (index > 0 && (size - index) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[index];
    }
    text[at] = '\0';
    return text;
}

static double percentile_ms(const histogram_t *latency, double part)
{
    return (double)histogram_percentile(latency, part) / 1e6;
}

void load_print_live(const load_run_t *run, double elapsed_s, double whole_s, uint64_t good,
                     uint64_t errors, double seconds, const histogram_t *latency)
{
    char rate[32];
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    const double per_second = seconds > 0 ? (double)good / seconds : 0;
    (void)run;
    (void)fprintf(
        stderr, "%s%5.0f s of %.0f   %9s/s   p50 %.2f ms   p99 %.2f ms   errors %" PRIu64 "%s",
        is_terminal ? "\r\033[K" : "", elapsed_s, whole_s, load_grouped((uint64_t)per_second, rate),
        percentile_ms(latency, 0.5), percentile_ms(latency, 0.99), errors, is_terminal ? "" : "\n");
    (void)fflush(stderr);
}

void load_print_step(const load_step_t *step)
{
    char asked[32];
    char rate[32];
    (void)printf("  %-12s %9s/s   p99 %8.2f ms   errors %-6" PRIu64 " %s\n",
                 step->rate_asked > 0 ? load_grouped((uint64_t)step->rate_asked, asked)
                                      : "closed-loop",
                 load_grouped((uint64_t)step->rate, rate), step->p99_ms, step->errors,
                 step->is_good ? "kept" : "");
    (void)fflush(stdout);
}

static void print_errors(const load_tally_t *tally)
{
    for (size_t index = 0; index < tally->kind_count; index++) {
        (void)printf("  %-10" PRIu64 " %s\n", tally->kinds[index].count, tally->kinds[index].code);
    }
    for (size_t index = 0; index < tally->wrong_told_count; index++) {
        (void)printf("  wrong: %s\n", tally->wrong_told[index]);
    }
}

static void print_search(const load_run_t *run)
{
    const load_result_t *const result = &run->result;
    const double p99_ms = run->options->p99_ms;
    char rate[32];
    if (result->round.rate <= 0) {
        (void)printf(result->was_interrupted
                         ? "interrupted before a rate was found that keeps a p99 of %g ms"
                         : "no rate keeps a p99 of %g ms",
                     p99_ms);
        (void)printf("; without a pause it was %s/s, p99 %.2f ms\n",
                     load_grouped((uint64_t)result->rate, rate),
                     percentile_ms(&result->latency, 0.99));
        return;
    }
    (void)printf("%s/s is the highest rate found that keeps a p99 of %g ms%s\n",
                 load_grouped((uint64_t)result->round.rate, rate), p99_ms,
                 result->was_interrupted ? "; the search was interrupted" : "");
}

/* Near to all of its threads' time: more would be asked for if there were more of them. */
static const double generator_full = 0.9;

void load_print_not_reached(const load_run_t *run, FILE *out)
{
    const load_result_t *const result = &run->result;
    const load_options_t *const options = run->options;
    char rate[32];
    char asked[32];
    char unsent[32];
    if (options->rate <= 0 || result->reached >= LOAD_REACHED_MIN) {
        return;
    }
    (void)fprintf(out,
                  "the rate of %s/s was not reached: %s/s were answered, %s requests could "
                  "not even be sent in time\n",
                  load_grouped((uint64_t)options->rate, asked),
                  load_grouped((uint64_t)result->rate, rate),
                  load_grouped(result->tally.unsent, unsent));
    if (result->tally.unsent == 0) {
        return;
    }
    if (result->generator_cpu >= generator_full * options->threads) {
        (void)fprintf(out, "the generator itself was the limit (%.2f cores): --threads %u\n",
                      result->generator_cpu, options->threads + 1);
    } else if (options->protocol == LOAD_HTTP) {
        (void)fprintf(out, "all %u --connections waited for an answer\n", options->connections);
    } else {
        (void)fprintf(out, "all %u --connections × %u of the --pipeline waited for an answer\n",
                      options->connections, options->pipeline);
    }
}

void load_print_text(const load_run_t *run)
{
    const load_result_t *const result = &run->result;
    const load_options_t *const options = run->options;
    char rate[32];
    char count[32];
    (void)printf("%s over %s: %u connection%s × %u, %u card%s, %s%s, %.1f s%s\n",
                 load_scenario_names[options->scenario],
                 options->protocol == LOAD_HTTP ? "HTTP" : "ROUTER", options->connections,
                 options->connections == 1 ? "" : "s", options->pipeline, options->cards,
                 options->cards == 1 ? "" : "s",
                 result->round.rate > 0 ? "open-loop" : "closed-loop",
                 options->with_keys ? ", idempotency keys" : "", result->measured_s,
                 result->was_interrupted ? " (interrupted)" : "");
    if (options->finds_rate) {
        print_search(run);
    }
    load_print_not_reached(run, stdout);
    (void)printf("rate     %s/s\n", load_grouped((uint64_t)result->rate, rate));
    (void)printf("requests %s, errors %" PRIu64,
                 load_grouped(result->tally.good + result->tally.errors, count),
                 result->tally.errors);
    if (result->tally.unsent > 0) {
        (void)printf(", and %s that were due and never sent (latency has their wait so far)",
                     load_grouped(result->tally.unsent, count));
    }
    (void)fputc('\n', stdout);
    print_errors(&result->tally);
    (void)printf("latency ");
    for (size_t index = 0; index < PARTS; index++) {
        (void)printf(" %s %.3f ms ", part_names[index],
                     percentile_ms(&result->latency, parts[index]));
    }
    (void)printf(" max %.3f ms  mean %.3f ms\n", (double)result->latency.max / 1e6,
                 (double)histogram_mean(&result->latency) / 1e6);
    (void)printf("generator %.2f cores\n", result->generator_cpu);
    if (options->events != NULL) {
        const load_events_t *const events = &run->events;
        (void)printf("events   %" PRIu64 " received by %u subscribers, %" PRIu64 " missed, %" PRIu64
                     " repeated, %" PRIu64 " connections lost; late by p50 %" PRIu64
                     " ms, p99 %" PRIu64 " ms, max %" PRIu64 " ms\n",
                     events->received, options->subscribers, events->missed, events->repeated,
                     events->lost, events->lag_ms_p50, events->lag_ms_p99, events->lag_ms_max);
    }
}

/* --- JSON --- */

/* Codes and sentences come from a service, which may be anything. */
static void json_text(FILE *out, const char *text)
{
    const bool is_utf8 = utf8_is_valid((text_t){text, strlen(text)});
    (void)fputc('"', out);
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\') {
            (void)fprintf(out, "\\%c", byte);
        } else if (byte < 0x20 || (byte >= 0x80 && !is_utf8)) {
            (void)fprintf(out, "\\u%04x", byte);
        } else {
            (void)fputc(byte, out);
        }
    }
    (void)fputc('"', out);
}

static void json_latency(FILE *out, const histogram_t *latency)
{
    (void)fputs("\"latency_us\":{", out);
    for (size_t index = 0; index < PARTS; index++) {
        (void)fprintf(out, "\"%s\":%.1f,", part_names[index],
                      (double)histogram_percentile(latency, parts[index]) / 1e3);
    }
    (void)fprintf(out, "\"max\":%.1f,\"mean\":%.1f}", (double)latency->max / 1e3,
                  (double)histogram_mean(latency) / 1e3);
}

static void json_errors(FILE *out, const load_tally_t *tally)
{
    (void)fputs(",\"error_kinds\":{", out);
    for (size_t index = 0; index < tally->kind_count; index++) {
        (void)fputs(index == 0 ? "" : ",", out);
        json_text(out, tally->kinds[index].code);
        (void)fprintf(out, ":%" PRIu64, tally->kinds[index].count);
    }
    (void)fputs("},\"wrong_answers\":[", out);
    for (size_t index = 0; index < tally->wrong_told_count; index++) {
        (void)fputs(index == 0 ? "" : ",", out);
        json_text(out, tally->wrong_told[index]);
    }
    (void)fputs("]", out);
}

static void json_intervals(FILE *out, const load_run_t *run)
{
    const uint64_t interval_ns = load_run_interval_ns(run);
    const double measured_ns = (double)(run->result.round.measured_ns - run->result.round.begin_ns);
    (void)fprintf(out, ",\"interval_s\":%.3f,\"intervals\":[", (double)interval_ns / 1e9);
    for (size_t index = 0; index < run->curve->count; index++) {
        const load_interval_t *const interval = &run->curve->intervals[index];
        const bool has_latency = interval->latency.buckets != NULL;
        (void)fprintf(out, "%s{\"t\":%.3f,\"requests\":%" PRIu64 ",\"errors\":%" PRIu64,
                      index == 0 ? "" : ",",
                      ((double)index * (double)interval_ns - measured_ns) / 1e9, interval->good,
                      interval->errors);
        for (size_t part = 0; part < PARTS; part++) {
            (void)fprintf(out, ",\"%s\":%.1f", part_names[part],
                          has_latency
                              ? (double)histogram_percentile(&interval->latency, parts[part]) / 1e3
                              : 0.0);
        }
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

static void json_steps(FILE *out, const load_run_t *run)
{
    (void)fputs(",\"steps\":[", out);
    for (size_t index = 0; index < run->step_count; index++) {
        const load_step_t *const step = &run->steps[index];
        (void)fprintf(out,
                      "%s{\"rate_asked\":%.1f,\"rate\":%.1f,\"p99_us\":%.1f,\"errors\":%" PRIu64
                      ",\"kept\":%s}",
                      index == 0 ? "" : ",", step->rate_asked, step->rate, step->p99_ms * 1000,
                      step->errors, step->is_good ? "true" : "false");
    }
    (void)fputs("]", out);
}

void load_print_json(const load_run_t *run, FILE *out)
{
    const load_result_t *const result = &run->result;
    const load_options_t *const options = run->options;
    (void)fprintf(out,
                  "{\"benchmark\":\"%s\",\"scenario\":\"%s\",\"connections\":%u,\"pipeline\":%u"
                  ",\"cards\":%u,\"threads\":%u,\"seed\":%" PRIu64
                  ",\"mode\":\"%s\",\"rate_asked\":%.1f,\"reached\":%.4f,\"duration_s\":%.3f"
                  ",\"interrupted\":%s,\"requests\":%" PRIu64 ",\"errors\":%" PRIu64
                  ",\"wrong\":%" PRIu64 ",\"unsent\":%" PRIu64 ",\"rate\":%.1f,",
                  options->protocol == LOAD_HTTP ? "http" : "api",
                  load_scenario_names[options->scenario], options->connections, options->pipeline,
                  options->cards, options->threads, options->seed,
                  result->round.rate > 0 ? "open-loop" : "closed-loop", result->round.rate,
                  result->reached, result->measured_s, result->was_interrupted ? "true" : "false",
                  result->tally.good + result->tally.errors, result->tally.errors,
                  result->tally.wrong, result->tally.unsent, result->rate);
    json_latency(out, &result->latency);
    json_errors(out, &result->tally);
    (void)fprintf(out, ",\"generator_cores\":%.2f", result->generator_cpu);
    if (options->events != NULL) {
        const load_events_t *const events = &run->events;
        (void)fprintf(out,
                      ",\"events\":{\"received\":%" PRIu64 ",\"missed\":%" PRIu64
                      ",\"repeated\":%" PRIu64 ",\"connections_lost\":%" PRIu64
                      ",\"late_ms\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}}",
                      events->received, events->missed, events->repeated, events->lost,
                      events->lag_ms_p50, events->lag_ms_p99, events->lag_ms_max);
    }
    if (options->finds_rate) {
        json_steps(out, run);
    }
    json_intervals(out, run);
    (void)fputs("}\n", out);
}
