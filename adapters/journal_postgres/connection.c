/* One connection between libpq and the loop: how it is opened, watched and closed. Must not know
 * what is asked over it. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "adapters/shared_postgres/notices.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What to connect to --- */

/* `has_addresses`: so are the hosts, looked up. */
static bool is_ours(const char *keyword, bool has_addresses)
{
    static const char *const ours[] = {"dbname",  "user", "password", "passfile",
                                       "options", "host", "hostaddr", "port"};
    enum { OF_HOSTS = 3 };
    const size_t count = sizeof ours / sizeof ours[0] - (has_addresses ? 0 : OF_HOSTS);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keyword, ours[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Plans are made once per connection, when tables may still be empty: each statement here has its
 * index, and a scan of a whole table is never the better way. */
static const char loop_options[] =
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off "
    "-c idle_in_transaction_session_timeout=10000 -c lock_timeout=4000 -c statement_timeout=";

bool connection_keywords_fill(const PQconninfoOption *url, const postgres_addresses_t *addresses,
                              const journal_postgres_place_t *place, bool is_loop,
                              connection_keywords_t *keywords)
{
    size_t count = 0;
    const bool has_addresses = addresses->host[0] != '\0';
    const char *given = "";
    for (const PQconninfoOption *option = url; option->keyword != NULL; option++) {
        if (option->val != NULL && strcmp(option->keyword, "options") == 0) {
            given = option->val;
        }
        if (option->val == NULL || is_ours(option->keyword, has_addresses)) {
            continue;
        }
        if (count + 11 > CONNECTION_KEYWORDS_MAX) {
            return false;
        }
        keywords->keywords[count] = option->keyword;
        keywords->values[count] = option->val;
        count++;
    }
    const int size = snprintf(keywords->options, sizeof keywords->options, "%s%s", given,
                              is_loop ? loop_options : " -c client_min_messages=warning");
    if (size < 0 || (size_t)size + 12 >= sizeof keywords->options) {
        return false;
    }
    if (is_loop) {
        (void)snprintf(keywords->options + size, sizeof keywords->options - (size_t)size, "%d",
                       LIMIT_POSTGRES_STATEMENT_MS);
    }
    const char *const added[][2] = {
        {"dbname", place->database},
        {"user", place->role},
        {"password", place->password},
        {"options", keywords->options},
        {"connect_timeout", "5"},
        {"fallback_application_name", "digitalcard"},
        {has_addresses ? "host" : NULL, addresses->host},
        {"hostaddr", addresses->hostaddr},
        {"port", addresses->port},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++, count++) {
        keywords->keywords[count] = added[i][0];
        keywords->values[count] = added[i][1];
    }
    return true;
}

/* --- The socket --- */

static void poll_freed(uv_handle_t *handle)
{
    free(handle);
}

static void poll_close(lane_t *lane)
{
    if (lane->poll != NULL) {
        (void)uv_poll_stop(lane->poll);
        uv_close((uv_handle_t *)lane->poll, poll_freed);
        lane->poll = NULL;
        lane->poll_events = 0;
    }
}

static void polled(uv_poll_t *handle, int status, int events)
{
    lane_t *const lane = handle->data;
    (void)status; /* an error shows when libpq reads */
    (void)events;
    lane_polled(lane);
}

bool session_watch(lane_t *lane, int events)
{
    if (lane->poll == NULL) {
        uv_poll_t *poll = calloc(1, sizeof *poll);
        assert(poll != NULL);
        if (uv_poll_init(loop_uv(lane->tenant->journal->loop), poll, PQsocket(lane->connection)) !=
            0) {
            free(poll);
            return false;
        }
        poll->data = lane;
        lane->poll = poll;
    }
    if (lane->poll_events == events) {
        return true;
    }
    lane->poll_events = events;
    return uv_poll_start(lane->poll, events, polled) == 0;
}

/* With the addresses that are known now. */
static bool session_connect(lane_t *lane)
{
    journal_tenant_t *const tenant = lane->tenant;
    postgres_addresses_t addresses;
    connection_keywords_t keywords;
    if (!postgres_hosts_addresses(tenant->journal->hosts, &addresses)) {
        lane->is_told = true; /* that the name is not known */
        return false;
    }
    if (!connection_keywords_fill(tenant->journal->url, &addresses, &tenant->place, true,
                                  &keywords)) {
        trouble_tell(lane, TROUBLE_url, NULL, NULL);
        return false;
    }
    lane->connection = PQconnectStartParams(keywords.keywords, keywords.values, 0);
    explicit_bzero(&keywords, sizeof keywords);
    notices_to_log(lane->connection);
    if (lane->connection == NULL || PQstatus(lane->connection) == CONNECTION_BAD ||
        PQsocket(lane->connection) < 0) {
        return false;
    }
    (void)PQsetErrorVerbosity(lane->connection, PQERRORS_VERBOSE); /* trouble_of_connecting */
    return session_watch(lane, UV_WRITABLE);
}

connection_progress_t session_look(lane_t *lane)
{
    const name_state_t state = postgres_hosts_state(lane->tenant->journal->hosts);
    if (state == NAME_STATE_PENDING) {
        return CONNECTION_GOES_ON;
    }
    if (state == NAME_STATE_FAILED) {
        trouble_tell(lane, TROUBLE_name, NULL, NULL);
    }
    return session_connect(lane) ? CONNECTION_STANDS : CONNECTION_FAILED;
}

connection_progress_t session_start(lane_t *lane)
{
    postgres_hosts_begin(lane->tenant->journal->hosts);
    return session_look(lane);
}

/* libpq may go on to another address, on another socket: the watch begins anew each time. */
connection_progress_t session_continue(lane_t *lane)
{
    poll_close(lane);
    const PostgresPollingStatusType status = PQconnectPoll(lane->connection);
    if (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        const int events = status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE;
        return session_watch(lane, events) ? CONNECTION_GOES_ON : CONNECTION_FAILED;
    }
    if (status != PGRES_POLLING_OK || PQsetnonblocking(lane->connection, 1) != 0 ||
        PQenterPipelineMode(lane->connection) != 1) {
        return CONNECTION_FAILED;
    }
    (void)PQsetErrorVerbosity(lane->connection, PQERRORS_DEFAULT);
    return session_watch(lane, UV_READABLE) ? CONNECTION_STANDS : CONNECTION_FAILED;
}

void session_close(lane_t *lane)
{
    poll_close(lane);
    if (lane->connection != NULL) {
        PQfinish(lane->connection);
        lane->connection = NULL;
    }
    memset(lane->is_preparing, 0, sizeof lane->is_preparing);
    memset(lane->is_prepared, 0, sizeof lane->is_prepared);
    lane->is_session_begun = false;
    lane->is_broken = false;
    lane->broken_by = RESULT_OK;
}
