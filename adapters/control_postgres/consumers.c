/* The port of consumers on the control database and the control store's connection. */
#include "actors/domain/webhook.h"
#include "adapters/control_postgres/control_postgres_internal.h"
#include <stddef.h>

static control_postgres_t *control_of_consumers(consumers_t *store)
{
    return (control_postgres_t *)(void *)((char *)store - offsetof(control_postgres_t, consumers));
}

/* A live connection first, since a transaction is not begun anew; without the version. */
result_t quiet_begin(control_postgres_t *control)
{
    const result_t result = database_query(control, "SELECT 1", NULL, 0, NULL);
    return result == RESULT_OK ? database_execute(control, "BEGIN") : result;
}

/* The tenant's row is locked, so that two cannot take the last place. */
result_t control_postgres_consumer_add(control_postgres_t *control, text_t tenant, text_t name,
                                       int64_t now_ms)
{
    const value_t values[] = {value_bytes(tenant), value_bytes(name), value_integer(now_ms)};
    PGresult *rows = NULL;
    result_t result = database_query(
        control, "SELECT 1 FROM tenant WHERE name = $1::text FOR UPDATE", values, 1, &rows);
    if (result == RESULT_OK && PQntuples(rows) == 0) {
        result = RESULT_MISSING;
    }
    PQclear(rows);
    rows = NULL;
    if (result == RESULT_OK) {
        result = database_query(control,
                                "SELECT count(*), count(*) FILTER (WHERE name = $2::text) FROM "
                                "consumer WHERE tenant = $1::text",
                                values, 2, &rows);
    }
    if (result == RESULT_OK && field_integer(rows, 0, 1) == 0 &&
        field_integer(rows, 0, 0) >= LIMIT_CONSUMERS) {
        result = RESULT_BUSY;
    }
    PQclear(rows);
    if (result != RESULT_OK) {
        return result;
    }
    return database_query(control,
                          "INSERT INTO consumer (tenant, name, registered_at, seen_at) VALUES "
                          "($1::text, $2::text, $3::int8, $3::int8) ON CONFLICT (tenant, name) DO "
                          "UPDATE SET seen_at = excluded.seen_at",
                          values, 3, NULL);
}

static result_t consumer_add(consumers_t *store, text_t tenant, text_t name, int64_t now_ms)
{
    control_postgres_t *const control = control_of_consumers(store);
    result_t result = quiet_begin(control);
    if (result == RESULT_OK) {
        result = control_postgres_consumer_add(control, tenant, name, now_ms);
    }
    return transaction_end(control, result);
}

static result_t consumer_remove(consumers_t *store, text_t tenant, text_t name)
{
    const value_t values[] = {value_bytes(tenant), value_bytes(name)};
    PGresult *rows = NULL;
    result_t result = database_query(control_of_consumers(store),
                                     "DELETE FROM consumer WHERE tenant = $1::text AND name = "
                                     "$2::text RETURNING name",
                                     values, 2, &rows);
    if (result == RESULT_OK && PQntuples(rows) == 0) {
        result = RESULT_MISSING;
    }
    PQclear(rows);
    return result;
}

static result_t row_ack(control_postgres_t *control, consumer_ack_t *ack, int64_t now_ms)
{
    const value_t values[] = {value_bytes(ack->tenant), value_bytes(ack->name),
                              value_integer(now_ms), value_integer(ack->partition),
                              value_integer((int64_t)ack->sequence)};
    PGresult *rows = NULL;
    const result_t result =
        database_query(control,
                       WITH_LIVING_TENANT
                       ", touched AS (UPDATE consumer c SET seen_at = $3::int8 FROM living WHERE "
                       "c.tenant = living.name AND c.name = $2::text RETURNING c.tenant, c.name) "
                       "INSERT INTO "
                       "consumer_cursor AS c (tenant, name, partition, sequence) SELECT tenant, "
                       "name, $4::int8, $5::int8 FROM touched ON CONFLICT (tenant, name, "
                       "partition) DO UPDATE SET sequence = greatest(c.sequence, "
                       "excluded.sequence) RETURNING sequence",
                       values, 5, &rows);
    if (result == RESULT_OK) {
        ack->result = PQntuples(rows) == 0 ? RESULT_MISSING : RESULT_OK;
    }
    PQclear(rows);
    return result;
}

static result_t consumer_ack_all(consumers_t *store, consumer_ack_t *acks, size_t count,
                                 int64_t now_ms)
{
    control_postgres_t *const control = control_of_consumers(store);
    result_t result = quiet_begin(control);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        result = row_ack(control, &acks[i], now_ms);
    }
    return transaction_end(control, result);
}

static result_t consumer_visit_rows(consumers_t *store, text_t tenant, consumer_visit_t *visit,
                                    void *context)
{
    const value_t value = value_bytes(tenant);
    PGresult *rows = NULL;
    const result_t result = database_query(
        control_of_consumers(store),
        "SELECT c.tenant, c.name, c.registered_at, c.seen_at, k.partition, k.sequence FROM "
        "consumer c LEFT JOIN consumer_cursor k USING (tenant, name) WHERE $1::text = '' OR "
        "c.tenant = $1::text ORDER BY c.tenant, c.name, k.partition",
        &value, 1, &rows);
    bool goes_on = result == RESULT_OK;
    for (int i = 0; goes_on && i < PQntuples(rows); i++) {
        const bool has_cursor = PQgetisnull(rows, i, 4) == 0;
        const consumer_row_t consumer = {
            .tenant = field_bytes(rows, i, 0),
            .name = field_bytes(rows, i, 1),
            .registered_at = field_integer(rows, i, 2),
            .seen_at = field_integer(rows, i, 3),
            .has_cursor = has_cursor,
            .partition = has_cursor ? (uint32_t)field_integer(rows, i, 4) : 0,
            .sequence = has_cursor ? (uint64_t)field_integer(rows, i, 5) : 0,
        };
        goes_on = visit(context, &consumer);
    }
    PQclear(rows);
    return result;
}

static result_t consumer_forget(consumers_t *store, int64_t before_ms)
{
    const value_t before = value_integer(before_ms);
    return database_query(
        control_of_consumers(store),
        "DELETE FROM consumer WHERE seen_at < $1::int8 AND name NOT LIKE '" WEBHOOK_CONSUMER_PREFIX
        "%'",
        &before, 1, NULL);
}

static const consumers_functions_t functions = {
    .add = consumer_add,
    .remove = consumer_remove,
    .ack = consumer_ack_all,
    .visit = consumer_visit_rows,
    .forget = consumer_forget,
};

void control_postgres_consumers_init(control_postgres_t *control)
{
    control->consumers.functions = &functions;
}

consumers_t *control_postgres_consumers(control_store_t *store)
{
    return &control_of(store)->consumers;
}
