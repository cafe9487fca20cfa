/* What comes by msgpack and is no good, what comes in unusual but good forms, and msgpack-c as the
 * independent witness in both directions. */
#include "messages/messages.h"
#include "messages/rfc3339.h"
#include "tests/unit/messages_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <msgpack.h>

enum { ARENA_SIZE = 4 << 20, BUFFER_SIZE = 4 << 20 };

static uint8_t arena_memory[ARENA_SIZE];
static uint8_t buffer[BUFFER_SIZE];
static uint8_t decoded[65536];

/* The bytes are copied to a block of their own, so that ASan sees a read beyond them. The block
 * lives until the next call, since texts borrow from it. */
static bool decode(const message_type_t *type, message_keys_t keys, text_t bytes,
                   message_fault_t *fault)
{
    static uint8_t *input = NULL;
    arena_t arena = {.base = arena_memory, .size = sizeof(arena_memory)};
    free(input);
    input = malloc(bytes.size + (bytes.size == 0));
    if (bytes.size > 0) {
        memcpy(input, bytes.data, bytes.size);
    }
    const bool is_read = message_unpack(type, keys, input, bytes.size, &arena, decoded, fault);
    if (!is_read) {
        free(input);
        input = NULL;
    }
    return is_read;
}

/* Ends the life of the last input. */
static int input_release(void **state)
{
    (void)state;
    message_fault_t fault;
    (void)decode(&card_get_message, MESSAGE_KEYS_IDS, TEXT_NONE, &fault);
    return 0;
}

typedef struct fault_case {
    const message_type_t *type;
    text_t bytes;
    message_fault_kind_t kind;
    const char *field;
} fault_case_t;

static void expect_faults(message_keys_t keys, const fault_case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        message_fault_t fault;
        const fault_case_t *one = &cases[i];
        if (decode(one->type, keys, one->bytes, &fault)) {
            fail_msg("case %zu was read", i);
        }
        if (fault.kind != one->kind || strcmp(fault.field, one->field) != 0) {
            fail_msg("case %zu: kind %d instead of %d, field '%s' instead of '%s' (%s)", i,
                     (int)fault.kind, (int)one->kind, fault.field, one->field, fault.detail);
        }
        assert_true(strlen(fault.detail) > 10);
    }
}

#define CASE(message, text, fault, path)                                                           \
    {                                                                                              \
        &message##_message, TEXT_LITERAL(text), MESSAGE_FAULT_##fault, path                        \
    }
#define EXPECT_FAULTS(keys, cases) expect_faults(keys, cases, sizeof(cases) / sizeof((cases)[0]))

/* Names as fixstr. */
#define GATE "\xa4gate"
#define TIER "\xa4tier"
#define LIMIT "\xa5limit"
#define RULES "\xa5rules"
#define STATUS "\xa6status"
#define ACTIVATE                                                                                   \
    "\xa8"                                                                                         \
    "activate"
#define LOCATION "\xa8location"
#define LATITUDE "\xa8latitude"

static void what_is_no_msgpack_is_malformed(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_scan, "", MALFORMED, ""),
        CASE(card_scan, "\xc1", MALFORMED, ""),
        CASE(card_scan, "\x81", MALFORMED, ""),
        CASE(card_scan, "\x81" GATE, MALFORMED, "gate"),
        CASE(card_scan, "\x81" GATE "\xc1", MALFORMED, "gate"),
        CASE(card_scan,
             "\x81" GATE "\xa2"
             "a",
             MALFORMED, "gate"),
        CASE(card_list, "\x80\x80", MALFORMED, ""),
        CASE(card_list, "\x80\x00", MALFORMED, ""),
        CASE(card_list, "\x05\x05", MALFORMED, ""),
        /* Heads that claim more than there is. */
        CASE(card_scan, "\xdf\xff\xff\xff\xff", MALFORMED, ""),
        CASE(card_scan, "\xde\xff\xff" GATE "\xa1g", MALFORMED, ""),
        CASE(card_scan, "\xdd\xff\xff\xff\xff", MALFORMED, ""),
        CASE(card_scan, "\xdb\xff\xff\xff\xff", MALFORMED, ""),
        CASE(card_scan, "\xc6\xff\xff\xff\xff", MALFORMED, ""),
        CASE(card_scan, "\xc9\xff\xff\xff\xff\x01", MALFORMED, ""),
        CASE(card_scan,
             "\x81" GATE "\xdb\xff\xff\xff\xff"
             "abc",
             MALFORMED, "gate"),
        CASE(card_issue, "\x81" RULES "\xdd\xff\xff\xff\xff\x01\x02", MALFORMED, "rules"),
        CASE(card_issue, "\x81" RULES "\xdf\x80\x00\x00\x00\x01\x02", MALFORMED, "rules"),
        CASE(card_page, "\x81\xa5items\xdd\xff\xff\xff\xff\x80", MALFORMED, "items"),
        CASE(card_page, "\x81\xa5items\xdc\x01\xf4\x80\x80", MALFORMED, "items"),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_NAMES, cases);
}

