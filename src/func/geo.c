/* SPDX-License-Identifier: Apache-2.0 */
/* func/geo.c - GeoJSON in dynamic values */
#include "func/geo.h"

#include "base/str.h"

#include <stdlib.h>

/* --- reading ---------------------------------------------------------------------------------- */

void geo_flat_release(struct geo_flat *f)
{
    free(f->parts);
    free(f->points);
    *f = (struct geo_flat){0};
}

static bool number_of(struct bytes e, double *out)
{
    struct value v;
    enum dyn_kind kind = dyn_kind(e);
    if (kind != DYN_LONG && kind != DYN_REAL) return false;
    v = dyn_scalar(e);
    *out = kind == DYN_LONG ? (double)v.i : v.r;
    return true;
}

bool geo_point_ok(struct s2_ll p)
{
    return p.lng >= -180 && p.lng <= 180 && p.lat >= -90 && p.lat <= 90;
}

static bool add_part(struct geo_flat *f, enum s2_kind kind, uint32_t n)
{
    struct s2_part *parts = realloc(f->parts, (f->flat.n_parts + 1) * sizeof *parts);
    if (parts == NULL) return false;
    f->flat.parts = f->parts = parts;
    if (n > GEO_POINTS_MAX - f->flat.n_points) return false;
    struct s2_ll *points = realloc(f->points, (f->flat.n_points + n + 1) * sizeof *points);
    if (points == NULL) return false;
    f->flat.points = f->points = points;
    f->parts[f->flat.n_parts++] = (struct s2_part){kind, f->flat.n_points, n};
    return true;
}

static bool read_list(struct geo_flat *f, struct bytes list, enum s2_kind kind)
{
    struct dyn_iter it;
    struct bytes name, e;
    if (dyn_kind(list) != DYN_ARRAY || !add_part(f, kind, dyn_count(list))) return false;
    if (!dyn_iter_init(&it, list)) return false;
    while (dyn_iter_next(&it, &name, &e)) {
        struct s2_ll *p = &f->points[f->flat.n_points];
        if (!number_of(dyn_index(e, 0), &p->lng) || !number_of(dyn_index(e, 1), &p->lat))
            return false;
        if (!geo_point_ok(*p)) return false;
        f->flat.n_points++;
    }
    return true;
}

static bool read_polygon(struct geo_flat *f, struct bytes rings)
{
    struct dyn_iter it;
    struct bytes name, e;
    enum s2_kind kind = S2_SHELL;
    if (dyn_count(rings) == 0 || !dyn_iter_init(&it, rings) || it.is_bag) return false;
    for (; dyn_iter_next(&it, &name, &e); kind = S2_HOLE) {
        if (!read_list(f, e, kind)) return false;
    }
    return true;
}

static bool read_several(struct geo_flat *f, struct bytes list, bool polygons)
{
    struct dyn_iter it;
    struct bytes name, e;
    f->multi = true;
    if (dyn_count(list) == 0 || !dyn_iter_init(&it, list) || it.is_bag) return false;
    while (dyn_iter_next(&it, &name, &e)) {
        if (polygons ? !read_polygon(f, e) : !read_list(f, e, S2_LINE)) return false;
    }
    return true;
}

bool geo_parse(struct geo_flat *f, struct bytes dyn, unsigned want)
{
    *f = (struct geo_flat){0};
    if (dyn_kind(dyn) != DYN_BAG) return false;
    struct bytes type = dyn_member(dyn, BYTES("type")), list;
    list = dyn_member(dyn, BYTES("coordinates"));
    if (dyn_kind(type) != DYN_STRING || dyn_kind(list) != DYN_ARRAY) return false;
    type = dyn_scalar(type).s;
    if ((want & GEO_LINE) != 0) {
        if (bytes_eq(type, BYTES("LineString"))) return read_list(f, list, S2_LINE);
        if (bytes_eq(type, BYTES("MultiLineString"))) return read_several(f, list, false);
    }
    if ((want & GEO_POLYGON) != 0) {
        if (bytes_eq(type, BYTES("Polygon"))) return read_polygon(f, list);
        if (bytes_eq(type, BYTES("MultiPolygon"))) return read_several(f, list, true);
    }
    return false;
}

double geo_number_arg(const struct vec *const *args, uint32_t k, uint32_t i)
{
    return vec_null(args[k], i) ? NAN : vec_r64(args[k], i);
}

bool geo_point_arg(const struct vec *const *args, uint32_t k, uint32_t i, struct s2_ll *out)
{
    *out = (struct s2_ll){geo_number_arg(args, k, i), geo_number_arg(args, k + 1, i)};
    return geo_point_ok(*out);
}

void geo_drop(struct s2_geo **g)
{
    s2_geo_free(*g);
}

void geo_shape_release(struct geo_shape *s)
{
    s2_geo_free(s->geo);
}

