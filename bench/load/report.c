/* A run as one page that needs nothing but itself: styles and drawings are inside, nothing is
 * fetched, no script runs. Colours follow the reader's light or dark setting. */
#include "bench/load/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum {
    WIDTH = 860,
    HEIGHT = 240,
    LEFT = 70,
    RIGHT = 36, /* half of the last label */
    TOP = 12,
    BOTTOM = 34,
    BINS = 100,
    LINES_MAX = 3,
    GRID_LINES = 4,
};

typedef struct line {
    const char *name;
    const char *style; /* class of the stylesheet */
    double *values;    /* one per interval; negative: none */
} line_t;

typedef struct chart {
    const char *title;
    const char *unit;
    double x_min; /* seconds */
    double x_max;
    double y_min;
    double y_max;
    bool is_log;
    line_t lines[LINES_MAX];
    size_t line_count;
    double measured_from; /* what comes before is shaded */
} chart_t;

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>DigitalCard load</title>\n<style>\n"
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#656d76;--page:#fff;--grid:#d8dee4;"
    "--one:#0969da;--two:#9a6700;--three:#cf222e;--shade:#f0f2f4}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--page:#0d1117;"
    "--grid:#30363d;--one:#4493f8;--two:#d29922;--three:#f85149;--shade:#161b22}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);"
    "max-width:900px;margin:24px auto;padding:0 16px}\n"
    "h1{font-size:22px}h2{font-size:16px;margin:28px 0 4px}\n"
    "table{border-collapse:collapse}td,th{padding:2px 18px 2px 0;text-align:left}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".soft,text{color:var(--soft);fill:var(--soft)}svg{width:100%;height:auto}"
    "text{font:12px system-ui,sans-serif}\n"
    ".grid{stroke:var(--grid)}.shade{fill:var(--shade)}.bar{fill:var(--one)}\n"
    "polyline{fill:none;stroke-width:1.6}.one{stroke:var(--one)}.two{stroke:var(--two)}"
    ".three{stroke:var(--three)}\n"
    ".k1{color:var(--one)}.k2{color:var(--two)}.k3{color:var(--three)}\n"
    "</style></head><body>\n";

/* Texts of the command line and of replies: they may hold anything. */
static void write_escaped(FILE *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        switch (*at) {
        case '&':
            (void)fputs("&amp;", out);
            break;
        case '<':
            (void)fputs("&lt;", out);
            break;
        case '>':
            (void)fputs("&gt;", out);
            break;
        default:
            (void)fputc((unsigned char)*at < 0x20 ? ' ' : *at, out);
        }
    }
}

static double x_of(const chart_t *chart, double value)
{
    const double span = chart->x_max > chart->x_min ? chart->x_max - chart->x_min : 1;
    return LEFT + (value - chart->x_min) / span * (WIDTH - LEFT - RIGHT);
}

