/* SPDX-License-Identifier: Apache-2.0 */
/* identity/scope.c - ARM scopes: their one spelling, and which lies above which */
#include "identity/state.h"

static bool append(char out[RESOURCE_ID_MAX], size_t *at, const char *text, size_t n)
{
    if (n + 1 >= RESOURCE_ID_MAX - *at) return false;
    out[(*at)++] = '/';
    memcpy(out + *at, text, n);
    *at += n;
    out[*at] = 0;
    return true;
}

static bool is_word(const char *text, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(text, word, n) == 0;
}

/* Names keep their casing; ARM's own words get theirs where they stand at a word's place. */
enum err scope_canonical(const char *scope, char out[RESOURCE_ID_MAX], struct diag *d)
{
    static const char *const words[] = {"subscriptions", "resourceGroups", "providers"};
    if (scope[0] != '/')
        return FAIL(d, ERR_INVALID, "scope \"%.200s\" does not start with a slash", scope);
    if (!utf8_valid(bytes_str(scope))) return FAIL(d, ERR_INVALID, "the scope is not UTF-8");
    size_t at = 0;
    out[0] = 0;
    for (unsigned i = 0; *scope != 0; i++) {
        scope += strspn(scope, "/");
        size_t n = strcspn(scope, "/");
        if (n == 0) break;
        const char *text = scope;
        for (size_t w = 0; w < 3; w++) {
            if (i % 2 == 0 && is_word(scope, n, words[w])) text = words[w];
        }
        if (!append(out, &at, text, n)) {
            return FAIL(d, ERR_LIMIT, "a scope of more than %d bytes", RESOURCE_ID_MAX - 1);
        }
        scope += n;
    }
    if (at == 0) memcpy(out, "/", 2);
    return OK;
}

bool scope_covers(const char *above, const char *below)
{
    size_t n = strlen(above);
    if (str_eq(above, "/")) return true;
    return strncasecmp(above, below, n) == 0 && (below[n] == 0 || below[n] == '/');
}
