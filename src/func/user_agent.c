/* SPDX-License-Identifier: Apache-2.0 */
/* func/user_agent.c - reads the patterns of uap-core and applies them */
#include "func/user_agent.h"

#include "base/os.h"
#include "base/str.h"
#include "column/scan.h"
#include "func/re2_shim.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define FILE_PATH "/usr/share/uap-core/regexes.yaml"
#define FILE_MAX  ((size_t)4 << 20) /* bytes */
#define RULES_MAX 4096              /* of a part */
#define TEXT_MAX  4096              /* bytes of a text that are looked at */
#define GROUPS    10                /* a rule's rewrites name $1 to $9 */

struct rule {
    struct bytes pattern; /* into the file's text, in place without its doubled quotes */
    bool no_case;
    struct bytes rewrite[UA_FIELDS_MAX]; /* p NULL: the group of that number */
    _Atomic(struct re2_form *) form;
};

static struct {
    struct buf text;
    struct rule *rules[UA_PARTS];
    uint32_t n[UA_PARTS], cap[UA_PARTS];
    enum err err;
    struct diag d;
} all = {.d = DIAG_INIT};

uint32_t ua_fields(enum ua_part part)
{
    static const uint32_t n[UA_PARTS] = {4, 5, 3};
    return n[part];
}

/* --- the file --------------------------------------------------------------------------------- */

static enum err broken(uint32_t line)
{
    return FAIL(&all.d, ERR_CORRUPT, "%s: line %u is not understood", FILE_PATH, line);
}

/* Between single quotes, a doubled one stands for one. */
static bool read_quoted(struct rd *r, struct bytes *out)
{
    uint8_t *to = (uint8_t *)(uintptr_t)r->p;
    *out = bytes_of(to, 0);
    if (!scan_char(r, '\'')) return false;
    while (r->p < r->end) {
        uint8_t c = *r->p++;
        if (c == '\'' && (r->p == r->end || *r->p++ != '\'')) return true;
        to[out->len++] = c;
    }
    return false;
}

static struct rule *add_rule(enum ua_part part)
{
    if (all.n[part] == all.cap[part]) {
        uint32_t cap = all.cap[part] != 0 ? all.cap[part] * 2 : 256;
        struct rule *rules = cap <= RULES_MAX ? calloc(cap, sizeof *rules) : NULL;
        if (rules == NULL) return NULL;
        if (all.n[part] != 0) memcpy(rules, all.rules[part], all.n[part] * sizeof *rules);
        free(all.rules[part]);
        all.rules[part] = rules;
        all.cap[part] = cap;
    }
    return &all.rules[part][all.n[part]++];
}

static bool set_key(struct rule *rule, struct bytes key, struct bytes value)
{
    static const struct {
        const char *key;
        int field;
    } keys[] = {
        {"family_replacement", 0}, {"v1_replacement", 1},    {"v2_replacement", 2},
        {"v3_replacement", 3},     {"os_replacement", 0},    {"os_v1_replacement", 1},
        {"os_v2_replacement", 2},  {"os_v3_replacement", 3}, {"os_v4_replacement", 4},
        {"device_replacement", 0}, {"brand_replacement", 1}, {"model_replacement", 2},
    };
    if (bytes_eq(key, BYTES("regex_flag"))) {
        rule->no_case = bytes_eq(value, BYTES("i"));
        return rule->no_case;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!bytes_eq(key, bytes_str(keys[i].key))) continue;
        rule->rewrite[keys[i].field] = value;
        return true;
    }
    return false;
}

/* "  - regex: '...'" begins a rule, "    key: '...'" says more of it. */
static bool read_pair(struct rd *r, enum ua_part part)
{
    struct bytes value;
    bool begins = scan_char(r, '-');
    scan_spaces(r);
    const uint8_t *from = r->p;
    while (r->p < r->end && *r->p != ':')
        r->p++;
    struct bytes key = bytes_of(from, (size_t)(r->p - from));
    if (!scan_char(r, ':')) return false;
    scan_spaces(r);
    if (!read_quoted(r, &value)) return false;
    if (!begins) return all.n[part] != 0 && set_key(&all.rules[part][all.n[part] - 1], key, value);
    struct rule *rule = bytes_eq(key, BYTES("regex")) ? add_rule(part) : NULL;
    if (rule != NULL) rule->pattern = value;
    return rule != NULL;
}

static enum err read_all(void)
{
    static const char *const sections[UA_PARTS] = {
        "user_agent_parsers:", "os_parsers:", "device_parsers:"};
    enum ua_part part = UA_PARTS;
    struct rd r = rd_from(buf_view(&all.text));
    for (uint32_t line = 1; r.p < r.end; line++) {
        const uint8_t *end = memchr(r.p, '\n', (size_t)(r.end - r.p));
        struct bytes s = bytes_of(r.p, (size_t)((end != NULL ? end : r.end) - r.p));
        r.p += s.len + (end != NULL);
        struct bytes said = bytes_trim(s);
        if (said.len == 0 || said.p[0] == '#') continue;
        bool is_section = s.p[0] != ' ';
        for (unsigned k = 0; is_section && k < UA_PARTS; k++) {
            if (bytes_eq(said, bytes_str(sections[k]))) part = (enum ua_part)k;
        }
        if (is_section) continue;
        struct rd pair = rd_from(said);
        if (part == UA_PARTS || !read_pair(&pair, part)) return broken(line);
    }
    return OK;
}

