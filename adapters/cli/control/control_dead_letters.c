/* Dead letters as control commands: rows in, JSON out. Runs none of them; that is the shard's. */
#include "adapters/cli/control/control_dead_letters.h"

#include "actors/command.h"
#include "actors/secrets.h"
#include "messages/rfc3339.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ID_SIZE = 2 * CRASH_FINGERPRINT_SIZE, ARENA_SIZE = 65536, BODY_SIZE = 65536 };

static const char *const state_names[] = {
    [DEAD_LETTER_QUARANTINED] = "quarantined",
    [DEAD_LETTER_REPLAY_ASKED] = "replay_asked",
    [DEAD_LETTER_REPLAYING] = "replaying",
    [DEAD_LETTER_REPLAYED] = "replayed",
};

static const char *state_name(dead_letter_state_t state)
{
    const bool is_known = state >= DEAD_LETTER_QUARANTINED && state <= DEAD_LETTER_REPLAYED;
    return is_known ? state_names[state] : "unknown";
}

/* --- Ids --- */

static void id_write(const uint8_t *fingerprint, char id[ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CRASH_FINGERPRINT_SIZE; i++) {
        id[2 * i] = digits[fingerprint[i] >> 4];
        id[2 * i + 1] = digits[fingerprint[i] & 0xf];
    }
}

static bool id_read(const json_t *command, uint8_t fingerprint[CRASH_FINGERPRINT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const json_t *value = json_object_get(command, "id");
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) != ID_SIZE) {
        return false;
    }
    memset(fingerprint, 0, CRASH_FINGERPRINT_SIZE);
    for (size_t i = 0; i < ID_SIZE; i++) {
        const char *digit = memchr(digits, text[i], sizeof digits - 1);
        if (digit == NULL) {
            return false;
        }
        fingerprint[i / 2] = (uint8_t)(fingerprint[i / 2] << 4 | (digit - digits));
    }
    return true;
}

static json_t *bad_id(void)
{
    return control_error(RESULT_INVALID_ARGUMENT,
                         "A dead letter is named by its id of %d hexadecimal digits; see "
                         "deadletters list",
                         ID_SIZE);
}

static json_t *letter_error(result_t result)
{
    return result == RESULT_MISSING ? control_error(result, "There is no such dead letter")
                                    : control_error(result, "%s", result_title(result));
}

/* --- Rows as JSON --- */

/* An empty column has no bytes at all. */
static json_t *text_json(text_t text)
{
    return json_stringn(text.size == 0 ? "" : text.data, text.size);
}

/* Of a card nothing is run again: it is read. */
static bool can_replay(const dead_letter_t *letter)
{
    return letter->sealed_request.size > 0 || dead_letter_is_of_card(letter);
}

static json_t *letter_json(const dead_letter_t *letter)
{
    char id[ID_SIZE];
    char card[UUID_TEXT_SIZE];
    char time[RFC3339_TEXT_SIZE];
    uuid_t uuid;
    id_write(letter->fingerprint, id);
    memcpy(uuid.bytes, letter->actor, sizeof uuid.bytes);
    uuid_format(&uuid, card);
    rfc3339_format(letter->stored_at, time);
    const bool is_known =
        letter->type < request_type_enum.count && request_type_enum.names[letter->type] != NULL;
    const bool is_of_card = dead_letter_is_of_card(letter);
    return json_pack("{s:s%,s:s,s:s,s:o,s:s,s:s%,s:I,s:s%,s:o,s:o,s:I,s:b,s:o}", "id", id,
                     (size_t)ID_SIZE, "scope", is_of_card ? "card" : "command", "state",
                     state_name(letter->state), "tenant", text_json(letter->tenant), "type",
                     is_known     ? request_type_enum.names[letter->type]
                     : is_of_card ? "internal"
                                  : "unknown",
                     "card", card, sizeof card, "kills", (json_int_t)letter->kills, "stored_at",
                     time, sizeof time, "reason", text_json(letter->reason), "trace_id",
                     text_json(letter->trace_id), "request_size", (json_int_t)letter->request_size,
                     "can_replay", can_replay(letter), "outcome", text_json(letter->outcome));
}

static bool visit_list(void *context, const dead_letter_t *letter)
{
    json_t *list = context;
    (void)json_array_append_new(list, letter_json(letter));
    return true;
}

typedef struct shown {
    const control_commands_t *commands;
    json_t *json;
} shown_t;

/* The command in the request; NULL when it cannot be read. */
static json_t *body_json(const request_t *request)
{
    json_t *body = NULL;
    message_fault_t fault;
    uint8_t *memory = malloc(ARENA_SIZE);
    char *text = malloc(BODY_SIZE);
    command_t command;
    assert(memory != NULL && text != NULL);
    arena_t arena = {.base = memory, .size = ARENA_SIZE};
    const message_type_t *type = command_type(request->type);
    if (type != NULL && message_unpack(type, MESSAGE_KEYS_IDS, (const uint8_t *)request->body.data,
                                       request->body.size, &arena, &command, &fault)) {
        const size_t size = message_to_json(type, &command, text, BODY_SIZE);
        body = size <= BODY_SIZE ? json_loadb(text, size, 0, NULL) : NULL;
    }
    free(text);
    free(memory);
    return body;
}

