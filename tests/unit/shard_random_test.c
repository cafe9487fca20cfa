/* Random commands under random faults, checked against what was promised (DESIGN 5): acknowledged
 * is stored, sequences have no gap, one effect per key and every repeat the first reply, nothing is
 * valid after its acknowledged revocation, and a card is the fold of its events. The seed of a
 * failing run is printed; SHARD_RANDOM_SEED repeats it. */
#include "actors/domain/card.h"
#include "tests/unit/shard_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CARDS_MAX = 24, STEPS = 700, ROUNDS = 12, KEYS = 40 };

typedef struct sent {
    uint64_t correlation;
    uint8_t type;
    uint32_t card;      /* index; CARDS_MAX: an issue */
    uint32_t key;       /* 0: none */
    bool after_revoked; /* its card's revocation was acknowledged when it was sent */
} sent_t;

typedef struct run {
    fixture_t *fixture;
    uint64_t random;
    uuid_t cards[CARDS_MAX];
    bool is_revoked[CARDS_MAX]; /* acknowledged */
    uint32_t card_count;
    sent_t sent[STEPS];
    uint32_t sent_count;
    uint32_t checked; /* of `sent`, answered and looked at, oldest first */
    uint64_t first_of_key[KEYS];
} run_t;

static uint32_t below(run_t *run, uint32_t bound)
{
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (uint32_t)(run->random >> 20) % bound;
}

/* --- What is done --- */

static void send_command(run_t *run)
{
    static const uint8_t types[] = {
        request_type_card_validate, request_type_card_validate, request_type_card_validate,
        request_type_card_get,      request_type_card_suspend,  request_type_card_reinstate,
        request_type_card_activate, request_type_card_replace,  request_type_card_revoke,
        request_type_card_issue,
    };
    sent_t *const sent = &run->sent[run->sent_count];
    sent->type = types[below(run, sizeof(types))];
    ask_t asked = {.type = sent->type, .member_id = "m-1", .holder_name = "Ada", .activate = true};
    sent->card = CARDS_MAX;
    sent->key = 0;
    sent->after_revoked = false;
    char key[16];
    char hash[2] = {0};
    if (sent->type != request_type_card_issue || run->card_count == CARDS_MAX) {
        if (run->card_count == 0) {
            return;
        }
        sent->type = sent->type == request_type_card_issue ? (uint8_t)request_type_card_validate
                                                           : sent->type;
        asked.type = sent->type;
        sent->card = below(run, run->card_count);
        sent->after_revoked = run->is_revoked[sent->card];
        asked.card = &run->cards[sent->card];
    } else if (below(run, 2) == 0) {
        /* Only issues have keys here: their request is always the same. */
        sent->key = 1 + below(run, KEYS - 1);
        (void)snprintf(key, sizeof(key), "k-%u", sent->key);
        hash[0] = 'a';
        asked.key = key;
        asked.hash = hash;
    }
    run->sent_count++;
    sent->correlation = ask(run->fixture, &asked);
}

static void do_fault(run_t *run)
{
    journal_fake_t *const journal = run->fixture->journal;
    static const result_t results[] = {RESULT_STORE_FULL, RESULT_STORE_UNAVAILABLE, RESULT_FENCED};
    const result_t result = results[below(run, 3)];
    switch (below(run, 9)) {
    case 0:
        journal_fake_hold_appends(journal, true);
        break;
    case 1:
    case 2:
        journal_fake_hold_appends(journal, false);
        journal_fake_hold_loads(journal, false);
        break;
    case 3:
        journal_fake_fail_appends(journal, result, 1);
        break;
    case 4:
        journal_fake_refuse_appends(journal, below(run, 2) == 0 ? RESULT_BUSY : result, 1);
        break;
    case 5:
        journal_fake_fail_loads(journal, result, 1);
        break;
    case 6:
        journal_fake_hold_loads(journal, true);
        break;
    case 7:
        if (below(run, 4) == 0) {
            fixture_crash(run->fixture);
        }
        break;
    default:
        if (below(run, 4) == 0) {
            journal_fake_fence(journal, "acme");
        }
        break;
    }
}

/* --- What must hold --- */

static void check_repeat(run_t *run, const sent_t *sent, const answer_t *answer)
{
    if (sent->key == 0 || answer->reply.outcome == outcome_error) {
        return;
    }
    uint64_t *const first = &run->first_of_key[sent->key];
    if (*first == 0) {
        *first = sent->correlation;
        return;
    }
    const answer_t *const before = answer_to(run->fixture, *first);
    assert_int_equal(before->reply.body.size, answer->reply.body.size);
    assert_memory_equal(before->reply.body.data, answer->reply.body.data, answer->reply.body.size);
}

static void check_answer(run_t *run, const sent_t *sent, const answer_t *answer)
{
    check_repeat(run, sent, answer);
    if (answer->reply.outcome != outcome_ok) {
        return;
    }
    if (sent->type == request_type_card_validate && sent->after_revoked) {
        assert_int_equal(answer->verdict.reason, reason_revoked);
    }
    if (sent->type == request_type_card_revoke) {
        run->is_revoked[sent->card] = true;
    }
    const bool is_new =
        sent->type == request_type_card_issue || sent->type == request_type_card_replace;
    if (is_new && run->card_count < CARDS_MAX) {
        run->cards[run->card_count] = answer->card.id;
        run->is_revoked[run->card_count] = false;
        run->card_count++;
    }
}

