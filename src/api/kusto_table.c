/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto_table.c - the two shapes that a table has on the wire */
#include "api/encode.h"
#include "api/kusto.h"

/* As the original's getschema has them, without "System.". */
const char *kusto_net_type(enum type t)
{
    static const char *const names[N_TYPES] = {
        [T_BOOL] = "SByte",        [T_INT] = "Int32",          [T_LONG] = "Int64",
        [T_REAL] = "Double",       [T_DECIMAL] = "SqlDecimal", [T_STRING] = "String",
        [T_DATETIME] = "DateTime", [T_TIMESPAN] = "TimeSpan",  [T_GUID] = "Guid",
        [T_DYNAMIC] = "Object",
    };
    return names[t] != NULL ? names[t] : "Object";
}

static void columns(struct buf *out, bool v2, const struct schema *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        buf_str(out, i != 0 ? ",{\"ColumnName\":" : "{\"ColumnName\":");
        json_quote(out, bytes_str(s->cols[i].name));
        if (!v2) buf_fmt(out, ",\"DataType\":\"%s\"", kusto_net_type(s->cols[i].type));
        buf_fmt(out, ",\"ColumnType\":\"%s\"}", type_name(s->cols[i].type));
    }
}

void kusto_table_begin(struct buf *out, bool v2, uint32_t id, const char *kind, const char *name,
                       const struct schema *s)
{
    if (v2) {
        buf_fmt(out, "{\"FrameType\":\"DataTable\",\"TableId\":%u,\"TableKind\":\"%s\",", id, kind);
        buf_str(out, "\"TableName\":");
        json_quote(out, bytes_str(name));
    } else {
        buf_fmt(out, "{\"TableName\":\"Table_%u\"", id);
    }
    buf_str(out, ",\"Columns\":[");
    columns(out, v2, s);
    buf_str(out, "],\"Rows\":[");
}

void kusto_table_end(struct buf *out)
{
    buf_str(out, "]}");
}

void kusto_table(struct buf *out, bool v2, uint32_t id, const char *kind, const char *name,
                 const struct schema *s, json_t *rows)
{
    kusto_table_begin(out, v2, id, kind, name, s);
    size_t i;
    json_t *row;
    json_array_foreach (rows, i, row) {
        struct diag d = DIAG_INIT;
        if (i != 0) buf_u8(out, ',');
        if (json_write(row, out, &d) != OK) buf_str(out, "[]");
    }
    json_decref(rows);
    kusto_table_end(out);
}
