/* See projection_metrics.h. */
#include "actors/relay/projection_metrics.h"
#include "runtime/clock.h"

void projection_metrics_register(projection_metrics_t *numbers, metrics_t *metrics)
{
    if (metrics == NULL) {
        return;
    }
    numbers->commits = metrics_counter(metrics, "digitalcard_projection_commits_total", "",
                                       "Transactions committed to read models");
    numbers->commit_time = metrics_histogram(metrics, "digitalcard_projection_commit_seconds", "",
                                             "From handing over a commit to its end");
    numbers->page_time = metrics_histogram(metrics, "digitalcard_projection_page_seconds", "",
                                           "From asking for a page of cards to having it");
}

void projection_metrics_committed(const projection_metrics_t *numbers, uint64_t submitted_us)
{
    if (numbers->commits != NULL) {
        metric_add(numbers->commits, 1);
        metric_observe_us(numbers->commit_time, clock_monotonic_us() - submitted_us);
    }
}

void projection_metrics_page_read(const projection_metrics_t *numbers, uint64_t submitted_us)
{
    if (numbers->page_time != NULL) {
        metric_observe_us(numbers->page_time, clock_monotonic_us() - submitted_us);
    }
}
