/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_expr.c - scalar expressions */
#include "kql/bind.h"

#include "column/dyn.h"

#include "base/str.h"
#include "kql/bind_agg.h"

/* --- names ------------------------------------------------------------------------------------ */

static enum err use_binding(struct scope *s, struct binding *n, uint32_t pos, struct expr **out)
{
    if (n->kind == BIND_LET) TRY(resolve_let(s->b, n));
    if (n->kind == BIND_FUNCTION && n->ast->args.n == 0) { /* f is f() */
        struct ast call = {.kind = AST_CALL, .name = n->name, .pos = pos};
        return bind_function_scalar(s, n, &call, out);
    }
    if (n->kind != BIND_SCALAR) {
        return FAIL_TAG(diag_at(s->b->d, pos), ERR_INVALID, "SEM0001",
                        "'%s' is a %s, where '%s' wants a value", n->name,
                        n->kind == BIND_TABLE      ? "table"
                        : n->kind == BIND_PLACE    ? "database"
                        : n->kind == BIND_ENTITIES ? "group of entities"
                                                   : "function",
                        s->where);
    }
    if (n->base != NULL && n->base != s->base) { /* (1) */
        return FAIL(diag_at(s->b->d, pos), ERR_UNSUPPORTED,
                    "'%s' depends on the row of an outer query, which is not supported", n->name);
    }
    *out = n->expr;
    return OK;
}

static enum err bind_name(struct scope *s, const struct ast *n, struct expr **out)
{
    int col = s->row != NULL ? schema_find(s->row, n->name) : -1;
    if (col >= 0 && s->aggs == NULL) return expr_col(s->b, s->row, (uint32_t)col, out);
    struct binding *found = find_binding(s->names, n->name);
    if (found != NULL) return use_binding(s, found, n->pos, out);
    if (col >= 0) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0236",
                        "the column '%s' must stand in an aggregate or after 'by'", n->name);
    }
    if (!s->is_open || s->aggs != NULL) return no_column(s, n->name, n->pos);
    struct value unknown = {.type = T_DYNAMIC, .is_null = true};
    return expr_const(s->b, &unknown, out);
}

static enum err bind_path(struct scope *s, const struct ast *n, struct expr **out)
{
    struct expr *base, *member;
    bool found = false;
    if (s->scan != NULL) TRY(bind_scan_path(s, n, &found, out));
    if (s->dotted && s->row != NULL) TRY(bind_dotted(s, n, &found, out));
    if (!found) TRY(bind_place_member(s, n, &found, out));
    if (found) return OK;
    TRY(bind_expr(s, n->args.at[0], &base));
    if (n->right != NULL || n->is_open) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SYN0002",
                        "a member of a value is a name, not a call or a pattern");
    }
    TRY(expr_string(s->b, n->name, &member));
    if (base->type != T_DYNAMIC) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                        "'.%s' is taken of a %s; only a dynamic has members", n->name,
                        type_name(base->type));
    }
    return expr_call2(s, n->pos, "op path", base, member, out);
}

static enum err bind_index(struct scope *s, const struct ast *n, struct expr **out)
{
    struct expr *base, *index;
    TRY(bind_expr(s, n->args.at[0], &base));
    TRY(bind_expr(s, n->args.at[1], &index));
    if (base->type != T_DYNAMIC) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                        "an index is taken of a %s; only a dynamic has elements",
                        type_name(base->type));
    }
    const char *oper = index->type == T_STRING ? "op path" : "op index";
    return expr_call2(s, n->pos, oper, base, index, out);
}

/* --- operators -------------------------------------------------------------------------------- */

static bool is_text_operator(const char *name)
{
    static const char *const begins[] = {"contains", "has", "startswith", "endswith", "matches"};
    const char *plain = name + 3; /* "op " */
    if (strcmp(plain, "=~") == 0 || strcmp(plain, "!~") == 0) return true;
    plain += plain[0] == '!';
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncmp(plain, begins[i], strlen(begins[i])) == 0) return true;
    }
    return strcmp(plain, "in~") == 0;
}

/* A search looks for its words in columns of all types; who writes `has` or `=~` compares texts. */
static enum err check_texts(struct scope *s, const struct ast *n, struct expr *const *args,
                            uint32_t n_args)
{
    if (!is_text_operator(n->name)) return OK;
    for (uint32_t i = 0; i < n_args; i++) {
        if (args[i]->type == T_STRING || args[i]->type == T_DYNAMIC) continue;
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0064",
                        "the operator %s compares texts, and this is a %s: tostring() makes one",
                        n->name + 3, type_name(args[i]->type));
    }
    return OK;
}

