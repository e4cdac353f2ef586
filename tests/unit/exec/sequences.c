/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/sequences.c - sequences in random events, beside looking at all ways there are */
#include "from_text.h"

#define EVENTS 40
#define STATES 4

static uint32_t seed;
static uint32_t next_random(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

struct events {
    uint32_t n;
    int id[EVENTS], time[EVENTS], state[EVENTS];
    struct buf text;
};

static void make_events(struct events *e)
{
    e->n = 1 + next_random(EVENTS);
    buf_clear(&e->text);
    buf_str(&e->text, "datatable(id:long, t:long, s:string)[");
    for (uint32_t i = 0; i < e->n; i++) {
        e->id[i] = (int)next_random(3);
        e->time[i] = (int)next_random(30);
        e->state[i] = (int)next_random(STATES);
        buf_fmt(&e->text, "%d,%d,\"%c\",", e->id[i], e->time[i], 'a' + e->state[i]);
    }
    buf_str(&e->text, "]");
}

static void query(struct result *r, const struct events *e, const char *pipe)
{
    CLEANUP_BUF struct buf text = {0};
    buf_bytes(&text, buf_view(&e->text));
    buf_str(&text, pipe);
    result_of(r, buf_view(&text), NULL);
    if (r->err != OK) fprintf(stderr, "%s\n", r->d.text);
    REQUIRE(r->err == OK);
}

/* Is event k of the same id as i and behind it? */
static bool follows(const struct events *e, uint32_t i, uint32_t k)
{
    return e->id[i] == e->id[k] && (e->time[i] < e->time[k] || (e->time[i] == e->time[k] && i < k));
}

/* a, then b, then c within steps of 15 and a span of 25; by the times that they have. */
static uint32_t all_occurrences(const struct events *e)
{
    static bool seen[3][30][30][30];
    uint32_t n = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < e->n; i++) {
        for (uint32_t k = 0; k < e->n; k++) {
            for (uint32_t m = 0; m < e->n; m++) {
                if (e->state[i] != 0 || e->state[k] != 1 || e->state[m] != 2) continue;
                if (!follows(e, i, k) || !follows(e, k, m)) continue;
                if (e->time[k] - e->time[i] > 15 || e->time[m] - e->time[k] > 15) continue;
                bool *x = &seen[e->id[i]][e->time[i]][e->time[k]][e->time[m]];
                if (e->time[m] - e->time[i] > 25 || *x) continue;
                *x = true;
                n++;
            }
        }
    }
    return n;
}

TEST(exec, every_occurrence_of_a_sequence_is_given_once)
{
    struct events e = {0};
    uint32_t all = 0;
    for (seed = 5; seed < 2000000000; seed = seed * 2 + 1) {
        struct result r;
        make_events(&e);
        query(
            &r, &e,
            "| evaluate sequence_detect(t, 15, 25, a = (s == 'a'), b = (s == 'b'), c = (s == 'c'), "
            "id) | distinct *");
        EXPECT_EQ(r.n_rows, all_occurrences(&e));
        for (uint32_t i = 0; i < r.n_rows; i++) {
            const struct value *row = &r.cells[(size_t)i * 5];
            REQUIRE(row[1].i <= row[2].i && row[2].i <= row[3].i);
            EXPECT_EQ(row[4].i, row[3].i - row[1].i);
        }
        all += r.n_rows;
        result_release(&r);
    }
    REQUIRE(all > 20);
    buf_release(&e.text);
}

/* States that event i, an a, gets behind it within `period`: any b, then any c. */
static int reach(const struct events *e, uint32_t i, int period)
{
    int best = 1;
    for (uint32_t k = 0; k < e->n; k++) {
        if (e->state[k] != 1 || !follows(e, i, k) || e->time[k] - e->time[i] > period) continue;
        best = best < 2 ? 2 : best;
        for (uint32_t m = 0; m < e->n; m++) {
            if (e->state[m] == 2 && follows(e, k, m) && e->time[m] - e->time[i] <= period) best = 3;
        }
    }
    return best;
}

