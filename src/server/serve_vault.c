/* SPDX-License-Identifier: Apache-2.0 */
/* server/serve_vault.c - the embedded vault's process: HTTPS of its own, roles straight from
 * identity */
#include "server/commands.h"

#include "base/os.h"
#include "keyvault/keyvault.h"
#include "server/harden.h"
#include "server/process.h"
#include "server/serve.h"

static enum err run(const struct serve_options *o, struct identity_client *identity, struct diag *d)
{
    CLEANUP(token_close) struct token *token = NULL;
    TRY(hsm_open(&o->hsm, &token, d));
    enum keyvault_trust trust = TRUST_FILE;
    if (o->hsm.vault_root != NULL && !keyvault_trust_parse(o->hsm.vault_root, &trust))
        return FAIL(d, ERR_INVALID, "--vault-root takes file, passphrase or token, not '%.20s'",
                    o->hsm.vault_root);
    CLEANUP_FREE char *pools = serve_hsm_suffix(o);
    CLEANUP_FREE char *dir = os_path(o->data, "vault");
    struct keyvault_config config = {.dir = dir,
                                     .suffix = o->vault_suffix,
                                     .hsm_suffix = pools,
                                     .token = token,
                                     .trust = trust,
                                     .passphrase_file = o->hsm.passphrase_file,
                                     .endpoint = o->endpoint,
                                     .tenant_id = o->tenant,
                                     .faults = o->faults};
    keyvault_use_identity(&config, identity);
    CLEANUP(keyvault_close) struct keyvault *kv = NULL;
    TRY(keyvault_open(&kv, &config, d));
    TRY(keyvault_ensure_platform(kv, o->platform_principal, d));

    CLEANUP_FREE char *cert = serve_cert_file(o);
    CLEANUP_FREE char *key = serve_key_file(o);
    const struct http_server_config http = {.address = o->listen,
                                            .cert_file = cert,
                                            .key_file = key,
                                            .body_max = (size_t)4 << 20,
                                            .handler = keyvault_handle,
                                            .ctx = kv};
    struct http_server *server = NULL;
    TRY(http_server_start(&server, &http, d));
    enum err e = process_ready(NULL, d);
    if (e == OK) process_wait_quit();
    keyvault_quit(kv);
    http_server_stop(server);
    return e;
}

static enum err serve(const struct serve_options *o, struct diag *d)
{
    TRY(process_begin("vault", d));
    TRY(harden_process(d));
    TRY(serve_clock(o, d));
    struct chan *chan = NULL;
    struct identity_client *identity = NULL;
    TRY(chan_new(&chan, "identity", 1, NULL, NULL, d));
    enum err e = identity_client_new(&identity, chan, d);
    if (e == OK) e = process_peer("identity", chan, d);
    if (e == OK) e = run(o, identity, d);
    identity_client_free(identity);
    chan_free(chan);
    return e;
}

int serve_vault(int argc, char **argv, struct diag *d)
{
    struct serve_options o;
    if (serve_parse(argc, argv, &o, d) != OK) return EXIT_USAGE;
    return exit_of(serve(&o, d));
}
