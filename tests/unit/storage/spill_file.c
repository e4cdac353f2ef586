/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/spill_file.c - what lies outside of a query's memory, and what is left of it */
#include "test.h"

#include "base/str.h"
#include "base/thread.h"
#include "storage/spill_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANARY "canary-4711-of-a-row"

static struct diag d;
static struct spill_room *room;
static char *dir;

static void open_room(uint64_t bytes_max)
{
    free(dir);
    dir = os_path(test_dir(), "spill");
    REQUIRE_OK(spill_room_new(&room, dir, bytes_max, &d));
}

static struct spill_file *file_new(void)
{
    struct spill_file *f;
    REQUIRE_OK(spill_file_new(&f, room, &d));
    return f;
}

/* The descriptor of this process that is a file of dir; -1: none. */
static int find_fd(void)
{
    int found = -1;
    DIR *fds = opendir("/proc/self/fd");
    REQUIRE(fds != NULL);
    for (struct dirent *e; (e = readdir(fds)) != NULL;) {
        char path[64], target[512] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%.20s", e->d_name);
        if (readlink(path, target, sizeof target - 1) <= 0) continue;
        if (str_starts(target, dir) && strlen(target) > strlen(dir)) found = atoi(e->d_name);
    }
    closedir(fds);
    return found;
}

static bool holds(int fd, const char *text)
{
    struct stat st;
    REQUIRE(fstat(fd, &st) == 0);
    char *all = malloc((size_t)st.st_size + 1);
    REQUIRE(all != NULL && pread(fd, all, (size_t)st.st_size, 0) == st.st_size);
    bool found = memmem(all, (size_t)st.st_size, text, strlen(text)) != NULL;
    free(all);
    return found;
}

TEST(storage, spilled_blocks_come_back_and_nothing_of_them_is_readable)
{
    struct arena a;
    arena_init(&a, 0);
    open_room(1 << 20);
    struct spill_file *f = file_new();
    EXPECT_EQ(find_fd(), -1); /* a query that fits makes no file */
    uint64_t at[50];
    char text[50][64];
    for (int i = 0; i < 50; i++) {
        snprintf(text[i], sizeof text[i], CANARY " number %d", i);
        REQUIRE_OK(spill_file_write(f, bytes_str(text[i]), &at[i], &d));
    }
    for (int i = 49; i >= 0; i--) {
        struct bytes b;
        REQUIRE_OK(spill_file_read(f, at[i], strlen(text[i]), &a, &b, &d));
        REQUIRE(bytes_eq(b, bytes_str(text[i])));
    }

    int fd = find_fd();
    struct stat st;
    REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
    EXPECT_EQ(st.st_mode & 07777, 0600);
    EXPECT_EQ(st.st_nlink, 0);
    REQUIRE(!holds(fd, CANARY));
    /* The search finds what is there. */
    REQUIRE(pwrite(fd, CANARY, strlen(CANARY), 0) == (ssize_t)strlen(CANARY));
    REQUIRE(holds(fd, CANARY));

    spill_file_free(f);
    EXPECT_EQ(find_fd(), -1);
    EXPECT_EQ(rmdir(dir), 0); /* no name in it */
    spill_room_free(room);
    arena_release(&a);
}

TEST(storage, a_spilled_block_that_was_changed_or_moved_is_refused)
{
    struct arena a;
    struct bytes b;
    arena_init(&a, 0);
    open_room(1 << 20);
    struct spill_file *f = file_new();
    uint64_t one, two;
    REQUIRE_OK(spill_file_write(f, BYTES("the first one"), &one, &d));
    REQUIRE_OK(spill_file_write(f, BYTES("and its sibling"), &two, &d));
    int fd = find_fd();
    uint8_t byte, block[29];
    REQUIRE(pread(fd, &byte, 1, (off_t)one + 3) == 1);
    byte ^= 1;
    REQUIRE(pwrite(fd, &byte, 1, (off_t)one + 3) == 1);
    REQUIRE_ERR(ERR_CORRUPT, spill_file_read(f, one, 13, &a, &b, &d));
    byte ^= 1;
    REQUIRE(pwrite(fd, &byte, 1, (off_t)one + 3) == 1);
    REQUIRE_OK(spill_file_read(f, one, 13, &a, &b, &d));
    REQUIRE(pread(fd, block, sizeof block, (off_t)one) == (ssize_t)sizeof block);
    REQUIRE(pwrite(fd, block, sizeof block, (off_t)two) == (ssize_t)sizeof block);
    REQUIRE_ERR(ERR_CORRUPT, spill_file_read(f, two, 13, &a, &b, &d));
    REQUIRE_ERR(ERR_CORRUPT, spill_file_read(f, two, 15, &a, &b, &d));
    spill_file_free(f);
    spill_room_free(room);
    arena_release(&a);
}

