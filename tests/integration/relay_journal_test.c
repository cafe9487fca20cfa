/* The relay on real journals and a real loop: what was stored is listed, shown, replayed and
 * published without a gap. */
#include "actors/domain/card_code.h"
#include "actors/domain/card_id.h"
#include "actors/relay/relay.h"
#include "actors/secrets.h"
#include "adapters/control_sqlite/control_sqlite.h"
#include "adapters/journal_sqlite/journal_sqlite.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "tests/unit/gateway_cmocka.h"
#include <stdio.h>
#include <stdlib.h>

enum { EVENTS = 120, DEADLINE_MS = 20000, ARENA_SIZE = 4194304 };

typedef struct fixture {
    char directory[64];
    loop_t *loop;
    loop_timer_t *deadline;
    metrics_t *metrics;
    journal_t *journal;
    control_store_t *control;
    relay_t *relay;
    crypto_key_t master_key;
    crypto_key_t tenant_secret;
    uuid_t card;
    journal_tenant_t *writer;
    uint64_t epoch;
    uint64_t next_sequence; /* that should be published */
    uint64_t head;          /* of the last Head */
    bool is_done;
    result_t result;
    uint8_t *reply_bytes;
    reply_t reply;
    uint8_t arena_memory[ARENA_SIZE];
} fixture_t;

static void too_late(void *context)
{
    (void)context;
    fail_msg("no answer within %d ms", DEADLINE_MS);
}

static void done(fixture_t *fixture, result_t result)
{
    fixture->result = result;
    fixture->is_done = true;
    loop_stop(fixture->loop);
}

static void wait_until_done(fixture_t *fixture)
{
    while (!fixture->is_done) {
        loop_run(fixture->loop);
    }
    fixture->is_done = false;
}

static void record_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    fixture_t *fixture = context;
    (void)peer;
    free(fixture->reply_bytes);
    fixture->reply_bytes = malloc(size);
    assert_non_null(fixture->reply_bytes);
    memcpy(fixture->reply_bytes, envelope, size);
    envelope_t decoded;
    arena_t arena = {0};
    message_fault_t fault;
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, fixture->reply_bytes, size,
                               &arena, &decoded, &fault));
    fixture->reply = decoded.reply;
    done(fixture, RESULT_OK);
}

static result_t record_publish(void *context, text_t topic, const uint8_t *header,
                               size_t header_size, const uint8_t *body, size_t body_size)
{
    fixture_t *fixture = context;
    arena_t arena = {0};
    message_fault_t fault;
    if (text_equal(topic, TEXT_LITERAL("digitalcard.acme.Head"))) {
        partition_head_t head;
        assert_true(message_unpack(&partition_head_message, MESSAGE_KEYS_NAMES, body, body_size,
                                   &arena, &head, &fault));
        fixture->head = head.sequence;
        done(fixture, RESULT_OK);
        return RESULT_OK;
    }
    event_header_t event;
    assert_true(message_unpack(&event_header_message, MESSAGE_KEYS_NAMES, header, header_size,
                               &arena, &event, &fault));
    assert_int_equal(event.sequence, fixture->next_sequence);
    assert_null(memmem(body, body_size, "sealed_name", 11));
    fixture->next_sequence += 1;
    return RESULT_OK;
}

static text_t text_of(const uint8_t *bytes, size_t size)
{
    return (text_t){.data = (const char *)bytes, .size = size};
}

static void make_tenant(fixture_t *fixture)
{
    const text_t acme = TEXT_LITERAL("acme");
    uint8_t secret[SECRET_SEALED_KEY_SIZE];
    uint8_t card_key[SECRET_SEALED_KEY_SIZE];
    memset(&fixture->tenant_secret, 't', sizeof(fixture->tenant_secret));
    secret_tenant_seal(&signer_functions, &fixture->master_key, acme, &fixture->tenant_secret,
                       secret);
    secret_card_key_seal(&signer_functions, &fixture->master_key, acme, 1, &fixture->tenant_secret,
                         card_key);
    const control_card_key_t key = {.kid = 1,
                                    .state = key_state_active,
                                    .created_at = 1,
                                    .sealed_secret = text_of(card_key, sizeof(card_key))};
    const control_tenant_t tenant = {.name = acme,
                                     .partitions = 1,
                                     .created_at = clock_wall_ms(),
                                     .sealed_secret = text_of(secret, sizeof(secret)),
                                     .keys = &key,
                                     .key_count = 1};
    assert_int_equal(fixture->control->functions->tenant_create(fixture->control, &tenant),
                     RESULT_OK);
}

