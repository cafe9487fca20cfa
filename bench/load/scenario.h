/* What is asked, of which card, and which answers are true. One scenario per worker: it owns its
 * cards alone, so it knows at each moment what the service may say about them. */
#ifndef BENCH_LOAD_SCENARIO_H
#define BENCH_LOAD_SCENARIO_H

#include "bench/load/load.h"

/* Of a card, as far as the worker that owns it can know. */
typedef enum load_card_state {
    LOAD_CARD_ACTIVE,
    LOAD_CARD_UNCERTAIN, /* being revoked, or nobody knows whether it was */
    LOAD_CARD_REVOKED    /* acknowledged: no scan that starts now may say valid */
} load_card_state_t;

typedef struct load_card {
    char id[LOAD_ID_SIZE];
    uint8_t qr_size;
    uint8_t state : 7;
    uint8_t is_renewing : 1; /* two at once could overtake each other, and one be refused */
    uint16_t turn;           /* another card has taken the place since, when it differs */
    char qr[LOAD_QR_SIZE_MAX];
} load_card_t;

/* What a slot remembers between request and reply, and from one step of a life to the next. */
typedef struct load_script {
    uint8_t step;     /* lifecycle */
    uint8_t state;    /* of the card when the request was sent */
    uint16_t turn;    /* of its place then */
    uint32_t place;   /* index of the card */
    load_card_t card; /* lifecycle: its own */
} load_script_t;

typedef struct load_cards {
    load_card_t *cards;
    uint32_t count;
    uint32_t wanted;
    uint32_t asked;   /* while preparing: issues sent and not failed */
    uint32_t *vacant; /* places of revoked cards, for the next that is issued */
    uint32_t vacant_count;
    double *popularity; /* cumulated, of place 0 … count - 1; NULL: all alike */
} load_cards_t;

typedef struct load_player {
    const load_options_t *options;
    load_cards_t cards;
    load_random_t random;
    uint64_t requests; /* numbers them, for members and keys */
} load_player_t;

/* `cards` of the run's belong to this player, at least one. */
void load_player_init(load_player_t *player, const load_options_t *options, uint32_t cards,
                      uint64_t seed);
void load_player_deinit(load_player_t *player);

/* Preparing: issues cards until all are there. False: nothing to send at the moment. */
bool load_player_prepare(load_player_t *player, load_script_t *script, load_request_t *request);
bool load_player_is_prepared(const load_player_t *player);

/* The next request of this slot. */
void load_player_next(load_player_t *player, load_script_t *script, load_request_t *request);

/* What came back. NULL: it is true; else a sentence in `told` says what is wrong. */
const char *load_player_done(load_player_t *player, load_script_t *script,
                             const load_request_t *request, const load_reply_t *reply,
                             char told[LOAD_WRONG_SIZE]);
/* The answer was a refusal or a problem. True: it had to be expected, because the card was revoked
 * while a command for it was under way. */
bool load_player_may_be_refused(const load_player_t *player, const load_script_t *script,
                                const load_request_t *request, const load_reply_t *reply);
/* The answer was an error, or never came: nobody knows what happened. */
void load_player_failed(load_player_t *player, load_script_t *script,
                        const load_request_t *request);

#endif
