/* The one result type. Every function that can fail returns it and is marked MUST_USE. */
#ifndef RUNTIME_RESULT_H
#define RUNTIME_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))

typedef enum result {
    RESULT_OK = 0,
#define ERROR(number, name, code, status, retryable, title) RESULT_##name = (number),
#include "runtime/errors.def"
#undef ERROR
} result_t;

/* Each of these asserts that the code exists; result_is_known tells. RESULT_OK is "ok", status 200.
 */
const char *result_code(result_t result);  /* "busy" */
const char *result_title(result_t result); /* "Too many requests are waiting" */
uint16_t result_http_status(result_t result);
bool result_is_retryable(result_t result);
bool result_is_known(uint64_t number);

/* What `errno` says of a file or directory: PERMISSION_DENIED, STORE_FULL, else `otherwise`. */
result_t result_of_file_error(int error, result_t otherwise);

#endif
