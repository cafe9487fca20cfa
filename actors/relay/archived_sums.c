/* See the header. Must not ask a store or a clock. */
#include "actors/relay/archived_sums.h"
#include "actors/relay/projection_fold.h"
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum { SEQUENCE_BITS = 56 };

struct archived_sums {
    archived_sums_store_t *store;
    void *context;
    projection_fold_t *fold; /* of the batch that gathers; NULL: none */
};

archived_sums_t *archived_sums_create(archived_sums_store_t *store, void *context)
{
    archived_sums_t *const sums = calloc(1, sizeof *sums);
    assert(sums != NULL);
    sums->store = store;
    sums->context = context;
    return sums;
}

void archived_sums_destroy(archived_sums_t **sums)
{
    if (*sums != NULL) {
        projection_fold_destroy(&(*sums)->fold);
        free(*sums);
        *sums = NULL;
    }
}

bool event_from_store_row(const store_row_t *row, arena_t *arena, event_t *event)
{
    assert(row->table == STORE_TABLE_event);
    const uint64_t id = (uint64_t)row->values[0].number;
    const text_t card = row->values[1].bytes;
    const int64_t name = row->values[3].number;
    const text_t event_id = row->values[6].bytes;
    const text_t body = row->values[8].bytes;
    message_fault_t fault;
    event_data_t data;
    uuid_t uuid;
    *event = (event_t){0};
    if (card.size != sizeof uuid.bytes || event_id.size != sizeof uuid.bytes || name < 1 ||
        name >= event_name_enum.count ||
        !message_unpack(&event_data_message, MESSAGE_KEYS_IDS, (const uint8_t *)body.data,
                        body.size, arena, &data, &fault)) {
        return false;
    }
    memcpy(uuid.bytes, card.data, sizeof uuid.bytes);
    MESSAGE_SET(event, event, card, uuid);
    memcpy(uuid.bytes, event_id.data, sizeof uuid.bytes);
    MESSAGE_SET(event, event, event_id, uuid);
    MESSAGE_SET(event, event, partition, id >> SEQUENCE_BITS);
    MESSAGE_SET(event, event, sequence, id & ((UINT64_C(1) << SEQUENCE_BITS) - 1));
    MESSAGE_SET(event, event, card_sequence, (uint64_t)row->values[2].number);
    MESSAGE_SET(event, event, name, (uint8_t)name);
    MESSAGE_SET(event, event, version, (uint64_t)row->values[4].number);
    MESSAGE_SET(event, event, occurred_at, row->values[5].number);
    MESSAGE_SET(event, event, data, data);
    return true;
}

result_t archived_sums_finish(archived_sums_t *sums)
{
    projection_commit_t commit;
    if (sums->fold == NULL) {
        return RESULT_OK;
    }
    result_t result = projection_fold_run(sums->fold, &commit);
    if (result == RESULT_OK) {
        result = sums->store(sums->context, commit.counters, commit.counter_count);
    }
    projection_fold_destroy(&sums->fold);
    return result;
}

result_t archived_sums_row(void *context, const store_row_t *row)
{
    archived_sums_t *const sums = context;
    _Alignas(max_align_t) uint8_t memory[STORE_ROW_EVENT_ROOM];
    arena_t arena = {.base = memory, .size = sizeof memory};
    event_t event;
    if (row->table != STORE_TABLE_event) {
        return RESULT_OK;
    }
    if (!event_from_store_row(row, &arena, &event) || !card_event_is_validation(event.name)) {
        return RESULT_STORE_CORRUPT;
    }
    if (sums->fold != NULL && projection_fold_add(sums->fold, &event)) {
        return RESULT_OK;
    }
    const result_t result = archived_sums_finish(sums);
    if (result != RESULT_OK) {
        return result;
    }
    /* Which partition does not matter: sums are of all of them. */
    sums->fold = projection_fold_create(0);
    return sums->fold != NULL && projection_fold_add(sums->fold, &event) ? RESULT_OK
                                                                         : RESULT_NO_MEMORY;
}
