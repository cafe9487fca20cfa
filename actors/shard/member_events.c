/* Events of the membership context in their partition: each applied once, in order, in the same
 * batch as the watermark that says so. What they do to the member's cards is member_work.c's. */
#include "actors/domain/card_id.h"
#include "actors/secrets.h"
#include "actors/shard/member_desk.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_SIZE = 65536, /* of the decoded list: 256 events of 200 bytes */
    INBOX_KEY_SIZE = 16,
};

/* One message with events on its way through its members. */
typedef struct events_task {
    tenant_t *tenant;
    uint64_t generation;
    shard_message_t *message; /* owned */
    member_events_t events;
    uint32_t next;
    char note_key[MEMBER_NOTE_KEY_SIZE];
    journal_load_t load;
    uint8_t arena[ARENA_SIZE];
} events_task_t;

/* --- Watermarks and open work, when the tenant is opened --- */

static text_t inbox_key(uint32_t partition, char key[INBOX_KEY_SIZE])
{
    const int size = snprintf(key, INBOX_KEY_SIZE, "inbox:%02u", (unsigned)partition);
    assert(size > 0 && size < INBOX_KEY_SIZE);
    return (text_t){.data = key, .size = (size_t)size};
}

static void take_watermark(tenant_t *tenant, const journal_note_t *note)
{
    char key[INBOX_KEY_SIZE];
    inbox_row_t row;
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    for (uint32_t p = 0; p < tenant->partition_count; p++) {
        if (text_equal(inbox_key(p, key), note->key) &&
            message_unpack(&inbox_row_message, MESSAGE_KEYS_IDS, (const uint8_t *)note->body.data,
                           note->body.size, &arena, &row, &fault)) {
            tenant->inbox[p] = row.sequence;
        }
    }
}

static void take_note(tenant_t *tenant, const journal_note_t *note)
{
    static const text_t prefix = TEXT_LITERAL("member:");
    if (!text_starts_with(note->key, prefix)) {
        take_watermark(tenant, note);
        return;
    }
    const text_t member_id = {.data = note->key.data + prefix.size,
                              .size = note->key.size - prefix.size};
    const bool is_readable = member_loaded(tenant, member_id, note->body);
    (void)is_readable; /* logged; its cards are as their own events say */
}

static void read_notes(tenant_t *tenant);

/* Work that is open goes on when they are read, so that somebody has to try again by himself: the
 * context may have no further event for years. */
static void read_notes_later(tenant_t *tenant)
{
    shard_t *const shard = tenant->shard;
    tenant->are_notes_left = true;
    tenant->notes_retry_at_ms = loop_now_ms(shard->loop) + LIMIT_MEMBER_RETRY_MS;
    shard->has_member_work = true;
}

static void notes_done(void *context, const journal_notes_t *notes)
{
    tenant_t *const tenant = context;
    tenant->are_notes_being_read = false;
    if (tenant->status == TENANT_OPEN && notes->result == RESULT_OK) {
        for (size_t i = 0; i < notes->note_count; i++) {
            take_note(tenant, &notes->notes[i]);
        }
        if (notes->note_count > 0) {
            const text_t last = notes->notes[notes->note_count - 1].key;
            memcpy(tenant->notes_after, last.data, last.size);
            tenant->notes_after_size = last.size;
        }
        /* "inbox:" comes before "member:": with the first page all watermarks are known. */
        tenant->are_notes_read = true;
        tenant->are_notes_left = notes->note_count >= LIMIT_MEMBER_NOTES_PAGE;
        member_events_read_on(tenant);
    } else if (tenant->status == TENANT_OPEN) {
        read_notes_later(tenant);
    }
    tenant_operation_end(tenant);
}

static void read_notes(tenant_t *tenant)
{
    shard_t *const shard = tenant->shard;
    const text_t after = {.data = tenant->notes_after, .size = tenant->notes_after_size};
    const result_t result = shard->ports.journal->functions->read_notes(
        tenant->journal, after, LIMIT_MEMBER_NOTES_PAGE, notes_done, tenant);
    if (result != RESULT_OK) {
        read_notes_later(tenant);
        return;
    }
    tenant->are_notes_being_read = true;
    tenant_operation_begin(tenant);
}

void member_events_read_on(tenant_t *tenant)
{
    if (tenant->are_notes_left && !tenant->are_notes_being_read &&
        tenant->work_count < LIMIT_MEMBER_WORKS &&
        loop_now_ms(tenant->shard->loop) >= tenant->notes_retry_at_ms) {
        read_notes(tenant);
    }
}

