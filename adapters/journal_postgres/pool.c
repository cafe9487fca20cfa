/* The role's connections: at most so many at once, for however many tenants. Who finds none free
 * takes that of the lane that has been idle for longest; when none is idle, lanes wait in line, and
 * those with a connection give it up after their turn, busy or not. */
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/clock.h"
#include <assert.h>

static void count_show(const journal_postgres_t *journal)
{
    if (journal->connections_open != NULL) {
        metric_set(journal->connections_open, journal->connections);
    }
}

static void holding_add(journal_postgres_t *journal, lane_t *lane)
{
    lane->holding_previous = NULL;
    lane->holding_next = journal->holding;
    if (journal->holding != NULL) {
        journal->holding->holding_previous = lane;
    }
    journal->holding = lane;
    journal->connections++;
    lane->granted_ms = clock_monotonic_ms();
    count_show(journal);
}

static void holding_remove(journal_postgres_t *journal, lane_t *lane)
{
    if (lane->holding_previous == NULL) {
        assert(journal->holding == lane);
        journal->holding = lane->holding_next;
    } else {
        lane->holding_previous->holding_next = lane->holding_next;
    }
    if (lane->holding_next != NULL) {
        lane->holding_next->holding_previous = lane->holding_previous;
    }
    journal->connections--;
    count_show(journal);
}

/* NULL: every connection is in use. */
static lane_t *idle_longest(const journal_postgres_t *journal)
{
    lane_t *found = NULL;
    for (lane_t *lane = journal->holding; lane != NULL; lane = lane->holding_next) {
        if (lane->state == LANE_READY && !lane->is_pumping && lane_is_idle(lane) &&
            (found == NULL || lane->used_ms < found->used_ms)) {
            found = lane;
        }
    }
    return found;
}

bool pool_take(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    if (journal->connections >= journal->connections_max && journal->waiting_first == NULL) {
        lane_t *const idle = idle_longest(journal);
        if (idle != NULL) {
            lane_close_connection(idle);
        }
    }
    if (journal->connections < journal->connections_max && journal->waiting_first == NULL) {
        holding_add(journal, lane);
        return true;
    }
    lane->waiting_next = NULL;
    if (journal->waiting_first == NULL) {
        journal->waiting_first = lane;
    } else {
        journal->waiting_last->waiting_next = lane;
    }
    journal->waiting_last = lane;
    return false;
}

void pool_give(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    holding_remove(journal, lane);
    lane_t *const next = journal->waiting_first;
    if (next != NULL && journal->connections < journal->connections_max) {
        journal->waiting_first = next->waiting_next;
        next->waiting_next = NULL;
        holding_add(journal, next);
        lane_granted(next);
    }
}

void pool_cancel(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    lane_t *previous = NULL;
    lane_t *at = journal->waiting_first;
    while (at != lane) { /* it is in the line */
        assert(at != NULL);
        previous = at;
        at = at->waiting_next;
    }
    if (previous == NULL) {
        journal->waiting_first = lane->waiting_next;
    } else {
        previous->waiting_next = lane->waiting_next;
    }
    if (journal->waiting_last == lane) {
        journal->waiting_last = previous;
    }
    lane->waiting_next = NULL;
}

bool pool_wants_back(const lane_t *lane)
{
    return lane->tenant->journal->waiting_first != NULL &&
           clock_monotonic_ms() - lane->granted_ms >= LIMIT_POSTGRES_TURN_MS;
}

void pool_idle(lane_t *lane)
{
    if (lane->tenant->journal->waiting_first != NULL) {
        lane_close_connection(lane);
    }
}
