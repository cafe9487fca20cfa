/* A shard on the real loop and the SQLite journal: what it acknowledges is found after a restart,
 * and the journal verifies. */
#include "actors/shard/shard.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "tests/support/control_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 30000, BODY_SIZE = 8192, IN_FLIGHT = 64, VALIDATIONS = 2000 };
#define DAY_MS INT64_C(86400000)

typedef struct fixture {
    char directory[64];
    loop_t *loop;
    loop_timer_t *deadline;
    metrics_t *metrics;
    journal_t *journal;
    control_fake_t *control;
    crypto_key_t master_key;
    shard_t *shard;
    uint64_t replies;
    uint64_t replies_wanted;
    uint64_t valid;
    uint64_t published;
    uint64_t sequence_published;
    bool is_drained;
    reply_t last; /* its texts are in `bytes` */
    uint8_t bytes[BODY_SIZE];
} fixture_t;

static void take_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    (void)peer;
    fixture_t *const fixture = context;
    assert_true(size <= sizeof(fixture->bytes));
    memcpy(fixture->bytes, envelope, size);
    envelope_t decoded;
    message_fault_t fault;
    arena_t arena = {0};
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, fixture->bytes, size, &arena,
                               &decoded, &fault));
    if (!MESSAGE_HAS(envelope, &decoded, reply)) {
        return; /* credit */
    }
    fixture->last = decoded.reply;
    fixture->replies++;
    if (fixture->replies == fixture->replies_wanted) {
        loop_stop(fixture->loop);
    }
}

static void take_event(void *context, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    envelope_t decoded;
    message_fault_t fault;
    arena_t arena = {0};
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, envelope, size, &arena,
                               &decoded, &fault));
    assert_int_equal(decoded.event.sequence, fixture->sequence_published + 1);
    fixture->sequence_published = decoded.event.sequence;
    fixture->published++;
}

static void deadline_passed(void *context)
{
    (void)context;
    fail_msg("the shard did not answer in time");
}

static void wait_for_replies(fixture_t *fixture, uint64_t count)
{
    if (fixture->replies < count) {
        fixture->replies_wanted = count;
        loop_timer_start(fixture->deadline, DEADLINE_MS, 0);
        loop_run(fixture->loop);
        loop_timer_stop(fixture->deadline);
    }
}

static void start(fixture_t *fixture, const char *incarnation)
{
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->deadline = loop_timer_create(fixture->loop, deadline_passed, fixture);
    fixture->metrics = metrics_create("shard-0");
    assert_int_equal(journal_sqlite_create(fixture->loop, fixture->metrics, fixture->directory,
                                           &fixture->journal),
                     RESULT_OK);
    const shard_ports_t ports = {
        .journal = fixture->journal,
        .control = control_fake_store(fixture->control),
        .crypto = &signer_functions,
        .master_key = fixture->master_key,
        .reply = take_reply,
        .publish = take_event,
        .context = fixture,
        .wall_ms = clock_wall_ms,
        .random_fill = random_fill,
    };
    shard_options_t options = {.shards = 1};
    (void)snprintf(options.incarnation, sizeof(options.incarnation), "%s", incarnation);
    assert_int_equal(
        shard_create(fixture->loop, fixture->metrics, &ports, &options, &fixture->shard),
        RESULT_OK);
}

static void take_drained(void *context)
{
    fixture_t *const fixture = context;
    fixture->is_drained = true;
    loop_stop(fixture->loop);
}

static void stop(fixture_t *fixture)
{
    fixture->is_drained = false;
    shard_drain(fixture->shard, take_drained, fixture);
    loop_timer_start(fixture->deadline, DEADLINE_MS, 0);
    loop_run(fixture->loop);
    assert_true(fixture->is_drained);
    shard_destroy(&fixture->shard);
    journal_sqlite_destroy(&fixture->journal);
    loop_timer_destroy(&fixture->deadline);
    metrics_destroy(&fixture->metrics);
    loop_destroy(&fixture->loop);
}

