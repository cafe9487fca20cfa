/* See the header. Rows of events and snapshots come before those of keys, so names are kept until
 * the key of their member comes by; of as many members at a time as there is room for. Must not
 * keep what it opens, and must not name a member in an error. */
#include "adapters/cli/commands/backup_names.h"

#include "actors/domain/siphash.h"
#include "actors/secrets.h"
#include "adapters/archive/archive.h"
#include "adapters/signer/signer.h"
#include "messages/messages.h"
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DECODE_ROOM = 1024 }; /* neither document has lists */

typedef struct kept_name {
    uint64_t hash; /* of the member */
    uint32_t next; /* index + 1 in the same slot; 0: the last */
    uint16_t member_size;
    uint16_t sealed_size;
    char *bytes; /* member id, then sealed name; NULL once it was opened */
} kept_name_t;

/* One reading of the file. */
typedef struct reading {
    text_t tenant;
    const crypto_key_t *master_key;
    crypto_key_t secret; /* of the tenant */
    bool is_ours;        /* it opens under the master key */
    bool is_full;
    uint32_t room;
    uint64_t slice; /* of `slices`, a power of two */
    uint64_t slices;
    uint32_t count;
    kept_name_t *kept; /* room */
    uint32_t *slots;   /* room: index + 1 of the first */
    uint64_t keys;     /* rows of keys until now */
    backup_names_t names;
    char *error;
} reading_t;

static result_t tenant_take(void *context, const control_tenant_t *tenant)
{
    reading_t *const reading = context;
    reading->is_ours = secret_tenant_open(&signer_functions, reading->master_key, reading->tenant,
                                          tenant->sealed_secret, &reading->secret);
    return RESULT_OK;
}

static void name_keep(reading_t *reading, text_t member_id, text_t sealed)
{
    const uint64_t hash = siphash_fixed(member_id);
    if (text_is_empty(sealed) || (hash & (reading->slices - 1)) != reading->slice) {
        return;
    }
    if (reading->count == reading->room) {
        reading->is_full = true;
        return;
    }
    kept_name_t *const kept = &reading->kept[reading->count];
    uint32_t *const slot = &reading->slots[(hash >> 32) & (reading->room - 1)];
    *kept = (kept_name_t){.hash = hash,
                          .next = *slot,
                          .member_size = (uint16_t)member_id.size,
                          .sealed_size = (uint16_t)sealed.size,
                          .bytes = malloc(member_id.size + sealed.size)};
    assert(kept->bytes != NULL);
    memcpy(kept->bytes, member_id.data, member_id.size);
    memcpy(kept->bytes + member_id.size, sealed.data, sealed.size);
    reading->count++;
    *slot = reading->count;
}

/* What cannot be decoded, the verification of the restored journal names. */
static void body_take(reading_t *reading, text_t body, bool is_event)
{
    _Alignas(max_align_t) uint8_t memory[DECODE_ROOM];
    arena_t arena = {.base = memory, .size = sizeof memory};
    const uint8_t *const bytes = (const uint8_t *)body.data;
    message_fault_t fault;
    event_data_t data;
    card_snapshot_t snapshot;
    if (is_event && message_unpack(&event_data_message, MESSAGE_KEYS_IDS, bytes, body.size, &arena,
                                   &data, &fault)) {
        if (MESSAGE_HAS(event_data, &data, sealed_name) &&
            MESSAGE_HAS(event_data, &data, member_id)) {
            name_keep(reading, data.member_id, data.sealed_name);
        }
    } else if (!is_event && message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, bytes,
                                           body.size, &arena, &snapshot, &fault)) {
        if (MESSAGE_HAS(card_snapshot, &snapshot, sealed_name)) {
            name_keep(reading, snapshot.member_id, snapshot.sealed_name);
        }
    }
}

static bool name_opens(const reading_t *reading, const kept_name_t *kept, const crypto_key_t *key)
{
    char plain[SECRET_NAME_SIZE_MAX];
    text_t name;
    (void)reading;
    const text_t member_id = {.data = kept->bytes, .size = kept->member_size};
    const text_t sealed = {.data = kept->bytes + kept->member_size, .size = kept->sealed_size};
    const bool is_open =
        secret_holder_name_open(&signer_functions, key, member_id, sealed, plain, &name);
    signer_functions.wipe(plain, sizeof plain);
    return is_open;
}