static void what_is_no_map_is_said_to_be_none(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_list, "\xc0", NOT_OBJECT, ""),
        CASE(card_list, "\x05", NOT_OBJECT, ""),
        CASE(card_list, "\x90", NOT_OBJECT, ""),
        CASE(card_list, "\x92\x81\x01\x02\xc3", NOT_OBJECT, ""),
        CASE(card_list, "\xa1x", NOT_OBJECT, ""),
        CASE(card_list, "\xc4\x01x", NOT_OBJECT, ""),
        CASE(card_list, "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", NOT_OBJECT, ""),
        CASE(card_list, "\xd6\xff\x00\x00\x00\x00", NOT_OBJECT, ""),
        CASE(card_list, "\xc7\x00\x05", NOT_OBJECT, ""),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_NAMES, cases);
    EXPECT_FAULTS(MESSAGE_KEYS_IDS, cases);
}

static void depth_bombs_are_refused(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_issue, "\x81" RULES "\x91\x91\x91\x91\x91\x91\x91\x90", TOO_DEEP, "rules"),
        CASE(card_issue, "\x91\x91\x91\x91\x91\x91\x91\x91\x90", TOO_DEEP, ""),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_NAMES, cases);
    static const fault_case_t unknown[] = {
        CASE(card_issue, "\x81\x63\x91\x91\x91\x91\x91\x91\x91\x90", TOO_DEEP, ""),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_IDS, unknown);
    message_fault_t fault;
    assert_true(decode(&card_list_message, MESSAGE_KEYS_IDS,
                       TEXT_LITERAL("\x81\x63\x91\x91\x91\x91\x91\x91\x90"), &fault));

    enum { BOMB_SIZE = 1 << 20 };
    char *bomb = malloc(BOMB_SIZE);
    memset(bomb, '\x91', BOMB_SIZE);
    const text_t bytes = {.data = bomb, .size = BOMB_SIZE};
    assert_false(decode(&card_issue_message, MESSAGE_KEYS_NAMES, bytes, &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_DEEP);
    memset(bomb, '\x81', BOMB_SIZE);
    memcpy(bomb, "\x81" RULES, 7);
    assert_false(decode(&card_issue_message, MESSAGE_KEYS_NAMES, bytes, &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_DEEP);
    free(bomb);
}

static void named_fields_are_found(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_scan, "\x81\x01\xa1g", WRONG_TYPE, ""),
        CASE(card_scan, "\x81\xc4\x04gate\xa1g", WRONG_TYPE, ""),
        CASE(card_scan, "\x81\xa3gat\xa1g", UNKNOWN_FIELD, "gat"),
        CASE(card_scan, "\x81\xa5gate\0\xa1g", UNKNOWN_FIELD, "gate?"),
        CASE(card_scan,
             "\x81\xa3"
             "a\xff"
             "b\xa1g",
             UNKNOWN_FIELD, "a?b"),
        CASE(card_scan, "\x81" LOCATION "\x81\xa1z\x01", UNKNOWN_FIELD, "location.z"),
        CASE(event_data, "\x81\xabsealed_name\xc4\x01x", UNKNOWN_FIELD, "sealed_name"),
        CASE(card_scan, "\x82" GATE "\xa1g" GATE "\xa1g", DUPLICATE_FIELD, "gate"),
        CASE(card_scan, "\x82\xa4zone\xc0\xa4zone\xc0", DUPLICATE_FIELD, "zone"),
        CASE(card_scan, "\x81" GATE "\xa1g", MISSING_FIELD, "qr"),
        CASE(card_get, "\x80", MISSING_FIELD, "id"),
        CASE(card_scan, "\x81" GATE "\xc0", WRONG_TYPE, "gate"),
        CASE(card_scan, "\x81" GATE "\x05", WRONG_TYPE, "gate"),
        CASE(card_scan, "\x81" GATE "\xc4\x01g", WRONG_TYPE, "gate"),
        CASE(card_scan, "\x81" LOCATION "\x90", WRONG_TYPE, "location"),
        CASE(card_scan,
             "\x81" LOCATION "\x81" LATITUDE "\xa1"
             "1",
             WRONG_TYPE, "location.latitude"),
        CASE(card_scan, "\x81" LOCATION "\x81" LATITUDE "\x5b", TOO_LONG, "location.latitude"),
        CASE(card_scan, "\x81" LOCATION "\x81" LATITUDE "\xcb\x7f\xf8\0\0\0\0\0\0", INVALID_VALUE,
             "location.latitude"),
        CASE(card_scan, "\x81" LOCATION "\x81" LATITUDE "\xca\xff\x80\0\0", INVALID_VALUE,
             "location.latitude"),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_NAMES, cases);
}

