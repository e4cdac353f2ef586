/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log.h - one line per event on standard error, with typed fields, logfmt
 *
 * An event is named module.past_tense. There is no format string, so there is no %s for a key; row
 * contents and secrets are never fields. Strings are quoted and escaped, so a value cannot forge a
 * line.
 */
#pragma once

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name;
    enum { LOG_F_STR, LOG_F_U64, LOG_F_I64, LOG_F_BOOL } kind;
    union {
        const char *str;
        uint64_t u64;
        int64_t i64;
    };
};

#define F_STR(n, v)  ((struct log_field){.name = (n), .kind = LOG_F_STR, .str = (v)})
#define F_U64(n, v)  ((struct log_field){.name = (n), .kind = LOG_F_U64, .u64 = (uint64_t)(v)})
#define F_I64(n, v)  ((struct log_field){.name = (n), .kind = LOG_F_I64, .i64 = (int64_t)(v)})
#define F_BOOL(n, v) ((struct log_field){.name = (n), .kind = LOG_F_BOOL, .u64 = (v) ? 1 : 0})
#define F_ERR(d)     F_STR("error", (d)->text)

#define LOG(level, event, ...)                                               \
    log_write(LOG_##level, (event), (const struct log_field[]){__VA_ARGS__}, \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
void log_set_process(const char *name); /* a literal; stands in each line as proc=name */
void log_set_level(enum log_level min); /* default LOG_INFO */
bool log_level_parse(const char *name, enum log_level *out); /* "warn"; false: no such */
