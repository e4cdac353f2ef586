/* SPDX-License-Identifier: Apache-2.0 */
/* cli/logformat.c - dpkg.log, apt history, syslog, journal, plain text */
#include "cli/logformat.h"

#include "base/str.h"
#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINE_MAX_CHARS 60000 /* bytes of one text value: a column takes 64 KiB */

static json_t *text(struct bytes b)
{
    if (b.len > LINE_MAX_CHARS) b.len = LINE_MAX_CHARS;
    json_t *j = json_stringn((const char *)b.p, b.len);
    if (j != NULL) return j;
    /* Not UTF-8: each byte that is not ASCII becomes a question mark. */
    CLEANUP_BUF struct buf clean = {0};
    for (size_t i = 0; i < b.len; i++)
        buf_u8(&clean, b.p[i] < 0x80 && b.p[i] != 0 ? b.p[i] : '?');
    return json_stringn(buf_cstr(&clean), clean.len);
}

static void set(json_t *o, const char *name, json_t *v)
{
    if (v != NULL && json_object_set_new(o, name, v) != 0)
        return; /* memory: the row lacks a value */
}

static void set_time(json_t *o, time_t t, int64_t us)
{
    char iso[TIME_TEXT_MAX];
    time_format_iso((int64_t)t * US_PER_S + us, iso);
    set(o, "TimeGenerated", json_string(iso));
}

static struct bytes word(struct bytes *rest)
{
    size_t i = 0, from;
    while (i < rest->len && rest->p[i] == ' ')
        i++;
    from = i;
    while (i < rest->len && rest->p[i] != ' ')
        i++;
    struct bytes w = bytes_of(rest->p + from, i - from);
    while (i < rest->len && rest->p[i] == ' ')
        i++;
    *rest = bytes_of(rest->p + i, rest->len - i);
    return w;
}

/* "2026-11-22 01:07:50" in local time, with any run of blanks between. */
static bool local_time(struct bytes b, time_t *out)
{
    char s[32];
    struct tm tm = {.tm_isdst = -1};
    snprintf(s, sizeof s, "%.*s", (int)(b.len < 31 ? b.len : 31), (const char *)b.p);
    if (b.len < 19 || strptime(s, "%Y-%m-%d %H:%M:%S", &tm) == NULL) return false;
    tm.tm_isdst = -1;
    *out = mktime(&tm);
    return *out != (time_t)-1;
}

static json_t *message_row(struct bytes line)
{
    json_t *o = json_object();
    set(o, "Message", text(line));
    return o;
}

static enum err text_line(struct logformat_state *s, struct bytes line, json_t **out,
                          struct diag *d)
{
    (void)s, (void)d;
    if (line.len != 0) *out = message_row(line);
    return OK;
}

/* --- dpkg.log: "2026-11-22 01:07:50 status installed libc6:amd64 2.36-9" ---------------------- */

static enum err dpkg_line(struct logformat_state *s, struct bytes line, json_t **out,
                          struct diag *d)
{
    (void)s, (void)d;
    time_t t;
    if (line.len == 0) return OK;
    *out = message_row(line);
    if (!local_time(line, &t)) return OK;
    json_t *o = *out;
    set_time(o, t, 0);
    struct bytes rest = bytes_of(line.p + 19, line.len - 19);
    struct bytes action = word(&rest);
    set(o, "Action", text(action));
    if (bytes_eq(action, BYTES("status"))) set(o, "Status", text(word(&rest)));
    if (bytes_eq(action, BYTES("startup"))) {
        set(o, "Status", text(rest));
        return OK;
    }
    struct bytes package = word(&rest);
    const uint8_t *colon = memchr(package.p, ':', package.len);
    size_t n = colon != NULL ? (size_t)(colon - package.p) : package.len;
    set(o, "Package", text(bytes_of(package.p, n)));
    if (colon != NULL) set(o, "Architecture", text(bytes_of(colon + 1, package.len - n - 1)));
    set(o, "OldVersion", text(word(&rest)));
    set(o, "NewVersion", text(word(&rest)));
    return OK;
}

