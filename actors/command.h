/* What the protocol adapters share about commands: which message a request type carries, and which
 * error of the contract a fault of decoding is. No state. */
#ifndef ACTORS_COMMAND_H
#define ACTORS_COMMAND_H

#include "messages/messages.h"
#include "runtime/result.h"

/* Room for any command. */
typedef union command {
    card_issue_t card_issue;
    card_change_t card_change;
    card_validate_t card_validate;
    card_scan_t card_scan;
    card_get_t card_get;
    card_list_t card_list;
    card_history_t card_history;
    events_read_t events_read;
    rollup_list_t rollup_list;
    events_ack_t events_ack;
    consumer_name_t consumer_name;
    consumer_list_t consumer_list;
    webhook_add_t webhook_add;
    webhook_name_t webhook_name;
    webhook_rotate_t webhook_rotate;
    webhook_replay_t webhook_replay;
    webhook_list_t webhook_list;
    webhook_log_t webhook_log;
} command_t;

/* NULL for request types that are none of the public ones (DESIGN 3.4). */
const message_type_t *command_type(uint8_t request_type);

/* The field that holds the id of the card, always the first; NULL when the command names none. */
uuid_t *command_card(const message_type_t *type, command_t *command);

/* `malformed` is MALFORMED_JSON or MALFORMED_MSGPACK: what bytes are that are neither. */
result_t command_fault_result(const message_type_t *type, const message_fault_t *fault,
                              result_t malformed);

/* A page of no items asks for nothing and could never end: `limit` must be at least 1. */
bool command_limit_is_zero(uint8_t request_type, const command_t *command);

enum { COMMAND_TRACE_ID_SIZE = 32 };
/* The trace id within a W3C traceparent, or a new one when it has none. */
void command_trace_id(text_t traceparent, char out[COMMAND_TRACE_ID_SIZE]);

#endif
