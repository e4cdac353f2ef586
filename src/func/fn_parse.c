/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_parse.c - text of known shapes taken apart: URLs, paths, CSV, command lines, versions */
#include "base/str.h"
#include "column/decimal.h"
#include "column/dyn.h"
#include "column/scan.h"
#include "base/map.h"
#include "func/families.h"
#include "func/xml.h"

#include <stdio.h>

static void put_text(struct buf *out, struct bytes s)
{
    buf_u8(out, 's');
    buf_blob(out, s);
}

static void put_member(struct buf *out, const char *name, struct bytes s)
{
    dyn_bag_name(out, bytes_str(name));
    put_text(out, s);
}

/* Cuts s at the first c: what lies before it; *rest lies behind it. False: there is none. */
static bool cut_at(struct bytes s, uint8_t c, struct bytes *before, struct bytes *rest)
{
    const uint8_t *hit = s.len != 0 ? memchr(s.p, c, s.len) : NULL;
    if (hit == NULL) return false;
    *before = bytes_of(s.p, (size_t)(hit - s.p));
    *rest = bytes_of(hit + 1, s.len - before->len - 1);
    return true;
}

static struct bytes last_of(struct bytes s, const char *set, bool *found)
{
    size_t i = s.len;
    while (i > 0 && strchr(set, s.p[i - 1]) == NULL)
        i--;
    *found = i > 0;
    return bytes_of(s.p + i, s.len - i);
}

/* --- URLs ------------------------------------------------------------------------------------- */

static void put_query(struct bytes query, struct buf *out)
{
    uint32_t count = 0;
    dyn_bag_name(out, BYTES("Query Parameters"));
    size_t at = dyn_bag_begin(out);
    while (query.len != 0) {
        struct bytes pair = query, rest = {0}, name, value = {0};
        (void)cut_at(query, '&', &pair, &rest);
        name = pair;
        (void)cut_at(pair, '=', &name, &value);
        if (name.len != 0) {
            dyn_bag_name(out, name);
            put_text(out, value);
            count++;
        }
        query = rest;
    }
    dyn_bag_end(out, at, count);
}

struct url {
    struct bytes scheme, host, port, path, user, password, query, fragment;
};

static void split_authority(struct bytes a, struct url *u)
{
    struct bytes user, rest;
    if (cut_at(a, '@', &user, &rest)) {
        if (!cut_at(user, ':', &u->user, &u->password)) u->user = user;
        a = rest;
    }
    const uint8_t *end = a.len != 0 && a.p[0] == '[' ? memchr(a.p, ']', a.len) : NULL;
    if (end != NULL) { /* the colons of an IPv6 address are its own */
        size_t n = (size_t)(end - a.p) + 1;
        u->host = bytes_of(a.p, n);
        if (n < a.len && a.p[n] == ':') u->port = bytes_of(a.p + n + 1, a.len - n - 1);
    } else if (!cut_at(a, ':', &u->host, &u->port)) {
        u->host = a;
    }
}

static bool split_url(struct bytes s, struct url *u)
{
    struct bytes before, rest;
    *u = (struct url){0};
    if (!cut_at(s, ':', &u->scheme, &rest) || u->scheme.len == 0 || rest.len < 2 ||
        rest.p[0] != '/' || rest.p[1] != '/')
        return false;
    s = bytes_of(rest.p + 2, rest.len - 2);
    if (cut_at(s, '#', &before, &u->fragment)) s = before;
    if (cut_at(s, '?', &before, &u->query)) s = before;
    const uint8_t *slash = s.len != 0 ? memchr(s.p, '/', s.len) : NULL;
    if (slash != NULL) {
        u->path = bytes_of(slash, s.len - (size_t)(slash - s.p));
        s.len = (size_t)(slash - s.p);
    }
    split_authority(s, u);
    return true;
}

EVAL(eval_url)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct url u;
        (void)split_url(vec_str(args[0], i), &u);
        size_t at = dyn_bag_begin(&r.b);
        put_member(&r.b, "Scheme", u.scheme);
        put_member(&r.b, "Host", u.host);
        put_member(&r.b, "Port", u.port);
        put_member(&r.b, "Path", u.path);
        put_member(&r.b, "Username", u.user);
        put_member(&r.b, "Password", u.password);
        put_query(u.query, &r.b);
        put_member(&r.b, "Fragment", u.fragment);
        dyn_bag_end(&r.b, at, 8);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_urlquery)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i);
        if (s.len != 0 && s.p[0] == '?') s = bytes_of(s.p + 1, s.len - 1);
        size_t at = dyn_bag_begin(&r.b);
        put_query(s, &r.b);
        dyn_bag_end(&r.b, at, 1);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- paths ------------------------------------------------------------------------------------ */

