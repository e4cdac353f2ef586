/* SPDX-License-Identifier: Apache-2.0 */
/* server/serve_keyd.c - the key daemon's process */
#include "server/commands.h"

#include "base/os.h"
#include "base/str.h"
#include "custody/keyd.h"
#include "server/harden.h"
#include "server/process.h"
#include "server/serve.h"

static void holder_failed(void *ctx)
{
    (void)ctx;
    /* The supervisor's death ends this process too: there is nobody else to tell. */
    (void)process_kill_peer("logs", NULL);
}

static enum err serve(const struct serve_options *o, struct diag *d)
{
    TRY(process_begin("keyd", d));
    TRY(harden_process(d));
    TRY(serve_clock(o, d));
    CLEANUP_FREE char *dir = os_path(o->data, "keyd");
    TRY(os_mkdir(dir, d));
    CLEANUP_FREE char *audit = os_path(dir, "audit.log");
    CLEANUP_FREE char *platform = str_fmt("https://keystead-platform.%s", o->vault_suffix);
    const char *const hosts[] = {o->vault_suffix, NULL};
    enum outage_policy outage = OUTAGE_DEFAULT;
    if (o->outage_policy != NULL && !outage_policy_parse(o->outage_policy, &outage)) {
        return FAIL(d, ERR_INVALID, "no outage policy '%.20s'", o->outage_policy);
    }
    const struct keyd_config config = {
        .ca_file = o->ca_file,
        .audit_file = audit,
        .vault_hosts = hosts,
        .vault_socket = o->vault_socket,
        .platform_vault_uri = platform,
        .platform_key = "pmk",
        .platform_principal_id = o->platform_principal,
        .policy = {.outage = outage,
                   .grace_s = (uint32_t)o->outage_grace_s,
                   .retain_max_s = (uint32_t)o->retain_max_s,
                   .probe_s = (uint32_t)o->probe_s,
                   .bound_s = (uint32_t)o->revocation_bound_s},
        .holder_failed = holder_failed,
    };
    CLEANUP(keyd_free) struct keyd *k = NULL;
    TRY(keyd_new(&k, &config, d));
    TRY(process_peer("logs", keyd_chan_logs(k), d));
    TRY(process_peer("identity", keyd_chan_identity(k), d));
    TRY(process_peer("reader", keyd_chan_reader(k), d));
    TRY(keyd_harden(d));
    TRY(keyd_start(k, d));
    TRY(process_ready(NULL, d));
    process_wait_quit();
    return OK;
}

int serve_keyd(int argc, char **argv, struct diag *d)
{
    struct serve_options o;
    if (serve_parse(argc, argv, &o, d) != OK) return EXIT_USAGE;
    return exit_of(serve(&o, d));
}
