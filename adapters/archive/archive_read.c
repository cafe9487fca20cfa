/* Reading a backup: one chunk after the other, each believed only when its hash fits, and every
 * record held against what a record of its kind has. Whatever the bytes, the answer is a result and
 * a line for a person. */
#include "actors/domain/card_id.h"
#include "adapters/archive/archive_internal.h"
#include "messages/msgpack_cursor.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct archive_reader {
    FILE *file;
    char *path;
    char *error;
    uint8_t hash[ARCHIVE_HASH_SIZE];
    uint8_t *chunk;
    uint64_t chunk_number; /* of the one that is read, from 1 */
    msgpack_cursor_t cursor;
    bool is_ended; /* the end record was there */
    archive_totals_t totals;
    control_tenant_t tenant;
    control_card_key_t keys[CONTROL_KEYS_PER_TENANT_MAX];
    uint8_t secrets[CONTROL_KEYS_PER_TENANT_MAX + 1][CONTROL_SECRET_SIZE_MAX];
    uint32_t keys_read;
    bool has_tenant;
};

static result_t damaged(const archive_reader_t *reader, const char *what)
{
    (void)snprintf(reader->error, ARCHIVE_ERROR_SIZE,
                   "%s is damaged: %s (chunk %" PRIu64 "); use another backup", reader->path, what,
                   reader->chunk_number);
    return RESULT_STORE_CORRUPT;
}

static result_t bytes_read(const archive_reader_t *reader, void *bytes, size_t size)
{
    if (fread(bytes, 1, size, reader->file) == size) {
        return RESULT_OK;
    }
    if (ferror(reader->file) != 0) {
        (void)snprintf(reader->error, ARCHIVE_ERROR_SIZE, "%s: %s", reader->path, strerror(errno));
        return RESULT_IO;
    }
    return damaged(reader, "it ends too early");
}

