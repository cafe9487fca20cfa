/* The file of a backup: one tenant, whole, in a form that no store owns.
 *
 *   "DCBACKUP" then chunks: size (4 bytes, highest first), payload, BLAKE2b-256 of the chunk before
 *   (zeros at first), size and payload. A size of 0 ends the file: its hash covers all of them.
 *
 * Payloads hold whole records, msgpack arrays whose first element is the kind: header, tenant, card
 * key, row, end. Nothing in a file is believed before the hash of its chunk fits. Knows no store
 * and opens no secret. */
#ifndef ADAPTERS_ARCHIVE_ARCHIVE_H
#define ADAPTERS_ARCHIVE_ARCHIVE_H

#include "actors/ports/control_store.h"
#include "actors/ports/store_rows.h"

/* Rises when a table or a column is added, so that an older program says which format it met and
 * not that the file is damaged. Every format from 1 on is read: rows of an older one are completed
 * (store_rows.def). Format 1 has been written with and without the columns cards and bytes of
 * partition, and says nothing of its kind. */
enum { ARCHIVE_VERSION = 3, ARCHIVE_ERROR_SIZE = 512 };

typedef enum archive_kind {
    ARCHIVE_BACKUP = 0,      /* all of a tenant */
    ARCHIVE_VALIDATIONS = 1, /* old validations that were taken out of its journal */
} archive_kind_t;

typedef struct archive_totals {
    uint64_t rows[STORE_TABLES_END]; /* by table */
} archive_totals_t;

/* --- Writing --- */

typedef struct archive_writer archive_writer_t;

/* Writes FILE.part, mode 0600. `error` (ARCHIVE_ERROR_SIZE bytes, here and below) gets one line for
 * a person. ALREADY_EXISTS: FILE is there. BUSY: somebody else writes it. PERMISSION_DENIED,
 * STORE_FULL, IO. */
MUST_USE result_t archive_create(const char *path, archive_kind_t kind, text_t tenant,
                                 int64_t now_ms, char *error, archive_writer_t **writer);
/* Once, before the first row: what control data holds of the tenant, sealed as it is. */
MUST_USE result_t archive_write_tenant(archive_writer_t *writer, const control_tenant_t *tenant);
MUST_USE result_t archive_write_row(archive_writer_t *writer, const store_row_t *row);
/* With `keep` the file is completed, synced and given its name; without, it is removed. Frees the
 * writer in any case. */
MUST_USE result_t archive_finish(archive_writer_t **writer, bool keep, archive_totals_t *totals,
                                 uint64_t *size);

/* --- What the events in an archive are, whatever file they stand in --- */

enum { ARCHIVE_DIGEST_SIZE = 32 };
typedef struct archive_digest archive_digest_t;
archive_digest_t *archive_digest_create(void);
void archive_digest_add(archive_digest_t *digest, const store_row_t *row);
void archive_digest_finish(archive_digest_t **digest, uint8_t hash[ARCHIVE_DIGEST_SIZE]);

/* --- Reading --- */

typedef struct archive_header {
    archive_kind_t kind;
    char tenant[LIMIT_TENANT_NAME_SIZE + 1];
    int64_t made_at;
} archive_header_t;

/* `tenant` comes before every row. What they get is borrowed for the call. */
typedef struct archive_visitor {
    result_t (*tenant)(void *context, const control_tenant_t *tenant);
    store_row_visit_t *row;
    void *context;
} archive_visitor_t;

typedef struct archive_reader archive_reader_t;

/* MISSING, PERMISSION_DENIED, IO; STORE_CORRUPT: no backup, or damaged; SCHEMA_TOO_NEW: of a format
 * that this program does not know. */
MUST_USE result_t archive_open(const char *path, archive_header_t *header, char *error,
                               archive_reader_t **reader);
/* Everything, in order, to the end: RESULT_OK only when nothing was missing. Memory is bounded by
 * one chunk. */
MUST_USE result_t archive_read(archive_reader_t *reader, const archive_visitor_t *visitor,
                               archive_totals_t *totals);
void archive_close(archive_reader_t **reader);

/* --- Checking --- */

/* Whether the file is whole and its events follow on each other: `header` and `totals` say what it
 * holds. `room`, a power of two, is how many cards are followed in one reading; a file of more is
 * read several times, each time for the cards of another slice. What `archive_open` and
 * `archive_read` return, and STORE_CORRUPT for a gap. */
MUST_USE result_t archive_check(const char *path, uint32_t room, archive_header_t *header,
                                archive_totals_t *totals, char *error);

#endif
