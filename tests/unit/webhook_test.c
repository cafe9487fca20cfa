/* Webhooks: signatures, pauses, and the order in which events leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "actors/domain/webhook.h"

static uuid_t card(uint8_t number)
{
    return (uuid_t){.bytes = {number}};
}

static void signature_names_its_second_and_one_mac_for_each_secret(void **state)
{
    (void)state;
    uint8_t macs[2][WEBHOOK_MAC_SIZE];
    char out[WEBHOOK_SIGNATURE_SIZE + 1] = {0};
    memset(macs[0], 0xa1, sizeof macs[0]);
    memset(macs[1], 0x0f, sizeof macs[1]);
    const uint8_t(*const all)[WEBHOOK_MAC_SIZE] = (const uint8_t(*)[WEBHOOK_MAC_SIZE])macs;
    size_t size = webhook_signature(1732143600, all, 1, out);
    assert_int_equal(size, strlen("t=1732143600,v1=") + 64);
    assert_memory_equal(out, "t=1732143600,v1=a1a1", 20);
    size = webhook_signature(1732143600, all, 2, out);
    assert_int_equal(size, strlen("t=1732143600,v1=,v1=") + 128);
    assert_memory_equal(out + 16 + 64, ",v1=0f0f", 8);
}

static void stamp_is_the_second_and_a_dot(void **state)
{
    (void)state;
    char out[WEBHOOK_STAMP_SIZE];
    const size_t size = webhook_stamp(1732143600, out);
    assert_int_equal(size, 11);
    assert_memory_equal(out, "1732143600.", size);
}

static void secret_shows_all_its_bytes(void **state)
{
    (void)state;
    uint8_t random[32] = {0xde, 0xad};
    char out[WEBHOOK_SECRET_SIZE];
    random[31] = 0x7f;
    webhook_secret_format(random, out);
    assert_memory_equal(out, "whsec_dead00", 12);
    assert_memory_equal(out + WEBHOOK_SECRET_SIZE - 2, "7f", 2);
}

static void url_that_can_never_be_called_is_refused_at_once(void **state)
{
    (void)state;
    static const char *const usable[] = {
        "https://crm.example/in",
        "http://crm.example",
        "https://crm.example:8443/in?a=b/c",
        "http://192.0.2.7:80",
        "https://[2001:db8::7]:443/in",
        "https://a-b_c.example?x=:0",
        "http://host:1/",
        "http://host:65535/",
        "http://[::ffff:192.0.2.7]",
    };
    static const char *const unusable[] = {
        "",
        "https://",
        "http:///in",
        "https://?a=b",
        "https://:443/in",
        "https://crm.example:0/",
        "https://crm.example:65536/",
        "https://crm.example:99999999999999999999/",
        "https://crm.example:/",
        "https://crm.example:4x/",
        "https://crm.example:-1/",
        "https://crm.example::443/",
        "https://[2001:db8::7/in",
        "https://[]/in",
        "https://[fe80::1%25eth0]/",
        "https://[2001:db8::7]443/",
        "https://%63rm.example/",
        "https://crm example/",
        "https://me:secret@crm.example/",
        "https://crm.example/#part",
        "https://crm.example\\@10.0.0.1/",
        "ftp://crm.example/",
        "HTTPS://crm.example/",
    };
    for (size_t i = 0; i < sizeof usable / sizeof usable[0]; i++) {
        if (!webhook_url_is_usable(text_from_c(usable[i]))) {
            fail_msg("%s was refused", usable[i]);
        }
    }
    for (size_t i = 0; i < sizeof unusable / sizeof unusable[0]; i++) {
        if (webhook_url_is_usable(text_from_c(unusable[i]))) {
            fail_msg("%s was taken", unusable[i]);
        }
    }
}

static void only_2xx_delivers_and_only_410_ends(void **state)
{
    (void)state;
    for (uint32_t status = 100; status < 600; status++) {
        const webhook_verdict_t expected = status >= 200 && status < 300 ? WEBHOOK_DELIVERED
                                           : status == 410               ? WEBHOOK_GONE
                                                                         : WEBHOOK_AGAIN;
        assert_int_equal(webhook_judge(true, status), expected);
        assert_int_equal(webhook_judge(false, status), WEBHOOK_AGAIN);
    }
}

static void pause_is_anywhere_below_a_bound_that_doubles_to_an_hour(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (uint32_t attempts = 1; attempts < 100; attempts++) {
        const uint64_t highest = webhook_pause_ms(attempts, 0, UINT32_MAX);
        assert_int_equal(webhook_pause_ms(attempts, 0, 0), 0);
        assert_true(highest >= last && highest <= WEBHOOK_PAUSE_MS_MAX);
        last = highest;
    }
    assert_true(last > WEBHOOK_PAUSE_MS_MAX - 10);
    assert_in_range(webhook_pause_ms(1, 0, UINT32_MAX / 2), 490, 510);
    assert_in_range(webhook_pause_ms(4, 0, UINT32_MAX / 2), 3990, 4010);
    assert_int_equal(webhook_pause_ms(1, 30, 7), 30000); /* as the endpoint asked */
    assert_int_equal(webhook_pause_ms(1, 1000000, 7), WEBHOOK_PAUSE_MS_MAX);
}

