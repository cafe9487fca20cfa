/* Requests to a shard and what came of them. */
#include "tests/unit/shard_support.h"
#include "actors/domain/card_id.h"
#include "adapters/signer/signer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t wall_ms;
static uint64_t random_state;

void wall_set(int64_t ms)
{
    wall_ms = ms;
}

int64_t wall_now(void)
{
    return wall_ms;
}

static void random_fill_counting(void *out, size_t size)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < size; i++) {
        random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(random_state >> 40);
    }
}

static const message_type_t *document_type(uint8_t type)
{
    if (type == request_type_directory_get) {
        return NULL;
    }
    return type == request_type_card_validate || type == request_type_card_scan ? &verdict_message
                                                                                : &card_message;
}

static bool take_credit(fixture_t *fixture, const uint8_t *envelope, size_t size)
{
    envelope_t decoded;
    message_fault_t fault;
    arena_t arena = {0};
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, envelope, size, &arena,
                               &decoded, &fault));
    if (!MESSAGE_HAS(envelope, &decoded, credit)) {
        return false;
    }
    fixture->credit = decoded.credit;
    fixture->credit_count++;
    return true;
}

static void take_reply(void *context, uint32_t peer, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    if (take_credit(fixture, envelope, size)) {
        return;
    }
    assert_true(fixture->answer_count < REPLIES_MAX);
    answer_t *const answer = &fixture->answers[fixture->answer_count];
    fixture->answer_count++;
    *answer = (answer_t){.peer = peer};
    answer->bytes = malloc(size);
    memcpy(answer->bytes, envelope, size);
    envelope_t decoded;
    message_fault_t fault;
    arena_t arena = {0};
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, answer->bytes, size, &arena,
                               &decoded, &fault));
    assert_true(MESSAGE_HAS(envelope, &decoded, reply));
    answer->reply = decoded.reply;
    answer->correlation = decoded.reply.correlation;
    assert_true(answer->correlation < fixture->next_correlation);
    const message_type_t *const type = document_type(fixture->types[answer->correlation]);
    if (decoded.reply.outcome == outcome_ok && type != NULL) {
        void *const document = type == &card_message ? (void *)&answer->card : &answer->verdict;
        assert_true(message_unpack(type, MESSAGE_KEYS_IDS, (const uint8_t *)decoded.reply.body.data,
                                   decoded.reply.body.size, &arena, document, &fault));
    }
}

static void take_event(void *context, const uint8_t *envelope, size_t size)
{
    fixture_t *const fixture = context;
    assert_true(fixture->event_count < EVENTS_MAX);
    envelope_t decoded;
    message_fault_t fault;
    arena_t arena = {0};
    assert_true(message_unpack(&envelope_message, MESSAGE_KEYS_IDS, envelope, size, &arena,
                               &decoded, &fault));
    assert_true(MESSAGE_HAS(envelope, &decoded, event));
    fixture->events[fixture->event_count] = decoded.event;
    fixture->event_count++;
}

void fixture_start_shard(fixture_t *fixture)
{
    const shard_ports_t ports = {
        .journal = journal_fake_journal(fixture->journal),
        .control = control_fake_store(fixture->control),
        .crypto = fixture->crypto == NULL ? &signer_functions : fixture->crypto,
        .master_key = fixture->master_key,
        .reply = take_reply,
        .publish = take_event,
        .context = fixture,
        .crash_slot = fixture->crash_slot,
        .dead_letters = fixture->dead_letters,
        .wall_ms = fixture->wall_ms,
        .random_fill = random_fill_counting,
    };
    assert_int_equal(
        shard_create(fixture->loop, fixture->metrics, &ports, &fixture->options, &fixture->shard),
        RESULT_OK);
}

