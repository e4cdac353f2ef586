/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/anchor.c - one suite over every kind of anchor, and the value in them */
#include "softhsm_test.h"

#include "base/str.h"
#include "custody/anchor.h"
#include "custody/keyd.h"
#include "custody/slots.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* --- the suite -------------------------------------------------------------------------------- */

static void holds(struct anchor *a, const char *text)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(a->ops->read(a->self, &b, &d));
    EXPECT_STR(buf_cstr(&b), text);
}

static void write_text(struct anchor *a, const char *text)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(a->ops->write(a->self, bytes_str(text), &d));
}

/* name: of a place where nothing was ever written. */
static void suite(const char *name)
{
    struct diag d = DIAG_INIT;
    struct anchor a;
    REQUIRE_OK(anchor_open(&a, name, false, &d));
    holds(&a, ""); /* empty at first */
    write_text(&a, "one");
    holds(&a, "one"); /* what was written is read, */
    write_text(&a, "two is longer than one");
    write_text(&a, "three");
    holds(&a, "three"); /* the last of it, whole, */
    anchor_close(&a);
    REQUIRE_OK(anchor_open(&a, name, false, &d));
    holds(&a, "three"); /* also by the next who opens it */
    char *big = calloc(1, 1025);
    REQUIRE(big != NULL);
    memset(big, 'x', 1024);
    write_text(&a, big); /* 1 KiB fits */
    holds(&a, big);
    free(big);
    anchor_close(&a);
}

TEST(anchor, a_file_keeps_the_contract)
{
    CLEANUP_FREE char *name = str_fmt("file:%s/anchor", test_dir());
    suite(name);
}

static char *token_anchor(const char *object)
{
    (void)softhsm_token(); /* makes the token */
    CLEANUP_BUF struct buf b = {0};
    buf_fmt(&b, "pkcs11:token=keystead%%20test;object=%s?module-path=%s&pin-source=", object,
            SOFTHSM_MODULE);
    percent_encode(&b, bytes_str(softhsm_config().pin_file));
    return str_dup(buf_cstr(&b));
}

TEST(anchor, a_token_keeps_the_contract)
{
    CLEANUP_FREE char *name = token_anchor("anchor");
    suite(name);
}

/* Hardened as keyd is, in a process of its own; 0: the token took a value and gave it back. */
static int write_hardened(const char *name, const char *const *writable)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct anchor a;
        const char *const readable[] = {"/", NULL};
        CLEANUP_BUF struct buf b = {0};
        if (anchor_open(&a, name, false, NULL) != OK) _exit(97);
        if (keyd_wall_in(readable, writable, -1, NULL) != OK ||
            keyd_harden(-1, writable != NULL, NULL) != OK)
            _exit(98);
        if (a.ops->write(a.self, BYTES("hardened"), NULL) != OK) _exit(1);
        _exit(a.ops->read(a.self, &b, NULL) == OK && str_eq(buf_cstr(&b), "hardened") ? 0 : 2);
    }
    int status = 0;
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

TEST(anchor, a_hardened_keyd_writes_into_a_token_of_files_only_where_its_operator_says)
{
    CLEANUP_FREE char *name = token_anchor("hardened"), *tokens = softhsm_file("tokens"),
                      *other = softhsm_file("other");
    const char *const here[] = {tokens, NULL}, *const elsewhere[] = {other, NULL};
    REQUIRE(os_mkdir(other, NULL) == OK);
    int status = write_hardened(name, here);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    status = write_hardened(name, elsewhere);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    status = write_hardened(name, NULL);
    REQUIRE(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 1));
}

TEST(anchor, a_name_that_is_no_anchor_is_refused)
{
    struct diag d = DIAG_INIT;
    struct anchor a;
    REQUIRE_ERR(ERR_INVALID, anchor_open(&a, "/mnt/anchor", false, &d));
    REQUIRE_ERR(ERR_INVALID, anchor_open(&a, "fil:/mnt/anchor", false, &d));
    REQUIRE_ERR(ERR_INVALID, anchor_open(&a, "file:anchor", false, &d));
    REQUIRE_ERR(ERR_INVALID, anchor_open(&a, "pkcs11:token=x;object=y", false, &d));
    REQUIRE_ERR(ERR_INVALID, anchor_open(&a, "pkcs11:token=x;token=y", false, &d));
    REQUIRE_ERR(ERR_INVALID, anchor_open(&a, "pkcs11:tokens=x", false, &d));
    REQUIRE_ERR(ERR_IO, anchor_open(&a, "file:/nonexistent/anchor", false, &d));
}

