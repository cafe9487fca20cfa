/* Counters, gauges and histograms of one role, printed as Prometheus text (version 0.0.4). A series
 * is a name with a fixed label set chosen in code, never from input, so that no client can add
 * series and no tenant's name appears (DESIGN invariant 5). Places are a bounded number of gauges
 * whose labels change: what they are of is told by pseudonyms. Single-threaded: touched by the
 * role's loop thread only. */
#ifndef RUNTIME_METRICS_H
#define RUNTIME_METRICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct metrics metrics_t;
typedef struct metric metric_t; /* lives as long as the registry */

metrics_t *metrics_create(const char *role); /* label role="…" on every series; copied */
void metrics_destroy(metrics_t **metrics);

/* `labels` is "" or like `reason="expired",type="card.scan"`. Asking again for the same name and
 * labels returns the same series. Beyond LIMIT_METRICS a shared overflow series is returned and
 * counted. `labels` are copied; `name` and `help` must be literals or outlive the registry. */
metric_t *metrics_counter(metrics_t *metrics, const char *name, const char *labels,
                          const char *help);
metric_t *metrics_gauge(metrics_t *metrics, const char *name, const char *labels, const char *help);
/* A gauge without labels yet: not printed until it has some. Each call makes another one. */
metric_t *metrics_place(metrics_t *metrics, const char *name, const char *help);
/* Copied; NULL: it is not printed any more. Two places of one name must not have the same. */
void metric_label(metric_t *place, const char *labels);
/* Buckets double from 50 µs to 13 s; `_seconds` in the name, observed in microseconds. */
metric_t *metrics_histogram(metrics_t *metrics, const char *name, const char *labels,
                            const char *help);

void metric_add(metric_t *metric, uint64_t amount); /* counter */
void metric_set(metric_t *metric, int64_t value);   /* gauge */
void metric_observe_us(metric_t *metric, uint64_t microseconds);
uint64_t metric_value(const metric_t *metric); /* counter or gauge; count of a histogram */
/* Upper bound of the bucket that holds the quantile (0 … 1) in microseconds; 0 when nothing was
 * observed. */
uint64_t metric_quantile_us(const metric_t *metric, double quantile);

/* Prometheus text without the trailing EOF. Returns the size needed; see message_to_json for the
 * rule. */
size_t metrics_print(const metrics_t *metrics, char *out, size_t capacity);

#endif
