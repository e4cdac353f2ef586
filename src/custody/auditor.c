/* SPDX-License-Identifier: Apache-2.0 */
/* custody/auditor.c - the auditor's key is read, or made at the first start */
#include "custody/auditor.h"

#include "base/log.h"
#include "base/os.h"

#include <stdio.h>
#include <stdlib.h>

#define PEM_MAX (64 << 10)

static enum err read_key(struct letter_key **out, const char *path, struct diag *d)
{
    CLEANUP_BUF struct buf pem = {0};
    struct diag why = DIAG_INIT;
    TRY(os_read_file(path, PEM_MAX, &pem, d));
    enum err e = letter_key_read(out, buf_view(&pem), &why);
    return e == OK ? OK : FAIL(d, e, "auditor's key %s: %s", path, why.text);
}

static enum err write_half(const struct letter_key *k, bool private_half, const char *path,
                           struct diag *d)
{
    CLEANUP_BUF struct buf pem = {0};
    TRY(letter_key_write(k, private_half, &pem, d));
    return os_replace(path, buf_view(&pem), d);
}

enum err auditor_key(struct letter_key **out, const char *dir, const char *pem, char *private_path,
                     size_t cap, struct diag *d)
{
    private_path[0] = 0;
    if (pem != NULL) return read_key(out, pem, d);
    CLEANUP_FREE char *public_half = os_path(dir, "auditor.pem");
    CLEANUP_FREE char *private_half = os_path(dir, "auditor.key");
    if (public_half == NULL || private_half == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (!os_exists(public_half)) {
        CLEANUP(letter_key_free) struct letter_key *fresh = NULL;
        TRY(letter_key_generate(&fresh, d));
        TRY(write_half(fresh, true, private_half, d)); /* first: letters are sealed to what opens */
        TRY(write_half(fresh, false, public_half, d));
        LOG(WARN, "auditor.key_made", F_STR("move_away", private_half));
    }
    if (os_exists(private_half)) snprintf(private_path, cap, "%s", private_half);
    return read_key(out, public_half, d);
}
