/* See adapters_status.h. */
#include "adapters/cli/roles/adapters_status.h"

#include "actors/domain/card_id.h"
#include "runtime/actor_status.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct listing {
    json_t *breakers;
    bool with_tenants;
    text_t tenant; /* whose; empty: of all */
    json_int_t open;
    json_int_t left_out;
} listing_t;

static void list_breaker(void *context, const neighbour_t *neighbour)
{
    listing_t *listing = context;
    const circuit_breaker_t *breaker = neighbour_breaker(neighbour);
    const text_t tenant = neighbour_tenant(neighbour);
    neighbour_numbers_t numbers;
    neighbour_numbers(neighbour, &numbers);
    const bool is_closed = circuit_breaker_is_closed(breaker);
    listing->open += is_closed ? 0 : 1;
    const bool is_wanted = (listing->with_tenants || !is_closed) &&
                           (text_is_empty(listing->tenant) || text_equal(listing->tenant, tenant));
    const bool has_room = json_array_size(listing->breakers) < LIMIT_BREAKERS_SHOWN;
    listing->left_out += is_wanted && !has_room ? 1 : 0;
    if (!is_wanted || !has_room) {
        return;
    }
    json_t *entry =
        json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "adapter",
                  neighbour_adapter_name(neighbour_adapter_of(neighbour)), "state",
                  circuit_breaker_state_name(breaker), "by_hand", circuit_breaker_is_held(breaker),
                  "failures_in_row", (json_int_t)breaker->failures_in_row, "opened",
                  (json_int_t)breaker->opened, "slow", (json_int_t)breaker->slow, "answered",
                  (json_int_t)numbers.answered, "failed", (json_int_t)numbers.failed, "not_asked",
                  (json_int_t)numbers.not_asked, "in_flight", (json_int_t)numbers.in_flight,
                  "waiting", (json_int_t)numbers.waiting, "changed_ms_ago",
                  (json_int_t)numbers.changed_ms_ago, "retry_ms", (json_int_t)numbers.retry_ms);
    if (numbers.last_error[0] != '\0') {
        (void)json_object_set_new(entry, "last_error", json_string(numbers.last_error));
        (void)json_object_set_new(entry, "last_error_ms_ago",
                                  json_integer((json_int_t)numbers.last_error_ms_ago));
    }
    if (listing->with_tenants) {
        (void)json_object_set_new(entry, "tenant", json_stringn(tenant.data, tenant.size));
    }
    (void)json_array_append_new(listing->breakers, entry);
}

/* A breaker that never opens because nobody is behind it looks healthy: so who is missing is said.
 */
static json_t *missing_vendors(const vendor_desk_t *vendors)
{
    static const neighbour_adapter_t kinds[] = {NEIGHBOUR_WALLET, NEIGHBOUR_NOTIFICATION,
                                                NEIGHBOUR_GEOGRAPHY};
    json_t *missing = json_array();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!vendor_desk_has(vendors, kinds[i])) {
            (void)json_array_append_new(missing, json_string(neighbour_adapter_name(kinds[i])));
        }
    }
    return missing;
}

/* Breakers and adapters as actors: how many, what waits for them, what failed. */
static json_t *actors_of(const neighbours_t *neighbours)
{
    enum { SIZE = 4096 }; /* two kinds of 400 bytes */
    char text[SIZE];
    const size_t size = actor_status(neighbours_actors(neighbours), text, sizeof text);
    json_t *actors = size < sizeof text ? json_loadb(text, size, 0, NULL) : NULL;
    return actors != NULL ? actors : json_array();
}

json_t *adapters_status(const adapters_view_t *view, bool with_tenants, text_t tenant)
{
    listing_t listing = {.breakers = json_array(), .with_tenants = with_tenants, .tenant = tenant};
    membership_desk_numbers_t numbers;
    neighbours_visit(view->neighbours, list_breaker, &listing);
    membership_desk_numbers(view->desk, &numbers);
    return json_pack(
        "{s:o,s:o,s:o,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I}}", "actors",
        actors_of(view->neighbours), "vendors_missing", missing_vendors(view->vendors), "breakers",
        listing.breakers, "breakers_open", listing.open, "breakers_left_out", listing.left_out,
        "calls_in_flight", (json_int_t)neighbours_in_flight(view->neighbours), "membership",
        "tenants", (json_int_t)numbers.tenants, "events_applied",
        (json_int_t)numbers.events_applied, "events_repeated", (json_int_t)numbers.events_repeated,
        "events_ahead", (json_int_t)numbers.events_ahead, "events_beyond",
        (json_int_t)numbers.events_beyond, "events_dead", (json_int_t)numbers.events_dead,
        "events_waiting", (json_int_t)numbers.lag);
}

