/* Writes log lines: one JSON object, one write(2). Must not allocate, must not fail its caller and
 * must not make it wait for whoever reads them: a line that cannot be written is lost. Level and
 * role belong to the whole process and stand in the one static struct below, so that any thread and
 * any layer can log without being handed a logger; the level is atomic, the role is written before
 * the first thread starts. */
#include "runtime/log.h"

#include "runtime/clock.h"
#include "runtime/limits.h"
#include "runtime/output.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    _Atomic int level_min;
    _Atomic uint32_t lines_lost; /* since the last one that was written */
    char role[LIMIT_ROLE_NAME_SIZE + 1];
} log_process = {.level_min = LOG_INFO_LEVEL};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
enum { LEVELS = sizeof(level_names) / sizeof(level_names[0]) };

/* What every line ends with, cut or not: the mark of a cut, the quote, the brace, the newline. */
static const char cut_mark[] = "\xE2\x80\xA6";
enum { LINE_END_SIZE = sizeof(cut_mark) - 1 + 3 };

typedef struct log_line {
    char bytes[LIMIT_LOG_LINE_SIZE];
    size_t size;
    bool is_cut; /* nothing more is added */
} log_line_t;

/* Room below what the end of the line needs. */
static size_t line_room(const log_line_t *line)
{
    return sizeof(line->bytes) - LINE_END_SIZE - line->size;
}

static void line_add_raw(log_line_t *line, const char *bytes, size_t size)
{
    memcpy(line->bytes + line->size, bytes, size);
    line->size += size;
}

/* Length of the well-formed UTF-8 sequence at `bytes` (RFC 3629: shortest form, no surrogates, up
 * to U+10FFFF), 0 when there is none. */
