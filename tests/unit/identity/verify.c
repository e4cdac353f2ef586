/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/verify.c - tokens of callers: which are believed, by whom, and what is kept of them */
#include "identity_test.h"

#include "base/rand.h"
#include "crypto/hash.h"
#include "identity/token_cache.h"
#include "net/jwt.h"

static struct world w;
static const char *const vault_audiences[] = {"https://vault.azure.net",
                                              "https://vault.localhost:8444", NULL};

TEST(verify, a_founders_token_names_him_at_every_peer)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "verify");
    char *t = founder_token(&w, w.founder.client_secret, "https://vault.localhost:8444/");
    for (int i = 0; i < 4; i++) {
        struct caller who;
        REQUIRE_OK(identity_verify(w.clients[i], t, vault_audiences, &who, &d));
        EXPECT_STR(who.object_id, w.founder.object_id);
        EXPECT_STR(who.tenant_id, w.founder.tenant_id);
        EXPECT_STR(who.app_id, w.founder.client_id);
        REQUIRE(str_starts(who.issuer, ENDPOINT "/"));
    }
    free(t);
    world_close(&w);
}

static struct rsa_key *stolen;  /* a key of the forger's */
static char *token;             /* a good one, for vaults */
static const char *claims_text; /* its claims, decoded */
static struct buf decoded;
static char kid[128];

static void read_token(void)
{
    CLEANUP_BUF struct buf header = {0};
    CLEANUP_JSON json_t *j = NULL;
    const char *dot = strchr(token, '.');
    buf_release(&decoded);
    REQUIRE(base64_decode(&header, bytes_of(token, (size_t)(dot - token)), NULL) == OK);
    REQUIRE(base64_decode(&decoded, bytes_of(dot + 1, strcspn(dot + 1, ".")), NULL) == OK);
    REQUIRE(json_read(buf_view(&header), &j, NULL) == OK);
    snprintf(kid, sizeof kid, "%s", json_get_str(j, "kid"));
    claims_text = buf_cstr(&decoded);
}

/* Any header over any claims, signed with the stolen key, by an HMAC, or not at all. */
static char *forge(const char *header, const char *claims, const struct rsa_key *k,
                   const struct buf *hmac_secret)
{
    CLEANUP_BUF struct buf t = {0}, sig = {0};
    base64url_encode(&t, bytes_str(header));
    buf_u8(&t, '.');
    base64url_encode(&t, bytes_str(claims));
    if (k != NULL) REQUIRE(rs256_sign(k, buf_view(&t), &sig, NULL) == OK);
    if (hmac_secret != NULL) {
        uint8_t mac[32];
        hmac_sha256(buf_view(hmac_secret), buf_view(&t), mac);
        buf_bytes(&sig, bytes_of(mac, sizeof mac));
    }
    buf_u8(&t, '.');
    base64url_encode(&t, buf_view(&sig));
    return str_dup(buf_cstr(&t));
}

static void refuse(const char *tag, char *t)
{
    struct diag d = DIAG_INIT;
    struct caller who;
    enum err e = identity_verify(w.clients[IDENTITY_PEER_VAULT], t, vault_audiences, &who, &d);
    if (e != ERR_DENIED || !str_eq(d.tag, tag))
        fail_msg("%s (%s) instead of %s: %.60s", err_name(e), d.tag, tag, t);
    free(t);
}

