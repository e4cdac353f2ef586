/* SPDX-License-Identifier: Apache-2.0 */
/* server/command_audit.c - keystead audit verify, keystead audit tail */
#include "server/commands.h"

#include "base/log.h"
#include "base/opt.h"
#include "base/os.h"
#include "base/str.h"
#include "base/time.h"
#include "custody/audit_files.h"
#include "keyvault/audit_log.h"
#include "tool/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct audit_command {
    const char *data, *auditor_key, *anchor, *signer, *format, *account, *event;
    uint64_t last;
    bool follow, json;
    json_t *damages; /* of -o json */
};

/* --- verify ----------------------------------------------------------------------------------- */

static void on_damage(void *ctx, uint64_t seq, const char *text)
{
    struct audit_command *c = ctx;
    if (!c->json) {
        printf("   DAMAGE line %" PRIu64 ": %s\n", seq, text);
        return;
    }
    json_t *o = json_pack("{s:I, s:s}", "line", (json_int_t)seq, "text", text);
    if (o == NULL || json_array_append_new(c->damages, o) != 0)
        return; /* memory: the total still counts it */
}

static enum err read_key(const char *path, struct letter_key **out, struct diag *d)
{
    CLEANUP_BUF struct buf pem = {0};
    TRY(os_read_file(path, 64 << 10, &pem, d));
    return letter_key_read(out, buf_view(&pem), d);
}

static enum err read_anchor(const char *name, struct anchor_value *out, struct diag *d)
{
    struct anchor a;
    CLEANUP_BUF struct buf value = {0};
    TRY(anchor_open(&a, name, true, d));
    enum err e = a.ops->read(a.self, &value, d);
    anchor_close(&a);
    TRY(e);
    if (value.len == 0) return FAIL(d, ERR_NOT_FOUND, "the anchor %s is empty", name);
    return anchor_decode(buf_view(&value), NULL, out, d);
}

/* The vault's own chain of records. Damage is counted like that of the log of key uses. */
static enum err verify_vault(struct audit_command *c, uint64_t *records, uint64_t *damages,
                             struct diag *d)
{
    CLEANUP_FREE char *dir = str_fmt("%s/vault/audit", c->data);
    struct diag why = DIAG_INIT;
    *records = 0;
    if (dir == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (!os_exists(dir)) return OK; /* the vault is elsewhere */
    enum err e = audit_log_verify(dir, records, &why);
    if (e == OK) return OK;
    if (e != ERR_CORRUPT) return FAIL(d, e, "%s", why.text);
    ++*damages;
    on_damage(c, 0, why.text);
    return OK;
}

static enum err print_json(const struct audit_command *c, const struct audit_verify_report *r,
                           uint64_t vault_records, struct diag *d)
{
    char signer[2 * ED25519_KEY_LEN + 1];
    CLEANUP_BUF struct buf text = {0};
    hex_encode(bytes_of(r->signer, sizeof r->signer), signer);
    CLEANUP_JSON json_t *o = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:b, s:O}", "files",
        (json_int_t)r->files, "lines", (json_int_t)r->lines, "segments", (json_int_t)r->segments,
        "segmentsOfOtherAuditors", (json_int_t)r->segments_closed, "seals", (json_int_t)r->seals,
        "macs", (json_int_t)r->macs, "lastLine", (json_int_t)r->last_seq, "sealedLine",
        (json_int_t)r->signed_seq, "vaultRecords", (json_int_t)vault_records, "signer", signer,
        "signerFromElsewhere", r->signer_known, "anchored", c->anchor != NULL, "lastLineTorn",
        r->torn, "damages", c->damages);
    if (o == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(json_write(o, &text, d));
    puts(buf_cstr(&text));
    return OK;
}

