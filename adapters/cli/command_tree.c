/* tree and top: what the supervisor says of its roles, as a picture and as a table that refreshes.
 */
#include "adapters/cli/control_client.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 3, TOP_INTERVAL_MS = 1000, MIB = 1048576 };

#define SCREEN_CLEAR "\033[H\033[2J"
#define INVERSE "\033[7m"
#define PLAIN "\033[0m"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static double mib_of(const json_t *object, const char *name)
{
    return (double)number_of(object, name) / MIB;
}

static void print_duration(long long ms, char *out, size_t size)
{
    const long long seconds = ms / 1000;
    if (seconds < 60) {
        (void)snprintf(out, size, "%lld.%llds", seconds, ms % 1000 / 100);
    } else if (seconds < 3600) {
        (void)snprintf(out, size, "%lldm%02llds", seconds / 60, seconds % 60);
    } else {
        (void)snprintf(out, size, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
    }
}

/* --- tree --- */

/* Actors and mailboxes, as the shard describes them: one line per kind. */
static void print_actors(const json_t *role, const char *stem)
{
    const json_t *status = json_object_get(role, "status");
    const json_t *kind = NULL;
    size_t i = 0;
    if (json_is_string(status)) {
        (void)printf("%s      %s\n", stem, json_string_value(status));
    }
    json_array_foreach(json_object_get(status, "actors"), i, kind)
    {
        (void)printf(
            "%s      actors %-8s active %lld, messages waiting %lld, deepest mailbox %lld, "
            "handled %lld\n",
            stem, text_of(kind, "kind"), number_of(kind, "active"),
            number_of(kind, "messages_waiting"), number_of(kind, "mailbox_depth_max"),
            number_of(kind, "messages_handled"));
    }
    const json_t *memory = json_object_get(status, "memory");
    if (memory != NULL) {
        (void)printf("%s      memory of actors %.1f of %.1f MB, %lld activations at once\n", stem,
                     mib_of(memory, "actor_bytes"), mib_of(memory, "actor_bytes_max"),
                     number_of(memory, "activations_max"));
    }
}

static void print_role(const json_t *role, bool last)
{
    char uptime[32];
    const char *exit_text = text_of(role, "last_exit");
    print_duration(number_of(role, "uptime_ms"), uptime, sizeof uptime);
    (void)printf("%s %-10s %-9s pid %-7lld up %-8s restarts %-3lld rss %.1f MB pss %.1f MB%s%s\n",
                 last ? "└─" : "├─", text_of(role, "name"), text_of(role, "state"),
                 number_of(role, "pid"), uptime, number_of(role, "restarts"),
                 mib_of(role, "rss_bytes"), mib_of(role, "pss_bytes"),
                 *exit_text == '\0' ? "" : "; before: ", exit_text);
    print_actors(role, last ? "  " : "│ ");
}

static void print_tree(const json_t *tree)
{
    char uptime[32];
    const json_t *service = json_object_get(tree, "service");
    const json_t *roles = json_object_get(tree, "roles");
    const json_t *role = NULL;
    size_t i = 0;
    print_duration(number_of(service, "uptime_ms"), uptime, sizeof uptime);
    (void)printf("digitalcard %s  %s  pid %lld up %s rss %.1f MB pss %.1f MB\n",
                 text_of(service, "version"),
                 json_is_true(json_object_get(service, "ready")) ? "ready" : "NOT READY",
                 number_of(service, "pid"), uptime, mib_of(service, "rss_bytes"),
                 mib_of(service, "pss_bytes"));
    json_array_foreach(roles, i, role)
    {
        print_role(role, i + 1 == json_array_size(roles));
    }
}

static bool begin(const command_t *command, int argc, char **argv, configuration_t *configuration,
                  const option_t *own, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] = *own;
    count += configuration_options(configuration, false, options + count);
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, status)) {
        return false;
    }
    *status = EXIT_FAILED;
    return configuration_load(configuration);
}

int command_tree(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    bool json = false;
    configuration_t configuration = {0};
    const option_t own = OPTION_FLAG("json", &json, "Print JSON");
    if (!begin(command, argc, argv, &configuration, &own, &status)) {
        return status;
    }
    json_t *tree =
        control_client_ask_service(&configuration, json_pack("{s:s}", "command", "tree"));
    configuration_release(&configuration);
    if (tree == NULL) {
        return EXIT_FAILED;
    }
    if (json) {
        return command_print_json(tree);
    }
    print_tree(tree);
    json_decref(tree);
    return EXIT_OK;
}

/* --- top --- */

typedef struct top_row {
    const json_t *role;
    double cpu_percent;
    double messages_per_s;
} top_row_t;

static long long messages_of(const json_t *role)
{
    const json_t *kind = NULL;
    size_t i = 0;
    long long messages = 0;
    json_array_foreach(json_object_get(json_object_get(role, "status"), "actors"), i, kind)
    {
        messages += number_of(kind, "messages_handled");
    }
    return messages;
}

