/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/service.c - peers, callers' tokens, managed identities, and what outlives the
 * process */
#include "identity_test.h"

#include "base/rand.h"
#include "crypto/hash.h"
#include "identity/token_cache.h"
#include "identity/wire.h"
#include "net/jwt.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world w;
static const char *const vault_audiences[] = {"https://vault.azure.net",
                                              "https://vault.localhost:8444", NULL};

static const char *cluster_id(const char *name)
{
    static char text[2][256];
    static unsigned i;
    char *p = text[i++ % 2];
    snprintf(
        p, sizeof text[0],
        "/subscriptions/%s/resourceGroups/G/providers/Microsoft.OperationalInsights/clusters/%s",
        w.founder.subscription_id, name);
    return p;
}

/* --- peers
 * -------------------------------------------------------------------------------------------- */

TEST(service, each_peer_may_ask_what_its_work_needs_and_no_more)
{
    static const struct {
        enum identity_method method;
        bool allowed[4]; /* logs, vault, keyd, supervisor */
    } cases[] = {
        {ID_KEYS, {true, true, true, true}},
        {ID_AUTHORIZE, {true, true, false, false}},
        {ID_MANAGED_ENSURE, {true, false, false, false}},
        {ID_MANAGED_DELETE, {true, false, false, false}},
        {ID_TOKEN, {false, false, true, false}},
        {ID_FORWARD, {true, false, false, false}},
        {ID_FOREIGN, {true, true, false, false}},
        {ID_GROUPS, {true, true, false, false}},
        {ID_ENDING, {true, false, false, false}},
    };
    world_open(&w, "peers");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int role = 0; role < 4; role++) {
            struct diag d = DIAG_INIT;
            CLEANUP_BUF struct buf out = {0};
            enum err e = chan_call(w.outside[role], (uint16_t)cases[i].method, BYTES("junk"), &out,
                                   5000, &d);
            bool refused = e == ERR_DENIED && str_eq(d.tag, "Peer");
            if (refused == cases[i].allowed[role])
                fail_msg("method %d, peer %d: %s", cases[i].method, role, d.text);
            REQUIRE(e != OK); /* junk is an answer to nothing */
        }
    }
    struct diag d = DIAG_INIT;
    REQUIRE_ERR(ERR_UNSUPPORTED,
                chan_call(w.outside[0], ID_METHODS_END, BYTES(""), NULL, 5000, &d));
    REQUIRE_ERR(ERR_UNSUPPORTED, chan_call(w.outside[0], 65535, BYTES(""), NULL, 5000, &d));
    world_close(&w);
}

/* Cut and bent messages of every method on every channel: refused, never a crash. */
TEST(service, a_message_that_cannot_be_read_is_refused)
{
    world_open(&w, "junk");
    rand_fix_seed(7);
    CLEANUP_BUF struct buf good = {0};
    struct http_field f = {"a", "b"};
    struct http_request q = {.method = "GET",
                             .path = "/adfs/discovery/keys",
                             .target = "/",
                             .host = "h",
                             .authority = "h",
                             .peer = "p",
                             .n_query = 1,
                             .query = &f,
                             .n_headers = 1,
                             .headers = &f};
    wire_put_request(&good, &q);
    struct diag d = DIAG_INIT;
    for (size_t cut = 0; cut < good.len; cut++) {
        CLEANUP_BUF struct buf out = {0};
        REQUIRE_ERR(ERR_INVALID,
                    identity_serve(&w.peers[0], ID_FORWARD, bytes_of(good.p, cut), &out, &d));
    }
    for (int i = 0; i < 3000; i++) {
        CLEANUP_BUF struct buf out = {0};
        uint8_t *bent = malloc(good.len);
        REQUIRE(bent != NULL);
        memcpy(bent, good.p, good.len);
        bent[rand_below(good.len)] = (uint8_t)rand_u64();
        uint16_t method = (uint16_t)(1 + rand_below(ID_METHODS_END - 1));
        (void)identity_serve(&w.peers[method == ID_TOKEN ? 2 : 0], method, bytes_of(bent, good.len),
                             &out, NULL);
        free(bent);
    }
    world_close(&w);
}

