/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/rollback.c - older records put back, by hand and all together */
#include "audit_log.h"
#include "house.h"

static const uint8_t account[16] = "account-one.....";
static const uint8_t other[16] = "account-two.....";

static enum key_state in_keyd(struct house *h, const uint8_t id[16])
{
    LOCK_SCOPE(&h->keyd->lock);
    const struct account *a = account_find(h->keyd, id);
    return a != NULL ? a->at.state : KEY_STATES;
}

/* --- a copy of the catalogue ------------------------------------------------------------------ */

static void copy_map(struct map *to, const struct map *from)
{
    struct diag d = DIAG_INIT;
    MAP_EACH (from, e) {
        struct stored *s = calloc(1, sizeof *s);
        REQUIRE(s != NULL);
        buf_bytes(&s->value, buf_view(&((struct stored *)e->value)->value));
        REQUIRE_OK(map_put(to, e->key, s, NULL, &d));
    }
}

static void drop_map(struct map *m)
{
    MAP_EACH (m, e) {
        buf_release(&((struct stored *)e->value)->value);
        free(e->value);
    }
    map_release(m);
    *m = (struct map){0};
}

/* The first record whose kind and id begin so, from the copy: what lies there now goes. */
static void put_back(struct house *h, const struct map *copy, const char *kind, const char *id)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *prefix = str_fmt("%s\n%s", kind, id);
    size_t n = strlen(prefix);
    MAP_EACH (&h->catalogue, e) {
        if (e->key.len < n || memcmp(e->key.p, prefix, n) != 0) continue;
        struct stored *s = map_remove(&h->catalogue, e->key);
        buf_release(&s->value);
        free(s);
    }
    MAP_EACH (copy, e) {
        if (e->key.len < n || memcmp(e->key.p, prefix, n) != 0) continue;
        struct stored *s = calloc(1, sizeof *s);
        REQUIRE(s != NULL);
        buf_bytes(&s->value, buf_view(&((struct stored *)e->value)->value));
        REQUIRE_OK(map_put(&h->catalogue, e->key, s, NULL, &d));
    }
}

static void hex_of(const uint8_t id[16], char out[33])
{
    hex_encode(bytes_of(id, 16), out);
}

/* Two accounts under one key, a copy of that catalogue, then a rotation; keyd is down. */
static void open_rotated(struct house *h, struct map *copy, const char *anchor)
{
    struct diag d = DIAG_INIT;
    const struct custody_kek kek = house_kek("");
    house_build(h);
    h->anchor = anchor;
    log_set_level(LOG_ERROR + 1); /* alarms are expected here */
    house_start_custody(h);
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
    house_cluster(h, CLUSTER, account);
    REQUIRE_OK(custody_account_add(h->custody, CLUSTER, other, "w", &d));
    REQUIRE(house_reaches(h, other, KEY_ACTIVE));
    house_restart_keyd(h); /* all states are written */
    REQUIRE(house_reaches(h, account, KEY_ACTIVE));
    *copy = (struct map){0};
    house_stop_keyd(h);
    copy_map(copy, &h->catalogue);
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
    tv_add(&h->vault, CUSTOMER_URI, "kek", "v2", false);
    REQUIRE_OK(custody_scope_set(h->custody, CLUSTER, &kek, NULL, &d));
    house_stop_keyd(h);
}

static void close_rotated(struct house *h, struct map *copy)
{
    drop_map(copy);
    house_close(h);
}

static void start_again(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
    house_advance(40);
}

static bool log_has(const struct house *h, const char *a, const char *b)
{
    CLEANUP_BUF struct buf text = log_text(h->audit_dir);
    for (char *line = strtok(buf_cstr(&text), "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strstr(line, a) != NULL && strstr(line, b) != NULL) return true;
    }
    return false;
}

TEST(rollback, an_older_wrap_put_back_by_hand_is_named_and_its_account_stays_locked)
{
    char hex[33];
    struct house h;
    struct map copy;
    hex_of(account, hex);
    open_rotated(&h, &copy, NULL);
    put_back(&h, &copy, "wrap", hex);
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_SUSPENDED);
    EXPECT_EQ(in_keyd(&h, other), KEY_ACTIVE);
    REQUIRE(log_has(&h, "RecordOlder", hex));
    close_rotated(&h, &copy);
}

