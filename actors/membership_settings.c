/* See membership_settings.h. */
#include "actors/membership_settings.h"

#include "actors/domain/card_id.h"

typedef struct entry {
    text_t tenant; /* empty: of all */
    text_t value;
} entry_t;

/* A tenant's name has no ':' or '/', so "http://a/?b=c" is no entry of one tenant. */
static entry_t split(text_t word)
{
    const char *equals = memchr(word.data, '=', word.size);
    if (equals != NULL) {
        const text_t tenant = {.data = word.data, .size = (size_t)(equals - word.data)};
        if (tenant_name_is_valid(tenant)) {
            return (entry_t){.tenant = tenant,
                             .value = {.data = equals + 1, .size = word.size - tenant.size - 1}};
        }
    }
    return (entry_t){.tenant = TEXT_NONE, .value = word};
}

text_t membership_setting_of(text_t setting, text_t tenant)
{
    text_t found = TEXT_NONE;
    size_t at = 0;
    while (at < setting.size) { /* each round takes one word */
        size_t end = at;
        while (end < setting.size && setting.data[end] != ' ') {
            end++;
        }
        if (end > at) {
            const entry_t entry = split((text_t){.data = setting.data + at, .size = end - at});
            if (!text_is_empty(entry.tenant) && text_equal(entry.tenant, tenant)) {
                return entry.value;
            }
            if (text_is_empty(entry.tenant)) {
                found = entry.value;
            }
        }
        at = end + 1;
    }
    return found;
}
