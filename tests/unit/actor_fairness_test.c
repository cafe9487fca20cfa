/* One tenant's bulk does not slow another's gate; system messages come first; passivation by bytes;
 * an identity that fails again and again rests. */
#include "tests/unit/actor_support.h"

enum { BULK_ACTORS = 1000, BULK_MESSAGES = 100 };

static result_t note_when_handled(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)self;
    (void)message;
    probes->number = probes->handled;
    return RESULT_OK;
}

/* 100,000 messages of one tenant wait; one of another is handled after at most one turn of it. */
static void message_of_another_tenant_waits_for_one_turn_at_most(void **state)
{
    probes_t *const probes = *state;
    actor_ref_t bulk[BULK_ACTORS];
    for (uint32_t index = 0; index < BULK_ACTORS; index++) {
        bulk[index] = probes_spawn(probes, index, "bulk", NULL);
    }
    const actor_ref_t gate = probes_spawn(probes, 1, "gate", NULL);
    loop_fake_settle(probes->loop);
    for (uint32_t count = 0; count < BULK_MESSAGES; count++) {
        for (uint32_t index = 0; index < BULK_ACTORS; index++) {
            assert_int_equal(probes_note(probes, bulk[index]), RESULT_OK);
        }
    }
    for (int round = 0; round < 20; round++) { /* also in the middle of the bulk */
        const uint32_t handled = probes->handled;
        assert_int_equal(probes_send(probes, gate, note_when_handled), RESULT_OK);
        loop_fake_turn(probes->loop);
        assert_true(probes->number > handled);
        assert_true(probes->number - handled <= LIMIT_TENANT_TURN_COST + 1);
    }
    loop_fake_settle(probes->loop);
    assert_int_equal(probes->handled, BULK_ACTORS * BULK_MESSAGES + 20);
}

static void tenants_share_turns_evenly(void **state)
{
    probes_t *const probes = *state;
    static const char *const names[] = {"one", "two", "three"};
    actor_ref_t refs[3];
    for (uint32_t index = 0; index < 3; index++) {
        refs[index] = probes_spawn(probes, index, names[index], NULL);
    }
    loop_fake_settle(probes->loop);
    probes->trace_size = 0;
    for (uint32_t count = 0; count < 96; count++) {
        for (uint32_t index = 0; index < 3; index++) {
            assert_int_equal(probes_note(probes, refs[index]), RESULT_OK);
        }
    }
    loop_fake_settle(probes->loop);
    /* By the end of the first round each had its 64. */
    uint32_t counts[3] = {0};
    for (uint32_t note = 0; note < 3 * LIMIT_TENANT_TURN_COST; note++) {
        counts[probes->trace[note * 7] - '0']++;
    }
    for (uint32_t index = 0; index < 3; index++) {
        assert_int_equal(counts[index], LIMIT_TENANT_TURN_COST);
    }
}

static result_t timer_at_once(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    return actor_timer_start(self, 1, 0, &probes->number);
}

static void system_message_overtakes_what_users_sent(void **state)
{
    probes_t *const probes = *state;
    const actor_ref_t ref = probes_spawn(probes, 1, NULL, NULL);
    probes_run(probes, ref, timer_at_once);
    for (uint32_t count = 0; count < 3; count++) {
        assert_int_equal(probes_note(probes, ref), RESULT_OK);
    }
    loop_fake_jump(probes->loop, 2);
    loop_fake_settle(probes->loop);
    assert_string_equal(probes->trace, "1:begins 1:timer*1 1:note 1:note 1:note ");
}

/* --- Actors with an identity --- */

typedef struct cards {
    probes_t *probes;
    uint32_t kind;
    bool is_failing;
    uint32_t activations;
    uint32_t handled;
    uint32_t passivated;
    uint32_t undelivered; /* with BUSY */
} cards_t;

static void card_activate(actor_t *actor, void *context)
{
    cards_t *const cards = context;
    cards->activations++;
    actor_report_bytes(actor, 10000);
    actor_activated(actor);
}

static result_t card_receive(actor_t *actor, actor_message_t *message, void *context)
{
    (void)actor;
    (void)message;
    cards_t *const cards = context;
    cards->handled++;
    return cards->is_failing ? RESULT_INTERNAL : RESULT_OK;
}

