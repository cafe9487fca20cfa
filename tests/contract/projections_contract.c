/* The suite: see the header. Random commits go into the implementation and into the log; then both
 * are asked the same. */
#include "tests/contract/projections_contract.h"
#include "tests/support/projections_log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    PARTITIONS = 3,
    ROUNDS = 60,
    CARDS_MAX = 600,
    DEADLINE_MS = 20000,
    DAY_MS = 86400000,
    PAGE_MAX = 500,
    CUTS = 24,
    TRIES = 500, /* every 20 ms */
};

typedef struct suite {
    const projections_contract_factory_t *factory;
    loop_t *loop;
    loop_timer_t *deadline;
    loop_timer_t *moment;
    projections_t *projections;
    projections_log_t *log; /* what must be there */
    projection_cursor_t cursors[LIMIT_PARTITIONS + 1];
    uint64_t seed;
    uuid_t cards[CARDS_MAX];
    projection_position_t positions[CARDS_MAX];
    char members[CARDS_MAX][24];
    char tiers[CARDS_MAX][24];
    size_t card_count;
} suite_t;

static const projections_contract_factory_t *contract_factory;

/* --- Waiting --- */

typedef struct waiter {
    loop_t *loop;
    bool is_done;
    result_t result;
    projections_opened_t opened;
} waiter_t;

static void late(void *context)
{
    (void)context;
    (void)fprintf(stderr, "the read models did not answer in time\n");
    abort();
}

static void moment_passed(void *context)
{
    loop_stop(context);
}

static void wait_for(suite_t *suite, const bool *flag)
{
    loop_timer_start(suite->deadline, DEADLINE_MS, 0);
    while (!*flag) {
        loop_run(suite->loop);
    }
    loop_timer_stop(suite->deadline);
}

static void plain_done(void *context, result_t result)
{
    waiter_t *const waiter = context;
    waiter->is_done = true;
    waiter->result = result;
    loop_stop(waiter->loop);
}

static void opened_done(void *context, const projections_opened_t *opened)
{
    waiter_t *const waiter = context;
    waiter->opened = *opened;
    plain_done(waiter, opened->result);
}

static projections_opened_t open_as(suite_t *suite, const char *name, int64_t created_at,
                                    projections_slot_t slot)
{
    result_t result = RESULT_BUSY;
    waiter_t waiter = {.loop = suite->loop};
    /* An earlier handle may still be closing: what it has to finish runs on the loop. */
    for (uint32_t i = 0; i < DEADLINE_MS && result == RESULT_BUSY; i++) {
        result = suite->projections->functions->open(suite->projections, text_from_c(name),
                                                     created_at, slot, opened_done, &waiter);
        if (result == RESULT_BUSY) {
            loop_timer_start(suite->moment, 1, 0);
            loop_run(suite->loop);
        }
    }
    assert_int_equal(result, RESULT_OK);
    wait_for(suite, &waiter.is_done);
    return waiter.opened;
}

static result_t commit(suite_t *suite, projections_tenant_t *tenant,
                       const projection_commit_t *asked)
{
    waiter_t waiter = {.loop = suite->loop};
    assert_int_equal(suite->projections->functions->commit(tenant, asked, plain_done, &waiter),
                     RESULT_OK);
    wait_for(suite, &waiter.is_done);
    return waiter.result;
}

/* --- Chance --- */

static uint32_t below(suite_t *suite, uint32_t bound)
{
    suite->seed = suite->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(suite->seed >> 33) % bound;
}

static uint64_t any_word(suite_t *suite)
{
    return UINT64_C(0x8000000000000001) * (1 + below(suite, 6));
}

/* --- Random commits --- */

typedef struct draft {
    projection_commit_t commit;
    projection_card_t cards[8];
    projection_counter_t counters[12];
    uint64_t words[8][3];
    char bodies[8][32];
    char gates[12][24];
} draft_t;

