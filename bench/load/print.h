/* How a run is told: while it goes on, at its end, as JSON and as a page. */
#ifndef BENCH_LOAD_PRINT_H
#define BENCH_LOAD_PRINT_H

#include "bench/load/run.h"

#include <stdio.h>

void load_print_live(const load_run_t *run, double elapsed_s, double whole_s, uint64_t good,
                     uint64_t errors, double seconds, const histogram_t *latency);
void load_print_step(const load_step_t *step);
/* Nothing when the rate was reached or none was asked for. */
void load_print_not_reached(const load_run_t *run, FILE *out);
void load_print_text(const load_run_t *run);
void load_print_json(const load_run_t *run, FILE *out);
/* False when the file cannot be written. */
bool load_report_write(const load_run_t *run, const char *file);

/* "1,234" */
const char *load_grouped(uint64_t number, char text[32]);

#endif
