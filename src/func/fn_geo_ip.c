/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_geo_ip.c - geo_info_from_ip_address(): country, state, city, latitude, longitude
 *
 * What the database does not know of a place is not in the bag; of an address that is not in it
 * (private ones never are), and of a text that is none, the answer is null. English names.
 */
#include "column/dyn.h"
#include "func/families.h"
#include "func/geo_ip.h"
#include "func/ip.h"
#include "func/mmdb.h"

#define OPTION "--geo-ip-database"

static struct mmdb *places;

enum err geo_ip_open(const char *path, struct diag *d)
{
    CLEANUP(mmdb_close) struct mmdb *m = NULL;
    TRY(mmdb_open(&m, path, d));
    static const char *const known[] = {"City", "Country", "Enterprise", "Location"};
    CLEANUP_BUF struct buf type = {0};
    buf_bytes(&type, mmdb_type(m));
    TRY(buf_check(&type, d));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(buf_cstr(&type), known[i]) == NULL) continue;
        geo_ip_close();
        places = TAKE(m);
        return OK;
    }
    return FAIL(d, ERR_INVALID,
                OPTION " takes a database of cities or countries; %.100s is of type '%.60s'", path,
                buf_cstr(&type));
}

void geo_ip_close(void)
{
    mmdb_close(places);
    places = NULL;
}

/* What the bag has, in its order, and where a database has it. */
static const struct {
    const char *name, *path[5];
} members[] = {
    {"country", {"country", "names", "en"}},  {"state", {"subdivisions", "0", "names", "en"}},
    {"city", {"city", "names", "en"}},        {"latitude", {"location", "latitude"}},
    {"longitude", {"location", "longitude"}},
};

static enum err put_place(uint32_t record, struct buf *out, struct diag *d)
{
    uint32_t n = 0;
    size_t begin = out->len, at = dyn_bag_begin(out);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct mmdb_value v;
        TRY(mmdb_get(places, record, members[i].path, &v, d));
        if (v.kind != MMDB_TEXT && v.kind != MMDB_REAL) continue;
        struct value value = {.type = v.kind == MMDB_TEXT ? T_STRING : T_REAL};
        if (v.kind == MMDB_TEXT) {
            value.s = v.text;
        } else {
            value.r = v.real;
        }
        dyn_bag_name(out, bytes_str(members[i].name));
        TRY(dyn_from_value(&value, out, d));
        n++;
    }
    dyn_bag_end(out, at, n);
    if (n == 0) out->len = begin;
    return OK;
}

EVAL(eval_geo_info)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes text = vec_str(args[0], i);
        struct ip ip;
        uint32_t record;
        bool found = false, masked = text.len != 0 && memchr(text.p, '/', text.len) != NULL;
        if (!masked && ip_parse(text, &ip)) TRY(mmdb_find(places, ip.b, &record, &found, cx->d));
        if (found) TRY(put_place(record, &r.b, cx->d));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static enum err prepare_geo_info(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    if (places != NULL) return OK;
    return FAIL(
        d, ERR_UNSUPPORTED,
        "the function %s() needs a database of addresses: this server was started without " OPTION,
        call->fn->name);
}

static const struct fn rows[] = {
    {.name = "geo_info_from_ip_address",
     .arity_min = 1,
     .arity_max = 1,
     .args = {ARG_STRING},
     .ret = T_DYNAMIC,
     .eval = eval_geo_info,
     .prepare = prepare_geo_info,
     .doc = "Country, state, city and coordinates of an IPv4 or IPv6 address, by the database that "
            "the server was started with."},
};
const struct fn_family fn_geo_ip = FAMILY(rows);
