/* The port of dead letters on the control database and the control store's connection. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include "runtime/log.h"
#include <stddef.h>

#define LETTER_COLUMNS                                                                             \
    "SELECT fingerprint, state, tenant, type, actor, kills, stored_at, reason, trace_id, "         \
    "request_size, sealed_request, outcome FROM dead_letter "

enum {
    FINGERPRINT,
    STATE,
    TENANT,
    TYPE,
    ACTOR,
    KILLS,
    STORED_AT,
    REASON,
    TRACE_ID,
    REQUEST_SIZE,
    SEALED_REQUEST,
    OUTCOME,
};

static control_postgres_t *control_of_letters(dead_letters_t *store)
{
    return (control_postgres_t *)(void *)((char *)store -
                                          offsetof(control_postgres_t, dead_letters));
}

static value_t value_of_bytes(const uint8_t *bytes, size_t size)
{
    return value_bytes((text_t){.data = (const char *)bytes, .size = size});
}

/* --- Changing --- */

static result_t letter_write(control_postgres_t *control, const dead_letter_t *letter)
{
    const value_t row[] = {value_of_bytes(letter->fingerprint, CRASH_FINGERPRINT_SIZE),
                           value_integer(letter->state),
                           value_bytes(letter->tenant),
                           value_integer(letter->type),
                           value_of_bytes(letter->actor, CRASH_ID_SIZE),
                           value_integer(letter->kills),
                           value_integer(letter->stored_at),
                           value_bytes(letter->reason),
                           value_bytes(letter->trace_id),
                           value_integer(letter->request_size),
                           value_bytes(letter->sealed_request),
                           value_bytes(letter->outcome)};
    const value_t kept[] = {value_bytes(letter->tenant), value_integer(LIMIT_DEAD_LETTERS),
                            value_integer(DEAD_LETTER_REPLAYED)};
    const result_t result = database_query(
        control,
        "INSERT INTO dead_letter (fingerprint, state, tenant, type, actor, kills, stored_at, "
        "reason, trace_id, request_size, sealed_request, outcome) VALUES ($1::bytea, $2::int8, "
        "$3::text, $4::int8, $5::bytea, $6::int8, $7::int8, $8::bytea, $9::bytea, $10::int8, "
        "$11::bytea, $12::bytea) ON CONFLICT (fingerprint) DO UPDATE SET state = excluded.state, "
        "tenant = excluded.tenant, type = excluded.type, actor = excluded.actor, kills = "
        "excluded.kills, stored_at = excluded.stored_at, reason = excluded.reason, trace_id = "
        "excluded.trace_id, request_size = excluded.request_size, sealed_request = "
        "excluded.sealed_request, outcome = excluded.outcome",
        row, 12, NULL);
    if (result != RESULT_OK) {
        return result;
    }
    return database_query(control,
                          "DELETE FROM dead_letter WHERE fingerprint IN (SELECT fingerprint FROM "
                          "dead_letter WHERE tenant = $1::text ORDER BY state = $3::int8, "
                          "stored_at DESC OFFSET $2::int8)",
                          kept, 3, NULL);
}

static result_t letter_put(dead_letters_t *store, const dead_letter_t *letter)
{
    control_postgres_t *const control = control_of_letters(store);
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = letter_write(control, letter);
    return transaction_end(control, result);
}

/* One statement that says with a row that it found the letter. */
static result_t one_run(control_postgres_t *control, const char *sql, const value_t *values,
                        int count)
{
    PGresult *rows = NULL;
    result_t result = transaction_begin(control);
    if (result != RESULT_OK) {
        return result;
    }
    result = database_query(control, sql, values, count, &rows);
    if (result == RESULT_OK && PQntuples(rows) == 0) {
        result = RESULT_MISSING;
    }
    PQclear(rows);
    return transaction_end(control, result);
}