static void draw_new_card(suite_t *suite, draft_t *draft, projection_card_t *card, size_t index)
{
    const size_t number = suite->card_count;
    uuid_t *const id = &suite->cards[number];
    memset(id, 0, sizeof(*id));
    memcpy(id->bytes, &number, sizeof(number));
    (void)snprintf(suite->members[number], sizeof(suite->members[number]), "%s-%u",
                   below(suite, 2) == 0 ? "Mem" : "mem", below(suite, 40));
    static const char *const tiers[] = {"", "gold", "Gold", "golden", "silver"};
    (void)snprintf(suite->tiers[number], sizeof(suite->tiers[number]), "%s",
                   tiers[below(suite, 5)]);
    suite->positions[number] = (projection_position_t){
        .issued_at = 1000 + below(suite, 200),
        .event = (uint64_t)draft->commit.partition << 56 | (draft->commit.from + 1 + index)};
    card->is_new = true;
    card->card = *id;
    card->position = suite->positions[number];
    card->word_count = below(suite, 4);
    for (uint32_t i = 0; i < card->word_count; i++) {
        draft->words[index][i] = any_word(suite) + i; /* each once */
    }
    card->words = draft->words[index];
    card->member_id = text_from_c(suite->members[number]);
    card->tier = text_from_c(suite->tiers[number]);
    suite->card_count++;
}

static bool has_card(const draft_t *draft, const uuid_t *card)
{
    bool has = false;
    for (size_t i = 0; i < draft->commit.card_count; i++) {
        has = has || uuid_equal(&draft->cards[i].card, card);
    }
    return has;
}

static void draw_card(suite_t *suite, draft_t *draft, size_t index)
{
    projection_card_t *const card = &draft->cards[index];
    const size_t known = suite->card_count == 0 ? 0 : below(suite, (uint32_t)suite->card_count);
    *card = (projection_card_t){0};
    if (suite->card_count == 0 || below(suite, 3) > 0 || has_card(draft, &suite->cards[known])) {
        draw_new_card(suite, draft, card, index);
    } else {
        card->card = suite->cards[known];
        card->position = suite->positions[known];
        card->member_id = text_from_c(suite->members[known]);
        card->tier = text_from_c(suite->tiers[known]);
    }
    card->status = (uint8_t)(1 + below(suite, 6));
    card->expires_at = 5000 + below(suite, 1000);
    const int size = snprintf(draft->bodies[index], sizeof(draft->bodies[index]), "body %llx",
                              (unsigned long long)suite->seed);
    card->body = (text_t){.data = draft->bodies[index], .size = (size_t)size};
    draft->commit.card_count = index + 1;
}

static void draw_counter(suite_t *suite, draft_t *draft, size_t index)
{
    projection_counter_t *const counter = &draft->counters[index];
    (void)snprintf(draft->gates[index], sizeof(draft->gates[index]), "g%zu", index);
    const bool is_hour = below(suite, 2) == 0;
    *counter = (projection_counter_t){.series = (uint8_t)(1 + below(suite, 5)),
                                      .grain = is_hour ? grain_hour : grain_day,
                                      .kind = (uint16_t)(1 + below(suite, 6)),
                                      .start = is_hour ? below(suite, 72) * (int64_t)3600000
                                                       : below(suite, 3) * (int64_t)DAY_MS,
                                      .count = (int64_t)below(suite, 9) - 2};
    if (counter->series == PROJECTION_SERIES_SCANS) {
        counter->gate = text_from_c(draft->gates[index]);
    }
}

