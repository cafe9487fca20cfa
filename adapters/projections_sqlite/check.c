/* The read models of a tenant held against the fold of its events, for `store verify`. The fold is
 * written to a temporary database of SQLite, so that memory is bounded by caches whatever the size
 * of the journal, and the live file is attached to it: comparing is a join. Never writes to the
 * live file. Words of names are not hashed anew, because that takes the member's key. */
#include "adapters/projections_sqlite/projections_sqlite_internal.h"

#include "actors/relay/projection_fold.h"
#include "runtime/limits.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct projections_sqlite_check {
    model_database_t database; /* main: the fold; live: what is checked */
    projection_fold_t *fold;   /* of the batch that gathers; NULL: none */
    uint32_t partition;        /* its */
    uint64_t folded[LIMIT_PARTITIONS];
    uint64_t cursors[LIMIT_PARTITIONS];
    uint64_t events;
    int64_t archived_before; /* sums of hours before that are not compared, */
    uint64_t archived;       /* unless so many events */
    uint64_t summed;         /* are in the sums of archives */
};

_Static_assert((int)PROJECTION_PARTITION_ARCHIVED == 64, "as SQL knows it");

static const struct {
    const char *question;
    const char *sql;
} questions[] = {
    {"a cursor of the read models stands at an event of the journal",
     "SELECT 'partition ' || l.partition || ': sequence ' || l.sequence FROM live.cursor l LEFT "
     "JOIN main.cursor e ON e.partition = l.partition WHERE l.sequence > 0 AND l.partition < 64 "
     "AND (e.sequence IS NOT "
     "l.sequence OR e.event_id IS NOT l.event_id OR e.occurred_at IS NOT l.occurred_at)"},
    {"a card of the read models is the fold of its events",
     "SELECT 'card ' || hex(e.id) FROM main.card e LEFT JOIN live.card l ON l.id = e.id WHERE l.id "
     "IS NULL OR l.issued_at <> e.issued_at OR l.issue_event <> e.issue_event OR l.member_id <> "
     "e.member_id COLLATE BINARY OR l.tier <> e.tier COLLATE BINARY OR l.status <> e.status OR "
     "l.expires_at <> e.expires_at OR l.body <> e.body"},
    {"every card of the read models has events",
     "SELECT 'card ' || hex(l.id) FROM live.card l LEFT JOIN main.card e ON e.id = l.id WHERE e.id "
     "IS NULL"},
    {"a rollup is the sum of its events",
     "SELECT 'series ' || e.series || ', grain ' || e.grain || ', start ' || e.start || ', kind ' "
     "|| e.kind FROM main.counter e LEFT JOIN live.counter l USING (series, grain, start, kind, "
     "gate) WHERE coalesce(l.count, 0) <> e.count AND e.start >= ?1"},
    {"every rollup has events",
     "SELECT 'series ' || l.series || ', grain ' || l.grain || ', start ' || l.start || ', kind ' "
     "|| l.kind FROM live.counter l LEFT JOIN main.counter e USING (series, grain, start, kind, "
     "gate) WHERE e.count IS NULL AND l.count <> 0 AND l.start >= ?1"},
    {"a word of a name is of the card that it stands for",
     "SELECT 'card number ' || w.card FROM live.word w LEFT JOIN live.card c ON c.number = w.card "
     "WHERE c.number IS NULL OR c.issued_at <> w.issued_at OR c.issue_event <> w.issue_event"},
};

/* --- Begin --- */

/* Indexes for lists cost most of what folding does, and nobody lists the fold. That of members
 * stays, for the one statement of a fold that names it. */
static result_t list_indexes_drop(model_database_t *database)
{
    static const char sql[] =
        "SELECT coalesce(group_concat('DROP INDEX main.' || name, '; '), '') FROM "
        "main.sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND name <> 'card_by_member'";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    char drops[1024] = "";
    if (code == SQLITE_ROW) {
        const int size = snprintf(drops, sizeof drops, "%s", sqlite3_column_text(statement, 0));
        assert(size >= 0 && (size_t)size < sizeof drops); /* our own schema */
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_OK ? model_database_execute(database, drops)
                             : model_database_error(database, code, sql);
}

static result_t fold_database_open(model_database_t *database)
{
    const int code = sqlite3_open_v2("", &database->handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                         SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     NULL);
    if (code != SQLITE_OK) {
        return model_database_error(database, code, "open");
    }
    database_harden(database->handle, LIMIT_STORE_BUSY_MS);
    char sql[160];
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -%d",
                   LIMIT_PROJECTION_CACHE_KIB);
    result_t result = model_database_execute(database, sql);
    for (size_t i = 0; result == RESULT_OK && i < projections_sqlite_migrations_count; i++) {
        result = model_database_execute(database, projections_sqlite_migrations[i]);
    }
    return result == RESULT_OK ? list_indexes_drop(database) : result;
}

