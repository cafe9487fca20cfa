/* Probes. */
#include "tests/unit/actor_support.h"

#include "runtime/log.h"

#include <stdio.h>

void probes_trace(probes_t *probes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t room = sizeof(probes->trace) - probes->trace_size;
    const int size = vsnprintf(probes->trace + probes->trace_size, room, format, arguments);
    va_end(arguments);
    probes->trace_size += (size_t)size < room ? (size_t)size : 0;
}

static void activate(actor_t *actor, void *context)
{
    probes_t *const probes = context;
    probe_t *const probe = actor_state(actor);
    assert_int_equal(probe->memory, 0); /* a restarted one begins with its argument alone */
    probes->activated++;
    probes_trace(probes, "%u:begins ", probe->name);
}

static void deactivate(actor_t *actor, void *context)
{
    probes_t *const probes = context;
    probes->deactivated++;
    probes_trace(probes, "%u:ends ", ((const probe_t *)actor_state(actor))->name);
}

static void trace_system(probes_t *probes, uint32_t name, const actor_message_t *message)
{
    static const char *const names[] = {
        [ACTOR_SYSTEM_TIMER] = "timer", [ACTOR_SYSTEM_ENDED] = "ended",
        [ACTOR_SYSTEM_ROOM] = "room",   [ACTOR_SYSTEM_UNANSWERED] = "unanswered",
        [ACTOR_SYSTEM_AGAIN] = "again", [ACTOR_SYSTEM_ESCALATED] = "escalated",
    };
    const result_t result = actor_notice_result(message);
    if (message->type == ACTOR_SYSTEM_TIMER) {
        probes_trace(probes, "%u:timer*%u ", name, actor_notice_count(message));
    } else {
        probes_trace(probes, "%u:%s(%s) ", name, names[message->type], result_code(result));
    }
}

static result_t receive(actor_t *actor, actor_message_t *message, void *context)
{
    probes_t *const probes = context;
    probe_t *const probe = actor_state(actor);
    probes->handled++;
    if ((message->flags & ACTOR_MESSAGE_SYSTEM) != 0) {
        trace_system(probes, probe->name, message);
        return RESULT_OK;
    }
    if ((message->flags & ACTOR_MESSAGE_REPLY) != 0) {
        assert_int_equal(message->correlation, probes->number);
        probes_trace(probes, "%u:answer ", probe->name);
        return RESULT_OK;
    }
    if (message->type == MESSAGE_RUN) {
        probe_run_t *run = NULL;
        memcpy(&run, actor_message_payload(message), sizeof(run));
        return run(actor, message, probes);
    }
    probes_trace(probes, "%u:note ", probe->name);
    return RESULT_OK;
}

static void undeliverable(actor_t *actor, actor_message_t *message, result_t why, void *context)
{
    (void)message;
    probes_trace(context, "%u:back(%s) ", ((const probe_t *)actor_state(actor))->name,
                 result_code(why));
}

static actor_directive_t directive(actor_t *actor, result_t why, void *context)
{
    (void)actor;
    (void)why;
    return ((const probes_t *)context)->directive;
}

int probes_setup(void **state)
{
    probes_t *const probes = calloc(1, sizeof(*probes));
    assert_non_null(probes);
    log_start("test", LOG_ERROR_LEVEL);
    assert_int_equal(loop_create(&probes->loop), RESULT_OK);
    probes->metrics = metrics_create("test");
    assert_int_equal(actor_system_create(probes->loop, probes->metrics, &probes->system),
                     RESULT_OK);
    const actor_system_options_t options = {.turn_us_max = UINT64_MAX};
    actor_system_configure(probes->system, &options);
    const actor_kind_t kind = {.name = "probe",
                               .state_size = sizeof(probe_t),
                               .is_anonymous = true,
                               .mailbox_max = 100,
                               .arena_size_max = 4096,
                               .handler_budget_us = 60000000,
                               .activate = activate,
                               .receive = receive,
                               .undeliverable = undeliverable,
                               .deactivate = deactivate,
                               .directive = directive};
    probes->kind = actor_system_register(probes->system, &kind, probes);
    *state = probes;
    return 0;
}

int probes_teardown(void **state)
{
    probes_t *const probes = *state;
    actor_message_destroy(probes->system, &probes->taken);
    actor_system_destroy(&probes->system);
    assert_int_equal(probes->activated, probes->deactivated);
    metrics_destroy(&probes->metrics);
    loop_destroy(&probes->loop);
    free(probes);
    return 0;
}

actor_ref_t probes_spawn(probes_t *probes, uint32_t name, const char *tenant, actor_group_t *group)
{
    const probe_t argument = {.name = name};
    const actor_spawn_t spawn = {.tenant = tenant,
                                 .tenant_size = tenant == NULL ? 0 : strlen(tenant),
                                 .argument = &argument,
                                 .argument_size = sizeof(argument),
                                 .group = group};
    actor_ref_t ref;
    assert_int_equal(actor_system_spawn(probes->system, probes->kind, &spawn, &ref), RESULT_OK);
    return ref;
}

actor_message_t *probes_message(probes_t *probes, uint32_t type)
{
    actor_message_t *const message = actor_message_create(probes->system, type, 16);
    assert_non_null(message);
    return message;
}

static result_t tell(probes_t *probes, actor_ref_t ref, actor_message_t *message)
{
    const result_t result = actor_system_tell(probes->system, ref, &message);
    assert_true((result == RESULT_OK) == (message == NULL));
    actor_message_destroy(probes->system, &message);
    return result;
}

result_t probes_send(probes_t *probes, actor_ref_t ref, probe_run_t *run)
{
    actor_message_t *const message = probes_message(probes, MESSAGE_RUN);
    memcpy(actor_message_payload(message), &run, sizeof(run));
    return tell(probes, ref, message);
}

result_t probes_note(probes_t *probes, actor_ref_t ref)
{
    return tell(probes, ref, probes_message(probes, MESSAGE_NOTE));
}

void probes_run(probes_t *probes, actor_ref_t ref, probe_run_t *run)
{
    assert_int_equal(probes_send(probes, ref, run), RESULT_OK);
    loop_fake_settle(probes->loop);
}

actor_system_numbers_t probes_numbers(const probes_t *probes)
{
    actor_system_numbers_t numbers;
    actor_system_numbers(probes->system, probes->kind, &numbers);
    return numbers;
}

result_t probe_fails(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    probe_t *const probe = actor_state(self);
    probe->memory = 1;
    probes_trace(probes, "%u:fails ", probe->name);
    return RESULT_INTERNAL;
}

result_t probe_stops(actor_t *self, actor_message_t *message, probes_t *probes)
{
    (void)message;
    (void)probes;
    actor_stop(self);
    return RESULT_OK;
}
