/* The file of a backup across versions of the program: formats that are not known, and rows of
 * older formats, which have fewer columns. */
#include "adapters/archive/archive_internal.h"
#include "tests/support/directory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILE_SIZE_MAX = 4096 };

typedef struct fixture {
    char directory[DIRECTORY_SIZE];
    char path[DIRECTORY_SIZE + 8];
    char error[ARCHIVE_ERROR_SIZE];
    store_row_t rows[4];
    uint32_t row_count;
} fixture_t;

static int setup(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    directory_make(fixture->directory);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/file", fixture->directory);
    *state = fixture;
    return sodium_init() < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

/* A backup of one partition and no event. */
static void backup_write(fixture_t *fixture)
{
    archive_writer_t *writer = NULL;
    uint64_t size = 0;
    control_card_key_t key = {.kid = 1, .sealed_secret = TEXT_LITERAL("sealed")};
    const control_tenant_t tenant = {.partitions = 1,
                                     .created_at = 5,
                                     .sealed_secret = TEXT_LITERAL("sealed"),
                                     .keys = &key,
                                     .key_count = 1};
    const store_row_t row = {.table = STORE_TABLE_partition,
                             .count = 7,
                             .values = {{.number = 0},
                                        {.number = 7},
                                        {.number = 0},
                                        {.number = 3},
                                        {.number = 4},
                                        {.number = 5},
                                        {.number = 6}}};
    assert_int_equal(archive_create(fixture->path, ARCHIVE_BACKUP, TEXT_LITERAL("acme"), 1,
                                    fixture->error, &writer),
                     RESULT_OK);
    assert_int_equal(archive_write_tenant(writer, &tenant), RESULT_OK);
    assert_int_equal(archive_write_row(writer, &row), RESULT_OK);
    assert_int_equal(archive_finish(&writer, true, NULL, &size), RESULT_OK);
    assert_true(size < FILE_SIZE_MAX);
}

/* Replaces bytes of the only chunk by as many or fewer, and makes its hashes fit again. */
static void chunk_change(const fixture_t *fixture, const char *from, size_t from_size,
                         const char *to, size_t to_size)
{
    uint8_t bytes[FILE_SIZE_MAX];
    uint8_t hash[ARCHIVE_HASH_SIZE] = {0};
    const uint8_t end[ARCHIVE_SIZE_SIZE] = {0};
    FILE *file = fopen(fixture->path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    uint8_t *const chunk = bytes + ARCHIVE_MAGIC_SIZE + ARCHIVE_SIZE_SIZE;
    size_t chunk_size =
        size - ARCHIVE_MAGIC_SIZE - 2 * (size_t)(ARCHIVE_SIZE_SIZE + ARCHIVE_HASH_SIZE);
    uint8_t *const at = memmem(chunk, chunk_size, from, from_size);
    assert_non_null(at);
    memcpy(at, to, to_size);
    memmove(at + to_size, at + from_size, (size_t)(chunk + chunk_size - (at + from_size)));
    chunk_size -= from_size - to_size;
    const uint8_t head[ARCHIVE_SIZE_SIZE] = {0, 0, (uint8_t)(chunk_size >> 8), (uint8_t)chunk_size};
    file = fopen(fixture->path, "wb");
    assert_non_null(file);
    archive_hash_chunk(hash, chunk, (uint32_t)chunk_size);
    (void)fwrite(ARCHIVE_MAGIC, 1, ARCHIVE_MAGIC_SIZE, file);
    (void)fwrite(head, 1, sizeof head, file);
    (void)fwrite(chunk, 1, chunk_size, file);
    (void)fwrite(hash, 1, sizeof hash, file);
    archive_hash_chunk(hash, chunk, 0);
    (void)fwrite(end, 1, sizeof end, file);
    (void)fwrite(hash, 1, sizeof hash, file);
    assert_int_equal(fclose(file), 0);
}

static result_t tenant_take(void *context, const control_tenant_t *tenant)
{
    (void)context;
    assert_int_equal(tenant->partitions, 1);
    return RESULT_OK;
}

static result_t any_tenant_take(void *context, const control_tenant_t *tenant)
{
    (void)context;
    (void)tenant;
    return RESULT_OK;
}

static result_t row_take(void *context, const store_row_t *row)
{
    fixture_t *fixture = context;
    assert_true(fixture->row_count < 4);
    fixture->rows[fixture->row_count++] = *row;
    return RESULT_OK;
}

static result_t backup_read(fixture_t *fixture)
{
    archive_header_t header;
    archive_reader_t *reader = NULL;
    const archive_visitor_t visitor = {tenant_take, row_take, fixture};
    result_t result = archive_open(fixture->path, &header, fixture->error, &reader);
    if (result == RESULT_OK) {
        result = archive_read(reader, &visitor, NULL);
    }
    archive_close(&reader);
    return result;
}

static void archive_reads_what_it_wrote(void **state)
{
    fixture_t *fixture = *state;
    backup_write(fixture);
    chunk_change(fixture, "acme", 4, "acme", 4); /* the test's own hashes are right */
    assert_int_equal(backup_read(fixture), RESULT_OK);
    assert_int_equal(fixture->row_count, 1);
    assert_false(fixture->rows[0].is_completed);
    assert_int_equal(fixture->rows[0].values[4].number, 4);
}

/* Header: array of 5, kind 0, version. */
static void archive_refuses_a_format_that_it_does_not_know_and_names_both(void **state)
{
    fixture_t *fixture = *state;
    backup_write(fixture);
    chunk_change(fixture, "\xdc\x00\x05\x00\x03", 5, "\xdc\x00\x05\x00\x04", 5);
    assert_int_equal(backup_read(fixture), RESULT_SCHEMA_TOO_NEW);
    assert_non_null(strstr(fixture->error, "has format 4, this program reads 3"));
    chunk_change(fixture, "\xdc\x00\x05\x00\x04", 5, "\xdc\x00\x05\x00\x00", 5);
    assert_int_equal(backup_read(fixture), RESULT_SCHEMA_TOO_NEW);
    assert_non_null(strstr(fixture->error, "has format 0, this program reads 3"));
    assert_int_equal(fixture->row_count, 0);
}

/* Row: array of 9, kind 3, table 1, and its columns 0, 7, 0, 3, 4, 5, 6. */
static const char row_now[] = "\xdc\x00\x09\x03\x01\x00\x07\x00\x03\x04\x05\x06";

static void archive_completes_a_row_of_an_older_format(void **state)
{
    fixture_t *fixture = *state;
    backup_write(fixture);
    chunk_change(fixture, row_now, 12, "\xdc\x00\x05\x03\x01\x00\x07\x00", 8);
    assert_int_equal(backup_read(fixture), RESULT_OK);
    assert_int_equal(fixture->row_count, 1);
    const store_row_t *const row = &fixture->rows[0];
    assert_true(row->is_completed);
    assert_int_equal(row->count, 7);
    assert_int_equal(row->values[1].number, 7);
    assert_false(row->values[3].is_null);
    assert_int_equal(row->values[3].number, 0);
    assert_int_equal(row->values[4].number, 0);
}

static void
archive_refuses_a_row_with_fewer_columns_than_the_first_format_or_more_than_it_knows(void **state)
{
    fixture_t *fixture = *state;
    backup_write(fixture);
    chunk_change(fixture, row_now, 12, "\xdc\x00\x04\x03\x01\x00\x07", 7);
    assert_int_equal(backup_read(fixture), RESULT_STORE_CORRUPT);
    assert_int_equal(unlink(fixture->path), 0);
    backup_write(fixture);
    chunk_change(fixture, row_now, 12, "\xdc\x00\x0a\x03\x01\x00\x07\x00\x03\x04\x05\x06", 12);
    assert_int_equal(backup_read(fixture), RESULT_STORE_CORRUPT);
    assert_int_equal(fixture->row_count, 0);
}

static void archive_has_one_writer_at_a_time(void **state)
{
    fixture_t *fixture = *state;
    archive_writer_t *writer = NULL;
    archive_writer_t *second = NULL;
    assert_int_equal(archive_create(fixture->path, ARCHIVE_BACKUP, TEXT_LITERAL("acme"), 1,
                                    fixture->error, &writer),
                     RESULT_OK);
    assert_int_equal(archive_create(fixture->path, ARCHIVE_BACKUP, TEXT_LITERAL("acme"), 1,
                                    fixture->error, &second),
                     RESULT_BUSY);
    assert_null(second);
    assert_non_null(strstr(fixture->error, "is being written by another process"));
    assert_int_equal(archive_finish(&writer, true, NULL, NULL),
                     RESULT_OK); /* its name is its own */
    assert_int_equal(unlink(fixture->path), 0);
    backup_write(fixture); /* and nothing is left of them */
}

/* Its hashes fit, since they are no secret: whoever made the file wrote what he liked. */
static void archive_refuses_a_name_that_no_tenant_has(void **state)
{
    fixture_t *fixture = *state;
    archive_reader_t *reader = NULL;
    archive_header_t header;
    backup_write(fixture);
    chunk_change(fixture, "acme", 4, "a\x1b[m", 4);
    assert_int_equal(archive_open(fixture->path, &header, fixture->error, &reader),
                     RESULT_STORE_CORRUPT);
}

static void archive_refuses_a_tenant_whose_partitions_are_missing(void **state)
{
    fixture_t *fixture = *state;
    archive_reader_t *reader = NULL;
    archive_header_t header;
    const archive_visitor_t visitor = {any_tenant_take, row_take, fixture};
    backup_write(fixture);
    chunk_change(fixture, "\x01\x05", 2, "\x02\x05", 2); /* partitions, created_at */
    assert_int_equal(archive_open(fixture->path, &header, fixture->error, &reader), RESULT_OK);
    assert_int_equal(archive_read(reader, &visitor, NULL), RESULT_STORE_CORRUPT);
    archive_close(&reader);
}

/* --- Sequences, followed in slices --- */

enum { CARDS = 200, ROOM = 8, EVENTS_PER_CARD = 3 };

static void event_write(archive_writer_t *writer, uint32_t number, uint8_t card, uint64_t sequence)
{
    uuid_t id = {{0}};
    const text_t nothing = {.data = "", .size = 0};
    id.bytes[0] = card;
    const text_t bytes = {.data = (const char *)id.bytes, .size = sizeof id.bytes};
    const store_row_t row = {.table = STORE_TABLE_event,
                             .count = 10,
                             .values = {{.number = number},
                                        {.bytes = bytes},
                                        {.number = (int64_t)sequence},
                                        {.number = 1},
                                        {.number = 1},
                                        {.number = 1},
                                        {.bytes = bytes},
                                        {.is_null = true},
                                        {.bytes = nothing},
                                        {.is_null = true}}};
    assert_int_equal(archive_write_row(writer, &row), RESULT_OK);
}

/* Cards in turn; `skips` loses the second event of that one. */
static void cards_write(fixture_t *fixture, uint32_t skips)
{
    archive_writer_t *writer = NULL;
    control_card_key_t key = {.kid = 1, .sealed_secret = TEXT_LITERAL("sealed")};
    const control_tenant_t tenant = {
        .partitions = 1, .sealed_secret = TEXT_LITERAL("sealed"), .keys = &key, .key_count = 1};
    const store_row_t partition = {.table = STORE_TABLE_partition,
                                   .count = 7,
                                   .values = {[2] = {.number = (int64_t)CARDS * EVENTS_PER_CARD}}};
    uint32_t number = 0;
    (void)unlink(fixture->path);
    assert_int_equal(archive_create(fixture->path, ARCHIVE_BACKUP, TEXT_LITERAL("acme"), 1,
                                    fixture->error, &writer),
                     RESULT_OK);
    assert_int_equal(archive_write_tenant(writer, &tenant), RESULT_OK);
    assert_int_equal(archive_write_row(writer, &partition), RESULT_OK);
    for (uint32_t sequence = 1; sequence <= EVENTS_PER_CARD; sequence++) {
        for (uint32_t card = 0; card < CARDS; card++) {
            number++;
            event_write(writer, number, (uint8_t)card,
                        sequence + (card == skips && sequence > 1 ? 1 : 0));
        }
    }
    assert_int_equal(archive_finish(&writer, true, NULL, NULL), RESULT_OK);
}

static void archive_check_finds_a_gap_in_any_card_whatever_room_there_is(void **state)
{
    fixture_t *fixture = *state;
    archive_header_t header;
    archive_totals_t totals;
    for (uint32_t room = ROOM; room <= 256; room *= 2) {
        cards_write(fixture, UINT32_MAX);
        assert_int_equal(archive_check(fixture->path, room, &header, &totals, fixture->error),
                         RESULT_OK);
        assert_int_equal(totals.rows[STORE_TABLE_event], CARDS * EVENTS_PER_CARD);
    }
    for (uint32_t card = 0; card < CARDS; card += 11) { /* in many slices: each is a file */
        cards_write(fixture, card);
        assert_int_equal(archive_check(fixture->path, ROOM, &header, &totals, fixture->error),
                         RESULT_STORE_CORRUPT);
        assert_non_null(strstr(fixture->error, "the events of a card have a gap"));
    }
}

static void archive_check_says_when_there_are_more_cards_than_it_can_follow(void **state)
{
    fixture_t *fixture = *state;
    archive_header_t header;
    archive_totals_t totals;
    cards_write(fixture, UINT32_MAX);
    /* One card per reading, and of 200 some share each of the slices that are allowed. */
    assert_int_equal(archive_check(fixture->path, 1, &header, &totals, fixture->error),
                     RESULT_INVALID_ARGUMENT);
    assert_non_null(strstr(fixture->error, "more cards than can be checked"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(archive_reads_what_it_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_has_one_writer_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_refuses_a_name_that_no_tenant_has, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_refuses_a_tenant_whose_partitions_are_missing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            archive_refuses_a_format_that_it_does_not_know_and_names_both, setup, teardown),
        cmocka_unit_test_setup_teardown(
            archive_check_finds_a_gap_in_any_card_whatever_room_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(
            archive_check_says_when_there_are_more_cards_than_it_can_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_completes_a_row_of_an_older_format, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            archive_refuses_a_row_with_fewer_columns_than_the_first_format_or_more_than_it_knows,
            setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
