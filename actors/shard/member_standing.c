/* What a shard knows of members and of their context, and what that means for a command. A scan is
 * answered from what is known; only who issues a card waits for the context. Must not look into
 * events (member_events.c). */
#include "actors/domain/card_id.h"
#include "actors/membership_settings.h"
#include "actors/shard/member_desk.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>

/* --- Tenants --- */

void member_tenant_opened(tenant_t *tenant)
{
    shard_t *const shard = tenant->shard;
    const text_t name = tenant_name(tenant);
    tenant->has_membership =
        shard->ports.journal->functions->read_notes != NULL &&
        !text_is_empty(membership_setting_of(shard->options.membership_urls, name));
    tenant->is_policy_refuse = text_equal(
        membership_setting_of(shard->options.membership_policies, name), TEXT_LITERAL("refuse"));
    tenant->is_context_away = false;
    tenant->context_current_at = 0;
    tenant->context_current_ms = MEMBER_NEVER;
    tenant->are_notes_read = false;
    tenant->are_notes_being_read = false;
    tenant->are_notes_left = false;
    tenant->work_first = NULL;
    tenant->work_count = 0;
    if (tenant->has_membership) {
        member_events_opened(tenant);
    }
}

void member_tenant_closed(tenant_t *tenant)
{
    if (tenant->has_membership) {
        member_work_forget(tenant);
        members_forget_tenant(tenant->shard->members, tenant_name(tenant));
        tenant->has_membership = false;
    }
}

/* --- Notes --- */

text_t member_note_key(text_t member_id, char key[MEMBER_NOTE_KEY_SIZE])
{
    const int size = snprintf(key, MEMBER_NOTE_KEY_SIZE, "member:%.*s", TEXT_PRINT(member_id));
    assert(size > 0 && size < MEMBER_NOTE_KEY_SIZE); /* ids have 128 bytes at most */
    return (text_t){.data = key, .size = (size_t)size};
}

int64_t member_moment(const shard_t *shard, int64_t wall_ms)
{
    const int64_t age_ms = shard->ports.wall_ms() - wall_ms;
    if (age_ms < -(int64_t)LIMIT_CLOCK_SKEW_S * 1000) {
        return MEMBER_NEVER;
    }
    return (int64_t)loop_now_ms(shard->loop) - (age_ms > 0 ? age_ms : 0);
}

static void take_row(member_t *member, const member_row_t *row)
{
    member->status = row->status;
    member->known_at = row->known_at;
    member->valid_until = row->valid_until;
    member->work = row->work;
    member->work_until = row->work_until;
    /* Rows of older versions do not say: then every card was meant. */
    member->work_moment = MESSAGE_HAS(member_row, row, work_moment) ? row->work_moment : INT64_MAX;
    member->work_count = row->work_count;
    member->aside = row->work_aside;
    member->sequence = row->sequence;
    member->cursor_size = row->work_cursor.size;
    if (row->work_cursor.size > 0) {
        memcpy(member->cursor, row->work_cursor.data, row->work_cursor.size);
    }
}

bool member_loaded(tenant_t *tenant, text_t member_id, text_t body)
{
    members_t *const members = tenant->shard->members;
    if (members_find(members, tenant_name(tenant), member_id) != NULL) {
        return true; /* what is here is newer */
    }
    member_row_t row = {0};
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (!text_is_empty(body) &&
        !message_unpack(&member_row_message, MESSAGE_KEYS_IDS, (const uint8_t *)body.data,
                        body.size, &arena, &row, &fault)) {
        log_error("what is stored of a member cannot be read; run `digitalcard store verify`",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size));
        return false;
    }
    member_t *const member = members_put(members, tenant_name(tenant), member_id);
    take_row(member, &row);
    member->known_ms = member_moment(tenant->shard, row.known_at);
    if (member_has_work(member)) {
        member_work_begin(tenant, member);
    }
    return true;
}

text_t member_missing(const tenant_t *tenant, text_t member_id)
{
    const member_t *const member =
        members_find(tenant->shard->members, tenant_name(tenant), member_id);
    return member == NULL ? member_id : TEXT_NONE;
}

