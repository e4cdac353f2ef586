/* SPDX-License-Identifier: Apache-2.0 */
/* server/hsm.h - the PKCS#11 token of this server, as the command line names it */
#pragma once

#include "vault/token.h"

struct hsm_options {
    const char *module, *token, *pin_file; /* all or none */
};

/* The rows of a command's table of options. */
#define HSM_OPTS(o)                                                                    \
    {.name = "hsm-module",                                                             \
     .value = "PATH",                                                                  \
     .help = "PKCS#11 module of an HSM: HSM kinds of keys and managed HSMs are there", \
     .text = &(o)->module},                                                            \
        {.name = "hsm-token",                                                          \
         .value = "LABEL",                                                             \
         .help = "label of the token in it",                                           \
         .text = &(o)->token},                                                         \
    {                                                                                  \
        .name = "hsm-pin-file", .value = "FILE", .help = "its PIN, mode 0600",         \
        .text = &(o)->pin_file                                                         \
    }

/* ERR_INVALID: one of the three without the others. */
enum err hsm_check(const struct hsm_options *o, struct diag *d);
/* *out NULL when none is named. */
enum err hsm_open(const struct hsm_options *o, struct token **out, struct diag *d);
