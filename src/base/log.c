/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c - a line is built whole and written with one write(), so that lines never mix */
#include "base/log.h"

#include "base/bytes.h"
#include "base/time.h"

#include <inttypes.h>
#include <unistd.h>

static const char *process_name = "keystead";
static enum log_level level_min = LOG_INFO;

void log_set_process(const char *name)
{
    process_name = name;
}

void log_set_level(enum log_level min)
{
    level_min = min;
}

static const char *const levels[] = {"debug", "info", "warn", "error"};

bool log_level_parse(const char *name, enum log_level *out)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(levels[i], name) != 0) continue;
        *out = (enum log_level)i;
        return true;
    }
    return false;
}

static void put_quoted(struct buf *b, const char *s)
{
    buf_u8(b, '"');
    for (; s != NULL && *s != 0; s++) {
        uint8_t c = (uint8_t)*s;
        if (c == '"' || c == '\\') {
            buf_fmt(b, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_fmt(b, "\\x%02x", c);
        } else {
            buf_u8(b, c);
        }
    }
    buf_u8(b, '"');
}

static void put_field(struct buf *b, const struct log_field *f)
{
    buf_fmt(b, " %s=", f->name);
    switch (f->kind) {
    case LOG_F_STR: put_quoted(b, f->str); break;
    case LOG_F_U64: buf_fmt(b, "%" PRIu64, f->u64); break;
    case LOG_F_I64: buf_fmt(b, "%" PRId64, f->i64); break;
    case LOG_F_BOOL: buf_str(b, f->u64 != 0 ? "true" : "false"); break;
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    if (level < level_min) return;

    char when[TIME_TEXT_MAX];
    time_format_iso(time_now_us(), when);
    CLEANUP_BUF struct buf b = {0};
    buf_fmt(&b, "time=%s level=%s proc=%s event=%s", when, levels[level], process_name, event);
    for (size_t i = 0; i < n; i++)
        put_field(&b, &fields[i]);
    buf_u8(&b, '\n');
    if (b.bad) return; /* a log line is never worth a failure */
    if (write(STDERR_FILENO, b.p, b.len) < 0) return;
}
