/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/jwt.c - tokens: ours are taken, every forgery has its tag */
#include "test.h"

#include "base/str.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "net/jwt.h"

#include <stdlib.h>

#define NOW_S 1800000000LL

static struct rsa_key *key, *other;
static struct jwt_keys *keys;
static struct buf modulus;

static const char *const issuers[] = {"https://localhost:8443/t/v2.0", "https://sts.windows.net/t/",
                                      NULL};
static const char *const audiences[] = {"https://vault.azure.net", "https://localhost:8443/", NULL};

static void start(void)
{
    if (key != NULL) return;
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf e = {0}, n64 = {0}, e64 = {0};
    REQUIRE_OK(rsa_generate(&key, 2048, &d));
    REQUIRE_OK(rsa_generate(&other, 2048, &d));
    REQUIRE_OK(rsa_public_parts(key, &modulus, &e, &d));
    base64url_encode(&n64, buf_view(&modulus));
    base64url_encode(&e64, buf_view(&e));
    CLEANUP_JSON json_t *set =
        json_pack("{s:[{s:s, s:s, s:s, s:s, s:s}, {s:s, s:s, s:s}]}", "keys", "kty", "RSA", "use",
                  "sig", "kid", "k1", "n", buf_cstr(&n64), "e", buf_cstr(&e64), "kty", "EC", "kid",
                  "ec", "crv", "P-384");
    REQUIRE_OK(jwt_keys_new(&keys, set, &d));
}

static json_t *claims(void)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}", "iss", issuers[0], "aud",
                     "https://vault.azure.net", "iat", NOW_S, "nbf", NOW_S, "exp", NOW_S + 3600,
                     "oid", "me");
}

static void encode(struct buf *out, const char *text)
{
    base64url_encode(out, bytes_str(text));
}

/* A token with any header, signed by k (NULL = no signature). */
static char *forge(const char *header, json_t *body, const struct rsa_key *k)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf t = {0}, text = {0}, sig = {0};
    REQUIRE_OK(json_write(body, &text, &d));
    encode(&t, header);
    buf_str(&t, ".");
    base64url_encode(&t, buf_view(&text));
    if (k != NULL) REQUIRE_OK(rs256_sign(k, buf_view(&t), &sig, &d));
    buf_str(&t, ".");
    base64url_encode(&t, buf_view(&sig));
    json_decref(body);
    return str_dup(buf_cstr(&t));
}

static enum err check(const char *token, int64_t now_s, struct diag *d)
{
    struct jwt_expect want = {
        .issuers = issuers, .audiences = audiences, .now_us = now_s * US_PER_S};
    CLEANUP_JSON json_t *out = NULL;
    enum err e = jwt_verify(token, keys, &want, &out, d);
    REQUIRE((e == OK) == (out != NULL));
    return e;
}

/* Frees the token. */
static void expect(const char *tag, char *token)
{
    struct diag d = DIAG_INIT;
    enum err e = check(token, NOW_S, &d);
    if (tag == NULL && e != OK) fail_msg("refused: %s", d.text);
    if (tag != NULL && (e != ERR_DENIED || !str_eq(d.tag, tag))) {
        fail_msg("%s (%s) instead of %s", err_name(e), d.tag, tag);
    }
    free(token);
}

#define GOOD_HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"

static char *with(const char *name, json_t *value)
{
    json_t *c = claims();
    if (value == NULL) {
        json_object_del(c, name);
    } else {
        json_object_set_new(c, name, value);
    }
    return forge(GOOD_HEADER, c, key);
}

TEST(jwt, a_token_of_ours_is_taken_and_read)
{
    start();
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf t = {0};
    CLEANUP_JSON json_t *c = claims(), *read = NULL;
    REQUIRE_OK(jwt_sign(key, "k1", c, &t, &d));
    struct jwt_expect want = {
        .issuers = issuers, .audiences = audiences, .now_us = NOW_S * US_PER_S};
    REQUIRE_OK(jwt_verify(buf_cstr(&t), keys, &want, &read, &d));
    REQUIRE(json_equal(c, read));
    expect(NULL, forge(GOOD_HEADER, claims(), key));
}