static partition_t *partition_of(const tenant_t *tenant, text_t member_id)
{
    return &tenant->partitions[placement_partition(member_id, tenant->partition_count)];
}

bool member_may_go(void *context, const member_t *member)
{
    const tenant_t *const tenant = tenant_find(context, member->tenant);
    return tenant == NULL || tenant->status != TENANT_OPEN ||
           partition_is_durable(partition_of(tenant, member->member_id), member->batch_number);
}

/* Of one batch only the newest row counts: it takes the place of an older one in it. */
static journal_note_t *note_place(member_t *member, batch_t *batch, text_t name)
{
    if (member->batch_number == batch->number && member->note_index < batch->note_count &&
        text_equal(batch->notes[member->note_index].key, name)) {
        journal_note_t *const older = &batch->notes[member->note_index];
        batch->stored_size -= older->body.size;
        return older;
    }
    assert(batch->note_count < LIMIT_BATCH_NOTES);
    journal_note_t *const note = &batch->notes[batch->note_count];
    member->note_index = batch->note_count;
    batch->note_count++;
    note->key = batch_copy(batch, name);
    batch->stored_size += name.size;
    return note;
}

void member_store(tenant_t *tenant, member_t *member, batch_t *batch)
{
    char key[MEMBER_NOTE_KEY_SIZE];
    member_row_t row = {0};
    MESSAGE_SET(member_row, &row, member_id, member->member_id);
    if (member->status != member_status_none) {
        MESSAGE_SET(member_row, &row, status, member->status);
        MESSAGE_SET(member_row, &row, known_at, member->known_at);
    }
    if (member->valid_until > 0) {
        MESSAGE_SET(member_row, &row, valid_until, member->valid_until);
    }
    if (member_has_work(member) && member->work != member_work_none) {
        MESSAGE_SET(member_row, &row, work, member->work);
    }
    if (member_has_work(member) && member->work_until > 0) {
        MESSAGE_SET(member_row, &row, work_until, member->work_until);
    }
    if (member_has_work(member) && member->work == member_work_revoke &&
        member->work_moment != INT64_MAX) {
        MESSAGE_SET(member_row, &row, work_moment, member->work_moment);
    }
    if (member_has_work(member) && member->cursor_size > 0) {
        const text_t cursor = {.data = member->cursor, .size = member->cursor_size};
        MESSAGE_SET(member_row, &row, work_cursor, cursor);
    }
    if (member_has_work(member) && member->work_count > 0) {
        MESSAGE_SET(member_row, &row, work_count, member->work_count);
    }
    if (member_has_work(member) && member->aside > 0) {
        MESSAGE_SET(member_row, &row, work_aside, member->aside);
    }
    if (member->sequence > 0) {
        MESSAGE_SET(member_row, &row, sequence, member->sequence);
    }
    const text_t name = member_note_key(member->member_id, key);
    journal_note_t *const note = note_place(member, batch, name);
    note->body = batch_pack(batch, &member_row_message, &row);
    note->is_open = member_has_work(member);
    batch->stored_size += note->body.size;
    member->batch_number = batch->number;
    (void)tenant;
}

/* --- The context --- */

static bool is_context_away(const tenant_t *tenant)
{
    const shard_t *const shard = tenant->shard;
    const uint64_t now_ms = loop_now_ms(shard->loop);
    return tenant->is_context_away || shard->adapters_heard_ms == 0 ||
           now_ms >= shard->adapters_heard_ms + LIMIT_STANDING_STALE_MS;
}

static member_t *find(const tenant_t *tenant, text_t member_id)
{
    return members_find(tenant->shard->members, tenant_name(tenant), member_id);
}

/* What is known of a member here, or else what the nodes remember together. */
typedef struct knowledge {
    uint8_t status; /* none: nothing */
    bool has_age;
    int64_t age_ms;
} knowledge_t;

static knowledge_t knowledge_since(const tenant_t *tenant, uint8_t status, int64_t moment_ms)
{
    if (moment_ms == MEMBER_NEVER) {
        return (knowledge_t){.status = status};
    }
    const int64_t age_ms = (int64_t)loop_now_ms(tenant->shard->loop) - moment_ms;
    return (knowledge_t){.status = status, .has_age = true, .age_ms = age_ms > 0 ? age_ms : 0};
}