/* The next chunk that holds records; `*is_end` when there is none. */
static result_t chunk_read(archive_reader_t *reader, bool *is_end)
{
    uint8_t head[ARCHIVE_SIZE_SIZE];
    uint8_t stored[ARCHIVE_HASH_SIZE];
    reader->chunk_number++;
    result_t result = bytes_read(reader, head, sizeof head);
    if (result != RESULT_OK) {
        return result;
    }
    const uint32_t size =
        (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    if (size > LIMIT_ARCHIVE_CHUNK_SIZE) {
        return damaged(reader, "a size cannot be right");
    }
    result = bytes_read(reader, reader->chunk, size);
    if (result == RESULT_OK) {
        result = bytes_read(reader, stored, sizeof stored);
    }
    if (result != RESULT_OK) {
        return result;
    }
    archive_hash_chunk(reader->hash, reader->chunk, size);
    if (sodium_memcmp(stored, reader->hash, sizeof stored) != 0) {
        return damaged(reader, "a checksum does not fit");
    }
    reader->cursor = (msgpack_cursor_t){reader->chunk, reader->chunk + size};
    *is_end = size == 0;
    return RESULT_OK;
}

/* --- Values --- */

static bool integer_read(archive_reader_t *reader, int64_t *number)
{
    msgpack_value_t value;
    if (!msgpack_read(&reader->cursor, &value) ||
        (value.kind != MSGPACK_UNSIGNED && value.kind != MSGPACK_NEGATIVE)) {
        return false;
    }
    *number = (int64_t)value.number;
    return value.kind == MSGPACK_NEGATIVE || value.number <= INT64_MAX;
}

static bool data_read(archive_reader_t *reader, size_t size_max, text_t *data)
{
    msgpack_value_t value;
    if (!msgpack_read(&reader->cursor, &value) || value.kind != MSGPACK_BYTES ||
        value.data.size > size_max) {
        return false;
    }
    *data = value.data;
    return true;
}

static bool record_read(archive_reader_t *reader, uint64_t *kind, uint64_t *count)
{
    msgpack_value_t array;
    int64_t number = 0;
    if (!msgpack_read(&reader->cursor, &array) || array.kind != MSGPACK_ARRAY || array.number < 1 ||
        !integer_read(reader, &number)) {
        return false;
    }
    *kind = (uint64_t)number;
    *count = array.number - 1;
    return true;
}

/* Secrets outlive the chunk that they came in. */
static bool secret_read(archive_reader_t *reader, uint32_t slot, text_t *secret)
{
    text_t data;
    if (!data_read(reader, CONTROL_SECRET_SIZE_MAX, &data)) {
        return false;
    }
    if (data.size > 0) {
        memcpy(reader->secrets[slot], data.data, data.size);
    }
    *secret = (text_t){(const char *)reader->secrets[slot], data.size};
    return true;
}

/* --- Records --- */

static bool tenant_read(archive_reader_t *reader, uint64_t count)
{
    int64_t partitions = 0;
    int64_t keys = 0;
    if (reader->has_tenant || count != 4 || !integer_read(reader, &partitions) ||
        !integer_read(reader, &reader->tenant.created_at) ||
        !secret_read(reader, CONTROL_KEYS_PER_TENANT_MAX, &reader->tenant.sealed_secret) ||
        !integer_read(reader, &keys)) {
        return false;
    }
    reader->has_tenant = true;
    reader->tenant.partitions = (uint32_t)partitions;
    reader->tenant.keys = reader->keys;
    reader->tenant.key_count = (uint32_t)keys;
    return partitions >= 1 && partitions <= LIMIT_PARTITIONS && keys >= 1 &&
           keys <= CONTROL_KEYS_PER_TENANT_MAX;
}

static bool key_read(archive_reader_t *reader, uint64_t count)
{
    int64_t kid = 0;
    int64_t state = 0;
    if (!reader->has_tenant || reader->keys_read >= reader->tenant.key_count || count != 4) {
        return false;
    }
    control_card_key_t *const key = &reader->keys[reader->keys_read];
    if (!integer_read(reader, &kid) || !integer_read(reader, &state) ||
        !integer_read(reader, &key->created_at) ||
        !secret_read(reader, reader->keys_read, &key->sealed_secret)) {
        return false;
    }
    key->kid = (uint32_t)kid;
    key->state = (uint8_t)state;
    reader->keys_read++;
    return kid >= 1 && kid <= UINT32_MAX && state >= 0 && state <= UINT8_MAX;
}

static bool value_read(archive_reader_t *reader, char kind, store_value_t *value)
{
    msgpack_value_t read;
    const bool is_integer = kind == 'i' || kind == 'I';
    if (!msgpack_read(&reader->cursor, &read)) {
        return false;
    }
    *value = (store_value_t){
        .is_null = read.kind == MSGPACK_NIL, .number = (int64_t)read.number, .bytes = read.data};
    if (value->is_null) {
        return kind == 'I' || kind == 'B';
    }
    return is_integer ? read.kind == MSGPACK_NEGATIVE ||
                            (read.kind == MSGPACK_UNSIGNED && read.number <= INT64_MAX)
                      : read.kind == MSGPACK_BYTES;
}

static bool row_read(archive_reader_t *reader, uint64_t count, store_row_t *row)
{
    int64_t table = 0;
    if (!integer_read(reader, &table)) {
        return false;
    }
    const char *const kinds = store_table_kinds((uint64_t)table);
    if (kinds == NULL || reader->keys_read != reader->tenant.key_count || !reader->has_tenant ||
        count > strlen(kinds) + 1 ||
        count < (uint64_t)store_table_columns_first((uint64_t)table) + 1) {
        return false;
    }
    row->table = (uint8_t)table;
    row->count = (uint32_t)strlen(kinds);
    row->is_completed = count - 1 < row->count;
    for (uint32_t i = 0; i < row->count; i++) {
        if (i >= count - 1) {
            row->values[i] = (store_value_t){.is_null = kinds[i] == 'I' || kinds[i] == 'B',
                                             .bytes = {.data = "", .size = 0}};
        } else if (!value_read(reader, kinds[i], &row->values[i])) {
            return false;
        }
    }
    reader->totals.rows[table]++;
    return true;
}

/* Tables that a later program adds come after ours, and a row of one would not have been read. */
static bool end_read(archive_reader_t *reader, uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++) {
        int64_t rows = 0;
        if (i >= STORE_TABLES_END || !integer_read(reader, &rows) ||
            (uint64_t)rows != reader->totals.rows[i]) {
            return false;
        }
    }
    reader->is_ended = true;
    return reader->totals.rows[STORE_TABLE_partition] == reader->tenant.partitions;
}

static result_t record_take(archive_reader_t *reader, const archive_visitor_t *visitor)
{
    uint64_t kind = 0;
    uint64_t count = 0;
    store_row_t row;
    bool is_good = !reader->is_ended && record_read(reader, &kind, &count);
    switch (is_good ? kind : UINT64_MAX) {
    case ARCHIVE_TENANT:
        is_good = tenant_read(reader, count);
        break;
    case ARCHIVE_KEY:
        is_good = key_read(reader, count);
        if (is_good && reader->keys_read == reader->tenant.key_count) {
            return visitor->tenant(visitor->context, &reader->tenant);
        }
        break;
    case ARCHIVE_ROW:
        is_good = row_read(reader, count, &row);
        if (is_good) {
            return visitor->row(visitor->context, &row);
        }
        break;
    case ARCHIVE_END:
        is_good = end_read(reader, count);
        break;
    default:
        is_good = false;
        break;
    }
    return is_good ? RESULT_OK : damaged(reader, "a record cannot be read");
}

