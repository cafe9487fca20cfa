/* See scenario.h. Must not know how requests travel. */
#include "bench/load/scenario.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A life from issue to revocation, each verdict known beforehand --- */

typedef struct life_step {
    load_action_t action;
    const char *expected; /* the reason of a verdict, or the status of the card afterwards */
} life_step_t;

static const life_step_t life[] = {
    {LOAD_ISSUE, "issued"},     {LOAD_VALIDATE, "not_active"}, {LOAD_ACTIVATE, "active"},
    {LOAD_SCAN, "valid"},       {LOAD_SUSPEND, "suspended"},   {LOAD_SCAN, "suspended"},
    {LOAD_REINSTATE, "active"}, {LOAD_VALIDATE, "valid"},      {LOAD_RENEW, "active"},
    {LOAD_GET, "active"},       {LOAD_REVOKE, "revoked"},      {LOAD_VALIDATE, "revoked"},
};
enum { LIFE_STEPS = sizeof(life) / sizeof(life[0]) };

/* The mix of a day at the doors, in percent; the rest are scans. */
enum { MIXED_REVOKE = 1, MIXED_ISSUE = 2, MIXED_RENEW = 2, MIXED_READ = 5 };
enum { PLACE_NONE = UINT32_MAX };

static void popularity_make(load_player_t *player)
{
    load_cards_t *const cards = &player->cards;
    const double skew = player->options->skew;
    if (skew <= 0) {
        return;
    }
    cards->popularity = calloc(cards->wanted, sizeof(*cards->popularity));
    if (cards->popularity == NULL) {
        abort();
    }
    double sum = 0;
    for (uint32_t place = 0; place < cards->wanted; place++) {
        sum += 1 / pow((double)place + 1, skew);
        cards->popularity[place] = sum;
    }
}

void load_player_init(load_player_t *player, const load_options_t *options, uint32_t cards,
                      uint64_t seed)
{
    assert(cards > 0);
    *player = (load_player_t){.options = options, .random = {seed}};
    player->cards.wanted = cards;
    player->cards.cards = calloc(cards, sizeof(load_card_t));
    player->cards.vacant = calloc(cards, sizeof(uint32_t));
    if (player->cards.cards == NULL || player->cards.vacant == NULL) {
        abort();
    }
    popularity_make(player);
}

void load_player_deinit(load_player_t *player)
{
    free(player->cards.cards);
    free(player->cards.vacant);
    free(player->cards.popularity);
}

static uint32_t place_uniform(load_player_t *player)
{
    return (uint32_t)(load_random_next(&player->random) % player->cards.count);
}