static void named_values_are_checked(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_list, "\x81" LIMIT "\xff", WRONG_TYPE, "limit"),
        CASE(card_list, "\x81" LIMIT "\xd1\xff\xff", WRONG_TYPE, "limit"),
        CASE(card_list, "\x81" LIMIT "\xca\x3f\x80\0\0", WRONG_TYPE, "limit"),
        CASE(card_list, "\x81" LIMIT "\xcd\x01\xf5", TOO_LONG, "limit"),
        CASE(card_list, "\x81" LIMIT "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", TOO_LONG, "limit"),
        CASE(card_list, "\x81" STATUS "\x02", WRONG_TYPE, "status"),
        CASE(card_list,
             "\x81" STATUS "\xa5"
             "alive",
             INVALID_VALUE, "status"),
        CASE(card_issue, "\x81" ACTIVATE "\x01", WRONG_TYPE, "activate"),
        CASE(card_issue, "\x81" TIER "\xa1\xff", NOT_UTF8, "tier"),
        CASE(card_issue,
             "\x81" TIER "\xa3"
             "a\0b",
             INVALID_VALUE, "tier"),
        CASE(card_issue, "\x81\xa9member_id\xa0", INVALID_VALUE, "member_id"),
        CASE(card_issue, "\x81\xa9member_id\xa2\r\n", INVALID_VALUE, "member_id"),
        CASE(card_issue, "\x81\xa4tier\xa1\x7f", INVALID_VALUE, "tier"),
        CASE(card_scan, "\x81\xa4gate\xa1\x1f", INVALID_VALUE, "gate"),
        CASE(card_issue, "\x81" RULES "\xa0", WRONG_TYPE, "rules"),
        CASE(card_issue,
             "\x81\xaa"
             "expires_at\xce\x69\x1f\x55\x40",
             WRONG_TYPE, "expires_at"),
        CASE(card_issue,
             "\x81\xaa"
             "expires_at\xd6\xff\x69\x1f\x55\x40",
             WRONG_TYPE, "expires_at"),
        CASE(card_issue,
             "\x81\xaa"
             "expires_at\xa4"
             "soon",
             INVALID_VALUE, "expires_at"),
        CASE(card_get,
             "\x81\xa2id\xc4\x10"
             "0123456789abcdef",
             WRONG_TYPE, "id"),
        CASE(card_get, "\x81\xa2id\xa1x", INVALID_VALUE, "id"),
        CASE(card_page, "\x81\xa5items\x80", WRONG_TYPE, "items"),
        CASE(card_page, "\x81\xa5items\x92\x01\x02", WRONG_TYPE, "items[0]"),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_NAMES, cases);
}