/* x in (T | project a): the column's values as one list, made once. */
static enum err bind_list_query(struct scope *s, const struct ast *n, struct expr **out)
{
    struct op *op;
    TRY(bind_table(s->b, s->names, n, &op));
    TRY(op_list_of_first_column(s, op, n->pos, &op));
    return expr_query(s->b, op, n->pos, out);
}

/* A candidate becomes what it is compared with, where KQL would convert it. Numbers need no help.
 */
static enum err fit_candidate(struct scope *s, uint32_t pos, enum type to, struct expr **e)
{
    enum type from = (*e)->type;
    if (from == to || from == T_DYNAMIC || to == T_DYNAMIC) return OK;
    bool text = to == T_STRING || (from == T_STRING && (*e)->kind == EXPR_CONST);
    return text ? expr_cast(s, pos, *e, to, true, e) : OK;
}

/* 5 in (column of texts): both are compared as texts, as by ==. */
static enum err agree_with_texts(struct scope *s, uint32_t pos, struct expr **args, uint32_t n)
{
    bool texts = false;
    for (uint32_t i = 1; i < n; i++)
        texts |= args[i]->type == T_STRING;
    if (!texts || args[0]->type == T_STRING || args[0]->type == T_DYNAMIC) return OK;
    for (uint32_t i = 0; i < n; i++) {
        if (args[i]->type != T_DYNAMIC) TRY(expr_cast(s, pos, args[i], T_STRING, true, &args[i]));
    }
    return OK;
}

static enum err bind_in(struct scope *s, const struct ast *n, struct expr **out)
{
    const struct ast_list *list = &n->args.at[1]->args;
    struct expr **args = arena_array(s->b->a, struct expr *, list->n + 1);
    if (args == NULL) return bind_full(s->b);
    TRY(bind_expr(s, n->args.at[0], &args[0]));
    TRY(check_texts(s, n, args, 1));
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *item = list->at[i];
        bool query = list->n == 1 && is_tabular(s->b, s->names, item);
        TRY(query ? bind_list_query(s, item, &args[i + 1]) : bind_expr(s, item, &args[i + 1]));
        TRY(fit_candidate(s, n->pos, args[0]->type, &args[i + 1]));
    }
    TRY(agree_with_texts(s, n->pos, args, list->n + 1));
    return expr_call(s, n->pos, n->name, args, list->n + 1, out);
}

static bool is_in(const char *name)
{
    static const char *const names[] = {"op in",   "op !in",     "op in~",
                                        "op !in~", "op has_any", "op has_all"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

/* Columns that `* has "x"` looks into: texts; `* == 1` those of the operand's type. */
static bool star_takes(const char *oper, enum type column, enum type operand)
{
    bool equality = strcmp(oper, "op ==") == 0 || strcmp(oper, "op !=") == 0;
    if (!equality) return column == T_STRING || column == T_DYNAMIC;
    bool ints = (TM(column) & TM_INTS) != 0 && (TM(operand) & TM_INTS) != 0;
    return column == operand || ints;
}

/* term or term or ... as a balanced tree */
static enum err any_of(struct scope *s, uint32_t pos, struct expr **terms, uint32_t n,
                       struct expr **out)
{
    if (n == 1) {
        *out = terms[0];
        return OK;
    }
    struct expr *left, *right;
    TRY(any_of(s, pos, terms, n / 2, &left));
    TRY(any_of(s, pos, terms + n / 2, n - n / 2, &right));
    return expr_call2(s, pos, "op or", left, right, out);
}

static enum err bind_star(struct scope *s, const struct ast *n, struct expr **out)
{
    struct expr *operand, *column;
    if (s->row == NULL || s->aggs != NULL || n->args.n != 2 || is_in(n->name)) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SYN0002",
                        "'*' stands for all columns only before an operator of text or equality");
    }
    TRY(bind_expr(s, n->args.at[1], &operand));
    struct expr **terms = arena_array(s->b->a, struct expr *, s->row->n + 1);
    if (terms == NULL) return bind_full(s->b);
    uint32_t n_terms = 0;
    for (uint32_t i = 0; i < s->row->n; i++) {
        if (is_hidden(s->row->cols[i].name)) continue;
        if (!star_takes(n->name, s->row->cols[i].type, operand->type)) continue;
        if (strcmp(s->row->cols[i].name, "$table") == 0) continue; /* search's own */
        TRY(expr_col(s->b, s->row, i, &column));
        TRY(expr_call2(s, n->pos, n->name, column, operand, &terms[n_terms++]));
    }
    struct value no = {.type = T_BOOL};
    return n_terms == 0 ? expr_const(s->b, &no, out) : any_of(s, n->pos, terms, n_terms, out);
}

