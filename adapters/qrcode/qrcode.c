/* actors/ports/qrcode.h with libqrencode: text to modules, and the two drawings that are text (SVG,
 * terminal). PNG is in qrcode_png.c. What it draws is a credential: it is never logged and never
 * written into a title or a comment of the drawing. */
#include "adapters/qrcode/qrcode.h"
#include "adapters/qrcode/qrcode_internal.h"
#include "runtime/limits.h"

#include <assert.h>
#include <errno.h>
#include <qrencode.h>
#include <stdio.h>

/* The set of alphanumeric mode (ISO/IEC 18004, 7.4.5), which is also that of base45. */
static bool is_alphanumeric(text_t text)
{
    static const char others[] = " $%*+-./:";
    for (size_t i = 0; i < text.size; i++) {
        const char character = text.data[i];
        const bool is_digit = character >= '0' && character <= '9';
        const bool is_upper = character >= 'A' && character <= 'Z';
        if (!is_digit && !is_upper && memchr(others, character, sizeof(others) - 1) == NULL) {
            return false;
        }
    }
    return true;
}

static result_t result_of_errno(void)
{
    return errno == ENOMEM ? RESULT_NO_MEMORY : RESULT_INVALID_ARGUMENT;
}

/* One segment in one mode: what QRcode_encodeString would split in smaller ones gains nothing for
 * our texts, and this way their version does not hang on a library's heuristic. */
result_t qrcode_symbol_create(text_t text, QRcode **symbol)
{
    *symbol = NULL;
    if (text_is_empty(text) || text.size > LIMIT_QRCODE_TEXT_SIZE) {
        return RESULT_INVALID_ARGUMENT;
    }
    QRinput *input = QRinput_new2(0, QR_ECLEVEL_Q);
    if (input == NULL) {
        return result_of_errno();
    }
    result_t result = RESULT_OK;
    const QRencodeMode mode = is_alphanumeric(text) ? QR_MODE_AN : QR_MODE_8;
    if (QRinput_append(input, mode, (int)text.size, (const unsigned char *)text.data) != 0) {
        result = result_of_errno();
    } else {
        *symbol = QRcode_encodeInput(input);
        if (*symbol == NULL) {
            result = result_of_errno();
        }
    }
    QRinput_free(input);
    return result;
}

bool qrcode_is_dark(const QRcode *symbol, int row, int column)
{
    if (row < 0 || column < 0 || row >= symbol->width || column >= symbol->width) {
        return false; /* the quiet zone */
    }
    return (symbol->data[(size_t)row * (size_t)symbol->width + (size_t)column] & 1U) != 0;
}

/* Text that grows in a buffer whose size was computed beforehand. */
typedef struct drawing {
    char *data;
    size_t size; /* bytes written */
    size_t capacity;
} drawing_t;

static void draw(drawing_t *drawing, const char *text)
{
    const size_t size = strlen(text);
    assert(size <= drawing->capacity - drawing->size);
    memcpy(drawing->data + drawing->size, text, size);
    drawing->size += size;
}

static void draw_number(drawing_t *drawing, int number)
{
    char digits[12];
    const int size = snprintf(digits, sizeof(digits), "%d", number);
    assert(size > 0);
    assert((size_t)size < sizeof(digits));
    draw(drawing, digits);
}

static bool drawing_create(drawing_t *drawing, size_t capacity)
{
    *drawing = (drawing_t){.data = malloc(capacity), .capacity = capacity};
    return drawing->data != NULL;
}

static void draw_run(drawing_t *drawing, int top, int left, int width)
{
    draw(drawing, "M");
    draw_number(drawing, left);
    draw(drawing, " ");
    draw_number(drawing, top);
    draw(drawing, "h");
    draw_number(drawing, width);
    draw(drawing, "v1h-");
    draw_number(drawing, width);
    draw(drawing, "z");
}