static void draw(suite_t *suite, draft_t *draft)
{
    const uint32_t place = below(suite, PARTITIONS + 1);
    const uint32_t partition = place < PARTITIONS ? place : PROJECTION_PARTITION_ARCHIVED;
    projection_commit_t *const commit = &draft->commit;
    *draft = (draft_t){.commit.partition = partition};
    commit->from = suite->cursors[partition].sequence;
    commit->to.sequence = commit->from + 10;
    commit->to.occurred_at = 1000 + (int64_t)commit->to.sequence;
    commit->to.event_id.bytes[0] = (uint8_t)partition;
    commit->to.event_id.bytes[1] = (uint8_t)commit->to.sequence;
    commit->is_complete = below(suite, 20) == 0;
    commit->cards = draft->cards;
    commit->counters = draft->counters;
    const size_t cards = below(suite, 8);
    for (size_t i = 0; i < cards && suite->card_count < CARDS_MAX; i++) {
        draw_card(suite, draft, i);
    }
    /* The same counter once per commit: numbers of equal ones are folded before. */
    const size_t counters = below(suite, 12);
    for (size_t i = 0; i < counters; i++) {
        draw_counter(suite, draft, i);
    }
    commit->counter_count = counters;
}

static void store(suite_t *suite, projections_tenant_t *tenant, const draft_t *draft)
{
    assert_int_equal(commit(suite, tenant, &draft->commit), RESULT_OK);
    assert_int_equal(projections_log_commit(suite->log, &draft->commit), RESULT_OK);
    suite->cursors[draft->commit.partition] = draft->commit.to;
}

static void store_some(suite_t *suite, projections_tenant_t *tenant, uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        draft_t draft;
        draw(suite, &draft);
        store(suite, tenant, &draft);
    }
}

/* --- Comparison --- */

typedef struct page {
    waiter_t waiter;
    const suite_t *suite;
    projection_row_t rows[PAGE_MAX];
    char bodies[PAGE_MAX][32];
    size_t count;
    char cursor[64];
} page_t;

static void page_done(void *context, const projections_page_t *found)
{
    page_t *const page = context;
    for (size_t i = 0; i < found->row_count; i++) {
        const text_t body = found->rows[i].body;
        assert_true(body.size < sizeof(page->bodies[0]));
        memcpy(page->bodies[page->count + i], body.data, body.size);
        page->rows[page->count + i] =
            (projection_row_t){.body = {page->bodies[page->count + i], body.size},
                               .by_name_only = found->rows[i].by_name_only};
    }
    page->count += found->row_count;
    assert_true(found->next_cursor.size < sizeof(page->cursor));
    memset(page->cursor, 0, sizeof(page->cursor));
    memcpy(page->cursor, found->next_cursor.size == 0 ? "" : found->next_cursor.data,
           found->next_cursor.size);
    plain_done(&page->waiter, found->result);
}

/* All pages of a list, `limit` at a time. */
static void read_list(suite_t *suite, projections_tenant_t *tenant, projections_list_t list,
                      page_t *page)
{
    card_list_t filter = *list.filter;
    list.filter = &filter;
    page->count = 0;
    page->cursor[0] = '\0';
    for (uint32_t i = 0; i < CARDS_MAX && (i == 0 || page->cursor[0] != '\0'); i++) {
        char cursor[64];
        memcpy(cursor, page->cursor, sizeof(cursor));
        if (i > 0) {
            MESSAGE_SET(card_list, &filter, cursor, text_from_c(cursor));
        }
        page->waiter = (waiter_t){.loop = suite->loop};
        assert_int_equal(suite->projections->functions->list(tenant, &list, page_done, page),
                         RESULT_OK);
        wait_for(suite, &page->waiter.is_done);
        assert_int_equal(page->waiter.result, RESULT_OK);
    }
}

static void compare_list(suite_t *suite, projections_tenant_t *tenant, projections_list_t list)
{
    static page_t page;
    static projection_row_t expected[CARDS_MAX];
    char cursor[PROJECTIONS_LOG_CURSOR_SIZE];
    size_t count = 0;
    list.limit = 1 + below(suite, 30);
    read_list(suite, tenant, list, &page);
    list.limit = CARDS_MAX;
    assert_int_equal(projections_log_list(suite->log, &list, expected, &count, cursor), RESULT_OK);
    assert_int_equal(page.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(text_equal(page.rows[i].body, expected[i].body));
        assert_int_equal(page.rows[i].by_name_only, expected[i].by_name_only);
    }
}

