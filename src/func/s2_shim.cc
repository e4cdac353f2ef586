/* SPDX-License-Identifier: Apache-2.0 */
/* func/s2_shim.cc - S2 for C: shapes, what they measure, and what they make together */
#include "func/s2_inside.hh"

/* --- making shapes ---------------------------------------------------------------------------- */

static vector<S2Point> points_of(const s2_flat *in, const s2_part &part)
{
    vector<S2Point> out;
    for (uint32_t i = 0; i < part.n; i++)
        out.push_back(point_of(in->points[part.from + i]));
    return out;
}

static unique_ptr<S2Loop> loop_of(const s2_flat *in, const s2_part &part)
{
    vector<S2Point> v = points_of(in, part);
    if (v.size() < 4 || v.front() != v.back()) return nullptr;
    v.pop_back();
    unique_ptr<S2Loop> loop(new S2Loop(v, S2Debug::DISABLE));
    S2Error error;
    if (loop->FindValidationError(&error)) return nullptr;
    loop->Normalize();
    return loop;
}

/* The shell at parts[i] and the holes behind it; i moves on. */
static unique_ptr<S2Polygon> polygon_of(const s2_flat *in, uint32_t *i)
{
    vector<unique_ptr<S2Loop>> loops;
    do {
        unique_ptr<S2Loop> loop = loop_of(in, in->parts[*i]);
        if (loop == nullptr) return nullptr;
        loops.push_back(std::move(loop));
        ++*i;
    } while (*i < in->n_parts && in->parts[*i].kind == S2_HOLE);
    unique_ptr<S2Polygon> polygon(new S2Polygon);
    polygon->set_s2debug_override(S2Debug::DISABLE);
    polygon->InitNested(std::move(loops));
    S2Error error;
    if (polygon->FindValidationError(&error)) return nullptr;
    return polygon;
}

static bool add_shapes(s2_geo *g)
{
    if (!g->points.empty()) g->index.Add(unique_ptr<S2Shape>(new S2PointVectorShape(g->points)));
    for (auto &line : g->lines)
        g->index.Add(unique_ptr<S2Shape>(new S2Polyline::Shape(line.get())));
    if (!g->polygon->is_empty())
        g->index.Add(unique_ptr<S2Shape>(new S2Polygon::Shape(g->polygon.get())));
    return true;
}

static s2_geo *make(const s2_flat *in)
{
    unique_ptr<s2_geo> g(new s2_geo);
    vector<unique_ptr<S2Polygon>> polygons;
    for (uint32_t i = 0; i < in->n_parts;) {
        const s2_part &part = in->parts[i];
        if (part.kind == S2_POINT) {
            for (const S2Point &p : points_of(in, part))
                g->points.push_back(p);
            i++;
        } else if (part.kind == S2_LINE) {
            vector<S2Point> v = points_of(in, part);
            if (v.size() < 2) return nullptr;
            unique_ptr<S2Polyline> line(new S2Polyline(v, S2Debug::DISABLE));
            S2Error error;
            if (line->FindValidationError(&error)) return nullptr;
            g->lines.push_back(std::move(line));
            i++;
        } else {
            unique_ptr<S2Polygon> polygon = polygon_of(in, &i);
            if (polygon == nullptr) return nullptr;
            polygons.push_back(std::move(polygon));
        }
    }
    if (polygons.size() == 1) {
        g->polygon = std::move(polygons[0]);
    } else if (polygons.size() > 1) {
        g->polygon = S2Polygon::DestructiveUnion(std::move(polygons));
    }
    add_shapes(g.get());
    return g.release();
}

struct s2_geo *s2_geo_new(const struct s2_flat *parts)
{
    GUARD(nullptr, return make(parts);)
}

void s2_geo_free(struct s2_geo *g)
{
    delete g;
}

static void flatten(s2_geo *g, s2_kind kind, const vector<S2Point> &v)
{
    g->flat_parts.push_back(
        {kind, static_cast<uint32_t>(g->flat_points.size()), static_cast<uint32_t>(v.size())});
    for (const S2Point &p : v)
        g->flat_points.push_back(degrees_of(p));
}

