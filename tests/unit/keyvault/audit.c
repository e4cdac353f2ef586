/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/audit.c - one record per request, chained, without anything secret */
#include "keyvault_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define T   USER "@kv"
#define AEK "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static char *audit_dir(const char *name)
{
    return str_fmt("%s/%s/audit", test_dir(), name);
}

static int by_name(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* All files, one after the other; returns how many there are. */
static int read_all(const char *name, struct buf *out)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *dir = audit_dir(name);
    struct dirent **names;
    int n = scandir(dir, &names, by_name, alphasort);
    REQUIRE(n >= 0);
    for (int i = 0; i < n; i++) {
        CLEANUP_FREE char *path = os_path(dir, names[i]->d_name);
        REQUIRE_OK(os_read_file(path, 1 << 24, out, &d));
        free(names[i]);
    }
    free(names);
    return n;
}

static char *newest(const char *name)
{
    CLEANUP_FREE char *dir = audit_dir(name);
    struct dirent **names;
    int n = scandir(dir, &names, by_name, alphasort);
    REQUIRE(n > 0);
    char *path = os_path(dir, names[n - 1]->d_name);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return path;
}

/* The last record. */
static json_t *last_record(const char *name)
{
    CLEANUP_BUF struct buf b = {0};
    (void)read_all(name, &b);
    REQUIRE(b.len > 1 && b.p[b.len - 1] == '\n');
    size_t start = b.len - 1;
    while (start > 0 && b.p[start - 1] != '\n')
        start--;
    json_t *j = NULL;
    REQUIRE(json_read(bytes_of(b.p + start, b.len - 1 - start), &j, NULL) == OK);
    return j;
}

static uint64_t verified(const char *name)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *dir = audit_dir(name);
    uint64_t n = 0;
    REQUIRE_OK(audit_log_verify(dir, &n, &d));
    return n;
}

static void broken(const char *name)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *dir = audit_dir(name);
    uint64_t n = 0;
    REQUIRE_ERR(ERR_CORRUPT, audit_log_verify(dir, &n, &d));
}

#define EXPECT_RECORD(dir, operation, result, sign, status)                                       \
    do {                                                                                          \
        CLEANUP_JSON json_t *r_ = last_record(dir);                                               \
        EXPECT_STR(json_get_str(r_, "operationName"), operation);                                 \
        EXPECT_STR(json_get_str(r_, "resultType"), result);                                       \
        EXPECT_STR(json_get_str(r_, "resultSignature"), sign);                                    \
        EXPECT_EQ(json_integer_value(json_at(r_, "properties", "httpStatusCode", NULL)), status); \
    } while (0)

