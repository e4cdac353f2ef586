/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/command_verify.c - keystead verify: where the keys come from, and how the findings are
 * shown
 *
 * The server is up: its keyd gives keys for reading (custody/reader.h). It is down: server/trio.h
 * takes the store's lock and starts identity, vault and keyd on private sockets. --no-keys needs
 * neither.
 */
#include "server/commands.h"

#include "base/log.h"
#include "base/opt.h"
#include "base/os.h"
#include "base/str.h"
#include "cli/table.h"
#include "custody/reader.h"
#include "server/doorway.h"
#include "server/trio.h"
#include "tool/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct verifying {
    const char *data;
    struct trio_options trio_options;
    bool json, no_keys, quiet;
    struct catalog *catalog;
    json_t *accounts; /* account id, hex -> {"scope","workspace","kek"} */
    json_t *files;    /* of the JSON output */
    uint8_t platform_account[16];
    struct reader *reader;
    struct trio *trio;
    int64_t shown;
};

/* --- names of accounts
 * -------------------------------------------------------------------------------- */

static enum err take_account(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct verifying *v = ctx;
    CLEANUP_JSON json_t *doc = NULL;
    TRY(json_read(row->value, &doc, d));
    const char *id = json_get_str(doc, "id"), *scope = json_get_str(doc, "scope");
    const char *workspace = json_get_str(doc, "workspace");
    if (id == NULL || scope == NULL || workspace == NULL)
        return FAIL(d, ERR_CORRUPT, "account %s has no scope", row->id);
    if (workspace[0] == 0) TRY(hex_decode(bytes_str(id), v->platform_account, 16, d));
    const char *slash = strrchr(scope, '/');
    return json_put(
        v->accounts, id,
        json_pack("{s:s, s:s}", "scope", slash != NULL ? slash + 1 : scope, "workspace", workspace),
        d);
}

static void take_keks(struct verifying *v, const json_t *status)
{
    size_t i, k;
    json_t *a, *w;
    json_array_foreach (json_get(status, "accounts"), i, a) {
        json_t *known = json_object_get(v->accounts, json_get_str(a, "account") ?: "");
        json_array_foreach (json_get(a, "wraps"), k, w) {
            const char *version = json_get_str(w, "version");
            if (known == NULL || version == NULL || json_get_int(w, "count", 0) == 0) continue;
            if (json_put(known, "kek", json_string(version), NULL) != OK) return;
        }
        json_t *keks = json_object();
        json_array_foreach (json_get(a, "aeks"), k, w) {
            const char *aek = json_get_str(w, "aek"), *kek = json_get_str(w, "kek");
            if (aek != NULL && kek != NULL) json_object_set_new(keks, aek, json_string(kek));
        }
        if (known != NULL) json_object_set(known, "aeks", keks);
        json_decref(keks);
    }
}

/* --- keys ------------------------------------------------------------------------------------- */

#define READY_MS 60000

static enum err keys_of_running(struct verifying *v, bool *running, struct diag *d)
{
    int fd;
    *running = doorway_connect(v->data, DOORWAY_RUN, &fd, NULL) == OK;
    if (!*running) return OK;
    TRY(reader_new(&v->reader, fd, READY_MS, d));
    CLEANUP_JSON json_t *status = NULL;
    TRY(reader_status(v->reader, &status, d));
    take_keks(v, status);
    return OK;
}

static const struct key_ops reader_ops = {
    .open = reader_file_open, .release = reader_file_release, .check = reader_lease_check};

static enum err get_keys(struct verifying *v, struct keys *out, struct diag *d)
{
    bool running;
    TRY(keys_of_running(v, &running, d));
    if (running) {
        *out = (struct keys){&reader_ops, v->reader};
        return OK;
    }
    TRY(trio_start(&v->trio, v->data, &v->trio_options, v->catalog, d));
    CLEANUP_JSON json_t *status = NULL;
    TRY(trio_status(v->trio, &status, d));
    take_keks(v, status);
    *out = trio_keys(v->trio);
    return OK;
}

/* --- what is shown
 * ---------------------------------------------------------------------------------------- */

static const char *account_name(const struct verifying *v, const uint8_t account[16], char hex[33])
{
    hex_encode(bytes_of(account, 16), hex);
    const char *scope = json_get_str(json_object_get(v->accounts, hex), "scope");
    return scope != NULL ? scope : "?";
}

static const char *kek_of(const struct verifying *v, const char *hex)
{
    const char *kek = json_get_str(json_object_get(v->accounts, hex), "kek");
    return kek != NULL ? kek : "-";
}