static json_t *request_json(const control_commands_t *commands, const dead_letter_t *letter)
{
    uint8_t plain[LIMIT_CRASH_REQUEST_SIZE];
    uint8_t memory[1024]; /* the envelope has no lists */
    arena_t arena = {.base = memory, .size = sizeof memory};
    text_t packed;
    envelope_t envelope;
    message_fault_t fault;
    json_t *json = NULL;
    const text_t fingerprint = {(const char *)letter->fingerprint, CRASH_FINGERPRINT_SIZE};
    if (secret_dead_letter_open(commands->crypto, commands->master_key, letter->tenant, fingerprint,
                                letter->sealed_request, plain, sizeof plain, &packed) &&
        message_unpack(&envelope_message, MESSAGE_KEYS_IDS, (const uint8_t *)packed.data,
                       packed.size, &arena, &envelope, &fault)) {
        const request_t *request = &envelope.request;
        json_t *body = body_json(request);
        const text_t role = enum_name(&role_enum, request->role);
        json = json_pack("{s:o,s:s%,s:b,s:o}", "subject", text_json(request->subject), "role",
                         role.data, role.size, "has_key", !text_is_empty(request->key), "body",
                         body == NULL ? json_null() : body);
    }
    commands->crypto->wipe(plain, sizeof plain);
    return json != NULL ? json : json_null();
}

static bool visit_shown(void *context, const dead_letter_t *letter)
{
    shown_t *shown = context;
    shown->json = letter_json(letter);
    (void)json_object_set_new(shown->json, "request", request_json(shown->commands, letter));
    return false;
}

/* --- Commands --- */

json_t *control_dead_letters_list(const control_commands_t *commands, const json_t *command,
                                  bool *changed)
{
    (void)changed;
    const json_t *given = json_object_get(command, "tenant");
    const text_t tenant = {json_string_value(given), json_string_length(given)};
    json_t *list = json_array();
    const result_t result =
        commands->dead_letters->functions->visit(commands->dead_letters, tenant, visit_list, list);
    if (result != RESULT_OK) {
        json_decref(list);
        return letter_error(result);
    }
    return json_pack("{s:o}", "dead_letters", list);
}

json_t *control_dead_letters_show(const control_commands_t *commands, const json_t *command,
                                  bool *changed)
{
    (void)changed;
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    shown_t shown = {.commands = commands};
    if (!id_read(command, fingerprint)) {
        return bad_id();
    }
    const result_t result = commands->dead_letters->functions->visit_one(
        commands->dead_letters, fingerprint, visit_shown, &shown);
    return result == RESULT_OK ? json_pack("{s:o}", "dead_letter", shown.json)
                               : letter_error(result);
}

typedef struct standing {
    dead_letter_state_t state;
    bool can_replay;
} standing_t;

static bool visit_standing(void *context, const dead_letter_t *letter)
{
    standing_t *standing = context;
    *standing = (standing_t){.state = letter->state, .can_replay = can_replay(letter)};
    return false;
}

static json_t *answer_state(const json_t *command, const char *state)
{
    return json_pack("{s:O,s:s}", "id", json_object_get(command, "id"), "state", state);
}

json_t *control_dead_letters_replay(const control_commands_t *commands, const json_t *command,
                                    bool *changed)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    standing_t standing = {0};
    dead_letters_t *const letters = commands->dead_letters;
    if (!id_read(command, fingerprint)) {
        return bad_id();
    }
    result_t result =
        letters->functions->visit_one(letters, fingerprint, visit_standing, &standing);
    if (result == RESULT_OK && !standing.can_replay) {
        return control_error(RESULT_INVALID_ARGUMENT,
                             "The request was too large to be kept, so it cannot be replayed; "
                             "drop it and let the client send it again");
    }
    if (result == RESULT_OK && standing.state != DEAD_LETTER_QUARANTINED &&
        standing.state != DEAD_LETTER_REPLAYED) {
        return answer_state(command, state_name(standing.state)); /* on its way already */
    }
    if (result == RESULT_OK) {
        result = letters->functions->change(letters, fingerprint, standing.state,
                                            DEAD_LETTER_REPLAY_ASKED, TEXT_NONE);
    }
    if (result != RESULT_OK) {
        return letter_error(result);
    }
    *changed = true;
    return answer_state(command, state_name(DEAD_LETTER_REPLAY_ASKED));
}

json_t *control_dead_letters_drop(const control_commands_t *commands, const json_t *command,
                                  bool *changed)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    if (!id_read(command, fingerprint)) {
        return bad_id();
    }
    const result_t result =
        commands->dead_letters->functions->drop(commands->dead_letters, fingerprint);
    if (result != RESULT_OK) {
        return letter_error(result);
    }
    *changed = true;
    return answer_state(command, "dropped");
}
