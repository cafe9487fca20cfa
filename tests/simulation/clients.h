/* Clients of the HTTP kind: they issue, change and scan cards of several tenants, wait, repeat with
 * the same key, and remember what they were told. */
#ifndef TESTS_SIMULATION_CLIENTS_H
#define TESTS_SIMULATION_CLIENTS_H

#include "actors/gateway/gateway.h"
#include "tests/simulation/world.h"

enum {
    COMMANDS_MAX = 16384,
    CARDS_MAX = 1024,
    COMMAND_REPLY_SIZE = 65536,
};

typedef enum command_state {
    COMMAND_WAITING, /* with a front */
    COMMAND_PAUSING, /* asks again after a while */
    COMMAND_ENDED,
} command_state_t;

typedef enum command_purpose {
    PURPOSE_WORK,
    PURPOSE_REPAIR,    /* events.read of a subscriber */
    PURPOSE_INTRUSION, /* with something of another tenant: must get nothing */
    PURPOSE_REUSE,     /* a key of another request: must be told so */
    PURPOSE_CURSOR,    /* of a consumer with a name */
    PURPOSE_CHECK,     /* reads in the end, compared with the model */
} command_purpose_t;

typedef struct known_card {
    uint32_t tenant;
    uuid_t id;
    char member_id[40];
    char holder_name[40];
    char tier[40];
    char qr[80];
    uint64_t version_acknowledged;
    uint64_t ended_order; /* revoked or replaced, and acknowledged; UINT64_MAX: not */
} known_card_t;

typedef struct command {
    uint32_t number;
    command_purpose_t purpose;
    command_state_t state;
    uint32_t tenant;
    uint8_t type;
    uint8_t role;
    bool has_card;
    bool is_repeating; /* its outcome is known; asked once more */
    uint32_t door;     /* the tenant whose name is in the request */
    uint32_t repeats_left;
    uint32_t asked; /* times */
    uint32_t card;  /* in the clients' list; CARDS_MAX: none of it */
    uuid_t card_id;
    char key[24]; /* empty: none */
    char marker[WORLD_MARKER_SIZE];
    char member_id[40];
    char holder_name[40];
    char qr[80];
    char cursor[32];
    int64_t expires_at;
    int64_t until; /* suspend; 0: without end */
    bool activate;
    int64_t from;       /* rollup.list, with until; 0: the last month */
    uint64_t partition; /* events.read */
    uint64_t after;
    uint64_t first_order; /* of all submissions and answers */
    uint64_t first_us;
    uint64_t version_known; /* of the card when it was first asked */
    uint32_t front;         /* process */
    /* the first decided answer */
    bool is_known;
    result_t result;
    result_t last_error;
    uint8_t reason;
    uint64_t version;
    uint8_t verdict_result;
    uint64_t sequence; /* 0: none */
    uuid_t document_id;
    uint8_t *reply; /* as bytes, to compare repeats with */
    size_t reply_size;
    bool maybe_unknown; /* some attempt ended without a word about its effect */
} command_t;

struct clients {
    command_t *commands[COMMANDS_MAX];
    uint32_t command_count;
    uint32_t open_count; /* not ended */
    uint64_t order;
    known_card_t cards[CARDS_MAX];
    uint32_t card_count;
    uint32_t next_key[WORLD_TENANTS_MAX];
    uint8_t scratch[COMMAND_REPLY_SIZE];
};

clients_t *clients_create(world_t *world);
void clients_destroy(clients_t **clients);
/* One more request, or a few. */
void clients_step(world_t *world);
void clients_front_died(world_t *world, uint32_t process);
void clients_read_events(world_t *world, uint32_t tenant, uint32_t partition, uint64_t after);

/* For the checks in the end. */
command_t *clients_new_command(world_t *world, uint32_t tenant, uint8_t type);
void clients_submit(world_t *world, command_t *command);
/* Asks every keyed command once more whose outcome is known, or that a quota refused. */
void clients_repeat_all(world_t *world);
known_card_t *clients_find_card(world_t *world, const uuid_t *id);
void clients_probe(world_t *world);

/* --- workload.c: what is asked --- */

typedef union command_body {
    card_issue_t issue;
    card_change_t change;
    card_validate_t validate;
    card_scan_t scan;
    card_get_t get;
    card_list_t list;
    card_history_t history;
    events_read_t events;
    rollup_list_t rollups;
    consumer_name_t consumer;
    events_ack_t ack;
} command_body_t;

/* The same body each time it is asked. */
void command_fill(const command_t *command, command_body_t *body);
bool command_is_read(const command_t *command);
/* Of a request type: the event that a success leaves behind; 0: none. */
uint8_t command_event(uint8_t type);

/* model.c: answers to PURPOSE_CHECK. */
void model_receive(world_t *world, command_t *command, const gateway_reply_t *reply);

#endif