void member_events_opened(tenant_t *tenant)
{
    memset(tenant->inbox, 0, sizeof tenant->inbox);
    tenant->notes_after_size = 0;
    tenant->notes_retry_at_ms = 0;
    read_notes(tenant);
}

/* --- Applying --- */

/* The newest watermark of a batch replaces an older one in it. */
static void put_watermark(const events_task_t *task, batch_t *batch, uint64_t sequence)
{
    tenant_t *const tenant = task->tenant;
    const uint32_t partition = (uint32_t)task->message->request.partition;
    char key[INBOX_KEY_SIZE];
    const text_t name = inbox_key(partition, key);
    inbox_row_t row = {0};
    if (task->message->is_replay || sequence <= tenant->inbox[partition]) {
        return;
    }
    tenant->inbox[partition] = sequence;
    MESSAGE_SET(inbox_row, &row, sequence, sequence);
    journal_note_t *note = NULL;
    for (size_t i = batch->note_count; i > 0 && note == NULL; i--) {
        note = text_equal(batch->notes[i - 1].key, name) ? &batch->notes[i - 1] : NULL;
    }
    if (note == NULL) {
        assert(batch->note_count < LIMIT_BATCH_NOTES);
        note = &batch->notes[batch->note_count];
        batch->note_count++;
        note->key = batch_copy(batch, name);
        note->is_open = true; /* so that opening finds it */
    }
    note->body = batch_pack(batch, &inbox_row_message, &row);
    batch->stored_size += note->key.size + note->body.size;
}

/* What an event means for the member. False: nothing. */
static bool change_member(member_t *member, const member_event_t *event, int64_t now_ms)
{
    const bool is_cancelled = member->status == member_status_cancelled;
    switch (event->name) {
    case member_event_name_cancelled:
        member->status = member_status_cancelled;
        member->work_until = 0;
        /* It may be heard long after it happened: a card that was issued since then belongs to what
         * became of the member later. */
        member_work_to_revoke(
            member, MESSAGE_HAS(member_event, event, occurred_at) ? event->occurred_at : INT64_MAX);
        break;
    case member_event_name_suspended:
        if (is_cancelled) {
            return false; /* a cancelled membership cannot be suspended */
        }
        member->status = member_status_suspended;
        member_work_set(member, member_work_suspend);
        break;
    case member_event_name_reinstated:
        member->status = member_status_active;
        member_work_set(member, member_work_reinstate);
        break;
    case member_event_name_renewed:
        member->valid_until = event->valid_until;
        if (!is_cancelled) {
            member_work_to_renew(member, event->valid_until);
        }
        member->status =
            member->status == member_status_none ? (uint8_t)member_status_active : member->status;
        break;
    default:
        member->known_at = now_ms;
        return member->status != member_status_none;
    }
    member->known_at = now_ms;
    return true;
}

static void apply(events_task_t *task, const member_event_t *event, member_t *member)
{
    tenant_t *const tenant = task->tenant;
    partition_t *const partition = &tenant->partitions[task->message->request.partition];
    batch_t *const batch = partition_gather_quietly(partition);
    if (change_member(member, event, tenant->shard->ports.wall_ms())) {
        member->known_ms = (int64_t)loop_now_ms(tenant->shard->loop);
        member->is_missing = false;
        if (event->sequence > member->sequence) { /* a dead letter that is run again is older */
            member->sequence = event->sequence;
        }
        member_store(tenant, member, batch);
        member_remember(tenant, member->member_id, member->status, member->known_at,
                        member->sequence);
        if (member_has_work(member)) {
            member_work_begin(tenant, member);
        }
    }
    put_watermark(task, batch, event->sequence);
}

/* --- Dead letters --- */

/* Named by tenant and event alone, not by the message that brought it: who dies between keeping the
 * letter and committing the watermark has a successor that keeps the same letter again. */
static void name_letter(const events_task_t *task, text_t packed, uint8_t hash[32])
{
    char named[LIMIT_TENANT_NAME_SIZE + 1 + LIMIT_CRASH_REQUEST_SIZE];
    const text_t tenant = tenant_name(task->tenant);
    memcpy(named, tenant.data, tenant.size);
    named[tenant.size] = '\0';
    memcpy(named + tenant.size + 1, packed.data, packed.size);
    const text_t whole = {.data = named, .size = tenant.size + 1 + packed.size};
    task->tenant->shard->ports.crypto->sha256(whole, hash);
}

