/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto_command.c - .show commands: what databases and tables there are, for clients that look
 * around before they ask */
#include "api/kusto_schema.h"

#include <strings.h>

#define WORDS_MAX 64
#define LISTS_MAX 32 /* names between brackets */

/* --- words ------------------------------------------------------------------------------------ */

struct words {
    struct arena *a;
    uint32_t n;
    struct word {
        const char *text;
        bool quoted; /* a name, never a keyword */
    } list[WORDS_MAX];
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* "name", 'name', [name], ["name"]: how much of p it is, 0 when it does not end. */
static size_t quoted_length(const char *p, size_t *skip, size_t *len)
{
    bool bracket = p[0] == '[';
    size_t at = bracket ? 1 : 0;
    bool mark = p[at] == '"' || p[at] == '\'';
    char end = mark ? p[at] : ']';
    at += mark ? 1 : 0;
    const char *stop = strchr(p + at, end);
    if (stop == NULL) return 0;
    *skip = at;
    *len = (size_t)(stop - p) - at;
    size_t whole = (size_t)(stop - p) + 1;
    if (bracket && mark) {
        if (p[whole] != ']') return 0;
        whole++;
    }
    return whole;
}

static bool add_word(struct words *w, const char *p, size_t n, bool quoted)
{
    if (w->n == WORDS_MAX) return false;
    const char *text = arena_str(w->a, bytes_of(p, n));
    if (text == NULL) return false;
    w->list[w->n++] = (struct word){text, quoted};
    return true;
}

/* False: no command can look like this. */
static bool split(struct words *w, const char *p)
{
    for (;;) {
        p += strspn(p, " \t\r\n");
        if (*p == '\0') return true;
        size_t n = 0, skip = 0, len;
        while (is_letter(p[n]))
            n++;
        len = n;
        bool quoted = *p == '[' || *p == '"' || *p == '\'';
        if (quoted) {
            n = quoted_length(p, &skip, &len);
        } else if (n == 0) {
            n = len = 1;
        }
        if (n == 0 || !add_word(w, p + skip, len, quoted)) return false;
        p += n;
    }
}

/* --- commands --------------------------------------------------------------------------------- */

static bool tables(struct kusto_request *r, const char *const *names, uint32_t n, struct shown *out)
{
    return show_tables(r, r->db, names, n, out);
}

static bool table_csl(struct kusto_request *r, const char *const *names, uint32_t n,
                      struct shown *out)
{
    (void)n;
    return show_table_schema(r, r->db, names[0], false, out);
}

static bool table_json(struct kusto_request *r, const char *const *names, uint32_t n,
                       struct shown *out)
{
    (void)n;
    return show_table_schema(r, r->db, names[0], true, out);
}

static bool database(struct kusto_request *r, const char *const *names, uint32_t n,
                     struct shown *out)
{
    return show_databases(r, n != 0 ? names : &r->db, 1, out);
}

static bool schema_flat(struct kusto_request *r, const char *const *names, uint32_t n,
                        struct shown *out)
{
    return show_schema(r, names, n, false, out);
}

static bool schema_json(struct kusto_request *r, const char *const *names, uint32_t n,
                        struct shown *out)
{
    return show_schema(r, names, n, true, out);
}

static bool own_flat(struct kusto_request *r, const char *const *names, uint32_t n,
                     struct shown *out)
{
    (void)names, (void)n;
    return show_schema(r, &r->db, 1, false, out);
}

static bool own_json(struct kusto_request *r, const char *const *names, uint32_t n,
                     struct shown *out)
{
    (void)names, (void)n;
    return show_schema(r, &r->db, 1, true, out);
}

/* Words behind ".show"; * is a name, + one or more of them with commas between brackets. */
static const struct command {
    const char *words;
    kusto_show *run;
} commands[] = {
    {"version", show_version},
    {"cluster", show_cluster},
    {"databases", show_databases},
    {"databases schema", schema_flat},
    {"databases schema as json", schema_json},
    {"databases +", show_databases},
    {"databases + schema", schema_flat},
    {"databases + schema as json", schema_json},
    {"database", database},
    {"database *", database},
    {"database schema", own_flat},
    {"database schema as json", own_json},
    {"database * schema", schema_flat},
    {"database * schema as json", schema_json},
    {"schema", own_flat},
    {"schema as json", own_json},
    {"tables", tables},
    {"tables +", tables},
    {"table *", tables},
    {"table * cslschema", table_csl},
    {"table * schema as json", table_json},
    {"functions", show_functions},
    {"materialized-views", show_views},
    {"external tables", show_external_tables},
};

struct match {
    uint32_t n;
    const char *names[LISTS_MAX];
};

static bool is_word(const struct word *w, const char *text, size_t n)
{
    return !w->quoted && strlen(w->text) == n && strncasecmp(w->text, text, n) == 0;
}

static bool take_name(const struct words *w, uint32_t *at, struct match *m)
{
    if (*at == w->n || m->n == LISTS_MAX) return false;
    const struct word *x = &w->list[*at];
    if (!x->quoted && !is_letter(x->text[0])) return false;
    m->names[m->n++] = x->text;
    ++*at;
    return true;
}

static bool take_list(const struct words *w, uint32_t *at, struct match *m)
{
    if (*at == w->n || !is_word(&w->list[*at], "(", 1)) return false;
    do {
        ++*at;
        if (!take_name(w, at, m) || *at == w->n) return false;
    } while (is_word(&w->list[*at], ",", 1));
    return is_word(&w->list[(*at)++], ")", 1);
}

static bool matches(const struct command *c, const struct words *w, struct match *m)
{
    uint32_t at = 1; /* behind ".show" */
    m->n = 0;
    for (const char *p = c->words; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (*p == '*') {
            if (!take_name(w, &at, m)) return false;
        } else if (*p == '+') {
            if (!take_list(w, &at, m)) return false;
        } else {
            if (at == w->n || !is_word(&w->list[at], p, n)) return false;
            at++;
        }
        p += n;
        if (*p == ' ') p++;
    }
    return at == w->n;
}

/* "database schema" is a command, not a database called so: the exact words win. */
static const struct command *find(const struct words *w, struct match *m)
{
    const struct command *found = NULL;
    struct match mine;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!matches(&commands[i], w, &mine) || (found != NULL && mine.n >= m->n)) continue;
        found = &commands[i];
        *m = mine;
    }
    return found;
}

