/* Counting together. Must not read a clock: whoever counts says which window it is. */
#include "actors/gateway/shared_count.h"
#include <assert.h>

static void begin(shared_count_t *count, uint64_t window)
{
    if (count->window != window) {
        count->window = window;
        count->own = 0;
        count->told = 0;
        count->others = 0;
        count->amount = 0; /* the clock may come back to the window of what is under way */
    }
}

void shared_count_add(shared_count_t *count, uint64_t window, uint32_t amount)
{
    begin(count, window);
    if (count->own <= UINT32_MAX - amount) {
        count->own += amount;
    }
}

uint64_t shared_count_sum(const shared_count_t *count, uint64_t window)
{
    return count->window == window ? (uint64_t)count->own + count->others : 0;
}

/* A sum below what this node told means that the cache lost it: told again from there. A sum that
 * is beyond reason is somebody else's number. */
static void take_sum(shared_count_t *count, int64_t sum)
{
    count->told += count->amount;
    if (sum < (int64_t)count->told) {
        count->told = sum < 0 ? 0 : (uint32_t)sum;
        count->others = 0;
        return;
    }
    const int64_t others = sum - (int64_t)count->told;
    count->others = others > UINT32_MAX ? UINT32_MAX : (uint32_t)others;
}

static void exchanged(void *context, result_t result, int64_t sum)
{
    shared_count_t *const count = context;
    count->is_under_way = false;
    if (result == RESULT_OK && count->window == count->amount_window) {
        take_sum(count, sum);
    }
}

void shared_count_exchange(shared_count_t *count, cache_t *cache, text_t tenant, text_t key,
                           uint32_t ttl_ms, bool asks)
{
    assert(count->own >= count->told);
    if (count->is_under_way || (count->own == count->told && !asks)) {
        return;
    }
    count->amount = count->own - count->told;
    count->amount_window = count->window;
    count->is_under_way = cache->functions->add(cache, tenant, key, (int64_t)count->amount, ttl_ms,
                                                exchanged, count) == RESULT_OK;
}
