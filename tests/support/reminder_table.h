/* The reminders of one tenant as a journal keeps them, for journals of tests: in memory, ordered
 * when asked. Its owner stores batches as a whole or not at all. */
#ifndef TESTS_SUPPORT_REMINDER_TABLE_H
#define TESTS_SUPPORT_REMINDER_TABLE_H

#include "actors/ports/journal.h"

enum { REMINDER_TABLE_ROWS = 1024 };

typedef struct reminder_row {
    uuid_t actor;
    int64_t due_at;
    int64_t period_ms;
    size_t name_size;
    size_t data_size;
    char name[JOURNAL_REMINDER_NAME_SIZE_MAX];
    char data[JOURNAL_REMINDER_DATA_SIZE_MAX];
} reminder_row_t;

typedef struct reminder_table {
    reminder_row_t rows[REMINDER_TABLE_ROWS];
    size_t count;
} reminder_table_t;

/* NULL when there is none. */
const reminder_row_t *reminder_table_find(const reminder_table_t *table, const uuid_t *actor,
                                          text_t name);
/* Every reminder that the batch takes is there as it was delivered. */
bool reminder_table_holds(const reminder_table_t *table, const journal_batch_t *batch);
/* One row of a batch. */
void reminder_table_apply(reminder_table_t *table, const journal_reminder_t *row);
/* At most `limit` rows that are due, in order, into `rows`, whose texts borrow from the table.
 * Returns how many; `next_at` as in journal_reminders_t. */
size_t reminder_table_due(const reminder_table_t *table, int64_t now_ms, uint32_t limit,
                          journal_reminder_t *rows, int64_t *next_at);

#endif
