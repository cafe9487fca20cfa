/* See membership_options.h. */
#include "adapters/cli/membership_options.h"

#include "actors/domain/card_id.h"
#include <stdlib.h>
#include <string.h>

#define URL_VARIABLE "DIGITALCARD_MEMBERSHIP_URL"
#define EVENTS_VARIABLE "DIGITALCARD_MEMBERSHIP_EVENTS"
#define POLICY_VARIABLE "DIGITALCARD_MEMBERSHIP_POLICY"
#define STALE_VARIABLE "DIGITALCARD_MEMBERSHIP_STALE_S"
#define BREAKER_VARIABLE "DIGITALCARD_BREAKER"

enum { STALE_S_MAX = 31536000, WORD_SIZE = 512 };

/* --- Checking --- */

static bool starts_with_one_of(const char *word, const char *const *prefixes)
{
    for (size_t i = 0; prefixes[i] != NULL; i++) {
        const size_t size = strlen(prefixes[i]);
        if (strncmp(word, prefixes[i], size) == 0 && word[size] != '\0') {
            return true;
        }
    }
    return false;
}

/* "acme=VALUE" → "VALUE". */
static const char *value_of(const char *word)
{
    const char *equals = strchr(word, '=');
    const bool is_of_one =
        equals != NULL &&
        tenant_name_is_valid((text_t){.data = word, .size = (size_t)(equals - word)});
    return is_of_one ? equals + 1 : word;
}

/* What stands before an @ may be a password: of "acme=http://me:secret@host" only "acme=http://" is
 * told, and nothing when it does not begin with a scheme. */
static int size_to_tell(const char *word)
{
    static const char separator[] = "://";
    if (strchr(word, '@') == NULL) {
        return (int)strlen(word);
    }
    const char *const value = value_of(word);
    const char *const end = value + strspn(value, "abcdefghijklmnopqrstuvwxyz");
    const bool has_scheme = strncmp(end, separator, sizeof separator - 1) == 0;
    return has_scheme ? (int)(end + sizeof separator - 1 - word) : 0;
}

typedef bool word_check_t(const char *value);

static bool check_words(const char *flag, const char *text, word_check_t *check, const char *advice)
{
    while (*text != '\0') { /* each round takes one word */
        char word[WORD_SIZE];
        const size_t size = strcspn(text, " ");
        if (size >= sizeof word) {
            (void)command_fail("%s: a value is longer than %d bytes", flag, WORD_SIZE - 1);
            return false;
        }
        memcpy(word, text, size);
        word[size] = '\0';
        if (size > 0 && !check(value_of(word))) {
            const int told = size_to_tell(word);
            (void)command_fail("%s %.*s%s: %s", flag, told, word, word[told] == '\0' ? "" : "…",
                               advice);
            return false;
        }
        text += size;
        text += strspn(text, " ");
    }
    return true;
}

static bool is_url(const char *value)
{
    static const char *const schemes[] = {"http://", "https://", "tcp://", "ipc://", NULL};
    return *value == '\0' || (starts_with_one_of(value, schemes) && strchr(value, '@') == NULL);
}

static bool is_endpoint(const char *value)
{
    static const char *const schemes[] = {"tcp://", "ipc://", NULL};
    return *value == '\0' || starts_with_one_of(value, schemes);
}

static bool is_policy(const char *value)
{
    return strcmp(value, "assume_active") == 0 || strcmp(value, "refuse") == 0;
}

bool membership_options_check(const configuration_texts_t *texts)
{
    uint64_t stale_s = 0;
    char error[80];
    neighbour_settings_t settings;
    if (!arguments_number(texts->membership_stale_s, &stale_s) || stale_s > STALE_S_MAX) {
        (void)command_fail("--membership-stale-s %s: must be a whole number of seconds",
                           texts->membership_stale_s);
        return false;
    }
    if (!neighbour_settings_parse(texts->breaker, &settings, error, sizeof error)) {
        (void)command_fail("--breaker: %s is no NAME=NUMBER that can be used; names are failures, "
                           "successes, slow_ms, open_ms, open_ms_max, jitter_permille, "
                           "concurrency, queue, deadline_ms, attempts, pause_ms",
                           error);
        return false;
    }
    return check_words("--membership-url", texts->membership_url, is_url,
                       "must be http://, https://, tcp:// or ipc://, without user and password") &&
           check_words("--membership-events", texts->membership_events, is_endpoint,
                       "must be tcp:// or ipc://") &&
           check_words("--membership-policy", texts->membership_policy, is_policy,
                       "must be assume_active or refuse");
}

/* --- Handing down --- */

bool membership_options_hand_down(const configuration_texts_t *texts)
{
    return setenv(URL_VARIABLE, texts->membership_url, 1) == 0 &&
           setenv(EVENTS_VARIABLE, texts->membership_events, 1) == 0 &&
           setenv(POLICY_VARIABLE, texts->membership_policy, 1) == 0 &&
           setenv(STALE_VARIABLE, texts->membership_stale_s, 1) == 0 &&
           setenv(BREAKER_VARIABLE, texts->breaker, 1) == 0;
}

static const char *value(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL ? "" : text;
}

void membership_options_read(membership_settings_read_t *settings)
{
    uint64_t stale_s = 0;
    char error[80];
    settings->urls = text_from_c(value(URL_VARIABLE));
    settings->events = text_from_c(value(EVENTS_VARIABLE));
    settings->policies = text_from_c(value(POLICY_VARIABLE));
    (void)arguments_number(value(STALE_VARIABLE), &stale_s);
    settings->stale_ms = (int64_t)stale_s * 1000;
    if (!neighbour_settings_parse(value(BREAKER_VARIABLE), &settings->neighbours, error,
                                  sizeof error)) {
        settings->neighbours = neighbour_settings_default; /* `serve` checked it */
    }
}
