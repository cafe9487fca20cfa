/* `store verify` of read models: are they the fold of the journal's events up to their cursors? */
#ifndef ADAPTERS_CLI_VERIFY_MODELS_H
#define ADAPTERS_CLI_VERIFY_MODELS_H

#include "messages/text.h"
#include "runtime/result.h"
#include <jansson.h>

/* Adds "read_models" to the report: result ok, damaged (with the first problem), none (the store
 * has none, or none yet), or what kept them from being read. RESULT_OK for ok and none. Blocks. */
MUST_USE result_t models_verify(const char *store, const char *data, text_t tenant, json_t *report);

#endif
