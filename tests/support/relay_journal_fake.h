/* A read-only journal and a control store in memory for the tests of the relay. Calls of the
 * journal answer when the test says so, as the port demands: never within the call. */
#ifndef TESTS_SUPPORT_RELAY_JOURNAL_FAKE_H
#define TESTS_SUPPORT_RELAY_JOURNAL_FAKE_H

#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "actors/ports/journal.h"

enum {
    FAKE_TENANTS = 300,
    FAKE_PARTITIONS = 4,
    FAKE_EVENTS = 1200,
    FAKE_CALLS = 512,
    FAKE_ROWS = 4,
};

typedef struct fake_tenant {
    journal_t *journal;
    char name[40];
    uint32_t partitions;
    int64_t created_at;
    bool is_deleted;
    uint64_t heads[FAKE_PARTITIONS]; /* events 1 … head exist */
    uint64_t cards;                  /* that take turns with them; 0: one */
    uint32_t opens;                  /* journals open now */
    journal_card_row_t rows[FAKE_ROWS];
    size_t row_count;
    uint8_t sealed_secret[72];
    uint8_t sealed_card_key[72];
    control_card_key_t key;
} fake_tenant_t;

typedef struct fake_call fake_call_t;

typedef struct relay_journal_fake {
    journal_t journal;
    control_store_t control;
    fake_tenant_t tenants[FAKE_TENANTS];
    size_t tenant_count;
    uint64_t control_version;
    result_t control_failure; /* of the look at one tenant */
    fake_call_t *calls;       /* FAKE_CALLS */
    size_t call_count;
    result_t next_open;   /* result of the opens that run next */
    result_t next_read;   /* of the reads */
    result_t call_result; /* what a call itself returns */
    uint32_t opens_total;
    uint32_t open_now;
    uint32_t open_max;
    uint32_t reads_total;
    /* Of the last reads, for the test to look at. */
    card_list_t last_list;
    char last_member_id[129];
    uint32_t last_limit;
    uint64_t last_after;
    text_t next_cursor;
} relay_journal_fake_t;

relay_journal_fake_t *relay_journal_fake_create(void);
void relay_journal_fake_destroy(relay_journal_fake_t **fake);
/* With keys sealed under `master_key`. */
fake_tenant_t *relay_journal_fake_add(relay_journal_fake_t *fake, const char *name,
                                      uint32_t partitions, const crypto_functions_t *crypto,
                                      const crypto_key_t *master_key);
/* The event that the fake journal has at that place; valid until the next call. */
event_t relay_journal_fake_event(const fake_tenant_t *tenant, uint32_t partition,
                                 uint64_t sequence);
/* Answers the calls made so far, in order. */
void relay_journal_fake_run(relay_journal_fake_t *fake);
/* Answers until there are none. */
void relay_journal_fake_settle(relay_journal_fake_t *fake);

#endif
