/* store retain: validations before a month leave the journal for an archive file. The file is
 * complete, on the disk and read back before anything goes; a run that ends anywhere in between
 * leaves the journal as it was, and the next one goes on with the file if it fits. */
#include "adapters/cli/commands/backup.h"
#include "adapters/cli/control/control_client.h"
#include "adapters/cli/stores.h"

#include "actors/domain/card_id.h"
#include "adapters/archive/archive.h"
#include "adapters/journal_postgres/journal_postgres.h"
#include "adapters/signer/signer.h"
#include "messages/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 4, DATE_SIZE = 10 };

typedef struct retention {
    configuration_t configuration;
    const char *tenant;
    const char *before; /* YYYY-MM-01 */
    const char *file;
    bool json;
    int64_t before_ms;
    journal_postgres_retain_t *retain;
    archive_writer_t *writer; /* NULL while nothing is written */
    archive_digest_t *digest;
    uint64_t events; /* that went through the digest */
    int64_t archived_at;
    uint64_t total;
    uint64_t size;
    bool is_told;
    char error[ARCHIVE_ERROR_SIZE];
} retention_t;

static result_t tell(retention_t *retention, result_t result, const char *what)
{
    retention->is_told = true;
    (void)command_fail("%s: %s", retention->file, what);
    return result;
}

/* --- Rows --- */

static result_t row_digest(void *context, const store_row_t *row)
{
    retention_t *const retention = context;
    if (row->table == STORE_TABLE_event) {
        archive_digest_add(retention->digest, row);
        retention->events++;
    } else if (row->table == STORE_TABLE_archive) {
        retention->archived_at = row->values[1].number;
    }
    return RESULT_OK;
}

static result_t row_write(void *context, const store_row_t *row)
{
    retention_t *const retention = context;
    const result_t result = row_digest(context, row);
    return result == RESULT_OK ? archive_write_row(retention->writer, row) : result;
}

static result_t tenant_ignore(void *context, const control_tenant_t *tenant)
{
    (void)context;
    (void)tenant;
    return RESULT_OK;
}

static void digest_begin(retention_t *retention)
{
    retention->digest = archive_digest_create();
    retention->events = 0;
}

/* --- The file --- */

static result_t record_write(retention_t *retention, const uint8_t hash[ARCHIVE_DIGEST_SIZE])
{
    const store_row_t row = {
        .table = STORE_TABLE_archive,
        .count = 4,
        .values = {{.number = retention->before_ms},
                   {.number = retention->archived_at},
                   {.number = (int64_t)retention->events},
                   {.bytes = {.data = (const char *)hash, .size = ARCHIVE_DIGEST_SIZE}}}};
    return archive_write_row(retention->writer, &row);
}

static result_t file_write(retention_t *retention, uint8_t hash[ARCHIVE_DIGEST_SIZE])
{
    const text_t name = text_from_c(retention->tenant);
    retention->archived_at = clock_wall_ms();
    result_t result = archive_create(retention->file, ARCHIVE_VALIDATIONS, name,
                                     retention->archived_at, retention->error, &retention->writer);
    if (result != RESULT_OK) {
        return result;
    }
    result = backup_tenant_write(&retention->configuration, retention->tenant, retention->writer,
                                 &retention->is_told);
    digest_begin(retention);
    if (result == RESULT_OK) {
        result = journal_postgres_retain_export(retention->retain, row_write, retention);
    }
    archive_digest_finish(&retention->digest, hash);
    if (result == RESULT_OK) {
        result = record_write(retention, hash);
    }
    const bool keep = result == RESULT_OK;
    const result_t finished = archive_finish(&retention->writer, keep, NULL, &retention->size);
    return keep ? finished : result;
}

/* What stands in the file, read from the disk again. */
static result_t file_digest(retention_t *retention, uint8_t hash[ARCHIVE_DIGEST_SIZE])
{
    archive_header_t header;
    archive_reader_t *reader = NULL;
    const archive_visitor_t visitor = {tenant_ignore, row_digest, retention};
    result_t result = archive_open(retention->file, &header, retention->error, &reader);
    if (result == RESULT_OK &&
        (header.kind != ARCHIVE_VALIDATIONS || strcmp(header.tenant, retention->tenant) != 0)) {
        result = tell(retention, RESULT_ALREADY_EXISTS,
                      "is there and no archive of this organisation's validations; name another "
                      "file");
    }
    digest_begin(retention);
    if (result == RESULT_OK) {
        result = archive_read(reader, &visitor, NULL);
    }
    archive_digest_finish(&retention->digest, hash);
    archive_close(&reader);
    return result;
}

/* The file holds exactly what is about to go. */
static result_t file_ensure(retention_t *retention, uint8_t hash[ARCHIVE_DIGEST_SIZE])
{
    uint8_t found[ARCHIVE_DIGEST_SIZE];
    const bool is_there = access(retention->file, F_OK) == 0;
    result_t result = RESULT_OK;
    if (is_there) {
        digest_begin(retention);
        result = journal_postgres_retain_export(retention->retain, row_digest, retention);
        archive_digest_finish(&retention->digest, hash);
    } else {
        result = file_write(retention, hash);
    }
    if (result != RESULT_OK) {
        return result;
    }
    result = file_digest(retention, found);
    if (result == RESULT_OK &&
        (retention->events != retention->total || memcmp(found, hash, sizeof found) != 0)) {
        result = tell(retention, RESULT_ALREADY_EXISTS,
                      is_there ? "is there and holds other validations than those that are to go; "
                                 "name another file"
                               : "does not hold what was written; nothing was taken out of the "
                                 "journal");
    }
    return result;
}

