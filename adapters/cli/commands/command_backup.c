/* store backup and store restore: one tenant into one file, and out of it again, on whichever
 * store. Nothing is held in memory but one chunk, and nothing half is ever left under a name that
 * counts. */
#include "adapters/cli/commands/backup.h"
#include "adapters/cli/commands/backup_names.h"
#include "adapters/cli/control/control_backup.h"
#include "adapters/cli/control/control_client.h"
#include "adapters/cli/stores_archive.h"

#include "actors/domain/card_id.h"
#include "actors/secrets.h"
#include "adapters/archive/archive.h"
#include "adapters/signer/signer.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTIONS_MAX = CONFIGURATION_SETTINGS + 5 };

typedef struct backup_arguments {
    configuration_t configuration;
    const char *tenant;
    const char *master_key; /* restore: file */
    const char *file;
    bool json;
} backup_arguments_t;

static bool begin(const command_t *command, int argc, char **argv, backup_arguments_t *arguments,
                  bool is_restore, int *status)
{
    option_t options[OPTIONS_MAX];
    size_t count = 0;
    options[count++] = OPTION_TEXT("tenant", "T", &arguments->tenant, "The organisation; needed");
    if (is_restore) {
        options[count++] =
            OPTION_TEXT("master-key", "KEYFILE", &arguments->master_key,
                        "Master key of the installation that made the backup (the same as here)");
    }
    count += configuration_options(&arguments->configuration, false, options + count);
    options[count++] = OPTION_FLAG("json", &arguments->json, "Print JSON");
    if (!arguments_parse(command, argc, argv, options, count, &arguments->file, 1, status)) {
        return false;
    }
    if (arguments->tenant == NULL || !tenant_name_is_valid(text_from_c(arguments->tenant))) {
        *status =
            arguments->tenant == NULL
                ? command_misuse(command, "--tenant T is missing")
                : command_misuse(command, "--tenant %s is no name of a tenant", arguments->tenant);
        return false;
    }
    *status = EXIT_FAILED;
    log_set_level(LOG_SILENT_LEVEL);
    return configuration_load(&arguments->configuration);
}

static int finish(backup_arguments_t *arguments, bool is_good, const char *done,
                  const archive_totals_t *totals, uint64_t size, const backup_names_t *names)
{
    configuration_release(&arguments->configuration);
    if (!is_good) {
        return EXIT_FAILED;
    }
    const uint64_t events = totals->rows[STORE_TABLE_event];
    const uint64_t cards = totals->rows[STORE_TABLE_card];
    if (arguments->json) {
        json_t *const document =
            json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "tenant", arguments->tenant, "file",
                      arguments->file, "events", (json_int_t)events, "cards", (json_int_t)cards,
                      "members", (json_int_t)totals->rows[STORE_TABLE_member_key], "replies",
                      (json_int_t)totals->rows[STORE_TABLE_idempotency], "size", (json_int_t)size);
        if (names != NULL) {
            (void)json_object_set_new(
                document, "names",
                json_pack("{s:I,s:I,s:b}", "opened", (json_int_t)names->opened, "erased",
                          (json_int_t)names->erased, "complete", names->is_complete ? 1 : 0));
        }
        return command_print_json(document);
    }
    (void)printf("%s %s: %" PRIu64 " events of %" PRIu64 " cards, %s\n", done, arguments->tenant,
                 events, cards, arguments->file);
    if (names != NULL && names->erased > 0) {
        (void)printf("%" PRIu64 " names are of members that were erased: nobody can read them\n",
                     names->erased);
    }
    if (names != NULL && !names->is_complete) {
        (void)printf("not every name was looked at: FILE is a pipe, or one member has too many\n");
    }
    return EXIT_OK;
}

/* --- Backup --- */

int command_store_backup(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    uint64_t size = 0;
    archive_totals_t totals = {0};
    backup_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, false, &status)) {
        return status;
    }
    const bool is_good =
        backup_run(&arguments.configuration, arguments.tenant, arguments.file, &totals, &size);
    return finish(&arguments, is_good, "backed up", &totals, size, NULL);
}

/* --- Restore --- */

typedef struct restore {
    const backup_arguments_t *arguments;
    crypto_key_t here;  /* master key of this installation */
    crypto_key_t there; /* of the one that made the backup; the same when none is named */
    stores_import_t *import;
    control_tenant_t tenant; /* sealed anew */
    control_card_key_t keys[CONTROL_KEYS_PER_TENANT_MAX];
    uint8_t sealed[CONTROL_KEYS_PER_TENANT_MAX + 1][SECRET_SEALED_KEY_SIZE];
    crypto_key_t secret;             /* of the tenant: what its rows are sealed under */
    uint64_t rows[STORE_TABLES_END]; /* until now, by table */
    backup_names_t names;
    bool is_told;
} restore_t;