static void writer_opened(void *context, const journal_opened_t *opened)
{
    fixture_t *fixture = context;
    assert_int_equal(opened->result, RESULT_OK);
    fixture->writer = opened->tenant;
    fixture->epoch = opened->partitions[0].epoch;
    done(fixture, opened->result);
}

static void appended(void *context, result_t result)
{
    done(context, result);
}

typedef struct stored {
    journal_event_t events[EVENTS];
    uint8_t bodies[2][512];
    uint8_t sealed_name[SECRET_SEALED_NAME_SIZE_MAX];
    uint8_t sealed_key[SECRET_SEALED_KEY_SIZE];
    uint8_t snapshot[512];
} stored_t;

static void make_bodies(fixture_t *fixture, stored_t *stored, size_t sizes[2])
{
    const text_t member_id = TEXT_LITERAL("m-1");
    crypto_key_t member_key;
    memset(&member_key, 'k', sizeof(member_key));
    secret_member_key_seal(&signer_functions, &fixture->tenant_secret, TEXT_LITERAL("acme"),
                           member_id, &member_key, stored->sealed_key);
    secret_holder_name_seal(&signer_functions, &member_key, member_id, TEXT_LITERAL("Zoe"),
                            stored->sealed_name);
    event_data_t issued = {0};
    MESSAGE_SET(event_data, &issued, member_id, member_id);
    MESSAGE_SET(event_data, &issued, valid_from, 1000);
    MESSAGE_SET(event_data, &issued, expires_at, INT64_C(4000000000000));
    MESSAGE_SET(event_data, &issued, sealed_name,
                text_of(stored->sealed_name, 3 + CRYPTO_SEAL_OVERHEAD));
    sizes[0] = message_pack(&event_data_message, &issued, MESSAGE_KEYS_IDS, stored->bodies[0],
                            sizeof(stored->bodies[0]));
    event_data_t validated = {0};
    MESSAGE_SET(event_data, &validated, gate, TEXT_LITERAL("north"));
    sizes[1] = message_pack(&event_data_message, &validated, MESSAGE_KEYS_IDS, stored->bodies[1],
                            sizeof(stored->bodies[1]));
}

static size_t make_snapshot(fixture_t *fixture, stored_t *stored)
{
    card_snapshot_t snapshot = {0};
    MESSAGE_SET(card_snapshot, &snapshot, id, fixture->card);
    MESSAGE_SET(card_snapshot, &snapshot, member_id, TEXT_LITERAL("m-1"));
    MESSAGE_SET(card_snapshot, &snapshot, sealed_name,
                text_of(stored->sealed_name, 3 + CRYPTO_SEAL_OVERHEAD));
    MESSAGE_SET(card_snapshot, &snapshot, status, card_status_active);
    MESSAGE_SET(card_snapshot, &snapshot, valid_from, 1000);
    MESSAGE_SET(card_snapshot, &snapshot, expires_at, INT64_C(4000000000000));
    MESSAGE_SET(card_snapshot, &snapshot, issued_at, 1000);
    MESSAGE_SET(card_snapshot, &snapshot, version, 2);
    MESSAGE_SET(card_snapshot, &snapshot, card_sequence, EVENTS);
    MESSAGE_SET(card_snapshot, &snapshot, was_activated, true);
    MESSAGE_SET(card_snapshot, &snapshot, is_suspended, false);
    return message_pack(&card_snapshot_message, &snapshot, MESSAGE_KEYS_IDS, stored->snapshot,
                        sizeof(stored->snapshot));
}

