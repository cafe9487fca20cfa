/* What the quotas of a tenant count, read beside a running service. Must not write. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include <stdlib.h>

result_t journal_postgres_usage(const char *url, const journal_postgres_place_t *place,
                                int64_t *cards, int64_t *bytes)
{
    PGconn *connection = NULL;
    result_t result = journal_database_open(url, place, &connection);
    if (result != RESULT_OK) {
        return result;
    }
    PGresult *const rows = PQexecParams(connection, "SELECT sum(cards), sum(bytes) FROM partition",
                                        0, NULL, NULL, NULL, NULL, 0);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == 1) {
        *cards = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
        *bytes = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    } else {
        result = journal_database_error(connection, rows, "reading what is in use");
    }
    PQclear(rows);
    PQfinish(connection);
    return result;
}