static double y_of(const chart_t *chart, double value)
{
    double part;
    if (chart->is_log) {
        const double kept = value < chart->y_min ? chart->y_min : value;
        part = log(kept / chart->y_min) / log(chart->y_max / chart->y_min);
    } else {
        part = (value - chart->y_min) / (chart->y_max - chart->y_min);
    }
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static void write_number(FILE *out, double number)
{
    char text[32];
    if (number >= 1000) {
        (void)fputs(load_grouped((uint64_t)(number + 0.5), text), out);
    } else {
        (void)fprintf(out, number >= 100 || number == floor(number) ? "%.0f" : "%.3g", number);
    }
}

static void write_grid(FILE *out, const chart_t *chart)
{
    for (int index = 0; index <= GRID_LINES; index++) {
        const double part = (double)index / GRID_LINES;
        const double value = chart->is_log ? chart->y_min * pow(chart->y_max / chart->y_min, part)
                                           : chart->y_min + (chart->y_max - chart->y_min) * part;
        const double y = y_of(chart, value);
        (void)fprintf(out,
                      "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                      LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4);
        write_number(out, value);
        (void)fputs("</text>\n", out);
        const double x = chart->x_min + (chart->x_max - chart->x_min) * part;
        (void)fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.3g s</text>\n",
                      x_of(chart, x), HEIGHT - 12, x);
    }
}

static void write_line(FILE *out, const chart_t *chart, const line_t *line, const double *times,
                       size_t count)
{
    bool is_open = false;
    for (size_t index = 0; index < count; index++) {
        const bool has_value = line->values[index] >= 0;
        if (has_value && !is_open) {
            (void)fprintf(out, "<polyline class=\"%s\" points=\"", line->style);
        } else if (!has_value && is_open) {
            (void)fputs("\"/>\n", out);
        }
        is_open = has_value;
        if (has_value) {
            (void)fprintf(out, "%.1f,%.1f ", x_of(chart, times[index]),
                          y_of(chart, line->values[index]));
        }
    }
    (void)fputs(is_open ? "\"/>\n" : "", out);
}

static void write_chart(FILE *out, const chart_t *chart, const double *times, size_t count)
{
    (void)fprintf(out, "<h2>%s</h2><div class=\"soft\">%s", chart->title, chart->unit);
    for (size_t index = 0; index < chart->line_count; index++) {
        (void)fprintf(out, " · <span class=\"k%zu\">%s</span>", index + 1,
                      chart->lines[index].name);
    }
    (void)fprintf(out, "%s</div>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n",
                  chart->measured_from > chart->x_min ? " · grey: ramp and warm-up, not measured"
                                                      : "",
                  WIDTH, HEIGHT, chart->title);
    if (chart->measured_from > chart->x_min) {
        (void)fprintf(out,
                      "<rect class=\"shade\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\">"
                      "<title>ramp and warm-up, not measured</title></rect>\n",
                      LEFT, TOP, x_of(chart, chart->measured_from) - LEFT, HEIGHT - TOP - BOTTOM);
    }
    write_grid(out, chart);
    for (size_t index = 0; index < chart->line_count; index++) {
        write_line(out, chart, &chart->lines[index], times, count);
    }
    (void)fputs("</svg>\n", out);
}

/* --- The curves over time --- */

typedef struct curves {
    size_t count;
    double *times;
    double *rate;
    double *errors;
    double *percentiles[LINES_MAX];
    double rate_max;
    double latency_max;
    double latency_min;
} curves_t;

static double *numbers(size_t count)
{
    double *const made = calloc(count == 0 ? 1 : count, sizeof(*made));
    if (made == NULL) {
        abort();
    }
    return made;
}

static const double width_part_min = 0.1; /* of an interval: a shorter last one says little */

/* The last interval ends with the load. */
static double interval_width_s(const load_run_t *run, size_t index, double begin_s)
{
    const double interval_s = (double)load_run_interval_ns(run) / 1e9;
    return fmin(interval_s, run->result.measured_s - begin_s - (double)index * interval_s);
}

static void curves_init(curves_t *curves, const load_run_t *run)
{
    static const double parts[LINES_MAX] = {0.5, 0.99, 0.999};
    const double interval_s = (double)load_run_interval_ns(run) / 1e9;
    const double begin_s =
        -(double)(run->result.round.measured_ns - run->result.round.begin_ns) / 1e9;
    *curves = (curves_t){.rate_max = 1, .latency_min = 1e9};
    /* What is answered after the end was sent before it: no part of the rate. */
    while (curves->count < run->curve->count &&
           interval_width_s(run, curves->count, begin_s) >= interval_s * width_part_min) {
        curves->count++;
    }
    curves->times = numbers(curves->count);
    curves->rate = numbers(curves->count);
    curves->errors = numbers(curves->count);
    for (size_t line = 0; line < LINES_MAX; line++) {
        curves->percentiles[line] = numbers(curves->count);
    }
    for (size_t index = 0; index < curves->count; index++) {
        const load_interval_t *const interval = &run->curve->intervals[index];
        const double width_s = interval_width_s(run, index, begin_s);
        curves->times[index] = begin_s + (double)index * interval_s + width_s / 2;
        curves->rate[index] = (double)interval->good / width_s;
        curves->errors[index] = (double)interval->errors / width_s;
        curves->rate_max = fmax(curves->rate_max, curves->rate[index] + curves->errors[index]);
        for (size_t line = 0; line < LINES_MAX; line++) {
            const double value =
                interval->good == 0
                    ? -1
                    : (double)histogram_percentile(&interval->latency, parts[line]) / 1e6;
            curves->percentiles[line][index] = value;
            curves->latency_max = fmax(curves->latency_max, value);
            curves->latency_min =
                value > 0 ? fmin(curves->latency_min, value) : curves->latency_min;
        }
    }
}

static void curves_deinit(curves_t *curves)
{
    free(curves->times);
    free(curves->rate);
    free(curves->errors);
    for (size_t line = 0; line < LINES_MAX; line++) {
        free(curves->percentiles[line]);
    }
}

static void write_curves(FILE *out, const load_run_t *run)
{
    curves_t curves;
    curves_init(&curves, run);
    if (curves.count > 0) {
        const double begin_s =
            -(double)(run->result.round.measured_ns - run->result.round.begin_ns) / 1e9;
        chart_t rate = {
            .title = "Rate over time",
            .unit = "per second",
            .x_min = begin_s,
            .x_max = fmax(run->result.measured_s, begin_s + 0.001),
            .y_max = curves.rate_max * 1.05,
            .line_count = 2,
            .lines = {{"right answers", "one", curves.rate}, {"errors", "two", curves.errors}}};
        write_chart(out, &rate, curves.times, curves.count);
        chart_t latency = {.title = "Percentiles over time",
                           .unit = "milliseconds, logarithmic",
                           .x_min = rate.x_min,
                           .x_max = rate.x_max,
                           .y_min = fmax(curves.latency_min * 0.8, 0.001),
                           .y_max = fmax(curves.latency_max * 1.2, 0.002),
                           .is_log = true,
                           .line_count = LINES_MAX,
                           .lines = {{"p50", "one", curves.percentiles[0]},
                                     {"p99", "two", curves.percentiles[1]},
                                     {"p99.9", "three", curves.percentiles[2]}}};
        write_chart(out, &latency, curves.times, curves.count);
    }
    curves_deinit(&curves);
}

/* --- The histogram --- */

static void write_histogram(FILE *out, const histogram_t *latency)
{
    uint64_t counts[BINS] = {0};
    uint64_t most = 1;
    const double low = fmax((double)latency->min * 0.9, 1000);
    const double high = fmax((double)latency->max * 1.1, low * 10);
    histogram_spread(latency, low, high, counts, BINS);
    for (size_t bin = 0; bin < BINS; bin++) {
        most = counts[bin] > most ? counts[bin] : most;
    }
    (void)fprintf(out,
                  "<h2>Latency</h2><div class=\"soft\">how many requests took how many "
                  "milliseconds, both logarithmic</div>\n<svg viewBox=\"0 0 %d %d\" "
                  "role=\"img\" aria-label=\"Latency\">\n",
                  WIDTH, HEIGHT);
    const double plot_width = (double)(WIDTH - LEFT - RIGHT) / BINS;
    const double plot_height = HEIGHT - TOP - BOTTOM;
    for (size_t bin = 0; bin < BINS; bin++) {
        const double height =
            counts[bin] == 0 ? 0
                             : plot_height * log((double)counts[bin] + 1) / log((double)most + 1);
        (void)fprintf(out,
                      "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                      "height=\"%.1f\"><title>%" PRIu64 " requests</title></rect>\n",
                      LEFT + plot_width * (double)bin, TOP + plot_height - height, plot_width - 0.8,
                      height, counts[bin]);
    }
    for (int mark = 0; mark <= GRID_LINES; mark++) {
        const double part = (double)mark / GRID_LINES;
        (void)fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.3g ms</text>\n",
                      LEFT + part * (WIDTH - LEFT - RIGHT), HEIGHT - 12,
                      low * pow(high / low, part) / 1e6);
    }
    (void)fprintf(out,
                  "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%" PRIu64
                  "</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">0</text>\n</svg>\n",
                  LEFT - 8, TOP + 10, most, LEFT - 8, HEIGHT - BOTTOM);
}

