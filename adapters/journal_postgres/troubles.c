/* What goes wrong with PostgreSQL: its meaning to the port, one log line per kind and second, and a
 * count per kind. The kinds stand in troubles.def. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <stdio.h>
#include <string.h>

enum { SQLSTATE_SIZE = 5 };

static const struct {
    const char *label;
    const char *message;
    result_t result;
} kinds[TROUBLE_COUNT] = {
#define TROUBLE(name, label, result, message) [TROUBLE_##name] = {label, message, result},
#define SQLSTATE(code, name)
#include "adapters/journal_postgres/troubles.def"
#undef SQLSTATE
#undef TROUBLE
};

trouble_t trouble_of(const char *sqlstate)
{
    static const struct {
        char code[SQLSTATE_SIZE + 1];
        trouble_t kind;
    } known[] = {
#define TROUBLE(name, label, result, message)
#define SQLSTATE(code, name) {code, TROUBLE_##name},
#include "adapters/journal_postgres/troubles.def"
#undef SQLSTATE
#undef TROUBLE
    };
    for (size_t i = 0; sqlstate != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(sqlstate, known[i].code) == 0) {
            return known[i].kind;
        }
    }
    return TROUBLE_refused;
}

result_t trouble_result(trouble_t kind)
{
    return kinds[kind].result;
}

void troubles_register(journal_postgres_t *journal, metrics_t *metrics)
{
    for (int i = 0; i < TROUBLE_COUNT; i++) {
        char label[32];
        (void)snprintf(label, sizeof label, "reason=\"%s\"", kinds[i].label);
        journal->troubles[i].count =
            metrics_counter(metrics, "digitalcard_journal_troubles_total", label,
                            "What went wrong with PostgreSQL, by reason");
    }
}

static bool is_sqlstate(const char *text)
{
    for (size_t i = 0; i < SQLSTATE_SIZE; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z'))) {
            return false;
        }
    }
    return text[SQLSTATE_SIZE] == ':';
}

/* libpq keeps the SQLSTATE of a refused connection to itself, but for the text of its verbose
 * messages: "SEVERITY:  28P01: text". The severity may be in any language. */
trouble_t trouble_of_connecting(const PGconn *connection)
{
    char code[SQLSTATE_SIZE + 1] = "";
    const char *text = connection == NULL ? "" : PQerrorMessage(connection);
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (is_sqlstate(at + 3)) { /* the last one: of the last address that was tried */
            memcpy(code, at + 3, SQLSTATE_SIZE);
        }
    }
    return code[0] == '\0' ? TROUBLE_unreachable : trouble_of(code);
}

void trouble_tell(lane_t *lane, trouble_t kind, const char *sqlstate, const char *detail)
{
    journal_trouble_t *const told = &lane->tenant->journal->troubles[kind];
    const uint64_t now_ms = clock_monotonic_ms();
    if (told->count != NULL) {
        metric_add(told->count, 1);
    }
    if (told->logged_ms != 0 && now_ms - told->logged_ms < LIMIT_STORE_LOG_INTERVAL_MS) {
        told->unlogged++;
        return;
    }
    const size_t size = detail == NULL ? 0 : strcspn(detail, "\n");
    log_error(kinds[kind].message, LOG_STRING("tenant", lane->tenant->name),
              LOG_STRING("reason", kinds[kind].label),
              LOG_STRING("sqlstate", sqlstate == NULL ? "" : sqlstate),
              LOG_TEXT("detail", detail == NULL ? "" : detail, size),
              LOG_NUMBER("unlogged", told->unlogged));
    told->logged_ms = now_ms;
    told->unlogged = 0;
}
