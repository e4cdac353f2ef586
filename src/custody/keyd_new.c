/* SPDX-License-Identifier: Apache-2.0 */
/* custody/keyd_new.c - keyd as it runs in production: with the door to vaults that speaks HTTPS */
#include "custody/core.h"

enum err keyd_new(struct keyd **out, const struct keyd_config *c, struct diag *d)
{
    CLEANUP(keyd_free) struct keyd *k = NULL;
    TRY(keyd_new_with(&k, c, NULL, d));
    TRY(kek_door_port(&k->port, c, keyd_chan_identity(k), d));
    *out = TAKE(k);
    return OK;
}