/* --- Tables --- */

static void write_row(FILE *out, const char *name, double value, const char *unit)
{
    (void)fprintf(out, "<tr><td>%s</td><td class=\"n\">", name);
    write_number(out, value);
    (void)fprintf(out, "</td><td class=\"soft\">%s</td></tr>\n", unit);
}

static void write_figures(FILE *out, const load_run_t *run)
{
    const load_result_t *const result = &run->result;
    const histogram_t *const latency = &result->latency;
    (void)fputs("<table>\n", out);
    write_row(out, "rate", result->rate, "right answers per second");
    if (result->round.rate > 0) {
        write_row(out, "asked for", result->round.rate, "per second (open-loop)");
        write_row(out, "not even sent in time", (double)result->tally.unsent, "requests");
    }
    write_row(out, "requests", (double)(result->tally.good + result->tally.errors), "");
    write_row(out, "errors", (double)result->tally.errors, "");
    write_row(out, "p50", (double)histogram_percentile(latency, 0.5) / 1e6, "ms");
    write_row(out, "p90", (double)histogram_percentile(latency, 0.9) / 1e6, "ms");
    write_row(out, "p99", (double)histogram_percentile(latency, 0.99) / 1e6, "ms");
    write_row(out, "p99.9", (double)histogram_percentile(latency, 0.999) / 1e6, "ms");
    write_row(out, "max", (double)latency->max / 1e6, "ms");
    write_row(out, "generator", result->generator_cpu, "cores of the same machine");
    (void)fputs("</table>\n", out);
}