static void fields_by_id_are_checked(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        CASE(card_scan, "\x81" GATE "\xa1g", WRONG_TYPE, ""),
        CASE(card_scan, "\x81\xff\xa1g", WRONG_TYPE, ""),
        CASE(card_scan, "\x82\x02\xa1g\x02\xa1g", DUPLICATE_FIELD, "gate"),
        CASE(card_scan, "\x82\x02\xa1g\xcd\x00\x02\xa1g", DUPLICATE_FIELD, "gate"),
        CASE(card_scan, "\x81\x02\xa1g", MISSING_FIELD, "qr"),
        CASE(card_list, "\x81\x01\x00", INVALID_VALUE, "status"),
        CASE(card_list, "\x81\x01\x07", INVALID_VALUE, "status"),
        CASE(card_list, "\x81\x01\xcd\x01\x02", INVALID_VALUE, "status"),
        CASE(card_list,
             "\x81\x01\xa6"
             "active",
             WRONG_TYPE, "status"),
        CASE(verdict, "\x81\x02\x15", INVALID_VALUE, "reason"),
        CASE(card_issue, "\x81\x05\xff", WRONG_TYPE, "expires_at"),
        CASE(card_issue, "\x81\x05\xcf\x00\x00\xe6\x70\x9c\xbd\xb0\x00", INVALID_VALUE,
             "expires_at"),
        CASE(card_issue, "\x81\x06\x41", TOO_LONG, "rules"),
        CASE(card_issue, "\x81\x06\x90", WRONG_TYPE, "rules"),
        CASE(card_get,
             "\x81\x01\xc4\x0f"
             "0123456789abcde",
             INVALID_VALUE, "id"),
        CASE(event, "\x81\x0b\x81\x0f\xa1x", WRONG_TYPE, "data.sealed_name"),
        CASE(envelope, "\x81\x03\x81\x0b\x81\x0c\x81\x01\x7f", TOO_LONG,
             "event.data.location.latitude"),
    };
    EXPECT_FAULTS(MESSAGE_KEYS_IDS, cases);
}

