/* The set of refused commands, and its dead letters. See the header. */
#include "actors/shard/quarantine.h"

#include "actors/domain/card_id.h"
#include "actors/secrets.h"
#include "actors/shard/shard_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRACE_ID_AT = 3, TRACE_ID_SIZE = 32 };

typedef struct entry {
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
} entry_t;

struct quarantine {
    shard_t *shard;
    uint32_t count;
    uint32_t capacity;
    entry_t *entries;
    bool has_order; /* could not be stored: it counts all the same */
    entry_t order;

    bool is_replaying;
    uint8_t replaying[CRASH_FINGERPRINT_SIZE];
    bool is_asked; /* found while reading: the one to replay next */
    uint8_t asked[CRASH_FINGERPRINT_SIZE];
    bool is_interrupted; /* found while reading: a replay that nobody works on */
    uint8_t interrupted[CRASH_FINGERPRINT_SIZE];
};

static text_t fingerprint_text(const uint8_t *fingerprint)
{
    return (text_t){.data = (const char *)fingerprint, .size = CRASH_FINGERPRINT_SIZE};
}

/* --- The set --- */

static void add(quarantine_t *quarantine, const uint8_t *fingerprint)
{
    if (quarantine->count == quarantine->capacity) {
        const uint32_t capacity = quarantine->capacity == 0 ? 16 : 2 * quarantine->capacity;
        quarantine->entries = realloc(quarantine->entries, capacity * sizeof(*quarantine->entries));
        assert(quarantine->entries != NULL);
        quarantine->capacity = capacity;
    }
    memcpy(quarantine->entries[quarantine->count].fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE);
    quarantine->count++;
}