TEST(rollback, a_wrap_that_was_taken_away_names_its_account)
{
    char hex[33];
    struct house h;
    struct map copy;
    hex_of(account, hex);
    open_rotated(&h, &copy, NULL);
    put_back(&h, &(struct map){0}, "wrap", hex);
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_SUSPENDED);
    REQUIRE(log_has(&h, "RecordOlder", hex));
    close_rotated(&h, &copy);
}

TEST(rollback, an_older_state_put_back_by_hand_does_not_undo_a_revocation)
{
    char hex[33];
    struct house h;
    struct map copy;
    hex_of(account, hex);
    open_rotated(&h, &copy, NULL);
    start_again(&h);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(60);
    REQUIRE(house_reaches(&h, account, KEY_REVOKED));
    REQUIRE(house_settles(&h));
    house_stop_keyd(&h);
    put_back(&h, &copy, "state", hex);
    tv_enable(&h.vault, "kek", NULL, true);
    start_again(&h);
    REQUIRE(log_has(&h, "RecordOlder", hex));
    REQUIRE(in_keyd(&h, account) != KEY_ACTIVE);
    EXPECT_EQ(in_keyd(&h, other), KEY_ACTIVE);
    close_rotated(&h, &copy);
}

TEST(rollback, an_older_scope_put_back_by_hand_locks_its_accounts)
{
    struct house h;
    struct map copy;
    open_rotated(&h, &copy, NULL);
    put_back(&h, &copy, "scope", CLUSTER);
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_SUSPENDED);
    EXPECT_EQ(in_keyd(&h, other), KEY_SUSPENDED);
    REQUIRE(log_has(&h, "RecordOlder", CLUSTER));
    close_rotated(&h, &copy);
}

TEST(rollback, without_its_root_record_nothing_opens)
{
    struct diag d = DIAG_INIT;
    struct house h;
    struct map copy;
    open_rotated(&h, &copy, NULL);
    put_back(&h, &(struct map){0}, "root", "root");
    house_start_keyd(&h);
    house_connect(&h);
    REQUIRE(house_refuses(&h, &d));
    REQUIRE(strstr(d.text, "no root record") != NULL);
    close_rotated(&h, &copy);
}

/* --- the whole catalogue ---------------------------------------------------------------------- */

static char *anchor_name(void)
{
    static unsigned n;
    return str_fmt("file:%s/anchor-%u", test_dir(), n++);
}

static void put_all_back(struct house *h, struct map *copy)
{
    drop_map(&h->catalogue);
    copy_map(&h->catalogue, copy);
}

static bool opens(struct house *h, struct diag *d)
{
    diag_reset(d);
    house_start_keyd(h);
    house_connect(h);
    return custody_wait_ready(h->custody, 120000, d) == OK;
}

static bool refuses(struct house *h, struct diag *d)
{
    house_start_keyd(h);
    house_connect(h);
    return house_refuses(h, d);
}

TEST(rollback, an_older_catalogue_as_a_whole_is_found_out_by_the_anchor_only)
{
    struct diag d = DIAG_INIT;
    struct house h;
    struct map copy;
    open_rotated(&h, &copy, NULL);
    put_all_back(&h, &copy);
    REQUIRE(opens(&h, &d)); /* the status says "rollback not detected" */
    CLEANUP_JSON json_t *status = NULL;
    REQUIRE_OK(custody_status(h.custody, &status, &d));
    EXPECT_STR(json_get_str(status, "anchor"), "none: rollback not detected");
    close_rotated(&h, &copy);

    CLEANUP_FREE char *anchor = anchor_name();
    open_rotated(&h, &copy, anchor);
    put_all_back(&h, &copy);
    REQUIRE(refuses(&h, &d));
    REQUIRE(strstr(d.text, "an older catalogue was put back") != NULL);
    close_rotated(&h, &copy);
}