static void write_events(FILE *out, const load_run_t *run)
{
    const load_events_t *const events = &run->events;
    if (run->options->events == NULL) {
        return;
    }
    (void)fputs("<h2>Events</h2><table>\n", out);
    write_row(out, "subscribers", run->options->subscribers, "");
    write_row(out, "received", (double)events->received, "events, all subscribers together");
    write_row(out, "missed", (double)events->missed, "by the gaps in their sequences");
    write_row(out, "repeated", (double)events->repeated, "");
    write_row(out, "connections lost", (double)events->lost, "");
    write_row(out, "late, p50", (double)events->lag_ms_p50, "ms after the event");
    write_row(out, "late, p99", (double)events->lag_ms_p99, "ms");
    write_row(out, "late, max", (double)events->lag_ms_max, "ms");
    (void)fputs("</table>\n", out);
}

static void write_errors(FILE *out, const load_tally_t *tally)
{
    if (tally->errors == 0) {
        return;
    }
    (void)fputs("<h2>Errors</h2><table>\n", out);
    for (size_t index = 0; index < tally->kind_count; index++) {
        (void)fprintf(out, "<tr><td class=\"n\">%" PRIu64 "</td><td>", tally->kinds[index].count);
        write_escaped(out, tally->kinds[index].code);
        (void)fputs("</td></tr>\n", out);
    }
    (void)fputs("</table>\n", out);
    for (size_t index = 0; index < tally->wrong_told_count; index++) {
        (void)fputs("<div>wrong: ", out);
        write_escaped(out, tally->wrong_told[index]);
        (void)fputs("</div>\n", out);
    }
}

static void write_steps(FILE *out, const load_run_t *run)
{
    char asked[32];
    char rate[32];
    if (run->step_count == 0) {
        return;
    }
    (void)fprintf(out,
                  "<h2>Search of the highest rate with a p99 of %g ms</h2><table><tr>"
                  "<th class=\"n\">asked/s</th><th class=\"n\">reached/s</th>"
                  "<th class=\"n\">p99 ms</th><th></th></tr>\n",
                  run->options->p99_ms);
    for (size_t index = 0; index < run->step_count; index++) {
        const load_step_t *const step = &run->steps[index];
        (void)fprintf(out,
                      "<tr><td class=\"n\">%s</td><td class=\"n\">%s</td>"
                      "<td class=\"n\">%.2f</td><td>%s</td></tr>\n",
                      step->rate_asked > 0 ? load_grouped((uint64_t)step->rate_asked, asked)
                                           : "without a pause",
                      load_grouped((uint64_t)step->rate, rate), step->p99_ms,
                      step->is_good ? "kept" : "");
    }
    (void)fputs("</table>\n", out);
}

static void write_title(FILE *out, const load_run_t *run)
{
    const load_options_t *const options = run->options;
    char date[32] = "";
    struct utsname machine;
    struct tm parts;
    const time_t now = time(NULL);
    if (gmtime_r(&now, &parts) != NULL) {
        (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &parts);
    }
    (void)fprintf(out, "<h1>%s over %s</h1>\n<p class=\"soft\">",
                  load_scenario_names[options->scenario],
                  options->protocol == LOAD_HTTP ? "HTTP" : "ROUTER");
    write_escaped(out, options->service_text);
    (void)fprintf(out, " · %u connections × %u · %u cards · %s · %.1f s%s · %s",
                  options->connections, options->pipeline, options->cards,
                  run->result.round.rate > 0 ? "open-loop" : "closed-loop", run->result.measured_s,
                  run->result.was_interrupted ? " (interrupted)" : "", date);
    if (uname(&machine) == 0) {
        (void)fputs(" · ", out);
        write_escaped(out, machine.sysname);
        (void)fputs(" ", out);
        write_escaped(out, machine.release);
    }
    (void)fputs(" · DigitalCard " DIGITALCARD_VERSION "</p>\n", out);
}

bool load_report_write(const load_run_t *run, const char *file)
{
    FILE *const out = fopen(file, "we");
    if (out == NULL) {
        return false;
    }
    (void)fputs(page_head, out);
    write_title(out, run);
    write_figures(out, run);
    write_events(out, run);
    write_errors(out, &run->result.tally);
    write_steps(out, run);
    write_histogram(out, &run->result.latency);
    write_curves(out, run);
    (void)fputs("</body></html>\n", out);
    const bool is_written = ferror(out) == 0;
    return fclose(out) == 0 && is_written;
}