static void event_is_given_up_after_three_days_of_trying(void **state)
{
    (void)state;
    const int64_t three_days = INT64_C(259200000);
    assert_false(webhook_is_hopeless(1000, 90, 1000 + three_days - 1));
    assert_true(webhook_is_hopeless(1000, 90, 1000 + three_days));
    assert_false(webhook_is_hopeless(1000, 19, 1000 + three_days)); /* the service was down */
    assert_true(webhook_is_hopeless(1000, 20, 1000 + 2 * three_days));
}

static void event_waits_for_the_earlier_one_of_its_card_alone(void **state)
{
    (void)state;
    static webhook_window_t window;
    webhook_window_init(&window, 10);
    webhook_place_t *const first = webhook_window_add(&window, 11, card(1), NULL);
    (void)webhook_window_add(&window, 12, card(1), NULL);
    webhook_place_t *const other = webhook_window_add(&window, 13, card(2), NULL);
    assert_ptr_equal(webhook_window_next(&window, 0), first);
    first->state = WEBHOOK_PLACE_FLIES;
    assert_ptr_equal(webhook_window_next(&window, 0), other);
    other->state = WEBHOOK_PLACE_DONE;
    assert_null(webhook_window_next(&window, 0));
    assert_false(webhook_window_settle(&window)); /* 11 is not done */
    first->state = WEBHOOK_PLACE_WAITS;
    first->not_before = 500;
    assert_null(webhook_window_next(&window, 499)); /* nor does 12 overtake it */
    assert_ptr_equal(webhook_window_next(&window, 500), first);
    first->state = WEBHOOK_PLACE_DONE;
    assert_true(webhook_window_settle(&window));
    assert_int_equal(window.watermark, 11);
    assert_int_equal(webhook_window_next(&window, 0)->sequence, 12);
}

static void window_is_bounded(void **state)
{
    (void)state;
    static webhook_window_t window;
    webhook_window_init(&window, 0);
    for (uint64_t i = 1; i <= WEBHOOK_WINDOW; i++) {
        assert_non_null(webhook_window_add(&window, i, card(1), NULL));
    }
    assert_null(webhook_window_add(&window, WEBHOOK_WINDOW + 1, card(1), NULL));
    assert_int_equal(window.last_read, WEBHOOK_WINDOW);
}

/* Random endpoints: every event is delivered, per card in order, and the cursor is never ahead. */
typedef struct world {
    webhook_window_t window;
    uint32_t random;
    uint64_t sent;         /* sequence of the last event put in */
    uint64_t delivered[8]; /* per card: the last one */
    bool is_done[2001];
} world_t;

static uint32_t draw(world_t *world, uint32_t below)
{
    world->random = world->random * UINT32_C(1664525) + UINT32_C(1013904223);
    return (world->random >> 8) % below;
}

static void answer_one(world_t *world)
{
    webhook_window_t *const window = &world->window;
    webhook_place_t *const place = &window->places[draw(world, window->count)];
    if (place->state != WEBHOOK_PLACE_FLIES) {
        return;
    }
    if (draw(world, 3) == 0) {
        place->state = WEBHOOK_PLACE_WAITS;
        return;
    }
    const uint8_t number = place->card.bytes[0];
    assert_true(place->sequence > world->delivered[number]);
    world->delivered[number] = place->sequence;
    world->is_done[place->sequence] = true;
    place->state = WEBHOOK_PLACE_DONE;
}

static void every_card_gets_its_events_in_order_and_no_cursor_runs_ahead(void **state)
{
    (void)state;
    static world_t world;
    world = (world_t){.random = (uint32_t)time(NULL)};
    print_message("seed %u\n", world.random);
    webhook_window_init(&world.window, 0);
    for (uint32_t step = 0; step < 1000000 && world.window.watermark < 2000; step++) {
        if (world.sent < 2000 && world.window.count < WEBHOOK_WINDOW) {
            world.sent++;
            (void)webhook_window_add(&world.window, world.sent, card((uint8_t)draw(&world, 8)),
                                     NULL);
        }
        webhook_place_t *const next = webhook_window_next(&world.window, 0);
        if (next != NULL) {
            next->state = WEBHOOK_PLACE_FLIES;
        }
        answer_one(&world);
        (void)webhook_window_settle(&world.window);
        assert_true(world.window.watermark == 0 || world.is_done[world.window.watermark]);
    }
    assert_int_equal(world.window.watermark, 2000);
    for (uint32_t i = 1; i <= 2000; i++) {
        assert_true(world.is_done[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_names_its_second_and_one_mac_for_each_secret),
        cmocka_unit_test(stamp_is_the_second_and_a_dot),
        cmocka_unit_test(secret_shows_all_its_bytes),
        cmocka_unit_test(url_that_can_never_be_called_is_refused_at_once),
        cmocka_unit_test(only_2xx_delivers_and_only_410_ends),
        cmocka_unit_test(pause_is_anywhere_below_a_bound_that_doubles_to_an_hour),
        cmocka_unit_test(event_is_given_up_after_three_days_of_trying),
        cmocka_unit_test(event_waits_for_the_earlier_one_of_its_card_alone),
        cmocka_unit_test(window_is_bounded),
        cmocka_unit_test(every_card_gets_its_events_in_order_and_no_cursor_runs_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
