/* digitalcard-bench journal: a store alone, through its port. What its files share. */
#ifndef BENCH_JOURNAL_JOURNAL_BENCH_H
#define BENCH_JOURNAL_JOURNAL_BENCH_H

#include "actors/domain/card.h"
#include "actors/ports/control_store.h"
#include "actors/ports/journal.h"
#include "bench/bench.h"
#include "runtime/loop.h"

typedef struct journal_bench_options {
    const char *store;     /* "sqlite" or a PostgreSQL URL */
    const char *directory; /* SQLite: where a store is made below, and removed; --fill: the data */
    const char *tenant;    /* --fill: of the data directory */
    uint64_t batch;        /* events of one */
    uint64_t clients;      /* each waits for its event; 0: batches are always full */
    uint64_t tenants;
    uint64_t partitions; /* of each */
    uint64_t cards;      /* of all */
    uint64_t events;     /* per card, --fill */
    uint64_t seconds;    /* of a run */
    uint64_t runs;
    uint64_t loads; /* of cold cards after --fill */
    bool fill;
    bool json;
} journal_bench_options_t;

/* --- journal_place.c: a store of its own, or one that is there --- */

typedef struct journal_place {
    const journal_bench_options_t *options;
    char directory[256]; /* removed at the end; empty: stays */
    loop_t *loop;
    control_store_t *control; /* PostgreSQL: where tenants are made and found */
    journal_t *journal;
} journal_place_t;

void journal_place_begin(journal_place_t *place, const journal_bench_options_t *options);
/* Makes tenant "bench-N". */
void journal_place_tenant(const journal_place_t *place, uint64_t number, char name[40]);
/* Opens it for writing and waits. */
journal_opened_t journal_place_open(journal_place_t *place, const char *name,
                                    journal_partition_t partitions[LIMIT_PARTITIONS]);
void journal_place_close(journal_place_t *place, journal_tenant_t **tenant);
void journal_place_end(journal_place_t *place);

/* Aborts with a sentence: a benchmark that cannot run is no benchmark. */
void journal_bench_must(result_t result, const char *what);

/* --- journal_events.c: what real cards would have written --- */

enum { JOURNAL_BENCH_BODY_SIZE = 512 };

/* Card `number` of a partition: id and member follow from both. */
uuid_t journal_bench_card(uint32_t partition, uint64_t number);
/* Its event number `sequence`, and the state afterwards as a snapshot when `snapshot` is given.
 * `bodies` has room for two of JOURNAL_BENCH_BODY_SIZE. 1 issues, 2 activates, later ones validate.
 */
void journal_bench_event(uint32_t partition, uint64_t number, uint64_t sequence,
                         journal_event_t *event, journal_snapshot_t *snapshot, uint8_t *bodies);

/* --- journal_load.c --- */

typedef struct journal_writer journal_writer_t;

/* Chooses the card of the next event: its number. False: there is no more to write. */
typedef bool journal_next_t(void *context, journal_writer_t *writer, uint64_t *card,
                            uint64_t *sequence);

typedef struct journal_load_plan {
    journal_next_t *next;
    void *context;
    uint64_t batch;
    uint64_t clients; /* of all writers; 0: batches are always full */
    uint64_t end_us;  /* no batch begins later; 0: until there is no more */
} journal_load_plan_t;

struct journal_writer {
    journal_tenant_t *tenant;
    uint32_t number;    /* among all writers */
    uint32_t partition; /* of its tenant */
    journal_partition_t at;
    uint64_t cards;      /* of this writer */
    uint16_t *sequences; /* events of each so far */
    uint64_t random;
    /* The batch that is under way. */

    struct load_state *load;
    uint64_t waiting; /* clients that have an event for the next batch */
    journal_batch_t batch;
    journal_event_t events[LIMIT_BATCH_EVENTS];
    journal_snapshot_t snapshots[LIMIT_BATCH_EVENTS];
    uint8_t (*bodies)[2 * JOURNAL_BENCH_BODY_SIZE];
    uint64_t submitted_us;
};

typedef struct journal_load_figures {
    uint64_t events;
    uint64_t batches;
    uint64_t elapsed_us;
    double batch_p50_us;
    double batch_p99_us;
    double batch_max_us;
} journal_load_figures_t;

/* Runs the plan on all writers until nothing is under way. */
journal_load_figures_t journal_load_run(loop_t *loop, journal_t *journal, journal_writer_t *writers,
                                        uint32_t count, const journal_load_plan_t *plan);

#endif
