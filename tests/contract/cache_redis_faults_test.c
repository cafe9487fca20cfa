/* A Redis that is away, slow, full, read-only, restarted or no Redis at all: what callers see. */
#include "adapters/cache_redis/cache_redis.h"
#include "runtime/log.h"
#include "tests/contract/cache_contract.h"
#include "tests/support/free_port.h"
#include "tests/support/redis_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, BACK_MS = 5000, STATUS_SIZE = 512, NONSENSE_COUNT = 12 };

typedef struct fixture {
    redis_server_t server;
    loop_t *loop;
    cache_t *cache;
} fixture_t;

static void open_cache(fixture_t *fixture, const char *credentials, uint16_t port)
{
    char url[96];
    (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%u", credentials, port);
    const cache_redis_options_t options = {.url = url, .installation = "abcd"};
    assert_int_equal(cache_redis_create(fixture->loop, NULL, &options, &fixture->cache), RESULT_OK);
}

static int setup(void **state)
{
    fixture_t *const fixture = calloc(1, sizeof *fixture);
    assert_int_equal(loop_create(&fixture->loop), RESULT_OK);
    fixture->server.port = free_port();
    *state = fixture;
    return 0;
}

static int setup_running(void **state)
{
    (void)setup(state);
    fixture_t *const fixture = *state;
    redis_server_start(&fixture->server);
    open_cache(fixture, "", fixture->server.port);
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", PATIENCE_MS));
    return 0;
}

static int teardown(void **state)
{
    fixture_t *const fixture = *state;
    cache_redis_destroy(&fixture->cache);
    loop_destroy(&fixture->loop);
    redis_server_stop(&fixture->server);
    free(fixture);
    return 0;
}

static const char *status_of(const fixture_t *fixture, char text[STATUS_SIZE])
{
    const size_t size = fixture->cache->functions->status(fixture->cache, text, STATUS_SIZE - 1);
    assert_true(size < STATUS_SIZE);
    text[size] = '\0';
    return text;
}

typedef struct wanted {
    const fixture_t *fixture;
    const char *text;
} wanted_t;

static bool status_says(void *context)
{
    const wanted_t *const wanted = context;
    char text[STATUS_SIZE];
    return strstr(status_of(wanted->fixture, text), wanted->text) != NULL;
}

static void await_status(fixture_t *fixture, const char *text)
{
    wanted_t wanted = {.fixture = fixture, .text = text};
    char now[STATUS_SIZE];
    if (!cache_run_until(fixture->loop, status_says, &wanted, PATIENCE_MS)) {
        fail_msg("the status never says %s: %s", text, status_of(fixture, now));
    }
}

/* --- Away and back --- */

static void absent_server_refuses_at_once_and_is_found_when_it_comes(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    open_cache(fixture, "", fixture->server.port);
    assert_int_equal(cache_get_now(fixture->loop, fixture->cache, "acme", "a", &answer),
                     RESULT_UNAVAILABLE);
    await_status(fixture, "\"problem\":\"nobody listens there\"");
    assert_false(fixture->cache->functions->is_shared(fixture->cache));
    redis_server_start(&fixture->server);
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", BACK_MS));
    await_status(fixture, "\"problem\":\"\"");
    assert_true(fixture->cache->functions->is_shared(fixture->cache));
}

typedef struct load {
    fixture_t *fixture;
    uint64_t asked;
    uint64_t answered;
    uint64_t worked;
    uint64_t worked_before;
} load_t;

static void load_added(void *context, result_t result, int64_t sum)
{
    load_t *const load = context;
    (void)sum;
    load->answered++;
    load->worked += result == RESULT_OK ? 1 : 0;
    assert_true(result == RESULT_OK || result == RESULT_UNAVAILABLE);
}

/* A thousand calls a look, as a gate would make them, whatever they answer. */
static void load_more(load_t *load)
{
    cache_t *const cache = load->fixture->cache;
    for (int i = 0; i < 1000; i++) {
        const result_t result = cache->functions->add(
            cache, TEXT_LITERAL("acme"), TEXT_LITERAL("n"), 1, 60000, load_added, load);
        load->asked += result == RESULT_OK ? 1 : 0;
        assert_true(result == RESULT_OK || result == RESULT_UNAVAILABLE || result == RESULT_BUSY);
    }
}

static bool load_works(void *context)
{
    load_t *const load = context;
    load_more(load);
    return load->worked > load->worked_before + 5000;
}

static bool load_is_answered(void *context)
{
    const load_t *const load = context;
    return load->answered == load->asked;
}

static void
killed_and_restarted_under_load_every_call_is_answered_and_it_is_used_again(void **state)
{
    fixture_t *const fixture = *state;
    load_t load = {.fixture = fixture};
    for (int i = 0; i < 4; i++) {
        load.worked_before = load.worked;
        assert_true(cache_run_until(fixture->loop, load_works, &load, BACK_MS));
        load_more(&load); /* under way when it dies */
        redis_server_kill(&fixture->server);
        redis_server_run_again(&fixture->server);
    }
    assert_true(cache_run_until(fixture->loop, load_is_answered, &load, PATIENCE_MS));
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", BACK_MS));
}

static void server_that_stops_answering_costs_its_time_once(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    redis_server_pause(&fixture->server);
    const uint64_t before_ms = loop_now_ms(fixture->loop);
    assert_int_equal(cache_get_now(fixture->loop, fixture->cache, "acme", "a", &answer),
                     RESULT_UNAVAILABLE);
    assert_in_range(loop_now_ms(fixture->loop) - before_ms, LIMIT_CACHE_TIMEOUT_MS / 2, 2000);
    assert_int_equal(cache_get_now(fixture->loop, fixture->cache, "acme", "a", &answer),
                     RESULT_UNAVAILABLE);
    assert_int_equal(answer.count, 0); /* refused by the call itself */
    await_status(fixture, "does not answer in time");
    redis_server_go_on(&fixture->server);
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", BACK_MS));
}

static void silent_death_of_an_idle_connection_is_found_by_asking(void **state)
{
    fixture_t *const fixture = *state;
    redis_server_pause(&fixture->server); /* nothing is asked meanwhile */
    await_status(fixture, "\"up\":false");
    redis_server_go_on(&fixture->server);
    await_status(fixture, "\"up\":true");
}

/* --- There, but of no use --- */

static void full_server_refuses_writes_and_still_reads(void **state)
{
    fixture_t *const fixture = *state;
    cache_t *const cache = fixture->cache;
    cache_answer_t answer;
    assert_int_equal(cache->functions->put(cache, TEXT_LITERAL("acme"), TEXT_LITERAL("a"),
                                           &(cache_version_t){0}, TEXT_LITERAL("kept"), 60000),
                     RESULT_OK);
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "a", &answer), RESULT_OK);
    redis_server_say(&fixture->server, "CONFIG SET maxmemory 1");
    assert_int_equal(cache_add_now(fixture->loop, cache, "acme", "n", 1, &answer),
                     RESULT_UNAVAILABLE);
    await_status(fixture, "it is full");
    assert_int_equal(cache_get_now(fixture->loop, cache, "acme", "a", &answer), RESULT_OK);
    assert_string_equal(answer.value, "kept");
    redis_server_say(&fixture->server, "CONFIG SET maxmemory 0");
    assert_int_equal(cache_add_now(fixture->loop, cache, "acme", "n", 1, &answer), RESULT_OK);
}

