/* Reading and writing of DIR/run/service.json. */
#include "adapters/cli/service_file.h"

#include "runtime/log.h"
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static bool file_path(const char *data, const char *suffix, char *out, size_t size)
{
    const int written = snprintf(out, size, "%s/run/service.json%s", data, suffix);
    return written > 0 && (size_t)written < size;
}

void service_file_write(const data_directory_t *directory, const service_file_t *file)
{
    char path[PATH_MAX + 32];
    char path_new[PATH_MAX + 32];
    json_t *json =
        json_pack("{s:s,s:s,s:s}", "http", file->http, "api", file->api, "events", file->events);
    const bool written = file_path(directory->path, "", path, sizeof path) &&
                         file_path(directory->path, ".new", path_new, sizeof path_new) &&
                         json_dump_file(json, path_new, JSON_COMPACT) == 0 &&
                         rename(path_new, path) == 0;
    if (!written) {
        log_warn("the file with the addresses of the service cannot be written: commands do not "
                 "find them by --data",
                 LOG_STRING("path", path));
    }
    json_decref(json);
}

void service_file_remove(const data_directory_t *directory)
{
    char path[PATH_MAX + 32];
    if (file_path(directory->path, "", path, sizeof path)) {
        (void)unlink(path);
    }
}

static void copy_member(const json_t *json, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

bool service_file_read(const char *data, service_file_t *file)
{
    char path[PATH_MAX + 32];
    json_t *json = file_path(data, "", path, sizeof path) ? json_load_file(path, 0, NULL) : NULL;
    if (json == NULL) {
        return false;
    }
    copy_member(json, "http", file->http, sizeof file->http);
    copy_member(json, "api", file->api, sizeof file->api);
    copy_member(json, "events", file->events, sizeof file->events);
    json_decref(json);
    return true;
}
