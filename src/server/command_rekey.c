/* SPDX-License-Identifier: Apache-2.0 */
/* server/command_rekey.c - keystead vault rekey: another passphrase, or another kind of root */
#include "server/commands.h"

#include "base/log.h"
#include "base/opt.h"
#include "base/os.h"
#include "keyvault/keyvault.h"
#include "server/datadir.h"
#include "server/hsm.h"

#include <stdio.h>

struct rekey {
    const char *data, *new_root, *new_passphrase_file;
    struct hsm_options hsm;
};

static enum err read_kind(const char *option, const char *text, enum keyvault_trust *out,
                          struct diag *d)
{
    *out = TRUST_FILE;
    if (text != NULL && keyvault_trust_parse(text, out)) return OK;
    return FAIL(d, ERR_INVALID, "--%s takes passphrase or token", option);
}

static enum err rekey(const struct rekey *r, struct diag *d)
{
    struct keyvault_config from = {.passphrase_file = r->hsm.passphrase_file},
                           to = {.passphrase_file = r->new_passphrase_file};
    struct datadir dir = {.lock_fds = {-1, -1}};
    CLEANUP(token_close) struct token *token = NULL;
    TRY(read_kind("vault-root", r->hsm.vault_root, &from.trust, d));
    TRY(read_kind("new-vault-root", r->new_root != NULL ? r->new_root : r->hsm.vault_root,
                  &to.trust, d));
    TRY(hsm_open(&r->hsm, &token, d));
    TRY(datadir_open(&dir, r->data, LOCK_VAULT, d));
    CLEANUP_FREE char *vault = datadir_path(&dir, "vault");
    from.dir = to.dir = vault;
    from.token = to.token = token;
    enum err e =
        vault != NULL ? keyvault_rekey(&from, &to, d) : FAIL(d, ERR_LIMIT, "out of memory");
    datadir_release(&dir);
    return e;
}

int command_rekey(int argc, char **argv, struct diag *d)
{
    struct rekey r = {0};
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory; its vault must not run",
         .text = &r.data},
        {.name = "new-passphrase-file",
         .value = "FILE",
         .help = "the new passphrase, as --vault-passphrase-file has it",
         .text = &r.new_passphrase_file},
        {.name = "new-vault-root",
         .value = "KIND",
         .help = "passphrase or token (as --vault-root)",
         .text = &r.new_root},
        HSM_OPTS(&r.hsm),
    };
    const struct opt_command o = {
        .usage = "keystead vault rekey --data DIR --vault-root KIND [options]",
        .about = "Seals the root key of the vault anew: under another passphrase, or under a token "
                 "instead.\nThe server must be down. Copies of DIR/vault/root.sealed that were "
                 "made before open as before.",
        .opts = opts,
        .n_opts = sizeof opts / sizeof opts[0]};
    uint32_t n;
    bool helped;
    if (opt_parse(&o, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    if (r.data == NULL) {
        (void)FAIL(d, ERR_INVALID, "--data DIR is missing");
        return EXIT_USAGE;
    }
    if (hsm_check(&r.hsm, d) != OK) return EXIT_USAGE;
    log_set_process("rekey");
    log_set_level(LOG_WARN);
    enum err e = rekey(&r, d);
    if (e == OK) puts("the vault's root key lies under the new root of trust");
    return exit_of(e);
}