static void compare_random_list(suite_t *suite, projections_tenant_t *tenant)
{
    static const char *const queries[] = {"mem-1", "MEM", "gold", "sil", "nothing", "m"};
    card_list_t filter = {0};
    uint64_t words[2];
    projections_list_t list = {
        .filter = &filter, .words = words, .now_ms = 5000 + below(suite, 1000)};
    char member[24];
    (void)snprintf(member, sizeof(member), "mem-%u", below(suite, 40));
    if (below(suite, 3) == 0) {
        MESSAGE_SET(card_list, &filter, member_id, text_from_c(member));
    }
    if (below(suite, 3) == 0) {
        MESSAGE_SET(card_list, &filter, status, (uint8_t)(1 + below(suite, 6)));
    }
    if (below(suite, 4) == 0) {
        MESSAGE_SET(card_list, &filter, tier, TEXT_LITERAL("gold"));
    }
    if (below(suite, 4) == 0) {
        MESSAGE_SET(card_list, &filter, expires_after, 5000 + below(suite, 1000));
    }
    if (below(suite, 4) == 0) {
        MESSAGE_SET(card_list, &filter, expires_before, 5000 + below(suite, 1000));
    }
    if (below(suite, 2) == 0) {
        MESSAGE_SET(card_list, &filter, q, text_from_c(queries[below(suite, 6)]));
        list.word_count = below(suite, 3);
        words[0] = any_word(suite);
        words[1] = any_word(suite) + 1;
    }
    compare_list(suite, tenant, list);
}

typedef struct counters {
    waiter_t waiter;
    projection_counter_t *expected;
    size_t expected_count;
    const int64_t *levels;
} counters_t;

static void counters_done(void *context, const projections_counters_t *found)
{
    counters_t *const counters = context;
    assert_int_equal(found->result, RESULT_OK);
    assert_int_equal(found->row_count, counters->expected_count);
    for (size_t i = 0; i < found->row_count; i++) {
        const projection_counter_t *const row = &found->rows[i];
        const projection_counter_t *const expected = &counters->expected[i];
        assert_int_equal(row->series, expected->series);
        assert_int_equal(row->start, expected->start);
        assert_int_equal(row->kind, expected->kind);
        assert_true(text_equal(row->gate, expected->gate));
        assert_int_equal(row->count, expected->count);
    }
    assert_memory_equal(found->levels, counters->levels,
                        PROJECTION_LEVELS_MAX * sizeof(found->levels[0]));
    plain_done(&counters->waiter, found->result);
}

static void compare_counters(suite_t *suite, projections_tenant_t *tenant)
{
    const bool is_hour = below(suite, 2) == 0;
    const int64_t step_ms = is_hour ? 3600000 : DAY_MS;
    projections_counters_query_t query = {.grain = is_hour ? grain_hour : grain_day,
                                          .from = below(suite, is_hour ? 72 : 3) * step_ms,
                                          .scans_max = 1 + below(suite, 4)};
    query.to = query.from + (1 + below(suite, 20)) * step_ms;
    query.day = query.from - query.from % DAY_MS;
    int64_t levels[PROJECTION_LEVELS_MAX];
    counters_t counters = {.waiter = {.loop = suite->loop}, .levels = levels};
    projections_log_counters(suite->log, &query, &counters.expected, &counters.expected_count,
                             levels);
    assert_int_equal(
        suite->projections->functions->read_counters(tenant, &query, counters_done, &counters),
        RESULT_OK);
    wait_for(suite, &counters.waiter.is_done);
    free(counters.expected);
}

