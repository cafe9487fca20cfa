/* The insides of adapters/cache_redis, for its own files. One loop, one thread. */
#ifndef ADAPTERS_CACHE_REDIS_CACHE_REDIS_INTERNAL_H
#define ADAPTERS_CACHE_REDIS_CACHE_REDIS_INTERNAL_H

#include "adapters/cache_redis/cache_redis.h"
#include "runtime/name_lookup.h"
#include <hiredis/hiredis.h>

enum {
    REDIS_SLOTS = 16384,                  /* of a Cluster, by its specification */
    REDIS_SEED = 0,                       /* node 0: found by the URL */
    REDIS_SUBSCRIBER = LIMIT_CACHE_NODES, /* a second connection to the seed, for news */
    REDIS_NODES = LIMIT_CACHE_NODES + 1,
    REDIS_NAMES = LIMIT_CACHE_ADDRESSES + REDIS_NODES, /* of the URL, and told by servers */
    REDIS_COMMAND_NONE = UINT16_MAX,
    REDIS_HOST_SIZE = 254,
    REDIS_ARGUMENTS_MAX = 8,
    REDIS_SENDER_SIZE = 8,
    REDIS_PROBLEM_SIZE = 96,
    REDIS_OUTAGE_REASONS = 8, /* lines of the log for one outage; there are some twenty reasons */
};
_Static_assert((int)LIMIT_CACHE_PENDING < (int)REDIS_COMMAND_NONE, "commands are named by 16 bits");

typedef struct cache_redis cache_redis_t;

/* --- url.c --- */

typedef struct redis_address {
    char host[REDIS_HOST_SIZE];
    uint16_t port;
} redis_address_t;

typedef struct redis_url {
    bool is_sentinel;
    char primary[65]; /* its name at the Sentinels */
    char user[65];
    char password[257];
    uint32_t database;
    redis_address_t addresses[LIMIT_CACHE_ADDRESSES];
    uint32_t address_count;
} redis_url_t;

/* NULL when it could be read, else what is wrong. */
const char *redis_url_parse(const char *text, redis_url_t *url);
/* "HOST:PORT" as Redis writes it in redirections; the last colon counts. */
bool redis_address_parse(text_t text, redis_address_t *address);

/* --- names.c: host names, looked up beside the loop --- */

typedef struct redis_name {
    char host[REDIS_HOST_SIZE];
    name_lookup_t *lookup; /* NULL: free */
} redis_name_t;

/* Begins to look the host up, unless it is an address. A name that no server has any more gives its
 * place back when there is no other. False: too many look-ups hang. */
MUST_USE bool redis_name_begin(cache_redis_t *cache, const char *host);
/* KNOWN: `address` may be connected to; each `turn` gives the next one of a host that has several.
 * What was known before counts while the name system is away or hangs. */
name_state_t redis_name_address(const redis_name_t names[REDIS_NAMES], const char *host,
                                uint32_t turn, char address[NAME_ADDRESS_SIZE]);
void redis_names_forget(redis_name_t names[REDIS_NAMES]);

/* --- connection.c: bytes to and from one server --- */

typedef struct redis_connection redis_connection_t;
typedef struct redis_connection_handler {
    void (*opened)(void *context);
    void (*replied)(void *context, const redisReply *reply); /* borrowed; may close */
    /* Once; the connection is gone. `why` has static life. */
    void (*failed)(void *context, const char *why);
} redis_connection_handler_t;

/* `host`: an address, no name. */
MUST_USE result_t redis_connection_open(loop_t *loop, const char *host, uint16_t port,
                                        const redis_connection_handler_t *handler, void *context,
                                        redis_connection_t **connection);
/* Gathers; BUSY when too much is unsent. */
MUST_USE result_t redis_connection_send(redis_connection_t *connection, const char *bytes,
                                        size_t size);
void redis_connection_flush(redis_connection_t *connection);
/* No callback comes any more. */
void redis_connection_close(redis_connection_t **connection);

/* --- node.c: one server, from dialling to failing --- */

typedef enum redis_node_state {
    REDIS_NODE_UNUSED,
    REDIS_NODE_DOWN,
    REDIS_NODE_ASKING,   /* a Sentinel, where the primary is */
    REDIS_NODE_OPENING,  /* connecting */
    REDIS_NODE_GREETING, /* AUTH, SELECT, ROLE, PING */
    REDIS_NODE_UP,
} redis_node_state_t;