static result_t tell(restore_t *restore, result_t result, const char *what)
{
    restore->is_told = true;
    (void)command_fail("%s", what);
    return result;
}

/* Opened with the key of there, sealed with the key of here. */
static bool secrets_seal_anew(restore_t *restore, const control_tenant_t *from)
{
    const crypto_functions_t *const crypto = &signer_functions;
    const text_t name = text_from_c(restore->arguments->tenant);
    uint8_t *const of_tenant = restore->sealed[CONTROL_KEYS_PER_TENANT_MAX];
    crypto_key_t secret;
    bool is_open = secret_tenant_open(crypto, &restore->there, name, from->sealed_secret, &secret);
    if (is_open) {
        secret_tenant_seal(crypto, &restore->here, name, &secret, of_tenant);
        restore->secret = secret;
    }
    for (uint32_t i = 0; is_open && i < from->key_count; i++) {
        const control_card_key_t *const key = &from->keys[i];
        restore->keys[i] = *key;
        restore->keys[i].sealed_secret =
            (text_t){(const char *)restore->sealed[i], SECRET_SEALED_KEY_SIZE};
        is_open = secret_card_key_open(crypto, &restore->there, name, key->kid, key->sealed_secret,
                                       &secret);
        if (is_open) {
            secret_card_key_seal(crypto, &restore->here, name, key->kid, &secret,
                                 restore->sealed[i]);
        }
    }
    crypto->wipe(&secret, sizeof secret);
    restore->tenant = *from;
    restore->tenant.name = name;
    restore->tenant.keys = restore->keys;
    restore->tenant.sealed_secret = (text_t){(const char *)of_tenant, SECRET_SEALED_KEY_SIZE};
    return is_open;
}

static result_t restore_tenant(void *context, const control_tenant_t *tenant)
{
    restore_t *const restore = context;
    const configuration_texts_t *const texts = &restore->arguments->configuration.texts;
    if (!secrets_seal_anew(restore, tenant)) {
        return tell(restore, RESULT_PERMISSION_DENIED,
                    restore->arguments->master_key == NULL
                        ? "the backup was made under another master key than that of this "
                          "installation: name a copy of the old one with --master-key KEYFILE"
                        : "the backup was not made under the master key of --master-key");
    }
    const result_t result = stores_import_begin(
        texts->store, texts->data, text_from_c(restore->arguments->tenant), &restore->import);
    return result == RESULT_BUSY
               ? tell(restore, result, "another restore of this organisation is running")
               : result;
}

/* Keys of members and kept replies open under the tenant's secret, or whoever made the file was not
 * this service: better told now than by the first request that needs one. */
static bool row_opens(const restore_t *restore, const store_row_t *row)
{
    const crypto_functions_t *const crypto = &signer_functions;
    const text_t name = text_from_c(restore->arguments->tenant);
    const text_t bound_to = row->values[0].bytes;
    if (row->table != STORE_TABLE_member_key && row->table != STORE_TABLE_idempotency) {
        return true;
    }
    if (bound_to.size > LIMIT_SEALED_NAME_SIZE) {
        return false;
    }
    if (row->table == STORE_TABLE_member_key) {
        crypto_key_t key;
        const bool is_open = secret_member_key_open(crypto, &restore->secret, name, bound_to,
                                                    row->values[1].bytes, &key);
        crypto->wipe(&key, sizeof key);
        return is_open;
    }
    const text_t sealed = row->values[2].bytes;
    uint8_t *const plain = malloc(sealed.size + 1);
    text_t reply;
    assert(plain != NULL);
    const bool is_open = secret_reply_open(crypto, &restore->secret, name, bound_to, sealed, plain,
                                           sealed.size, &reply);
    crypto->wipe(plain, sealed.size);
    free(plain);
    return is_open;
}

static result_t restore_row(void *context, const store_row_t *row)
{
    restore_t *const restore = context;
    restore->rows[row->table]++;
    if (!row_opens(restore, row)) {
        char what[128];
        (void)snprintf(what, sizeof what,
                       "row %" PRIu64 " of %s does not open under the keys of the backup; nothing "
                       "was restored",
                       restore->rows[row->table], store_table_name(row->table));
        return tell(restore, RESULT_STORE_CORRUPT, what);
    }
    return stores_import_row(restore->import, row);
}

static bool key_file_read(const char *path, crypto_key_t *key)
{
    uint8_t more = 0;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const bool is_good = file >= 0 &&
                         read(file, key->bytes, sizeof key->bytes) == (ssize_t)sizeof key->bytes &&
                         read(file, &more, 1) == 0;
    if (file >= 0) {
        (void)close(file);
    }
    if (!is_good) {
        (void)command_fail("%s is no master key: it must be a file of exactly 32 bytes", path);
    }
    return is_good;
}

