/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/service.c - peers, managed identities, and what outlives the process */
#include "identity_test.h"

#include "base/rand.h"
#include "identity/wire.h"

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

/* --- peers ------------------------------------------------------------------------------------ */

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

/* --- managed identities ----------------------------------------------------------------------- */

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

/* --- what outlives the process ---------------------------------------------------------------- */

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
