/* SPDX-License-Identifier: Apache-2.0 */
/* func/geo.h - GeoJSON in dynamic values, for the families of geospatial functions (RFC 7946) */
#pragma once

#include "column/dyn.h"
#include "func/kernel.h"
#include "func/s2_shim.h"

#include <math.h>

#define GEO_POINTS_MAX 1000000 /* of one shape */

enum geo_want { GEO_LINE = 1, GEO_POLYGON = 2 };

/* Parts and points of a GeoJSON line or polygon, or of several ("Multi..."). */
struct geo_flat {
    struct s2_flat flat;
    struct s2_part *parts;
    struct s2_ll *points;
    bool multi;
};
void geo_flat_release(struct geo_flat *f);
#define CLEANUP_GEO_FLAT __attribute__((cleanup(geo_flat_release)))

/* False: no such shape, a coordinate out of range, or too many. */
bool geo_parse(struct geo_flat *f, struct bytes dyn, unsigned want);

bool geo_point_ok(struct s2_ll p); /* within -180..180, -90..90 */
/* Arguments k (longitude) and k + 1 (latitude) of row i; false when null or out of range. */
bool geo_point_arg(const struct vec *const *args, uint32_t k, uint32_t i, struct s2_ll *out);
/* Argument k as a number; NaN when it is null. */
double geo_number_arg(const struct vec *const *args, uint32_t k, uint32_t i);

void geo_put_point(struct buf *out, struct s2_ll p);          /* {"type":"Point",...} */
void geo_put_pair(struct buf *out, struct s2_ll p);           /* [lng, lat] */
void geo_put_shape(struct buf *out, const struct s2_flat *f); /* the one shape, or a collection */
void geo_begin(struct buf *out, const char *type, size_t *bag);
/* One ring of n points, closed by the caller: {"type":"Polygon","coordinates":[ring]}. */
void geo_put_ring(struct buf *out, const struct s2_ll *p, uint32_t n);

/* The shape of argument k, kept while the rows name the same bytes: a constant is made once. */
struct geo_shape {
    struct s2_geo *geo; /* NULL: not a valid one */
    struct bytes of;
    bool known;
};
struct s2_geo *geo_shape_arg(struct geo_shape *s, const struct vec *const *args, uint32_t k,
                             uint32_t i, unsigned want);
void geo_shape_release(struct geo_shape *s);
#define CLEANUP_SHAPE __attribute__((cleanup(geo_shape_release)))
void geo_drop(struct s2_geo **g);
#define CLEANUP_GEO __attribute__((cleanup(geo_drop)))

/* The last argument of functions that have it asks for a spheroid, or for edges across the
 * antimeridian to be kept. It may be there and false; what it would do is not published in enough
 * detail to be exact, so true is refused by name. */
#define ARG_GEO_FLAG ARG_BOOL
enum err geo_flag_is_off(struct fn_call *call, struct arena *a, struct diag *d); /* a prepare() */
