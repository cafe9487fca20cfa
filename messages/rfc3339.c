/* RFC 3339 times, strictly and without the C library's calendar, which knows locales and zones. */
#include "messages/rfc3339.h"

#include <assert.h>

enum {
    MS_PER_SECOND = 1000,
    MS_PER_MINUTE = 60 * MS_PER_SECOND,
    MS_PER_HOUR = 60 * MS_PER_MINUTE,
    MS_PER_DAY = 24 * MS_PER_HOUR,
    DAYS_PER_ERA = 146097,    /* 400 Gregorian years */
    DAYS_BEFORE_1970 = 719468 /* from 0000-03-01 */
};

typedef struct civil_date {
    int64_t year;
    int64_t month; /* 1 … 12 */
    int64_t day;   /* 1 … 31 */
} civil_date_t;

/* Both calendar functions count years from 1 March, so that the leap day comes last and the lengths
 * of the months before it follow one line: (153 m + 2) / 5. */
static int64_t days_from_date(civil_date_t date)
{
    const int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    const int64_t month = (date.month + 9) % 12;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_BEFORE_1970;
}

/* `days` since 1970-01-01, not negative. */
static civil_date_t date_from_days(int64_t days)
{
    const int64_t shifted = days + DAYS_BEFORE_1970;
    const int64_t era = shifted / DAYS_PER_ERA;
    const int64_t day_of_era = shifted % DAYS_PER_ERA;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month = (5 * day_of_year + 2) / 153;
    return (civil_date_t){
        .year = era * 400 + year_of_era + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = day_of_year - (153 * month + 2) / 5 + 1,
    };
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Reads `count` digits at `at`; false when one of them is none. */
static bool digits_parse(const char *at, size_t count, int64_t *value)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
        sum = sum * 10 + (at[i] - '0');
    }
    *value = sum;
    return true;
}

/* "2026-11-20T17:56:48": the first 19 characters, as ms without regard to the offset. */
static bool date_time_parse(const char *at, int64_t *ms)
{
    civil_date_t date;
    int64_t hour;
    int64_t minute;
    int64_t second;
    const bool shaped =
        digits_parse(at, 4, &date.year) && at[4] == '-' && digits_parse(at + 5, 2, &date.month) &&
        at[7] == '-' && digits_parse(at + 8, 2, &date.day) && (at[10] == 'T' || at[10] == 't') &&
        digits_parse(at + 11, 2, &hour) && at[13] == ':' && digits_parse(at + 14, 2, &minute) &&
        at[16] == ':' && digits_parse(at + 17, 2, &second);
    if (!shaped || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_in_month(date.year, date.month) || hour > 23 || minute > 59 ||
        second > 59) {
        return false;
    }
    *ms = days_from_date(date) * MS_PER_DAY + hour * MS_PER_HOUR + minute * MS_PER_MINUTE +
          second * MS_PER_SECOND;
    return true;
}

/* ".123456789": takes what is there; false when the point has no digit or more than nine. */
static bool fraction_parse(text_t *rest, int64_t *ms)
{
    *ms = 0;
    if (rest->size == 0 || rest->data[0] != '.') {
        return true;
    }
    size_t count = 0;
    int64_t scale = 100;
    while (count + 1 < rest->size && rest->data[count + 1] >= '0' && rest->data[count + 1] <= '9') {
        *ms += (rest->data[count + 1] - '0') * scale;
        scale /= 10;
        count++;
    }
    *rest = (text_t){.data = rest->data + count + 1, .size = rest->size - count - 1};
    return count >= 1 && count <= 9;
}

/* "Z" or "+01:30", nothing after it. */
static bool offset_parse(text_t rest, int64_t *ms)
{
    if (rest.size == 1 && (rest.data[0] == 'Z' || rest.data[0] == 'z')) {
        *ms = 0;
        return true;
    }
    int64_t hours;
    int64_t minutes;
    if (rest.size != 6 || (rest.data[0] != '+' && rest.data[0] != '-') ||
        !digits_parse(rest.data + 1, 2, &hours) || rest.data[3] != ':' ||
        !digits_parse(rest.data + 4, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ms = (hours * MS_PER_HOUR + minutes * MS_PER_MINUTE) * (rest.data[0] == '-' ? -1 : 1);
    return true;
}

bool rfc3339_parse(text_t text, int64_t *ms)
{
    const size_t date_time_size = sizeof("2026-11-20T17:56:48") - 1;
    int64_t local;
    int64_t fraction;
    int64_t offset;
    if (text.size <= date_time_size || !date_time_parse(text.data, &local)) {
        return false;
    }
    text_t rest = {.data = text.data + date_time_size, .size = text.size - date_time_size};
    if (!fraction_parse(&rest, &fraction) || !offset_parse(rest, &offset)) {
        return false;
    }
    const int64_t utc = local + fraction - offset;
    if (utc < 0 || utc > RFC3339_MS_MAX) {
        return false;
    }
    *ms = utc;
    return true;
}

static void digits_format(char *at, size_t count, int64_t value)
{
    for (size_t i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

void rfc3339_format(int64_t ms, char out[RFC3339_TEXT_SIZE])
{
    assert(ms >= 0 && ms <= RFC3339_MS_MAX);
    const civil_date_t date = date_from_days(ms / MS_PER_DAY);
    const int64_t of_day = ms % MS_PER_DAY;
    memcpy(out, "0000-00-00T00:00:00.000Z", RFC3339_TEXT_SIZE);
    digits_format(out, 4, date.year);
    digits_format(out + 5, 2, date.month);
    digits_format(out + 8, 2, date.day);
    digits_format(out + 11, 2, of_day / MS_PER_HOUR);
    digits_format(out + 14, 2, of_day / MS_PER_MINUTE % 60);
    digits_format(out + 17, 2, of_day / MS_PER_SECOND % 60);
    digits_format(out + 20, 3, of_day % MS_PER_SECOND);
}
