/* Insides of the simulated disk, for store*.c. */
#ifndef TESTS_SIMULATION_STORE_INTERNAL_H
#define TESTS_SIMULATION_STORE_INTERNAL_H

#include "messages/arena.h"
#include "tests/simulation/process.h"
#include "tests/simulation/store.h"
#include "tests/support/reminder_table.h"

enum {
    STORE_CHUNK_SIZE = 1 << 18,
    STORE_CARDS_MAX = 4096,
    STORE_ROWS_MAX = 8192,
    STORE_NOTES_MAX = 16,   /* of six members and three partitions */
    STORE_UNDO_US = 300000, /* how long an early acknowledgement stays without its data */
};

typedef struct disk_snapshot {
    uuid_t card;
    text_t member_id;
    text_t tier;
    text_t body;
    uint8_t status;
    int64_t expires_at;
    uint64_t card_sequence;
} disk_snapshot_t;

typedef struct disk_card {
    uuid_t id;
    store_event_t **events;
    size_t event_count;
    size_t event_capacity;
    disk_snapshot_t *snapshot; /* newest; older ones stay readable */
    disk_snapshot_t *previous;
    disk_snapshot_t *first;
} disk_card_t;

typedef struct disk_reply {
    text_t key;
    uint8_t request_hash[32];
    text_t reply;
    int64_t recorded_at;
} disk_reply_t;

typedef struct disk_member {
    text_t member_id;
    text_t sealed_key;
} disk_member_t;

typedef struct disk_note {
    text_t key;
    text_t body;
    bool is_open;
} disk_note_t;

typedef struct disk_tenant {
    uint32_t index;  /* of the world's tenants */
    bool is_cut_off; /* who had it open when it was put aside cannot use it any more */
    uint32_t partition_count;
    store_partition_t partitions[WORLD_PARTITIONS_MAX];
    disk_card_t **cards;
    size_t card_count;
    disk_reply_t *replies;
    size_t reply_count;
    disk_member_t *members;
    size_t member_count;
    size_t refusal_count;
    reminder_table_t reminders;
    disk_note_t notes[STORE_NOTES_MAX];
    size_t note_count;
} disk_tenant_t;

typedef struct store_chunk store_chunk_t;

struct store {
    world_t *world;
    bool is_full;
    disk_tenant_t *tenants[WORLD_TENANTS_MAX];
    uint32_t tenant_count;
    disk_tenant_t *places[WORLD_NAMES_MAX]; /* what is found under a name; NULL: nothing */
    store_chunk_t *chunks;
    uint64_t next_operation;
};

struct journal_tenant {
    store_port_t *port;
    disk_tenant_t *tenant;
    bool is_readonly;
    bool is_closed;
    uint64_t written_us; /* writes of one handle happen in order */
    journal_tenant_t *next;
};

typedef enum operation_kind {
    OPERATION_OPEN,
    OPERATION_APPEND,
    OPERATION_LOAD,
    OPERATION_DUE,
    OPERATION_REMINDERS,
    OPERATION_CLEAN,
    OPERATION_CARDS,
    OPERATION_EVENTS,
    OPERATION_HEADS,
    OPERATION_KEYS,
    OPERATION_NOTES,
} operation_kind_t;

/* One call of the port: it happens on the disk (is_applied), and later its caller is told. */
typedef struct operation {
    struct operation *next;
    uint64_t id;
    operation_kind_t kind;
    store_port_t *port;
    journal_tenant_t *handle;
    uint32_t name_index;   /* OPEN */
    disk_tenant_t *tenant; /* OPEN, once it has happened; NULL: there is none */
    void *context;
    bool is_applied;
    bool is_readonly;
    bool is_history;
    result_t result;
    const journal_batch_t *batch;
    const journal_load_t *load;
    const card_list_t *filter;
    uuid_t card;
    uint32_t partition;
    uint32_t limit;
    uint64_t after;
    int64_t now_ms;
    union {
        journal_opened_done_t *opened;
        journal_batch_done_t *batch;
        journal_loaded_done_t *loaded;
        journal_due_done_t *due;
        journal_reminders_done_t *reminders;
        journal_cards_done_t *cards;
        journal_events_done_t *events;
        journal_heads_done_t *heads;
        journal_member_keys_done_t *keys;
        journal_notes_done_t *notes;
    } done;
    const text_t *member_ids; /* KEYS */
    text_t *sealed_keys;
    text_t note_after; /* NOTES */
    journal_note_t *notes;
    journal_partition_t partitions[WORLD_PARTITIONS_MAX];
    journal_loaded_t loaded;
    journal_card_row_t *rows;
    event_t *events; /* of loads, rows and pages */
    uuid_t *uuids;
    journal_reminder_t *reminders; /* their texts are copied behind them */
    int64_t next_at;
    size_t count;
    uint64_t head;
    char cursor[24];
} operation_t;

/* What an early acknowledgement has to take back when its process dies (planted bug). */
typedef struct undo {
    uint64_t until_us;
    disk_tenant_t *tenant;
    uint32_t partition;
    size_t event_count;
    size_t reply_count;
    uint64_t head;
} undo_t;

struct store_port {
    journal_t journal; /* first */
    store_t *store;
    process_t *process;
    operation_t *operations;
    size_t operation_count;
    journal_tenant_t *handles;
    undo_t undo;
};

/* --- store.c --- */
void *store_keep(store_t *store, size_t size);
text_t store_keep_text(store_t *store, text_t text);
disk_card_t *store_card(const disk_tenant_t *tenant, const uuid_t *id);
const disk_member_t *store_member(const disk_tenant_t *tenant, text_t member_id);
const disk_note_t *store_note(const disk_tenant_t *tenant, text_t key); /* NULL: none */

/* --- store_write.c --- */
void store_apply_append(operation_t *operation);
void store_apply_torn(operation_t *operation);
/* Before it is known what becomes of the batch (planted bug). */
void store_watermarks_early(operation_t *operation);
void store_undo(store_port_t *port);

/* --- store_read.c --- */
void store_apply_load(operation_t *operation);
void store_apply_due(operation_t *operation);
void store_apply_reminders(operation_t *operation);
void store_apply_cards(operation_t *operation);
void store_apply_events(operation_t *operation);
void store_apply_keys(operation_t *operation);
void store_apply_notes(operation_t *operation);

/* --- store_port.c --- */
extern const journal_functions_t store_functions;

#endif
