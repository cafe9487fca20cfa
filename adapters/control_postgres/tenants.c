/* Tenants: rows with their keys, and the order in which row and place come and go. A crash in
 * between leaves a place without a row, never a row without its place. */
#include "actors/control_rows.h"
#include "adapters/control_postgres/control_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- Reading --- */

#define TENANT_COLUMNS                                                                             \
    "SELECT t.name, t.partitions::int8, t.created_at, t.sealed_secret, k.kid, k.state, "           \
    "k.created_at, k.sealed_secret, t.max_cards, t.max_storage, t.max_rate FROM tenant t JOIN "    \
    "card_key k ON k.tenant = t.name "

enum {
    NAME,
    PARTITIONS,
    CREATED_AT,
    SEALED_SECRET,
    KID,
    STATE,
    KEY_CREATED_AT,
    KEY_SECRET,
    MAX_CARDS,
    MAX_STORAGE,
    MAX_RATE
};

/* Rows of one tenant stand together, one per key. False: the visitor wants no more. */
static bool tenant_visit(const PGresult *rows, int *row, control_tenant_visit_t *visit,
                         void *context)
{
    control_card_key_t keys[CONTROL_KEYS_PER_TENANT_MAX];
    const int first = *row;
    control_tenant_t tenant = {
        .name = field_bytes(rows, first, NAME),
        .partitions = (uint32_t)field_integer(rows, first, PARTITIONS),
        .created_at = field_integer(rows, first, CREATED_AT),
        .sealed_secret = field_bytes(rows, first, SEALED_SECRET),
        .keys = keys,
        .quotas = {.cards = (uint64_t)field_integer(rows, first, MAX_CARDS),
                   .storage = (uint64_t)field_integer(rows, first, MAX_STORAGE),
                   .rate = (uint64_t)field_integer(rows, first, MAX_RATE)},
    };
    int at = first;
    while (at < PQntuples(rows) && text_equal(field_bytes(rows, at, NAME), tenant.name)) {
        if (tenant.key_count < CONTROL_KEYS_PER_TENANT_MAX) {
            keys[tenant.key_count] = (control_card_key_t){
                .kid = (uint32_t)field_integer(rows, at, KID),
                .state = (uint8_t)field_integer(rows, at, STATE),
                .created_at = field_integer(rows, at, KEY_CREATED_AT),
                .sealed_secret = field_bytes(rows, at, KEY_SECRET),
            };
            tenant.key_count++;
        }
        at++;
    }
    *row = at;
    return visit(context, &tenant);
}