TEST(jwt, only_rs256_is_an_algorithm)
{
    start();
    expect("Algorithm", forge("{\"alg\":\"none\"}", claims(), NULL));
    expect("Algorithm", forge("{\"alg\":\"none\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"alg\":\"None\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"alg\":\"HS256\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"alg\":\"rs256\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"alg\":\"RS512\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"alg\":\"PS256\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"alg\":[\"RS256\"],\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"ALG\":\"RS256\",\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", forge("{\"kid\":\"k1\"}", claims(), key));
    expect("Algorithm", str_dup("e30.e30."));
}

TEST(jwt, the_public_key_is_no_shared_secret)
{
    start();
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf t = {0}, text = {0};
    CLEANUP_JSON json_t *c = claims();
    uint8_t mac[32];
    REQUIRE_OK(json_write(c, &text, &d));
    static const char *const headers[] = {"{\"alg\":\"HS256\",\"kid\":\"k1\"}", GOOD_HEADER};
    static const char *const tags[] = {"Algorithm", "Signature"};
    for (int i = 0; i < 2; i++) {
        buf_clear(&t);
        encode(&t, headers[i]);
        buf_str(&t, ".");
        base64url_encode(&t, buf_view(&text));
        hmac_sha256(buf_view(&modulus), buf_view(&t), mac);
        buf_str(&t, ".");
        base64url_encode(&t, bytes_of(mac, sizeof mac));
        expect(tags[i], str_dup(buf_cstr(&t)));
    }
}

TEST(jwt, a_kid_only_names_a_key_of_the_set)
{
    start();
    expect("UnknownKey", forge("{\"alg\":\"RS256\"}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":\"k2\"}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":\"ec\"}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":\"K1\"}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":\"\"}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":1}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":\"../../../dev/null\"}", claims(), key));
    expect("UnknownKey", forge("{\"alg\":\"RS256\",\"kid\":\"k1' or '1'='1\"}", claims(), key));
    expect("UnknownKey",
           forge("{\"alg\":\"RS256\",\"kid\":\"x\",\"jku\":\"https://evil.example/\"}", claims(),
                 key));
}

TEST(jwt, a_key_inside_the_token_counts_for_nothing)
{
    start();
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf n = {0}, e = {0}, n64 = {0}, e64 = {0};
    REQUIRE_OK(rsa_public_parts(other, &n, &e, &d));
    base64url_encode(&n64, buf_view(&n));
    base64url_encode(&e64, buf_view(&e));
    char *header = str_fmt(
        "{\"alg\":\"RS256\",\"kid\":\"k1\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}}",
        buf_cstr(&n64), buf_cstr(&e64));
    expect("Signature", forge(header, claims(), other));
    free(header);
}

TEST(jwt, every_changed_byte_is_noticed)
{
    start();
    char *good = forge(GOOD_HEADER, claims(), key);
    size_t n = strlen(good);
    for (size_t i = 0; i < n; i += 3) {
        struct diag d = DIAG_INIT;
        char *bad = str_dup(good);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        /* The last character of a part may carry bits that mean nothing; the text still differs. */
        if (check(bad, NOW_S, &d) == OK) REQUIRE(i == n - 1);
        free(bad);
    }
    expect("Signature", forge(GOOD_HEADER, claims(), other));
    expect("Signature", forge(GOOD_HEADER, claims(), NULL));
    free(good);
}

TEST(jwt, a_payload_under_another_signature_is_refused)
{
    start();
    char *a = forge(GOOD_HEADER, claims(), key), *b = with("oid", json_string("somebody else"));
    char *mixed = str_fmt("%.*s%s", (int)(strrchr(b, '.') - b), b, strrchr(a, '.'));
    expect("Signature", mixed);
    free(a);
    free(b);
}

