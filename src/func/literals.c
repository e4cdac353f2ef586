/* SPDX-License-Identifier: Apache-2.0 */
/* func/literals.c - reads plain texts out of a pattern, and looks for them */
#include "func/literals.h"

#include "base/str.h"

#include <stdlib.h>

#define LEN_MIN 2 /* bytes: a shorter run tells too little */

/* --- reading: what it is not sure of ends the run or gives up -------------------------------- */

struct found {
    struct buf text;          /* all parts, one behind the other, then the run under way */
    size_t end[LITERALS_MAX]; /* of each part */
    uint32_t n;
};

static void end_run(struct found *f)
{
    size_t from = f->n != 0 ? f->end[f->n - 1] : 0;
    if (f->text.bad) return;
    struct bytes run = bytes_of(f->text.p + from, f->text.len - from);
    if (f->n < LITERALS_MAX && run.len >= LEN_MIN && utf8_valid(run))
        f->end[f->n++] = f->text.len;
    else
        buf_shrink(&f->text, from);
}

/* Behind a class or a group that begins at i; 0: give up. */
static size_t skip_group(struct bytes p, size_t i)
{
    int depth = 0;
    for (; i < p.len; i++) {
        if (p.p[i] == '\\') {
            i++;
        } else if (p.p[i] == '[') {
            i++;
            if (i < p.len && p.p[i] == '^') i++;
            if (i < p.len && p.p[i] == ']') i++;
            for (; i < p.len && p.p[i] != ']'; i++) {
                if (p.p[i] == '[') return 0; /* [[:alpha:]] */
                if (p.p[i] == '\\') i++;
            }
            if (depth == 0) return i + 1;
        } else if (p.p[i] == '(') {
            if (i + 1 < p.len && p.p[i + 1] == '?')
                return 0; /* flags may change what a letter means */
            depth++;
        } else if (p.p[i] == ')' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* The plain character at i, stepped over; false: it is something else. */
static bool plain_char(struct bytes p, size_t *i, uint8_t *c)
{
    *c = p.p[*i];
    if (*c == '\\' && *i + 1 < p.len && p.p[*i + 1] < 0x80 && !char_alnum(p.p[*i + 1])) {
        *c = p.p[*i + 1];
        *i += 2;
        return true;
    }
    if (*c == 0 || strchr("\\^$.|?*+()[]{}", *c) != NULL) return false;
    ++*i;
    return true;
}

/* False: nothing can be said about the pattern. */
static bool find_parts(struct bytes p, struct found *f)
{
    for (size_t i = 0; i < p.len;) {
        uint8_t c;
        if (p.p[i] == '|') return false;
        if (p.p[i] == '(' || p.p[i] == '[') {
            end_run(f);
            if ((i = skip_group(p, i)) == 0) return false;
            continue;
        }
        if (plain_char(p, &i, &c)) {
            bool repeated = i < p.len && strchr("?*{", p.p[i]) != NULL && p.p[i] != 0;
            if (!repeated) buf_u8(&f->text, c);
            /* a part of a repeated character of several bytes would not be repeated by itself */
            if (repeated && c >= 0x80) return false;
            if (repeated || (i < p.len && p.p[i] == '+')) end_run(f);
            continue;
        }
        end_run(f);
        if (p.p[i] == '{') { /* a count: its digits are no text */
            const uint8_t *end = memchr(p.p + i, '}', p.len - i);
            if (end == NULL) return false;
            i = (size_t)(end - p.p) + 1;
        } else {
            i += p.p[i] == '\\' ? 2 : 1;
            if (p.p[i - 1] != '.' && i >= 2 && p.p[i - 2] == '\\' &&
                strchr("bBdDwWsSAz", p.p[i - 1]) == NULL)
                return false;
        }
    }
    end_run(f);
    return !f->text.bad;
}

void literals_of(struct bytes pattern, struct literals *out)
{
    struct found f = {0};
    *out = (struct literals){0};
    if (find_parts(pattern, &f) && f.n != 0) out->text = malloc(f.text.len);
    if (out->text != NULL) {
        memcpy(out->text, f.text.p, f.text.len);
        for (size_t from = 0; out->n < f.n; from = f.end[out->n++])
            out->parts[out->n] = needle_exact(bytes_of(out->text + from, f.end[out->n] - from));
    }
    buf_release(&f.text);
}

void literals_release(struct literals *l)
{
    free(l->text);
    *l = (struct literals){0};
}

/* --- looking ---------------------------------------------------------------------------------- */

bool literals_stand_in(const struct literals *l, struct bytes text, size_t from)
{
    for (uint32_t i = 0; i < l->n; i++) {
        size_t len, at = needle_find(&l->parts[i], text, from, &len);
        if (at == TEXT_NONE) return false;
        from = at + len;
    }
    return true;
}

uint32_t literals_rarest(const struct literals *l, const struct bytes *rows, uint32_t n)
{
    uint32_t best = 0, best_count = UINT32_MAX;
    for (uint32_t i = 0; i < l->n; i++) {
        struct needle_rows r = {.needle = &l->parts[i], .rows = rows, .n_rows = n};
        uint32_t count = 0, row;
        while (needle_rows_next(&r, &row))
            count++;
        bool longer = l->parts[i].text.len > l->parts[best].text.len;
        if (count < best_count || (count == best_count && longer)) {
            best = i;
            best_count = count;
        }
    }
    return best;
}