TEST(service, without_identity_the_answer_is_unavailable)
{
    struct diag d = DIAG_INIT;
    struct chan *alone = NULL;
    struct identity_client *c = NULL;
    struct caller who;
    struct managed_identity m;
    REQUIRE_OK(chan_new(&alone, "identity", 1, NULL, NULL, &d));
    REQUIRE_OK(identity_client_new(&c, alone, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, identity_verify(c, "a.b.c", vault_audiences, &who, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, identity_authorize(c, "x", "y", false, "/", &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, identity_managed_ensure(c, "/x", &m, &d));
    identity_client_free(c);
    chan_free(alone);
}

/* --- tokens of callers
 * ---------------------------------------------------------------------------------- */

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

/* --- managed identities
 * -------------------------------------------------------------------------------- */

TEST(managed, an_identity_is_made_once_and_speaks_through_keyd_alone)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "managed");
    struct managed_identity a, b, c;
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("C1"), &a, &d));
    char other_case[256];
    snprintf(other_case, sizeof other_case, "%s", cluster_id("c1"));
    str_lower(other_case);
    REQUIRE_OK(identity_managed_ensure(w.clients[0], other_case, &b, &d));
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("C2"), &c, &d));
    EXPECT_STR(a.principal_id, b.principal_id);
    EXPECT_STR(a.tenant_id, w.founder.tenant_id);
    REQUIRE(!str_eq(a.principal_id, c.principal_id) && !str_eq(a.client_id, a.principal_id));

    CLEANUP_BUF struct buf t = {0};
    int64_t until = 0;
    REQUIRE_ERR(ERR_DENIED,
                identity_token(w.clients[IDENTITY_PEER_LOGS], a.principal_id, "x", &t, &until, &d));
    EXPECT_STR(d.tag, "Peer");
    REQUIRE_OK(identity_token(w.clients[IDENTITY_PEER_KEYD], a.principal_id,
                              "https://vault.azure.net", &t, &until, &d));
    REQUIRE(until > time_now_us() + 3500 * US_PER_S && until <= time_now_us() + 3600 * US_PER_S);
    struct caller who;
    REQUIRE_OK(
        identity_verify(w.clients[IDENTITY_PEER_VAULT], buf_cstr(&t), vault_audiences, &who, &d));
    EXPECT_STR(who.object_id, a.principal_id);
    EXPECT_STR(who.app_id, a.client_id);

    CLEANUP_BUF struct buf text = {0};
    CLEANUP_JSON json_t *claims = NULL;
    const char *dot = strchr(buf_cstr(&t), '.') + 1;
    REQUIRE(base64_decode(&text, bytes_of(dot, strcspn(dot, ".")), NULL) == OK);
    REQUIRE(json_read(buf_view(&text), &claims, NULL) == OK);
    EXPECT_STR(json_get_str(claims, "xms_mirid"),
               cluster_id("C1")); /* as the resource was first named */
    EXPECT_STR(json_get_str(claims, "appidacr"), "2");
    world_close(&w);
}

TEST(managed, a_deleted_identity_is_gone_and_a_new_one_is_another)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "gone");
    struct managed_identity a, b;
    CLEANUP_BUF struct buf t = {0};
    int64_t until = 0;
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("c"), &a, &d));
    REQUIRE_OK(identity_managed_delete(w.clients[0], cluster_id("C"), &d));
    REQUIRE_OK(identity_managed_delete(w.clients[0], cluster_id("C"), &d));
    REQUIRE_ERR(ERR_DENIED, identity_token(w.clients[2], a.principal_id, "x", &t, &until, &d));
    EXPECT_STR(d.tag, "IdentityGone");
    REQUIRE_ERR(ERR_DENIED, identity_token(w.clients[2], "nonsense", "x", &t, &until, &d));
    EXPECT_STR(d.tag, "IdentityGone");
    EXPECT_EQ(t.len, 0);
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("c"), &b, &d));
    REQUIRE(!str_eq(a.principal_id, b.principal_id));
    world_close(&w);
}

TEST(managed, the_platforms_identity_is_out_of_the_front_doors_reach)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "platform");
    CLEANUP_BUF struct buf t = {0};
    int64_t until = 0;
    struct managed_identity m;
    REQUIRE_OK(identity_token(w.clients[2], w.founder.platform_object_id, "https://vault.azure.net",
                              &t, &until, &d));
    static const char *const bad[] = {"/providers/Keystead/platform",
                                      "//providers//Keystead/platform",
                                      "",
                                      "/",
                                      "x",
                                      "/subscriptions/s",
                                      "/subscriptions/s/resourceGroups/g",
                                      "/subscriptions/\xff/providers/x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REQUIRE_ERR(ERR_INVALID, identity_managed_ensure(w.clients[0], bad[i], &m, &d));
        REQUIRE_ERR(ERR_INVALID, identity_managed_delete(w.clients[0], bad[i], &d));
    }
    char *far = str_fmt("%s%0*d", cluster_id("c"), 600, 0);
    REQUIRE_ERR(ERR_LIMIT, identity_managed_ensure(w.clients[0], far, &m, &d));
    free(far);
    /* An application's token is not keyd's to have either. */
    REQUIRE_ERR(ERR_DENIED, identity_token(w.clients[2], w.founder.object_id, "x", &t, &until, &d));
    world_close(&w);
}

/* --- what outlives the process
 * -------------------------------------------------------------------------- */