int fixture_setup(void **state)
{
    assert_int_equal(signer_start(), RESULT_OK);
    fixture_t *fixture = calloc(1, sizeof(*fixture));
    wall_set(START);
    random_state = 42;
    memset(fixture->master_key.bytes, 7, sizeof(fixture->master_key.bytes));
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->metrics = metrics_create("shard-0");
    fixture->journal = journal_fake_create(fixture->loop);
    fixture->control = control_fake_create(&signer_functions, &fixture->master_key);
    fixture->types = calloc(REPLIES_MAX, 1);
    fixture->answers = calloc(REPLIES_MAX, sizeof(*fixture->answers));
    fixture->events = calloc(EVENTS_MAX, sizeof(*fixture->events));
    fixture->next_correlation = 1;
    fixture->wall_ms = wall_now;
    fixture->options = (shard_options_t){.index = 0, .shards = 1, .incarnation = "shard-0.1"};
    control_fake_add_tenant(fixture->control, "acme", 1);
    journal_fake_add_tenant(fixture->journal, "acme", 1);
    fixture_start_shard(fixture);
    *state = fixture;
    return 0;
}

static void stop_shard(fixture_t *fixture)
{
    journal_fake_crash(fixture->journal);
    shard_destroy(&fixture->shard);
}

void fixture_crash(fixture_t *fixture)
{
    stop_shard(fixture);
    fixture_start_shard(fixture);
}

static void take_drained(void *context)
{
    ((fixture_t *)context)->is_drained = true;
}

void fixture_drain(fixture_t *fixture)
{
    shard_drain(fixture->shard, take_drained, fixture);
}

int fixture_teardown(void **state)
{
    fixture_t *fixture = *state;
    if (fixture->shard != NULL) {
        stop_shard(fixture);
    }
    for (size_t i = 0; i < fixture->answer_count; i++) {
        free(fixture->answers[i].bytes);
    }
    free(fixture->answers);
    free(fixture->events);
    free(fixture->types);
    journal_fake_destroy(&fixture->journal);
    control_fake_destroy(&fixture->control);
    metrics_destroy(&fixture->metrics);
    loop_destroy(&fixture->loop);
    free(fixture);
    return 0;
}

void advance(fixture_t *fixture, uint64_t milliseconds)
{
    wall_ms += (int64_t)milliseconds;
    loop_fake_advance(fixture->loop, milliseconds);
}

void settle(fixture_t *fixture)
{
    loop_fake_settle(fixture->loop);
}

/* --- Requests --- */

static size_t pack_issue(const ask_t *asked, uint8_t *out, size_t capacity)
{
    card_issue_t issue = {0};
    MESSAGE_SET(card_issue, &issue, member_id, text_from_c(asked->member_id));
    MESSAGE_SET(card_issue, &issue, expires_at, asked->expires_at == 0 ? END : asked->expires_at);
    if (asked->holder_name != NULL) {
        MESSAGE_SET(card_issue, &issue, holder_name, text_from_c(asked->holder_name));
    }
    if (asked->tier != NULL) {
        MESSAGE_SET(card_issue, &issue, tier, text_from_c(asked->tier));
    }
    if (asked->valid_from != 0) {
        MESSAGE_SET(card_issue, &issue, valid_from, asked->valid_from);
    }
    if (asked->activate) {
        MESSAGE_SET(card_issue, &issue, activate, true);
    }
    MESSAGE_SET(card_issue, &issue, rules, asked->rules);
    return message_pack(&card_issue_message, &issue, MESSAGE_KEYS_IDS, out, capacity);
}

static text_t qr_of(const ask_t *asked)
{
    return (text_t){asked->qr, asked->qr_size != 0 ? asked->qr_size : strlen(asked->qr)};
}

static size_t pack_validate(const ask_t *asked, uint8_t *out, size_t capacity)
{
    const text_t gate = text_from_c(asked->gate == NULL ? "north" : asked->gate);
    if (asked->type == request_type_card_scan) {
        card_scan_t scan = {0};
        MESSAGE_SET(card_scan, &scan, qr, qr_of(asked));
        MESSAGE_SET(card_scan, &scan, gate, gate);
        MESSAGE_SET(card_scan, &scan, zone, TEXT_LITERAL("pool"));
        if (asked->at != 0) {
            MESSAGE_SET(card_scan, &scan, at, asked->at);
        }
        return message_pack(&card_scan_message, &scan, MESSAGE_KEYS_IDS, out, capacity);
    }
    card_validate_t validation = {0};
    MESSAGE_SET(card_validate, &validation, gate, gate);
    if (asked->qr != NULL) {
        MESSAGE_SET(card_validate, &validation, qr, qr_of(asked));
    }
    if (asked->at != 0) {
        MESSAGE_SET(card_validate, &validation, at, asked->at);
    }
    return message_pack(&card_validate_message, &validation, MESSAGE_KEYS_IDS, out, capacity);
}

