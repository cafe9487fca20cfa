/* Feature flags: which there are (flags.def), and whether one is on for a card. Pure: the setting
 * of a tenant is handed in, so that every node, and the offline scanner, answers the same. */
#ifndef ACTORS_DOMAIN_FLAG_H
#define ACTORS_DOMAIN_FLAG_H

#include "messages/text.h"
#include "messages/uuid.h"

typedef enum flag {
#define FLAG(name, about) FLAG_##name,
#include "actors/domain/flags.def"
#undef FLAG
    FLAG_COUNT
} flag_t;

enum { FLAG_PERCENT_MAX = 100 };

/* What a tenant has set: percent of its cards by flag. Zero: off, and what nobody set. */
typedef struct flag_settings {
    uint8_t percent[FLAG_COUNT];
} flag_settings_t;

/* On for this card? Always the same answer for the same percentage; a card that has it on keeps it
 * when the percentage rises, and which cards have it differs from flag to flag. */
bool flag_is_on(const flag_settings_t *settings, flag_t flag, const uuid_t *card);

text_t flag_name(flag_t flag);
text_t flag_about(flag_t flag);
/* False: there is no such flag. */
bool flag_parse(text_t name, flag_t *flag);

#endif
