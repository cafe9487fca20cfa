/* Names, labels and help texts of the shard's series. */
#include "actors/shard/shard_metrics.h"
#include <assert.h>

/* Label literals from enums.def: the registry borrows them for good. */
#define ENUM_BEGIN(enumeration, doc)
#define ENUM_END(enumeration)

typedef struct request_labels {
    uint8_t type;
    const char *ok;
    const char *refused;
    const char *error;
} request_labels_t;

static const request_labels_t request_labels[] = {
#define LABELS_request_type(number, wire)                                                          \
    {(number), "type=\"" wire "\",outcome=\"ok\"", "type=\"" wire "\",outcome=\"refused\"",        \
     "type=\"" wire "\",outcome=\"error\""},
#define LABELS_card_status(number, wire)
#define LABELS_reason(number, wire)
#define LABELS_event_name(number, wire)
#define LABELS_operational_name(number, wire)
#define LABELS_verdict_result(number, wire)
#define LABELS_direction(number, wire)
#define LABELS_role(number, wire)
#define LABELS_outcome(number, wire)
#define LABELS_key_state(number, wire)
#define LABELS_member_status(number, wire)
#define LABELS_member_event_name(number, wire)
#define LABELS_member_work(number, wire)
#define LABELS_grain(number, wire)
#define LABELS_store_state(number, wire)
#define VALUE(enumeration, number, name, wire) LABELS_##enumeration(number, wire)
#include "messages/enums.def"
#undef LABELS_request_type
#undef LABELS_reason
};

typedef struct verdict_label {
    uint8_t reason;
    const char *label;
} verdict_label_t;

static const verdict_label_t verdict_labels[] = {
#define LABELS_request_type(number, wire)
#define LABELS_reason(number, wire) {(number), "reason=\"" wire "\""},
#include "messages/enums.def"
};

static void init_dead_letters(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    static const char name[] = "digitalcard_dead_letters_total";
    static const char help[] = "Requests that were not carried out, by the reason";
    shard_metrics->dead_undeliverable =
        metrics_counter(metrics, name, "reason=\"undeliverable\"", help);
    shard_metrics->dead_deadline = metrics_counter(metrics, name, "reason=\"deadline\"", help);
    shard_metrics->dead_quarantined =
        metrics_counter(metrics, name, "reason=\"quarantined\"", help);
    shard_metrics->dead_poison = metrics_counter(metrics, name, "reason=\"poison\"", help);
}

static void init_quotas(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    static const char name[] = "digitalcard_quota_refused_total";
    static const char help[] = "Requests refused because a quota of their tenant was used up";
    shard_metrics->quota_cards = metrics_counter(metrics, name, "quota=\"cards\"", help);
    shard_metrics->quota_storage = metrics_counter(metrics, name, "quota=\"storage\"", help);
    shard_metrics->quota_rate = metrics_counter(metrics, name, "quota=\"rate\"", help);
}

static void init_recalls(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    static const char *const recalls = "digitalcard_member_recalls_total";
    static const char *const recalls_help =
        "Questions to Redis about members of whom nothing is known here";
    shard_metrics->recalls_found = metrics_counter(metrics, recalls, "end=\"found\"", recalls_help);
    shard_metrics->recalls_missing =
        metrics_counter(metrics, recalls, "end=\"missing\"", recalls_help);
    shard_metrics->recalls_failed =
        metrics_counter(metrics, recalls, "end=\"failed\"", recalls_help);
    shard_metrics->recalls_late = metrics_counter(metrics, "digitalcard_member_recalls_late_total",
                                                  "", "Of these, nobody waited any longer");
}

static void init_member_work(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    static const char *const done = "digitalcard_member_cards_done_total";
    static const char *const help = "Cards that followed what became of their member's membership";
    shard_metrics->member_works =
        metrics_gauge(metrics, "digitalcard_member_works", "",
                      "Members whose cards are following what became of the membership");
    shard_metrics->member_revoked = metrics_counter(metrics, done, "work=\"revoke\"", help);
    shard_metrics->member_suspended = metrics_counter(metrics, done, "work=\"suspend\"", help);
    shard_metrics->member_reinstated = metrics_counter(metrics, done, "work=\"reinstate\"", help);
    shard_metrics->member_renewed = metrics_counter(metrics, done, "work=\"renew\"", help);
}

static void init_members(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    init_recalls(shard_metrics, metrics);
    init_member_work(shard_metrics, metrics);
}

static void init_store(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    shard_metrics->store_answers =
        metrics_gauge(metrics, "digitalcard_store_answers", "",
                      "0 while no commit and no read ends, the control store cannot be read, or "
                      "every commit is refused because the disk is full");
    metric_set(shard_metrics->store_answers, 1);
    shard_metrics->store_full =
        metrics_gauge(metrics, "digitalcard_store_full", "",
                      "1 while every commit is refused because the disk is full");
}

