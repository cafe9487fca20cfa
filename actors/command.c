/* See command.h. */
#include "actors/command.h"

#include <assert.h>

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

static bool is_time(const message_type_t *type, const char *field)
{
    for (uint16_t i = 0; i < type->field_count; i++) {
        if (strcmp(type->fields[i].name, field) == 0) {
            return type->fields[i].type == FIELD_TYPE_TIME;
        }
    }
    return false;
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
        return is_time(type, fault->field) ? RESULT_INVALID_DATES : RESULT_INVALID_BODY;
    case MESSAGE_FAULT_NONE:
        assert(false);
        return RESULT_INTERNAL;
    default:
        return RESULT_INVALID_BODY;
    }
}
