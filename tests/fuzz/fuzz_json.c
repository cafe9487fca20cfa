/* Any bytes as JSON. The first byte picks the message (' ' the first, '!' the second, …), the rest
 * is the text. What is accepted must survive being written and read again, unchanged; what our
 * scanner calls malformed must be malformed to jansson too. */
#include "messages/messages.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_SIZE = 16 << 20, TEXT_SIZE = 8 << 20, STRUCT_SIZE = 65536 };

/* Each half of a fault must be usable: a path of printable ASCII, a sentence, both ended. */
static void fault_check(const message_fault_t *fault)
{
    if (fault->kind == MESSAGE_FAULT_NONE || fault->detail[0] == '\0' ||
        memchr(fault->detail, '\0', sizeof(fault->detail)) == NULL ||
        memchr(fault->field, '\0', sizeof(fault->field)) == NULL) {
        abort();
    }
    for (const char *c = fault->field; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e) {
            abort();
        }
    }
}

/* Our scanner and jansson must agree about what is JSON. The one thing that is well formed and yet
 * bad syntax to jansson is half of a surrogate pair. */
static void verdict_check(text_t text, const message_fault_t *fault)
{
    if (fault->kind == MESSAGE_FAULT_MALFORMED || fault->kind == MESSAGE_FAULT_NOT_UTF8) {
        json_t *document = json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        /* jansson overlooks NUL bytes at the end. */
        if (document != NULL && memchr(text.data, '\0', text.size) == NULL) {
            abort();
        }
        json_decref(document);
    } else if (fault->kind == MESSAGE_FAULT_INVALID_VALUE &&
               strcmp(fault->detail, "a text must not contain half of a surrogate pair") == 0 &&
               memmem(text.data, text.size, "\\u", 2) == NULL) {
        abort();
    }
}

static void write_and_read_again(const message_type_t *type, const void *message)
{
    static uint8_t memory[ARENA_SIZE];
    static uint8_t again[STRUCT_SIZE];
    static char first[TEXT_SIZE];
    static char second[TEXT_SIZE];
    arena_t arena = {.base = memory, .size = sizeof(memory)};
    message_fault_t fault;
    const size_t size = message_to_json(type, message, first, sizeof(first));
    /* A text may grow sixfold when it is written, and so beyond what is read. */
    if (size > MESSAGE_INPUT_SIZE_MAX) {
        return;
    }
    if (!message_from_json(type, (text_t){.data = first, .size = size}, &arena, again, &fault) ||
        message_to_json(type, again, second, sizeof(second)) != size ||
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
    const message_type_t *type = message_types[(uint8_t)(data[0] - ' ') % message_types_count];
    arena_t arena = {.base = memory, .size = sizeof(memory)};
    message_fault_t fault;
    const text_t text = {.data = (const char *)data + 1, .size = size - 1};
    if (!message_from_json(type, text, &arena, message, &fault)) {
        fault_check(&fault);
        verdict_check(text, &fault);
    } else {
        write_and_read_again(type, message);
    }
    return 0;
}