/* --- apt history: stanzas of "Key: value" with blank lines between
 * -------------------------------- */

static int64_t packages_in(struct bytes value)
{
    int64_t n = value.len != 0;
    bool inside = false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] == '(') inside = true;
        if (value.p[i] == ')') inside = false;
        n += value.p[i] == ',' && !inside;
    }
    return n;
}

static void apt_field(json_t *o, struct bytes name, struct bytes value)
{
    time_t t;
    if (bytes_eq(name, BYTES("Start-Date"))) {
        if (local_time(value, &t)) set_time(o, t, 0);
    } else if (bytes_eq(name, BYTES("End-Date"))) {
        char iso[TIME_TEXT_MAX];
        if (!local_time(value, &t)) return;
        time_format_iso((int64_t)t * US_PER_S, iso);
        set(o, "EndTime", json_string(iso));
    } else {
        char column[64];
        size_t n = 0;
        for (size_t i = 0; i < name.len && n < sizeof column - 1; i++) {
            if (name.p[i] != '-') column[n++] = (char)name.p[i];
        }
        column[n] = 0;
        set(o, column, text(value));
        if (str_eq(column, "Install") || str_eq(column, "Upgrade") || str_eq(column, "Remove")) {
            json_t *count = json_object_get(o, "Packages");
            set(o, "Packages", json_integer(json_integer_value(count) + packages_in(value)));
        }
    }
}

static json_t *apt_end(struct logformat_state *s)
{
    return TAKE(s->pending);
}

static enum err apt_line(struct logformat_state *s, struct bytes line, json_t **out, struct diag *d)
{
    (void)d;
    if (line.len == 0) {
        *out = apt_end(s);
        return OK;
    }
    const uint8_t *colon = memchr(line.p, ':', line.len);
    if (s->pending == NULL) s->pending = json_object();
    if (colon == NULL) {
        set(s->pending, "Message", text(line));
        return OK;
    }
    size_t n = (size_t)(colon - line.p), skip = n + 1 < line.len && colon[1] == ' ' ? n + 2 : n + 1;
    apt_field(s->pending, bytes_of(line.p, n), bytes_of(line.p + skip, line.len - skip));
    return OK;
}

/* --- syslog: RFC 3164 "Nov 22 01:07:50 host app[123]: text", or an ISO 8601 time in front
 * ------------- */

static bool bsd_time(struct bytes line, time_t *out)
{
    char s[16];
    struct tm parsed = {0}, now_tm;
    if (line.len < 16) return false;
    snprintf(s, sizeof s, "%.15s", (const char *)line.p);
    /* Names of months are English here: the program never calls setlocale(). */
    if (strptime(s, "%b %d %H:%M:%S", &parsed) != s + 15) return false;
    time_t now = (time_t)(time_now_us() / US_PER_S);
    localtime_r(&now, &now_tm);
    for (int back = 0; back < 2; back++) {
        struct tm tm = parsed;
        tm.tm_year = now_tm.tm_year - back;
        tm.tm_isdst = -1;
        *out = mktime(&tm);
        if (*out <= now + 86400) break; /* a clock may be a little ahead; a year may not */
    }
    return true;
}

static int two_digits(const char *p) /* -1: they are not */
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') return -1;
    return (p[0] - '0') * 10 + p[1] - '0';
}

/* "2026-11-22T01:07:50.123456+00:00": with an offset, so not local. */
static bool iso_time(struct bytes line, time_t *out, int64_t *us, size_t *len)
{
    char s[48];
    struct tm tm = {0};
    snprintf(s, sizeof s, "%.*s", (int)(line.len < 47 ? line.len : 47), (const char *)line.p);
    const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (p == NULL) return false;
    *us = 0;
    if (*p == '.') {
        int64_t scale = 100000;
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            *us += (*p - '0') * scale;
    }
    int hours = 0, minutes = 0;
    char sign = *p;
    if (sign == 'Z') {
        p++;
    } else {
        if ((sign != '+' && sign != '-') || strlen(p) < 6 || p[3] != ':') return false;
        hours = two_digits(p + 1);
        minutes = two_digits(p + 4);
        if (hours < 0 || minutes < 0) return false;
        p += 6;
    }
    int offset = (hours * 60 + minutes) * 60;
    *out = timegm(&tm) - (sign == '-' ? -offset : offset);
    *len = (size_t)(p - s);
    return true;
}

