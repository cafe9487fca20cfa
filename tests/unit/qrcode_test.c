/* Drawings of codes, read back module by module: whatever is drawn must be the symbol that the
 * library computed, framed by its quiet zone, and zbarimg must read it. */
#include "adapters/qrcode/qrcode.h"
#include "adapters/qrcode/qrcode_internal.h"
#include "runtime/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <png.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIDE_OF_OURS = 41, MODULES_OF_OURS = 33, SIDE_MAX = 185 };

static const text_t our_text =
    TEXT_LITERAL("DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2");

static QRcode *symbol_of(text_t text)
{
    QRcode *symbol = NULL;
    assert_int_equal(qrcode_symbol_create(text, &symbol), RESULT_OK);
    return symbol;
}

/* Drawn modules, quiet zone included. */
typedef struct picture {
    int side;
    bool dark[SIDE_MAX][SIDE_MAX];
} picture_t;

static void assert_shows(const picture_t *picture, text_t text)
{
    QRcode *symbol = symbol_of(text);
    assert_int_equal(picture->side, symbol->width + 8);
    for (int row = 0; row < picture->side; row++) {
        for (int column = 0; column < picture->side; column++) {
            assert_int_equal(picture->dark[row][column],
                             qrcode_is_dark(symbol, row - 4, column - 4));
        }
    }
    QRcode_free(symbol);
}

static void qrcode_of_our_text_is_version_4_alphanumeric(void **context)
{
    (void)context;
    QRcode *symbol = symbol_of(our_text);
    assert_int_equal(our_text.size, 66);
    assert_int_equal(symbol->version, 4);
    assert_int_equal(symbol->width, MODULES_OF_OURS);
    QRcode_free(symbol);
    /* 67 characters is all that 4-Q holds in alphanumeric mode, 46 bytes in byte mode. */
    symbol = symbol_of(
        TEXT_LITERAL("DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2AB"));
    assert_int_equal(symbol->version, 5);
    QRcode_free(symbol);
}

static void qrcode_of_other_text_uses_bytes(void **context)
{
    (void)context;
    char upper[46];
    char lower[46];
    memset(upper, 'A', sizeof(upper));
    memset(lower, 'a', sizeof(lower));
    QRcode *alphanumeric = symbol_of((text_t){upper, sizeof(upper)});
    QRcode *bytes = symbol_of((text_t){lower, sizeof(lower)});
    assert_int_equal(alphanumeric->version, 3);
    assert_int_equal(bytes->version, 4);
    QRcode_free(alphanumeric);
    QRcode_free(bytes);
}

static int number_at(const char **cursor)
{
    int value = 0;
    assert_true(**cursor >= '0' && **cursor <= '9');
    while (**cursor >= '0' && **cursor <= '9') {
        value = value * 10 + (**cursor - '0');
        (*cursor)++;
    }
    return value;
}

static void expect(const char **cursor, const char *literal)
{
    assert_memory_equal(*cursor, literal, strlen(literal));
    *cursor += strlen(literal);
}

