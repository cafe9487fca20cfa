/* See relay_support.h. */
#include "tests/unit/relay_support.h"
#include "actors/command.h"
#include "adapters/signer/signer.h"
#include "tests/unit/gateway_cmocka.h"
#include <stdio.h>
#include <stdlib.h>

static void record_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    relay_fixture_t *fixture = context;
    free(fixture->reply_bytes);
    fixture->reply_bytes = malloc(size);
    assert_non_null(fixture->reply_bytes);
    memcpy(fixture->reply_bytes, envelope, size);
    envelope_t decoded;
    arena_t arena = {0};
    message_fault_t fault;
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, fixture->reply_bytes, size,
                               &arena, &decoded, &fault));
    assert_true(MESSAGE_HAS(envelope, &decoded, reply));
    fixture->reply = decoded.reply;
    fixture->reply_peer = peer;
    fixture->reply_count += 1;
}

static void record_head(published_t *published, const uint8_t *header, size_t header_size,
                        const uint8_t *body, size_t body_size)
{
    arena_t arena = {0};
    message_fault_t fault;
    partition_head_t head;
    assert_int_equal(header_size, body_size);
    assert_memory_equal(header, body, body_size);
    assert_true(message_unpack(&partition_head_message, MESSAGE_KEYS_NAMES, body, body_size, &arena,
                               &head, &fault));
    published->is_head = true;
    published->partition = head.partition;
    published->sequence = head.sequence;
}

static result_t record_publish(void *context, text_t topic, const uint8_t *header,
                               size_t header_size, const uint8_t *body, size_t body_size)
{
    relay_fixture_t *fixture = context;
    if (fixture->publish_result != RESULT_OK) {
        return fixture->publish_result;
    }
    assert_true(fixture->published_count < PUBLISHED_MAX);
    published_t *published = &fixture->published[fixture->published_count];
    fixture->published_count += 1;
    *published = (published_t){0};
    (void)snprintf(published->topic, sizeof(published->topic), "%.*s", TEXT_PRINT(topic));
    if (topic.size > 5 && memcmp(topic.data + topic.size - 5, ".Head", 5) == 0) {
        record_head(published, header, header_size, body, body_size);
        return RESULT_OK;
    }
    arena_t arena = {0};
    message_fault_t fault;
    assert_true(message_unpack(&event_header_message, MESSAGE_KEYS_NAMES, header, header_size,
                               &arena, &fixture->last_header, &fault));
    assert_true(message_unpack(&event_data_message, MESSAGE_KEYS_NAMES, body, body_size, &arena,
                               &fixture->last_data, &fault));
    published->partition = fixture->last_header.partition;
    published->sequence = fixture->last_header.sequence;
    fixture->has_sealed_name =
        fixture->has_sealed_name || memmem(body, body_size, "sealed", 6) != NULL;
    char expected[LIMIT_EVENT_TOPIC_SIZE];
    (void)snprintf(expected, sizeof(expected), "digitalcard.%.*s.CardValidated",
                   TEXT_PRINT(fixture->last_header.tenant));
    assert_string_equal(published->topic, expected);
    return RESULT_OK;
}

static void create_relay(relay_fixture_t *fixture, relay_ports_fill_t *fill)
{
    relay_ports_t ports = {.journal = &fixture->journal->journal,
                           .control = &fixture->journal->control,
                           .crypto = &signer_functions,
                           .master_key = fixture->master_key,
                           .reply = record_reply,
                           .publish = record_publish,
                           .context = fixture,
                           .wall_ms = loop_fake_wall_ms};
    if (fill != NULL) {
        fill(&ports);
    }
    assert_int_equal(relay_create(loop_fake(), fixture->metrics, &ports, &fixture->relay),
                     RESULT_OK);
}

int relay_setup_with(void **state, relay_ports_fill_t *fill)
{
    loop_fake_reset();
    assert_int_equal(signer_start(), RESULT_OK);
    relay_fixture_t *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    memset(&fixture->master_key, 'M', sizeof(fixture->master_key));
    fixture->metrics = metrics_create("relay");
    fixture->journal = relay_journal_fake_create();
    fixture->acme = relay_journal_fake_add(fixture->journal, "acme", 1, &signer_functions,
                                           &fixture->master_key);
    fixture->big =
        relay_journal_fake_add(fixture->journal, "big", 4, &signer_functions, &fixture->master_key);
    create_relay(fixture, fill);
    *state = fixture;
    return 0;
}

int relay_setup(void **state)
{
    return relay_setup_with(state, NULL);
}

static void end_relay(relay_fixture_t *fixture)
{
    relay_journal_fake_settle(fixture->journal);
    relay_destroy(&fixture->relay);
    metrics_destroy(&fixture->metrics);
    assert_int_equal(fixture->journal->open_now, 0);
}

void relay_restart(relay_fixture_t *fixture, relay_ports_fill_t *fill)
{
    end_relay(fixture);
    fixture->metrics = metrics_create("relay");
    create_relay(fixture, fill);
}

int relay_teardown(void **state)
{
    relay_fixture_t *fixture = *state;
    end_relay(fixture);
    relay_journal_fake_destroy(&fixture->journal);
    free(fixture->reply_bytes);
    free(fixture->arena_memory);
    free(fixture);
    assert_int_equal(loop_fake_timer_count(), 0);
    return 0;
}

