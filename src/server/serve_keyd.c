/* SPDX-License-Identifier: Apache-2.0 */
/* server/serve_keyd.c - the key daemon's process */
#include "server/commands.h"

#include "base/os.h"
#include "base/str.h"
#include "base/log.h"
#include "custody/iek.h"
#include "custody/keyd.h"
#include "server/harden.h"
#include "server/process.h"
#include "server/serve.h"

#include <stdatomic.h>
#include <stdio.h>

struct infrastructure_key {
    struct secret *key;
    char custodian[256], trouble[192];
};

static void infrastructure_key_release(struct infrastructure_key *i)
{
    secret_free(i->key);
}

static void holder_failed(void *ctx)
{
    (void)ctx;
    /* The supervisor's death ends this process too: there is nobody else to tell. */
    (void)process_kill_peer("logs", NULL);
}

static _Atomic bool is_mute;

/* The supervisor starts another one, again and again until there is room. */
static void audit_failed(void *ctx)
{
    (void)ctx;
    atomic_store(&is_mute, true);
    process_quit();
}

#define IN_TOKEN "hsm:"

static enum err open_in_token(const struct serve_options *o, struct token *hsm, const char *dir,
                              bool is_first, struct infrastructure_key *out, struct diag *d)
{
    const char *label = o->infrastructure_key + strlen(IN_TOKEN);
    CLEANUP_FREE char *path = os_path(dir, "iek.wrapped");
    snprintf(out->custodian, sizeof out->custodian, "key %s of token %s", label,
             hsm != NULL ? token_label(hsm) : "(none)");
    if (hsm == NULL || path == NULL)
        return FAIL(d, ERR_INVALID, "an infrastructure key in a token needs --hsm-module");
    return iek_token_open(hsm, label, path, is_first, &out->key, d);
}

static enum err open_in_file(const struct serve_options *o, const char *dir, bool is_first,
                             struct infrastructure_key *out, struct diag *d)
{
    CLEANUP_FREE char *own = os_path(dir, "iek.key");
    const char *path = o->infrastructure_key != NULL ? o->infrastructure_key : own;
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    size_t n = strlen(o->data);
    bool inside = strncmp(path, o->data, n) == 0 && path[n] == '/';
    snprintf(out->custodian, sizeof out->custodian, "file %s%s", path,
             inside ? ": in the data directory, beside what it protects" : "");
    return iek_file_open(path, is_first, &out->key, d);
}

/* Made at the very first start only: later a missing file is a lost key, not a new one. A first start
 * that could not make it - no memory can be locked, the token is away - must not count as one. */
static enum err open_infrastructure_key(const struct serve_options *o, struct token *hsm,
                                        const char *dir, bool is_first,
                                        struct infrastructure_key *out, struct diag *failure)
{
    struct diag d = DIAG_INIT;
    bool in_token = o->infrastructure_key != NULL &&
                    strncmp(o->infrastructure_key, IN_TOKEN, strlen(IN_TOKEN)) == 0;
    enum err e = in_token ? open_in_token(o, hsm, dir, is_first, out, &d)
                          : open_in_file(o, dir, is_first, out, &d);
    if (e == OK) return OK;
    if (is_first && e == ERR_UNAVAILABLE) return FAIL(failure, e, "%s", d.text);
    LOG(WARN, "iek.missing", F_ERR(&d));
    snprintf(out->trouble, sizeof out->trouble, "%s", d.text);
    return OK;
}

