/* Building the reply to a request between roles: the struct, the envelope around it, and the
 * sentence that goes with an error. Shared by the shard and the relay. Sends nothing, keeps
 * nothing.
 */
#ifndef ACTORS_REPLY_H
#define ACTORS_REPLY_H

#include "messages/messages.h"
#include "runtime/result.h"

enum {
    REPLY_TRACE_ID_SIZE = 32,
    REPLY_FAILED_SIZE_MAX = 1024, /* packed envelope of a reply without a body: texts and room */
};

/* Empties `reply` and fills what every reply has: correlation and trace id, the latter borrowed
 * from the request's traceparent (zeros when that is malformed). */
void reply_begin(const request_t *request, reply_t *reply);
text_t reply_trace_id(const request_t *request);

/* Each of these ends the reply in one way. Texts are borrowed until it is packed. */
void reply_succeed(reply_t *reply, text_t body);
/* The card in the body: Location, ETag; `created` answers 201. */
void reply_name_card(reply_t *reply, const uuid_t *card, uint64_t version, bool created);
void reply_refuse(reply_t *reply, uint8_t reason, text_t detail);
/* An empty `detail` becomes reply_detail(result), an empty `field` is left out. */
void reply_fail(reply_t *reply, result_t result, text_t detail, text_t field);

/* The envelope with the reply in it; size rule of message_pack. */
size_t reply_pack(const reply_t *reply, uint8_t *out, size_t capacity);

/* A reply as it is stored with an idempotency key: no envelope, correlation 0. */
size_t reply_pack_stored(const reply_t *reply, uint8_t *out, size_t capacity);
/* Borrows from `stored`. False when it cannot be read: the store is damaged. */
MUST_USE bool reply_unpack_stored(text_t stored, uint64_t correlation, reply_t *reply);

#endif
