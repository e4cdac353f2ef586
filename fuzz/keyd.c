/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/keyd.c - what the log service, and who verifies, may say to keyd: any words in any order
 *
 * A keyd with a vault in memory, a real holder and a real channel. An input is a list of orders: a
 * call with a body that is almost right, other weather at the vault, time, bytes without a frame.
 *
 * (1) keyd answers after whatever it was told.
 * (2) A lease is never longer than LEASE_S_MAX, and what it comes with has the length of its layers.
 * (3) While the vault denies, an account that is REVOKED gets nothing.
 * (4) The status is JSON.
 */
#include "unit/custody/house.h"

#include "json/json.h"

#include <assert.h>
#include <fcntl.h>

#define INPUTS_PER_KEYD 500 /* then another: what is never given back would grow */
#define CALL_MS         120000
#define ORDERS_MAX      24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct house h;
static const uint8_t accounts[3][16] = {"account-one.....", "account-two.....", "nobody.........."};
static const char *const scopes[] = {CLUSTER, "platform", "/clusters/two", ""};
static struct buf header, record, body, answer; /* of the last file and spool; of this call */
static enum mood mood;

const char *test_dir(void)
{
    static char dir[] = "/dev/shm/keystead-fuzz-XXXXXX";
    static bool made;
    if (!made && mkdtemp(dir) == NULL) abort();
    made = true;
    return dir;
}

/* What each method takes, in letters of put_field(). */
static const char *const shapes[] = {
    [KEYD_READY] = "",          [KEYD_KEK_CHECK] = "k",     [KEYD_SCOPE_SET] = "sk",
    [KEYD_SCOPE_CLEAR] = "sb",  [KEYD_SCOPE_REMOVE] = "s",  [KEYD_ACCOUNT_ADD] = "sat",
    [KEYD_STATUS] = "s",        [KEYD_FILE_CREATE] = "abi", [KEYD_FILE_OPEN] = "anh",
    [KEYD_LEASES] = "naq",      [KEYD_REPLAYED] = "aq",     [KEYD_SCOPE_POLICY] = "spt",
    [KEYD_SCOPE_UNLOCK] = "st", [KEYD_SPOOL_MAKE] = "a",    [KEYD_SPOOL_KEYS] = "arnhbi",
    [KEYD_SCOPE_REWRAP] = "st", [KEYD_AEK_ROTATE] = "at",   [KEYD_AEK_DROP] = "ai",
    [KEYD_AUDIT_READ] = "q",    [KEYD_ENTRIES] = "qt",
};
#define METHODS (sizeof shapes / sizeof shapes[0])

static void put_weird_policy(struct rd *in)
{
    const struct key_policy p = {.outage = (enum outage_policy)(rd_u8(in) % 3),
                                 .grace_s = rd_u8(in),
                                 .retain_max_s = rd_u8(in),
                                 .probe_s = rd_u8(in),
                                 .bound_s = rd_u8(in)};
    put_policy(&body, &p);
}

static void put_weird_kek(struct rd *in)
{
    static const char *const vaults[] = {CUSTOMER_URI, PLATFORM_URI, "https://gone.test", ""};
    static const char *const names[] = {"kek", "pmk", ""};
    static const char *const versions[] = {"", "v1", "v2"};
    put_string(&body, vaults[rd_u8(in) % 4]);
    put_string(&body, names[rd_u8(in) % 3]);
    put_string(&body, versions[rd_u8(in) % 3]);
    put_string(&body, rd_u8(in) % 8 != 0 ? "cluster" : "platform");
    put_weird_policy(in);
    buf_u8(&body, rd_u8(in) % 4 == 0);
}

static void put_field(char kind, struct rd *in)
{
    uint8_t x = rd_u8(in);
    uint8_t id[16] = {x, 1};
    switch (kind) {
    case 's': put_string(&body, scopes[x % 4]); break;
    case 'a': buf_bytes(&body, BYTES_OF(accounts[x % 3])); break;
    case 'k': put_weird_kek(in); break;
    case 'p': put_weird_policy(in); break;
    case 't': put_string(&body, x % 16 == 0 ? "" : "somebody"); break;
    case 'b': buf_u8(&body, x); break;
    case 'n': buf_u32(&body, x % 8 != 0 ? 1 : UINT32_MAX / (x + 1u)); break;
    case 'q': buf_u64(&body, x % 8 != 0 ? x : UINT64_MAX / (x + 1u)); break;
    case 'i': buf_bytes(&body, BYTES_OF(id)); break;
    case 'h': buf_bytes(&body, buf_view(&header)); break;
    case 'r': buf_blob(&body, buf_view(&record)); break;
    default: abort();
    }
}

