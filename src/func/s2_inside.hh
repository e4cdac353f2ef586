/* SPDX-License-Identifier: Apache-2.0 */
/* func/s2_inside.hh - what the files that see S2 share: its headers, a shape, units */
#pragma once

#include "func/s2_shim.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

/* absl's and S2's headers shadow and leave unused what our own flags forbid. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <s2/s2boolean_operation.h>
#include <s2/s2buffer_operation.h>
#include <s2/s2builder.h>
#include <s2/s2builderutil_closed_set_normalizer.h>
#include <s2/s2builderutil_lax_polygon_layer.h>
#include <s2/s2builderutil_s2point_vector_layer.h>
#include <s2/s2builderutil_s2polygon_layer.h>
#include <s2/s2builderutil_s2polyline_layer.h>
#include <s2/s2builderutil_s2polyline_vector_layer.h>
#include <s2/s2builderutil_snap_functions.h>
#include <s2/s2cap.h>
#include <s2/s2cell.h>
#include <s2/s2edge_tessellator.h>
#include <s2/s2latlng.h>
#include <s2/s2metrics.h>
#include <s2/s2point_vector_shape.h>
#include <s2/s2polygon.h>
#include <s2/s2polyline.h>
#include <s2/s2projections.h>
#include <s2/s2region_coverer.h>
#include <s2/s2region_union.h>
#include <s2/s2shape_index_buffered_region.h>
#pragma GCC diagnostic pop

using std::unique_ptr;
using std::vector;

struct s2_geo {
    vector<S2Point> points;
    vector<unique_ptr<S2Polyline>> lines;
    unique_ptr<S2Polygon> polygon; /* never null */
    MutableS2ShapeIndex index;     /* of all of them, for combining */
    vector<s2_part> flat_parts;
    vector<s2_ll> flat_points;
    bool is_flat = false; /* there is nothing but the two above */

    s2_geo() : polygon(new S2Polygon) { polygon->set_s2debug_override(S2Debug::DISABLE); }
};

inline S2Point point_of(s2_ll p)
{
    return S2LatLng::FromDegrees(p.lat, p.lng).ToPoint();
}

inline s2_ll degrees_of(const S2Point &p)
{
    S2LatLng ll(p);
    return {ll.lng().degrees(), ll.lat().degrees()};
}

inline S1Angle angle_of(double metres)
{
    return S1Angle::Radians(metres / S2_EARTH_RADIUS_M);
}

inline double metres_of(S1Angle a)
{
    return a.radians() * S2_EARTH_RADIUS_M;
}

#define GUARD(none, ...) \
    try {                \
        __VA_ARGS__      \
    } catch (...) {      \
        return none;     \
    }