struct s2_geo *geo_shape_arg(struct geo_shape *s, const struct vec *const *args, uint32_t k,
                             uint32_t i, unsigned want)
{
    CLEANUP_GEO_FLAT struct geo_flat f = {0};
    if (vec_null(args[k], i)) return NULL;
    struct bytes dyn = vec_str(args[k], i);
    if (s->known && (s->of.p == dyn.p ? s->of.len == dyn.len : bytes_eq(s->of, dyn))) return s->geo;
    s2_geo_free(s->geo);
    *s = (struct geo_shape){.of = dyn, .known = true};
    if (geo_parse(&f, dyn, want)) s->geo = s2_geo_new(&f.flat);
    return s->geo;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_number(struct buf *out, double v)
{
    struct value x = {.type = T_REAL, .r = v};
    value_to_dyn(&x, out);
}

static void put_text(struct buf *out, const char *text)
{
    struct value x = {.type = T_STRING, .s = bytes_str(text)};
    value_to_dyn(&x, out);
}

void geo_put_pair(struct buf *out, struct s2_ll p)
{
    size_t at = dyn_array_begin(out);
    put_number(out, p.lng);
    put_number(out, p.lat);
    dyn_array_end(out, at, 2);
}

void geo_begin(struct buf *out, const char *type, size_t *bag)
{
    *bag = dyn_bag_begin(out);
    dyn_bag_name(out, BYTES("type"));
    put_text(out, type);
    dyn_bag_name(out,
                 str_eq(type, "GeometryCollection") ? BYTES("geometries") : BYTES("coordinates"));
}

void geo_put_point(struct buf *out, struct s2_ll p)
{
    size_t bag;
    geo_begin(out, "Point", &bag);
    geo_put_pair(out, p);
    dyn_bag_end(out, bag, 2);
}

static void put_list(struct buf *out, const struct s2_ll *p, uint32_t n)
{
    size_t at = dyn_array_begin(out);
    for (uint32_t i = 0; i < n; i++)
        geo_put_pair(out, p[i]);
    dyn_array_end(out, at, n);
}

void geo_put_ring(struct buf *out, const struct s2_ll *p, uint32_t n)
{
    size_t bag;
    geo_begin(out, "Polygon", &bag);
    size_t at = dyn_array_begin(out);
    put_list(out, p, n);
    dyn_array_end(out, at, 1);
    dyn_bag_end(out, bag, 2);
}

/* The parts of one point, line, or polygon with its holes, from i. */
static uint32_t item_end(const struct s2_flat *f, uint32_t i)
{
    for (i++; i < f->n_parts && f->parts[i].kind == S2_HOLE;)
        i++;
    return i;
}

static void put_coordinates(struct buf *out, const struct s2_flat *f, uint32_t i)
{
    uint32_t end = item_end(f, i);
    const struct s2_part *part = &f->parts[i];
    if (part->kind == S2_POINT) {
        geo_put_pair(out, f->points[part->from]);
    } else if (part->kind == S2_LINE) {
        put_list(out, f->points + part->from, part->n);
    } else {
        size_t at = dyn_array_begin(out);
        for (uint32_t k = i; k < end; k++)
            put_list(out, f->points + f->parts[k].from, f->parts[k].n);
        dyn_array_end(out, at, end - i);
    }
}

static const char *const single[] = {"Point", "LineString", "Polygon"};
static const char *const several[] = {"MultiPoint", "MultiLineString", "MultiPolygon"};

/* All items of one kind, from i on; gives where they end. */
static uint32_t put_kind(struct buf *out, const struct s2_flat *f, uint32_t i)
{
    enum s2_kind kind = f->parts[i].kind;
    uint32_t n = 0, end = i;
    size_t bag, at;
    for (; end < f->n_parts && f->parts[end].kind == kind; end = item_end(f, end))
        n++;
    geo_begin(out, n == 1 ? single[kind] : several[kind], &bag);
    if (n == 1) {
        put_coordinates(out, f, i);
    } else {
        at = dyn_array_begin(out);
        for (; i < end; i = item_end(f, i))
            put_coordinates(out, f, i);
        dyn_array_end(out, at, n);
    }
    dyn_bag_end(out, bag, 2);
    return end;
}

void geo_put_shape(struct buf *out, const struct s2_flat *f)
{
    bool one_kind = f->n_parts > 0;
    for (uint32_t i = 1; i < f->n_parts; i++)
        one_kind &= f->parts[i].kind == f->parts[0].kind || f->parts[i].kind == S2_HOLE;
    if (one_kind) {
        (void)put_kind(out, f, 0);
        return;
    }
    size_t bag, at;
    uint32_t n = 0;
    geo_begin(out, "GeometryCollection", &bag);
    at = dyn_array_begin(out);
    for (uint32_t i = 0; i < f->n_parts; n++)
        i = put_kind(out, f, i);
    dyn_array_end(out, at, n);
    dyn_bag_end(out, bag, 2);
}

enum err geo_flag_is_off(struct fn_call *call, struct arena *a, struct diag *d)
{
    uint32_t at = call->n_args - 1;
    const char *name = call->fn->name;
    bool densify = str_ends(name, "_densify");
    (void)a;
    if (at + 1 < call->fn->arity_max) return OK;
    if (call->consts[at] != NULL && !call->consts[at]->is_null && !call->consts[at]->b) return OK;
    return FAIL(d, ERR_UNSUPPORTED, "%s(): %s other than false is not supported", name,
                densify ? "preserve_crossing" : "use_spheroid");
}
