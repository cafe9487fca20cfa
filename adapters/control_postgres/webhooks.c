/* The port of webhooks on the control database and the control store's connection. */
#include "actors/domain/webhook.h"
#include "adapters/control_postgres/control_postgres_internal.h"
#include <stddef.h>
#include <string.h>

enum { DELIVERY_VALUES = 13 };

static control_postgres_t *control_of_webhooks(webhooks_t *store)
{
    return (control_postgres_t *)(void *)((char *)store - offsetof(control_postgres_t, webhooks));
}

/* A statement that returns a row for each it changed; `otherwise` when there was none. */
static result_t change_one(control_postgres_t *control, const char *sql, const value_t *values,
                           int count, result_t otherwise)
{
    PGresult *rows = NULL;
    result_t result = database_query(control, sql, values, count, &rows);
    if (result == RESULT_OK && PQntuples(rows) == 0) {
        result = otherwise;
    }
    PQclear(rows);
    return result;
}

static result_t change(webhooks_t *store, const char *sql, const value_t *values, int count)
{
    control_postgres_t *const control = control_of_webhooks(store);
    const result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    return transaction_end(control, change_one(control, sql, values, count, RESULT_MISSING));
}

/* --- Changing --- */

/* A namesake before it may have left cursors. */
static result_t consumer_begin(control_postgres_t *control, const webhook_row_t *row)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    const text_t consumer = webhook_consumer_name(row->name, memory);
    const value_t values[] = {value_bytes(row->tenant), value_bytes(consumer)};
    const result_t result =
        database_query(control, "DELETE FROM consumer WHERE tenant = $1::text AND name = $2::text",
                       values, 2, NULL);
    return result == RESULT_OK
               ? control_postgres_consumer_add(control, row->tenant, consumer, row->created_at)
               : result;
}

/* The transaction's lock on the version keeps others from taking the last place. */
static result_t row_add(control_postgres_t *control, const webhook_row_t *row)
{
    const value_t values[] = {value_bytes(row->tenant), value_bytes(row->name),
                              value_bytes(row->url), value_integer(row->created_at),
                              value_bytes(row->sealed_secret)};
    PGresult *rows = NULL;
    result_t result = database_query(control,
                                     "SELECT count(*), count(*) FILTER (WHERE name = $2::text) "
                                     "FROM webhook WHERE tenant = $1::text",
                                     values, 2, &rows);
    if (result == RESULT_OK && field_integer(rows, 0, 1) > 0) {
        result = RESULT_ALREADY_EXISTS;
    } else if (result == RESULT_OK && field_integer(rows, 0, 0) >= LIMIT_WEBHOOKS) {
        result = RESULT_BUSY;
    }
    PQclear(rows);
    if (result == RESULT_OK) {
        result = consumer_begin(control, row);
    }
    if (result != RESULT_OK) {
        return result;
    }
    return database_query(control,
                          "INSERT INTO webhook (tenant, name, url, created_at, sealed_secret) "
                          "VALUES ($1::text, $2::text, $3::text, $4::int8, $5::bytea)",
                          values, 5, NULL);
}

static result_t webhook_add(webhooks_t *store, const webhook_row_t *row)
{
    control_postgres_t *const control = control_of_webhooks(store);
    const result_t result = transaction_begin(control);
    return result == RESULT_OK ? transaction_end(control, row_add(control, row)) : result;
}

static result_t webhook_remove(webhooks_t *store, text_t tenant, text_t name)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    const value_t values[] = {value_bytes(tenant), value_bytes(name),
                              value_bytes(webhook_consumer_name(name, memory))};
    return change(store,
                  "WITH gone AS (DELETE FROM webhook WHERE tenant = $1::text AND name = $2::text "
                  "RETURNING tenant), cursors AS (DELETE FROM consumer WHERE tenant = $1::text AND "
                  "name = $3::text AND EXISTS (SELECT FROM gone)) SELECT tenant FROM gone",
                  values, 3);
}