TEST(audit, each_request_leaves_one_record_in_the_documented_shape)
{
    struct keyvault *kv = vault_open("shape");
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_RECORD("shape", "VaultPut", "Success", "OK", 200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), NULL, NULL), 401);
    EXPECT_RECORD("shape", "Authentication", "Failed", "Unauthorized", 401);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), OTHER "@kv", "{\"kty\":\"oct\"}"),
                  403);
    EXPECT_RECORD("shape", "KeyCreate", "Failed", "Forbidden", 403);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"oct\"}"), 200);

    CLEANUP_JSON json_t *r = last_record("shape");
    EXPECT_STR(json_get_str(r, "operationName"), "KeyCreate");
    EXPECT_STR(json_get_str(r, "operationVersion"), "7.4");
    EXPECT_STR(json_get_str(r, "category"), "AuditEvent");
    EXPECT_STR(json_get_str(r, "callerIpAddress"), "127.0.0.1");
    EXPECT_STR(json_get_str(r, "resourceId"),
               "/SUBSCRIPTIONS/" SUB "/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/KV1");
    EXPECT_STR(json_string_value(
                   json_at(r, "identity", "claim",
                           "http://schemas.microsoft.com/identity/claims/objectidentifier", NULL)),
               USER);
    EXPECT_STR(json_string_value(json_at(r, "identity", "claim", "appid", NULL)), "app");
    EXPECT_STR(json_string_value(json_at(r, "properties", "id", NULL)),
               "https://kv1." SUFFIX "/keys/k");
    EXPECT_STR(json_string_value(json_at(r, "properties", "requestUri", NULL)),
               "https://kv1." SUFFIX "/keys/k/create?api-version=7.4");
    REQUIRE(json_is_string(json_get(r, "durationMs")) && strlen(json_get_str(r, "time")) == 28);
    EXPECT_EQ(json_get_int(r, "sequence", 0), 4);

    static const struct {
        const char *method, *url, *body, *operation;
    } calls[] = {
        {"GET", KV("kv1", "/keys"), NULL, "KeyList"},
        {"GET", KV("kv1", "/keys/k"), NULL, "KeyGet"},
        {"POST", KV("kv1", "/keys/k/wrapkey"), "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}",
         "KeyWrap"},
        {"POST", KV("kv1", "/keys/k/rotate"), NULL, "KeyRotate"},
        {"GET", KV("kv1", "/keys/k/rotationpolicy"), NULL, "KeyRotationPolicyGet"},
        {"POST", KV("kv1", "/keys/k/backup"), NULL, "KeyBackup"},
        {"DELETE", KV("kv1", "/keys/k"), NULL, "KeyDelete"},
        {"POST", KV("kv1", "/deletedkeys/k/recover"), NULL, "KeyRecover"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        EXPECT_ANSWER(ask(kv, calls[i].method, calls[i].url, T, calls[i].body), 200);
        EXPECT_RECORD("shape", calls[i].operation, "Success", "OK", 200);
    }
    EXPECT_EQ(verified("shape"), 12);
    keyvault_close(kv);
}

TEST(audit, nothing_secret_gets_into_it)
{
    struct keyvault *kv = vault_open("secret");
    make_vault(kv, VAULT("kv1") ARM);
#define JWK "{\"key\":{\"kty\":\"oct\",\"k\":\"" AEK "\"}"
    EXPECT_ANSWER(ask(kv, "PUT", KV("kv1", "/keys/k"), T, JWK "}"), 200);
    EXPECT_ANSWER(ask(kv, "PUT", KV("kv1", "/keys/k"), T, JWK), 400); /* no JSON */
    EXPECT_ANSWER(
        ask(kv, "PUT", KV("kv1", "/keys/k"), T, "{\"key\":{\"kty\":\"EC\",\"d\":\"" AEK "\"}}"),
        400);
    const struct answer *a = ask(kv, "POST", KV("kv1", "/keys/k/wrapkey"), T,
                                 "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}");
    CLEANUP_FREE char *body =
        str_fmt("{\"alg\":\"A256KW\",\"value\":\"%s\"}", json_get_str(a->body, "value"));
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/unwrapkey"), T, body), 200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/wrapkey"), T,
                      "{\"alg\":\"A256KW\",\"value\":\"" AEK "A\"}"),
                  400);
    CLEANUP_BUF struct buf all = {0};
    (void)read_all("secret", &all);
    const char *text = buf_cstr(&all);
    REQUIRE(strstr(text, "AAECAwQF") == NULL && strstr(text, "Bearer") == NULL &&
            strstr(text, T) == NULL);
    keyvault_close(kv);
}

static struct keyvault *open_small(const char *name)
{
    struct keyvault_config c = usual_config();
    c.audit_file_max = 4000;
    return vault_open_as(name, c);
}

static void make_noise(struct keyvault *kv, int n)
{
    for (int i = 0; i < n; i++)
        EXPECT_ANSWER(ask(kv, "GET", KV("nobody", "/keys"), T, NULL), 404);
}

TEST(audit, the_chain_goes_on_across_files_and_restarts)
{
    for (int round = 1; round <= 3; round++) {
        struct keyvault *kv = open_small("files");
        make_noise(kv, 20);
        EXPECT_EQ(verified("files"), (uint64_t)round * 20);
        keyvault_close(kv);
    }
    CLEANUP_BUF struct buf all = {0};
    int files = read_all("files", &all);
    REQUIRE(files >= 6 && files <= 20);
    CLEANUP_FREE char *dir = audit_dir("files"), *first = os_path(dir, "audit-000000000001.jsonl");
    struct stat st;
    REQUIRE(stat(first, &st) == 0 && (st.st_mode & 0777) == 0600);
    /* The oldest may be put away. */
    REQUIRE(unlink(first) == 0);
    REQUIRE(verified("files") < 60);
}

