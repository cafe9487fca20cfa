/* Prints docs/http.md: every route of routes.def with its body, its name over ZeroMQ and who may
 * ask, then every error a client can see. A program of the build, no part of the service. */
#include "adapters/http/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROLE_COUNT = 6, CODES_OF_CLIENTS_END = 80 };

static const char *const role_names[ROLE_COUNT] = {
    "platform admin", "tenant admin", "issuer", "validator", "auditor", "member",
};

typedef struct line {
    const char *method;
    const char *area;
    const char *pattern;
    route_action_t action;
    uint8_t type; /* enum request_type */
    const char *request;
    const char *command;
    route_body_t body;
} line_t;

static const line_t lines[] = {
#define ROUTE(method_name, area_name, path_pattern, action_name, request_name, message, body_kind) \
    {.method = #method_name,                                                                       \
     .area = #area_name,                                                                           \
     .pattern = (path_pattern),                                                                    \
     .action = ROUTE_ACTION_##action_name,                                                         \
     .type = request_type_##request_name,                                                          \
     .request = #request_name,                                                                     \
     .command = #message,                                                                          \
     .body = ROUTE_BODY_##body_kind},
#include "adapters/http/routes.def"
#undef ROUTE
};
enum { LINE_COUNT = sizeof(lines) / sizeof(lines[0]) };

#define YES true
#define NO false

typedef struct permission {
    uint8_t type;
    bool roles[ROLE_COUNT];
} permission_t;

static const permission_t permissions[] = {
#define PERMISSION(name, platform_admin, tenant_admin, issuer, validator, auditor, member)         \
    {request_type_##name, {platform_admin, tenant_admin, issuer, validator, auditor, member}},
#include "actors/domain/permissions.def"
#undef PERMISSION
};
enum { PERMISSION_COUNT = sizeof(permissions) / sizeof(permissions[0]) };

typedef struct failure {
    int number;
    const char *code;
    int status;
    bool retryable;
    const char *title;
} failure_t;

static const failure_t failures[] = {
#define ERROR(number, name, code, status, retryable, title)                                        \
    {number, code, status, retryable, title},
#include "runtime/errors.def"
#undef ERROR
};
enum { FAILURE_COUNT = sizeof(failures) / sizeof(failures[0]) };

static const char *prefix_of(const char *area)
{
    if (strcmp(area, "TENANT_MOBILE") == 0) {
        return "/{tenant}/mapi/v1/";
    }
    if (strcmp(area, "TENANT_ADMIN") == 0) {
        return "/{tenant}/api/v1/";
    }
    return strcmp(area, "TENANT_PAGES") == 0 ? "/{tenant}/" : "/";
}

/* `card_issue` as clients of the ROUTER API write it: `card.issue`. */
static void print_type(const char *request)
{
    putchar('`');
    bool dotted = false;
    for (const char *at = request; *at != '\0'; at++) {
        putchar(*at == '_' && !dotted ? '.' : *at);
        dotted = dotted || *at == '_';
    }
    putchar('`');
}

static void print_roles(uint8_t type)
{
    const char *separator = "";
    for (size_t i = 0; i < PERMISSION_COUNT; i++) {
        for (size_t role = 0; permissions[i].type == type && role < ROLE_COUNT; role++) {
            if (permissions[i].roles[role]) {
                printf("%s%s", separator, role_names[role]);
                separator = ", ";
            }
        }
    }
}

static void print_fields(const line_t *line)
{
    if (line->action == ROUTE_ACTION_QR_SVG || line->action == ROUTE_ACTION_QR_PNG) {
        fputs("an image", stdout);
        return;
    }
    printf("[%s](messages.md#%s)", line->command, line->command);
    if (line->body == ROUTE_BODY_OPTIONAL) {
        fputs(", may be left out", stdout);
    }
}

static void print_routes(void)
{
    fputs(
        "| method and path | over ZeroMQ | fields of the body, or of the query for GET | roles |\n"
        "|---|---|---|---|\n",
        stdout);
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (lines[i].type == request_type_none) {
            continue;
        }
        printf("| %s `%s%s` | ", lines[i].method, prefix_of(lines[i].area), lines[i].pattern);
        print_type(lines[i].request);
        fputs(" | ", stdout);
        print_fields(&lines[i]);
        fputs(" | ", stdout);
        print_roles(lines[i].type);
        fputs(" |\n", stdout);
    }
    fputs("\nWithout a token:", stdout);
    const char *separator = " ";
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (strcmp(lines[i].area, "PLATFORM_PAGES") == 0) {
            printf("%s`/%s`", separator, lines[i].pattern);
            separator = ", ";
        }
    }
    fputs(".\n\nNot built yet, 501:", stdout);
    separator = " ";
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (lines[i].action == ROUTE_ACTION_NOT_IMPLEMENTED &&
            strncmp(lines[i].area, "TENANT", 6) == 0) {
            printf("%s`%s%s`", separator, prefix_of(lines[i].area), lines[i].pattern);
            separator = ", ";
        }
    }
    fputs(", `/mapi/v1/**`, `/api/v1/**`.\n", stdout);
}

