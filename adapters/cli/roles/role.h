/* What all roles have in common: their arguments, their loop, their link to the supervisor, the
 * answers to `metrics` and `status`. Each role's file composes the rest. */
#ifndef ADAPTERS_CLI_ROLE_H
#define ADAPTERS_CLI_ROLE_H

#include "actors/ports/control_store.h"
#include "actors/ports/crypto.h"
#include "adapters/cli/stores.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

typedef struct role_options {
    const char *kind; /* front, shard, relay, adapters */
    const char *name;
    const char *data; /* absolute */
    const char *log_level;
    const char *api;    /* endpoints as the user gave them, ports filled in */
    const char *events; /* relay */
    uint64_t incarnation;
    uint64_t shards;
    uint64_t actor_bytes_max; /* shard */
    uint64_t activations_max;
    uint64_t replies_hours;
    uint64_t http_descriptor;     /* 0: none */
    uint64_t zmq_descriptor;      /* of --api or --events; 0: none */
    uint64_t subscriber_messages; /* relay */
    uint64_t rate_per_token;
    uint64_t rate_per_tenant;
    uint64_t crash_slot; /* descriptor (runtime/crash_slot.h); 0: none */
} role_options_t;

typedef struct role_base {
    const role_options_t *options;
    loop_t *loop;
    metrics_t *metrics;
    metric_t *drops[LOOP_DROPS]; /* brought up to date when somebody asks for the metrics */
    link_t *link;
    char endpoint[64]; /* "unix://shard-0.17", relative to DIR/run */
} role_base_t;

/* What a role is beyond what all have; `role` is its own structure. */
typedef struct role_kind {
    const char *name; /* "shard" */
    link_handler_t handler;
    MUST_USE result_t (*compose)(void *role);
    /* Destroys what `compose` made, however far it came. The link is gone before. */
    void (*decompose)(void *role);
    bool announces_itself; /* the role says when it is ready, else it is once it is composed */
} role_kind_t;

/* Prepares the process (DIR/run as its directory, limits, log), makes loop, metrics and link,
 * composes the role and runs it until the supervisor ends it. `base` is a member of `role`. Returns
 * the exit status. */
int role_run(const role_kind_t *kind, const role_options_t *options, role_base_t *base, void *role);

/* Writes a JSON object as message_to_json does. */
typedef size_t role_status_t(const void *context, char *out, size_t capacity);
/* Answers `metrics` and `status`. False: another command, the request is untouched. */
bool role_answer(role_base_t *base, link_request_t **request, const char *json, size_t size,
                 role_status_t *status, const void *context);
/* Says that this role does not know the command. */
void role_answer_unknown(link_request_t **request);

/* Logs why a role could not be composed. Returns the exit status. */
int role_failed(const char *what, result_t result);
/* "shard-7" → 7; false for other names. */
bool role_name_is_shard(const char *name, uint32_t *index);
bool role_name_is_front(const char *name, uint32_t *index);

/* Opens what shards and the relay read: the master key and the control store. */
MUST_USE result_t role_open_control(const role_base_t *base, stores_opening_t opening,
                                    crypto_key_t *master_key, control_store_t **control);
/* The reverse, however far that came. */
void role_close_control(crypto_key_t *master_key, control_store_t **control);

/* Each runs its role until the supervisor ends it, and returns the exit status of the process. */
int role_front_run(const role_options_t *options);
int role_shard_run(const role_options_t *options);
int role_relay_run(const role_options_t *options);
int role_adapters_run(const role_options_t *options);

#endif
