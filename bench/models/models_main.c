/* digitalcard-bench fill: a tenant with many cards and events, written through the journal port
 * into a data directory that no service uses, so that lists, rollups, activations and starts can be
 * measured on a large tenant. Half a year of validations at some gates; holders have no names. */
#include "bench/bench.h"

#include "actors/domain/card_id.h"
#include "actors/ports/journal.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "runtime/clock.h"
#include "runtime/loop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GATES = 8,
    BODY_SIZE = 256,
    BATCH = LIMIT_BATCH_EVENTS,
    HALF_YEAR_S = 15552000,
    CARDS_MAX = 10000000,
};

typedef struct fill {
    loop_t *loop;
    journal_t *journal;
    journal_tenant_t *tenant;
    journal_partition_t partition;
    result_t result;
    uint64_t seed;
    uint64_t cards_wanted;
    uint64_t events_wanted;
    uint64_t cards; /* issued */
    uint64_t events;
    uuid_t *ids;
    uint32_t *sequences;
    journal_event_t batch[BATCH];
    journal_snapshot_t snapshots[BATCH];
    uint8_t bodies[2 * BATCH][BODY_SIZE];
    char members[BATCH][24];
    size_t event_count;
    size_t snapshot_count;
} fill_t;

static uint64_t draw(fill_t *fill)
{
    fill->seed = fill->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return fill->seed >> 20;
}

static void opened(void *context, const journal_opened_t *opened)
{
    fill_t *const fill = context;
    fill->result = opened->result;
    if (opened->result == RESULT_OK) {
        fill->tenant = opened->tenant;
        fill->partition = opened->partitions[0];
    }
    loop_stop(fill->loop);
}

static void stored(void *context, result_t result)
{
    fill_t *const fill = context;
    fill->result = result;
    loop_stop(fill->loop);
}

/* --- Events --- */

static int64_t time_of(const fill_t *fill)
{
    const uint64_t position = fill->events * HALF_YEAR_S / fill->events_wanted;
    return clock_wall_ms() - (int64_t)HALF_YEAR_S * 1000 + (int64_t)position * 1000;
}

static text_t pack(fill_t *fill, const message_type_t *type, const void *message, size_t place)
{
    uint8_t *const bytes = fill->bodies[place];
    const size_t size = message_pack(type, message, MESSAGE_KEYS_IDS, bytes, BODY_SIZE);
    return (text_t){.data = (const char *)bytes, .size = size <= BODY_SIZE ? size : 0};
}

static void add_event(fill_t *fill, uint64_t card, uint8_t name, const event_data_t *data)
{
    journal_event_t *const event = &fill->batch[fill->event_count];
    *event = (journal_event_t){.card = fill->ids[card],
                               .card_sequence = ++fill->sequences[card],
                               .version = fill->sequences[card] < 2 ? 1 : 2,
                               .occurred_at = time_of(fill),
                               .name = name,
                               .body = pack(fill, &event_data_message, data, fill->event_count)};
    const uint64_t random = draw(fill);
    memcpy(event->event_id.bytes, &fill->events, 8);
    memcpy(event->event_id.bytes + 8, &random, 8);
    fill->event_count++;
    fill->events++;
}

static void add_snapshot(fill_t *fill, uint64_t card, const event_data_t *issued)
{
    const size_t place = fill->snapshot_count;
    card_snapshot_t state = {0};
    MESSAGE_SET(card_snapshot, &state, id, fill->ids[card]);
    MESSAGE_SET(card_snapshot, &state, member_id, issued->member_id);
    MESSAGE_SET(card_snapshot, &state, tier, issued->tier);
    MESSAGE_SET(card_snapshot, &state, status, card_status_active);
    MESSAGE_SET(card_snapshot, &state, valid_from, issued->valid_from);
    MESSAGE_SET(card_snapshot, &state, expires_at, issued->expires_at);
    MESSAGE_SET(card_snapshot, &state, issued_at, issued->valid_from);
    MESSAGE_SET(card_snapshot, &state, version, 2);
    MESSAGE_SET(card_snapshot, &state, card_sequence, 2);
    MESSAGE_SET(card_snapshot, &state, was_activated, true);
    MESSAGE_SET(card_snapshot, &state, is_suspended, false);
    fill->snapshots[place] =
        (journal_snapshot_t){.card = fill->ids[card],
                             .member_id = issued->member_id,
                             .tier = issued->tier,
                             .status = card_status_active,
                             .expires_at = issued->expires_at,
                             .card_sequence = 2,
                             .body = pack(fill, &card_snapshot_message, &state, BATCH + place)};
    fill->snapshot_count++;
}

static void issue(fill_t *fill)
{
    static const char *const tiers[] = {"standard", "silver", "gold", "honorary"};
    const uint64_t card = fill->cards++;
    uint8_t random[10];
    const uint64_t low = draw(fill);
    memcpy(random, &low, 8);
    memcpy(random + 8, &card, 2);
    fill->ids[card] = card_id_make(time_of(fill), 0, random);
    char *const member = fill->members[fill->snapshot_count];
    const int size = snprintf(member, 24, "m-%llu", (unsigned long long)card);
    event_data_t data = {0};
    MESSAGE_SET(event_data, &data, member_id, ((text_t){.data = member, .size = (size_t)size}));
    MESSAGE_SET(event_data, &data, tier, text_from_c(tiers[draw(fill) % 16 / 5]));
    MESSAGE_SET(event_data, &data, valid_from, time_of(fill));
    MESSAGE_SET(event_data, &data, expires_at,
                clock_wall_ms() + (int64_t)(draw(fill) % 63072000) * 1000);
    add_event(fill, card, event_name_card_issued, &data);
    add_event(fill, card, event_name_card_activated, &(event_data_t){0});
    add_snapshot(fill, card, &data);
}

