/* QR codes as PNG: one bit per pixel, greyscale, written to memory. libpng reports errors by
 * longjmp, which must not leave this file. */
#include "adapters/qrcode/qrcode_internal.h"
#include "runtime/limits.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

/* What outlives a longjmp lives here, behind a pointer, so that no local is left undefined. */
typedef struct png_output {
    uint8_t *data;
    size_t size;
    size_t capacity;
    uint8_t *row;
    bool is_out_of_memory;
} png_output_t;

static void png_write_done(png_structp writer, png_bytep bytes, png_size_t size)
{
    png_output_t *output = png_get_io_ptr(writer);
    if (size > output->capacity - output->size) {
        const size_t capacity = 2 * (output->size + size);
        uint8_t *grown = realloc(output->data, capacity);
        if (grown == NULL) {
            output->is_out_of_memory = true;
            png_error(writer, "out of memory");
        }
        output->data = grown;
        output->capacity = capacity;
    }
    memcpy(output->data + output->size, bytes, size);
    output->size += size;
}

static void png_flush_done(png_structp writer)
{
    (void)writer;
}

/* libpng prints to standard error by itself; ours is for log lines only. */
static void png_error_done(png_structp writer, png_const_charp message)
{
    (void)message;
    png_longjmp(writer, 1);
}

static void png_warning_done(png_structp writer, png_const_charp message)
{
    (void)writer;
    (void)message;
}

/* White is 1 in greyscale, so a dark module clears its pixels. */
static void fill_row(const QRcode *symbol, int module_row, uint32_t pixels_per_module, uint8_t *row,
                     size_t row_size)
{
    memset(row, 0xff, row_size);
    size_t pixel = (size_t)QRCODE_QUIET_ZONE * pixels_per_module;
    for (int column = 0; column < symbol->width; column++) {
        const bool is_dark = qrcode_is_dark(symbol, module_row, column);
        for (uint32_t i = 0; i < pixels_per_module; i++, pixel++) {
            if (is_dark) {
                row[pixel / 8] &= (uint8_t) ~(0x80U >> (pixel % 8));
            }
        }
    }
}

static void write_rows(png_structp writer, const QRcode *symbol, uint32_t pixels_per_module,
                       png_output_t *output, size_t row_size)
{
    for (int row = -QRCODE_QUIET_ZONE; row < symbol->width + QRCODE_QUIET_ZONE; row++) {
        fill_row(symbol, row, pixels_per_module, output->row, row_size);
        for (uint32_t i = 0; i < pixels_per_module; i++) {
            png_write_row(writer, output->row);
        }
    }
}

static bool write_image(png_structp writer, png_infop information, const QRcode *symbol,
                        uint32_t pixels_per_module, png_output_t *output)
{
    const uint32_t modules = (uint32_t)symbol->width + 2U * QRCODE_QUIET_ZONE;
    const uint32_t side = modules * pixels_per_module;
    const size_t row_size = (side + 7U) / 8U;
    output->row = malloc(row_size);
    if (output->row == NULL) {
        output->is_out_of_memory = true;
        return false;
    }
    if (setjmp(png_jmpbuf(writer)) != 0) {
        return false;
    }
    png_set_write_fn(writer, output, png_write_done, png_flush_done);
    png_set_IHDR(writer, information, side, side, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer, information);
    write_rows(writer, symbol, pixels_per_module, output, row_size);
    png_write_end(writer, NULL);
    return true;
}

static result_t write_symbol(const QRcode *symbol, uint32_t pixels_per_module, png_output_t *output)
{
    png_structp writer =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_error_done, png_warning_done);
    if (writer == NULL) {
        return RESULT_NO_MEMORY;
    }
    png_infop information = png_create_info_struct(writer);
    if (information == NULL) {
        png_destroy_write_struct(&writer, NULL);
        return RESULT_NO_MEMORY;
    }
    const bool is_written = write_image(writer, information, symbol, pixels_per_module, output);
    png_destroy_write_struct(&writer, &information);
    if (is_written) {
        return RESULT_OK;
    }
    return output->is_out_of_memory ? RESULT_NO_MEMORY : RESULT_INTERNAL;
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
    png_output_t output = {0};
    result = write_symbol(symbol, pixels_per_module, &output);
    QRcode_free(symbol);
    free(output.row);
    if (result != RESULT_OK) {
        free(output.data);
        return result;
    }
    *out = output.data;
    *size = output.size;
    return RESULT_OK;
}