static void send_envelope(relay_fixture_t *fixture, uint32_t peer, const envelope_t *envelope)
{
    uint8_t bytes[8192];
    const size_t size =
        message_pack(&envelope_message, envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    assert_true(size <= sizeof(bytes));
    relay_receive(fixture->relay, peer, bytes, size);
}

void relay_commit_silently(fake_tenant_t *tenant, uint32_t partition, uint64_t head)
{
    if (head > tenant->heads[partition]) {
        tenant->heads[partition] = head;
    }
}

void relay_send_event(relay_fixture_t *fixture, fake_tenant_t *tenant, uint32_t partition,
                      uint64_t sequence)
{
    relay_commit_silently(tenant, partition, sequence);
    envelope_t envelope = {.event = relay_journal_fake_event(tenant, partition, sequence)};
    MESSAGE_MARK(envelope, &envelope, event);
    MESSAGE_SET(envelope, &envelope, tenant_since, (uint64_t)tenant->created_at);
    send_envelope(fixture, 0, &envelope);
}

void relay_subscribe(relay_fixture_t *fixture, const char *prefix)
{
    relay_subscribed(fixture->relay, text_from_c(prefix));
}

void relay_unsubscribe(relay_fixture_t *fixture, const char *prefix)
{
    relay_unsubscribed(fixture->relay, text_from_c(prefix));
}

static bool is_of(const published_t *published, const char *tenant)
{
    char start[64];
    (void)snprintf(start, sizeof(start), "digitalcard.%s.", tenant);
    return strncmp(published->topic, start, strlen(start)) == 0;
}

void relay_assert_published(const relay_fixture_t *fixture, const char *tenant, uint32_t partition,
                            uint64_t first, uint64_t last)
{
    uint64_t expected = first;
    for (size_t i = 0; i < fixture->published_count; i++) {
        const published_t *published = &fixture->published[i];
        if (!published->is_head && published->partition == partition && is_of(published, tenant)) {
            assert_int_equal(published->sequence, expected);
            expected += 1;
        }
    }
    assert_int_equal(expected, last + 1);
}

uint64_t relay_last_head(const relay_fixture_t *fixture, const char *tenant, uint32_t partition)
{
    uint64_t head = UINT64_MAX;
    for (size_t i = 0; i < fixture->published_count; i++) {
        const published_t *published = &fixture->published[i];
        if (published->is_head && published->partition == partition && is_of(published, tenant)) {
            head = published->sequence;
        }
    }
    return head;
}

size_t relay_head_count(const relay_fixture_t *fixture, const char *tenant)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture->published_count; i++) {
        const published_t *published = &fixture->published[i];
        count += published->is_head && is_of(published, tenant) ? 1U : 0U;
    }
    return count;
}

void relay_ask(relay_fixture_t *fixture, uint8_t type, const char *tenant, uint8_t role,
               const uuid_t *card, const void *command)
{
    const message_type_t *message = command_type(type);
    if (message == NULL) { /* what no relay serves */
        message = &card_list_message;
    }
    uint8_t body[1024];
    const size_t size = message_pack(message, command, MESSAGE_KEYS_IDS, body, sizeof(body));
    envelope_t envelope = {0};
    request_t *request = &envelope.request;
    MESSAGE_SET(request, request, correlation, 77);
    MESSAGE_SET(request, request, type, type);
    MESSAGE_SET(request, request, tenant, text_from_c(tenant));
    MESSAGE_SET(request, request, partition, 0);
    if (card != NULL) {
        MESSAGE_SET(request, request, card, *card);
    }
    if (fixture->since != 0) {
        MESSAGE_SET(request, request, tenant_since, (uint64_t)fixture->since);
    }
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("somebody"));
    MESSAGE_SET(request, request, role, role);
    MESSAGE_SET(request, request, deadline_ms, 5000);
    MESSAGE_SET(request, request, traceparent,
                TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    MESSAGE_SET(request, request, body, ((text_t){.data = (const char *)body, .size = size}));
    MESSAGE_MARK(envelope, &envelope, request);
    send_envelope(fixture, 5, &envelope);
}

void relay_reply_document_into(relay_fixture_t *fixture, const message_type_t *type, void *document)
{
    assert_int_equal(fixture->reply.outcome, outcome_ok);
    assert_int_equal(fixture->reply.correlation, 77);
    assert_int_equal(fixture->reply_peer, 5);
    assert_true(
        text_equal(fixture->reply.trace_id, TEXT_LITERAL("0af7651916cd43dd8448eb211c80319c")));
    if (fixture->arena_memory == NULL) {
        fixture->arena_memory = malloc(REPLY_ARENA_SIZE);
        assert_non_null(fixture->arena_memory);
    }
    arena_t arena = {.base = fixture->arena_memory, .size = REPLY_ARENA_SIZE};
    message_fault_t fault;
    assert_true(message_unpack(type, MESSAGE_KEYS_IDS, (const uint8_t *)fixture->reply.body.data,
                               fixture->reply.body.size, &arena, document, &fault));
}

uint64_t relay_reply_error_of(const relay_fixture_t *fixture)
{
    assert_int_equal(fixture->reply.outcome, outcome_error);
    assert_true(fixture->reply.detail.size > 10);
    return fixture->reply.error;
}
