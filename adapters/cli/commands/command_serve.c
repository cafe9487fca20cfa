/* `digitalcard serve`: everything that can be wrong is found here, in the order in which a person
 * can mend it, each with one line and exit status 1 (2: a malformed value); then the supervisor
 * takes over. */
#include "adapters/cli/configuration.h"
#include "adapters/cli/endpoint.h"
#include "adapters/cli/installation.h"
#include "adapters/cli/membership_options.h"
#include "adapters/cli/roles/caches.h"
#include "adapters/cli/service_file.h"
#include "adapters/cli/stores.h"
#include "runtime/limits.h"
#include "runtime/platform_process.h"
#include "runtime/random.h"
#include "runtime/supervisor.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    ARGUMENTS_MAX = 24,
    NUMBER_SIZE = 16,
    START_WAIT_MS = 1000,
    ADDRESS_PAUSE_MS = 20,
    DRAIN_FRONTS = 0,
    DRAIN_SHARDS = 1,
    DRAIN_ADAPTERS = 2,
    DRAIN_RELAY = 3,
    DESCRIPTOR_FIRST = PROCESS_DESCRIPTOR_FIRST + 1, /* 3 is the link */
};

typedef struct role_text {
    char name[LIMIT_ROLE_NAME_SIZE];
    const char *arguments[ARGUMENTS_MAX];
    size_t count;
} role_text_t;

typedef struct service {
    configuration_t configuration;
    installation_t installation;
    endpoint_t http;
    endpoint_t api;
    endpoint_t events;
    char shards[NUMBER_SIZE];
    role_text_t texts[LIMIT_SHARDS + 3];
    supervisor_role_t roles[LIMIT_SHARDS + 3];
    size_t role_count;
} service_t;

/* --- Addresses --- */

static const char *address_advice(result_t result)
{
    switch (result) {
    case RESULT_ADDRESS_IN_USE:
        return "the address is in use: stop the other program or choose another port";
    case RESULT_PERMISSION_DENIED:
        return "this user may not listen there: choose a port above 1023";
    case RESULT_INVALID_ARGUMENT:
        return "this machine has no such address";
    default:
        return "the address cannot be listened on";
    }
}

/* An address that cannot be one is a mistake of usage; one that is not served yet is not. */
static bool parse_addresses(service_t *service, int *status)
{
    const configuration_texts_t *texts = &service->configuration.texts;
    if (endpoint_parse_http(texts->http, &service->http) != RESULT_OK) {
        (void)command_fail("--http %s: must be ADDR:PORT with a numeric address, like "
                           "127.0.0.1:8080 or [::1]:8080",
                           texts->http);
        *status = EXIT_USAGE;
        return false;
    }
    const struct {
        const char *flag;
        const char *text;
        endpoint_t *endpoint;
    } zmq[] = {{"--api", texts->api, &service->api}, {"--events", texts->events, &service->events}};
    for (size_t i = 0; i < sizeof zmq / sizeof zmq[0]; i++) {
        const result_t result = endpoint_parse_zmq(zmq[i].text, zmq[i].endpoint);
        if (result == RESULT_PERMISSION_DENIED) {
            (void)command_fail("%s %s: only loopback addresses and ipc:// are served until CURVE "
                               "exists",
                               zmq[i].flag, zmq[i].text);
            return false;
        }
        if (result != RESULT_OK) {
            (void)command_fail("%s %s: must be tcp://ADDR:PORT with a numeric address or "
                               "ipc://PATH of at most %d bytes",
                               zmq[i].flag, zmq[i].text, LIMIT_IPC_PATH_SIZE);
            *status = EXIT_USAGE;
            return false;
        }
    }
    return true;
}