static result_t live_attach(model_database_t *database, const char *path)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->handle, "ATTACH ?1 AS live", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        bind_text(statement, 1, text_from_c(path));
        code = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? RESULT_OK : model_database_error(database, code, "attach");
}

static result_t format_check(model_database_t *database)
{
    int64_t application = 0;
    int64_t version = 0;
    result_t result = model_number_read(database, "PRAGMA live.application_id", &application);
    if (result == RESULT_OK) {
        result = model_number_read(database, "PRAGMA live.user_version", &version);
    }
    const bool is_ours = application == MODEL_APPLICATION_ID &&
                         version == (int64_t)projections_sqlite_migrations_count;
    return result == RESULT_OK && !is_ours ? RESULT_MISSING : result;
}

/* The first read: from here on the live file is seen as it is now. */
static result_t cursors_get(projections_sqlite_check_t *check)
{
    sqlite3_stmt *statement = NULL;
    const char *const sql = "SELECT partition, sequence FROM live.cursor";
    int code = sqlite3_prepare_v2(check->database.handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    while (code == SQLITE_ROW) { /* one row per partition */
        const int64_t partition = sqlite3_column_int64(statement, 0);
        if (partition >= 0 && partition < LIMIT_PARTITIONS) {
            check->cursors[partition] = (uint64_t)sqlite3_column_int64(statement, 1);
        }
        code = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? RESULT_OK : model_database_error(&check->database, code, sql);
}

static void check_free(projections_sqlite_check_t **check)
{
    projections_sqlite_check_t *const freed = *check;
    *check = NULL;
    projection_fold_destroy(&freed->fold);
    if (freed->database.handle != NULL) {
        model_rollback(&freed->database);
        for (size_t i = 0; i < MODEL_STATEMENT_COUNT; i++) {
            (void)sqlite3_finalize(freed->database.statements[i]);
        }
        const int closed = sqlite3_close(freed->database.handle);
        assert(closed == SQLITE_OK);
    }
    free(freed);
}

result_t projections_sqlite_check_begin(const char *data_directory, text_t tenant,
                                        projections_sqlite_check_t **check)
{
    char *path = NULL;
    const int size = asprintf(&path, "%s/tenants/%.*s.read.db", data_directory, TEXT_PRINT(tenant));
    assert(size > 0);
    const result_t result = projection_check_open(path, check);
    free(path);
    return result;
}

result_t projection_check_open(const char *path, projections_sqlite_check_t **check)
{
    projections_sqlite_check_t *begun = calloc(1, sizeof *begun);
    assert(begun != NULL);
    begun->database.path = "the read models that are checked";
    result_t result = access(path, F_OK) == 0 ? RESULT_OK : RESULT_MISSING;
    if (result == RESULT_OK) {
        result = fold_database_open(&begun->database);
    }
    if (result == RESULT_OK) {
        result = live_attach(&begun->database, path);
    }
    if (result == RESULT_OK) {
        result = format_check(&begun->database);
    }
    if (result == RESULT_OK) {
        result = model_run(&begun->database, MODEL_begin);
    }
    if (result == RESULT_OK) {
        result = cursors_get(begun);
    }
    if (result != RESULT_OK) {
        check_free(&begun);
        return result;
    }
    *check = begun;
    return RESULT_OK;
}

/* --- Events --- */

static result_t card_give(projections_sqlite_check_t *check, size_t index, const uuid_t *card)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    result_t result = model_prepare(&check->database, MODEL_card_get, &statement);
    if (result != RESULT_OK) {
        return result;
    }
    bind_blob(statement, 1, card->bytes, sizeof card->bytes);
    result = model_next(&check->database, statement, &row);
    if (result == RESULT_OK) {
        const projection_position_t position = {
            .issued_at = row ? sqlite3_column_int64(statement, 1) : 0,
            .event = row ? (uint64_t)sqlite3_column_int64(statement, 2) : 0};
        const text_t body = row ? column_bytes(statement, 0) : TEXT_NONE;
        result = projection_fold_give_card(check->fold, index, body, &position);
        statement_done(statement);
    }
    return result;
}

static result_t batch_fold(projections_sqlite_check_t *check)
{
    projection_commit_t commit;
    size_t count = 0;
    if (check->fold == NULL) {
        return RESULT_OK;
    }
    projection_fold_prepare(check->fold);
    const uuid_t *const cards = projection_fold_cards(check->fold, &count);
    result_t result = RESULT_OK;
    for (size_t i = 0; result == RESULT_OK && i < count; i++) {
        result = card_give(check, i, &cards[i]);
    }
    if (result == RESULT_OK) {
        result = projection_fold_run(check->fold, &commit);
    }
    if (result == RESULT_OK) {
        commit.from = check->folded[check->partition];
        check->folded[check->partition] = commit.to.sequence;
        result = model_commit_apply(&check->database, &commit);
    }
    projection_fold_destroy(&check->fold);
    return result;
}

result_t projections_sqlite_check_event(projections_sqlite_check_t *check, const event_t *event)
{
    result_t result = RESULT_OK;
    const uint64_t partition = event->partition;
    if (partition >= LIMIT_PARTITIONS || event->sequence > check->cursors[partition]) {
        return RESULT_OK;
    }
    check->events++;
    if (check->fold != NULL && check->partition == partition &&
        projection_fold_add(check->fold, event)) {
        return RESULT_OK;
    }
    result = batch_fold(check);
    if (result != RESULT_OK) {
        return result;
    }
    check->partition = (uint32_t)partition;
    check->fold = projection_fold_create(check->partition);
    return check->fold != NULL && projection_fold_add(check->fold, event) ? RESULT_OK
                                                                          : RESULT_NO_MEMORY;
}

void projections_sqlite_check_archived(projections_sqlite_check_t *check, int64_t before_ms,
                                       uint64_t events)
{
    check->archived += events;
    check->archived_before =
        before_ms > check->archived_before ? before_ms : check->archived_before;
}

result_t projections_sqlite_check_sum(projections_sqlite_check_t *check,
                                      const projection_counter_t *sum)
{
    const projection_commit_t commit = {.counters = sum, .counter_count = 1};
    if (sum->series == PROJECTION_SERIES_EVENTS && sum->grain == grain_day) {
        check->summed += (uint64_t)sum->count;
    }
    return model_counters_add(&check->database, &commit);
}

/* --- The end --- */

static result_t question_ask(projections_sqlite_check_t *check, size_t which,
                             projections_sqlite_checked_t *checked)
{
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(check->database.handle, questions[which].sql, -1, &statement, NULL);
    if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 0) {
        const bool has_all_sums = check->summed == check->archived;
        bind_integer(statement, 1, has_all_sums ? INT64_MIN : check->archived_before);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    for (uint32_t i = 0; code == SQLITE_ROW && i < LIMIT_STORE_VERIFY_PROBLEMS; i++) {
        if (checked->problems == 0) {
            (void)snprintf(checked->first, sizeof checked->first, "%s", questions[which].question);
            (void)snprintf(checked->found, sizeof checked->found, "%s",
                           (const char *)sqlite3_column_text(statement, 0));
        }
        checked->problems++;
        code = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW
               ? RESULT_OK
               : model_database_error(&check->database, code, questions[which].question);
}

result_t projections_sqlite_check_finish(projections_sqlite_check_t **check,
                                         projections_sqlite_checked_t *checked)
{
    if (*check == NULL) {
        return RESULT_OK;
    }
    result_t result = RESULT_OK;
    if (checked != NULL) {
        result = batch_fold(*check);
        *checked = (projections_sqlite_checked_t){.events = (*check)->events};
        for (size_t i = 0; result == RESULT_OK && i < sizeof questions / sizeof questions[0]; i++) {
            result = question_ask(*check, i, checked);
        }
    }
    check_free(check);
    return result;
}