static size_t pack_letter(const events_task_t *task, const member_event_t *event, uint8_t hash[32],
                          uint8_t *out, size_t capacity)
{
    uint8_t body[LIMIT_CRASH_REQUEST_SIZE];
    member_event_t alone = *event;
    member_events_t events = {0};
    envelope_t envelope = {0};
    MESSAGE_CLEAR(member_event, &alone, is_dead);
    MESSAGE_SET(member_events, &events, up_to, event->sequence);
    events.items = &alone;
    events.items_count = 1;
    MESSAGE_MARK(member_events, &events, items);
    const size_t size =
        message_pack(&member_events_message, &events, MESSAGE_KEYS_IDS, body, sizeof body);
    assert(size <= sizeof body); /* one event has under 1 KiB */
    envelope.request = task->message->request;
    MESSAGE_MARK(envelope, &envelope, request);
    const text_t packed = {.data = (const char *)body, .size = size};
    name_letter(task, packed, hash);
    MESSAGE_SET(request, &envelope.request, body, packed);
    return message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, out, capacity);
}

/* False: it could not be kept, and is not passed over. */
static bool put_dead_letter(const events_task_t *task, const member_event_t *event)
{
    shard_t *const shard = task->tenant->shard;
    const shard_ports_t *const ports = &shard->ports;
    uint8_t bytes[2 * LIMIT_CRASH_REQUEST_SIZE];
    uint8_t sealed[2 * LIMIT_CRASH_REQUEST_SIZE + CRYPTO_SEAL_OVERHEAD];
    uint8_t hash[32];
    static const uint8_t nobody[CRASH_ID_SIZE] = {0};
    if (ports->dead_letters == NULL || task->message->is_replay) {
        return true;
    }
    const size_t size = pack_letter(task, event, hash, bytes, sizeof bytes);
    assert(size <= sizeof bytes); /* the event and what says of whom it is */
    const text_t fingerprint = {.data = (const char *)hash, .size = CRASH_FINGERPRINT_SIZE};
    const text_t request = {.data = (const char *)bytes, .size = size};
    secret_dead_letter_seal(ports->crypto, &ports->master_key, tenant_name(task->tenant),
                            fingerprint, request, sealed);
    const dead_letter_t letter = {
        .fingerprint = hash,
        .state = DEAD_LETTER_QUARANTINED,
        .tenant = tenant_name(task->tenant),
        .type = request_type_member_events,
        .actor = nobody,
        .kills = 0,
        .stored_at = ports->wall_ms(),
        .reason = TEXT_LITERAL("an event of the membership context that cannot be applied"),
        .trace_id = reply_trace_id(&task->message->request),
        .request_size = (uint32_t)size,
        .sealed_request = {.data = (const char *)sealed, .size = size + CRYPTO_SEAL_OVERHEAD},
        .outcome = TEXT_NONE,
    };
    const bool was_in_work = crash_slot_pause(ports->crash_slot); /* PostgreSQL may take seconds */
    const result_t result = ports->dead_letters->functions->put(ports->dead_letters, &letter);
    crash_slot_resume(ports->crash_slot, was_in_work);
    if (result != RESULT_OK) {
        return false;
    }
    metric_add(shard->metrics.dead_poison, 1);
    log_error("an event of the membership context was set aside; see `digitalcard deadletters`",
              LOG_TEXT("tenant", task->tenant->name, task->tenant->name_size),
              LOG_NUMBER("sequence", event->sequence));
    return true;
}

/* --- One after the other --- */

static void task_end(events_task_t *task)
{
    assert(task->message == NULL);
    free(task);
}

static void task_fail(events_task_t *task, result_t why, const char *detail)
{
    if (task->tenant->status == TENANT_OPEN) { /* what was applied before is stored all the same */
        partition_want(&task->tenant->partitions[task->message->request.partition]);
    }
    shard_message_fail(&task->message, why, detail, NULL);
    task_end(task);
}

static void task_finish(events_task_t *task)
{
    tenant_t *const tenant = task->tenant;
    const uint32_t number = (uint32_t)task->message->request.partition;
    partition_t *const partition = &tenant->partitions[number];
    batch_t *const batch = partition_gather_quietly(partition);
    put_watermark(task, batch, task->events.up_to);
    member_watermark_t watermark = {0};
    MESSAGE_SET(member_watermark, &watermark, sequence, tenant->inbox[number]);
    reply_t reply;
    reply_begin(&task->message->request, &reply);
    reply_succeed(&reply, batch_pack(batch, &member_watermark_message, &watermark));
    const size_t size = reply_pack(&reply, NULL, 0);
    uint8_t *const packed = batch_allocate(batch, size);
    const size_t again = reply_pack(&reply, packed, size);
    assert(again == size);
    const text_t envelope = {.data = (const char *)packed, .size = size};
    partition_wait(partition, batch, &task->message, envelope, outcome_ok);
    task_end(task);
}

