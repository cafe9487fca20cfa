/* See notices.h. Must not decide anything: what matters comes as the result of a statement. */
#include "adapters/shared_postgres/notices.h"
#include "runtime/log.h"

static void receive(void *context, const PGresult *notice)
{
    (void)context;
    const char *const state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *const message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    log_warn("PostgreSQL warns", LOG_STRING("sqlstate", state == NULL ? "" : state),
             LOG_STRING("message", message == NULL ? "" : message));
}

void notices_to_log(PGconn *connection)
{
    if (connection != NULL) {
        (void)PQsetNoticeReceiver(connection, receive, NULL);
    }
}
