/* The report of `store verify` as every store writes it: a JSON object whose list `problems` grows
 * while the store is read. The store writes what stands before and behind that list. */
#ifndef ACTORS_VERIFY_REPORT_H
#define ACTORS_VERIFY_REPORT_H

#include <stdint.h>
#include <stdio.h>

typedef struct verify_report {
    FILE *out;         /* the store opens and closes it */
    uint32_t problems; /* found so far, those that are not in the list included */
} verify_report_t;

/* Adds {"check":…,"found":…} to the list, which has LIMIT_STORE_VERIFY_PROBLEMS at most; more are
 * counted only. `check` says what should be true, `found` where it is not. Both may hold any bytes:
 * one that is not printable ASCII becomes \u00XX. */
void verify_report_add(verify_report_t *report, const char *check, const char *found);

#endif