TEST(audit, any_touched_byte_shows)
{
    struct keyvault *kv = open_small("touched");
    make_noise(kv, 7);
    keyvault_close(kv);
    CLEANUP_FREE char *dir = audit_dir("touched"), *path = os_path(dir, "audit-000000000001.jsonl");
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf text = {0};
    REQUIRE_OK(os_read_file(path, 1 << 20, &text, &d));
    for (size_t i = 0; i < text.len; i += 3) {
        text.p[i] ^= 1;
        REQUIRE_OK(os_replace(path, buf_view(&text), &d));
        broken("touched");
        text.p[i] ^= 1;
    }
    /* A line taken out of the middle. */
    const uint8_t *line = (const uint8_t *)memchr(text.p, '\n', text.len) + 1;
    const uint8_t *next =
        (const uint8_t *)memchr(line, '\n', text.len - (size_t)(line - text.p)) + 1;
    CLEANUP_BUF struct buf cut = {0};
    buf_bytes(&cut, bytes_of(text.p, (size_t)(line - text.p)));
    buf_bytes(&cut, bytes_of(next, text.len - (size_t)(next - text.p)));
    REQUIRE_OK(os_replace(path, buf_view(&cut), &d));
    broken("touched");
    REQUIRE_OK(os_replace(path, buf_view(&text), &d));
    EXPECT_EQ(verified("touched"), 7);
}

TEST(audit, a_line_that_a_crash_cut_is_removed_and_the_chain_goes_on)
{
    struct keyvault *kv = open_small("torn");
    make_noise(kv, 3);
    keyvault_close(kv);
    CLEANUP_FREE char *path = newest("torn");
    int fd = open(path, O_WRONLY | O_APPEND);
    REQUIRE(fd >= 0 && write(fd, "{\"time\":\"20", 11) == 11);
    close(fd);
    broken("torn");
    kv = open_small("torn");
    make_noise(kv, 1);
    EXPECT_EQ(verified("torn"), 4);
    keyvault_close(kv);
}

TEST(audit, a_broken_file_is_kept_and_a_new_one_begun)
{
    struct keyvault *kv = open_small("kept");
    make_noise(kv, 3);
    keyvault_close(kv);
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = newest("kept");
    CLEANUP_BUF struct buf text = {0}, again = {0}, all = {0};
    REQUIRE_OK(os_read_file(path, 1 << 20, &text, &d));
    text.p[text.len / 2] ^= 1;
    REQUIRE_OK(os_replace(path, buf_view(&text), &d));
    kv = open_small("kept");
    make_noise(kv, 1);
    keyvault_close(kv);
    REQUIRE_OK(os_read_file(path, 1 << 20, &again, &d));
    REQUIRE(bytes_eq(buf_view(&text), buf_view(&again)));
    EXPECT_EQ(read_all("kept", &all), 2);
    broken("kept");
}

TEST(audit, without_a_record_there_is_no_answer)
{
    struct keyvault *kv = vault_open("full");
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"oct\"}"), 200);
    int before = open("/dev/full", O_WRONLY);
    REQUIRE(before >= 0);
    /* Every descriptor of the audit file becomes one of a full disk. */
    CLEANUP_FREE char *path = newest("full");
    int ours = -1;
    for (int fd = 3; fd < 256; fd++) {
        CLEANUP_FREE char *link = str_fmt("/proc/self/fd/%d", fd);
        char target[4096];
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n <= 0) continue;
        target[n] = 0;
        if (str_eq(target, path)) ours = fd;
    }
    REQUIRE(ours >= 0);
    int kept = dup(ours);
    REQUIRE(dup2(before, ours) == ours);
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_REFUSAL(a, 500, "InternalServerError", "");
    REQUIRE(dup2(kept, ours) == ours);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL), 200);
    close(kept);
    close(before);
    EXPECT_EQ(verified("full"), 3);
    keyvault_close(kv);
}
