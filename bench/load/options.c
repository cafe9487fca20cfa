/* See options.h. One table says what there is; checks that concern several options follow it. */
#include "bench/load/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { TEXT, WHOLE, REAL, FLAG } kind_t;
typedef enum where { BOTH, HTTP_ONLY, ROUTER_ONLY } where_t;

typedef struct option {
    const char *name;
    kind_t kind;
    where_t where;
    size_t offset; /* in load_options_t */
    double min;
    double max;
    const char *argument;
    const char *help;
} option_t;

#define AT(field) offsetof(load_options_t, field)

static const option_t table[] = {
    {"--url", TEXT, HTTP_ONLY, AT(service_text), 0, 0, "URL", "the service, http://host:port"},
    {"--endpoint", TEXT, ROUTER_ONLY, AT(service_text), 0, 0, "ENDPOINT",
     "its ROUTER API, tcp://host:port or ipc://path"},
    {"--tenant", TEXT, BOTH, AT(tenant), 0, 0, "NAME", "the organisation that gets the cards"},
    {"--token", TEXT, BOTH, AT(token), 0, 0, "TOKEN",
     "of a tenant_admin; or in DIGITALCARD_TOKEN, where `ps` does not show it"},
    {"--scenario", TEXT, BOTH, AT(tenant), 0, 0, "NAME", NULL}, /* read apart */
    {"--cards", WHOLE, BOTH, AT(cards), 1, LOAD_CARDS_MAX, "N",
     "cards issued before the load begins (1000)"},
    {"--connections", WHOLE, BOTH, AT(connections), 1, LOAD_CONNECTIONS_MAX, "N", "(64)"},
    {"--pipeline", WHOLE, ROUTER_ONLY, AT(pipeline), 1, 65536, "N",
     "requests under way on each connection (1)"},
    {"--threads", WHOLE, BOTH, AT(threads), 1, LOAD_THREADS_MAX, "N", "of this program (1)"},
    {"--duration", REAL, BOTH, AT(duration_s), 0.1, LOAD_SECONDS_MAX, "S", "measured (10)"},
    {"--warmup", REAL, BOTH, AT(warmup_s), 0, 3600, "S", "not measured, before that (1)"},
    {"--ramp", REAL, BOTH, AT(ramp_s), 0, 3600, "S",
     "with --rate: it rises for so long, before the warm-up (0)"},
    {"--rate", REAL, BOTH, AT(rate), 0.1, 1e8, "R",
     "open-loop: requests per second, latency from when each was due; without: closed-loop"},
    {"--poisson", FLAG, BOTH, AT(is_poisson), 0, 0, NULL,
     "with --rate: independent arrivals instead of even ones"},
    {"--find-rate", FLAG, BOTH, AT(finds_rate), 0, 0, NULL,
     "search the highest rate that keeps --p99"},
    {"--p99", REAL, BOTH, AT(p99_ms), 0.01, 60000, "MS", "for --find-rate (10)"},
    {"--step", REAL, BOTH, AT(step_s), 0.1, 3600, "S", "of each step of --find-rate (4)"},
    {"--timeout", WHOLE, BOTH, AT(timeout_ms), 1, 600000, "MS",
     "after which a request counts as failed (10000)"},
    {"--skew", REAL, BOTH, AT(skew), 0, 5, "S",
     "popularity of cards by Zipf's law; 0: all alike (mixed: 1, else 0)"},
    {"--seed", WHOLE, BOTH, AT(seed), 0, 9e15, "N", "of all choices (1)"},
    {"--keys", FLAG, BOTH, AT(with_keys), 0, 0, NULL, "an idempotency key on every command"},
    {"--allow-errors", FLAG, BOTH, AT(allows_errors), 0, 0, NULL,
     "errors do not fail the run; wrong answers do"},
    {"--events", TEXT, BOTH, AT(events), 0, 0, "ENDPOINT", "the publisher, for `events`"},
    {"--subscribers", WHOLE, BOTH, AT(subscribers), 1, LOAD_SUBSCRIBERS_MAX, "N",
     "for `events` (4)"},
    {"--interval", WHOLE, BOTH, AT(interval_ms), 10, 60000, "MS",
     "between the points of the curves (1000, longer for long runs)"},
    {"--acknowledged", TEXT, BOTH, AT(acknowledged), 0, 0, "FILE",
     "one line for each acknowledged command; one file per thread, FILE.0, FILE.1, …"},
    {"--json", FLAG, BOTH, AT(json), 0, 0, NULL, "the figures as one JSON object on stdout"},
    {"--report", TEXT, BOTH, AT(report), 0, 0, "FILE", "draw them, in one self-contained page"},
    {"--live", FLAG, BOTH, AT(is_live), 0, 0, NULL,
     "a line per second on stderr (always on a terminal)"},
};
enum { OPTIONS = sizeof(table) / sizeof(table[0]) };

