/* Where each setting comes from, and whether it can be used. The file's format is
 * configuration_file.c's. */
#include "adapters/cli/configuration.h"
#include "adapters/cli/membership_options.h"

#include "adapters/cache_redis/cache_redis.h"
#include "runtime/limits.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETTINGS_OF_DATA = 2 };

size_t configuration_options(configuration_t *configuration, bool all, option_t *options)
{
    size_t count = 0;
#define SETTING(name, flag, variable, otherwise, value_name, help)                                 \
    options[count++] = OPTION_TEXT(flag, value_name, &configuration->given.name,                   \
                                   sizeof(otherwise) > 1 ? help " (" otherwise "); also " variable \
                                                         : help "; also " variable);
#include "adapters/cli/configuration.def"
#undef SETTING
    count = all ? count : SETTINGS_OF_DATA;
    options[count++] = OPTION_TEXT("config", "FILE", &configuration->file,
                                   "YAML file with these settings; also DIGITALCARD_CONFIG");
    return count;
}

static const char *first_given(const char *flag, const char *variable, const char *file,
                               const char *otherwise)
{
    const char *environment = getenv(variable);
    if (flag != NULL) {
        return flag;
    }
    if (environment != NULL && *environment != '\0') {
        return environment;
    }
    return file != NULL ? file : otherwise;
}

static uint32_t online_cores(void)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 1) {
        return 1;
    }
    return cores > LIMIT_SHARDS ? (uint32_t)LIMIT_SHARDS : (uint32_t)cores;
}

static bool check_memory(configuration_t *configuration)
{
    const configuration_texts_t *texts = &configuration->texts;
    uint64_t activations = 0;
    if (!arguments_number(texts->actor_bytes_max, &configuration->actor_bytes_max) ||
        configuration->actor_bytes_max < LIMIT_ACTOR_BYTES_MIN) {
        (void)command_fail("--actor-bytes-max %s: must be a whole number of bytes, at least %d",
                           texts->actor_bytes_max, LIMIT_ACTOR_BYTES_MIN);
        return false;
    }
    if (!arguments_number(texts->activations_max, &activations) || activations < 1 ||
        activations > LIMIT_LOADS_IN_FLIGHT_MAX) {
        (void)command_fail("--activations-max %s: must be a whole number from 1 to %d",
                           texts->activations_max, LIMIT_LOADS_IN_FLIGHT_MAX);
        return false;
    }
    configuration->activations_max = (uint32_t)activations;
    return true;
}

static bool check_replies(configuration_t *configuration)
{
    uint64_t hours = 0;
    const char *const text = configuration->texts.replies_hours;
    if (!arguments_number(text, &hours) || hours < 1 || hours > LIMIT_IDEMPOTENCY_HOURS_MAX) {
        (void)command_fail("--replies-hours %s: must be a whole number from 1 to %d", text,
                           LIMIT_IDEMPOTENCY_HOURS_MAX);
        return false;
    }
    configuration->replies_hours = (uint32_t)hours;
    return true;
}

static bool check_subscribers(const configuration_texts_t *texts)
{
    uint64_t messages = 0;
    if (!arguments_number(texts->subscriber_messages, &messages) ||
        messages < LIMIT_EVENT_SUBSCRIBER_MESSAGES_MIN ||
        messages > LIMIT_EVENT_SUBSCRIBER_MESSAGES) {
        (void)command_fail("--subscriber-messages %s: must be a whole number from %d to %d",
                           texts->subscriber_messages, LIMIT_EVENT_SUBSCRIBER_MESSAGES_MIN,
                           LIMIT_EVENT_SUBSCRIBER_MESSAGES);
        return false;
    }
    return true;
}

static bool check_rate(const char *flag, const char *text, uint32_t *rate)
{
    uint64_t number = 0;
    if (!arguments_number(text, &number) || number > LIMIT_RATE_MAX) {
        (void)command_fail("--%s %s: must be a whole number of requests a second, at most %d; 0 "
                           "for no limit",
                           flag, text, LIMIT_RATE_MAX);
        return false;
    }
    *rate = (uint32_t)number;
    return true;
}

static bool check_sharing(configuration_t *configuration)
{
    const configuration_texts_t *texts = &configuration->texts;
    const char *const problem =
        *texts->redis == '\0' ? NULL : cache_redis_url_problem(texts->redis);
    if (problem != NULL) {
        (void)command_fail("--redis: %s", problem); /* not the URL: it may hold a password */
        return false;
    }
    return check_replies(configuration) && check_subscribers(texts) &&
           check_rate("rate-per-token", texts->rate_per_token, &configuration->rate_per_token) &&
           check_rate("rate-per-tenant", texts->rate_per_tenant, &configuration->rate_per_tenant);
}

