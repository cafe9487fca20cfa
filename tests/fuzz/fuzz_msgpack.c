/* Any bytes as msgpack. The first byte picks the message and the form (even: ids, odd: names), the
 * rest is the input. What is accepted must survive being written and read again, unchanged, and can
 * be copied. */
#include "messages/messages.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_SIZE = 16 << 20, OUTPUT_SIZE = 8 << 20, STRUCT_SIZE = 65536 };

static void fault_check(const message_fault_t *fault)
{
    if (fault->kind == MESSAGE_FAULT_NONE || fault->detail[0] == '\0' ||
        memchr(fault->detail, '\0', sizeof(fault->detail)) == NULL ||
        memchr(fault->field, '\0', sizeof(fault->field)) == NULL) {
        abort();
    }
}

static void write_and_read_again(const message_type_t *type, message_keys_t keys,
                                 const void *message)
{
    static uint8_t memory[ARENA_SIZE];
    static uint8_t again[STRUCT_SIZE];
    static uint8_t copy[STRUCT_SIZE];
    static uint8_t first[OUTPUT_SIZE];
    static uint8_t second[OUTPUT_SIZE];
    arena_t arena = {.base = memory, .size = sizeof(memory)};
    message_fault_t fault;
    const size_t size = message_pack(type, message, keys, first, sizeof(first));
    if (size > MESSAGE_INPUT_SIZE_MAX) {
        return;
    }
    if (!message_unpack(type, keys, first, size, &arena, again, &fault) ||
        !message_copy(type, again, &arena, copy) ||
        message_pack(type, copy, keys, second, sizeof(second)) != size ||
        memcmp(first, second, size) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[ARENA_SIZE];
    static uint8_t message[STRUCT_SIZE];
    if (size == 0) {
        return 0;
    }
    const message_type_t *type = message_types[data[0] / 2 % message_types_count];
    const message_keys_t keys = data[0] % 2 == 0 ? MESSAGE_KEYS_IDS : MESSAGE_KEYS_NAMES;
    arena_t arena = {.base = memory, .size = sizeof(memory)};
    message_fault_t fault;
    if (!message_unpack(type, keys, data + 1, size - 1, &arena, message, &fault)) {
        fault_check(&fault);
    } else {
        write_and_read_again(type, keys, message);
    }
    return 0;
}
