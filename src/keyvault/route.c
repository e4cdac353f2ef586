/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/route.c - paths against patterns */
#include "keyvault/service.h"

#include "base/str.h"

size_t kv_split_path(struct arena *a, const char *path, const char **out, size_t max)
{
    size_t n = 0;
    for (;;) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        if (len == 0) return n;
        if (n == max) return max + 1;
        out[n] = arena_str(a, bytes_of(path, len));
        if (out[n] == NULL) return max + 1;
        n++;
        path += len;
    }
}

bool kv_path_matches(const char *pattern, const char *const *segments, size_t n, const char **args)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(pattern, "/");
        if (len == 1 && *pattern == '*') {
            *args++ = segments[i];
        } else if (strlen(segments[i]) != len || strncasecmp(pattern, segments[i], len) != 0) {
            return false;
        }
        pattern += len;
        if (*pattern == '/') {
            pattern++;
        } else if (i + 1 < n) {
            return false;
        }
    }
    return *pattern == 0;
}
