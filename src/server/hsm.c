/* SPDX-License-Identifier: Apache-2.0 */
/* server/hsm.c - opens the PKCS#11 token that the command line names */
#include "server/hsm.h"

#include "base/str.h"

enum err hsm_check(const struct hsm_options *o, struct diag *d)
{
    bool any = o->module != NULL || o->token != NULL || o->pin_file != NULL;
    bool all = o->module != NULL && o->token != NULL && o->pin_file != NULL;
    if (all || (!any && !o->direct && o->platform_key == NULL)) return OK;
    if (!any)
        return FAIL(d, ERR_INVALID,
                    "--hsm-direct and --platform-key need --hsm-module and its token");
    return FAIL(d, ERR_INVALID, "--hsm-module, --hsm-token and --hsm-pin-file go together");
}

char *hsm_uri(const struct hsm_options *o)
{
    CLEANUP_BUF struct buf b = {0};
    if (o->module == NULL) return NULL;
    buf_str(&b, "pkcs11:token=");
    percent_encode(&b, bytes_str(o->token));
    return b.bad ? NULL : str_dup(buf_cstr(&b));
}

char *hsm_anchor(const struct hsm_options *o, const char *anchor)
{
    CLEANUP_BUF struct buf b = {0};
    buf_str(&b, anchor);
    if (strncmp(anchor, "pkcs11:", 7) == 0 && strchr(anchor, '?') == NULL && o->module != NULL) {
        buf_str(&b, "?module-path=");
        percent_encode(&b, bytes_str(o->module));
        buf_str(&b, "&pin-source=");
        percent_encode(&b, bytes_str(o->pin_file));
    }
    return b.bad ? NULL : str_dup(buf_cstr(&b));
}

enum err hsm_open(const struct hsm_options *o, struct token **out, struct diag *d)
{
    *out = NULL;
    TRY(hsm_check(o, d));
    if (o->module == NULL) return OK;
    const struct token_config c = {.module = o->module, .label = o->token, .pin_file = o->pin_file};
    return token_open(out, &c, d);
}
