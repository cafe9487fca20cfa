/* See command.h. */
#include "actors/command.h"

#include "runtime/random.h"

#include <assert.h>

enum { TRACEPARENT_SIZE = 55, TRACE_ID_AT = 3 }; /* 00-TRACEID-PARENT-FLAGS */

const message_type_t *command_type(uint8_t request_type)
{
    switch (request_type) {
    case request_type_card_issue:
        return &card_issue_message;
    case request_type_card_get:
        return &card_get_message;
    case request_type_card_list:
        return &card_list_message;
    case request_type_card_history:
        return &card_history_message;
    case request_type_card_activate:
    case request_type_card_suspend:
    case request_type_card_reinstate:
    case request_type_card_renew:
    case request_type_card_replace:
    case request_type_card_revoke:
        return &card_change_message;
    case request_type_card_validate:
        return &card_validate_message;
    case request_type_card_scan:
        return &card_scan_message;
    case request_type_events_read:
        return &events_read_message;
    case request_type_rollup_list:
        return &rollup_list_message;
    case request_type_events_ack:
        return &events_ack_message;
    case request_type_consumer_register:
    case request_type_consumer_remove:
        return &consumer_name_message;
    case request_type_consumer_list:
        return &consumer_list_message;
    case request_type_webhook_add:
        return &webhook_add_message;
    case request_type_webhook_remove:
    case request_type_webhook_enable:
        return &webhook_name_message;
    case request_type_webhook_rotate:
        return &webhook_rotate_message;
    case request_type_webhook_replay:
        return &webhook_replay_message;
    case request_type_webhook_list:
        return &webhook_list_message;
    case request_type_webhook_log:
        return &webhook_log_message;
    default:
        return NULL;
    }
}

uuid_t *command_card(const message_type_t *type, command_t *command)
{
    if (type->fields[0].presence != FIELD_PATH) {
        return NULL;
    }
    assert(type->fields[0].type == FIELD_TYPE_UUID);
    return (uuid_t *)(void *)((uint8_t *)command + type->fields[0].offset);
}

/* Which error a value is that cannot exist. */
static result_t invalid_value_result(const message_type_t *type, const char *field)
{
    for (uint16_t i = 0; i < type->field_count; i++) {
        if (strcmp(type->fields[i].name, field) != 0) {
            continue;
        }
        if (type->fields[i].type == FIELD_TYPE_TIME) {
            return RESULT_INVALID_DATES;
        }
        return type->fields[i].presence == FIELD_PATH ? RESULT_INVALID_ID : RESULT_INVALID_BODY;
    }
    return RESULT_INVALID_BODY;
}

result_t command_fault_result(const message_type_t *type, const message_fault_t *fault,
                              result_t malformed)
{
    switch (fault->kind) {
    case MESSAGE_FAULT_MALFORMED:
        return malformed;
    case MESSAGE_FAULT_NOT_UTF8:
        /* Of the whole text: no JSON (RFC 8259 section 8.1). Of one field: JSON that says \u0000.
         */
        return fault->field[0] == '\0' ? malformed : RESULT_INVALID_BODY;
    case MESSAGE_FAULT_UNKNOWN_FIELD:
        return RESULT_UNKNOWN_FIELD;
    case MESSAGE_FAULT_INVALID_VALUE:
        return invalid_value_result(type, fault->field);
    case MESSAGE_FAULT_NONE:
        assert(false);
        return RESULT_INTERNAL;
    default:
        return RESULT_INVALID_BODY;
    }
}

bool command_limit_is_zero(uint8_t request_type, const command_t *command)
{
    switch (request_type) {
    case request_type_card_list:
        return MESSAGE_HAS(card_list, &command->card_list, limit) && command->card_list.limit == 0;
    case request_type_card_history:
        return MESSAGE_HAS(card_history, &command->card_history, limit) &&
               command->card_history.limit == 0;
    case request_type_events_read:
        return MESSAGE_HAS(events_read, &command->events_read, limit) &&
               command->events_read.limit == 0;
    case request_type_rollup_list:
        return MESSAGE_HAS(rollup_list, &command->rollup_list, limit) &&
               command->rollup_list.limit == 0;
    default:
        return false;
    }
}

static bool is_trace_id(text_t text)
{
    bool zero = true;
    for (size_t i = 0; i < text.size; i++) {
        const char character = text.data[i];
        if (!((character >= '0' && character <= '9') || (character >= 'a' && character <= 'f'))) {
            return false;
        }
        zero = zero && character == '0';
    }
    return !zero;
}

void command_trace_id(text_t traceparent, char out[COMMAND_TRACE_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    if (traceparent.size == TRACEPARENT_SIZE) {
        const text_t id = {.data = traceparent.data + TRACE_ID_AT, .size = COMMAND_TRACE_ID_SIZE};
        if (is_trace_id(id)) {
            memcpy(out, id.data, COMMAND_TRACE_ID_SIZE);
            return;
        }
    }
    uint8_t bytes[COMMAND_TRACE_ID_SIZE / 2];
    random_fill(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}