static result_t webhook_rotate(webhooks_t *store, text_t tenant, text_t name, text_t sealed_secret,
                               int64_t previous_until)
{
    const value_t values[] = {value_bytes(tenant), value_bytes(name), value_bytes(sealed_secret),
                              value_integer(previous_until)};
    return change(store,
                  "UPDATE webhook SET sealed_previous = sealed_secret, sealed_secret = $3::bytea, "
                  "previous_until = $4::int8 WHERE tenant = $1::text AND name = $2::text RETURNING "
                  "name",
                  values, 4);
}

static result_t webhook_disable(webhooks_t *store, text_t tenant, text_t name, text_t reason)
{
    const value_t values[] = {value_bytes(tenant), value_bytes(name), value_bytes(reason)};
    return change(store,
                  "UPDATE webhook SET disabled = $3::text WHERE tenant = $1::text AND name = "
                  "$2::text RETURNING name",
                  values, 3);
}

static result_t webhook_replay(webhooks_t *store, text_t tenant, text_t name,
                               const webhook_range_t *replay)
{
    control_postgres_t *const control = control_of_webhooks(store);
    const value_t values[] = {
        value_bytes(tenant), value_bytes(name), value_integer(replay->partition),
        value_integer((int64_t)replay->next), value_integer((int64_t)replay->last)};
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result =
        change_one(control, "SELECT name FROM webhook WHERE tenant = $1::text AND name = $2::text",
                   values, 2, RESULT_MISSING);
    if (result == RESULT_OK) {
        result = change_one(control,
                            "UPDATE webhook SET replay_partition = $3::int8, replay_next = "
                            "$4::int8, replay_last = $5::int8 WHERE tenant = $1::text AND name = "
                            "$2::text AND replay_last = 0 RETURNING name",
                            values, 5, RESULT_BUSY);
    }
    return transaction_end(control, result);
}

/* --- What became of deliveries --- */

static void fill_delivery(const void *context, size_t index, value_t *values)
{
    const webhook_delivery_t *const delivery = (const webhook_delivery_t *)context + index;
    const value_t filled[DELIVERY_VALUES] = {
        value_bytes(delivery->tenant),      value_bytes(delivery->name),
        value_integer(delivery->partition), value_integer((int64_t)delivery->sequence),
        value_bytes(delivery->event),       value_bytes(delivery->card),
        value_integer(delivery->attempts),  value_integer(delivery->first_at),
        value_integer(delivery->last_at),   value_integer(delivery->status),
        value_integer(delivery->state),     value_bytes(delivery->detail),
        value_integer(delivery->created_at)};
    memcpy(values, filled, sizeof filled);
}

static const char put_delivery[] = WITH_LIVING_TENANT
    ", own AS (SELECT FROM living JOIN webhook w ON w.tenant = living.name WHERE w.name = $2::text "
    "AND w.created_at = $13::int8 FOR SHARE OF w) INSERT INTO webhook_delivery (tenant, name, "
    "partition, sequence, event, card, attempts, first_at, last_at, status, state, detail) SELECT "
    "$1::text, $2::text, $3::int8, $4::int8, $5::text, $6::text, $7::int8, $8::int8, $9::int8, "
    "$10::int8, $11::int8, $12::text FROM own ON CONFLICT (tenant, name, partition, sequence) DO "
    "UPDATE SET attempts = excluded.attempts, first_at = excluded.first_at, last_at = "
    "excluded.last_at, status = excluded.status, state = excluded.state, detail = excluded.detail";

static bool is_other_webhook(const webhook_delivery_t *a, const webhook_delivery_t *b)
{
    return !text_equal(a->tenant, b->tenant) || !text_equal(a->name, b->name);
}

static result_t trim_logs(control_postgres_t *control, const webhook_delivery_t *deliveries,
                          size_t count)
{
    result_t result = RESULT_OK;
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        if (i + 1 < count && !is_other_webhook(&deliveries[i], &deliveries[i + 1])) {
            continue;
        }
        const value_t values[] = {value_bytes(deliveries[i].tenant),
                                  value_bytes(deliveries[i].name),
                                  value_integer(LIMIT_WEBHOOK_LOG)};
        result = database_query(
            control,
            "DELETE FROM webhook_delivery WHERE tenant = $1::text AND name = $2::text AND state <> "
            "1 AND (partition, sequence) IN (SELECT partition, sequence FROM webhook_delivery "
            "WHERE tenant = $1::text AND name = $2::text ORDER BY last_at DESC, partition, "
            "sequence DESC OFFSET $3::int8)",
            values, 3, NULL);
    }
    return result;
}

