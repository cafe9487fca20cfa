/* The fold of one batch: a working set of the cards that it changes, and sums. Must not ask a store
 * or a clock. */
#include "actors/relay/projection_fold.h"
#include <assert.h>
#include <stdlib.h>

enum {
    CARD_SLOTS = 2048,       /* a power of two, twice LIMIT_PROJECTION_EVENTS */
    COUNTER_SLOTS = 32768,   /* a power of two, above COUNTERS_MAX */
    COUNTERS_PER_EVENT = 14, /* seven sums at most, in two grains */
    COUNTERS_MAX = LIMIT_PROJECTION_EVENTS * COUNTERS_PER_EVENT,
    COUNTERS_FIRST = 256, /* room in the beginning: hours, kinds and gates repeat */
    BLOCK_SIZE = 65536,
    HOUR_MS = 3600000,
    DAY_MS = 86400000,
    SNAPSHOT_SIZE_MAX = 2048, /* its texts have 704 bytes at most */
};

_Static_assert((int)CARD_SLOTS >= 2 * LIMIT_PROJECTION_EVENTS, "the table stays half empty");
_Static_assert((int)COUNTER_SLOTS > (int)COUNTERS_MAX, "the table never fills");

/* A card that the batch changes. */
typedef struct working_card {
    uuid_t card;
    card_state_t state;
    projection_position_t position;
    uint64_t words[LIMIT_NAME_WORDS];
    uint32_t word_count;
    bool is_new; /* its first event is in this batch */
} working_card_t;

typedef struct block {
    struct block *next;
    arena_t arena;
    uint64_t bytes[];
} block_t;

struct projection_fold {
    uint32_t partition;
    size_t event_count;
    size_t card_count;
    size_t needed_count; /* of cards whose state has to be brought */
    size_t member_count;
    size_t counter_count;
    size_t counter_capacity;
    block_t *blocks;
    projection_counter_t *counters;
    projection_card_t *rows;
    event_t events[LIMIT_PROJECTION_EVENTS];
    working_card_t cards[LIMIT_PROJECTION_EVENTS];
    uint16_t card_slots[CARD_SLOTS]; /* index + 1; 0: free */
    uuid_t needed[LIMIT_PROJECTION_EVENTS];
    uint16_t needed_cards[LIMIT_PROJECTION_EVENTS]; /* which of `cards` */
    text_t members[LIMIT_PROJECTION_EVENTS];
    uint16_t counter_slots[COUNTER_SLOTS]; /* index + 1; 0: free */
};

_Static_assert((int)COUNTERS_MAX < UINT16_MAX, "indexes of counters have 16 bits");

static int64_t floor_to(int64_t time_ms, int64_t step_ms)
{
    const int64_t rest = time_ms % step_ms;
    return time_ms - rest - (rest < 0 ? step_ms : 0);
}

int64_t projection_hour(int64_t time_ms)
{
    return floor_to(time_ms, HOUR_MS);
}

int64_t projection_day(int64_t time_ms)
{
    return floor_to(time_ms, DAY_MS);
}

projection_fold_t *projection_fold_create(uint32_t partition)
{
    projection_fold_t *fold = malloc(sizeof(*fold));
    if (fold == NULL) {
        return NULL;
    }
    /* The arrays are filled as they are used: a batch is often small. */
    fold->partition = partition;
    fold->event_count = 0;
    fold->card_count = 0;
    fold->needed_count = 0;
    fold->member_count = 0;
    fold->counter_count = 0;
    fold->counter_capacity = 0;
    fold->blocks = NULL;
    fold->counters = NULL;
    fold->rows = NULL;
    memset(fold->card_slots, 0, sizeof(fold->card_slots));
    memset(fold->counter_slots, 0, sizeof(fold->counter_slots));
    return fold;
}

void projection_fold_destroy(projection_fold_t **fold)
{
    projection_fold_t *old = *fold;
    *fold = NULL;
    if (old == NULL) {
        return;
    }
    while (old->blocks != NULL) { /* bounded by the texts of a batch */
        block_t *next = old->blocks->next;
        free(old->blocks);
        old->blocks = next;
    }
    free(old->counters);
    free(old->rows);
    free(old);
}

/* --- Memory of texts --- */

