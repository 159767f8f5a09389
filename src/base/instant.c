#include "base/instant.h"

#include "base/num.h"

#include <stdio.h>
#include <time.h>

/* Reads exactly n digits at *at. */
static bool take_digits(slice s, size_t *at, size_t n, int64_t *out)
{
    if (*at + n > s.n) return false;
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t ch = s.p[*at + i];
        if (ch < '0' || ch > '9') return false;
        v = v * 10 + (ch - '0');
    }
    *at += n;
    *out = v;
    return true;
}

static bool take_char(slice s, size_t *at, char ch)
{
    if (*at >= s.n || s.p[*at] != (uint8_t)ch) return false;
    (*at)++;
    return true;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (the well-known shift of the year's start to March). */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static bool take_fraction(slice s, size_t *at, int64_t *ms)
{
    int64_t scale = 100;
    size_t start = *at;
    *ms = 0;
    while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9') {
        *ms += (s.p[(*at)++] - '0') * scale;
        scale /= 10;
    }
    return *at > start;
}

static bool take_offset(slice s, size_t *at, int64_t *minutes)
{
    *minutes = 0;
    if (*at == s.n || (take_char(s, at, 'Z') || take_char(s, at, 'z'))) return *at == s.n;
    int64_t sign = s.p[*at] == '-' ? -1 : 1, h, m;
    if (!take_char(s, at, '+') && !take_char(s, at, '-')) return false;
    if (!take_digits(s, at, 2, &h)) return false;
    (void)take_char(s, at, ':');
    if (!take_digits(s, at, 2, &m) || h > 23 || m > 59) return false;
    *minutes = sign * (h * 60 + m);
    return *at == s.n;
}

static bool take_clock(slice s, size_t *at, int64_t *ms_of_day)
{
    int64_t h, m, sec = 0, ms = 0;
    if (!take_digits(s, at, 2, &h) || !take_char(s, at, ':') || !take_digits(s, at, 2, &m)) return false;
    if (take_char(s, at, ':')) {
        if (!take_digits(s, at, 2, &sec)) return false;
        if (take_char(s, at, '.') && !take_fraction(s, at, &ms)) return false;
    }
    if (h > 23 || m > 59 || sec > 59) return false;
    *ms_of_day = ((h * 60 + m) * 60 + sec) * 1000 + ms;
    return true;
}

bool instant_parse_iso(slice text, int64_t *ms)
{
    static const uint8_t month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    size_t at = 0;
    int64_t y, m, d, of_day = 0, offset = 0;
    if (!take_digits(text, &at, 4, &y) || !take_char(text, &at, '-') || !take_digits(text, &at, 2, &m) ||
        !take_char(text, &at, '-') || !take_digits(text, &at, 2, &d))
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (m < 1 || m > 12 || d < 1 || d > month_days[m - 1] || (m == 2 && d == 29 && !leap)) return false;
    if (take_char(text, &at, 'T') || take_char(text, &at, 't') || take_char(text, &at, ' ')) {
        if (!take_clock(text, &at, &of_day)) return false;
    }
    if (!take_offset(text, &at, &offset)) return false;
    *ms = days_of(y, m, d) * 86400000 + of_day - offset * 60000;
    return true;
}

bool instant_parse(slice text, int64_t *ms)
{
    return num_parse_i64(text, ms) || instant_parse_iso(text, ms);
}

void instant_format(int64_t ms, char out[INSTANT_TEXT_MAX])
{
    int64_t second = ms / 1000, rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
        second--;
    }
    time_t t = (time_t)second;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        (void)snprintf(out, INSTANT_TEXT_MAX, "%lld", (long long)ms);
    else
        (void)snprintf(out, INSTANT_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
                       (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)rest % 1000);
}
