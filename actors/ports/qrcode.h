/* Drawing QR codes. Implemented by adapters/qrcode with libqrencode and libpng. */
#ifndef ACTORS_PORTS_QRCODE_H
#define ACTORS_PORTS_QRCODE_H

#include "messages/text.h"
#include "runtime/result.h"
#include <stdlib.h>

typedef struct qrcode_functions {
    /* `out` is malloc'ed, the caller frees. Error correction Q, quiet zone of 4 modules.
     * INVALID_ARGUMENT when `text` is empty, longer than 1,024 bytes or does not fit; for png also
     * when the picture would have more than LIMIT_QRCODE_SIDE_PIXELS a side, which ours never has.
     */
    result_t (*svg)(text_t text, char **out, size_t *size);
    result_t (*png)(text_t text, uint32_t pixels_per_module, uint8_t **out,
                    size_t *size); /* 1 … 32 */
    result_t (*terminal)(text_t text, char **out,
                         size_t *size); /* UTF-8 half blocks, readable on dark and light */
} qrcode_functions_t;

#endif
