/* Which table an event stands in: validations in that of their month, everything else in the one
 * that stays (migrations/0005.sql). Tables are made when the first event of a month is about to
 * come, whatever the clock did until then, and that of the next month some days before. */
#include "actors/domain/card.h"
#include "adapters/journal_postgres/journal_postgres_internal.h"
#include "runtime/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { MONTHS_PER_YEAR = 12, FIRST_YEAR = 1970, DAY_MS = 86400000 };

/* Days since 1970 → months since January 1970 (Howard Hinnant, "days_from_civil", public domain).
 */
static int32_t month_of_day(int64_t days)
{
    const int64_t shifted = days + 719468; /* from 0000-03-01 */
    const int64_t era = shifted / 146097;
    const int64_t day_of_era = shifted - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int64_t year = year_of_era + era * 400 + (month_from_march >= 10 ? 1 : 0);
    const int64_t month = month_from_march < 10 ? month_from_march + 2 : month_from_march - 10;
    return (int32_t)((year - FIRST_YEAR) * MONTHS_PER_YEAR + month);
}

int32_t month_of_time(int64_t time_ms)
{
    return -1 - (time_ms < 0 ? 0 : month_of_day(time_ms / DAY_MS));
}

int32_t month_of_event(uint8_t name, int64_t occurred_at)
{
    return card_event_is_validation(name) ? month_of_time(occurred_at) : 0;
}

void month_table_name(int32_t month, char name[MONTH_TABLE_NAME_SIZE])
{
    const int32_t months = -1 - month;
    assert(month < 0);
    (void)snprintf(name, MONTH_TABLE_NAME_SIZE, "event_%" PRId32 "_%02" PRId32,
                   FIRST_YEAR + months / MONTHS_PER_YEAR, months % MONTHS_PER_YEAR + 1);
}

/* --- Made in time --- */

typedef struct month_command {
    command_t base;
    int32_t month;
} month_command_t;

void months_forget(journal_tenant_t *tenant)
{
    memset(tenant->months, 0, sizeof tenant->months);
}

static bool month_send(command_t *command, lane_t *lane)
{
    parameter_integer(lane_parameters(lane), ((const month_command_t *)command)->month);
    return lane_send(lane, STATEMENT_month_ensure);
}

/* The batch behind it finds out when there is no table: it fails for the same reason, and the next
 * one asks again. */
static bool month_finish(command_t *command)
{
    journal_tenant_t *const tenant = command->lane->tenant;
    tenant->month_result = command->result;
    if (command->result != RESULT_OK) {
        months_forget(tenant);
    }
    return false;
}

static bool month_is_known(const journal_tenant_t *tenant, int32_t month)
{
    for (size_t i = 0; i < MONTHS_KNOWN; i++) {
        if (tenant->months[i] == month) {
            return true;
        }
    }
    return month == 0;
}

static result_t month_ensure(journal_tenant_t *tenant, int32_t month)
{
    if (month_is_known(tenant, month)) {
        return RESULT_OK;
    }
    month_command_t *ensure =
        command_create(&tenant->writer, sizeof *ensure, COMMAND_WRITE, month_send, month_finish);
    ensure->month = month;
    command_uses(&ensure->base, STATEMENT_month_ensure);
    const result_t result = lane_submit(&ensure->base);
    if (result == RESULT_OK) {
        tenant->months[tenant->month_next] = month;
        tenant->month_next = (tenant->month_next + 1) % MONTHS_KNOWN;
    }
    return result;
}

result_t months_ensure(journal_tenant_t *tenant, const journal_event_t *events, size_t count)
{
    result_t result = RESULT_OK;
    int64_t ahead_ms = -1;
    for (size_t i = 0; result == RESULT_OK && i < count; i++) {
        if (card_event_is_validation(events[i].name)) {
            ahead_ms = events[i].occurred_at + LIMIT_POSTGRES_MONTH_AHEAD_MS;
            result = month_ensure(tenant, month_of_time(events[i].occurred_at));
        }
    }
    return result == RESULT_OK && ahead_ms >= 0 ? month_ensure(tenant, month_of_time(ahead_ms))
                                                : result;
}
