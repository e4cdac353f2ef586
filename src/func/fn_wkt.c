/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_wkt.c - well-known text (OGC 06-103r4) to GeoJSON (RFC 7946)
 *
 * Two dimensions; names in any case. What is no such text, or names an empty shape, gives null.
 */
#include "column/dyn.h"
#include "column/scan.h"
#include "func/families.h"

#include <math.h>

#define COLLECTION_DEPTH_MAX 16

static const struct shape {
    const char *wkt, *json;
    unsigned depth; /* of lists around a position: 0 for POINT */
} shapes[] = {
    {"POINT", "Point", 0},
    {"LINESTRING", "LineString", 1},
    {"POLYGON", "Polygon", 2},
    {"MULTIPOINT", "MultiPoint", 1},
    {"MULTILINESTRING", "MultiLineString", 2},
    {"MULTIPOLYGON", "MultiPolygon", 3},
    {"GEOMETRYCOLLECTION", "GeometryCollection", 0},
};
#define MULTIPOINT 3
#define COLLECTION 6

static bool sign(struct rd *r, uint8_t c)
{
    scan_spaces(r);
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}

static bool number(struct rd *r, struct buf *out)
{
    scan_spaces(r);
    const uint8_t *from = r->p;
    while (r->p < r->end && (ch_digit(*r->p) || strchr("+-.eE", *r->p) != NULL))
        r->p++;
    struct value v = {.type = T_REAL};
    bool ok = real_parse(bytes_of(from, (size_t)(r->p - from)), &v.r) && isfinite(v.r);
    return ok && dyn_from_value(&v, out, NULL) == OK;
}

/* "1 2" */
static bool position(struct rd *r, struct buf *out)
{
    size_t at = dyn_array_begin(out);
    bool ok = number(r, out) && number(r, out);
    dyn_array_end(out, at, 2);
    return ok;
}

/* A list of lists of positions, so many deep; the points of a MULTIPOINT may have their own. */
static bool list(struct rd *r, unsigned depth, bool own, struct buf *out)
{
    uint32_t count = 0;
    if (depth == 0) {
        bool open = own && sign(r, '(');
        return position(r, out) && (!open || sign(r, ')'));
    }
    if (!sign(r, '(')) return false;
    size_t at = dyn_array_begin(out);
    do {
        if (!list(r, depth - 1, own, out)) return false;
        count++;
    } while (sign(r, ','));
    dyn_array_end(out, at, count);
    return sign(r, ')');
}

static int shape_named(struct rd *r)
{
    scan_spaces(r);
    const uint8_t *from = r->p;
    while (r->p < r->end && ch_alpha(*r->p))
        r->p++;
    struct bytes name = bytes_of(from, (size_t)(r->p - from));
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (text_eq_nocase(name, bytes_str(shapes[i].wkt))) return (int)i;
    }
    return -1;
}

static void put_text(struct buf *out, const char *text)
{
    struct value v = {.type = T_STRING, .s = bytes_str(text)};
    value_to_dyn(&v, out);
}

static bool geometry(struct rd *r, unsigned deeper, struct buf *out);

static bool collection(struct rd *r, unsigned deeper, struct buf *out)
{
    uint32_t count = 0;
    if (deeper == 0 || !sign(r, '(')) return false;
    size_t at = dyn_array_begin(out);
    do {
        if (!geometry(r, deeper - 1, out)) return false;
        count++;
    } while (sign(r, ','));
    dyn_array_end(out, at, count);
    return sign(r, ')');
}

static bool coordinates(struct rd *r, int shape, struct buf *out)
{
    if (shapes[shape].depth != 0) return list(r, shapes[shape].depth, shape == MULTIPOINT, out);
    return sign(r, '(') && position(r, out) && sign(r, ')');
}

static bool geometry(struct rd *r, unsigned deeper, struct buf *out)
{
    int shape = shape_named(r);
    if (shape < 0) return false;
    size_t at = dyn_bag_begin(out);
    dyn_bag_name(out, BYTES("type"));
    put_text(out, shapes[shape].json);
    dyn_bag_name(out, bytes_str(shape == COLLECTION ? "geometries" : "coordinates"));
    bool ok = shape == COLLECTION ? collection(r, deeper, out) : coordinates(r, shape, out);
    dyn_bag_end(out, at, 2);
    return ok;
}

EVAL(eval_from_wkt)
{
    (void)call;
    CLEANUP_ROWS struct rows_out rows;
    TRY(rows_begin(cx, &rows, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct rd r = rd_from(vec_str(args[0], i));
        size_t from = rows.b.len;
        bool ok = geometry(&r, COLLECTION_DEPTH_MAX, &rows.b);
        scan_spaces(&r);
        if (!ok || r.p != r.end) buf_shrink(&rows.b, from);
        row_end(&rows);
    }
    return rows_end(cx, &rows, out);
}

static const struct fn rows[] = {
    FN("geo_from_wkt", 1, 1, T_DYNAMIC, 0, eval_from_wkt, "A shape in well-known text as GeoJSON.",
       "geo_from_wkt('POINT (1 2)')", "{\"type\":\"Point\",\"coordinates\":[1.0,2.0]}", ARG_STRING),
};
const struct fn_family fn_wkt = FAMILY(rows);
