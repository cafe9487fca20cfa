/* top: the roles of the running service as a table that refreshes, or one card's actor. The service
 * is asked once a second, and gathers nothing for it but then. */
#include "adapters/cli/commands/tree_values.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TOP_INTERVAL_MS = 1000, CTRL_C = 3 };

#define SCREEN_CLEAR "\033[H\033[2J"
#define INVERSE "\033[7m"
#define PLAIN "\033[0m"

typedef enum top_sort {
    TOP_SORT_BUSY = 'b', /* by processor time, then by messages */
    TOP_SORT_MAILBOX = 'm',
    TOP_SORT_TIME = 't', /* of handlers */
    TOP_SORT_MEMORY = 'M',
} top_sort_t;

typedef struct top_row {
    const json_t *role;
    double cpu_percent;
    long long waiting;
    long long handler_us;
    double messages_per_s;
} top_row_t;

/* The largest of its kinds. */
static long long handler_us_of(const json_t *role)
{
    const json_t *kind = NULL;
    size_t i = 0;
    long long longest = 0;
    json_array_foreach(json_object_get(json_object_get(role, "status"), "actors"), i, kind)
    {
        const long long us = number_of(kind, "handler_us_p99");
        longest = us > longest ? us : longest;
    }
    return longest;
}

/* Messages of actors; of a front the requests it answered. */
static long long messages_of(const json_t *role)
{
    const json_t *kind = NULL;
    size_t i = 0;
    long long messages = number_of(json_object_get(role, "status"), "requests_done");
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
        return (top_row_t){
            .role = role, .waiting = waiting_of(role), .handler_us = handler_us_of(role)};
    }
    return (top_row_t){
        .role = role,
        .waiting = waiting_of(role),
        .handler_us = handler_us_of(role),
        .cpu_percent =
            per_second(number_of(role, "cpu_ms"), number_of(past, "cpu_ms"), elapsed_ms) / 10.0,
        .messages_per_s = per_second(messages_of(role), messages_of(past), elapsed_ms)};
}

static int descending(double a, double b)
{
    return a > b ? -1 : (a < b ? 1 : 0);
}

static int compare_busy(const void *left, const void *right)
{
    const top_row_t *a = left;
    const top_row_t *b = right;
    int order = descending(a->cpu_percent, b->cpu_percent);
    order = order != 0 ? order : descending(a->messages_per_s, b->messages_per_s);
    return order != 0 ? order : strcmp(text_of(a->role, "name"), text_of(b->role, "name"));
}

static int compare_mailbox(const void *left, const void *right)
{
    const top_row_t *a = left;
    const top_row_t *b = right;
    const int order = descending((double)a->waiting, (double)b->waiting);
    return order != 0 ? order : compare_busy(left, right);
}

static int compare_time(const void *left, const void *right)
{
    const top_row_t *a = left;
    const top_row_t *b = right;
    const int order = descending((double)a->handler_us, (double)b->handler_us);
    return order != 0 ? order : compare_busy(left, right);
}

static int compare_memory(const void *left, const void *right)
{
    const top_row_t *a = left;
    const top_row_t *b = right;
    const int order = descending(mib_of(a->role, "rss_bytes"), mib_of(b->role, "rss_bytes"));
    return order != 0 ? order : compare_busy(left, right);
}

static void sort_rows(top_row_t *rows, size_t count, top_sort_t sort)
{
    switch (sort) {
    case TOP_SORT_MAILBOX:
        qsort(rows, count, sizeof rows[0], compare_mailbox);
        break;
    case TOP_SORT_TIME:
        qsort(rows, count, sizeof rows[0], compare_time);
        break;
    case TOP_SORT_MEMORY:
        qsort(rows, count, sizeof rows[0], compare_memory);
        break;
    case TOP_SORT_BUSY:
        qsort(rows, count, sizeof rows[0], compare_busy);
        break;
    }
}

static size_t make_rows(const json_t *tree, const json_t *before, double elapsed_ms,
                        top_row_t rows[LIMIT_ROLES])
{
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
    return count;
}

static void print_top(const json_t *tree, const json_t *before, double elapsed_ms, bool screen,
                      top_sort_t sort)
{
    top_row_t rows[LIMIT_ROLES];
    char uptime[32];
    const json_t *service = json_object_get(tree, "service");
    const size_t count = make_rows(tree, before, elapsed_ms, rows);
    sort_rows(rows, count, sort);
    print_duration(number_of(service, "uptime_ms"), uptime, sizeof uptime);
    (void)printf("%sdigitalcard %s  %s  up %s%s\n\n", screen ? SCREEN_CLEAR : "",
                 text_of(service, "version"),
                 json_is_true(json_object_get(service, "ready")) ? "ready" : "NOT READY", uptime,
                 screen ? "  sort: b busy, m mailbox, t time, M memory; q ends" : "");
    (void)printf("%s%-10s %-9s %8s %7s %11s %8s %8s %8s %9s %8s%s\n", screen ? INVERSE : "", "ROLE",
                 "STATE", "PID", "CPU %", "MESSAGES/s", "WAITING", "P99 us", "RSS MB", "RESTARTS",
                 "UP", screen ? PLAIN : "");
    for (size_t i = 0; i < count; i++) {
        const json_t *role = rows[i].role;
        print_duration(number_of(role, "uptime_ms"), uptime, sizeof uptime);
        (void)printf("%-10s %-9s %8lld %7.1f %11.0f %8lld %8lld %8.1f %9lld %8s\n",
                     text_of(role, "name"), text_of(role, "state"), number_of(role, "pid"),
                     rows[i].cpu_percent, rows[i].messages_per_s, rows[i].waiting,
                     rows[i].handler_us, mib_of(role, "rss_bytes"), number_of(role, "restarts"),
                     uptime);
    }
    (void)fflush(stdout);
}

