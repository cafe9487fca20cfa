/* Card ids: UUIDv7 (RFC 9562) whose first six random bits after the variant are the partition
 * (DESIGN 2.3), so that any id routes itself. Also where members and tenants are placed. Pure. */
#ifndef ACTORS_DOMAIN_CARD_ID_H
#define ACTORS_DOMAIN_CARD_ID_H

#include "messages/text.h"
#include "messages/uuid.h"

/* `random` gives the 68 bits that are neither time nor partition (its last byte is not used).
 * partition < 64, now_ms 0 … 2^48 - 1. */
uuid_t card_id_make(int64_t now_ms, uint32_t partition, const uint8_t random[10]);
/* Low six bits of byte 8. The caller checks it against the tenant's number of partitions. */
uint32_t card_id_partition(const uuid_t *id);
/* Version 7 and variant 10. */
bool card_id_is_valid(const uuid_t *id);
/* SipHash-2-4 with a fixed key; the same on every machine, for ever. 1 … 64 partitions. */
uint32_t placement_partition(text_t member_id, uint32_t partitions);
/* Embedded store: one shard owns a tenant. */
uint32_t placement_shard(text_t tenant, uint32_t shards);
enum { TENANT_NAME_SIZE_MIN = 2, TENANT_NAME_SIZE_MAX = 39 };
/* [a-z][a-z0-9-]{1,38} (DESIGN 3.2). Stores check it again before a name becomes part of a path or
 * an identifier: whatever passes has no quote, dot, slash or NUL. */
bool tenant_name_is_well_formed(text_t name);
/* That, and not reserved (api, mapi, health, metrics, admin). */
bool tenant_name_is_valid(text_t name);

#endif
