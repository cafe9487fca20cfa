/* The ROUTER API with real DEALER and REQ sockets and a fake gateway. */
#include "adapters/router/router_internal.h"
#include "runtime/clock.h"
#include "tests/support/gateway_fake.h"
#include "tests/support/zmq_client.h"

#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

enum { TURNS = 200 };

static loop_t *loop;
static metrics_t *metrics;
static gateway_t gateway;
static router_front_t *front;
static char endpoint[64];
static int listener;
static uint32_t drained;

/* The socket comes bound and listening, as from the supervisor. */
static int start(void **state)
{
    (void)state;
    gateway_fake_init(&gateway);
    drained = 0;
    assert_int_equal(loop_create(&loop), RESULT_OK);
    metrics = metrics_create("test");
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(router_front_create(loop, metrics, endpoint, listener, &gateway, &front),
                     RESULT_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    router_front_destroy(&front);
    loop_destroy(&loop);
    metrics_destroy(&metrics);
    return 0;
}

/* --- A client of the protocol --- */

typedef struct sent_header {
    uint64_t v;
    const char *id;
    const char *type;
    const char *tenant;
    const char *token;
    const char *key;
    uint64_t deadline_ms;
} sent_header_t;

static const sent_header_t usual = {
    .v = 1, .id = "1", .type = "card.get", .tenant = "acme", .token = "good"};

static size_t pack_header(const sent_header_t *sent, uint8_t *out, size_t capacity)
{
    api_header_t header = {0};
    MESSAGE_SET(api_header, &header, v, sent->v);
    MESSAGE_SET(api_header, &header, id, text_from_c(sent->id));
    MESSAGE_SET(api_header, &header, type, text_from_c(sent->type));
    MESSAGE_SET(api_header, &header, tenant, text_from_c(sent->tenant));
    MESSAGE_SET(api_header, &header, token, text_from_c(sent->token));
    if (sent->key != NULL) {
        MESSAGE_SET(api_header, &header, key, text_from_c(sent->key));
    }
    if (sent->deadline_ms > 0) {
        MESSAGE_SET(api_header, &header, deadline_ms, sent->deadline_ms);
    }
    const size_t size =
        message_pack(&api_header_message, &header, MESSAGE_KEYS_NAMES, out, capacity);
    assert_true(size <= capacity);
    return size;
}

static size_t pack_get(uint8_t *out, size_t capacity)
{
    card_get_t command = {0};
    assert_true(uuid_parse(TEXT_LITERAL(GATEWAY_FAKE_CARD), &command.id));
    MESSAGE_MARK(card_get, &command, id);
    return message_pack(&card_get_message, &command, MESSAGE_KEYS_NAMES, out, capacity);
}

static size_t pack_scan(const char *gate, uint8_t *out, size_t capacity)
{
    card_scan_t command = {0};
    MESSAGE_SET(card_scan, &command, qr, TEXT_LITERAL("DC1:X"));
    MESSAGE_SET(card_scan, &command, gate, text_from_c(gate));
    return message_pack(&card_scan_message, &command, MESSAGE_KEYS_NAMES, out, capacity);
}

static void send_request(zmq_client_t *client, const sent_header_t *sent, const uint8_t *body,
                         size_t size)
{
    uint8_t header[1024];
    const size_t header_size = pack_header(sent, header, sizeof(header));
    zmq_client_send(client, header, header_size, true);
    zmq_client_send(client, body, size, false);
}

typedef struct received {
    api_reply_header_t header;
    problem_t problem;
    verdict_t verdict;
    card_t card;
    uint8_t arena[4096];
} received_t;

/* Reads a reply whose last two frames are header and body, and checks id and type. */
static void read_reply(zmq_client_t *client, received_t *received, const char *id, const char *type)
{
    zmq_client_read(client);
    assert_true(client->count >= 2);
    const size_t at = client->count - 2;
    arena_t arena = {.base = received->arena, .size = sizeof(received->arena)};
    message_fault_t fault;
    assert_true(message_unpack(&api_reply_header_message, MESSAGE_KEYS_NAMES,
                               (const uint8_t *)client->frames[at], client->sizes[at], &arena,
                               &received->header, &fault));
    assert_int_equal(received->header.v, 1);
    if (!text_equal(received->header.id, text_from_c(id)) ||
        !text_equal(received->header.type, text_from_c(type))) {
        fail_msg("%.*s %.*s instead of %s %s", TEXT_PRINT(received->header.id),
                 TEXT_PRINT(received->header.type), id, type);
    }
    const uint8_t *body = (const uint8_t *)client->frames[at + 1];
    const size_t size = client->sizes[at + 1];
    const bool is_ok = strstr(type, ".ok") != NULL;
    const message_type_t *document = !is_ok                              ? &problem_message
                                     : strcmp(type, "card.scan.ok") == 0 ? &verdict_message
                                                                         : &card_message;
    void *to = !is_ok                              ? (void *)&received->problem
               : strcmp(type, "card.scan.ok") == 0 ? (void *)&received->verdict
                                                   : (void *)&received->card;
    assert_true(message_unpack(document, MESSAGE_KEYS_NAMES, body, size, &arena, to, &fault));
}

static void read_error(zmq_client_t *client, const char *id, const char *code, const char *field)
{
    received_t received;
    read_reply(client, &received, id, "error");
    if (!text_equal(received.problem.code, text_from_c(code))) {
        fail_msg("%.*s instead of %s", TEXT_PRINT(received.problem.code), code);
    }
    if (field != NULL) {
        assert_true(text_equal(received.problem.field, text_from_c(field)));
    }
    assert_int_equal(received.problem.trace_id.size, 32);
}

/* --- Tests --- */

static void dealer_gets_header_and_document(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    uint8_t body[256];
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    sent_header_t sent = usual;
    sent.key = "key-1";
    sent.deadline_ms = 1234;
    send_request(&client, &sent, body, pack_get(body, sizeof(body)));
    read_reply(&client, &received, "1", "card.get.ok");
    assert_int_equal(client.count, 2);
    assert_int_equal(received.card.version, 7);
    assert_int_equal(gateway.last.type, request_type_card_get);
    assert_true(gateway.last.has_card);
    assert_int_equal(gateway.last.deadline_ms, 1234);
    assert_string_equal(gateway.last.key, "key-1");
    assert_string_equal(gateway.last.method_and_path, "card.get");
    assert_string_equal(gateway.last.tenant, "acme");
    zmq_client_close(&client);
}

static void req_gets_its_empty_frame_back(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    uint8_t body[256];
    zmq_client_open(&client, loop, ZMQ_REQ, endpoint);
    for (int i = 0; i < 3; i++) {
        send_request(&client, &usual, body, pack_get(body, sizeof(body)));
        read_reply(&client, &received, "1", "card.get.ok"); /* ZeroMQ took the empty frame off */
        assert_int_equal(client.count, 2);
    }
    zmq_client_close(&client);
}

static void proxies_get_their_envelope_back(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    uint8_t body[256];
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    zmq_client_send(&client, "far", 3, true);
    zmq_client_send(&client, "", 0, true);
    send_request(&client, &usual, body, pack_get(body, sizeof(body)));
    read_reply(&client, &received, "1", "card.get.ok");
    assert_int_equal(client.count, 4);
    assert_memory_equal(client.frames[0], "far", 3);
    assert_int_equal(client.sizes[1], 0);
    zmq_client_close(&client);
}

static void many_requests_are_in_flight_on_one_socket(void **state)
{
    (void)state;
    enum { REQUESTS = 200 };
    zmq_client_t client;
    received_t received;
    uint8_t body[256];
    char id[16];
    gateway.holds = true;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    for (int i = 0; i < REQUESTS; i++) {
        sent_header_t sent = usual;
        sent.type = "card.scan";
        (void)snprintf(id, sizeof(id), "r%d", i);
        sent.id = id;
        send_request(&client, &sent, body, pack_scan(id, body, sizeof(body)));
    }
    const uint64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (gateway.held < REQUESTS && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    assert_int_equal(gateway.held, REQUESTS);
    for (int i = REQUESTS - 1; i >= 0; i--) {
        gateway_fake_answer(&gateway, (uint32_t)i);
    }
    for (int i = REQUESTS - 1; i >= 0; i--) { /* in order of completion */
        (void)snprintf(id, sizeof(id), "r%d", i);
        read_reply(&client, &received, id, "card.scan.ok");
        assert_true(text_equal(received.verdict.message, text_from_c(id)));
    }
    zmq_client_close(&client);
}

static void refusals_and_errors_have_types_of_their_own(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    uint8_t body[256];
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    sent_header_t sent = usual;
    sent.type = "card.activate";
    gateway.fails_with = RESULT_REFUSED;
    gateway.reason = reason_already_active;
    send_request(&client, &sent, body, pack_get(body, sizeof(body)));
    read_reply(&client, &received, "1", "card.activate.refused");
    assert_int_equal(received.problem.status, 409);
    assert_true(text_equal(received.problem.code, TEXT_LITERAL("already_active")));
    gateway.fails_with = RESULT_OUTCOME_UNKNOWN;
    send_request(&client, &sent, body, pack_get(body, sizeof(body)));
    read_error(&client, "1", "outcome_unknown", NULL);
    zmq_client_close(&client);
}

static void headers_are_strict(void **state)
{
    (void)state;
    zmq_client_t client;
    uint8_t body[256];
    const size_t size = pack_get(body, sizeof(body));
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);

    sent_header_t sent = usual;
    sent.v = 2;
    send_request(&client, &sent, body, size);
    read_error(&client, "1", "unsupported_version", "v");
    static const char *const types[] = {"card.fly", "directory.get", "card", "none", "x"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        sent = usual;
        sent.type = types[i];
        send_request(&client, &sent, body, size);
        read_error(&client, "1", "unknown_type", "type");
    }

    sent = usual;
    sent.key = ""; /* not the same as none: a repeat under it would have a second effect */
    send_request(&client, &sent, body, size);
    read_error(&client, "1", "invalid_parameter", "key");

    zmq_client_send(&client, "\xc1", 1, true);
    zmq_client_send(&client, body, size, false);
    read_error(&client, "", "malformed_msgpack", NULL);
    zmq_client_send(&client, "\xdd\xff\xff\xff\xff", 5, true); /* claims 2^32 - 1 elements */
    zmq_client_send(&client, body, size, false);
    zmq_client_read(&client);
    zmq_client_send(&client,
                    "\x82\xa2id\xa1q\xa6"
                    "colour\x01",
                    14, true);
    zmq_client_send(&client, body, size, false);
    read_error(&client, "q", "unknown_field", "colour");
    zmq_client_send(&client, "\x80", 1, true);
    zmq_client_send(&client, body, size, false);
    zmq_client_read(&client);

    zmq_client_send(&client, "\x80", 1, false);
    read_error(&client, "", "malformed_msgpack", NULL);
    for (int i = 0; i < 4; i++) {
        zmq_client_send(&client, "\x80", 1, i < 3);
    }
    read_error(&client, "", "malformed_msgpack", NULL);
    assert_int_equal(gateway.submitted, 0);
    zmq_client_close(&client);
}

static void bodies_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *body;
        size_t size;
        const char *code;
        const char *field;
    } cases[] = {
        {"card.get", "", 0, "malformed_msgpack", NULL},
        {"card.list", "\x80\x80", 2, "malformed_msgpack", NULL},
        {"card.get", "\x90", 1, "invalid_body", NULL},
        {"card.get", "\x80", 1, "invalid_body", "id"},
        {"card.get", "\x81\xa2id\xa3x-y", 8, "invalid_id", "id"},
        {"card.list", "\x81\xa1x\x01", 4, "unknown_field", "x"},
        {"card.list", "\x81\xa5limit\x00", 8, "invalid_body", "limit"},
        {"events.read", "\x81\xa5limit\x00", 8, "invalid_body", "limit"},
        {"card.issue",
         "\x81\xaa"
         "expires_at\xb4"
         "2027-02-30T00:00:00Z",
         33, "invalid_dates", "expires_at"},
    };
    zmq_client_t client;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sent_header_t sent = usual;
        sent.type = cases[i].type;
        send_request(&client, &sent, (const uint8_t *)cases[i].body, cases[i].size);
        read_error(&client, "1", cases[i].code, cases[i].field);
        sent.token = "bad"; /* nobody is told what is wrong who may not ask at all */
        send_request(&client, &sent, (const uint8_t *)cases[i].body, cases[i].size);
        read_error(&client, "1", "unauthenticated", NULL);
        sent.token = "good";
        sent.tenant = "other";
        send_request(&client, &sent, (const uint8_t *)cases[i].body, cases[i].size);
        read_error(&client, "1", "wrong_tenant", NULL);
    }
    assert_int_equal(gateway.submitted, 0);
    zmq_client_close(&client);
}

