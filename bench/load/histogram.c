/* See histogram.h. Must not know what the values mean. */
#include "bench/load/histogram.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t value_max = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;

static unsigned shift_of(uint8_t bits, uint64_t value)
{
    const unsigned top = 63U - (unsigned)__builtin_clzll(value | 1U);
    return top > bits ? top - bits : 0;
}

/* Consecutive: the buckets of one shift end where those of the next begin, at 2^bits of them. */
static size_t bucket_of(uint8_t bits, uint64_t value)
{
    const unsigned shift = shift_of(bits, value);
    return ((size_t)shift << bits) + (size_t)(value >> shift);
}

static void bucket_range(uint8_t bits, size_t bucket, uint64_t *low, uint64_t *width)
{
    const size_t whole = (size_t)1 << bits;
    const size_t shift = bucket < 2 * whole ? 0 : bucket / whole - 1;
    *low = (uint64_t)(bucket - shift * whole) << shift;
    *width = UINT64_C(1) << shift;
}

size_t histogram_buckets(uint8_t bits)
{
    return bucket_of(bits, value_max) + 1;
}

void histogram_init(histogram_t *histogram, uint8_t bits)
{
    histogram->bits = bits;
    histogram->buckets = calloc(histogram_buckets(bits), sizeof(*histogram->buckets));
    if (histogram->buckets == NULL) {
        abort(); /* a benchmark without memory is no benchmark */
    }
    histogram_clear(histogram);
}

void histogram_deinit(histogram_t *histogram)
{
    free(histogram->buckets);
    histogram->buckets = NULL;
}

void histogram_clear(histogram_t *histogram)
{
    histogram->count = 0;
    histogram->sum = 0;
    histogram->min = UINT64_MAX;
    histogram->max = 0;
    memset(histogram->buckets, 0, histogram_buckets(histogram->bits) * sizeof(*histogram->buckets));
}

void histogram_record(histogram_t *histogram, uint64_t value)
{
    const uint64_t kept = value > value_max ? value_max : value;
    histogram->buckets[bucket_of(histogram->bits, kept)]++;
    histogram->count++;
    histogram->sum += kept;
    histogram->min = kept < histogram->min ? kept : histogram->min;
    histogram->max = kept > histogram->max ? kept : histogram->max;
}

void histogram_merge(histogram_t *into, const histogram_t *from)
{
    assert(from->bits >= into->bits);
    if (from->count == 0) {
        return;
    }
    /* Only the part between its extremes can hold anything. */
    const size_t last = bucket_of(from->bits, from->max);
    for (size_t bucket = bucket_of(from->bits, from->min); bucket <= last; bucket++) {
        if (from->buckets[bucket] > 0) {
            uint64_t low;
            uint64_t width;
            bucket_range(from->bits, bucket, &low, &width);
            into->buckets[bucket_of(into->bits, low)] += from->buckets[bucket];
        }
    }
    into->count += from->count;
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
}

uint64_t histogram_percentile(const histogram_t *histogram, double part)
{
    assert(part > 0 && part <= 1);
    if (histogram->count == 0) {
        return 0;
    }
    const double exact = part * (double)histogram->count;
    uint64_t rank = (uint64_t)exact;
    rank += (double)rank < exact ? 1 : 0;
    rank = rank == 0 ? 1 : rank;
    rank = rank > histogram->count ? histogram->count : rank;
    if (rank == histogram->count) {
        return histogram->max;
    }
    size_t bucket = bucket_of(histogram->bits, histogram->min);
    uint64_t seen = histogram->buckets[bucket];
    while (seen < rank) {
        bucket++;
        seen += histogram->buckets[bucket];
    }
    uint64_t low;
    uint64_t width;
    bucket_range(histogram->bits, bucket, &low, &width);
    const uint64_t middle = low + width / 2;
    if (middle < histogram->min) {
        return histogram->min;
    }
    return middle > histogram->max ? histogram->max : middle;
}

uint64_t histogram_mean(const histogram_t *histogram)
{
    return histogram->count == 0 ? 0 : histogram->sum / histogram->count;
}

void histogram_spread(const histogram_t *histogram, double low, double high, uint64_t *counts,
                      size_t bins)
{
    if (histogram->count == 0) {
        return;
    }
    const double per_bin = log(high / low) / (double)bins;
    const size_t last = bucket_of(histogram->bits, histogram->max);
    for (size_t bucket = bucket_of(histogram->bits, histogram->min); bucket <= last; bucket++) {
        uint64_t begin;
        uint64_t width;
        bucket_range(histogram->bits, bucket, &begin, &width);
        const double middle = (double)begin + (double)width / 2;
        const double bin = floor(log(middle / low) / per_bin);
        const double kept = bin < 0 ? 0 : bin >= (double)bins ? (double)(bins - 1) : bin;
        counts[(size_t)kept] += histogram->buckets[bucket];
    }
}