TEST(rollback, only_the_number_that_keyd_named_opens_an_older_catalogue_and_only_once)
{
    struct diag d = DIAG_INIT;
    struct house h;
    struct map copy;
    CLEANUP_FREE char *anchor = anchor_name();
    open_rotated(&h, &copy, anchor);
    put_all_back(&h, &copy);
    REQUIRE(refuses(&h, &d));
    const char *number = strstr(d.text, "--accept-rollback ");
    REQUIRE(number != NULL);
    uint64_t n = strtoull(number + strlen("--accept-rollback "), NULL, 10);
    house_stop_keyd(&h);
    h.accept_rollback = n - 1;
    REQUIRE(refuses(&h, &d));
    house_stop_keyd(&h);
    h.accept_rollback = n;
    REQUIRE(opens(&h, &d));
    REQUIRE(log_has(&h, "rollback.accepted", "an older catalogue was put back"));
    REQUIRE(h.keyd->proof.root.generation > n); /* never down */
    house_stop_keyd(&h);
    put_all_back(&h, &copy);
    REQUIRE(refuses(&h, &d)); /* the word is spent */
    close_rotated(&h, &copy);
}

TEST(rollback, an_emptied_anchor_and_a_cut_audit_log_are_found_out)
{
    struct diag d = DIAG_INIT;
    struct house h;
    struct map copy;
    CLEANUP_FREE char *anchor = anchor_name();
    open_rotated(&h, &copy, anchor);
    CLEANUP_BUF struct buf kept = {0};
    REQUIRE_OK(os_read_file(anchor + 5, 1 << 20, &kept, &d));
    REQUIRE_OK(os_remove(anchor + 5, &d));
    REQUIRE(refuses(&h, &d));
    REQUIRE(strstr(d.text, "is empty, but this store has one") != NULL);
    house_stop_keyd(&h);

    REQUIRE_OK(os_replace(anchor + 5, buf_view(&kept), &d));
    REQUIRE(opens(&h, &d));
    house_stop_keyd(&h);
    CLEANUP_FREE char *path = log_file(h.audit_dir, 0);
    CLEANUP_BUF struct buf text = log_text(h.audit_dir);
    const uint8_t *half = memchr(text.p + text.len / 2, '\n', text.len / 2);
    REQUIRE(half != NULL);
    REQUIRE_OK(os_replace(path, bytes_of(text.p, (size_t)(half - text.p) + 1), &d));
    REQUIRE(refuses(&h, &d));
    REQUIRE(strstr(d.text, "of the audit log") != NULL || strstr(d.text, "audit log ends") != NULL);
    close_rotated(&h, &copy);
}

TEST(rollback, a_transaction_whose_answer_is_lost_neither_tears_the_root_nor_stops_the_next)
{
    static const uint8_t third[16] = "account-three...";
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    log_set_level(LOG_ERROR + 1);
    house_cluster(&h, CLUSTER, account);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE(house_settles(&h));
    atomic_store(&h.lose_answers, 1);
    REQUIRE(custody_account_add(h.custody, CLUSTER, other, "w", &d) != OK);
    REQUIRE_OK(custody_account_add(h.custody, CLUSTER, third, "w", &d));
    h.disk_full = true;
    REQUIRE(custody_account_add(h.custody, CLUSTER, (const uint8_t *)"account-four....", "w", &d) !=
            OK);
    h.disk_full = false;
    house_restart_keyd(&h);
    house_advance(40);
    EXPECT_EQ(in_keyd(&h, account), KEY_ACTIVE);
    EXPECT_EQ(in_keyd(&h, third), KEY_ACTIVE);
    REQUIRE(!log_has(&h, "alarm", "Record"));
    house_close(&h);
}