static void print_text(const struct audit_command *c, const struct audit_verify_report *r,
                       uint64_t vault_records)
{
    char signer[2 * ED25519_KEY_LEN + 1];
    hex_encode(bytes_of(r->signer, sizeof r->signer), signer);
    printf("   %" PRIu64 " lines in %" PRIu64 " files, %" PRIu64 " segments, %" PRIu64
           " seals; sealed up to line %" PRIu64 " of %" PRIu64 "\n",
           r->lines, r->files, r->segments, r->seals, r->signed_seq, r->last_seq);
    if (c->auditor_key == NULL) {
        puts("   MACs: not checked, no --auditor-key");
    } else {
        printf("   MACs: %" PRIu64 " lines checked, %" PRIu64 " segments are another auditor's\n",
               r->macs, r->segments_closed);
    }
    printf("   signer: %s%s\n", signer,
           r->signer_known ? "" : " (the log's own word: compare it with `keystead keys status`)");
    printf("   end: %s\n", c->anchor != NULL ? "compared with the anchor"
                                             : "a cut tail is not detected: no --anchor");
    if (r->torn) puts("   the very last line is not whole: a crash, or it is being written");
    if (vault_records != 0)
        printf("   vault: %" PRIu64 " audit records in one chain\n", vault_records);
    printf("   %" PRIu64 " damages\n", r->damages);
}

static enum err verify(struct audit_command *c, int *code, struct diag *d)
{
    CLEANUP(letter_key_free) struct letter_key *key = NULL;
    CLEANUP_FREE char *dir = os_path(c->data, "keyd");
    struct anchor_value anchor;
    struct audit_verify_report r;
    uint8_t signer[ED25519_KEY_LEN];
    if (c->auditor_key != NULL) TRY(read_key(c->auditor_key, &key, d));
    if (c->anchor != NULL) TRY(read_anchor(c->anchor, &anchor, d));
    if (c->signer != NULL) TRY(hex_decode(bytes_str(c->signer), signer, sizeof signer, d));
    const struct audit_verify_options o = {.dir = dir,
                                           .auditor = key,
                                           .anchor = c->anchor != NULL ? &anchor : NULL,
                                           .signer = c->signer != NULL ? signer : NULL,
                                           .on_damage = on_damage,
                                           .ctx = c};
    TRY(audit_verify(&o, &r, d));
    if (r.lines == 0) return FAIL(d, ERR_NOT_FOUND, "%s has no key-access audit log", c->data);
    uint64_t vault_records;
    TRY(verify_vault(c, &vault_records, &r.damages, d));
    if (c->json) {
        TRY(print_json(c, &r, vault_records, d));
    } else {
        print_text(c, &r, vault_records);
    }
    *code = r.damages != 0 ? EXIT_DAMAGE : r.segments_closed != 0 ? EXIT_NO_KEYS : EXIT_OK;
    return OK;
}

/* --- tail ------------------------------------------------------------------------------------- */

static bool is_wanted(const struct audit_command *c, const struct audit_line *l)
{
    const char *account = json_get_str(l->doc, "account");
    if (c->event != NULL && !str_eq(c->event, audit_line_event(l))) return false;
    return c->account == NULL || (account != NULL && str_starts_nocase(account, c->account));
}

static void print_fields(const json_t *doc)
{
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)doc, name, v) {
        if (str_eq(name, "seq") || str_eq(name, "time") || str_eq(name, "event") ||
            str_eq(name, "account"))
            continue;
        if (json_is_string(v)) {
            printf(" %s=%s", name, json_string_value(v));
        } else {
            CLEANUP_BUF struct buf text = {0};
            if (json_write(v, &text, NULL) == OK) printf(" %s=%s", name, buf_cstr(&text));
        }
    }
}

static void print_line(const struct audit_command *c, const struct audit_line *l)
{
    if (c->json) {
        CLEANUP_BUF struct buf text = {0};
        if (json_write(l->doc, &text, NULL) == OK) puts(buf_cstr(&text));
    } else {
        const char *time = json_get_str(l->doc, "time"), *account = json_get_str(l->doc, "account");
        printf("%8" PRIu64 "  %-27s  %-16s  %-8.8s ", l->seq, time != NULL ? time : "",
               audit_line_event(l), account != NULL ? account : "-");
        print_fields(l->doc);
        putchar('\n');
    }
    fflush(stdout);
}

struct tail {
    const struct audit_command *c;
    struct audit_reader r;
    uint64_t seq; /* of the last line that was read */
};

