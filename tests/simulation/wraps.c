/* Planted bugs inside the product: the linker leads these calls through here (--wrap), so that the
 * product itself knows nothing of them. Without a bug each is the call itself. */
#include "actors/domain/card.h"
#include "actors/neighbours/inbox.h"
#include "actors/shard/card_actor_internal.h"
#include "actors/shard/key_table.h"
#include "actors/shard/member_desk.h"
#include "actors/shard/partition.h"
#include "actors/shard/shard_internal.h"
#include "actors/shard/tenant_actor.h"
#include "tests/simulation/world.h"

void __real_partition_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                           text_t envelope, uint8_t outcome);
void __wrap_partition_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                           text_t envelope, uint8_t outcome);
uint64_t __real_partition_append(partition_t *partition, batch_t *batch,
                                 const journal_event_t *event, const event_data_t *data, int cards);
uint64_t __wrap_partition_append(partition_t *partition, batch_t *batch,
                                 const journal_event_t *event, const event_data_t *data, int cards);
result_t __real_key_table_add(key_table_t *table, shard_message_t *message);
result_t __wrap_key_table_add(key_table_t *table, shard_message_t *message);
void __real_card_evolve(card_state_t *state, uint8_t event_name, const uuid_t *card,
                        int64_t occurred_at, const event_data_t *data);
void __wrap_card_evolve(card_state_t *state, uint8_t event_name, const uuid_t *card,
                        int64_t occurred_at, const event_data_t *data);

void __real_card_decide(const card_state_t *state, const card_command_t *command,
                        card_decision_t *decision);
void __wrap_card_decide(const card_state_t *state, const card_command_t *command,
                        card_decision_t *decision);
inbox_taken_t __real_inbox_take(inbox_t *inbox, const member_event_t *event);
inbox_taken_t __wrap_inbox_take(inbox_t *inbox, const member_event_t *event);
void __real_member_judge_scan(tenant_t *tenant, text_t member_id, member_judgement_t *judgement);
void __wrap_member_judge_scan(tenant_t *tenant, text_t member_id, member_judgement_t *judgement);
void __real_member_store(tenant_t *tenant, member_t *member, batch_t *batch);
void __wrap_member_store(tenant_t *tenant, member_t *member, batch_t *batch);
void __real_member_work_begin(tenant_t *tenant, member_t *member);
void __wrap_member_work_begin(tenant_t *tenant, member_t *member);

bool __real_tenant_quota_allows(tenant_t *tenant, uint8_t status, shard_message_t **message);
bool __wrap_tenant_quota_allows(tenant_t *tenant, uint8_t status, shard_message_t **message);

void __wrap_card_decide(const card_state_t *state, const card_command_t *command,
                        card_decision_t *decision)
{
    card_state_t changed = *state;
    if (world_current()->bug == BUG_reinstate_all && command->by_member &&
        command->kind == CARD_REINSTATE) {
        MESSAGE_SET(card_snapshot, &changed, by_member, true);
    }
    __real_card_decide(&changed, command, decision);
}

inbox_taken_t __wrap_inbox_take(inbox_t *inbox, const member_event_t *event)
{
    if (world_current()->bug == BUG_gap_passed) {
        inbox_pass_gap(inbox, event->sequence);
    }
    return __real_inbox_take(inbox, event);
}

void __wrap_member_judge_scan(tenant_t *tenant, text_t member_id, member_judgement_t *judgement)
{
    __real_member_judge_scan(tenant, member_id, judgement);
    if (world_current()->bug == BUG_member_status_ignored) {
        judgement->refusal = reason_none;
    }
}

void __wrap_member_work_begin(tenant_t *tenant, member_t *member)
{
    if (world_current()->bug == BUG_cancellation_without_end) {
        member->work_moment = INT64_MAX;
    }
    __real_member_work_begin(tenant, member);
}

/* The stored place is one card further than the work has come, or one card is missing from the
 * stored count: nobody sees it before a crash. */
void __wrap_member_store(tenant_t *tenant, member_t *member, batch_t *batch)
{
    const bool is_ahead = world_current()->bug == BUG_saga_loses_place &&
                          member->cursor_size == 1 && member->cursor[0] > '1';
    member->cursor[0] = (char)(member->cursor[0] - (is_ahead ? 1 : 0));
    const uint64_t missing =
        world_current()->bug == BUG_count_apart && member->work_count > 0 ? 1 : 0;
    member->work_count -= missing;
    __real_member_store(tenant, member, batch);
    member->work_count += missing;
    member->cursor[0] = (char)(member->cursor[0] + (is_ahead ? 1 : 0));
}

bool __wrap_tenant_quota_allows(tenant_t *tenant, uint8_t status, shard_message_t **message)
{
    return world_current()->bug == BUG_quota_ignored ||
           __real_tenant_quota_allows(tenant, status, message);
}

void __wrap_partition_wait(partition_t *partition, batch_t *batch, shard_message_t **message,
                           text_t envelope, uint8_t outcome)
{
    const shard_t *const shard = partition->tenant->shard;
    if (world_current()->bug == BUG_reply_before_commit && (*message)->kind == SHARD_REQUEST) {
        shard->ports.reply(shard->ports.context, (*message)->peer, (const uint8_t *)envelope.data,
                           envelope.size);
    }
    __real_partition_wait(partition, batch, message, envelope, outcome);
}

uint64_t __wrap_partition_append(partition_t *partition, batch_t *batch,
                                 const journal_event_t *event, const event_data_t *data, int cards)
{
    const bool keeps = world_current()->bug == BUG_quota_counts_issued && cards < 0;
    const uint64_t sequence =
        __real_partition_append(partition, batch, event, data, keeps ? 0 : cards);
    const shard_t *const shard = partition->tenant->shard;
    if (world_current()->bug == BUG_publish_uncommitted) {
        const text_t published = batch->published[batch->event_count - 1];
        shard->ports.publish(shard->ports.context, (const uint8_t *)published.data, published.size);
    }
    return sequence;
}

result_t __wrap_key_table_add(key_table_t *table, shard_message_t *message)
{
    return world_current()->bug == BUG_skip_key_check ? RESULT_OK
                                                      : __real_key_table_add(table, message);
}

void __wrap_card_evolve(card_state_t *state, uint8_t event_name, const uuid_t *card,
                        int64_t occurred_at, const event_data_t *data)
{
    __real_card_evolve(state, event_name, card, occurred_at, data);
    if (world_current()->bug == BUG_suspension_forgotten &&
        event_name == event_name_card_suspended) {
        state->status = state->was_activated ? card_status_active : card_status_issued;
        state->is_suspended = false;
    }
}