static void send_request(fixture_t *fixture, uint8_t type, const uuid_t *card, const char *key,
                         const message_type_t *body_type, const void *body)
{
    uint8_t packed[1024];
    const size_t packed_size =
        message_pack(body_type, body, MESSAGE_KEYS_IDS, packed, sizeof(packed));
    envelope_t envelope = {0};
    request_t *const request = &envelope.request;
    MESSAGE_SET(request, request, correlation, fixture->replies + 1);
    MESSAGE_SET(request, request, type, type);
    MESSAGE_SET(request, request, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(request, request, partition, 0);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("desk-1"));
    MESSAGE_SET(request, request, role, role_tenant_admin);
    MESSAGE_SET(request, request, deadline_ms, 60000);
    MESSAGE_SET(request, request, traceparent,
                TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    if (card != NULL) {
        MESSAGE_SET(request, request, card, *card);
    }
    if (key != NULL) {
        MESSAGE_SET(request, request, key, text_from_c(key));
        MESSAGE_SET(request, request, key_hash, TEXT_LITERAL("0123456789abcdef0123456789abcdef"));
    }
    MESSAGE_SET(request, request, body, ((text_t){(const char *)packed, packed_size}));
    MESSAGE_MARK(envelope, &envelope, request);
    uint8_t bytes[2048];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    assert_true(size <= sizeof(bytes));
    shard_receive(fixture->shard, 1, bytes, size);
}

static void send_issue(fixture_t *fixture, const char *key, int64_t expires_at)
{
    card_issue_t issue = {0};
    MESSAGE_SET(card_issue, &issue, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card_issue, &issue, holder_name, TEXT_LITERAL("Ada Lovelace"));
    MESSAGE_SET(card_issue, &issue, expires_at, expires_at);
    MESSAGE_SET(card_issue, &issue, activate, true);
    send_request(fixture, request_type_card_issue, NULL, key, &card_issue_message, &issue);
}

static void send_validate(fixture_t *fixture, const uuid_t *card)
{
    card_validate_t validation = {0};
    MESSAGE_SET(card_validate, &validation, gate, TEXT_LITERAL("north"));
    send_request(fixture, request_type_card_validate, card, NULL, &card_validate_message,
                 &validation);
}

static uint8_t last_reason(const fixture_t *fixture)
{
    assert_int_equal(fixture->last.outcome, outcome_ok);
    verdict_t verdict;
    message_fault_t fault;
    arena_t arena = {0};
    assert_true(message_unpack(&verdict_message, MESSAGE_KEYS_IDS,
                               (const uint8_t *)fixture->last.body.data, fixture->last.body.size,
                               &arena, &verdict, &fault));
    return verdict.reason;
}

static int setup(void **state)
{
    fixture_t *fixture = calloc(1, sizeof(*fixture));
    assert_int_equal(signer_start(), RESULT_OK);
    (void)snprintf(fixture->directory, sizeof(fixture->directory), "%s", "/tmp/shard-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    char tenants[128];
    (void)snprintf(tenants, sizeof(tenants), "%s/tenants", fixture->directory);
    assert_int_equal(mkdir(tenants, 0700), 0);
    fixture->control = control_fake_create(&signer_functions, &fixture->master_key);
    control_fake_add_tenant(fixture->control, "acme", 1);
    assert_int_equal(journal_sqlite_create_tenant(fixture->directory, TEXT_LITERAL("acme"), 1),
                     RESULT_OK);
    start(fixture, "shard-0.1");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    stop(fixture);
    control_fake_destroy(&fixture->control);
    char path[128];
    static const char *const names[] = {"tenants/acme.db", "tenants/acme.db-wal",
                                        "tenants/acme.db-shm", "tenants", "."};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, names[i]);
        if (i < 3) {
            (void)unlink(path);
        } else if (i == 3) {
            assert_int_equal(rmdir(path), 0);
        }
    }
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

/* `report` of the verification says so with "ok": true or an empty list of problems. */
static void assert_sound(const fixture_t *fixture)
{
    char *report = NULL;
    assert_int_equal(
        journal_sqlite_verify(fixture->directory, TEXT_LITERAL("acme"), false, &report), RESULT_OK);
    free(report);
}

static void acknowledged_commands_survive_a_restart(void **state)
{
    fixture_t *const fixture = *state;
    const int64_t expires_at = clock_wall_ms() + DAY_MS;
    send_issue(fixture, "k-1", expires_at);
    wait_for_replies(fixture, 1);
    assert_int_equal(fixture->last.outcome, outcome_ok);
    assert_true(fixture->last.created);
    const uuid_t card = fixture->last.card;
    char first[BODY_SIZE];
    const size_t first_size = fixture->last.body.size;
    memcpy(first, fixture->last.body.data, first_size);

    uint64_t sent = 0;
    while (sent < VALIDATIONS) {
        for (int i = 0; i < IN_FLIGHT && sent < VALIDATIONS; i++) {
            send_validate(fixture, &card);
            sent++;
        }
        wait_for_replies(fixture, 1 + sent);
        assert_int_equal(last_reason(fixture), reason_valid);
    }
    const card_change_t revoke = {0};
    send_request(fixture, request_type_card_revoke, &card, "k-2", &card_change_message, &revoke);
    wait_for_replies(fixture, sent + 2);
    assert_int_equal(fixture->last.outcome, outcome_ok);
    assert_int_equal(fixture->last.version, 3);

    stop(fixture);
    assert_int_equal(fixture->published, VALIDATIONS + 3);
    assert_sound(fixture);
    start(fixture, "shard-0.2");

    send_validate(fixture, &card);
    wait_for_replies(fixture, sent + 3);
    assert_int_equal(last_reason(fixture), reason_revoked);
    send_issue(fixture, "k-1", expires_at);
    wait_for_replies(fixture, sent + 4);
    assert_int_equal(fixture->last.body.size, first_size);
    assert_memory_equal(fixture->last.body.data, first, first_size);
    assert_true(uuid_equal(&fixture->last.card, &card));
    send_issue(fixture, "k-3", expires_at); /* the member's key is there already */
    wait_for_replies(fixture, sent + 5);
    assert_int_equal(fixture->last.outcome, outcome_ok);
    assert_int_equal(fixture->published, VALIDATIONS + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acknowledged_commands_survive_a_restart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
