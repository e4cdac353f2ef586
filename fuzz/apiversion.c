/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/apiversion.c - any text is a version or is not; a version has a dialect of each type, and
 * order is total */
#include "base/str.h"
#include "resource/apiversion.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2][64];
    struct api_version v[2];
    size_t half = size / 2;
    if (half >= sizeof text[0]) return 0;
    memcpy(text[0], data, half);
    text[0][half] = '\0';
    memcpy(text[1], data + half, half);
    text[1][half] = '\0';
    for (int i = 0; i < 2; i++) {
        if (!api_version_parse(text[i], &v[i])) return 0;
        assert(v[i].date >= 20000101 && v[i].date <= 99991231);
        const struct cluster_dialect *c = cluster_dialect(v[i]);
        const struct workspace_dialect *w = workspace_dialect(v[i]);
        const struct link_dialect *l = link_dialect(v[i]);
        assert(c != NULL && w != NULL && l != NULL && c->state_creating != NULL);
        /* The row is none that is newer, unless all are. */
        assert(api_version_at_least(v[i], c->from) || str_eq(c->from, "2019-08-01-preview"));
    }
    assert(api_version_cmp(v[0], v[1]) == -api_version_cmp(v[1], v[0]));
    assert(api_version_cmp(v[0], v[0]) == 0);
    /* A newer request never gets an older dialect. */
    if (api_version_cmp(v[0], v[1]) <= 0) {
        assert(cluster_dialect(v[0]) <= cluster_dialect(v[1]));
        assert(workspace_dialect(v[0]) <= workspace_dialect(v[1]));
    }
    return 0;
}
