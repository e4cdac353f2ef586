/* SPDX-License-Identifier: Apache-2.0 */
/* server/serve.c - parses what server/supervisor.c passes on */
#include "server/serve.h"

#include "base/log.h"
#include "base/opt.h"
#include "base/os.h"
#include "base/str.h"
#include "base/time.h"
#include "crypto/secret.h"
#include "custody/policy.h"

#include <stdlib.h>

enum err serve_parse(int argc, char **argv, struct serve_options *out, struct diag *d)
{
    struct serve_options o = {0};
    const char *level = "info";
    const struct opt opts[] = {
        {.name = "data", .value = "DIR", .text = &o.data},
        {.name = "log-level", .value = "LEVEL", .text = &level},
        {.name = "endpoint", .value = "URL", .text = &o.endpoint},
        {.name = "listen", .value = "ADDRESS:PORT", .text = &o.listen},
        {.name = "vault-socket", .value = "PATH", .text = &o.vault_socket},
        {.name = "vault-suffix", .value = "HOST", .text = &o.vault_suffix},
        {.name = "ca-file", .value = "FILE", .text = &o.ca_file},
        {.name = "tenant", .value = "GUID", .text = &o.tenant},
        {.name = "subscription", .value = "GUID", .text = &o.subscription},
        {.name = "object-id", .value = "GUID", .text = &o.object_id},
        {.name = "platform-principal", .value = "GUID", .text = &o.platform_principal},
        {.name = "infrastructure-key", .value = "FILE", .text = &o.infrastructure_key},
        {.name = "cert", .value = "FILE", .text = &o.cert},
        {.name = "key", .value = "FILE", .text = &o.key},
        {.name = "issuers", .value = "FILE", .text = &o.issuers},
        {.name = "imds", .value = "ADDRESS:PORT", .text = &o.imds},
        {.name = "imds-allow", .value = "UID:NAME,...", .text = &o.imds_allow},
        {.name = "probe-seconds", .value = "N", .number = &o.probe_s, .max = 60},
        {.name = "revocation-bound", .value = "N", .number = &o.revocation_bound_s, .max = 3600},
        {.name = "outage-policy", .value = "POLICY", .text = &o.outage_policy},
        {.name = "outage-grace", .value = "N", .number = &o.outage_grace_s, .max = SILENCE_S_MAX},
        {.name = "retain-max", .value = "N", .number = &o.retain_max_s, .max = SILENCE_S_MAX},
        HSM_OPTS(&o.hsm),
        {.name = "auditor-key", .value = "PEM", .text = &o.auditor_key},
        {.name = "anchor", .value = "NAME", .text = &o.anchor},
        {.name = "accept-rollback", .value = "N", .number = &o.accept_rollback, .max = INT64_MAX},
        {.name = "accept-entries", .value = "N", .number = &o.accept_entries, .max = INT64_MAX},
        {.name = "vault-hosts", .value = "SUFFIX,...", .text = &o.vault_hosts},
        {.name = "vault-ca", .value = "FILE", .text = &o.vault_ca},
        {.name = "external-data", .value = "URL,...", .text = &o.external_data},
        {.name = "external-ca", .value = "FILE", .text = &o.external_ca},
        {.name = "geo-ip-database", .value = "FILE", .text = &o.geo_ip_database},
        {.name = "spool-bytes", .value = "N", .number = &o.spool_bytes, .max = INT64_MAX},
        {.name = "spool-total-bytes", .value = "N", .number = &o.spool_total, .max = INT64_MAX},
        {.name = "spool-hours", .value = "N", .number = &o.spool_hours, .max = 8760},
        {.name = "query-memory-bytes", .value = "N", .number = &o.query_memory, .max = INT64_MAX},
        {.name = "query-disk-bytes", .value = "N", .number = &o.query_disk, .max = INT64_MAX},
        {.name = "virtual-clock", .flag = &o.virtual_clock},
        {.name = "allow-swap", .flag = &o.allow_swap},
        {.name = "faults", .flag = &o.faults},
    };
    const struct opt_command c = {.usage = "started by keystead up",
                                  .about = "",
                                  .opts = opts,
                                  .n_opts = sizeof opts / sizeof opts[0]};
    uint32_t n;
    bool helped;
    TRY(opt_parse(&c, argc, argv, &n, &helped, d));
    if (helped || o.data == NULL) return FAIL(d, ERR_INVALID, "this command is for keystead up");
    enum log_level min;
    if (!log_level_parse(level, &min)) return FAIL(d, ERR_INVALID, "no log level '%.20s'", level);
    log_set_level(min);
    *out = o;
    return OK;
}

char *serve_hsm_suffix(const struct serve_options *o)
{
    const char *behind = strchr(o->vault_suffix, '.');
    return str_fmt("managedhsm%s", behind != NULL ? behind : "");
}

/* "vault.azure.net", "vault.localhost:9444": a name that has a dot in it, and perhaps a port. Under
 * one label anybody could have a host. */
static bool is_suffix(const char *s)
{
    size_t n = strcspn(s, ":");
    const char *dot = memchr(s, '.', n);
    bool digits = strspn(s, "0123456789.") == n;
    uint64_t port = 443;
    if (dot == NULL || dot == s || s[n - 1] == '.' || digits) return false;
    if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") != n) return false;
    return s[n] == '\0' || str_u64(s + n + 1, 65535, &port, NULL) == OK;
}

enum err serve_foreign_hosts(const char *list, struct foreign_hosts *out, struct diag *d)
{
    CLEANUP_LOCAL(foreign_hosts_release) struct foreign_hosts f = {0};
    f.text = str_dup(list != NULL ? list : "");
    if (f.text == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(f.text);
    char *rest = f.text;
    for (char *s = strsep(&rest, ","); s != NULL && list != NULL; s = strsep(&rest, ",")) {
        if (!is_suffix(s))
            return FAIL(d, ERR_INVALID,
                        "--vault-hosts takes suffixes of host names such as vault.azure.net, not "
                        "'%.80s'",
                        s);
        if (f.n == FOREIGN_HOSTS_MAX)
            return FAIL(d, ERR_INVALID, "--vault-hosts takes %d suffixes", FOREIGN_HOSTS_MAX);
        f.suffixes[f.n++] = s;
    }
    *out = f;
    f = (struct foreign_hosts){0};
    return OK;
}

void foreign_hosts_release(struct foreign_hosts *f)
{
    free(f->text);
}

enum err serve_clock(const struct serve_options *o, struct diag *d)
{
    if (!o->virtual_clock) return OK;
    if (getenv("KEYSTEAD_PLAIN_SECRETS") != NULL) { /* a test searches memory from outside */
        secret_plain_pages();
        LOG(WARN, "secrets.plain_pages");
    }
    CLEANUP_FREE char *path = os_path(o->data, "clock");
    return clock_open(path, false, d);
}

char *serve_cert_file(const struct serve_options *o)
{
    return o->cert != NULL ? str_dup(o->cert) : os_path(o->data, "tls/server.pem");
}

char *serve_key_file(const struct serve_options *o)
{
    return o->key != NULL ? str_dup(o->key) : os_path(o->data, "tls/server.key");
}
