/* Tenants as the relay knows them: found by name, least recently used ones forgotten, journals
 * opened read-only on demand and as many at a time as the store wants, keys opened from the
 * control store. Must not publish or answer. */
#include "actors/relay/relay_models.h"
#include "actors/secrets.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdlib.h>

text_t relay_tenant_name(const relay_tenant_t *tenant)
{
    return (text_t){.data = tenant->name, .size = tenant->name_size};
}

/* FNV-1a. Names come from our own shards and control store, so nobody chooses collisions. */
static relay_tenant_t **bucket_of(relay_t *relay, text_t name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < name.size; i++) {
        hash = (hash ^ (uint8_t)name.data[i]) * UINT32_C(16777619);
    }
    return &relay->buckets[hash & (RELAY_TENANT_BUCKETS - 1U)];
}

static void use_remove(relay_tenant_t *tenant)
{
    relay_t *relay = tenant->relay;
    if (tenant->newer == NULL) {
        relay->newest = tenant->older;
    } else {
        tenant->newer->older = tenant->older;
    }
    if (tenant->older == NULL) {
        relay->oldest = tenant->newer;
    } else {
        tenant->older->newer = tenant->newer;
    }
}

static void use_insert(relay_tenant_t *tenant)
{
    relay_t *relay = tenant->relay;
    tenant->newer = NULL;
    tenant->older = relay->newest;
    if (relay->newest == NULL) {
        relay->oldest = tenant;
    } else {
        relay->newest->newer = tenant;
    }
    relay->newest = tenant;
}

relay_tenant_t *relay_tenant_find(relay_t *relay, text_t name)
{
    relay_tenant_t *tenant = *bucket_of(relay, name);
    while (tenant != NULL && !text_equal(relay_tenant_name(tenant), name)) {
        tenant = tenant->bucket_next;
    }
    if (tenant != NULL && tenant != relay->newest) {
        use_remove(tenant);
        use_insert(tenant);
    }
    return tenant;
}

static bool is_idle(const relay_tenant_t *tenant)
{
    return tenant->operations == 0 && tenant->journal_state != RELAY_JOURNAL_OPENING &&
           tenant->waiting_first == NULL && relay_models_are_idle(tenant);
}

static void close_journal(relay_tenant_t *tenant)
{
    relay_t *relay = tenant->relay;
    if (tenant->journal_state != RELAY_JOURNAL_OPEN) {
        return;
    }
    relay_models_close(tenant);
    relay->ports.journal->functions->close(relay->ports.journal, &tenant->journal);
    tenant->journal = NULL;
    tenant->journal_state = RELAY_JOURNAL_CLOSED;
    relay->open_count -= 1;
    metric_set(relay->numbers.journals_open, relay->open_count);
}

static void forget_secrets(relay_tenant_t *tenant)
{
    tenant->relay->ports.crypto->wipe(&tenant->secrets, sizeof(tenant->secrets));
    tenant->secrets = (relay_secrets_t){0};
}

static void forget(relay_tenant_t *tenant)
{
    assert(is_idle(tenant) && tenant->parked_first == NULL);
    relay_t *relay = tenant->relay;
    close_journal(tenant);
    if (tenant->rebuild.is_running) { /* it had not begun */
        relay->rebuild_count -= 1;
    }
    forget_secrets(tenant);
    for (size_t i = 0; i < LIMIT_PARTITIONS; i++) {
        relay_drop_held(&tenant->partitions[i]);
    }
    relay_tenant_t **link = bucket_of(relay, relay_tenant_name(tenant));
    while (*link != tenant) {
        link = &(*link)->bucket_next;
    }
    *link = tenant->bucket_next;
    use_remove(tenant);
    relay->tenant_count -= 1;
    free(tenant);
}

/* The least recently used idle tenant, with an open journal if that is what is needed. */
static relay_tenant_t *find_oldest_idle(const relay_t *relay, bool with_journal)
{
    relay_tenant_t *tenant = relay->oldest;
    while (tenant != NULL && (!is_idle(tenant) || tenant->is_retired ||
                              (with_journal && tenant->journal_state != RELAY_JOURNAL_OPEN))) {
        tenant = tenant->newer;
    }
    return tenant;
}