static void task_run(events_task_t *task);

static void member_read(void *context, const journal_loaded_t *loaded)
{
    events_task_t *const task = context;
    tenant_t *const tenant = task->tenant;
    tenant->shard->loads_in_flight--;
    const bool is_same = tenant->status == TENANT_OPEN && tenant->generation == task->generation;
    if (!is_same) {
        task_fail(task, RESULT_STORE_UNAVAILABLE, NULL);
    } else if (loaded->result != RESULT_OK) {
        task_fail(task, loaded->result, NULL);
    } else if (!member_loaded(tenant, task->events.items[task->next].member_id,
                              loaded->note_found ? loaded->note : TEXT_NONE)) {
        task_fail(task, RESULT_INTERNAL, "What is stored of the member cannot be read.");
    } else {
        shard_message_enter(task->message, CRASH_STAGE_COMMAND);
        task_run(task);
        shard_message_leave(tenant->shard);
    }
    tenant_operation_end(tenant);
}

static void read_member(events_task_t *task, text_t member_id)
{
    tenant_t *const tenant = task->tenant;
    shard_t *const shard = tenant->shard;
    task->load = (journal_load_t){.note_key = member_note_key(member_id, task->note_key)};
    result_t result = RESULT_BUSY;
    if (shard->loads_in_flight < LIMIT_LOADS_IN_FLIGHT) {
        result =
            shard->ports.journal->functions->load(tenant->journal, &task->load, member_read, task);
    }
    if (result != RESULT_OK) {
        task_fail(task, result, NULL);
        return;
    }
    shard->loads_in_flight++;
    metric_add(shard->metrics.loads, 1);
    tenant_operation_begin(tenant);
}

/* Passes over an event that changes no member. False: not now. */
static bool pass(const events_task_t *task, const member_event_t *event)
{
    if (event->is_dead && !put_dead_letter(task, event)) {
        return false;
    }
    partition_t *const partition = &task->tenant->partitions[task->message->request.partition];
    put_watermark(task, partition_gather_quietly(partition), event->sequence);
    return true;
}

static void task_run(events_task_t *task)
{
    tenant_t *const tenant = task->tenant;
    const uint32_t partition = (uint32_t)task->message->request.partition;
    while (task->next < task->events.items_count) {
        const member_event_t *const event = &task->events.items[task->next];
        const bool is_known =
            event->sequence <= tenant->inbox[partition] && !task->message->is_replay;
        const bool is_idle = event->is_dead || event->name == member_event_name_none;
        if (is_known || is_idle) {
            if (!is_known && !pass(task, event)) {
                task_fail(task, RESULT_UNAVAILABLE, "A dead letter could not be kept.");
                return;
            }
            task->next++;
            continue;
        }
        if (placement_partition(event->member_id, tenant->partition_count) != partition) {
            task_fail(task, RESULT_INVALID_BODY, "An event of another partition.");
            return;
        }
        member_t *const member =
            members_find(tenant->shard->members, tenant_name(tenant), event->member_id);
        if (member == NULL) {
            read_member(task, event->member_id);
            return;
        }
        /* Beyond the bound of work in memory the rest of the message comes again later. */
        if (tenant->work_count >= LIMIT_MEMBER_WORKS && !member->is_listed) {
            task_fail(task, RESULT_BUSY, NULL);
            return;
        }
        apply(task, event, member);
        task->next++;
    }
    task_finish(task);
}

void member_events_run(tenant_t *tenant, shard_message_t **message)
{
    const request_t *const request = &(*message)->request;
    if (!tenant->has_membership || request->partition >= tenant->partition_count) {
        shard_message_fail(message, RESULT_UNAVAILABLE, "No membership context is configured.",
                           NULL);
        return;
    }
    if (!tenant->are_notes_read) {
        if (!tenant->are_notes_being_read) {
            read_notes(tenant);
        }
        shard_message_fail(message, RESULT_BUSY, NULL, NULL);
        return;
    }
    events_task_t *task = calloc(1, sizeof *task);
    assert(task != NULL);
    task->tenant = tenant;
    task->generation = tenant->generation;
    task->message = *message;
    *message = NULL;
    arena_t arena = {.base = task->arena, .size = sizeof task->arena};
    message_fault_t fault;
    if (!message_unpack(&member_events_message, MESSAGE_KEYS_IDS,
                        (const uint8_t *)request->body.data, request->body.size, &arena,
                        &task->events, &fault)) {
        task_fail(task, RESULT_INVALID_BODY, fault.detail);
        return;
    }
    task_run(task);
}