static bool is_for(const option_t *option, load_protocol_t protocol)
{
    return option->where == BOTH ||
           option->where == (protocol == LOAD_HTTP ? HTTP_ONLY : ROUTER_ONLY);
}

void load_options_help(load_protocol_t protocol)
{
    (void)printf("Usage: digitalcard-bench %s --%s … --tenant NAME [OPTIONS]\n\n",
                 protocol == LOAD_HTTP ? "http" : "api",
                 protocol == LOAD_HTTP ? "url" : "endpoint");
    (void)printf(
        "Loads a running service and measures it. It issues its own cards first, and checks every\n"
        "answer: one that is not true counts as an error, `wrong_answer`.\n\n"
        "  --scenario NAME       validate   one card after the other by its id (the default)\n"
        "                        scan       by the text of its code\n"
        "                        lifecycle  from issue to revocation, ten more steps between\n"
        "                        mixed      90 %% scans, 5 %% reads, 2 %% issues, 2 %% renewals,\n"
        "                                   1 %% revocations; popular and rare cards\n"
        "                        bulk       issues only\n"
        "                        events     validations, with subscribers of the events\n");
    for (size_t index = 0; index < OPTIONS; index++) {
        if (is_for(&table[index], protocol) && table[index].help != NULL) {
            char left[40];
            const char *const argument = table[index].argument;
            (void)snprintf(left, sizeof(left), "%s%s%s", table[index].name,
                           argument == NULL ? "" : " ", argument == NULL ? "" : argument);
            (void)printf("  %-21s %s\n", left, table[index].help);
        }
    }
    (void)printf("\nExit status: 0, 1 (could not run, wrong answers, errors, or the rate was not "
                 "reached), 2 (usage).\nCtrl-C ends a run early and tells what was measured.\n");
}

static bool port_read(const char *text, char port[8])
{
    char *end = NULL;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number == 0 || number > 65535) {
        return false;
    }
    (void)snprintf(port, 8, "%lu", number);
    return true;
}

bool load_address_read(const char *text, load_address_t *address)
{
    *address = (load_address_t){0};
    if (strncmp(text, "ipc://", 6) == 0) {
        address->is_ipc = true;
        const size_t size = strlen(text + 6);
        if (size == 0 || size >= sizeof(address->path)) {
            return false;
        }
        memcpy(address->path, text + 6, size);
        return true;
    }
    const bool is_http = strncmp(text, "http://", 7) == 0;
    if (!is_http && strncmp(text, "tcp://", 6) != 0) {
        return false;
    }
    char rest[sizeof(address->host)];
    const int size = snprintf(rest, sizeof(rest), "%s", text + (is_http ? 7 : 6));
    if (size <= 0 || (size_t)size >= sizeof(rest)) {
        return false;
    }
    if (is_http && rest[size - 1] == '/') {
        rest[size - 1] = '\0';
    }
    char *const colon = strrchr(rest, ':');
    if (colon == NULL && is_http) {
        memcpy(address->port, "80", 3);
    } else if (colon == NULL || !port_read(colon + 1, address->port)) {
        return false;
    } else {
        *colon = '\0';
    }
    /* An IPv6 address stands in brackets. */
    const size_t length = strlen(rest);
    const bool has_brackets = length > 2 && rest[0] == '[' && rest[length - 1] == ']';
    rest[has_brackets ? length - 1 : length] = '\0';
    (void)snprintf(address->host, sizeof(address->host), "%s", rest + (has_brackets ? 1 : 0));
    return address->host[0] != '\0' && strchr(address->host, '/') == NULL;
}

static bool complain(const char *name, const char *what)
{
    (void)fprintf(stderr, "digitalcard-bench: %s %s (--help tells the options)\n", name, what);
    return false;
}

static bool scenario_read(const char *name, load_options_t *options)
{
    for (int scenario = 0; name != NULL && scenario < LOAD_SCENARIOS; scenario++) {
        if (strcmp(name, load_scenario_names[scenario]) == 0) {
            options->scenario = (load_scenario_t)scenario;
            return true;
        }
    }
    return complain("--scenario", "must be validate, scan, lifecycle, mixed, bulk or events");
}

