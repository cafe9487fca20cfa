/* Statistics of several runs, and the memory of this one. */
#include "bench/bench.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

uint64_t bench_memory_resident(void)
{
    unsigned long long pages_all = 0;
    unsigned long long pages = 0;
    FILE *const file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        const int read = fscanf(file, "%llu %llu", &pages_all, &pages);
        pages = read == 2 ? pages : 0;
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