static void answer(struct front_call *c, const struct shown *s)
{
    struct buf *out = &c->res->body;
    buf_str(out, "{\"Tables\":[");
    kusto_table(out, false, 0, "QueryResult", "Table_0", s->schema, s->rows);
    buf_str(out, "]}");
    c->res->status = 200;
    http_set(c->res, "Content-Type", "application/json; charset=utf-8");
    http_set(c->res, "Cache-Control", "no-store");
}

static void unknown(struct front_call *c, const char *csl)
{
    char text[320];
    size_t n = 0;
    while (n < 100 && (is_letter(csl[n]) || csl[n] == ' '))
        n++;
    snprintf(text, sizeof text,
             "The command '%.*s' is not supported. Workspaces and tables are changed through "
             "Azure Resource Manager, rows come through data collection rules.",
             (int)n, csl);
    kusto_bad_request(c, text);
}

void kusto_command(struct kusto_request *r)
{
    struct words w = {.a = r->front->req->a};
    struct match m = {0};
    if (r->csl[strspn(r->csl, " \t\r\n")] != '.') {
        kusto_bad_request(r->front, "A command begins with a dot; queries have an endpoint of "
                                    "their own.");
        return;
    }
    const struct command *c = NULL;
    if (split(&w, r->csl) && w.n != 0 && is_word(&w.list[0], ".show", 5)) c = find(&w, &m);
    struct shown out = {0};
    if (c == NULL) {
        unknown(r->front, r->csl);
    } else if (c->run(r, m.names, m.n, &out)) {
        answer(r->front, &out);
    }
}