static void card_undeliverable(actor_t *actor, actor_message_t *message, result_t why,
                               void *context)
{
    (void)actor;
    (void)message;
    ((cards_t *)context)->undelivered += why == RESULT_BUSY ? 1 : 0;
}

static void card_deactivate(actor_t *actor, void *context)
{
    (void)actor;
    ((cards_t *)context)->passivated++;
}

static cards_t cards_begin(probes_t *probes)
{
    return (cards_t){.probes = probes};
}

static void cards_register(cards_t *cards)
{
    const actor_kind_t kind = {.name = "card",
                               .state_size = 16,
                               .activate = card_activate,
                               .receive = card_receive,
                               .undeliverable = card_undeliverable,
                               .deactivate = card_deactivate};
    cards->kind = actor_system_register(cards->probes->system, &kind, cards);
}

static result_t card_try(cards_t *cards, uint8_t id)
{
    const actor_identity_t identity = {.tenant = "acme", .tenant_size = 4, .id = {id}};
    actor_message_t *message = probes_message(cards->probes, MESSAGE_NOTE);
    const result_t result =
        actor_system_send(cards->probes->system, cards->kind, &identity, &message);
    actor_message_destroy(cards->probes->system, &message);
    return result;
}

static void card_send(cards_t *cards, uint8_t id)
{
    assert_int_equal(card_try(cards, id), RESULT_OK);
}

static void idle_actors_go_when_the_budget_of_bytes_is_exceeded(void **state)
{
    probes_t *const probes = *state;
    cards_t cards = cards_begin(probes);
    const actor_system_options_t options = {.bytes_max = 55000, .turn_us_max = UINT64_MAX};
    actor_system_configure(probes->system, &options);
    cards_register(&cards);
    for (uint8_t id = 0; id < 20; id++) {
        card_send(&cards, id);
        loop_fake_settle(probes->loop);
        assert_true(actor_system_bytes(probes->system) <= 55000);
    }
    assert_int_equal(cards.handled, 20);
    assert_int_equal(cards.passivated, 15); /* five of 10,000 bytes and their headers fit */
    card_send(&cards, 19);                  /* the youngest is there still */
    loop_fake_settle(probes->loop);
    assert_int_equal(cards.activations, 20);
    card_send(&cards, 0);
    loop_fake_settle(probes->loop);
    assert_int_equal(cards.activations, 21);
    actor_system_destroy(&probes->system);
    assert_int_equal(actor_system_create(probes->loop, probes->metrics, &probes->system),
                     RESULT_OK);
}

static void identity_that_fails_too_often_rests_and_comes_back(void **state)
{
    probes_t *const probes = *state;
    cards_t cards = cards_begin(probes);
    cards_register(&cards);
    cards.is_failing = true;
    for (uint32_t failure = 0; failure < LIMIT_ACTOR_RESTARTS; failure++) {
        card_send(&cards, 1);
        loop_fake_advance(probes->loop, 200);
    }
    for (uint32_t waiting = 0; waiting < 3; waiting++) {
        card_send(&cards, 1);
    }
    loop_fake_settle(probes->loop);
    /* One at once, the others after backoff, then it rests: whoever waits or asks is told so. */
    assert_int_equal(cards.handled, LIMIT_ACTOR_RESTARTS + 1);
    assert_int_equal(cards.undelivered, 2);
    assert_int_equal(card_try(&cards, 1), RESULT_BUSY);
    card_send(&cards, 2); /* another one is as well as ever */
    loop_fake_settle(probes->loop);
    assert_int_equal(cards.handled, LIMIT_ACTOR_RESTARTS + 2);
    cards.is_failing = false;
    loop_fake_advance(probes->loop, LIMIT_ACTOR_RESTARTS_WINDOW_MS + 1);
    card_send(&cards, 1);
    loop_fake_settle(probes->loop);
    assert_int_equal(cards.handled, LIMIT_ACTOR_RESTARTS + 3);
    actor_system_destroy(&probes->system);
    assert_int_equal(actor_system_create(probes->loop, probes->metrics, &probes->system),
                     RESULT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBE_TEST(message_of_another_tenant_waits_for_one_turn_at_most),
        PROBE_TEST(tenants_share_turns_evenly),
        PROBE_TEST(system_message_overtakes_what_users_sent),
        PROBE_TEST(idle_actors_go_when_the_budget_of_bytes_is_exceeded),
        PROBE_TEST(identity_that_fails_too_often_rests_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
