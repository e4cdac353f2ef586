/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/tls.c - the made certificates before strict judges */
#include "net_test.h"

#include "base/os.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *const names[] = {"localhost", "127.0.0.1", "::1", "*.vault.localhost", NULL};

/* A directory of its own for each test. */
static const char *fresh_dir(const char *name)
{
    struct diag d = DIAG_INIT;
    static char dir[256];
    snprintf(dir, sizeof dir, "%s/%s", test_dir(), name);
    REQUIRE_OK(tls_ensure_files(dir, names, &d));
    return dir;
}

static bool same(const char *dir, const char *name, const struct buf *before)
{
    struct diag d = DIAG_INIT;
    char path[512];
    CLEANUP_BUF struct buf now = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    REQUIRE_OK(os_read_file(path, 1 << 20, &now, &d));
    return bytes_eq(buf_view(&now), buf_view(before));
}

static void keep(const char *dir, const char *name, struct buf *out)
{
    struct diag d = DIAG_INIT;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    buf_clear(out);
    REQUIRE_OK(os_read_file(path, 1 << 20, out, &d));
}

static void drop(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    REQUIRE(unlink(path) == 0);
}

/* The exit code of a command in which DIR stands for the directory; -1 when it is not installed. */
static int judge(const char *dir, const char *program, const char *script)
{
    char *line = str_fmt("DIR='%s'; export DIR; command -v %s >/dev/null || exit 127; %s", dir,
                         program, script);
    REQUIRE(line != NULL);
    int code = system(line);
    free(line);
    REQUIRE(WIFEXITED(code));
    if (WEXITSTATUS(code) == 127) fprintf(stderr, "%s is not installed\n", program);
    return WEXITSTATUS(code) == 127 ? -1 : WEXITSTATUS(code);
}

TEST(tls, strict_openssl_takes_both_certificates)
{
    const char *dir = fresh_dir("strict");
    REQUIRE(
        judge(dir, "openssl",
              "openssl verify -x509_strict -purpose sslserver -verify_hostname a.vault.localhost "
              "-CAfile $DIR/ca.pem $DIR/server.pem >/dev/null") <= 0);
    REQUIRE(judge(dir, "openssl",
                  "openssl verify -x509_strict -verify_ip ::1 -CAfile $DIR/ca.pem $DIR/server.pem "
                  ">/dev/null") <= 0);
    REQUIRE(judge(dir, "openssl",
                  "openssl verify -x509_strict -CAfile $DIR/ca.pem $DIR/ca.pem >/dev/null") <= 0);
    REQUIRE(judge(dir, "openssl",
                  "! openssl verify -x509_strict -verify_hostname vault.example "
                  "-CAfile $DIR/ca.pem $DIR/server.pem >/dev/null 2>&1") <= 0);
}

static void answer(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)ctx, (void)q;
    r->status = 200;
    buf_str(&r->body, "{}");
}

static struct http_server *serve_from(const char *dir)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = NULL;
    char cert[512], key[512], port[16];
    snprintf(cert, sizeof cert, "%s/server.pem", dir);
    snprintf(key, sizeof key, "%s/server.key", dir);
    struct http_server_config c = {
        .address = "127.0.0.1:0", .cert_file = cert, .key_file = key, .handler = answer};
    REQUIRE_OK(http_server_start(&s, &c, &d));
    snprintf(port, sizeof port, "%u", http_server_port(s));
    setenv("PORT", port, 1);
    return s;
}

TEST(tls, strict_python_and_node_talk_to_the_server)
{
    const char *dir = fresh_dir("judges");
    struct http_server *s = serve_from(dir);
    REQUIRE(judge(dir, "python3",
                  "python3 -c \"import os, ssl, socket\n"
                  "c = ssl.create_default_context(cafile=os.environ['DIR'] + '/ca.pem')\n"
                  "c.verify_flags |= ssl.VERIFY_X509_STRICT\n"
                  "for name in ('localhost', 'kv1.vault.localhost', '127.0.0.1'):\n"
                  "    s = socket.create_connection(('127.0.0.1', int(os.environ['PORT'])))\n"
                  "    t = c.wrap_socket(s, server_hostname=name)\n"
                  "    assert t.version() in ('TLSv1.2', 'TLSv1.3')\n"
                  "\"") <= 0);
    REQUIRE(
        judge(dir, "node",
              "NODE_EXTRA_CA_CERTS=$DIR/ca.pem node -e \"require('https').get({host: '127.0.0.1', "
              "port: process.env.PORT, servername: 'kv1.vault.localhost', headers: {host: 'x'}}, "
              "r => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => "
              "process.exit(2))\"") <= 0);
    http_server_stop(s);
}

TEST(tls, old_protocols_are_refused)
{
    const char *dir = fresh_dir("old");
    struct http_server *s = serve_from(dir);
    REQUIRE(judge(dir, "openssl",
                  "openssl s_client -connect 127.0.0.1:$PORT -tls1_2 -CAfile $DIR/ca.pem "
                  "-verify_return_error </dev/null >/dev/null 2>&1") <= 0);
    REQUIRE(judge(dir, "openssl",
                  "! openssl s_client -connect 127.0.0.1:$PORT -tls1_1 -cipher ALL:@SECLEVEL=0 "
                  "-CAfile $DIR/ca.pem </dev/null >/dev/null 2>&1") <= 0);
    http_server_stop(s);
}

