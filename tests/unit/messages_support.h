/* For tests of messages: random messages of any type that a form can carry, and their comparison.
 * Everything follows from the seed. */
#ifndef TESTS_UNIT_MESSAGES_SUPPORT_H
#define TESTS_UNIT_MESSAGES_SUPPORT_H

#include "messages/message_internal.h"

typedef struct test_random {
    uint64_t state;
} test_random_t;

uint64_t test_random_next(test_random_t *random);
uint64_t test_random_below(test_random_t *random, uint64_t bound);

/* Fills `message` (of type->size bytes) with fields that `form` shows: needed ones always, others
 * at random, with values at and between their limits. Texts and lists live in `arena`. */
void test_message_generate(const message_type_t *type, message_form_t form, test_random_t *random,
                           arena_t *arena, void *message);

/* Name of the first field that differs, or NULL when the two are equal. */
const char *test_message_difference(const message_type_t *type, const void *a, const void *b);

size_t test_message_encode(const message_type_t *type, message_form_t form, const void *message,
                           uint8_t *out, size_t capacity);
bool test_message_decode(const message_type_t *type, message_form_t form, const uint8_t *input,
                         size_t size, arena_t *arena, void *message, message_fault_t *fault);

#endif
