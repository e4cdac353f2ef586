/* SPDX-License-Identifier: Apache-2.0 */
/* cli/table.c - tables and charts in a terminal */
#include "cli/table.h"

#include "base/str.h"

#include <stdlib.h>
#include <unistd.h>

#define BOLD      "\033[1m"
#define DIM       "\033[2m"
#define BLUE      "\033[34m"
#define RESET     "\033[0m"
#define CHART_MAX 50 /* characters of the longest bar */

bool colour_wanted(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    return isatty(fileno(f)) && (no == NULL || no[0] == 0);
}

static bool is_number(const char *type)
{
    return str_eq(type, "long") || str_eq(type, "int") || str_eq(type, "real") ||
           str_eq(type, "decimal");
}

/* Characters, not bytes: continuation bytes of UTF-8 do not count. */
static size_t width_of(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

/* One cell on one line: control characters become spaces. */
static void cell_text(const json_t *v, size_t max, struct buf *out)
{
    if (json_is_string(v)) {
        buf_str(out, json_string_value(v));
    } else if (json_is_real(v)) {
        buf_fmt(out, "%.15g", json_real_value(v));
    } else if (!json_is_null(v)) {
        if (json_write(v, out, NULL) != OK) return;
    }
    for (size_t i = 0; i < out->len; i++) {
        if (out->p[i] < 0x20 || out->p[i] == 0x7f) out->p[i] = ' ';
    }
    if (max == 0 || width_of((char *)out->p, out->len) <= max) return;
    size_t keep = 0, chars = 0;
    while (chars < max - 1 || (out->p[keep] & 0xc0) == 0x80) {
        chars += (out->p[keep] & 0xc0) != 0x80;
        keep++;
    }
    /* Never in the middle of a character. */
    while (keep > 0 && (out->p[keep] & 0xc0) == 0x80)
        keep--;
    buf_shrink(out, keep);
    buf_str(out, "\u2026");
}

static void put_padded(FILE *f, const char *text, size_t width, bool right, bool last)
{
    size_t have = width_of(text, strlen(text)), pad = have < width ? width - have : 0;
    if (right)
        fprintf(f, "%*s%s", (int)pad, "", text);
    else if (last)
        fputs(text, f);
    else
        fprintf(f, "%s%*s", text, (int)pad, "");
}

static void column_widths(const json_t *table, const struct table_style *style, size_t *widths)
{
    size_t i, c;
    json_t *column, *row, *cell;
    json_array_foreach (json_get(table, "columns"), c, column) {
        const char *name = json_get_str(column, "name");
        widths[c] = width_of(name, strlen(name));
    }
    json_array_foreach (json_get(table, "rows"), i, row) {
        json_array_foreach (row, c, cell) {
            CLEANUP_BUF struct buf text = {0};
            cell_text(cell, style->cell_max, &text);
            size_t w = width_of((char *)text.p, text.len);
            if (w > widths[c]) widths[c] = w;
        }
    }
}

void table_print(FILE *f, const json_t *table, const struct table_style *style)
{
    const char *indent = style->indent != NULL ? style->indent : "";
    json_t *columns = json_get(table, "columns"), *column, *row, *cell;
    size_t n = json_array_size(columns), i, c;
    CLEANUP_FREE size_t *widths = calloc(n + 1, sizeof *widths);
    if (widths == NULL) return;
    column_widths(table, style, widths);

    fprintf(f, "%s%s", indent, style->colour ? BOLD : "");
    json_array_foreach (columns, c, column) {
        if (c != 0) fputs("  ", f);
        put_padded(f, json_get_str(column, "name"), widths[c],
                   is_number(json_get_str(column, "type")), c + 1 == n);
    }
    fprintf(f, "%s\n%s", style->colour ? RESET : "", indent);
    for (c = 0; c < n; c++) {
        if (c != 0) fputs("  ", f);
        for (size_t k = 0; k < widths[c]; k++)
            fputc('-', f);
    }
    fputc('\n', f);
    json_array_foreach (json_get(table, "rows"), i, row) {
        fputs(indent, f);
        json_array_foreach (row, c, cell) {
            CLEANUP_BUF struct buf text = {0};
            cell_text(cell, style->cell_max, &text);
            if (c != 0) fputs("  ", f);
            put_padded(f, buf_cstr(&text), widths[c],
                       is_number(json_get_str(json_array_get(columns, c), "type")), c + 1 == n);
        }
        fputc('\n', f);
    }
}

void chart_print(FILE *f, const json_t *table, const struct table_style *style)
{
    const char *indent = style->indent != NULL ? style->indent : "";
    json_t *rows = json_get(table, "rows"), *row;
    double top = 0;
    size_t i;
    json_array_foreach (rows, i, row) {
        double v = json_number_value(json_array_get(row, 1));
        if (v > top) top = v;
    }
    json_array_foreach (rows, i, row) {
        const char *when = json_string_value(json_array_get(row, 0));
        double v = json_number_value(json_array_get(row, 1));
        fprintf(f, "%s%.16s  %s", indent, when != NULL ? when : "", style->colour ? BLUE : "");
        int n = top > 0 ? (int)(v / top * CHART_MAX + 0.5) : 0;
        for (int k = 0; k < n; k++)
            fputs("\u2588", f);
        fprintf(f, "%s %.0f\n", style->colour ? RESET : "", v);
    }
}

static void csv_field(FILE *f, const char *s)
{
    if (strpbrk(s, ",\"\r\n") == NULL) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s != 0; s++) {
        if (*s == '"') fputc('"', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

void table_print_csv(FILE *f, const json_t *table)
{
    size_t i, c;
    json_t *column, *row, *cell;
    json_array_foreach (json_get(table, "columns"), c, column) {
        if (c != 0) fputc(',', f);
        csv_field(f, json_get_str(column, "name"));
    }
    fputs("\r\n", f);
    json_array_foreach (json_get(table, "rows"), i, row) {
        json_array_foreach (row, c, cell) {
            CLEANUP_BUF struct buf text = {0};
            if (json_is_string(cell))
                buf_str(&text, json_string_value(cell));
            else if (!json_is_null(cell) && json_write(cell, &text, NULL) != OK)
                continue;
            if (c != 0) fputc(',', f);
            csv_field(f, buf_cstr(&text));
        }
        fputs("\r\n", f);
    }
}

enum err table_print_jsonl(FILE *f, const json_t *table, struct diag *d)
{
    json_t *columns = json_get(table, "columns"), *row, *cell;
    size_t i, c;
    json_array_foreach (json_get(table, "rows"), i, row) {
        CLEANUP_JSON json_t *o = json_object();
        json_array_foreach (row, c, cell) {
            if (json_object_set(o, json_get_str(json_array_get(columns, c), "name"), cell) != 0) {
                return FAIL(d, ERR_LIMIT, "out of memory");
            }
        }
        CLEANUP_BUF struct buf text = {0};
        TRY(json_write(o, &text, d));
        fprintf(f, "%s\n", buf_cstr(&text));
    }
    return OK;
}
