/* Writing and reading of crash slots. Knows nothing of signals, mappings and what a request means.
 */
#include "runtime/crash_slot_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The other process reads after this one is dead, so the order of the instructions is the order of
 * the stores. */
static inline void keep_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

/* Plain instructions: one thread of the role writes these two, and whoever looks while the role
 * lives looks again before it judges. */
static inline bool is_running(const crash_slot_t *slot)
{
    return atomic_load_explicit(&slot->is_running, memory_order_relaxed) != 0;
}

static inline void set_running(crash_slot_t *slot, uint32_t value)
{
    atomic_store_explicit(&slot->is_running, value, memory_order_relaxed);
}

static inline void count_entered(crash_slot_t *slot)
{
    const uint32_t before = atomic_load_explicit(&slot->entered, memory_order_relaxed);
    atomic_store_explicit(&slot->entered, before + 1, memory_order_relaxed);
}

/* Nothing that was written wild leads out of the record. */
static bool is_sound(const crash_record_t *record)
{
    if (record->tenant_size > LIMIT_TENANT_NAME_SIZE || record->trace_size > CRASH_TRACE_SIZE) {
        return false;
    }
    if (record->request_size > LIMIT_CRASH_REQUEST_SIZE) {
        return record->has_fingerprint != 0;
    }
    return record->identity_size <= record->request_size &&
           record->identity_offset <= record->request_size - record->identity_size;
}

/* --- The role's side --- */

static void note_request(crash_record_t *record, const crash_command_t *command)
{
    const crash_identity_t *const identity = &command->identity;
    record->request_size = (uint32_t)command->request_size;
    record->has_fingerprint = 0;
    if (__builtin_expect(command->request_size <= LIMIT_CRASH_REQUEST_SIZE, 1)) {
        const ptrdiff_t offset =
            (const uint8_t *)identity->text - (const uint8_t *)command->request;
        assert(identity->text_size == 0 ||
               (offset >= 0 && (size_t)offset + identity->text_size <= command->request_size));
        record->identity_offset = identity->text_size == 0 ? 0 : (uint32_t)offset;
        record->identity_size = (uint32_t)identity->text_size;
        memcpy(record->request, command->request, command->request_size);
        return;
    }
    record->identity_offset = 0;
    record->identity_size = 0;
    record->has_fingerprint = 1;
    crash_fingerprint(identity, record->fingerprint);
}

void crash_slot_enter(crash_slot_t *slot, const crash_command_t *command)
{
    if (slot == NULL) {
        return;
    }
    const crash_identity_t *const identity = &command->identity;
    crash_record_t *const record = &slot->running;
    assert(identity->tenant_size < sizeof record->tenant);
    set_running(slot, 0);
    count_entered(slot);
    keep_order();
    record->type = identity->type;
    record->tenant_size = (uint8_t)identity->tenant_size;
    memcpy(record->tenant, identity->tenant, identity->tenant_size);
    record->has_card = identity->card != NULL ? 1 : 0;
    if (record->has_card != 0) {
        memcpy(record->card, identity->card, CRASH_ID_SIZE);
    }
    memcpy(record->actor, command->actor, CRASH_ID_SIZE);
    record->is_key = identity->is_key ? 1 : 0;
    record->stage = (uint8_t)command->stage;
    record->is_internal = command->is_internal ? 1 : 0;
    record->trace_size =
        (uint8_t)(command->trace_size < CRASH_TRACE_SIZE ? command->trace_size : CRASH_TRACE_SIZE);
    memcpy(record->trace, command->trace, record->trace_size);
    note_request(record, command);
    keep_order();
    set_running(slot, 1);
    keep_order();
}

void crash_slot_leave(crash_slot_t *slot)
{
    if (slot != NULL) {
        keep_order();
        set_running(slot, 0);
    }
}

bool crash_slot_pause(crash_slot_t *slot)
{
    const bool was_in_work = slot != NULL && is_running(slot);
    crash_slot_leave(slot);
    return was_in_work;
}

void crash_slot_resume(crash_slot_t *slot, bool was_in_work)
{
    if (was_in_work) {
        count_entered(slot); /* whoever looks begins to count anew */
        keep_order();
        set_running(slot, 1);
        keep_order();
    }
}

const crash_order_t *crash_slot_order(const crash_slot_t *slot)
{
    const bool has_order = slot != NULL && slot->has_order != 0 &&
                           slot->order.record.has_fingerprint != 0 &&
                           is_sound(&slot->order.record) &&
                           memchr(slot->order.reason, '\0', sizeof slot->order.reason) != NULL;
    return has_order ? &slot->order : NULL;
}

void crash_slot_order_done(crash_slot_t *slot)
{
    slot->has_order = 0;
}

