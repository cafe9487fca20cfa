/* What the load generator asks, and which answers it takes for true: the mix of a day at the doors,
 * the popularity of cards, and what a revocation makes of later answers. */
#include "bench/load/scenario.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CARDS = 1000, REQUESTS = 200000, SEED = 7 };

/* The card of a number, as a service would tell it. */
static text_t card_id(uint64_t number, char id[LOAD_ID_SIZE + 1])
{
    (void)snprintf(id, LOAD_ID_SIZE + 1, "01a1facc-e956-76d6-8024-%012llu",
                   (unsigned long long)number);
    return (text_t){id, LOAD_ID_SIZE};
}

static load_reply_t right_reply(const load_request_t *request, uint64_t number,
                                char id[LOAD_ID_SIZE + 1])
{
    load_reply_t reply = {.is_ok = true};
    reply.card =
        request->action == LOAD_ISSUE ? card_id(number, id) : (text_t){request->card, LOAD_ID_SIZE};
    reply.qr = TEXT_LITERAL("DC1:X");
    reply.status =
        request->action == LOAD_REVOKE ? TEXT_LITERAL("revoked") : TEXT_LITERAL("active");
    if (request->action == LOAD_SCAN) {
        reply.reason = TEXT_LITERAL("valid");
        reply.status = TEXT_NONE;
    }
    return reply;
}

static void prepare(load_player_t *player, const load_options_t *options)
{
    char id[LOAD_ID_SIZE + 1];
    char told[LOAD_WRONG_SIZE];
    load_player_init(player, options, CARDS, SEED);
    load_script_t script = {0};
    load_request_t request = {0};
    while (load_player_prepare(player, &script, &request)) {
        const load_reply_t reply = right_reply(&request, player->requests, id);
        assert_null(load_player_done(player, &script, &request, &reply, told));
    }
    assert_true(load_player_is_prepared(player));
}

static void near(uint64_t count, double part, double tolerance)
{
    const double is = (double)count / REQUESTS;
    if (fabs(is - part) > tolerance) {
        fail_msg("%g of all instead of %g", is, part);
    }
}

static void mixed_has_the_shares_it_promises(void **state)
{
    (void)state;
    const load_options_t options = {.scenario = LOAD_SCENARIO_MIXED, .skew = 1, .cards = CARDS};
    load_player_t player;
    uint64_t counts[LOAD_ACTIONS] = {0};
    uint64_t of_first = 0;
    char id[LOAD_ID_SIZE + 1];
    char told[LOAD_WRONG_SIZE];
    prepare(&player, &options);
    for (uint64_t number = 0; number < REQUESTS; number++) {
        load_script_t script = {0};
        load_request_t request = {0};
        load_player_next(&player, &script, &request);
        counts[request.action]++;
        of_first += request.action == LOAD_SCAN && script.place == 0 ? 1 : 0;
        load_reply_t reply = right_reply(&request, CARDS + number + 1, id);
        const bool is_gone = request.action != LOAD_ISSUE && script.state == LOAD_CARD_REVOKED;
        if (is_gone) { /* its place waits for the next issue */
            reply.reason = reply.reason.size > 0 ? TEXT_LITERAL("revoked") : TEXT_NONE;
            reply.status = TEXT_LITERAL("revoked");
        }
        assert_null(load_player_done(&player, &script, &request, &reply, told));
    }
    near(counts[LOAD_SCAN], 0.90, 0.003);
    near(counts[LOAD_GET], 0.05, 0.002);
    near(counts[LOAD_ISSUE], 0.02, 0.001);
    near(counts[LOAD_RENEW], 0.02, 0.001);
    near(counts[LOAD_REVOKE], 0.01, 0.001);
    near(of_first, 0.90 / 7.4855, 0.005); /* 1 + 1/2 + … + 1/1000 = 7.4855 */
    load_player_deinit(&player);
}

static void scan_of_place(load_player_t *player, uint32_t place, load_script_t *script,
                          load_request_t *request)
{
    do {
        load_player_next(player, script, request);
    } while (script->place != place);
}

static void valid_is_wrong_once_a_revocation_was_acknowledged(void **state)
{
    (void)state;
    const load_options_t options = {.scenario = LOAD_SCENARIO_SCAN, .cards = CARDS};
    load_player_t player;
    load_script_t before = {0};
    load_script_t after = {0};
    load_request_t first = {0};
    load_request_t second = {0};
    char id[LOAD_ID_SIZE + 1];
    char told[LOAD_WRONG_SIZE];
    prepare(&player, &options);
    scan_of_place(&player, 3, &before, &first);
    load_request_t revoke = first;
    revoke.action = LOAD_REVOKE;
    load_script_t script = before;
    load_reply_t reply = right_reply(&revoke, 0, id);
    assert_null(load_player_done(&player, &script, &revoke, &reply, told));
    scan_of_place(&player, 3, &after, &second);

    reply = right_reply(&first, 0, id);
    assert_null(load_player_done(&player, &before, &first, &reply, told)); /* asked before */
    reply.reason = TEXT_LITERAL("revoked");
    assert_null(load_player_done(&player, &before, &first, &reply, told));
    assert_null(load_player_done(&player, &after, &second, &reply, told));
    reply.reason = TEXT_LITERAL("valid");
    const char *const wrong = load_player_done(&player, &after, &second, &reply, told);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "expected revoked, got valid"));
    load_player_deinit(&player);
}

static void revoked_is_wrong_when_nobody_revoked(void **state)
{
    (void)state;
    const load_options_t options = {.scenario = LOAD_SCENARIO_SCAN, .cards = CARDS};
    load_player_t player;
    load_script_t script = {0};
    load_request_t request = {0};
    char id[LOAD_ID_SIZE + 1];
    char told[LOAD_WRONG_SIZE];
    prepare(&player, &options);
    load_player_next(&player, &script, &request);
    load_reply_t reply = right_reply(&request, 0, id);
    reply.reason = TEXT_LITERAL("revoked");
    assert_non_null(load_player_done(&player, &script, &request, &reply, told));
    load_player_deinit(&player);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_has_the_shares_it_promises),
        cmocka_unit_test(valid_is_wrong_once_a_revocation_was_acknowledged),
        cmocka_unit_test(revoked_is_wrong_when_nobody_revoked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
