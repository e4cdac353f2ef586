/* SPDX-License-Identifier: Apache-2.0 */
/* cli/walk_proof.c - steps 4 and 7: what the disk shows without the key, and what verify says with
 * it */
#include "cli/walk.h"

#include "base/os.h"
#include "cli/files.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

struct search {
    const struct walk *w;
    uint64_t files, bytes, hits;
};

static enum err search_file(void *ctx, const char *path, uint64_t size, struct diag *d)
{
    struct search *s = ctx;
    CLEANUP_BUF struct buf text = {0};
    enum err e = os_read_file(path, SIZE_MAX, &text, d);
    if (e == ERR_NOT_FOUND) {
        diag_reset(d); /* a temporary file that is gone by now */
        return OK;
    }
    TRY(e);
    (void)size;
    s->files++;
    s->bytes += text.len;
    for (unsigned i = 0; i < s->w->n_words; i++) {
        const char *word = s->w->words[i];
        if (memmem(text.p, text.len, word, strlen(word)) == NULL) continue;
        s->hits++;
        walk_note((struct walk *)s->w, "'%s' stands in %s", word, path);
    }
    return OK;
}

enum err walk_opacity(struct walk *w, struct diag *d)
{
    walk_step(w, "4. What a thief of the disk reads");
    struct search s = {.w = w};
    TRY(files_each(w->data, search_file, &s, d));
    CLEANUP_BUF struct buf words = {0};
    for (unsigned i = 0; i < w->n_words; i++)
        buf_fmt(&words, "%s\"%s\"", i != 0 ? ", " : "", w->words[i]);
    walk_note(w, "looked for %s", buf_cstr(&words));
    walk_done(w, "in every byte of %" PRIu64 " files, %" PRIu64 " bytes: %" PRIu64 " hits", s.files,
              s.bytes, s.hits);
    return s.hits == 0 ? OK : FAIL(d, ERR_CORRUPT, "plaintext of log rows lies on the disk");
}

enum err walk_verify(struct walk *w, struct diag *d)
{
    walk_step(w, "7. keystead verify: every block, and the key it is sealed under");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "keystead", "verify", "--data", w->data, (char *)NULL);
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return FAIL(d, ERR_IO, "verify could not be run");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    if (code != 0) return FAIL(d, ERR_CORRUPT, "verify ended with exit status %d", code);
    walk_done(w, "all blocks are whole");
    return OK;
}
