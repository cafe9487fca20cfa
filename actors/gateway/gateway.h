/* The way in, for HTTP and the ROUTER API alike: checks the token, the tenant and the role, finds
 * the shard, waits for the reply, and deals with shards that die meanwhile (DESIGN 2.1). No card
 * logic, no I/O.
 *
 * A request: gateway_submit → token → tenant → role → known shape → [shard up? else wait until the
 * deadline] → envelope → … → reply → callback. When a shard goes down, requests in flight with an
 * idempotency key, and reads, are sent again to its successor; the others end at once with
 * OUTCOME_UNKNOWN. Requests that were never sent wait for the successor. Whatever waits past its
 * deadline ends with OUTCOME_UNKNOWN if it was sent and has effects, else DEADLINE_EXCEEDED. */
#ifndef ACTORS_GATEWAY_H
#define ACTORS_GATEWAY_H

#include "actors/gateway/rate_limits.h"
#include "actors/gateway/revoked_tokens.h"
#include "actors/ports/crypto.h"
#include "actors/ports/tokens.h"
#include "messages/messages.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"

typedef struct gateway gateway_t;

typedef enum gateway_target { GATEWAY_SHARD, GATEWAY_RELAY } gateway_target_t;

typedef struct gateway_ports {
    const crypto_functions_t *crypto;
    tokens_t *tokens;
    /* Sends one packed envelope to shard `index` or to the relay (index 0). */
    result_t (*send)(void *context, gateway_target_t target, uint32_t index,
                     const uint8_t *envelope, size_t size);
    void *send_context;
    uint32_t shards;
    rate_limits_t *limits;     /* NULL: none */
    revoked_tokens_t *revoked; /* NULL: none */
} gateway_ports_t;

/* A request as a protocol adapter hands it in. Everything is borrowed for the call. */
typedef struct gateway_request {
    uint8_t type;  /* enum request_type */
    text_t tenant; /* as the client wrote it; checked here */
    text_t token;  /* without "Bearer "; empty: none */
    bool has_card;
    uuid_t card; /* from the path (HTTP) or the body (ROUTER) */
    const void
        *command; /* the struct of the type: card_issue_t, card_change_t, card_validate_t, … */
    text_t key;   /* idempotency key, empty: none. 1 … 128 visible ASCII characters, else
                     INVALID_PARAMETER */
    text_t method_and_path; /* what the key's hash covers besides subject, condition and body: "POST
                               /acme/api/v1/cards" or "card.issue" */
    text_t raw_body;
    bool has_condition;   /* the change happens only when the card has `if_version`, else
                             PRECONDITION_FAILED; INVALID_PARAMETER for what changes no card */
    uint64_t if_version;  /* 0 … 2^53 - 1; 0: no card has it */
    uint32_t deadline_ms; /* 0: LIMIT_REQUEST_DEADLINE_MS */
    text_t traceparent;   /* empty or malformed: a new trace begins */
} gateway_request_t;

typedef struct gateway_reply {
    result_t result; /* RESULT_OK, RESULT_REFUSED (see reason) or the error */
    uint8_t reason;  /* enum reason, of a refusal */
    text_t detail;   /* of a refusal or an error */
    text_t field;
    const message_type_t
        *document_type; /* of an OK: card_message, verdict_message, card_page_message, … */
    const void *document;
    bool created;
    bool has_card; /* card and version are those of the document, for Location and ETag */
    uuid_t card;
    uint64_t version;
    uint64_t first_sequence; /* of ARCHIVED: from which on all events are there */
    text_t trace_id;         /* 32 hexadecimal digits */
    uint32_t retry_after_s;  /* of 503 and 429, else 0 */
} gateway_reply_t;

/* Called exactly once, possibly within gateway_submit. `reply` is borrowed for the call. */
typedef void gateway_done_t(void *context, const gateway_reply_t *reply);

/* `ports` is copied, what it points to outlives the gateway. All peers count as down until they are
 * said to be up. NO_MEMORY. */
MUST_USE result_t gateway_create(loop_t *loop, metrics_t *metrics, const gateway_ports_t *ports,
                                 gateway_t **gateway);
void gateway_destroy(gateway_t **gateway);

/* Returns a handle for gateway_cancel, or 0 when `done` was called already. */
uint64_t gateway_submit(gateway_t *gateway, const gateway_request_t *request, gateway_done_t *done,
                        void *context);
/* The client is gone: `done` will not be called. The request may still take effect. */
void gateway_cancel(gateway_t *gateway, uint64_t handle);

/* Token, tenant and role alone, for requests that can go no further (a bad id, a bad body), so that
 * these too are told 401 and 403 first. Of `request` only type, tenant, token and traceparent
 * count. False: `why_not` is filled, and borrowed until the next call of any gateway function. */
bool gateway_authorise(gateway_t *gateway, const gateway_request_t *request,
                       gateway_reply_t *why_not);

/* An envelope that came from a shard or the relay; one that cannot be read is logged and dropped.
 */
void gateway_receive(gateway_t *gateway, const uint8_t *envelope, size_t size);
/* What the supervisor says of shard `index` or of the relay (index 0). Draining: it answers what it
 * has, new requests wait for its successor. Down: see above. */
void gateway_peer_up(gateway_t *gateway, gateway_target_t target, uint32_t index);
void gateway_peer_draining(gateway_t *gateway, gateway_target_t target, uint32_t index);
void gateway_peer_down(gateway_t *gateway, gateway_target_t target, uint32_t index);

/* All shards and the relay are up and the directory is known. `detail` says what is missing. */
bool gateway_is_ready(const gateway_t *gateway, char *detail, size_t detail_size);
/* Public token keys as a JWKS document (RFC 7517); returns as message_to_json does. */
size_t gateway_jwks(const gateway_t *gateway, char *out, size_t capacity);
/* From now on new requests end with DRAINING; `drained` is called once when none is in flight. */
void gateway_drain(gateway_t *gateway, loop_callback_t *drained, void *context);

/* Fills a problem document (texts borrowed from `reply` and literals). `type` is
 * "https://digitalcard.dev/problems/" and the code, written into `type_text`. For a refusal `code`
 * is the reason. */
void gateway_problem(const gateway_reply_t *reply, char type_text[128], problem_t *problem);

/* Requests that were answered since the start, and those in flight: for `tree` and `top`. */
uint64_t gateway_requests_done(const gateway_t *gateway);
uint32_t gateway_requests_in_flight(const gateway_t *gateway);

#endif