/* --- How far they have come --- */

static result_t move_cursor(control_postgres_t *control, const webhook_cursor_t *cursor,
                            int64_t now_ms)
{
    char memory[WEBHOOK_CONSUMER_SIZE];
    const value_t values[] = {value_bytes(cursor->tenant),
                              value_bytes(cursor->name),
                              value_integer(cursor->created_at),
                              value_bytes(webhook_consumer_name(cursor->name, memory)),
                              value_integer(now_ms),
                              value_integer(cursor->partition),
                              value_integer((int64_t)cursor->sequence)};
    return database_query(
        control,
        WITH_LIVING_TENANT
        ", own AS (SELECT w.tenant FROM living JOIN webhook w ON w.tenant = living.name WHERE "
        "w.name = $2::text AND w.created_at = $3::int8 FOR SHARE OF w), touched AS (INSERT INTO "
        "consumer (tenant, name, registered_at, seen_at) SELECT tenant, $4::text, $5::int8, "
        "$5::int8 FROM own ON CONFLICT (tenant, name) DO UPDATE SET seen_at = excluded.seen_at "
        "RETURNING tenant, name) INSERT "
        "INTO consumer_cursor AS c (tenant, name, partition, sequence) SELECT tenant, name, "
        "$6::int8, $7::int8 FROM touched ON CONFLICT (tenant, name, partition) DO UPDATE SET "
        "sequence = greatest(c.sequence, excluded.sequence)",
        values, 7, NULL);
}

static result_t move_replay(control_postgres_t *control, const webhook_cursor_t *cursor)
{
    const bool is_over = cursor->sequence >= cursor->replay_last;
    const value_t values[] = {value_bytes(cursor->tenant),
                              value_bytes(cursor->name),
                              value_integer(cursor->created_at),
                              value_integer(cursor->partition),
                              value_integer((int64_t)cursor->sequence + 1),
                              value_integer(is_over ? 0 : (int64_t)cursor->replay_last)};
    return database_query(control,
                          WITH_LIVING_TENANT
                          " UPDATE webhook w SET replay_next = $5::int8, replay_last = $6::int8 "
                          "FROM living WHERE w.tenant = living.name AND w.name = $2::text AND "
                          "w.created_at = $3::int8 AND replay_partition = $4::int8 AND "
                          "replay_last > 0",
                          values, 6, NULL);
}

static result_t webhook_record(webhooks_t *store, const webhook_progress_t *progress)
{
    control_postgres_t *const control = control_of_webhooks(store);
    result_t result = quiet_begin(control);
    if (result == RESULT_OK) {
        result = database_query_each(control, put_delivery, fill_delivery, progress->deliveries,
                                     progress->delivery_count, DELIVERY_VALUES);
    }
    if (result == RESULT_OK) {
        result = trim_logs(control, progress->deliveries, progress->delivery_count);
    }
    for (size_t i = 0; i < progress->cursor_count && result == RESULT_OK; i++) {
        const webhook_cursor_t *const cursor = &progress->cursors[i];
        result = cursor->replay_last > 0 ? move_replay(control, cursor)
                                         : move_cursor(control, cursor, progress->now_ms);
    }
    return transaction_end(control, result);
}

/* --- Reading --- */

static result_t webhook_visit_rows(webhooks_t *store, text_t tenant, webhook_visit_t *visit,
                                   void *context)
{
    const value_t value = value_bytes(tenant);
    PGresult *rows = NULL;
    const result_t result = database_query(
        control_of_webhooks(store),
        "SELECT w.tenant, w.name, url, w.created_at, disabled, w.sealed_secret, "
        "coalesce(sealed_previous, ''::bytea), previous_until, replay_partition, replay_next, "
        "replay_last, t.created_at FROM webhook w JOIN tenant t ON t.name = w.tenant WHERE "
        "$1::text = '' OR w.tenant = $1::text ORDER BY w.tenant, w.name",
        &value, 1, &rows);
    bool goes_on = result == RESULT_OK;
    for (int i = 0; goes_on && i < PQntuples(rows); i++) {
        const webhook_row_t row = {
            .tenant = field_bytes(rows, i, 0),
            .name = field_bytes(rows, i, 1),
            .url = field_bytes(rows, i, 2),
            .created_at = field_integer(rows, i, 3),
            .disabled = field_bytes(rows, i, 4),
            .sealed_secret = field_bytes(rows, i, 5),
            .sealed_previous = field_bytes(rows, i, 6),
            .previous_until = field_integer(rows, i, 7),
            .replay_partition = (uint32_t)field_integer(rows, i, 8),
            .replay_next = (uint64_t)field_integer(rows, i, 9),
            .replay_last = (uint64_t)field_integer(rows, i, 10),
            .tenant_created_at = field_integer(rows, i, 11),
        };
        goes_on = visit(context, &row);
    }
    PQclear(rows);
    return result;
}