typedef struct loaded {
    waiter_t waiter;
    const suite_t *suite;
    const uuid_t *ids;
    size_t count;
} loaded_t;

static void loaded_done(void *context, const projections_loaded_t *found)
{
    loaded_t *const loaded = context;
    text_t bodies[16];
    projection_position_t positions[16];
    assert_int_equal(found->result, RESULT_OK);
    assert_int_equal(found->count, loaded->count);
    projections_log_load(loaded->suite->log, loaded->ids, loaded->count, bodies, positions);
    for (size_t i = 0; i < loaded->count; i++) {
        assert_true(text_equal(found->bodies[i], bodies[i]));
        assert_int_equal(found->positions[i].issued_at, positions[i].issued_at);
        assert_int_equal(found->positions[i].event, positions[i].event);
    }
    plain_done(&loaded->waiter, found->result);
}

static void compare_loads(suite_t *suite, projections_tenant_t *tenant)
{
    uuid_t ids[16];
    loaded_t loaded = {.waiter = {.loop = suite->loop}, .suite = suite, .ids = ids, .count = 16};
    for (size_t i = 0; i < 16; i++) {
        ids[i] = suite->cards[below(suite, (uint32_t)suite->card_count)];
    }
    memset(&ids[3], 0xee, sizeof(ids[3])); /* of no card */
    assert_int_equal(suite->projections->functions->load(tenant, ids, 16, loaded_done, &loaded),
                     RESULT_OK);
    wait_for(suite, &loaded.waiter.is_done);
}

static void compare_all(suite_t *suite, projections_tenant_t *tenant)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        compare_random_list(suite, tenant);
        compare_counters(suite, tenant);
        compare_loads(suite, tenant);
    }
}

/* --- Life of a test --- */

static int suite_start(void **state)
{
    const char *const seed = getenv("DIGITALCARD_TEST_SEED");
    suite_t *const suite = calloc(1, sizeof(*suite));
    assert_non_null(suite);
    suite->factory = contract_factory;
    suite->seed = seed == NULL ? 20261120 : strtoull(seed, NULL, 10);
    print_message("seed %llu\n", (unsigned long long)suite->seed);
    suite->log = projections_log_create();
    suite->factory->reset(suite->factory->context);
    assert_int_equal(loop_create(&suite->loop), RESULT_OK);
    suite->deadline = loop_timer_create(suite->loop, late, NULL);
    suite->moment = loop_timer_create(suite->loop, moment_passed, suite->loop);
    suite->projections = suite->factory->create(suite->factory->context, suite->loop);
    *state = suite;
    return 0;
}

static int suite_end(void **state)
{
    suite_t *const suite = *state;
    suite->factory->destroy(suite->factory->context, &suite->projections);
    loop_timer_destroy(&suite->deadline);
    loop_timer_destroy(&suite->moment);
    loop_destroy(&suite->loop);
    projections_log_destroy(&suite->log);
    free(suite);
    return 0;
}

static projections_tenant_t *open_acme(suite_t *suite)
{
    const projections_opened_t opened = open_as(suite, "acme", 7, PROJECTIONS_LIVE);
    assert_int_equal(opened.result, RESULT_OK);
    return opened.tenant;
}

static void close_it(suite_t *suite, projections_tenant_t **tenant, bool discard)
{
    suite->projections->functions->close(suite->projections, tenant, discard);
    assert_null(*tenant);
}

/* --- Tests --- */

static void what_was_committed_is_found(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    for (uint32_t i = 0; i < 5; i++) {
        store_some(suite, tenant, 12);
        compare_all(suite, tenant);
    }
    close_it(suite, &tenant, false);
}

static void a_commit_happens_once(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    for (uint32_t i = 0; i < 30; i++) {
        draft_t draft;
        draw(suite, &draft);
        store(suite, tenant, &draft);
        assert_int_equal(commit(suite, tenant, &draft.commit), RESULT_FENCED); /* again */
        draft.commit.from += 3;
        draft.commit.to.sequence += 3;
        assert_int_equal(commit(suite, tenant, &draft.commit), RESULT_FENCED); /* a gap */
    }
    compare_all(suite, tenant);
    close_it(suite, &tenant, false);
}