static void svg_to_picture(const char *svg, picture_t *picture)
{
    const char *cursor = svg;
    memset(picture, 0, sizeof(*picture));
    expect(&cursor, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ");
    picture->side = number_at(&cursor);
    cursor = strstr(cursor, " d=\"");
    assert_non_null(cursor);
    expect(&cursor, " d=\"");
    while (*cursor == 'M') {
        expect(&cursor, "M");
        const int left = number_at(&cursor);
        expect(&cursor, " ");
        const int top = number_at(&cursor);
        expect(&cursor, "h");
        const int width = number_at(&cursor);
        expect(&cursor, "v1h-");
        assert_int_equal(number_at(&cursor), width);
        expect(&cursor, "z");
        for (int i = 0; i < width; i++) {
            assert_true(left + i < picture->side);
            picture->dark[top][left + i] = true;
        }
    }
    expect(&cursor, "\"/></svg>\n");
    assert_int_equal(*cursor, '\0');
}

/* Enough of XML for what we write: tags nest, attributes are quoted, nothing needs escaping. */
static void assert_well_formed(const char *svg)
{
    int depth = 0;
    for (const char *tag = strchr(svg, '<'); tag != NULL; tag = strchr(tag + 1, '<')) {
        const char *end = strchr(tag, '>');
        assert_non_null(end);
        unsigned quotes = 0;
        for (const char *at = tag; at < end; at++) {
            quotes += *at == '"' ? 1U : 0U;
        }
        assert_int_equal(quotes % 2, 0);
        if (tag[1] == '/') {
            depth--;
        } else if (end[-1] != '/') {
            depth++;
        }
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
    assert_null(strchr(svg, '&'));
}

static char *svg_of(text_t text)
{
    char *svg = NULL;
    size_t size = 0;
    assert_int_equal(qrcode_functions.svg(text, &svg, &size), RESULT_OK);
    svg = realloc(svg, size + 1);
    assert_non_null(svg);
    svg[size] = '\0';
    assert_int_equal(strlen(svg), size);
    return svg;
}

static void qrcode_svg_draws_the_symbol(void **context)
{
    (void)context;
    static picture_t picture;
    char *svg = svg_of(our_text);
    assert_well_formed(svg);
    svg_to_picture(svg, &picture);
    assert_int_equal(picture.side, SIDE_OF_OURS);
    assert_shows(&picture, our_text);
    assert_non_null(strstr(svg, "role=\"img\""));
    assert_non_null(strstr(svg, "<title>"));
    assert_non_null(strstr(svg, "shape-rendering=\"crispEdges\""));
    free(svg);
}

static void qrcode_svg_repeats_nothing_of_the_text(void **context)
{
    (void)context;
    char *svg = svg_of(TEXT_LITERAL("<script>alert(1)</script>&\"SECRET"));
    assert_well_formed(svg);
    assert_null(strstr(svg, "script"));
    assert_null(strstr(svg, "SECRET"));
    free(svg);
}

static void qrcode_svg_draws_the_largest_text(void **context)
{
    (void)context;
    static picture_t picture;
    static char text[1024];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)('a' + i * 7 % 26);
    }
    char *svg = svg_of((text_t){text, sizeof(text)});
    svg_to_picture(svg, &picture);
    assert_shows(&picture, (text_t){text, sizeof(text)});
    free(svg);
}

typedef struct png_source {
    const uint8_t *data;
    size_t size;
} png_source_t;

static void read_done(png_structp reader, png_bytep out, png_size_t size)
{
    png_source_t *source = png_get_io_ptr(reader);
    assert_true(size <= source->size);
    memcpy(out, source->data, size);
    source->data += size;
    source->size -= size;
}

static void png_to_picture(const uint8_t *data, size_t size, uint32_t pixels, picture_t *picture)
{
    static uint8_t row[SIDE_MAX * 32 / 8];
    png_source_t source = {data, size};
    png_colorp palette = NULL;
    int colours = 0;
    memset(picture, 0, sizeof(*picture));
    assert_int_equal(png_sig_cmp(data, 0, 8), 0);
    png_structp reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop information = png_create_info_struct(reader);
    png_set_read_fn(reader, &source, read_done);
    png_read_info(reader, information);
    assert_int_equal(png_get_bit_depth(reader, information), 1);
    assert_int_equal(png_get_color_type(reader, information), PNG_COLOR_TYPE_PALETTE);
    assert_int_equal(png_get_PLTE(reader, information, &palette, &colours), PNG_INFO_PLTE);
    assert_int_equal(colours, 2);
    assert_int_equal(png_get_image_width(reader, information),
                     png_get_image_height(reader, information));
    const uint32_t side = png_get_image_width(reader, information);
    assert_int_equal(side % pixels, 0);
    picture->side = (int)(side / pixels);
    for (uint32_t y = 0; y < side; y++) {
        png_read_row(reader, row, NULL);
        for (uint32_t x = 0; x < side; x++) {
            const png_color colour = palette[(row[x / 8] >> (7 - x % 8)) & 1];
            const bool is_dark = colour.red == 0;
            assert_true(colour.red == colour.green && colour.green == colour.blue);
            assert_true(colour.red == 0 || colour.red == 255);
            bool *module = &picture->dark[y / pixels][x / pixels];
            if (y % pixels == 0 && x % pixels == 0) {
                *module = is_dark;
            }
            assert_int_equal(*module, is_dark);
        }
    }
    png_read_end(reader, NULL);
    assert_int_equal(source.size, 0);
    png_destroy_read_struct(&reader, &information, NULL);
}

