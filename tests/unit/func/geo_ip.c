/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of addresses: what they know is told, and what is damaged is refused, never believed. */
#include "../mmdb_file.h"
#include "eval.h"

#include "base/str.h"
#include "func/geo_ip.h"
#include "func/mmdb.h"

#include <stdio.h>
#include <stdlib.h>

static void open_made(unsigned bits, unsigned version)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    mmdb_make(&b, "Made-City", bits, version);
    REQUIRE_OK(geo_ip_open(mmdb_write(&b), &d));
}

static void expect(const char *address, const char *place)
{
    for (uint32_t rows = 1; rows <= 70; rows += 69) {
        struct ev e;
        char text[200];
        snprintf(text, sizeof text, "tostring(geo_info_from_ip_address('%s'))", address);
        ev_init(&e, text, rows);
        EXPECT_STR(ev_text(&e), place);
        ev_release(&e);
    }
}

#define STRELSAU                                                                               \
    "{\"country\":\"Ruritania\",\"state\":\"Zenda\",\"city\":\"Strelsau\",\"latitude\":50.25," \
    "\"longitude\":14.5}"
#define KLOW                                                                                  \
    "{\"country\":\"Syldavia\",\"state\":\"Zympathia\",\"city\":\"Klow\",\"latitude\":-45.5," \
    "\"longitude\":-20.25}"

TEST(geo_ip, a_place_has_what_the_database_knows_of_it_in_every_width_of_record)
{
    for (unsigned bits = 24; bits <= 32; bits += 4) {
        for (unsigned version = 4; version <= 6; version += 2) {
            open_made(bits, version);
            expect("192.0.2.1", STRELSAU);
            expect("192.0.2.255", STRELSAU);
            expect("::ffff:192.0.2.9", STRELSAU);
            expect("198.51.100.127",
                   "{\"country\":\"Ruritania\",\"latitude\":49.75,\"longitude\":15.5}");
            expect("203.0.113.7", "{\"latitude\":-12.5,\"longitude\":0.25}");
            expect("2001:db8:1:2::3", version == 6 ? KLOW : "");
        }
    }
    geo_ip_close();
}

TEST(geo_ip, what_is_not_known_is_null)
{
    open_made(28, 6);
    static const char *const unknown[] = {"192.0.3.1", "198.51.100.128", "203.0.113.8", "10.0.0.1",
                                          "127.0.0.1", "2001:db8:2::1",  "::1",         "",
                                          "nowhere",   "1.2.3",          "192.0.2.1/24"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        expect(unknown[i], "");
    geo_ip_close();
}

TEST(geo_ip, without_a_database_the_function_is_refused_by_the_name_of_the_option)
{
    struct arena a;
    struct diag d = DIAG_INIT;
    const struct fn *fn = fn_find("geo_info_from_ip_address");
    struct fn_call call = {.fn = fn, .ret = T_DYNAMIC, .n_args = 1};
    arena_init(&a, 0);
    REQUIRE(fn != NULL);
    EXPECT_EQ(fn->prepare(&call, &a, &d), ERR_UNSUPPORTED);
    REQUIRE(strstr(d.text, "--geo-ip-database") != NULL);
    arena_release(&a);
}

TEST(geo_ip, a_database_that_knows_no_places_is_refused_with_its_type)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    mmdb_make(&b, "Made-ASN", 24, 4);
    EXPECT_EQ(geo_ip_open(mmdb_write(&b), &d), ERR_INVALID);
    REQUIRE(strstr(d.text, "Made-ASN") != NULL);
}

/* Every address of the made places, and neighbours of them. */
static void ask_all(const struct mmdb *m, unsigned *damaged)
{
    static const char *const path[] = {"subdivisions", "0", "names", "en", NULL};
    struct diag d = DIAG_INIT;
    for (unsigned k = 0; k < 64; k++) {
        uint8_t key[16] = {[10] = 0xff, 0xff, 192, 0, 2, (uint8_t)k};
        uint32_t record;
        bool found;
        struct mmdb_value v;
        if ((k & 1) != 0) memcpy(key, "\x20\x01\x0d\xb8\x00\x01", 6);
        diag_reset(&d);
        enum err e = mmdb_find(m, key, &record, &found, &d);
        if (e == OK && found) e = mmdb_get(m, record, path, &v, &d);
        REQUIRE(e == OK || e == ERR_CORRUPT);
        *damaged += e != OK;
    }
}