TEST(jwt, times_hold_with_five_minutes_of_grace)
{
    start();
    struct diag d = DIAG_INIT;
    char *t = forge(GOOD_HEADER, claims(), key);
    REQUIRE_OK(check(t, NOW_S + 3600 + 299, &d));
    REQUIRE(check(t, NOW_S + 3600 + 300, &d) == ERR_DENIED);
    EXPECT_STR(d.tag, "Expired");
    diag_reset(&d);
    REQUIRE_OK(check(t, NOW_S - 300, &d));
    REQUIRE(check(t, NOW_S - 301, &d) == ERR_DENIED);
    EXPECT_STR(d.tag, "NotYetValid");
    free(t);
    expect("Malformed", with("exp", NULL));
    expect("Malformed", with("exp", json_string("1800003600")));
    expect("Malformed", with("exp", json_real(1e300)));
    expect("Malformed", with("nbf", json_string("soon")));
    expect("Expired", with("exp", json_integer(INT64_C(-99999999999))));
    expect("Malformed", with("exp", json_integer(INT64_MIN)));
    expect("NotYetValid", with("nbf", json_integer(INT64_C(99999999999))));
    expect(NULL, with("nbf", NULL));
    expect(NULL, with("exp", json_real(NOW_S + 0.5)));
}

TEST(jwt, issuer_is_exact)
{
    start();
    expect(NULL, with("iss", json_string(issuers[1])));
    expect("Issuer", with("iss", json_string("https://localhost:8443/t/v2.0/")));
    expect("Issuer", with("iss", json_string("https://sts.windows.net/other/")));
    expect("Issuer", with("iss", json_pack("[s]", issuers[0])));
    expect("Issuer", with("iss", NULL));
}

TEST(jwt, audience_is_exact_but_for_one_slash)
{
    start();
    expect(NULL, with("aud", json_string("https://vault.azure.net/")));
    expect(NULL, with("aud", json_string("https://localhost:8443")));
    expect(NULL, with("aud", json_pack("[s, s]", "https://x.example", "https://vault.azure.net")));
    expect("Audience", with("aud", json_string("https://vault.azure.net//")));
    expect("Audience", with("aud", json_string("https://vault.azure.net.evil.example")));
    expect("Audience", with("aud", json_string("https://management.azure.com")));
    expect("Audience", with("aud", json_string("")));
    expect("Audience", with("aud", json_array()));
    expect("Audience", with("aud", json_object()));
    expect("Audience", with("aud", NULL));
    expect("Malformed", with("aud", json_stringn("https://vault.azure.net\0.evil.example", 37)));
    expect("Malformed", with("iss", json_stringn("https://localhost:8443/t/v2.0\0x", 31)));
}