static void qrcode_png_draws_the_symbol_at_every_scale(void **context)
{
    (void)context;
    static picture_t picture;
    for (uint32_t pixels = 1; pixels <= 32; pixels++) {
        uint8_t *png = NULL;
        size_t size = 0;
        assert_int_equal(qrcode_functions.png(our_text, pixels, &png, &size), RESULT_OK);
        png_to_picture(png, size, pixels, &picture);
        assert_shows(&picture, our_text);
        free(png);
    }
}

/* Runs `zbarimg` on the file and gives what it wrote; false when there is no such program. */
static bool zbarimg_read(const char *file, char *out, size_t size)
{
    int ends[2];
    pid_t child = 0;
    int status = 0;
    char *arguments[] = {(char *)(uintptr_t) "zbarimg", (char *)(uintptr_t) "--raw",
                         (char *)(uintptr_t) "-q",      (char *)(uintptr_t) "--nodbus",
                         (char *)(uintptr_t)file,       NULL};
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    const int error = posix_spawnp(&child, "zbarimg", &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    if (error == 0) {
        size_t used = 0;
        ssize_t got = 1;
        while (got > 0 && used < size - 1) {
            got = read(ends[0], out + used, size - 1 - used);
            used += got > 0 ? (size_t)got : 0;
        }
        out[used] = '\0';
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    (void)close(ends[0]);
    return error == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

static void qrcode_png_is_read_by_zbarimg(void **context)
{
    (void)context;
    static const text_t texts[] = {
        TEXT_LITERAL("DC1:V500001B0$-V35LHKJXZKW20T$NU9UTK404DJTLQJV/LB6UBRAE1QQS3100HW2"),
        TEXT_LITERAL("DC1:V50000N507GF+0O000000M20%20000000000030 +BU8GT9BV14Q7PQKQN+DD0"),
        TEXT_LITERAL("https://example.org/other?text=1"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char path[] = "/tmp/digitalcard-qr-XXXXXX";
        char out[256];
        uint8_t *png = NULL;
        size_t size = 0;
        assert_int_equal(qrcode_functions.png(texts[i], 4, &png, &size), RESULT_OK);
        const int file = mkstemp(path);
        assert_true(file >= 0);
        assert_int_equal(write(file, png, size), (ssize_t)size);
        (void)close(file);
        free(png);
        const bool was_read = zbarimg_read(path, out, sizeof(out));
        (void)unlink(path);
        assert_true(was_read); /* deploy/packages.sh test installs it */
        assert_int_equal(strlen(out), texts[i].size + 1);
        assert_memory_equal(out, texts[i].data, texts[i].size);
    }
}

static void qrcode_png_refuses_pictures_beyond_its_bound(void **context)
{
    (void)context;
    static char text[1024];
    uint8_t *png = NULL;
    size_t size = 0;
    memset(text, 'a', sizeof(text));
    QRcode *symbol = symbol_of((text_t){text, sizeof(text)});
    const uint32_t fits = LIMIT_QRCODE_SIDE_PIXELS / ((uint32_t)symbol->width + 8U);
    QRcode_free(symbol);
    assert_int_equal(qrcode_functions.png((text_t){text, sizeof(text)}, fits + 1, &png, &size),
                     RESULT_INVALID_ARGUMENT);
    assert_null(png);
    assert_int_equal(qrcode_functions.png((text_t){text, sizeof(text)}, fits, &png, &size),
                     RESULT_OK);
    free(png);
}

static void qrcode_png_refuses_scales_outside_its_bounds(void **context)
{
    (void)context;
    static const uint32_t scales[] = {0, 33, UINT32_MAX};
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        uint8_t *png = NULL;
        size_t size = 0;
        assert_int_equal(qrcode_functions.png(our_text, scales[i], &png, &size),
                         RESULT_INVALID_ARGUMENT);
        assert_null(png);
    }
}

static void terminal_to_picture(const char *text, picture_t *picture)
{
    const char *cursor = text;
    int row = 0;
    int width = 0;
    memset(picture, 0, sizeof(*picture));
    while (*cursor != '\0') {
        int column = 0;
        expect(&cursor, "\033[38;5;16;48;5;231m");
        while (*cursor != '\033') {
            unsigned halves = 0;
            if (*cursor == ' ') {
                cursor++;
            } else {
                const char last = cursor[2];
                halves = last == '\x80' ? 1U : last == '\x84' ? 2U : 3U;
                assert_true(halves != 3U || last == '\x88');
                expect(&cursor, "\xe2\x96");
                cursor++;
            }
            assert_true(column < SIDE_MAX && row + 1 < SIDE_MAX);
            picture->dark[row][column] = (halves & 1U) != 0;
            picture->dark[row + 1][column] = (halves & 2U) != 0;
            column++;
        }
        expect(&cursor, "\033[0m\n");
        assert_true(row == 0 || column == width);
        width = column;
        row += 2;
    }
    picture->side = width;
    assert_true(row == width || row == width + 1);
}

static void qrcode_terminal_draws_the_symbol(void **context)
{
    (void)context;
    static picture_t picture;
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(qrcode_functions.terminal(our_text, &text, &size), RESULT_OK);
    text = realloc(text, size + 1);
    assert_non_null(text);
    text[size] = '\0';
    terminal_to_picture(text, &picture);
    assert_shows(&picture, our_text);
    free(text);
}

static void qrcode_refuses_empty_and_endless_texts(void **context)
{
    (void)context;
    static char text[1025];
    memset(text, 'a', sizeof(text));
    const text_t wrong[] = {TEXT_NONE, {text, 0}, {text, sizeof(text)}, {text, SIZE_MAX}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char *drawing = NULL;
        uint8_t *png = NULL;
        size_t size = 0;
        assert_int_equal(qrcode_functions.svg(wrong[i], &drawing, &size), RESULT_INVALID_ARGUMENT);
        assert_int_equal(qrcode_functions.terminal(wrong[i], &drawing, &size),
                         RESULT_INVALID_ARGUMENT);
        assert_int_equal(qrcode_functions.png(wrong[i], 4, &png, &size), RESULT_INVALID_ARGUMENT);
        assert_null(drawing);
        assert_null(png);
    }
}

static void qrcode_draws_any_bytes(void **context)
{
    (void)context;
    static picture_t picture;
    char bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)i; /* NUL included */
    }
    char *svg = svg_of((text_t){bytes, sizeof(bytes)});
    svg_to_picture(svg, &picture);
    assert_shows(&picture, (text_t){bytes, sizeof(bytes)});
    free(svg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qrcode_of_our_text_is_version_4_alphanumeric),
        cmocka_unit_test(qrcode_of_other_text_uses_bytes),
        cmocka_unit_test(qrcode_svg_draws_the_symbol),
        cmocka_unit_test(qrcode_svg_repeats_nothing_of_the_text),
        cmocka_unit_test(qrcode_svg_draws_the_largest_text),
        cmocka_unit_test(qrcode_png_draws_the_symbol_at_every_scale),
        cmocka_unit_test(qrcode_png_is_read_by_zbarimg),
        cmocka_unit_test(qrcode_png_refuses_pictures_beyond_its_bound),
        cmocka_unit_test(qrcode_png_refuses_scales_outside_its_bounds),
        cmocka_unit_test(qrcode_terminal_draws_the_symbol),
        cmocka_unit_test(qrcode_refuses_empty_and_endless_texts),
        cmocka_unit_test(qrcode_draws_any_bytes),
    };
    return cmocka_run_group_tests_name("qrcode", tests, NULL, NULL);
}
