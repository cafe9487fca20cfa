/* Binary fields: see the header. Integers travel with their highest byte first. */
#include "adapters/shared_postgres/fields.h"

bool field_is_null(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) == 1;
}

int64_t field_integer(const PGresult *rows, int row, int column)
{
    const uint8_t *const bytes = (const uint8_t *)PQgetvalue(rows, row, column);
    const int size = PQgetlength(rows, row, column);
    uint64_t value = size > 0 && (bytes[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (int i = 0; i < size && i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return (int64_t)value;
}

text_t field_bytes(const PGresult *rows, int row, int column)
{
    return (text_t){.data = PQgetvalue(rows, row, column),
                    .size = (size_t)PQgetlength(rows, row, column)};
}

bool field_uuid(const PGresult *rows, int row, int column, uuid_t *uuid)
{
    if (PQgetlength(rows, row, column) != (int)sizeof uuid->bytes) {
        return false;
    }
    memcpy(uuid->bytes, PQgetvalue(rows, row, column), sizeof uuid->bytes);
    return true;
}