static void replies_to_clients_that_are_gone_are_counted(void **state)
{
    (void)state;
    zmq_client_t client;
    uint8_t body[256];
    gateway.holds = true;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    send_request(&client, &usual, body, pack_get(body, sizeof(body)));
    const uint64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (gateway.held < 1 && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    assert_int_equal(gateway.held, 1);
    zmq_client_close(&client);
    /* ZeroMQ hears of it in its own thread: ask until it knows. */
    const gateway_fake_request_t kept = gateway.requests[0];
    zmq_client_t other;
    received_t received;
    zmq_client_open(&other, loop, ZMQ_DEALER, endpoint);
    gateway.holds = false;
    send_request(&other, &usual, body, pack_get(body, sizeof(body)));
    read_reply(&other, &received, "1", "card.get.ok");
    zmq_client_close(&other);
    assert_non_null(kept.done);
    gateway_fake_answer(&gateway, 0);
    assert_int_equal(front->in_flight_count, 0);
    assert_int_equal(metric_value(front->metrics.gone) + metric_value(front->metrics.replies), 2);
}

/* --- A client that does not read --- */

enum { PAGES = 400 };

/* Takes a message or two, and little into the kernel's buffers. */
static void open_lazy(zmq_client_t *client)
{
    const int one = 1;
    const int small = 4096;
    memset(client, 0, sizeof(*client));
    client->loop = loop;
    client->context = zmq_ctx_new();
    client->socket = zmq_socket(client->context, ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(client->socket, ZMQ_RCVHWM, &one, sizeof(one)), 0);
    assert_int_equal(zmq_setsockopt(client->socket, ZMQ_RCVBUF, &small, sizeof(small)), 0);
    const int none = 0;
    assert_int_equal(zmq_setsockopt(client->socket, ZMQ_LINGER, &none, sizeof(none)), 0);
    assert_int_equal(zmq_connect(client->socket, endpoint), 0);
}

static size_t pack_list(uint8_t *out, size_t capacity)
{
    card_list_t command = {0};
    return message_pack(&card_list_message, &command, MESSAGE_KEYS_NAMES, out, capacity);
}

static void ask_for_pages(zmq_client_t *client, uint32_t count)
{
    sent_header_t list = usual;
    list.type = "card.list";
    uint8_t body[64];
    const uint64_t before = gateway.submitted;
    const size_t size = pack_list(body, sizeof(body));
    for (uint32_t i = 0; i < count; i++) {
        send_request(client, &list, body, size);
    }
    const uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (gateway.submitted < before + count && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    assert_int_equal(gateway.submitted, before + count);
    zmq_client_turn(loop);
}

static void what_waits_for_a_client_that_does_not_read_is_bounded_in_bytes(void **state)
{
    (void)state;
    zmq_client_t lazy;
    zmq_client_t other;
    received_t received;
    uint32_t pages = 0;
    gateway.page_items = 500;
    open_lazy(&lazy);
    ask_for_pages(&lazy, PAGES);
    const uint64_t refused = metric_value(front->metrics.unread_refused);
    assert_true(refused > 0);
    assert_true(router_accounts_size(front) <= LIMIT_API_CLIENT_BYTES);
    assert_true(router_accounts_size(front) > LIMIT_API_CLIENT_BYTES / 2);
    /* Others do not notice. */
    zmq_client_open(&other, loop, ZMQ_DEALER, endpoint);
    ask_for_pages(&other, 1);
    zmq_client_read(&other);
    assert_true(other.sizes[1] > 50000);
    zmq_client_close(&other);
    /* Every request has an answer, in order, and afterwards all is as before. */
    for (uint32_t i = 0; i < PAGES; i++) {
        zmq_client_read(&lazy);
        pages += lazy.sizes[1] > 50000 ? 1 : 0;
    }
    assert_int_equal(pages, PAGES - refused);
    const uint64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (router_accounts_size(front) > 0 && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    assert_int_equal(router_accounts_size(front), 0);
    ask_for_pages(&lazy, 1);
    zmq_client_read(&lazy);
    assert_true(lazy.sizes[1] > 50000);
    ask_for_pages(&lazy, PAGES);
    zmq_client_close(&lazy); /* with what waits: the front may end before ZeroMQ lets it go */
    uint8_t body[256];
    zmq_client_open(&other, loop, ZMQ_DEALER, endpoint);
    send_request(&other, &usual, body, pack_get(body, sizeof(body)));
    read_reply(&other, &received, "1", "card.get.ok");
    zmq_client_close(&other);
}

static void on_drained(void *context)
{
    (void)context;
    drained++;
}

static void drain_waits_for_the_last_reply(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    uint8_t body[256];
    gateway.holds = true;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    send_request(&client, &usual, body, pack_get(body, sizeof(body)));
    const uint64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (gateway.held < 1 && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    router_front_drain(front, on_drained, NULL);
    send_request(&client, &usual, body, pack_get(body, sizeof(body)));
    for (int i = 0; i < TURNS; i++) {
        zmq_client_turn(loop);
    }
    assert_int_equal(gateway.submitted, 1); /* nothing new is read */
    assert_int_equal(drained, 0);
    gateway_fake_answer(&gateway, 0);
    read_reply(&client, &received, "1", "card.get.ok");
    zmq_client_turn(loop);
    assert_int_equal(drained, 1);
    zmq_client_close(&client);
}

/* --- Handing over to a successor. Ticks are given by hand, so that what lies between two of them
 * is the test's choice and not the machine's. --- */

static void hand_over(void)
{
    router_front_hand_over(front, on_drained, NULL);
    loop_timer_stop(front->timer);
}

static void turn_until_submitted(uint64_t count)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (gateway.submitted < count && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    assert_int_equal(gateway.submitted, count);
}

/* A machine that stands still does not make the hand-over give up. */
static void tick(void)
{
    front->leave.began_ms = loop_now_ms(loop);
    router_leave_tick(front);
}

static void tick_until(router_leaving_t state)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (front->leaving != state && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
        tick();
    }
    assert_int_equal(front->leaving, state);
}

/* Without a turn of the loop: it has come, and the front does not know. */
static void wait_unread(void)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (!zsocket_has_unread(front->socket) && clock_monotonic_ms() < deadline_ms) {
        (void)sched_yield();
    }
    assert_true(zsocket_has_unread(front->socket));
}

static void send_get(zmq_client_t *client, const char *id)
{
    uint8_t body[256];
    sent_header_t sent = usual;
    sent.id = id;
    send_request(client, &sent, body, pack_get(body, sizeof(body)));
}

static void a_hand_over_goes_back_when_something_comes_behind_the_last_replies(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    send_get(&client, "0");
    read_reply(&client, &received, "0", "card.get.ok");
    hand_over();
    send_get(&client, "1");
    turn_until_submitted(2);
    tick_until(ROUTER_SENDS_LAST);
    gateway.holds = true;
    send_get(&client, "2");
    wait_unread();
    for (int i = 0; i < 3; i++) { /* enough for the end, but for what is unread */
        tick();
    }
    assert_int_equal(front->leaving, ROUTER_HOLDS);
    turn_until_submitted(3);
    for (int i = 0; i < 10; i++) { /* nor is it told while it is worked on */
        zmq_client_turn(loop);
        tick();
    }
    assert_int_equal(front->leaving, ROUTER_HOLDS);
    gateway_fake_answer(&gateway, 0);
    tick_until(ROUTER_FINISHES);
    zmq_client_turn(loop);
    assert_int_equal(drained, 1);
    read_reply(&client, &received, "1", "card.get.ok");
    read_reply(&client, &received, "2", "card.get.ok");
    zmq_client_close(&client);
}

static void clients_that_do_not_wait_get_their_replies_soon(void **state)
{
    (void)state;
    zmq_client_t client;
    received_t received;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    send_get(&client, "0");
    read_reply(&client, &received, "0", "card.get.ok"); /* it is connected */
    hand_over();
    for (uint32_t i = 0; i <= LIMIT_API_HOLD_SPARE; i++) {
        send_get(&client, "1");
    }
    turn_until_submitted(LIMIT_API_HOLD_SPARE + 2);
    assert_int_equal(front->leave.held_count, LIMIT_API_HOLD_SPARE + 1);
    front->leave.received_ms = loop_now_ms(loop); /* the next one comes already */
    front->leave.looked_ms = loop_now_ms(loop);
    tick();
    assert_int_equal(front->leaving, ROUTER_WAITS);
    for (uint32_t i = 0; i <= LIMIT_API_HOLD_SPARE; i++) {
        zmq_client_read(&client);
    }
    tick_until(ROUTER_FINISHES);
    zmq_client_close(&client);
}

static void peer_write(int peer, const void *data, size_t size)
{
    assert_int_equal(send(peer, data, size, MSG_NOSIGNAL), size);
}

/* A peer that goes on writing behind the end: ZMTP 3.0 by hand, mechanism NULL. */
static int open_stubborn_peer(void)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    static const char ready[] = "\4\x1c\5READY\xbSocket-Type\0\0\0\6DEALER";
    const int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 10};
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, size), 0);
    peer_write(peer, greeting, sizeof(greeting));
    peer_write(peer, ready, sizeof(ready) - 1);
    uint8_t theirs[sizeof(greeting) + 2 + UINT8_MAX]; /* messages only when both are ready */
    assert_int_equal(recv(peer, theirs, sizeof(greeting) + 2, MSG_WAITALL), sizeof(greeting) + 2);
    const size_t rest = theirs[sizeof(greeting) + 1];
    assert_int_equal(recv(peer, theirs, rest, MSG_WAITALL), rest);
    return peer;
}

