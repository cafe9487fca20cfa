/* How far consumers are behind, as metrics: counted every few seconds over all of them. Forgets
 * those that were silent for too long. Must not answer requests. */
#include "actors/relay/relay_internal.h"
#include "actors/secrets.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>

enum { DAY_MS = 86400000 };

/* A consumer that has, or may get, a series of its own. */
typedef struct lag_entry {
    char tenant[LIMIT_TENANT_NAME_SIZE];
    size_t tenant_size;
    char name[64];
    size_t name_size;
    uint64_t lag;
} lag_entry_t;

typedef struct lags {
    relay_t *relay;
    lag_entry_t now; /* the consumer that is being counted */
    bool is_known;   /* how far its partitions have come */
    bool is_full;    /* no other journal can be opened now */
    uint32_t tenants;
    uint32_t consumers;
    uint64_t sum;
    uint64_t max;
    lag_entry_t furthest[LIMIT_CONSUMER_SERIES];
    uint32_t furthest_count;
} lags_t;

/* Those that lag as much keep their places, so that series do not come and go. */
static void offer(lags_t *lags)
{
    if (lags->furthest_count < LIMIT_CONSUMER_SERIES) {
        lags->furthest[lags->furthest_count++] = lags->now;
        return;
    }
    lag_entry_t *least = &lags->furthest[0];
    for (uint32_t i = 1; i < LIMIT_CONSUMER_SERIES; i++) {
        if (lags->furthest[i].lag < least->lag) {
            least = &lags->furthest[i];
        }
    }
    if (lags->now.lag > least->lag) {
        *least = lags->now;
    }
}

static void lag_done(lags_t *lags)
{
    const uint64_t lag = lags->now.lag;
    if (lags->is_known) {
        lags->sum += lag;
        lags->max = lag > lags->max ? lag : lags->max;
        offer(lags);
    }
    lags->is_known = false;
}

static uint64_t heads_of(const relay_tenant_t *tenant)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < tenant->partition_count; i++) {
        sum += tenant->partitions[i].head;
    }
    return sum;
}

/* --- Heads, for the next look --- */

static void heads_read(void *context, const journal_heads_t *heads)
{
    relay_tenant_t *const tenant = context;
    tenant->reads_heads = false;
    if (heads->result == RESULT_OK && !tenant->is_retired) {
        for (uint32_t i = 0; i < heads->partition_count; i++) {
            relay_publish_hear(tenant, i, heads->heads[i]);
        }
    }
    relay_operation_end(tenant);
}

/* Shards of this node tell of what they commit; of what others did only the journal knows. Journals
 * that are closed take turns; until they are open, what was heard of counts. Each try asks the
 * control store, so the first that finds no room is the last of this look. */
static void refresh_heads(lags_t *lags, relay_tenant_t *tenant)
{
    relay_t *const relay = lags->relay;
    const bool is_its_turn = lags->tenants >= relay->lag_turn &&
                             lags->tenants < relay->lag_turn + LIMIT_CONSUMER_LOOK_OPENS;
    if (tenant->journal_state != RELAY_JOURNAL_OPEN) {
        if (!lags->is_full && (tenant->partition_count == 0 || is_its_turn)) {
            lags->is_full = relay_tenant_open(tenant) == RESULT_BUSY;
        }
        return;
    }
    if (!tenant->reads_heads && !tenant->is_retired &&
        relay->ports.journal->functions->read_heads(tenant->journal, heads_read, tenant) ==
            RESULT_OK) {
        tenant->reads_heads = true;
        relay_operation_begin(tenant);
    }
}

/* --- One look --- */

/* A tenant whose heads are not known yet is opened, and counted the next time. */
static bool add_lag(void *context, const consumer_row_t *row)
{
    lags_t *const lags = context;
    const text_t last_tenant = {.data = lags->now.tenant, .size = lags->now.tenant_size};
    const text_t last_name = {.data = lags->now.name, .size = lags->now.name_size};
    relay_tenant_t *const tenant = relay_tenant_obtain(lags->relay, row->tenant);
    if (tenant == NULL || row->name.size > sizeof(lags->now.name)) {
        return true;
    }
    const bool is_of_last = text_equal(last_tenant, row->tenant);
    if (!is_of_last) {
        refresh_heads(lags, tenant);
        lags->tenants++;
    }
    if (!is_of_last || !text_equal(last_name, row->name)) {
        lag_done(lags);
        lags->consumers++;
        memcpy(lags->now.tenant, row->tenant.data, row->tenant.size);
        lags->now.tenant_size = row->tenant.size;
        memcpy(lags->now.name, row->name.data, row->name.size);
        lags->now.name_size = row->name.size;
        lags->now.lag = heads_of(tenant);
        lags->is_known = tenant->partition_count > 0 && !tenant->is_retired; /* else a namesake's */
    }
    if (row->has_cursor && row->partition < tenant->partition_count) {
        const uint64_t head = tenant->partitions[row->partition].head;
        lags->now.lag -= row->sequence < head ? row->sequence : head;
    }
    return true;
}

/* Tenants and names are chosen by clients, and everyone who reaches the port may read metrics: a
 * pseudonym stands for both (decision 7). */
static void show(relay_t *relay, const lags_t *lags)
{
    uint64_t shown = 0;
    for (uint32_t i = 0; i < LIMIT_CONSUMER_SERIES; i++) {
        metric_label(relay->numbers.consumer_lags[i], NULL);
    }
    for (uint32_t i = 0; i < lags->furthest_count; i++) {
        const lag_entry_t *const entry = &lags->furthest[i];
        char series[SECRET_SERIES_SIZE];
        char labels[SECRET_SERIES_SIZE + 16];
        secret_consumer_series(relay->ports.crypto, &relay->ports.master_key,
                               (text_t){.data = entry->tenant, .size = entry->tenant_size},
                               (text_t){.data = entry->name, .size = entry->name_size}, series);
        const int size = snprintf(labels, sizeof(labels), "consumer=\"%s\"", series);
        assert(size > 0 && (size_t)size < sizeof(labels));
        metric_label(relay->numbers.consumer_lags[i], labels);
        metric_set(relay->numbers.consumer_lags[i], (int64_t)entry->lag);
        shown += entry->lag;
    }
    metric_set(relay->numbers.consumers, lags->consumers);
    metric_set(relay->numbers.consumers_rest, lags->consumers - lags->furthest_count);
    metric_set(relay->numbers.consumer_lag_max, (int64_t)lags->max);
    metric_set(relay->numbers.consumer_lag_sum, (int64_t)lags->sum);
    metric_set(relay->numbers.consumer_lag_rest, (int64_t)(lags->sum - shown));
}

void relay_lag_tick(void *context)
{
    relay_t *const relay = context;
    consumers_t *const store = relay->ports.consumers;
    lags_t lags = {.relay = relay};
    if (relay->is_draining ||
        store->functions->visit(store, TEXT_NONE, add_lag, &lags) != RESULT_OK) {
        return;
    }
    lag_done(&lags);
    const uint32_t next = relay->lag_turn + LIMIT_CONSUMER_LOOK_OPENS;
    relay->lag_turn = next < lags.tenants ? next : 0;
    show(relay, &lags);
    if (lags.consumers > 0) {
        const int64_t before_ms =
            relay->ports.wall_ms() - (int64_t)LIMIT_CONSUMER_SILENCE_DAYS * DAY_MS;
        if (store->functions->forget(store, before_ms) != RESULT_OK) {
            log_warn("consumers that were silent for too long could not be removed; the next round "
                     "tries again",
                     LOG_NUMBER("days", 30));
        }
    }
}
