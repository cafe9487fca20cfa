/* Puts the Prometheus texts of several roles together. A family may appear only once in a page, so
 * its samples are gathered from all texts. Knows the text format and nothing else. */
#include "runtime/supervisor_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    char *data;
    size_t size;
    size_t capacity;
} bytes_t;

typedef struct family {
    char *name; /* "" gathers samples before any HELP or TYPE line */
    bytes_t head;
    bytes_t samples;
} family_t;

struct metrics_merge {
    size_t count;
    family_t families[LIMIT_METRICS];
};

typedef struct line {
    const char *data;
    size_t size; /* its end included */
} line_t;

static void bytes_append(bytes_t *bytes, const char *data, size_t size)
{
    if (bytes->capacity - bytes->size < size) {
        const size_t capacity = (bytes->size + size) * 2;
        char *grown = realloc(bytes->data, capacity);
        if (grown == NULL) {
            return; /* a page with a hole rather than no page */
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    if (size > 0) {
        memcpy(bytes->data + bytes->size, data, size);
        bytes->size += size;
    }
}

metrics_merge_t *metrics_merge_create(void)
{
    metrics_merge_t *merge = calloc(1, sizeof *merge);
    assert(merge != NULL);
    return merge;
}

void metrics_merge_destroy(metrics_merge_t **merge)
{
    for (size_t i = 0; i < (*merge)->count; i++) {
        free((*merge)->families[i].name);
        free((*merge)->families[i].head.data);
        free((*merge)->families[i].samples.data);
    }
    free(*merge);
    *merge = NULL;
}

/* NULL beyond LIMIT_METRICS families: all roles run the same binary and have the same ones. */
static family_t *merge_family(metrics_merge_t *merge, const char *name, size_t size)
{
    for (size_t i = 0; i < merge->count; i++) {
        if (strlen(merge->families[i].name) == size &&
            memcmp(merge->families[i].name, name, size) == 0) {
            return &merge->families[i];
        }
    }
    char *copy = merge->count == LIMIT_METRICS ? NULL : strndup(name, size);
    if (copy == NULL) {
        return NULL;
    }
    family_t *family = &merge->families[merge->count];
    merge->count++;
    family->name = copy;
    return family;
}

static bool is_comment(line_t line, const char *keyword, line_t *name)
{
    const size_t head = strlen(keyword);
    if (line.size <= head || memcmp(line.data, keyword, head) != 0) {
        return false;
    }
    name->data = line.data + head;
    name->size = 0;
    while (head + name->size < line.size && name->data[name->size] != ' ' &&
           name->data[name->size] != '\n') {
        name->size++;
    }
    return true;
}

static bool contains(const bytes_t *bytes, const char *keyword)
{
    return bytes->size > 0 && memmem(bytes->data, bytes->size, keyword, strlen(keyword)) != NULL;
}

static family_t *merge_line(metrics_merge_t *merge, family_t *family, line_t line)
{
    line_t name;
    const bool is_help = is_comment(line, "# HELP ", &name);
    if (is_help || is_comment(line, "# TYPE ", &name)) {
        family_t *next = merge_family(merge, name.data, name.size);
        if (next != NULL && !contains(&next->head, is_help ? "# HELP " : "# TYPE ")) {
            bytes_append(&next->head, line.data, line.size);
        }
        return next;
    }
    if (line.data[0] != '#' && line.data[0] != '\n') {
        family_t *at = family != NULL ? family : merge_family(merge, "", 0);
        if (at != NULL) {
            bytes_append(&at->samples, line.data, line.size);
        }
    }
    return family;
}

void metrics_merge_add(metrics_merge_t *merge, const char *text, size_t size)
{
    family_t *family = NULL;
    size_t at = 0;
    while (at < size) {
        const char *end = memchr(text + at, '\n', size - at);
        if (end == NULL) {
            break; /* a cut line is no sample */
        }
        const line_t line = {text + at, (size_t)(end - text) - at + 1};
        family = merge_line(merge, family, line);
        at += line.size;
    }
}

char *metrics_merge_text(const metrics_merge_t *merge, size_t *size)
{
    bytes_t text = {0};
    for (size_t i = 0; i < merge->count; i++) {
        const family_t *family = &merge->families[i];
        if (family->samples.size > 0) {
            bytes_append(&text, family->head.data, family->head.size);
            bytes_append(&text, family->samples.data, family->samples.size);
        }
    }
    bytes_append(&text, "", 1);
    assert(text.data != NULL);
    *size = text.size - 1;
    return text.data;
}