relay_tenant_t *relay_tenant_obtain(relay_t *relay, text_t name)
{
    assert(name.size > 0 && name.size <= LIMIT_TENANT_NAME_SIZE);
    relay_tenant_t *tenant = relay_tenant_find(relay, name);
    if (tenant != NULL) {
        return tenant;
    }
    if (relay->tenant_count >= LIMIT_RELAY_TENANTS) {
        relay_tenant_t *oldest = find_oldest_idle(relay, false);
        if (oldest == NULL) {
            return NULL;
        }
        forget(oldest);
    }
    tenant = calloc(1, sizeof(*tenant));
    if (tenant == NULL) {
        return NULL;
    }
    tenant->relay = relay;
    memcpy(tenant->name, name.data, name.size);
    tenant->name_size = (uint8_t)name.size;
    for (size_t i = 0; i < LIMIT_PARTITIONS; i++) {
        tenant->partitions[i].tenant = tenant;
    }
    relay_tenant_t **bucket = bucket_of(relay, name);
    tenant->bucket_next = *bucket;
    *bucket = tenant;
    use_insert(tenant);
    relay->tenant_count += 1;
    return tenant;
}

void relay_operation_begin(relay_tenant_t *tenant)
{
    tenant->operations += 1;
    tenant->relay->operations += 1;
}

void relay_operation_end(relay_tenant_t *tenant)
{
    assert(tenant->operations > 0);
    tenant->operations -= 1;
    tenant->relay->operations -= 1;
    if (tenant->is_retired && tenant->operations == 0) {
        loop_timer_start(tenant->relay->retired_timer, 0, 0);
    }
    relay_drain_check(tenant->relay);
}

static bool visit_created_at(void *context, const control_tenant_t *row)
{
    int64_t *created_at = context;
    *created_at = row->created_at;
    return false;
}

/* OK: it is there. MISSING: the control store has no such tenant any more, or another one of that
 * name. */
static result_t check(relay_tenant_t *tenant)
{
    control_store_t *control = tenant->relay->ports.control;
    int64_t created_at = 0;
    const result_t result = control->functions->tenant(control, relay_tenant_name(tenant),
                                                       visit_created_at, &created_at);
    if (result != RESULT_OK) {
        return result;
    }
    if (tenant->created_at == 0) {
        tenant->created_at = created_at;
    }
    return tenant->created_at == created_at ? RESULT_OK : RESULT_MISSING;
}

int64_t relay_tenant_created_at(relay_tenant_t *tenant)
{
    if (tenant->created_at == 0) {
        (void)!check(tenant);
    }
    return tenant->created_at;
}

/* --- Tenants that were deleted --- */

bool relay_tenant_is_gone(relay_tenant_t *tenant)
{
    return tenant->is_retired || check(tenant) == RESULT_MISSING;
}

/* False: it is still in use, and goes when that has ended. */
static bool retire(relay_tenant_t *tenant)
{
    if (!tenant->is_retired) {
        tenant->is_retired = true;
        relay_reads_refuse(tenant);
        relay_lists_refuse(tenant);
    }
    if (!is_idle(tenant) || tenant->parked_first != NULL) {
        return false;
    }
    forget(tenant);
    return true;
}

static void remove_retired(void *context)
{
    relay_t *relay = context;
    relay_tenant_t *tenant = relay->oldest;
    relay_read_t *parked = NULL;
    while (tenant != NULL) { /* bounded by LIMIT_RELAY_TENANTS */
        relay_tenant_t *newer = tenant->newer;
        if (tenant->is_retired && is_idle(tenant)) {
            char name[LIMIT_TENANT_NAME_SIZE];
            const text_t copy = {.data = name, .size = tenant->name_size};
            memcpy(name, tenant->name, tenant->name_size);
            parked = tenant->parked_first;
            tenant->parked_first = NULL;
            forget(tenant);
            while (parked != NULL) { /* bounded by LIMIT_RELAY_READS */
                relay_read_t *next = parked->next;
                relay_read_place(parked, copy);
                parked = next;
            }
            loop_timer_start(relay->retired_timer, 0, 0); /* placing may have moved the others */
            return;
        }
        tenant = newer;
    }
}

