/* The rules of webhooks, pure: what an answer of an endpoint means, when a delivery is tried again,
 * in which order events leave, and what a signature looks like. Time, jitter and MACs are handed
 * in; it reads no clock, draws no number and sends nothing. */
#ifndef ACTORS_DOMAIN_WEBHOOK_H
#define ACTORS_DOMAIN_WEBHOOK_H

#include "messages/text.h"
#include "messages/uuid.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WEBHOOK_CONSUMER_PREFIX "webhook."

enum {
    WEBHOOK_WINDOW = 64,     /* events read ahead of the oldest undelivered one of a partition */
    WEBHOOK_PAUSE_MS = 1000, /* at most, before the second attempt; doubles */
    WEBHOOK_PAUSE_MS_MAX = 3600000,
    WEBHOOK_TRY_HOURS = 72,    /* then an event is given up (DESIGN 3.5) … */
    WEBHOOK_ATTEMPTS_MIN = 20, /* … if it was tried: a clock set ahead, or days of downtime, are
                                  nobody's refusal */
    WEBHOOK_URL_SIZE_MAX = 2048,
    WEBHOOK_NAME_SIZE_MAX = 48,
};

/* --- What a webhook may be called and where it may be --- */

/* a-z, 0-9, dot, hyphen and underscore; a letter or digit first. */
bool webhook_name_is_usable(text_t name);
/* The name of the consumer (ports/consumers.h) that keeps the cursors of webhook `name`. */
enum { WEBHOOK_CONSUMER_SIZE = sizeof(WEBHOOK_CONSUMER_PREFIX) - 1 + WEBHOOK_NAME_SIZE_MAX };
static inline text_t webhook_consumer_name(text_t name, char out[WEBHOOK_CONSUMER_SIZE])
{
    const size_t prefix = sizeof(WEBHOOK_CONSUMER_PREFIX) - 1;
    const size_t size = name.size <= WEBHOOK_NAME_SIZE_MAX ? name.size : WEBHOOK_NAME_SIZE_MAX;
    memcpy(out, WEBHOOK_CONSUMER_PREFIX, prefix);
    memcpy(out + prefix, name.data, size);
    return (text_t){.data = out, .size = prefix + size};
}
static inline bool webhook_is_consumer_name(text_t name)
{
    const size_t prefix = sizeof(WEBHOOK_CONSUMER_PREFIX) - 1;
    return name.size >= prefix && memcmp(name.data, WEBHOOK_CONSUMER_PREFIX, prefix) == 0;
}
/* http or https with a host and at most a port, without user, password and fragment. Whether the
 * address may be used is decided when the connection is made. */
bool webhook_url_is_usable(text_t url);

/* --- Signing: X-Signature: t=SECONDS,v1=HEX[,v1=HEX] --- */

enum {
    WEBHOOK_MAC_SIZE = 32,                                        /* HMAC-SHA-256, whole */
    WEBHOOK_SECRET_SIZE = 6 + 64,                                 /* "whsec_" and 32 bytes in hex */
    WEBHOOK_STAMP_SIZE = 21,                                      /* "1732143600." */
    WEBHOOK_SIGNATURE_SIZE = 24 + 2 * (4 + 2 * WEBHOOK_MAC_SIZE), /* with two secrets */
};

/* The text of a secret, as it is shown once and as it keys the MAC. */
void webhook_secret_format(const uint8_t random[32], char out[WEBHOOK_SECRET_SIZE]);
/* What stands before the body in the text that is signed: "SECONDS.". Returns its size. */
size_t webhook_stamp(int64_t at_s, char out[WEBHOOK_STAMP_SIZE]);
/* The value of X-Signature, one v1 for each of `count` (1 or 2) MACs. Returns its size. */
size_t webhook_signature(int64_t at_s, const uint8_t macs[][WEBHOOK_MAC_SIZE], size_t count,
                         char out[WEBHOOK_SIGNATURE_SIZE]);

/* --- What an answer means --- */

typedef enum webhook_verdict {
    WEBHOOK_DELIVERED, /* 2xx */
    WEBHOOK_AGAIN,     /* everything else, redirects and silence included */
    WEBHOOK_GONE,      /* 410: the endpoint wants nothing any more */
} webhook_verdict_t;

webhook_verdict_t webhook_judge(bool is_answered, uint32_t status);

/* --- When again --- */

/* Full jitter: anywhere up to a bound that doubles with each attempt, WEBHOOK_PAUSE_MS to
 * WEBHOOK_PAUSE_MS_MAX; but not before `retry_after_s`, within the same bound. `attempts` is
 * how many were made, at least 1; `jitter` is evenly distributed over 32 bits. */
uint64_t webhook_pause_ms(uint32_t attempts, uint32_t retry_after_s, uint32_t jitter);
/* Three days after the first attempt, and after enough of them. */
bool webhook_is_hopeless(int64_t first_at, uint32_t attempts, int64_t now_ms);

/* --- In which order --- */

typedef enum webhook_place_state {
    WEBHOOK_PLACE_WAITS,
    WEBHOOK_PLACE_FLIES,
    WEBHOOK_PLACE_DONE,
} webhook_place_state_t;

typedef struct webhook_place {
    webhook_place_state_t state;
    uint32_t attempts;
    uint64_t sequence;
    int64_t first_at; /* of the first attempt; 0: none yet */
    int64_t not_before;
    uuid_t card;
    void *event; /* the caller's */
} webhook_place_t;

/* Events of one partition between the cursor and the last one read, in order of sequence. */
typedef struct webhook_window {
    uint32_t count;
    uint64_t watermark; /* everything up to it is done: the cursor */
    uint64_t last_read;
    webhook_place_t places[WEBHOOK_WINDOW];
} webhook_window_t;

void webhook_window_init(webhook_window_t *window, uint64_t cursor);
/* NULL: it is full. The sequence must be above `last_read`. */
webhook_place_t *webhook_window_add(webhook_window_t *window, uint64_t sequence, uuid_t card,
                                    void *event);
/* The first event that may leave now: due, and no earlier one of its card is undone. NULL: none. */
webhook_place_t *webhook_window_next(webhook_window_t *window, int64_t now_ms);
webhook_place_t *webhook_window_find(webhook_window_t *window, uint64_t sequence);
/* Takes done events off the front; the caller has released their `event`. True when the watermark
 * moved. */
bool webhook_window_settle(webhook_window_t *window);

#endif