static long long waiting_of(const json_t *role)
{
    const json_t *kind = NULL;
    size_t i = 0;
    long long waiting = 0;
    json_array_foreach(json_object_get(json_object_get(role, "status"), "actors"), i, kind)
    {
        waiting += number_of(kind, "messages_waiting");
    }
    return waiting;
}

/* The same incarnation one interval ago; a role that restarted has no past. */
static const json_t *role_before(const json_t *before, const json_t *role)
{
    const json_t *candidate = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(before, "roles"), i, candidate)
    {
        if (number_of(candidate, "incarnation") == number_of(role, "incarnation")) {
            return candidate;
        }
    }
    return NULL;
}

static double per_second(long long now, long long before, double elapsed_ms)
{
    return now > before && elapsed_ms > 0 ? (double)(now - before) * 1000.0 / elapsed_ms : 0;
}

static top_row_t make_row(const json_t *role, const json_t *before, double elapsed_ms)
{
    const json_t *past = role_before(before, role);
    if (past == NULL) {
        return (top_row_t){.role = role};
    }
    return (top_row_t){
        .role = role,
        .cpu_percent =
            per_second(number_of(role, "cpu_ms"), number_of(past, "cpu_ms"), elapsed_ms) / 10.0,
        .messages_per_s = per_second(messages_of(role), messages_of(past), elapsed_ms)};
}

/* Busiest first: by processor time, then by messages, then by name. */
static int compare_rows(const void *left, const void *right)
{
    const top_row_t *a = left;
    const top_row_t *b = right;
    if (a->cpu_percent != b->cpu_percent) {
        return a->cpu_percent > b->cpu_percent ? -1 : 1;
    }
    if (a->messages_per_s != b->messages_per_s) {
        return a->messages_per_s > b->messages_per_s ? -1 : 1;
    }
    return strcmp(text_of(a->role, "name"), text_of(b->role, "name"));
}

static void print_top(const json_t *tree, const json_t *before, double elapsed_ms, bool screen)
{
    top_row_t rows[LIMIT_ROLES];
    char uptime[32];
    const json_t *service = json_object_get(tree, "service");
    const json_t *role = NULL;
    size_t i = 0;
    size_t count = 0;
    json_array_foreach(json_object_get(tree, "roles"), i, role)
    {
        if (count < LIMIT_ROLES) {
            rows[count] = make_row(role, before, elapsed_ms);
            count++;
        }
    }
    qsort(rows, count, sizeof rows[0], compare_rows);
    print_duration(number_of(service, "uptime_ms"), uptime, sizeof uptime);
    (void)printf("%sdigitalcard %s  %s  up %s\n\n%s%-10s %-9s %8s %7s %11s %8s %8s %9s %8s%s\n",
                 screen ? SCREEN_CLEAR : "", text_of(service, "version"),
                 json_is_true(json_object_get(service, "ready")) ? "ready" : "NOT READY", uptime,
                 screen ? INVERSE : "", "ROLE", "STATE", "PID", "CPU %", "MESSAGES/s", "WAITING",
                 "RSS MB", "RESTARTS", "UP", screen ? PLAIN : "");
    for (i = 0; i < count; i++) {
        role = rows[i].role;
        print_duration(number_of(role, "uptime_ms"), uptime, sizeof uptime);
        (void)printf("%-10s %-9s %8lld %7.1f %11.0f %8lld %8.1f %9lld %8s\n", text_of(role, "name"),
                     text_of(role, "state"), number_of(role, "pid"), rows[i].cpu_percent,
                     rows[i].messages_per_s, waiting_of(role), mib_of(role, "rss_bytes"),
                     number_of(role, "restarts"), uptime);
    }
    (void)fflush(stdout);
}

int command_top(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    bool once = false;
    configuration_t configuration = {0};
    const option_t own =
        OPTION_FLAG("once", &once, "Print once, measured over one second, and end");
    if (!begin(command, argc, argv, &configuration, &own, &status)) {
        return status;
    }
    uint64_t before_us = clock_monotonic_us();
    json_t *before =
        control_client_ask_service(&configuration, json_pack("{s:s}", "command", "tree"));
    bool running = before != NULL;
    while (running) { /* until Ctrl-C or the end of the service */
        (void)poll(NULL, 0, TOP_INTERVAL_MS);
        const uint64_t now_us = clock_monotonic_us();
        json_t *tree =
            control_client_ask_service(&configuration, json_pack("{s:s}", "command", "tree"));
        if (tree != NULL) {
            print_top(tree, before, (double)(now_us - before_us) / 1000.0, !once);
        }
        status = tree != NULL ? EXIT_OK : EXIT_FAILED;
        running = tree != NULL && !once;
        json_decref(before);
        before = tree;
        before_us = now_us;
    }
    json_decref(before);
    configuration_release(&configuration);
    return status;
}
