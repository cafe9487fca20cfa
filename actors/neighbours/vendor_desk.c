/* See vendor_desk.h. Must not know how a vendor is spoken to (ports/), nor what its answer means
 * for a card. */
#include "actors/neighbours/vendor_desk.h"

#include <assert.h>
#include <stdlib.h>

enum { TEXTS_MAX = 5 }; /* of one question */

struct vendor_desk {
    loop_t *loop;
    vendor_desk_ports_t ports;
};

typedef struct desk_question {
    neighbour_call_t call; /* first: the breaker sees only this */
    vendor_desk_t *desk;
    neighbour_adapter_t adapter;
    vendor_call_t *asked; /* while an attempt runs */
    void *context;
    union {
        vendor_wallet_done_t *wallet;
        vendor_notification_done_t *notification;
        vendor_geography_done_t *geography;
    } done;
    union {
        wallet_question_t wallet;
        notification_question_t notification;
        geography_question_t geography;
    } question;
    union {
        vendor_answer_t base; /* the first member of the others */
        wallet_answer_t wallet;
        notification_answer_t notification;
        geography_answer_t geography;
    } answer;           /* the last one */
    char *answer_texts; /* what it points to; NULL: nothing */
    char texts[];       /* of the question */
} desk_question_t;

vendor_desk_t *vendor_desk_create(loop_t *loop, const vendor_desk_ports_t *ports)
{
    vendor_desk_t *desk = calloc(1, sizeof *desk);
    assert(desk != NULL);
    desk->loop = loop;
    desk->ports = *ports;
    return desk;
}

void vendor_desk_destroy(vendor_desk_t **desk)
{
    free(*desk);
    *desk = NULL;
}

bool vendor_desk_has(const vendor_desk_t *desk, neighbour_adapter_t adapter)
{
    switch (adapter) {
    case NEIGHBOUR_WALLET:
        return desk->ports.wallet != NULL;
    case NEIGHBOUR_NOTIFICATION:
        return desk->ports.notification != NULL;
    case NEIGHBOUR_GEOGRAPHY:
        return desk->ports.geography != NULL;
    default:
        return false;
    }
}

/* --- Texts --- */

/* To `at`, which has room for all of them, and makes them point there. */
static void copy_texts(char *at, text_t *const texts[TEXTS_MAX], size_t text_count)
{
    for (size_t i = 0; i < text_count; i++) {
        if (texts[i]->size > 0) {
            memcpy(at, texts[i]->data, texts[i]->size);
        }
        texts[i]->data = at;
        at += texts[i]->size;
    }
}

/* In all. SIZE_MAX: one is too long. */
static size_t texts_size(text_t *const texts[TEXTS_MAX], size_t text_count)
{
    size_t size = 0;
    for (size_t i = 0; i < text_count; i++) {
        if (texts[i]->size > LIMIT_VENDOR_TEXT_SIZE) {
            return SIZE_MAX;
        }
        size += texts[i]->size;
    }
    return size;
}

/* --- An attempt --- */

static desk_question_t *question_of(neighbour_call_t *call)
{
    return (desk_question_t *)call; /* its first member */
}

/* Moves the texts of the answer, which are the vendor's, to memory of the question. False: one is
 * longer than anything that makes sense. */
static bool keep_texts(desk_question_t *asked, text_t *const texts[TEXTS_MAX], size_t text_count)
{
    const size_t size = texts_size(texts, text_count);
    if (size == SIZE_MAX) {
        return false;
    }
    free(asked->answer_texts);
    asked->answer_texts = malloc(size + 1);
    assert(asked->answer_texts != NULL);
    copy_texts(asked->answer_texts, texts, text_count);
    return true;
}

/* `texts` are those of the answer, which has been copied into the question. */
static void answered(desk_question_t *asked, text_t *const texts[TEXTS_MAX], size_t text_count)
{
    const char *const failure = asked->answer.base.failure;
    asked->asked = NULL;
    const bool is_kept = failure != NULL || keep_texts(asked, texts, text_count);
    neighbour_attempt_end(&asked->call, is_kept ? failure : "its answer is too long");
}

static void wallet_answered(void *context, const wallet_answer_t *answer)
{
    desk_question_t *const asked = context;
    wallet_answer_t *const copy = &asked->answer.wallet;
    *copy = *answer;
    answered(asked, (text_t *const[TEXTS_MAX]){&copy->base.reason, &copy->link}, 2);
}

static void notification_answered(void *context, const notification_answer_t *answer)
{
    desk_question_t *const asked = context;
    notification_answer_t *const copy = &asked->answer.notification;
    *copy = *answer;
    answered(asked, (text_t *const[TEXTS_MAX]){&copy->base.reason, &copy->message_id}, 2);
}

static void geography_answered(void *context, const geography_answer_t *answer)
{
    desk_question_t *const asked = context;
    geography_answer_t *const copy = &asked->answer.geography;
    *copy = *answer;
    answered(asked, (text_t *const[TEXTS_MAX]){&copy->base.reason, &copy->place, &copy->country},
             3);
}

static result_t start_attempt(neighbour_call_t *call, uint32_t deadline_ms)
{
    desk_question_t *const asked = question_of(call);
    const vendor_desk_ports_t *const ports = &asked->desk->ports;
    switch (asked->adapter) {
    case NEIGHBOUR_WALLET:
        asked->question.wallet.deadline_ms = deadline_ms;
        return ports->wallet->functions->ask(ports->wallet, &asked->question.wallet,
                                             wallet_answered, asked, &asked->asked);
    case NEIGHBOUR_NOTIFICATION:
        asked->question.notification.deadline_ms = deadline_ms;
        return ports->notification->functions->ask(ports->notification,
                                                   &asked->question.notification,
                                                   notification_answered, asked, &asked->asked);
    default:
        asked->question.geography.deadline_ms = deadline_ms;
        return ports->geography->functions->ask(ports->geography, &asked->question.geography,
                                                geography_answered, asked, &asked->asked);
    }
}