static bool holds(const quarantine_t *quarantine, const uint8_t *fingerprint)
{
    for (uint32_t i = 0; i < quarantine->count; i++) { /* LIMIT_QUARANTINE */
        if (memcmp(quarantine->entries[i].fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

bool quarantine_holds(const quarantine_t *quarantine, const shard_message_t *message)
{
    if (__builtin_expect(quarantine->count == 0, 1) || message->kind != SHARD_REQUEST ||
        message->is_replay) {
        return false;
    }
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    const crash_identity_t identity = shard_message_identity(message);
    crash_fingerprint(&identity, fingerprint);
    return holds(quarantine, fingerprint);
}

/* --- Reading --- */

static bool is_in_work(const quarantine_t *quarantine, const uint8_t *fingerprint)
{
    return quarantine->is_replaying &&
           memcmp(quarantine->replaying, fingerprint, CRASH_FINGERPRINT_SIZE) == 0;
}

static bool take_letter(void *context, const dead_letter_t *letter)
{
    quarantine_t *const quarantine = context;
    const shard_options_t *const options = &quarantine->shard->options;
    if (placement_shard(letter->tenant, options->shards) != options->index) {
        return true;
    }
    switch (letter->state) {
    case DEAD_LETTER_QUARANTINED:
        add(quarantine, letter->fingerprint);
        break;
    case DEAD_LETTER_REPLAYING:
        if (!is_in_work(quarantine, letter->fingerprint)) { /* our predecessor died meanwhile */
            quarantine->is_interrupted = true;
            memcpy(quarantine->interrupted, letter->fingerprint, CRASH_FINGERPRINT_SIZE);
            add(quarantine, letter->fingerprint);
        }
        break;
    case DEAD_LETTER_REPLAY_ASKED: /* the oldest, since they come newest first */
        quarantine->is_asked = true;
        memcpy(quarantine->asked, letter->fingerprint, sizeof(quarantine->asked));
        break;
    case DEAD_LETTER_REPLAYED:
        break;
    }
    return quarantine->count < LIMIT_QUARANTINE;
}

static void log_failure(const char *message, result_t result)
{
    log_error(message, LOG_STRING("code", result_code(result)));
}

static void read_letters(quarantine_t *quarantine)
{
    dead_letters_t *const letters = quarantine->shard->ports.dead_letters;
    const uint32_t count_before = quarantine->count;
    quarantine->count = 0;
    quarantine->is_asked = false;
    quarantine->is_interrupted = false;
    if (quarantine->has_order) {
        add(quarantine, quarantine->order.fingerprint);
    }
    if (letters == NULL) {
        return;
    }
    const result_t result = letters->functions->visit(letters, TEXT_NONE, take_letter, quarantine);
    if (result != RESULT_OK) { /* what was there stays, in the same places */
        quarantine->count = count_before > quarantine->count ? count_before : quarantine->count;
        log_failure("the dead letters cannot be read; what is quarantined stays so", result);
    }
    if (quarantine->is_interrupted) { /* another one is found by the next reading */
        const result_t changed = letters->functions->change(
            letters, quarantine->interrupted, DEAD_LETTER_REPLAYING, DEAD_LETTER_QUARANTINED,
            TEXT_LITERAL("the role ended while it was replayed"));
        if (changed != RESULT_OK) {
            log_failure("a dead letter whose replay was interrupted cannot be stored", changed);
        }
    }
}

/* --- Replays --- */

static void end_replay(quarantine_t *quarantine, dead_letter_state_t state, const char *outcome)
{
    dead_letters_t *const letters = quarantine->shard->ports.dead_letters;
    const result_t result = letters->functions->change(
        letters, quarantine->replaying, DEAD_LETTER_REPLAYING, state, text_from_c(outcome));
    quarantine->is_replaying = false;
    if (result != RESULT_OK && result != RESULT_MISSING) {
        log_failure("the outcome of a replayed dead letter cannot be stored", result);
    }
}

void quarantine_replayed(quarantine_t *quarantine, text_t envelope)
{
    arena_t arena = {.base = quarantine->shard->arena, .size = sizeof(quarantine->shard->arena)};
    envelope_t decoded;
    message_fault_t fault;
    char outcome[DEAD_LETTER_OUTCOME_SIZE] = "error";
    if (!quarantine->is_replaying) {
        return;
    }
    if (message_unpack(&envelope_message, MESSAGE_KEYS_IDS, (const uint8_t *)envelope.data,
                       envelope.size, &arena, &decoded, &fault)) {
        const reply_t *const reply = &decoded.reply;
        const text_t name = enum_name(&outcome_enum, reply->outcome);
        (void)snprintf(outcome, sizeof(outcome), "%.*s%s%s", TEXT_PRINT(name),
                       reply->outcome == outcome_error ? ": " : "",
                       reply->outcome == outcome_error ? result_code((result_t)reply->error) : "");
    }
    end_replay(quarantine, DEAD_LETTER_REPLAYED, outcome);
}

typedef struct replay {
    const quarantine_t *quarantine;
    bool is_opened;
    size_t size;
    uint8_t plain[LIMIT_CRASH_REQUEST_SIZE];
} replay_t;

static bool open_letter(void *context, const dead_letter_t *letter)
{
    replay_t *const replay = context;
    const shard_ports_t *const ports = &replay->quarantine->shard->ports;
    text_t request = TEXT_NONE;
    replay->is_opened = secret_dead_letter_open(
        ports->crypto, &ports->master_key, letter->tenant, fingerprint_text(letter->fingerprint),
        letter->sealed_request, replay->plain, sizeof(replay->plain), &request);
    replay->size = request.size;
    return false;
}

/* The row says that it runs before it runs: should it kill once more, the successor knows. */
static void begin_replay(quarantine_t *quarantine)
{
    shard_t *const shard = quarantine->shard;
    dead_letters_t *const letters = shard->ports.dead_letters;
    memcpy(quarantine->replaying, quarantine->asked, sizeof(quarantine->replaying));
    quarantine->is_asked = false;
    result_t result = letters->functions->change(
        letters, quarantine->replaying, DEAD_LETTER_REPLAY_ASKED, DEAD_LETTER_REPLAYING, TEXT_NONE);
    if (result != RESULT_OK) {
        log_failure("a dead letter cannot be replayed", result);
        return;
    }
    quarantine->is_replaying = true;
    replay_t *replay = calloc(1, sizeof(*replay));
    assert(replay != NULL);
    replay->quarantine = quarantine;
    result = letters->functions->visit_one(letters, quarantine->replaying, open_letter, replay);
    shard_message_t *message = NULL;
    if (result == RESULT_OK && replay->is_opened) {
        log_info("a dead letter is replayed");
        message = shard_message_decode_replay(
            shard, (text_t){.data = (const char *)replay->plain, .size = replay->size});
    }
    shard->ports.crypto->wipe(replay->plain, sizeof(replay->plain));
    free(replay);
    if (message != NULL) {
        shard_accept(shard, &message);
    } else if (quarantine->is_replaying) { /* no reply was given */
        end_replay(quarantine, DEAD_LETTER_QUARANTINED, "the stored request cannot be read");
    }
}

void quarantine_refresh(quarantine_t *quarantine)
{
    read_letters(quarantine);
}

void quarantine_tick(quarantine_t *quarantine)
{
    if (quarantine->is_asked && !quarantine->is_replaying && !quarantine->shard->is_draining) {
        begin_replay(quarantine);
    }
}

/* --- The supervisor's order --- */

static result_t store_order(const shard_t *shard, const crash_order_t *order)
{
    const shard_ports_t *const ports = &shard->ports;
    const crash_record_t *const record = &order->record;
    const bool is_whole = record->request_size <= LIMIT_CRASH_REQUEST_SIZE;
    const text_t tenant = {.data = record->tenant, .size = record->tenant_size};
    const text_t request = {.data = (const char *)record->request,
                            .size = is_whole ? record->request_size : 0};
    uint8_t *sealed = malloc(request.size + CRYPTO_SEAL_OVERHEAD);
    assert(sealed != NULL);
    secret_dead_letter_seal(ports->crypto, &ports->master_key, tenant,
                            fingerprint_text(record->fingerprint), request, sealed);
    const bool has_trace = record->trace_size >= TRACE_ID_AT + TRACE_ID_SIZE;
    const dead_letter_t letter = {
        .fingerprint = record->fingerprint,
        .state = DEAD_LETTER_QUARANTINED,
        .tenant = tenant,
        .type = record->type,
        .actor = record->actor,
        .kills = order->kills,
        .stored_at = ports->wall_ms(),
        .reason = text_from_c(order->reason),
        .trace_id = {.data = has_trace ? record->trace + TRACE_ID_AT : "",
                     .size = has_trace ? TRACE_ID_SIZE : 0},
        .request_size = record->request_size,
        .sealed_request = {.data = (const char *)sealed,
                           .size = is_whole ? request.size + CRYPTO_SEAL_OVERHEAD : 0},
        .outcome = TEXT_NONE,
    };
    const result_t result = ports->dead_letters->functions->put(ports->dead_letters, &letter);
    free(sealed);
    return result;
}

static void take_order(quarantine_t *quarantine)
{
    const shard_ports_t *const ports = &quarantine->shard->ports;
    const crash_order_t *const order = crash_slot_order(ports->crash_slot);
    if (order == NULL) {
        return;
    }
    memcpy(quarantine->order.fingerprint, order->record.fingerprint, CRASH_FINGERPRINT_SIZE);
    result_t result = RESULT_UNAVAILABLE;
    if (ports->dead_letters != NULL) {
        result = store_order(quarantine->shard, order);
    }
    if (result == RESULT_OK) {
        crash_slot_order_done(ports->crash_slot);
        return;
    }
    quarantine->has_order = true; /* the slot keeps it for the next start */
    log_failure("a quarantined command cannot be stored; it is refused while the service runs",
                result);
}

/* --- Begin and end --- */

quarantine_t *quarantine_create(shard_t *shard)
{
    quarantine_t *quarantine = calloc(1, sizeof(*quarantine));
    assert(quarantine != NULL);
    quarantine->shard = shard;
    take_order(quarantine);
    read_letters(quarantine);
    return quarantine;
}

void quarantine_destroy(quarantine_t **quarantine)
{
    if (*quarantine != NULL) {
        free((*quarantine)->entries);
        free(*quarantine);
        *quarantine = NULL;
    }
}