static const char *header_with(const char *alg, const char *kid_text)
{
    static char text[512];
    snprintf(text, sizeof text, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", alg, kid_text);
    return text;
}

TEST(verify, every_forgery_is_refused_with_its_tag)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "forgery");
    token = founder_token(&w, w.founder.client_secret, "https://vault.azure.net");
    REQUIRE_OK(rsa_generate(&stolen, 2048, &d));
    read_token();
    struct caller who;
    REQUIRE_OK(identity_verify(w.clients[IDENTITY_PEER_VAULT], token, vault_audiences, &who, &d));

    refuse("Algorithm", forge("{\"alg\":\"none\"}", claims_text, NULL, NULL));
    refuse("Algorithm", forge(header_with("none", kid), claims_text, NULL, NULL));
    refuse("Algorithm", forge(header_with("NONE", kid), claims_text, stolen, NULL));

    CLEANUP_REPLY struct reply r = {0};
    CLEANUP_BUF struct buf modulus = {0};
    EXPECT_EQ(ask(&w, &r, (struct ask){.method = "GET", .path = "/common/discovery/keys"}), 200);
    const char *n = json_get_str(json_array_get(json_get(r.json, "keys"), 0), "n");
    REQUIRE(base64_decode(&modulus, bytes_str(n), NULL) == OK);
    refuse("Algorithm", forge(header_with("HS256", kid), claims_text, NULL, &modulus));
    refuse("Signature", forge(header_with("RS256", kid), claims_text, NULL, &modulus));

    refuse("UnknownKey", forge(header_with("RS256", "another"), claims_text, stolen, NULL));
    refuse("UnknownKey",
           forge(header_with("RS256", "../../../../dev/null"), claims_text, stolen, NULL));
    refuse("UnknownKey", forge("{\"alg\":\"RS256\"}", claims_text, stolen, NULL));
    refuse("Signature", forge(header_with("RS256", kid), claims_text, stolen, NULL));
    refuse("Signature", forge(header_with("RS256", kid), claims_text, NULL, NULL));

    char *altered = str_dup(token);
    char *payload = strchr(altered, '.') + 20;
    *payload = *payload == 'A' ? 'B' : 'A';
    refuse("Signature", altered);
    char *cut = str_dup(token);
    *strrchr(cut, '.') = 0;
    refuse("Malformed", cut);
    refuse("Malformed", str_dup(""));
    char *huge = str_fmt("%s%0*d", token, 20000, 0);
    refuse("Malformed", huge);

    refuse("Audience", founder_token(&w, w.founder.client_secret, "https://management.azure.com"));
    refuse("Audience",
           founder_token(&w, w.founder.client_secret, "https://vault.azure.net.evil.example"));
    free(token);
    rsa_free(stolen);
    buf_release(&decoded);
    world_close(&w);
}

/* Another installation has another key and other issuers: its tokens mean nothing here. */
TEST(verify, another_installations_token_is_refused)
{
    static struct world other;
    world_open(&w, "here");
    world_open(&other, "there");
    refuse("UnknownKey",
           founder_token(&other, other.founder.client_secret, "https://vault.azure.net"));
    world_close(&other);
    world_close(&w);
}

/* The endpoint is part of the issuer: a token made under another one names another issuer, with a
 * good signature. */
TEST(verify, a_token_of_another_issuer_is_refused)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "issuer");
    char secret[65];
    memcpy(secret, w.founder.client_secret, sizeof secret);
    char *old = founder_token(&w, secret, "https://vault.azure.net");
    world_close(&w);

    struct identity *id = NULL;
    struct identity_founder f;
    char dir[256];
    snprintf(dir, sizeof dir, "%s/issuer", test_dir());
    struct identity_config c = {.dir = dir, .endpoint = "https://logs.example/"};
    REQUIRE_OK(identity_open(&id, &c, &f, &d));
    struct identity_peer peer = {id, IDENTITY_PEER_VAULT};
    struct chan *in = NULL, *out = NULL;
    struct identity_client *client = NULL;
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE_OK(chan_new(&in, "vault", 1, identity_serve, &peer, &d));
    REQUIRE_OK(chan_new(&out, "identity", 1, NULL, NULL, &d));
    REQUIRE_OK(chan_attach(in, fds[0], &d));
    REQUIRE_OK(chan_attach(out, fds[1], &d));
    REQUIRE_OK(identity_client_new(&client, out, &d));
    struct caller who;
    diag_reset(&d);
    REQUIRE(identity_verify(client, old, vault_audiences, &who, &d) == ERR_DENIED);
    EXPECT_STR(d.tag, "Issuer");
    identity_client_free(client);
    chan_free(out);
    chan_free(in);
    identity_close(id);
    free(old);
}

