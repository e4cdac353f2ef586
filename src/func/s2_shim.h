/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/s2_shim.h - S2 for C: shapes on a sphere of Earth's mean radius, in types both languages know
 *
 * Coordinates are degrees, lengths metres, edges geodesic. A shape is handed over flat, as parts of
 * one list of points. No exception and no abort crosses: what S2 does not take gives NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define S2_EARTH_RADIUS_M 6371010.0
#define S2_CELLS_MAX      65536 /* of a covering; more gives none */

struct s2_ll {
    double lng, lat;
};
enum s2_kind { S2_POINT, S2_LINE, S2_SHELL, S2_HOLE }; /* a hole belongs to the shell before it */
struct s2_part {
    enum s2_kind kind;
    uint32_t from, n; /* points; a ring names its first point again at the end */
};
struct s2_flat {
    const struct s2_part *parts;
    const struct s2_ll *points;
    uint32_t n_parts, n_points;
};

struct s2_geo;

/* NULL: an edge without length, edges that cross, a ring that is open ... Several polygons become
 * their union. */
struct s2_geo *s2_geo_new(const struct s2_flat *parts);
void s2_geo_free(struct s2_geo *g);
/* Borrowed until the next call with g. Points first, then lines, then polygons. */
struct s2_flat s2_geo_flat(struct s2_geo *g);

/* --- numbers */
double s2_distance_m(struct s2_ll a, struct s2_ll b);
double s2_length_m(const struct s2_geo *g);                      /* of lines; of rings */
double s2_area_m2(const struct s2_geo *g);                       /* of polygons */
double s2_distance_to_m(const struct s2_geo *g, struct s2_ll p); /* 0 within a polygon */
bool s2_contains(const struct s2_geo *g, struct s2_ll p);        /* polygons only */
bool s2_intersects(const struct s2_geo *a, const struct s2_geo *b);
bool s2_closest(const struct s2_geo *g, struct s2_ll p, struct s2_ll *out);
bool s2_centroid(const struct s2_geo *g, struct s2_ll *out);
/* Of one line only; 0..1 of its length. */
bool s2_interpolate(const struct s2_geo *g, double fraction, struct s2_ll *out);
bool s2_locate(const struct s2_geo *g, struct s2_ll p, double *fraction);

/* --- shapes; NULL is no answer */
struct s2_geo *s2_intersection(const struct s2_geo *a, const struct s2_geo *b);
struct s2_geo *s2_union(const struct s2_geo *const *shapes,
                        uint32_t n); /* all lines, or polygons */
struct s2_geo *s2_buffer(const struct s2_geo *g, double radius_m, double tolerance_m);
struct s2_geo *s2_simplify(const struct s2_geo *const *shapes, uint32_t n, double tolerance_m);
/* Points of straight edges on a map of degrees, so near that geodesics do as well. */
struct s2_geo *s2_densify(const struct s2_flat *parts, double tolerance_m);

/* --- cells: 0 is no cell */
uint64_t s2_cell_of(struct s2_ll p, int level); /* level 0..30 */
uint64_t s2_cell_from_token(const char *token, size_t len);
void s2_cell_token(uint64_t cell, char out[17]);
struct s2_ll s2_cell_center(uint64_t cell);
void s2_cell_corners(uint64_t cell, struct s2_ll out[4]);
uint32_t s2_cell_neighbors(uint64_t cell, uint64_t *out, uint32_t room);
/* The cells of one level that cover the shape and what is within radius_m of it; the caller frees
 * *out. False: more than S2_CELLS_MAX. */
bool s2_cover(const struct s2_geo *g, int level, double radius_m, uint64_t **out, uint32_t *n);

#ifdef __cplusplus
}
#endif
