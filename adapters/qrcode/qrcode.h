#ifndef ADAPTERS_QRCODE_QRCODE_H
#define ADAPTERS_QRCODE_QRCODE_H

#include "actors/ports/qrcode.h"

extern const qrcode_functions_t qrcode_functions;

#endif