/* --- slots ------------------------------------------------------------------------------------ */

static int slots_file(void)
{
    CLEANUP_FREE char *path = os_path(test_dir(), "slots");
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    return fd;
}

static bool slots_hold(int fd, const char *text)
{
    CLEANUP_BUF struct buf b = {0};
    return slots_read(fd, &b, NULL) == OK && bytes_eq(buf_view(&b), bytes_str(text));
}

TEST(slots, whichever_call_fails_the_old_value_or_the_new_one_is_there)
{
    struct diag d = DIAG_INIT;
    FAULT_SWEEP (n) {
        os_fault_arm(0, 0);
        CLEANUP_FD int fd = slots_file();
        REQUIRE_OK(slots_write(fd, BYTES("first"), false, &d));
        REQUIRE_OK(slots_write(fd, BYTES("old"), false, &d));
        os_fault_arm(n, EIO);
        enum err e = slots_write(fd, BYTES("new"), true, NULL);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        REQUIRE(slots_hold(fd, "new") || (e != OK && slots_hold(fd, "old")));
        os_fault_arm(fired ? 1 : 0, EIO); /* the sweep asks whether this round had a failure */
        if (fired) REQUIRE(os_fault());
    }
}

TEST(slots, a_value_that_was_torn_anywhere_leaves_the_one_before)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FD int fd = slots_file();
    REQUIRE_OK(slots_write(fd, BYTES("old"), false, &d)); /* slot 0 */
    REQUIRE_OK(slots_write(fd, BYTES("new"), false, &d)); /* slot 1 */
    uint8_t image[64];
    REQUIRE(pread(fd, image, sizeof image, 4096) == sizeof image);
    for (size_t i = 0; i < 48 + 3; i++) {
        uint8_t torn = image[i] ^ 1;
        REQUIRE(pwrite(fd, &torn, 1, (off_t)(4096 + i)) == 1);
        REQUIRE(slots_hold(fd, "old"));
        REQUIRE(pwrite(fd, &image[i], 1, (off_t)(4096 + i)) == 1);
    }
    REQUIRE(slots_hold(fd, "new"));
}

TEST(slots, with_wipe_nothing_of_the_value_before_is_left)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FD int fd = slots_file();
    REQUIRE_OK(slots_write(fd, BYTES("the older key"), true, &d));
    REQUIRE_OK(slots_write(fd, BYTES("the newer key"), true, &d));
    REQUIRE(slots_hold(fd, "the newer key"));
    uint8_t image[8192];
    REQUIRE(pread(fd, image, sizeof image, 0) == sizeof image);
    REQUIRE(memmem(image, sizeof image, "the older key", 13) == NULL);
}

/* --- the value -------------------------------------------------------------------------------- */

TEST(anchor, a_value_with_any_bit_changed_or_cut_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *mk = NULL, *signer = NULL;
    CLEANUP_BUF struct buf b = {0};
    struct anchor_value v = {.generation = 77, .audit_seq = 5}, back;
    REQUIRE_OK(secret_random(&mk, 32, &d));
    REQUIRE_OK(secret_random(&signer, 32, &d));
    REQUIRE_OK(ed25519_public(signer, v.signer, &d));
    REQUIRE_OK(anchor_encode(&v, signer, mk, &b, &d));
    REQUIRE_OK(anchor_decode(buf_view(&b), mk, &back, &d));
    EXPECT_EQ(back.generation, 77);
    EXPECT_EQ(back.audit_seq, 5);
    for (size_t i = 0; i < b.len; i++) {
        b.p[i] ^= 0x10;
        REQUIRE_ERR(ERR_CORRUPT, anchor_decode(buf_view(&b), mk, &back, &d));
        /* An auditor has no MK: all but the MAC is signed. */
        if (i < b.len - 32) REQUIRE_ERR(ERR_CORRUPT, anchor_decode(buf_view(&b), NULL, &back, &d));
        b.p[i] ^= 0x10;
    }
    for (size_t n = 0; n < b.len; n++)
        REQUIRE_ERR(ERR_CORRUPT, anchor_decode(bytes_of(b.p, n), mk, &back, &d));
}
