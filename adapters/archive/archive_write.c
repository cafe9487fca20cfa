/* Writing a backup. Records gather in one chunk of memory; the file has its name only when all of
 * it is on the disk. */
#include "adapters/archive/archive_internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct archive_writer {
    int file;
    char *path;
    char *part;
    char *error; /* the caller's, ARCHIVE_ERROR_SIZE bytes */
    uint8_t hash[ARCHIVE_HASH_SIZE];
    uint8_t *chunk;
    size_t used;
    uint64_t size; /* of the file */
    archive_totals_t totals;
};

void archive_hash_chunk(uint8_t hash[ARCHIVE_HASH_SIZE], const uint8_t *payload, uint32_t size)
{
    const uint8_t bytes[ARCHIVE_SIZE_SIZE] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16),
                                              (uint8_t)(size >> 8), (uint8_t)size};
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, ARCHIVE_HASH_SIZE);
    (void)crypto_generichash_update(&state, hash, ARCHIVE_HASH_SIZE);
    (void)crypto_generichash_update(&state, bytes, sizeof bytes);
    (void)crypto_generichash_update(&state, payload, size);
    (void)crypto_generichash_final(&state, hash, ARCHIVE_HASH_SIZE);
}

static result_t write_error(const archive_writer_t *writer, const char *path, const char *action)
{
    const int error = errno;
    (void)snprintf(writer->error, ARCHIVE_ERROR_SIZE, "%s: %s: %s", path, action, strerror(error));
    if (error == EEXIST) {
        return RESULT_ALREADY_EXISTS;
    }
    return result_of_file_error(error, RESULT_IO);
}

static result_t bytes_write(archive_writer_t *writer, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    size_t left = size;
    while (left > 0) { /* bounded by the size */
        const ssize_t written = write(writer->file, at, left);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return write_error(writer, writer->part, "write");
        }
        at += written;
        left -= (size_t)written;
    }
    writer->size += size;
    return RESULT_OK;
}

static result_t chunk_write(archive_writer_t *writer)
{
    const uint32_t size = (uint32_t)writer->used;
    const uint8_t head[ARCHIVE_SIZE_SIZE] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16),
                                             (uint8_t)(size >> 8), (uint8_t)size};
    archive_hash_chunk(writer->hash, writer->chunk, size);
    result_t result = bytes_write(writer, head, sizeof head);
    if (result == RESULT_OK) {
        result = bytes_write(writer, writer->chunk, size);
    }
    if (result == RESULT_OK) {
        result = bytes_write(writer, writer->hash, sizeof writer->hash);
    }
    writer->used = 0;
    return result;
}

/* --- msgpack --- */

static void put_head(archive_writer_t *writer, uint8_t type, uint64_t value, size_t size)
{
    writer->chunk[writer->used++] = type;
    for (size_t i = size; i > 0; i--) {
        writer->chunk[writer->used++] = (uint8_t)(value >> (8 * (i - 1)));
    }
}

static void put_integer(archive_writer_t *writer, int64_t value)
{
    if (value < 0) {
        put_head(writer, 0xd3, (uint64_t)value, 8);
    } else if (value < 128) {
        put_head(writer, (uint8_t)value, 0, 0);
    } else if (value <= UINT16_MAX) {
        put_head(writer, 0xcd, (uint64_t)value, 2);
    } else if (value <= UINT32_MAX) {
        put_head(writer, 0xce, (uint64_t)value, 4);
    } else {
        put_head(writer, 0xcf, (uint64_t)value, 8);
    }
}

static void put_bytes(archive_writer_t *writer, text_t bytes)
{
    if (bytes.size <= UINT8_MAX) {
        put_head(writer, 0xc4, bytes.size, 1);
    } else {
        put_head(writer, 0xc6, bytes.size, 4);
    }
    if (bytes.size > 0) {
        memcpy(writer->chunk + writer->used, bytes.data, bytes.size);
        writer->used += bytes.size;
    }
}

/* Room for a record of `count` elements with `bytes` bytes in them. */
static result_t record_begin(archive_writer_t *writer, archive_record_t kind, size_t count,
                             size_t bytes)
{
    const size_t needed = 2 + (count + 1) * 9 + bytes;
    assert(count < 16 + STORE_COLUMNS_MAX);
    if (needed > LIMIT_ARCHIVE_CHUNK_SIZE) {
        (void)snprintf(writer->error, ARCHIVE_ERROR_SIZE,
                       "a row has %zu bytes, more than a backup can hold", bytes);
        return RESULT_STORE_CORRUPT;
    }
    const result_t result = writer->used > 0 && writer->used + needed > LIMIT_ARCHIVE_CHUNK_FILL
                                ? chunk_write(writer)
                                : RESULT_OK;
    put_head(writer, 0xdc, count + 1, 2);
    put_integer(writer, kind);
    return result;
}

/* --- Records --- */

