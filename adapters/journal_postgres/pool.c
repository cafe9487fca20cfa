/* The role's connections: at most so many at once, for however many tenants, and few that begin.
 * Who finds none free takes that of the idle lane that is worth least, unless it was used a moment
 * ago by one worth more; else lanes wait in line. The first gets the next that is idle and may go,
 * after a while any that is idle, and when none is, that of a lane whose turn is over. */
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
    journal->connections_beginning++;
    lane->is_beginning = true;
    lane->turn_ms = 0;
    count_show(journal);
}

static void beginning_end(journal_postgres_t *journal, lane_t *lane)
{
    journal->connections_beginning -= lane->is_beginning ? 1 : 0;
    lane->is_beginning = false;
}

static void holding_remove(journal_postgres_t *journal, lane_t *lane)
{
    beginning_end(journal, lane);
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

/* --- Which connection is worth least --- */

enum { HEAT_OF_ONE_USE = 1024, HEAT_SHIFT_MAX = 63 };

/* Uses, each counting half after LIMIT_POSTGRES_HEAT_MS: a tenant that is used all the time does
 * not lose its connection to one that was used a moment ago and will not be for minutes. */
static uint64_t heat_at(const lane_t *lane, uint64_t now_ms)
{
    const uint64_t halvings = (now_ms - lane->heated_ms) / LIMIT_POSTGRES_HEAT_MS;
    return halvings > HEAT_SHIFT_MAX ? 0 : lane->heat >> halvings;
}

void pool_used(lane_t *lane, uint64_t now_ms)
{
    if (now_ms - lane->heated_ms >= LIMIT_POSTGRES_HEAT_MS) {
        lane->heat = heat_at(lane, now_ms);
        lane->heated_ms = now_ms;
    }
    lane->heat += HEAT_OF_ONE_USE;
    lane->used_ms = now_ms;
    lane->turn_ms = lane->turn_ms == 0 ? now_ms : lane->turn_ms;
}

/* The tenant's second connection: without it, reads go over the first. */
static bool is_spare(const lane_t *lane)
{
    return !lane->is_writer && !lane->tenant->readonly;
}

static bool is_worth_less(const lane_t *lane, const lane_t *than, uint64_t now_ms)
{
    if (is_spare(lane) != is_spare(than)) {
        return is_spare(lane);
    }
    const uint64_t heat = heat_at(lane, now_ms);
    const uint64_t heat_of_other = heat_at(than, now_ms);
    return heat != heat_of_other ? heat < heat_of_other : lane->used_ms < than->used_ms;
}

/* NULL: every connection is in use. */
static lane_t *idle_least(const journal_postgres_t *journal)
{
    const uint64_t now_ms = clock_monotonic_ms();
    lane_t *found = NULL;
    for (lane_t *lane = journal->holding; lane != NULL; lane = lane->holding_next) {
        if (lane->state == LANE_READY && !lane->is_pumping && lane_is_idle(lane) &&
            (found == NULL || is_worth_less(lane, found, now_ms))) {
            found = lane;
        }
    }
    return found;
}

/* --- Who gets one --- */

/* Those that begin and are not held up: by a lock, or by a server that is silent. */
static uint32_t beginnings_young(const journal_postgres_t *journal)
{
    const uint64_t now_ms = clock_monotonic_ms();
    uint32_t count = 0;
    for (const lane_t *lane = journal->holding; lane != NULL; lane = lane->holding_next) {
        const bool is_young = now_ms - lane->state_since_ms < LIMIT_POSTGRES_BEGINNING_MS;
        count += lane->is_beginning && is_young ? 1 : 0;
    }
    return count;
}

static bool may_begin(const journal_postgres_t *journal)
{
    const uint32_t share = journal->connections_max / LIMIT_POSTGRES_BEGINNING_SHARE;
    const uint32_t most = share > LIMIT_POSTGRES_BEGINNING ? share : LIMIT_POSTGRES_BEGINNING;
    return journal->connections_beginning < most || beginnings_young(journal) < most;
}

static bool has_waited(const lane_t *lane, uint64_t now_ms)
{
    return lane->state == LANE_WAITING &&
           now_ms - lane->state_since_ms >= LIMIT_POSTGRES_PATIENCE_MS;
}

/* Whether `idle` goes for `next`. One that was used a moment ago is about to be used again: giving
 * it up would make two connections instead of one, unless who waits is worth as much, or has
 * waited. */
static bool goes_for(const lane_t *idle, const lane_t *next, uint64_t now_ms)
{
    return has_waited(next, now_ms) || now_ms - idle->used_ms >= LIMIT_POSTGRES_REST_MS ||
           !is_worth_less(next, idle, now_ms);
}

bool pool_is_roomy(const journal_postgres_t *journal)
{
    return journal->waiting_first == NULL && journal->connections < journal->connections_max / 2;
}

bool pool_take(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    const bool is_first = journal->waiting_first == NULL && may_begin(journal);
    if (is_first && journal->connections >= journal->connections_max) {
        lane_t *const idle = idle_least(journal);
        if (idle != NULL && goes_for(idle, lane, clock_monotonic_ms())) {
            lane_close_connection(idle);
        }
    }
    if (is_first && journal->connections < journal->connections_max) {
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

static void line_serve(journal_postgres_t *journal)
{
    /* bounded by may_begin: each that begins is a young one */
    while (journal->waiting_first != NULL && may_begin(journal) &&
           journal->connections < journal->connections_max) {
        lane_t *const next = journal->waiting_first;
        journal->waiting_first = next->waiting_next;
        next->waiting_next = NULL;
        holding_add(journal, next);
        lane_granted(next);
    }
}

void pool_give(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    holding_remove(journal, lane);
    line_serve(journal);
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

/* Only when nobody is idle, and for one who has waited: else each lane that is in use would give
 * its connection up, and make another, whenever anybody waits. The turn begins with what it is
 * for, not with connecting: on a machine that is busy that may take longer than the turn, and the
 * connection would go from one to the next without any use. */
bool pool_wants_back(const lane_t *lane)
{
    const journal_postgres_t *const journal = lane->tenant->journal;
    const lane_t *const next = journal->waiting_first;
    if (next == NULL || lane->turn_ms == 0 || !may_begin(journal)) {
        return false;
    }
    const uint64_t now_ms = clock_monotonic_ms();
    return now_ms - lane->turn_ms >= LIMIT_POSTGRES_TURN_MS && has_waited(next, now_ms) &&
           idle_least(journal) == NULL;
}

/* Of `or_this` (or NULL) and the others that are idle, that which is worth least. */
static void first_claims(const journal_postgres_t *journal, lane_t *or_this)
{
    const lane_t *const next = journal->waiting_first;
    if (next == NULL || !may_begin(journal)) {
        return;
    }
    const uint64_t now_ms = clock_monotonic_ms();
    lane_t *idle = idle_least(journal);
    if (idle == NULL || (or_this != NULL && is_worth_less(or_this, idle, now_ms))) {
        idle = or_this;
    }
    if (idle != NULL && goes_for(idle, next, now_ms)) {
        lane_close_connection(idle); /* the first in line gets it */
    }
}

void pool_begun(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    beginning_end(journal, lane);
    line_serve(journal);
    first_claims(journal, NULL);
}

void pool_idle(lane_t *lane)
{
    first_claims(lane->tenant->journal, lane);
}

void pool_claim(lane_t *lane)
{
    journal_postgres_t *const journal = lane->tenant->journal;
    if (journal->waiting_first != lane) {
        return;
    }
    if (journal->connections < journal->connections_max) {
        line_serve(journal); /* those that begin have been held up */
    } else {
        first_claims(journal, NULL);
    }
}

bool pool_is_first(const lane_t *lane)
{
    return lane->tenant->journal->waiting_first == lane;
}
