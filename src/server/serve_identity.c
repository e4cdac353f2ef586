/* SPDX-License-Identifier: Apache-2.0 */
/* server/serve_identity.c - the identity process: one store, four peers */
#include "server/commands.h"

#include "base/opt.h"
#include "base/os.h"
#include "crypto/secret.h"
#include "identity/identity.h"
#include "identity/imds.h"
#include "server/harden.h"
#include "server/process.h"
#include "server/serve.h"

static json_t *founder_json(const struct identity_founder *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "tenantId", f->tenant_id, "subscriptionId",
                     f->subscription_id, "clientId", f->client_id, "objectId", f->object_id,
                     "clientSecret", f->client_secret, "platformObjectId", f->platform_object_id);
}

static enum err serve(const struct serve_options *o, struct diag *d)
{
    TRY(process_begin("identity", d));
    TRY(harden_process(d));
    TRY(serve_clock(o, d));
    CLEANUP_FREE char *dir = os_path(o->data, "identity");
    TRY(os_mkdir(dir, d));
    struct identity *id = NULL;
    struct identity_founder founder = {0};
    const struct identity_config config = {
        .dir = dir, .endpoint = o->endpoint, .issuers_file = o->issuers, .has_watch = true};
    TRY(identity_open(&id, &config, &founder, d));
    struct imds *imds = NULL;
    const struct imds_config imds_config = {.address = o->imds, .allow = o->imds_allow};
    if (o->imds != NULL) TRY(imds_start(&imds, id, &imds_config, d));

    static const struct {
        const char *name;
        enum identity_role role;
    } roles[] = {
        {"logs", IDENTITY_PEER_LOGS}, {"keyd", IDENTITY_PEER_KEYD}, {"vault", IDENTITY_PEER_VAULT}};
    struct identity_peer peers[3];
    struct chan *chans[3] = {0};
    for (int i = 0; i < 3; i++) {
        peers[i] = (struct identity_peer){id, roles[i].role};
        TRY(chan_new(&chans[i], roles[i].name, 4, identity_serve, &peers[i], d));
        TRY(process_peer(roles[i].name, chans[i], d));
    }
    TRY(process_ready(founder_json(&founder), d));
    wipe(founder.client_secret, sizeof founder.client_secret);
    process_wait_quit();
    imds_stop(imds);
    for (int i = 0; i < 3; i++)
        chan_free(chans[i]);
    identity_close(id);
    return OK;
}

int serve_identity(int argc, char **argv, struct diag *d)
{
    struct serve_options o;
    if (serve_parse(argc, argv, &o, d) != OK) return EXIT_USAGE;
    return exit_of(serve(&o, d));
}
