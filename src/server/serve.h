/* SPDX-License-Identifier: Apache-2.0 */
/* server/serve.h - the options that the supervisor hands to its processes, and the clock they share
 */
#pragma once

#include "server/hsm.h"

struct serve_options {
    const char *data, *endpoint, *listen, *vault_socket, *vault_suffix, *ca_file, *tenant,
        *subscription, *object_id, *platform_principal, *infrastructure_key, *outage_policy,
        *issuers, *imds, *imds_allow, *cert, *key, *auditor_key, *anchor, *vault_hosts, *vault_ca,
        *external_data, *external_ca, *geo_ip_database;
    bool virtual_clock, allow_swap, faults;
    struct hsm_options hsm;
    uint64_t probe_s, revocation_bound_s, outage_grace_s, retain_max_s, accept_rollback,
        accept_entries, spool_bytes, spool_total, spool_hours, query_memory, query_disk;
};

enum err serve_parse(int argc, char **argv, struct serve_options *out, struct diag *d);
/* "managedhsm.localhost:8444" beside "vault.localhost:8444": free(). */
char *serve_hsm_suffix(const struct serve_options *o);

#define FOREIGN_HOSTS_MAX 32
struct foreign_hosts { /* of --vault-hosts */
    char *text;
    const char *suffixes[FOREIGN_HOSTS_MAX + 1]; /* end with NULL */
    unsigned n;
};
/* ERR_INVALID: a suffix of one label, an address, more than there may be. */
enum err serve_foreign_hosts(const char *list, struct foreign_hosts *out, struct diag *d);
void foreign_hosts_release(struct foreign_hosts *f);

enum err serve_clock(const struct serve_options *o, struct diag *d);

/* What the listeners show: the files the operator named, else DIR/tls/server.{pem,key}. free() */
char *serve_cert_file(const struct serve_options *o);
char *serve_key_file(const struct serve_options *o);
