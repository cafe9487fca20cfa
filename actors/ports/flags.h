/* Settings of feature flags per tenant, part of the control data: few, rarely changed, read by
 * every shard and by the relay. Calls block for some milliseconds. A flag is a name here: which
 * names mean something is actors/domain/flags.def. */
#ifndef ACTORS_PORTS_FLAGS_H
#define ACTORS_PORTS_FLAGS_H

#include "messages/text.h"
#include "runtime/result.h"
#include <stdint.h>

enum { FLAGS_NAME_SIZE_MAX = 64 };

typedef struct flag_setting {
    text_t tenant;
    text_t name;
    bool is_set; /* false: it was unset; the row stays, so that the change is seen */
    uint8_t percent;
    int64_t changed_at;
    uint64_t change; /* rises with every change of any flag */
} flag_setting_t;

typedef struct flags flags_t;

/* Return false to stop. Borrowed for the call; it must not call the store. */
typedef bool flag_visit_t(void *context, const flag_setting_t *setting);

typedef struct flags_functions {
    /* MISSING: no such tenant. Raises the version of the control store; setting what is set already
     * changes nothing. */
    result_t (*set)(flags_t *store, text_t tenant, text_t name, uint8_t percent, int64_t now_ms);
    /* MISSING: no such tenant, or the flag is not set for it. */
    result_t (*unset)(flags_t *store, text_t tenant, text_t name, int64_t now_ms);
    /* Of one tenant, or of all when it is empty, with a `change` above `after`; in order of
     * `change`. */
    result_t (*visit)(flags_t *store, text_t tenant, uint64_t after, flag_visit_t *visit,
                      void *context);
} flags_functions_t;

struct flags {
    const flags_functions_t *functions;
};

#endif
