/* See inbox.h. Must not send, read or wait. */
#include "actors/neighbours/inbox.h"

#include "actors/domain/card_id.h"
#include <assert.h>
#include <stdlib.h>

typedef struct inbox_event inbox_event_t;
struct inbox_event {
    inbox_event_t *next;
    uint32_t partition;
    uint32_t tries;
    member_event_t event; /* texts borrow from `bytes` */
    char bytes[];
};

typedef struct inbox_partition {
    bool is_known;
    bool is_sent; /* a message is on its way */
    uint64_t watermark;
    uint64_t said; /* up_to of the message on its way */
    inbox_event_t *first;
    inbox_event_t *last;
    uint32_t count;
} inbox_partition_t;

struct inbox {
    uint32_t partition_count;
    uint32_t known_count;
    uint64_t position;
    inbox_event_t *ahead; /* by sequence, rising */
    uint32_t ahead_count;
    uint64_t waiting;
    inbox_partition_t partitions[LIMIT_PARTITIONS];
    member_event_t items[LIMIT_INBOX_MESSAGE_EVENTS];
};

inbox_t *inbox_create(uint32_t partitions)
{
    assert(partitions >= 1 && partitions <= LIMIT_PARTITIONS);
    inbox_t *inbox = calloc(1, sizeof *inbox);
    assert(inbox != NULL);
    inbox->partition_count = partitions;
    return inbox;
}

static void free_events(inbox_event_t *event)
{
    while (event != NULL) { /* LIMIT_INBOX_EVENTS */
        inbox_event_t *const next = event->next;
        free(event);
        event = next;
    }
}

void inbox_destroy(inbox_t **inbox)
{
    inbox_t *const destroyed = *inbox;
    if (destroyed == NULL) {
        return;
    }
    free_events(destroyed->ahead);
    for (uint32_t i = 0; i < destroyed->partition_count; i++) {
        free_events(destroyed->partitions[i].first);
    }
    free(destroyed);
    *inbox = NULL;
}

/* --- Watermarks --- */

static void drop_first(inbox_t *inbox, inbox_partition_t *partition)
{
    inbox_event_t *first = partition->first;
    partition->first = first->next;
    if (partition->first == NULL) {
        partition->last = NULL;
    }
    partition->count--;
    inbox->waiting--;
    free(first);
}

/* The lowest watermark is where the replay begins. */
static void open_inbox(inbox_t *inbox)
{
    inbox->position = UINT64_MAX;
    for (uint32_t i = 0; i < inbox->partition_count; i++) {
        if (inbox->partitions[i].watermark < inbox->position) {
            inbox->position = inbox->partitions[i].watermark;
        }
    }
}

void inbox_watermark(inbox_t *inbox, uint32_t number, uint64_t sequence)
{
    assert(number < inbox->partition_count);
    inbox_partition_t *partition = &inbox->partitions[number];
    partition->is_sent = false;
    if (sequence > partition->watermark) {
        partition->watermark = sequence;
    }
    if (!partition->is_known) {
        partition->is_known = true;
        inbox->known_count++;
        if (inbox_is_open(inbox)) {
            open_inbox(inbox);
        }
    }
    while (partition->first != NULL && partition->first->event.sequence <= partition->watermark) {
        drop_first(inbox, partition);
    }
}

bool inbox_is_open(const inbox_t *inbox)
{
    return inbox->known_count == inbox->partition_count;
}

uint64_t inbox_position(const inbox_t *inbox)
{
    return inbox->position;
}

uint64_t inbox_waiting(const inbox_t *inbox)
{
    return inbox->waiting;
}

/* --- Taking --- */

static text_t copy_text(char **at, text_t text)
{
    const text_t copy = {.data = *at, .size = text.size};
    if (text.size > 0) {
        memcpy(*at, text.data, text.size);
    }
    *at += text.size;
    return copy;
}

static inbox_event_t *copy_event(const inbox_t *inbox, const member_event_t *event)
{
    const bool has_member = MESSAGE_HAS(member_event, event, member_id);
    const size_t size =
        (has_member ? event->member_id.size : 0) + event->event_id.size + event->reason.size;
    inbox_event_t *copy = calloc(1, sizeof *copy + size);
    assert(copy != NULL);
    char *at = copy->bytes;
    copy->event = *event;
    copy->event.member_id = copy_text(&at, has_member ? event->member_id : TEXT_NONE);
    copy->event.event_id = copy_text(&at, event->event_id);
    copy->event.reason = copy_text(&at, event->reason);
    copy->partition =
        has_member ? placement_partition(event->member_id, inbox->partition_count) : 0;
    return copy;
}

