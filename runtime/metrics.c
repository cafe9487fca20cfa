/* Keeps the series of one role and prints them. Single-threaded; must not take names or labels from
 * input (see metrics.h). */
#include "runtime/metrics.h"

#include "runtime/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_SINK /* stands for every series beyond LIMIT_METRICS; not printed */
} metric_type_t;

enum {
    BUCKET_FIRST_US = 50,
    BUCKETS = 19, /* 50 µs · 2^18 = 13.1 s */
};

typedef struct histogram {
    uint64_t buckets[BUCKETS + 1]; /* not cumulative; the last is +Inf */
    uint64_t sum_us;
} histogram_t;

struct metric {
    metric_t *next; /* of its family */
    metric_type_t type;
    char *labels; /* owned copy; NULL: a place that is free, not printed */
    union {
        uint64_t count; /* counter; histogram: observations */
        int64_t level;  /* gauge */
    };
    histogram_t *histogram; /* owned; NULL unless a histogram */
};

/* All series of one name: they share HELP and TYPE. */
typedef struct metric_family {
    struct metric_family *next;
    const char *name;
    const char *help;
    metric_type_t type;
    metric_t *first;
    metric_t *last;
} metric_family_t;

struct metrics {
    char *role; /* owned, escaped for a label */
    metric_family_t *first;
    metric_family_t *last;
    uint32_t count;
    metric_t sink;
    metric_t *overflow; /* counts what went to the sink */
};

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static void *allocate(size_t size)
{
    void *const memory = calloc(1, size);
    assert(memory != NULL); /* series are made at start: without memory there is no start */
    return memory;
}

/* Label values escape backslash, quote and newline (Prometheus text format 0.0.4). */
static char *escape_label(const char *value)
{
    const size_t size = strlen(value);
    char *const escaped = allocate(size * 2 + 1);
    size_t used = 0;
    for (size_t index = 0; index < size; index++) {
        const char character = value[index];
        if (character == '\\' || character == '"' || character == '\n') {
            escaped[used++] = '\\';
        }
        escaped[used++] = character == '\n' ? 'n' : character;
    }
    return escaped;
}

metrics_t *metrics_create(const char *role)
{
    metrics_t *const metrics = allocate(sizeof(*metrics));
    metrics->role = escape_label(role);
    metrics->sink.type = METRIC_SINK;
    metrics->overflow = metrics_counter(metrics, "digitalcard_metrics_overflow_total", "",
                                        "Series refused because LIMIT_METRICS was reached");
    return metrics;
}

static void family_destroy(metric_family_t *family)
{
    for (metric_t *metric = family->first; metric != NULL;) {
        metric_t *const next = metric->next;
        free(metric->labels);
        free(metric->histogram);
        free(metric);
        metric = next;
    }
    free(family);
}

void metrics_destroy(metrics_t **metrics)
{
    if (*metrics == NULL) {
        return;
    }
    for (metric_family_t *family = (*metrics)->first; family != NULL;) {
        metric_family_t *const next = family->next;
        family_destroy(family);
        family = next;
    }
    free((*metrics)->role);
    free(*metrics);
    *metrics = NULL;
}

static metric_family_t *family_find(metrics_t *metrics, const char *name)
{
    metric_family_t *family = metrics->first;
    while (family != NULL && strcmp(family->name, name) != 0) {
        family = family->next;
    }
    return family;
}

static metric_family_t *family_create(metrics_t *metrics, const char *name, const char *help,
                                      metric_type_t type)
{
    metric_family_t *const family = allocate(sizeof(*family));
    *family = (metric_family_t){.name = name, .help = help, .type = type};
    if (metrics->last == NULL) {
        metrics->first = family;
    } else {
        metrics->last->next = family;
    }
    metrics->last = family;
    return family;
}