static void it_is_all_there_after_a_restart(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 30);
    close_it(suite, &tenant, false);
    suite->factory->destroy(suite->factory->context, &suite->projections);
    suite->projections = suite->factory->create(suite->factory->context, suite->loop);
    const projections_opened_t opened = open_as(suite, "acme", 7, PROJECTIONS_LIVE);
    assert_int_equal(opened.result, RESULT_OK);
    projection_cursor_t cursors[LIMIT_PARTITIONS + 1];
    bool is_complete = false;
    projections_log_cursors(suite->log, cursors, &is_complete);
    assert_int_equal(opened.is_complete, is_complete);
    for (size_t i = 0; i <= LIMIT_PARTITIONS; i++) {
        assert_int_equal(opened.cursors[i].sequence, cursors[i].sequence);
        assert_int_equal(opened.cursors[i].occurred_at, cursors[i].occurred_at);
        assert_true(uuid_equal(&opened.cursors[i].event_id, &cursors[i].event_id));
    }
    tenant = opened.tenant;
    compare_all(suite, tenant);
    close_it(suite, &tenant, false);
}

static void assert_empty(const projections_opened_t *opened)
{
    assert_int_equal(opened->result, RESULT_OK);
    assert_false(opened->is_complete);
    for (size_t i = 0; i <= LIMIT_PARTITIONS; i++) {
        assert_int_equal(opened->cursors[i].sequence, 0);
    }
}

static void a_namesake_begins_with_nothing(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 10);
    close_it(suite, &tenant, false);
    projections_opened_t opened = open_as(suite, "acme", 8, PROJECTIONS_LIVE);
    assert_empty(&opened);
    close_it(suite, &opened.tenant, false);
}

static void what_is_discarded_is_gone(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 10);
    close_it(suite, &tenant, true);
    projections_opened_t opened = open_as(suite, "acme", 7, PROJECTIONS_LIVE);
    assert_empty(&opened);
    close_it(suite, &opened.tenant, false);
}

static void what_is_damaged_begins_with_nothing(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 10);
    close_it(suite, &tenant, false);
    suite->factory->destroy(suite->factory->context, &suite->projections);
    suite->factory->damage(suite->factory->context, "acme");
    suite->projections = suite->factory->create(suite->factory->context, suite->loop);
    projections_opened_t opened = open_as(suite, "acme", 7, PROJECTIONS_LIVE);
    assert_empty(&opened);
    close_it(suite, &opened.tenant, false);
}

static void the_next_one_takes_the_place_of_the_live_one(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *live = open_acme(suite);
    store_some(suite, live, 10);
    projections_opened_t next = open_as(suite, "acme", 7, PROJECTIONS_NEXT);
    assert_empty(&next);
    /* From here on the log is that of the next one; the live one still shows its own. */
    projections_log_clear(suite->log);
    memset(suite->cursors, 0, sizeof(suite->cursors));
    suite->card_count = 0;
    store_some(suite, next.tenant, 20);
    compare_all(suite, next.tenant);
    waiter_t waiter = {.loop = suite->loop};
    assert_int_equal(suite->projections->functions->promote(live, next.tenant, plain_done, &waiter),
                     RESULT_OK);
    wait_for(suite, &waiter.is_done);
    assert_int_equal(waiter.result, RESULT_OK);
    compare_all(suite, live);
    store_some(suite, live, 10);
    compare_all(suite, live);
    close_it(suite, &live, false);
    live = open_acme(suite);
    compare_all(suite, live);
    close_it(suite, &live, false);
}

