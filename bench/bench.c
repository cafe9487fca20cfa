/* Statistics of several runs. */
#include "bench/bench.h"

#include <assert.h>
#include <stdlib.h>

static int compare(const void *one, const void *other)
{
    const double difference = *(const double *)one - *(const double *)other;
    return difference < 0 ? -1 : difference > 0;
}

bench_spread_t bench_spread(double *values, size_t count)
{
    assert(count > 0);
    qsort(values, count, sizeof(*values), compare);
    const size_t middle = count / 2;
    const double median =
        count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return (bench_spread_t){.median = median, .min = values[0], .max = values[count - 1]};
}