typedef struct redis_node {
    cache_redis_t *cache;
    redis_node_state_t state;
    redis_address_t address;
    redis_connection_t *connection;
    uint32_t greetings_left;
    bool greeting_asks_role;
    bool is_looking_up;   /* the name of where it is to connect to */
    uint64_t deadline_ms; /* of ASKING to GREETING */
    uint64_t retry_ms;    /* of DOWN */
    uint64_t heard_ms;
    uint64_t pinged_ms;
    uint32_t failures;   /* in a row */
    uint16_t sent_first; /* commands whose answers come next, in order */
    uint16_t sent_last;
} redis_node_t;

void redis_node_open(redis_node_t *node);
/* Ends what is with it, and dials again after a pause. */
void redis_node_fail(redis_node_t *node, const char *why);
void redis_node_tick(redis_node_t *node, uint64_t now_ms);

/* --- command.c --- */

typedef enum redis_command_state {
    REDIS_COMMAND_FREE,
    REDIS_COMMAND_WAITING, /* for a node of the Cluster that is being connected to */
    REDIS_COMMAND_SENT,
} redis_command_state_t;

typedef enum redis_command_kind {
    REDIS_COMMAND_GET,
    REDIS_COMMAND_ADD,
    REDIS_COMMAND_QUIET, /* put, remove, publish: nobody waits for its answer */
    REDIS_COMMAND_PING,
} redis_command_kind_t;

typedef struct redis_command {
    redis_command_state_t state;
    redis_command_kind_t kind;
    uint8_t node;
    uint8_t redirects;
    uint8_t skips; /* answers to come before its own: of ASKING */
    uint16_t next; /* of its node, or of the free ones */
    uint64_t deadline_ms;
    char *bytes; /* of hiredis */
    size_t size;
    union {
        cache_got_t *got;
        cache_added_t *added;
    } done;
    void *context;
} redis_command_t;

/* Puts the port's functions in place, and all commands into the list of free ones. */
void redis_commands_init(cache_redis_t *cache);
/* The next answer of a node that is up. */
void redis_command_replied(redis_node_t *node, const redisReply *reply);
void redis_commands_fail(redis_node_t *node);   /* all that are with it */
void redis_commands_opened(redis_node_t *node); /* sends what waited for it */
void redis_commands_tick(cache_redis_t *cache, uint64_t now_ms);
/* Loop time; UINT64_MAX when nothing is sent. */
uint64_t redis_commands_oldest_ms(const redis_node_t *node);
void redis_command_ping(redis_node_t *node);

/* --- subscription.c --- */

typedef struct redis_topic {
    const char *name;
    cache_heard_t *heard;
    void *context;
} redis_topic_t;

void redis_subscription_begin(redis_node_t *node);
void redis_subscription_heard(redis_node_t *node, const redisReply *reply);

/* --- cache.c --- */

typedef struct redis_numbers {
    metric_t *commands;
    metric_t *unavailable;
    metric_t *refused;
    metric_t *redirects;
    metric_t *connects;
    metric_t *heard;
    metric_t *is_up;
    metric_t *is_refusing;
} redis_numbers_t;

struct cache_redis {
    cache_t base;
    loop_t *loop;
    redis_url_t url;
    char installation[33];
    char sender[REDIS_SENDER_SIZE]; /* tells our own news from that of others */
    loop_timer_t *timer;
    loop_hook_t *flush;
    redis_node_t nodes[REDIS_NODES];
    redis_name_t names[REDIS_NAMES];
    uint32_t next_address; /* of the URL, to try */
    uint8_t slots[REDIS_SLOTS];
    redis_command_t commands[LIMIT_CACHE_PENDING];
    uint16_t free_first;
    uint32_t pending_count;
    redis_topic_t topics[LIMIT_CACHE_TOPICS];
    uint32_t topic_count;
    redis_numbers_t numbers;
    char problem[REDIS_PROBLEM_SIZE];                 /* the last one; for health */
    const char *outage_reasons[REDIS_OUTAGE_REASONS]; /* that were logged; static life */
    uint32_t outage_reason_count;
    bool is_ending;
    bool is_refusing; /* and that was logged */
};

void redis_note_problem(cache_redis_t *cache, const char *problem);
/* It is there and takes no writes: full, or it cannot save … */
void redis_note_refusal(cache_redis_t *cache, const char *why);
/* … until it has taken one. */
void redis_note_acceptance(cache_redis_t *cache);
static inline void redis_count(metric_t *metric)
{
    if (metric != NULL) {
        metric_add(metric, 1);
    }
}

#endif
