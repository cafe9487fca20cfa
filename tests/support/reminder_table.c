/* Reminders in memory: an array in no order. */
#include "tests/support/reminder_table.h"
#include <assert.h>
#include <stdlib.h>

static text_t name_of(const reminder_row_t *row)
{
    return (text_t){.data = row->name, .size = row->name_size};
}

const reminder_row_t *reminder_table_find(const reminder_table_t *table, const uuid_t *actor,
                                          text_t name)
{
    for (size_t i = 0; i < table->count; i++) {
        const reminder_row_t *const row = &table->rows[i];
        if (uuid_equal(&row->actor, actor) && text_equal(name_of(row), name)) {
            return row;
        }
    }
    return NULL;
}

bool reminder_table_holds(const reminder_table_t *table, const journal_batch_t *batch)
{
    for (size_t i = 0; i < batch->reminder_count; i++) {
        const journal_reminder_t *const given = &batch->reminders[i];
        const reminder_row_t *const row = reminder_table_find(table, &given->actor, given->name);
        if (given->expected_at != 0 && (row == NULL || row->due_at != given->expected_at)) {
            return false;
        }
    }
    return true;
}

static void put(reminder_table_t *table, reminder_row_t *row, const journal_reminder_t *given)
{
    assert(given->name.size <= JOURNAL_REMINDER_NAME_SIZE_MAX);
    assert(given->data.size <= JOURNAL_REMINDER_DATA_SIZE_MAX);
    assert(given->due_at != 0);
    if (row == NULL) {
        assert(table->count < REMINDER_TABLE_ROWS);
        row = &table->rows[table->count];
        table->count++;
    }
    *row = (reminder_row_t){.actor = given->actor,
                            .due_at = given->due_at,
                            .period_ms = given->period_ms,
                            .name_size = given->name.size,
                            .data_size = given->data.size};
    memcpy(row->name, given->name.data, given->name.size);
    if (given->data.size > 0) {
        memcpy(row->data, given->data.data, given->data.size);
    }
}

void reminder_table_apply(reminder_table_t *table, const journal_reminder_t *given)
{
    reminder_row_t *const row =
        (reminder_row_t *)(uintptr_t)reminder_table_find(table, &given->actor, given->name);
    switch (given->action) {
    case JOURNAL_REMINDER_PUT:
        put(table, row, given);
        break;
    case JOURNAL_REMINDER_ENSURE:
        if (row == NULL) {
            put(table, NULL, given);
        }
        break;
    case JOURNAL_REMINDER_REMOVE:
        if (row != NULL) {
            table->count--;
            *row = table->rows[table->count];
        }
        break;
    }
}

static int compare(const void *one, const void *other)
{
    const reminder_row_t *const left = *(const reminder_row_t *const *)one;
    const reminder_row_t *const right = *(const reminder_row_t *const *)other;
    if (left->due_at != right->due_at) {
        return left->due_at < right->due_at ? -1 : 1;
    }
    const int order = memcmp(left->actor.bytes, right->actor.bytes, sizeof(left->actor.bytes));
    return order != 0 ? order : memcmp(left->name, right->name, sizeof(left->name));
}

size_t reminder_table_due(const reminder_table_t *table, int64_t now_ms, uint32_t limit,
                          journal_reminder_t *rows, int64_t *next_at)
{
    const reminder_row_t *sorted[REMINDER_TABLE_ROWS];
    for (size_t i = 0; i < table->count; i++) {
        sorted[i] = &table->rows[i];
    }
    qsort(sorted, table->count, sizeof(sorted[0]), compare);
    size_t count = 0;
    while (count < table->count && count < limit && sorted[count]->due_at <= now_ms) {
        const reminder_row_t *const row = sorted[count];
        rows[count] = (journal_reminder_t){.actor = row->actor,
                                           .name = name_of(row),
                                           .due_at = row->due_at,
                                           .period_ms = row->period_ms,
                                           .data = {.data = row->data, .size = row->data_size}};
        count++;
    }
    *next_at = count < table->count ? sorted[count]->due_at : 0;
    return count;
}
