/* Do the events of an archive follow on each other, in each partition and of each card? Memory is
 * bounded by its argument, not by the file. Needs no store and no key. */
#include "actors/domain/siphash.h"
#include "adapters/archive/archive.h"
#include "runtime/limits.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCE_BITS = 56 };
#define SEQUENCE_MASK ((UINT64_C(1) << SEQUENCE_BITS) - 1)

typedef struct card_sequence {
    uuid_t card;
    uint64_t sequence; /* of its last event until now; 0: the slot is free */
    uint64_t event;    /* partition << 56 | sequence of that one */
} card_sequence_t;

/* One reading of the file. It has room for so many cards; a file of more is read several times,
 * each time for the cards of another slice. */
typedef struct sequences {
    uint64_t heads[LIMIT_PARTITIONS];
    uint64_t seen[LIMIT_PARTITIONS];
    uint64_t counts[LIMIT_PARTITIONS];
    uint64_t archived_to[LIMIT_PARTITIONS]; /* before that, validations may be missing, */
    uint64_t archived[LIMIT_PARTITIONS];    /* and this is how many */
    bool is_archive;                        /* of validations alone */
    archive_digest_t *digest;
    bool has_digest;
    uint8_t recorded[ARCHIVE_DIGEST_SIZE];
    bool has_gap;
    bool has_card_gap;
    bool is_full;   /* there were more cards than there is room */
    uint64_t slice; /* of `slices`, a power of two */
    uint64_t slices;
    uint32_t card_count;
    uint32_t room;          /* of cards; a power of two */
    card_sequence_t *cards; /* twice as many slots */
} sequences_t;

static result_t verify_tenant(void *context, const control_tenant_t *tenant)
{
    (void)context;
    (void)tenant;
    return RESULT_OK;
}

/* NULL when there is no room. */
static card_sequence_t *card_find(sequences_t *sequences, uint64_t hash, const uuid_t *card)
{
    size_t slot = (size_t)(hash >> 32) & (2 * (size_t)sequences->room - 1);
    while (sequences->cards[slot].sequence != 0) { /* bounded: half of the slots stay free */
        if (uuid_equal(&sequences->cards[slot].card, card)) {
            return &sequences->cards[slot];
        }
        slot = (slot + 1) & (2 * (size_t)sequences->room - 1);
    }
    if (sequences->card_count == sequences->room) {
        return NULL;
    }
    sequences->card_count++;
    sequences->cards[slot].card = *card;
    return &sequences->cards[slot];
}

/* Whether events may be missing behind the one of that sequence. */
static bool may_have_gap(const sequences_t *sequences, uint64_t partition, uint64_t sequence)
{
    return sequences->is_archive || sequence < sequences->archived_to[partition];
}

static void card_follow(sequences_t *sequences, const store_row_t *row, uint64_t partition)
{
    uuid_t card;
    const text_t id = row->values[1].bytes;
    const uint64_t sequence = (uint64_t)row->values[2].number;
    if (id.size != sizeof card.bytes) {
        sequences->has_card_gap = true;
        return;
    }
    const uint64_t hash = siphash_fixed(id);
    if ((hash & (sequences->slices - 1)) != sequences->slice) {
        return;
    }
    memcpy(card.bytes, id.data, sizeof card.bytes);
    card_sequence_t *const found = card_find(sequences, hash, &card);
    if (found == NULL) {
        sequences->is_full = true;
        return;
    }
    const bool is_first = found->sequence == 0;
    const bool is_next = sequence == found->sequence + 1;
    const uint64_t before = found->event & SEQUENCE_MASK;
    const bool follows =
        is_next || (sequence > found->sequence && (!is_first || sequences->is_archive) &&
                    may_have_gap(sequences, partition, before));
    if (!follows || (!is_first && found->event >> SEQUENCE_BITS != partition)) {
        sequences->has_card_gap = true;
    }
    found->sequence = sequence == 0 ? 1 : sequence;
    found->event = (uint64_t)row->values[0].number;
}

static void event_follow(sequences_t *sequences, const store_row_t *row)
{
    const uint64_t id = (uint64_t)row->values[0].number;
    const uint64_t partition = id >> SEQUENCE_BITS;
    const uint64_t sequence = id & SEQUENCE_MASK;
    if (partition >= LIMIT_PARTITIONS) {
        sequences->has_gap = true;
        return;
    }
    const uint64_t seen = sequences->seen[partition];
    const bool follows =
        sequence == seen + 1 || (sequence > seen && may_have_gap(sequences, partition, seen));
    sequences->has_gap = sequences->has_gap || !follows;
    sequences->seen[partition] = follows ? sequence : seen;
    sequences->counts[partition]++;
    archive_digest_add(sequences->digest, row);
    card_follow(sequences, row, partition);
}

