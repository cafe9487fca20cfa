/* Ids of cards, the placement of members and tenants, and the names that tenants may have. Gets
 * time and randomness as arguments. */
#include "actors/domain/card_id.h"
#include "actors/domain/siphash.h"

#include <assert.h>

enum { PARTITIONS_MAX = 64 }; /* six bits of the id */

/* RFC 9562, 5.7: 48 bits of time, version 7, 12 random bits, variant 10, 62 random bits, of which
 * the first six are the partition here. */
uuid_t card_id_make(int64_t now_ms, uint32_t partition, const uint8_t random[10])
{
    assert(now_ms >= 0);
    assert(now_ms < INT64_C(1) << 48);
    assert(partition < PARTITIONS_MAX);
    uuid_t id;
    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)((uint64_t)now_ms >> (40U - 8U * i));
    }
    id.bytes[6] = (uint8_t)(0x70U | (random[0] & 0x0fU));
    id.bytes[7] = random[1];
    id.bytes[8] = (uint8_t)(0x80U | partition);
    memcpy(id.bytes + 9, random + 2, 7);
    return id;
}

uint32_t card_id_partition(const uuid_t *id)
{
    return id->bytes[8] & 0x3fU;
}

bool card_id_is_valid(const uuid_t *id)
{
    return (id->bytes[6] & 0xf0U) == 0x70U && (id->bytes[8] & 0xc0U) == 0x80U;
}

uint32_t placement_partition(text_t member_id, uint32_t partitions)
{
    assert(partitions >= 1);
    assert(partitions <= PARTITIONS_MAX);
    return (uint32_t)(siphash_fixed(member_id) % partitions);
}

uint32_t placement_shard(text_t tenant, uint32_t shards)
{
    assert(shards >= 1);
    return (uint32_t)(siphash_fixed(tenant) % shards);
}

/* Not the ctype.h ones: those follow the locale. */
static bool is_lower(char character)
{
    return character >= 'a' && character <= 'z';
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static bool is_reserved(text_t name)
{
    static const text_t reserved[] = {
        TEXT_LITERAL("api"),     TEXT_LITERAL("mapi"),  TEXT_LITERAL("health"),
        TEXT_LITERAL("metrics"), TEXT_LITERAL("admin"),
    };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (text_equal(name, reserved[i])) {
            return true;
        }
    }
    return false;
}

bool tenant_name_is_well_formed(text_t name)
{
    if (name.size < TENANT_NAME_SIZE_MIN || name.size > TENANT_NAME_SIZE_MAX ||
        !is_lower(name.data[0])) {
        return false;
    }
    for (size_t i = 1; i < name.size; i++) {
        if (!is_lower(name.data[i]) && !is_digit(name.data[i]) && name.data[i] != '-') {
            return false;
        }
    }
    return true;
}

bool tenant_name_is_valid(text_t name)
{
    return tenant_name_is_well_formed(name) && !is_reserved(name);
}