static enum err syslog_line(struct logformat_state *s, struct bytes line, json_t **out,
                            struct diag *d)
{
    (void)s, (void)d;
    if (line.len == 0) return OK;
    time_t t;
    int64_t us = 0;
    size_t skip = 15;
    if (!iso_time(line, &t, &us, &skip) && !bsd_time(line, &t)) {
        *out = message_row(line);
        return OK;
    }
    struct bytes rest = bytes_of(line.p + skip, line.len - skip);
    json_t *o = *out = json_object();
    set_time(o, t, us);
    set(o, "HostName", text(word(&rest)));
    struct bytes tag = word(&rest);
    if (tag.len != 0 && tag.p[tag.len - 1] == ':') tag.len--;
    const uint8_t *bracket = memchr(tag.p, '[', tag.len);
    if (bracket != NULL) {
        set(o, "ProcessID", json_integer(strtol((const char *)bracket + 1, NULL, 10)));
        tag.len = (size_t)(bracket - tag.p);
    }
    set(o, "ProcessName", text(tag));
    set(o, "Message", text(rest));
    return OK;
}

/* --- journalctl -o json
 * ------------------------------------------------------------------------------- */

static const struct {
    const char *field, *column;
    bool number;
} journal_fields[] = {
    {"MESSAGE", "Message", false},         {"PRIORITY", "SeverityLevel", true},
    {"_HOSTNAME", "HostName", false},      {"SYSLOG_IDENTIFIER", "ProcessName", false},
    {"_PID", "ProcessID", true},           {"_SYSTEMD_UNIT", "Unit", false},
    {"SYSLOG_FACILITY", "Facility", true}, {"_TRANSPORT", "Transport", false},
    {"_BOOT_ID", "BootId", false},         {"_UID", "UserId", true},
};

static enum err journal_line(struct logformat_state *s, struct bytes line, json_t **out,
                             struct diag *d)
{
    (void)s;
    if (line.len == 0) return OK;
    CLEANUP_JSON json_t *in = NULL;
    TRY(json_read(line, &in, d));
    json_t *o = *out = json_object();
    int64_t us = strtoll(json_get_str(in, "__REALTIME_TIMESTAMP") ?: "0", NULL, 10);
    set_time(o, us / US_PER_S, us % US_PER_S);
    for (size_t i = 0; i < sizeof journal_fields / sizeof journal_fields[0]; i++) {
        const char *v = json_get_str(in, journal_fields[i].field);
        if (v == NULL) continue; /* absent, or bytes that are not text */
        set(o, journal_fields[i].column,
            journal_fields[i].number ? json_integer(strtoll(v, NULL, 10)) : text(bytes_str(v)));
    }
    return OK;
}

static const struct logformat formats[] = {
    {"dpkg", dpkg_line, NULL},       {"apt", apt_line, apt_end}, {"syslog", syslog_line, NULL},
    {"journal", journal_line, NULL}, {"text", text_line, NULL},
};

const struct logformat *logformat_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (str_eq(formats[i].name, name)) return &formats[i];
    }
    return NULL;
}

const char *logformat_guess(struct bytes first_line)
{
    time_t t;
    int64_t us;
    size_t len;
    if (first_line.len == 0 ||
        (first_line.len > 11 && memcmp(first_line.p, "Start-Date:", 11) == 0))
        return "apt";
    if (iso_time(first_line, &t, &us, &len) || bsd_time(first_line, &t)) return "syslog";
    if (local_time(first_line, &t)) return "dpkg";
    return "text";
}
