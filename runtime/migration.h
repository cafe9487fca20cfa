/* Brings the schema of one store up to that of this program, by numbered steps. A store counts the
 * steps it has had; each step and its number are one transaction under the store's own lock, so
 * that two processes which begin at once do each step once, and a crash leaves a known schema.
 * Knows no database: adapters hand in how theirs locks, counts and executes. */
#ifndef RUNTIME_MIGRATION_H
#define RUNTIME_MIGRATION_H

#include "runtime/result.h"
#include <stddef.h>

typedef struct migration_functions {
    /* Begins a transaction that no other process can be in. */
    result_t (*lock)(void *context);
    /* Within it: how many steps the store has had. */
    result_t (*version)(void *context, uint64_t *version);
    /* Within it: executes one step and stores its number. */
    result_t (*apply)(void *context, const char *step, uint64_t version);
    result_t (*commit)(void *context);
    /* Ends the transaction, if there is one, as if it had never been. */
    void (*undo)(void *context);
} migration_functions_t;

typedef struct migration {
    const char *store; /* for messages: "journal" */
    const char *where; /* for messages: the file, or the database */
    const char *const *steps;
    uint64_t step_count;
} migration_t;

typedef struct migration_outcome {
    uint64_t found; /* the version before */
    uint64_t known; /* the version of this program: of the store as well when all went well */
} migration_outcome_t;

/* Is `version` this program's? `is_behind` tells whether there are steps to take. SCHEMA_TOO_NEW,
 * with a line in the log that names store, version found and version known. */
MUST_USE result_t migration_compare(const migration_t *migration, uint64_t version,
                                    bool *is_behind);

/* Takes every step that is missing, and none that is not. `outcome` may be NULL. SCHEMA_TOO_NEW, or
 * what the functions return; the steps taken before a failure stay. */
MUST_USE result_t migration_run(const migration_t *migration,
                                const migration_functions_t *functions, void *context,
                                migration_outcome_t *outcome);

#endif
