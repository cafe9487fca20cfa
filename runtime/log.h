/* One JSON object per line on standard error:
 *   {"time":"…Z","level":"warn","role":"shard-0","pid":123,"message":"…","trace_id":"…", fields…}
 * A message says what happened, with which value, and what to do about it. Secrets, tokens, names
 * and codes are never logged. A line longer than LIMIT_LOG_LINE_SIZE is cut within its last value
 * and stays JSON. Nobody waits for a reader that stands still: its lines are left out, and the next
 * one that is written has their number as `lines_lost`. */
#ifndef RUNTIME_LOG_H
#define RUNTIME_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef enum log_level {
    LOG_DEBUG_LEVEL,
    LOG_INFO_LEVEL,
    LOG_WARN_LEVEL,
    LOG_ERROR_LEVEL,
    LOG_SILENT_LEVEL /* as a least level: nothing is written */
} log_level_t;

typedef enum log_field_kind { LOG_FIELD_TEXT, LOG_FIELD_INTEGER } log_field_kind_t;
typedef struct log_field {
    const char *name;
    log_field_kind_t kind;
    const char *text; /* TEXT; any bytes, escaped; need not end in NUL */
    size_t text_size;
    int64_t integer; /* INTEGER */
} log_field_t;

#define LOG_TEXT(field, data, size) ((log_field_t){(field), LOG_FIELD_TEXT, (data), (size), 0})
#define LOG_STRING(field, string) log_field_string((field), (string))
#define LOG_NUMBER(field, value)                                                                   \
    ((log_field_t){(field), LOG_FIELD_INTEGER, NULL, 0, (int64_t)(value)})

log_field_t log_field_string(const char *name, const char *string);

/* Once per process, before the first line. `role` is copied. */
void log_start(const char *role, log_level_t level_min);
void log_set_level(log_level_t level_min);
/* False when `name` is none of debug, info, warn, error. */
_Bool log_level_parse(const char *name, log_level_t *level);

void log_write(log_level_t level, const char *message, const log_field_t *fields,
               size_t field_count);

/* log_warn("journal is full", LOG_STRING("path", path), LOG_NUMBER("free_bytes", n)) */
#define LOG_FIELDS(...)                                                                            \
    (const log_field_t[])                                                                          \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define LOG_LINE(level, message, ...)                                                              \
    log_write((level), (message), LOG_FIELDS((log_field_t){0}, ##__VA_ARGS__) + 1,                 \
              sizeof(LOG_FIELDS((log_field_t){0}, ##__VA_ARGS__)) / sizeof(log_field_t) - 1)
#define log_debug(message, ...) LOG_LINE(LOG_DEBUG_LEVEL, message, ##__VA_ARGS__)
#define log_info(message, ...) LOG_LINE(LOG_INFO_LEVEL, message, ##__VA_ARGS__)
#define log_warn(message, ...) LOG_LINE(LOG_WARN_LEVEL, message, ##__VA_ARGS__)
#define log_error(message, ...) LOG_LINE(LOG_ERROR_LEVEL, message, ##__VA_ARGS__)

#endif
