/* Is this JSON, exactly as RFC 8259 says, and does it stay within our bounds? Runs before the
 * parser, which is recursive and allocates. Builds nothing; can say where in the document a byte
 * lies. */
#ifndef MESSAGES_JSON_SCAN_H
#define MESSAGES_JSON_SCAN_H

#include "messages/message.h"

typedef enum json_scan_result {
    JSON_SCAN_OBJECT, /* well formed, an object */
    JSON_SCAN_OTHER,  /* well formed, no object */
    JSON_SCAN_STOPPED,
    JSON_SCAN_MALFORMED,
    JSON_SCAN_TOO_DEEP,
    JSON_SCAN_TOO_MANY, /* values */
} json_scan_result_t;

typedef struct json_scan_level {
    text_t key; /* with its escapes; of the pair being read */
    uint32_t index;
    bool is_array;
} json_scan_level_t;

typedef struct json_scan {
    text_t input;
    size_t at;
    size_t stop;
    size_t depth;
    uint32_t values;
    const char *expected; /* when malformed: what should have stood at `at` */
    json_scan_level_t levels[MESSAGE_DEPTH_MAX];
} json_scan_t;

/* Scans to the end, or to the end of the token in which the byte `stop` lies: then the open levels
 * are the path to it. `input` is valid UTF-8. Pass SIZE_MAX to scan everything. */
json_scan_result_t json_scan(json_scan_t *scan, text_t input, size_t stop);

#endif