/* Roles of a service that was just killed keep their addresses until the kernel has ended them. */
static result_t bind_address(endpoint_t *endpoint)
{
    result_t result = endpoint_bind(endpoint);
    for (uint32_t waited = 0; result == RESULT_ADDRESS_IN_USE && waited < LIMIT_SERVE_ADDRESS_MS;
         waited += ADDRESS_PAUSE_MS) {
        (void)poll(NULL, 0, ADDRESS_PAUSE_MS);
        result = endpoint_bind(endpoint);
    }
    return result;
}

static bool bind_addresses(service_t *service)
{
    const configuration_texts_t *texts = &service->configuration.texts;
    const struct {
        const char *flag;
        const char *text;
        endpoint_t *endpoint;
    } all[] = {{"--http", texts->http, &service->http},
               {"--api", texts->api, &service->api},
               {"--events", texts->events, &service->events}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const result_t result = bind_address(all[i].endpoint);
        if (result != RESULT_OK) {
            (void)command_fail("%s %s: %s", all[i].flag, all[i].text, address_advice(result));
            return false;
        }
    }
    return true;
}

/* A role that gets no descriptors fails in places that do not say why; said here, it is clear. */
static bool check_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= LIMIT_OPEN_FILES_MIN) {
        return true;
    }
    (void)command_fail("only %llu files may be open at once (ulimit -n): at least %d are needed",
                       (unsigned long long)limit.rlim_max, LIMIT_OPEN_FILES_MIN);
    return false;
}

/* --- Data --- */

static bool lock_data(service_t *service)
{
    char error[1024];
    const configuration_texts_t *texts = &service->configuration.texts;
    if (installation_lock(texts->data, texts->store, true, &service->installation, error,
                          sizeof error) != RESULT_OK) {
        (void)command_fail("%s", error);
        return false;
    }
    return true;
}

/* At a first start nothing can be done without the server, not even a key be made: whether the
 * database holds anything that is sealed under another one is not known. Machines start services
 * in any order, so it is waited for, before any address is ours. */
static bool wait_for_store(service_t *service)
{
    char error[1024] = "";
    const char *store = service->configuration.texts.store;
    bool is_sealed = false;
    if (!stores_is_postgres(store) || installation_has_key(&service->installation)) {
        return true;
    }
    result_t result = RESULT_STORE_UNAVAILABLE;
    for (int i = 0; i < LIMIT_POSTGRES_START_TRIES && result == RESULT_STORE_UNAVAILABLE; i++) {
        log_set_level(LOG_SILENT_LEVEL);
        result = stores_is_sealed(store, service->installation.directory.path, &is_sealed, error,
                                  sizeof error);
        log_start("supervisor", service->configuration.log_level);
        if (result == RESULT_STORE_UNAVAILABLE) {
            log_warn("waiting for PostgreSQL", LOG_STRING("why", error));
            (void)poll(NULL, 0, START_WAIT_MS);
        }
    }
    if (result != RESULT_OK) {
        (void)command_fail("%s", error);
    }
    return result == RESULT_OK;
}

/* Later the roles can start, and answer 503 until the server is there. */
static bool starts_without(const service_t *service, result_t result)
{
    return result == RESULT_STORE_UNAVAILABLE &&
           stores_is_postgres(service->configuration.texts.store) &&
           installation_has_key(&service->installation);
}

/* Services on one store are told apart by it, and a role that is restarted is still of its service.
 */
static bool hand_down_number(void)
{
    uint64_t number[2];
    char text[2 * sizeof number + 1];
    random_fill(number, sizeof number);
    (void)snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, number[0], number[1]);
    return setenv(SERVICE_ENVIRONMENT, text, 1) == 0;
}

