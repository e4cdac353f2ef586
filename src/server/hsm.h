/* SPDX-License-Identifier: Apache-2.0 */
/* server/hsm.h - the PKCS#11 token of this server, as the command line names it */
#pragma once

#include "vault/token.h"

struct hsm_options {                       /* and what else the keys of this server lie under */
    const char *module, *token, *pin_file; /* all or none */
    const char
        *platform_key;      /* label of the platform's key in the token; NULL: it is the vault's */
    const char *vault_root; /* "file", "passphrase", "token"; NULL = file */
    const char *passphrase_file;
    const char *files; /* directory in which the module writes; NULL: it writes none */
    bool direct; /* keyd asks the token itself: for clusters that name it, and for platform_key */
};

/* The rows of a command's table of options. */
/* clang-format off */
#define HSM_OPTS(o)                                                                                \
    {.name = "hsm-module", .value = "PATH", .text = &(o)->module,                                  \
     .help = "PKCS#11 module of an HSM: HSM kinds of keys and managed HSMs are there"},            \
    {.name = "hsm-token", .value = "LABEL", .text = &(o)->token,                                   \
     .help = "label of the token in it"},                                                          \
    {.name = "hsm-pin-file", .value = "FILE", .text = &(o)->pin_file,                              \
     .help = "its PIN, mode 0600"},                                                                \
    {.name = "vault-root", .value = "KIND", .text = &(o)->vault_root,                              \
     .help = "what the vault's keys lie under, from the first start on: file, passphrase\n"        \
             "or token (file: DIR/vault/root.key)"},                                               \
    {.name = "vault-passphrase-file", .value = "FILE", .text = &(o)->passphrase_file,              \
     .help = "the passphrase is its first line (mode 0600); credential:NAME, of systemd;\n"         \
             "fd:N, an open descriptor"},                                                          \
    {.name = "hsm-files", .value = "DIR", .text = &(o)->files,                                     \
     .help = "directory in which the module of the anchor's token writes files: keyd may write\n"  \
             "there, and nowhere else (none: an HSM that is reached by other means)"},             \
    {.name = "hsm-direct", .flag = &(o)->direct,                                                   \
     .help = "clusters may have their key in the token itself: keyVaultUri is\n"                   \
             "pkcs11:token=LABEL, keyName any key of the token"},                                  \
    {.name = "platform-key", .value = "LABEL", .text = &(o)->platform_key,                         \
     .help = "the platform's own key is this AES-256 key of the token, not one of the vault"}
/* clang-format on */

/* ERR_INVALID: one of the three without the others. */
enum err hsm_check(const struct hsm_options *o, struct diag *d);
/* "pkcs11:token=LABEL", NULL without a token: free(). */
char *hsm_uri(const struct hsm_options *o);
/* The anchor's name; one in a token gets module and PIN file of the server's where it names none:
 * free(). NULL: out of memory. */
char *hsm_anchor(const struct hsm_options *o, const char *anchor);
/* *out NULL when none is named. */
enum err hsm_open(const struct hsm_options *o, struct token **out, struct diag *d);