/* Who has the lock of FILE.part writes it; one that was left by somebody who died is begun anew. */
static result_t part_lock(archive_writer_t *writer)
{
    struct stat opened;
    struct stat named;
    writer->file =
        open(writer->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (writer->file < 0) {
        return write_error(writer, writer->part, "create");
    }
    const bool is_locked = flock(writer->file, LOCK_EX | LOCK_NB) == 0;
    const bool is_named = is_locked && fstat(writer->file, &opened) == 0 &&
                          lstat(writer->part, &named) == 0 && opened.st_ino == named.st_ino &&
                          opened.st_dev == named.st_dev;
    if (!is_named) { /* or the other one finished just now, and the name is gone */
        (void)snprintf(writer->error, ARCHIVE_ERROR_SIZE,
                       "%s is being written by another process: wait for it, or name another file",
                       writer->path);
        (void)close(writer->file);
        writer->file = -1; /* what is there is not ours to remove */
        return RESULT_BUSY;
    }
    return RESULT_OK;
}

static result_t part_create(archive_writer_t *writer)
{
    struct stat status;
    if (lstat(writer->path, &status) == 0) {
        errno = EEXIST;
        return write_error(writer, writer->path, "create");
    }
    const result_t result = part_lock(writer);
    if (result != RESULT_OK) {
        return result;
    }
    if (fstat(writer->file, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != geteuid() || status.st_nlink != 1) {
        (void)close(writer->file);
        writer->file = -1;
        errno = EPERM;
        return write_error(writer, writer->part, "use");
    }
    if (fchmod(writer->file, 0600) != 0 || ftruncate(writer->file, 0) != 0) {
        return write_error(writer, writer->part, "create");
    }
    return RESULT_OK;
}

result_t archive_create(const char *path, archive_kind_t kind, text_t tenant, int64_t now_ms,
                        char *error, archive_writer_t **writer)
{
    archive_writer_t *created = calloc(1, sizeof *created);
    assert(created != NULL);
    created->path = strdup(path);
    const int size = asprintf(&created->part, "%s.part", path);
    created->chunk = malloc(LIMIT_ARCHIVE_CHUNK_SIZE);
    assert(created->path != NULL && size > 0 && created->chunk != NULL);
    created->error = error;
    created->file = -1;
    result_t result = part_create(created);
    if (result == RESULT_OK) {
        result = bytes_write(created, ARCHIVE_MAGIC, ARCHIVE_MAGIC_SIZE);
    }
    if (result == RESULT_OK) {
        result = record_begin(created, ARCHIVE_HEADER, 4, tenant.size);
        put_integer(created, ARCHIVE_VERSION);
        put_bytes(created, tenant);
        put_integer(created, now_ms);
        put_integer(created, kind);
    }
    if (result != RESULT_OK) {
        const result_t removed = archive_finish(&created, false, NULL, NULL);
        (void)removed;
        return result;
    }
    *writer = created;
    return RESULT_OK;
}

result_t archive_write_tenant(archive_writer_t *writer, const control_tenant_t *tenant)
{
    result_t result = record_begin(writer, ARCHIVE_TENANT, 4, tenant->sealed_secret.size);
    put_integer(writer, tenant->partitions);
    put_integer(writer, tenant->created_at);
    put_bytes(writer, tenant->sealed_secret);
    put_integer(writer, tenant->key_count);
    for (uint32_t i = 0; result == RESULT_OK && i < tenant->key_count; i++) {
        const control_card_key_t *const key = &tenant->keys[i];
        result = record_begin(writer, ARCHIVE_KEY, 4, key->sealed_secret.size);
        put_integer(writer, key->kid);
        put_integer(writer, key->state);
        put_integer(writer, key->created_at);
        put_bytes(writer, key->sealed_secret);
    }
    return result;
}

result_t archive_write_row(archive_writer_t *writer, const store_row_t *row)
{
    const char *const kinds = store_table_kinds(row->table);
    size_t bytes = 0;
    assert(kinds != NULL && strlen(kinds) == row->count);
    for (uint32_t i = 0; i < row->count; i++) {
        bytes += row->values[i].bytes.size;
    }
    const result_t result = record_begin(writer, ARCHIVE_ROW, row->count + 1, bytes);
    if (result != RESULT_OK) {
        return result;
    }
    put_integer(writer, row->table);
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->values[i].is_null) {
            put_head(writer, 0xc0, 0, 0);
        } else if (kinds[i] == 'i' || kinds[i] == 'I') {
            put_integer(writer, row->values[i].number);
        } else {
            put_bytes(writer, row->values[i].bytes);
        }
    }
    writer->totals.rows[row->table]++;
    return RESULT_OK;
}

/* --- The end --- */

static result_t directory_sync(const archive_writer_t *writer)
{
    char *const copy = strdup(writer->path);
    assert(copy != NULL);
    const int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    result_t result = RESULT_OK;
    if (directory < 0 || fsync(directory) != 0) {
        result = write_error(writer, writer->path, "sync the directory");
    }
    if (directory >= 0) {
        (void)close(directory);
    }
    free(copy);
    return result;
}

static result_t file_complete(archive_writer_t *writer)
{
    result_t result = record_begin(writer, ARCHIVE_END, STORE_TABLES_END - 1, 0);
    for (size_t i = 1; i < STORE_TABLES_END; i++) {
        put_integer(writer, (int64_t)writer->totals.rows[i]);
    }
    if (result == RESULT_OK) {
        result = chunk_write(writer);
    }
    if (result == RESULT_OK) {
        result = chunk_write(writer); /* of size 0: the end */
    }
    if (result == RESULT_OK && fsync(writer->file) != 0) {
        result = write_error(writer, writer->part, "sync");
    }
    if (result == RESULT_OK &&
        renameat2(AT_FDCWD, writer->part, AT_FDCWD, writer->path, RENAME_NOREPLACE) != 0) {
        result = write_error(writer, writer->path, "rename");
    }
    return result == RESULT_OK ? directory_sync(writer) : result;
}

result_t archive_finish(archive_writer_t **writer, bool keep, archive_totals_t *totals,
                        uint64_t *size)
{
    archive_writer_t *const finished = *writer;
    *writer = NULL;
    const result_t result = keep ? file_complete(finished) : RESULT_OK;
    if (finished->file >= 0) {
        (void)close(finished->file);
        if (!keep || result != RESULT_OK) {
            (void)unlink(finished->part);
        }
    }
    if (totals != NULL) {
        *totals = finished->totals;
    }
    if (size != NULL) {
        *size = finished->size;
    }
    free(finished->chunk);
    free(finished->part);
    free(finished->path);
    free(finished);
    return result;
}