void shard_metrics_init(shard_metrics_t *shard_metrics, metrics_t *metrics)
{
    *shard_metrics = (shard_metrics_t){0};
    init_dead_letters(shard_metrics, metrics);
    init_quotas(shard_metrics, metrics);
    init_members(shard_metrics, metrics);
    init_store(shard_metrics, metrics);
    shard_metrics->clock_set_back =
        metrics_counter(metrics, "digitalcard_clock_set_back_total", "",
                        "Times that a shard saw the clock of the machine set back");
    static const char requests[] = "digitalcard_requests_total";
    static const char requests_help[] = "Requests that a shard has answered";
    for (size_t i = 0; i < sizeof(request_labels) / sizeof(request_labels[0]); i++) {
        const request_labels_t *const line = &request_labels[i];
        if (line->type >= SHARD_METRIC_TYPES) {
            continue; /* directory_get: not a client's request */
        }
        metric_t **const series = shard_metrics->requests[line->type];
        series[outcome_ok] = metrics_counter(metrics, requests, line->ok, requests_help);
        series[outcome_refused] = metrics_counter(metrics, requests, line->refused, requests_help);
        series[outcome_error] = metrics_counter(metrics, requests, line->error, requests_help);
    }
    for (size_t i = 0; i < sizeof(verdict_labels) / sizeof(verdict_labels[0]); i++) {
        const verdict_label_t *const line = &verdict_labels[i];
        if (line->reason < SHARD_METRIC_REASONS) {
            shard_metrics->verdicts[line->reason] = metrics_counter(
                metrics, "digitalcard_verdicts_total", line->label, "Validations by their reason");
        }
    }
    shard_metrics->request_seconds =
        metrics_histogram(metrics, "digitalcard_shard_request_seconds", "",
                          "From the arrival of a request at the shard to its reply");
    shard_metrics->commit_seconds =
        metrics_histogram(metrics, "digitalcard_commit_seconds", "",
                          "From the submission of a batch to its being durable");
    shard_metrics->commits = metrics_counter(metrics, "digitalcard_commits_total", "",
                                             "Batches that became durable or were checked");
    shard_metrics->commits_failed =
        metrics_counter(metrics, "digitalcard_commits_failed_total", "", "Batches that were lost");
    shard_metrics->events = metrics_counter(metrics, "digitalcard_events_committed_total", "",
                                            "Domain events that became durable");
    shard_metrics->repeats =
        metrics_counter(metrics, "digitalcard_idempotent_repeats_total", "",
                        "Requests answered with the stored reply of their first attempt");
    shard_metrics->refusals_dropped =
        metrics_counter(metrics, "digitalcard_refusal_log_dropped_total", "",
                        "Scans without a card that were counted but not logged");
    shard_metrics->busy = metrics_counter(metrics, "digitalcard_mailbox_busy_total", "",
                                          "Requests refused because a queue was full");
    shard_metrics->loads = metrics_counter(metrics, "digitalcard_card_loads_total", "",
                                           "Reads of the journal before a command");
    shard_metrics->malformed = metrics_counter(metrics, "digitalcard_envelopes_malformed_total", "",
                                               "Envelopes that could not be read");
    shard_metrics->expired = metrics_counter(metrics, "digitalcard_cards_expired_total", "",
                                             "Cards expired by the sweep");
    shard_metrics->clock_jumps =
        metrics_counter(metrics, "digitalcard_clock_jumps_total", "",
                        "Times the wall clock ran ahead of the monotonic one by more than an hour");
    shard_metrics->clock_held =
        metrics_gauge(metrics, "digitalcard_clock_held", "",
                      "1 while no card is expired because the wall clock ran ahead");
    shard_metrics->passivation_snapshots =
        metrics_counter(metrics, "digitalcard_passivation_snapshots_total", "",
                        "Snapshots stored because a card was about to leave the memory");
    shard_metrics->reminders = metrics_counter(metrics, "digitalcard_reminders_total", "",
                                               "Reminders whose effect became durable");
    shard_metrics->tenants_open =
        metrics_gauge(metrics, "digitalcard_tenants_open", "", "Tenants whose journal is open");
    shard_metrics->keys_in_flight = metrics_gauge(metrics, "digitalcard_keys_in_flight", "",
                                                  "Idempotency keys being worked on");
    shard_metrics->batch_events_last =
        metrics_gauge(metrics, "digitalcard_batch_events_last", "", "Events of the latest batch");
}

void shard_metrics_request(shard_metrics_t *metrics, uint8_t type, uint8_t outcome,
                           uint64_t microseconds)
{
    assert(outcome < SHARD_METRIC_OUTCOMES);
    if (type >= SHARD_METRIC_TYPES || metrics->requests[type][outcome] == NULL) {
        return;
    }
    metric_add(metrics->requests[type][outcome], 1);
    metric_observe_us(metrics->request_seconds, microseconds);
}

void shard_metrics_verdict(shard_metrics_t *metrics, uint8_t reason)
{
    if (reason < SHARD_METRIC_REASONS && metrics->verdicts[reason] != NULL) {
        metric_add(metrics->verdicts[reason], 1);
    }
}