static void a_next_one_that_is_closed_leaves_nothing(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *live = open_acme(suite);
    store_some(suite, live, 10);
    projections_opened_t next = open_as(suite, "acme", 7, PROJECTIONS_NEXT);
    assert_empty(&next);
    close_it(suite, &next.tenant, false);
    next = open_as(suite, "acme", 7, PROJECTIONS_NEXT);
    assert_empty(&next);
    close_it(suite, &next.tenant, false);
    compare_all(suite, live);
    close_it(suite, &live, false);
}

static void a_forgotten_member_is_not_found_by_name(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 40);
    for (uint32_t i = 0; i < 10; i++) {
        const char *const member = suite->members[below(suite, (uint32_t)suite->card_count)];
        waiter_t waiter = {.loop = suite->loop};
        assert_int_equal(suite->projections->functions->forget_member(tenant, text_from_c(member),
                                                                      plain_done, &waiter),
                         RESULT_OK);
        wait_for(suite, &waiter.is_done);
        assert_int_equal(waiter.result, RESULT_OK);
        projections_log_forget(suite->log, text_from_c(member));
        compare_all(suite, tenant);
    }
    close_it(suite, &tenant, false);
}

/* A relay that was given up may live on for a while beside the one that took its place. */
static void a_second_process_waits_until_the_first_has_ended(void **state)
{
    suite_t *const suite = *state;
    projections_opened_t first = open_as(suite, "first", 1, PROJECTIONS_LIVE);
    assert_int_equal(first.result, RESULT_OK);
    projections_t *second = suite->factory->create(suite->factory->context, suite->loop);
    waiter_t waiter = {.loop = suite->loop};
    assert_int_equal(second->functions->open(second, text_from_c("first"), 1, PROJECTIONS_LIVE,
                                             opened_done, &waiter),
                     RESULT_STORE_UNAVAILABLE);
    assert_int_equal(second->functions->open(second, text_from_c("other"), 1, PROJECTIONS_LIVE,
                                             opened_done, &waiter),
                     RESULT_STORE_UNAVAILABLE);
    close_it(suite, &first.tenant, false);
    suite->factory->destroy(suite->factory->context, &suite->projections);
    suite->projections = second;
    projections_opened_t later = open_as(suite, "first", 1, PROJECTIONS_LIVE);
    assert_int_equal(later.result, RESULT_OK);
    close_it(suite, &later.tenant, false);
}

static projections_opened_t open_again(suite_t *suite, projections_tenant_t **tenant)
{
    close_it(suite, tenant, false);
    projections_opened_t opened = open_as(suite, "acme", 7, PROJECTIONS_LIVE);
    for (int i = 0; i < TRIES && opened.result != RESULT_OK; i++) {
        loop_timer_start(suite->moment, 20, 0);
        loop_run(suite->loop);
        opened = open_as(suite, "acme", 7, PROJECTIONS_LIVE);
    }
    assert_int_equal(opened.result, RESULT_OK);
    *tenant = opened.tenant;
    return opened;
}

static void learn(suite_t *suite, const draft_t *draft, const projection_cursor_t *cursors,
                  size_t cards_before)
{
    const uint32_t partition = draft->commit.partition;
    if (cursors[partition].sequence == draft->commit.to.sequence) {
        assert_int_equal(projections_log_commit(suite->log, &draft->commit), RESULT_OK);
        suite->cursors[partition] = draft->commit.to;
    } else { /* nothing of it, or all */
        suite->card_count = cards_before;
    }
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(cursors[i].sequence, suite->cursors[i].sequence);
    }
}

