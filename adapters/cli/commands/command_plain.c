/* version and qr: commands that need no data. */
#include "adapters/cli/arguments.h"

#include "adapters/qrcode/qrcode.h"
#include <stdio.h>
#include <stdlib.h>

int command_version(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    bool json = false;
    const option_t options[] = {OPTION_FLAG("json", &json, "Print JSON")};
    if (!arguments_parse(command, argc, argv, options, 1, NULL, 0, &status)) {
        return status;
    }
    if (json) {
        return command_print_json(json_pack("{s:s}", "version", DIGITALCARD_VERSION));
    }
    (void)printf("digitalcard %s\n", DIGITALCARD_VERSION);
    return EXIT_OK;
}

int command_qr(const command_t *command, int argc, char **argv)
{
    int status = EXIT_OK;
    const char *text = NULL;
    char *drawing = NULL;
    size_t size = 0;
    if (!arguments_parse(command, argc, argv, NULL, 0, &text, 1, &status)) {
        return status;
    }
    if (qrcode_functions.terminal(text_from_c(text), &drawing, &size) != RESULT_OK) {
        return command_fail("qr: the text must have 1 to 1024 bytes and fit into one code");
    }
    (void)fwrite(drawing, 1, size, stdout);
    free(drawing);
    return EXIT_OK;
}
