/* Where something is: an address as a point, a point as a place. As the adapters role asks a
 * vendor; the contract of all vendors stands in vendor.h.
 *
 * Safe to repeat: always, a question changes nothing. Who asks may keep an answer.
 *
 * Deadline: LIMIT_VENDOR_DEADLINE_MS at most. No scan waits for it: a zone is known by its name. */
#ifndef ACTORS_PORTS_GEOGRAPHY_H
#define ACTORS_PORTS_GEOGRAPHY_H

#include "actors/ports/vendor.h"

typedef struct geography geography_t;

typedef enum geography_operation {
    GEOGRAPHY_POINT_OF_ADDRESS = 1,
    GEOGRAPHY_PLACE_OF_POINT,
} geography_operation_t;

typedef struct geography_point {
    int32_t latitude_e6;  /* millionths of a degree, WGS 84: ±90,000,000 */
    int32_t longitude_e6; /* ±180,000,000 */
} geography_point_t;

typedef struct geography_question {
    text_t tenant;
    geography_operation_t operation;
    text_t address;          /* POINT_OF_ADDRESS: in one line; at most LIMIT_VENDOR_TEXT_SIZE */
    geography_point_t point; /* PLACE_OF_POINT */
    uint32_t deadline_ms;
} geography_question_t;

/* That there is no such address or place is a refusal. */
typedef struct geography_answer {
    vendor_answer_t base;
    geography_point_t point; /* POINT_OF_ADDRESS */
    uint32_t accuracy_m;     /* of it; 0: not told */
    text_t place;            /* PLACE_OF_POINT: for people */
    text_t country;          /* ISO 3166-1, two capital letters; empty: not told */
} geography_answer_t;
typedef void geography_done_t(void *context, const geography_answer_t *answer);

typedef struct geography_functions {
    result_t (*ask)(geography_t *geography, const geography_question_t *question,
                    geography_done_t *done, void *context, vendor_call_t **call);
    void (*cancel)(geography_t *geography, vendor_call_t **call); /* nulls */
} geography_functions_t;

struct geography {
    const geography_functions_t *functions; /* the adapter's struct begins with this one */
};

#endif
