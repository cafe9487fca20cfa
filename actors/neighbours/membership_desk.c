/* Questions of shards about members, and what shards hear of the context. Must not know how the
 * context is asked (ports/membership.h) nor look into events (membership_feed.c). */
#include "actors/neighbours/membership_desk_internal.h"

#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

enum { GENERATIONS_FIRST = 1 << 30 }; /* with the bits below them, within a correlation's 53 */

/* --- Sending --- */

result_t desk_send(membership_desk_t *desk, uint32_t shard, const envelope_t *envelope)
{
    if (shard >= desk->shards || !desk->shard_is_up[shard]) {
        return RESULT_MISSING;
    }
    const size_t size = message_pack(&envelope_message, envelope, MESSAGE_KEYS_IDS, desk->scratch,
                                     sizeof desk->scratch);
    assert(size <= sizeof desk->scratch); /* DESK_SCRATCH_SIZE counts all that is sent */
    return desk->ports.send(desk->ports.context, desk->shard_peer[shard], desk->scratch, size);
}

bool desk_is_reachable(const desk_tenant_t *tenant)
{
    return !tenant->is_unasked &&
           neighbour_is_closed(tenant->desk->ports.neighbours, desk_tenant_name(tenant),
                               NEIGHBOUR_MEMBERSHIP);
}

static void send_standing(membership_desk_t *desk, uint32_t shard, const desk_tenant_t *tenant)
{
    envelope_t envelope = {0};
    MESSAGE_MARK(envelope, &envelope, standing);
    if (tenant != NULL) {
        const text_t name = desk_tenant_name(tenant);
        MESSAGE_SET(membership_standing, &envelope.standing, tenant, name);
        MESSAGE_SET(membership_standing, &envelope.standing, is_reachable,
                    desk_is_reachable(tenant));
        if (tenant->current_at > 0) {
            MESSAGE_SET(membership_standing, &envelope.standing, current_at, tenant->current_at);
        }
    }
    const result_t result = desk_send(desk, shard, &envelope);
    (void)result; /* told again within LIMIT_STANDING_MS */
}

void desk_tell_standing(desk_tenant_t *tenant)
{
    send_standing(tenant->desk, tenant->shard, tenant);
}

static void tell_all(membership_desk_t *desk)
{
    for (uint32_t shard = 0; shard < desk->shards; shard++) {
        send_standing(desk, shard, NULL);
    }
    for (uint32_t i = 0; i < desk->tenant_places; i++) {
        const desk_tenant_t *tenant = desk->tenants[i];
        if (tenant != NULL && !desk_is_reachable(tenant)) {
            send_standing(desk, tenant->shard, tenant);
        }
    }
}

void membership_desk_breaker_changed(membership_desk_t *desk, text_t name)
{
    desk_tenant_t *tenant = feed_find(desk, name);
    if (tenant != NULL && !desk->is_closing) {
        desk_tell_standing(tenant);
        tenant->poll_at_ms = 0;
    }
}

/* --- Questions --- */

static desk_call_t *call_of(neighbour_call_t *base)
{
    return (desk_call_t *)base; /* its first member */
}

static void answered(void *context, const membership_answer_t *answer)
{
    desk_call_t *call = context;
    call->asked = NULL;
    if (answer->failure == NULL && call->member_size == 0) {
        feed_page_answered(call, answer);
    } else if (answer->failure == NULL) {
        call->status = answer->status;
        call->valid_until = answer->valid_until;
    }
    neighbour_attempt_end(&call->call, answer->failure);
}

static result_t start_attempt(neighbour_call_t *base, uint32_t deadline_ms)
{
    desk_call_t *call = call_of(base);
    membership_t *membership = call->desk->ports.membership;
    const membership_question_t question = {
        .tenant = {.data = call->tenant_name, .size = call->tenant_size},
        .member_id = {.data = call->member_id, .size = call->member_size},
        .after = call->after,
        .limit = LIMIT_MEMBERSHIP_PAGE,
        .deadline_ms = deadline_ms,
    };
    return membership->functions->ask(membership, &question, answered, call, &call->asked);
}