static result_t letter_change(dead_letters_t *store, const uint8_t *fingerprint,
                              dead_letter_state_t from, dead_letter_state_t to, text_t outcome)
{
    const value_t values[] = {value_of_bytes(fingerprint, CRASH_FINGERPRINT_SIZE),
                              value_integer(from), value_integer(to), value_bytes(outcome)};
    return one_run(control_of_letters(store),
                   "UPDATE dead_letter SET state = $3::int8, outcome = $4::bytea WHERE "
                   "fingerprint = $1::bytea AND state = $2::int8 RETURNING 1",
                   values, 4);
}

static result_t letter_drop(dead_letters_t *store, const uint8_t *fingerprint)
{
    const value_t value = value_of_bytes(fingerprint, CRASH_FINGERPRINT_SIZE);
    return one_run(control_of_letters(store),
                   "DELETE FROM dead_letter WHERE fingerprint = $1::bytea RETURNING 1", &value, 1);
}

/* --- Reading --- */

/* False: the row is not as we write it. */
static bool letter_read(const PGresult *rows, int row, dead_letter_t *letter)
{
    const text_t fingerprint = field_bytes(rows, row, FINGERPRINT);
    const text_t actor = field_bytes(rows, row, ACTOR);
    *letter = (dead_letter_t){
        .fingerprint = (const uint8_t *)fingerprint.data,
        .state = (dead_letter_state_t)field_integer(rows, row, STATE),
        .tenant = field_bytes(rows, row, TENANT),
        .type = (uint8_t)field_integer(rows, row, TYPE),
        .actor = (const uint8_t *)actor.data,
        .kills = (uint32_t)field_integer(rows, row, KILLS),
        .stored_at = field_integer(rows, row, STORED_AT),
        .reason = field_bytes(rows, row, REASON),
        .trace_id = field_bytes(rows, row, TRACE_ID),
        .request_size = (uint32_t)field_integer(rows, row, REQUEST_SIZE),
        .sealed_request = field_bytes(rows, row, SEALED_REQUEST),
        .outcome = field_bytes(rows, row, OUTCOME),
    };
    return fingerprint.size == CRASH_FINGERPRINT_SIZE && actor.size == CRASH_ID_SIZE;
}

static result_t rows_visit(const PGresult *rows, dead_letter_visit_t *visit, void *context)
{
    for (int row = 0; row < PQntuples(rows); row++) { /* LIMIT_DEAD_LETTERS per tenant */
        dead_letter_t letter;
        if (!letter_read(rows, row, &letter)) {
            log_error("a row of the table dead_letter in the control database is damaged: dead "
                      "letters cannot be listed until it is removed");
            return RESULT_STORE_CORRUPT;
        }
        if (!visit(context, &letter)) {
            break;
        }
    }
    return RESULT_OK;
}

static result_t letter_visit(dead_letters_t *store, text_t tenant, dead_letter_visit_t *visit,
                             void *context)
{
    PGresult *rows = NULL;
    const value_t value = value_bytes(tenant);
    result_t result = database_query(
        control_of_letters(store),
        LETTER_COLUMNS "WHERE $1::text = '' OR tenant = $1::text ORDER BY stored_at DESC", &value,
        1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    result = rows_visit(rows, visit, context);
    PQclear(rows);
    return result;
}

static result_t letter_visit_one(dead_letters_t *store, const uint8_t *fingerprint,
                                 dead_letter_visit_t *visit, void *context)
{
    PGresult *rows = NULL;
    const value_t value = value_of_bytes(fingerprint, CRASH_FINGERPRINT_SIZE);
    result_t result =
        database_query(control_of_letters(store), LETTER_COLUMNS "WHERE fingerprint = $1::bytea",
                       &value, 1, &rows);
    if (result != RESULT_OK) {
        return result;
    }
    result = PQntuples(rows) == 0 ? RESULT_MISSING : rows_visit(rows, visit, context);
    PQclear(rows);
    return result;
}

void control_postgres_dead_letters_init(control_postgres_t *control)
{
    static const dead_letters_functions_t functions = {
        .put = letter_put,
        .visit = letter_visit,
        .visit_one = letter_visit_one,
        .change = letter_change,
        .drop = letter_drop,
    };
    control->dead_letters.functions = &functions;
}

dead_letters_t *control_postgres_dead_letters(control_store_t *store)
{
    return &control_of(store)->dead_letters;
}
