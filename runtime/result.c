/* Looks up what runtime/errors.def says of each result. The table there is the only list. */
#include "runtime/result.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

typedef struct result_row {
    const char *code;
    const char *title;
    uint16_t http_status;
    bool is_retryable;
} result_row_t;

static const result_row_t result_rows[] = {
    [RESULT_OK] = {"ok", "It worked", 200, false},
#define ERROR(number, name, code, status, retryable, title)                                        \
    [RESULT_##name] = {(code), (title), (status), (retryable)},
#include "runtime/errors.def"
#undef ERROR
};

enum { RESULT_ROWS = sizeof(result_rows) / sizeof(result_rows[0]) };

bool result_is_known(uint64_t number)
{
    return number < RESULT_ROWS && result_rows[number].code != NULL;
}

static const result_row_t *row_of(result_t result)
{
    assert(result_is_known((uint64_t)result));
    return &result_rows[result];
}

const char *result_code(result_t result)
{
    return row_of(result)->code;
}

const char *result_title(result_t result)
{
    return row_of(result)->title;
}

uint16_t result_http_status(result_t result)
{
    return row_of(result)->http_status;
}

bool result_is_retryable(result_t result)
{
    return row_of(result)->is_retryable;
}

result_t result_of_file_error(int error, result_t otherwise)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return RESULT_PERMISSION_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the limit of a process or of the file system: no room either */
        return RESULT_STORE_FULL;
    default:
        return otherwise;
    }
}