static void read_only_replica_is_left_and_used_when_it_is_primary(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    redis_server_say(&fixture->server, "REPLICAOF 127.0.0.1 1");
    const uint64_t end_ms = loop_now_ms(fixture->loop) + PATIENCE_MS;
    while (cache_add_now(fixture->loop, fixture->cache, "acme", "n", 1, &answer) == RESULT_OK) {
        assert_true(loop_now_ms(fixture->loop) < end_ms);
    }
    await_status(fixture, "read-only replica");
    redis_server_say(&fixture->server, "REPLICAOF NO ONE");
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", BACK_MS));
}

static void wrong_password_is_told_and_never_shown(void **state)
{
    fixture_t *const fixture = *state;
    static const char *const options[] = {"--requirepass", "right-secret", NULL};
    char text[STATUS_SIZE];
    memcpy(fixture->server.options, options, sizeof options);
    fixture->server.password = "right-secret";
    redis_server_start(&fixture->server);
    open_cache(fixture, ":wrong-secret@", fixture->server.port);
    await_status(fixture, "another user or password");
    assert_null(strstr(status_of(fixture, text), "secret"));
    cache_redis_destroy(&fixture->cache);
    open_cache(fixture, "", fixture->server.port);
    await_status(fixture, "another user or password");
    cache_redis_destroy(&fixture->cache);
    open_cache(fixture, ":right-secret@", fixture->server.port);
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", PATIENCE_MS));
    cache_redis_destroy(&fixture->cache);
    open_cache(fixture, "default:right%2Dsecret@", fixture->server.port);
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", PATIENCE_MS));
}

/* --- No Redis at all --- */

typedef struct nonsense {
    const char *after_hello; /* said to each client once it has asked; NULL: nothing */
    bool greets;             /* answers PING as Redis does, and then says the rest */
    bool closes;
} nonsense_t;

