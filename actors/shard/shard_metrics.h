/* The series of one shard. Labels come from the vocabulary only (DESIGN invariant 5). */
#ifndef ACTORS_SHARD_METRICS_H
#define ACTORS_SHARD_METRICS_H

#include "messages/messages.h"
#include "runtime/metrics.h"

enum { SHARD_METRIC_TYPES = 16, SHARD_METRIC_OUTCOMES = 4, SHARD_METRIC_REASONS = 32 };

typedef struct shard_metrics {
    metric_t *requests[SHARD_METRIC_TYPES][SHARD_METRIC_OUTCOMES];
    metric_t *verdicts[SHARD_METRIC_REASONS];
    metric_t *request_seconds;
    metric_t *commit_seconds;
    metric_t *store_answers;
    metric_t *store_full;
    metric_t *commits;
    metric_t *commits_failed;
    metric_t *events;
    metric_t *repeats;
    metric_t *refusals_dropped;
    metric_t *busy;
    metric_t *loads;
    metric_t *malformed;
    metric_t *expired;
    metric_t *clock_jumps;
    metric_t *clock_held;
    metric_t *passivation_snapshots;
    metric_t *reminders;
    metric_t *quota_cards; /* refused because of them */
    metric_t *quota_storage;
    metric_t *quota_rate;
    metric_t *clock_set_back;
    metric_t *recalls_found; /* of members, in the cache that nodes share */
    metric_t *recalls_missing;
    metric_t *recalls_failed;
    metric_t *recalls_late;
    metric_t *member_works; /* members whose cards are being worked on */
    metric_t *member_revoked;
    metric_t *member_suspended;
    metric_t *member_reinstated;
    metric_t *member_renewed;
    metric_t *tenants_open;
    metric_t *keys_in_flight;
    metric_t *batch_events_last;
    /* Dead letters by reason. */
    metric_t *dead_undeliverable;
    metric_t *dead_deadline;
    metric_t *dead_quarantined;
    metric_t *dead_poison;
} shard_metrics_t;

void shard_metrics_init(shard_metrics_t *shard_metrics, metrics_t *metrics);
void shard_metrics_request(shard_metrics_t *metrics, uint8_t type, uint8_t outcome,
                           uint64_t microseconds);
void shard_metrics_verdict(shard_metrics_t *metrics, uint8_t reason);

#endif
