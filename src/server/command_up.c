/* SPDX-License-Identifier: Apache-2.0 */
/* server/command_up.c - the command line of `keystead up` */
#include "server/commands.h"

#include "api/external.h"
#include "base/log.h"
#include "base/opt.h"
#include "custody/policy.h"
#include "exec/exec.h"
#include "func/geo_ip.h"
#include "server/serve.h"
#include "server/supervisor.h"
#include "storage/store.h"

#define QUERY_MEMORY_MIN ((uint64_t)8 << 20)  /* bytes */
#define QUERY_DISK       ((uint64_t)16 << 30) /* bytes */

static const char *const usages[] = {"keystead up --data DIR [options]",
                                     "keystead vault --data DIR [options]",
                                     "keystead logs --data DIR [options]"};
static const char *const abouts[] = {
    "Runs identity, vault, key daemon and log service in the foreground and restarts what dies.\n"
    "Prints one line when all is ready. SIGTERM stops it cleanly: what was acknowledged is on "
    "disk.",
    "Runs identity and the embedded vault alone: the half of `keystead up` that holds your keys. "
    "With\n"
    "`keystead logs` on the same data directory it makes two services that are stopped and updated "
    "apart.",
    "Runs key daemon and log service alone, beside `keystead vault` on the same data directory. It "
    "waits\n"
    "for that one, and keeps serving while it restarts.",
};

/* The table and what it prints; o holds the defaults. */
static enum err read_options(struct up_options *o, int argc, char **argv, bool *helped,
                             struct diag *d)
{
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory, made if missing",
         .text = &o->data},
        {.name = "listen",
         .value = "ADDRESS:PORT",
         .help = "front door (127.0.0.1:8443)",
         .text = &o->listen},
        {.name = "vault-listen",
         .value = "ADDRESS:PORT",
         .help = "vaults (127.0.0.1:8444)",
         .text = &o->vault_listen},
        {.name = "domain",
         .value = "NAME",
         .help = "name of this server; vaults are *.vault.NAME (localhost)",
         .text = &o->domain},
        {.name = "cert",
         .value = "FILE",
         .help = "certificate chain of both addresses, PEM; read again when it changes (one of the "
                 "server's own CA)",
         .text = &o->cert},
        {.name = "key", .value = "FILE", .help = "its private key", .text = &o->key},
        {.name = "ca",
         .value = "FILE",
         .help = "what clients of this machine check --cert with (the system's bundle)",
         .text = &o->ca},
        {.name = "issuers",
         .value = "FILE",
         .help = "foreign issuers of tokens that are believed: Entra ID, any OpenID Connect "
                 "provider (none)",
         .text = &o->issuers},
        {.name = "imds",
         .value = "ADDRESS:PORT",
         .help = "managed identity endpoint for this machine's workloads, e.g. 127.0.0.1:8480 "
                 "(off)",
         .text = &o->imds},
        {.name = "imds-allow",
         .value = "UID:NAME,...",
         .help = "which user may have the tokens of which user-assigned identity (nobody)",
         .text = &o->imds_allow},
        {.name = "probe-seconds",
         .value = "N",
         .help = "how often each key is tried, 6 to 60 (30)",
         .number = &o->probe_s,
         .min = 6,
         .max = 60},
        {.name = "revocation-bound",
         .value = "SECONDS",
         .help = "no row is returned later than this after a denial, 10 to 3600 (probe + 30)",
         .number = &o->revocation_bound_s,
         .min = 10,
         .max = 3600},
        {.name = "outage-policy",
         .value = "POLICY",
         .help =
             "while a vault is silent: retain keeps its keys, suspend drops them after the grace\n"
             "(retain); a cluster may have its own",
         .text = &o->outage_policy},
        {.name = "outage-grace",
         .value = "SECONDS",
         .help = "with suspend: keys serve so long after their last good unwrap (1800)",
         .number = &o->outage_grace_s,
         .min = SILENCE_S_MIN,
         .max = SILENCE_S_MAX},
        {.name = "retain-max",
         .value = "SECONDS",
         .help =
             "with retain: keys serve so long at most; without it a revocation is not enforced\n"
             "while the vault is silent (no end)",
         .number = &o->retain_max_s,
         .min = SILENCE_S_MIN,
         .max = SILENCE_S_MAX},
        {.name = "infrastructure-key",
         .value = "FILE",
         .help = "the key of double encryption: 32 bytes, best on another disk, or hsm:LABEL,\n"
                 "wrapped by that AES key of the token (DIR/keyd/iek.key)",
         .text = &o->infrastructure_key},
        HSM_OPTS(&o->hsm),
        {.name = "auditor-key",
         .value = "PEM",
         .help = "public key (X25519 or RSA) that the audit log's MAC keys are sealed to; without "
                 "it\na pair is made in DIR/keyd: move auditor.key to another machine",
         .text = &o->auditor_key},
        {.name = "anchor",
         .value = "NAME",
         .help =
             "file:/PATH on another device, or pkcs11:token=LABEL;object=LABEL of the HSM's "
             "module: an\nolder copy of the data directory is found out by it (none: rollback is "
             "not detected)",
         .text = &o->anchor},
        {.name = "vault-hosts",
         .value = "SUFFIX,...",
         .help = "clusters may have their key in vaults of these hosts too, e.g. vault.azure.net "
                 "or\nvault.other.example:8444 (this server's alone)",
         .text = &o->vault_hosts},
        {.name = "vault-ca",
         .value = "FILE",
         .help = "CA of those vaults' certificates, PEM (the system's bundle)",
         .text = &o->vault_ca},
        {.name = "external-data",
         .value = "URL,...",
         .help = "queries may read files below these (externaldata), e.g. "
                 "https://feeds.example.com/lists/\n(none)",
         .text = &o->external_data},
        {.name = "external-ca",
         .value = "FILE",
         .help = "CA of those servers' certificates, PEM (the system's bundle)",
         .text = &o->external_ca},
        {.name = "geo-ip-database",
         .value = "FILE",
         .help = "where addresses are, in MaxMind's format (GeoLite2-City.mmdb ...), for\n"
                 "geo_info_from_ip_address() in queries; read at start (none)",
         .text = &o->geo_ip_database},
        {.name = "accept-rollback",
         .value = "N",
         .help = "open once, although an older copy was put back: the number that keyd named",
         .number = &o->accept_rollback,
         .min = 1,
         .max = INT64_MAX},
        {.name = "accept-entries",
         .value = "N",
         .help = "open once, although entries of the catalogue are missing or older: the number "
                 "that the\nlog service named; copy the data directory first",
         .number = &o->accept_entries,
         .min = 1,
         .max = INT64_MAX},
        {.name = "query-memory-bytes",
         .value = "BYTES",
         .help = "memory for the rows of one query; more go to the disk, sealed (1073741824)",
         .number = &o->query_memory,
         .min = QUERY_MEMORY_MIN,
         .max = INT64_MAX},
        {.name = "query-disk-bytes",
         .value = "BYTES",
         .help = "disk for rows and answers of all queries that do not fit into memory "
                 "(17179869184)",
         .number = &o->query_disk,
         .min = 1,
         .max = INT64_MAX},
        {.name = "spool-bytes",
         .value = "BYTES",
         .help = "rows kept under the platform's key while an account's is suspended, per account "
                 "(1073741824)",
         .number = &o->spool_bytes,
         .min = 1,
         .max = INT64_MAX},
        {.name = "spool-total-bytes",
         .value = "BYTES",
         .help = "the same of all accounts together (17179869184)",
         .number = &o->spool_total,
         .min = 1,
         .max = INT64_MAX},
        {.name = "spool-hours",
         .value = "N",
         .help = "how long such an outage may take before rows are refused, 1 to 8760 (24)",
         .number = &o->spool_hours,
         .min = 1,
         .max = 8760},
        {.name = "log-level",
         .value = "LEVEL",
         .help = "least level of events on standard error: debug, info, warn, error (info)",
         .text = &o->log_level},
        {.name = "virtual-clock",
         .help = "time is turned by POST /admin/clock; for a directory made with it",
         .flag = &o->virtual_clock},
        {.name = "faults",
         .help =
             "owners of vaults may make them fail on demand: /admin/faults of the vault's address",
         .flag = &o->faults},
        {.name = "allow-swap",
         .help = "run although memory may be written to unencrypted swap",
         .flag = &o->allow_swap},
    };
    const struct opt_command c = {.usage = usages[o->part],
                                  .about = abouts[o->part],
                                  .opts = opts,
                                  .n_opts = sizeof opts / sizeof opts[0]};
    uint32_t n;
    return opt_parse(&c, argc, argv, &n, helped, d);
}

