/* Messages as tables: every message is one run of lines in a *.def file (one line per field), and
 * the lines become a C struct, this table, a msgpack codec, a JSON codec and docs/messages.md.
 *
 * Three forms on the wire:
 *   - msgpack with numeric field ids, between roles and in the journal: unknown fields are skipped,
 *     so that an older binary reads what a newer one wrote;
 *   - msgpack with names, the ROUTER API: unknown fields are refused by name;
 *   - JSON, HTTP: unknown fields are refused by name.
 *
 * Decoding never allocates: what it produces lives in the caller's arena or borrows from the input.
 */
#ifndef MESSAGES_MESSAGE_H
#define MESSAGES_MESSAGE_H

#include "messages/arena.h"
#include "messages/text.h"
#include "messages/uuid.h"

typedef enum field_type {
    FIELD_TYPE_TEXT, /* text_t, UTF-8 without NUL (JSON, names: nor any control character), `max`
                        bytes; JSON string; a required one from outside may not be empty */
    FIELD_TYPE_CODE, /* text_t, UTF-8, `max` characters (code points), anything in it, also nothing:
                        what a scanner read, which gets a verdict whatever it says (DESIGN 3.3) */
    FIELD_TYPE_BYTES, /* text_t, any bytes, `max`; never in JSON */
    FIELD_TYPE_UUID,  /* uuid_t; JSON canonical string; msgpack by id: bin 16, by name: string */
    FIELD_TYPE_TIME,  /* int64_t, ms UTC; JSON RFC 3339; msgpack by id: integer, by name: string */
    FIELD_TYPE_UNSIGNED, /* uint64_t up to `max` */
    FIELD_TYPE_NUMBER,   /* double, finite, |value| up to `max` */
    FIELD_TYPE_BOOL,     /* bool */
    FIELD_TYPE_ENUM,     /* uint8_t; JSON its name */
    FIELD_TYPE_MESSAGE,  /* nested struct */
    FIELD_TYPE_LIST, /* pointer to structs and a count (member NAME_count), up to `max` of them */
    FIELD_TYPE_COLLECTION, /* uint32_t: an array or object from outside of which only the number of
                              elements is kept; JSON `[]` (its contents get a type when rules exist)
                            */
} field_type_t;

typedef enum field_presence {
    FIELD_REQUIRED, /* decoding without it is a fault */
    FIELD_OPTIONAL, /* left out when absent; null from outside means absent */
    FIELD_NULLABLE, /* null in JSON and named msgpack when absent */
    FIELD_PATH, /* card id of a command: on HTTP it is in the path, and refused in the JSON body as
                   unknown; in named msgpack required; by ids written when present */
    FIELD_INTERNAL, /* only in msgpack by ids: JSON and named msgpack neither show nor accept it */
} field_presence_t;

typedef struct enum_type {
    const char *name;
    const char *const *names; /* index = value; NULL where no value has that number */
    uint8_t count;            /* of `names`: highest number and 1 */
    const char *doc;
} enum_type_t;

struct message_type;

typedef struct message_field {
    uint16_t id;    /* 1 … 65535, for ever */
    uint16_t index; /* in `fields` of its message: its bit in `present` */
    const char *name;
    const char *json_key; /* "\"name\":", ready to be written */
    size_t name_size;     /* bytes of `name` without its NUL */
    field_type_t type;
    field_presence_t presence;
    uint64_t max;                       /* meaning depends on the type, above */
    size_t offset;                      /* of the value in the struct */
    size_t count_offset;                /* LIST only */
    const struct message_type *message; /* MESSAGE and LIST */
    const enum_type_t *enumeration;     /* ENUM */
    const char *doc;
} message_field_t;

typedef struct message_type {
    const char *name;
    const char *doc;
    size_t size; /* of the struct, which begins with `uint64_t present`: bit i, field i is there */
    const message_field_t *fields;
    uint16_t field_count; /* up to 64 */
    uint64_t required;    /* the fields that are FIELD_REQUIRED, by bit */
} message_type_t;