typedef struct speaker {
    uv_tcp_t listener;
    const nonsense_t *nonsense;
    uint32_t clients;
    uint16_t port;
    uint32_t open;
} speaker_t;

typedef struct speaker_client {
    uv_tcp_t tcp;
    speaker_t *speaker;
    bool has_greeted;
} speaker_client_t;

static void client_closed(uv_handle_t *handle)
{
    speaker_client_t *const client = handle->data;
    client->speaker->open--;
    free(client);
}

static void client_say(speaker_client_t *client, const char *text)
{
    uv_buf_t buffer = uv_buf_init((char *)text, (unsigned)strlen(text));
    (void)uv_try_write((uv_stream_t *)&client->tcp, &buffer, 1);
}

static void client_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    *buffer = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void client_asked(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    speaker_client_t *const client = stream->data;
    const nonsense_t *const nonsense = client->speaker->nonsense;
    free(buffer->base);
    if (size > 0 && nonsense->greets && !client->has_greeted) {
        client->has_greeted = true;
        client_say(client, "+PONG\r\n");
        if (nonsense->closes && nonsense->after_hello != NULL) {
            client_say(client, nonsense->after_hello); /* an answer to no question */
        }
        return;
    }
    if (size > 0 && nonsense->after_hello != NULL) {
        client_say(client, nonsense->after_hello);
    }
    if ((size < 0 || nonsense->closes) && uv_is_closing((uv_handle_t *)stream) == 0) {
        uv_close((uv_handle_t *)stream, client_closed);
    }
}

static void client_came(uv_stream_t *listener, int status)
{
    speaker_t *const speaker = listener->data;
    speaker_client_t *const client = calloc(1, sizeof *client);
    (void)status;
    client->speaker = speaker;
    (void)uv_tcp_init(listener->loop, &client->tcp);
    client->tcp.data = client;
    speaker->open++;
    speaker->clients++;
    (void)uv_accept(listener, (uv_stream_t *)&client->tcp);
    (void)uv_read_start((uv_stream_t *)&client->tcp, client_allocate, client_asked);
}

static void speaker_begin(speaker_t *speaker, loop_t *loop, uint16_t port)
{
    struct sockaddr_in address;
    (void)uv_ip4_addr("127.0.0.1", port, &address);
    (void)uv_tcp_init(loop_uv(loop), &speaker->listener);
    speaker->listener.data = speaker;
    assert_int_equal(uv_tcp_bind(&speaker->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&speaker->listener, 16, client_came), 0);
}

static bool speaker_is_left(void *context)
{
    return ((const speaker_t *)context)->open == 0;
}

static bool has_met_two(void *context)
{
    return ((const speaker_t *)context)->clients >= 2;
}

static void listener_closed(uv_handle_t *handle)
{
    (void)handle;
}

/* What answers like nothing that was foreseen costs its callers UNAVAILABLE and nothing else. */
static void nonsense_is_answered_as_unavailable(void **state)
{
    fixture_t *const fixture = *state;
    static const nonsense_t all[NONSENSE_COUNT] = {
        {.after_hello = "HTTP/1.1 400 Bad Request\r\n\r\n"},
        {.after_hello = "\x16\x03\x01\x02", .closes = true},
        {.after_hello = ":1\r\n"},
        {.after_hello = "*2000000000\r\n"},
        {.after_hello = "$-7\r\n"},
        {.after_hello = "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"},
        {.greets = true, .after_hello = "+what?\r\n", .closes = true},
        {.greets = true, .after_hello = ":1\r\n:2\r\n:3\r\n:4\r\n"},
        {.greets = true, .after_hello = "*1\r\n$1\r\nx\r\n"},
        {.greets = true, .after_hello = "-MOVED\r\n"},
        {.greets = true, .after_hello = "-MOVED 99999 :::::\r\n"},
        {.greets = true, .after_hello = "-ASK 1 127.0.0.1:1\r\n"},
    };
    for (size_t i = 0; i < NONSENSE_COUNT; i++) {
        speaker_t *speaker = calloc(1, sizeof *speaker);
        cache_answer_t answer;
        speaker->nonsense = &all[i];
        speaker_begin(speaker, fixture->loop, fixture->server.port);
        open_cache(fixture, "", fixture->server.port);
        const uint64_t end_ms = loop_now_ms(fixture->loop) + 300;
        while (loop_now_ms(fixture->loop) < end_ms) {
            const result_t result =
                cache_get_now(fixture->loop, fixture->cache, "acme", "a", &answer);
            assert_true(result == RESULT_UNAVAILABLE);
            (void)cache_run_until(fixture->loop, has_met_two, speaker, 20);
        }
        assert_true(speaker->clients >= 1);
        cache_redis_destroy(&fixture->cache);
        uv_close((uv_handle_t *)&speaker->listener, listener_closed);
        assert_true(cache_run_until(fixture->loop, speaker_is_left, speaker, PATIENCE_MS));
        free(speaker);
    }
}