/* The version that wraps this generation of the account's key. */
static const char *kek_of_aek(const struct verifying *v, const char *account, const char *aek)
{
    const json_t *keks = json_get(json_object_get(v->accounts, account), "aeks");
    const char *kek = json_get_str(keks, aek);
    return kek != NULL ? kek : kek_of(v, account);
}

static const char *result_name(enum err e)
{
    return e == OK ? "ok" : e == ERR_CORRUPT ? "DAMAGED" : "no key";
}

static void on_file(void *ctx, const struct verify_file *f)
{
    struct verifying *v = ctx;
    char hex[33], aek[33];
    const char *scope = account_name(v, f->account, hex);
    hex_encode(bytes_of(f->aek_id, 16), aek);
    if (v->json) {
        json_t *o =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "kind", f->kind, "name",
                      f->name, "account", hex, "aek", aek, "kek", kek_of(v, hex), "blocks",
                      (json_int_t)f->blocks, "opened", (json_int_t)f->opened, "bytes",
                      (json_int_t)f->bytes, "result", result_name(f->result), "text", f->text);
        if (o == NULL || json_array_append_new(v->files, o) != 0)
            return; /* memory: the totals still count it */
        return;
    }
    if (v->shown++ == 0) {
        printf("   %-8s %-20s %-14s %-10s %8s %8s %12s  %s\n", "kind", "file", "scope", "AEK",
               "blocks", "opened", "bytes", "result");
    }
    const char *slash = strrchr(f->name, '/');
    printf("   %-8s %-20.20s %-14.14s %-10.8s %8" PRIu64 " %8" PRIu64 " %12" PRIu64 "  %s%s%s\n",
           f->kind, slash != NULL ? slash + 1 : f->name, scope, aek, f->blocks, f->opened, f->bytes,
           result_name(f->result), f->text[0] != 0 ? ": " : "", f->text);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct verifying *v = ctx;
    if (v->json || !isatty(STDERR_FILENO) || total == 0) return;
    fprintf(stderr, "\rverify %3" PRIu64 " %%%s", done * 100 / total,
            done == total ? "\r\033[K" : "");
}

static json_t *aek_json(const struct verifying *v, const char *account, const struct verify_aek *x)
{
    char aek[33], iek[33];
    hex_encode(bytes_of(x->aek_id, 16), aek);
    hex_encode(bytes_of(x->iek_id, 16), iek);
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "aek", aek, "kek",
                     kek_of_aek(v, account, aek), "iek",
                     x->is_framed ? json_string(iek) : json_null(), "files", (json_int_t)x->files,
                     "blocks", (json_int_t)x->blocks, "bytes", (json_int_t)x->bytes);
}

static json_t *account_json(const struct verifying *v, const struct verify_account *a)
{
    char hex[33];
    const char *scope = account_name(v, a->account, hex);
    CLEANUP_JSON json_t *aeks = json_array();
    for (uint32_t i = 0; i < a->n_aeks; i++)
        json_array_append_new(aeks, aek_json(v, hex, &a->aeks[i]));
    return json_pack("{s:s, s:s, s:s, s:O, s:I, s:I, s:I, s:I, s:I, s:I}", "account", hex, "scope",
                     scope, "kek", kek_of(v, hex), "aeks", aeks, "files", (json_int_t)a->files,
                     "blocks", (json_int_t)a->blocks, "opened", (json_int_t)a->opened, "bytes",
                     (json_int_t)a->bytes, "damaged", (json_int_t)a->damaged, "bytesWithoutKey",
                     (json_int_t)a->bytes_without_key);
}

