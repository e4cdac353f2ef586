/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/harden.c - what a hardened keyd can still do, and what ends it */
#include "test.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "crypto/secret.h"
#include "custody/audit.h"
#include "custody/keyd.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/tls.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* What a child does after keyd_harden(); its result is its exit status. */
typedef int deed(void);

static struct audit *audit; /* NULL: no directory for new files */

static int run_hardened(deed *f)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct diag d = DIAG_INIT;
        if (keyd_wall_in(NULL, NULL, audit_dir_fd(audit), &d) != OK ||
            keyd_harden(audit_dir_fd(audit), false, &d) != OK) {
            fprintf(stderr, "harden: %s\n", d.text);
            _exit(99);
        }
        _exit(f());
    }
    int status = 0;
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static bool is_killed(deed *f)
{
    int status = run_hardened(f);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool is_fine(deed *f)
{
    int status = run_hardened(f);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int start_program(void)
{
    return execl("/bin/true", "true", NULL) == 0 ? 0 : 1;
}

static int start_process(void)
{
    return fork() >= 0 ? 0 : 1;
}

static int write_new_file(void)
{
    return open("/tmp/keystead-harden-must-not-exist", O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : 1;
}

static int listen_somewhere(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return listen(fd, 1);
}

static int read_another(void)
{
    char c;
    struct iovec l = {&c, 1}, r = {&c, 1};
    return process_vm_readv(getppid(), &l, 1, &r, 1, 0) == 1 ? 0 : 1;
}

static int be_dumpable_again(void)
{
    return prctl(PR_SET_DUMPABLE, 1);
}

static int kill_another(void)
{
    return kill(getppid(), SIGTERM);
}

TEST(harden, what_keyd_never_does_ends_it)
{
#ifdef SANITIZED
    return; /* the sanitizer makes calls of its own */
#endif
    REQUIRE(is_killed(start_program));
    REQUIRE(is_killed(start_process));
    REQUIRE(is_killed(write_new_file));
    REQUIRE(is_killed(listen_somewhere));
    REQUIRE(is_killed(read_another));
    REQUIRE(is_killed(kill_another));
    REQUIRE(is_killed(be_dumpable_again));
}

static int no_executable_page(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED && q != MAP_FAILED && mprotect(q, 4096, PROT_READ | PROT_EXEC) != 0 ? 0
                                                                                               : 1;
}

static int nothing_to_dump(void)
{
    struct rlimit core;
    return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 ? 0 : 1;
}

TEST(harden, no_page_becomes_executable_and_nothing_is_dumped)
{
#ifdef SANITIZED
    return;
#endif
    REQUIRE(is_fine(no_executable_page));
    REQUIRE(is_fine(nothing_to_dump));
}

static void *secrets_in_a_thread(void *arg)
{
    for (int i = 0; i < 200; i++) {
        struct secret *s;
        if (secret_random(&s, 64u << (i % 8), NULL) != OK) return NULL;
        secret_free(s);
    }
    return arg;
}

static int work(void)
{
    pthread_t t[4];
    int ok = 1;
    for (size_t i = 0; i < 4; i++) {
        if (thread_start(&t[i], secrets_in_a_thread, &ok, NULL) != OK) return 1;
    }
    for (size_t i = 0; i < 4; i++) {
        void *r;
        pthread_join(t[i], &r);
        if (r == NULL) return 2;
    }
    struct timer *timer = timer_new();
    if (timer == NULL || !timer_wait(timer, time_now_us() + 1000)) return 3;
    timer_free(timer);
    LOG(INFO, "harden.test");
    return 0;
}

static int write_audit(void)
{
    for (int i = 0; i < 40; i++) { /* into more than one file */
        if (AUDIT(audit, NULL, "test", F_STR("a", "b")) != OK) return 1;
    }
    return 0;
}

static int write_old_file(void)
{
    return openat(audit_dir_fd(audit), "old", O_WRONLY) >= 0 ? 0 : 1;
}

static int replace_old_file(void)
{
    return openat(audit_dir_fd(audit), "old", O_WRONLY | O_CREAT | O_TRUNC, 0600) >= 0 ? 0 : 1;
}

TEST(harden, threads_secrets_timers_and_the_audit_log_work_on)
{
#ifdef SANITIZED
    return;
#endif
    struct diag d = DIAG_INIT;
    struct audit_past past = {0};
    CLEANUP(letter_key_free) struct letter_key *auditor = NULL;
    REQUIRE_OK(letter_key_generate(&auditor, &d));
    const struct audit_options o = {.dir = test_dir(), .auditor = auditor, .file_max = 4096};
    REQUIRE(is_fine(work));
    REQUIRE_OK(audit_open(&audit, &o, &past, &d));
    REQUIRE(is_fine(write_audit));
    REQUIRE(is_killed(write_old_file));
    REQUIRE(is_killed(replace_old_file));
    REQUIRE(is_killed(write_new_file));
    audit_close(TAKE(audit));
}

static char secret_file[256];

static int read_file_outside(void)
{
    return open(secret_file, O_RDONLY) >= 0 ? 0 : 1;
}

/* How names are resolved. Not /etc/hosts: a bare installation has none. */
static int read_what_is_needed(void)
{
    return open("/etc/nsswitch.conf", O_RDONLY) >= 0 ? 0 : 1;
}

static int bind_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&any, sizeof any) == 0 ? 0 : 1;
}

TEST(harden, files_that_keyd_does_not_need_cannot_be_opened)
{
#ifdef SANITIZED
    return;
#endif
    struct diag d = DIAG_INIT;
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    if (abi <= 0) {
        fprintf(stderr, "this kernel has no Landlock: not tested\n");
        return;
    }
    snprintf(secret_file, sizeof secret_file, "%s/secret", test_dir());
    REQUIRE_OK(os_replace(secret_file, BYTES("x"), &d));
    EXPECT_EQ(read_file_outside(), 0); /* this user may */
    REQUIRE(!is_fine(read_file_outside));
    REQUIRE(is_fine(read_what_is_needed));
    if (abi >= 4) REQUIRE(!is_fine(bind_port));
}

/* --- TLS to a vault
 * -------------------------------------------------------------------------------- */

static char url[64], ca_file[256];

static int call_over_tls(void)
{
    struct http_client *c;
    struct diag d = DIAG_INIT;
    for (int i = 0; i < 3; i++) {
        CLEANUP_ANSWER struct http_answer a = {0};
        const struct http_call call = {.method = "GET", .url = url, .fresh_connection = i == 2};
        if (http_client_new(&c, ca_file, &d) != OK) return 1;
        if (http_do(c, &call, &a, &d) != OK) {
            fprintf(stderr, "%s\n", d.text);
            return 2;
        }
        if (a.status != 200) return 3;
        http_client_free(c);
    }
    return 0;
}

static void answer(void *ctx, const struct http_request *req, struct http_response *res)
{
    (void)ctx, (void)req;
    res->status = 200;
}

/* The server has threads, so the child that will call it is forked before, and told by a pipe
 * where. */
TEST(harden, tls_to_a_vault_works_on)
{
#ifdef SANITIZED
    return;
#endif
    struct diag d = DIAG_INIT;
    int go[2], status = 0;
    REQUIRE(pipe2(go, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct diag hd = DIAG_INIT;
        if (read(go[0], url, sizeof url) != sizeof url) _exit(90);
        if (read(go[0], ca_file, sizeof ca_file) != sizeof ca_file) _exit(91);
        const char *const readable[] = {ca_file, NULL};
        if (keyd_wall_in(readable, NULL, -1, &hd) != OK || keyd_harden(-1, false, &hd) != OK)
            _exit(99);
        _exit(call_over_tls());
    }
    static const char *const names[] = {"localhost", "127.0.0.1", NULL};
    REQUIRE_OK(tls_ensure_files(test_dir(), names, &d));
    CLEANUP_FREE char *cert = os_path(test_dir(), "server.pem"),
                      *key = os_path(test_dir(), "server.key");
    struct http_server *s;
    const struct http_server_config c = {
        .address = "127.0.0.1:0", .cert_file = cert, .key_file = key, .handler = answer};
    REQUIRE_OK(http_server_start(&s, &c, &d));
    snprintf(url, sizeof url, "https://localhost:%u/keys/k", http_server_port(s));
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", test_dir());
    REQUIRE(write(go[1], url, sizeof url) == sizeof url);
    REQUIRE(write(go[1], ca_file, sizeof ca_file) == sizeof ca_file);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    http_server_stop(s);
    close(go[0]);
    close(go[1]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "status %x\n", (unsigned)status);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
