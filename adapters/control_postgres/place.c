/* The database and the role of a tenant. Here alone a name becomes part of SQL: one that was
 * checked, behind a random prefix of ours, quoted by libpq. None of this can run in a transaction,
 * so the order leaves at worst a place without a tenant, never a tenant without its place. */
#include "adapters/control_postgres/control_postgres_internal.h"
#include "adapters/control_postgres/scram.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SQL_SIZE = 1024, BOUND_TO_SIZE = 128 };

/* --- Passwords --- */

static text_t password_bound_to(text_t tenant, const control_postgres_place_t *place, char *out)
{
    const int size =
        snprintf(out, BOUND_TO_SIZE, "tenant-role:%.*s:%s", TEXT_PRINT(tenant), place->role);
    assert(size > 0 && size < BOUND_TO_SIZE);
    return (text_t){.data = out, .size = (size_t)size};
}

static void password_make(control_postgres_place_t *place)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[PASSWORD_SIZE / 2];
    random_fill(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        place->password[2 * i] = digits[random[i] >> 4];
        place->password[2 * i + 1] = digits[random[i] & 0xf];
    }
    place->password[PASSWORD_SIZE] = '\0';
    explicit_bzero(random, sizeof random);
}

void password_seal(const control_postgres_t *control, text_t tenant,
                   const control_postgres_place_t *place, uint8_t *sealed)
{
    char bound_to[BOUND_TO_SIZE];
    control->options.crypto->seal(&control->options.master_key,
                                  (text_t){place->password, PASSWORD_SIZE},
                                  password_bound_to(tenant, place, bound_to), sealed);
}

bool password_open(const control_postgres_t *control, text_t tenant, text_t sealed,
                   control_postgres_place_t *place)
{
    char bound_to[BOUND_TO_SIZE];
    if (sealed.size != PASSWORD_SEALED_SIZE ||
        !control->options.crypto->open(&control->options.master_key, sealed,
                                       password_bound_to(tenant, place, bound_to),
                                       (uint8_t *)place->password)) {
        return false;
    }
    place->password[PASSWORD_SIZE] = '\0';
    return true;
}

/* --- SQL with names --- */

typedef struct quoted {
    char *database;
    char *role;
} quoted_t;

static quoted_t quote(control_postgres_t *control, const char *database, const char *role)
{
    const quoted_t quoted = {
        .database = PQescapeIdentifier(control->connection, database, strlen(database)),
        .role = PQescapeIdentifier(control->connection, role, strlen(role)),
    };
    assert(quoted.database != NULL && quoted.role != NULL);
    return quoted;
}

static void quoted_release(quoted_t *quoted)
{
    PQfreemem(quoted->database);
    PQfreemem(quoted->role);
}

/* `format` with one or two quoted names. */
__attribute__((format(printf, 2, 3))) static result_t run(control_postgres_t *control,
                                                          const char *format, ...)
{
    char sql[SQL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof sql) {
        return RESULT_INVALID_ARGUMENT;
    }
    const result_t result = database_execute(control, sql);
    explicit_bzero(sql, sizeof sql);
    return result;
}

static result_t is_there(control_postgres_t *control, const char *sql, const char *name,
                         bool *found)
{
    PGresult *rows = NULL;
    const value_t value = value_bytes(text_from_c(name));
    const result_t result = database_query(control, sql, &value, 1, &rows);
    *found = result == RESULT_OK && PQntuples(rows) > 0;
    PQclear(rows);
    return result;
}

static result_t database_is_there(control_postgres_t *control, const char *name, bool *found)
{
    return is_there(control, "SELECT 1 FROM pg_database WHERE datname = $1::text::name", name,
                    found);
}

static result_t role_is_there(control_postgres_t *control, const char *name, bool *found)
{
    return is_there(control, "SELECT 1 FROM pg_roles WHERE rolname = $1::text::name", name, found);
}

/* --- Making --- */

/* The server gets a verifier, not the password: statements may be logged. */
static result_t role_make(control_postgres_t *control, const control_postgres_place_t *place,
                          const quoted_t *quoted)
{
    uint8_t salt[SCRAM_SALT_SIZE];
    char verifier[SCRAM_VERIFIER_SIZE];
    random_fill(salt, sizeof salt);
    scram_verifier(text_from_c(place->password), salt, verifier);
    char *const literal = PQescapeLiteral(control->connection, verifier, strlen(verifier));
    result_t result = RESULT_STORE_UNAVAILABLE;
    if (literal != NULL) {
        result = run(control,
                     "CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE "
                     "PASSWORD %s",
                     quoted->role, literal);
    }
    PQfreemem(literal);
    explicit_bzero(verifier, sizeof verifier);
    return result;
}

