/* The insides of adapters/control_sqlite, for its own files. One connection, one thread. */
#ifndef ADAPTERS_CONTROL_SQLITE_CONTROL_SQLITE_INTERNAL_H
#define ADAPTERS_CONTROL_SQLITE_CONTROL_SQLITE_INTERNAL_H

#include "actors/domain/card_id.h"
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/shared_sqlite/files.h"
#include "adapters/shared_sqlite/statements.h"
#include <sqlite3.h>

enum { CONTROL_APPLICATION_ID = 0x44434331 }; /* "DCC1" */

typedef enum statement {
#define STATEMENT(name, sql) STATEMENT_##name,
#include "adapters/control_sqlite/statements.def"
#undef STATEMENT
    STATEMENT_COUNT
} statement_t;

typedef struct control_sqlite {
    control_store_t base;
    dead_letters_t dead_letters;
    flags_t flags;
    revocations_t revocations;
    consumers_t consumers;
    webhooks_t webhooks;
    char *directory;
    char *path;
    control_sqlite_make_journal_t *make_journal; /* NULL when tenants are only read */
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    /* Keys of the tenant that is being visited. */
    control_card_key_t keys[CONTROL_KEYS_PER_TENANT_MAX];
    uint8_t key_bytes[CONTROL_KEYS_PER_TENANT_MAX][CONTROL_SECRET_SIZE_MAX];
} control_sqlite_t;

static inline control_sqlite_t *control_of(control_store_t *store)
{
    return (control_sqlite_t *)store; /* base is its first member */
}

/* --- database.c --- */

/* Opens `path`; an empty file gets the schema when `create`. */
MUST_USE result_t database_open(control_sqlite_t *control, const char *path, bool create);
void database_close(control_sqlite_t *control);
/* What SQLite's `code` means, logged. Ends the process when an fsync failed. */
result_t database_error(control_sqlite_t *control, int code, const char *action);

/* A statement to bind and step; borrowed, given back with statement_done. Preparing fails
 * only for a damaged file, which is then found at the first step: NULL is handled by all of these.
 */
sqlite3_stmt *statement_take(control_sqlite_t *control, statement_t which);
/* The same, with its first two parameters bound: those of a row that is found by them. */
sqlite3_stmt *statement_take_named(control_sqlite_t *control, statement_t which, text_t tenant,
                                   text_t name);
/* True in `row` while there is one; done by itself when there is none, or on an error. */
MUST_USE result_t control_statement_next(control_sqlite_t *control, sqlite3_stmt *statement,
                                         bool *row);
/* For a statement without result; `changes` (may be NULL) gets the number of rows changed. */
MUST_USE result_t control_statement_finish(control_sqlite_t *control, sqlite3_stmt *statement,
                                           int *changes);
/* Runs a statement that removes the rows of one tenant, its only parameter. */
MUST_USE result_t control_rows_remove(control_sqlite_t *control, statement_t which, text_t tenant);

/* A transaction that changes something; the version rises with it. End it with change_end, which
 * commits when `result` is RESULT_OK and undoes it otherwise, and returns what became of it. */
MUST_USE result_t change_begin(control_sqlite_t *control);
MUST_USE result_t change_end(control_sqlite_t *control, result_t result);
/* The same for a change of which nobody needs to know: the version stays. */
MUST_USE result_t quiet_end(control_sqlite_t *control, result_t result);

/* Made from migrations/NNNN.sql by cmake/embed.cmake. */
extern const char *const control_sqlite_migrations[];
extern const size_t control_sqlite_migrations_count;

/* --- tenants.c --- */

result_t control_tenants(control_store_t *store, text_t after, control_tenant_visit_t *visit,
                         void *context);
result_t control_tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                        void *context);
result_t control_tenant_create(control_store_t *store, const control_tenant_t *tenant);
result_t control_tenant_adopt(control_store_t *store, const control_tenant_t *tenant,
                              int64_t now_ms);
result_t control_tenant_delete(control_store_t *store, text_t name, int64_t now_ms, char *kept_as,
                               size_t kept_as_size);
MUST_USE result_t tenant_exists(control_sqlite_t *control, text_t name, bool *exists);

/* --- keys.c --- */

result_t control_key_rotate(control_store_t *store, text_t tenant, text_t sealed_secret,
                            int64_t now_ms, uint32_t *kid);
result_t control_tenant_set_quotas(control_store_t *store, text_t name,
                                   const control_quotas_t *quotas);
result_t control_key_set_state(control_store_t *store, text_t tenant, uint32_t kid, uint8_t state);
result_t control_token_keys(control_store_t *store, control_token_key_visit_t *visit,
                            void *context);
result_t control_token_key_add(control_store_t *store, const control_token_key_t *key);

/* --- dead_letters.c --- */

void dead_letters_init(control_sqlite_t *control);

/* --- flags.c --- */

void flags_init(control_sqlite_t *control);

/* --- revocations.c --- */

void revocations_init(control_sqlite_t *control);

/* --- consumers.c --- */

void consumers_init(control_sqlite_t *control);
/* Within a transaction; as the functions of consumers_functions_t. */
MUST_USE result_t consumer_row_add(control_sqlite_t *control, text_t tenant, text_t name,
                                   int64_t now_ms);
MUST_USE result_t consumer_row_remove(control_sqlite_t *control, text_t tenant, text_t name);
MUST_USE result_t consumer_row_ack(control_sqlite_t *control, consumer_ack_t *ack, int64_t now_ms);
/* All of a tenant that is deleted, within its transaction. */
MUST_USE result_t consumers_remove(control_sqlite_t *control, text_t tenant);

/* --- webhooks.c --- */

void webhooks_init(control_sqlite_t *control);
/* As above. */
MUST_USE result_t webhooks_remove(control_sqlite_t *control, text_t tenant);

/* --- journal_file.c: the file of a tenant's journal, seen from outside --- */

/* Makes the journal. An empty one that a crash between file and row left behind is made anew; one
 * with events is ALREADY_EXISTS. */
MUST_USE result_t journal_file_make(control_sqlite_t *control, text_t tenant, uint32_t partitions);
/* Takes it away again: it was made for a row that could not be written. */
void journal_file_unmake(control_sqlite_t *control, text_t tenant);
/* DIR/tenants/NAME.db.restored → DIR/tenants/NAME.db. What a crash left under that name without its
 * tenant is put aside. MISSING when nothing was restored. */
MUST_USE result_t journal_file_adopt(control_sqlite_t *control, text_t tenant, int64_t now_ms);
/* DIR/tenants/NAME.db → DIR/deleted/NAME-TIME.db. MISSING when there is no file. */
MUST_USE result_t journal_file_keep(control_sqlite_t *control, text_t tenant, int64_t now_ms,
                                    char *kept_as, size_t kept_as_size);

#endif
