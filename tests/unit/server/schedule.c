/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/server/schedule.c - random schedules over the whole of custody, in virtual time; the
 * ten invariants of keys.md ("What must never happen") are looked at after every step, by number
 *
 * A world serves SHARE seeds one after the other, each from a settled state to a settled state; it
 * is then killed and recovered twice. SEED=n in the environment repeats the world of that seed up
 * to it, SCHEDULE_TRACE=1 prints each step, SCHEDULE_SEEDS=n asks for more seeds, JOBS=n for
 * processes. What repeats is the schedule: threads are as free as ever.
 */
#include "schedule_world.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 160
#else
#define SEEDS 2000
#endif
#define SHARE 20 /* seeds of one world */
#define STEPS 14 /* of one seed */

/* --- a damaged file --------------------------------------------------------------------------- */

static char damaged[4096];
static uint32_t files_seen;

static int pick_file(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)f;
    if (flag == FTW_F && st->st_size != 0 && str_ends(path, ".seg") && pick(++files_seen) == 0)
        snprintf(damaged, sizeof damaged, "%s", path);
    return 0;
}

/* (5) A bit of a segment turns while it is read; then it turns back. */
static void damage_a_segment(struct run *r)
{
    static uint8_t counts[ROWS_MAX];
    struct diag d = DIAG_INIT;
    struct stat st;
    CLEANUP_FREE char *blobs = os_path(r->w.dir, "blobs");
    files_seen = 0;
    damaged[0] = '\0';
    nftw(blobs, pick_file, 8, FTW_PHYS);
    if (damaged[0] == '\0' || stat(damaged, &st) != 0) return;
    int fd = open(damaged, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    uint8_t byte;
    off_t at = (off_t)pick((uint64_t)st.st_size);
    REQUIRE(pread(fd, &byte, 1, at) == 1);
    uint8_t turned = byte ^ (uint8_t)(1u << pick(8));
    REQUIRE(pwrite(fd, &turned, 1, at) == 1);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        uint64_t rows;
        if (scan(r, x, counts, &rows, &d) == OK) check_rows(r, x, counts, false);
    }
    REQUIRE(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/* --- a schedule ------------------------------------------------------------------------------- */

static void restart_logs_softly(struct run *r)
{
    restart_logs(r, false);
}
static void kill_logs(struct run *r)
{
    restart_logs(r, true);
}
static void pass_some(struct run *r)
{
    pass(r, 1 + (double)pick(60));
}
static void pass_a_bound(struct run *r)
{
    pass(r, 75);
}
static void jump(struct run *r)
{
    double s = 60 * (1 + (double)pick(90));
    world_jump(r->clock, s);
    for (int i = 0; i < SIDES; i++)
        r->sides[i].for_s = 0; /* nobody was asked meanwhile: the count begins again */
}

static const struct {
    const char *name;
    uint32_t weight;
    void (*side)(struct run *r, struct side *x);
    void (*all)(struct run *r);
} steps[] = {
    {"time", 22, NULL, pass_some},
    {"a bound", 5, NULL, pass_a_bound},
    {"weather", 12, new_weather, NULL},
    {"send", 22, send_new, NULL},
    {"send again", 8, send_again, NULL},
    {"query", 12, query, NULL},
    {"flush", 6, flush, NULL},
    {"policy", 3, new_policy, NULL},
    {"platform", 4, NULL, platform_weather},
    {"spools", 4, NULL, other_spools},
    {"rotate the KEK", 3, rotate_kek, NULL},
    {"rotate the AEK", 3, rotate_aek, NULL},
    {"clear or set", 2, clear_or_set, NULL},
    {"a sync fails", 2, fail_a_sync, NULL},
    {"damage", 2, NULL, damage_a_segment},
    {"pause", 1, NULL, pause_holder},
    {"jump", 2, NULL, jump},
    {"restart keyd", 2, NULL, restart_keyd},
    {"restart logs", 1, NULL, restart_logs_softly},
    {"kill logs", 1, NULL, kill_logs},
};
#define N_STEPS (sizeof steps / sizeof steps[0])

static void take_step(struct run *r)
{
    uint32_t sum = 0, i = 0;
    for (size_t k = 0; k < N_STEPS; k++)
        sum += steps[k].weight;
    uint64_t at = pick(sum);
    while (at >= steps[i].weight)
        at -= steps[i++].weight;
    step_name = steps[i].name;
    struct side *x = &r->sides[pick(SIDES)];
    if (steps[i].all != NULL) {
        steps[i].all(r);
    } else {
        steps[i].side(r, x);
    }
}

/* The end of a seed: the vaults are good, all that was sent is accounted for. */
static void end_seed(struct run *r)
{
    static uint8_t counts[ROWS_MAX];
    step_name = "end";
    set_platform(r, MOOD_GOOD);
    set_spools(r, 0);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        x->mood = MOOD_GOOD;
        tv_mood(&r->w.vault, side_uris[i], MOOD_GOOD);
        if (x->cleared) clear_or_set(r, x);
        HOLDS(FOLLOWS, !x->cleared, "side %d gets no key", i);
    }
    pass(r, RETRY_AFTER_S_MAX + 50);
    kill_holder_if_asked(r);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        read_all(r, x, counts);
        check_rows(r, x, counts, true);
        x->spoken = false;
        x->for_s = 0;
    }
    check_always(r);
}

