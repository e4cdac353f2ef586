/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_user_agent.c - parse_user_agent(text, "browser" | "os" | "device", or several)
 *
 * A thousand patterns are tried, so a text that a vector has twice is looked at once.
 */
#include "base/map.h"
#include "column/dyn.h"
#include "func/families.h"
#include "func/user_agent.h"

static const struct {
    const char *asked, *name, *fields[UA_FIELDS_MAX];
} parts[UA_PARTS] = {
    [UA_BROWSER] = {"browser", "Browser", {"Family", "MajorVersion", "MinorVersion", "Patch"}},
    [UA_OS] = {"os",
               "OperatingSystem",
               {"Family", "MajorVersion", "MinorVersion", "Patch", "PatchMinor"}},
    [UA_DEVICE] = {"device", "Device", {"Family", "Brand", "Model"}},
};

static void ask_for(struct bytes name, bool asked[UA_PARTS])
{
    for (unsigned p = 0; p < UA_PARTS; p++)
        asked[p] |= text_eq_nocase(name, bytes_str(parts[p].asked));
}

/* A text or an array of texts; false: none of them is known. */
static bool read_asked(const struct value *v, bool asked[UA_PARTS])
{
    struct dyn_iter it;
    struct bytes name, e;
    memset(asked, 0, UA_PARTS * sizeof *asked);
    if (v->type == T_STRING) {
        ask_for(v->s, asked);
    } else if (dyn_kind(v->s) == DYN_STRING) {
        ask_for(dyn_scalar(v->s).s, asked);
    } else if (dyn_kind(v->s) == DYN_ARRAY && dyn_iter_init(&it, v->s)) {
        while (dyn_iter_next(&it, &name, &e)) {
            if (dyn_kind(e) == DYN_STRING) ask_for(dyn_scalar(e).s, asked);
        }
    }
    return asked[UA_BROWSER] || asked[UA_OS] || asked[UA_DEVICE];
}

static enum err put_part(enum ua_part p, struct bytes text, struct ua *ua, struct buf *out,
                         struct diag *d)
{
    TRY(ua_find(p, text, ua, d));
    dyn_bag_name(out, bytes_str(parts[p].name));
    size_t at = dyn_bag_begin(out);
    for (uint32_t k = 0; k < ua_fields(p); k++) {
        struct value v = {.type = T_STRING, .s = ua->fields[k]};
        dyn_bag_name(out, bytes_str(parts[p].fields[k]));
        TRY(dyn_from_value(&v, out, d));
    }
    dyn_bag_end(out, at, ua_fields(p));
    return OK;
}

static enum err put_parts(const bool asked[UA_PARTS], struct bytes text, struct ua *ua,
                          struct buf *out, struct diag *d)
{
    uint32_t count = 0;
    size_t at = dyn_bag_begin(out);
    for (unsigned p = 0; p < UA_PARTS; p++) {
        if (!asked[p]) continue;
        TRY(put_part((enum ua_part)p, text, ua, out, d));
        count++;
    }
    dyn_bag_end(out, at, count);
    return OK;
}

/* What was asked of row i and its text, as one key. */
static void put_key(const bool asked[UA_PARTS], struct bytes text, struct buf *out)
{
    buf_clear(out);
    for (unsigned p = 0; p < UA_PARTS; p++)
        buf_u8(out, asked[p]);
    buf_bytes(out, text);
}

struct known {
    struct bytes dyn;
};

EVAL(eval_user_agent)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_UA struct ua ua = {0};
    CLEANUP_BUF struct buf key = {0};
    __attribute__((cleanup(map_release))) struct map seen = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        bool asked[UA_PARTS];
        struct value look_for = vec_value(args[1], i);
        struct bytes text = vec_str(args[0], i);
        size_t from = r.b.len;
        if (read_asked(&look_for, asked)) {
            put_key(asked, text, &key);
            TRY(buf_check(&key, cx->d));
            struct known *k = map_get(&seen, buf_view(&key));
            if (k != NULL) {
                buf_bytes(&r.b, k->dyn);
            } else {
                TRY(put_parts(asked, text, &ua, &r.b, cx->d));
                TRY(buf_check(&r.b, cx->d));
                k = arena_new(cx->a, struct known);
                if (k == NULL) return out_full(cx);
                k->dyn = arena_bytes(cx->a, bytes_of(r.b.p + from, r.b.len - from));
                if (k->dyn.p == NULL) return out_full(cx);
                TRY(map_put(&seen, buf_view(&key), k, NULL, cx->d));
            }
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static enum err prepare_user_agent(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    bool asked[UA_PARTS];
    const struct value *look_for = call->consts[1];
    TRY(ua_ready(d));
    if (look_for == NULL || read_asked(look_for, asked)) return OK;
    return FAIL_TAG(d, ERR_INVALID, "SEM0100",
                    "parse_user_agent() looks for \"browser\", \"os\" or \"device\"");
}

static const struct fn rows[] = {
    {.name = "parse_user_agent",
     .arity_min = 2,
     .arity_max = 2,
     .args = {ARG_STRING, ARG(STRINGY)},
     .ret = T_DYNAMIC,
     .eval = eval_user_agent,
     .prepare = prepare_user_agent,
     .doc = "Browser, system and device of a user agent's text, by the patterns of uap-core.",
     .example = "parse_user_agent('Mozilla/5.0 (Windows; U; en-US) AppleWebKit/531.9 (KHTML, like "
                "Gecko) AdobeAIR/2.5.1', 'browser')",
     .expect = "{\"Browser\":{\"Family\":\"AdobeAIR\",\"MajorVersion\":\"2\",\"MinorVersion\":"
               "\"5\",\"Patch\":\"1\"}}"},
};
const struct fn_family fn_user_agent = FAMILY(rows);