static void flatten_loop(s2_geo *g, s2_kind kind, const S2Loop *loop)
{
    vector<S2Point> v;
    for (int i = 0; i <= loop->num_vertices(); i++)
        v.push_back(loop->oriented_vertex(i % loop->num_vertices()));
    flatten(g, kind, v);
}

static void flatten_polygon(s2_geo *g, const S2Polygon *polygon)
{
    for (int k = 0; k < polygon->num_loops(); k++) {
        if (polygon->loop(k)->is_hole()) continue;
        flatten_loop(g, S2_SHELL, polygon->loop(k));
        for (int h = k + 1; h <= polygon->GetLastDescendant(k); h++) {
            if (polygon->loop(h)->depth() == polygon->loop(k)->depth() + 1)
                flatten_loop(g, S2_HOLE, polygon->loop(h));
        }
    }
}

static void flatten_all(s2_geo *g)
{
    g->flat_parts.clear();
    g->flat_points.clear();
    for (const S2Point &p : g->points)
        flatten(g, S2_POINT, {p});
    for (auto &line : g->lines) {
        S2PointSpan span = line->vertices_span();
        flatten(g, S2_LINE, vector<S2Point>(span.begin(), span.end()));
    }
    if (!g->polygon->is_full()) flatten_polygon(g, g->polygon.get());
}

struct s2_flat s2_geo_flat(struct s2_geo *g)
{
    GUARD({}, {
        if (!g->is_flat) flatten_all(g);
        return {g->flat_parts.data(), g->flat_points.data(),
                static_cast<uint32_t>(g->flat_parts.size()),
                static_cast<uint32_t>(g->flat_points.size())};
    })
}

/* --- numbers ---------------------------------------------------------------------------------- */

double s2_distance_m(struct s2_ll a, struct s2_ll b)
{
    return metres_of(
        S2LatLng::FromDegrees(a.lat, a.lng).GetDistance(S2LatLng::FromDegrees(b.lat, b.lng)));
}

double s2_length_m(const struct s2_geo *g)
{
    double sum = 0;
    for (auto &line : g->lines)
        sum += metres_of(line->GetLength());
    for (int k = 0; k < g->polygon->num_loops(); k++) {
        const S2Loop *loop = g->polygon->loop(k);
        for (int i = 0; i < loop->num_vertices(); i++)
            sum += metres_of(S1Angle(loop->vertex(i), loop->vertex(i + 1)));
    }
    return sum;
}

double s2_area_m2(const struct s2_geo *g)
{
    return g->polygon->GetArea() * S2_EARTH_RADIUS_M * S2_EARTH_RADIUS_M;
}

bool s2_contains(const struct s2_geo *g, struct s2_ll p)
{
    return g->polygon->Contains(point_of(p));
}

static bool closest(const s2_geo *g, const S2Point &p, S2Point *out)
{
    S1Angle best = S1Angle::Infinity();
    int next;
    for (auto &line : g->lines) {
        S2Point q = line->Project(p, &next);
        if (S1Angle(p, q) < best) best = S1Angle(p, q), *out = q;
    }
    if (!g->polygon->is_empty()) *out = g->polygon->Project(p);
    return best != S1Angle::Infinity() || !g->polygon->is_empty();
}

bool s2_closest(const struct s2_geo *g, struct s2_ll p, struct s2_ll *out)
{
    GUARD(false, {
        S2Point q;
        if (!closest(g, point_of(p), &q)) return false;
        *out = q == point_of(p) ? p : degrees_of(q);
        return true;
    })
}

double s2_distance_to_m(const struct s2_geo *g, struct s2_ll p)
{
    GUARD(0, {
        S2Point q = point_of(p);
        if (!g->polygon->is_empty()) return metres_of(g->polygon->GetDistance(q));
        S2Point nearest;
        return closest(g, q, &nearest) ? metres_of(S1Angle(q, nearest)) : 0;
    })
}

