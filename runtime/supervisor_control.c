/* Commands that come in on the control socket, and those of roles: `tree` and `metrics` are
 * gathered from all roles, everything else goes to the control role as it is. */
#include "runtime/supervisor_internal.h"

#include "runtime/link_frames.h"
#include "runtime/log.h"
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 4 };

/* Who asked: a program on the control socket, or one incarnation of a role. */
typedef struct asker {
    control_request_t *control;
    role_t *role;
    uint64_t incarnation;
    uint32_t number;
} asker_t;

typedef enum gather_kind {
    GATHER_TREE,
    GATHER_METRICS,
    GATHER_ONE /* whichever role knows: the first answer that is no error */
} gather_kind_t;

typedef struct gather {
    supervisor_t *supervisor;
    gather_kind_t kind;
    asker_t asker;
    size_t waiting;
    char *answers[LIMIT_ROLES]; /* NULL: no answer */
} gather_t;

typedef struct forward {
    asker_t asker;
} forward_t;

static void asker_answer(asker_t *asker, const char *json, size_t size)
{
    if (asker->control != NULL) {
        control_request_answer(&asker->control, json, size);
        return;
    }
    const bool same = asker->role->incarnation == asker->incarnation && asker->role->link != NULL;
    if (same) {
        uint8_t head[NUMBER_SIZE];
        link_number_write(head, asker->number, sizeof head);
        const bool fits = size <= LIMIT_LINK_FRAME_SIZE - NUMBER_SIZE;
        frame_stream_send(asker->role->link, LINK_FRAME_ANSWER, head, sizeof head, json,
                          fits ? size : 0);
    }
}

static void asker_answer_json(asker_t *asker, json_t *answer)
{
    char *text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);
    assert(text != NULL);
    asker_answer(asker, text, strlen(text));
    free(text);
    json_decref(answer);
}

static void asker_fail(asker_t *asker, result_t why, const char *detail)
{
    asker_answer_json(
        asker, json_pack("{s:{s:s,s:s}}", "error", "code", result_code(why), "detail", detail));
}

/* --- tree --- */

static json_t *role_status(const char *answer)
{
    json_t *status = answer == NULL ? NULL : json_loads(answer, 0, NULL);
    return status != NULL ? status : json_string("no answer");
}

static json_t *role_tree(const role_t *role, const char *answer, uint64_t now_ms)
{
    process_numbers_t numbers = {0};
    if (role->pid != 0) {
        process_numbers(role->pid, &numbers);
    }
    const uint64_t uptime_ms = role->pid == 0 ? 0 : now_ms - role->started_ms;
    return json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:s,s:I,s:I,s:I,s:o}", "name", role->declared->name,
                     "pid", (json_int_t)role->pid, "state", role_state_name(role->state),
                     "incarnation", (json_int_t)role->incarnation, "restarts",
                     (json_int_t)role->restarts, "uptime_ms", (json_int_t)uptime_ms, "last_exit",
                     role->last_exit, "rss_bytes", (json_int_t)numbers.resident_bytes, "pss_bytes",
                     (json_int_t)numbers.proportional_bytes, "cpu_ms", (json_int_t)numbers.cpu_ms,
                     "status", role_status(answer));
}

static json_t *service_tree(const supervisor_t *supervisor, uint64_t now_ms)
{
    process_numbers_t numbers;
    bool ready = true;
    process_numbers(process_self(), &numbers);
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        ready = ready && (role->state == ROLE_READY || role_is_spare(role) || role->retiring);
    }
    const char *version = supervisor->options->version;
    return json_pack("{s:I,s:s,s:I,s:b,s:I,s:I,s:I}", "pid", (json_int_t)process_self(), "version",
                     version == NULL ? "" : version, "uptime_ms",
                     (json_int_t)(now_ms - supervisor->started_ms), "ready", ready, "rss_bytes",
                     (json_int_t)numbers.resident_bytes, "pss_bytes",
                     (json_int_t)numbers.proportional_bytes, "cpu_ms", (json_int_t)numbers.cpu_ms);
}