void crash_slot_note_hang(crash_slot_t *slot, uint32_t command)
{
    slot->hanging = command;
    keep_order();
    slot->hangs = 1;
    keep_order();
}

void crash_slot_note_reading(crash_slot_t *slot, const crash_reading_t *reading)
{
    if (reading->tenant_size > sizeof slot->reading_tenant) {
        return; /* written wild */
    }
    slot->reading_tenant_size = (uint32_t)reading->tenant_size;
    memcpy(slot->reading_tenant, reading->tenant, reading->tenant_size);
    memcpy(slot->reading_actor, reading->actor, CRASH_ID_SIZE);
    keep_order();
    slot->has_reading = 1;
    keep_order();
}

/* --- The supervisor's side --- */

void crash_slot_clear(crash_slot_t *slot)
{
    set_running(slot, 0);
    slot->crashed_thread = 0;
    slot->was_sent = 0;
    slot->hangs = 0;
    slot->has_reading = 0;
    slot->handler_thread = 0;
}

bool crash_slot_is_in_work(const crash_slot_t *slot, uint32_t *command)
{
    *command = atomic_load_explicit(&slot->entered, memory_order_relaxed);
    return is_running(slot);
}

static void complete_fingerprint(crash_record_t *record)
{
    if (record->has_fingerprint != 0) {
        return;
    }
    const crash_identity_t identity = {
        .tenant = record->tenant,
        .tenant_size = record->tenant_size,
        .card = record->has_card != 0 ? record->card : NULL,
        .type = record->type,
        .is_key = record->is_key != 0,
        .text = record->request + record->identity_offset,
        .text_size = record->identity_size,
    };
    crash_fingerprint(&identity, record->fingerprint);
    record->has_fingerprint = 1;
}

static crash_origin_t origin_of(const crash_slot_t *slot)
{
    if (slot->hangs != 0) { /* it may have got done in that very moment */
        const bool is_same =
            slot->hanging == atomic_load_explicit(&slot->entered, memory_order_relaxed);
        return is_same ? CRASH_ORIGIN_HANG : CRASH_ORIGIN_OTHER;
    }
    if (slot->crashed_thread == 0) {
        return CRASH_ORIGIN_UNKNOWN;
    }
    if (slot->was_sent != 0) {
        return CRASH_ORIGIN_OUTSIDE;
    }
    return slot->crashed_thread == slot->handler_thread ? CRASH_ORIGIN_HANDLER : CRASH_ORIGIN_OTHER;
}

/* What the thread read that the signal hit: no command is concerned, whatever the handlers did
 * meanwhile. */
static bool read_reading(const crash_slot_t *slot, crash_record_t *record, crash_origin_t *origin)
{
    memset(record, 0, sizeof *record);
    record->tenant_size = (uint8_t)slot->reading_tenant_size;
    record->is_internal = 1;
    record->stage = CRASH_STAGE_ACTIVATION;
    *origin = slot->was_sent != 0 ? CRASH_ORIGIN_OUTSIDE : CRASH_ORIGIN_READING;
    if (slot->reading_tenant_size > sizeof slot->reading_tenant) {
        return false;
    }
    memcpy(record->tenant, slot->reading_tenant, record->tenant_size);
    memcpy(record->actor, slot->reading_actor, CRASH_ID_SIZE);
    complete_fingerprint(record);
    return true;
}

bool crash_slot_read(const crash_slot_t *slot, crash_record_t *record, crash_origin_t *origin)
{
    if (slot->has_reading != 0 && slot->hangs == 0) {
        return read_reading(slot, record, origin);
    }
    if (!is_running(slot)) {
        return false;
    }
    memcpy(record, &slot->running, sizeof *record);
    *origin = origin_of(slot);
    if (!is_sound(record)) {
        return false;
    }
    complete_fingerprint(record);
    return true;
}

void crash_slot_give_order(crash_slot_t *slot, const crash_record_t *record, uint32_t kills,
                           const char *reason)
{
    slot->has_order = 0;
    keep_order();
    slot->order.kills = kills;
    slot->order.is_actor = 0;
    memcpy(&slot->order.record, record, sizeof *record);
    (void)snprintf(slot->order.reason, sizeof slot->order.reason, "%s", reason);
    keep_order();
    slot->has_order = 1;
}

void crash_slot_give_actor_order(crash_slot_t *slot, const crash_record_t *record, uint32_t kills,
                                 const char *reason)
{
    crash_slot_give_order(slot, record, kills, reason);
    slot->has_order = 0;
    keep_order();
    slot->order.is_actor = 1;
    crash_actor_fingerprint(record->tenant, record->tenant_size, record->actor,
                            slot->order.record.fingerprint);
    keep_order();
    slot->has_order = 1;
}
