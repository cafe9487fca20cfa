/* What ZeroMQ has of somebody, in bytes. Its own bound of a peer's queue counts messages, and a
 * message may be anything up to LIMIT_API_FRAME_SIZE. ZeroMQ says in its own thread when it needs
 * the memory of a frame no more: counts and references are atomic. Must not decide what is too
 * much. */
#include "runtime/zsocket_internal.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

struct zsocket_account {
    atomic_size_t size;
    atomic_uint references; /* the caller's, and one of each frame */
};

typedef struct frame {
    zsocket_account_t *account;
    size_t size;
    char bytes[];
} frame_t;

zsocket_account_t *zsocket_account_create(void)
{
    zsocket_account_t *const account = malloc(sizeof(*account));
    if (account != NULL) {
        atomic_init(&account->size, 0);
        atomic_init(&account->references, 1);
    }
    return account;
}

static void release(zsocket_account_t *account)
{
    if (atomic_fetch_sub(&account->references, 1) == 1) {
        free(account);
    }
}

void zsocket_account_release(zsocket_account_t **account)
{
    if (*account != NULL) {
        release(*account);
        *account = NULL;
    }
}

size_t zsocket_account_size(const zsocket_account_t *account)
{
    return atomic_load(&account->size);
}

/* In ZeroMQ's thread, or within the call that sends. */
static void frame_done(void *data, void *hint)
{
    frame_t *const frame = hint;
    (void)data;
    atomic_fetch_sub(&frame->account->size, frame->size);
    release(frame->account);
    free(frame);
}

result_t zsocket_send_on(zsocket_t *socket, const zframe_view_t *frames, size_t frame_count,
                         zsocket_account_t *account)
{
    assert(frame_count > 0);
    const zframe_view_t *const last = &frames[frame_count - 1];
    frame_t *const frame = malloc(sizeof(*frame) + last->size);
    zmq_msg_t message;
    if (frame == NULL) {
        return RESULT_NO_MEMORY;
    }
    frame->account = account;
    frame->size = last->size;
    if (last->size > 0) {
        memcpy(frame->bytes, last->data, last->size);
    }
    if (zmq_msg_init_data(&message, frame->bytes, last->size, frame_done, frame) != 0) {
        free(frame);
        return RESULT_NO_MEMORY;
    }
    atomic_fetch_add(&account->size, last->size);
    atomic_fetch_add(&account->references, 1);
    const result_t result = zsocket_send_message(socket, frames, frame_count, &message);
    if (result != RESULT_OK) {
        const int failed = zmq_msg_close(&message); /* calls frame_done */
        assert(failed == 0);
    }
    return result;
}
