/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/server/world.h - the whole of custody in one process: keyd, the holder, catalogue,
 * store, spool and counters of dropped rows, as serve_logs.c wires them; only the vault is a double
 *
 * Time is virtual but for leases, which keep to the kernel: world_end_lease() plays a machine that
 * was paused. What has to be watched all the time is watched here (6, 7, 8 of keys.md "What must
 * never happen"): `broken` gets the first sentence that was broken.
 *
 * Link with --wrap=fdatasync,--wrap=fsync: nothing waits for a disk, and world_fail_sync() lets the
 * next sync of a write-ahead log fail.
 */
#pragma once

#include "test.h"

#include "api/dropped.h"
#include "base/log.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "custody/client.h"
#include "custody/core.h"
#include "custody/holder.h"
#include "server/records.h"
#include "../custody/test_vault.h"

/* keyd's account and the store's are not the same. */
#define account stored_account
#include "storage/store_impl.h"
#undef account

#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#define PLATFORM_URI "https://platform.test"
#define SIDES        2

static const char *const side_uris[SIDES] = {"https://one.test", "https://two.test"};
static const uint8_t platform_account[16] = "platform-account";

struct world {
    char dir[200];
    struct test_vault vault;
    struct key_policy policy;
    uint64_t spool_bytes;
    struct catalog *catalog;
    struct docs *docs;
    struct dropped *dropped;
    struct custody *custody;
    struct keyd *keyd;
    _Atomic(struct store *) store;
    _Atomic unsigned holder_failures;

    pthread_mutex_t lock; /* guards the rest */
    uint64_t generation;  /* the highest that was written */
    uint64_t audit_seq;   /* lines that were looked at */
    struct map leased;    /* account, file id: a key that was handed out */
    struct map logged;    /* SHA-256 of a lease.create's file -> 1 */
    struct {
        uint8_t account[16];
        uint64_t handed_out, logged;
    } uses[SIDES + 1];
    char broken[200]; /* "6. ...": what was broken first */
};

static void world_broken(struct world *w, const char *what)
{
    if (w->broken[0] == '\0') snprintf(w->broken, sizeof w->broken, "%s", what);
}

/* --- the disk --------------------------------------------------------------------------------- */

static _Atomic bool sync_fails;  /* the next one of a log */
static char sync_failed[4096];   /* the log whose sync failed last; "" = none */
static off_t sync_failed_length; /* at that moment */

int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);

int __wrap_fdatasync(int fd)
{
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!atomic_load(&sync_fails)) return 0;
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = '\0';
    if (strstr(path, "/wal/") == NULL || !atomic_exchange(&sync_fails, false)) return 0;
    memcpy(sync_failed, path, sizeof sync_failed);
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* --- what the holder asks for ----------------------------------------------------------------- */

static enum err world_persist(void *ctx, const struct custody_record *r, size_t n, struct diag *d)
{
    struct world *w = ctx;
    TRY(records_persist(w->catalog, r, n, d));
    LOCK_SCOPE(&w->lock);
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(r[i].kind, "root")) continue;
        uint64_t g = record_generation(r[i].value);
        if (g <= w->generation) world_broken(w, "7. A generation never goes down.");
        w->generation = g;
    }
    return OK;
}

static enum err world_load(void *ctx, const char *kind,
                           enum err (*visit)(void *, const struct custody_record *, struct diag *),
                           void *visit_ctx, struct diag *d)
{
    return records_load(((struct world *)ctx)->catalog, kind, visit, visit_ctx, d);
}

/* As resource/account.c does it. */
static enum err world_changed(void *ctx, const uint8_t account[16], enum key_state was,
                              enum key_state now, struct diag *d)
{
    struct store *s = atomic_load(&((struct world *)ctx)->store);
    (void)was;
    if (s == NULL) return OK;
    if (key_state_locked(now)) store_account_lock(s, account);
    if (now == KEY_REVOKED) return store_spool_destroy(s, account, d);
    if (now == KEY_RESTORING) return store_account_open(s, account, d);
    return OK;
}