/* What is remembered does not fit to `since`: one of the two is of a deleted tenant. */
static result_t tell_apart(relay_t *relay, text_t name, uint64_t since, relay_tenant_t **tenant)
{
    result_t result = check(*tenant);
    if (result == RESULT_MISSING) {
        if (!retire(*tenant)) {
            return RESULT_BUSY;
        }
        *tenant = relay_tenant_obtain(relay, name);
        if (*tenant == NULL) {
            return RESULT_BUSY;
        }
        result = check(*tenant);
    }
    if (result == RESULT_OK) {
        return (uint64_t)(*tenant)->created_at == since ? RESULT_OK : RESULT_TENANT_NOT_FOUND;
    }
    if (result != RESULT_MISSING) {
        return RESULT_STORE_UNAVAILABLE;
    }
    forget(*tenant); /* there is none at all */
    *tenant = NULL;
    return RESULT_TENANT_NOT_FOUND;
}

result_t relay_tenant_meet(relay_t *relay, text_t name, uint64_t since, relay_tenant_t **tenant)
{
    *tenant = relay_tenant_obtain(relay, name);
    if (*tenant == NULL) {
        return RESULT_BUSY;
    }
    const bool is_known = since == 0 || since == (uint64_t)(*tenant)->created_at;
    if ((*tenant)->is_retired) {
        return since != 0 && is_known ? RESULT_TENANT_NOT_FOUND : RESULT_BUSY;
    }
    return is_known ? RESULT_OK : tell_apart(relay, name, since, tenant);
}

void relay_parked_end(relay_t *relay)
{
    for (relay_tenant_t *tenant = relay->oldest; tenant != NULL; tenant = tenant->newer) {
        while (tenant->parked_first != NULL) { /* bounded by LIMIT_RELAY_READS */
            relay_read_t *read = tenant->parked_first;
            tenant->parked_first = read->next;
            relay_reply_error(read, RESULT_DRAINING, "The relay is stopping.", NULL);
        }
    }
}

/* --- Journals --- */

static void opening_failed(relay_tenant_t *tenant, result_t why)
{
    relay_t *relay = tenant->relay;
    log_warn("the journal of a tenant cannot be opened for reading; it is tried again, and its "
             "events and lists wait",
             LOG_TEXT("tenant", tenant->name, tenant->name_size),
             LOG_STRING("code", result_code(why)));
    if (tenant->journal != NULL) {
        relay->ports.journal->functions->close(relay->ports.journal, &tenant->journal);
        tenant->journal = NULL;
    }
    tenant->journal_state = RELAY_JOURNAL_CLOSED;
    relay->open_count -= 1;
}

/* A journal is this tenant's when the control store names it before and after it was opened. */
static void journal_opened(void *context, const journal_opened_t *opened)
{
    relay_tenant_t *tenant = context;
    relay_t *relay = tenant->relay;
    result_t result = opened->result;
    if (result == RESULT_OK) {
        tenant->journal = opened->tenant;
        result = check(tenant);
    }
    if (result == RESULT_OK) {
        tenant->journal_state = RELAY_JOURNAL_OPEN;
        relay_publish_opened(tenant, opened);
    } else if (tenant->journal != NULL && result == RESULT_MISSING) {
        tenant->journal_state = RELAY_JOURNAL_OPEN;
        (void)retire(tenant); /* whose journal that is nobody knows */
        result = RESULT_OK;   /* who waited was refused */
    } else {
        opening_failed(tenant, result);
    }
    metric_set(relay->numbers.journals_open, relay->open_count);
    relay_reads_opened(tenant, result);
    relay_operation_end(tenant);
}

