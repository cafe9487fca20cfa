/* A setting that is one value for all tenants or one for each: "URL", or "acme=URL beta=URL", or
 * both ("URL acme=URL": the others get the first). An entry without a value ("acme=") says that
 * this tenant has none. */
#ifndef ACTORS_MEMBERSHIP_SETTINGS_H
#define ACTORS_MEMBERSHIP_SETTINGS_H

#include "messages/text.h"

/* Empty: none. Borrows from `setting`. */
text_t membership_setting_of(text_t setting, text_t tenant);

#endif