TEST(exec, a_funnel_counts_the_ids_that_get_so_far)
{
    static const int periods[] = {0, 5, 20};
    struct events e = {0};
    for (seed = 9; seed < 2000000000; seed = seed * 2 + 1) {
        int want[3][3][3] = {0}, far[3][3][3] = {0}; /* bin or id, period, state */
        struct result r;
        make_events(&e);
        for (uint32_t i = 0; i < e.n; i++) {
            for (int p = 0; e.state[i] == 0 && p < 3; p++) {
                int *x = &far[e.id[i]][e.time[i] / 10][p], now = reach(&e, i, periods[p]);
                *x = now > *x ? now : *x;
            }
        }
        for (int id = 0; id < 3; id++) {
            for (int bin = 0; bin < 3; bin++) {
                for (int p = 0; p < 3; p++) {
                    for (int k = 0; k < far[id][bin][p]; k++)
                        want[bin][p][k]++;
                }
            }
        }
        query(&r, &e,
              "| evaluate funnel_sequence_completion(id, t, 0, 100, 10, s, dynamic(['a','b','c']), "
              "dynamic([0, 5, 20]))");
        for (uint32_t i = 0; i < r.n_rows; i++) {
            const struct value *row = &r.cells[(size_t)i * 4];
            int bin = (int)row[0].i / 10, p = (int)(i / 3 % 3), k = (int)(i % 3);
            EXPECT_EQ(row[2].i, periods[p]);
            EXPECT_EQ(row[3].i, want[bin][p][k]);
        }
        uint32_t bins = 0;
        for (int bin = 0; bin < 3; bin++)
            bins += want[bin][0][0] > 0;
        EXPECT_EQ(r.n_rows, bins * 9);
        result_release(&r);
    }
    buf_release(&e.text);
}

static bool same_run(const struct events *e, const uint32_t *order, uint32_t i)
{
    return i > 0 && e->id[order[i]] == e->id[order[i - 1]] &&
           e->state[order[i]] == e->state[order[i - 1]];
}

/* The stays of an id are its events without those that repeat the state before. */
TEST(exec, each_stay_in_a_state_has_its_neighbours_in_the_funnel)
{
    struct events e = {0};
    for (seed = 21; seed < 2000000000; seed = seed * 2 + 1) {
        struct result r;
        uint32_t order[EVENTS];
        bool want[3][STATES + 1][STATES + 1] = {0}; /* id, state before, behind; the last: none */
        make_events(&e);
        for (uint32_t i = 0; i < e.n; i++) { /* by id, time, row */
            uint32_t at = i;
            for (; at > 0 && (e.id[order[at - 1]] > e.id[i] || (e.id[order[at - 1]] == e.id[i] &&
                                                                e.time[order[at - 1]] > e.time[i]));
                 at--)
                order[at] = order[at - 1];
            order[at] = i;
        }
        for (uint32_t i = 0; i < e.n; i++) {
            if (e.state[order[i]] != 0 || same_run(&e, order, i)) continue;
            uint32_t behind = i + 1;
            while (behind < e.n && same_run(&e, order, behind))
                behind++;
            bool before = i > 0 && e.id[order[i - 1]] == e.id[order[i]];
            bool after = behind < e.n && e.id[order[behind]] == e.id[order[i]];
            want[e.id[order[i]]][before ? e.state[order[i - 1]] : STATES]
                [after ? e.state[order[behind]] : STATES] = true;
        }
        uint32_t rows = 0;
        for (int b = 0; b <= STATES; b++) {
            for (int a = 0; a <= STATES; a++)
                rows += want[0][b][a] || want[1][b][a] || want[2][b][a];
        }
        query(
            &r, &e,
            "| evaluate funnel_sequence(id, t, 0, 100, 100, 1000, s, dynamic(['a'])) | where true");
        EXPECT_EQ(r.n_rows, rows);
        for (uint32_t i = 0; i < r.n_rows; i++) {
            const struct value *row = &r.cells[(size_t)i * 5];
            int b = row[1].s.len > 0 ? row[1].s.p[0] - 'a' : STATES;
            int a = row[2].s.len > 0 ? row[2].s.p[0] - 'a' : STATES;
            EXPECT_EQ(row[3].i, want[0][b][a] + want[1][b][a] + want[2][b][a]);
            EXPECT_EQ(dyn_count(row[4].s), row[3].i);
        }
        result_release(&r);
    }
    buf_release(&e.text);
}

/* At the end of a query there are the tables of both sides, of what comes before, and behind. */
TEST(exec, a_funnel_at_the_end_of_a_query_gives_three_tables)
{
    static const char *const ends[] = {"", " | render table", " | where true", " | count"};
    static const uint32_t more[] = {2, 2, 0, 0};
    for (int i = 0; i < 4; i++) {
        CLEANUP_ARENA struct arena a;
        CLEANUP_BUF struct buf text = {0};
        struct plan plan = {0};
        struct kql_options opt = {0};
        struct diag d = DIAG_INIT;
        arena_init(&a, 1 << 24);
        buf_fmt(&text,
                "print id = 1, t = 2, s = 'x' | evaluate funnel_sequence(id, t, 0, 9, 9, 9, s, "
                "dynamic(['x']))%s",
                ends[i]);
        REQUIRE_OK(kql_compile(&a, buf_view(&text), &no_tables, &opt, &plan, &d));
        EXPECT_EQ(plan.n_more, more[i]);
        if (plan.n_more != 2) continue;
        EXPECT_EQ(plan.root->schema.n, 5);
        EXPECT_EQ(plan.more[0].root->schema.n, 4);
        EXPECT_STR(plan.more[0].root->schema.cols[1].name, "prev");
        EXPECT_STR(plan.more[1].root->schema.cols[1].name, "next");
    }
}
