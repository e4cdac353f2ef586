/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_geo.c - points on the globe: distance, direction, S2 cells */
#include "base/str.h"
#include "func/families.h"
#include "func/geo.h"

#include <stdlib.h>

#define CELL_LEVEL_DEFAULT 11

static double radians(double degrees)
{
    return degrees * M_PI / 180;
}

/* From a, clockwise from north, 0..2 pi; NaN when they are one point. */
static double azimuth(struct s2_ll a, struct s2_ll b)
{
    if (a.lng == b.lng && a.lat == b.lat) return NAN;
    double turn = radians(b.lng) - radians(a.lng), p = radians(a.lat), q = radians(b.lat);
    double r = atan2(sin(turn) * cos(q), cos(p) * sin(q) - sin(p) * cos(q) * cos(turn));
    return r < 0 ? r + 2 * M_PI : r;
}

/* geo_angle: at b, clockwise from a to c */
static double angle(struct s2_ll a, struct s2_ll b, struct s2_ll c)
{
    double r = azimuth(b, c) - azimuth(b, a);
    return r < 0 ? r + 2 * M_PI : r;
}

#define NUMBERS_ROWS(name, body)                                                      \
    EVAL(name)                                                                        \
    {                                                                                 \
        struct vecb b;                                                                \
        (void)call;                                                                   \
        vecb_init(&b, cx->a, T_REAL, n);                                              \
        for (uint32_t i = 0; i < n; i++) {                                            \
            struct s2_ll p, q;                                                        \
            double r = NAN;                                                           \
            if (geo_point_arg(args, 0, i, &p) && geo_point_arg(args, 2, i, &q)) body; \
            if (isnan(r)) {                                                           \
                vecb_null(&b);                                                        \
            } else {                                                                  \
                vecb_r64(&b, r);                                                      \
            }                                                                         \
        }                                                                             \
        return vecb_finish(&b, out, cx->d);                                           \
    }

NUMBERS_ROWS(eval_distance, r = s2_distance_m(p, q))
NUMBERS_ROWS(eval_azimuth, r = azimuth(p, q))
NUMBERS_ROWS(eval_angle, {
    struct s2_ll third;
    if (geo_point_arg(args, 4, i, &third)) r = angle(p, q, third);
})