/* What a crash between place and tenant left behind; it is set aside, not dropped. */
static result_t remains_clear(control_postgres_t *control, const control_postgres_place_t *place)
{
    bool database = false;
    bool role = false;
    char kept_as[256];
    result_t result = database_is_there(control, place->database, &database);
    if (result == RESULT_OK) {
        result = role_is_there(control, place->role, &role);
    }
    if (result != RESULT_OK || (!database && !role)) {
        return result;
    }
    log_warn("a database or role without its tenant was found, and is set aside",
             LOG_STRING("database", place->database));
    if (database && role) {
        uint32_t random = 0;
        random_fill(&random, sizeof random);
        return place_keep(control, place->database, place->role, (int64_t)random * 1000, kept_as,
                          sizeof kept_as);
    }
    quoted_t quoted = quote(control, place->database, place->role);
    result = database ? RESULT_ALREADY_EXISTS : run(control, "DROP ROLE %s", quoted.role);
    quoted_release(&quoted);
    return result;
}

result_t place_make(control_postgres_t *control, text_t tenant, uint32_t partitions,
                    control_postgres_place_t *place)
{
    (void)snprintf(place->database, sizeof place->database, "%s%.*s", control->prefix,
                   TEXT_PRINT(tenant));
    (void)snprintf(place->role, sizeof place->role, "%s", place->database);
    password_make(place);
    result_t result = remains_clear(control, place);
    if (result != RESULT_OK) {
        return result;
    }
    quoted_t quoted = quote(control, place->database, place->role);
    result = role_make(control, place, &quoted);
    if (result == RESULT_OK) { /* whoever gives a database away must be a member of its owner */
        result = run(control, "GRANT %s TO CURRENT_USER", quoted.role);
    }
    if (result == RESULT_OK) {
        result = run(control, "CREATE DATABASE %s OWNER %s TEMPLATE template0", quoted.database,
                     quoted.role);
    }
    if (result == RESULT_OK) {
        result = run(control, "REVOKE ALL ON DATABASE %s FROM PUBLIC", quoted.database);
    }
    if (result == RESULT_OK) {
        result = control->options.make_journal(control->url, place, partitions);
    }
    quoted_release(&quoted);
    if (result != RESULT_OK) {
        place_unmake(control, place);
    }
    return result;
}

void place_unmake(control_postgres_t *control, const control_postgres_place_t *place)
{
    quoted_t quoted = quote(control, place->database, place->role);
    const result_t database =
        run(control, "DROP DATABASE IF EXISTS %s WITH (FORCE)", quoted.database);
    const result_t role = run(control, "DROP ROLE IF EXISTS %s", quoted.role);
    if (database != RESULT_OK || role != RESULT_OK) {
        log_warn("the database or role of a tenant that was not made stays behind",
                 LOG_STRING("database", place->database));
    }
    quoted_release(&quoted);
}

/* --- Setting aside --- */

/* Those of roles: who runs autovacuum is none, may not be told to end by anybody but a superuser,
 * and is told by the server itself when the database is renamed. */
static result_t sessions_end(control_postgres_t *control, const char *database)
{
    const value_t value = value_bytes(text_from_c(database));
    PGresult *rows = NULL;
    const result_t result = database_query(
        control,
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = $1::text "
        "AND usesysid IS NOT NULL",
        &value, 1, &rows);
    PQclear(rows);
    return result;
}

result_t place_keep(control_postgres_t *control, const char *database, const char *role,
                    int64_t now_ms, char *kept_as, size_t kept_as_size)
{
    bool found = false;
    result_t result = database_is_there(control, database, &found);
    if (result != RESULT_OK || !found) {
        return result == RESULT_OK ? RESULT_MISSING : result;
    }
    char kept[64];
    /* Milliseconds: two tenants of one name may be deleted within a second. */
    const int size = snprintf(kept, sizeof kept, "%.49s_%lld", database, (long long)now_ms);
    assert(size > 0 && (size_t)size < sizeof kept);
    quoted_t from = quote(control, database, role);
    quoted_t to = quote(control, kept, kept);
    result = run(control, "ALTER ROLE %s NOLOGIN", from.role);
    if (result == RESULT_OK) {
        result = run(control, "ALTER DATABASE %s WITH ALLOW_CONNECTIONS false", from.database);
    }
    if (result == RESULT_OK) {
        result = sessions_end(control, database);
    }
    if (result == RESULT_OK) {
        result = run(control, "ALTER DATABASE %s RENAME TO %s", from.database, to.database);
    }
    if (result == RESULT_OK) {
        result = run(control, "ALTER ROLE %s RENAME TO %s", from.role, to.role);
    }
    quoted_release(&from);
    quoted_release(&to);
    (void)snprintf(kept_as, kept_as_size, "database %s", kept);
    return result;
}