static void unknown_ids_are_skipped_whatever_they_hold(void **state)
{
    (void)state;
    static const text_t values[] = {
        TEXT_LITERAL("\xc0"),
        TEXT_LITERAL("\xff"),
        TEXT_LITERAL("\xa3xyz"),
        TEXT_LITERAL("\xd9\x03xyz"),
        TEXT_LITERAL("\xda\x00\x03xyz"),
        TEXT_LITERAL("\xdb\x00\x00\x00\x03xyz"),
        TEXT_LITERAL("\xc4\x02\xff\xfe"),
        TEXT_LITERAL("\xc5\x00\x01x"),
        TEXT_LITERAL("\xc6\x00\x00\x00\x01x"),
        TEXT_LITERAL("\xca\x00\x00\x00\x00"),
        TEXT_LITERAL("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"),
        TEXT_LITERAL("\xd0\x80"),
        TEXT_LITERAL("\xd1\x80\x00"),
        TEXT_LITERAL("\xd2\x80\x00\x00\x00"),
        TEXT_LITERAL("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
        TEXT_LITERAL("\xd4\x01x"),
        TEXT_LITERAL("\xd8\x01"
                     "0123456789abcdef"),
        TEXT_LITERAL("\xc7\x03\x01xyz"),
        TEXT_LITERAL("\xc8\x00\x01\x01x"),
        TEXT_LITERAL("\xc9\x00\x00\x00\x01\x01x"),
        TEXT_LITERAL("\x93\x90\x80\x92\x01\x81\xa1x\xc0"),
        TEXT_LITERAL("\xdc\x00\x01\xde\x00\x01\x01\x02"),
        TEXT_LITERAL("\xdd\x00\x00\x00\x01\xdf\x00\x00\x00\x01\x01\x02"),
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char bytes[128] = "\x83\x05\x07\xcd\x03\xe8";
        size_t size = 6;
        memcpy(bytes + size, values[i].data, values[i].size);
        size += values[i].size;
        memcpy(bytes + size, "\x01\x02", 2);
        message_fault_t fault;
        if (!decode(&card_list_message, MESSAGE_KEYS_IDS, (text_t){.data = bytes, .size = size + 2},
                    &fault)) {
            fail_msg("case %zu: %s", i, fault.detail);
        }
        const card_list_t *list = (const void *)decoded;
        assert_int_equal(list->limit, 7);
        assert_int_equal(list->status, card_status_active);
    }
}

static void unusual_forms_of_good_values_are_read(void **state)
{
    (void)state;
    message_fault_t fault;
    const card_list_t *list = (const void *)decoded;
    static const text_t sevens[] = {
        TEXT_LITERAL("\x81" LIMIT "\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xcc\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xcd\x00\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xce\x00\x00\x00\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xcf\x00\x00\x00\x00\x00\x00\x00\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xd0\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xd1\x00\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xd2\x00\x00\x00\x07"),
        TEXT_LITERAL("\x81" LIMIT "\xd3\x00\x00\x00\x00\x00\x00\x00\x07"),
        TEXT_LITERAL("\xde\x00\x01\xd9\x05limit\x07"),
        TEXT_LITERAL("\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x05limit\x07"),
    };
    for (size_t i = 0; i < sizeof(sevens) / sizeof(sevens[0]); i++) {
        assert_true(decode(&card_list_message, MESSAGE_KEYS_NAMES, sevens[i], &fault));
        assert_int_equal(list->limit, 7);
    }
    const location_t *location = (const void *)decoded;
    assert_true(decode(&location_message, MESSAGE_KEYS_NAMES,
                       TEXT_LITERAL("\x82\xa9longitude\xca\x3f\x00\x00\x00" LATITUDE "\xd0\xa6"),
                       &fault));
    assert_true(location->latitude > -90.01 && location->latitude < -89.99);
    assert_true(location->longitude > 0.49 && location->longitude < 0.51);
}

static void nil_means_absent_and_collections_are_counted(void **state)
{
    (void)state;
    message_fault_t fault;
    const card_page_t *page = (const void *)decoded;
    assert_true(decode(&card_page_message, MESSAGE_KEYS_NAMES,
                       TEXT_LITERAL("\x82\xabnext_cursor\xc0\xa5items\x90"), &fault));
    assert_false(MESSAGE_HAS(card_page, page, next_cursor));
    assert_true(MESSAGE_HAS(card_page, page, items));
    const card_issue_t *issue = (const void *)decoded;
    assert_true(decode(&card_issue_message, MESSAGE_KEYS_NAMES,
                       TEXT_LITERAL("\x83\xa9member_id\xa1m\xaa"
                                    "expires_at\xb4"
                                    "2030-01-01T00:00:00Z" RULES "\x92\x81\xa1x\x91\xc0\x05"),
                       &fault));
    assert_int_equal(issue->rules, 2);
    assert_int_equal(issue->expires_at, INT64_C(1893456000000));
}

/* The bytes themselves, so that a change of format does not pass unseen: they stand in journals. */
static void the_form_by_ids_is_pinned(void **state)
{
    (void)state;
    card_scan_t scan = {0};
    MESSAGE_SET(card_scan, &scan, qr, TEXT_LITERAL("DC1:X"));
    MESSAGE_SET(card_scan, &scan, gate, TEXT_LITERAL("north"));
    MESSAGE_SET(card_scan, &scan, direction, direction_out);
    MESSAGE_SET(card_scan, &scan, at, 1000);
    MESSAGE_MARK(card_scan, &scan, location);
    MESSAGE_SET(location, &scan.location, latitude, 1.0);
    MESSAGE_SET(location, &scan.location, longitude, -2.0);
    static const text_t by_ids =
        TEXT_LITERAL("\x85\x01\xa5"
                     "DC1:X\x02\xa5north\x04\x02\x05\xcd\x03\xe8\x06\x82"
                     "\x01\xcb\x3f\xf0\0\0\0\0\0\0\x02\xcb\xc0\0\0\0\0\0\0\0");
    assert_int_equal(message_pack(&card_scan_message, &scan, MESSAGE_KEYS_IDS, buffer, BUFFER_SIZE),
                     by_ids.size);
    assert_memory_equal(buffer, by_ids.data, by_ids.size);
    static const text_t by_names =
        TEXT_LITERAL("\x85\xa2qr\xa5"
                     "DC1:X\xa4gate\xa5north\xa9"
                     "direction\xa3out\xa2"
                     "at\xb8"
                     "1970-01-01T00:00:01.000Z\xa8location\x82"
                     "\xa8latitude\xcb\x3f\xf0\0\0\0\0\0\0\xa9longitude\xcb\xc0\0\0\0\0\0\0\0");
    assert_int_equal(
        message_pack(&card_scan_message, &scan, MESSAGE_KEYS_NAMES, buffer, BUFFER_SIZE),
        by_names.size);
    assert_memory_equal(buffer, by_names.data, by_names.size);
}

/* msgpack-c reads what we write, and writes the same bytes again. */
static void msgpack_c_reads_what_we_write(void **state)
{
    (void)state;
    arena_t arena = {.base = arena_memory, .size = sizeof(arena_memory)};
    static uint8_t message[65536];
    for (size_t i = 0; i < message_types_count; i++) {
        for (uint64_t seed = 0; seed < 40; seed++) {
            const message_form_t form = seed % 2 == 0 ? MESSAGE_FORM_IDS : MESSAGE_FORM_NAMES;
            test_random_t random = {.state = seed * 100 + i};
            arena.used = 0;
            test_message_generate(message_types[i], form, &random, &arena, message);
            const size_t size =
                test_message_encode(message_types[i], form, message, buffer, BUFFER_SIZE);
            msgpack_unpacked unpacked;
            msgpack_unpacked_init(&unpacked);
            size_t at = 0;
            assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)buffer, size, &at),
                             MSGPACK_UNPACK_SUCCESS);
            assert_int_equal(at, size);
            msgpack_sbuffer again;
            msgpack_packer packer;
            msgpack_sbuffer_init(&again);
            msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
            assert_int_equal(msgpack_pack_object(&packer, unpacked.data), 0);
            assert_int_equal(again.size, size);
            assert_memory_equal(again.data, buffer, size);
            msgpack_sbuffer_destroy(&again);
            msgpack_unpacked_destroy(&unpacked);
        }
    }
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str(packer, strlen(text));
    msgpack_pack_str_body(packer, text, strlen(text));
}