/* The first place whose cumulated popularity is above a chance. */
static uint32_t place_popular(load_player_t *player)
{
    const load_cards_t *const cards = &player->cards;
    if (cards->popularity == NULL) {
        return place_uniform(player);
    }
    const double chance = load_random_part(&player->random) * cards->popularity[cards->count - 1];
    uint32_t low = 0;
    uint32_t high = cards->count - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (cards->popularity[middle] > chance) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void request_card(load_request_t *request, load_action_t action, const load_card_t *card)
{
    request->action = action;
    memcpy(request->card, card->id, sizeof(request->card));
    if (action == LOAD_SCAN) {
        memcpy(request->qr, card->qr, card->qr_size);
        request->qr_size = card->qr_size;
    }
}

static void request_place(load_player_t *player, load_script_t *script, load_request_t *request,
                          load_action_t action, uint32_t place)
{
    const load_card_t *const card = &player->cards.cards[place];
    script->place = place;
    script->state = card->state;
    script->turn = card->turn;
    request_card(request, action, card);
}

static void request_issue(load_script_t *script, load_request_t *request, uint32_t place)
{
    script->place = place;
    request->action = LOAD_ISSUE;
    request->is_activated = true;
}

bool load_player_is_prepared(const load_player_t *player)
{
    return player->cards.count == player->cards.wanted;
}

bool load_player_prepare(load_player_t *player, load_script_t *script, load_request_t *request)
{
    load_cards_t *const cards = &player->cards;
    if (cards->asked == cards->wanted) {
        return false;
    }
    cards->asked++;
    request->member = player->requests++;
    request_issue(script, request, PLACE_NONE);
    return true;
}

static void next_mixed(load_player_t *player, load_script_t *script, load_request_t *request)
{
    load_cards_t *const cards = &player->cards;
    const uint64_t chance = load_random_next(&player->random) % 100;
    if (chance < MIXED_REVOKE) {
        const uint32_t place = place_uniform(player);
        if (cards->cards[place].state == LOAD_CARD_ACTIVE) {
            request_place(player, script, request, LOAD_REVOKE, place);
            cards->cards[place].state = LOAD_CARD_UNCERTAIN;
            return;
        }
    } else if (chance < MIXED_REVOKE + MIXED_ISSUE) {
        const bool has_vacant = cards->vacant_count > 0;
        request_issue(script, request,
                      has_vacant ? cards->vacant[--cards->vacant_count] : PLACE_NONE);
        return;
    } else if (chance < MIXED_REVOKE + MIXED_ISSUE + MIXED_RENEW) {
        const uint32_t place = place_uniform(player);
        if (cards->cards[place].state == LOAD_CARD_ACTIVE && !cards->cards[place].is_renewing) {
            request_place(player, script, request, LOAD_RENEW, place);
            cards->cards[place].is_renewing = 1;
            return;
        }
    } else if (chance < MIXED_REVOKE + MIXED_ISSUE + MIXED_RENEW + MIXED_READ) {
        request_place(player, script, request, LOAD_GET, place_popular(player));
        return;
    }
    request_place(player, script, request, LOAD_SCAN, place_popular(player));
}

void load_player_next(load_player_t *player, load_script_t *script, load_request_t *request)
{
    request->member = player->requests++;
    request->is_activated = false;
    switch (player->options->scenario) {
    case LOAD_SCENARIO_SCAN:
        request_place(player, script, request, LOAD_SCAN, place_popular(player));
        return;
    case LOAD_SCENARIO_MIXED:
        next_mixed(player, script, request);
        return;
    case LOAD_SCENARIO_BULK:
        request_issue(script, request, PLACE_NONE);
        return;
    case LOAD_SCENARIO_LIFECYCLE:
        request_card(request, life[script->step].action, &script->card);
        return;
    default:
        request_place(player, script, request, LOAD_VALIDATE, place_popular(player));
        return;
    }
}

/* --- Answers --- */

static bool says(text_t text, const char *expected)
{
    return text_equal(text, text_from_c(expected));
}

static const char *wrong(char told[LOAD_WRONG_SIZE], const load_request_t *request,
                         const char *expected, const load_reply_t *reply)
{
    const text_t got = reply->reason.size > 0 ? reply->reason : reply->status;
    (void)snprintf(told, LOAD_WRONG_SIZE, "%s of card %.36s: expected %s, got %.*s about %.*s",
                   load_action_names[request->action], request->card, expected, TEXT_PRINT(got),
                   TEXT_PRINT(reply->card));
    return told;
}

static bool take_card(load_card_t *card, const load_reply_t *reply)
{
    if (reply->card.size != LOAD_ID_SIZE || reply->qr.size == 0 ||
        reply->qr.size > LOAD_QR_SIZE_MAX) {
        return false;
    }
    memcpy(card->id, reply->card.data, LOAD_ID_SIZE);
    memcpy(card->qr, reply->qr.data, reply->qr.size);
    card->qr_size = (uint8_t)reply->qr.size;
    card->state = LOAD_CARD_ACTIVE;
    card->is_renewing = 0;
    card->turn++;
    return true;
}

/* A new card: it takes the place of a revoked one, or that of the next while preparing. */
static const char *issued(load_player_t *player, const load_script_t *script,
                          const load_request_t *request, const load_reply_t *reply,
                          char told[LOAD_WRONG_SIZE])
{
    load_cards_t *const cards = &player->cards;
    load_card_t unused = {0};
    load_card_t *into = &unused;
    if (script->place != PLACE_NONE) {
        into = &cards->cards[script->place];
    } else if (cards->count < cards->wanted) {
        into = &cards->cards[cards->count];
    }
    if (!take_card(into, reply) || !says(reply->status, "active")) {
        return wrong(told, request, "an active card with its code", reply);
    }
    cards->count += script->place == PLACE_NONE && into != &unused ? 1 : 0;
    return NULL;
}

static const char *revoked(load_player_t *player, const load_script_t *script,
                           const load_request_t *request, const load_reply_t *reply,
                           char told[LOAD_WRONG_SIZE])
{
    load_cards_t *const cards = &player->cards;
    cards->cards[script->place].state = LOAD_CARD_REVOKED;
    cards->vacant[cards->vacant_count++] = script->place;
    return says(reply->status, "revoked") ? NULL : wrong(told, request, "revoked", reply);
}

/* Both are true of a card that was revoked while the request was under way. Valid is not when the
 * revocation was acknowledged before the request was sent, and revoked is not when nobody has asked
 * for a revocation until its answer. */
static const char *told_state(load_player_t *player, const load_script_t *script,
                              const load_request_t *request, const load_reply_t *reply,
                              char told[LOAD_WRONG_SIZE])
{
    const load_card_t *const card = &player->cards.cards[script->place];
    const bool is_read = request->action == LOAD_GET || request->action == LOAD_RENEW;
    const text_t got = is_read ? reply->status : reply->reason;
    const bool may_be_valid = script->state != LOAD_CARD_REVOKED;
    const bool may_be_revoked = script->state != LOAD_CARD_ACTIVE || card->turn != script->turn ||
                                card->state != LOAD_CARD_ACTIVE;
    if (may_be_valid && says(got, is_read ? "active" : "valid")) {
        return NULL;
    }
    if (may_be_revoked && says(got, "revoked")) {
        return NULL;
    }
    return wrong(told, request,
                 !may_be_revoked ? (is_read ? "active" : "valid")
                                 : (may_be_valid ? "valid or revoked" : "revoked"),
                 reply);
}

static const char *life_done(load_script_t *script, const load_request_t *request,
                             const load_reply_t *reply, char told[LOAD_WRONG_SIZE])
{
    const life_step_t *const step = &life[script->step];
    const bool is_gate = step->action == LOAD_VALIDATE || step->action == LOAD_SCAN;
    const bool is_right = says(is_gate ? reply->reason : reply->status, step->expected);
    const bool has_card = step->action != LOAD_ISSUE || take_card(&script->card, reply);
    script->step = (uint8_t)((script->step + 1U) % LIFE_STEPS);
    if (!is_right || !has_card) {
        script->step = 0;
        return wrong(told, request, step->expected, reply);
    }
    return NULL;
}

/* A renewal is over, however it ended; another card may have taken the place since. */
static void renewal_over(load_player_t *player, const load_script_t *script,
                         const load_request_t *request)
{
    if (request->action == LOAD_RENEW && player->options->scenario == LOAD_SCENARIO_MIXED &&
        player->cards.cards[script->place].turn == script->turn) {
        player->cards.cards[script->place].is_renewing = 0;
    }
}

const char *load_player_done(load_player_t *player, load_script_t *script,
                             const load_request_t *request, const load_reply_t *reply,
                             char told[LOAD_WRONG_SIZE])
{
    const bool is_issue = request->action == LOAD_ISSUE;
    renewal_over(player, script, request);
    if (!is_issue && !text_equal(reply->card, (text_t){request->card, LOAD_ID_SIZE})) {
        load_player_failed(player, script, request);
        return wrong(told, request, "an answer about this card", reply);
    }
    if (load_player_is_prepared(player) && player->options->scenario == LOAD_SCENARIO_LIFECYCLE) {
        return life_done(script, request, reply, told);
    }
    if (is_issue) {
        return issued(player, script, request, reply, told);
    }
    if (request->action == LOAD_REVOKE) {
        return revoked(player, script, request, reply, told);
    }
    return told_state(player, script, request, reply, told);
}

bool load_player_may_be_refused(const load_player_t *player, const load_script_t *script,
                                const load_request_t *request, const load_reply_t *reply)
{
    if (player->options->scenario != LOAD_SCENARIO_MIXED || request->action != LOAD_RENEW) {
        return false;
    }
    const load_card_t *const card = &player->cards.cards[script->place];
    return says(reply->code, "revoked") &&
           (card->turn != script->turn || card->state != LOAD_CARD_ACTIVE);
}

void load_player_failed(load_player_t *player, load_script_t *script, const load_request_t *request)
{
    load_cards_t *const cards = &player->cards;
    renewal_over(player, script, request);
    if (!load_player_is_prepared(player)) {
        cards->asked -= cards->asked > cards->count ? 1 : 0;
        return;
    }
    if (player->options->scenario == LOAD_SCENARIO_LIFECYCLE) {
        script->step = 0; /* nobody knows how far the card came: the slot takes another one */
        return;
    }
    const bool has_place = script->place != PLACE_NONE;
    if (has_place && (request->action == LOAD_ISSUE || request->action == LOAD_REVOKE)) {
        cards->vacant[cards->vacant_count++] = script->place;
    }
}