static void world_holder_failed(void *ctx)
{
    atomic_fetch_add(&((struct world *)ctx)->holder_failures, 1);
}

/* --- keys, with an eye on the audit log ------------------------------------------------------- */

static uint64_t *world_use(struct world *w, const uint8_t account[16], bool is_logged)
{
    for (size_t i = 0; i <= SIDES; i++) {
        static const uint8_t none[16];
        if (memcmp(w->uses[i].account, none, 16) == 0) memcpy(w->uses[i].account, account, 16);
        if (memcmp(w->uses[i].account, account, 16) == 0)
            return is_logged ? &w->uses[i].logged : &w->uses[i].handed_out;
    }
    abort();
}

static void world_note_line(struct world *w, const json_t *doc)
{
    uint8_t account[16], sha[32];
    if (!str_eq(json_string_value(json_object_get(doc, "event")), "lease")) return;
    const char *hex = json_string_value(json_object_get(doc, "account"));
    const char *digest = json_string_value(json_object_get(doc, "sha256"));
    if (hex_decode(bytes_str(hex), account, 16, NULL) != OK ||
        hex_decode(bytes_str(digest), sha, 32, NULL) != OK)
        abort();
    *world_use(w, account, true) += (uint64_t)json_integer_value(json_object_get(doc, "files"));
    if (map_put(&w->logged, BYTES_OF(sha), w, NULL, NULL) != OK) abort();
}

/* Under lock: what stands in the log by now. */
static void world_read_audit(struct world *w)
{
    CLEANUP_FREE char *dir = os_path(w->dir, "keyd");
    CLEANUP_AUDIT_READER struct audit_reader r = {0};
    if (audit_reader_open(&r, dir, w->audit_seq + 1, NULL) != OK) abort();
    struct bytes line;
    while (audit_reader_next(&r, &line, NULL) == OK && line.p != NULL) {
        CLEANUP_AUDIT_LINE struct audit_line l = {0};
        if (audit_line_read(line, NULL, &l, NULL) != OK) return; /* it is being written */
        if (l.seq <= w->audit_seq) continue;
        w->audit_seq = l.seq;
        world_note_line(w, l.doc);
    }
}

/* A key is in our hands: its line is on the disk. */
static void world_check_use(struct world *w, const struct file_key *k, bool is_new)
{
    LOCK_SCOPE(&w->lock);
    const struct file_ident *f = file_key_ident(k);
    uint8_t name[32], sha[32];
    memcpy(name, f->account, 16);
    memcpy(name + 16, f->file_id, 16);
    if (map_get(&w->leased, BYTES_OF(name)) != NULL) return;
    if (map_put(&w->leased, BYTES_OF(name), w, NULL, NULL) != OK) abort();
    uint64_t *handed_out = world_use(w, f->account, false);
    (*handed_out)++;
    world_read_audit(w);
    sha256(bytes_of(f->file_id, 16), sha);
    if ((is_new && map_get(&w->logged, BYTES_OF(sha)) == NULL) ||
        *world_use(w, f->account, true) < *handed_out)
        world_broken(w, "6. Every key use has its audit record before it.");
}

static enum err world_create(void *self, const uint8_t account[16], enum otype otype,
                             const uint8_t file_id[16], struct file_key **out, struct diag *d)
{
    struct world *w = self;
    TRY(custody_file_create(w->custody, account, otype, file_id, out, d));
    world_check_use(w, *out, true);
    return OK;
}

static enum err world_open_files(void *self, const uint8_t account[16],
                                 const struct file_ident *files, size_t n, struct file_key **out,
                                 struct diag *d)
{
    struct world *w = self;
    TRY(custody_file_open(w->custody, account, files, n, out, d));
    for (size_t i = 0; i < n; i++)
        world_check_use(w, out[i], false);
    return OK;
}

static void world_release(void *self, struct file_key *k)
{
    custody_file_release(((struct world *)self)->custody, k);
}

static enum err world_check(void *self, const uint8_t account[16], struct diag *d)
{
    return custody_lease_check(((struct world *)self)->custody, account, d);
}

