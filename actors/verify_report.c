/* Problems as JSON: see the header. Knows nothing of stores. */
#include "actors/verify_report.h"
#include "runtime/limits.h"

static void text_write(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(out, "\\%c", *c);
        } else if (*c < 0x20 || *c > 0x7e) {
            (void)fprintf(out, "\\u%04x", *c);
        } else {
            (void)fputc(*c, out);
        }
    }
    (void)fputc('"', out);
}

void verify_report_add(verify_report_t *report, const char *check, const char *found)
{
    report->problems++;
    if (report->problems > LIMIT_STORE_VERIFY_PROBLEMS) {
        return;
    }
    (void)fputs(report->problems == 1 ? "" : ",", report->out);
    (void)fputs("{\"check\":", report->out);
    text_write(report->out, check);
    (void)fputs(",\"found\":", report->out);
    text_write(report->out, found);
    (void)fputc('}', report->out);
}