static size_t pack_body(const ask_t *asked, uint8_t *out, size_t capacity)
{
    switch (asked->type) {
    case request_type_card_issue:
        return pack_issue(asked, out, capacity);
    case request_type_card_validate:
    case request_type_card_scan:
        return pack_validate(asked, out, capacity);
    case request_type_card_get: {
        const card_get_t get_card = {0};
        return message_pack(&card_get_message, &get_card, MESSAGE_KEYS_IDS, out, capacity);
    }
    case request_type_directory_get: {
        directory_get_t directory = {0};
        MESSAGE_SET(directory_get, &directory, known_version, (uint64_t)asked->at);
        if (asked->reason != NULL) {
            MESSAGE_SET(directory_get, &directory, after, text_from_c(asked->reason));
        }
        return message_pack(&directory_get_message, &directory, MESSAGE_KEYS_IDS, out, capacity);
    }
    default: {
        card_change_t changed = {0};
        if (asked->reason != NULL) {
            MESSAGE_SET(card_change, &changed, reason, text_from_c(asked->reason));
        }
        if (asked->expires_at != 0) {
            MESSAGE_SET(card_change, &changed, expires_at, asked->expires_at);
        }
        if (asked->until != 0) {
            MESSAGE_SET(card_change, &changed, until, asked->until);
        }
        return message_pack(&card_change_message, &changed, MESSAGE_KEYS_IDS, out, capacity);
    }
    }
}

static void fill_key(const ask_t *asked, char hash[32], request_t *request)
{
    if (asked->key == NULL) {
        return;
    }
    memset(hash, asked->hash == NULL ? 'a' : asked->hash[0], 32);
    MESSAGE_SET(request, request, key, text_from_c(asked->key));
    MESSAGE_SET(request, request, key_hash, ((text_t){hash, 32}));
}

uint64_t ask(fixture_t *fixture, const ask_t *asked)
{
    uint8_t body[8192];
    const size_t body_size = pack_body(asked, body, sizeof(body));
    assert_true(body_size <= sizeof(body));
    char hash[32];
    envelope_t envelope = {0};
    request_t *const request = &envelope.request;
    const uint64_t correlation = fixture->next_correlation;
    assert_true(correlation < REPLIES_MAX);
    fixture->next_correlation++;
    fixture->types[correlation] = asked->type;
    MESSAGE_SET(request, request, correlation, correlation);
    MESSAGE_SET(request, request, type, asked->type);
    MESSAGE_SET(request, request, tenant,
                text_from_c(asked->tenant == NULL ? "acme" : asked->tenant));
    MESSAGE_SET(request, request, partition, asked->partition);
    if (asked->card != NULL) {
        MESSAGE_SET(request, request, card, *asked->card);
    }
    MESSAGE_SET(request, request, subject,
                text_from_c(asked->subject == NULL ? "desk-1" : asked->subject));
    MESSAGE_SET(request, request, role,
                asked->role == 0 ? (uint8_t)role_tenant_admin : asked->role);
    const uint32_t deadline_ms = asked->deadline_ms == 0 ? 5000 : asked->deadline_ms;
    MESSAGE_SET(request, request, deadline_ms, deadline_ms == UINT32_MAX ? 0 : deadline_ms);
    MESSAGE_SET(request, request, traceparent,
                TEXT_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    fill_key(asked, hash, request);
    if (asked->has_condition) {
        MESSAGE_SET(request, request, if_version, asked->if_version);
    }
    if (asked->since != 0) {
        MESSAGE_SET(request, request, tenant_since, (uint64_t)asked->since);
    }
    MESSAGE_SET(request, request, body, ((text_t){(const char *)body, body_size}));
    MESSAGE_MARK(envelope, &envelope, request);
    uint8_t bytes[16384];
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof(bytes));
    assert_true(size <= sizeof(bytes));
    uint8_t *const exact = malloc(size); /* so that ASan sees whoever keeps what it borrowed */
    memcpy(exact, bytes, size);
    shard_receive(fixture->shard, 3, exact, size);
    free(exact);
    return correlation;
}

