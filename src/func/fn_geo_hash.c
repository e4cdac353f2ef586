/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_geo_hash.c - geohashes: cells of longitude and latitude by halves, five bits a letter */
#include "func/families.h"
#include "func/geo.h"

#include "base/str.h"

#define GEOHASH_MAX     18
#define GEOHASH_DEFAULT 5
static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";

struct cell { /* the low corner and the size */
    double lng, lat, width, height;
};

static bool decode(struct bytes hash, struct cell *c)
{
    *c = (struct cell){-180, -90, 360, 180};
    bool even = true;
    if (hash.len == 0 || hash.len > GEOHASH_MAX) return false;
    for (size_t i = 0; i < hash.len; i++) {
        uint8_t ch = hash.p[i] >= 'A' && hash.p[i] <= 'Z' ? hash.p[i] + 32 : hash.p[i];
        const char *at = ch != 0 ? strchr(letters, ch) : NULL;
        if (at == NULL) return false;
        for (int bit = 16; bit != 0; bit >>= 1, even = !even) {
            double *size = even ? &c->width : &c->height, *low = even ? &c->lng : &c->lat;
            *size /= 2;
            if (((at - letters) & bit) != 0) *low += *size;
        }
    }
    return true;
}

static void encode(struct s2_ll p, uint32_t len, char out[GEOHASH_MAX + 1])
{
    struct cell c = {-180, -90, 360, 180};
    bool even = true;
    for (uint32_t i = 0; i < len; i++) {
        int letter = 0;
        for (int bit = 16; bit != 0; bit >>= 1, even = !even) {
            double *size = even ? &c.width : &c.height, *low = even ? &c.lng : &c.lat;
            *size /= 2;
            if ((even ? p.lng : p.lat) >= *low + *size) {
                *low += *size;
                letter |= bit;
            }
        }
        out[i] = letters[letter];
    }
    out[len] = 0;
}

/* geo_point_to_geohash (lng, lat [, accuracy]) */
EVAL(eval_to_geohash)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct s2_ll p;
        char hash[GEOHASH_MAX + 1];
        bool given = call->n_args > 2;
        int64_t len = !given ? GEOHASH_DEFAULT : vec_null(args[2], i) ? 0 : vec_i64(args[2], i);
        if (geo_point_arg(args, 0, i, &p) && len >= 1 && len <= GEOHASH_MAX) {
            encode(p, (uint32_t)len, hash);
            buf_str(&r.b, hash);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* The cell `right` to the east and `up` to the north; round the world, but not over a pole. */
static bool put_neighbor(struct buf *out, const struct cell *c, size_t len, int right, int up)
{
    char hash[GEOHASH_MAX + 1];
    struct s2_ll p = {c->lng + c->width * (0.5 + right), c->lat + c->height * (0.5 + up)};
    if (p.lat > 90 || p.lat < -90) return false;
    if (p.lng > 180) p.lng -= 360;
    if (p.lng < -180) p.lng += 360;
    encode(p, (uint32_t)len, hash);
    struct value v = {.type = T_STRING, .s = bytes_str(hash)};
    value_to_dyn(&v, out);
    return true;
}

/* In the order of the recorded answer. */
static const int around[8][2] = {{-1, 0}, {-1, -1}, {0, -1}, {1, -1},
                                 {1, 1},  {1, 0},   {0, 1},  {-1, 1}};

static void put_neighbors(struct buf *out, const struct cell *c, size_t len)
{
    uint32_t found = 0;
    size_t at = dyn_array_begin(out);
    for (int k = 0; k < 8; k++)
        found += put_neighbor(out, c, len, around[k][0], around[k][1]);
    dyn_array_end(out, at, found);
}

/* geo_geohash_to_central_point, _to_polygon, _neighbors */
EVAL(eval_geohash)
{
    CLEANUP_ROWS struct rows_out r;
    const char *what = call->fn->name + strlen("geo_geohash_");
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct cell c;
        struct bytes hash = vec_str(args[0], i);
        if (!decode(hash, &c)) {
        } else if (str_eq(what, "to_central_point")) {
            geo_put_point(&r.b, (struct s2_ll){c.lng + c.width / 2, c.lat + c.height / 2});
        } else if (str_eq(what, "to_polygon")) {
            double east = c.lng + c.width, north = c.lat + c.height;
            struct s2_ll ring[5] = {
                {c.lng, c.lat}, {east, c.lat}, {east, north}, {c.lng, north}, {c.lng, c.lat}};
            geo_put_ring(&r.b, ring, 5);
        } else {
            put_neighbors(&r.b, &c, hash.len);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static const struct fn rows[] = {
    FN("geo_geohash_neighbors", 1, 1, T_DYNAMIC, 0, eval_geohash, "The geohashes around one.",
       "geo_geohash_neighbors('sunny')[0]", "sunnv", ARG_STRING),
    FN("geo_geohash_to_central_point", 1, 1, T_DYNAMIC, 0, eval_geohash, "The centre of a geohash.",
       "geo_geohash_to_central_point('sunny').coordinates", "[42.47314453125,23.70849609375]",
       ARG_STRING),
    FN("geo_geohash_to_polygon", 1, 1, T_DYNAMIC, 0, eval_geohash, "The outline of a geohash.",
       "geo_geohash_to_polygon('dr5ru').coordinates[0][2]", "[-73.9599609375,40.78125]",
       ARG_STRING),
    FN("geo_point_to_geohash", 2, 3, T_STRING, 0, eval_to_geohash, "The geohash of a point.",
       "geo_point_to_geohash(42.47314453125, 23.70849609375)", "sunny", ARG_REAL, ARG_REAL,
       ARG_AS(TM_NUMERIC, T_LONG)),
};
const struct fn_family fn_geo_hash = FAMILY(rows);