static webhook_delivery_t delivery_of(const PGresult *rows, int i)
{
    return (webhook_delivery_t){
        .tenant = field_bytes(rows, i, 0),
        .name = field_bytes(rows, i, 1),
        .partition = (uint32_t)field_integer(rows, i, 2),
        .sequence = (uint64_t)field_integer(rows, i, 3),
        .event = field_bytes(rows, i, 4),
        .card = field_bytes(rows, i, 5),
        .attempts = (uint32_t)field_integer(rows, i, 6),
        .first_at = field_integer(rows, i, 7),
        .last_at = field_integer(rows, i, 8),
        .status = (uint32_t)field_integer(rows, i, 9),
        .state = (webhook_state_t)field_integer(rows, i, 10),
        .detail = field_bytes(rows, i, 11),
    };
}

static result_t webhook_visit_log(webhooks_t *store, text_t tenant, text_t name, bool only_retrying,
                                  webhook_delivery_visit_t *visit, void *context)
{
    const value_t values[] = {value_bytes(tenant), value_bytes(name),
                              value_integer(only_retrying ? 1 : 0)};
    PGresult *rows = NULL;
    const result_t result = database_query(
        control_of_webhooks(store),
        "SELECT tenant, name, partition, sequence, event, card, attempts, first_at, last_at, "
        "status, state, detail FROM webhook_delivery WHERE tenant = $1::text AND name = $2::text "
        "AND ($3::int8 = 0 OR state = 1) ORDER BY last_at DESC, partition, sequence DESC",
        values, 3, &rows);
    bool goes_on = result == RESULT_OK;
    for (int i = 0; goes_on && i < PQntuples(rows); i++) {
        const webhook_delivery_t delivery = delivery_of(rows, i);
        goes_on = visit(context, &delivery);
    }
    PQclear(rows);
    return result;
}

/* --- One sender --- */

static result_t webhook_claim(webhooks_t *store, text_t service, uint32_t ttl_ms, bool *is_ours)
{
    const value_t values[] = {value_bytes(service), value_integer(ttl_ms)};
    PGresult *rows = NULL;
    const result_t result = database_query(
        control_of_webhooks(store),
        "WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8 AS now_ms) "
        "INSERT INTO claim AS c (name, owner, epoch, ends_at) SELECT 'webhooks', $1::text, 1, "
        "now_ms + $2::int8 FROM clock ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, "
        "ends_at = excluded.ends_at, epoch = c.epoch + (c.owner <> excluded.owner)::int WHERE "
        "c.owner = excluded.owner OR c.ends_at <= (SELECT now_ms FROM clock) RETURNING epoch",
        values, 2, &rows);
    *is_ours = result == RESULT_OK && PQntuples(rows) == 1 && ttl_ms > 0;
    PQclear(rows);
    return result;
}

static const webhooks_functions_t functions = {
    .add = webhook_add,
    .remove = webhook_remove,
    .rotate = webhook_rotate,
    .disable = webhook_disable,
    .replay = webhook_replay,
    .record = webhook_record,
    .visit = webhook_visit_rows,
    .visit_log = webhook_visit_log,
    .claim = webhook_claim,
};

void control_postgres_webhooks_init(control_postgres_t *control)
{
    control->webhooks.functions = &functions;
}

webhooks_t *control_postgres_webhooks(control_store_t *store)
{
    return &control_of(store)->webhooks;
}