/* A card with EVENTS events: issued, activated, and scanned many times. */
static void store_card(fixture_t *fixture)
{
    stored_t *stored = calloc(1, sizeof(*stored));
    assert_non_null(stored);
    size_t sizes[2];
    make_bodies(fixture, stored, sizes);
    for (size_t i = 0; i < EVENTS; i++) {
        static const uint8_t names[] = {event_name_card_issued, event_name_card_activated};
        stored->events[i] = (journal_event_t){
            .card = fixture->card,
            .card_sequence = i + 1,
            .version = i == 0 ? 1 : 2,
            .occurred_at = (int64_t)(1000 + i),
            .name = i < 2 ? names[i] : (uint8_t)event_name_card_validated,
            .body = text_of(stored->bodies[i == 0 ? 0 : 1], sizes[i == 0 ? 0 : 1])};
        random_fill(&stored->events[i].event_id, sizeof(uuid_t));
    }
    const journal_snapshot_t snapshot = {
        .card = fixture->card,
        .member_id = TEXT_LITERAL("m-1"),
        .status = card_status_active,
        .expires_at = INT64_C(4000000000000),
        .card_sequence = EVENTS,
        .body = text_of(stored->snapshot, make_snapshot(fixture, stored))};
    const journal_member_key_t member_key = {
        .member_id = TEXT_LITERAL("m-1"),
        .sealed_key = text_of(stored->sealed_key, sizeof(stored->sealed_key))};
    const journal_batch_t batch = {.epoch = fixture->epoch,
                                   .events = stored->events,
                                   .event_count = EVENTS,
                                   .snapshots = &snapshot,
                                   .snapshot_count = 1,
                                   .member_keys = &member_key,
                                   .member_key_count = 1};
    assert_int_equal(
        fixture->journal->functions->append(fixture->writer, &batch, appended, fixture), RESULT_OK);
    wait_until_done(fixture);
    assert_int_equal(fixture->result, RESULT_OK);
    free(stored);
}

static int setup(void **state)
{
    fixture_t *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    (void)snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/digitalcard-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(signer_start(), RESULT_OK);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("relay");
    assert_int_equal(control_sqlite_open(fixture->directory, true, journal_sqlite_create_tenant,
                                         &fixture->control),
                     RESULT_OK);
    assert_int_equal(journal_sqlite_create(fixture->loop, fixture->metrics, fixture->directory,
                                           &fixture->journal),
                     RESULT_OK);
    uint8_t random[10];
    random_fill(random, sizeof(random));
    fixture->card = card_id_make(clock_wall_ms(), 0, random);
    make_tenant(fixture);
    fixture->deadline = loop_timer_create(fixture->loop, too_late, NULL);
    loop_timer_start(fixture->deadline, DEADLINE_MS, 0);
    assert_int_equal(fixture->journal->functions->open(fixture->journal, TEXT_LITERAL("acme"),
                                                       TEXT_LITERAL("shard-0.1"), writer_opened,
                                                       fixture),
                     RESULT_OK);
    wait_until_done(fixture);
    store_card(fixture);
    const relay_ports_t ports = {.journal = fixture->journal,
                                 .control = fixture->control,
                                 .crypto = &signer_functions,
                                 .master_key = fixture->master_key,
                                 .reply = record_reply,
                                 .publish = record_publish,
                                 .context = fixture,
                                 .wall_ms = clock_wall_ms};
    assert_int_equal(relay_create(fixture->loop, fixture->metrics, &ports, &fixture->relay),
                     RESULT_OK);
    *state = fixture;
    return 0;
}

static void relay_drained(void *context)
{
    done(context, RESULT_OK);
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    relay_drain(fixture->relay, relay_drained, fixture);
    wait_until_done(fixture);
    relay_destroy(&fixture->relay);
    fixture->journal->functions->close(fixture->journal, &fixture->writer);
    journal_sqlite_destroy(&fixture->journal);
    control_sqlite_close(&fixture->control);
    loop_timer_destroy(&fixture->deadline);
    loop_destroy(&fixture->loop);
    metrics_destroy(&fixture->metrics);
    static const char *const files[] = {
        "tenants/acme.db", "tenants/acme.db-wal", "tenants/acme.db-shm", "tenants",
        "control.db",      "control.db-wal",      "control.db-shm",      ""};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, files[i]);
        (void)remove(path);
    }
    free(fixture->reply_bytes);
    free(fixture);
    return 0;
}