TEST(geo_ip, a_file_that_is_cut_off_anywhere_is_refused)
{
    CLEANUP_BUF struct buf b = {0};
    mmdb_make(&b, "Made-City", 24, 4);
    for (size_t n = 0; n < b.len; n++) {
        struct diag d = DIAG_INIT;
        struct mmdb *m = NULL;
        CLEANUP_BUF struct buf cut = {0};
        buf_bytes(&cut, bytes_of(b.p, n));
        EXPECT_EQ(mmdb_open(&m, mmdb_write(&cut), &d), ERR_CORRUPT);
        REQUIRE(strstr(d.text, "places.mmdb") != NULL);
    }
}

/* Seeded: each round writes some other bytes into the file. What opens all the same answers, or says
 * that it is damaged. */
TEST(geo_ip, damage_is_told_and_never_followed)
{
    uint64_t seed = 4711;
    unsigned refused = 0, damaged = 0;
    CLEANUP_BUF struct buf b = {0};
    mmdb_make(&b, "Made-City", 28, 6);
    for (int round = 0; round < 3000; round++) {
        struct diag d = DIAG_INIT;
        CLEANUP(mmdb_close) struct mmdb *m = NULL;
        CLEANUP_BUF struct buf bad = {0};
        buf_bytes(&bad, buf_view(&b));
        for (int k = 0; k <= round % 3; k++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            bad.p[(seed >> 33) % bad.len] = (uint8_t)(seed >> 20);
        }
        enum err e = mmdb_open(&m, mmdb_write(&bad), &d);
        REQUIRE(e == OK || e == ERR_CORRUPT || e == ERR_UNSUPPORTED);
        if (e == OK) ask_all(m, &damaged);
        refused += e != OK;
    }
    REQUIRE(refused > 100 && damaged > 100);
}

static void one_record(struct buf *out, const struct buf *data)
{
    mmdb_put_node(out, 17, 17, 24);
    mmdb_zeros(out);
    buf_bytes(out, buf_view(data));
    mmdb_metadata(out, "Made-City", 1, 24, 4);
}

static void expect_damaged(const struct buf *data)
{
    struct diag d = DIAG_INIT;
    CLEANUP(mmdb_close) struct mmdb *m = NULL;
    CLEANUP_BUF struct buf file = {0};
    unsigned damaged = 0;
    one_record(&file, data);
    REQUIRE_OK(mmdb_open(&m, mmdb_write(&file), &d));
    ask_all(m, &damaged);
    REQUIRE(damaged > 0);
}

TEST(geo_ip, a_value_as_deep_or_as_long_as_the_file_is_given_up_in_time)
{
    CLEANUP_BUF struct buf deep = {0}, wide = {0}, circle = {0};
    mmdb_map(&deep, 1);
    mmdb_text(&deep, "x");
    for (int k = 0; k < 1000000; k++)
        buf_str(&deep, "\xe1\x40"); /* a map whose one name is "" */
    expect_damaged(&deep);

    buf_u8(&wide, 0xff); /* a map of sixteen million pairs */
    mmdb_be(&wide, 0xffffff, 3);
    for (int k = 0; k < 100000; k++)
        buf_str(&wide, "\x40\x40");
    expect_damaged(&wide);

    buf_u8(&circle, 0x20); /* a pointer to itself */
    buf_u8(&circle, 0);
    expect_damaged(&circle);
}

TEST(geo_ip, more_nodes_than_the_file_has_are_not_believed)
{
    /* In 32 bits the product of these would be small. */
    static const uint32_t counts[] = {0, 2, 715827883, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct diag d = DIAG_INIT;
        struct mmdb *m = NULL;
        CLEANUP_BUF struct buf file = {0};
        mmdb_put_node(&file, 1, 1, 24);
        mmdb_zeros(&file);
        mmdb_metadata(&file, "Made-City", counts[i], 24, 4);
        EXPECT_EQ(mmdb_open(&m, mmdb_write(&file), &d), ERR_CORRUPT);
    }
}
