/* What every store of read models measures, under the same names. */
#ifndef ACTORS_PROJECTION_METRICS_H
#define ACTORS_PROJECTION_METRICS_H

#include "runtime/metrics.h"

typedef struct projection_metrics {
    metric_t *commits; /* all NULL: nobody wants to know */
    metric_t *commit_time;
    metric_t *page_time;
} projection_metrics_t;

void projection_metrics_register(projection_metrics_t *numbers, metrics_t *metrics);
/* A commit that was handed over at `submitted_us` of the monotonic clock is stored. */
void projection_metrics_committed(const projection_metrics_t *numbers, uint64_t submitted_us);
void projection_metrics_page_read(const projection_metrics_t *numbers, uint64_t submitted_us);

#endif