static void unknown_name_is_told(void **state)
{
    fixture_t *const fixture = *state;
    cache_answer_t answer;
    const cache_redis_options_t options = {.url = "redis://no-such-host.invalid",
                                           .installation = "abcd"};
    assert_int_equal(cache_redis_create(fixture->loop, NULL, &options, &fixture->cache), RESULT_OK);
    assert_int_equal(cache_get_now(fixture->loop, fixture->cache, "acme", "a", &answer),
                     RESULT_UNAVAILABLE);
    await_status(fixture, "\"up\":false");
}

static bool is_added(fixture_t *fixture)
{
    cache_answer_t answer;
    return cache_add_now(fixture->loop, fixture->cache, "acme", "n", 1, &answer) == RESULT_OK;
}

/* A Cluster whose servers have had more addresses, one after the other, than it may have servers:
 * the last one counts. A server that says so stands in for years of moving. */
static void ever_new_addresses_of_a_cluster_are_followed(void **state)
{
    fixture_t *const fixture = *state;
    char text[64];
    nonsense_t moved = {.greets = true, .after_hello = text};
    speaker_t *speaker = calloc(1, sizeof *speaker);
    speaker->nonsense = &moved;
    speaker->port = free_port();
    speaker_begin(speaker, fixture->loop, speaker->port);
    open_cache(fixture, "", speaker->port);
    await_status(fixture, "\"up\":true");
    for (int i = 2; i < 2 + 2 * LIMIT_CACHE_NODES; i++) {
        (void)snprintf(text, sizeof text, "-MOVED 5 127.0.0.%d:1\r\n", i); /* nobody is there */
        assert_false(is_added(fixture));
    }
    redis_server_start(&fixture->server);
    (void)snprintf(text, sizeof text, "-MOVED 5 127.0.0.1:%u\r\n", fixture->server.port);
    assert_true(cache_await_up(fixture->loop, fixture->cache, "acme", PATIENCE_MS));
    cache_redis_destroy(&fixture->cache);
    uv_close((uv_handle_t *)&speaker->listener, listener_closed);
    assert_true(cache_run_until(fixture->loop, speaker_is_left, speaker, PATIENCE_MS));
    free(speaker);
}

/* --- The text of --redis --- */

static void urls_are_told_apart(void **state)
{
    (void)state;
    static const char *const good[] = {
        "redis://localhost",
        "redis://127.0.0.1:7000/5",
        "redis://[::1]:7000",
        "redis://:p%40ss@h",
        "redis://user:pass@h1,h2:7001,h3/0",
        "redis-sentinel://s1:26380,s2/main",
        "redis-sentinel://:secret@s1/main/2",
    };
    static const char *const bad[] = {
        "",
        "redis:/localhost",
        "http://localhost",
        "redis://",
        "redis://h:0",
        "redis://h:70000",
        "redis://h:port",
        "redis://h/db",
        "redis://user@h",
        "redis://:%zz@h",
        "redis://:%00@h",
        "redis://:%4",
        "redis://a,b,c,d,e,f,g,h,i",
        "redis://a,,b",
        "redis-sentinel://s1",
        "redis-sentinel://s1/",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (cache_redis_url_problem(good[i]) != NULL) {
            fail_msg("%s: %s", good[i], cache_redis_url_problem(good[i]));
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cache_redis_url_problem(bad[i]) == NULL) {
            fail_msg("%s is taken", bad[i]);
        }
    }
    assert_non_null(strstr(cache_redis_url_problem("rediss://h"), "TLS"));
}

int main(void)
{
    log_start("test", LOG_SILENT_LEVEL);
    const struct CMUnitTest tests[] = {
#define ALONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, setup_running, teardown)
        cmocka_unit_test(urls_are_told_apart),
        ALONE(absent_server_refuses_at_once_and_is_found_when_it_comes),
        RUNNING(killed_and_restarted_under_load_every_call_is_answered_and_it_is_used_again),
        RUNNING(server_that_stops_answering_costs_its_time_once),
        RUNNING(silent_death_of_an_idle_connection_is_found_by_asking),
        RUNNING(full_server_refuses_writes_and_still_reads),
        RUNNING(read_only_replica_is_left_and_used_when_it_is_primary),
        ALONE(wrong_password_is_told_and_never_shown),
        ALONE(nonsense_is_answered_as_unavailable),
        ALONE(ever_new_addresses_of_a_cluster_are_followed),
        ALONE(unknown_name_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
