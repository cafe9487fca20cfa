/* UTF-8 (RFC 3629): what is it, and how many characters has it. Converts nothing. */
#ifndef MESSAGES_UTF8_H
#define MESSAGES_UTF8_H

#include "messages/text.h"

/* Refuses overlong forms, surrogates and what lies above U+10FFFF. NUL is a character like others.
 */
bool utf8_is_valid(text_t text);

/* Code points of valid UTF-8. */
size_t utf8_count(text_t text);

#endif