bool s2_centroid(const struct s2_geo *g, struct s2_ll *out)
{
    S2Point sum(0, 0, 0);
    for (auto &line : g->lines)
        sum += line->GetCentroid();
    if (!g->polygon->is_empty()) sum += g->polygon->GetCentroid();
    if (sum == S2Point(0, 0, 0)) return false;
    *out = degrees_of(sum.Normalize());
    return true;
}

bool s2_interpolate(const struct s2_geo *g, double fraction, struct s2_ll *out)
{
    if (g->lines.size() != 1) return false;
    *out = degrees_of(g->lines[0]->Interpolate(fraction));
    return true;
}

bool s2_locate(const struct s2_geo *g, struct s2_ll p, double *fraction)
{
    int next;
    if (g->lines.size() != 1) return false;
    S2Point q = g->lines[0]->Project(point_of(p), &next);
    *fraction = g->lines[0]->UnInterpolate(q, next);
    return true;
}

/* --- shapes of shapes ------------------------------------------------------------------------- */

static S2BooleanOperation::Options closed()
{
    S2BooleanOperation::Options o;
    o.set_polygon_model(S2BooleanOperation::PolygonModel::CLOSED);
    o.set_polyline_model(S2BooleanOperation::PolylineModel::CLOSED);
    return o;
}

bool s2_intersects(const struct s2_geo *a, const struct s2_geo *b)
{
    GUARD(false, return S2BooleanOperation::Intersects(a->index, b->index, closed());)
}

struct s2_geo *s2_intersection(const struct s2_geo *a, const struct s2_geo *b)
{
    GUARD(nullptr, {
        unique_ptr<s2_geo> g(new s2_geo);
        s2builderutil::LayerVector layers(3);
        layers[0].reset(new s2builderutil::S2PointVectorLayer(&g->points));
        s2builderutil::S2PolylineVectorLayer::Options once; /* what both lines have comes twice */
        once.set_duplicate_edges(
            s2builderutil::S2PolylineVectorLayer::Options::DuplicateEdges::MERGE);
        layers[1].reset(new s2builderutil::S2PolylineVectorLayer(&g->lines, once));
        layers[2].reset(new s2builderutil::S2PolygonLayer(g->polygon.get()));
        S2BooleanOperation op(S2BooleanOperation::OpType::INTERSECTION,
                              s2builderutil::NormalizeClosedSet(std::move(layers)), closed());
        S2Error error;
        if (!op.Build(a->index, b->index, &error)) return nullptr;
        return g.release();
    })
}

static bool union_of_lines(s2_geo *g, const struct s2_geo *const *shapes, uint32_t n)
{
    S2Builder builder{S2Builder::Options()};
    s2builderutil::S2PolylineVectorLayer::Options o;
    o.set_duplicate_edges(s2builderutil::S2PolylineVectorLayer::Options::DuplicateEdges::MERGE);
    builder.StartLayer(
        unique_ptr<S2Builder::Layer>(new s2builderutil::S2PolylineVectorLayer(&g->lines, o)));
    for (uint32_t i = 0; i < n; i++) {
        for (auto &line : shapes[i]->lines)
            builder.AddPolyline(*line);
    }
    S2Error error;
    return builder.Build(&error);
}

struct s2_geo *s2_union(const struct s2_geo *const *shapes, uint32_t n)
{
    GUARD(nullptr, {
        unique_ptr<s2_geo> g(new s2_geo);
        vector<unique_ptr<S2Polygon>> polygons;
        for (uint32_t i = 0; i < n; i++) {
            if (!shapes[i]->polygon->is_empty())
                polygons.push_back(unique_ptr<S2Polygon>(shapes[i]->polygon->Clone()));
        }
        if (!polygons.empty()) g->polygon = S2Polygon::DestructiveUnion(std::move(polygons));
        if (!union_of_lines(g.get(), shapes, n)) return nullptr;
        return g.release();
    })
}