/* --- One actor --- */

static json_t *follow_question(const char *target)
{
    const char *slash = strchr(target, '/');
    if (slash == NULL) {
        return NULL;
    }
    return json_pack("{s:s,s:s%,s:s}", "command", "follow", "tenant", target,
                     (size_t)(slash - target), "card", slash + 1);
}

static void print_followed(const json_t *actor, const json_t *before, double elapsed_ms)
{
    const bool is_active = strcmp(text_of(actor, "state"), "active") == 0;
    if (!is_active) {
        (void)printf("%s  shard-%lld\n", text_of(actor, "state"), number_of(actor, "shard"));
    } else {
        (void)printf(
            "active  shard-%lld  mailbox %lld  held %lld  messages %lld (%.0f/s)  last handled "
            "%lld ms ago  state %lld B  version %lld  events %lld\n",
            number_of(actor, "shard"), number_of(actor, "mailbox"), number_of(actor, "held"),
            number_of(actor, "messages"),
            per_second(number_of(actor, "messages"), number_of(before, "messages"), elapsed_ms),
            number_of(actor, "last_handled_ms_ago"), number_of(actor, "state_bytes"),
            number_of(actor, "version"), number_of(actor, "card_sequence"));
    }
    (void)fflush(stdout);
}

/* --- The terminal: keys without Enter, and everything as it was afterwards --- */

typedef struct terminal {
    bool is_changed;
    struct termios before;
} terminal_t;

static void terminal_begin(terminal_t *terminal)
{
    terminal->is_changed =
        isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &terminal->before) == 0;
    if (terminal->is_changed) {
        struct termios raw = terminal->before;
        raw.c_lflag &=
            ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C is a key: it must not skip the end */
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
}

static void terminal_end(const terminal_t *terminal)
{
    if (terminal->is_changed) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
    }
}

/* Waits for the next round or a key; false: the end was asked for. */
static bool wait_round(const terminal_t *terminal, top_sort_t *sort)
{
    struct pollfd keys = {.fd = terminal->is_changed ? STDIN_FILENO : -1, .events = POLLIN};
    char key = 0;
    if (poll(&keys, 1, TOP_INTERVAL_MS) > 0 && read(STDIN_FILENO, &key, 1) == 1) {
        if (key == TOP_SORT_BUSY || key == TOP_SORT_MAILBOX || key == TOP_SORT_TIME ||
            key == TOP_SORT_MEMORY) {
            *sort = (top_sort_t)key;
        }
    }
    return key != 'q' && key != CTRL_C;
}

/* --- The command --- */

typedef struct top {
    configuration_t configuration;
    bool once;
    const char *sort_text;
    const char *follow;
    top_sort_t sort;
} top_t;

static json_t *ask(const top_t *top)
{
    json_t *question =
        top->follow == NULL ? json_pack("{s:s}", "command", "tree") : follow_question(top->follow);
    return control_client_ask_service(&top->configuration, question);
}

static bool parse_top(top_t *top)
{
    static const struct {
        const char *name;
        top_sort_t sort;
    } sorts[] = {{"busy", TOP_SORT_BUSY},
                 {"mailbox", TOP_SORT_MAILBOX},
                 {"time", TOP_SORT_TIME},
                 {"memory", TOP_SORT_MEMORY}};
    bool is_known = false;
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
        const char key[2] = {(char)sorts[i].sort, '\0'};
        if (strcmp(top->sort_text, sorts[i].name) == 0 || strcmp(top->sort_text, key) == 0) {
            top->sort = sorts[i].sort;
            is_known = true;
        }
    }
    if (!is_known) {
        (void)command_fail("top: --sort is one of busy, mailbox, time, memory");
        return false;
    }
    if (top->follow != NULL && strchr(top->follow, '/') == NULL) {
        (void)command_fail("top: --follow takes TENANT/CARD_ID");
        return false;
    }
    return true;
}

static int run_top(top_t *top)
{
    int status = EXIT_FAILED;
    terminal_t terminal = {0};
    uint64_t before_us = clock_monotonic_us();
    json_t *before = ask(top);
    bool running = before != NULL;
    if (running && !top->once) {
        terminal_begin(&terminal);
    }
    while (running && wait_round(&terminal, &top->sort)) { /* until q, Ctrl-C or the service ends */
        const uint64_t now_us = clock_monotonic_us();
        const double elapsed_ms = (double)(now_us - before_us) / 1000.0;
        json_t *now = ask(top);
        if (now != NULL && top->follow != NULL) {
            print_followed(now, before, elapsed_ms);
        } else if (now != NULL) {
            print_top(now, before, elapsed_ms, !top->once, top->sort);
        }
        status = now != NULL ? EXIT_OK : EXIT_FAILED;
        running = now != NULL && !top->once;
        json_decref(before);
        before = now;
        before_us = now_us;
    }
    terminal_end(&terminal);
    json_decref(before);
    return status;
}

int command_top(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    top_t top = {.sort_text = "busy"};
    const option_t own[] = {
        OPTION_FLAG("once", &top.once, "Print once, measured over one second, and end"),
        OPTION_TEXT("sort", "KEY", &top.sort_text, "busy, mailbox (m), time (t) or memory (M)"),
        OPTION_TEXT("follow", "TENANT/CARD_ID", &top.follow, "Watch the actor of one card")};
    if (!tree_begin(command, argc, argv, &top.configuration, own, sizeof own / sizeof own[0],
                    &status)) {
        return status;
    }
    status = parse_top(&top) ? run_top(&top) : EXIT_USAGE;
    configuration_release(&top.configuration);
    return status;
}
