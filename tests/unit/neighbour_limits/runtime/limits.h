/* Bounds of neighbours made small, for neighbour_random_test.c: a handful of calls reaches what
 * takes thousands in production (full mailboxes, breakers that have to make room for others). */
#ifndef TESTS_NEIGHBOUR_LIMITS_H
#define TESTS_NEIGHBOUR_LIMITS_H

#include_next "runtime/limits.h"

#define LIMIT_NEIGHBOURS 4
#define LIMIT_NEIGHBOUR_QUEUE 6
#define LIMIT_HTTP_CALLS 3 /* as many as one breaker may have under way */

#endif
