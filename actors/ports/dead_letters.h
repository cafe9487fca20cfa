/* Commands, and cards with all their commands, that were set aside because they killed their role,
 * kept durably until an operator has replayed or dropped them. Few and rarely written; read by the
 * shard of their tenant and by the command line. Calls block for some milliseconds. The request
 * itself is sealed (it names people): actors/secrets.h. */
#ifndef ACTORS_PORTS_DEAD_LETTERS_H
#define ACTORS_PORTS_DEAD_LETTERS_H

#include "messages/messages.h"
#include "runtime/crash_slot.h"
#include "runtime/limits.h"
#include "runtime/result.h"
#include <string.h>

typedef enum dead_letter_state {
    DEAD_LETTER_QUARANTINED = 1,  /* refused when it comes again */
    DEAD_LETTER_REPLAY_ASKED = 2, /* by an operator; its shard has not seen it yet */
    DEAD_LETTER_REPLAYING = 3,    /* in work; found at a start: it killed the role once more */
    DEAD_LETTER_REPLAYED = 4,     /* it ended, as `outcome` says */
} dead_letter_state_t;

enum { DEAD_LETTER_OUTCOME_SIZE = 64 };

typedef struct dead_letter {
    const uint8_t *fingerprint; /* CRASH_FINGERPRINT_SIZE; names it */
    dead_letter_state_t state;
    text_t tenant;
    uint8_t type;         /* enum request_type; of a card what was asked last, 0: nothing */
    const uint8_t *actor; /* CRASH_ID_SIZE: the card whose handler died */
    uint32_t kills;
    int64_t stored_at;
    text_t reason;         /* "killed by SIGSEGV" */
    text_t trace_id;       /* of the last attempt */
    uint32_t request_size; /* of the whole request */
    text_t sealed_request; /* empty: it was too large to be kept, and cannot be replayed */
    text_t outcome;        /* of the replay */
} dead_letter_t;

/* Whether all commands of its card are meant: then its name is that of the card. */
static inline bool dead_letter_is_of_card(const dead_letter_t *letter)
{
    uint8_t fingerprint[CRASH_FINGERPRINT_SIZE];
    crash_actor_fingerprint(letter->tenant.data, letter->tenant.size, letter->actor, fingerprint);
    return memcmp(fingerprint, letter->fingerprint, sizeof(fingerprint)) == 0;
}

typedef struct dead_letters dead_letters_t;

/* Newest first. Return false to stop. Borrowed for the call; it must not call the store. */
typedef bool dead_letter_visit_t(void *context, const dead_letter_t *letter);

typedef struct dead_letters_functions {
    /* Stores it, or replaces the one of that name. Beyond LIMIT_DEAD_LETTERS of a tenant the oldest
     * replayed ones go, then the oldest. */
    result_t (*put)(dead_letters_t *store, const dead_letter_t *letter);
    /* Of one tenant, or of all when it is empty. */
    result_t (*visit)(dead_letters_t *store, text_t tenant, dead_letter_visit_t *visit,
                      void *context);
    result_t (*visit_one)(dead_letters_t *store, const uint8_t *fingerprint,
                          dead_letter_visit_t *visit, void *context); /* MISSING */
    /* MISSING when it is not there or not in state `from`. */
    result_t (*change)(dead_letters_t *store, const uint8_t *fingerprint, dead_letter_state_t from,
                       dead_letter_state_t to, text_t outcome);
    result_t (*drop)(dead_letters_t *store, const uint8_t *fingerprint); /* MISSING */
} dead_letters_functions_t;

struct dead_letters {
    const dead_letters_functions_t *functions;
};

#endif
