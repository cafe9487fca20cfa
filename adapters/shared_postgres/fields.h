/* Fields of an answer in PostgreSQL's binary form. What points into `rows` is valid until PQclear.
 * A field that is NULL reads as 0 or as no bytes. */
#ifndef ADAPTERS_SHARED_POSTGRES_FIELDS_H
#define ADAPTERS_SHARED_POSTGRES_FIELDS_H

#include "messages/text.h"
#include "messages/uuid.h"
#include <libpq-fe.h>

bool field_is_null(const PGresult *rows, int row, int column);
/* Of an int2, int4 or int8. */
int64_t field_integer(const PGresult *rows, int row, int column);
text_t field_bytes(const PGresult *rows, int row, int column);
/* False: it has another size than a UUID. */
bool field_uuid(const PGresult *rows, int row, int column, uuid_t *uuid);

#endif