static knowledge_t knowledge_of(const tenant_t *tenant, const member_t *member)
{
    if (member->status != member_status_none) {
        /* When the context last said, or would have said, what is known. */
        const bool is_current = tenant->context_current_ms > member->known_ms;
        return knowledge_since(tenant, member->status,
                               is_current ? tenant->context_current_ms : member->known_ms);
    }
    if (member->recalled_status != member_status_none) {
        return knowledge_since(tenant, member->recalled_status, member->recalled_ms);
    }
    return (knowledge_t){.status = member_status_none};
}

/* Too old, or of no known age, or of a member whom the context does not know any more. */
static bool is_stale(const tenant_t *tenant, const member_t *member, const knowledge_t *knowledge)
{
    return knowledge->status == member_status_none || !knowledge->has_age || member->is_missing ||
           knowledge->age_ms > tenant->shard->options.membership_stale_ms;
}

text_t member_to_recall(const tenant_t *tenant, text_t member_id)
{
    const member_t *const member = find(tenant, member_id);
    return member != NULL && is_context_away(tenant) && member_recall_may_wait(tenant, member)
               ? member_id
               : TEXT_NONE;
}

static uint8_t refusal_of(uint8_t status)
{
    return status == member_status_suspended || status == member_status_cancelled
               ? (uint8_t)reason_member_inactive
               : (uint8_t)reason_none;
}

static void send_question(shard_t *shard, const tenant_t *tenant, text_t member_id,
                          uint64_t correlation)
{
    uint8_t bytes[512];
    envelope_t envelope = {0};
    member_question_t *const question = &envelope.question;
    MESSAGE_MARK(envelope, &envelope, question);
    MESSAGE_SET(member_question, question, correlation, correlation);
    MESSAGE_SET(member_question, question, tenant, tenant_name(tenant));
    MESSAGE_SET(member_question, question, member_id, member_id);
    MESSAGE_SET(member_question, question, deadline_ms, LIMIT_MEMBER_ASK_MS);
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof bytes);
    assert(size <= sizeof bytes);
    shard->ports.neighbour_send(shard->ports.context, bytes, size);
}

/* --- Scans --- */

static void refresh(tenant_t *tenant, text_t member_id);

void member_judge_scan(tenant_t *tenant, text_t member_id, member_judgement_t *judgement)
{
    member_t *const member = find(tenant, member_id);
    assert(member != NULL); /* member_missing asked for it */
    const int64_t stale_ms = tenant->shard->options.membership_stale_ms;
    const bool is_away = is_context_away(tenant);
    const knowledge_t knowledge = knowledge_of(tenant, member);
    judgement->refusal = refusal_of(knowledge.status);
    if (!is_away && member->status != member_status_none && !member->is_missing) {
        if (!knowledge.has_age || knowledge.age_ms > stale_ms / 2) {
            refresh(tenant, member_id);
        }
        return;
    }
    refresh(tenant, member_id);
    if (is_away && member->status == member_status_none) {
        member_recall_again(tenant, member);
    }
    judgement->is_fallback = true;
    judgement->has_age = knowledge.has_age;
    judgement->age_s = (uint64_t)knowledge.age_ms / 1000;
    /* That a membership ended does not become less true with time; that it goes on does. */
    if (judgement->refusal == reason_none && tenant->is_policy_refuse &&
        is_stale(tenant, member, &knowledge)) {
        judgement->refusal = reason_member_inactive;
    }
}

/* --- Issuing --- */

