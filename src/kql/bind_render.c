/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_render.c - render: how the client is to draw the result; passed through */
#include "kql/bind.h"

static const char *property_text(struct binder *b, const struct ast *n)
{
    struct buf text = {0};
    const char *out = NULL;
    if (n->kind == AST_NAME) return n->name;
    if (n->kind != AST_CONST && n->end > b->text.len) return "";
    if (n->kind != AST_CONST) return arena_str(b->a, bytes_of(b->text.p + n->pos, n->end - n->pos));
    switch (n->value.type) {
    case T_STRING: return arena_str(b->a, n->value.s);
    case T_BOOL: return n->value.b ? "true" : "false";
    case T_LONG: return arena_fmt(b->a, "%lld", (long long)n->value.i);
    case T_DATETIME: datetime_format(n->value.i, &text); break;
    case T_REAL: real_format(n->value.r, &text); break;
    default: break;
    }
    out = arena_str(b->a, buf_view(&text));
    buf_release(&text);
    return out;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(name, *list) == 0) return true;
    return false;
}

static enum err check_render(struct op_cx *cx)
{
    static const char *const kinds[] = {
        "3Dchart",  "anomalychart", "areachart",    "barchart", "card",      "columnchart",
        "graph",    "ladderchart",  "linechart",    "list",     "piechart",  "pivotchart",
        "plotly",   "sankey",       "scatterchart", "table",    "timechart", "stackedareachart",
        "timeline", "timepivot",    "treemap",      NULL};
    static const char *const props[] = {
        "accumulate", "anomalycolumns", "kind", "legend", "series", "title",
        "xaxis",      "xcolumn",        "xmax", "xmin",   "xtitle", "yaxis",
        "ycolumns",   "ymax",           "ymin", "ysplit", "ytitle", NULL};
    const struct ast_list *list = &cx->ast->params;
    if (!is_one_of(cx->ast->name, kinds))
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "'render' knows no '%s'", cx->ast->name);
    for (uint32_t i = 0; i < list->n; i++) {
        if (is_one_of(list->at[i]->name, props)) continue;
        return FAIL_TAG(diag_at(cx->b->d, list->at[i]->pos), ERR_INVALID, "SYN0002",
                        "'render' knows no property '%s'", list->at[i]->name);
    }
    return OK;
}

enum err bind_render(struct op_cx *cx, struct op **out)
{
    TRY(check_render(cx));
    struct render *r = &cx->b->plan->render;
    const struct ast_list *list = &cx->ast->params;
    *r = (struct render){.kind = cx->ast->name, .n = list->n};
    r->props = arena_array(cx->b->a, struct render_prop, list->n + 1);
    if (r->props == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *p = list->at[i];
        const char *value = property_text(cx->b, p->left);
        for (uint32_t j = 0; value != NULL && j < p->args.n; j++) {
            const char *more = property_text(cx->b, p->args.at[j]);
            value = more != NULL ? arena_fmt(cx->b->a, "%s,%s", value, more) : NULL;
        }
        if (value == NULL) return bind_full(cx->b);
        r->props[i].name = p->name;
        r->props[i].value = value;
    }
    *out = cx->in;
    return OK;
}