EVAL(eval_in_circle)
{
    struct vecb b;
    (void)call;
    vecb_init(&b, cx->a, T_BOOL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p, center;
        double radius = vec_null(args[4], i) ? NAN : vec_r64(args[4], i);
        if (geo_point_arg(args, 0, i, &p) && geo_point_arg(args, 2, i, &center) && radius >= 0) {
            vecb_bool(&b, s2_distance_m(p, center) <= radius);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- cells ------------------------------------------------------------------------------------ */

/* The level or accuracy of argument k; false when it is null or outside low..high. */
static bool level_arg(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                      uint32_t i, int otherwise, int low, int high, int *out)
{
    *out = otherwise;
    if (k >= call->n_args) return true;
    if (vec_null(args[k], i)) return false;
    int64_t v = vec_i64(args[k], i);
    *out = (int)v;
    return v >= low && v <= high;
}

EVAL(eval_to_s2cell)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p;
        int level;
        char token[17];
        if (geo_point_arg(args, 0, i, &p) &&
            level_arg(call, args, 2, i, CELL_LEVEL_DEFAULT, 0, 30, &level)) {
            s2_cell_token(s2_cell_of(p, level), token);
            buf_str(&r.b, token);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static uint64_t cell_arg(const struct vec *const *args, uint32_t i)
{
    struct bytes token = vec_str(args[0], i);
    return s2_cell_from_token((const char *)token.p, token.len);
}

static void put_token(struct buf *out, uint64_t cell)
{
    char token[17];
    s2_cell_token(cell, token);
    struct value v = {.type = T_STRING, .s = bytes_str(token)};
    value_to_dyn(&v, out);
}

/* geo_s2cell_to_central_point, _to_polygon, _neighbors */
EVAL(eval_s2cell)
{
    CLEANUP_ROWS struct rows_out r;
    const char *what = call->fn->name + strlen("geo_s2cell_");
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t cell = cell_arg(args, i), around[16];
        if (cell == 0) {
        } else if (str_eq(what, "to_central_point")) {
            geo_put_point(&r.b, s2_cell_center(cell));
        } else if (str_eq(what, "to_polygon")) {
            struct s2_ll ring[5];
            s2_cell_corners(cell, ring);
            ring[4] = ring[0];
            geo_put_ring(&r.b, ring, 5);
        } else {
            uint32_t found = s2_cell_neighbors(cell, around, 16);
            size_t at = dyn_array_begin(&r.b);
            for (uint32_t k = 0; k < found; k++)
                put_token(&r.b, around[k]);
            dyn_array_end(&r.b, at, found);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* geo_polygon_to_s2cells, geo_line_to_s2cells (shape [, level [, radius]]) */
EVAL(eval_cover)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_SHAPE struct geo_shape shape = {0};
    unsigned want = call->fn->name[4] == 'l' ? GEO_LINE : GEO_POLYGON;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_geo *g = geo_shape_arg(&shape, args, 0, i, want);
        double radius = call->n_args > 2 ? geo_number_arg(args, 2, i) : 0;
        uint64_t *cells;
        uint32_t count;
        int level;
        if (g != NULL && radius >= 0 && radius <= 100000 &&
            level_arg(call, args, 1, i, CELL_LEVEL_DEFAULT, 0, 30, &level) &&
            s2_cover(g, level, radius, &cells, &count)) {
            size_t at = dyn_array_begin(&r.b);
            for (uint32_t k = 0; k < count; k++)
                put_token(&r.b, cells[k]);
            dyn_array_end(&r.b, at, count);
            free(cells);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define LNG_LAT ARG_REAL, ARG_REAL
#define CELL_(name_, doc_, example_, expect_) \
    FN("geo_s2cell_" name_, 1, 1, T_DYNAMIC, 0, eval_s2cell, doc_, example_, expect_, ARG_STRING)

static const struct fn rows[] = {
    FN("geo_angle", 6, 6, T_REAL, 0, eval_angle,
       "The angle at the second point, clockwise from the first to the third, in radians.",
       "round(geo_angle(0, 10, 0, 5, 3, -10), 6)", "2.944938", LNG_LAT, LNG_LAT, LNG_LAT),
    FN("geo_azimuth", 4, 4, T_REAL, 0, eval_azimuth,
       "The direction from one point to another, clockwise from north, in radians.",
       "round(geo_azimuth(5, 10, 10, -40), 6)", "3.054599", LNG_LAT, LNG_LAT),
    FN_PREPARED("geo_distance_2points", 4, 5, T_REAL, eval_distance, geo_flag_is_off,
                "The shortest way between two points of the globe, in metres.",
                "round(geo_distance_2points(-122.407628, 47.578557, -118.275287, 34.019056), 3)",
                "1546754.352", LNG_LAT, LNG_LAT, ARG_GEO_FLAG),
    FN("geo_line_to_s2cells", 1, 3, T_DYNAMIC, 0, eval_cover,
       "The S2 cells that cover a line, or all within a radius of it.",
       "array_length(geo_line_to_s2cells(dynamic({\"type\":\"LineString\",\"coordinates\":[[0,0]]})"
       "))",
       "", ARG_DYNAMIC, ARG_AS(TM_NUMERIC, T_LONG), ARG_REAL),
    FN("geo_point_in_circle", 5, 5, T_BOOL, 0, eval_in_circle,
       "True for a point within a radius, in metres, of another.",
       "geo_point_in_circle(-122.143564, 47.535677, -122.100896, 47.527351, 3500)", "True", LNG_LAT,
       LNG_LAT, ARG_REAL),
    FN("geo_point_to_s2cell", 2, 3, T_STRING, 0, eval_to_s2cell,
       "The token of the S2 cell that a point is in.",
       "geo_point_to_s2cell(-80.195829, 25.802215, 8)", "88d9b", LNG_LAT,
       ARG_AS(TM_NUMERIC, T_LONG)),
    FN("geo_polygon_to_s2cells", 1, 3, T_DYNAMIC, 0, eval_cover,
       "The S2 cells that cover a polygon, or all within a radius of it.",
       "array_length(geo_polygon_to_s2cells(dynamic({\"type\":\"Polygon\",\"coordinates\":[[[0,0],["
       "0,"
       "50],[100,50],[0,0]]]}), 5))",
       "286", ARG_DYNAMIC, ARG_AS(TM_NUMERIC, T_LONG), ARG_REAL),
    CELL_("neighbors", "The tokens of the S2 cells around one.",
          "array_length(geo_s2cell_neighbors('89c259'))", "8"),
    CELL_("to_central_point", "The centre of an S2 cell.",
          "round(toreal(geo_s2cell_to_central_point('1234567').coordinates[0]), 4)", "9.8683"),
    CELL_("to_polygon", "The outline of an S2 cell.",
          "array_length(geo_s2cell_to_polygon('89c259').coordinates[0])", "5"),
};
const struct fn_family fn_geo = FAMILY(rows);
