/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/server/schedule_run.h - one run of schedule.c: what was sent and what must have become of
 * it, in sides of a cluster each; HOLDS() ends the process with the number of what is broken
 */
#pragma once

#include "world.h"

#define NOTES_MAX 512
#define ROWS_MAX  16384

static const char *const invariants[] = {
    "",
    "1. An acknowledged row is readable, or counted as dropped with a reason.",
    "2. No row is returned after a denial plus the bound.",
    "3. An outage never drops a row while the spool has room; each spooled row appears once.",
    "4. Recovery of a recovered store changes nothing.",
    "5. No torn, foreign, stale or reordered block is ever returned as data.",
    "6. Every key use has its audit record before it.",
    "7. A generation never goes down.",
    "8. After a failed fsync that file is never acknowledged again.",
    "9. One second after REVOKED no key or cached plaintext is left.",
    "10. No plaintext of a log row or column name is ever on disk.",
    "(what must happen) The state follows the vault.",
};
#define FOLLOWS 11

static uint64_t seed_now;
static int step_now;
static const char *step_name = "";

#define HOLDS(number, condition, ...)                                          \
    do {                                                                       \
        if (!(condition)) broken((number), #condition, __LINE__, __VA_ARGS__); \
    } while (0)

__attribute__((noreturn, format(printf, 4, 5))) static void
broken(int number, const char *condition, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "SEED=%" PRIu64 ", step %d (%s): broken: %s\n    %s, line %d: ", seed_now,
            step_now, step_name, invariants[number], condition, line);
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    _exit(1);
}

/* The schedule's own numbers: keys and ids are as random as ever. */
static uint64_t pick_state;

static uint64_t pick(uint64_t n)
{
    uint64_t z = (pick_state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

/* --- what should be there --------------------------------------------------------------------- */

enum fate { REFUSED, UNKNOWN, STORED, SPOOLED, DROPPED };

struct note { /* a batch that was sent */
    uint64_t first;
    uint32_t n;
    uint8_t id[16];
    bool has_id;
    enum fate fate;
    int64_t sent_us;
};

struct side { /* a cluster, its vault, its workspace and account */
    int index;
    char scope[64];
    uint8_t account[16];
    struct guid workspace;
    struct table *table;
    enum mood mood;
    bool cleared;      /* the key was taken away from the cluster */
    double for_s;      /* so long already */
    bool spoken;       /* the customer has said no in this seed */
    double new_keyd_s; /* since keyd was restarted, while it has not said a word; -1 */
    uint32_t version, patience_s;
    struct key_policy policy;
    struct note notes[NOTES_MAX];
    size_t n_notes;
    uint64_t n_rows; /* ids that were given */
    uint64_t loose;  /* rows that may have been counted though nobody was told so */
};

struct run {
    struct world w;
    struct side sides[SIDES];
    enum mood platform; /* of its vault */
    const char *clock;
};

static bool says_no(const struct side *x)
{
    return x->cleared || x->mood == MOOD_DENIED;
}

static bool is_silent(const struct side *x)
{
    return !x->cleared && (x->mood == MOOD_SILENT || x->mood == MOOD_LIES ||
                           x->mood == MOOD_TOKEN || x->mood == MOOD_BUSY);
}

static enum key_state state_of(struct run *r, const struct side *x)
{
    return custody_account_state(r->w.custody, x->account);
}