/* The white ground makes it readable on dark pages. */
static void draw_frame(drawing_t *drawing, int side)
{
    draw(drawing, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ");
    draw_number(drawing, side);
    draw(drawing, " ");
    draw_number(drawing, side);
    draw(drawing, "\" role=\"img\" shape-rendering=\"crispEdges\">"
                  "<title>QR code of the card</title><rect width=\"");
    draw_number(drawing, side);
    draw(drawing, "\" height=\"");
    draw_number(drawing, side);
    draw(drawing, "\" fill=\"#fff\"/><path fill=\"#000\" d=\"");
}

/* Dark modules as horizontal runs, each a rectangle of the one path: neighbours share edges of one
 * shape, so no renderer leaves hairlines between them. */
static void draw_runs(drawing_t *drawing, const QRcode *symbol)
{
    for (int row = 0; row < symbol->width; row++) {
        int column = 0;
        while (column < symbol->width) {
            int end = column;
            while (qrcode_is_dark(symbol, row, end)) {
                end++;
            }
            if (end > column) {
                draw_run(drawing, row + QRCODE_QUIET_ZONE, column + QRCODE_QUIET_ZONE,
                         end - column);
            }
            column = end + 1;
        }
    }
}

static result_t qrcode_svg(text_t text, char **out, size_t *size)
{
    QRcode *symbol = NULL;
    const result_t result = qrcode_symbol_create(text, &symbol);
    if (result != RESULT_OK) {
        return result;
    }
    /* At worst every second module starts a run of at most 24 characters ("M180 180h1v1h-1z"). */
    const size_t runs_max = (size_t)symbol->width * ((size_t)symbol->width / 2 + 1);
    drawing_t drawing;
    if (!drawing_create(&drawing, 512 + 24 * runs_max)) {
        QRcode_free(symbol);
        return RESULT_NO_MEMORY;
    }
    const int side = symbol->width + 2 * QRCODE_QUIET_ZONE;
    draw_frame(&drawing, side);
    draw_runs(&drawing, symbol);
    draw(&drawing, "\"/></svg>\n");
    QRcode_free(symbol);
    *out = drawing.data;
    *size = drawing.size;
    return RESULT_OK;
}

/* Two rows of modules per line of text. Both colours are set (entries of the 256-colour cube, which
 * themes leave alone), so that the code is dark on light whatever the terminal looks like. */
static void draw_line(drawing_t *drawing, const QRcode *symbol, int row)
{
    static const char *const halves[4] = {" ", "\u2580", "\u2584", "\u2588"};
    draw(drawing, "\033[38;5;16;48;5;231m");
    for (int column = -QRCODE_QUIET_ZONE; column < symbol->width + QRCODE_QUIET_ZONE; column++) {
        const unsigned upper = qrcode_is_dark(symbol, row, column) ? 1U : 0U;
        const unsigned lower = qrcode_is_dark(symbol, row + 1, column) ? 2U : 0U;
        draw(drawing, halves[upper | lower]);
    }
    draw(drawing, "\033[0m\n");
}

static result_t qrcode_terminal(text_t text, char **out, size_t *size)
{
    QRcode *symbol = NULL;
    const result_t result = qrcode_symbol_create(text, &symbol);
    if (result != RESULT_OK) {
        return result;
    }
    const size_t side = (size_t)symbol->width + (size_t)2 * QRCODE_QUIET_ZONE;
    drawing_t drawing;
    /* A half block is three bytes; the colours of a line are 25. */
    if (!drawing_create(&drawing, (side / 2 + 1) * (3 * side + 32))) {
        QRcode_free(symbol);
        return RESULT_NO_MEMORY;
    }
    for (int row = -QRCODE_QUIET_ZONE; row < symbol->width + QRCODE_QUIET_ZONE; row += 2) {
        draw_line(&drawing, symbol, row);
    }
    QRcode_free(symbol);
    *out = drawing.data;
    *size = drawing.size;
    return RESULT_OK;
}

const qrcode_functions_t qrcode_functions = {
    .svg = qrcode_svg,
    .png = qrcode_png,
    .terminal = qrcode_terminal,
};
