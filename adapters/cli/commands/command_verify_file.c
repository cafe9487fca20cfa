/* store verify FILE: is a backup whole, and do its events follow on each other (archive_check)?
 * Needs no store and no key. */
#include "adapters/cli/command.h"

#include "adapters/archive/archive.h"
#include "adapters/cli/arguments.h"
#include "adapters/signer/signer.h"
#include "runtime/limits.h"
#include <inttypes.h>
#include <stdio.h>

int command_verify_file(const char *file, bool json)
{
    char error[ARCHIVE_ERROR_SIZE] = "";
    archive_header_t header = {0};
    archive_totals_t totals = {0};
    result_t result = signer_start();
    if (result == RESULT_OK) {
        result = archive_check(file, LIMIT_VERIFY_FILE_CARDS, &header, &totals, error);
    }
    if (result != RESULT_OK) {
        return command_fail("%s", error[0] != '\0' ? error : result_title(result));
    }
    if (json) {
        return command_print_json(
            json_pack("{s:b,s:s,s:s,s:s,s:I,s:I}", "sound", 1, "file", file, "kind",
                      header.kind == ARCHIVE_BACKUP ? "backup" : "archive", "tenant", header.tenant,
                      "events", (json_int_t)totals.rows[STORE_TABLE_event], "cards",
                      (json_int_t)totals.rows[STORE_TABLE_card]));
    }
    (void)printf("%s  sound    %s of %s: %" PRIu64 " events of %" PRIu64 " cards\n", file,
                 header.kind == ARCHIVE_BACKUP ? "backup" : "archived validations", header.tenant,
                 totals.rows[STORE_TABLE_event], totals.rows[STORE_TABLE_card]);
    return EXIT_OK;
}