static void append(inbox_t *inbox, inbox_event_t *event)
{
    inbox_partition_t *partition = &inbox->partitions[event->partition];
    inbox->position = event->event.sequence;
    if (event->event.sequence <= partition->watermark) {
        free(event); /* this partition was ahead of the lowest one */
        return;
    }
    event->next = NULL;
    if (partition->last != NULL) {
        partition->last->next = event;
    } else {
        partition->first = event;
    }
    partition->last = event;
    partition->count++;
    inbox->waiting++;
}

static void append_held(inbox_t *inbox)
{
    while (inbox->ahead != NULL && inbox->ahead->event.sequence <= inbox->position + 1) {
        inbox_event_t *event = inbox->ahead;
        inbox->ahead = event->next;
        inbox->ahead_count--;
        if (event->event.sequence <= inbox->position) {
            free(event);
        } else {
            append(inbox, event);
        }
    }
}

static inbox_taken_t hold(inbox_t *inbox, const member_event_t *event)
{
    inbox_event_t **place = &inbox->ahead;
    while (*place != NULL && (*place)->event.sequence < event->sequence) { /* LIMIT_INBOX_AHEAD */
        place = &(*place)->next;
    }
    if (*place != NULL && (*place)->event.sequence == event->sequence) {
        return INBOX_REPEATED;
    }
    if (inbox->ahead_count < LIMIT_INBOX_AHEAD) {
        inbox_event_t *held = copy_event(inbox, event);
        held->next = *place;
        *place = held;
        inbox->ahead_count++;
    }
    return INBOX_AHEAD;
}

bool inbox_reaches(const inbox_t *inbox, uint64_t sequence)
{
    const uint64_t ahead_max =
        inbox->position == 0 ? (uint64_t)LIMIT_INBOX_FIRST : (uint64_t)LIMIT_INBOX_JUMP;
    return sequence <= inbox->position || sequence - inbox->position <= ahead_max;
}

inbox_taken_t inbox_take(inbox_t *inbox, const member_event_t *event)
{
    if (!inbox_is_open(inbox)) {
        return INBOX_FULL;
    }
    if (event->sequence <= inbox->position) {
        return INBOX_REPEATED;
    }
    if (!inbox_reaches(inbox, event->sequence)) {
        return INBOX_BEYOND;
    }
    if (inbox->waiting >= LIMIT_INBOX_EVENTS) {
        return INBOX_FULL;
    }
    if (event->sequence > inbox->position + 1) {
        return hold(inbox, event);
    }
    append(inbox, copy_event(inbox, event));
    append_held(inbox);
    return INBOX_TAKEN;
}

void inbox_pass_gap(inbox_t *inbox, uint64_t sequence)
{
    if (inbox_is_open(inbox) && sequence > inbox->position + 1 && inbox_reaches(inbox, sequence)) {
        inbox->position = sequence - 1;
        append_held(inbox);
    }
}

bool inbox_has_gap(const inbox_t *inbox)
{
    return inbox->ahead != NULL;
}

/* --- Handing over --- */

bool inbox_next(inbox_t *inbox, uint32_t number, uint32_t limit, member_events_t *message)
{
    inbox_partition_t *partition = &inbox->partitions[number];
    if (partition->is_sent) {
        return false;
    }
    *message = (member_events_t){0};
    if (!partition->is_known) {
        MESSAGE_SET(member_events, message, up_to, 0); /* asks */
        partition->is_sent = true;
        return true;
    }
    uint32_t count = 0;
    const inbox_event_t *event = partition->first;
    while (event != NULL && count < limit && count < LIMIT_INBOX_MESSAGE_EVENTS) {
        inbox->items[count] = event->event;
        count++;
        event = event->next;
    }
    const bool is_all = event == NULL;
    const uint64_t up_to = is_all ? inbox->position : inbox->items[count - 1].sequence;
    if (!inbox_is_open(inbox) || up_to <= partition->watermark) {
        return false;
    }
    /* One without events is told only now and then: its watermark shortens the next start. */
    if (count == 0 && up_to - partition->watermark < LIMIT_INBOX_SILENT_EVENTS) {
        return false;
    }
    MESSAGE_SET(member_events, message, up_to, up_to);
    if (count > 0) {
        message->items = inbox->items;
        message->items_count = count;
        MESSAGE_MARK(member_events, message, items);
    }
    partition->is_sent = true;
    partition->said = up_to;
    return true;
}

void inbox_again(inbox_t *inbox, uint32_t partition)
{
    inbox->partitions[partition].is_sent = false;
}

uint32_t inbox_count_try(inbox_t *inbox, uint32_t partition)
{
    inbox_event_t *first = inbox->partitions[partition].first;
    if (first == NULL) {
        return 0;
    }
    first->tries++;
    return first->tries;
}

void inbox_give_up_first(inbox_t *inbox, uint32_t partition)
{
    inbox_event_t *first = inbox->partitions[partition].first;
    if (first != NULL) {
        MESSAGE_SET(member_event, &first->event, is_dead, true);
    }
}