result_t archive_read(archive_reader_t *reader, const archive_visitor_t *visitor,
                      archive_totals_t *totals)
{
    bool is_end = false;
    while (!is_end) { /* bounded by the file */
        while (reader->cursor.at < reader->cursor.end) {
            const result_t result = record_take(reader, visitor);
            if (result != RESULT_OK) {
                return result;
            }
        }
        const result_t result = chunk_read(reader, &is_end);
        if (result != RESULT_OK) {
            return result;
        }
    }
    if (!reader->is_ended || !reader->has_tenant) {
        return damaged(reader, "it is not complete");
    }
    if (fgetc(reader->file) != EOF) {
        return damaged(reader, "something stands behind its end");
    }
    if (totals != NULL) {
        *totals = reader->totals;
    }
    return RESULT_OK;
}

/* --- Opening --- */

static result_t header_read(archive_reader_t *reader, archive_header_t *header)
{
    uint64_t kind = 0;
    uint64_t count = 0;
    int64_t version = 0;
    int64_t purpose = ARCHIVE_BACKUP;
    text_t tenant;
    if (!record_read(reader, &kind, &count) || kind != ARCHIVE_HEADER ||
        !integer_read(reader, &version)) {
        return damaged(reader, "it has no header");
    }
    if (version < 1 || version > ARCHIVE_VERSION) {
        (void)snprintf(reader->error, ARCHIVE_ERROR_SIZE,
                       "%s has format %" PRId64 ", this program reads %d: use the version that "
                       "wrote it",
                       reader->path, version, ARCHIVE_VERSION);
        return RESULT_SCHEMA_TOO_NEW;
    }
    if (count != (version == 1 ? 3 : 4) || !data_read(reader, LIMIT_TENANT_NAME_SIZE, &tenant) ||
        !tenant_name_is_valid(tenant) || !integer_read(reader, &header->made_at) ||
        (version > 1 && !integer_read(reader, &purpose)) || purpose < ARCHIVE_BACKUP ||
        purpose > ARCHIVE_VALIDATIONS) {
        return damaged(reader, "its header cannot be read");
    }
    header->kind = (archive_kind_t)purpose;
    reader->tenant.name.size = tenant.size;
    memcpy(header->tenant, tenant.data, tenant.size);
    header->tenant[tenant.size] = '\0';
    reader->tenant.name.data = header->tenant;
    return RESULT_OK;
}

static result_t file_open(archive_reader_t *reader)
{
    uint8_t magic[ARCHIVE_MAGIC_SIZE];
    reader->file = fopen(reader->path, "rbe");
    if (reader->file == NULL) {
        const int error = errno;
        (void)snprintf(reader->error, ARCHIVE_ERROR_SIZE, "%s: %s", reader->path, strerror(error));
        return error == ENOENT ? RESULT_MISSING
                               : (error == EACCES ? RESULT_PERMISSION_DENIED : RESULT_IO);
    }
    if (fread(magic, 1, sizeof magic, reader->file) != sizeof magic ||
        memcmp(magic, ARCHIVE_MAGIC, sizeof magic) != 0) {
        (void)snprintf(reader->error, ARCHIVE_ERROR_SIZE, "%s is no backup of this service",
                       reader->path);
        return RESULT_STORE_CORRUPT;
    }
    return RESULT_OK;
}

result_t archive_open(const char *path, archive_header_t *header, char *error,
                      archive_reader_t **reader)
{
    bool is_end = false;
    archive_reader_t *opened = calloc(1, sizeof *opened);
    assert(opened != NULL);
    *header = (archive_header_t){0};
    opened->path = strdup(path);
    opened->chunk = malloc(LIMIT_ARCHIVE_CHUNK_SIZE);
    assert(opened->path != NULL && opened->chunk != NULL);
    opened->error = error;
    result_t result = file_open(opened);
    if (result == RESULT_OK) {
        result = chunk_read(opened, &is_end);
    }
    if (result == RESULT_OK) {
        result = header_read(opened, header);
    }
    if (result != RESULT_OK) {
        archive_close(&opened);
        return result;
    }
    *reader = opened;
    return RESULT_OK;
}

void archive_close(archive_reader_t **reader)
{
    if (*reader == NULL) {
        return;
    }
    archive_reader_t *const closed = *reader;
    *reader = NULL;
    if (closed->file != NULL) {
        (void)fclose(closed->file);
    }
    sodium_memzero(closed->secrets, sizeof closed->secrets);
    free(closed->chunk);
    free(closed->path);
    free(closed);
}