static bool add_block(projection_fold_t *fold, size_t room)
{
    const size_t size = room > BLOCK_SIZE ? room : BLOCK_SIZE;
    block_t *block = malloc(sizeof(*block) + size);
    if (block == NULL) {
        return false;
    }
    block->arena = (arena_t){.base = (uint8_t *)block->bytes, .size = size, .used = 0};
    block->next = fold->blocks;
    fold->blocks = block;
    return true;
}

static uint8_t *take(projection_fold_t *fold, size_t size)
{
    uint8_t *bytes = fold->blocks == NULL ? NULL : arena_take(&fold->blocks->arena, size);
    if (bytes == NULL && add_block(fold, size)) {
        bytes = arena_take(&fold->blocks->arena, size);
    }
    return bytes;
}

/* --- Events and cards --- */

bool projection_fold_add(projection_fold_t *fold, const event_t *event)
{
    if (fold->event_count == LIMIT_PROJECTION_EVENTS ||
        (fold->blocks == NULL && !add_block(fold, BLOCK_SIZE))) {
        return false;
    }
    event_t *const copy = &fold->events[fold->event_count];
    if (!message_copy(&event_message, event, &fold->blocks->arena, copy) &&
        (!add_block(fold, BLOCK_SIZE) ||
         !message_copy(&event_message, event, &fold->blocks->arena, copy))) {
        return false;
    }
    fold->event_count += 1;
    return true;
}

size_t projection_fold_count(const projection_fold_t *fold)
{
    return fold->event_count;
}