/* What the processes would find wrong later. */
static enum err check_options(const struct up_options *o, enum log_level *level, struct diag *d)
{
    if (o->data == NULL) return FAIL(d, ERR_INVALID, "--data DIR is missing");
    enum outage_policy outage;
    if (o->outage_policy != NULL && !outage_policy_parse(o->outage_policy, &outage)) {
        return FAIL(d, ERR_INVALID, "--outage-policy takes retain or suspend, not '%.20s'",
                    o->outage_policy);
    }
    CLEANUP_LOCAL(foreign_hosts_release) struct foreign_hosts foreign = {0};
    TRY(serve_foreign_hosts(o->vault_hosts, &foreign, d));
    CLEANUP(external_free) struct external *external = NULL;
    if (o->external_data != NULL) TRY(external_new(&external, o->external_data, o->external_ca, d));
    /* The process that queries opens it anew: here a mistake is said before anything starts. */
    if (o->geo_ip_database != NULL) TRY(geo_ip_open(o->geo_ip_database, d));
    geo_ip_close();
    TRY(hsm_check(&o->hsm, d));
    if ((o->cert == NULL) != (o->key == NULL))
        return FAIL(d, ERR_INVALID, "--cert and --key go together");
    if (!log_level_parse(o->log_level, level)) {
        return FAIL(d, ERR_INVALID, "--log-level takes debug, info, warn or error, not '%.20s'",
                    o->log_level);
    }
    return OK;
}

static int run(enum up_part part, int argc, char **argv, struct diag *d)
{
    struct up_options o = {.part = part,
                           .listen = "127.0.0.1:8443",
                           .vault_listen = "127.0.0.1:8444",
                           .domain = "localhost",
                           .log_level = "info",
                           .probe_s = PROBE_S,
                           .spool_bytes = SPOOL_BYTES,
                           .spool_total = SPOOL_TOTAL,
                           .query_memory = EXEC_MEMORY,
                           .query_disk = QUERY_DISK,
                           .spool_hours = SPOOL_HOURS};
    bool helped = false;
    enum log_level level;
    if (read_options(&o, argc, argv, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    if (check_options(&o, &level, d) != OK) return EXIT_USAGE;
    log_set_level(level);
    return exit_of(supervisor_run(&o, d));
}

int command_up(int argc, char **argv, struct diag *d)
{
    return run(PART_ALL, argc, argv, d);
}

int command_vault(int argc, char **argv, struct diag *d)
{
    if (argc > 0 && str_eq(argv[0], "rekey")) return command_rekey(argc - 1, argv + 1, d);
    return run(PART_VAULT, argc, argv, d);
}

int command_logs(int argc, char **argv, struct diag *d)
{
    return run(PART_LOGS, argc, argv, d);
}