static void change_status(tenant_t *tenant, member_t *member, uint8_t status, int64_t until,
                          int64_t now_ms, batch_t *batch)
{
    const uint8_t before = member->status;
    member->status = status;
    member->known_at = now_ms;
    member->known_ms = (int64_t)loop_now_ms(tenant->shard->loop);
    member->is_missing = false;
    member->valid_until = until > 0 ? until : member->valid_until;
    /* What no event said yet: the cards follow as if one had. But an answer does not say when a
     * membership ended, and so not which cards that concerns: they are suspended, which heals, and
     * the event revokes them. */
    const bool is_ended = refusal_of(status) != reason_none;
    const bool is_same = is_ended == (refusal_of(before) != reason_none);
    if (before == member_status_none || is_same) {
        member_store(tenant, member, batch);
        return;
    }
    member_work_set(member, is_ended ? member_work_suspend : member_work_reinstate);
    member_store(tenant, member, batch);
    member_work_begin(tenant, member);
}

/* While the cards of an ended membership are being revoked, a new one would be taken along. */
static void judge_known(const member_t *member, uint8_t status, member_judgement_t *judgement)
{
    judgement->refusal = refusal_of(status);
    if (judgement->refusal == reason_none && member->work == member_work_revoke) {
        judgement->failure = RESULT_BUSY;
    }
}

void member_judge_issue(tenant_t *tenant, const shard_message_t *message, text_t member_id,
                        int64_t now_ms, batch_t *batch, member_judgement_t *judgement)
{
    member_t *const member = find(tenant, member_id);
    assert(member != NULL); /* member_missing asked for it */
    if (message->member_said == member_status_missing) {
        member_remember(tenant, member_id, member_status_missing, now_ms,
                        message->member_asked_watermark);
        member->is_missing = member->sequence <= message->member_asked_watermark;
        judgement->refusal = reason_unknown_member;
        return;
    }
    if (message->member_said != member_status_none) {
        /* An event that came meanwhile is newer than the answer. */
        if (member->sequence <= message->member_asked_watermark) {
            change_status(tenant, member, message->member_said, message->member_until, now_ms,
                          batch);
            member_remember(tenant, member_id, member->status, now_ms,
                            message->member_asked_watermark);
        }
        judge_known(member, member->status, judgement);
        return;
    }
    const knowledge_t knowledge = knowledge_of(tenant, member);
    judge_known(member, knowledge.status, judgement);
    if (judgement->refusal == reason_none && tenant->is_policy_refuse &&
        is_stale(tenant, member, &knowledge)) {
        judgement->failure = RESULT_MEMBERSHIP_UNAVAILABLE;
    }
}

bool member_ask(tenant_t *tenant, shard_message_t **message)
{
    shard_t *const shard = tenant->shard;
    shard_message_t *const asking = *message;
    if (!tenant->has_membership || asking->is_member_asked) {
        return false;
    }
    asking->is_member_asked = true;
    if (is_context_away(tenant) || shard->asking_count >= LIMIT_MEMBER_ASKING) {
        return false; /* what is known, or the policy, decides */
    }
    shard->next_question++;
    asking->member_slice = shard->next_question;
    asking->member_asked_ms = loop_now_ms(shard->loop);
    asking->member_asked_watermark = tenant->inbox[asking->partition];
    asking->base.next = shard->asking_first == NULL ? NULL : &shard->asking_first->base;
    shard->asking_first = asking;
    shard->asking_count++;
    *message = NULL;
    send_question(shard, tenant, asking->command.issue.member_id, asking->member_slice);
    return true;
}

/* NULL: it went on already. */
static shard_message_t *take_asking(shard_t *shard, uint64_t question)
{
    shard_message_t *previous = NULL;
    shard_message_t *at = shard->asking_first;
    while (at != NULL && at->member_slice != question) { /* LIMIT_MEMBER_ASKING */
        previous = at;
        at = at->base.next == NULL ? NULL : shard_message_of(at->base.next);
    }
    if (at == NULL) {
        return NULL;
    }
    if (previous == NULL) {
        shard->asking_first = at->base.next == NULL ? NULL : shard_message_of(at->base.next);
    } else {
        previous->base.next = at->base.next;
    }
    at->base.next = NULL;
    shard->asking_count--;
    return at;
}

static void go_on(shard_message_t *message)
{
    tenant_t *const tenant = message->tenant;
    if (tenant->status == TENANT_OPEN) {
        tenant_route(tenant, &message);
    } else {
        shard_message_fail(&message, RESULT_STORE_UNAVAILABLE, NULL, NULL);
    }
}

