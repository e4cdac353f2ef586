/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_geo_shape.c - lines and polygons on the globe, in GeoJSON
 *
 * A shape that is not valid gives null. Several lines or polygons in one value count as their union.
 */
#include "func/families.h"
#include "func/geo.h"

#include "base/str.h"

#include <stdlib.h>

#define TOLERANCE_DEFAULT 10.0 /* metres */
#define TOLERANCE_MIN     0.1
#define DENSIFY_MAX       10000.0
#define ARRAY_MAX         100000 /* shapes of one union */

static unsigned shape_of(const char *name)
{
    return strstr(name, "polygon") != NULL ? GEO_POLYGON : GEO_LINE;
}

/* Argument k, `otherwise` when it is not given, NaN when it is null. */
static double option(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                     uint32_t i, double otherwise)
{
    return k < call->n_args ? geo_number_arg(args, k, i) : otherwise;
}

static void put_geo(struct buf *out, struct s2_geo *g)
{
    struct s2_flat flat = s2_geo_flat(g);
    geo_put_shape(out, &flat);
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* geo_line_length, geo_polygon_perimeter, geo_polygon_area */
EVAL(eval_size)
{
    struct vecb b;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    const char *name = call->fn->name;
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct s2_geo *g = geo_shape_arg(&shape, args, 0, i, shape_of(name));
        if (g == NULL) {
            vecb_null(&b);
        } else {
            vecb_r64(&b, str_eq(name, "geo_polygon_area") ? s2_area_m2(g) : s2_length_m(g));
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* geo_distance_point_to_line, _polygon; geo_point_in_polygon */
EVAL(eval_point_and_shape)
{
    struct vecb b;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    const char *name = call->fn->name;
    bool inside = str_eq(name, "geo_point_in_polygon");
    vecb_init(&b, cx->a, inside ? T_BOOL : T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p;
        struct s2_geo *g = geo_shape_arg(&shape, args, 2, i, shape_of(name));
        if (g == NULL || !geo_point_arg(args, 0, i, &p)) {
            vecb_null(&b);
        } else if (inside) {
            vecb_bool(&b, s2_contains(g, p));
        } else {
            vecb_r64(&b, s2_distance_to_m(g, p));
        }
    }
    return vecb_finish(&b, out, cx->d);
}

EVAL(eval_locate)
{
    struct vecb b;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    (void)call;
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p;
        double fraction;
        struct s2_geo *g = geo_shape_arg(&shape, args, 0, i, GEO_LINE);
        if (g != NULL && geo_point_arg(args, 1, i, &p) && s2_locate(g, p, &fraction)) {
            vecb_r64(&b, fraction);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* What the two arguments of geo_intersect... are. */
static void two_wants(const char *name, unsigned *first, unsigned *second)
{
    *second = shape_of(name);
    *first = strstr(name, "line") != NULL ? GEO_LINE : GEO_POLYGON;
}

/* geo_intersects_2lines, _2polygons, _line_with_polygon */
EVAL(eval_intersects)
{
    struct vecb b;
    CLEANUP_SHAPE struct geo_shape first = {0}, second = {0};
    unsigned want[2];
    two_wants(call->fn->name, &want[0], &want[1]);
    vecb_init(&b, cx->a, T_BOOL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct s2_geo *g = geo_shape_arg(&first, args, 0, i, want[0]),
                      *h = geo_shape_arg(&second, args, 1, i, want[1]);
        if (g == NULL || h == NULL) {
            vecb_null(&b);
        } else {
            vecb_bool(&b, s2_intersects(g, h));
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- points of shapes ------------------------------------------------------------------------- */

/* geo_closest_point_on_line, _polygon (lng, lat, shape) */
EVAL(eval_closest)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p, q;
        struct s2_geo *g = geo_shape_arg(&shape, args, 2, i, shape_of(call->fn->name));
        if (g != NULL && geo_point_arg(args, 0, i, &p) && s2_closest(g, p, &q))
            geo_put_point(&r.b, q);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* geo_line_centroid, geo_polygon_centroid; geo_line_interpolate_point (line, fraction) */
EVAL(eval_point_of)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p;
        struct s2_geo *g = geo_shape_arg(&shape, args, 0, i, shape_of(call->fn->name));
        double at = option(call, args, 1, i, 0);
        bool ok = g != NULL && at >= 0 && at <= 1 &&
                  (call->n_args > 1 ? s2_interpolate(g, at, &p) : s2_centroid(g, &p));
        if (ok) geo_put_point(&r.b, p);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- shapes of shapes ------------------------------------------------------------------------- */

/* geo_intersection_2lines, _2polygons, _line_with_polygon */
EVAL(eval_intersection)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape first = {0}, second = {0};
    unsigned want[2];
    two_wants(call->fn->name, &want[0], &want[1]);
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_geo *g = geo_shape_arg(&first, args, 0, i, want[0]),
                      *h = geo_shape_arg(&second, args, 1, i, want[1]);
        CLEANUP_GEO struct s2_geo *both = g != NULL && h != NULL ? s2_intersection(g, h) : NULL;
        if (both != NULL) put_geo(&r.b, both);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* geo_line_buffer, geo_polygon_buffer (shape, radius [, tolerance]) */
EVAL(eval_buffer)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_geo *g = geo_shape_arg(&shape, args, 0, i, shape_of(call->fn->name));
        double radius = geo_number_arg(args, 1, i),
               tolerance = option(call, args, 2, i, TOLERANCE_DEFAULT);
        bool ok = g != NULL && radius > 0 && tolerance >= TOLERANCE_MIN;
        CLEANUP_GEO struct s2_geo *around = ok ? s2_buffer(g, radius, tolerance) : NULL;
        if (around != NULL) put_geo(&r.b, around);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* geo_point_buffer (lng, lat, radius [, tolerance]) */
EVAL(eval_point_buffer)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p;
        double radius = geo_number_arg(args, 2, i),
               tolerance = option(call, args, 3, i, TOLERANCE_DEFAULT);
        if (geo_point_arg(args, 0, i, &p) && radius > 0 && tolerance >= TOLERANCE_MIN) {
            struct s2_part part = {S2_POINT, 0, 1};
            struct s2_flat flat = {&part, &p, 1, 1};
            CLEANUP_GEO struct s2_geo *g = s2_geo_new(&flat),
                                      *around = g ? s2_buffer(g, radius, tolerance) : NULL;
            if (around != NULL) put_geo(&r.b, around);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* geo_line_densify, geo_polygon_densify (shape [, tolerance]) */
EVAL(eval_densify)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    unsigned want = shape_of(call->fn->name);
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_GEO_FLAT struct geo_flat f = {0};
        double tolerance = option(call, args, 1, i, TOLERANCE_DEFAULT);
        bool ok = geo_shape_arg(&shape, args, 0, i, want) != NULL && tolerance >= TOLERANCE_MIN &&
                  tolerance <= DENSIFY_MAX && geo_parse(&f, vec_str(args[0], i), want);
        CLEANUP_GEO struct s2_geo *dense = ok ? s2_densify(&f.flat, tolerance) : NULL;
        if (dense != NULL) put_geo(&r.b, dense);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* geo_line_simplify, geo_polygon_simplify (shape [, tolerance]) */
EVAL(eval_simplify)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        const struct s2_geo *g = geo_shape_arg(&shape, args, 0, i, shape_of(call->fn->name));
        double tolerance = option(call, args, 1, i, TOLERANCE_DEFAULT);
        bool ok = g != NULL && tolerance >= 0;
        CLEANUP_GEO struct s2_geo *simple = ok ? s2_simplify(&g, 1, tolerance) : NULL;
        if (simple != NULL) put_geo(&r.b, simple);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- lists of shapes -------------------------------------------------------------------------- */

struct shapes {
    struct s2_geo **at;
    uint32_t n;
};
static void shapes_release(struct shapes *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        s2_geo_free(s->at[i]);
    free(s->at);
}

/* False: not a list, or one of them is no such shape. */
static bool read_shapes(struct shapes *s, struct bytes list, unsigned want)
{
    struct dyn_iter it;
    struct bytes name, e;
    if (dyn_kind(list) != DYN_ARRAY || !dyn_iter_init(&it, list)) return false;
    if (it.left == 0 || it.left > ARRAY_MAX) return false;
    s->at = calloc(it.left, sizeof *s->at);
    while (s->at != NULL && dyn_iter_next(&it, &name, &e)) {
        CLEANUP_GEO_FLAT struct geo_flat f = {0};
        struct s2_geo *g = geo_parse(&f, e, want) ? s2_geo_new(&f.flat) : NULL;
        if (g == NULL) return false;
        s->at[s->n++] = g;
    }
    return s->at != NULL;
}

/* geo_union_lines_array, geo_union_polygons_array, geo_simplify_polygons_array (list [, tolerance])
 */
EVAL(eval_array)
{
    CLEANUP_ROWS struct rows_out r;
    bool simplify = str_eq(call->fn->name, "geo_simplify_polygons_array");
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        __attribute__((cleanup(shapes_release))) struct shapes s = {0};
        double tolerance = option(call, args, 1, i, TOLERANCE_DEFAULT);
        bool ok = !vec_null(args[0], i) && tolerance >= 0 &&
                  read_shapes(&s, vec_str(args[0], i), shape_of(call->fn->name));
        const struct s2_geo *const *all = (const struct s2_geo *const *)s.at;
        CLEANUP_GEO struct s2_geo *g = !ok        ? NULL
                                       : simplify ? s2_simplify(all, s.n, tolerance)
                                                  : s2_union(all, s.n);
        if (g != NULL) put_geo(&r.b, g);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define LINE(points)    "dynamic({\"type\":\"LineString\",\"coordinates\":[" points "]})"
#define POLYGON(points) "dynamic({\"type\":\"Polygon\",\"coordinates\":[[" points "]]})"
#define EQUATOR         LINE("[0,0],[1,0]")
#define SQUARE          POLYGON("[0,0],[1,0],[1,1],[0,1],[0,0]")

static const struct fn rows[] = {
    FN("geo_closest_point_on_line", 3, 3, T_DYNAMIC, 0, eval_closest,
       "The point of a line that is nearest to a point.",
       "round(toreal(geo_closest_point_on_line(0.5, 2, " EQUATOR ").coordinates[0]), 6)", "0.5",
       ARG_REAL, ARG_REAL, ARG_DYNAMIC),
    FN("geo_closest_point_on_polygon", 3, 3, T_DYNAMIC, 0, eval_closest,
       "The point of a polygon that is nearest to a point; the point itself inside.",
       "geo_closest_point_on_polygon(0.5, 0.5, " SQUARE ").coordinates", "[0.5,0.5]", ARG_REAL,
       ARG_REAL, ARG_DYNAMIC),
    FN("geo_distance_point_to_line", 3, 3, T_REAL, 0, eval_point_and_shape,
       "The distance of a point from a line, in metres.",
       "round(geo_distance_point_to_line(0.5, 2, " EQUATOR "), 1)", "222390.2", ARG_REAL, ARG_REAL,
       ARG_DYNAMIC),
    FN("geo_distance_point_to_polygon", 3, 3, T_REAL, 0, eval_point_and_shape,
       "The distance of a point from a polygon, in metres; zero inside.",
       "geo_distance_point_to_polygon(0.5, 0.5, " SQUARE ")", "0.0", ARG_REAL, ARG_REAL,
       ARG_DYNAMIC),
    FN("geo_intersection_2lines", 2, 2, T_DYNAMIC, 0, eval_intersection,
       "What two lines have in common.",
       "geo_intersection_2lines(" EQUATOR ", " LINE("[3,3],[4,4]") ")",
       "{\"type\":\"GeometryCollection\",\"geometries\":[]}", ARG_DYNAMIC, ARG_DYNAMIC),
    FN("geo_intersection_2polygons", 2, 2, T_DYNAMIC, 0, eval_intersection,
       "What two polygons have in common.",
       "geo_intersection_2polygons(" SQUARE ", " POLYGON("[3,3],[4,4],[3,4],[3,3]") ").type",
       "GeometryCollection", ARG_DYNAMIC, ARG_DYNAMIC),
    FN("geo_intersection_line_with_polygon", 2, 2, T_DYNAMIC, 0, eval_intersection,
       "What of a line lies in a polygon.",
       "geo_intersection_line_with_polygon(" LINE("[0.5,0.5],[2,0.5]") ", " SQUARE ").type",
       "LineString", ARG_DYNAMIC, ARG_DYNAMIC),
    FN("geo_intersects_2lines", 2, 2, T_BOOL, 0, eval_intersects, "True for lines that meet.",
       "geo_intersects_2lines(" EQUATOR ", " LINE("[0.5,-1],[0.5,1]") ")", "True", ARG_DYNAMIC,
       ARG_DYNAMIC),
    FN("geo_intersects_2polygons", 2, 2, T_BOOL, 0, eval_intersects,
       "True for polygons that have something in common.",
       "geo_intersects_2polygons(" SQUARE ", " POLYGON("[3,3],[4,4],[3,4],[3,3]") ")", "False",
       ARG_DYNAMIC, ARG_DYNAMIC),
    FN("geo_intersects_line_with_polygon", 2, 2, T_BOOL, 0, eval_intersects,
       "True for a line of which something lies in a polygon.",
       "geo_intersects_line_with_polygon(" EQUATOR ", " SQUARE ")", "True", ARG_DYNAMIC,
       ARG_DYNAMIC),
    FN("geo_line_buffer", 2, 3, T_DYNAMIC, 0, eval_buffer,
       "The polygon of all that is within a radius, in metres, of a line.",
       "geo_line_buffer(" EQUATOR ", 100).type", "Polygon", ARG_DYNAMIC, ARG_REAL, ARG_REAL),
    FN("geo_line_centroid", 1, 1, T_DYNAMIC, 0, eval_point_of, "The centre of mass of a line.",
       "geo_line_centroid(" EQUATOR ").coordinates[0]", "0.5", ARG_DYNAMIC),
    FN_PREPARED("geo_line_densify", 1, 3, T_DYNAMIC, eval_densify, geo_flag_is_off,
                "A line with points added until its geodesics keep to straight edges on a map.",
                "array_length(geo_line_densify(" LINE("[50,50],[51,51]") ").coordinates)", "9",
                ARG_DYNAMIC, ARG_REAL, ARG_GEO_FLAG),
    FN("geo_line_interpolate_point", 2, 2, T_DYNAMIC, 0, eval_point_of,
       "The point at a fraction of a line's length.",
       "round(toreal(geo_line_interpolate_point(" EQUATOR ", 0.25).coordinates[0]), 6)", "0.25",
       ARG_DYNAMIC, ARG_REAL),
    FN("geo_line_length", 1, 1, T_REAL, 0, eval_size, "The length of a line, in metres.",
       "round(geo_line_length(" EQUATOR "), 3)", "111195.101", ARG_DYNAMIC),
    FN_PREPARED("geo_line_locate_point", 3, 4, T_REAL, eval_locate, geo_flag_is_off,
                "The fraction of a line's length at which it is nearest to a point.",
                "round(geo_line_locate_point(" EQUATOR ", 0.25, 1), 6)", "0.25", ARG_DYNAMIC,
                ARG_REAL, ARG_REAL, ARG_GEO_FLAG),
    FN("geo_line_simplify", 1, 2, T_DYNAMIC, 0, eval_simplify,
       "A line with nearly straight runs of points made one edge.",
       "array_length(geo_line_simplify(" LINE("[0,0],[0.5,0.0001],[1,0]") ", 100).coordinates)",
       "2", ARG_DYNAMIC, ARG_REAL),
    FN("geo_point_buffer", 3, 4, T_DYNAMIC, 0, eval_point_buffer,
       "The polygon of all that is within a radius, in metres, of a point.",
       "geo_point_buffer(0, 0, 100).type", "Polygon", ARG_REAL, ARG_REAL, ARG_REAL, ARG_REAL),
    FN("geo_point_in_polygon", 3, 3, T_BOOL, 0, eval_point_and_shape,
       "True for a point inside a polygon.", "geo_point_in_polygon(0.5, 2, " SQUARE ")", "False",
       ARG_REAL, ARG_REAL, ARG_DYNAMIC),
    FN("geo_polygon_area", 1, 1, T_REAL, 0, eval_size, "The area of a polygon, in square metres.",
       "round(geo_polygon_area(" SQUARE ") / 1e6, 1)", "12364.0", ARG_DYNAMIC),
    FN("geo_polygon_buffer", 2, 3, T_DYNAMIC, 0, eval_buffer,
       "The polygon of all that is within a radius, in metres, of a polygon.",
       "geo_polygon_buffer(" SQUARE ", 100).type", "Polygon", ARG_DYNAMIC, ARG_REAL, ARG_REAL),
    FN("geo_polygon_centroid", 1, 1, T_DYNAMIC, 0, eval_point_of,
       "The centre of mass of a polygon.",
       "round(toreal(geo_polygon_centroid(" SQUARE ").coordinates[0]), 6)", "0.5", ARG_DYNAMIC),
    FN_PREPARED("geo_polygon_densify", 1, 3, T_DYNAMIC, eval_densify, geo_flag_is_off,
                "A polygon with points added until its geodesics keep to straight edges on a map.",
                "array_length(geo_polygon_densify(" POLYGON(
                    "[10,10],[11,10],[11,11],[10,11],[10,10]") ").coordinates[0])",
                "11", ARG_DYNAMIC, ARG_REAL, ARG_GEO_FLAG),
    FN("geo_polygon_perimeter", 1, 1, T_REAL, 0, eval_size,
       "The length of a polygon's boundary, in metres.",
       "round(geo_polygon_perimeter(" SQUARE "), 0)", "444763.0", ARG_DYNAMIC),
    FN("geo_polygon_simplify", 1, 2, T_DYNAMIC, 0, eval_simplify,
       "A polygon with nearly straight runs of points made one edge.",
       "array_length(geo_polygon_simplify(" SQUARE ", 100).coordinates[0])", "5", ARG_DYNAMIC,
       ARG_REAL),
    FN("geo_simplify_polygons_array", 1, 2, T_DYNAMIC, 0, eval_array,
       "Polygons made simpler together, so that what they share stays shared.",
       "geo_simplify_polygons_array(pack_array(" SQUARE ")).type", "Polygon", ARG_DYNAMIC,
       ARG_REAL),
    FN("geo_union_lines_array", 1, 1, T_DYNAMIC, 0, eval_array, "All of a list of lines as one.",
       "geo_union_lines_array(pack_array(" EQUATOR ", " LINE("[1,0],[2,0]") ")).type", "LineString",
       ARG_DYNAMIC),
    FN("geo_union_polygons_array", 1, 1, T_DYNAMIC, 0, eval_array,
       "All of a list of polygons as one.",
       "geo_union_polygons_array(pack_array(" SQUARE ", " SQUARE ")).type", "Polygon", ARG_DYNAMIC),
};
const struct fn_family fn_geo_shape = FAMILY(rows);