static enum err world_spool_make(void *self, const uint8_t account[16], struct buf *record,
                                 struct diag *d)
{
    return custody_spool_make(((struct world *)self)->custody, account, record, d);
}

static enum err world_spool_keys(void *self, const struct spool_ask *q, struct file_key **out,
                                 struct diag *d)
{
    return custody_spool_keys(((struct world *)self)->custody, q, out, d);
}

/* As api/spool.c does it. */
static enum err world_counted(void *ctx, const uint8_t account[16], const struct guid *table,
                              uint64_t rows, struct diag *d)
{
    char name[GUID_TEXT_MAX];
    guid_format(table, name);
    return dropped_add(((struct world *)ctx)->dropped, account, name, COUNT_SPOOLED, rows, d);
}

static enum err world_emptied(void *ctx, const uint8_t account[16], const struct spool_end *end,
                              struct diag *d)
{
    char names[4][GUID_TEXT_MAX];
    struct dropped_kept kept[4];
    uint32_t n = end->is_destroyed ? 0 : end->n_tables;
    if (n > 4) abort();
    for (uint32_t i = 0; i < n; i++) {
        guid_format(&end->tables[i].table, names[i]);
        kept[i] = (struct dropped_kept){names[i], end->tables[i].rows};
    }
    return dropped_spool_end(((struct world *)ctx)->dropped, account,
                             end->is_destroyed ? DROPPED_DESTROYED : DROPPED_DAMAGED, kept, n, d);
}

/* --- life ------------------------------------------------------------------------------------- */

static void world_connect(struct world *w)
{
    struct diag d = DIAG_INIT;
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE_OK(chan_attach(custody_chan(w->custody), pair[0], &d));
    REQUIRE_OK(chan_attach(keyd_chan_logs(w->keyd), pair[1], &d));
}

static void world_start_keyd(struct world *w)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *audit = os_path(w->dir, "keyd");
    CLEANUP_FREE char *anchor = str_fmt("file:%s/anchor", w->dir);
    REQUIRE_OK(os_mkdir(audit, &d));
    const struct keyd_config c = {.audit_dir = audit,
                                  .anchor = anchor,
                                  .platform_vault_uri = PLATFORM_URI,
                                  .platform_key = "pmk",
                                  .platform_principal_id = "platform",
                                  .policy = w->policy,
                                  .holder_failed = world_holder_failed,
                                  .ctx = w};
    const struct kek_port port = tv_port(&w->vault);
    REQUIRE_OK(keyd_new_with(&w->keyd, &c, &port, &d));
    REQUIRE_OK(keyd_start(w->keyd, &d));
}

static void world_start_holder(struct world *w)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(w->dir, "catalog.db");
    REQUIRE_OK(catalog_open_sqlite(&w->catalog, path, &d));
    REQUIRE_OK(docs_open(&w->docs, w->catalog, &d));
    REQUIRE_OK(dropped_open(&w->dropped, w->docs, &d));
    const struct custody_config c = {
        .ctx = w, .persist = world_persist, .load = world_load, .changed = world_changed};
    REQUIRE_OK(custody_new(&w->custody, &c, &d));
}

static void world_start_store(struct world *w)
{
    static const struct key_ops ops = {world_create, world_open_files, world_release, world_check};
    static const struct spool_ops spool_ops = {world_spool_make, world_spool_keys};
    struct diag d = DIAG_INIT;
    struct store *s = NULL;
    struct store_config c = {.dir = w->dir,
                             .catalog = w->catalog,
                             .keys = {&ops, w},
                             .merge_on_request = true,
                             .spool = {.ops = &spool_ops,
                                       .self = w,
                                       .bytes_max = w->spool_bytes,
                                       .counted = world_counted,
                                       .emptied = world_emptied,
                                       .ctx = w}};
    memcpy(c.platform_account, platform_account, 16);
    REQUIRE_OK(custody_account_add(w->custody, "platform", platform_account, "", &d));
    enum err e = ERR_UNAVAILABLE;
    for (int i = 0; e == ERR_UNAVAILABLE && i < 240; i++) { /* as serve_logs.c waits */
        diag_reset(&d);
        e = store_open(&s, &c, &d);
        if (e == ERR_UNAVAILABLE) REQUIRE(clock_advance(US_PER_S, NULL) == OK);
    }
    if (e != OK) fail_msg("%s", d.text);
    atomic_store(&w->store, s);
}