static void a_commit_that_is_cut_off_is_there_whole_or_not_at_all(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 5);
    for (uint32_t i = 0; i < CUTS; i++) {
        draft_t draft;
        const size_t cards_before = suite->card_count;
        waiter_t waiter = {.loop = suite->loop};
        draw(suite, &draft);
        assert_int_equal(
            suite->projections->functions->commit(tenant, &draft.commit, plain_done, &waiter),
            RESULT_OK);
        loop_timer_start(suite->moment, below(suite, 5), 0); /* somewhere on its way */
        loop_run(suite->loop);
        suite->factory->cut(suite->factory->context, i % 3 > 0);
        wait_for(suite, &waiter.is_done);
        const projections_opened_t opened = open_again(suite, &tenant);
        learn(suite, &draft, opened.cursors, cards_before);
        assert_true(waiter.result != RESULT_OK ||
                    suite->cursors[draft.commit.partition].sequence == draft.commit.to.sequence);
    }
    (void)open_again(suite, &tenant); /* the last cut may still be to come */
    store_some(suite, tenant, 5);     /* and it goes on from there */
    compare_all(suite, tenant);
    close_it(suite, &tenant, false);
}

static void a_commit_that_takes_too_long_ends_and_can_be_repeated(void **state)
{
    suite_t *const suite = *state;
    projections_tenant_t *tenant = open_acme(suite);
    draft_t draft;
    store_some(suite, tenant, 5);
    draw(suite, &draft);
    suite->factory->block(suite->factory->context, "acme", true);
    assert_int_equal(commit(suite, tenant, &draft.commit), RESULT_STORE_UNAVAILABLE);
    suite->factory->block(suite->factory->context, "acme", false);
    store(suite, tenant, &draft); /* the same handle, the same cursor */
    compare_all(suite, tenant);
    close_it(suite, &tenant, false);
}

static void a_foreign_cursor_is_refused(void **state)
{
    suite_t *const suite = *state;
    static page_t page;
    static const char *const cursors[] = {"",
                                          "x",
                                          "r1",
                                          "c10000000000000001",
                                          "r1000000000000000000000000000000zz",
                                          "r1ffffffffffffffffffffffffffffffff"};
    projections_tenant_t *tenant = open_acme(suite);
    store_some(suite, tenant, 10);
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        card_list_t filter = {0};
        MESSAGE_SET(card_list, &filter, cursor, text_from_c(cursors[i]));
        const projections_list_t list = {.filter = &filter, .now_ms = 1, .limit = 5};
        page.waiter = (waiter_t){.loop = suite->loop};
        page.count = 0;
        assert_int_equal(suite->projections->functions->list(tenant, &list, page_done, &page),
                         RESULT_OK);
        wait_for(suite, &page.waiter.is_done);
        assert_int_equal(page.waiter.result, RESULT_INVALID_CURSOR);
    }
    close_it(suite, &tenant, false);
}

int projections_contract_run(const projections_contract_factory_t *factory)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, suite_start, suite_end)
    const struct CMUnitTest tests[] = {
        TEST(what_was_committed_is_found),
        TEST(a_commit_happens_once),
        TEST(it_is_all_there_after_a_restart),
        TEST(a_namesake_begins_with_nothing),
        TEST(what_is_discarded_is_gone),
        TEST(what_is_damaged_begins_with_nothing),
        TEST(the_next_one_takes_the_place_of_the_live_one),
        TEST(a_next_one_that_is_closed_leaves_nothing),
        TEST(a_forgotten_member_is_not_found_by_name),
        TEST(a_second_process_waits_until_the_first_has_ended),
        TEST(a_foreign_cursor_is_refused),
    };
    const struct CMUnitTest cut[] = {TEST(a_commit_that_is_cut_off_is_there_whole_or_not_at_all)};
    const struct CMUnitTest blocked[] = {
        TEST(a_commit_that_takes_too_long_ends_and_can_be_repeated)};
#undef TEST
    contract_factory = factory;
    int failed = cmocka_run_group_tests_name("projections", tests, NULL, NULL);
    failed += factory->cut == NULL ? 0 : cmocka_run_group_tests(cut, NULL, NULL);
    failed += factory->block == NULL ? 0 : cmocka_run_group_tests(blocked, NULL, NULL);
    return failed;
}