TEST(jwt, what_is_no_token_is_malformed)
{
    start();
    static const char *const odd[] = {
        "",        ".",        "..",           "...",          "a.b",        "a.b.c.d",
        "a b.c.d", ".e30.e30", "e30=.e30.e30", "\xff.e30.e30", "e30.e+0.e30"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        expect("Malformed", str_dup(odd[i]));
    expect("Malformed", forge("[]", claims(), key));
    expect("Malformed", forge("{\"alg\":\"none\",\"alg\":\"RS256\"}", claims(), key));
    expect("Malformed",
           forge("{\"alg\":\"RS256\",\"kid\":\"k1\",\"crit\":[\"x\"]}", claims(), key));
    expect("Malformed", forge("{\"alg\":\"RS256\",\"kid\":\"k1\",\"b64\":false}", claims(), key));
    expect("Malformed", forge(GOOD_HEADER, json_array(), key));
}

TEST(jwt, a_huge_token_is_refused_unread)
{
    start();
    struct diag d = DIAG_INIT;
    char *pad = malloc(JWT_TEXT_MAX + 2);
    REQUIRE(pad != NULL);
    memset(pad, 'a', JWT_TEXT_MAX + 1);
    pad[JWT_TEXT_MAX + 1] = 0;
    expect("Malformed", with("pad", json_string(pad)));
    CLEANUP_JSON json_t *c = claims();
    json_object_set_new(c, "pad", json_string(pad));
    CLEANUP_BUF struct buf t = {0};
    REQUIRE_ERR(ERR_LIMIT, jwt_sign(key, "k1", c, &t, &d));
    EXPECT_EQ(t.len, 0);
    pad[8000] = 0;
    expect(NULL, with("pad", json_string(pad)));
    free(pad);
}

/* Signed with an EC key or with PSS: taken where the caller says so, and only there. */
TEST(jwt, other_algorithms_are_taken_where_the_caller_names_them)
{
    start();
    struct diag d = DIAG_INIT;
    CLEANUP(ec_free) struct ec_key *ec = NULL;
    CLEANUP_BUF struct buf x = {0}, y = {0}, x64 = {0}, y64 = {0}, text = {0};
    REQUIRE_OK(ec_generate(&ec, EC_P256, &d));
    REQUIRE_OK(ec_public_parts(ec, &x, &y, &d));
    base64url_encode(&x64, buf_view(&x));
    base64url_encode(&y64, buf_view(&y));
    CLEANUP_JSON json_t *set =
        json_pack("{s:[{s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "EC", "crv", "P-256", "kid",
                  "thumb", "x", buf_cstr(&x64), "y", buf_cstr(&y64));
    CLEANUP(jwt_keys_free) struct jwt_keys *mine = NULL;
    REQUIRE_OK(jwt_keys_new(&mine, set, &d));
    static const struct {
        const char *header;
        unsigned algorithms;
        bool by_thumbprint;
        const char *tag;
    } cases[] = {
        {"{\"alg\":\"ES256\",\"kid\":\"thumb\"}", JWT_ES256, false, NULL},
        {"{\"alg\":\"ES256\",\"kid\":\"thumb\"}", JWT_RS256 | JWT_ES256, false, NULL},
        {"{\"alg\":\"ES256\",\"kid\":\"thumb\"}", 0, false, "Algorithm"},
        {"{\"alg\":\"RS256\",\"kid\":\"thumb\"}", JWT_RS256 | JWT_ES256, false, "Algorithm"},
        {"{\"alg\":\"PS256\",\"kid\":\"thumb\"}", JWT_PS256, false, "Algorithm"},
        {"{\"alg\":\"ES256\",\"x5t\":\"thumb\"}", JWT_ES256, false, "UnknownKey"},
        {"{\"alg\":\"ES256\",\"x5t\":\"thumb=\"}", JWT_ES256, true, NULL},
        {"{\"alg\":\"ES256\",\"x5t#S256\":\"thumb\"}", JWT_ES256, true, NULL},
        {"{\"alg\":\"HS256\",\"kid\":\"thumb\"}", 7, false, "Algorithm"},
        {"{\"alg\":\"none\",\"kid\":\"thumb\"}", 7, false, "Algorithm"},
    };
    CLEANUP_JSON json_t *body = claims();
    REQUIRE_OK(json_write(body, &text, &d));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP_BUF struct buf t = {0}, sig = {0};
        CLEANUP_JSON json_t *out = NULL;
        struct diag why = DIAG_INIT;
        uint8_t digest[32];
        encode(&t, cases[i].header);
        buf_str(&t, ".");
        base64url_encode(&t, buf_view(&text));
        sha256(buf_view(&t), digest);
        REQUIRE_OK(ec_sign(ec, BYTES_OF(digest), &sig, &d));
        buf_str(&t, ".");
        base64url_encode(&t, buf_view(&sig));
        const struct jwt_expect want = {.issuers = issuers,
                                        .audiences = audiences,
                                        .now_us = NOW_S * US_PER_S,
                                        .algorithms = cases[i].algorithms,
                                        .by_thumbprint = cases[i].by_thumbprint};
        enum err e = jwt_verify(buf_cstr(&t), mine, &want, &out, &why);
        if (cases[i].tag == NULL && e != OK) fail_msg("%zu refused: %s", i, why.text);
        if (cases[i].tag != NULL) EXPECT_STR(why.tag, cases[i].tag);
    }
}

TEST(jwt, a_bad_key_set_is_refused_whole)
{
    static const char *const sets[] = {
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"!\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"e\":\"AQAB\"}]}",
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct diag d = DIAG_INIT;
        struct jwt_keys *k = NULL;
        CLEANUP_JSON json_t *j = NULL;
        REQUIRE_OK(json_read(bytes_str(sets[i]), &j, &d));
        if (jwt_keys_new(&k, j, &d) == OK) fail_msg("taken: %s", sets[i]);
        REQUIRE(k == NULL);
    }
    jwt_keys_free(NULL);
    rsa_free(key);
    rsa_free(other);
    jwt_keys_free(keys);
    buf_release(&modulus);
    key = NULL;
}
