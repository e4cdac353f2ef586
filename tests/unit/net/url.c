/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/url.c - URLs: what is taken apart, and what is refused */
#include "test.h"

#include "net/url.h"

#include <stdlib.h>

TEST(url, a_key_uri_comes_apart)
{
    struct diag d = DIAG_INIT;
    struct url u;
    REQUIRE_OK(url_parse("HTTPS://Kv1.Vault.LocalHost:8444/keys/k1/abc?x=1", &u, &d));
    EXPECT_STR(u.scheme, "https");
    EXPECT_STR(u.host, "kv1.vault.localhost");
    EXPECT_EQ(u.port, 8444);
    REQUIRE(u.has_port && !u.has_userinfo && !u.host_is_ip);
    REQUIRE(bytes_eq(u.path, BYTES("/keys/k1/abc")));
    REQUIRE(bytes_eq(u.query, BYTES("x=1")));
}

TEST(url, ports_and_paths_have_defaults)
{
    struct diag d = DIAG_INIT;
    struct url u;
    REQUIRE_OK(url_parse("https://a.example.", &u, &d));
    EXPECT_STR(u.host, "a.example");
    EXPECT_EQ(u.port, 443);
    EXPECT_EQ(u.path.len, 0);
    REQUIRE_OK(url_parse("http://[::1]/x", &u, &d));
    EXPECT_STR(u.host, "::1");
    EXPECT_EQ(u.port, 80);
    REQUIRE(u.host_is_ip && url_is_loopback(&u));
}

TEST(url, userinfo_is_seen_and_does_not_become_the_host)
{
    struct diag d = DIAG_INIT;
    struct url u;
    REQUIRE_OK(url_parse("https://kv1.vault.azure.net@evil.example/keys/k", &u, &d));
    REQUIRE(u.has_userinfo);
    EXPECT_STR(u.host, "evil.example");
    REQUIRE_OK(url_parse("https://u:p@x@evil.example:1/", &u, &d));
    EXPECT_STR(u.host, "evil.example");
}

TEST(url, what_two_parsers_could_read_differently_is_refused)
{
    static const char *const odd[] = {
        "",
        "vault.localhost/keys/k",
        "//vault.localhost/",
        "https:/vault.localhost/",
        "https://",
        "https:///keys",
        "https://?x",
        "://host/",
        "1https://host/",
        "https://host:0/",
        "https://host:65536/",
        "https://host:/",
        "https://host:+443/",
        "https://host:44a/",
        "https://ho st/",
        "https://host\\@evil/",
        "https://evil.example\\.vault.azure.net/",
        "https://host/a#b",
        "https://host/%",
        "https://host/%zz",
        "https://ho%73t/",
        "https://-host/",
        "https://a..b/",
        "https://.a/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://127.0.0.01x/",
        "https://1.2.3.4.5/",
        "https://[::1/",
        "https://[::1]x/",
        "https://[::g]/",
        "https://[fe80::1%25eth0]/",
        "https://h\xc3\xb6st/",
        "https://host/\xff",
        "https://host/\r\nx",
        "https://host/\"",
        "averyveryverylongscheme://host/",
    };
    struct diag d = DIAG_INIT;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct url u;
        if (url_parse(odd[i], &u, &d) == OK) fail_msg("taken: %s", odd[i]);
    }
}

TEST(url, lengths_have_limits)
{
    struct diag d = DIAG_INIT;
    struct url u;
    char *text = malloc(URL_TEXT_MAX + 2);
    REQUIRE(text != NULL);
    memset(text, 'a', URL_TEXT_MAX + 1);
    text[URL_TEXT_MAX + 1] = 0;
    memcpy(text, "https://h/", 10);
    REQUIRE_ERR(ERR_LIMIT, url_parse(text, &u, &d));
    text[URL_TEXT_MAX] = 0;
    REQUIRE_OK(url_parse(text, &u, &d));
    memcpy(text, "https://hh", 10);
    REQUIRE_ERR(ERR_LIMIT, url_parse(text, &u, &d));
    memcpy(text + 8 + 64, "/", 1);
    REQUIRE_ERR(ERR_INVALID, url_parse(text, &u, &d)); /* a label of 64 */
    memcpy(text + 8 + 63, "/", 1);
    REQUIRE_OK(url_parse(text, &u, &d));
    free(text);
}

static bool under(const char *text, const char *suffix)
{
    struct diag d = DIAG_INIT;
    struct url u;
    REQUIRE_OK(url_parse(text, &u, &d));
    return url_host_under(&u, suffix);
}

TEST(url, a_suffix_ends_at_a_dot)
{
    REQUIRE(under("https://kv.vault.azure.net/", "vault.azure.net"));
    REQUIRE(under("https://vault.azure.net/", "Vault.Azure.Net"));
    REQUIRE(!under("https://evilvault.azure.net/", "vault.azure.net"));
    REQUIRE(!under("https://vault.azure.net.evil.example/", "vault.azure.net"));
    REQUIRE(!under("https://net/", "vault.azure.net"));
    REQUIRE(!under("https://net/", ""));
}

TEST(url, only_this_machine_is_loopback)
{
    static const char *const here[] = {"http://localhost", "http://a.localhost:1",
                                       "http://127.0.0.9/"};
    static const char *const there[] = {"http://localhost.example", "http://10.0.0.1/",
                                        "http://127.example/", "http://alocalhost/",
                                        "http://[::2]/"};
    struct diag d = DIAG_INIT;
    struct url u;
    for (size_t i = 0; i < 3; i++) {
        REQUIRE_OK(url_parse(here[i], &u, &d));
        REQUIRE(url_is_loopback(&u));
    }
    for (size_t i = 0; i < 5; i++) {
        REQUIRE_OK(url_parse(there[i], &u, &d));
        REQUIRE(!url_is_loopback(&u));
    }
}
