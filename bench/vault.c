/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/vault.c - what the vault service costs: unwraps over TLS with keep-alive against the bare
 * operation of OpenSSL, and memory and start time with many keys
 *
 *      bench_vault DIR [SECONDS [ALGORITHM]]      prints Markdown rows; of one algorithm only: "A256KW"
 *
 * The server is a process of its own on one core, its clients on another. Beside the rates on the
 * wall clock stand those by CPU time of the server, which say the same on a busy machine.
 */
#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/secret.h"
#include "keyvault/service.h"
#include "net/http_client.h"
#include "net/tls.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OID    "aaaaaaaa-0000-0000-0000-000000000001"
#define TENANT "11111111-1111-1111-1111-111111111111"
#define VAULT                                                                          \
    "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg/providers/" \
    "Microsoft.KeyVault/vaults/kv1"
#define AEK     "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define CLIENTS 4
#define KEYS    10000

#define MUST(call)                                      \
    do {                                                \
        struct diag d = DIAG_INIT;                      \
        if ((call) != OK) {                             \
            fprintf(stderr, "%s: %s\n", #call, d.text); \
            exit(1);                                    \
        }                                               \
    } while (0)

static enum err verify(void *ctx, const char *token, const char *const *audiences,
                       struct caller *out, struct diag *d)
{
    (void)ctx, (void)token, (void)audiences, (void)d;
    *out = (struct caller){
        .object_id = OID, .tenant_id = TENANT, .app_id = "app", .issuer = "https://i/"};
    return OK;
}

static enum err authorize(void *ctx, const char *oid, const char *action, bool is_data,
                          const char *scope, struct diag *d)
{
    (void)ctx, (void)oid, (void)action, (void)is_data, (void)scope, (void)d;
    return OK;
}

static struct keyvault *open_vault(const char *dir)
{
    struct keyvault *kv = NULL;
    const struct keyvault_config c = {.dir = dir,
                                      .suffix = "vault.localhost",
                                      .endpoint = "https://localhost",
                                      .tenant_id = TENANT,
                                      .verify = verify,
                                      .authorize = authorize,
                                      .requests_per_10s = UINT32_MAX / 8,
                                      .audit_file_max = (size_t)64 << 20};
    MUST(keyvault_open(&kv, &c, &d));
    return kv;
}

/* --- the server's process --- */

struct shared {
    _Atomic unsigned port;
    _Atomic int64_t cpu_us, rss_kb;
};

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static int64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void serve(const char *dir, struct shared *s)
{
    pin(0);
    CLEANUP_FREE char *cert = os_path(dir, "server.pem"), *key = os_path(dir, "server.key"),
                      *data = os_path(dir, "data");
    struct keyvault *kv = open_vault(data);
    struct http_server *server = NULL;
    const struct http_server_config c = {.address = "127.0.0.1:0",
                                         .cert_file = cert,
                                         .key_file = key,
                                         .handler = keyvault_handle,
                                         .ctx = kv};
    MUST(http_server_start(&server, &c, &d));
    atomic_store(&s->port, http_server_port(server));
    for (;;) {
        atomic_store(&s->cpu_us, cpu_us());
        usleep(2000);
    }
}

/* --- clients --- */

struct load {
    struct http_client *http;
    char *url, *body;
    _Atomic bool stop;
    _Atomic uint64_t done;
    int64_t took_us[1 << 18]; /* of the first ones */
};

static int post(struct http_client *http, const char *method, const char *url, const char *body,
                struct buf *out)
{
    const char *headers[] = {NULL, NULL};
    struct http_answer a = {0};
    const struct http_call call = {
        .method = method, .url = url, .bearer = "t", .headers = headers, .body = bytes_str(body)};
    MUST(http_do(http, &call, &a, &d));
    int status = a.status;
    if (status != 200) fprintf(stderr, "%s: %d %s\n", url, status, buf_cstr(&a.body));
    if (out != NULL) buf_bytes(out, buf_view(&a.body));
    http_answer_release(&a);
    return status;
}

static void *run_client(void *arg)
{
    struct load *l = arg;
    while (!atomic_load(&l->stop)) {
        int64_t start = time_mono_us();
        if (post(l->http, "POST", l->url, l->body, NULL) != 200) exit(1);
        uint64_t n = atomic_fetch_add(&l->done, 1);
        if (n < sizeof l->took_us / sizeof l->took_us[0]) l->took_us[n] = time_mono_us() - start;
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The bare operation with the key already loaded, in operations per second of CPU. */
static double bare(const char *kty, int bits, double seconds)
{
    uint8_t plain[32] = {1};
    CLEANUP(rsa_free) struct rsa_key *k = NULL;
    CLEANUP_BUF struct buf w = {0};
    bool rsa = str_eq(kty, "RSA");
    if (rsa) {
        MUST(rsa_generate(&k, (unsigned)bits, &d));
        MUST(rsa_encrypt(k, RSA_OAEP_SHA256, BYTES_OF(plain), &w, &d));
    } else {
        MUST(aes_kw_wrap(BYTES_OF(plain), BYTES_OF(plain), &w, &d));
    }
    int64_t start = cpu_us(), end = start + (int64_t)(seconds * 1e6);
    uint64_t n = 0;
    for (; cpu_us() < end; n++) {
        struct secret *s = NULL;
        if (rsa)
            MUST(rsa_decrypt(k, RSA_OAEP_SHA256, buf_view(&w), &s, &d));
        else
            MUST(aes_kw_unwrap(BYTES_OF(plain), buf_view(&w), &s, &d));
        secret_free(s);
    }
    return (double)n * 1e6 / (double)(cpu_us() - start);
}

static void measure(struct http_client *http, struct shared *s, const char *kty, int bits,
                    const char *alg, double seconds)
{
    CLEANUP_FREE char *base =
        str_fmt("https://kv1.vault.localhost:%u/keys/%s%d", atomic_load(&s->port), kty, bits);
    CLEANUP_FREE char *create = str_fmt("%s/create?api-version=7.4", base),
                      *wrap = str_fmt("%s/wrapkey?api-version=7.4", base);
    CLEANUP_FREE char *kind = str_fmt("{\"kty\":\"%s\",\"key_size\":%d}", kty, bits),
                      *plain = str_fmt("{\"alg\":\"%s\",\"value\":\"" AEK "\"}", alg);
    CLEANUP_BUF struct buf answer = {0};
    CLEANUP_JSON json_t *j = NULL;
    if (post(http, "POST", create, kind, NULL) != 200 ||
        post(http, "POST", wrap, plain, &answer) != 200)
        exit(1);
    MUST(json_read(buf_view(&answer), &j, &d));

    static struct load l;
    memset(&l, 0, sizeof l);
    l.http = http;
    l.url = str_fmt("%s/unwrapkey?api-version=7.4", base);
    l.body = str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"}", alg, json_get_str(j, "value"));
    pthread_t t[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        MUST(thread_start(&t[i], run_client, &l, &d));
    usleep(300000);
    int64_t cpu0 = atomic_load(&s->cpu_us), wall0 = time_mono_us();
    uint64_t done0 = atomic_load(&l.done);
    usleep((useconds_t)(seconds * 1e6));
    int64_t cpu = atomic_load(&s->cpu_us) - cpu0, wall = time_mono_us() - wall0;
    uint64_t done = atomic_load(&l.done) - done0;
    atomic_store(&l.stop, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(t[i], NULL);

    uint64_t n = atomic_load(&l.done), max = sizeof l.took_us / sizeof l.took_us[0];
    if (n > max) n = max;
    qsort(l.took_us, n, sizeof l.took_us[0], by_value);
    double by_cpu = (double)done * 1e6 / (double)cpu, alone = bare(kty, bits, seconds / 2);
    printf("| %s-%d %s | %.0f | %.0f | %.0f | %.2f | %" PRId64 " | %" PRId64 " |\n", kty, bits, alg,
           (double)done * 1e6 / (double)wall, by_cpu, alone, by_cpu / alone, l.took_us[n / 2],
           l.took_us[n * 99 / 100]);
    fflush(stdout);
    free(l.url);
    free(l.body);
}

/* --- many keys --- */

static long rss_kb(void)
{
    CLEANUP_BUF struct buf b = {0};
    MUST(os_read_file("/proc/self/status", 65536, &b, &d));
    const char *at = strstr(buf_cstr(&b), "VmRSS:");
    return at != NULL ? strtol(at + 6, NULL, 10) : 0;
}

static int handle(struct keyvault *kv, const char *method, const char *host, const char *path,
                  const char *body)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    const struct http_field query = {"api-version", host[0] == 'k' ? "7.4" : "2022-07-01"},
                            header = {"Authorization", "Bearer t"};
    const struct http_request req = {.a = &a,
                                     .method = method,
                                     .path = path,
                                     .target = path,
                                     .host = host,
                                     .authority = host,
                                     .peer = "127.0.0.1",
                                     .query = &query,
                                     .n_query = 1,
                                     .headers = &header,
                                     .n_headers = 1,
                                     .body = bytes_str(body)};
    struct http_response res = {.a = &a};
    keyvault_handle(kv, &req, &res);
    if (res.status != 200) fprintf(stderr, "%s: %d %s\n", path, res.status, buf_cstr(&res.body));
    buf_release(&res.body);
    return res.status;
}

static void make_vault(struct keyvault *kv)
{
    (void)handle(kv, "PUT", "localhost", VAULT,
                 "{\"location\":\"we\",\"properties\":{\"tenantId\":\"" TENANT
                 "\",\"sku\":{\"family\":\"A\",\"name\":"
                 "\"standard\"},\"accessPolicies\":[{\"tenantId\":\"" TENANT
                 "\",\"objectId\":\"" OID "\",\"permissions\":{\"keys\":[\"all\"]}}]}}");
}

static void many_keys(const char *dir)
{
    struct keyvault *kv = open_vault(dir);
    long empty = rss_kb();
    make_vault(kv);
    for (int i = 0; i < KEYS; i++) {
        CLEANUP_FREE char *path = str_fmt("/keys/key-%05d/create", i);
        if (handle(kv, "POST", "kv1.vault.localhost", path, "{\"kty\":\"EC\"}") != 200) exit(1);
    }
    keyvault_close(kv);
    int64_t start = time_mono_us();
    kv = open_vault(dir);
    int64_t opened = time_mono_us() - start;
    (void)handle(kv, "GET", "kv1.vault.localhost", "/keys/key-05000", "");
    int64_t served = time_mono_us() - start;
    printf("\n%d EC keys: opened in %.0f ms, first answer after %.0f ms, resident %ld KiB (empty: "
           "%ld KiB)\n",
           KEYS, (double)opened / 1000, (double)served / 1000, rss_kb(), empty);
    keyvault_close(kv);
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    static const char *const names[] = {"localhost", "*.vault.localhost", "127.0.0.1", NULL};
    log_set_level(LOG_ERROR);
    MUST(os_mkdir(argv[1], &d));
    MUST(tls_ensure_files(argv[1], names, &d));
    CLEANUP_FREE char *data = os_path(argv[1], "data"), *ca = os_path(argv[1], "ca.pem"),
                      *many = os_path(argv[1], "many");
    struct keyvault *kv = open_vault(data);
    make_vault(kv);
    keyvault_close(kv);

    struct shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) serve(argv[1], s);
    while (atomic_load(&s->port) == 0)
        usleep(1000);
    pin(1);
    struct http_client *http = NULL;
    MUST(http_client_new(&http, ca, &d));
    printf("| unwrap | per s | per s of server CPU | OpenSSL alone per s of CPU | ratio | p50 us | "
           "p99 us |\n"
           "|---|---|---|---|---|---|---|\n");
    static const struct {
        const char *kty, *alg;
        int bits;
    } kinds[] = {
        {"RSA", "RSA-OAEP-256", 2048}, {"RSA", "RSA-OAEP-256", 3072}, {"oct", "A256KW", 256}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (argc <= 3 || str_eq(argv[3], kinds[i].alg))
            measure(http, s, kinds[i].kty, kinds[i].bits, kinds[i].alg, seconds);
    }
    http_client_free(http);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (argc <= 3) many_keys(many);
    return 0;
}