/* We read what msgpack-c writes, in another order than ours. */
static void we_read_what_msgpack_c_writes(void **state)
{
    (void)state;
    msgpack_sbuffer out;
    msgpack_packer packer;
    msgpack_sbuffer_init(&out);
    msgpack_packer_init(&packer, &out, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 6);
    pack_text(&packer, "location");
    msgpack_pack_map(&packer, 3);
    pack_text(&packer, "longitude");
    msgpack_pack_float(&packer, 8.5F);
    pack_text(&packer, "latitude");
    msgpack_pack_int(&packer, -47);
    pack_text(&packer, "accuracy_m");
    msgpack_pack_nil(&packer);
    pack_text(&packer, "gate");
    pack_text(&packer, "a gate with a name of more than 31 bytes");
    pack_text(&packer, "at");
    pack_text(&packer, "2026-11-20T17:56:48.123Z");
    pack_text(&packer, "id");
    pack_text(&packer, "0198c8a2-7f4e-7c31-9d52-6b1e0f3a4c5d");
    pack_text(&packer, "direction");
    pack_text(&packer, "in");
    pack_text(&packer, "zone");
    msgpack_pack_nil(&packer);
    message_fault_t fault;
    if (!decode(&card_validate_message, MESSAGE_KEYS_NAMES,
                (text_t){.data = out.data, .size = out.size}, &fault)) {
        fail_msg("%s: %s", fault.field, fault.detail);
    }
    const card_validate_t *validate = (const void *)decoded;
    assert_true(
        text_equal(validate->gate, TEXT_LITERAL("a gate with a name of more than 31 bytes")));
    assert_int_equal(validate->at, INT64_C(1795197408123));
    assert_int_equal(validate->direction, direction_in);
    assert_int_equal(validate->id.bytes[0], 0x01);
    assert_false(MESSAGE_HAS(card_validate, validate, zone));
    assert_false(MESSAGE_HAS(location, &validate->location, accuracy_m));
    assert_int_equal((int)validate->location.latitude, -47);
    assert_int_equal((int)(validate->location.longitude * 2), 17);
    msgpack_sbuffer_destroy(&out);
}

/* 1 MiB from outside; between roles the channel's limit holds instead. */
static void input_from_outside_is_bounded(void **state)
{
    (void)state;
    enum { SIZE = MESSAGE_INPUT_SIZE_MAX + 1 };
    char *bytes = calloc(1, SIZE);
    message_fault_t fault;
    assert_false(decode(&card_list_message, MESSAGE_KEYS_NAMES,
                        (text_t){.data = bytes, .size = SIZE}, &fault));
    assert_int_equal(fault.kind, MESSAGE_FAULT_TOO_LARGE);
    memcpy(bytes, "\x81\x63\xc6\x00\x0f\xff\xfa", 7);
    assert_true(decode(&card_list_message, MESSAGE_KEYS_IDS, (text_t){.data = bytes, .size = SIZE},
                       &fault));
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_msgpack_is_malformed),
        cmocka_unit_test(what_is_no_map_is_said_to_be_none),
        cmocka_unit_test(depth_bombs_are_refused),
        cmocka_unit_test(named_fields_are_found),
        cmocka_unit_test(named_values_are_checked),
        cmocka_unit_test(fields_by_id_are_checked),
        cmocka_unit_test(unknown_ids_are_skipped_whatever_they_hold),
        cmocka_unit_test(unusual_forms_of_good_values_are_read),
        cmocka_unit_test(nil_means_absent_and_collections_are_counted),
        cmocka_unit_test(the_form_by_ids_is_pinned),
        cmocka_unit_test(msgpack_c_reads_what_we_write),
        cmocka_unit_test(we_read_what_msgpack_c_writes),
        cmocka_unit_test(input_from_outside_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, input_release);
}
