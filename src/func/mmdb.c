/* SPDX-License-Identifier: Apache-2.0 */
/* func/mmdb.c - the search tree and the values of a MaxMind DB */
#include "func/mmdb.h"

#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>

#define METADATA_MAX ((size_t)128 << 10) /* bytes from the end in which it begins */
#define SEPARATOR    16

enum kind {
    EXTENDED = 0,
    POINTER = 1,
    TEXT = 2,
    DOUBLE = 3,
    UINT16 = 5,
    UINT32 = 6,
    MAP = 7,
    UINT64 = 9,
    ARRAY = 11,
    BOOL = 14
};

struct mmdb {
    struct buf file;
    struct bytes tree, data, type;
    uint32_t nodes;
    uint32_t record_bits;
    uint32_t ip_version;
    char path[200]; /* for messages, perhaps cut off */
};

static enum err damaged(const struct mmdb *m, const char *what, struct diag *d)
{
    return FAIL(d, ERR_CORRUPT, "%s: the database of addresses is damaged: %s", m->path, what);
}

/* --- values ----------------------------------------------------------------------------------- */

struct section { /* data or metadata: pointers count from its start */
    struct bytes all;
    uint32_t left; /* (2) */
};

struct item {
    enum kind kind;
    uint32_t n;  /* bytes; of a map its pairs, of an array its items */
    size_t body; /* of a pointer: where it points */
};

static uint64_t read_be(struct rd *r, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | rd_u8(r);
    return v;
}

static void read_pointer(struct rd *r, uint8_t control, struct item *out)
{
    static const uint32_t from[] = {0, 2048, 526336, 0};
    unsigned more = (control >> 3) & 3;
    uint64_t v = read_be(r, more + 1);
    if (more < 3) v |= (uint64_t)(control & 7) << 8 * (more + 1);
    out->kind = POINTER;
    out->body = v + from[more];
}

static uint32_t read_size(struct rd *r, uint8_t control)
{
    uint32_t size = control & 31;
    if (size == 29) return 29 + (uint32_t)read_be(r, 1);
    if (size == 30) return 285 + (uint32_t)read_be(r, 2);
    return size == 31 ? 65821 + (uint32_t)read_be(r, 3) : size;
}

static bool holds_bytes(enum kind k)
{
    return k != MAP && k != ARRAY && k != BOOL;
}

/* The item at `at`, and where the next one begins: behind it, but for what a map or array holds. */
static bool read_item(struct section *s, size_t at, struct item *out, size_t *next)
{
    if (at >= s->all.len || s->left == 0) return false;
    s->left--;
    struct rd r = rd_from(bytes_of(s->all.p + at, s->all.len - at));
    uint8_t control = rd_u8(&r);
    *out = (struct item){.kind = (enum kind)(control >> 5)};
    if (out->kind == POINTER) {
        read_pointer(&r, control, out);
    } else {
        if (out->kind == EXTENDED) out->kind = (enum kind)(7 + rd_u8(&r));
        out->n = read_size(&r, control);
        out->body = s->all.len - rd_left(&r);
        if (holds_bytes(out->kind)) (void)rd_bytes(&r, out->n);
    }
    *next = s->all.len - rd_left(&r);
    return !r.bad;
}

/* The same, and what a pointer points to in its stead: a pointer to a pointer is none. */
static bool follow_item(struct section *s, size_t at, struct item *out, size_t *next)
{
    size_t unused;
    if (!read_item(s, at, out, next)) return false;
    if (out->kind != POINTER) return true;
    return read_item(s, out->body, out, &unused) && out->kind != POINTER;
}

/* Behind the item and all that is in it. */
static bool skip_item(struct section *s, size_t at, unsigned depth, size_t *next)
{
    struct item i;
    if (depth == MMDB_DEPTH_MAX || !read_item(s, at, &i, next)) return false;
    uint64_t inner = i.kind == MAP ? 2 * (uint64_t)i.n : i.kind == ARRAY ? i.n : 0;
    for (uint64_t k = 0; k < inner; k++) {
        if (!skip_item(s, *next, depth + 1, next)) return false;
    }
    return true;
}

