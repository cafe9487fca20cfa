/* Consumers of events that registered by name, and how far each has come: part of the control data,
 * so that every relay finds them. Calls block for some milliseconds; nothing here changes the
 * version of the control store. */
#ifndef ACTORS_PORTS_CONSUMERS_H
#define ACTORS_PORTS_CONSUMERS_H

#include "messages/text.h"
#include "runtime/limits.h"
#include "runtime/result.h"
#include <stdint.h>

typedef struct consumers consumers_t;

typedef struct consumer_ack {
    text_t tenant;
    text_t name;
    uint32_t partition;
    uint64_t sequence; /* everything up to this one is done */
    result_t result;   /* out: OK, or MISSING */
} consumer_ack_t;

/* A consumer, and one of its cursors; `has_cursor` false: it has acknowledged nothing yet. */
typedef struct consumer_row {
    text_t tenant;
    text_t name;
    int64_t registered_at;
    int64_t seen_at; /* registered or acknowledged last */
    bool has_cursor;
    uint32_t partition;
    uint64_t sequence;
} consumer_row_t;

/* Return false to stop. Borrowed for the call; it must not call the store. */
typedef bool consumer_visit_t(void *context, const consumer_row_t *row);

typedef struct consumers_functions {
    /* OK also when it is there. MISSING: no such tenant. BUSY: it has LIMIT_CONSUMERS already. */
    result_t (*add)(consumers_t *store, text_t tenant, text_t name, int64_t now_ms);
    result_t (*remove)(consumers_t *store, text_t tenant, text_t name); /* MISSING */
    /* All in one transaction. A cursor never goes back: a lower one changes nothing. */
    result_t (*ack)(consumers_t *store, consumer_ack_t *acks, size_t count, int64_t now_ms);
    /* Of one tenant, or of all when it is empty; in order of tenant, name and partition. */
    result_t (*visit)(consumers_t *store, text_t tenant, consumer_visit_t *visit, void *context);
    /* Those not seen since `before_ms`, but those of webhooks (ports/webhooks.h). */
    result_t (*forget)(consumers_t *store, int64_t before_ms);
} consumers_functions_t;

struct consumers {
    const consumers_functions_t *functions;
};

#endif