static void ask(fixture_t *fixture, uint8_t type, const message_type_t *message,
                const void *command)
{
    uint8_t body[512];
    const size_t body_size = message_pack(message, command, MESSAGE_KEYS_IDS, body, sizeof(body));
    envelope_t envelope = {0};
    request_t *request = &envelope.request;
    MESSAGE_SET(request, request, correlation, 1);
    MESSAGE_SET(request, request, type, type);
    MESSAGE_SET(request, request, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(request, request, partition, 0);
    MESSAGE_SET(request, request, card, fixture->card);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("somebody"));
    MESSAGE_SET(request, request, role, role_tenant_admin);
    MESSAGE_SET(request, request, deadline_ms, 20000);
    MESSAGE_SET(request, request, traceparent,
                TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    MESSAGE_SET(request, request, body, text_of(body, body_size));
    MESSAGE_MARK(envelope, &envelope, request);
    uint8_t bytes[2048];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    relay_receive(fixture->relay, 0, bytes, size);
    wait_until_done(fixture);
}

static void read_document(fixture_t *fixture, const message_type_t *type, void *document)
{
    assert_int_equal(fixture->reply.outcome, outcome_ok);
    arena_t arena = {.base = fixture->arena_memory, .size = sizeof(fixture->arena_memory)};
    message_fault_t fault;
    assert_true(message_unpack(type, MESSAGE_KEYS_IDS, (const uint8_t *)fixture->reply.body.data,
                               fixture->reply.body.size, &arena, document, &fault));
}

static void stored_card_is_listed_with_its_name(void **state)
{
    fixture_t *fixture = *state;
    const card_list_t command = {0};
    ask(fixture, request_type_card_list, &card_list_message, &command);
    card_page_t page;
    read_document(fixture, &card_page_message, &page);
    assert_int_equal(page.items_count, 1);
    assert_true(uuid_equal(&page.items[0].id, &fixture->card));
    assert_true(text_equal(page.items[0].holder_name, TEXT_LITERAL("Zoe")));
    assert_int_equal(page.items[0].status, card_status_active);
    assert_int_equal(page.items[0].qr.text.size, CARD_CODE_TEXT_SIZE);
}

static void history_is_read_page_by_page(void **state)
{
    fixture_t *fixture = *state;
    card_history_t command = {0};
    MESSAGE_SET(card_history, &command, limit, 50);
    char cursor[64];
    uint64_t expected = EVENTS;
    for (int pages = 0; pages < 3; pages++) {
        ask(fixture, request_type_card_history, &card_history_message, &command);
        history_page_t page;
        read_document(fixture, &history_page_message, &page);
        for (uint32_t i = 0; i < page.items_count; i++) {
            assert_int_equal(page.items[i].card_sequence, expected);
            expected -= 1;
        }
        assert_int_equal(MESSAGE_HAS(history_page, &page, next_cursor), pages < 2);
        (void)snprintf(cursor, sizeof(cursor), "%.*s", TEXT_PRINT(page.next_cursor));
        MESSAGE_SET(card_history, &command, cursor, text_from_c(cursor));
    }
    assert_int_equal(expected, 0);
    MESSAGE_SET(card_history, &command, cursor, TEXT_LITERAL("no cursor"));
    ask(fixture, request_type_card_history, &card_history_message, &command);
    assert_int_equal(fixture->reply.error, RESULT_INVALID_CURSOR);
}

static void replay_has_every_event_once(void **state)
{
    fixture_t *fixture = *state;
    events_read_t command = {0};
    MESSAGE_SET(events_read, &command, after, 100);
    ask(fixture, request_type_events_read, &events_read_message, &command);
    event_page_t page;
    read_document(fixture, &event_page_message, &page);
    assert_int_equal(page.items_count, EVENTS - 100);
    assert_int_equal(page.head, EVENTS);
    for (uint32_t i = 0; i < page.items_count; i++) {
        assert_int_equal(page.items[i].sequence, 101 + i);
        assert_true(text_equal(page.items[i].tenant, TEXT_LITERAL("acme")));
    }
}

static void events_that_no_shard_told_of_are_published(void **state)
{
    fixture_t *fixture = *state;
    event_t event = {0};
    MESSAGE_SET(event, &event, event_id, ((uuid_t){.bytes = {1}}));
    MESSAGE_SET(event, &event, tenant, TEXT_LITERAL("acme"));
    MESSAGE_SET(event, &event, partition, 0);
    MESSAGE_SET(event, &event, sequence, 1);
    MESSAGE_SET(event, &event, card, fixture->card);
    MESSAGE_SET(event, &event, card_sequence, 1);
    MESSAGE_SET(event, &event, name, event_name_card_issued);
    MESSAGE_SET(event, &event, version, 1);
    MESSAGE_SET(event, &event, occurred_at, 1000);
    MESSAGE_MARK(event, &event, data);
    envelope_t envelope = {.event = event};
    MESSAGE_MARK(envelope, &envelope, event);
    uint8_t bytes[1024];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    fixture->next_sequence = 1;
    relay_receive(fixture->relay, 0, bytes, size); /* the only one that was told */
    fixture->next_sequence = 2;
    relay_subscribed(fixture->relay, TEXT_LITERAL("digitalcard.acme."));
    wait_until_done(fixture);
    assert_int_equal(fixture->head, EVENTS);
    assert_int_equal(fixture->next_sequence, EVENTS + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(stored_card_is_listed_with_its_name),
        TEST(history_is_read_page_by_page),
        TEST(replay_has_every_event_once),
        TEST(events_that_no_shard_told_of_are_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
