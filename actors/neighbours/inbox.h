/* Events of the membership context on their way to the partitions of one tenant: put in order by
 * their sequence, gaps filled from the replay endpoint, then handed to each partition in order, one
 * message at a time, until it says that they are durable. Pure bookkeeping: who reads pages and
 * sends messages is membership_desk.c. Bounded: beyond LIMIT_INBOX_EVENTS it takes no more, and
 * what it did not take is read again. */
#ifndef ACTORS_INBOX_H
#define ACTORS_INBOX_H

#include "messages/messages.h"
#include "runtime/limits.h"

typedef struct inbox inbox_t;

/* Begins without knowing how far the partitions are. */
inbox_t *inbox_create(uint32_t partitions);
void inbox_destroy(inbox_t **inbox);

/* A partition says how far it is. Before all have, nothing is taken. Later: what was sent to it is
 * applied up to there. */
void inbox_watermark(inbox_t *inbox, uint32_t partition, uint64_t sequence);
/* All watermarks are known. */
bool inbox_is_open(const inbox_t *inbox);
/* Everything up to this was taken, without a gap. */
uint64_t inbox_position(const inbox_t *inbox);

typedef enum inbox_taken {
    INBOX_TAKEN,    /* the next one, and perhaps some held ones after it */
    INBOX_REPEATED, /* known already */
    INBOX_AHEAD,    /* held, or not even that: the gap before it has to be read */
    INBOX_FULL,
    INBOX_BEYOND, /* so far ahead that it would be the end of the sequence: not taken, not held */
} inbox_taken_t;
/* Whether an event of that sequence may be the next one, with everything before it passed over. */
bool inbox_reaches(const inbox_t *inbox, uint64_t sequence);
/* Copies the event. */
inbox_taken_t inbox_take(inbox_t *inbox, const member_event_t *event);
/* A page of the replay endpoint said that there is nothing between position and `sequence`. */
void inbox_pass_gap(inbox_t *inbox, uint64_t sequence);
bool inbox_has_gap(const inbox_t *inbox);

/* The next message for a partition; false: nothing to say, or one is on its way. `limit` events at
 * most. `items` borrows from the inbox until the next call. */
bool inbox_next(inbox_t *inbox, uint32_t partition, uint32_t limit, member_events_t *message);
/* It did not get there or was refused: to be sent again. */
void inbox_again(inbox_t *inbox, uint32_t partition);
/* The first waiting event of a partition is poison: it goes as a dead letter from now on. */
void inbox_give_up_first(inbox_t *inbox, uint32_t partition);
/* Of the first waiting event; counts the tries. */
uint32_t inbox_count_try(inbox_t *inbox, uint32_t partition);
uint64_t inbox_waiting(const inbox_t *inbox);

#endif
