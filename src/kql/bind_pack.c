/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_pack.c - calls that mean columns by their names: pack_all, bag_pack_columns,
 * estimate_data_size; bin_auto */
#include "kql/bind.h"

/* bag_pack("a", a, "b", b ...) of the columns given, or of all. */
static enum err pack_columns(struct scope *s, uint32_t pos, struct expr **columns,
                             const char **names, uint32_t n, struct expr **out)
{
    struct expr **args = arena_array(s->b->a, struct expr *, 2 * (size_t)n + 1);
    if (args == NULL) return bind_full(s->b);
    for (uint32_t i = 0; i < n; i++) {
        TRY(expr_string(s->b, names[i], &args[2 * i]));
        args[2 * i + 1] = columns[i];
    }
    return expr_call(s, pos, "bag_pack", args, 2 * n, out);
}

static enum err empty_bag(struct scope *s, uint32_t pos, struct expr **out)
{
    struct expr *text;
    TRY(expr_string(s->b, "{}", &text));
    return expr_call(s, pos, "parse_json", &text, 1, out);
}

/* iff(isempty(a), dynamic({}), bag_pack("a", a)) */
static enum err pack_unless_empty(struct scope *s, uint32_t pos, struct expr **column,
                                  const char **name, struct expr **out)
{
    struct expr *args[3], *text;
    TRY(expr_cast(s, pos, *column, T_STRING, true, &text));
    TRY(expr_call(s, pos, "isempty", &text, 1, &args[0]));
    TRY(empty_bag(s, pos, &args[1]));
    TRY(pack_columns(s, pos, column, name, 1, &args[2]));
    return expr_call(s, pos, "iff", args, 3, out);
}

/* pack_all(true): bags of one member, merged by halves. */
static enum err pack_filled(struct scope *s, uint32_t pos, struct expr **columns,
                            const char **names, uint32_t n, struct expr **out)
{
    struct expr *left, *right;
    if (n == 0) return empty_bag(s, pos, out);
    if (n == 1) return pack_unless_empty(s, pos, columns, names, out);
    TRY(pack_filled(s, pos, columns, names, n / 2, &left));
    TRY(pack_filled(s, pos, columns + n / 2, names + n / 2, n - n / 2, &right));
    return expr_call2(s, pos, "bag_merge", left, right, out);
}

enum err bind_pack_all(struct scope *s, const struct ast *n, struct expr **out)
{
    bool filled = false;
    if (n->args.n > 1) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "pack_all() takes 0 or 1 arguments, not %u", n->args.n);
    }
    if (n->args.n == 1) {
        struct expr *e;
        TRY(bind_const(s, n->args.at[0], &e));
        TRY(expr_cast(s, n->pos, e, T_BOOL, false, &e));
        filled = !e->value.is_null && e->value.b;
    }
    uint32_t count = s->row != NULL ? s->row->n : 0;
    struct expr **columns = arena_array(s->b->a, struct expr *, count + 1);
    const char **names = arena_array(s->b->a, const char *, count + 1);
    if (columns == NULL || names == NULL) return bind_full(s->b);
    uint32_t shown = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_hidden(s->row->cols[i].name)) continue;
        TRY(expr_col(s->b, s->row, i, &columns[shown]));
        names[shown++] = s->row->cols[i].name;
    }
    if (shown == 0) return empty_bag(s, n->pos, out);
    return (filled ? pack_filled : pack_columns)(s, n->pos, columns, names, shown, out);
}

enum err bind_pack_columns(struct scope *s, const struct ast *n, struct expr **out)
{
    struct expr **columns = arena_array(s->b->a, struct expr *, n->args.n + 1);
    const char **names = arena_array(s->b->a, const char *, n->args.n + 1);
    if (columns == NULL || names == NULL) return bind_full(s->b);
    for (uint32_t i = 0; i < n->args.n; i++) {
        const struct ast *column = n->args.at[i];
        if (column->kind != AST_NAME) {
            return FAIL_TAG(diag_at(s->b->d, column->pos), ERR_INVALID, "SEM0100",
                            "bag_pack_columns() takes names of columns only");
        }
        TRY(bind_expr(s, column, &columns[i]));
        names[i] = column->name;
    }
    return pack_columns(s, n->pos, columns, names, n->args.n, out);
}

/* estimate_data_size(a, b) or (*): all columns. */
enum err bind_data_size(struct scope *s, const struct ast *n, struct expr **out)
{
    bool all = n->args.n == 1 && n->args.at[0]->kind == AST_STAR;
    uint32_t count = !all ? n->args.n : s->row != NULL ? s->row->n : 0;
    struct expr **columns = arena_array(s->b->a, struct expr *, count + 1);
    if (columns == NULL) return bind_full(s->b);
    for (uint32_t i = 0; i < count; i++) {
        if (!all && n->args.at[i]->kind != AST_NAME) {
            return FAIL_TAG(diag_at(s->b->d, n->args.at[i]->pos), ERR_INVALID, "SEM0064",
                            "estimate_data_size() takes names of columns");
        }
        TRY(all ? expr_col(s->b, s->row, i, &columns[i])
                : bind_expr(s, n->args.at[i], &columns[i]));
    }
    return expr_call(s, n->pos, "estimate_data_size", columns, count, out);
}

/* bin_auto(x): bins of the size that `set query_bin_auto_size` gives, at `set query_bin_auto_at`.
 */
enum err bind_bin_auto(struct scope *s, const struct ast *n, struct expr **out)
{
    struct binder *b = s->b;
    struct expr *args[3];
    if (n->args.n != 1) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0219",
                        "bin_auto() takes 1 argument, not %u", n->args.n);
    }
    if (b->bin_auto_size == NULL) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0001",
                        "bin_auto() needs `set query_bin_auto_size` before the query");
    }
    struct scope plain = {.b = b, .where = "bin_auto()"};
    TRY(bind_expr(s, n->args.at[0], &args[0]));
    TRY(bind_expr(&plain, b->bin_auto_size, &args[1]));
    if (b->bin_auto_at == NULL) return expr_call(s, n->pos, "bin", args, 2, out);
    TRY(bind_expr(&plain, b->bin_auto_at, &args[2]));
    return expr_call(s, n->pos, "bin_at", args, 3, out);
}