/* Cut, lengthened, or with a byte changed. */
static void spoil(struct rd *in)
{
    uint8_t how = rd_u8(in), where = rd_u8(in), what = rd_u8(in);
    if (how % 4 == 1 && body.len != 0) body.len = where % body.len;
    if (how % 4 == 2 && body.len != 0) body.p[where * body.len / 256] ^= what | 1;
    if (how % 4 == 3) buf_bytes(&body, rd_bytes(in, what < rd_left(in) ? what : rd_left(in)));
}

static enum key_state state_of(const uint8_t id[16])
{
    LOCK_SCOPE(&h.keyd->lock);
    const struct account *a = account_find(h.keyd, id);
    return a != NULL ? a->at.state : KEY_STATES;
}

static void keep(uint16_t method)
{
    struct rd r = rd_from(buf_view(&answer));
    if (method == KEYD_FILE_CREATE) {
        assert(rd_u64(&r) <= LEASE_S_MAX * (uint64_t)US_PER_S); /* (2) */
        buf_clear(&header);
        buf_bytes(&header, rd_bytes(&r, FILE_HEADER_LEN));
        (void)get_leased_key(&r);
        assert(rd_done(&r));
    } else if (method == KEYD_SPOOL_MAKE) {
        buf_clear(&record);
        buf_bytes(&record, rd_blob(&r));
        assert(rd_done(&r));
    } else if (method == KEYD_STATUS) {
        CLEANUP_JSON json_t *status = NULL;
        assert(json_read(buf_view(&answer), &status, NULL) == OK); /* (4) */
    }
}

static bool gives_keys(uint16_t method)
{
    return method == KEYD_FILE_CREATE || method == KEYD_FILE_OPEN || method == KEYD_SPOOL_MAKE ||
           method == KEYD_SPOOL_KEYS;
}

static void call(struct rd *in)
{
    uint16_t method = rd_u8(in) % (METHODS + 1);
    buf_clear(&body);
    buf_clear(&answer);
    for (const char *p = method < METHODS && shapes[method] != NULL ? shapes[method] : ""; *p != 0;
         p++)
        put_field(*p, in);
    if (rd_u8(in) % 4 == 0) spoil(in);
    uint8_t id[16] = {0};
    if (body.len >= 16) memcpy(id, body.p, 16);
    bool revoked = mood == MOOD_DENIED && state_of(id) == KEY_REVOKED;
    if (method == 0) return; /* an answer: chan_call() has none to send */
    enum err e =
        chan_call(custody_chan(h.custody), method, buf_view(&body), &answer, CALL_MS, NULL);
    assert(e != OK || !revoked || !gives_keys(method)); /* (3) */
    if (e == OK) keep(method);
}

/* Bytes without a frame, from one who has no place in the log service. */
static void babble(struct rd *in)
{
    struct diag d = DIAG_INIT;
    int pair[2];
    uint8_t n = rd_u8(in);
    struct bytes text = rd_bytes(in, n < rd_left(in) ? n : rd_left(in));
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE_OK(chan_attach(keyd_chan_reader(h.keyd), pair[1], &d));
    if (write(pair[0], text.p, text.len) < 0) abort();
    close(pair[0]);
}

static void weather(struct rd *in)
{
    static const enum mood moods[] = {MOOD_GOOD, MOOD_DENIED, MOOD_SILENT, MOOD_BARRED,
                                      MOOD_LIES, MOOD_TOKEN,  MOOD_NO_WRAP};
    mood = moods[rd_u8(in) % 7];
    tv_mood(&h.vault, CUSTOMER_URI, mood);
}

static void end(void)
{
    house_close(&h);
    buf_release(&header);
    buf_release(&record);
    buf_release(&body);
    buf_release(&answer);
}

static void begin(void)
{
    house_open(&h);
    log_set_level(LOG_ERROR + 1);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    house_cluster(&h, CLUSTER, accounts[0]);
    mood = MOOD_GOOD;
    buf_clear(&header);
    buf_clear(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned n;
    if (n++ % INPUTS_PER_KEYD == 0) {
        if (n == 1 && atexit(end) != 0) abort(); /* then leaks are looked for */
        if (n != 1) house_close(&h);
        begin();
    }
    struct rd in = rd_from(bytes_of(data, size));
    for (int i = 0; i < ORDERS_MAX && rd_left(&in) != 0; i++) {
        switch (rd_u8(&in) % 16) {
        case 0: weather(&in); break;
        case 1: house_advance(1 + rd_u8(&in) % 60); break;
        case 2: babble(&in); break;
        default: call(&in);
        }
    }
    /* (1) */
    assert(chan_call(custody_chan(h.custody), KEYD_READY, BYTES(""), NULL, CALL_MS, NULL) == OK);
    return 0;
}