/* The value of that name in the map whose pairs begin at `at`. */
static bool find_member(struct section *s, struct item *map, struct bytes name, bool *found)
{
    size_t at = map->body, next;
    for (uint32_t k = 0; k < map->n; k++) {
        struct item key;
        if (!follow_item(s, at, &key, &next) || key.kind != TEXT) return false;
        if (bytes_eq(bytes_of(s->all.p + key.body, key.n), name)) {
            *found = true;
            return follow_item(s, next, map, &at);
        }
        if (!skip_item(s, next, 0, &at)) return false;
    }
    *found = false;
    return true;
}

static bool find_first(struct section *s, struct item *array, bool *found)
{
    size_t next;
    *found = array->n != 0;
    return !*found || follow_item(s, array->body, array, &next);
}

/* False: damaged. */
static bool walk(struct section *s, size_t at, const char *const *path, struct mmdb_value *out)
{
    struct item i;
    size_t next;
    bool found = true;
    *out = (struct mmdb_value){.kind = MMDB_NONE};
    if (!follow_item(s, at, &i, &next)) return false;
    for (; *path != NULL; path++) {
        if (i.kind == MAP) {
            if (!find_member(s, &i, bytes_str(*path), &found)) return false;
        } else if (i.kind == ARRAY && strcmp(*path, "0") == 0) {
            if (!find_first(s, &i, &found)) return false;
        } else {
            return true;
        }
        if (!found) return true;
    }
    struct rd r =
        rd_from(holds_bytes(i.kind) ? bytes_of(s->all.p + i.body, i.n) : bytes_of(NULL, 0));
    if (i.kind == TEXT) {
        *out = (struct mmdb_value){.kind = MMDB_TEXT, .text = rd_bytes(&r, i.n)};
    } else if (i.kind == DOUBLE) {
        if (i.n != 8) return false;
        uint64_t bits = read_be(&r, 8);
        out->kind = MMDB_REAL;
        memcpy(&out->real, &bits, sizeof bits);
    } else if (i.kind == UINT16 || i.kind == UINT32 || i.kind == UINT64) {
        if (i.n > 8) return false;
        *out = (struct mmdb_value){.kind = MMDB_UINT, .uint = read_be(&r, i.n)};
    }
    return true;
}

enum err mmdb_get(const struct mmdb *m, uint32_t record, const char *const *path,
                  struct mmdb_value *out, struct diag *d)
{
    struct section s = {m->data, MMDB_VALUES_MAX};
    struct mmdb_value v;
    if (!walk(&s, record, path, &v)) return damaged(m, "a record that cannot be read", d);
    *out = v;
    return OK;
}

/* --- the tree --------------------------------------------------------------------------------- */

static uint32_t record_at(const struct mmdb *m, uint32_t node, bool right)
{
    const uint8_t *p = m->tree.p + (size_t)node * m->record_bits / 4;
    struct rd r = rd_from(bytes_of(p, m->record_bits / 4));
    switch (m->record_bits) {
    case 24: return (uint32_t)(right ? (void)read_be(&r, 3), read_be(&r, 3) : read_be(&r, 3));
    case 28:
        if (right) return (uint32_t)(p[3] & 15) << 24 | (uint32_t)p[4] << 16 | p[5] << 8 | p[6];
        return (uint32_t)(p[3] >> 4) << 24 | (uint32_t)p[0] << 16 | p[1] << 8 | p[2];
    default: return (uint32_t)(right ? (void)read_be(&r, 4), read_be(&r, 4) : read_be(&r, 4));
    }
}

/* A node, nothing (the number of nodes), or a place in the data behind the separator. */
static bool record_fits(const struct mmdb *m, uint32_t record)
{
    if (record <= m->nodes) return true;
    uint64_t at = (uint64_t)record - m->nodes;
    return at >= SEPARATOR && at - SEPARATOR < m->data.len;
}

enum err mmdb_find(const struct mmdb *m, const uint8_t address[16], uint32_t *record, bool *found,
                   struct diag *d)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t key[16];
    bool v4 = memcmp(address, mapped, sizeof mapped) == 0;
    *found = false;
    if (m->ip_version == 4 && !v4) return OK;
    memcpy(key, address, sizeof key);
    if (v4) memset(key, 0, 12); /* a tree of both has IPv4 at ::/96 */
    uint32_t node = 0;
    for (unsigned bit = m->ip_version == 4 ? 96 : 0; bit < 128 && node < m->nodes; bit++)
        node = record_at(m, node, (key[bit / 8] >> (7 - bit % 8) & 1) != 0);
    if (node < m->nodes) return damaged(m, "a path without an end", d);
    if (node == m->nodes) return OK;
    *found = true;
    *record = node - m->nodes - SEPARATOR;
    return OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool find_metadata(struct bytes file, size_t *at)
{
    static const char mark[] = "\xab\xcd\xef"
                               "MaxMind.com";
    size_t n = sizeof mark - 1, least = file.len > METADATA_MAX ? file.len - METADATA_MAX : 0;
    if (file.len < n) return false;
    for (size_t k = file.len - n + 1; k-- > least;) {
        if (memcmp(file.p + k, mark, n) != 0) continue;
        *at = k;
        return true;
    }
    return false;
}

