/* The scanner: a loop over tokens with an explicit stack. It decodes no escapes and no numbers. */
#include "messages/json_scan.h"

/* What may come next. */
typedef enum expecting {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* just after [ */
    EXPECT_KEY,
    EXPECT_KEY_OR_END, /* just after { */
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING, /* the one value is complete */
} expecting_t;

static uint8_t byte_at(const json_scan_t *scan)
{
    return scan->at < scan->input.size ? (uint8_t)scan->input.data[scan->at] : 0;
}

static void blanks_skip(json_scan_t *scan)
{
    while (scan->at < scan->input.size) {
        const char c = scan->input.data[scan->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return;
        }
        scan->at++;
    }
}

static bool refuse(json_scan_t *scan, const char *expected)
{
    scan->expected = expected;
    return false;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool digits_scan(json_scan_t *scan)
{
    if (!is_digit(byte_at(scan))) {
        return refuse(scan, "a digit");
    }
    while (is_digit(byte_at(scan))) {
        scan->at++;
    }
    return true;
}

static bool number_scan(json_scan_t *scan)
{
    if (byte_at(scan) == '-') {
        scan->at++;
    }
    if (byte_at(scan) == '0') {
        scan->at++;
    } else if (!digits_scan(scan)) {
        return false;
    }
    if (byte_at(scan) == '.') {
        scan->at++;
        if (!digits_scan(scan)) {
            return false;
        }
    }
    if ((byte_at(scan) | 0x20) == 'e') {
        scan->at++;
        if (byte_at(scan) == '+' || byte_at(scan) == '-') {
            scan->at++;
        }
        return digits_scan(scan);
    }
    return true;
}

static bool is_hex_digit(uint8_t byte)
{
    const uint8_t lower = byte | 0x20;
    return is_digit(byte) || (lower >= 'a' && lower <= 'f');
}

/* What follows a backslash. */
static bool escape_scan(json_scan_t *scan)
{
    const uint8_t byte = byte_at(scan);
    if (byte == 0 || strchr("\"\\/bfnrtu", byte) == NULL) {
        return refuse(scan, "one of \"\\/bfnrtu after the backslash");
    }
    scan->at++;
    for (size_t i = 0; byte == 'u' && i < 4; i++) {
        if (!is_hex_digit(byte_at(scan))) {
            return refuse(scan, "four hexadecimal digits");
        }
        scan->at++;
    }
    return true;
}

/* `text` gets what stands between the quotes. */
static bool string_scan(json_scan_t *scan, text_t *text)
{
    scan->at++;
    const size_t start = scan->at;
    while (scan->at < scan->input.size) {
        const uint8_t byte = byte_at(scan);
        if (byte == '"') {
            *text = (text_t){.data = scan->input.data + start, .size = scan->at - start};
            scan->at++;
            return true;
        }
        if (byte < 0x20) {
            return refuse(scan, "control characters written as escapes");
        }
        scan->at++;
        if (byte == '\\' && !escape_scan(scan)) {
            return false;
        }
    }
    return refuse(scan, "the closing quote of a string");
}

static bool word_scan(json_scan_t *scan, text_t word)
{
    const text_t rest = {.data = scan->input.data + scan->at, .size = scan->input.size - scan->at};
    if (!text_starts_with(rest, word)) {
        return refuse(scan, "a value");
    }
    scan->at += word.size;
    return true;
}

/* A value that is no array and no object. */
static bool scalar_scan(json_scan_t *scan)
{
    text_t text;
    switch (byte_at(scan)) {
    case '"':
        return string_scan(scan, &text);
    case 't':
        return word_scan(scan, TEXT_LITERAL("true"));
    case 'f':
        return word_scan(scan, TEXT_LITERAL("false"));
    case 'n':
        return word_scan(scan, TEXT_LITERAL("null"));
    case '-':
        return number_scan(scan);
    default:
        return is_digit(byte_at(scan)) ? number_scan(scan) : refuse(scan, "a value");
    }
}

/* After a whole value. */
static expecting_t after_value(const json_scan_t *scan)
{
    return scan->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static json_scan_result_t value_step(json_scan_t *scan, expecting_t *expecting)
{
    const uint8_t byte = byte_at(scan);
    scan->values++;
    if (scan->values > MESSAGE_JSON_VALUES_MAX) {
        return JSON_SCAN_TOO_MANY;
    }
    if (byte != '{' && byte != '[') {
        const bool scanned = scalar_scan(scan);
        *expecting = after_value(scan);
        return scanned ? JSON_SCAN_OBJECT : JSON_SCAN_MALFORMED;
    }
    if (scan->depth == MESSAGE_DEPTH_MAX) {
        return JSON_SCAN_TOO_DEEP;
    }
    scan->levels[scan->depth] = (json_scan_level_t){.is_array = byte == '['};
    scan->depth++;
    scan->at++;
    *expecting = byte == '[' ? EXPECT_VALUE_OR_END : EXPECT_KEY_OR_END;
    return JSON_SCAN_OBJECT;
}

static json_scan_result_t key_step(json_scan_t *scan, expecting_t *expecting)
{
    if (byte_at(scan) != '"') {
        scan->expected = "a key in quotes";
        return JSON_SCAN_MALFORMED;
    }
    if (!string_scan(scan, &scan->levels[scan->depth - 1].key)) {
        return JSON_SCAN_MALFORMED;
    }
    if (scan->at > scan->stop) {
        return JSON_SCAN_STOPPED;
    }
    blanks_skip(scan);
    if (byte_at(scan) != ':') {
        scan->expected = "a colon";
        return JSON_SCAN_MALFORMED;
    }
    scan->at++;
    *expecting = EXPECT_VALUE;
    return JSON_SCAN_OBJECT;
}

static json_scan_result_t comma_step(json_scan_t *scan, expecting_t *expecting)
{
    json_scan_level_t *level = &scan->levels[scan->depth - 1];
    const uint8_t byte = byte_at(scan);
    if (byte == (level->is_array ? ']' : '}')) {
        scan->at++;
        scan->depth--;
        *expecting = after_value(scan);
        return JSON_SCAN_OBJECT;
    }
    if (byte != ',') {
        scan->expected = level->is_array ? "a comma or ]" : "a comma or }";
        return JSON_SCAN_MALFORMED;
    }
    scan->at++;
    level->index++;
    *expecting = level->is_array ? EXPECT_VALUE : EXPECT_KEY;
    return JSON_SCAN_OBJECT;
}

static json_scan_result_t step(json_scan_t *scan, expecting_t *expecting)
{
    const uint8_t byte = byte_at(scan);
    switch (*expecting) {
    case EXPECT_VALUE_OR_END:
        return byte == ']' ? comma_step(scan, expecting) : value_step(scan, expecting);
    case EXPECT_KEY_OR_END:
        return byte == '}' ? comma_step(scan, expecting) : key_step(scan, expecting);
    case EXPECT_VALUE:
        return value_step(scan, expecting);
    case EXPECT_KEY:
        return key_step(scan, expecting);
    default:
        return comma_step(scan, expecting);
    }
}

json_scan_result_t json_scan(json_scan_t *scan, text_t input, size_t stop)
{
    scan->input = input;
    scan->at = 0;
    scan->stop = stop;
    scan->depth = 0;
    scan->values = 0;
    scan->expected = "";
    expecting_t expecting = EXPECT_VALUE;
    blanks_skip(scan);
    const bool is_object = byte_at(scan) == '{';
    /* Every step passes a byte at least, so the input bounds the loop. */
    while (expecting != EXPECT_NOTHING) {
        const json_scan_result_t result = step(scan, &expecting);
        if (result != JSON_SCAN_OBJECT) {
            return result;
        }
        if (scan->at > scan->stop) {
            return JSON_SCAN_STOPPED;
        }
        blanks_skip(scan);
    }
    if (scan->at != input.size) {
        scan->expected = "the end";
        return JSON_SCAN_MALFORMED;
    }
    return is_object ? JSON_SCAN_OBJECT : JSON_SCAN_OTHER;
}
