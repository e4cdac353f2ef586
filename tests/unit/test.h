/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test.h - a test is named by the sentence it proves
 *
 *     TEST(wal, a_torn_tail_never_hides_a_whole_frame) { ... REQUIRE(x); EXPECT_EQ(a, b); }
 *
 * Tests register themselves; one executable per file, run by cmocka through test_main.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/os.h"

void test_register(const char *name, void (*run)(void **state));

#define TEST(module, sentence)                                                    \
    static void module##_##sentence(void **state);                                \
    __attribute__((constructor)) static void register_##module##_##sentence(void) \
    {                                                                             \
        test_register(#module ": " #sentence, module##_##sentence);               \
    }                                                                             \
    static void module##_##sentence(__attribute__((unused)) void **state)

#define REQUIRE(x)       assert_true(x)
#define EXPECT_EQ(a, b)  assert_int_equal((a), (b))
#define EXPECT_STR(a, b) assert_string_equal((a), (b))
/* The call succeeds; when it does not, its sentence is printed. `d` must be a struct diag in scope.
 */
#define REQUIRE_OK(call)                                                              \
    do {                                                                              \
        diag_reset(&d);                                                               \
        if ((call) != OK)                                                             \
            fail_msg("%s: %s (%s:%d)", #call, d.text, d.file ? d.file : "?", d.line); \
    } while (0)
#define REQUIRE_ERR(code, call)                              \
    do {                                                     \
        diag_reset(&d);                                      \
        assert_string_equal(err_name(call), err_name(code)); \
    } while (0)

/* Runs its block with the 1st, 2nd, 3rd... system call failing, until a round in which none failed.
 */
#define FAULT_SWEEP(n) for (uint64_t n = 1; fault_sweep_next(n); n++)
bool fault_sweep_next(uint64_t n);

/* A directory of this test run, made on first use, removed at exit. */
const char *test_dir(void);
/* The file under ../shared, or NULL with a note on standard error when that is not there. */
const char *test_shared(const char *name);
