/* SPDX-License-Identifier: Apache-2.0 */
/* server/datadir.c - the lock, the clock file and credentials.json of a data directory */
#include "server/datadir.h"

#include "base/os.h"
#include "base/str.h"
#include "base/time.h"
#include "json/json.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum err datadir_open(struct datadir *out, const char *path, struct diag *d)
{
    TRY(os_mkdir(path, d));
    CLEANUP_FREE char *real = realpath(path, NULL);
    if (real == NULL) return FAIL(d, ERR_IO, "%s: %s", path, strerror(errno));
    if (strlen(real) > DATADIR_PATH_MAX) {
        return FAIL(d, ERR_LIMIT, "the path of the data directory is longer than %d bytes",
                    DATADIR_PATH_MAX);
    }
    CLEANUP_FREE char *lock = os_path(real, "lock");
    CLEANUP_FD int fd = SYS(open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "%s: %s", lock, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return FAIL(d, ERR_CONFLICT, "%s is in use: another keystead runs on it", real);
    }
    *out = (struct datadir){.path = TAKE(real), .lock_fd = fd};
    fd = -1;
    return OK;
}

void datadir_release(struct datadir *dd)
{
    if (dd->path == NULL) return;
    close(dd->lock_fd);
    free(dd->path);
    *dd = (struct datadir){.lock_fd = -1};
}

char *datadir_path(const struct datadir *dd, const char *name)
{
    return os_path(dd->path, name);
}

enum err datadir_clock(const struct datadir *dd, bool want_virtual, struct diag *d)
{
    CLEANUP_FREE char *clock = datadir_path(dd, "clock");
    CLEANUP_FREE char *credentials = datadir_path(dd, "credentials.json");
    bool has_clock = os_exists(clock), is_new = !os_exists(credentials);
    if (want_virtual && !has_clock && !is_new) {
        return FAIL(d, ERR_CONFLICT, "%s was made without --virtual-clock: its times are real", dd->path);
    }
    if (!want_virtual && has_clock) {
        return FAIL(d, ERR_CONFLICT, "%s was made with --virtual-clock: its times are only true with it",
                    dd->path);
    }
    return want_virtual ? clock_open(clock, !has_clock, d) : OK;
}

enum err credentials_write(const struct datadir *dd, const struct credentials *c, struct diag *d)
{
    const struct identity_founder *f = &c->founder;
    CLEANUP_JSON json_t *j = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "tenantId", f->tenant_id, "clientId",
        f->client_id, "clientSecret", f->client_secret, "objectId", f->object_id, "subscriptionId",
        f->subscription_id, "platformObjectId", f->platform_object_id, "endpoint", c->endpoint,
        "vaultSuffix", c->vault_suffix, "caFile", c->ca_file);
    if (j == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_BUF struct buf text = {0};
    TRY(json_write(j, &text, d));
    buf_u8(&text, '\n');
    TRY(buf_check(&text, d));
    CLEANUP_FREE char *path = datadir_path(dd, "credentials.json");
    return os_replace(path, buf_view(&text), d);
}

static enum err take(const json_t *j, const char *name, char *to, size_t size, struct diag *d)
{
    const char *v = json_get_str(j, name);
    if (v == NULL || strlen(v) >= size) {
        return FAIL(d, ERR_CORRUPT, "credentials.json: %s is missing or too long", name);
    }
    memcpy(to, v, strlen(v) + 1);
    return OK;
}

enum err credentials_read(const struct datadir *dd, struct credentials *out, struct diag *d)
{
    CLEANUP_FREE char *path = datadir_path(dd, "credentials.json");
    CLEANUP_BUF struct buf text = {0};
    TRY(os_read_file(path, 64 << 10, &text, d));
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(buf_view(&text), &j, d));
    struct credentials c = {0};
    struct identity_founder *f = &c.founder;
    TRY(take(j, "tenantId", f->tenant_id, sizeof f->tenant_id, d));
    TRY(take(j, "clientId", f->client_id, sizeof f->client_id, d));
    TRY(take(j, "clientSecret", f->client_secret, sizeof f->client_secret, d));
    TRY(take(j, "objectId", f->object_id, sizeof f->object_id, d));
    TRY(take(j, "subscriptionId", f->subscription_id, sizeof f->subscription_id, d));
    TRY(take(j, "platformObjectId", f->platform_object_id, sizeof f->platform_object_id, d));
    TRY(take(j, "endpoint", c.endpoint, sizeof c.endpoint, d));
    TRY(take(j, "vaultSuffix", c.vault_suffix, sizeof c.vault_suffix, d));
    TRY(take(j, "caFile", c.ca_file, sizeof c.ca_file, d));
    *out = c;
    return OK;
}
