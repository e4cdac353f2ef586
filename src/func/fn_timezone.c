/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_timezone.c - between UTC and the clocks of places */
#include "base/str.h"
#include "column/dyn.h"
#include "func/families.h"
#include "func/timezone.h"

#define ZONES_KEPT 8 /* of one vector */

struct kept {
    struct bytes name[ZONES_KEPT];
    struct timezone *tz[ZONES_KEPT]; /* NULL: there is none of that name */
    uint32_t n;
};
static void kept_release(struct kept *k)
{
    for (uint32_t i = 0; i < k->n; i++)
        timezone_free(k->tz[i]);
}

static const struct timezone *zone_of(struct kept *k, struct bytes name)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (bytes_eq(k->name[i], name)) return k->tz[i];
    }
    if (k->n == ZONES_KEPT) timezone_free(k->tz[--k->n]);
    struct timezone *tz = NULL;
    if (timezone_open(&tz, name, NULL) != OK) tz = NULL;
    k->name[k->n] = name;
    k->tz[k->n] = tz;
    return k->tz[k->n++];
}

/* datetime_utc_to_local, datetime_local_to_utc (datetime, zone) */
EVAL(eval_zone)
{
    struct vecb b;
    __attribute__((cleanup(kept_release))) struct kept zones = {0};
    bool to_utc = str_eq(call->fn->name, "datetime_local_to_utc");
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        bool null = vec_null(args[0], i) || vec_null(args[1], i);
        const struct timezone *tz = null ? NULL : zone_of(&zones, vec_str(args[1], i));
        int64_t t = null ? 0 : vec_i64(args[0], i);
        if (tz != NULL)
            t = to_utc ? t - timezone_offset_local(tz, t) : t + timezone_offset_utc(tz, t);
        if (tz == NULL || t < 0 || t > TICKS_MAX) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, t);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static enum err prepare_zone(struct fn_call *call, struct arena *a, struct diag *d)
{
    struct bytes name;
    struct timezone *tz;
    (void)a;
    if (!const_str(call, 1, &name)) return OK;
    if (timezone_open(&tz, name, d) != OK)
        return FAIL(d, ERR_INVALID, "%s(): there is no such time zone", call->fn->name);
    timezone_free(tz);
    return OK;
}

EVAL(eval_list)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf names = {0};
    (void)call, (void)args;
    TRY(timezone_names(&names, cx->d));
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t count = 0;
        size_t at = dyn_array_begin(&r.b), from = 0;
        for (size_t k = 0; k < names.len; k++) {
            if (names.p[k] != '\n') continue;
            struct value v = {.type = T_STRING, .s = bytes_of(names.p + from, k - from)};
            TRY(dyn_from_value(&v, &r.b, cx->d));
            from = k + 1;
            count++;
        }
        dyn_array_end(&r.b, at, count);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define ZONE_(name_, doc_, example_, expect_)                                              \
    {                                                                                      \
        .name = name_, .arity_min = 2, .arity_max = 2, .args = {ARG_DATETIME, ARG_STRING}, \
        .ret = T_DATETIME, .eval = eval_zone, .prepare = prepare_zone, .doc = doc_,        \
        .example = example_, .expect = expect_                                             \
    }

static const struct fn rows[] = {
    FN("datetime_list_timezones", 0, 0, T_DYNAMIC, 0, eval_list, "The names of all time zones.",
       "datetime_list_timezones()[0]", "Africa/Abidjan"),
    ZONE_("datetime_local_to_utc", "What UTC is when the clocks of a place show this.",
          "datetime_local_to_utc(datetime(2022-03-27 02:00), 'Europe/Brussels')",
          "2022-03-27T00:00:00.0000000Z"),
    ZONE_("datetime_utc_to_local", "What the clocks of a place show when UTC is this.",
          "datetime_utc_to_local(datetime(2050-07-01), 'US/Pacific')",
          "2050-06-30T17:00:00.0000000Z"),
};
const struct fn_family fn_timezone = FAMILY(rows);
