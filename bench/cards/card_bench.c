/* A shard without channels, and how a yardstick speaks to it. */
#include "bench/cards/card_bench.h"

#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define YEAR_MS INT64_C(31536000000)

void card_bench_must(result_t result, const char *what)
{
    if (result != RESULT_OK) {
        fprintf(stderr, "digitalcard-bench: %s: %s\n", what, result_title(result));
        abort();
    }
}

/* --- Answers --- */

static void take_reply(void *context, uint32_t peer, const uint8_t *bytes, size_t size)
{
    (void)peer;
    card_bench_t *const bench = context;
    envelope_t envelope;
    message_fault_t fault;
    arena_t arena = {0};
    const bool is_whole =
        message_unpack(&envelope_message, MESSAGE_KEYS_IDS, bytes, size, &arena, &envelope, &fault);
    card_bench_must(is_whole ? RESULT_OK : RESULT_INTERNAL, "a reply");
    if (!MESSAGE_HAS(envelope, &envelope, reply)) {
        return; /* credit */
    }
    const reply_t *const reply = &envelope.reply;
    card_bench_must(reply->outcome == outcome_error ? (result_t)reply->error : RESULT_OK,
                    "a request");
    if (MESSAGE_HAS(reply, reply, created) && reply->created) {
        bench->cards[reply->correlation] = reply->card;
    }
    bench->answered++;
    if (bench->next != NULL) {
        bench->next(bench->next_context);
    }
    if (bench->answered == bench->wanted) {
        loop_stop(bench->loop);
    }
}

static void take_event(void *context, const uint8_t *envelope, size_t size)
{
    (void)context;
    (void)envelope;
    (void)size;
}

/* --- Begin and end --- */

static void start(card_bench_t *bench)
{
    card_bench_must(loop_create(&bench->loop), "the loop");
    bench->metrics = metrics_create("bench");
    if (*bench->directory == '\0') {
        bench->journal = card_bench_journal_nothing_create(bench->loop);
    } else {
        card_bench_must(
            journal_sqlite_create(bench->loop, bench->metrics, bench->directory, &bench->journal),
            "the journal");
    }
    const shard_ports_t ports = {
        .journal = bench->journal,
        .control = bench->control,
        .crypto = &signer_functions,
        .master_key = bench->master_key,
        .reply = take_reply,
        .publish = take_event,
        .context = bench,
        .wall_ms = clock_wall_ms,
        .random_fill = random_fill,
    };
    shard_options_t options = {.shards = 1, .actor_bytes_max = bench->actor_bytes_max};
    bench->incarnation++;
    (void)snprintf(options.incarnation, sizeof(options.incarnation), "shard-0.%" PRIu64,
                   bench->incarnation);
    card_bench_must(shard_create(bench->loop, bench->metrics, &ports, &options, &bench->shard),
                    "the shard");
}

static void drained(void *context)
{
    loop_stop(((card_bench_t *)context)->loop);
}

static void stop(card_bench_t *bench, bool in_order)
{
    if (in_order) {
        shard_drain(bench->shard, drained, bench);
        loop_run(bench->loop);
    }
    shard_destroy(&bench->shard);
    if (*bench->directory == '\0') {
        card_bench_journal_nothing_destroy(&bench->journal);
    } else {
        journal_sqlite_destroy(&bench->journal);
    }
    metrics_destroy(&bench->metrics);
    loop_destroy(&bench->loop);
}

void card_bench_begin(card_bench_t *bench, const char *parent, bool stored, uint64_t cards)
{
    card_bench_must(signer_start(), "libsodium");
    random_fill(bench->master_key.bytes, sizeof(bench->master_key.bytes));
    bench->control = card_bench_control_create(&bench->master_key);
    bench->cards = calloc(cards, sizeof(*bench->cards));
    card_bench_must(bench->cards == NULL ? RESULT_NO_MEMORY : RESULT_OK, "memory");
    memset(bench->cards, 0, cards * sizeof(*bench->cards)); /* resident before it is measured */
    bench->card_count = cards;
    if (stored) {
        (void)snprintf(bench->directory, sizeof(bench->directory), "%s/digitalcard-bench-XXXXXX",
                       parent);
        char tenants[300];
        const bool is_made =
            mkdtemp(bench->directory) != NULL &&
            snprintf(tenants, sizeof(tenants), "%s/tenants", bench->directory) > 0 &&
            mkdir(tenants, 0700) == 0;
        card_bench_must(is_made ? RESULT_OK : RESULT_PERMISSION_DENIED, "the directory");
        card_bench_must(journal_sqlite_create_tenant(bench->directory, TEXT_LITERAL("acme"), 1),
                        "the journal of the tenant");
    }
    start(bench);
}

