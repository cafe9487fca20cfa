/* Quotas of a tenant: how many living cards it may have (issued, active or suspended: one that ends
 * frees its place), how much its events take, how many requests a second it may send. Cards and
 * bytes are counted by the journal with each batch, so that the count is exact after any crash;
 * here they run ahead with what is decided, as the state of cards does.
 *
 * A quota never closes a door nor keeps one open: validations, suspensions and revocations go on
 * when cards or storage are used up; what a desk adds does not. */
#include "actors/shard/tenant_actor.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { DETAIL_SIZE = 256, MILLI = 1000 };

__attribute__((format(printf, 3, 4))) static void refuse(shard_message_t **message, result_t result,
                                                         const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    shard_message_fail(message, result, detail, NULL);
}

/* A bucket that holds what one second allows. */
bool tenant_quota_admits(tenant_t *tenant, shard_message_t **message)
{
    const uint64_t rate = tenant->quotas.rate;
    if (rate == 0 || (*message)->kind != SHARD_REQUEST || (*message)->is_replay) {
        return true;
    }
    const uint64_t now_ms = loop_now_ms(tenant->shard->loop);
    const uint64_t passed_ms = now_ms - tenant->rate_at_ms;
    const uint64_t full = rate * MILLI;
    if (passed_ms >= MILLI || tenant->rate_left + passed_ms * rate > full) {
        tenant->rate_left = full;
    } else {
        tenant->rate_left += passed_ms * rate;
    }
    tenant->rate_at_ms = now_ms;
    if (tenant->rate_left >= MILLI) {
        tenant->rate_left -= MILLI;
        return true;
    }
    metric_add(tenant->shard->metrics.quota_rate, 1);
    refuse(message, RESULT_QUOTA_RATE,
           "The quota of requests of this tenant is %" PRIu64 " a second, and %" PRIu64
           " were used in the last one. Try again in a second.",
           rate, rate - tenant->rate_left / MILLI);
    return false;
}

/* Replacing ends one card and begins another. */
static bool adds_card(uint8_t type, uint8_t status)
{
    return type == request_type_card_issue ||
           (type == request_type_card_renew && !card_is_living(status));
}

static bool is_of_a_desk(uint8_t type)
{
    return type == request_type_card_issue || type == request_type_card_replace ||
           type == request_type_card_activate || type == request_type_card_reinstate ||
           type == request_type_card_renew;
}

bool tenant_quota_allows(tenant_t *tenant, uint8_t status, shard_message_t **message)
{
    if ((*message)->kind != SHARD_REQUEST) {
        return true;
    }
    const tenant_usage_t *const usage = &tenant->usage;
    const control_quotas_t *const quotas = &tenant->quotas;
    const uint8_t type = (*message)->request.type;
    if (quotas->cards > 0 && adds_card(type, status) && usage->cards >= (int64_t)quotas->cards) {
        metric_add(tenant->shard->metrics.quota_cards, 1);
        refuse(message, RESULT_QUOTA_CARDS,
               "The quota of cards of this tenant is %" PRIu64 ", and %" PRId64
               " are in use (issued, active or suspended). Ask the operator to raise it.",
               quotas->cards, usage->cards);
        return false;
    }
    if (quotas->storage > 0 && is_of_a_desk(type) && usage->bytes >= quotas->storage) {
        metric_add(tenant->shard->metrics.quota_storage, 1);
        refuse(message, RESULT_QUOTA_STORAGE,
               "The quota of storage of this tenant is %" PRIu64 " bytes, and %" PRIu64
               " are in use. Ask the operator to raise it.",
               quotas->storage, usage->bytes);
        return false;
    }
    return true;
}