TEST(restart, principals_grants_and_the_signing_key_stay)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "restart");
    struct identity_founder first = w.founder;
    EXPECT_EQ(strlen(first.client_secret), 64);
    struct managed_identity a, b, gone;
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("c"), &a, &d));
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("gone"), &gone, &d));
    REQUIRE_OK(identity_managed_delete(w.clients[0], cluster_id("gone"), &d));
    char *t = founder_token(&w, first.client_secret, "https://vault.azure.net");
    world_close(&w);

    world_open(&w, "restart");
    EXPECT_STR(w.founder.client_secret, ""); /* it was shown once */
    EXPECT_STR(w.founder.tenant_id, first.tenant_id);
    EXPECT_STR(w.founder.subscription_id, first.subscription_id);
    EXPECT_STR(w.founder.client_id, first.client_id);
    EXPECT_STR(w.founder.object_id, first.object_id);
    EXPECT_STR(w.founder.platform_object_id, first.platform_object_id);
    struct caller who;
    REQUIRE_OK(identity_verify(w.clients[1], t, vault_audiences, &who, &d));
    char *again = founder_token(&w, first.client_secret, "https://vault.azure.net");
    REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id("c"), &b, &d));
    EXPECT_STR(a.principal_id, b.principal_id);
    CLEANUP_BUF struct buf token_text = {0};
    int64_t until = 0;
    REQUIRE_ERR(ERR_DENIED,
                identity_token(w.clients[2], gone.principal_id, "x", &token_text, &until, &d));
    REQUIRE_OK(identity_authorize(w.clients[0], first.object_id, "Microsoft.X/write", false,
                                  cluster_id("c"), &d));
    free(t);
    free(again);
    world_close(&w);
    explicit_bzero(&first, sizeof first);
}

/* A child makes identities and says so after each; it is killed without warning. What it said
 * holds. */
TEST(restart, kill_9_loses_nothing_that_was_answered)
{
    struct diag d = DIAG_INIT;
    int said[2];
    REQUIRE(pipe(said) == 0);
    pid_t child = fork();
    if (child == 0) {
        world_open(&w, "killed");
        for (int i = 0;; i++) {
            char name[16];
            struct managed_identity m;
            snprintf(name, sizeof name, "c%d", i);
            if (identity_managed_ensure(w.clients[0], cluster_id(name), &m, &d) != OK) _exit(1);
            if (write(said[1], m.principal_id, 36) != 36) _exit(1);
        }
    }
    char ids[20][36];
    close(said[1]);
    for (int i = 0; i < 20; i++) {
        size_t got = 0;
        while (got < 36) {
            ssize_t n = read(said[0], ids[i] + got, 36 - got);
            REQUIRE(n > 0);
            got += (size_t)n;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(said[0]);
    world_open(&w, "killed");
    for (int i = 0; i < 20; i++) {
        char name[16];
        struct managed_identity m;
        snprintf(name, sizeof name, "c%d", i);
        REQUIRE_OK(identity_managed_ensure(w.clients[0], cluster_id(name), &m, &d));
        REQUIRE(memcmp(m.principal_id, ids[i], 36) == 0);
    }
    world_close(&w);
}

/* Whatever fails during the first start, the next one founds the directory or finds it whole. */
TEST(restart, a_first_start_that_failed_is_founded_again)
{
    struct diag d = DIAG_INIT;
    char dir[256];
    snprintf(dir, sizeof dir, "%s/first", test_dir());
    for (int n = 1; n < 40; n++) {
        struct identity *id = NULL;
        struct identity_founder f;
        snprintf(dir, sizeof dir, "%s/first%d", test_dir(), n);
        struct identity_config c = {.dir = dir, .endpoint = ENDPOINT};
        os_fault_arm((uint64_t)n, EIO);
        enum err e = identity_open(&id, &c, &f, NULL);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        identity_close(id);
        REQUIRE_OK(identity_open(&id, &c, &f, &d));
        if (e != OK) EXPECT_EQ(strlen(f.client_secret), 64);
        identity_close(id);
        if (!fired) break;
    }
}

/* No secret, private key or name of a role lies on disk in plain. */
TEST(restart, the_store_keeps_the_secret_out_of_its_files)
{
    world_open(&w, "opaque");
    char secret[65], name[3][300];
    memcpy(secret, w.founder.client_secret, sizeof secret);
    snprintf(name[0], sizeof name[0], "%s/identity.db", w.dir);
    snprintf(name[1], sizeof name[1], "%s/identity.db-wal", w.dir);
    world_close(&w);
    for (int i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf b = {0};
        if (!os_exists(name[i])) continue;
        REQUIRE(os_read_file(name[i], 64 << 20, &b, NULL) == OK);
        REQUIRE(b.len == 0 || memmem(b.p, b.len, secret, 64) == NULL);
        REQUIRE(b.len == 0 || memmem(b.p, b.len, "ServicePrincipal", 16) == NULL);
    }
}

/* --- tokens that were verified before
 * -------------------------------------------------------------------- */

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

TEST(service, the_groups_of_a_principal_are_those_it_is_in_now)
{
    struct diag d = DIAG_INIT;
    char(*groups)[GUID_TEXT_MAX] = NULL;
    size_t n = 9;
    world_open(&w, "groups");
    struct identity_client *c = w.clients[IDENTITY_PEER_VAULT];
    REQUIRE_OK(identity_groups(c, w.founder.object_id, &groups, &n, &d));
    EXPECT_EQ(n, 0);
    free(groups);
    REQUIRE_ERR(ERR_DENIED,
                identity_groups(c, "11111111-2222-4333-8444-555555555555", &groups, &n, &d));
    EXPECT_STR(d.tag, "NoStanding");
    world_close(&w);
}