static bool open_data(service_t *service)
{
    char error[1024];
    char refused[1024] = "";
    if (setenv(STORES_ENVIRONMENT, service->configuration.texts.store, 1) != 0 ||
        !connections_hand_down(&service->configuration.connections) ||
        setenv(WEBHOOKS_PRIVATE_ENVIRONMENT, service->configuration.texts.webhooks_private, 1) !=
            0 ||
        !hand_down_number() || !membership_options_hand_down(&service->configuration.texts)) {
        return false;
    }
    result_t result = installation_open_stores(&service->installation, true, error, sizeof error);
    if (starts_without(service, result)) {
        (void)snprintf(refused, sizeof refused, "%s", error);
        result = RESULT_OK;
    }
    if (result == RESULT_OK) {
        result = data_directory_clear_run(&service->installation.directory, error, sizeof error);
    }
    if (result != RESULT_OK) {
        (void)command_fail("%s", error);
        return false;
    }
    const bool is_prepared =
        caches_prepare(service->configuration.texts.redis, &service->installation.master_key);
    installation_close_stores(&service->installation); /* the supervisor has no database */
    log_start("supervisor", service->configuration.log_level);
    if (refused[0] != '\0') {
        log_warn("PostgreSQL cannot be used yet: not ready, and 503 to all, until it can",
                 LOG_STRING("why", refused));
    }
    if (service->installation.is_new) {
        log_info("master key made: keep a copy of it apart from the backups of the data",
                 LOG_STRING("file", "master.key"),
                 LOG_STRING("directory", service->installation.directory.path));
    }
    return is_prepared;
}

/* --- Roles --- */

static void add_argument(role_text_t *text, const char *name, const char *value)
{
    text->arguments[text->count] = name;
    text->arguments[text->count + 1] = value;
    text->count += 2;
}

static supervisor_role_t *add_role(service_t *service, const char *kind, int index,
                                   uint32_t drain_order)
{
    role_text_t *text = &service->texts[service->role_count];
    supervisor_role_t *role = &service->roles[service->role_count];
    service->role_count++;
    if (index < 0) {
        (void)snprintf(text->name, sizeof text->name, "%s", kind);
    } else {
        (void)snprintf(text->name, sizeof text->name, "%s-%d", kind, index);
    }
    text->count = 0;
    add_argument(text, "role", kind);
    add_argument(text, "--name", text->name);
    add_argument(text, "--data", service->installation.directory.path);
    add_argument(text, "--shards", service->shards);
    add_argument(text, "--log-level", service->configuration.texts.log_level);
    *role = (supervisor_role_t){.name = text->name,
                                .arguments = text->arguments,
                                .descriptors = {-1, -1, -1, -1},
                                .drain_order = drain_order};
    return role;
}

/* URLs that may hold passwords. The front speaks to the world and opens none of what they name. */
static const char *const withheld_from_fronts[] = {
    "DIGITALCARD_STORE", "DIGITALCARD_MEMBERSHIP_URL", "DIGITALCARD_MEMBERSHIP_EVENTS", NULL};

_Static_assert(DESCRIPTOR_FIRST == 4, "the arguments below say 4 and 5");

static void declare_roles(service_t *service)
{
    (void)snprintf(service->shards, sizeof service->shards, "%u", service->configuration.shards);
    supervisor_role_t *front = add_role(service, "front", 0, DRAIN_FRONTS);
    role_text_t *front_text = &service->texts[0];
    front->descriptors[0] = service->http.descriptor;
    front->descriptors[1] = service->api.descriptor;
    front->hands_over = true;
    front->withheld = withheld_from_fronts;
    add_argument(front_text, "--http-descriptor", "4");
    add_argument(front_text, "--zmq-descriptor", service->api.is_ipc ? "0" : "5");
    add_argument(front_text, "--api", service->api.text);
    add_argument(front_text, "--rate-per-token", service->configuration.texts.rate_per_token);
    add_argument(front_text, "--rate-per-tenant", service->configuration.texts.rate_per_tenant);
    for (uint32_t i = 0; i < service->configuration.shards; i++) {
        role_text_t *text = &service->texts[service->role_count];
        add_role(service, "shard", (int)i, DRAIN_SHARDS)->has_crash_slot = true;
        add_argument(text, "--actor-bytes-max", service->configuration.texts.actor_bytes_max);
        add_argument(text, "--activations-max", service->configuration.texts.activations_max);
        add_argument(text, "--replies-hours", service->configuration.texts.replies_hours);
    }
    (void)add_role(service, "adapters", -1, DRAIN_ADAPTERS);
    role_text_t *relay_text = &service->texts[service->role_count];
    supervisor_role_t *relay = add_role(service, "relay", -1, DRAIN_RELAY);
    relay->descriptors[0] = service->events.descriptor;
    add_argument(relay_text, "--zmq-descriptor", service->events.is_ipc ? "0" : "4");
    add_argument(relay_text, "--events", service->events.text);
    add_argument(relay_text, "--subscriber-messages",
                 service->configuration.texts.subscriber_messages);
}