/* Limits on everything decoded (DESIGN 2.6: a 5-byte header may claim 96 GB). */
enum {
    MESSAGE_DEPTH_MAX = 8,            /* nesting of arrays and maps; our deepest message uses 4 */
    MESSAGE_FIELD_PATH_SIZE = 96,     /* "items[12].location.latitude" and room */
    MESSAGE_INPUT_SIZE_MAX = 1 << 20, /* JSON and named msgpack: DESIGN 3.3. By ids the channel's
                                         own limit holds, and 4 GiB here */
    MESSAGE_JSON_VALUES_MAX = 65536,  /* of one JSON text: a page of 1,000 events has 30,000, and
                                         "{}," costs 3 bytes there but 300 once parsed */
    MESSAGE_EXCERPT_SIZE = 40,        /* of the input, quoted in a fault */
};

typedef enum message_fault_kind {
    MESSAGE_FAULT_NONE,
    MESSAGE_FAULT_MALFORMED,  /* not JSON by RFC 8259 / not one whole msgpack object */
    MESSAGE_FAULT_NOT_OBJECT, /* well formed, but no object where one is needed */
    MESSAGE_FAULT_TOO_DEEP,
    MESSAGE_FAULT_TOO_LARGE, /* the input as a whole */
    MESSAGE_FAULT_UNKNOWN_FIELD,
    MESSAGE_FAULT_DUPLICATE_FIELD,
    MESSAGE_FAULT_MISSING_FIELD,
    MESSAGE_FAULT_WRONG_TYPE,
    MESSAGE_FAULT_TOO_LONG, /* one text, list or number beyond its limit */
    MESSAGE_FAULT_NOT_UTF8, /* JSON: the text as a whole, `field` is "", and RFC 8259 calls that
                               malformed; msgpack: one text, named by `field` */
    MESSAGE_FAULT_INVALID_VALUE, /* no UUID, no date, no such name in the enum, empty required text,
                                    a NUL or half a surrogate pair within text */
} message_fault_kind_t;

/* Why decoding failed: `field` is the path of the offending field ("" for the whole), `detail` one
 * sentence for a person that says what was expected. */
typedef struct message_fault {
    message_fault_kind_t kind;
    char field[MESSAGE_FIELD_PATH_SIZE];
    char detail[192];
} message_fault_t;

typedef enum message_keys { MESSAGE_KEYS_IDS, MESSAGE_KEYS_NAMES } message_keys_t;

/* Encoders return the number of bytes of the whole encoding. When that is more than `capacity` the
 * contents of `out` are undefined and the caller tries again with more room. `out` may be NULL when
 * `capacity` is 0. They cannot fail otherwise: a struct with an invalid value is a bug and asserts.
 */
size_t message_pack(const message_type_t *type, const void *message, message_keys_t keys,
                    uint8_t *out, size_t capacity);
size_t message_to_json(const message_type_t *type, const void *message, char *out, size_t capacity);

/* Decoders return false and fill `fault`. On success texts and lists point into `arena`, or into
 * `input` for msgpack, whose bytes must therefore outlive `message`. An arena that is too small is
 * MESSAGE_FAULT_TOO_LARGE. Every decoder first zeroes
 * `message`. MESSAGE_KEYS_IDS skips unknown fields, MESSAGE_KEYS_NAMES and JSON refuse them by
 * name. Bytes after the one object are MESSAGE_FAULT_MALFORMED. An empty input (size 0) is
 * MALFORMED too. */
bool message_unpack(const message_type_t *type, message_keys_t keys, const uint8_t *input,
                    size_t size, arena_t *arena, void *message, message_fault_t *fault);
bool message_from_json(const message_type_t *type, text_t input, arena_t *arena, void *message,
                       message_fault_t *fault);

/* Deep copy: texts and lists of `source` are copied into `arena`. False when it is full. */
bool message_copy(const message_type_t *type, const void *source, arena_t *arena, void *copy);

/* Name of a value ("active"), never NULL: asserts that the value exists. */
text_t enum_name(const enum_type_t *type, uint8_t value);
/* False when there is no such name. */
bool enum_parse(const enum_type_t *type, text_t name, uint8_t *value);

#endif
