/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/trio.h - identity, vault and keyd on private sockets, for a data directory whose server is
 * down
 *
 * Takes the store's lock, so that no server starts meanwhile. This process stands where the log
 * service would: keyd loads its records from here, and what keyd asks to be written is acknowledged
 * and forgotten, so no key state changes. The vault listens on a Unix socket in a directory of its
 * own (0700), gone with the trio.
 */
#pragma once

#include "json/json.h"
#include "server/hsm.h"
#include "storage/catalog.h"
#include "storage/keys.h"

struct trio;

struct trio_options { /* as the server was started with */
    const char *infrastructure_key;
    struct hsm_options hsm;
};

/* Returns when keyd has tried every key once. Keys that the vault refuses stay missing: that is not
 * a failure here. */
enum err trio_start(struct trio **out, const char *data, const struct trio_options *options,
                    struct catalog *catalog, struct diag *d);
void trio_stop(struct trio *t); /* NULL is fine */
struct keys trio_keys(struct trio *t);
enum err trio_status(struct trio *t, json_t **out, struct diag *d);