static enum err read_uint(struct mmdb *m, struct bytes metadata, const char *name, uint32_t *out,
                          struct diag *d)
{
    struct section s = {metadata, MMDB_VALUES_MAX};
    const char *const path[] = {name, NULL};
    struct mmdb_value v;
    if (!walk(&s, 0, path, &v) || v.kind != MMDB_UINT || v.uint > UINT32_MAX)
        return FAIL(d, ERR_CORRUPT, "%s: no database of addresses: its metadata has no %s", m->path,
                    name);
    *out = (uint32_t)v.uint;
    return OK;
}

static enum err read_metadata(struct mmdb *m, size_t *end, struct diag *d)
{
    static const char *const type[] = {"database_type", NULL};
    static const size_t mark_len = 14;
    struct bytes file = buf_view(&m->file);
    uint32_t version;
    if (!find_metadata(file, end))
        return FAIL(d, ERR_CORRUPT, "%s: no database of addresses, or cut off: no metadata",
                    m->path);
    struct bytes metadata = bytes_of(file.p + *end + mark_len, file.len - *end - mark_len);
    struct section s = {metadata, MMDB_VALUES_MAX};
    struct mmdb_value v;
    TRY(read_uint(m, metadata, "binary_format_major_version", &version, d));
    if (version != 2)
        return FAIL(d, ERR_UNSUPPORTED, "%s: version %u of the format, not 2", m->path, version);
    TRY(read_uint(m, metadata, "node_count", &m->nodes, d));
    TRY(read_uint(m, metadata, "record_size", &m->record_bits, d));
    TRY(read_uint(m, metadata, "ip_version", &m->ip_version, d));
    if (!walk(&s, 0, type, &v) || v.kind != MMDB_TEXT) return damaged(m, "it has no type", d);
    m->type = v.text;
    return OK;
}

static enum err lay_out(struct mmdb *m, size_t end, struct diag *d)
{
    if (m->record_bits != 24 && m->record_bits != 28 && m->record_bits != 32)
        return FAIL(d, ERR_UNSUPPORTED, "%s: records of %u bits", m->path, m->record_bits);
    if (m->ip_version != 4 && m->ip_version != 6)
        return FAIL(d, ERR_UNSUPPORTED, "%s: addresses of version %u", m->path, m->ip_version);
    uint64_t tree = (uint64_t)m->nodes * m->record_bits / 4;
    if (m->nodes == 0 || tree + SEPARATOR > end)
        return damaged(m, "its tree is longer than the file", d);
    const uint8_t *p = (const uint8_t *)m->file.p;
    m->tree = bytes_of(p, (size_t)tree);
    m->data = bytes_of(p + tree + SEPARATOR, end - (size_t)tree - SEPARATOR);
    for (uint32_t k = 0; k < m->nodes; k++) {
        if (!record_fits(m, record_at(m, k, false)) || !record_fits(m, record_at(m, k, true)))
            return damaged(m, "a node that points out of the file", d);
    }
    return OK;
}

enum err mmdb_open(struct mmdb **out, const char *path, struct diag *d)
{
    CLEANUP(mmdb_close) struct mmdb *m = calloc(1, sizeof *m);
    size_t end = 0;
    if (m == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    snprintf(m->path, sizeof m->path, "%s", path);
    TRY(os_read_file(path, MMDB_FILE_MAX, &m->file, d));
    TRY(read_metadata(m, &end, d));
    TRY(lay_out(m, end, d));
    *out = TAKE(m);
    return OK;
}

void mmdb_close(struct mmdb *m)
{
    if (m == NULL) return;
    buf_release(&m->file);
    free(m);
}

struct bytes mmdb_type(const struct mmdb *m)
{
    return m->type;
}