static void load(void)
{
    all.err = os_read_file(FILE_PATH, FILE_MAX, &all.text, NULL);
    if (all.err != OK) {
        all.err = FAIL(&all.d, ERR_UNSUPPORTED,
                       "parse_user_agent() needs the package uap-core: there is no " FILE_PATH);
        return;
    }
    all.err = read_all();
}

enum err ua_ready(struct diag *d)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return all.err == OK ? OK : FAIL(d, all.err, "%s", all.d.text);
}

/* --- matching --------------------------------------------------------------------------------- */

/* Two threads may compile one rule at the same time: the second one's work is thrown away. */
static enum err form_of(struct rule *rule, const struct re2_form **out, struct diag *d)
{
    struct re2_form *form = atomic_load_explicit(&rule->form, memory_order_acquire), *none = NULL;
    if (form == NULL) {
        CLEANUP_BUF struct buf pattern = {0};
        char why[200];
        if (rule->no_case) buf_str(&pattern, "(?i)");
        buf_bytes(&pattern, rule->pattern);
        TRY(buf_check(&pattern, d));
        form = re2_form_new((const char *)pattern.p, pattern.len, why, sizeof why);
        if (form == NULL) return FAIL(d, ERR_UNSUPPORTED, "a pattern of %s: %s", FILE_PATH, why);
        if (!atomic_compare_exchange_strong(&rule->form, &none, form)) {
            re2_form_free(form);
            form = none;
        }
    }
    *out = form;
    return OK;
}

static struct bytes group(const struct re2_span *groups, unsigned k)
{
    struct bytes s = {0};
    if (groups[k].p != NULL) s = bytes_of((const uint8_t *)groups[k].p, groups[k].len);
    return s;
}

/* $1 to $9 in a rewrite stand for groups; the result is trimmed. The room does not move. */
static struct bytes rewritten(struct bytes rewrite, const struct re2_span *groups, struct buf *room)
{
    size_t from = room->len;
    for (size_t i = 0; i < rewrite.len; i++) {
        uint8_t next = i + 1 < rewrite.len ? rewrite.p[i + 1] : 0;
        if (rewrite.p[i] == '$' && next >= '1' && next <= '9') {
            buf_bytes(room, group(groups, next - '0'));
            i++;
        } else {
            buf_u8(room, rewrite.p[i]);
        }
    }
    return bytes_trim(bytes_of(room->p + from, room->len - from));
}

/* The number of the group that a field is, where the rule has no rewrite for it; 0: none. */
static unsigned group_of(enum ua_part part, uint32_t field)
{
    if (part == UA_DEVICE) return field == 1 ? 0 : 1; /* no brand; the model is the family */
    return field + 1;
}

/* What the rewrites can grow to: each '$' may stand for the whole text. */
static size_t room_for(const struct rule *rule, size_t text_len)
{
    size_t most = 1;
    for (uint32_t k = 0; k < UA_FIELDS_MAX; k++) {
        for (size_t i = 0; i < rule->rewrite[k].len; i++)
            most += rule->rewrite[k].p[i] == '$' ? text_len : 1;
    }
    return most;
}

static enum err take_fields(enum ua_part part, const struct rule *rule, size_t text_len,
                            const struct re2_span *groups, struct ua *out, struct diag *d)
{
    buf_clear(&out->room);
    (void)buf_extend(&out->room, room_for(rule, text_len)); /* so that it does not move */
    TRY(buf_check(&out->room, d));
    buf_shrink(&out->room, 0);
    for (uint32_t k = 0; k < ua_fields(part); k++) {
        unsigned g = group_of(part, k);
        bool given = rule->rewrite[k].p != NULL;
        out->fields[k] = given    ? rewritten(rule->rewrite[k], groups, &out->room)
                         : g != 0 ? group(groups, g)
                                  : (struct bytes){0};
    }
    return OK;
}

enum err ua_find(enum ua_part part, struct bytes text, struct ua *out, struct diag *d)
{
    if (text.len > TEXT_MAX) text.len = TEXT_MAX;
    memset(out->fields, 0, sizeof out->fields);
    for (uint32_t i = 0; i < all.n[part]; i++) {
        struct re2_span groups[GROUPS] = {{0}};
        const struct re2_form *form;
        TRY(form_of(&all.rules[part][i], &form, d));
        if (re2_form_match(form, (const char *)text.p, text.len, 0, groups, GROUPS))
            return take_fields(part, &all.rules[part][i], text.len, groups, out, d);
    }
    out->fields[0] = BYTES("Other");
    return OK;
}

void ua_release(struct ua *u)
{
    buf_release(&u->room);
}