static bool check_connections(configuration_t *configuration, uint64_t shards)
{
    const configuration_texts_t *texts = &configuration->texts;
    uint64_t each = 0;
    uint64_t total = 0;
    if (*texts->store_connections != '\0' && (!arguments_number(texts->store_connections, &each) ||
                                              each < 1 || each > LIMIT_POSTGRES_CONNECTIONS_MAX)) {
        (void)command_fail("--store-connections %s: must be a whole number from 1 to %d",
                           texts->store_connections, LIMIT_POSTGRES_CONNECTIONS_MAX);
        return false;
    }
    if (*texts->store_connections_total != '\0' &&
        (!arguments_number(texts->store_connections_total, &total) ||
         total < connections_total_min(shards) || total > LIMIT_POSTGRES_CONNECTIONS_MAX)) {
        (void)command_fail("--store-connections-total %s: with %llu shards it must be a whole "
                           "number from %llu to %d",
                           texts->store_connections_total, (unsigned long long)shards,
                           (unsigned long long)connections_total_min(shards),
                           LIMIT_POSTGRES_CONNECTIONS_MAX);
        return false;
    }
    if (each > 0 && total > 0) {
        (void)command_fail("--store-connections and --store-connections-total: give one of them");
        return false;
    }
    configuration->connections = connections_share(each, total, shards);
    return true;
}

static bool check(configuration_t *configuration)
{
    const configuration_texts_t *texts = &configuration->texts;
    uint64_t shards = online_cores();
    uint64_t watchdog_ms = 0;
    const bool is_postgres = strncmp(texts->store, "postgresql://", 13) == 0 ||
                             strncmp(texts->store, "postgres://", 11) == 0;
    if (strcmp(texts->store, "sqlite") != 0 && !is_postgres) {
        (void)command_fail("--store %.8s…: there is no such store; use sqlite or postgresql://…",
                           texts->store);
        return false;
    }
    if (*texts->data == '\0') {
        (void)command_fail("--data: the data directory must have a name");
        return false;
    }
    if (*texts->shards != '\0' &&
        (!arguments_number(texts->shards, &shards) || shards < 1 || shards > LIMIT_SHARDS)) {
        (void)command_fail("--shards %s: must be a whole number from 1 to %d", texts->shards,
                           LIMIT_SHARDS);
        return false;
    }
    if (!check_connections(configuration, shards)) {
        return false;
    }
    if (!log_level_parse(texts->log_level, &configuration->log_level)) {
        (void)command_fail("--log-level %s: must be debug, info, warn or error", texts->log_level);
        return false;
    }
    if (!arguments_number(texts->watchdog_ms, &watchdog_ms) ||
        watchdog_ms < LIMIT_WATCHDOG_MS_MIN || watchdog_ms > LIMIT_WATCHDOG_MS_MAX) {
        (void)command_fail("--watchdog-ms %s: must be a whole number from %d to %d",
                           texts->watchdog_ms, LIMIT_WATCHDOG_MS_MIN, LIMIT_WATCHDOG_MS_MAX);
        return false;
    }
    if (strcmp(texts->webhooks_private, "allow") != 0 &&
        strcmp(texts->webhooks_private, "refuse") != 0) {
        (void)command_fail("--webhooks-private %s: must be allow or refuse",
                           texts->webhooks_private);
        return false;
    }
    if (!membership_options_check(texts)) {
        return false;
    }
    configuration->watchdog_ms = (uint32_t)watchdog_ms;
    configuration->shards = (uint32_t)shards;
    return check_memory(configuration) && check_sharing(configuration);
}

bool configuration_load(configuration_t *configuration)
{
    char error[512];
    const configuration_texts_t none = {0};
    const char *file = first_given(configuration->file, "DIGITALCARD_CONFIG", NULL, "");
    if (*file != '\0' &&
        !configuration_file_read(file, &configuration->from_file, error, sizeof error)) {
        (void)command_fail("%s", error);
        return false;
    }
    const configuration_texts_t *from_file =
        configuration->from_file == NULL ? &none : configuration->from_file;
#define SETTING(name, flag, variable, otherwise, value_name, help)                                 \
    configuration->texts.name =                                                                    \
        first_given(configuration->given.name, variable, from_file->name, otherwise);
#include "adapters/cli/configuration.def"
#undef SETTING
    configuration->is_malformed = !check(configuration);
    return !configuration->is_malformed;
}

bool configuration_load_for(configuration_t *configuration, int *status)
{
    const bool is_loaded = configuration_load(configuration);
    *status = configuration->is_malformed ? EXIT_USAGE : EXIT_FAILED;
    return is_loaded;
}

void configuration_release(configuration_t *configuration)
{
    configuration_file_release(&configuration->from_file);
}