/* --- The command --- */

static result_t retain(const char *store, const journal_postgres_place_t *place, text_t tenant,
                       void *context)
{
    retention_t *const retention = context;
    journal_postgres_retained_t retained;
    (void)tenant;
    result_t result = journal_postgres_retain_begin(store, place, retention->before_ms,
                                                    &retention->retain, &retention->total);
    if (result == RESULT_BUSY) {
        return tell(retention, result, "another retention of this organisation is running");
    }
    if (result == RESULT_OK && retention->total > 0) {
        result = file_ensure(retention, retained.hash);
    }
    if (result == RESULT_OK && retention->total > 0) {
        retained.archived_at = retention->archived_at;
        result = journal_postgres_retain_finish(&retention->retain, &retained);
        if (result == RESULT_BUSY) {
            result = tell(retention, result,
                          "is complete, but somebody kept reading the journal (a backup, a "
                          "verification): nothing was taken out of it; run this again");
        } else if (result == RESULT_OUTCOME_UNKNOWN) {
            result = tell(retention, result,
                          "is complete, but the connection was lost: run this again to see whether "
                          "the journal still has them");
        }
    }
    journal_postgres_retain_abandon(&retention->retain);
    return result;
}

static bool date_read(const char *text, int64_t *time_ms)
{
    char time[32];
    const size_t size = text == NULL ? 0 : strlen(text);
    if (size != DATE_SIZE || strcmp(text + DATE_SIZE - 3, "-01") != 0) {
        return false;
    }
    (void)snprintf(time, sizeof time, "%sT00:00:00Z", text);
    return rfc3339_parse(text_from_c(time), time_ms);
}

static bool begin(const command_t *command, int argc, char **argv, retention_t *retention,
                  int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &retention->tenant, "The organisation; needed");
    options[count++] = OPTION_TEXT("before", "YYYY-MM-01", &retention->before,
                                   "Validations of the months (UTC) before this day go; needed");
    count += configuration_options(&retention->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &retention->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &retention->file, 1, status)) {
        return false;
    }
    if (retention->tenant == NULL || !tenant_name_is_valid(text_from_c(retention->tenant))) {
        *status =
            retention->tenant == NULL
                ? command_misuse(command, "--tenant T is missing")
                : command_misuse(command, "--tenant %s is no name of a tenant", retention->tenant);
        return false;
    }
    if (!date_read(retention->before, &retention->before_ms) ||
        retention->before_ms > clock_wall_ms()) {
        *status = command_misuse(command, "--before must be the first day of a month that has "
                                          "begun, as 2026-01-01");
        return false;
    }
    *status = EXIT_FAILED;
    log_set_level(LOG_SILENT_LEVEL);
    return configuration_load(&retention->configuration);
}

static int finish(const retention_t *retention, result_t result)
{
    if (result != RESULT_OK) {
        return retention->is_told
                   ? EXIT_FAILED
                   : command_fail("%s; nothing was taken out of the journal",
                                  retention->error[0] != '\0' ? retention->error
                                                              : result_title(result));
    }
    if (retention->json) {
        return command_print_json(json_pack(
            "{s:s,s:s,s:I,s:s?,s:I}", "tenant", retention->tenant, "before", retention->before,
            "events", (json_int_t)retention->total, "file",
            retention->total > 0 ? retention->file : NULL, "size", (json_int_t)retention->size));
    }
    if (retention->total == 0) {
        (void)printf("%s has no validations before %s that could go\n", retention->tenant,
                     retention->before);
    } else {
        (void)printf("archived %" PRIu64 " validations of %s before %s, %s\n", retention->total,
                     retention->tenant, retention->before, retention->file);
    }
    return EXIT_OK;
}

int command_store_retain(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    retention_t retention = {0};
    if (!begin(command, argc, argv, &retention, &status)) {
        return status;
    }
    const configuration_texts_t *const texts = &retention.configuration.texts;
    if (!stores_is_postgres(texts->store)) {
        configuration_release(&retention.configuration);
        return command_fail("%s: only on PostgreSQL so far; the embedded store keeps every "
                            "validation",
                            command->words);
    }
    const text_t name = text_from_c(retention.tenant);
    migration_outcome_t versions;
    result_t result = RESULT_UNAVAILABLE;
    if (signer_start() == RESULT_OK &&
        backup_tenant_is_there(&retention.configuration, retention.tenant)) {
        result = stores_migrate(texts->store, texts->data, name, &versions);
        if (result == RESULT_OK) {
            result = stores_with_place(texts->store, texts->data, name, retain, &retention);
        }
    } else {
        retention.is_told = true;
    }
    const int ended = finish(&retention, result);
    configuration_release(&retention.configuration);
    return ended;
}
