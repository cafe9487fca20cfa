/* The tables of store_rows.def by their numbers. */
#include "actors/ports/store_rows.h"
#include <assert.h>
#include <stddef.h>

static const struct {
    const char *name;
    const char *kinds;
    uint32_t first;
} tables[STORE_TABLES_END] = {
#define ROWS(number, name, columns, kinds, first) [number] = {#name, kinds, first},
#include "actors/ports/store_rows.def"
#undef ROWS
};

#define ROWS(number, name, columns, kinds, first)                                                  \
    static_assert(sizeof(kinds) - 1 <= STORE_COLUMNS_MAX, "room for the columns of " #name);       \
    static_assert((first) <= sizeof(kinds) - 1, "columns of " #name " never go");
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

uint32_t store_table_columns_first(uint64_t table)
{
    return table < STORE_TABLES_END ? tables[table].first : 0;
}
