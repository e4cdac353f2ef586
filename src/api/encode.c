/* SPDX-License-Identifier: Apache-2.0 */
/* api/encode.c - vectors to JSON, straight into the answer */
#include "api/encode.h"

#include "base/str.h"
#include "column/dyn.h"
#include "json/json.h"

#include <math.h>

static void encode_real(struct buf *out, double v)
{
    if (!isfinite(v)) {
        buf_str(out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    size_t at = out->len;
    real_format(v, out);
    for (size_t i = at; i < out->len; i++) {
        if (strchr(".eE", out->p[i]) != NULL) return;
    }
    buf_str(out, ".0"); /* so that a reader without the column's type sees a real */
}

static void quoted(struct buf *out, void (*format)(int64_t v, struct buf *out), int64_t v)
{
    buf_u8(out, '"');
    format(v, out);
    buf_u8(out, '"');
}

static void encode_guid(struct buf *out, const struct u128 *v)
{
    struct guid g;
    char text[GUID_TEXT_MAX];
    memcpy(g.b, v->b, sizeof g.b);
    guid_format(&g, text);
    buf_fmt(out, "\"%s\"", text);
}

static void encode_dynamic(struct buf *out, struct bytes v)
{
    CLEANUP_BUF struct buf text = {0};
    dyn_to_json(v, &text);
    json_quote(out, buf_view(&text));
}

static const struct u128 *u128_at(const struct vec *v, uint32_t row)
{
    return &((const struct u128 *)vec_data(v))[vec_at(v, row)];
}

static void encode(struct buf *out, const struct vec *v, uint32_t row, bool native_dynamic)
{
    if (v->type != T_STRING && vec_null(v, row)) {
        buf_str(out, "null");
        return;
    }
    switch (v->type) {
    case T_BOOL: buf_str(out, vec_bool(v, row) ? "true" : "false"); break;
    case T_INT:
    case T_LONG: buf_fmt(out, "%lld", (long long)vec_i64(v, row)); break;
    case T_REAL: encode_real(out, vec_r64(v, row)); break;
    case T_DECIMAL:
        buf_u8(out, '"');
        decimal_format(u128_at(v, row), out);
        buf_u8(out, '"');
        break;
    case T_STRING: json_quote(out, vec_str(v, row)); break;
    case T_DATETIME: quoted(out, datetime_format, vec_i64(v, row)); break;
    case T_TIMESPAN: quoted(out, timespan_format, vec_i64(v, row)); break;
    case T_GUID: encode_guid(out, u128_at(v, row)); break;
    case T_DYNAMIC: {
        struct bytes dyn = vec_str(v, row);
        if (dyn_kind(dyn) == DYN_NULL) {
            buf_str(out, "null");
        } else if (native_dynamic) {
            dyn_to_json(dyn, out);
        } else {
            encode_dynamic(out, dyn);
        }
        break;
    }
    case T_NONE:
    case N_TYPES: buf_str(out, "null"); break;
    }
}

void encode_value(struct buf *out, const struct vec *v, uint32_t row)
{
    encode(out, v, row, false);
}

void encode_columns(struct buf *out, const struct schema *s)
{
    buf_u8(out, '[');
    for (uint32_t i = 0; i < s->n; i++) {
        if (i != 0) buf_u8(out, ',');
        buf_str(out, "{\"name\":");
        json_quote(out, bytes_str(s->cols[i].name));
        buf_str(out, ",\"type\":");
        json_quote(out, bytes_str(type_name(s->cols[i].type)));
        buf_u8(out, '}');
    }
    buf_u8(out, ']');
}

void encode_rows(struct buf *out, const struct batch *b, uint64_t rows_before, bool native_dynamic)
{
    for (uint32_t row = 0; row < b->n_rows; row++) {
        buf_str(out, row != 0 || rows_before != 0 ? ",[" : "[");
        for (uint32_t i = 0; i < b->n_cols; i++) {
            if (i != 0) buf_u8(out, ',');
            encode(out, &b->cols[i], row, native_dynamic);
        }
        buf_u8(out, ']');
    }
}