static void print_failures(void)
{
    fputs("| status | code | | again? |\n|---|---|---|---|\n", stdout);
    for (size_t i = 0; i < FAILURE_COUNT; i++) {
        if (failures[i].number < CODES_OF_CLIENTS_END) {
            printf("| %d | `%s` | %s | %s |\n", failures[i].status, failures[i].code,
                   failures[i].title, failures[i].retryable ? "yes" : "");
        }
    }
}

int main(void)
{
    fputs("# HTTP\n\n"
          "Made by `digitalcard_http_reference` from `adapters/http/routes.def`, "
          "`actors/domain/permissions.def` and\n`runtime/errors.def`; change it there, or the text "
          "in "
          "`adapters/http/reference_main.c`.\n\n"
          "    TOKEN=$(./build/digitalcard token mint --data ./var --tenant demo --role "
          "tenant_admin)\n"
          "    curl -s -H \"Authorization: Bearer $TOKEN\" "
          "http://127.0.0.1:8080/demo/api/v1/cards\n\n"
          "A token counts in its own tenant, for the time it was made for (`--ttl`, 900 seconds "
          "when not "
          "given). `--role` is what\nits bearer may do: the last column. A `member` reads the "
          "cards of "
          "one member, whom `--subject` names.\n\n"
          "## Requests\n\n",
          stdout);
    print_routes();
    fputs(
        "\n## What holds for all of them\n\n"
        "- Bodies are JSON, `Content-Type: application/json`, 1 MiB at most. A field that does not "
        "exist is refused (400\n  `unknown_field`), so that a misspelt one is never passed over.\n"
        "- **`Idempotency-Key`** on a POST: the same key with the same request gets the first "
        "answer "
        "again, also after a\n  restart; with another request 422. Kept for `--replies-hours` "
        "(24). "
        "Repeat with the same key whatever went wrong.\n"
        "- **`If-Match`** with a card's ETag on a change: 412 when the card has another version, "
        "and "
        "nothing happens.\n"
        "- A page is `{items, next_cursor}`; `?cursor=` with that value is the next one, which "
        "`Link: "
        "…; rel=\"next\"` names as well.\n"
        "- The code of a card is shown to whoever may issue cards and to its member: an auditor "
        "gets "
        "`qr: null`, and 403 for its images.\n"
        "- A scan is 200 with a verdict, `result` `valid` or `refused`, `reason` and `message`; "
        "why a "
        "card is refused:\n  [card-states.md](card-states.md). Fields of cards and verdicts: "
        "[messages.md](messages.md).\n"
        "- `traceparent` is taken over; else a trace begins here. An answer names it as "
        "`trace_id`, "
        "as does the log.\n\n"
        "## Errors\n\n"
        "`application/problem+json`: `{type, title, status, detail, code, trace_id}`, and `field` "
        "where one is to blame. Programs look\nat `code`, people at `detail`. Where the state of a "
        "card does not allow a change, 409 has the reason as its `code`\n([card-states.md]"
        "(card-states.md)). With `again: yes` the same request may succeed later; 429 and 503 say "
        "when "
        "in `Retry-After`.\n\n",
        stdout);
    print_failures();
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
