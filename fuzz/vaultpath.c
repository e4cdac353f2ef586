/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/vaultpath.c - paths and versions: without a token nothing but the challenge, without a right
 * nothing but a refusal, and nothing that exists looks different to a stranger
 *
 * First byte: method and host. Then the version up to a newline, then the path.
 */
#include "vault_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "X", ""};
    struct keyvault *kv = fuzz_vault();
    if (size < 2) return 0;
    CLEANUP_FREE char *version = strndup((const char *)data + 1, size - 1);
    if (version == NULL) return 0;
    char *newline = strchr(version, '\n');
    CLEANUP_FREE char *path = str_fmt("/%s", newline != NULL ? newline + 1 : version);
    if (path == NULL) return 0;
    if (newline != NULL) *newline = 0;
    const char *method = methods[data[0] & 7], *host = (data[0] & 8) != 0 ? HOST : "localhost";
    bool data_plane = (data[0] & 8) != 0;
    const struct bytes none = {0};

    int nobody = fuzz_handle(kv, NULL, method, host, path, version, none, NULL);
    assert(data_plane ? nobody == 401 : nobody == 401 || nobody == 404);
    CLEANUP_BUF struct buf answer = {0};
    int stranger = fuzz_handle(kv, OTHER, method, host, path, version, none, &answer);
    assert(stranger >= 200 && stranger < 600 && stranger != 500);
    if (data_plane) {
        assert(stranger == 400 || stranger == 403 || stranger == 404 || stranger == 405 ||
               (stranger == 200 && strcasestr(path, "rng") != NULL));
        assert(strstr(buf_cstr(&answer), "\"kid\":") == NULL); /* a quoted one is his own */
    } else if (stranger < 300) { /* lists of what he may see: nothing */
        assert(str_eq(method, "GET") || str_eq(method, "POST"));
        assert(strstr(buf_cstr(&answer), OWNER) == NULL);
    }

    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 20);
    const char *segments[4];
    size_t n = kv_split_path(&a, path, segments, 4);
    for (size_t i = 0; n <= 4 && i < n; i++)
        assert(segments[i][0] != 0 && strchr(segments[i], '/') == NULL);
    return 0;
}