struct s2_geo *s2_buffer(const struct s2_geo *g, double radius_m, double tolerance_m)
{
    GUARD(nullptr, {
        unique_ptr<s2_geo> out(new s2_geo);
        S2BufferOperation::Options o;
        double error_fraction = tolerance_m / (radius_m < 0 ? -radius_m : radius_m);
        /* S2 ends the process for less; no circle is wider than the globe. */
        if (!(error_fraction >= S2BufferOperation::Options::kMinErrorFraction) ||
            angle_of(radius_m).radians() > M_PI)
            return nullptr;
        o.set_buffer_radius(angle_of(radius_m));
        o.set_error_fraction(error_fraction < 1 ? error_fraction : 1);
        S2BufferOperation op(
            unique_ptr<S2Builder::Layer>(new s2builderutil::S2PolygonLayer(out->polygon.get())), o);
        for (const S2Point &p : g->points)
            op.AddPoint(p);
        for (auto &line : g->lines)
            op.AddPolyline(line->vertices_span());
        if (!g->polygon->is_empty()) op.AddShape(S2Polygon::Shape(g->polygon.get()));
        S2Error error;
        if (!op.Build(&error)) return nullptr;
        return out.release();
    })
}

struct s2_geo *s2_simplify(const struct s2_geo *const *shapes, uint32_t n, double tolerance_m)
{
    GUARD(nullptr, {
        S1Angle snap = angle_of(tolerance_m);
        if (snap > S2Builder::SnapFunction::kMaxSnapRadius()) return nullptr;
        unique_ptr<s2_geo> out(new s2_geo);
        S2Builder::Options o{s2builderutil::IdentitySnapFunction(snap)};
        o.set_simplify_edge_chains(true);
        S2Builder builder{o};
        vector<unique_ptr<S2Polygon>> polygons;
        for (uint32_t i = 0; i < n; i++) {
            for (auto &line : shapes[i]->lines) {
                out->lines.push_back(unique_ptr<S2Polyline>(new S2Polyline));
                builder.StartLayer(unique_ptr<S2Builder::Layer>(
                    new s2builderutil::S2PolylineLayer(out->lines.back().get())));
                builder.AddPolyline(*line);
            }
            if (shapes[i]->polygon->is_empty()) continue;
            polygons.push_back(unique_ptr<S2Polygon>(new S2Polygon));
            polygons.back()->set_s2debug_override(S2Debug::DISABLE);
            builder.StartLayer(unique_ptr<S2Builder::Layer>(
                new s2builderutil::S2PolygonLayer(polygons.back().get())));
            builder.AddPolygon(*shapes[i]->polygon);
        }
        S2Error error;
        if (!builder.Build(&error)) return nullptr;
        for (auto &line : out->lines) {
            if (line->num_vertices() < 2) return nullptr;
        }
        for (auto &polygon : polygons) {
            if (polygon->is_empty() || polygon->is_full()) return nullptr;
        }
        if (polygons.size() == 1) {
            out->polygon = std::move(polygons[0]);
        } else if (polygons.size() > 1) {
            out->polygon = S2Polygon::DestructiveUnion(std::move(polygons));
        }
        return out.release();
    })
}

struct s2_geo *s2_densify(const struct s2_flat *parts, double tolerance_m)
{
    GUARD(nullptr, {
        S2::PlateCarreeProjection map(180);
        S2EdgeTessellator tessellator(&map, angle_of(tolerance_m));
        vector<s2_part> dense;
        vector<s2_ll> points;
        for (uint32_t i = 0; i < parts->n_parts; i++) {
            vector<S2Point> v;
            const s2_ll *p = parts->points + parts->parts[i].from;
            for (uint32_t k = 0; k + 1 < parts->parts[i].n; k++)
                tessellator.AppendUnprojected(R2Point(p[k].lng, p[k].lat),
                                              R2Point(p[k + 1].lng, p[k + 1].lat), &v);
            dense.push_back({parts->parts[i].kind, static_cast<uint32_t>(points.size()),
                             static_cast<uint32_t>(v.size())});
            for (const S2Point &q : v)
                points.push_back(degrees_of(q));
        }
        unique_ptr<s2_geo> out(new s2_geo);
        out->flat_parts = dense;
        out->flat_points = points;
        out->is_flat = true;
        return out.release();
    })
}
