/* SPDX-License-Identifier: Apache-2.0 */
/* func/s2_cells.cc - S2 for C: its cells, and those that cover a shape */
#include "func/s2_inside.hh"

uint64_t s2_cell_of(struct s2_ll p, int level)
{
    return S2CellId(S2LatLng::FromDegrees(p.lat, p.lng)).parent(level).id();
}

uint64_t s2_cell_from_token(const char *token, size_t len)
{
    uint64_t id = 0;
    if (len == 0 || len > 16) return 0;
    for (size_t i = 0; i < 16; i++) {
        char c = i < len ? token[i] : '0';
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return 0;
        id = id << 4 | static_cast<uint64_t>(digit);
    }
    return S2CellId(id).is_valid() ? id : 0;
}

void s2_cell_token(uint64_t cell, char out[17])
{
    std::string token = S2CellId(cell).ToToken();
    memcpy(out, token.c_str(), token.size() + 1);
}

struct s2_ll s2_cell_center(uint64_t cell)
{
    S2LatLng ll = S2CellId(cell).ToLatLng();
    return {ll.lng().degrees(), ll.lat().degrees()};
}

void s2_cell_corners(uint64_t cell, struct s2_ll out[4])
{
    S2Cell c{S2CellId(cell)};
    for (int k = 0; k < 4; k++)
        out[k] = degrees_of(c.GetVertex(k));
}

uint32_t s2_cell_neighbors(uint64_t cell, uint64_t *out, uint32_t room)
{
    GUARD(0, {
        vector<S2CellId> v;
        S2CellId(cell).AppendAllNeighbors(S2CellId(cell).level(), &v);
        uint32_t n = 0;
        for (S2CellId id : v) {
            if (n < room) out[n++] = id.id();
        }
        return n;
    })
}

/* So many cells at least: S2 would find them all before it says that they are too many. */
static bool too_many(const s2_geo *g, int level, double radius_m)
{
    double edge = S2::kMaxWidth.GetValue(level) * S2_EARTH_RADIUS_M;
    double cell = S2::kMaxArea.GetValue(level) * S2_EARTH_RADIUS_M * S2_EARTH_RADIUS_M;
    double around = s2_length_m(g) * 2 * radius_m;
    if (!g->polygon->is_empty() && radius_m <= 0) around = 0;
    return (s2_area_m2(g) + around / 4) / cell > S2_CELLS_MAX ||
           s2_length_m(g) / edge > 4.0 * S2_CELLS_MAX;
}

bool s2_cover(const struct s2_geo *g, int level, double radius_m, uint64_t **out, uint32_t *n)
{
    GUARD(false, {
        if (too_many(g, level, radius_m)) return false;
        S2RegionCoverer::Options o;
        o.set_min_level(level);
        o.set_max_level(level);
        S2RegionCoverer coverer(o);
        vector<S2CellId> cells;
        if (radius_m > 0) {
            S2ShapeIndexBufferedRegion region(&g->index, S1ChordAngle(angle_of(radius_m)));
            coverer.GetCovering(region, &cells);
        } else if (!g->polygon->is_empty()) {
            coverer.GetCovering(*g->polygon, &cells);
        } else {
            S2RegionUnion lines;
            for (auto &line : g->lines)
                lines.Add(unique_ptr<S2Region>(line->Clone()));
            coverer.GetCovering(lines, &cells);
        }
        if (cells.empty() || cells.size() > S2_CELLS_MAX) return false;
        *out = static_cast<uint64_t *>(calloc(cells.size(), sizeof **out));
        if (*out == nullptr) return false;
        *n = 0;
        for (S2CellId id : cells)
            (*out)[(*n)++] = id.id();
        return true;
    })
}