static size_t utf8_sequence_size(const unsigned char *bytes, size_t size)
{
    const unsigned char first = bytes[0];
    if (first < 0x80) {
        return 1;
    }
    const size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                          : first >= 0xE0 && first <= 0xEF ? 3
                          : first >= 0xF0 && first <= 0xF4 ? 4
                                                           : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    const unsigned char second_min = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned char second_max = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (bytes[1] < second_min || bytes[1] > second_max) {
        return 0;
    }
    for (size_t index = 2; index < length; index++) {
        if ((bytes[index] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

/* What follows the backslash in the short escapes of RFC 8259, '\0' for other characters. */
static char escape_letter(char character)
{
    switch (character) {
    case '"':
    case '\\':
        return character;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

/* Puts the JSON form of the next character of `bytes` into `out` (up to 6 bytes), returns its size
 * and tells how many bytes of input it stands for. */
static size_t escape_character(const unsigned char *bytes, size_t size, char out[8], size_t *taken)
{
    static const char hexadecimal[] = "0123456789abcdef";
    const size_t length = utf8_sequence_size(bytes, size);
    *taken = length == 0 ? 1 : length;
    if (length == 0) {
        static const char replacement[] = {'\xEF', '\xBF', '\xBD'}; /* U+FFFD */
        memcpy(out, replacement, sizeof(replacement));
        return sizeof(replacement);
    }
    if (length > 1) {
        memcpy(out, bytes, length);
        return length;
    }
    const char character = (char)bytes[0];
    const char letter = escape_letter(character);
    if (letter != '\0') {
        out[0] = '\\';
        out[1] = letter;
        return 2;
    }
    if (bytes[0] < ' ') {
        static const char escape[] = {'\\', 'u', '0', '0'};
        memcpy(out, escape, sizeof(escape));
        out[4] = hexadecimal[bytes[0] >> 4];
        out[5] = hexadecimal[bytes[0] & 15];
        return 6;
    }
    out[0] = character;
    return 1;
}

/* Adds `"escaped bytes"`. Cut where the line is full; then the value ends with an ellipsis. */
static void line_add_text(log_line_t *line, const char *text, size_t size)
{
    const unsigned char *const bytes = (const unsigned char *)text;
    line_add_raw(line, "\"", 1);
    for (size_t index = 0; index < size;) {
        char escaped[8];
        size_t taken = 0;
        const size_t escaped_size = escape_character(bytes + index, size - index, escaped, &taken);
        if (escaped_size > line_room(line)) {
            line_add_raw(line, cut_mark, sizeof(cut_mark) - 1);
            line->is_cut = true;
            break;
        }
        line_add_raw(line, escaped, escaped_size);
        index += taken;
    }
    line_add_raw(line, "\"", 1);
}

/* A field that does not fit with its name is left out, and so is what follows. */
static void line_add_field(log_line_t *line, const log_field_t *field)
{
    enum { NUMBER_SIZE_MAX = 24, PUNCTUATION_SIZE = 8 };
    const size_t name_size = strlen(field->name); /* a literal of ours: nothing to escape */
    if (line->is_cut || line_room(line) < name_size + NUMBER_SIZE_MAX + PUNCTUATION_SIZE) {
        line->is_cut = true;
        return;
    }
    line_add_raw(line, ",\"", 2);
    line_add_raw(line, field->name, name_size);
    line_add_raw(line, "\":", 2);
    if (field->kind == LOG_FIELD_TEXT) {
        line_add_text(line, field->text == NULL ? "" : field->text,
                      field->text == NULL ? 0 : field->text_size);
    } else {
        char number[NUMBER_SIZE_MAX];
        const int size = snprintf(number, sizeof(number), "%lld", (long long)field->integer);
        line_add_raw(line, number, (size_t)size);
    }
}

static void line_begin(log_line_t *line, log_level_t level)
{
    char time[CLOCK_TEXT_SIZE];
    const size_t time_size = clock_text(clock_wall_ms(), time);
    line_add_raw(line, "{\"time\":", 8);
    line_add_text(line, time, time_size);
    const log_field_t level_field = log_field_string("level", level_names[level]);
    line_add_field(line, &level_field);
    const log_field_t role_field = log_field_string("role", log_process.role);
    line_add_field(line, &role_field);
    const log_field_t pid = LOG_NUMBER("pid", getpid());
    line_add_field(line, &pid);
}

static bool line_write(const log_line_t *line, bool is_behind)
{
    static_assert(LIMIT_LOG_LINE_SIZE <= PIPE_BUF, "a pipe that is not full takes it as a whole");
    /* A reader that is merely behind is waited for, once. */
    if (!output_has_room(STDERR_FILENO, is_behind ? 0 : LIMIT_LOG_WAIT_MS)) {
        return false;
    }
    size_t written = 0;
    while (written < line->size) {
        const ssize_t size = write(STDERR_FILENO, line->bytes + written, line->size - written);
        if (size > 0) {
            written += (size_t)size;
        } else if (size == 0 || errno != EINTR) {
            return false; /* closed: the service goes on without this line */
        }
    }
    return true;
}

log_field_t log_field_string(const char *name, const char *string)
{
    return (log_field_t){name, LOG_FIELD_TEXT, string, string == NULL ? 0 : strlen(string), 0};
}

void log_start(const char *role, log_level_t level_min)
{
    assert(role != NULL);
    const size_t size = strnlen(role, LIMIT_ROLE_NAME_SIZE);
    memcpy(log_process.role, role, size);
    log_process.role[size] = '\0';
    log_set_level(level_min);
}

void log_set_level(log_level_t level_min)
{
    assert((unsigned)level_min <= LOG_SILENT_LEVEL);
    atomic_store_explicit(&log_process.level_min, (int)level_min, memory_order_relaxed);
}

_Bool log_level_parse(const char *name, log_level_t *level)
{
    for (unsigned index = 0; index < LEVELS; index++) {
        if (strcmp(name, level_names[index]) == 0) {
            *level = (log_level_t)index;
            return true;
        }
    }
    return false;
}

void log_write(log_level_t level, const char *message, const log_field_t *fields,
               size_t field_count)
{
    assert((unsigned)level < LEVELS);
    if ((int)level < atomic_load_explicit(&log_process.level_min, memory_order_relaxed)) {
        return;
    }
    const int errno_of_caller = errno;
    log_line_t line;
    line.size = 0;
    line.is_cut = false;
    line_begin(&line, level);
    const log_field_t message_field = log_field_string("message", message);
    line_add_field(&line, &message_field);
    for (size_t index = 0; index < field_count; index++) {
        line_add_field(&line, &fields[index]);
    }
    const uint32_t lost = atomic_exchange(&log_process.lines_lost, 0);
    if (lost > 0) {
        const log_field_t lost_field = LOG_NUMBER("lines_lost", lost);
        line_add_field(&line, &lost_field);
    }
    line_add_raw(&line, "}\n", 2);
    if (!line_write(&line, lost > 0)) {
        atomic_fetch_add(&log_process.lines_lost, lost + 1);
    }
    errno = errno_of_caller;
}