TEST(storage, wiping_the_key_ends_all_reading_and_writing)
{
    struct arena a;
    struct bytes b;
    uint64_t at;
    arena_init(&a, 0);
    open_room(1 << 20);
    struct spill_file *f = file_new(), *never_used = file_new();
    REQUIRE_OK(spill_file_write(f, BYTES("rows"), &at, &d));
    spill_file_wipe(f);
    spill_file_wipe(f);
    spill_file_wipe(never_used);
    REQUIRE_ERR(ERR_CANCELLED, spill_file_read(f, at, 4, &a, &b, &d));
    REQUIRE_ERR(ERR_CANCELLED, spill_file_write(f, BYTES("more"), &at, &d));
    REQUIRE_ERR(ERR_CANCELLED, spill_file_write(never_used, BYTES("more"), &at, &d));
    spill_file_free(f);
    spill_file_free(never_used);
    spill_room_free(room);
    arena_release(&a);
}

TEST(storage, all_spill_files_share_one_room_and_give_it_back)
{
    static const uint8_t block[1000];
    uint64_t at;
    open_room(10 * 1016);
    struct spill_file *one = file_new(), *two = file_new();
    for (int i = 0; i < 6; i++)
        REQUIRE_OK(spill_file_write(one, BYTES_OF(block), &at, &d));
    for (int i = 0; i < 4; i++)
        REQUIRE_OK(spill_file_write(two, BYTES_OF(block), &at, &d));
    REQUIRE_ERR(ERR_LIMIT, spill_file_write(two, BYTES_OF(block), &at, &d));
    EXPECT_STR(d.tag, "E_RUNAWAY_QUERY");
    spill_file_free(one);
    for (int i = 0; i < 6; i++)
        REQUIRE_OK(spill_file_write(two, BYTES_OF(block), &at, &d));
    REQUIRE_ERR(ERR_LIMIT, spill_file_write(two, BYTES_OF(block), &at, &d));
    spill_file_free(two);
    spill_room_free(room);
}

TEST(storage, a_disk_that_refuses_spilled_rows_is_told_of)
{
    open_room(1 << 20);
    FAULT_SWEEP (n) {
        struct arena a;
        struct bytes b;
        uint64_t at;
        arena_init(&a, 0);
        struct spill_file *f = file_new();
        diag_reset(&d);
        enum err e = spill_file_write(f, BYTES("a block of rows"), &at, &d);
        if (e == OK) e = spill_file_read(f, at, 15, &a, &b, &d);
        REQUIRE(e == OK ? bytes_eq(b, BYTES("a block of rows")) : d.text[0] != '\0');
        REQUIRE(e == OK || e == ERR_IO);
        spill_file_free(f);
        arena_release(&a);
    }
    spill_room_free(room);
}

#define THREADS 4

static void write_and_read(void *arg, unsigned i)
{
    struct arena a;
    arena_init(&a, 0);
    for (unsigned k = 0; k < 200; k++) {
        char text[64];
        struct bytes b;
        uint64_t at;
        snprintf(text, sizeof text, "thread %u block %u", i, k);
        REQUIRE(spill_file_write(arg, bytes_str(text), &at, NULL) == OK);
        REQUIRE(spill_file_read(arg, at, strlen(text), &a, &b, NULL) == OK);
        REQUIRE(bytes_eq(b, bytes_str(text)));
    }
    arena_release(&a);
}

TEST(storage, threads_spill_into_one_file)
{
    struct pool *pool;
    open_room(1 << 20);
    struct spill_file *f = file_new();
    REQUIRE_OK(pool_new(&pool, THREADS, 64, &d));
    pool_each(pool, THREADS, write_and_read, f);
    pool_free(pool);
    spill_file_free(f);
    spill_room_free(room);
    free(dir);
    dir = NULL;
}