/* Reads to the present end; shows what is wanted if `show`, counts it otherwise. */
static enum err read_on(struct tail *t, bool show, uint64_t *skip, struct diag *d)
{
    for (;;) {
        struct bytes text;
        struct diag why = DIAG_INIT;
        enum err e = audit_reader_next(&t->r, &text, &why);
        if (e == ERR_CORRUPT && t->r.at + 1 == t->r.n_files) return OK; /* being written */
        if (e != OK) return FAIL(d, e, "%s", why.text);
        if (text.p == NULL) return OK;
        CLEANUP_AUDIT_LINE struct audit_line l = {0};
        TRY(audit_line_read(text, NULL, &l, d));
        if (l.seq <= t->seq && show && *skip == 0) continue; /* shown from the file before */
        t->seq = l.seq;
        if (!is_wanted(t->c, &l)) continue;
        if (!show) {
            ++*skip;
        } else if (*skip != 0) {
            --*skip;
        } else {
            print_line(t->c, &l);
        }
    }
}

/* Other files may be there by now. */
static enum err look_again(struct tail *t, const char *dir, struct diag *d)
{
    struct audit_reader now = {0};
    TRY(audit_reader_open(&now, dir, t->seq + 1, d));
    if (now.n_files == t->r.n_files) {
        audit_reader_close(&now);
        return OK;
    }
    audit_reader_close(&t->r);
    t->r = now;
    return OK;
}

static enum err show_tail(struct tail *t, const char *dir, struct diag *d)
{
    uint64_t n = 0;
    TRY(audit_reader_open(&t->r, dir, 0, d));
    TRY(read_on(t, false, &n, d));
    audit_reader_close(&t->r);
    n = n > t->c->last ? n - t->c->last : 0;
    t->seq = 0;
    TRY(audit_reader_open(&t->r, dir, 0, d));
    return read_on(t, true, &n, d);
}

static enum err tail(struct audit_command *c, struct diag *d)
{
    CLEANUP_FREE char *dir = os_path(c->data, "keyd");
    struct tail t = {.c = c};
    enum err e = show_tail(&t, dir, d);
    for (uint64_t none = 0; e == OK && c->follow && !ferror(stdout);) {
        time_sleep_us(300000);
        e = look_again(&t, dir, d);
        if (e == OK) e = read_on(&t, true, &none, d);
    }
    audit_reader_close(&t.r);
    return e;
}

/* --- the command ------------------------------------------------------------------------------ */

int command_audit(int argc, char **argv, struct diag *d)
{
    struct audit_command c = {.format = "table", .last = 20};
    const char *what = NULL;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory; its server may run",
         .text = &c.data},
        {.name = "auditor-key",
         .value = "PEM",
         .help = "verify: the auditor's private key; every line's MAC is checked with it",
         .text = &c.auditor_key},
        {.name = "anchor",
         .value = "file:/PATH",
         .help = "verify: the server's anchor; a cut tail is found by it",
         .text = &c.anchor},
        {.name = "signer",
         .value = "HEX",
         .help = "verify: keyd's public key, as you noted it (the anchor's, else the log's own)",
         .text = &c.signer},
        {.name = "lines",
         .letter = 'n',
         .value = "N",
         .help = "tail: so many lines (20)",
         .number = &c.last,
         .max = 1000000},
        {.name = "follow", .letter = 'f', .help = "tail: goes on as lines come", .flag = &c.follow},
        {.name = "account",
         .value = "HEX",
         .help = "tail: only lines of this account (its first digits)",
         .text = &c.account},
        {.name = "event", .value = "NAME", .help = "tail: only this event", .text = &c.event},
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "table or json (table)",
         .text = &c.format},
    };
    const struct opt_command o = {
        .usage = "keystead audit verify|tail --data DIR [options]",
        .about =
            "verify: is the log of key uses what keyd wrote, and the vault's audit the vault's? "
            "Finds changes,\nremovals, another order. Exit status:\n0 good, 2 usage, 3 damage, 4 "
            "segments of another auditor.\n"
            "tail: its last lines.",
        .opts = opts,
        .n_opts = sizeof opts / sizeof opts[0],
        .args = &what,
        .args_min = 1,
        .args_max = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&o, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    bool verifies = str_eq(what, "verify");
    c.json = str_eq(c.format, "json");
    if ((!verifies && !str_eq(what, "tail")) || c.data == NULL ||
        (!c.json && !str_eq(c.format, "table"))) {
        (void)FAIL(d, ERR_INVALID, "usage: %s", o.usage);
        return EXIT_USAGE;
    }
    log_set_process("audit");
    log_set_level(LOG_ERROR);
    c.damages = json_array();
    int code = EXIT_OK;
    enum err e = verifies ? verify(&c, &code, d) : tail(&c, d);
    json_decref(c.damages);
    return e == OK ? code : exit_of(e);
}