static size_t card_hash(const uuid_t *card)
{
    uint64_t low = 0;
    memcpy(&low, card->bytes + 8, sizeof(low)); /* the random half of a UUIDv7 */
    return (size_t)((low * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (CARD_SLOTS - 1);
}

/* `is_new` when it was not there before this call. */
static working_card_t *find_card(projection_fold_t *fold, const uuid_t *card, bool *was_added)
{
    size_t slot = card_hash(card);
    while (fold->card_slots[slot] != 0) { /* bounded: the table is never full */
        working_card_t *const found = &fold->cards[fold->card_slots[slot] - 1];
        if (uuid_equal(&found->card, card)) {
            *was_added = false;
            return found;
        }
        slot = (slot + 1) & (CARD_SLOTS - 1);
    }
    working_card_t *const added = &fold->cards[fold->card_count];
    fold->card_count += 1;
    fold->card_slots[slot] = (uint16_t)fold->card_count;
    *added = (working_card_t){.card = *card};
    *was_added = true;
    return added;
}

static void need_member(projection_fold_t *fold, const event_t *event)
{
    if (!MESSAGE_HAS(event_data, &event->data, sealed_name) ||
        !MESSAGE_HAS(event_data, &event->data, member_id)) {
        return;
    }
    const text_t member_id = event->data.member_id;
    /* A family's cards come one after the other, if at all. */
    if (fold->member_count > 0 && text_equal(fold->members[fold->member_count - 1], member_id)) {
        return;
    }
    fold->members[fold->member_count] = member_id;
    fold->member_count += 1;
}

void projection_fold_prepare(projection_fold_t *fold)
{
    for (size_t i = 0; i < fold->event_count; i++) {
        const event_t *const event = &fold->events[i];
        if (card_event_is_validation(event->name)) {
            continue;
        }
        bool was_added = false;
        working_card_t *const card = find_card(fold, &event->card, &was_added);
        if (event->name == event_name_card_issued) {
            card->is_new = card->is_new || was_added;
            card->position =
                (projection_position_t){.issued_at = event->occurred_at,
                                        .event = (uint64_t)fold->partition << 56 | event->sequence};
            need_member(fold, event);
        } else if (was_added) {
            fold->needed[fold->needed_count] = event->card;
            fold->needed_cards[fold->needed_count] = (uint16_t)(fold->card_count - 1);
            fold->needed_count += 1;
        }
    }
}

const uuid_t *projection_fold_cards(const projection_fold_t *fold, size_t *count)
{
    *count = fold->needed_count;
    return fold->needed;
}

const text_t *projection_fold_members(const projection_fold_t *fold, size_t *count)
{
    *count = fold->member_count;
    return fold->members;
}

result_t projection_fold_give_card(projection_fold_t *fold, size_t index, text_t body,
                                   const projection_position_t *position)
{
    assert(index < fold->needed_count);
    working_card_t *const card = &fold->cards[fold->needed_cards[index]];
    uint8_t *const copy = body.size == 0 ? NULL : take(fold, body.size);
    if (copy == NULL) {
        return body.size == 0 ? RESULT_STORE_CORRUPT : RESULT_NO_MEMORY;
    }
    memcpy(copy, body.data, body.size);
    arena_t arena = {.base = NULL, .size = 0}; /* a snapshot has no lists */
    message_fault_t fault;
    if (!message_unpack(&card_snapshot_message, MESSAGE_KEYS_IDS, copy, body.size, &arena,
                        &card->state, &fault)) {
        return RESULT_STORE_CORRUPT;
    }
    card->position = *position;
    return RESULT_OK;
}

void projection_fold_give_words(projection_fold_t *fold, projection_hash_name_t *hash,
                                void *context)
{
    for (size_t i = 0; i < fold->event_count; i++) {
        const event_t *const event = &fold->events[i];
        if (event->name != event_name_card_issued ||
            !MESSAGE_HAS(event_data, &event->data, sealed_name) ||
            !MESSAGE_HAS(event_data, &event->data, member_id)) {
            continue;
        }
        bool was_added = false;
        working_card_t *const card = find_card(fold, &event->card, &was_added);
        assert(!was_added);
        card->word_count =
            hash(context, event->data.member_id, event->data.sealed_name, card->words);
        assert(card->word_count <= LIMIT_NAME_WORDS);
    }
}

/* --- Sums --- */

static size_t counter_hash(const projection_counter_t *counter)
{
    uint64_t hash = (uint64_t)counter->start;
    hash = (hash ^
            ((uint64_t)counter->series << 24 | (uint64_t)counter->grain << 16 | counter->kind)) *
           UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < counter->gate.size; i++) {
        hash = (hash ^ (uint8_t)counter->gate.data[i]) * UINT64_C(0x100000001b3);
    }
    return (size_t)(hash >> 32) & (COUNTER_SLOTS - 1);
}

static bool is_same_counter(const projection_counter_t *a, const projection_counter_t *b)
{
    return a->series == b->series && a->grain == b->grain && a->kind == b->kind &&
           a->start == b->start && text_equal(a->gate, b->gate);
}

static bool grow_counters(projection_fold_t *fold)
{
    const size_t capacity =
        fold->counter_capacity == 0 ? COUNTERS_FIRST : fold->counter_capacity * 2;
    projection_counter_t *const grown = realloc(fold->counters, capacity * sizeof(*fold->counters));
    if (grown == NULL) {
        return false;
    }
    fold->counters = grown;
    fold->counter_capacity = capacity;
    return true;
}

static bool count_one(projection_fold_t *fold, const projection_counter_t *counter)
{
    size_t slot = counter_hash(counter);
    while (fold->counter_slots[slot] != 0) { /* bounded: the table is never full */
        projection_counter_t *const found = &fold->counters[fold->counter_slots[slot] - 1];
        if (is_same_counter(found, counter)) {
            found->count += counter->count;
            return true;
        }
        slot = (slot + 1) & (COUNTER_SLOTS - 1);
    }
    assert(fold->counter_count < COUNTERS_MAX);
    if (fold->counter_count == fold->counter_capacity && !grow_counters(fold)) {
        return false;
    }
    fold->counters[fold->counter_count] = *counter;
    fold->counter_count += 1;
    fold->counter_slots[slot] = (uint16_t)fold->counter_count;
    return true;
}

/* In both grains. */
static bool count(projection_fold_t *fold, int64_t time_ms, uint8_t series, uint16_t kind,
                  text_t gate, int64_t amount)
{
    projection_counter_t counter = {.series = series,
                                    .grain = grain_hour,
                                    .kind = kind,
                                    .start = projection_hour(time_ms),
                                    .gate = gate,
                                    .count = amount};
    if (!count_one(fold, &counter)) {
        return false;
    }
    counter.grain = grain_day;
    counter.start = projection_day(time_ms);
    return count_one(fold, &counter);
}

static uint16_t delay_step(int64_t delay_ms)
{
    if (delay_ms < 0) {
        return PROJECTION_DELAY_AHEAD;
    }
    uint16_t step = 0;
    while (delay_ms > 0 && step < PROJECTION_DELAY_STEPS - 1) {
        delay_ms >>= 1;
        step++;
    }
    return step;
}

static bool count_validation(projection_fold_t *fold, const event_t *event)
{
    const event_data_t *const data = &event->data;
    const bool is_refused = event->name == event_name_card_validation_refused;
    const uint16_t reason = is_refused ? data->refused_as : (uint16_t)reason_valid;
    const text_t gate = MESSAGE_HAS(event_data, data, gate) ? data->gate : TEXT_NONE;
    bool is_good = count(fold, event->occurred_at, PROJECTION_SERIES_SCANS, reason, gate, 1) &&
                   (!is_refused || count(fold, event->occurred_at, PROJECTION_SERIES_REASONS,
                                         reason, TEXT_NONE, 1));
    if (is_good && MESSAGE_HAS(event_data, data, at)) {
        is_good = count(fold, event->occurred_at, PROJECTION_SERIES_DELAYS,
                        delay_step(event->occurred_at - data->at), TEXT_NONE, 1);
    }
    return is_good;
}

/* --- The fold --- */

static result_t change_card(projection_fold_t *fold, const event_t *event)
{
    bool was_added = false;
    working_card_t *const card = find_card(fold, &event->card, &was_added);
    assert(!was_added);
    if (!card_event_fits(&card->state, event->name, &event->data)) {
        return RESULT_STORE_CORRUPT;
    }
    const uint8_t before = card->state.status;
    card_evolve(&card->state, event->name, &event->card, event->occurred_at, &event->data);
    const uint8_t after = card->state.status;
    if (before == after) {
        return RESULT_OK;
    }
    const int64_t when = event->occurred_at;
    const bool is_good = (before == card_status_none ||
                          count(fold, when, PROJECTION_SERIES_LEVELS, before, TEXT_NONE, -1)) &&
                         count(fold, when, PROJECTION_SERIES_LEVELS, after, TEXT_NONE, 1);
    return is_good ? RESULT_OK : RESULT_NO_MEMORY;
}

static result_t fold_event(projection_fold_t *fold, const event_t *event)
{
    if (!count(fold, event->occurred_at, PROJECTION_SERIES_EVENTS, event->name, TEXT_NONE, 1)) {
        return RESULT_NO_MEMORY;
    }
    if (card_event_is_validation(event->name)) {
        return count_validation(fold, event) ? RESULT_OK : RESULT_NO_MEMORY;
    }
    return change_card(fold, event);
}

static result_t make_row(projection_fold_t *fold, const working_card_t *card,
                         projection_card_t *row)
{
    uint8_t packed[SNAPSHOT_SIZE_MAX];
    const size_t size = message_pack(&card_snapshot_message, &card->state, MESSAGE_KEYS_IDS, packed,
                                     sizeof(packed));
    assert(size <= sizeof(packed));
    uint8_t *const body = take(fold, size);
    if (body == NULL) {
        return RESULT_NO_MEMORY;
    }
    memcpy(body, packed, size);
    *row = (projection_card_t){
        .is_new = card->is_new,
        .card = card->card,
        .position = card->position,
        .member_id = card->state.member_id,
        .tier = MESSAGE_HAS(card_snapshot, &card->state, tier) ? card->state.tier : TEXT_NONE,
        .status = card->state.status,
        .expires_at = card->state.expires_at,
        .body = {.data = (const char *)body, .size = size},
        .words = card->words,
        .word_count = card->word_count};
    return RESULT_OK;
}

result_t projection_fold_run(projection_fold_t *fold, projection_commit_t *commit)
{
    assert(fold->event_count > 0 && fold->rows == NULL);
    result_t result = RESULT_OK;
    for (size_t i = 0; result == RESULT_OK && i < fold->event_count; i++) {
        result = fold_event(fold, &fold->events[i]);
    }
    fold->rows = calloc(fold->card_count + 1, sizeof(*fold->rows));
    if (result == RESULT_OK && fold->rows == NULL) {
        result = RESULT_NO_MEMORY;
    }
    for (size_t i = 0; result == RESULT_OK && i < fold->card_count; i++) {
        result = make_row(fold, &fold->cards[i], &fold->rows[i]);
    }
    const event_t *const last = &fold->events[fold->event_count - 1];
    *commit = (projection_commit_t){.partition = fold->partition,
                                    .to = {.sequence = last->sequence,
                                           .event_id = last->event_id,
                                           .occurred_at = last->occurred_at},
                                    .cards = fold->rows,
                                    .card_count = fold->card_count,
                                    .counters = fold->counters,
                                    .counter_count = fold->counter_count};
    return result;
}
