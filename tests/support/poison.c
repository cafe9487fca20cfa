/* Makes a handler fail on purpose. Only in `digitalcard-poison`, which the tests link from the same
 * objects as the service with --wrap=card_handle: the binary that ships holds nothing of it.
 *
 * The gate of a validation or scan, or the reason of a change, says how: poison-segv, poison-abort,
 * poison-hang (it sleeps), poison-loop (it computes), poison-malloc (it takes memory without end,
 * and not of its arena), poison-memory (the same of its arena), poison-error. While
 * DIR/run/poison-off exists it is an ordinary one.
 *
 * A card of the member stored-poison kills whoever builds it from what is stored while
 * DIR/run/poison-stored exists (--wrap=card_memory_open_name).
 * A card whose id is in the name of DIR/run/poison-read-ID (32 hexadecimal digits) kills the store
 * thread that reads it (--wrap=card_head_read).
 * Asking the membership context over HTTP for the member breaking-adapter says INTERNAL: the
 * adapter of its tenant is broken (--wrap=membership_ask_http).
 */
#include "actors/shard/card_actor_internal.h"
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "adapters/membership/membership_internal.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

result_t __real_card_handle(card_actor_t *card, shard_message_t **message);
result_t __wrap_card_handle(card_actor_t *card, shard_message_t **message);

static text_t word_of(const shard_message_t *message)
{
    switch (message->request.type) {
    case request_type_card_validate:
    case request_type_card_scan:
        return message->command.validate.gate;
    case request_type_card_suspend:
    case request_type_card_reinstate:
        return MESSAGE_HAS(card_change, &message->command.change, reason)
                   ? message->command.change.reason
                   : TEXT_NONE;
    default:
        return TEXT_NONE;
    }
}

static bool is_word(text_t word, const char *expected)
{
    return text_equal(word, text_from_c(expected));
}

static void write_wild(void)
{
    volatile int *volatile nowhere = (volatile int *)16;
    *nowhere = 1;
}

static _Noreturn void loop_without_end(void)
{
    volatile uint64_t turns = 0;
    for (;;) {
        turns = turns + 1;
    }
}

/* Bounded only for the sake of the machine, should nobody end it. */
static _Noreturn void take_memory_without_end(void)
{
    enum { PIECE = 65536, PIECES_MAX = 1 << 16 };
    for (int i = 0; i < PIECES_MAX; i++) {
        void *volatile memory = malloc(PIECE);
        if (memory != NULL) {
            memset(memory, 1, PIECE);
        }
    }
    loop_without_end();
}

static result_t allocate_without_end(card_actor_t *card)
{
    enum { PIECE = 65536, PIECES_MAX = 1 << 20 };
    for (int i = 0; i < PIECES_MAX; i++) {
        void *memory = actor_allocate(actor_of_state(card), PIECE);
        if (memory == NULL) {
            return RESULT_NO_MEMORY; /* its own bound, not the machine's */
        }
        memset(memory, 1, PIECE);
    }
    abort();
}

result_t __wrap_card_handle(card_actor_t *card, shard_message_t **message)
{
    const text_t word = (*message)->kind == SHARD_REQUEST ? word_of(*message) : TEXT_NONE;
    if (word.size < 7 || memcmp(word.data, "poison-", 7) != 0 || access("poison-off", F_OK) == 0) {
        return __real_card_handle(card, message);
    }
    if (is_word(word, "poison-segv")) {
        write_wild();
    } else if (is_word(word, "poison-abort")) {
        abort();
    } else if (is_word(word, "poison-hang")) {
        for (;;) {
            (void)poll(NULL, 0, -1);
        }
    } else if (is_word(word, "poison-loop")) {
        loop_without_end();
    } else if (is_word(word, "poison-malloc")) {
        take_memory_without_end();
    } else if (is_word(word, "poison-memory")) {
        return allocate_without_end(card);
    }
    return RESULT_INTERNAL; /* poison-error */
}

text_t __real_card_memory_open_name(tenant_t *tenant, const card_state_t *state, text_t sealed_key,
                                    char *plain);
text_t __wrap_card_memory_open_name(tenant_t *tenant, const card_state_t *state, text_t sealed_key,
                                    char *plain);

text_t __wrap_card_memory_open_name(tenant_t *tenant, const card_state_t *state, text_t sealed_key,
                                    char *plain)
{
    if (is_word(state->member_id, "stored-poison") && access("poison-stored", F_OK) == 0) {
        write_wild();
    }
    return __real_card_memory_open_name(tenant, state, sealed_key, plain);
}

result_t __real_card_head_read(connection_t *connection, const uuid_t *card, card_head_t *head);
result_t __wrap_card_head_read(connection_t *connection, const uuid_t *card, card_head_t *head);

result_t __wrap_card_head_read(connection_t *connection, const uuid_t *card, card_head_t *head)
{
    char name[64] = "poison-read-";
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof card->bytes; i++) {
        (void)snprintf(name + size + 2 * i, 3, "%02x", card->bytes[i]);
    }
    if (access(name, F_OK) == 0) {
        write_wild();
    }
    return __real_card_head_read(connection, card, head);
}

/* --- An adapter --- */

result_t __real_membership_ask_http(membership_adapter_t *adapter, text_t url,
                                    const membership_question_t *question, membership_call_t *call);
result_t __wrap_membership_ask_http(membership_adapter_t *adapter, text_t url,
                                    const membership_question_t *question, membership_call_t *call);

result_t __wrap_membership_ask_http(membership_adapter_t *adapter, text_t url,
                                    const membership_question_t *question, membership_call_t *call)
{
    return is_word(question->member_id, "breaking-adapter")
               ? RESULT_INTERNAL
               : __real_membership_ask_http(adapter, url, question, call);
}
