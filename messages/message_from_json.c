/* JSON to structs: our scanner says whether it is JSON and small enough, jansson parses it, and the
 * table of the message is walked over the result with an explicit stack. */
#include "messages/json_scan.h"
#include "messages/message_internal.h"
#include "messages/utf8.h"

#include <jansson.h>

typedef struct json_reader {
    message_reader_t reader;
    json_t *objects[MESSAGE_DEPTH_MAX]; /* of each level; borrowed from the document */
    void *iterators[MESSAGE_DEPTH_MAX]; /* the pair to be read next; NULL after the last */
    json_t *arrays[MESSAGE_DEPTH_MAX];  /* the list that a level walks through, or NULL */
} json_reader_t;

static const char *json_kind_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return json_integer_value(value) < 0 ? "a negative number" : "a number";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "null";
    }
}

static void object_open(json_reader_t *json, json_t *object, json_t *array)
{
    const size_t level = json->reader.depth - 1;
    json->objects[level] = object;
    json->iterators[level] = json_object_iter(object);
    json->arrays[level] = array;
}

/* Makes the element that the innermost level has come to its object. */
static bool element_open(json_reader_t *json, json_t *array)
{
    message_reader_t *reader = &json->reader;
    const message_level_t *level = reader_level(reader);
    json_t *element = json_array_get(array, level->index);
    if (!json_is_object(element)) {
        return fault_set(reader, MESSAGE_FAULT_WRONG_TYPE,
                         "the elements of %s must be objects; this one was %s", level->field->name,
                         json_kind_name(element));
    }
    object_open(json, element, array);
    return true;
}

static bool list_accept(json_reader_t *json, const message_field_t *field, json_t *array)
{
    if (!json_is_array(array)) {
        return fault_wrong_type(&json->reader, field, json_kind_name(array));
    }
    const size_t count = json_array_size(array);
    return reader_open_list(&json->reader, field, (uint32_t)count) &&
           (count == 0 || element_open(json, array));
}

static bool message_accept(json_reader_t *json, const message_field_t *field, json_t *object)
{
    if (!json_is_object(object)) {
        return fault_wrong_type(&json->reader, field, json_kind_name(object));
    }
    if (!reader_open_message(&json->reader, field)) {
        return false;
    }
    object_open(json, object, NULL);
    return true;
}

static bool string_accept(message_reader_t *reader, const message_field_t *field,
                          const json_t *value)
{
    if (!json_is_string(value)) {
        return fault_wrong_type(reader, field, json_kind_name(value));
    }
    const text_t text = {.data = json_string_value(value), .size = json_string_length(value)};
    switch (field->type) {
    case FIELD_TYPE_UUID:
        return reader_accept_uuid_text(reader, field, text);
    case FIELD_TYPE_TIME:
        return reader_accept_time_text(reader, field, text);
    case FIELD_TYPE_ENUM:
        return reader_accept_enum_text(reader, field, text);
    default:
        return reader_accept_text(reader, field, text);
    }
}

static bool unsigned_accept(message_reader_t *reader, const message_field_t *field,
                            const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return fault_wrong_type(reader, field, json_kind_name(value));
    }
    return reader_accept_unsigned(reader, field, (uint64_t)json_integer_value(value));
}

static bool collection_accept(message_reader_t *reader, const message_field_t *field,
                              const json_t *value)
{
    if (json_is_array(value)) {
        return reader_accept_collection(reader, field, json_array_size(value));
    }
    if (json_is_object(value)) {
        return reader_accept_collection(reader, field, json_object_size(value));
    }
    return fault_wrong_type(reader, field, json_kind_name(value));
}

static bool value_accept(json_reader_t *json, const message_field_t *field, json_t *value)
{
    message_reader_t *reader = &json->reader;
    if (json_is_null(value)) {
        return reader_accept_null(reader, field);
    }
    switch (field->type) {
    case FIELD_TYPE_UNSIGNED:
        return unsigned_accept(reader, field, value);
    case FIELD_TYPE_NUMBER:
        return json_is_number(value) ? reader_accept_number(reader, field, json_number_value(value))
                                     : fault_wrong_type(reader, field, json_kind_name(value));
    case FIELD_TYPE_BOOL:
        return json_is_boolean(value) ? reader_accept_bool(reader, field, json_is_true(value))
                                      : fault_wrong_type(reader, field, json_kind_name(value));
    case FIELD_TYPE_COLLECTION:
        return collection_accept(reader, field, value);
    case FIELD_TYPE_MESSAGE:
        return message_accept(json, field, value);
    case FIELD_TYPE_LIST:
        return list_accept(json, field, value);
    default:
        return string_accept(reader, field, value);
    }
}

static const message_field_t *field_find(const message_type_t *type, text_t name)
{
    for (uint16_t i = 0; i < type->field_count; i++) {
        const message_field_t *field = &type->fields[i];
        if (field->name_size == name.size && memcmp(field->name, name.data, name.size) == 0) {
            return message_field_is_shown(field, MESSAGE_FORM_JSON) ? field : NULL;
        }
    }
    return NULL;
}