TEST(tls, good_files_stay_as_they_are)
{
    struct diag d = DIAG_INIT;
    const char *dir = fresh_dir("stay");
    static const char *const files[] = {"ca.pem", "ca.key", "server.pem", "server.key"};
    struct buf before[4] = {0};
    for (int i = 0; i < 4; i++)
        keep(dir, files[i], &before[i]);
    REQUIRE_OK(tls_ensure_files(dir, names, &d));
    for (int i = 0; i < 4; i++) {
        REQUIRE(same(dir, files[i], &before[i]));
        buf_release(&before[i]);
    }
}

TEST(tls, what_is_missing_or_wrong_is_made_again_and_the_ca_is_kept)
{
    struct diag d = DIAG_INIT;
    const char *dir = fresh_dir("renew");
    CLEANUP_BUF struct buf ca = {0}, cert = {0};
    keep(dir, "ca.pem", &ca);
    keep(dir, "server.pem", &cert);

    drop(dir, "server.key");
    REQUIRE_OK(tls_ensure_files(dir, names, &d));
    REQUIRE(same(dir, "ca.pem", &ca) && !same(dir, "server.pem", &cert));

    keep(dir, "server.pem", &cert);
    static const char *const more[] = {"localhost", "logs.example", NULL};
    REQUIRE_OK(tls_ensure_files(dir, more, &d));
    REQUIRE(same(dir, "ca.pem", &ca) && !same(dir, "server.pem", &cert));
    REQUIRE(
        judge(dir, "openssl",
              "openssl verify -verify_hostname logs.example -CAfile $DIR/ca.pem $DIR/server.pem "
              ">/dev/null") <= 0);

    char path[512];
    snprintf(path, sizeof path, "%s/server.pem", dir);
    REQUIRE_OK(os_replace(path, BYTES("not a certificate"), &d));
    REQUIRE_OK(tls_ensure_files(dir, more, &d));
    REQUIRE(judge(dir, "openssl",
                  "openssl verify -CAfile $DIR/ca.pem $DIR/server.pem >/dev/null") <= 0);
}

TEST(tls, a_certificate_that_ends_within_30_days_is_renewed)
{
    struct diag d = DIAG_INIT;
    const char *dir = fresh_dir("ends");
    if (judge(dir, "openssl",
              "cd $DIR && printf "
              "'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,DNS:*.vault.localhost' >ext && "
              "openssl req -new -key server.key -subj /CN=localhost 2>/dev/null | "
              "openssl x509 -req -CA ca.pem -CAkey ca.key -days 29 -extfile ext -out server.pem "
              "2>/dev/null") < 0) {
        return;
    }
    CLEANUP_BUF struct buf cert = {0};
    keep(dir, "server.pem", &cert);
    REQUIRE_OK(tls_ensure_files(dir, names, &d));
    REQUIRE(!same(dir, "server.pem", &cert));
}

/* Is this said on standard error while the files are looked at? */
static bool is_said(const char *dir, const char *event)
{
    struct diag d = DIAG_INIT;
    char path[512];
    CLEANUP_BUF struct buf said = {0};
    snprintf(path, sizeof path, "%s/said", dir);
    fflush(stderr);
    CLEANUP_FD int before = dup(STDERR_FILENO);
    CLEANUP_FD int file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(before >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    enum err e = tls_ensure_files(dir, names, &d);
    fflush(stderr);
    REQUIRE(dup2(before, STDERR_FILENO) >= 0);
    REQUIRE(e == OK);
    REQUIRE_OK(os_read_file(path, 1 << 20, &said, &d));
    return strstr(buf_cstr(&said), event) != NULL;
}

TEST(tls, a_ca_that_ends_within_90_days_is_warned_of)
{
    const char *dir = fresh_dir("ca-ends");
    REQUIRE(!is_said(dir, "tls.ca_ends_soon"));
    if (judge(dir, "openssl",
              "cd $DIR && openssl x509 -in ca.pem -signkey ca.key -days 80 -out soon.pem "
              "2>/dev/null && mv soon.pem ca.pem") != 0) {
        return;
    }
    REQUIRE(is_said(dir, "tls.ca_ends_soon"));
}

TEST(tls, without_the_ca_key_only_a_new_certificate_fails)
{
    struct diag d = DIAG_INIT;
    const char *dir = fresh_dir("offline");
    drop(dir, "ca.key");
    REQUIRE_OK(tls_ensure_files(dir, names, &d));
    drop(dir, "server.pem");
    REQUIRE_ERR(ERR_NOT_FOUND, tls_ensure_files(dir, names, &d));
}

TEST(tls, keys_are_for_the_owner_alone)
{
    const char *dir = fresh_dir("modes");
    static const char *const keys[] = {"ca.key", "server.key"};
    for (int i = 0; i < 2; i++) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", dir, keys[i]);
        REQUIRE(stat(path, &st) == 0);
        EXPECT_EQ(st.st_mode & 0777, 0600);
    }
}

/* Whatever call fails, the next start has a working pair. */
TEST(tls, a_failure_at_any_point_is_healed_by_the_next_start)
{
    struct diag d = DIAG_INIT;
    char dir[256];
    for (int n = 1;; n++) { /* not FAULT_SWEEP: the second start must not fail */
        os_fault_arm((uint64_t)n, EIO);
        snprintf(dir, sizeof dir, "%s/sweep%d", test_dir(), n);
        (void)tls_ensure_files(dir, names, NULL);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        REQUIRE_OK(tls_ensure_files(dir, names, &d));
        if (n % 5 == 1) {
            REQUIRE(
                judge(
                    dir, "openssl",
                    "openssl verify -x509_strict -CAfile $DIR/ca.pem $DIR/server.pem >/dev/null") <=
                0);
        }
        if (!fired) break;
    }
}