result_t relay_tenant_open(relay_tenant_t *tenant)
{
    relay_t *relay = tenant->relay;
    if (tenant->is_retired) {
        return RESULT_TENANT_NOT_FOUND;
    }
    if (tenant->journal_state != RELAY_JOURNAL_CLOSED) {
        return RESULT_OK;
    }
    if (relay->is_draining) {
        return RESULT_DRAINING;
    }
    const result_t known = check(tenant);
    if (known != RESULT_OK) {
        return known == RESULT_MISSING ? RESULT_TENANT_NOT_FOUND : RESULT_STORE_UNAVAILABLE;
    }
    if (relay->open_count >= journal_tenants_max(relay->ports.journal)) {
        relay_tenant_t *oldest = find_oldest_idle(relay, true);
        if (oldest == NULL) {
            return RESULT_BUSY;
        }
        close_journal(oldest);
    }
    journal_t *journal = relay->ports.journal;
    const result_t result = journal->functions->open_readonly(journal, relay_tenant_name(tenant),
                                                              journal_opened, tenant);
    if (result == RESULT_OK) {
        tenant->journal_state = RELAY_JOURNAL_OPENING;
        relay->open_count += 1;
        relay_operation_begin(tenant);
    }
    return result;
}

typedef struct secrets_visit {
    relay_tenant_t *tenant;
    bool could_open;
    bool is_namesake; /* the tenant was deleted, and these are the keys of another */
} secrets_visit_t;

static bool visit_tenant(void *context, const control_tenant_t *row)
{
    secrets_visit_t *visit = context;
    relay_tenant_t *tenant = visit->tenant;
    const relay_ports_t *ports = &tenant->relay->ports;
    relay_secrets_t *secrets = &tenant->secrets;
    visit->could_open = false;
    visit->is_namesake = tenant->created_at != 0 && tenant->created_at != row->created_at;
    if (visit->is_namesake || !secret_tenant_open(ports->crypto, &ports->master_key, row->name,
                                                  row->sealed_secret, &secrets->tenant_secret)) {
        return false;
    }
    for (uint32_t i = 0; i < row->key_count; i++) {
        const control_card_key_t *key = &row->keys[i];
        if (key->state == key_state_active) {
            secrets->active_key.kid = key->kid;
            visit->could_open =
                secret_card_key_open(ports->crypto, &ports->master_key, row->name, key->kid,
                                     key->sealed_secret, &secrets->active_key.key);
        }
    }
    return false;
}

result_t relay_tenant_load_secrets(relay_tenant_t *tenant)
{
    relay_t *relay = tenant->relay;
    relay_secrets_t *secrets = &tenant->secrets;
    if (secrets->is_loaded && secrets->control_version == relay->control_version) {
        return RESULT_OK;
    }
    forget_secrets(tenant);
    secrets_visit_t visit = {.tenant = tenant};
    control_store_t *control = relay->ports.control;
    const result_t result =
        control->functions->tenant(control, relay_tenant_name(tenant), visit_tenant, &visit);
    if (result == RESULT_MISSING || (result == RESULT_OK && visit.is_namesake)) {
        return RESULT_TENANT_NOT_FOUND;
    }
    if (result != RESULT_OK) {
        return result;
    }
    if (!visit.could_open) {
        forget_secrets(tenant);
        log_error("the keys of a tenant do not open: is it the master key they were sealed with?",
                  LOG_TEXT("tenant", tenant->name, tenant->name_size));
        return RESULT_INTERNAL;
    }
    secrets->is_loaded = true;
    secrets->control_version = relay->control_version;
    return RESULT_OK;
}

/* A tenant that was deleted must not keep its file open, nor its positions for a later namesake. */
static void forget_deleted(relay_t *relay)
{
    relay_tenant_t *tenant = relay->oldest;
    while (tenant != NULL) {
        relay_tenant_t *newer = tenant->newer;
        if (!tenant->is_retired && check(tenant) == RESULT_MISSING) {
            (void)retire(tenant);
        }
        tenant = newer;
    }
}

void relay_control_poll(relay_t *relay)
{
    control_store_t *control = relay->ports.control;
    uint64_t version = 0;
    if (control->functions->version(control, &version) != RESULT_OK ||
        version == relay->control_version) {
        return;
    }
    relay_flags_poll(relay);
    relay->control_version = version;
    forget_deleted(relay);
}

result_t relay_tenants_begin(relay_t *relay)
{
    relay->retired_timer = loop_timer_create(relay->loop, remove_retired, relay);
    return relay->retired_timer == NULL ? RESULT_NO_MEMORY : RESULT_OK;
}

void relay_tenants_close(relay_t *relay)
{
    relay_parked_end(relay);
    while (relay->oldest != NULL) {
        forget(relay->oldest);
    }
}
