/* Evaluation of feature flags. Must not know where settings come from. */
#include "actors/domain/flag.h"
#include "actors/domain/siphash.h"
#include <assert.h>

enum { NAME_SIZE_MAX = 64, SLICES = 10000 };

typedef struct flag_line {
    text_t name;
    text_t about;
} flag_line_t;

static const flag_line_t lines[FLAG_COUNT] = {
#define FLAG(flag, text) [FLAG_##flag] = {.name = TEXT_LITERAL(#flag), .about = TEXT_LITERAL(text)},
#include "actors/domain/flags.def"
#undef FLAG
};

text_t flag_name(flag_t flag)
{
    assert(flag < FLAG_COUNT);
    return lines[flag].name;
}

text_t flag_about(flag_t flag)
{
    assert(flag < FLAG_COUNT);
    return lines[flag].about;
}

bool flag_parse(text_t name, flag_t *flag)
{
    for (uint32_t i = 0; i < FLAG_COUNT; i++) {
        if (text_equal(lines[i].name, name)) {
            *flag = (flag_t)i;
            return true;
        }
    }
    return false;
}

/* The card's place among all, by flag: 0 … SLICES - 1. The name is in the hash so that one card is
 * not the first to get every new thing. */
static uint32_t slice_of(flag_t flag, const uuid_t *card)
{
    uint8_t input[NAME_SIZE_MAX + 1 + sizeof(card->bytes)];
    const text_t name = lines[flag].name;
    assert(name.size <= NAME_SIZE_MAX);
    memcpy(input, name.data, name.size);
    input[name.size] = 0;
    memcpy(input + name.size + 1, card->bytes, sizeof(card->bytes));
    const text_t text = {.data = (const char *)input, .size = name.size + 1 + sizeof(card->bytes)};
    return (uint32_t)(siphash_fixed(text) % SLICES);
}

bool flag_is_on(const flag_settings_t *settings, flag_t flag, const uuid_t *card)
{
    assert(flag < FLAG_COUNT);
    const uint32_t percent = settings->percent[flag];
    if (percent == 0 || percent >= FLAG_PERCENT_MAX) {
        return percent != 0;
    }
    return slice_of(flag, card) < percent * (SLICES / FLAG_PERCENT_MAX);
}