/* A new installation gets its own key here, as with the first tenant. */
static bool keys_ready(restore_t *restore)
{
    const configuration_t *const configuration = &restore->arguments->configuration;
    json_t *answer =
        control_client_execute(configuration, json_pack("{s:s}", "command", "tenant.list"), true);
    const json_t *tenant = NULL;
    size_t i = 0;
    bool is_there = false;
    if (answer == NULL || signer_start() != RESULT_OK) {
        json_decref(answer);
        return false;
    }
    json_array_foreach(json_object_get(answer, "tenants"), i, tenant)
    {
        const char *const name = json_string_value(json_object_get(tenant, "name"));
        is_there = is_there || strcmp(name, restore->arguments->tenant) == 0;
    }
    json_decref(answer);
    if (is_there) {
        (void)command_fail("the tenant %s exists already: delete it first, its journal is kept",
                           restore->arguments->tenant);
        return false;
    }
    const result_t result = signer_master_key(configuration->texts.data, false, &restore->here);
    if (result != RESULT_OK) {
        (void)command_fail("%s/master.key: %s", configuration->texts.data, result_title(result));
        return false;
    }
    restore->there = restore->here;
    return restore->arguments->master_key == NULL ||
           key_file_read(restore->arguments->master_key, &restore->there);
}

static result_t import(restore_t *restore, archive_reader_t *reader, archive_totals_t *totals,
                       char *error)
{
    char *report = NULL;
    const archive_visitor_t visitor = {restore_tenant, restore_row, restore};
    result_t result = archive_read(reader, &visitor, totals);
    if (result != RESULT_OK) {
        return result;
    }
    result = stores_import_finish(restore->import, &report);
    if (result != RESULT_OK) {
        (void)snprintf(error, ARCHIVE_ERROR_SIZE, "what the backup holds is not sound: %.400s",
                       report == NULL ? result_title(result) : report);
    }
    free(report);
    if (result == RESULT_OK &&
        !stores_import_adopt(restore->import, &restore->arguments->configuration,
                             &restore->tenant)) {
        restore->is_told = true;
        result = RESULT_UNAVAILABLE;
    }
    return result;
}

/* What comes through a pipe can be read only once. */
static result_t names_check(restore_t *restore, char *error)
{
    struct stat status;
    const char *const file = restore->arguments->file;
    return stat(file, &status) == 0 && S_ISREG(status.st_mode)
               ? backup_names_check(file, LIMIT_RESTORE_NAMES, &restore->there, &restore->names,
                                    error)
               : RESULT_OK;
}

static bool restore_run(restore_t *restore, archive_totals_t *totals)
{
    char error[ARCHIVE_ERROR_SIZE] = "";
    archive_header_t header;
    archive_reader_t *reader = NULL;
    const char *const file = restore->arguments->file;
    result_t result = archive_open(file, &header, error, &reader);
    if (result == RESULT_OK && header.kind != ARCHIVE_BACKUP) {
        (void)snprintf(error, sizeof error,
                       "%s holds old validations of %s that were archived, no backup", file,
                       header.tenant);
        result = RESULT_INVALID_ARGUMENT;
    }
    if (result == RESULT_OK && strcmp(header.tenant, restore->arguments->tenant) != 0) {
        (void)snprintf(error, sizeof error, "%s is a backup of %s, not of %s", file, header.tenant,
                       restore->arguments->tenant);
        result = RESULT_INVALID_ARGUMENT;
    }
    if (result == RESULT_OK) {
        restore->is_told = true;
        result = keys_ready(restore) ? RESULT_OK : RESULT_UNAVAILABLE;
        restore->is_told = result != RESULT_OK;
    }
    if (result == RESULT_OK) {
        result = names_check(restore, error);
    }
    if (result == RESULT_OK) {
        result = import(restore, reader, totals, error);
    }
    archive_close(&reader);
    stores_import_close(&restore->import);
    if (result != RESULT_OK && !restore->is_told) {
        (void)command_fail("%s; nothing was restored",
                           error[0] != '\0' ? error : result_title(result));
    }
    return result == RESULT_OK;
}

int command_store_restore(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    archive_totals_t totals = {0};
    backup_arguments_t arguments = {0};
    if (!begin(command, argc, argv, &arguments, true, &status)) {
        return status;
    }
    restore_t *restore = calloc(1, sizeof *restore);
    assert(restore != NULL);
    restore->arguments = &arguments;
    const bool is_good = restore_run(restore, &totals);
    const backup_names_t names = restore->names;
    signer_functions.wipe(restore, sizeof *restore);
    free(restore);
    return finish(&arguments, is_good, "restored", &totals, 0, &names);
}
