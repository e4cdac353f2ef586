/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/unix.c - servers on Unix sockets, and the client's routes to them */
#include "net_test.h"

#include "base/str.h"

#include <sys/stat.h>
#include <sys/un.h>

static void tell_host(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)ctx;
    r->status = 200;
    buf_fmt(&r->body, "%s %s from %s", q->authority, q->path, q->peer);
}

static const char *socket_address(void)
{
    static char text[300];
    snprintf(text, sizeof text, "unix:%s", in_dir("here.sock"));
    return text;
}

static struct http_client *routed(const char *suffix)
{
    struct diag d = DIAG_INIT;
    struct http_client *c = NULL;
    REQUIRE_OK(http_client_new(&c, in_dir("ca.pem"), &d));
    REQUIRE_OK(http_client_route(c, suffix, in_dir("here.sock"), &d));
    return c;
}

static const char *get(struct http_client *c, const char *url)
{
    static char text[300];
    struct diag d = DIAG_INIT;
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET", .url = url, .bearer = "t", .timeout_ms = 120000};
    if (http_do(c, &call, &a, &d) == OK) {
        snprintf(text, sizeof text, "%d %s", a.status, buf_cstr(&a.body));
    } else {
        snprintf(text, sizeof text, "%s: %.200s", err_name(d.code), d.text);
    }
    return text;
}

TEST(unix, calls_under_a_suffix_go_to_the_socket_and_names_are_still_checked)
{
    struct http_server *s =
        serve((struct http_server_config){.handler = tell_host, .address = socket_address()}, true);
    EXPECT_EQ(http_server_port(s), 0);
    CLEANUP(http_client_free) struct http_client *c = routed("vault.localhost");
    EXPECT_STR(get(c, "https://kv1.vault.localhost:8444/keys"),
               "200 kv1.vault.localhost:8444 /keys from unix");
    EXPECT_STR(get(c, "https://KV2.vault.localhost/"), "200 KV2.vault.localhost / from unix");
    REQUIRE(!str_starts(get(c, "https://a.b.vault.localhost/"), "200")); /* no such name */
    REQUIRE(!str_starts(get(c, "https://localhost:1/"), "200"));         /* not under it */
    REQUIRE(!str_starts(get(c, "https://notvault.localhost:1/"), "200"));
    http_server_stop(s);
}

TEST(unix, a_plain_server_on_a_socket_is_on_this_machine_whatever_its_name)
{
    struct http_server *s = serve(
        (struct http_server_config){.handler = tell_host, .address = socket_address()}, false);
    struct diag d = DIAG_INIT;
    REQUIRE_OK(tls_ensure_files(test_dir(), server_names, &d));
    CLEANUP(http_client_free) struct http_client *c = routed("keystead.example");
    EXPECT_STR(get(c, "http://identity.keystead.example/x"),
               "200 identity.keystead.example /x from unix");
    REQUIRE(strstr(get(c, "http://other.example/x"), "not https") != NULL);
    http_server_stop(s);
}

TEST(unix, the_socket_is_private_and_goes_with_its_server)
{
    struct http_server *s = serve(
        (struct http_server_config){.handler = tell_host, .address = socket_address()}, false);
    struct stat st;
    REQUIRE(stat(in_dir("here.sock"), &st) == 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    http_server_stop(s);
    REQUIRE(stat(in_dir("here.sock"), &st) != 0);
}

TEST(unix, a_dead_socket_is_replaced_a_living_one_and_a_file_are_not)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = NULL;
    struct http_server_config c = {.handler = tell_host, .address = socket_address()};

    /* Left behind by a process that was killed. */
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", in_dir("here.sock"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
    close(fd);
    REQUIRE_OK(http_server_start(&s, &c, &d));

    struct http_server *second = NULL;
    REQUIRE_ERR(ERR_CONFLICT, http_server_start(&second, &c, &d));
    REQUIRE(strstr(d.text, "somebody listens") != NULL);
    http_server_stop(s);

    FILE *f = fopen(in_dir("here.sock"), "we");
    fclose(f);
    REQUIRE_ERR(ERR_INVALID, http_server_start(&s, &c, &d));
    struct stat st;
    REQUIRE(stat(in_dir("here.sock"), &st) == 0);
    unlink(in_dir("here.sock"));
}

TEST(unix, bad_paths_are_named)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = NULL;
    char longest[200] = "unix:/";
    memset(longest + 6, 'a', sizeof longest - 7);
    static const char *const bad[] = {"unix:", "unix:here.sock"};
    for (size_t i = 0; i < 3; i++) {
        struct http_server_config c = {.handler = tell_host, .address = i < 2 ? bad[i] : longest};
        REQUIRE_ERR(ERR_INVALID, http_server_start(&s, &c, &d));
    }
    struct http_server_config c = {.handler = tell_host, .address = "unix:/nowhere/x.sock"};
    REQUIRE_ERR(ERR_IO, http_server_start(&s, &c, &d));

    CLEANUP(http_client_free) struct http_client *h = NULL;
    REQUIRE_OK(http_client_new(&h, NULL, &d));
    for (int i = 0; i < HTTP_ROUTES_MAX; i++)
        REQUIRE_OK(http_client_route(h, "x", "/y", &d));
    REQUIRE_ERR(ERR_LIMIT, http_client_route(h, "x", "/y", &d));
}
