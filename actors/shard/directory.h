/* What the control store says about all tenants and token keys, kept in memory: shard 0 answers the
 * fronts' directory.get from it, and every shard's sweep walks it. Reads the control store only
 * when its version has changed. Holds no secret. */
#ifndef ACTORS_DIRECTORY_H
#define ACTORS_DIRECTORY_H

#include "actors/ports/control_store.h"
#include "actors/ports/revocations.h"

typedef struct directory_cache directory_cache_t;

/* Reads nothing yet. `revocations` NULL: no token is ever revoked. */
directory_cache_t *directory_create(control_store_t *control, revocations_t *revocations,
                                    int64_t (*wall_ms)(void));
void directory_destroy(directory_cache_t **directory);

/* Reads what has changed. `changed`: there is another version than before. On an error what is
 * known stays. */
MUST_USE result_t directory_poll(directory_cache_t *directory, bool *changed);
bool directory_is_known(const directory_cache_t *directory);
uint32_t directory_tenant_count(const directory_cache_t *directory);
/* The tenant after `after` in order of name; empty past the last. Borrowed until the next poll. */
text_t directory_tenant_after(const directory_cache_t *directory, text_t after);

enum { DIRECTORY_PAGE_TENANTS = 1000, DIRECTORY_TOKEN_KEYS = 16 }; /* messages/internal.def */
/* The packed document `directory`, malloc'ed; the caller frees. */
text_t directory_answer(const directory_cache_t *directory, const directory_get_t *question);

#endif