static enum err serve(const struct serve_options *o, struct diag *d)
{
    TRY(process_begin("keyd", d));
    TRY(harden_process(d));
    TRY(serve_clock(o, d));
    CLEANUP_FREE char *dir = os_path(o->data, "keyd");
    TRY(os_mkdir(dir, d));
    CLEANUP_FREE char *platform = str_fmt("https://keystead-platform.%s", o->vault_suffix);
    CLEANUP_LOCAL(infrastructure_key_release) struct infrastructure_key iek = {0};
    CLEANUP_FREE char *started = os_path(dir, "audit.key"); /* keyd makes it before anything */
    CLEANUP_FREE char *pools = serve_hsm_suffix(o);
    CLEANUP(token_close) struct token *hsm = NULL;
    TRY(hsm_open(&o->hsm, &hsm, d));
    bool is_first = started != NULL && !os_exists(started);
    TRY(open_infrastructure_key(o, hsm, dir, is_first, &iek, d));
    CLEANUP_FREE char *token_uri = hsm_uri(&o->hsm);
    bool platform_in_token = o->hsm.platform_key != NULL;
    const char *const hosts[] = {o->vault_suffix, pools, token_uri, NULL};
    CLEANUP_LOCAL(foreign_hosts_release) struct foreign_hosts foreign = {0};
    TRY(serve_foreign_hosts(o->vault_hosts, &foreign, d));
    enum outage_policy outage = OUTAGE_DEFAULT;
    if (o->outage_policy != NULL && !outage_policy_parse(o->outage_policy, &outage)) {
        return FAIL(d, ERR_INVALID, "no outage policy '%.20s'", o->outage_policy);
    }
    /* A token's module has files of its own, and nobody says which. */
    bool token_anchor = o->anchor != NULL && strncmp(o->anchor, "pkcs11:", 7) == 0;
    const char *const readable[] = {o->ca_file, o->vault_ca != NULL ? o->vault_ca : o->ca_file,
                                    hsm != NULL || token_anchor ? "/" : NULL, NULL};
    const char *const writable[] = {o->hsm.files, NULL};
    const struct keyd_config config = {
        .ca_file = o->ca_file,
        .audit_dir = dir,
        .auditor_key = o->auditor_key,
        .anchor = o->anchor,
        .accept_rollback = o->accept_rollback,
        .vault_hosts = hosts,
        .vault_socket = o->vault_socket,
        .foreign_hosts = foreign.n != 0 ? foreign.suffixes : NULL,
        .foreign_ca_file = o->vault_ca,
        .hsm = hsm,
        .platform_vault_uri = platform_in_token ? token_uri : platform,
        .platform_key = platform_in_token ? o->hsm.platform_key : "pmk",
        .platform_principal_id = o->platform_principal,
        .policy = {.outage = outage,
                   .grace_s = (uint32_t)o->outage_grace_s,
                   .retain_max_s = (uint32_t)o->retain_max_s,
                   .probe_s = (uint32_t)o->probe_s,
                   .bound_s = (uint32_t)o->revocation_bound_s},
        .iek = iek.key,
        .iek_custodian = iek.custodian,
        .iek_trouble = iek.key == NULL ? iek.trouble : NULL,
        .readable = readable,
        .writable = o->hsm.files != NULL ? writable : NULL,
        .holder_failed = holder_failed,
        .audit_failed = audit_failed,
    };
    CLEANUP(keyd_free) struct keyd *k = NULL;
    TRY(keyd_new(&k, &config, d));
    TRY(process_peer("logs", keyd_chan_logs(k), d));
    TRY(process_peer("identity", keyd_chan_identity(k), d));
    TRY(process_peer("reader", keyd_chan_reader(k), d));
    TRY(keyd_harden(keyd_audit_dir_fd(k), o->hsm.files != NULL, d));
    TRY(keyd_start(k, d));
    TRY(process_ready(NULL, d));
    process_wait_quit();
    if (!atomic_load(&is_mute)) return OK;
    return FAIL(d, ERR_IO, "the key-access audit log cannot be written: keyd begins anew");
}

int serve_keyd(int argc, char **argv, struct diag *d)
{
    struct serve_options o;
    if (serve_parse(argc, argv, &o, d) != OK) return EXIT_USAGE;
    return exit_of(serve(&o, d));
}