static void cancel_attempt(neighbour_call_t *base)
{
    desk_call_t *call = call_of(base);
    membership_t *membership = call->desk->ports.membership;
    if (call->asked != NULL) {
        membership->functions->cancel(membership, &call->asked);
    }
}

static void answer_member(desk_call_t *call, neighbour_end_t end)
{
    membership_desk_t *desk = call->desk;
    envelope_t envelope = {0};
    member_answer_t *answer = &envelope.answer;
    MESSAGE_MARK(envelope, &envelope, answer);
    MESSAGE_SET(member_answer, answer, correlation, call->correlation);
    if (end == NEIGHBOUR_ANSWERED) {
        MESSAGE_SET(member_answer, answer, status, call->status);
    }
    if (end == NEIGHBOUR_ANSWERED && call->valid_until > 0) {
        MESSAGE_SET(member_answer, answer, valid_until, call->valid_until);
    }
    const size_t size = message_pack(&envelope_message, &envelope, MESSAGE_KEYS_IDS, desk->scratch,
                                     sizeof desk->scratch);
    if (desk->ports.send(desk->ports.context, call->peer, desk->scratch, size) != RESULT_OK) {
        metric_add(desk->unanswered, 1); /* whoever waits has a deadline */
    }
}

static void call_done(neighbour_call_t *base, neighbour_end_t end)
{
    desk_call_t *call = call_of(base);
    if (call->member_size == 0) {
        feed_page_done(call, end);
    } else if (!call->desk->is_closing) {
        answer_member(call, end);
    }
    free(call);
}

void desk_call_begin(desk_call_t *call, bool is_repeatable, uint64_t deadline_ms)
{
    membership_desk_t *desk = call->desk;
    call->call.start = start_attempt;
    call->call.cancel = cancel_attempt;
    call->call.done = call_done;
    call->call.is_repeatable = is_repeatable;
    call->call.deadline_ms = loop_now_ms(desk->loop) + deadline_ms;
    const text_t name = {.data = call->tenant_name, .size = call->tenant_size};
    neighbour_call_begin(desk->ports.neighbours, name, NEIGHBOUR_MEMBERSHIP, &call->call);
}

static void take_question(membership_desk_t *desk, uint32_t peer, const member_question_t *question)
{
    desk_call_t *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->desk = desk;
    call->peer = peer;
    call->correlation = question->correlation;
    call->tenant_size = (uint32_t)question->tenant.size;
    memcpy(call->tenant_name, question->tenant.data, question->tenant.size);
    call->member_size = (uint32_t)question->member_id.size;
    memcpy(call->member_id, question->member_id.data, question->member_id.size);
    desk_call_begin(call, true, question->deadline_ms); /* reading a member is safe to repeat */
}

/* --- What comes in --- */

static void take_hello(membership_desk_t *desk, uint32_t peer, uint64_t shard)
{
    if (shard >= desk->shards) {
        return;
    }
    if (desk->shard_is_up[shard] && desk->shard_peer[shard] != peer) {
        feed_shard_down(desk, (uint32_t)shard); /* what was sent to the one before is lost */
    }
    desk->shard_is_up[shard] = true;
    desk->shard_peer[shard] = peer;
    desk->standing_at_ms = 0;
}

void membership_desk_receive(membership_desk_t *desk, uint32_t peer, const uint8_t *bytes,
                             size_t size)
{
    envelope_t envelope;
    arena_t arena = {.base = NULL, .size = 0};
    message_fault_t fault;
    if (!message_unpack(&envelope_message, MESSAGE_KEYS_IDS, bytes, size, &arena, &envelope,
                        &fault)) {
        log_warn("an envelope cannot be read: do all roles have the same version?",
                 LOG_STRING("field", fault.field), LOG_STRING("detail", fault.detail));
        return;
    }
    if (MESSAGE_HAS(envelope, &envelope, hello)) {
        take_hello(desk, peer, envelope.hello.shard);
    } else if (MESSAGE_HAS(envelope, &envelope, question)) {
        if (!text_is_empty(envelope.question.member_id)) {
            take_question(desk, peer, &envelope.question);
        }
    } else if (MESSAGE_HAS(envelope, &envelope, reply)) {
        feed_reply(desk, &envelope.reply);
    }
}