TEST(verify, an_odd_endpoint_is_refused)
{
    struct diag d = DIAG_INIT;
    static const char *const bad[] = {
        "", "localhost:8443", "https://", "https://u@h", "https://h/x", "https://h?x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct identity *id = NULL;
        struct identity_founder f;
        struct identity_config c = {.dir = test_dir(), .endpoint = bad[i]};
        REQUIRE_ERR(ERR_INVALID, identity_open(&id, &c, &f, &d));
    }
}

/* --- tokens that were verified before --------------------------------------------------------- */

TEST(verify, a_token_seen_before_is_still_asked_for_its_audience_and_an_altered_one_is_another)
{
    static const char *const others[] = {"https://management.azure.com", NULL};
    struct diag d = DIAG_INIT;
    struct caller who;
    world_open(&w, "again");
    struct identity_client *c = w.clients[IDENTITY_PEER_VAULT];
    char *t = founder_token(&w, w.founder.client_secret, "https://vault.azure.net");
    for (int i = 0; i < 2; i++) {
        who = (struct caller){0};
        REQUIRE_OK(identity_verify(c, t, vault_audiences, &who, &d));
        EXPECT_STR(who.object_id, w.founder.object_id);
        EXPECT_STR(who.app_id, w.founder.client_id);
    }
    REQUIRE_ERR(ERR_DENIED, identity_verify(c, t, others, &who, &d));
    EXPECT_STR(d.tag, "Audience");
    diag_reset(&d);
    char *bent = str_dup(t);
    bent[strlen(bent) - 4] ^= 1;
    REQUIRE_ERR(ERR_DENIED, identity_verify(c, bent, vault_audiences, &who, &d));
    free(bent);
    free(t);
    world_close(&w);
}

TEST(verify, what_is_kept_of_a_token_is_of_one_key_set_and_of_no_other_token)
{
    struct diag d = DIAG_INIT;
    CLEANUP(token_cache_free) struct token_cache *c = NULL;
    struct caller who;
    REQUIRE_OK(token_cache_new(&c, &d));
    const struct cached_token t = {.who = {.object_id = "a"},
                                   .from_s = 1000,
                                   .until_s = 2000,
                                   .audience = "https://vault.azure.net/",
                                   .keys = 3};
    const int64_t now = 1500 * US_PER_S;
    REQUIRE(!token_cache_find(c, "t", 3, vault_audiences, now, &who));
    token_cache_keep(c, "t", &t);
    REQUIRE(token_cache_find(c, "t", 3, vault_audiences, now, &who));
    EXPECT_STR(who.object_id, "a");
    REQUIRE(!token_cache_find(c, "t", 4, vault_audiences, now, &who));
    REQUIRE(!token_cache_find(c, "u", 3, vault_audiences, now, &who));
    REQUIRE(!token_cache_find(c, "t", 3, vault_audiences, 3000 * US_PER_S, &who));
    REQUIRE(!token_cache_find(c, "t", 3, vault_audiences, 600 * US_PER_S, &who));
    /* More than there are places: whoever is found is who was kept. */
    for (int i = 0; i < 5000; i++) {
        char name[16];
        struct cached_token one = t;
        snprintf(name, sizeof name, "t%d", i);
        snprintf(one.who.object_id, sizeof one.who.object_id, "%d", i);
        token_cache_keep(c, name, &one);
    }
    int found = 0;
    for (int i = 0; i < 5000; i++) {
        char name[16], id[16];
        snprintf(name, sizeof name, "t%d", i);
        snprintf(id, sizeof id, "%d", i);
        if (!token_cache_find(c, name, 3, vault_audiences, now, &who)) continue;
        EXPECT_STR(who.object_id, id);
        found++;
    }
    REQUIRE(found > 0 && found <= 1024);
}