static result_t verify_row(void *context, const store_row_t *row)
{
    sequences_t *const sequences = context;
    const uint64_t id = (uint64_t)row->values[0].number;
    if (row->table == STORE_TABLE_partition && id < LIMIT_PARTITIONS) {
        sequences->heads[id] = (uint64_t)row->values[2].number;
        sequences->archived_to[id] = (uint64_t)row->values[5].number;
        sequences->archived[id] = (uint64_t)row->values[6].number;
    } else if (row->table == STORE_TABLE_event) {
        event_follow(sequences, row);
    } else if (row->table == STORE_TABLE_archive &&
               row->values[3].bytes.size == ARCHIVE_DIGEST_SIZE) {
        sequences->has_digest = true;
        memcpy(sequences->recorded, row->values[3].bytes.data, ARCHIVE_DIGEST_SIZE);
    }
    return RESULT_OK;
}

/* NULL: nothing is wrong. */
static const char *fault(sequences_t *sequences, const uint8_t digest[ARCHIVE_DIGEST_SIZE])
{
    bool has_gap = sequences->has_gap;
    for (size_t i = 0; !sequences->is_archive && i < LIMIT_PARTITIONS; i++) {
        has_gap = has_gap || sequences->heads[i] != sequences->seen[i] ||
                  sequences->heads[i] != sequences->counts[i] + sequences->archived[i];
    }
    if (has_gap) {
        return "the sequence of a partition has a gap";
    }
    if (sequences->has_card_gap) {
        return "the events of a card have a gap, or stand in two partitions";
    }
    if (sequences->is_archive &&
        (!sequences->has_digest || memcmp(digest, sequences->recorded, ARCHIVE_DIGEST_SIZE) != 0)) {
        return "its events are not those that were archived";
    }
    return NULL;
}

static result_t file_read(const char *file, sequences_t *sequences, archive_header_t *header,
                          archive_totals_t *totals, char *error)
{
    uint8_t digest[ARCHIVE_DIGEST_SIZE];
    archive_reader_t *reader = NULL;
    const archive_visitor_t visitor = {verify_tenant, verify_row, sequences};
    result_t result = archive_open(file, header, error, &reader);
    sequences->is_archive = header->kind == ARCHIVE_VALIDATIONS;
    sequences->digest = archive_digest_create();
    if (result == RESULT_OK) {
        result = archive_read(reader, &visitor, totals);
    }
    archive_digest_finish(&sequences->digest, digest);
    archive_close(&reader);
    if (result != RESULT_OK) {
        return result;
    }
    const char *const what = fault(sequences, digest);
    if (what != NULL) {
        (void)snprintf(error, ARCHIVE_ERROR_SIZE, "%s: %s", file, what);
        return RESULT_STORE_CORRUPT;
    }
    return RESULT_OK;
}

/* In as many slices as its cards need. */
result_t archive_check(const char *file, uint32_t room, archive_header_t *header,
                       archive_totals_t *totals, char *error)
{
    assert(room > 0 && (room & (room - 1)) == 0); /* a hash is masked */
    const size_t size = 2 * (size_t)room * sizeof(card_sequence_t);
    sequences_t sequences = {.slices = 1};
    card_sequence_t *const cards = malloc(size);
    result_t result = cards == NULL ? RESULT_NO_MEMORY : RESULT_OK;
    uint64_t slice = 0;
    while (result == RESULT_OK && slice < sequences.slices) { /* LIMIT_VERIFY_FILE_SLICES */
        memset(cards, 0, size);
        sequences =
            (sequences_t){.slices = sequences.slices, .slice = slice, .cards = cards, .room = room};
        result = file_read(file, &sequences, header, totals, error);
        slice++;
        if (result == RESULT_OK && sequences.is_full) {
            sequences.slices *= 2;
            slice = 0;
        }
        if (sequences.slices > LIMIT_VERIFY_FILE_SLICES) {
            (void)snprintf(error, ARCHIVE_ERROR_SIZE, "%s has more cards than can be checked",
                           file);
            result = RESULT_INVALID_ARGUMENT;
        }
    }
    free(cards);
    return result;
}