/* `labels` NULL: another place. */
static metric_t *metric_of(metrics_t *metrics, const char *name, const char *labels,
                           const char *help, metric_type_t type)
{
    metric_family_t *family = family_find(metrics, name);
    assert(family == NULL || family->type == type);
    for (metric_t *metric = family == NULL ? NULL : family->first; metric != NULL;
         metric = metric->next) {
        if (labels != NULL && metric->labels != NULL && strcmp(metric->labels, labels) == 0) {
            return metric;
        }
    }
    if (metrics->count == LIMIT_METRICS) {
        metric_add(metrics->overflow, 1);
        return &metrics->sink;
    }
    if (family == NULL) {
        family = family_create(metrics, name, help, type);
    }
    metric_t *const metric = allocate(sizeof(*metric));
    metric->type = type;
    metric->labels = labels == NULL ? NULL : strdup(labels);
    assert(labels == NULL || metric->labels != NULL);
    if (type == METRIC_HISTOGRAM) {
        metric->histogram = allocate(sizeof(*metric->histogram));
    }
    if (family->last == NULL) {
        family->first = metric;
    } else {
        family->last->next = metric;
    }
    family->last = metric;
    metrics->count++;
    return metric;
}

metric_t *metrics_counter(metrics_t *metrics, const char *name, const char *labels,
                          const char *help)
{
    return metric_of(metrics, name, labels, help, METRIC_COUNTER);
}

metric_t *metrics_gauge(metrics_t *metrics, const char *name, const char *labels, const char *help)
{
    return metric_of(metrics, name, labels, help, METRIC_GAUGE);
}

metric_t *metrics_place(metrics_t *metrics, const char *name, const char *help)
{
    return metric_of(metrics, name, NULL, help, METRIC_GAUGE);
}

void metric_label(metric_t *place, const char *labels)
{
    assert(place->type == METRIC_GAUGE || place->type == METRIC_SINK);
    char *const copy = labels == NULL || place->type == METRIC_SINK ? NULL : strdup(labels);
    free(place->labels);
    place->labels = copy; /* without memory it is not printed */
}

metric_t *metrics_histogram(metrics_t *metrics, const char *name, const char *labels,
                            const char *help)
{
    return metric_of(metrics, name, labels, help, METRIC_HISTOGRAM);
}

void metric_add(metric_t *metric, uint64_t amount)
{
    assert(metric->type == METRIC_COUNTER || metric->type == METRIC_SINK);
    metric->count += amount;
}

void metric_set(metric_t *metric, int64_t value)
{
    assert(metric->type == METRIC_GAUGE || metric->type == METRIC_SINK);
    metric->level = value;
}

/* The smallest k with microseconds ≤ 50 · 2^k, or BUCKETS for +Inf. */
static unsigned bucket_of(uint64_t microseconds)
{
    if (microseconds <= BUCKET_FIRST_US) {
        return 0;
    }
    const uint64_t ratio = (microseconds - 1) / BUCKET_FIRST_US;
    const unsigned bucket = 64U - (unsigned)__builtin_clzll(ratio);
    return bucket < BUCKETS ? bucket : BUCKETS;
}

void metric_observe_us(metric_t *metric, uint64_t microseconds)
{
    assert(metric->type == METRIC_HISTOGRAM || metric->type == METRIC_SINK);
    if (metric->type == METRIC_SINK) {
        return;
    }
    metric->histogram->buckets[bucket_of(microseconds)]++;
    metric->histogram->sum_us += microseconds;
    metric->count++;
}

uint64_t metric_value(const metric_t *metric)
{
    return metric->type == METRIC_GAUGE ? (uint64_t)metric->level : metric->count;
}

uint64_t metric_quantile_us(const metric_t *metric, double quantile)
{
    assert(quantile >= 0.0);
    assert(quantile <= 1.0);
    if (metric->type != METRIC_HISTOGRAM || metric->count == 0) {
        return 0;
    }
    const double rank = quantile * (double)metric->count;
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (; bucket < BUCKETS; bucket++) {
        seen += metric->histogram->buckets[bucket];
        if (seen > 0 && (double)seen >= rank) {
            break;
        }
    }
    /* What lies beyond the last bound is reported as twice that bound. */
    return (uint64_t)BUCKET_FIRST_US << bucket;
}

typedef struct print {
    char *out;
    size_t capacity;
    size_t size; /* needed so far; beyond `capacity` nothing is written */
} print_t;

