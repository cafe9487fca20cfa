/* The tables of store_rows.def by their numbers. */
#include "actors/ports/store_rows.h"
#include <assert.h>
#include <stddef.h>

static const struct {
    const char *name;
    const char *kinds;
} tables[STORE_TABLES_END] = {
#define ROWS(number, name, columns, kinds) [number] = {#name, kinds},
#include "actors/ports/store_rows.def"
#undef ROWS
};

#define ROWS(number, name, columns, kinds)                                                         \
    static_assert(sizeof(kinds) - 1 <= STORE_COLUMNS_MAX, "room for the columns of " #name);
#include "actors/ports/store_rows.def"
#undef ROWS

const char *store_table_kinds(uint64_t table)
{
    return table < STORE_TABLES_END ? tables[table].kinds : NULL;
}

const char *store_table_name(uint64_t table)
{
    return table < STORE_TABLES_END ? tables[table].name : NULL;
}
