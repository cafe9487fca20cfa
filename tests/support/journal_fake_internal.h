/* Insides of the fake journal, for its two files. */
#ifndef TESTS_SUPPORT_JOURNAL_FAKE_INTERNAL_H
#define TESTS_SUPPORT_JOURNAL_FAKE_INTERNAL_H

#include "tests/support/journal_fake.h"
#include "tests/support/reminder_table.h"

enum { ROWS_MAX = 8192, TENANTS_MAX = 600, PAGE_MAX = 1000, ARENA_SIZE = 1 << 20 };

typedef struct fake_row {
    char *bytes; /* event: packed event_t; snapshot, reply, key: as given */
    size_t size;
    uuid_t card;
    uint64_t number; /* event: sequence; snapshot: card_sequence */
    uint32_t partition;
    char *name; /* snapshot: member id; idempotency: key; member key: member id */
    uint8_t hash[32];
    int64_t time; /* snapshot: expires_at; idempotency: recorded_at */
    uint8_t status;
    event_t event;
    journal_snapshot_t snapshot;
    journal_refusal_t refusal;
    journal_member_key_t member_key;
} fake_row_t;

typedef struct fake_table {
    fake_row_t *rows[ROWS_MAX];
    size_t count;
} fake_table_t;

typedef struct fake_tenant {
    char name[LIMIT_TENANT_NAME_SIZE + 1];
    uint32_t partition_count;
    journal_partition_t partitions[LIMIT_PARTITIONS];
    fake_table_t events;
    fake_table_t snapshots;
    fake_table_t idempotency;
    fake_table_t member_keys;
    fake_table_t refusals;
    reminder_table_t reminders;
    bool is_corrupt;
    journal_fake_numbers_t numbers;
} fake_tenant_t;

struct journal_tenant {
    const journal_functions_t *functions;
    journal_fake_t *fake;
    fake_tenant_t *tenant;
    bool is_readonly;
    bool is_closed;
    journal_tenant_t *next;
};

typedef enum job_kind {
    JOB_OPEN,
    JOB_APPEND,
    JOB_LOAD,
    JOB_DUE,
    JOB_REMINDERS,
    JOB_CLEAN,
    JOB_PAGE
} job_kind_t;
typedef enum page_kind { PAGE_CARDS, PAGE_HISTORY, PAGE_EVENTS } page_kind_t;

typedef struct job {
    struct job *next;
    job_kind_t kind;
    page_kind_t page;
    journal_tenant_t *handle;
    fake_tenant_t *tenant; /* OPEN; NULL: missing */
    bool is_readonly;
    const journal_batch_t *batch;
    const journal_load_t *load;
    const card_list_t *filter;
    uuid_t card;
    uint32_t partition;
    uint64_t after;
    uint32_t limit;
    int64_t now_ms;
    result_t crashed;
    journal_opened_done_t *opened;
    journal_batch_done_t *batch_done;
    journal_loaded_done_t *loaded;
    journal_due_done_t *due;
    journal_reminders_done_t *reminders;
    journal_cards_done_t *cards;
    journal_events_done_t *events;
    void *context;
} job_t;

/* --- journal_fake.c --- */

fake_tenant_t *fake_tenant_find(journal_fake_t *fake, text_t name);

static inline text_t row_text(const fake_row_t *row)
{
    return row == NULL ? TEXT_NONE : (text_t){row->bytes, row->size};
}
fake_row_t *row_by_name(const fake_table_t *table, text_t name);
/* Events of a card after its snapshot, into the arena. */
const event_t *collect_tail(const fake_tenant_t *tenant, const uuid_t *card, uint64_t after,
                            arena_t *arena, size_t *count);
job_t *add_job(journal_fake_t *fake, job_kind_t kind, journal_tenant_t *handle, void *context);

/* --- journal_fake_pages.c --- */

void run_reminders(job_t *job);
result_t fake_reminders(journal_tenant_t *handle, int64_t now_ms, uint32_t limit,
                        journal_reminders_done_t *done, void *context);

/* `arena` has ARENA_SIZE bytes. */
void run_page(uint8_t *arena, job_t *job);
result_t fake_list_cards(journal_tenant_t *handle, const card_list_t *filter, int64_t now_ms,
                         uint32_t limit, journal_cards_done_t *done, void *context);
result_t fake_read_history(journal_tenant_t *handle, const uuid_t *card, text_t cursor,
                           uint32_t limit, journal_events_done_t *done, void *context);
result_t fake_read_events(journal_tenant_t *handle, uint32_t partition, uint64_t after,
                          uint32_t limit, journal_events_done_t *done, void *context);

#endif