result_t control_postgres_tenants(control_store_t *store, text_t after,
                                  control_tenant_visit_t *visit, void *context)
{
    PGresult *rows = NULL;
    const value_t value = value_bytes(after);
    const result_t result = database_query(
        control_of(store), TENANT_COLUMNS "WHERE t.name > $1::text ORDER BY t.name, k.kid", &value,
        1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    int row = 0;
    while (row < PQntuples(rows) && tenant_visit(rows, &row, visit, context)) {
    }
    PQclear(rows);
    return RESULT_OK;
}

result_t control_postgres_tenant(control_store_t *store, text_t name, control_tenant_visit_t *visit,
                                 void *context)
{
    if (!tenant_name_is_well_formed(name)) {
        return RESULT_MISSING;
    }
    PGresult *rows = NULL;
    const value_t value = value_bytes(name);
    const result_t result =
        database_query(control_of(store), TENANT_COLUMNS "WHERE t.name = $1::text ORDER BY k.kid",
                       &value, 1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    const bool is_there = PQntuples(rows) > 0;
    int row = 0;
    if (is_there) {
        (void)tenant_visit(rows, &row, visit, context);
    }
    PQclear(rows);
    return is_there ? RESULT_OK : RESULT_MISSING;
}

result_t control_postgres_find(control_store_t *store, text_t tenant,
                               control_postgres_place_t *place)
{
    control_postgres_t *const control = control_of(store);
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_MISSING;
    }
    PGresult *rows = NULL;
    const value_t value = value_bytes(tenant);
    result_t result =
        database_query(control,
                       "SELECT t.database, t.role, t.sealed_password, d.datname FROM tenant t LEFT "
                       "JOIN pg_database d ON d.datname = t.database::name WHERE t.name = $1::text",
                       &value, 1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    if (PQntuples(rows) == 0) {
        result = RESULT_MISSING;
    } else if (PQgetisnull(rows, 0, 3) == 1) {
        log_error("the database of a tenant is gone: restore it from a backup",
                  LOG_TEXT("tenant", tenant.data, tenant.size));
        result = RESULT_MISSING;
    } else {
        (void)snprintf(place->database, sizeof place->database, "%.*s",
                       TEXT_PRINT(field_bytes(rows, 0, 0)));
        (void)snprintf(place->role, sizeof place->role, "%.*s",
                       TEXT_PRINT(field_bytes(rows, 0, 1)));
        if (!password_open(control, tenant, field_bytes(rows, 0, 2), place)) {
            log_error("the password of a tenant's role does not open with DIR/master.key: is it "
                      "the right one?",
                      LOG_TEXT("tenant", tenant.data, tenant.size));
            result = RESULT_STORE_UNAVAILABLE;
        }
    }
    PQclear(rows);
    return result;
}

/* --- Changing --- */

static bool ignore_tenant(void *context, const control_tenant_t *tenant)
{
    (void)context;
    (void)tenant;
    return false;
}

static result_t keys_write(control_postgres_t *control, const control_tenant_t *tenant)
{
    for (uint32_t i = 0; i < tenant->key_count; i++) {
        const control_card_key_t *const key = &tenant->keys[i];
        const value_t row[] = {value_bytes(tenant->name), value_integer(key->kid),
                               value_integer(key->state), value_integer(key->created_at),
                               value_bytes(key->sealed_secret)};
        const result_t result =
            database_query(control,
                           "INSERT INTO card_key (tenant, kid, state, created_at, sealed_secret) "
                           "VALUES ($1::text, $2::int8, $3::int8, $4::int8, $5::bytea)",
                           row, 5, NULL);
        if (result != RESULT_OK) {
            return result;
        }
    }
    return RESULT_OK;
}

static result_t tenant_write(control_postgres_t *control, const control_tenant_t *tenant,
                             const control_postgres_place_t *place)
{
    uint8_t sealed[PASSWORD_SEALED_SIZE];
    password_seal(control, tenant->name, place, sealed);
    const value_t row[] = {value_bytes(tenant->name),
                           value_integer(tenant->partitions),
                           value_integer(tenant->created_at),
                           value_bytes(tenant->sealed_secret),
                           value_bytes(text_from_c(place->database)),
                           value_bytes(text_from_c(place->role)),
                           value_bytes((text_t){(const char *)sealed, sizeof sealed}),
                           value_integer((int64_t)tenant->quotas.cards),
                           value_integer((int64_t)tenant->quotas.storage),
                           value_integer((int64_t)tenant->quotas.rate)};
    const result_t result = database_query(
        control,
        "INSERT INTO tenant (name, partitions, created_at, sealed_secret, database, role, "
        "sealed_password, max_cards, max_storage, max_rate) VALUES ($1::text, $2::int8, $3::int8, "
        "$4::bytea, $5::text, $6::text, $7::bytea, $8::int8, $9::int8, $10::int8)",
        row, 10, NULL);
    if (result != RESULT_OK) {
        return result;
    }
    return keys_write(control, tenant);
}

/* The prefix is read when the schema is made or opened with `create`; a role reads it here. */
static result_t prefix_ready(control_postgres_t *control)
{
    if (control->prefix[0] != '\0') {
        return RESULT_OK;
    }
    PGresult *rows = NULL;
    result_t result = database_query(control, "SELECT prefix FROM control", NULL, 0, &rows);
    if (result == RESULT_OK) {
        const bool is_there = PQntuples(rows) == 1;
        result = is_there ? RESULT_OK : RESULT_STORE_CORRUPT;
        if (is_there) {
            (void)snprintf(control->prefix, sizeof control->prefix, "%.*s",
                           TEXT_PRINT(field_bytes(rows, 0, 0)));
        }
    }
    PQclear(rows);
    return result;
}

result_t control_postgres_tenant_set_quotas(control_store_t *store, text_t name,
                                            const control_quotas_t *quotas)
{
    control_postgres_t *const control = control_of(store);
    if (!control_quotas_are_valid(quotas)) {
        return RESULT_INVALID_ARGUMENT;
    }
    if (!tenant_name_is_well_formed(name)) {
        return RESULT_MISSING;
    }
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    const value_t row[] = {value_bytes(name), value_integer((int64_t)quotas->cards),
                           value_integer((int64_t)quotas->storage),
                           value_integer((int64_t)quotas->rate)};
    PGresult *rows = NULL;
    result = database_query(control,
                            "UPDATE tenant SET max_cards = $2::int8, max_storage = $3::int8, "
                            "max_rate = $4::int8 WHERE name = $1::text RETURNING 1::int8",
                            row, 4, &rows);
    if (result == RESULT_OK) {
        result = PQntuples(rows) == 0 ? RESULT_MISSING : RESULT_OK;
        PQclear(rows);
    }
    return transaction_end(control, result);
}

/* The row of a tenant whose place is there, and wiped from memory afterwards. */
static result_t tenant_insert(control_postgres_t *control, const control_tenant_t *tenant,
                              control_postgres_place_t *place)
{
    result_t result = transaction_begin(control);
    if (result == RESULT_OK) {
        result = tenant_write(control, tenant, place);
        result = transaction_end(control, result);
    }
    if (result != RESULT_OK) {
        /* The answer to the COMMIT may be lost: a row never stays without its place. */
        const result_t there =
            control_postgres_tenant(&control->base, tenant->name, ignore_tenant, NULL);
        if (there == RESULT_OK) {
            result = RESULT_OK;
        } else if (there == RESULT_MISSING) {
            place_unmake(control, place);
        }
    }
    explicit_bzero(place, sizeof *place);
    return result;
}

static result_t place_prepare(control_postgres_t *control, text_t tenant, uint32_t partitions,
                              control_postgres_place_t *place)
{
    assert(control->options.make_journal != NULL);
    result_t result = control_postgres_tenant(&control->base, tenant, ignore_tenant, NULL);
    if (result != RESULT_MISSING) {
        return result == RESULT_OK ? RESULT_ALREADY_EXISTS : result;
    }
    result = prefix_ready(control);
    if (result == RESULT_OK) {
        result = place_make(control, tenant, partitions, place);
    }
    if (result != RESULT_OK) {
        explicit_bzero(place, sizeof *place);
    }
    return result;
}

result_t control_postgres_tenant_create(control_store_t *store, const control_tenant_t *tenant)
{
    control_postgres_t *const control = control_of(store);
    if (!control_tenant_is_valid(tenant, true) || !control_quotas_are_valid(&tenant->quotas)) {
        return RESULT_INVALID_ARGUMENT;
    }
    control_postgres_place_t place = {0};
    const result_t result = place_prepare(control, tenant->name, tenant->partitions, &place);
    if (result != RESULT_OK) {
        return result;
    }
    const control_card_key_t first = {.kid = 1,
                                      .state = key_state_active,
                                      .created_at = tenant->created_at,
                                      .sealed_secret = tenant->keys[0].sealed_secret};
    control_tenant_t row = *tenant;
    row.keys = &first;
    return tenant_insert(control, &row, &place);
}

/* --- Restoring --- */

/* Held by this connection until it ends: two restores would make and unmake the same database. */
static result_t restore_lock(control_postgres_t *control, text_t tenant)
{
    PGresult *rows = NULL;
    const value_t value = value_bytes(tenant);
    result_t result = database_query(control,
                                     "SELECT pg_try_advisory_lock(hashtextextended('restore ' || "
                                     "convert_from($1::bytea, 'UTF8'), 0))::integer::bigint",
                                     &value, 1, &rows);
    if (result == RESULT_OK) {
        result = PQntuples(rows) == 1 && field_integer(rows, 0, 0) == 1 ? RESULT_OK : RESULT_BUSY;
    }
    PQclear(rows);
    return result;
}

result_t control_postgres_restore_begin(control_store_t *store, text_t tenant,
                                        control_postgres_place_t *place)
{
    control_postgres_t *const control = control_of(store);
    if (!tenant_name_is_well_formed(tenant)) {
        return RESULT_INVALID_ARGUMENT;
    }
    control_postgres_restore_abandon(store);
    const result_t locked = restore_lock(control, tenant);
    if (locked != RESULT_OK) {
        return locked;
    }
    const result_t result = place_prepare(control, tenant, 0, &control->restored);
    *place = control->restored;
    return result;
}

void control_postgres_restore_abandon(control_store_t *store)
{
    control_postgres_t *const control = control_of(store);
    if (control->restored.database[0] != '\0') {
        place_unmake(control, &control->restored);
        control->options.crypto->wipe(&control->restored, sizeof control->restored);
    }
}

result_t control_postgres_tenant_adopt(control_store_t *store, const control_tenant_t *tenant,
                                       int64_t now_ms)
{
    (void)now_ms; /* nothing stands in the way that would have to be put aside */
    control_postgres_t *const control = control_of(store);
    if (!control_tenant_is_valid(tenant, false)) {
        return RESULT_INVALID_ARGUMENT;
    }
    const size_t prefix = strlen(control->prefix);
    if (control->restored.database[0] == '\0' ||
        !text_equal(text_from_c(control->restored.database + prefix), tenant->name)) {
        return RESULT_MISSING;
    }
    return tenant_insert(control, tenant, &control->restored);
}

result_t control_postgres_tenant_delete(control_store_t *store, text_t name, int64_t now_ms,
                                        char *kept_as, size_t kept_as_size)
{
    control_postgres_t *const control = control_of(store);
    if (!tenant_name_is_well_formed(name)) {
        return RESULT_MISSING;
    }
    PGresult *rows = NULL;
    const value_t value = value_bytes(name);
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result =
        database_query(control, "DELETE FROM tenant WHERE name = $1::text RETURNING database, role",
                       &value, 1, &rows);
    if (result == RESULT_OK && PQntuples(rows) == 0) {
        result = RESULT_MISSING;
    }
    if (result == RESULT_OK) {
        result = database_query(control, "DELETE FROM dead_letter WHERE tenant = $1::text", &value,
                                1, NULL);
    }
    if (result == RESULT_OK) {
        result =
            database_query(control, "DELETE FROM flag WHERE tenant = $1::text", &value, 1, NULL);
    }
    if (result == RESULT_OK) {
        result = database_query(control, "DELETE FROM consumer WHERE tenant = $1::text", &value, 1,
                                NULL);
    }
    if (result == RESULT_OK) {
        result =
            database_query(control, "DELETE FROM webhook WHERE tenant = $1::text", &value, 1, NULL);
    }
    char database[64] = "";
    char role[64] = "";
    if (result == RESULT_OK) {
        (void)snprintf(database, sizeof database, "%.*s", TEXT_PRINT(field_bytes(rows, 0, 0)));
        (void)snprintf(role, sizeof role, "%.*s", TEXT_PRINT(field_bytes(rows, 0, 1)));
    }
    PQclear(rows);
    result = transaction_end(control, result);
    if (result != RESULT_OK) {
        return result;
    }
    result = place_keep(control, database, role, now_ms, kept_as, kept_as_size);
    if (result == RESULT_MISSING) {
        log_warn("the deleted tenant had no database", LOG_TEXT("tenant", name.data, name.size));
        return RESULT_OK;
    }
    return result;
}