/* Who is here hears of the context every LIMIT_STANDING_MS: a shard that hears nothing was not
 * heard. */
static void say_hello_again(shard_t *shard)
{
    const uint64_t now_ms = loop_now_ms(shard->loop);
    const uint64_t last_ms = shard->adapters_heard_ms > shard->adapters_told_ms
                                 ? shard->adapters_heard_ms
                                 : shard->adapters_told_ms;
    if (shard->adapters_told_ms != 0 && now_ms >= last_ms + LIMIT_STANDING_STALE_MS) {
        shard_neighbour_up(shard);
    }
}

void members_tick(shard_t *shard)
{
    say_hello_again(shard);
    const uint64_t now_ms = loop_now_ms(shard->loop);
    bool goes_on = true;
    while (goes_on) { /* each round one message less */
        shard_message_t *at = shard->asking_first;
        while (at != NULL &&
               now_ms < at->member_asked_ms + LIMIT_MEMBER_ASK_MS + LIMIT_DESK_TICK_MS) {
            at = at->base.next == NULL ? NULL : shard_message_of(at->base.next);
        }
        goes_on = at != NULL;
        if (goes_on) {
            go_on(take_asking(shard, at->member_slice));
        }
    }
}

void members_abandon(shard_t *shard)
{
    while (shard->asking_first != NULL) { /* LIMIT_MEMBER_ASKING */
        shard_message_t *message = take_asking(shard, shard->asking_first->member_slice);
        shard_message_fail(&message, RESULT_DRAINING, NULL, NULL);
    }
}

/* --- In the background --- */

/* Its answer only says that the member was asked after: what it says comes with the next issue or
 * event, and until then `known_at` is renewed when nothing has changed. */
enum { REFRESH_BIT = 52 };

static void refresh(tenant_t *tenant, text_t member_id)
{
    shard_t *const shard = tenant->shard;
    member_t *const member = find(tenant, member_id);
    const uint64_t now_ms = loop_now_ms(shard->loop);
    if (is_context_away(tenant) || shard->ports.neighbour_send == NULL ||
        (member->asked_at_ms != 0 && now_ms < member->asked_at_ms + LIMIT_MEMBER_REFRESH_MS)) {
        return;
    }
    if (shard->refresh_tenant[shard->next_refresh % LIMIT_MEMBER_REFRESHES][0] != '\0' &&
        shard->refresh_until_ms[shard->next_refresh % LIMIT_MEMBER_REFRESHES] > now_ms) {
        return; /* as many as may be are on their way */
    }
    member->asked_at_ms = now_ms;
    const uint32_t place = (uint32_t)(shard->next_refresh % LIMIT_MEMBER_REFRESHES);
    const uint64_t serial = shard->next_refresh;
    shard->next_refresh++;
    shard->refresh_until_ms[place] = now_ms + LIMIT_MEMBER_ASK_MS;
    shard->refresh_serial[place] = serial;
    shard->refresh_watermark[place] =
        tenant->inbox[placement_partition(member_id, tenant->partition_count)];
    (void)snprintf(shard->refresh_tenant[place], sizeof shard->refresh_tenant[place], "%.*s",
                   TEXT_PRINT(tenant_name(tenant)));
    (void)snprintf(shard->refresh_member[place], sizeof shard->refresh_member[place], "%.*s",
                   TEXT_PRINT(member_id));
    send_question(shard, tenant, member_id, (UINT64_C(1) << REFRESH_BIT) | serial);
}

/* That the context does not know the member any more ends no card, since only an event says what
 * ended and when: the policy decides, as of one of whom nothing recent is known. */
static void take_refreshed(tenant_t *tenant, member_t *member, const member_answer_t *answer,
                           uint64_t watermark)
{
    shard_t *const shard = tenant->shard;
    const int64_t now_ms = shard->ports.wall_ms();
    if (answer->status == member_status_missing) {
        member->is_missing = true;
        member_remember(tenant, member->member_id, member_status_missing, now_ms, watermark);
        return;
    }
    partition_t *const partition = partition_of(tenant, member->member_id);
    batch_t *const batch = partition_gather_quietly(partition);
    change_status(tenant, member, answer->status, answer->valid_until, now_ms, batch);
    member_remember(tenant, member->member_id, member->status, member->known_at, watermark);
    partition_want(partition);
}

