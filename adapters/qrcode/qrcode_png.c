/* QR codes as PNG, black and white with one bit per pixel. Uses the part of libpng that returns its
 * errors instead of jumping; the price is the whole picture in memory while it is written, one byte
 * per pixel, hence LIMIT_QRCODE_SIDE_PIXELS. */
#include "adapters/qrcode/qrcode_internal.h"
#include "runtime/limits.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

/* Indexes of the palette, which libpng writes with one bit each since there are two of them. */
enum { WHITE = 0, BLACK = 1, COLOURS = 2 };

static const uint8_t palette[COLOURS][3] = {[WHITE] = {255, 255, 255}, [BLACK] = {0, 0, 0}};

/* `pixels` is side × side bytes. The first row of each module is computed, the others copied. */
static void fill_pixels(const QRcode *symbol, uint32_t pixels_per_module, uint8_t *pixels,
                        size_t side)
{
    uint8_t *row = pixels;
    for (int line = -QRCODE_QUIET_ZONE; line < symbol->width + QRCODE_QUIET_ZONE; line++) {
        uint8_t *pixel = row;
        for (int column = -QRCODE_QUIET_ZONE; column < symbol->width + QRCODE_QUIET_ZONE;
             column++) {
            memset(pixel, qrcode_is_dark(symbol, line, column) ? BLACK : WHITE, pixels_per_module);
            pixel += pixels_per_module;
        }
        for (uint32_t i = 1; i < pixels_per_module; i++) {
            memcpy(row + i * side, row, side);
        }
        row += pixels_per_module * side;
    }
}

/* The picture is well formed by construction, so memory is all that libpng can run out of. */
static result_t write_pixels(const uint8_t *pixels, uint32_t side, uint8_t **out, size_t *size)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION,
        .width = side,
        .height = side,
        .format = PNG_FORMAT_RGB_COLORMAP,
        .colormap_entries = COLOURS,
    };
    png_alloc_size_t written = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *png = malloc(written);
    if (png == NULL) {
        return RESULT_NO_MEMORY;
    }
    if (png_image_write_to_memory(&image, png, &written, 0, pixels, 0, palette) == 0) {
        free(png);
        return RESULT_NO_MEMORY;
    }
    uint8_t *shrunk = realloc(png, written);
    *out = shrunk != NULL ? shrunk : png;
    *size = written;
    return RESULT_OK;
}

static result_t write_symbol(const QRcode *symbol, uint32_t pixels_per_module, uint8_t **out,
                             size_t *size)
{
    const uint32_t side = ((uint32_t)symbol->width + 2U * QRCODE_QUIET_ZONE) * pixels_per_module;
    if (side > LIMIT_QRCODE_SIDE_PIXELS) {
        return RESULT_INVALID_ARGUMENT;
    }
    uint8_t *pixels = malloc((size_t)side * side);
    if (pixels == NULL) {
        return RESULT_NO_MEMORY;
    }
    fill_pixels(symbol, pixels_per_module, pixels, side);
    const result_t result = write_pixels(pixels, side, out, size);
    free(pixels);
    return result;
}

result_t qrcode_png(text_t text, uint32_t pixels_per_module, uint8_t **out, size_t *size)
{
    if (pixels_per_module < 1 || pixels_per_module > LIMIT_QRCODE_PIXELS_PER_MODULE) {
        return RESULT_INVALID_ARGUMENT;
    }
    QRcode *symbol = NULL;
    result_t result = qrcode_symbol_create(text, &symbol);
    if (result != RESULT_OK) {
        return result;
    }
    result = write_symbol(symbol, pixels_per_module, out, size);
    QRcode_free(symbol);
    return result;
}