/* As arm_accounts_open() does it: what changed before there was a store. */
static void world_open_account(struct world *w, const uint8_t account[16])
{
    struct diag d = DIAG_INIT;
    enum key_state s = custody_account_state(w->custody, account);
    if (s == KEY_REVOKED) REQUIRE_OK(store_spool_destroy(w->store, account, &d));
    if (s != KEY_ACTIVE && s != KEY_STALE && s != KEY_RESTORING) return;
    enum err e = store_account_open(w->store, account, &d);
    if (e != ERR_KEY_LOCKED && e != ERR_UNAVAILABLE && e != OK) fail_msg("%s", d.text);
}

static void world_start_logs(struct world *w)
{
    struct diag d = DIAG_INIT;
    world_start_holder(w);
    world_connect(w);
    REQUIRE_OK(custody_wait_ready(w->custody, 120000, &d));
    world_start_store(w);
}

/* crash: nothing is flushed, as after a kill. */
static void world_stop_logs(struct world *w, bool crash)
{
    struct store *s = atomic_exchange(&w->store, NULL);
    for (struct stored_account *a = s->accounts; crash && a != NULL; a = a->next)
        store_account_lock(s, a->id);
    store_close(s);
    custody_free(TAKE(w->custody));
    dropped_free(TAKE(w->dropped));
    docs_close(TAKE(w->docs));
    w->catalog->ops->close(w->catalog);
    w->catalog = NULL;
}

static void world_replace_keyd(struct world *w)
{
    keyd_free(TAKE(w->keyd));
    world_start_keyd(w);
    world_connect(w);
}

/* It tries once a second of virtual time. */
static void world_await_keyd(struct world *w)
{
    struct diag d = DIAG_INIT;
    enum err e = ERR_UNAVAILABLE;
    for (int i = 0; e != OK && i < 240; i++) {
        diag_reset(&d);
        e = custody_wait_ready(w->custody, 500, &d);
        if (e != OK) REQUIRE(clock_advance(US_PER_S, NULL) == OK);
    }
    if (e != OK) fail_msg("%s", d.text);
}

static void world_open(struct world *w, const char *dir)
{
    struct diag d = DIAG_INIT;
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    pthread_mutex_init(&w->lock, NULL);
    REQUIRE_OK(os_mkdir(w->dir, &d));
    tv_init(&w->vault);
    tv_add(&w->vault, PLATFORM_URI, "pmk", "p1", true);
    for (int i = 0; i < SIDES; i++)
        tv_add(&w->vault, side_uris[i], "kek", "v1", true);
    w->policy.probe_s = 30;
    world_start_keyd(w);
    world_start_logs(w);
}

static void world_close(struct world *w)
{
    world_stop_logs(w, false);
    keyd_free(w->keyd);
    tv_release(&w->vault);
    map_release(&w->leased);
    map_release(&w->logged);
    pthread_mutex_destroy(&w->lock);
}

/* --- time ------------------------------------------------------------------------------------- */

static void world_advance(double seconds)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(clock_advance((int64_t)(seconds * US_PER_S), &d));
}

/* The wall clock jumps: timers find out later. */
static void world_jump(const char *clock_path, double seconds)
{
    int fd = open(clock_path, O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    _Atomic int64_t *offset = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(offset != MAP_FAILED);
    atomic_fetch_add(offset, (int64_t)(seconds * US_PER_S)); /* its first field: base/time.c */
    munmap((void *)offset, 4096);
    close(fd);
    world_advance(0);
}

/* Under the holder's lock: the lease has run out while nobody looked. */
static void world_end_lease(struct world *w, const uint8_t account[16])
{
    struct held *h = map_get(&w->custody->accounts, bytes_of(account, 16));
    if (h != NULL && h->end_boot_us != 0) h->end_boot_us = h->end_kernel_us = 1;
}