static enum err bind_oper(struct scope *s, const struct ast *n, struct expr **out);

/* a:"x" is has, for a text, else equality. */
static enum err bind_colon(struct scope *s, const struct ast *n, struct expr **out)
{
    struct ast has = *n;
    const struct ast *right = n->args.at[1];
    has.name = right->kind == AST_CONST && right->value.type != T_STRING ? "op ==" : "op has";
    if (n->args.at[0]->kind == AST_STAR) return bind_star(s, &has, out);
    struct expr *args[2];
    for (uint32_t i = 0; i < 2; i++)
        TRY(bind_expr(s, n->args.at[i], &args[i]));
    return expr_call(s, n->pos, has.name, args, 2, out);
}

static enum err bind_oper(struct scope *s, const struct ast *n, struct expr **out)
{
    if (strcmp(n->name, "op :") == 0) return bind_colon(s, n, out);
    if (n->args.at[0]->kind == AST_STAR) return bind_star(s, n, out);
    if (is_in(n->name)) return bind_in(s, n, out);

    struct expr *args[3];
    for (uint32_t i = 0; i < n->args.n; i++)
        TRY(bind_expr(s, n->args.at[i], &args[i]));
    TRY(check_texts(s, n, args, n->args.n));
    return expr_call(s, n->pos, n->name, args, n->args.n, out);
}

/* --- calls that are the binder's own ---------------------------------------------------------- */

static bool reads_columns(const struct expr *e)
{
    if (e->kind == EXPR_COL) return true;
    for (uint32_t i = 0; e->kind == EXPR_CALL && i < e->call.n_args; i++) {
        if (reads_columns(e->args[i])) return true;
    }
    return false;
}

/* toscalar(rand()): one value for all rows. */
static enum err bind_toscalar_value(struct scope *s, const struct ast *n, struct expr **out)
{
    struct op *row;
    TRY(bind_expr(s, n, out));
    if ((*out)->kind != EXPR_CALL || reads_columns(*out)) return OK;
    struct named_expr value = {"value", *out};
    TRY(op_new(s->b, OP_ROWS, NULL, n->pos, &row));
    row->rows.n_rows = 1;
    TRY(op_project(s->b, row, n->pos, &value, 1, &row));
    return expr_query(s->b, row, n->pos, out);
}

static enum err bind_toscalar(struct scope *s, const struct ast *n, struct expr **out)
{
    struct op *op;
    if (n->args.n != 1) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "toscalar() takes 1 argument, not %u", n->args.n);
    }
    if (!is_tabular(s->b, s->names, n->args.at[0]))
        return bind_toscalar_value(s, n->args.at[0], out);
    TRY(bind_table(s->b, s->names, n->args.at[0], &op));
    return expr_query(s->b, op, n->pos, out);
}

/* The name may be a constant expression: column_ifexists(strcat("a", "b"), ""). */
static enum err bind_column_ifexists(struct scope *s, const struct ast *n, struct expr **out)
{
    struct expr *name;
    if (n->args.n != 2) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "%s() takes 2 arguments, not %u", n->name, n->args.n);
    }
    const struct ast *first = n->args.at[0];
    struct scope plain = *s;
    plain.row = NULL;
    TRY(bind_const(&plain, first, &name));
    if (name->type != T_STRING) {
        return FAIL_TAG(diag_at(s->b->d, first->pos), ERR_INVALID, "SEM0064",
                        "the 1st argument of %s() is the name of a column, not a %s", n->name,
                        type_name(name->type));
    }
    const char *text = arena_str(s->b->a, name->value.s);
    if (text == NULL) return bind_full(s->b);
    int col = s->row != NULL ? schema_find(s->row, text) : -1;
    if (col >= 0) return expr_col(s->b, s->row, (uint32_t)col, out);
    return bind_expr(s, n->args.at[1], out);
}