static json_t *failed(result_t why, const char *detail)
{
    return json_pack("{s:{s:s,s:s}}", "error", "code", result_code(why), "detail", detail);
}

/* A command on its way to a breaker. */
typedef struct breaker_command {
    neighbour_command_t command; /* first */
    const adapters_view_t *view;
    adapters_answer_t *answer;
    void *context;
    size_t tenant_size;
    char tenant[LIMIT_TENANT_NAME_SIZE];
} breaker_command_t;

static void breaker_done(neighbour_command_t *base, result_t result)
{
    breaker_command_t *const command = (breaker_command_t *)base; /* its first member */
    const text_t tenant = {.data = command->tenant, .size = command->tenant_size};
    command->answer(command->context, result == RESULT_OK
                                          ? adapters_status(command->view, true, tenant)
                                          : failed(result, "The breaker cannot be reached now"));
    free(command);
}

static bool look_at_nothing(void *context, const control_tenant_t *row)
{
    (void)context;
    (void)row;
    return true;
}

static json_t *breaker_command(const adapters_view_t *view, const json_t *request,
                               neighbour_hand_t hand, adapters_answer_t *answer, void *context)
{
    const char *adapter_name = json_string_value(json_object_get(request, "adapter"));
    const text_t tenant = text_from_c(json_string_value(json_object_get(request, "tenant")));
    neighbour_adapter_t adapter = NEIGHBOUR_MEMBERSHIP;
    if (adapter_name == NULL || !neighbour_adapter_parse(adapter_name, &adapter)) {
        return failed(RESULT_INVALID_ARGUMENT,
                      "There is no such adapter: membership, wallet, notification, geography");
    }
    if (!tenant_name_is_valid(tenant)) {
        return failed(RESULT_INVALID_ARGUMENT, "A breaker is one organisation's: --tenant");
    }
    /* A store that cannot be asked now keeps nobody from opening a breaker. */
    if (view->control->functions->tenant(view->control, tenant, look_at_nothing, NULL) ==
        RESULT_MISSING) {
        return failed(RESULT_TENANT_NOT_FOUND, "There is no such tenant");
    }
    breaker_command_t *const made = calloc(1, sizeof *made);
    assert(made != NULL);
    *made = (breaker_command_t){.command = {.hand = hand, .done = breaker_done},
                                .view = view,
                                .answer = answer,
                                .context = context,
                                .tenant_size = tenant.size};
    memcpy(made->tenant, tenant.data, tenant.size);
    neighbour_command_begin(view->neighbours, tenant, adapter, &made->command);
    return NULL;
}

bool adapters_command(const adapters_view_t *view, const json_t *request, adapters_answer_t *answer,
                      void *context)
{
    static const struct {
        const char *name;
        neighbour_hand_t hand;
    } hands[] = {{"breaker.open", NEIGHBOUR_HOLD},
                 {"breaker.close", NEIGHBOUR_CLOSE},
                 {"breaker.reset", NEIGHBOUR_RESET}};
    const char *name = json_string_value(json_object_get(request, "command"));
    if (name != NULL && strcmp(name, "breaker.list") == 0) {
        const char *tenant = json_string_value(json_object_get(request, "tenant"));
        answer(context, adapters_status(view, true, text_from_c(tenant)));
        return true;
    }
    for (size_t i = 0; name != NULL && i < sizeof hands / sizeof hands[0]; i++) {
        if (strcmp(name, hands[i].name) != 0) {
            continue;
        }
        json_t *wrong = breaker_command(view, request, hands[i].hand, answer, context);
        if (wrong != NULL) {
            answer(context, wrong);
        }
        return true;
    }
    return false;
}