static void peer_ask(int peer)
{
    uint8_t bytes[1024];
    const size_t header = pack_header(&usual, bytes + 2, 200);
    bytes[0] = 1; /* more follows */
    bytes[1] = (uint8_t)header;
    const size_t body = pack_get(bytes + header + 4, 200);
    bytes[header + 2] = 0;
    bytes[header + 3] = (uint8_t)body;
    peer_write(peer, bytes, header + body + 4);
}

/* Without a turn of the loop. */
static void peer_read_to_the_end(int peer)
{
    char bytes[1024];
    ssize_t size = 1;
    while (size > 0) {
        size = recv(peer, bytes, sizeof(bytes), 0);
    }
    assert_int_equal(size, 0);
}

static void what_nobody_can_be_told_is_not_carried_out(void **state)
{
    (void)state;
    const int peer = open_stubborn_peer();
    peer_ask(peer);
    turn_until_submitted(1);
    hand_over();
    tick_until(ROUTER_WAS_LEFT);
    peer_read_to_the_end(peer);
    peer_ask(peer);
    const uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (metric_value(front->metrics.late) == 0 && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    assert_int_equal(metric_value(front->metrics.late), 1);
    assert_int_equal(gateway.submitted, 1);
    assert_int_equal(zsocket_peers(front->socket), 1); /* it is not cut off while it writes */
    assert_int_equal(close(peer), 0);
    tick_until(ROUTER_FINISHES);
    zmq_client_turn(loop);
    assert_int_equal(drained, 1);
}

static void destroy_cancels_what_is_in_flight(void **state)
{
    (void)state;
    zmq_client_t client;
    uint8_t body[256];
    gateway.holds = true;
    zmq_client_open(&client, loop, ZMQ_DEALER, endpoint);
    send_request(&client, &usual, body, pack_get(body, sizeof(body)));
    const uint64_t deadline_ms = clock_monotonic_ms() + 5000;
    while (gateway.held < 1 && clock_monotonic_ms() < deadline_ms) {
        zmq_client_turn(loop);
    }
    router_front_destroy(&front);
    assert_int_equal(gateway.cancelled, 1);
    zmq_client_close(&client);
}

static void an_endpoint_in_use_is_told(void **state)
{
    (void)state;
    router_front_t *second = NULL;
    assert_int_equal(router_front_create(loop, metrics, endpoint, -1, &gateway, &second),
                     RESULT_ADDRESS_IN_USE);
    assert_null(second);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH(dealer_gets_header_and_document),
        WITH(req_gets_its_empty_frame_back),
        WITH(proxies_get_their_envelope_back),
        WITH(many_requests_are_in_flight_on_one_socket),
        WITH(refusals_and_errors_have_types_of_their_own),
        WITH(headers_are_strict),
        WITH(bodies_are_strict),
        WITH(what_waits_for_a_client_that_does_not_read_is_bounded_in_bytes),
        WITH(replies_to_clients_that_are_gone_are_counted),
        WITH(drain_waits_for_the_last_reply),
        WITH(a_hand_over_goes_back_when_something_comes_behind_the_last_replies),
        WITH(clients_that_do_not_wait_get_their_replies_soon),
        WITH(what_nobody_can_be_told_is_not_carried_out),
        WITH(destroy_cancels_what_is_in_flight),
        WITH(an_endpoint_in_use_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
