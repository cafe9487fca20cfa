/* All rows of one tenant's journal, in a form that every store can give and take: what backup,
 * restore and moving from one store to another are made of (store_rows.def). */
#ifndef ACTORS_PORTS_STORE_ROWS_H
#define ACTORS_PORTS_STORE_ROWS_H

#include "messages/text.h"
#include "runtime/result.h"

typedef enum store_table {
#define ROWS(number, name, columns, kinds, first) STORE_TABLE_##name = (number),
#include "actors/ports/store_rows.def"
#undef ROWS
} store_table_t;

enum {
    STORE_TABLES_END = 11, /* one more than the highest number: checked by store_rows.c */
    STORE_COLUMNS_MAX = 16,
};

typedef struct store_value {
    bool is_null;
    int64_t number; /* of an integer */
    text_t bytes;   /* of anything else */
} store_value_t;

typedef struct store_row {
    uint8_t table; /* store_table_t */
    uint32_t count;
    bool is_completed; /* it came from an older format: its last columns are defaults */
    store_value_t values[STORE_COLUMNS_MAX];
} store_row_t;

/* "ibb"; NULL when there is no such table. */
const char *store_table_kinds(uint64_t table);
const char *store_table_name(uint64_t table);
/* How many columns its rows have at least, whatever the format. */
uint32_t store_table_columns_first(uint64_t table);

/* A row and what it points to are borrowed for the call. Anything but RESULT_OK ends the export and
 * is returned by it. */
typedef result_t store_row_visit_t(void *context, const store_row_t *row);

#endif
