/* Documents of the membership context: what they must say, and what is overlooked. Unknown members
 * are overlooked, since the other side may be newer. */
#include "adapters/membership/membership_internal.h"

#include "messages/msgpack_cursor.h"
#include "messages/rfc3339.h"

enum { DEPTH_MAX = 8, NODES_MAX = 16384, TEXT_MAX = 1 << 16, EVENT_VERSION = 1 };

/* --- Reading --- */

/* jansson calls itself for each level: deep texts are refused before it sees them. */
static bool is_shallow(const char *data, size_t size)
{
    size_t depth = 0;
    bool is_string = false;
    for (size_t i = 0; i < size; i++) {
        if (is_string) {
            if (data[i] == '\\') {
                i++; /* whatever it escapes */
            } else {
                is_string = data[i] != '"';
            }
        } else if (data[i] == '"') {
            is_string = true;
        } else if (data[i] == '{' || data[i] == '[') {
            depth++;
            if (depth > DEPTH_MAX) {
                return false;
            }
        } else if ((data[i] == '}' || data[i] == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

json_t *membership_read_json(const char *data, size_t size)
{
    if (size == 0 || !is_shallow(data, size)) {
        return NULL;
    }
    json_t *document = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
    if (document != NULL && !json_is_object(document)) {
        json_decref(document);
        return NULL;
    }
    return document;
}

/* An array or object that is being filled. */
typedef struct filling {
    json_t *container;
    uint64_t left;
} filling_t;

static json_t *scalar(const msgpack_value_t *value)
{
    switch (value->kind) {
    case MSGPACK_BOOL:
        return json_boolean(value->number != 0);
    case MSGPACK_UNSIGNED:
        return value->number > INT64_MAX ? json_null() : json_integer((json_int_t)value->number);
    case MSGPACK_NEGATIVE:
        return json_integer((json_int_t)value->number);
    case MSGPACK_FLOAT:
        return json_real(value->real); /* NULL when it is no number */
    case MSGPACK_TEXT:
        return value->data.size > TEXT_MAX ? NULL
                                           : json_stringn(value->data.data, value->data.size);
    case MSGPACK_ARRAY:
        return json_array();
    case MSGPACK_MAP:
        return json_object();
    default:
        return json_null(); /* bytes and extensions: nothing here has them */
    }
}

static bool read_value(msgpack_cursor_t *cursor, json_t **out, uint64_t *children)
{
    msgpack_value_t value;
    if (!msgpack_read(cursor, &value)) {
        return false;
    }
    *out = scalar(&value);
    *children = value.kind == MSGPACK_ARRAY || value.kind == MSGPACK_MAP ? value.number : 0;
    return *out != NULL;
}

static bool put(const filling_t *parent, text_t key, json_t *value)
{
    return json_is_array(parent->container)
               ? json_array_append_new(parent->container, value) == 0
               : json_object_setn_new(parent->container, key.data, key.size, value) == 0;
}

/* Fills what is under `root`, level by level. */
static bool fill(msgpack_cursor_t *cursor, json_t *root, uint64_t children)
{
    filling_t stack[DEPTH_MAX];
    size_t depth = 1;
    stack[0] = (filling_t){root, children};
    for (uint32_t nodes = 0; depth > 0; nodes++) {
        filling_t *top = &stack[depth - 1];
        if (top->left == 0) {
            depth--;
            continue;
        }
        top->left--;
        msgpack_value_t key = {0};
        const bool needs_key = json_is_object(top->container);
        if (nodes >= NODES_MAX ||
            (needs_key && (!msgpack_read(cursor, &key) || key.kind != MSGPACK_TEXT))) {
            return false;
        }
        json_t *value = NULL;
        uint64_t more = 0;
        if (!read_value(cursor, &value, &more) || !put(top, key.data, value)) {
            return false;
        }
        if (more > 0) {
            if (depth == DEPTH_MAX) {
                return false;
            }
            stack[depth] = (filling_t){value, more};
            depth++;
        }
    }
    return true;
}

json_t *membership_read_msgpack(const void *data, size_t size)
{
    msgpack_cursor_t cursor = {.at = data, .end = (const uint8_t *)data + size};
    json_t *root = NULL;
    uint64_t children = 0;
    if (!read_value(&cursor, &root, &children)) {
        return NULL;
    }
    if (!json_is_object(root) || !fill(&cursor, root, children) || cursor.at != cursor.end) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* --- Values --- */

/* Empty when it is no text, longer than `size_max`, or has a control character. */
static text_t text_of(const json_t *object, const char *name, size_t size_max)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) {
        return TEXT_NONE;
    }
    const text_t text = {.data = json_string_value(value), .size = json_string_length(value)};
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) {
            return TEXT_NONE;
        }
    }
    return text.size <= size_max ? text : TEXT_NONE;
}

/* 0: none, or none that can be used. */
static int64_t time_of(const json_t *object, const char *name)
{
    int64_t time_ms = 0;
    const text_t text = text_of(object, name, RFC3339_TEXT_SIZE + 16);
    return rfc3339_parse(text, &time_ms) ? time_ms : 0;
}

/* --- Documents --- */

void membership_parse_member(const membership_call_t *call, const json_t *document,
                             membership_answer_t *answer)
{
    const text_t member = text_of(document, "member_id", sizeof call->member_id);
    const text_t status = text_of(document, "status", 32);
    const text_t wanted = {.data = call->member_id, .size = call->member_size};
    if (!text_equal(member, wanted)) {
        answer->failure = "the answer is of another member";
    } else if (!enum_parse(&member_status_enum, status, &answer->status) ||
               answer->status == member_status_missing) {
        answer->failure = "the answer has no status that is known";
    } else {
        answer->valid_until = time_of(document, "valid_until");
    }
}

static bool needs_end(uint8_t name)
{
    return name == member_event_name_renewed;
}

bool membership_parse_event(const char *name, const json_t *header, const json_t *body,
                            member_event_t *event)
{
    *event = (member_event_t){0};
    const json_t *sequence = json_object_get(header, "sequence");
    const json_int_t number = json_integer_value(sequence);
    if (!json_is_integer(sequence) || number < 1 || number > INT64_C(9007199254740991)) {
        return false;
    }
    MESSAGE_SET(member_event, event, sequence, (uint64_t)number);
    MESSAGE_SET(member_event, event, event_id, text_of(header, "event_id", 64));
    const json_t *version = json_object_get(header, "v");
    uint8_t kind = 0;
    const bool is_known =
        name != NULL && enum_parse(&member_event_name_enum, text_from_c(name), &kind);
    if (!is_known) {
        return true; /* means nothing here */
    }
    const text_t member = text_of(body, "member_id", 128);
    const int64_t valid_until = time_of(body, "valid_until");
    const int64_t occurred_at = time_of(header, "occurred_at");
    const text_t reason = text_of(body, "reason", 256);
    const bool is_later = version != NULL && json_integer_value(version) != EVENT_VERSION;
    if (is_later || text_is_empty(member) || (needs_end(kind) && valid_until == 0)) {
        MESSAGE_SET(member_event, event, is_dead, true);
    } else {
        MESSAGE_SET(member_event, event, name, kind);
    }
    if (!text_is_empty(member)) {
        MESSAGE_SET(member_event, event, member_id, member);
    }
    if (valid_until > 0) {
        MESSAGE_SET(member_event, event, valid_until, valid_until);
    }
    if (occurred_at > 0) {
        MESSAGE_SET(member_event, event, occurred_at, occurred_at);
    }
    if (!text_is_empty(reason)) {
        MESSAGE_SET(member_event, event, reason, reason);
    }
    return true;
}

void membership_parse_page(membership_adapter_t *adapter, const json_t *document,
                           membership_answer_t *answer)
{
    const json_t *items = json_object_get(document, "items");
    if (!json_is_array(items) || json_array_size(items) > LIMIT_MEMBERSHIP_PAGE) {
        answer->failure = "the page has no items, or more than were asked for";
        return;
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        member_event_t *event = &adapter->events[i];
        const char *name = json_string_value(json_object_get(item, "name"));
        if (!membership_parse_event(name, item, item, event) ||
            (i > 0 && event->sequence <= event[-1].sequence)) {
            answer->failure = "the page has events out of order or without a sequence";
            return;
        }
    }
    answer->events = adapter->events;
    answer->event_count = json_array_size(items);
}
