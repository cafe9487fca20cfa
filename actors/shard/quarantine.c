/* The set of refused commands, and its dead letters. See the header. */
#include "actors/shard/quarantine.h"

#include "actors/domain/card_id.h"
#include "actors/secrets.h"
#include "actors/shard/shard_internal.h"
#include "actors/shard/tenant_actor.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRACE_ID_AT = 3, TRACE_ID_SIZE = 32 };

typedef struct entry {
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    bool is_card; /* then of ... */
    uint8_t tenant_size;
    uint8_t card[CRASH_ID_SIZE];
    char tenant[LIMIT_TENANT_NAME_SIZE];
} entry_t;

struct quarantine {
    shard_t *shard;
    uint32_t count;
    uint32_t capacity;
    entry_t *entries;
    uint32_t cards; /* of them */
    bool has_order; /* could not be stored: it counts all the same */
    entry_t order;

    bool is_replaying;
    entry_t replaying;
    bool is_asked; /* found while reading: the one to replay next */
    entry_t asked;
    bool is_interrupted; /* found while reading: a replay that nobody works on */
    uint8_t interrupted[CRASH_FINGERPRINT_SIZE];
};

static text_t fingerprint_text(const uint8_t *fingerprint)
{
    return (text_t){.data = (const char *)fingerprint, .size = CRASH_FINGERPRINT_SIZE};
}

/* --- The set --- */

static entry_t command_entry(const uint8_t *fingerprint)
{
    entry_t entry = {.is_card = false};
    memcpy(entry.fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE);
    return entry;
}

static entry_t card_entry(const uint8_t *fingerprint, text_t tenant, const uint8_t *card)
{
    entry_t entry = command_entry(fingerprint);
    assert(tenant.size <= sizeof(entry.tenant));
    entry.is_card = true;
    entry.tenant_size = (uint8_t)tenant.size;
    memcpy(entry.tenant, tenant.data, tenant.size);
    memcpy(entry.card, card, CRASH_ID_SIZE);
    return entry;
}

static entry_t letter_entry(const dead_letter_t *letter)
{
    const bool is_card =
        letter->tenant.size <= LIMIT_TENANT_NAME_SIZE && dead_letter_is_of_card(letter);
    return is_card ? card_entry(letter->fingerprint, letter->tenant, letter->actor)
                   : command_entry(letter->fingerprint);
}

static void add(quarantine_t *quarantine, const entry_t *entry)
{
    if (quarantine->count == quarantine->capacity) {
        const uint32_t capacity = quarantine->capacity == 0 ? 16 : 2 * quarantine->capacity;
        quarantine->entries = realloc(quarantine->entries, capacity * sizeof(*quarantine->entries));
        assert(quarantine->entries != NULL);
        quarantine->capacity = capacity;
    }
    quarantine->entries[quarantine->count] = *entry;
    quarantine->count++;
}

static void count_cards(quarantine_t *quarantine)
{
    quarantine->cards = 0;
    for (uint32_t i = 0; i < quarantine->count; i++) { /* LIMIT_QUARANTINE */
        quarantine->cards += quarantine->entries[i].is_card ? 1 : 0;
    }
}