static void refreshed(shard_t *shard, const member_answer_t *answer)
{
    const uint64_t serial = answer->correlation & ((UINT64_C(1) << REFRESH_BIT) - 1);
    const uint32_t place = (uint32_t)(serial % LIMIT_MEMBER_REFRESHES);
    if (shard->refresh_serial[place] != serial) {
        return; /* so late that its place is another question's */
    }
    const text_t name = text_from_c(shard->refresh_tenant[place]);
    tenant_t *const tenant = text_is_empty(name) ? NULL : tenant_find(shard, name);
    const text_t member_id = text_from_c(shard->refresh_member[place]);
    member_t *const member =
        tenant != NULL && tenant->status == TENANT_OPEN && tenant->has_membership
            ? find(tenant, member_id)
            : NULL;
    /* An event that was applied meanwhile is newer than the answer. */
    if (member != NULL && answer->status != member_status_none &&
        member->sequence <= shard->refresh_watermark[place]) {
        take_refreshed(tenant, member, answer, shard->refresh_watermark[place]);
    }
    shard->refresh_tenant[place][0] = '\0';
}

/* --- What the adapters role says --- */

static void take_answer(shard_t *shard, const member_answer_t *answer)
{
    if (answer->correlation >= UINT64_C(1) << REFRESH_BIT) {
        refreshed(shard, answer);
        return;
    }
    shard_message_t *const message = take_asking(shard, answer->correlation);
    if (message != NULL) {
        message->member_said = answer->status;
        message->member_until = answer->valid_until;
        go_on(message);
    }
}

static void take_standing(shard_t *shard, const membership_standing_t *standing)
{
    shard->adapters_heard_ms = loop_now_ms(shard->loop);
    if (!MESSAGE_HAS(membership_standing, standing, tenant)) {
        return;
    }
    tenant_t *const tenant = tenant_find(shard, standing->tenant);
    if (tenant == NULL || tenant->status != TENANT_OPEN) {
        return;
    }
    tenant->is_context_away = !standing->is_reachable;
    /* It is told again and again: by the clock of the process, the first time counts. */
    if (standing->current_at != tenant->context_current_at) {
        const int64_t moment_ms = member_moment(shard, standing->current_at);
        tenant->context_current_at = standing->current_at;
        if (moment_ms > tenant->context_current_ms) {
            tenant->context_current_ms = moment_ms;
        }
    }
}

void shard_neighbour_receive(shard_t *shard, const uint8_t *bytes, size_t size)
{
    envelope_t envelope;
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (!message_unpack(&envelope_message, MESSAGE_KEYS_IDS, bytes, size, &arena, &envelope,
                        &fault)) {
        metric_add(shard->metrics.malformed, 1);
    } else if (MESSAGE_HAS(envelope, &envelope, request)) {
        shard_message_t *message = shard_message_decode(shard, SHARD_PEER_ADAPTERS, bytes, size);
        if (message != NULL) {
            shard_accept(shard, &message);
        }
    } else if (MESSAGE_HAS(envelope, &envelope, answer)) {
        take_answer(shard, &envelope.answer);
    } else if (MESSAGE_HAS(envelope, &envelope, standing)) {
        take_standing(shard, &envelope.standing);
    }
}

void shard_neighbour_up(shard_t *shard)
{
    uint8_t bytes[64];
    envelope_t envelope = {0};
    MESSAGE_MARK(envelope, &envelope, hello);
    MESSAGE_SET(adapters_hello, &envelope.hello, shard, shard->options.index);
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, bytes, sizeof bytes);
    assert(size <= sizeof bytes);
    shard->adapters_told_ms = loop_now_ms(shard->loop);
    shard->ports.neighbour_send(shard->ports.context, bytes, size);
}

void shard_neighbour_down(shard_t *shard)
{
    shard->adapters_told_ms = 0;
    shard->adapters_heard_ms = 0;
}