static bool pair_read(json_reader_t *json)
{
    message_reader_t *reader = &json->reader;
    const size_t level = reader->depth - 1;
    void *iterator = json->iterators[level];
    json->iterators[level] = json_object_iter_next(json->objects[level], iterator);
    reader->name = (text_t){.data = json_object_iter_key(iterator),
                            .size = json_object_iter_key_len(iterator)};
    const message_field_t *field = field_find(reader_level(reader)->type, reader->name);
    return field == NULL ? fault_unknown_field(reader)
                         : value_accept(json, field, json_object_iter_value(iterator));
}

static bool levels_read(json_reader_t *json)
{
    message_reader_t *reader = &json->reader;
    while (reader->depth > 0) {
        const size_t level = reader->depth - 1;
        if (json->iterators[level] != NULL) {
            if (!pair_read(json)) {
                return false;
            }
            continue;
        }
        bool more;
        if (!reader_close_level(reader, &more) ||
            (more && !element_open(json, json->arrays[level]))) {
            return false;
        }
    }
    return true;
}

/* The path of a fault that was found before there was a document. */
static void path_from_scan(const json_scan_t *scan, message_fault_t *fault)
{
    for (size_t i = 0; i < scan->depth; i++) {
        const json_scan_level_t *level = &scan->levels[i];
        if (level->is_array) {
            fault_path_add_index(fault, level->index);
        } else if (level->key.data != NULL) {
            fault_path_add_name(fault, level->key);
        }
    }
}

static bool scan_check(json_reader_t *json, text_t input)
{
    message_reader_t *reader = &json->reader;
    json_scan_t scan;
    switch (json_scan(&scan, input, SIZE_MAX)) {
    case JSON_SCAN_OBJECT:
        return true;
    case JSON_SCAN_OTHER:
        return fault_set(reader, MESSAGE_FAULT_NOT_OBJECT, "the JSON text must be an object");
    case JSON_SCAN_TOO_DEEP:
        (void)fault_set(reader, MESSAGE_FAULT_TOO_DEEP, "arrays and objects may be nested %d deep",
                        MESSAGE_DEPTH_MAX);
        path_from_scan(&scan, reader->fault);
        return false;
    case JSON_SCAN_TOO_MANY:
        (void)fault_set(reader, MESSAGE_FAULT_TOO_LONG,
                        "the JSON text may have %d values in all; here are more",
                        MESSAGE_JSON_VALUES_MAX);
        path_from_scan(&scan, reader->fault);
        return false;
    default:
        if (scan.at >= input.size) {
            return fault_set(reader, MESSAGE_FAULT_MALFORMED,
                             "the JSON text ends where %s was expected", scan.expected);
        }
        return fault_set(reader, MESSAGE_FAULT_MALFORMED,
                         "at byte %zu of the JSON text: expected %s", scan.at + 1, scan.expected);
    }
}

/* Well-formed JSON that jansson did not take. It reports where; the scanner knows whose that is. */
static bool fault_from_parser(json_reader_t *json, text_t input, const json_error_t *error)
{
    message_reader_t *reader = &json->reader;
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        (void)fault_set(reader, MESSAGE_FAULT_DUPLICATE_FIELD, "a field is there twice");
        break;
    case json_error_numeric_overflow:
        (void)fault_set(reader, MESSAGE_FAULT_TOO_LONG, "a number is too large");
        break;
    case json_error_null_byte_in_key:
        (void)fault_set(reader, MESSAGE_FAULT_UNKNOWN_FIELD, "no field has a NUL in its name");
        break;
    case json_error_out_of_memory:
        return fault_set(reader, MESSAGE_FAULT_TOO_LARGE,
                         "there is no memory to read the JSON text");
    case json_error_invalid_syntax:
        (void)fault_set(reader, MESSAGE_FAULT_INVALID_VALUE,
                        "a text must not contain half of a surrogate pair");
        break;
    default:
        return fault_set(reader, MESSAGE_FAULT_MALFORMED, "the JSON text cannot be read");
    }
    json_scan_t scan;
    const size_t position = error->position > 0 ? (size_t)error->position - 1 : 0;
    (void)json_scan(&scan, input, position);
    path_from_scan(&scan, reader->fault);
    return false;
}

bool message_from_json(const message_type_t *type, text_t input, arena_t *arena, void *message,
                       message_fault_t *fault)
{
    json_reader_t json;
    message_reader_t *reader = &json.reader;
    reader_init(reader, MESSAGE_FORM_JSON, type, message, arena, fault);
    if (input.size == 0) {
        return fault_set(reader, MESSAGE_FAULT_MALFORMED, "the JSON text is empty");
    }
    if (input.size > MESSAGE_INPUT_SIZE_MAX) {
        return fault_set(reader, MESSAGE_FAULT_TOO_LARGE,
                         "the JSON text has %zu bytes, more than the %d that are read", input.size,
                         MESSAGE_INPUT_SIZE_MAX);
    }
    if (!utf8_is_valid(input)) {
        return fault_set(reader, MESSAGE_FAULT_NOT_UTF8, "the JSON text is not UTF-8");
    }
    if (!scan_check(&json, input)) {
        return false;
    }
    json_error_t error;
    json_t *document =
        json_loadb(input.data, input.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (document == NULL) {
        return fault_from_parser(&json, input, &error);
    }
    object_open(&json, document, NULL);
    const bool is_read = levels_read(&json);
    json_decref(document);
    return is_read;
}