void membership_desk_shard_down(membership_desk_t *desk, uint32_t shard)
{
    if (shard < desk->shards && desk->shard_is_up[shard]) {
        desk->shard_is_up[shard] = false;
        feed_shard_down(desk, shard);
    }
}

static void tick(void *context)
{
    membership_desk_t *desk = context;
    const uint64_t now_ms = loop_now_ms(desk->loop);
    if (now_ms >= desk->standing_at_ms) {
        desk->standing_at_ms = now_ms + LIMIT_STANDING_MS;
        tell_all(desk);
    }
    feed_tick(desk);
}

/* --- Begin and end --- */

result_t membership_desk_create(loop_t *loop, metrics_t *metrics,
                                const membership_desk_ports_t *ports, uint32_t shards,
                                membership_desk_t **desk)
{
    membership_desk_t *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return RESULT_NO_MEMORY;
    }
    created->loop = loop;
    created->ports = *ports;
    created->shards = shards;
    /* Correlations carry it: an answer to a question of this desk's predecessor, which the shard
     * gives to whoever has its place, must not be taken for one of another tenant. */
    created->next_generation = 1 + ports->random(GENERATIONS_FIRST);
    created->applied = metrics_counter(metrics, "digitalcard_member_events_total",
                                       "end=\"applied\"", "Events of the membership context");
    created->repeated = metrics_counter(metrics, "digitalcard_member_events_total",
                                        "end=\"repeated\"", "Events of the membership context");
    created->ahead = metrics_counter(metrics, "digitalcard_member_events_total", "end=\"ahead\"",
                                     "Events of the membership context");
    created->beyond = metrics_counter(metrics, "digitalcard_member_events_total", "end=\"beyond\"",
                                      "Events of the membership context");
    created->dead = metrics_counter(metrics, "digitalcard_member_events_total", "end=\"dead\"",
                                    "Events of the membership context");
    created->pages = metrics_counter(metrics, "digitalcard_member_pages_total", "",
                                     "Pages read from replay endpoints");
    created->lag = metrics_gauge(metrics, "digitalcard_member_events_waiting", "",
                                 "Events taken from contexts and not yet applied");
    created->unanswered = metrics_counter(metrics, "digitalcard_member_answers_lost_total", "",
                                          "Answers whose shard was gone");
    created->tick = loop_timer_create(loop, tick, created);
    loop_timer_start(created->tick, 0, LIMIT_DESK_TICK_MS);
    *desk = created;
    return RESULT_OK;
}

void membership_desk_destroy(membership_desk_t **desk)
{
    membership_desk_t *const destroyed = *desk;
    if (destroyed == NULL) {
        return;
    }
    destroyed->is_closing = true;
    loop_timer_destroy(&destroyed->tick);
    neighbours_destroy(&destroyed->ports.neighbours); /* ends what points to the tenants */
    feed_destroy(destroyed);
    free(destroyed);
    *desk = NULL;
}

void membership_desk_numbers(const membership_desk_t *desk, membership_desk_numbers_t *numbers)
{
    *numbers = (membership_desk_numbers_t){
        .tenants = desk->tenant_count,
        .events_applied = metric_value(desk->applied),
        .events_repeated = metric_value(desk->repeated),
        .events_ahead = metric_value(desk->ahead),
        .events_beyond = metric_value(desk->beyond),
        .events_dead = metric_value(desk->dead),
        .pages_read = metric_value(desk->pages),
        .lag = metric_value(desk->lag),
    };
}
