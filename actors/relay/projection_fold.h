/* From events to what the read models store (actors/ports/projections.h): cards as lists show them
 * and numbers of the rollups. Pure: the fold of one batch of one partition, in memory; the caller
 * brings the states of cards that the batch changes and the words of names, and commits.
 *
 * Cards: card_evolve of the card's events, validations left out, since no list shows them (so the
 * card_sequence in a row's snapshot counts changes only).
 *
 * Rollups, for the hour and the day of `occurred_at`, each a sum over events, so that any order of
 * partitions and any size of batches gives the same:
 *   EVENTS   one for the event
 *   LEVELS   one less of the status that a card leaves, one more of the one that it comes to
 *   REASONS  one for a refused validation, by reason
 *   SCANS    one for a validation, by gate and reason (`valid` for those let in)
 *   DELAYS   one for a validation whose scanner named a moment (`at`): the step of
 *            occurred_at - at, both of milliseconds: step 0 is none, step n is below 2^n. The event
 *            carries no other pair of times, so this is the only latency the journal can tell. */
#ifndef ACTORS_PROJECTION_FOLD_H
#define ACTORS_PROJECTION_FOLD_H

#include "actors/domain/card.h"
#include "actors/ports/projections.h"

enum {
    PROJECTION_DELAY_STEPS = 45,  /* 2^44 ms are 557 years */
    PROJECTION_DELAY_AHEAD = 100, /* `at` lies after the decision */
};

int64_t projection_hour(int64_t time_ms); /* beginning of the hour, UTC */
int64_t projection_day(int64_t time_ms);

typedef struct projection_fold projection_fold_t;

/* NULL when memory is out. */
projection_fold_t *projection_fold_create(uint32_t partition);
void projection_fold_destroy(projection_fold_t **fold);

/* Copies the event, which follows on the one before. False when the batch is full (the event is
 * not in it) or memory is out. */
bool projection_fold_add(projection_fold_t *fold, const event_t *event);
size_t projection_fold_count(const projection_fold_t *fold);

/* Works out what the fold needs. Call once, after the last event. */
void projection_fold_prepare(projection_fold_t *fold);
/* Cards whose state before the batch is needed, and members whose names are to be hashed (their
 * new cards carry a sealed name). Valid until the fold is destroyed. */
const uuid_t *projection_fold_cards(const projection_fold_t *fold, size_t *count);
const text_t *projection_fold_members(const projection_fold_t *fold, size_t *count);
/* State of card `index` as it is stored. STORE_CORRUPT when it cannot be read or is not there. */
MUST_USE result_t projection_fold_give_card(projection_fold_t *fold, size_t index, text_t body,
                                            const projection_position_t *position);
/* Hashes of the words of a name. `hash` is asked for each sealed name of member `index`; it writes
 * at most LIMIT_NAME_WORDS and returns how many. */
typedef uint32_t projection_hash_name_t(void *context, text_t member_id, text_t sealed_name,
                                        uint64_t hashes[LIMIT_NAME_WORDS]);
void projection_fold_give_words(projection_fold_t *fold, projection_hash_name_t *hash,
                                void *context);

/* Folds. `commit` borrows from the fold; `from` and `is_complete` are the caller's to fill.
 * STORE_CORRUPT when an event cannot follow on the state it meets. NO_MEMORY. */
MUST_USE result_t projection_fold_run(projection_fold_t *fold, projection_commit_t *commit);

#endif