static void lift(quarantine_t *quarantine, const uint8_t *fingerprint)
{
    for (uint32_t i = 0; i < quarantine->count; i++) { /* LIMIT_QUARANTINE */
        if (memcmp(quarantine->entries[i].fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE) == 0) {
            quarantine->entries[i] = quarantine->entries[quarantine->count - 1];
            quarantine->count--;
            break;
        }
    }
    count_cards(quarantine);
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

bool quarantine_holds_card(const quarantine_t *quarantine, const shard_message_t *message)
{
    if (__builtin_expect(quarantine->cards == 0, 1) || message->is_replay) {
        return false;
    }
    const text_t tenant = tenant_name(message->tenant);
    for (uint32_t i = 0; i < quarantine->count; i++) { /* LIMIT_QUARANTINE */
        const entry_t *const entry = &quarantine->entries[i];
        if (entry->is_card && memcmp(entry->card, message->card.bytes, CRASH_ID_SIZE) == 0 &&
            entry->tenant_size == tenant.size &&
            memcmp(entry->tenant, tenant.data, tenant.size) == 0) {
            return true;
        }
    }
    return false;
}

uint32_t quarantine_cards(const quarantine_t *quarantine)
{
    return quarantine->cards;
}

/* --- Reading --- */

static bool is_in_work(const quarantine_t *quarantine, const uint8_t *fingerprint)
{
    return quarantine->is_replaying &&
           memcmp(quarantine->replaying.fingerprint, fingerprint, CRASH_FINGERPRINT_SIZE) == 0;
}

static bool take_letter(void *context, const dead_letter_t *letter)
{
    quarantine_t *const quarantine = context;
    const shard_options_t *const options = &quarantine->shard->options;
    if (placement_shard(letter->tenant, options->shards) != options->index) {
        return true;
    }
    const entry_t entry = letter_entry(letter);
    bool is_held = entry.is_card; /* until it was read: nobody else tries it meanwhile */
    switch (letter->state) {
    case DEAD_LETTER_QUARANTINED:
        is_held = true;
        break;
    case DEAD_LETTER_REPLAYING:
        if (!is_in_work(quarantine, letter->fingerprint)) { /* our predecessor died meanwhile */
            quarantine->is_interrupted = true;
            memcpy(quarantine->interrupted, letter->fingerprint, CRASH_FINGERPRINT_SIZE);
            is_held = true;
        }
        break;
    case DEAD_LETTER_REPLAY_ASKED: /* the oldest, since they come newest first */
        quarantine->is_asked = true;
        quarantine->asked = entry;
        break;
    case DEAD_LETTER_REPLAYED:
        is_held = false;
        break;
    }
    if (is_held) {
        add(quarantine, &entry);
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
        add(quarantine, &quarantine->order);
    }
    if (letters == NULL) {
        count_cards(quarantine);
        return;
    }
    const result_t result = letters->functions->visit(letters, TEXT_NONE, take_letter, quarantine);
    if (result != RESULT_OK) { /* what was there stays, in the same places */
        quarantine->count = count_before > quarantine->count ? count_before : quarantine->count;
        log_failure("the dead letters cannot be read; what is quarantined stays so", result);
    }
    count_cards(quarantine);
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
    const result_t result =
        letters->functions->change(letters, quarantine->replaying.fingerprint,
                                   DEAD_LETTER_REPLAYING, state, text_from_c(outcome));
    quarantine->is_replaying = false;
    if (state == DEAD_LETTER_REPLAYED) {
        lift(quarantine, quarantine->replaying.fingerprint);
    }
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
    bool is_error = true;
    if (!quarantine->is_replaying) {
        return;
    }
    if (message_unpack(&envelope_message, MESSAGE_KEYS_IDS, (const uint8_t *)envelope.data,
                       envelope.size, &arena, &decoded, &fault)) {
        const reply_t *const reply = &decoded.reply;
        const text_t name = enum_name(&outcome_enum, reply->outcome);
        is_error = reply->outcome == outcome_error;
        (void)snprintf(outcome, sizeof(outcome), "%.*s%s%s", TEXT_PRINT(name), is_error ? ": " : "",
                       is_error ? result_code((result_t)reply->error) : "");
    }
    /* A card that could not be read has not shown that it is well. */
    const bool is_card_unread = quarantine->replaying.is_card && is_error;
    end_replay(quarantine, is_card_unread ? DEAD_LETTER_QUARANTINED : DEAD_LETTER_REPLAYED,
               outcome);
}

static shard_message_t *read_of_card(shard_t *shard, const entry_t *card)
{
    uint8_t packed[LIMIT_CRASH_REQUEST_SIZE];
    uint8_t body[64];
    uuid_t id;
    card_get_t get = {0};
    envelope_t envelope = {0};
    request_t *const request = &envelope.request;
    memcpy(id.bytes, card->card, sizeof(id.bytes));
    const size_t body_size =
        message_pack(&card_get_message, &get, MESSAGE_KEYS_IDS, body, sizeof(body));
    MESSAGE_MARK(envelope, &envelope, request);
    MESSAGE_SET(request, request, correlation, 1);
    MESSAGE_SET(request, request, type, request_type_card_get);
    MESSAGE_SET(request, request, tenant,
                ((text_t){.data = card->tenant, .size = card->tenant_size}));
    MESSAGE_SET(request, request, partition, card_id_partition(&id));
    MESSAGE_SET(request, request, card, id);
    MESSAGE_SET(request, request, subject, TEXT_LITERAL("deadletters"));
    MESSAGE_SET(request, request, role, role_platform_admin);
    MESSAGE_SET(request, request, deadline_ms, LIMIT_REQUEST_DEADLINE_MS);
    MESSAGE_SET(request, request, traceparent, TEXT_LITERAL(""));
    MESSAGE_SET(request, request, body, ((text_t){.data = (char *)body, .size = body_size}));
    const size_t size =
        message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, packed, sizeof(packed));
    assert(body_size <= sizeof(body) && size <= sizeof(packed));
    return shard_message_decode_replay(shard, (text_t){.data = (const char *)packed, .size = size});
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

/* NULL: it cannot be read. */
static shard_message_t *stored_request(const quarantine_t *quarantine)
{
    shard_t *const shard = quarantine->shard;
    dead_letters_t *const letters = shard->ports.dead_letters;
    replay_t *replay = calloc(1, sizeof(*replay));
    assert(replay != NULL);
    replay->quarantine = quarantine;
    const result_t result = letters->functions->visit_one(
        letters, quarantine->replaying.fingerprint, open_letter, replay);
    shard_message_t *message = NULL;
    if (result == RESULT_OK && replay->is_opened) {
        message = shard_message_decode_replay(
            shard, (text_t){.data = (const char *)replay->plain, .size = replay->size});
    }
    shard->ports.crypto->wipe(replay->plain, sizeof(replay->plain));
    free(replay);
    return message;
}

/* The row says that it runs before it runs: should it kill once more, the successor knows. */
static void begin_replay(quarantine_t *quarantine)
{
    shard_t *const shard = quarantine->shard;
    dead_letters_t *const letters = shard->ports.dead_letters;
    quarantine->replaying = quarantine->asked;
    quarantine->is_asked = false;
    const result_t result =
        letters->functions->change(letters, quarantine->replaying.fingerprint,
                                   DEAD_LETTER_REPLAY_ASKED, DEAD_LETTER_REPLAYING, TEXT_NONE);
    if (result != RESULT_OK) {
        log_failure("a dead letter cannot be replayed", result);
        return;
    }
    log_info("a dead letter is replayed");
    quarantine->is_replaying = true;
    shard_message_t *message = quarantine->replaying.is_card
                                   ? read_of_card(shard, &quarantine->replaying)
                                   : stored_request(quarantine);
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
    const crash_record_t *const record = &order->record;
    const text_t tenant = {.data = record->tenant, .size = record->tenant_size};
    quarantine->order = order->is_actor != 0
                            ? card_entry(record->fingerprint, tenant, record->actor)
                            : command_entry(record->fingerprint);
    result_t result = RESULT_UNAVAILABLE;
    if (ports->dead_letters != NULL) {
        result = store_order(quarantine->shard, order);
    }
    if (result == RESULT_OK) {
        crash_slot_order_done(ports->crash_slot);
        return;
    }
    quarantine->has_order = true; /* the slot keeps it for the next start */
    log_failure("what is quarantined cannot be stored; it is refused while the service runs",
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
