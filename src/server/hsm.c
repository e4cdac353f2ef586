/* SPDX-License-Identifier: Apache-2.0 */
/* server/hsm.c - opens the PKCS#11 token that the command line names */
#include "server/hsm.h"

enum err hsm_check(const struct hsm_options *o, struct diag *d)
{
    bool any = o->module != NULL || o->token != NULL || o->pin_file != NULL;
    bool all = o->module != NULL && o->token != NULL && o->pin_file != NULL;
    if (any == all) return OK;
    return FAIL(d, ERR_INVALID, "--hsm-module, --hsm-token and --hsm-pin-file go together");
}

enum err hsm_open(const struct hsm_options *o, struct token **out, struct diag *d)
{
    *out = NULL;
    TRY(hsm_check(o, d));
    if (o->module == NULL) return OK;
    const struct token_config c = {.module = o->module, .label = o->token, .pin_file = o->pin_file};
    return token_open(out, &c, d);
}
