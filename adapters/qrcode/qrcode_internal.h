/* Shared by the files of this folder only. */
#ifndef ADAPTERS_QRCODE_QRCODE_INTERNAL_H
#define ADAPTERS_QRCODE_QRCODE_INTERNAL_H

#include "messages/text.h"
#include "runtime/result.h"

#include <qrencode.h>

enum { QRCODE_QUIET_ZONE = 4 }; /* modules; ISO/IEC 18004, 6.3.8 */

/* `*symbol` is freed with QRcode_free; NULL unless RESULT_OK. */
MUST_USE result_t qrcode_symbol_create(text_t text, QRcode **symbol);
/* False outside of the symbol too, which is the quiet zone. */
bool qrcode_is_dark(const QRcode *symbol, int row, int column);
MUST_USE result_t qrcode_png(text_t text, uint32_t pixels_per_module, uint8_t **out, size_t *size);

#endif