bool is_answered(const fixture_t *fixture, uint64_t correlation)
{
    for (size_t i = 0; i < fixture->answer_count; i++) {
        if (fixture->answers[i].correlation == correlation) {
            return true;
        }
    }
    return false;
}

const answer_t *answer_to(const fixture_t *fixture, uint64_t correlation)
{
    const answer_t *answer = NULL;
    for (size_t i = 0; i < fixture->answer_count; i++) {
        if (fixture->answers[i].correlation == correlation) {
            assert_null(answer);
            answer = &fixture->answers[i];
        }
    }
    assert_non_null(answer);
    assert_int_equal(answer->peer, 3);
    return answer;
}

const answer_t *ask_now(fixture_t *fixture, const ask_t *asked)
{
    const uint64_t correlation = ask(fixture, asked);
    settle(fixture);
    return answer_to(fixture, correlation);
}

uuid_t issue_active(fixture_t *fixture, const char *member_id)
{
    const answer_t *const answer = ask_now(fixture, &(ask_t){.type = request_type_card_issue,
                                                             .member_id = member_id,
                                                             .holder_name = "Ada Lovelace",
                                                             .activate = true});
    assert_int_equal(answer->reply.outcome, outcome_ok);
    return answer->card.id;
}

uint64_t send_change(fixture_t *fixture, uint8_t type, const uuid_t *card)
{
    return ask(fixture, &(ask_t){.type = type, .card = card});
}

uint64_t send_validate(fixture_t *fixture, const uuid_t *card)
{
    return ask(fixture, &(ask_t){.type = request_type_card_validate, .card = card});
}

const answer_t *change(fixture_t *fixture, uint8_t type, const uuid_t *card)
{
    return ask_now(fixture, &(ask_t){.type = type, .card = card});
}

const answer_t *validate(fixture_t *fixture, const uuid_t *card)
{
    return ask_now(fixture, &(ask_t){.type = request_type_card_validate, .card = card});
}

const answer_t *get(fixture_t *fixture, const uuid_t *card)
{
    return ask_now(fixture, &(ask_t){.type = request_type_card_get, .card = card});
}

/* --- Checks --- */

void assert_error(const answer_t *answer, result_t result)
{
    assert_int_equal(answer->reply.outcome, outcome_error);
    assert_int_equal(answer->reply.error, result);
    assert_true(answer->reply.detail.size > 0);
    assert_text(answer->reply.trace_id, "0af7651916cd43dd8448eb211c80319c");
}

void assert_refused(const answer_t *answer, uint8_t reason)
{
    assert_int_equal(answer->reply.outcome, outcome_refused);
    assert_int_equal(answer->reply.reason, reason);
}

void assert_verdict(const answer_t *answer, uint8_t reason)
{
    assert_int_equal(answer->reply.outcome, outcome_ok);
    assert_int_equal(answer->verdict.reason, reason);
    assert_int_equal(answer->verdict.result,
                     reason == reason_valid ? verdict_result_valid : verdict_result_refused);
    assert_true(answer->verdict.message.size > 0);
}

void assert_text(text_t text, const char *expected)
{
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

uint64_t status_number(const fixture_t *fixture, const char *section, const char *name)
{
    char status[4096];
    assert_true(shard_status(fixture->shard, status, sizeof(status)) < sizeof(status));
    const char *place = strstr(status, section);
    assert_non_null(place);
    char quoted[64];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    place = strstr(place, quoted);
    assert_non_null(place);
    return strtoull(place + strlen(quoted), NULL, 10);
}

uint64_t metric_number(const fixture_t *fixture, const char *series)
{
    const size_t size = metrics_print(fixture->metrics, NULL, 0);
    char *text = malloc(size + 1);
    assert_true(metrics_print(fixture->metrics, text, size + 1) <= size);
    text[size] = '\0';
    const char *place = strstr(text, series);
    uint64_t value = 0;
    if (place != NULL) {
        place = strchr(place, '}');
        assert_non_null(place);
        value = strtoull(place + 1, NULL, 10);
    }
    free(text);
    return value;
}