static void started(void *context)
{
    service_t *service = context;
    const char *http = service->http.text + strlen("tcp://");
    service_file_t file = {0};
    (void)snprintf(file.http, sizeof file.http, "http://%s", http);
    (void)snprintf(file.api, sizeof file.api, "%s", service->api.text);
    (void)snprintf(file.events, sizeof file.events, "%s", service->events.text);
    service_file_write(&service->installation.directory, &file);
    (void)printf("digitalcard is ready: %s api %s events %s\n", file.http, file.api, file.events);
    (void)fflush(stdout);
}

static void role_ended(void *context, const char *name, uint64_t incarnation)
{
    const service_t *service = context;
    data_directory_remove_socket(&service->installation.directory, name, incarnation);
}

static const char *command_name(uint8_t type)
{
    const bool is_known = type < request_type_enum.count && request_type_enum.names[type] != NULL;
    return is_known ? request_type_enum.names[type] : "unknown";
}

/* Who carries out a command; all others are the control role's. */
static const char *command_role_of(const char *command)
{
    if (strncmp(command, "store.rebuild", 13) == 0) {
        return "relay";
    }
    return strncmp(command, "breaker.", 8) == 0 ? "adapters" : NULL;
}

static int run(service_t *service)
{
    declare_roles(service);
    const supervisor_options_t options = {.data_directory = service->installation.directory.path,
                                          .roles = service->roles,
                                          .role_count = service->role_count,
                                          .control_role = "shard-0",
                                          .started = started,
                                          .role_ended = role_ended,
                                          .command_name = command_name,
                                          .command_role = command_role_of,
                                          .context = service,
                                          .version = DIGITALCARD_VERSION,
                                          .bounds.watchdog_ms = service->configuration.watchdog_ms};
    const result_t result = supervisor_run(&options);
    if (result != RESULT_OK) {
        return command_fail("the service ended: %s", result_title(result));
    }
    return EXIT_OK;
}

int command_serve(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    bool ready = false;
    service_t service = {.installation.directory.lock = -1,
                         .http.descriptor = -1,
                         .api.descriptor = -1,
                         .events.descriptor = -1};
    option_t options[CONFIGURATION_SETTINGS + 1];
    const size_t count = configuration_options(&service.configuration, true, options);
    if (!arguments_parse(command, argc, argv, options, count, NULL, 0, &status)) {
        return status;
    }
    (void)umask(S_IRWXG | S_IRWXO); /* of all roles: nothing here is for others to read */
    if (configuration_load_for(&service.configuration, &status) &&
        parse_addresses(&service, &status) && check_open_files()) {
        /* A directory that is in use says more than its ports; no key is made before both are ours.
         */
        ready = lock_data(&service) && wait_for_store(&service) && bind_addresses(&service) &&
                open_data(&service);
    }
    if (ready) {
        status = run(&service);
        service_file_remove(&service.installation.directory);
    }
    endpoint_close(&service.http);
    endpoint_close(&service.api);
    endpoint_close(&service.events);
    installation_close(&service.installation);
    configuration_release(&service.configuration);
    return status;
}
