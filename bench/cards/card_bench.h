/* What the yardsticks about cards share: a shard as `serve` composes it, without channels: requests
 * go straight into shard_receive, replies come straight back. The journal is the embedded store in
 * a directory of its own, or one that keeps nothing (journal_nothing.c). */
#ifndef BENCH_CARDS_CARD_BENCH_H
#define BENCH_CARDS_CARD_BENCH_H

#include "actors/shard/shard.h"
#include "bench/bench.h"

/* Aborts with a sentence: a benchmark that cannot run is no benchmark. */
void card_bench_must(result_t result, const char *what);

typedef struct card_bench {
    char directory[256]; /* empty: nothing is stored */
    loop_t *loop;
    metrics_t *metrics;
    control_store_t *control;
    journal_t *journal;
    shard_t *shard;
    crypto_key_t master_key;
    uint64_t actor_bytes_max;
    uint64_t incarnation;
    uint64_t sent;
    uint64_t answered;
    uint64_t wanted;             /* answers until the loop stops */
    void (*next)(void *context); /* after each answer: what keeps the window full */
    void *next_context;
    uuid_t *cards; /* by number; filled by card_bench_issue's answers */
    uint64_t card_count;
} card_bench_t;

/* Makes the directory below `parent`, a tenant and a running shard. */
void card_bench_begin(card_bench_t *bench, const char *parent, bool stored, uint64_t cards);
void card_bench_end(card_bench_t *bench);
/* A new shard with nothing resident over the same store. `drained`: the old one ended in order,
 * else as if killed (what was committed is there, and nothing else happened). */
void card_bench_restart(card_bench_t *bench, bool drained);

/* Requests; the answer is checked when it comes. */
void card_bench_send_issue(card_bench_t *bench, uint64_t number);
void card_bench_send_validate(card_bench_t *bench, uint64_t number);
void card_bench_send_get(card_bench_t *bench, uint64_t number);
/* Calls `send(bench, i)` for 0 … count - 1, CARD_BENCH_WINDOW under way at a time, and waits for
 * all answers. `order` (may be NULL) says which number comes when. */
typedef void card_bench_send_t(card_bench_t *bench, uint64_t number);
void card_bench_send_all(card_bench_t *bench, card_bench_send_t *send, uint64_t count,
                         const uint32_t *order);
enum { CARD_BENCH_WINDOW = 1000 }; /* below LIMIT_MAILBOX_MESSAGES of the tenant that opens */

control_store_t *card_bench_control_create(const crypto_key_t *master_key);
void card_bench_control_destroy(control_store_t **control);
journal_t *card_bench_journal_nothing_create(loop_t *loop);
void card_bench_journal_nothing_destroy(journal_t **journal);

typedef struct card_bench_options {
    uint64_t count;
    uint64_t runs;
    uint64_t validations; /* of each card, before the shard is drained */
    uint64_t tail;        /* of these, how many no snapshot covers; UINT64_MAX: as it comes */
    const char *directory;
    bool json;
} card_bench_options_t;

int card_bench_activate(const card_bench_options_t *options);
int card_bench_resident(const card_bench_options_t *options);

#endif