static enum err bind_is_column(struct scope *s, const struct ast *n, struct expr **out)
{
    bool text =
        n->args.n == 1 && n->args.at[0]->kind == AST_CONST && n->args.at[0]->value.type == T_STRING;
    if (!text) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "iscolumnexists() takes the name of a column as a string");
    }
    const char *name = arena_str(s->b->a, n->args.at[0]->value.s);
    if (name == NULL) return bind_full(s->b);
    struct value v = {.type = T_BOOL, .b = s->row != NULL && schema_find(s->row, name) >= 0};
    return expr_const(s->b, &v, out);
}

/* column_names_of(T): a constant, for the columns of a table are known before it is read. */
static enum err bind_column_names(struct scope *s, const struct ast *n, struct expr **out)
{
    struct op *op;
    struct buf dyn = {0};
    if (n->args.n != 1) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "column_names_of() takes 1 argument, not %u", n->args.n);
    }
    TRY(bind_table(s->b, s->names, n->args.at[0], &op));
    size_t at = dyn_array_begin(&dyn);
    for (uint32_t i = 0; i < op->schema.n; i++) {
        struct value name = {.type = T_STRING, .s = bytes_str(op->schema.cols[i].name)};
        if (dyn_from_value(&name, &dyn, NULL) != OK) dyn.bad = true;
    }
    dyn_array_end(&dyn, at, op->schema.n);
    struct value v = {.type = T_DYNAMIC, .s = arena_bytes(s->b->a, buf_view(&dyn))};
    bool bad = dyn.bad || v.s.p == NULL;
    buf_release(&dyn);
    return bad ? bind_full(s->b) : expr_const(s->b, &v, out);
}

static enum err unknown_function(struct scope *s, const struct ast *n)
{
    diag_at(s->b->d, n->pos);
    if (agg_find(n->name) != NULL) {
        return FAIL_TAG(s->b->d, ERR_INVALID, "SEM0144", "the aggregate %s() cannot stand in '%s'",
                        n->name, s->where);
    }
    if (known_function(n->name)) {
        const char *why = known_refusal(n->name);
        return FAIL(s->b->d, ERR_UNSUPPORTED, "the function %s() is not supported%s%s", n->name,
                    why != NULL ? ": " : "", why != NULL ? why : "");
    }
    struct nearest best = nearest_to(n->name);
    for (struct binding *f = s->names; f != NULL; f = f->up) {
        if (f->kind == BIND_FUNCTION) nearest_try(&best, f->name);
    }
    /* Aggregates where one can stand; what is known and refused says so when it is tried. */
    const char *known;
    for (uint32_t i = 0; (known = known_function_at(i)) != NULL; i++) {
        if (s->aggs != NULL || agg_find(known) == NULL) nearest_try(&best, known);
    }
    return FAIL_TAG(s->b->d, ERR_INVALID, "SEM0260", "unknown function '%s'" NEAREST_FMT, n->name,
                    NEAREST_ARGS(best.name));
}

/* extract(re, 1, s, typeof(long)): the result is converted. */
static bool has_typeof(const struct ast *n)
{
    static const char *const names[] = {"extract", "extractjson", "extract_json",
                                        "percentile_tdigest"};
    if (n->args.n == 0 || n->args.at[n->args.n - 1]->kind != AST_TYPEOF) return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(n->name, names[i]) == 0) return true;
    }
    return false;
}

/* percentiles_array_tdigest(t, 50, typeof(long)): the elements are converted, so the function is told
 * the type's name. */
static enum err bind_argument(struct scope *s, const char *function, const struct ast *arg,
                              struct expr **out)
{
    bool of_elements =
        arg->kind == AST_TYPEOF && strcmp(function, "percentiles_array_tdigest") == 0;
    if (of_elements) return expr_string(s->b, type_name(arg->type), out);
    /* A name before an argument, toint(n = x), is taken and means nothing. */
    return bind_expr(s, arg->kind == AST_NAMED ? arg->left : arg, out);
}

static enum err bind_registered(struct scope *s, const struct ast *n, struct expr **out)
{
    bool typed = has_typeof(n);
    uint32_t count = n->args.n - (typed ? 1 : 0);
    struct expr **args = arena_array(s->b->a, struct expr *, count + 1);
    if (args == NULL) return bind_full(s->b);
    for (uint32_t i = 0; i < count; i++)
        TRY(bind_argument(s, n->name, n->args.at[i], &args[i]));
    TRY(expr_call(s, n->pos, n->name, args, count, out));
    if (!typed) return OK;
    /* What a cast would wrap: the text of an object is to become the object. */
    if (n->args.at[count]->type == T_DYNAMIC) return expr_call(s, n->pos, "todynamic", out, 1, out);
    return expr_cast(s, n->pos, *out, n->args.at[count]->type, true, out);
}