void card_bench_end(card_bench_t *bench)
{
    stop(bench, true);
    card_bench_control_destroy(&bench->control);
    free(bench->cards);
    if (*bench->directory == '\0') {
        return;
    }
    static const char *const names[] = {"tenants/acme.db", "tenants/acme.db-wal",
                                        "tenants/acme.db-shm"};
    char path[300];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", bench->directory, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/tenants", bench->directory);
    (void)rmdir(path);
    (void)rmdir(bench->directory);
}

void card_bench_restart(card_bench_t *bench, bool in_order)
{
    stop(bench, in_order);
    start(bench);
}

/* --- Requests --- */

static void send_request(card_bench_t *bench, uint64_t correlation, uint8_t type,
                         const uuid_t *card, const message_type_t *body_type, const void *body)
{
    uint8_t packed[512];
    const size_t packed_size =
        message_pack(body_type, body, MESSAGE_KEYS_IDS, packed, sizeof(packed));
    envelope_t envelope = {0};
    request_t *const request = &envelope.request;
    MESSAGE_SET(request, request, correlation, correlation);
    MESSAGE_SET(request, request, type, type);
    MESSAGE_SET(request, request, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(request, request, partition, 0);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("desk-1"));
    MESSAGE_SET(request, request, role, role_tenant_admin);
    MESSAGE_SET(request, request, deadline_ms, LIMIT_REQUEST_DEADLINE_MS_MAX);
    MESSAGE_SET(request, request, traceparent,
                TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    if (card != NULL) {
        MESSAGE_SET(request, request, card, *card);
    }
    MESSAGE_SET(request, request, body, ((text_t){(const char *)packed, packed_size}));
    MESSAGE_MARK(envelope, &envelope, request);
    uint8_t bytes[1024];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    shard_receive(bench->shard, 1, bytes, size);
}

void card_bench_send_issue(card_bench_t *bench, uint64_t number)
{
    char member[32];
    char name[48];
    const int member_size = snprintf(member, sizeof(member), "member-%08" PRIu64, number);
    const int name_size = snprintf(name, sizeof(name), "Ada Lovelace %05" PRIu64, number % 100000);
    card_issue_t issue = {0};
    MESSAGE_SET(card_issue, &issue, member_id, ((text_t){member, (size_t)member_size}));
    MESSAGE_SET(card_issue, &issue, holder_name, ((text_t){name, (size_t)name_size}));
    MESSAGE_SET(card_issue, &issue, tier, TEXT_LITERAL("standard"));
    MESSAGE_SET(card_issue, &issue, expires_at, clock_wall_ms() + YEAR_MS);
    MESSAGE_SET(card_issue, &issue, activate, true);
    send_request(bench, number, request_type_card_issue, NULL, &card_issue_message, &issue);
}

void card_bench_send_validate(card_bench_t *bench, uint64_t number)
{
    card_validate_t validation = {0};
    MESSAGE_SET(card_validate, &validation, gate, TEXT_LITERAL("north"));
    send_request(bench, number, request_type_card_validate, &bench->cards[number],
                 &card_validate_message, &validation);
}

void card_bench_send_get(card_bench_t *bench, uint64_t number)
{
    const card_get_t get = {0};
    send_request(bench, number, request_type_card_get, &bench->cards[number], &card_get_message,
                 &get);
}

typedef struct sending {
    card_bench_t *bench;
    card_bench_send_t *send;
    const uint32_t *order;
    uint64_t next;
    uint64_t count;
} sending_t;

static void send_next(void *context)
{
    sending_t *const sending = context;
    if (sending->next < sending->count) {
        const uint64_t at = sending->next;
        sending->next++;
        sending->send(sending->bench, sending->order == NULL ? at : sending->order[at]);
    }
}

void card_bench_send_all(card_bench_t *bench, card_bench_send_t *send, uint64_t count,
                         const uint32_t *order)
{
    sending_t sending = {.bench = bench, .send = send, .order = order, .count = count};
    bench->wanted = bench->answered + count;
    bench->next = send_next;
    bench->next_context = &sending;
    for (int i = 0; i < CARD_BENCH_WINDOW; i++) {
        send_next(&sending);
    }
    loop_run(bench->loop);
    bench->next = NULL;
}