static void print_bytes(print_t *print, const char *bytes, size_t size)
{
    if (print->out != NULL && print->size <= print->capacity &&
        size <= print->capacity - print->size) {
        memcpy(print->out + print->size, bytes, size);
    }
    print->size += size;
}

static void print_string(print_t *print, const char *string)
{
    print_bytes(print, string, strlen(string));
}

static void print_unsigned(print_t *print, uint64_t number)
{
    char text[24];
    const int size = snprintf(text, sizeof(text), "%" PRIu64, number);
    print_bytes(print, text, (size_t)size);
}

static void print_signed(print_t *print, int64_t number)
{
    char text[24];
    const int size = snprintf(text, sizeof(text), "%" PRId64, number);
    print_bytes(print, text, (size_t)size);
}

static void print_seconds(print_t *print, uint64_t microseconds)
{
    char text[32];
    const int size = snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, microseconds / 1000000,
                              microseconds % 1000000);
    print_bytes(print, text, (size_t)size);
}

static void print_bound(print_t *print, uint64_t microseconds)
{
    char text[32];
    const int size = snprintf(text, sizeof(text), "%.9g", (double)microseconds / 1e6);
    print_bytes(print, text, (size_t)size);
}

/* HELP escapes backslash and newline only. */
static void print_head(print_t *print, const metric_family_t *family)
{
    print_string(print, "# HELP ");
    print_string(print, family->name);
    print_string(print, " ");
    for (const char *character = family->help; *character != '\0'; character++) {
        if (*character == '\\' || *character == '\n') {
            print_string(print, *character == '\n' ? "\\n" : "\\\\");
        } else {
            print_bytes(print, character, 1);
        }
    }
    print_string(print, "\n# TYPE ");
    print_string(print, family->name);
    print_string(print, " ");
    print_string(print, type_names[family->type]);
    print_string(print, "\n");
}

/* Name, suffix and labels, up to and without the closing brace. */
static void print_series(print_t *print, const metrics_t *metrics, const metric_family_t *family,
                         const metric_t *metric, const char *suffix)
{
    print_string(print, family->name);
    print_string(print, suffix);
    print_string(print, "{role=\"");
    print_string(print, metrics->role);
    print_string(print, "\"");
    if (metric->labels[0] != '\0') {
        print_string(print, ",");
        print_string(print, metric->labels);
    }
}

static void print_histogram(print_t *print, const metrics_t *metrics, const metric_family_t *family,
                            const metric_t *metric)
{
    uint64_t cumulative = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        cumulative += metric->histogram->buckets[bucket];
        print_series(print, metrics, family, metric, "_bucket");
        print_string(print, ",le=\"");
        print_bound(print, (uint64_t)BUCKET_FIRST_US << bucket);
        print_string(print, "\"} ");
        print_unsigned(print, cumulative);
        print_string(print, "\n");
    }
    print_series(print, metrics, family, metric, "_bucket");
    print_string(print, ",le=\"+Inf\"} ");
    print_unsigned(print, metric->count);
    print_string(print, "\n");
    print_series(print, metrics, family, metric, "_sum");
    print_string(print, "} ");
    print_seconds(print, metric->histogram->sum_us);
    print_string(print, "\n");
    print_series(print, metrics, family, metric, "_count");
    print_string(print, "} ");
    print_unsigned(print, metric->count);
    print_string(print, "\n");
}

size_t metrics_print(const metrics_t *metrics, char *out, size_t capacity)
{
    assert(out != NULL || capacity == 0);
    print_t print = {out, capacity, 0};
    for (const metric_family_t *family = metrics->first; family != NULL; family = family->next) {
        print_head(&print, family);
        for (const metric_t *metric = family->first; metric != NULL; metric = metric->next) {
            if (family->type == METRIC_HISTOGRAM) {
                print_histogram(&print, metrics, family, metric);
                continue;
            }
            if (metric->labels == NULL) {
                continue;
            }
            print_series(&print, metrics, family, metric, "");
            print_string(&print, "} ");
            if (family->type == METRIC_GAUGE) {
                print_signed(&print, metric->level);
            } else {
                print_unsigned(&print, metric->count);
            }
            print_string(&print, "\n");
        }
    }
    return print.size;
}