static const struct {
    const char *name;
    enum err (*bind)(struct scope *s, const struct ast *n, struct expr **out);
} own[] = {
    {"toscalar", bind_toscalar},
    {"column_ifexists", bind_column_ifexists},
    {"columnifexists", bind_column_ifexists},
    {"iscolumnexists", bind_is_column},
    {"pack_all", bind_pack_all},
    {"bag_pack_columns", bind_pack_columns},
    {"bin_auto", bind_bin_auto},
    {"ingestion_time", bind_ingestion_time},
    {"column_names_of", bind_column_names},
    {"estimate_data_size", bind_data_size},
    {"current_database", bind_current},
    {"current_cluster_endpoint", bind_current},
    {"current_principal", bind_current},
    {"current_principal_details", bind_current},
    {"current_principal_is_member_of", bind_current},
};

bool binds_function(const char *name)
{
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(name, own[i].name) == 0) return true;
    }
    return several_there(name);
}

static enum err bind_call(struct scope *s, const struct ast *n, struct expr **out)
{
    struct binding *f = find_binding(s->names, n->name);
    if (f != NULL && f->kind == BIND_LET) TRY(resolve_let(s->b, f));
    if (f != NULL && f->kind == BIND_FUNCTION) return bind_function_scalar(s, f, n, out);
    if (s->aggs != NULL && agg_find(n->name) != NULL) return bind_aggregate(s, n, out);
    bool found = false;
    if (s->dotted && s->row != NULL) TRY(bind_graph_function(s, n, &found, out));
    if (found) return OK;

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(n->name, own[i].name) == 0) return own[i].bind(s, n, out);
    }
    return fn_find(n->name) != NULL ? bind_registered(s, n, out) : unknown_function(s, n);
}

/* --- all -------------------------------------------------------------------------------------- */

static enum err not_a_value(struct scope *s, const struct ast *n, const char *what)
{
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SYN0002", "'%s' wants a value, not %s",
                    s->where, what);
}

static enum err bind_kind(struct scope *s, const struct ast *n, struct expr **out)
{
    switch (n->kind) {
    case AST_NAME: return bind_name(s, n, out);
    case AST_CONST: return expr_const(s->b, &n->value, out);
    case AST_CALL: return bind_call(s, n, out);
    case AST_OPER: return bind_oper(s, n, out);
    case AST_PATH: return bind_path(s, n, out);
    case AST_INDEX: return bind_index(s, n, out);
    case AST_STAR: return not_a_value(s, n, "'*'");
    case AST_TYPEOF: return not_a_value(s, n, "a type");
    case AST_NAMED: return not_a_value(s, n, "a name and its value");
    case AST_CLIENT:
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                        "the client parameter {%s} was not filled in", n->name);
    default: return not_a_value(s, n, "a table");
    }
}

enum err bind_expr(struct scope *s, const struct ast *n, struct expr **out)
{
    if (++s->b->steps > BIND_STEPS_MAX) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_LIMIT, "SEM0001",
                        "the query has more than %d expressions once its functions are written out",
                        BIND_STEPS_MAX);
    }
    TRY(bind_deeper(s->b, n->pos));
    TRY(bind_kind(s, n, out));
    s->b->depth--;
    return OK;
}

enum err bind_condition(struct scope *s, const struct ast *n, struct expr **out)
{
    TRY(bind_expr(s, n, out));
    if ((*out)->type == T_BOOL) return OK;
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0141",
                    "'%s' wants a condition of type bool, not %s", s->where,
                    type_name((*out)->type));
}

enum err bind_const(struct scope *s, const struct ast *n, struct expr **out)
{
    TRY(bind_expr(s, n, out));
    if ((*out)->kind == EXPR_CONST) return OK;
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0134", "'%s' wants a constant here",
                    s->where);
}

enum err bind_long(struct scope *s, const struct ast *n, struct expr **out)
{
    TRY(bind_expr(s, n, out));
    bool whole = (TM((*out)->type) & TM_INTS) != 0;
    if (whole && ((*out)->kind == EXPR_CONST || (*out)->kind == EXPR_SCALAR_QUERY)) {
        return expr_cast(s, n->pos, *out, T_LONG, true, out);
    }
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0134",
                    "'%s' wants a constant whole number here", s->where);
}