static void validate(fill_t *fill)
{
    static const char *const gates[GATES] = {"north", "south", "east",  "west",
                                             "pool",  "court", "sauna", "garage"};
    event_data_t data = {0};
    const bool is_refused = draw(fill) % 50 == 0;
    MESSAGE_SET(event_data, &data, gate, text_from_c(gates[draw(fill) % GATES]));
    if (draw(fill) % 4 == 0) {
        MESSAGE_SET(event_data, &data, at, time_of(fill) - (int64_t)(draw(fill) % 2000));
    }
    if (is_refused) {
        MESSAGE_SET(event_data, &data, refused_as, reason_not_yet_valid);
    }
    add_event(fill, draw(fill) % fill->cards,
              is_refused ? event_name_card_validation_refused : event_name_card_validated, &data);
}

/* --- Batches --- */

static bool store_batch(fill_t *fill)
{
    const journal_batch_t batch = {.partition = 0,
                                   .epoch = fill->partition.epoch,
                                   .head = fill->partition.head,
                                   .events = fill->batch,
                                   .event_count = fill->event_count,
                                   .snapshots = fill->snapshots,
                                   .snapshot_count = fill->snapshot_count};
    fill->result = fill->journal->functions->append(fill->tenant, &batch, stored, fill);
    if (fill->result == RESULT_OK) {
        loop_run(fill->loop);
    }
    fill->partition.head += fill->event_count;
    fill->event_count = 0;
    fill->snapshot_count = 0;
    return fill->result == RESULT_OK;
}

static bool fill_tenant(fill_t *fill)
{
    bool is_good = true;
    while (is_good && (fill->cards < fill->cards_wanted || fill->events < fill->events_wanted)) {
        while (fill->event_count + 2 <= BATCH &&
               (fill->cards < fill->cards_wanted || fill->events < fill->events_wanted)) {
            if (fill->cards < fill->cards_wanted) {
                issue(fill);
            } else {
                validate(fill);
            }
        }
        is_good = store_batch(fill);
    }
    return is_good;
}

static int run_on(fill_t *fill, const char *data, const char *tenant)
{
    if (loop_create(&fill->loop) != RESULT_OK ||
        journal_sqlite_create(fill->loop, NULL, data, &fill->journal) != RESULT_OK ||
        fill->journal->functions->open(fill->journal, text_from_c(tenant), TEXT_LITERAL("fill"),
                                       opened, fill) != RESULT_OK) {
        return BENCH_EXIT_FAILED;
    }
    loop_run(fill->loop);
    const uint64_t begin_us = clock_monotonic_us();
    const bool is_good = fill->result == RESULT_OK && fill_tenant(fill);
    const double seconds = (double)(clock_monotonic_us() - begin_us) / 1e6;
    if (fill->tenant != NULL) {
        fill->journal->functions->close(fill->journal, &fill->tenant);
    }
    journal_sqlite_destroy(&fill->journal);
    loop_destroy(&fill->loop);
    if (!is_good) {
        (void)fprintf(stderr, "digitalcard-bench: fill: %s\n", result_title(fill->result));
        return BENCH_EXIT_FAILED;
    }
    (void)printf("%llu cards, %llu events in %.1f s: %.0f events/s\n",
                 (unsigned long long)fill->cards, (unsigned long long)fill->events, seconds,
                 (double)fill->events / seconds);
    return BENCH_EXIT_OK;
}

static int run(int argc, char **argv)
{
    static const char usage[] = "Usage: digitalcard-bench fill DATA TENANT CARDS EVENTS\n"
                                "Writes cards and events into an empty tenant of one partition; no "
                                "service may run.\n";
    const bool has_all = argc == 5;
    const uint64_t cards = has_all ? strtoull(argv[3], NULL, 10) : 0;
    const uint64_t events = has_all ? strtoull(argv[4], NULL, 10) : 0;
    if (cards == 0 || cards > CARDS_MAX || events < 2 * cards) {
        (void)fputs(usage, stderr);
        return BENCH_EXIT_USAGE;
    }
    fill_t *fill = calloc(1, sizeof(*fill));
    uuid_t *ids = calloc(cards, sizeof(*ids));
    uint32_t *sequences = calloc(cards, sizeof(*sequences));
    int status = BENCH_EXIT_FAILED;
    if (fill != NULL && ids != NULL && sequences != NULL) {
        fill->seed = 1;
        fill->cards_wanted = cards;
        fill->events_wanted = events;
        fill->ids = ids;
        fill->sequences = sequences;
        status = run_on(fill, argv[1], argv[2]);
    }
    free(sequences);
    free(ids);
    free(fill);
    return status;
}

const bench_command_t bench_fill_command = {
    .name = "fill", .help = "a tenant with many cards and events, to measure on", .run = run};
