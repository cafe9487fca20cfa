/* The contract of the journal port: notes, for stores that keep them. */
#include "tests/contract/journal_contract_internal.h"
#include <stdio.h>

typedef struct waited_notes {
    loop_t *loop;
    bool is_done;
    result_t result;
    size_t count;
    char keys[8][16];
    char bodies[8][16];
} waited_notes_t;

typedef struct waited_load {
    loop_t *loop;
    bool is_done;
    result_t result;
    bool is_found;
    char body[16];
    size_t tail_count;
} waited_load_t;

static void copy(char out[16], text_t text)
{
    assert_true(text.size < 16);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void notes_done(void *context, const journal_notes_t *notes)
{
    waited_notes_t *const waited = context;
    waited->is_done = true;
    loop_stop(waited->loop);
    waited->result = notes->result;
    waited->count = notes->note_count;
    assert_true(notes->note_count <= 8);
    for (size_t i = 0; i < notes->note_count; i++) {
        assert_true(notes->notes[i].is_open);
        copy(waited->keys[i], notes->notes[i].key);
        copy(waited->bodies[i], notes->notes[i].body);
    }
}

static void load_done(void *context, const journal_loaded_t *loaded)
{
    waited_load_t *const waited = context;
    waited->is_done = true;
    loop_stop(waited->loop);
    waited->result = loaded->result;
    waited->is_found = loaded->note_found;
    waited->tail_count = loaded->tail_count;
    if (loaded->note_found) {
        copy(waited->body, loaded->note);
    }
}

static const journal_functions_t *functions_of(void **state)
{
    return contract_harness(state)->journal->functions;
}

static waited_notes_t read_notes(void **state, const char *after, uint32_t limit)
{
    waited_notes_t waited = {.loop = contract_harness(state)->loop};
    assert_int_equal(functions_of(state)->read_notes(contract_alpha(state)->tenant,
                                                     text_from_c(after), limit, notes_done,
                                                     &waited),
                     RESULT_OK);
    harness_wait(contract_harness(state), &waited.is_done);
    assert_int_equal(waited.result, RESULT_OK);
    return waited;
}

static waited_load_t load_note(void **state, const char *key)
{
    waited_load_t waited = {.loop = contract_harness(state)->loop};
    const journal_load_t load = {.note_key = text_from_c(key)};
    assert_int_equal(
        functions_of(state)->load(contract_alpha(state)->tenant, &load, load_done, &waited),
        RESULT_OK);
    harness_wait(contract_harness(state), &waited.is_done);
    assert_int_equal(waited.result, RESULT_OK);
    return waited;
}

static result_t put(void **state, uint64_t head, const journal_note_t *notes, size_t count)
{
    opened_t *const alpha = contract_alpha(state);
    const journal_batch_t batch = {.partition = 1,
                                   .epoch = alpha->partitions[1].epoch,
                                   .head = head,
                                   .notes = notes,
                                   .note_count = count};
    return harness_append(contract_harness(state), alpha, &batch);
}

static journal_note_t note(const char *key, const char *body, bool is_open)
{
    return (journal_note_t){.key = text_from_c(key), .body = text_from_c(body), .is_open = is_open};
}

void notes_are_replaced_as_a_whole_and_open_ones_are_found(void **state)
{
    assert_false(load_note(state, "a").is_found);
    const journal_note_t first[] = {note("c", "3", true), note("a", "1", true),
                                    note("b", "2", false), note("a", "4", true)};
    assert_int_equal(put(state, 0, first, 4), RESULT_OK);
    assert_string_equal(load_note(state, "a").body, "4"); /* the last one of its key */
    assert_string_equal(load_note(state, "b").body, "2");
    const waited_notes_t open = read_notes(state, "", 8);
    assert_int_equal(open.count, 2);
    assert_string_equal(open.keys[0], "a");
    assert_string_equal(open.bodies[1], "3");
    assert_int_equal(read_notes(state, "a", 8).count, 1);
    assert_int_equal(read_notes(state, "", 1).count, 1);
    const journal_note_t second[] = {note("a", "5", false)};
    assert_int_equal(put(state, 0, second, 1), RESULT_OK);
    assert_int_equal(read_notes(state, "", 8).count, 1);
    harness_close(contract_harness(state), contract_alpha(state));
    harness_restart(contract_harness(state));
    *contract_alpha(state) = harness_open(contract_harness(state), "alpha");
    assert_string_equal(load_note(state, "a").body, "5");
}

void notes_of_a_fenced_batch_are_not_stored(void **state)
{
    const journal_note_t one = note("a", "1", true);
    assert_int_equal(put(state, 7, &one, 1), RESULT_FENCED);
    assert_false(load_note(state, "a").is_found);
    assert_int_equal(read_notes(state, "", 8).count, 0);
}

void a_note_comes_with_the_card_and_keeps_every_byte(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_issue(harness, alpha, "m-1", "gold", 1, 1000);
    assert_int_equal(harness_store(harness, alpha, 0, &card, 2, 3), RESULT_OK);
    const char bytes[] = {'a', '\0', '\xff', '\\'};
    const journal_note_t one = {.key = {.data = bytes, .size = sizeof bytes},
                                .body = {.data = bytes, .size = sizeof bytes}};
    assert_int_equal(put(state, 0, &one, 1), RESULT_OK);
    waited_load_t waited = {.loop = harness->loop};
    const journal_load_t load = {.card = &card, .note_key = one.key};
    assert_int_equal(functions_of(state)->load(alpha->tenant, &load, load_done, &waited),
                     RESULT_OK);
    harness_wait(harness, &waited.is_done);
    assert_int_equal(waited.result, RESULT_OK);
    assert_true(waited.is_found);
    assert_memory_equal(waited.body, bytes, sizeof bytes);
    assert_int_equal(waited.tail_count, 3);
    const journal_load_t other = {.card = &card, .note_key = TEXT_LITERAL("a")};
    waited.is_done = false;
    assert_int_equal(functions_of(state)->load(alpha->tenant, &other, load_done, &waited),
                     RESULT_OK);
    harness_wait(harness, &waited.is_done);
    assert_false(waited.is_found); /* its key is another one */
    assert_int_equal(waited.tail_count, 3);
}

/* The rows of a batch are one transaction, notes among them. */
void notes_are_stored_with_the_events_of_their_batch_or_not_at_all(void **state)
{
    harness_t *const harness = contract_harness(state);
    opened_t *const alpha = contract_alpha(state);
    const uuid_t card = harness_id(harness);
    const journal_note_t one = note("a", "1", true);
    journal_batch_t batch = {.partition = 1,
                             .epoch = alpha->partitions[1].epoch,
                             .events = harness_make_events(harness, &card, 2, 1),
                             .event_count = 1,
                             .notes = &one,
                             .note_count = 1};
    assert_int_not_equal(harness_append(harness, alpha, &batch), RESULT_OK); /* no first event */
    assert_false(load_note(state, "a").is_found);
    batch.events = harness_make_events(harness, &card, 1, 1);
    assert_int_equal(harness_append(harness, alpha, &batch), RESULT_OK);
    assert_string_equal(load_note(state, "a").body, "1");
}

void open_notes_are_read_page_by_page(void **state)
{
    enum { NOTES = 20, PAGE = 7 };
    char keys[NOTES][16];
    journal_note_t rows[NOTES];
    for (int i = 0; i < NOTES; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "n-%02d", (i * 7) % NOTES);
        rows[i] = note(keys[i], "x", i % 10 != 0);
    }
    assert_int_equal(put(state, 0, rows, NOTES), RESULT_OK);
    char after[16] = "";
    size_t seen = 0;
    size_t count = PAGE;
    while (count == PAGE) { /* NOTES / PAGE + 1 rounds */
        const waited_notes_t page = read_notes(state, after, PAGE);
        count = page.count;
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(page.keys[i], after) > 0);
            (void)snprintf(after, sizeof after, "%s", page.keys[i]);
        }
        seen += count;
    }
    assert_int_equal(seen, NOTES - 2);
}
