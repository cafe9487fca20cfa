/* Which of several services on one store sends the webhooks: one of them holds a claim, renews it,
 * and the others wait until it ends. A service that hangs past the end of its claim and wakes may
 * send an event again, as any crash may: at least once is what receivers are promised. */
#include "actors/relay/webhook_sender.h"
#include "runtime/log.h"

/* By our own clock from before the question: never later than by the store's. */
static void claim(webhook_sender_t *sender, const webhooks_t *store)
{
    const uint64_t now_ms = loop_now_ms(sender->relay->loop);
    bool is_ours = false;
    const result_t result =
        store->functions->claim(sender->relay->ports.webhooks, sender->relay->ports.service,
                                LIMIT_WEBHOOK_CLAIM_MS, &is_ours);
    sender->claim_again_ms = now_ms + LIMIT_WEBHOOK_CLAIM_AGAIN_MS;
    if (result == RESULT_OK) { /* else as last known, until that ends */
        sender->claimed_until_ms = is_ours ? now_ms + LIMIT_WEBHOOK_CLAIM_MS : 0;
    }
}

/* What was sent until now is stored; where to go on stands in the store. */
static void rest(webhook_sender_t *sender)
{
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        hook_cancel_calls(sender->hooks[i]);
    }
    hooks_store(sender);
    for (uint32_t i = 0; i < sender->hook_count; i++) {
        sender->hooks[i]->is_stale = true;
    }
}

bool hooks_may_send(webhook_sender_t *sender)
{
    const webhooks_t *const store = sender->relay->ports.webhooks;
    if (store->functions->claim == NULL) {
        return true;
    }
    if (loop_now_ms(sender->relay->loop) >= sender->claim_again_ms) {
        claim(sender, store);
    }
    const bool may_send = loop_now_ms(sender->relay->loop) < sender->claimed_until_ms;
    if (may_send != sender->is_sending) {
        log_info(may_send ? "this service sends the webhooks" : "another service sends webhooks");
    }
    if (sender->is_sending && !may_send) {
        rest(sender);
    }
    sender->is_sending = may_send;
    return may_send;
}

void hooks_release(webhook_sender_t *sender)
{
    webhooks_t *const store = sender->relay->ports.webhooks;
    if (store->functions->claim != NULL && sender->is_sending) {
        bool is_ours = false;
        const result_t result =
            store->functions->claim(store, sender->relay->ports.service, 0, &is_ours);
        (void)result; /* it ends by itself */
        sender->is_sending = false;
    }
}
