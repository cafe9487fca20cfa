/* What the files of the journal contract share. */
#ifndef TESTS_CONTRACT_JOURNAL_CONTRACT_INTERNAL_H
#define TESTS_CONTRACT_JOURNAL_CONTRACT_INTERNAL_H

#include "tests/contract/journal_harness.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct contract_state {
    const journal_contract_factory_t *factory;
    harness_t harness;
    opened_t alpha; /* a tenant of HARNESS_PARTITIONS partitions, open for writing */
} contract_state_t;

static inline harness_t *contract_harness(void **state)
{
    return &((contract_state_t *)*state)->harness;
}

static inline opened_t *contract_alpha(void **state)
{
    return &((contract_state_t *)*state)->alpha;
}

/* journal_contract_pages.c */
void list_is_newest_first_in_pages(void **state);
void list_filters_by_member_exactly(void **state);
void list_counts_a_card_past_its_end_as_expired(void **state);
void list_finds_prefixes_of_member_and_tier_in_any_case(void **state);
void list_pages_through_any_filter_without_loss(void **state);
void list_rows_carry_tail_and_member_key(void **state);
void history_is_newest_first_in_pages(void **state);
void foreign_cursors_are_refused(void **state);
void events_come_in_order_with_the_head(void **state);

/* journal_contract_notes.c */
void notes_are_replaced_as_a_whole_and_open_ones_are_found(void **state);
void notes_of_a_fenced_batch_are_not_stored(void **state);
void notes_are_stored_with_the_events_of_their_batch_or_not_at_all(void **state);
void a_note_comes_with_the_card_and_keeps_every_byte(void **state);
void open_notes_are_read_page_by_page(void **state);

/* journal_contract_reminders.c */
void reminders_come_when_due_oldest_first(void **state);
void reminders_outlive_a_restart(void **state);
void a_reminder_is_taken_with_the_batch_or_not_at_all(void **state);
void a_reminder_that_changed_since_it_was_read_is_not_taken(void **state);
void ensuring_leaves_a_reminder_as_it_is(void **state);
void partitions_count_cards_and_bytes_with_their_events(void **state);

/* journal_contract_heads.c */
void heads_are_those_of_every_partition_and_only_of_what_is_committed(void **state);
void keys_come_in_the_order_of_the_members_asked_for(void **state);
void keys_are_of_one_tenant_and_as_many_as_a_batch_needs(void **state);

/* journal_contract_archived.c */
void archived_validations_are_gaps_that_readers_are_told_of(void **state);

/* journal_contract_model.c */
void a_thousand_random_batches_agree_with_a_model(void **state);

#endif
