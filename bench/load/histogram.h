/* How often each duration was measured, in fixed memory: buckets that grow with the value, so that
 * the relative error is bounded. Two of the same precision can be added, whatever they hold, which
 * is how threads and seconds come together; averages of percentiles are never needed.
 *
 * A value below 2^(bits + 1) has a bucket of its own; above, each power of two has 2^bits buckets.
 * A percentile is told as the middle of its bucket: off by at most 2^-(bits + 1) of the value. */
#ifndef BENCH_LOAD_HISTOGRAM_H
#define BENCH_LOAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BITS_FINE = 10,  /* off by 0.05 % at most; 248 KiB */
    HISTOGRAM_BITS_COARSE = 5, /* off by 1.6 % at most; 9 KiB: one for each interval of a run */
    HISTOGRAM_VALUE_BITS = 40, /* 2^40 ns are 18 minutes; larger values count as the largest */
};

typedef struct histogram {
    uint8_t bits;
    uint64_t count;
    uint64_t sum;
    uint64_t min; /* of an empty one: UINT64_MAX */
    uint64_t max;
    uint64_t *buckets;
} histogram_t;

void histogram_init(histogram_t *histogram, uint8_t bits);
void histogram_deinit(histogram_t *histogram);
void histogram_clear(histogram_t *histogram);
size_t histogram_buckets(uint8_t bits);

void histogram_record(histogram_t *histogram, uint64_t value);
/* `from` has at least the precision of `into`. */
void histogram_merge(histogram_t *into, const histogram_t *from);

/* The smallest value that at least this part of all values does not exceed (nearest rank), 0 < part
 * <= 1. Never outside of min and max; 0 of an empty one. */
uint64_t histogram_percentile(const histogram_t *histogram, double part);
uint64_t histogram_mean(const histogram_t *histogram);
/* For drawing: adds to counts[0 … bins - 1] how many values lie in each of `bins` parts, equally
 * wide on a logarithmic scale from `low` to `high`, 0 < low < high. What lies outside goes to the
 * ends. */
void histogram_spread(const histogram_t *histogram, double low, double high, uint64_t *counts,
                      size_t bins);

#endif