static void tree_finish(gather_t *gather)
{
    const supervisor_t *supervisor = gather->supervisor;
    const uint64_t now_ms = loop_now_ms(supervisor->loop);
    json_t *roles = json_array();
    for (size_t i = 0; i < supervisor->role_count; i++) {
        const role_t *role = &supervisor->roles[i];
        if (!role_is_spare(role)) {
            (void)json_array_append_new(roles, role_tree(role, gather->answers[i], now_ms));
        }
    }
    asker_answer_json(&gather->asker, json_pack("{s:o,s:o}", "service",
                                                service_tree(supervisor, now_ms), "roles", roles));
}

/* --- metrics --- */

static void merge_own(metrics_merge_t *merge, const metrics_t *metrics)
{
    const size_t size = metrics_print(metrics, NULL, 0);
    char *text = malloc(size + 1);
    if (text != NULL && metrics_print(metrics, text, size + 1) == size) {
        metrics_merge_add(merge, text, size);
    }
    free(text);
}

static void merge_answer(metrics_merge_t *merge, const char *answer)
{
    json_t *json = answer == NULL ? NULL : json_loads(answer, 0, NULL);
    const json_t *text = json_object_get(json, "text");
    if (json_is_string(text)) {
        metrics_merge_add(merge, json_string_value(text), json_string_length(text));
    }
    json_decref(json);
}

static void metrics_finish(gather_t *gather)
{
    metrics_merge_t *merge = metrics_merge_create();
    merge_own(merge, gather->supervisor->metrics);
    for (size_t i = 0; i < gather->supervisor->role_count; i++) {
        merge_answer(merge, gather->answers[i]);
    }
    size_t size = 0;
    char *text = metrics_merge_text(merge, &size);
    metrics_merge_destroy(&merge);
    json_t *answer = json_pack("{s:s%}", "text", text, size);
    free(text);
    if (answer == NULL) {
        asker_fail(&gather->asker, RESULT_INTERNAL, "The metrics are not UTF-8");
    } else {
        asker_answer_json(&gather->asker, answer);
    }
}

/* --- gathering --- */

static bool is_error(const char *answer)
{
    json_t *json = json_loads(answer, 0, NULL);
    const bool is = !json_is_object(json) || json_object_get(json, "error") != NULL;
    json_decref(json);
    return is;
}

static void one_finish(gather_t *gather)
{
    for (size_t i = 0; i < gather->supervisor->role_count; i++) {
        const char *answer = gather->answers[i];
        if (answer != NULL && strchr(answer, '\n') == NULL && !is_error(answer)) {
            asker_answer(&gather->asker, answer, strlen(answer));
            return;
        }
    }
    asker_fail(&gather->asker, RESULT_MISSING,
               "No role knows that: is there such a tenant, and is it the id of a card?");
}

static void gather_answered(gather_t *gather)
{
    gather->waiting--;
    if (gather->waiting > 0) {
        return;
    }
    if (gather->kind == GATHER_TREE) {
        tree_finish(gather);
    } else if (gather->kind == GATHER_METRICS) {
        metrics_finish(gather);
    } else {
        one_finish(gather);
    }
    for (size_t i = 0; i < LIMIT_ROLES; i++) {
        free(gather->answers[i]);
    }
    free(gather);
}

static void gather_answer(void *context, role_t *role, const char *json, size_t size)
{
    gather_t *gather = context;
    if (json != NULL) {
        gather->answers[role - gather->supervisor->roles] = strndup(json, size);
    }
    gather_answered(gather);
}

static void gather_begin(supervisor_t *supervisor, gather_kind_t kind, asker_t *asker,
                         const char *question, size_t size)
{
    gather_t *gather = calloc(1, sizeof *gather);
    if (gather == NULL) {
        asker_fail(asker, RESULT_NO_MEMORY, "No memory to answer");
        return;
    }
    gather->supervisor = supervisor;
    gather->kind = kind;
    gather->asker = *asker;
    gather->waiting = supervisor->role_count + 1; /* one for this function */
    /* Asked roles may ask in turn through this supervisor, so their limit must be shorter than that
     * of whoever waits for us. */
    for (size_t i = 0; i < supervisor->role_count; i++) {
        role_ask(&supervisor->roles[i], question, size, LIMIT_LINK_TIMEOUT_MS / 2, gather_answer,
                 gather);
    }
    gather_answered(gather);
}

