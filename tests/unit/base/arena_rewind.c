/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/arena_rewind.c - arenas that are emptied and filled again */
#include "test.h"

#include "base/arena.h"

TEST(arena, a_rewound_arena_keeps_what_is_older_than_the_mark_and_hands_out_zeroes)
{
    CLEANUP_LOCAL(arena_release) struct arena a;
    arena_init(&a, 1 << 24);
    uint8_t *old = arena_alloc(&a, 100);
    memset(old, 7, 100);
    size_t used = a.used;
    for (int round = 0; round < 3; round++) {
        struct arena_mark m = arena_mark(&a);
        for (size_t n = 1; n < ((size_t)1 << 21); n *= 3) {
            uint8_t *p = arena_alloc(&a, n);
            REQUIRE(p != NULL);
            for (size_t i = 0; i < n; i++)
                REQUIRE(p[i] == 0);
            memset(p, 9, n);
        }
        arena_rewind(&a, m);
        EXPECT_EQ(a.used, used);
    }
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(old[i], 7);
}

TEST(arena, a_cleared_arena_holds_nothing_and_hands_out_zeroes)
{
    CLEANUP_LOCAL(arena_release) struct arena a;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 50; i++) {
            uint8_t *p = arena_alloc(&a, 1000);
            REQUIRE(p != NULL);
            for (int k = 0; k < 1000; k++)
                REQUIRE(p[k] == 0);
            memset(p, 5, 1000);
        }
        arena_clear(&a);
        EXPECT_EQ(a.used, 0);
    }
    REQUIRE(arena_alloc(&a, (1 << 20) + 1) == NULL);
}