static void trace(struct run *r)
{
    if (getenv("SCHEDULE_TRACE") == NULL) return;
    fprintf(stderr, "%" PRIu64 ".%d %-16s", seed_now, step_now, step_name);
    for (int i = 0; i < SIDES; i++) {
        const struct side *x = &r->sides[i];
        enum key_state at;
        const char *left = in_keyd(r, x, &at);
        fprintf(stderr, "  mood %d%s for %.0f s: keyd %s, holder %s%s;", (int)x->mood,
                x->cleared ? " cleared" : "", x->for_s, key_state_name(at),
                key_state_name(state_of(r, x)), left != NULL ? left : "");
    }
    fprintf(stderr, "\n");
}

static void run_seed(struct run *r, uint64_t seed)
{
    seed_now = seed;
    pick_state = seed;
    for (step_now = 0; step_now < STEPS; step_now++) {
        take_step(r);
        trace(r);
        kill_holder_if_asked(r);
        check_always(r);
    }
    end_seed(r);
}

static void run_world(uint64_t first, uint64_t last, const char *root)
{
    CLEANUP_FREE struct run *r = calloc(1, sizeof *r);
    char dir[160], clock[160];
    struct diag d = DIAG_INIT;
    REQUIRE(r != NULL);
    snprintf(dir, sizeof dir, "%s/world-%" PRIu64, root, first);
    snprintf(clock, sizeof clock, "%s/clock-%d", root, (int)getpid());
    if (!clock_is_virtual()) REQUIRE_OK(clock_open(clock, true, &d));
    r->clock = clock;
    seed_now = first;
    sync_failed[0] = '\0';
    begin_world(r, dir);
    for (uint64_t seed = first; seed <= last; seed++)
        run_seed(r, seed);
    recover_twice(r);
    world_close(&r->w);
    look_at_files(r);
    verify_audit(r);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- many of them ----------------------------------------------------------------------------- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* On memory where there is some: nothing here is about a disk's promises. */
static const char *fast_dir(void)
{
    static char dir[64] = "/dev/shm/keystead-schedule-XXXXXX";
    return mkdtemp(dir) != NULL ? dir : test_dir();
}

/* Of a child that ends otherwise than by _exit(): one of its calls failed. */
static void say_seed(void)
{
    fprintf(stderr, "SEED=%" PRIu64 ", step %d (%s)\n", seed_now, step_now, step_name);
}

static bool run_all(uint64_t seeds, uint64_t jobs, const char *root)
{
    for (uint64_t j = 0; j < jobs; j++) { /* a clock belongs to a process */
        fflush(NULL);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        log_set_level(LOG_ERROR + 1);
        if (atexit(say_seed) != 0) _exit(1);
        for (uint64_t world = j; world * SHARE < seeds; world += jobs)
            run_world(world * SHARE + 1, (world + 1) * SHARE, root);
        _exit(0);
    }
    bool good = true;
    for (uint64_t j = 0; j < jobs; j++) {
        int status;
        good = wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && good;
    }
    return good;
}

TEST(server, no_schedule_of_vault_and_processes_breaks_what_must_never_happen)
{
    uint64_t only = number("SEED", 0);
    const char *root = fast_dir();
    if (only != 0) {
        log_set_level(LOG_ERROR + 1);
        run_world((only - 1) / SHARE * SHARE + 1, only, root);
    } else {
        REQUIRE(run_all(number("SCHEDULE_SEEDS", SEEDS), number("JOBS", 8), root));
    }
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