static void cancel_attempt(neighbour_call_t *call)
{
    desk_question_t *const asked = question_of(call);
    const vendor_desk_ports_t *const ports = &asked->desk->ports;
    if (asked->asked == NULL) {
        return;
    }
    switch (asked->adapter) {
    case NEIGHBOUR_WALLET:
        ports->wallet->functions->cancel(ports->wallet, &asked->asked);
        break;
    case NEIGHBOUR_NOTIFICATION:
        ports->notification->functions->cancel(ports->notification, &asked->asked);
        break;
    default:
        ports->geography->functions->cancel(ports->geography, &asked->asked);
        break;
    }
}

static void question_done(neighbour_call_t *call, neighbour_end_t end)
{
    desk_question_t *const asked = question_of(call);
    const bool is_answered = end == NEIGHBOUR_ANSWERED;
    switch (asked->adapter) {
    case NEIGHBOUR_WALLET:
        asked->done.wallet(asked->context, end, is_answered ? &asked->answer.wallet : NULL);
        break;
    case NEIGHBOUR_NOTIFICATION:
        asked->done.notification(asked->context, end,
                                 is_answered ? &asked->answer.notification : NULL);
        break;
    default:
        asked->done.geography(asked->context, end, is_answered ? &asked->answer.geography : NULL);
        break;
    }
    free(asked->answer_texts);
    free(asked);
}

/* --- A question --- */

/* With copies of the texts, which `texts` then point to. NULL: one is too long. */
static desk_question_t *question_create(vendor_desk_t *desk, neighbour_adapter_t adapter,
                                        text_t *const texts[TEXTS_MAX], size_t text_count)
{
    const size_t size = texts_size(texts, text_count);
    if (size == SIZE_MAX) {
        return NULL;
    }
    desk_question_t *const made = calloc(1, sizeof *made + size);
    assert(made != NULL);
    copy_texts(made->texts, texts, text_count);
    made->desk = desk;
    made->adapter = adapter;
    made->call.start = start_attempt;
    made->call.cancel = cancel_attempt;
    made->call.done = question_done;
    return made;
}

static void question_begin(desk_question_t *made, text_t tenant, uint32_t deadline_ms)
{
    const uint32_t bounded_ms =
        deadline_ms > LIMIT_VENDOR_DEADLINE_MS ? LIMIT_VENDOR_DEADLINE_MS : deadline_ms;
    made->call.deadline_ms = loop_now_ms(made->desk->loop) + bounded_ms;
    neighbour_call_begin(made->desk->ports.neighbours, tenant, made->adapter, &made->call);
}

result_t vendor_desk_wallet(vendor_desk_t *desk, const wallet_question_t *question,
                            vendor_wallet_done_t *done, void *context)
{
    if (desk->ports.wallet == NULL) {
        return RESULT_NOT_IMPLEMENTED;
    }
    wallet_question_t copy = *question;
    text_t *const texts[TEXTS_MAX] = {&copy.tenant, &copy.code, &copy.title, &copy.tier,
                                      &copy.holder_name};
    desk_question_t *const made = question_create(desk, NEIGHBOUR_WALLET, texts, TEXTS_MAX);
    if (made == NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    made->question.wallet = copy;
    made->done.wallet = done;
    made->context = context;
    made->call.is_repeatable = true;
    question_begin(made, copy.tenant, question->deadline_ms);
    return RESULT_OK;
}

result_t vendor_desk_notification(vendor_desk_t *desk, const notification_question_t *question,
                                  vendor_notification_done_t *done, void *context)
{
    if (desk->ports.notification == NULL) {
        return RESULT_NOT_IMPLEMENTED;
    }
    notification_question_t copy = *question;
    text_t *const texts[TEXTS_MAX] = {&copy.tenant, &copy.key, &copy.recipient, &copy.subject,
                                      &copy.body};
    desk_question_t *const made = question_create(desk, NEIGHBOUR_NOTIFICATION, texts, TEXTS_MAX);
    if (made == NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    made->question.notification = copy;
    made->done.notification = done;
    made->context = context;
    made->call.is_repeatable =
        !text_is_empty(copy.key) && desk->ports.notification->functions->is_keyed;
    question_begin(made, copy.tenant, question->deadline_ms);
    return RESULT_OK;
}

result_t vendor_desk_geography(vendor_desk_t *desk, const geography_question_t *question,
                               vendor_geography_done_t *done, void *context)
{
    if (desk->ports.geography == NULL) {
        return RESULT_NOT_IMPLEMENTED;
    }
    geography_question_t copy = *question;
    text_t *const texts[TEXTS_MAX] = {&copy.tenant, &copy.address};
    desk_question_t *const made = question_create(desk, NEIGHBOUR_GEOGRAPHY, texts, 2);
    if (made == NULL) {
        return RESULT_INVALID_ARGUMENT;
    }
    made->question.geography = copy;
    made->done.geography = done;
    made->context = context;
    made->call.is_repeatable = true; /* it changes nothing */
    question_begin(made, copy.tenant, question->deadline_ms);
    return RESULT_OK;
}