static result_t names_open(reading_t *reading, text_t member_id, const crypto_key_t *key)
{
    const uint64_t hash = siphash_fixed(member_id);
    uint32_t at = reading->slots[(hash >> 32) & (reading->room - 1)];
    while (at != 0) { /* bounded by what is kept */
        kept_name_t *const kept = &reading->kept[at - 1];
        at = kept->next;
        if (kept->bytes == NULL || kept->hash != hash || kept->member_size != member_id.size ||
            memcmp(kept->bytes, member_id.data, member_id.size) != 0) {
            continue;
        }
        if (!name_opens(reading, kept, key)) {
            (void)snprintf(reading->error, ARCHIVE_ERROR_SIZE,
                           "a sealed name of the member of row %" PRIu64
                           " of member_key does not open under that key",
                           reading->keys);
            return RESULT_STORE_CORRUPT;
        }
        reading->names.opened++;
        free(kept->bytes);
        kept->bytes = NULL;
    }
    return RESULT_OK;
}

static result_t row_take(void *context, const store_row_t *row)
{
    reading_t *const reading = context;
    crypto_key_t key;
    result_t result = RESULT_OK;
    if (!reading->is_ours) {
        return RESULT_OK;
    }
    if (row->table == STORE_TABLE_event && row->values[3].number == event_name_card_issued) {
        body_take(reading, row->values[8].bytes, true);
    } else if (row->table == STORE_TABLE_card) {
        body_take(reading, row->values[6].bytes, false);
    } else if (row->table == STORE_TABLE_member_key) {
        const text_t member_id = row->values[0].bytes;
        reading->keys++;
        /* One that does not open is refused by the restore, by its row. */
        if (member_id.size <= LIMIT_SEALED_NAME_SIZE &&
            secret_member_key_open(&signer_functions, &reading->secret, reading->tenant, member_id,
                                   row->values[1].bytes, &key)) {
            result = names_open(reading, member_id, &key);
        } else {
            reading->names.is_complete = false;
        }
        signer_functions.wipe(&key, sizeof key);
    }
    return result;
}

static void kept_forget(reading_t *reading)
{
    for (uint32_t i = 0; i < reading->count; i++) {
        reading->names.erased += reading->kept[i].bytes != NULL ? 1 : 0;
        free(reading->kept[i].bytes);
    }
    reading->count = 0;
    memset(reading->slots, 0, reading->room * sizeof *reading->slots);
}

static result_t file_read(const char *file, reading_t *reading)
{
    archive_header_t header;
    archive_reader_t *reader = NULL;
    const archive_visitor_t visitor = {tenant_take, row_take, reading};
    result_t result = archive_open(file, &header, reading->error, &reader);
    if (result == RESULT_OK) {
        reading->tenant = text_from_c(header.tenant);
        result = archive_read(reader, &visitor, NULL);
    }
    archive_close(&reader);
    signer_functions.wipe(&reading->secret, sizeof reading->secret);
    kept_forget(reading);
    return result;
}

result_t backup_names_check(const char *file, uint32_t room, const crypto_key_t *master_key,
                            backup_names_t *names, char *error)
{
    assert(room > 0 && (room & (room - 1)) == 0); /* a hash is masked */
    reading_t reading = {.master_key = master_key,
                         .room = room,
                         .slices = 1,
                         .names.is_complete = true,
                         .error = error};
    reading.kept = calloc(room, sizeof *reading.kept);
    reading.slots = calloc(room, sizeof *reading.slots);
    assert(reading.kept != NULL && reading.slots != NULL);
    result_t result = RESULT_OK;
    for (uint64_t slice = 0; result == RESULT_OK && slice < reading.slices; slice++) {
        reading.slice = slice;
        reading.keys = 0;
        result = file_read(file, &reading);
        if (result == RESULT_OK && reading.is_full && reading.slices < LIMIT_VERIFY_FILE_SLICES) {
            reading.is_full = false;
            reading.slices *= 2;
            reading.names = (backup_names_t){.is_complete = true};
            slice = UINT64_MAX; /* from the first one, smaller */
        }
        reading.names.is_complete = reading.names.is_complete && !reading.is_full;
    }
    *names = reading.names;
    free(reading.kept);
    free(reading.slots);
    return result;
}
