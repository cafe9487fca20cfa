/* Subscribers of one tenant's events beside the load: do all events arrive, and how late. */
#ifndef BENCH_LOAD_SUBSCRIBERS_H
#define BENCH_LOAD_SUBSCRIBERS_H

#include "bench/load/run.h"

/* NULL with a sentence in `why` when the publisher cannot be reached. */
load_subscribers_t *load_subscribers_start(const load_options_t *options, const char **why);
/* Waits until nothing more comes, a second at most, and ends them. */
void load_subscribers_finish(load_subscribers_t **subscribers, load_events_t *events);

#endif
