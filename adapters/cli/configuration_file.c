/* The configuration file (YAML, read by libcyaml): flat, one key per setting, nothing else
 * accepted. It turns libcyaml's log into one line that names file, key and line. */
#include "adapters/cli/configuration.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct error_text {
    char *out;
    size_t size;
    size_t used;
} error_text_t;

static const cyaml_schema_field_t fields[] = {
#define SETTING(name, flag, variable, otherwise, value_name, help)                                 \
    CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, configuration_texts_t, \
                           name, 0, CYAML_UNLIMITED),
#define SETTING_KEYED(name, key, flag, variable, otherwise, value_name, help)                      \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, configuration_texts_t,   \
                           name, 0, CYAML_UNLIMITED),
#include "adapters/cli/configuration.def"
#undef SETTING
    CYAML_FIELD_END};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, configuration_texts_t, fields)};

/* libcyaml writes "Load: Unexpected key: colour" and then where, line by line. */
static void collect_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static void collect_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    error_text_t *text = context;
    char line[256];
    (void)level;
    (void)vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    const char *at = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    at += strspn(at, " ");
    if (*at == '\0' || strcmp(at, "Backtrace:") == 0 || text->used >= text->size) {
        return;
    }
    const int written = snprintf(text->out + text->used, text->size - text->used, "%s%s",
                                 text->used == 0 ? "" : ", ", at);
    text->used += written > 0 ? (size_t)written : 0;
}

static cyaml_config_t reader(error_text_t *log)
{
    return (cyaml_config_t){.log_fn = collect_log,
                            .log_ctx = log,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

bool configuration_file_read(const char *path, configuration_texts_t **out, char *error,
                             size_t error_size)
{
    char details[384] = "";
    error_text_t log = {.out = details, .size = sizeof details};
    const cyaml_config_t config = reader(&log);
    cyaml_data_t *data = NULL;
    errno = 0;
    const cyaml_err_t result = cyaml_load_file(path, &config, &schema, &data, NULL);
    const int why = errno;
    if (result != CYAML_OK) {
        const bool is_unread = result == CYAML_ERR_FILE_OPEN;
        (void)snprintf(error, error_size, "configuration file %.100s: %s%s%s", path,
                       is_unread ? "it cannot be opened" : cyaml_strerror(result),
                       is_unread || log.used > 0 ? ": " : "", is_unread ? strerror(why) : details);
        return false;
    }
    *out = data;
    return true;
}

void configuration_file_release(configuration_texts_t **texts)
{
    error_text_t log = {.out = (char[1]){0}, .size = 0};
    const cyaml_config_t config = reader(&log);
    if (*texts != NULL) {
        (void)cyaml_free(&config, &schema, *texts, 0);
        *texts = NULL;
    }
}