EVAL(eval_path)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i), scheme = {0}, root = {0}, stream = {0},
                     directory = {0}, extension = {0};
        const uint8_t *hit = s.len > 3 ? memmem(s.p, s.len, "://", 3) : NULL;
        bool found;
        if (hit != NULL) {
            scheme = bytes_of(s.p, (size_t)(hit - s.p));
            s = bytes_of(hit + 3, s.len - scheme.len - 3);
        }
        bool drive =
            s.len > 2 && ch_alpha(s.p[0]) && s.p[1] == ':' && strchr("\\/", s.p[2]) != NULL;
        if (drive) root = bytes_of(s.p, 3);
        struct bytes file = last_of(s, "\\/", &found);
        if (found) directory = bytes_of(s.p, s.len - file.len - 1);
        if (found && directory.len != 0 && directory.len < root.len) directory = root;
        struct bytes folder = last_of(directory, "\\/", &found);
        (void)cut_at(file, ':', &file, &stream);
        struct bytes tail = last_of(file, ".", &found);
        if (found) extension = tail;
        size_t at = dyn_bag_begin(&r.b);
        put_member(&r.b, "Scheme", scheme);
        put_member(&r.b, "RootPath", root);
        put_member(&r.b, "DirectoryPath", directory);
        put_member(&r.b, "DirectoryName", folder);
        put_member(&r.b, "Filename", file);
        put_member(&r.b, "Extension", extension);
        put_member(&r.b, "AlternateDataStreamName", stream);
        dyn_bag_end(&r.b, at, 7);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- CSV and command lines -------------------------------------------------------------------- */

