/* Cache of members: a chained hash and a list by use. Decides nothing. */
#include "actors/shard/members.h"

#include "actors/domain/siphash.h"
#include <assert.h>
#include <stdlib.h>

enum { EVICTION_SCAN = 64 }; /* entries looked at for one that may go */

struct members {
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    members_may_go_t *may_go;
    void *context;
    uint32_t entries_max;
    uint32_t count;
    uint32_t bucket_mask;
    member_t **buckets;
    member_t *newest;
    member_t *oldest;
};

members_t *members_create(const uint8_t hash_key[16], uint32_t entries_max,
                          members_may_go_t *may_go, void *context)
{
    members_t *members = calloc(1, sizeof *members);
    assert(members != NULL);
    uint32_t buckets = 1;
    while (buckets < entries_max) { /* 32 rounds at most */
        buckets *= 2;
    }
    memcpy(members->hash_key, hash_key, sizeof members->hash_key);
    members->may_go = may_go;
    members->context = context;
    members->entries_max = entries_max;
    members->bucket_mask = buckets - 1;
    members->buckets = calloc(buckets, sizeof(member_t *));
    assert(members->buckets != NULL);
    return members;
}

static void list_remove(members_t *members, member_t *member)
{
    if (member->newer != NULL) {
        member->newer->older = member->older;
    } else {
        members->newest = member->older;
    }
    if (member->older != NULL) {
        member->older->newer = member->newer;
    } else {
        members->oldest = member->newer;
    }
}

static void list_add_newest(members_t *members, member_t *member)
{
    member->newer = NULL;
    member->older = members->newest;
    if (members->newest != NULL) {
        members->newest->newer = member;
    } else {
        members->oldest = member;
    }
    members->newest = member;
}

static void forget(members_t *members, member_t *member)
{
    member_t **place = &members->buckets[member->hash & members->bucket_mask];
    while (*place != member) { /* it is in this chain */
        place = &(*place)->chain;
    }
    *place = member->chain;
    list_remove(members, member);
    members->count--;
    free(member);
}

void members_destroy(members_t **members)
{
    if (*members == NULL) {
        return;
    }
    while ((*members)->oldest != NULL) { /* bounded by their count */
        forget(*members, (*members)->oldest);
    }
    free((*members)->buckets);
    free(*members);
    *members = NULL;
}

static uint64_t hash_of(const members_t *members, text_t tenant, text_t member_id)
{
    return siphash(members->hash_key, member_id) + 31 * siphash(members->hash_key, tenant);
}

member_t *members_find(members_t *members, text_t tenant, text_t member_id)
{
    const uint64_t hash = hash_of(members, tenant, member_id);
    member_t *member = members->buckets[hash & members->bucket_mask];
    while (member != NULL && !(member->hash == hash && text_equal(member->tenant, tenant) &&
                               text_equal(member->member_id, member_id))) {
        member = member->chain;
    }
    if (member != NULL && members->newest != member) {
        list_remove(members, member);
        list_add_newest(members, member);
    }
    return member;
}

/* Few have work or a row that is not durable yet, so the search from the old end is short. */
static void make_room(members_t *members)
{
    if (members->count < members->entries_max) {
        return;
    }
    member_t *member = members->oldest;
    for (uint32_t i = 0; member != NULL && i < EVICTION_SCAN; i++) {
        if (!member->is_listed && members->may_go(members->context, member)) {
            forget(members, member);
            return;
        }
        member = member->newer;
    }
}

member_t *members_put(members_t *members, text_t tenant, text_t member_id)
{
    member_t *member = members_find(members, tenant, member_id);
    if (member != NULL) {
        return member;
    }
    make_room(members);
    member = calloc(1, sizeof *member + tenant.size + member_id.size);
    assert(member != NULL);
    memcpy(member->texts, tenant.data, tenant.size);
    memcpy(member->texts + tenant.size, member_id.data, member_id.size);
    member->tenant = (text_t){.data = member->texts, .size = tenant.size};
    member->member_id = (text_t){.data = member->texts + tenant.size, .size = member_id.size};
    member->hash = hash_of(members, tenant, member_id);
    member->chain = members->buckets[member->hash & members->bucket_mask];
    members->buckets[member->hash & members->bucket_mask] = member;
    list_add_newest(members, member);
    members->count++;
    return member;
}

void members_forget_tenant(members_t *members, text_t tenant)
{
    member_t *member = members->oldest;
    while (member != NULL) { /* bounded by entries_max; when a tenant closes */
        member_t *const newer = member->newer;
        if (text_equal(member->tenant, tenant)) {
            forget(members, member);
        }
        member = newer;
    }
}