static enum err print_json(const struct verifying *v, const struct verify_report *r, struct diag *d)
{
    CLEANUP_JSON json_t *accounts = json_array(), *damages = json_array();
    for (uint32_t i = 0; i < r->n_accounts; i++)
        json_array_append_new(accounts, account_json(v, &r->accounts[i]));
    for (uint32_t i = 0; i < r->n_damages; i++) {
        json_array_append_new(damages, json_pack("{s:s, s:s}", "file", r->damages[i].file, "text",
                                                 r->damages[i].text));
    }
    CLEANUP_JSON json_t *all =
        json_pack("{s:O, s:O, s:O, s:I, s:I, s:I, s:I, s:I}", "accounts", accounts, "files",
                  v->files, "damages", damages, "blocks", (json_int_t)r->blocks, "opened",
                  (json_int_t)r->opened, "frames", (json_int_t)r->frames, "bytes",
                  (json_int_t)r->bytes, "bytesWithoutKey", (json_int_t)r->bytes_without_key);
    CLEANUP_BUF struct buf text = {0};
    if (all == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(json_write(all, &text, d));
    puts(buf_cstr(&text));
    return OK;
}

static void print_aek(const struct verifying *v, const char *account, const struct verify_aek *x)
{
    char aek[33], iek[33];
    hex_encode(bytes_of(x->aek_id, 16), aek);
    hex_encode(bytes_of(x->iek_id, 16), iek);
    printf("      %" PRIu64 " blocks, %" PRIu64 " bytes under AEK %.8s, KEK %s", x->blocks,
           x->bytes, aek, v->no_keys ? "not asked for" : kek_of_aek(v, account, aek));
    if (x->is_framed) printf(", second layer IEK %.8s", iek);
    puts("");
}

static void print_totals(const struct verifying *v, const struct verify_report *r)
{
    puts("");
    for (uint32_t i = 0; i < r->n_accounts; i++) {
        const struct verify_account *a = &r->accounts[i];
        char hex[33];
        const char *scope = account_name(v, a->account, hex);
        printf("   account %.8s of %s: %" PRIu64 " blocks, %" PRIu64 " bytes in %" PRIu64
               " files\n",
               hex, scope, a->blocks, a->bytes, a->files);
        for (uint32_t k = 0; k < a->n_aeks; k++)
            print_aek(v, hex, &a->aeks[k]);
    }
    for (uint32_t i = 0; i < r->n_damages; i++)
        printf("   DAMAGE %s: %s\n", r->damages[i].file, r->damages[i].text);
    printf(
        "   %" PRIu64 " blocks, %" PRIu64 " opened, %" PRIu64 " sealed twice, %" PRIu64
        " catalog entries, %" PRIu64 " bytes; %u damaged files; %" PRIu64 " bytes without a key\n",
        r->blocks, r->opened, r->frames, r->entries, r->bytes, r->n_damages, r->bytes_without_key);
}

/* --- the command
 * ------------------------------------------------------------------------------------------- */

static enum err verify(struct verifying *v, int *code, struct diag *d)
{
    CLEANUP_FREE char *path = os_path(v->data, "catalog.db");
    if (!os_exists(path))
        return FAIL(d, ERR_NOT_FOUND, "%s is not the data directory of a server", v->data);
    TRY(catalog_open_sqlite(&v->catalog, path, d));
    TRY(v->catalog->ops->list(v->catalog, NULL, "account", NULL, NULL, take_account, v, d));
    struct keys keys;
    if (!v->no_keys) TRY(get_keys(v, &keys, d));
    struct verify_options o = {.dir = v->data,
                               .catalog = v->catalog,
                               .keys = v->no_keys ? NULL : &keys,
                               .on_file = on_file,
                               .on_progress = on_progress,
                               .ctx = v};
    memcpy(o.platform_account, v->platform_account, 16);
    struct verify_report r = {0};
    enum err e = verify_store(&o, &r, d);
    if (e == OK && v->json) e = print_json(v, &r, d);
    if (e == OK && !v->json) print_totals(v, &r);
    if (e == OK)
        *code = r.n_damages != 0                          ? EXIT_DAMAGE
                : !v->no_keys && r.bytes_without_key != 0 ? EXIT_NO_KEYS
                                                          : EXIT_OK;
    verify_report_release(&r);
    return e;
}

int command_verify(int argc, char **argv, struct diag *d)
{
    const char *format = "table";
    struct verifying v = {0};
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory; its server may run or not",
         .text = &v.data},
        {.name = "no-keys", .help = "check headers, lengths and SHA-256 only", .flag = &v.no_keys},
        {.name = "infrastructure-key",
         .value = "FILE",
         .help = "as given to keystead up; for a server that does not run",
         .text = &v.trio_options.infrastructure_key},
        HSM_OPTS(&v.trio_options.hsm),
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "table or json (table)",
         .text = &format},
    };
    const struct opt_command c = {.usage = "keystead verify --data DIR [--no-keys] [options]",
                                  .about =
                                      "Opens every block, footer and manifest entry of a store and "
                                      "says what is sealed under which key. Changes\n"
                                      "nothing. Exit status: 0 good, 2 usage, 3 damage, 4 keys are "
                                      "missing for some of the data.",
                                  .opts = opts,
                                  .n_opts = sizeof opts / sizeof opts[0]};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    v.json = str_eq(format, "json");
    if (v.data == NULL || (!v.json && !str_eq(format, "table"))) {
        (void)FAIL(d, ERR_INVALID, "usage: %s", c.usage);
        return EXIT_USAGE;
    }
    log_set_process("verify");
    log_set_level(LOG_ERROR); /* the report says all the rest */
    v.accounts = json_object();
    v.files = json_array();
    int code = EXIT_FAILED;
    enum err e = verify(&v, &code, d);
    reader_free(v.reader);
    trio_stop(v.trio);
    if (v.catalog != NULL) v.catalog->ops->close(v.catalog);
    json_decref(v.accounts);
    json_decref(v.files);
    return e == OK ? code : exit_of(e);
}
