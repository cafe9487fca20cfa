/* What a PostgreSQL server says beside its answers: lines of our log, where libpq would write plain
 * text to standard error. */
#ifndef ADAPTERS_SHARED_POSTGRES_NOTICES_H
#define ADAPTERS_SHARED_POSTGRES_NOTICES_H

#include <libpq-fe.h>

/* From now on; NULL is allowed (libpq had no memory for a connection). Only the message and its
 * SQLSTATE are logged: detail and context may hold values of rows. */
void notices_to_log(PGconn *connection);

#endif