static bool value_read(const option_t *option, const char *value, load_options_t *options)
{
    char *const field = (char *)options + option->offset;
    char told[128];
    char *end = NULL;
    if (value == NULL) {
        return complain(option->name, "needs a value");
    }
    if (option->kind == TEXT) {
        memcpy(field, &value, sizeof(value));
        return value[0] != '\0' || complain(option->name, "is empty");
    }
    const double number = strtod(value, &end);
    if (end == value || *end != '\0' || !(number >= option->min && number <= option->max) ||
        (option->kind == WHOLE && number != floor(number))) {
        (void)snprintf(told, sizeof(told), "must be a %snumber from %g to %g, not '%.40s'",
                       option->kind == WHOLE ? "whole " : "", option->min, option->max, value);
        return complain(option->name, told);
    }
    if (option->kind == REAL) {
        memcpy(field, &number, sizeof(number));
    } else if (option->offset == AT(seed)) {
        options->seed = (uint64_t)number;
    } else {
        const uint32_t whole = (uint32_t)number;
        memcpy(field, &whole, sizeof(whole));
    }
    options->skew_is_given |= option->offset == AT(skew);
    return true;
}

static const option_t *option_find(const char *name, load_protocol_t protocol)
{
    for (size_t index = 0; index < OPTIONS; index++) {
        if (is_for(&table[index], protocol) && strcmp(table[index].name, name) == 0) {
            return &table[index];
        }
    }
    return NULL;
}

/* What concerns more than one option. */
static bool check(load_options_t *options)
{
    const bool is_http = options->protocol == LOAD_HTTP;
    if (options->service_text == NULL) {
        return complain(is_http ? "--url" : "--endpoint", "is missing");
    }
    if (!load_address_read(options->service_text, &options->service) ||
        is_http != (strncmp(options->service_text, "http://", 7) == 0)) {
        return complain(options->service_text,
                        is_http ? "is no http://host:port" : "is no tcp://host:port or ipc://path");
    }
    if (options->tenant == NULL || strlen(options->tenant) > 39) {
        return complain("--tenant", options->tenant == NULL ? "is missing" : "is too long");
    }
    if (options->token == NULL) {
        options->token = getenv("DIGITALCARD_TOKEN");
    }
    if (options->token == NULL || options->token[0] == '\0' ||
        strlen(options->token) > LOAD_TOKEN_SIZE_MAX ||
        strspn(options->token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "-._~+/=") != strlen(options->token)) {
        return complain("--token", "is missing or no token (`digitalcard token mint` makes one)");
    }
    if (options->threads > options->connections) {
        return complain("--threads", "are more than there are connections");
    }
    if ((uint64_t)options->connections * options->pipeline > LOAD_SLOTS_MAX) {
        return complain("--pipeline", "times --connections is more than 1048576");
    }
    if (options->finds_rate && options->rate > 0) {
        return complain("--find-rate", "and --rate exclude each other");
    }
    if (options->rate <= 0 && !options->finds_rate &&
        (options->is_poisson || options->ramp_s > 0)) {
        return complain(options->is_poisson ? "--poisson" : "--ramp", "needs --rate");
    }
    load_address_t unused;
    if ((options->scenario == LOAD_SCENARIO_EVENTS) != (options->events != NULL)) {
        return complain("--scenario events", "and --events ENDPOINT belong together");
    }
    if (options->events != NULL && (strncmp(options->events, "http", 4) == 0 ||
                                    !load_address_read(options->events, &unused))) {
        return complain(options->events, "is no tcp://host:port or ipc://path");
    }
    return true;
}

bool load_options_read(int argc, char **argv, load_protocol_t protocol, load_options_t *options)
{
    *options = (load_options_t){.protocol = protocol,
                                .cards = 1000,
                                .connections = 64,
                                .pipeline = 1,
                                .threads = 1,
                                .duration_s = 10,
                                .warmup_s = 1,
                                .p99_ms = 10,
                                .step_s = 4,
                                .timeout_ms = 10000,
                                .seed = 1,
                                .subscribers = 4,
                                .interval_ms = 1000};
    for (int index = 1; index < argc; index++) {
        const option_t *const option = option_find(argv[index], protocol);
        const char *const value = index + 1 < argc ? argv[index + 1] : NULL;
        if (option == NULL) {
            return complain(argv[index], "is no option of this command");
        }
        if (option->kind == FLAG) {
            *((bool *)options + option->offset) = true;
            continue;
        }
        const bool is_scenario = strcmp(option->name, "--scenario") == 0;
        if (is_scenario ? !scenario_read(value, options) : !value_read(option, value, options)) {
            return false;
        }
        index++;
    }
    if (!options->skew_is_given && options->scenario == LOAD_SCENARIO_MIXED) {
        options->skew = 1;
    }
    return check(options);
}