/* --- forwarding --- */

static void forward_answer(void *context, role_t *role, const char *json, size_t size)
{
    forward_t *forward = context;
    (void)role;
    if (json == NULL || memchr(json, '\n', size) != NULL) {
        asker_fail(&forward->asker, RESULT_UNAVAILABLE,
                   "The role that runs commands did not answer; whether the command took effect "
                   "is not known");
    } else {
        asker_answer(&forward->asker, json, size);
    }
    free(forward);
}

/* NULL: none, or not now. */
static role_t *role_for(supervisor_t *supervisor, const char *command)
{
    const supervisor_options_t *options = supervisor->options;
    const char *name = options->command_role == NULL ? NULL : options->command_role(command);
    name = name == NULL ? options->control_role : name;
    for (size_t i = 0; i < supervisor->role_count && name != NULL; i++) {
        if (strcmp(supervisor->roles[i].declared->name, name) == 0) {
            return &supervisor->roles[i];
        }
    }
    return NULL;
}

static void forward_begin(supervisor_t *supervisor, asker_t *asker, const char *command,
                          const char *json, size_t size)
{
    role_t *control = role_for(supervisor, command);
    if (control == NULL || control->state != ROLE_READY) {
        asker_fail(asker, RESULT_BUSY, "The role that runs commands is restarting; try again");
        return;
    }
    forward_t *forward = calloc(1, sizeof *forward);
    if (forward == NULL) {
        asker_fail(asker, RESULT_NO_MEMORY, "No memory to answer");
        return;
    }
    forward->asker = *asker;
    role_ask(control, json, size, LIMIT_CONTROL_TIMEOUT_MS, forward_answer, forward);
}

/* --- commands --- */

static bool is_command(const json_t *json, const char *name)
{
    const char *command = json_string_value(json_object_get(json, "command"));
    return command != NULL && strcmp(command, name) == 0;
}

static void command_begin(supervisor_t *supervisor, asker_t *asker, const char *text, size_t size)
{
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_string(json_object_get(json, "command"))) {
        asker_fail(asker, RESULT_MALFORMED_JSON,
                   "A command is a JSON object with a member command, on one line");
    } else if (is_command(json, "tree")) {
        static const char question[] = "{\"command\":\"status\"}";
        gather_begin(supervisor, GATHER_TREE, asker, question, sizeof question - 1);
    } else if (is_command(json, "metrics")) {
        static const char question[] = "{\"command\":\"metrics\"}";
        gather_begin(supervisor, GATHER_METRICS, asker, question, sizeof question - 1);
    } else if (asker->control != NULL && is_command(json, "follow")) {
        gather_begin(supervisor, GATHER_ONE, asker, text, size);
    } else if (asker->control != NULL) {
        forward_begin(supervisor, asker, json_string_value(json_object_get(json, "command")), text,
                      size);
    } else { /* a role must not command another one */
        asker_fail(asker, RESULT_INVALID_ARGUMENT, "A role may ask for tree and metrics");
    }
    json_decref(json);
}

void supervisor_control(void *context, control_request_t *request, const char *json, size_t size)
{
    asker_t asker = {.control = request};
    command_begin(context, &asker, json, size);
}

void supervisor_role_asks(role_t *role, const uint8_t *payload, size_t size)
{
    if (size < NUMBER_SIZE) {
        return;
    }
    asker_t asker = {.role = role,
                     .incarnation = role->incarnation,
                     .number = (uint32_t)link_number_read(payload, NUMBER_SIZE)};
    command_begin(role->supervisor, &asker, (const char *)payload + NUMBER_SIZE,
                  size - NUMBER_SIZE);
}