static void check_answers(run_t *run, bool all)
{
    while (run->checked < run->sent_count) {
        const sent_t *const sent = &run->sent[run->checked];
        if (!all && !is_answered(run->fixture, sent->correlation)) {
            return;
        }
        check_answer(run, sent, answer_to(run->fixture, sent->correlation));
        run->checked++;
    }
}

static void check_acknowledged_is_stored(run_t *run)
{
    fixture_t *const fixture = run->fixture;
    const size_t events = journal_fake_numbers(fixture->journal, "acme").events;
    for (uint32_t i = 0; i < run->sent_count; i++) {
        const answer_t *const answer = answer_to(fixture, run->sent[i].correlation);
        if (run->sent[i].type != request_type_card_validate ||
            answer->reply.outcome != outcome_ok ||
            !MESSAGE_HAS(verdict, &answer->verdict, sequence)) {
            continue;
        }
        const uint64_t sequence = answer->verdict.sequence;
        assert_true(sequence >= 1 && sequence <= events);
        const event_t *const event = journal_fake_event(fixture->journal, "acme", sequence - 1);
        assert_int_equal(event->sequence, sequence);
        assert_true(uuid_equal(&event->event_id, &answer->verdict.validation_id));
    }
    size_t issued_without_key = 0;
    size_t issued_events = 0;
    size_t keys = 0;
    for (uint32_t i = 0; i < run->sent_count; i++) {
        issued_without_key +=
            run->sent[i].type == request_type_card_issue && run->sent[i].key == 0 &&
            answer_to(fixture, run->sent[i].correlation)->reply.outcome == outcome_ok;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        keys += run->first_of_key[i] != 0 ? 1 : 0;
    }
    for (size_t i = 0; i < events; i++) {
        const event_t *const event = journal_fake_event(fixture->journal, "acme", i);
        assert_int_equal(event->sequence, i + 1);
        issued_events += event->name == event_name_card_issued &&
                         !MESSAGE_HAS(event_data, &event->data, replaces);
    }
    assert_int_equal(issued_events, issued_without_key + keys);
    assert_int_equal(journal_fake_numbers(fixture->journal, "acme").rejected, 0);
}

static void check_card_is_its_fold(run_t *run, uint32_t index)
{
    fixture_t *const fixture = run->fixture;
    card_state_t state = {0};
    for (size_t i = 0; i < journal_fake_numbers(fixture->journal, "acme").events; i++) {
        const event_t *const event = journal_fake_event(fixture->journal, "acme", i);
        if (uuid_equal(&event->card, &run->cards[index])) {
            assert_int_equal(event->card_sequence, state.card_sequence + 1);
            card_evolve(&state, event->name, &event->card, event->occurred_at, &event->data);
            assert_int_equal(event->version, state.version);
        }
    }
    const answer_t *const answer = get(fixture, &run->cards[index]);
    assert_int_equal(answer->reply.outcome, outcome_ok);
    assert_int_equal(answer->card.status, state.status);
    assert_int_equal(answer->card.version, state.version);
    assert_text(answer->card.holder_name, "Ada");
}

static void run_once(run_t *run)
{
    for (uint32_t step = 0; step < STEPS; step++) {
        if (below(run, 8) == 0) {
            do_fault(run);
        } else {
            send_command(run);
        }
        if (below(run, 3) == 0) {
            loop_fake_turn(run->fixture->loop);
        } else if (below(run, 4) == 0) {
            advance(run->fixture, below(run, 300));
        }
        check_answers(run, false);
    }
    journal_fake_fail_appends(run->fixture->journal, RESULT_OK, 0);
    journal_fake_refuse_appends(run->fixture->journal, RESULT_OK, 0);
    journal_fake_fail_loads(run->fixture->journal, RESULT_OK, 0);
    journal_fake_hold_appends(run->fixture->journal, false);
    journal_fake_hold_loads(run->fixture->journal, false);
    advance(run->fixture, 1000);
    (void)ask_now(run->fixture, &(ask_t){.type = request_type_card_scan, .qr = "x"});
    advance(run->fixture, LIMIT_BACKOFF_MS_MAX);
    check_answers(run, true);
    check_acknowledged_is_stored(run);
    for (uint32_t i = 0; i < run->card_count; i++) {
        check_card_is_its_fold(run, i);
    }
    size_t acknowledged = 0;
    for (uint32_t i = 0; i < run->sent_count; i++) {
        acknowledged +=
            answer_to(run->fixture, run->sent[i].correlation)->reply.outcome == outcome_ok;
    }
    print_message("%u sent, %zu acknowledged, %zu events, %u cards\n", run->sent_count,
                  acknowledged, journal_fake_numbers(run->fixture->journal, "acme").events,
                  run->card_count);
}

static void promises_hold_under_faults(void **state)
{
    (void)state;
    const char *const given = getenv("SHARD_RANDOM_SEED");
    const uint64_t first = given == NULL ? 1 : strtoull(given, NULL, 10);
    const uint64_t last = given == NULL ? ROUNDS : first;
    for (uint64_t seed = first; seed <= last; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        void *fixture = NULL;
        assert_int_equal(fixture_setup(&fixture), 0);
        run_t *run = calloc(1, sizeof(*run));
        run->fixture = fixture;
        run->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
        run_once(run);
        free(run);
        (void)fixture_teardown(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(promises_hold_under_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
