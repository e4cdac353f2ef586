/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/softhsm_test.h - SoftHSM with a token directory of this test run
 *
 *     struct token *t = softhsm_token();      one token, made on first use, open until the end
 */
#pragma once

#include "test.h"

#include "base/str.h"
#include "vault/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define SOFTHSM_LABEL  "keystead test"
#define SOFTHSM_PIN    "8132-test"

static char *softhsm_file(const char *name)
{
    return os_path(test_dir(), name);
}

static void softhsm_write(const char *name, const char *text, mode_t mode)
{
    CLEANUP_FREE char *path = softhsm_file(name);
    REQUIRE(os_replace(path, bytes_str(text), NULL) == OK);
    REQUIRE(chmod(path, mode) == 0);
}

/* Makes a token with this label and PIN; the directory of tokens first, when it is not there. */
static void softhsm_init(const char *label, const char *pin)
{
    CLEANUP_FREE char *dir = softhsm_file("tokens"), *conf = softhsm_file("softhsm2.conf");
    if (!os_exists(conf)) {
        REQUIRE(os_mkdir(dir, NULL) == OK);
        CLEANUP_FREE char *text = str_fmt("directories.tokendir = %s\nobjectstore.backend = file\n"
                                          "log.level = ERROR\n",
                                          dir);
        softhsm_write("softhsm2.conf", text, 0600);
    }
    setenv("SOFTHSM2_CONF", conf, 1);
    CLEANUP_FREE char *command =
        str_fmt("softhsm2-util --init-token --free --label '%s' --pin '%s' "
                "--so-pin 1234567 >/dev/null",
                label, pin);
    int status = system(command);
    if (status != 0) fail_msg("softhsm2-util failed: is the package softhsm2 installed?");
}

static struct token_config softhsm_config(void)
{
    static char *pin_file;
    if (pin_file == NULL) {
        /* All at once: SoftHSM looks for tokens when it is initialised, and never again. */
        softhsm_init(SOFTHSM_LABEL, SOFTHSM_PIN);
        softhsm_init("guarded", "5555");
        softhsm_write("pin", SOFTHSM_PIN "\n", 0600);
        pin_file = softhsm_file("pin");
    }
    return (struct token_config){
        .module = SOFTHSM_MODULE, .label = SOFTHSM_LABEL, .pin_file = pin_file};
}

static struct token *softhsm_opened;

static void softhsm_close(void)
{
    token_close(softhsm_opened);
}

static inline struct token *softhsm_token(void)
{
    struct diag d = DIAG_INIT;
    const struct token_config c = softhsm_config();
    if (softhsm_opened == NULL) {
        REQUIRE_OK(token_open(&softhsm_opened, &c, &d));
        /* Registered after OpenSSL's own handler, so it runs before it: SoftHSM stands on OpenSSL. */
        atexit(softhsm_close);
    }
    return softhsm_opened;
}

/* A key's name from a literal: its id is the label. */
#define TOKEN_NAME(text) (&(const struct token_name){.id = BYTES(text), .label = (text)})
