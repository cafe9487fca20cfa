/* What the gateway counts. Label sets are literals: no client can add a series. */
#include "actors/gateway/gateway_internal.h"
#include "runtime/clock.h"

#define LABELS(type)                                                                               \
    {                                                                                              \
        NULL, "type=\"" type "\",outcome=\"ok\"", "type=\"" type "\",outcome=\"refused\"",         \
            "type=\"" type "\",outcome=\"error\""                                                  \
    }

/* Index: request type and outcome. Row 0 is for types that do not exist. */
static const char *const request_labels[GATEWAY_REQUEST_TYPES][GATEWAY_OUTCOMES] = {
    [request_type_none] = LABELS("other"),
    [request_type_card_issue] = LABELS("card.issue"),
    [request_type_card_get] = LABELS("card.get"),
    [request_type_card_list] = LABELS("card.list"),
    [request_type_card_history] = LABELS("card.history"),
    [request_type_card_activate] = LABELS("card.activate"),
    [request_type_card_suspend] = LABELS("card.suspend"),
    [request_type_card_reinstate] = LABELS("card.reinstate"),
    [request_type_card_renew] = LABELS("card.renew"),
    [request_type_card_replace] = LABELS("card.replace"),
    [request_type_card_revoke] = LABELS("card.revoke"),
    [request_type_card_validate] = LABELS("card.validate"),
    [request_type_card_scan] = LABELS("card.scan"),
    [request_type_events_read] = LABELS("events.read"),
    [request_type_rollup_list] = LABELS("rollup.list"),
    [request_type_events_ack] = LABELS("events.ack"),
    [request_type_consumer_register] = LABELS("consumer.register"),
    [request_type_consumer_remove] = LABELS("consumer.remove"),
    [request_type_consumer_list] = LABELS("consumer.list"),
    [request_type_webhook_add] = LABELS("webhook.add"),
    [request_type_webhook_remove] = LABELS("webhook.remove"),
    [request_type_webhook_enable] = LABELS("webhook.enable"),
    [request_type_webhook_rotate] = LABELS("webhook.rotate"),
    [request_type_webhook_replay] = LABELS("webhook.replay"),
    [request_type_webhook_list] = LABELS("webhook.list"),
    [request_type_webhook_log] = LABELS("webhook.log"),
};

static void init_requests(gateway_numbers_t *numbers, metrics_t *metrics)
{
    for (size_t type = 0; type < GATEWAY_REQUEST_TYPES; type++) {
        for (size_t outcome = outcome_ok; outcome < GATEWAY_OUTCOMES; outcome++) {
            numbers->requests[type][outcome] =
                metrics_counter(metrics, "digitalcard_requests_total",
                                request_labels[type][outcome], "Requests by type and outcome");
        }
    }
}

void gateway_metrics_init(gateway_t *gateway, metrics_t *metrics)
{
    gateway_numbers_t *numbers = &gateway->numbers;
    init_requests(numbers, metrics);
    numbers->in_flight = metrics_gauge(metrics, "digitalcard_requests_in_flight", "",
                                       "Requests that wait for a shard or the relay");
    numbers->seconds_validations =
        metrics_histogram(metrics, "digitalcard_request_seconds", "kind=\"validation\"",
                          "Time from a checked request to its answer");
    numbers->seconds_others =
        metrics_histogram(metrics, "digitalcard_request_seconds", "kind=\"other\"",
                          "Time from a checked request to its answer");
    numbers->resent = metrics_counter(metrics, "digitalcard_requests_resent_total", "",
                                      "Requests sent again to the successor of a shard");
    numbers->outcome_unknown = metrics_counter(
        metrics, "digitalcard_requests_outcome_unknown_total", "",
        "Commands without a known outcome: their shard died or gave no answer in time");
    numbers->busy = metrics_counter(metrics, "digitalcard_requests_busy_total", "",
                                    "Requests refused because too many are in flight");
    numbers->waiting = metrics_gauge(metrics, "digitalcard_requests_waiting", "",
                                     "Requests in a front that wait for a shard's credit, or for "
                                     "a shard");
    numbers->deadline_exceeded =
        metrics_counter(metrics, "digitalcard_requests_deadline_exceeded_total", "",
                        "Requests without effects that got no answer in time");
    numbers->late = metrics_counter(metrics, "digitalcard_replies_late_total", "",
                                    "Replies to requests that had ended before");
    numbers->undecodable = metrics_counter(metrics, "digitalcard_replies_undecodable_total", "",
                                           "Envelopes from other roles that make no sense");
    numbers->tokens_checked = metrics_counter(metrics, "digitalcard_tokens_checked_total", "",
                                              "Tokens whose signature was checked");
    numbers->tokens_remembered = metrics_counter(metrics, "digitalcard_tokens_remembered_total", "",
                                                 "Tokens answered from the memory of checked ones");
}

static void count_result(gateway_numbers_t *numbers, result_t result)
{
    if (result == RESULT_OUTCOME_UNKNOWN) {
        metric_add(numbers->outcome_unknown, 1);
    } else if (result == RESULT_DEADLINE_EXCEEDED) {
        metric_add(numbers->deadline_exceeded, 1);
    } else if (result == RESULT_BUSY) {
        metric_add(numbers->busy, 1);
    }
}

void gateway_metrics_finish(gateway_t *gateway, uint8_t type, uint8_t outcome, result_t result,
                            uint64_t started_us)
{
    gateway_numbers_t *numbers = &gateway->numbers;
    const bool is_known = gateway_shape(type) != NULL;
    metric_add(numbers->requests[is_known ? type : request_type_none][outcome], 1);
    count_result(numbers, result);
    const bool is_validation = type == request_type_card_validate || type == request_type_card_scan;
    metric_observe_us(is_validation ? numbers->seconds_validations : numbers->seconds_others,
                      clock_monotonic_us() - started_us);
}

void gateway_metrics_tokens(gateway_t *gateway)
{
    gateway_numbers_t *numbers = &gateway->numbers;
    tokens_t *tokens = gateway->ports.tokens;
    if (tokens->functions->numbers == NULL) {
        return;
    }
    token_numbers_t now;
    tokens->functions->numbers(tokens, &now);
    metric_add(numbers->tokens_checked, now.checked - numbers->tokens_before.checked);
    metric_add(numbers->tokens_remembered, now.remembered - numbers->tokens_before.remembered);
    numbers->tokens_before = now;
}

uint64_t gateway_requests_done(const gateway_t *gateway)
{
    uint64_t done = 0;
    for (size_t type = 0; type < GATEWAY_REQUEST_TYPES; type++) {
        for (size_t outcome = 0; outcome < GATEWAY_OUTCOMES; outcome++) {
            const metric_t *const metric = gateway->numbers.requests[type][outcome];
            done += metric == NULL ? 0 : metric_value(metric);
        }
    }
    return done;
}

uint32_t gateway_requests_in_flight(const gateway_t *gateway)
{
    return gateway->in_flight_count;
}