/* One field; quotes may hold commas, line ends and doubled quotes. */
static void take_field(struct rd *r, struct buf *field)
{
    buf_clear(field);
    if (!scan_char(r, '"')) {
        while (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r')
            buf_u8(field, *r->p++);
        return;
    }
    while (r->p < r->end) {
        uint8_t c = *r->p++;
        if (c == '"' && !scan_char(r, '"')) break;
        buf_u8(field, c);
    }
    while (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r')
        buf_u8(field, *r->p++);
}

/* The first record alone. */
EVAL(eval_csv)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf field = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct rd in = rd_from(vec_str(args[0], i));
        uint32_t count = 0;
        size_t at = dyn_array_begin(&r.b);
        do {
            take_field(&in, &field);
            put_text(&r.b, buf_view(&field));
            count++;
        } while (scan_char(&in, ','));
        dyn_array_end(&r.b, at, count);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* One argument as Windows splits them: backslashes mean something only before a quote. */
static void take_argument(struct rd *r, struct buf *arg)
{
    bool quoted = false;
    buf_clear(arg);
    while (r->p < r->end && (quoted || !ch_space(*r->p))) {
        size_t slashes = 0;
        while (scan_char(r, '\\'))
            slashes++;
        bool quote = r->p < r->end && *r->p == '"';
        for (size_t k = 0; k < (quote ? slashes / 2 : slashes); k++)
            buf_u8(arg, '\\');
        if (!quote) {
            if (slashes == 0) buf_u8(arg, *r->p++);
            continue;
        }
        r->p++;
        if (slashes % 2 != 0) {
            buf_u8(arg, '"');
        } else if (quoted && scan_char(r, '"')) {
            buf_u8(arg, '"');
        } else {
            quoted = !quoted;
        }
    }
}

EVAL(eval_command_line)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf arg = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct rd in = rd_from(vec_str(args[0], i));
        uint32_t count = 0;
        size_t start = r.b.len, at = dyn_array_begin(&r.b);
        for (scan_spaces(&in); in.p < in.end; scan_spaces(&in), count++) {
            take_argument(&in, &arg);
            put_text(&r.b, buf_view(&arg));
        }
        dyn_array_end(&r.b, at, count);
        if (count == 0) buf_shrink(&r.b, start);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static enum err prepare_command_line(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    struct bytes kind;
    if (!const_str(call, 1, &kind) || bytes_eq_nocase(kind, "windows")) return OK;
    return FAIL_TAG(d, ERR_INVALID, "SEM0100",
                    "parse_command_line(): the only known parser is 'windows'");
}

/* --- versions --------------------------------------------------------------------------------- */

/* Up to four numbers of at most eight digits, each in eight places of one decimal. */
EVAL(eval_version)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_DECIMAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct rd r = rd_from(bytes_trim(vec_str(args[0], i)));
        char digits[40] = "";
        bool ok = r.p < r.end;
        int64_t part[4] = {0};
        for (int k = 0; ok && k < 4 && r.p < r.end; k++) {
            ok = (k == 0 || scan_char(&r, '.')) && scan_digits(&r, 8, &part[k]) > 0;
        }
        struct u128 v;
        int len = snprintf(digits, sizeof digits, "%lld%08lld%08lld%08lld", (long long)part[0],
                           (long long)part[1], (long long)part[2], (long long)part[3]);
        if (ok && r.p == r.end && decimal_parse(bytes_of(digits, (size_t)len), &v)) {
            vecb_u128(&b, v);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- XML and paths of bags -------------------------------------------------------------------- */

EVAL(eval_xml)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        size_t start = r.b.len;
        if (!xml_to_dyn(vec_str(args[0], i), &r.b)) buf_shrink(&r.b, start);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* Adds the paths to all that is in a bag or an array. The elements of an array share one, [0]. */
static enum err find_paths(struct bytes dyn, struct buf *path, int depth, struct map *found,
                           struct diag *d)
{
    struct dyn_iter it;
    struct bytes name, value;
    if (depth == DYN_DEPTH_MAX || !dyn_iter_init(&it, dyn)) return OK;
    size_t len = path->len;
    while (dyn_iter_next(&it, &name, &value)) {
        if (it.is_bag) {
            buf_str(path, "['");
            buf_bytes(path, name);
            buf_str(path, "']");
        } else {
            buf_str(path, "[0]");
        }
        TRY(map_put(found, buf_view(path), found, NULL, d));
        TRY(find_paths(value, path, depth + 1, found, d));
        buf_shrink(path, len);
    }
    return OK;
}

EVAL(eval_treepath)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf path = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_LOCAL(map_release) struct map found = {0};
        struct bytes dyn = vec_str(args[0], i);
        if (dyn_kind(dyn) == DYN_BAG || dyn_kind(dyn) == DYN_ARRAY) {
            size_t at = dyn_array_begin(&r.b);
            buf_clear(&path);
            TRY(find_paths(dyn, &path, 0, &found, cx->d));
            MAP_EACH (&found, e)
                put_text(&r.b, e->key);
            dyn_array_end(&r.b, at, found.n_live);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define PARSE(name_, eval_, doc_, example_, expect_) \
    FN(name_, 1, 1, T_DYNAMIC, 0, eval_, doc_, example_, expect_, ARG_STRING)

static const struct fn rows[] = {
    {.name = "parse_command_line",
     .arity_min = 2,
     .arity_max = 2,
     .args = {ARG_TEXT, ARG_STRING},
     .ret = T_DYNAMIC,
     .eval = eval_command_line,
     .prepare = prepare_command_line,
     .doc = "The arguments of a Windows command line.",
     .example = "parse_command_line('echo \"hello world!\" a\\\\b', 'windows')",
     .expect = "[\"echo\",\"hello world!\",\"a\\\\b\"]"},
    PARSE("parse_csv", eval_csv, "The fields of a line of comma-separated values.",
          "parse_csv('aa,\"b,b\",\"say \"\"x\"\"\"')", "[\"aa\",\"b,b\",\"say \\\"x\\\"\"]"),
    PARSE("parse_path", eval_path, "The parts of a file's path.",
          "parse_path('/usr/lib/a.txt').Filename", "a.txt"),
    PARSE("parse_url", eval_url, "The parts of a URL.",
          "parse_url('scheme://user:pw@host:1234/a/path?k1=v1&k2=v2#frag')",
          "{\"Scheme\":\"scheme\",\"Host\":\"host\",\"Port\":\"1234\",\"Path\":\"/a/"
          "path\",\"Username\":\"user\",\"Password\":\"pw\","
          "\"Query Parameters\":{\"k1\":\"v1\",\"k2\":\"v2\"},\"Fragment\":\"frag\"}"),
    PARSE("parse_urlquery", eval_urlquery, "The parameters of a query string.",
          "parse_urlquery('k1=v1&k2=v2')", "{\"Query Parameters\":{\"k1\":\"v1\",\"k2\":\"v2\"}}"),
    FN("parse_version", 1, 1, T_DECIMAL, 0, eval_version, "A number by which versions compare.",
       "parse_version('1.2.3.40')", "1000000020000000300000040", ARG_STRING),
    PARSE("parse_xml", eval_xml,
          "XML as a dynamic: attributes are '@name', text beside them is '#text'.",
          "parse_xml('<a x=\"1\"><b>t</b><b/></a>')", "{\"a\":{\"@x\":\"1\",\"b\":[\"t\",null]}}"),
    PARSE("parseurl", eval_url, "An older name of parse_url().", "parseurl('http://host/a').Host",
          "host"),
    PARSE("parseurlquery", eval_urlquery, "An older name of parse_urlquery().",
          "parseurlquery('k1=v1')", "{\"Query Parameters\":{\"k1\":\"v1\"}}"),
    FN("treepath", 1, 1, T_DYNAMIC, 0, eval_treepath, "The paths to everything in a bag.",
       "treepath(dynamic({\"a\":{\"b\":1}}))", "[\"['a']\",\"['a']['b']\"]", ARG_DYNAMIC),
};
const struct fn_family fn_parse = FAMILY(rows);
