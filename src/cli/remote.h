/* SPDX-License-Identifier: Apache-2.0 */
/* cli/remote.h - what the commands that administer a server have in common; inside cli/ only */
#pragma once

#include "cli/session.h"

#define REMOTE_WORDS_MAX 4

/* "--data DIR" and "-o table|json", and the words after the command's name. */
struct remote {
    const char *data, *format;
    const char *words[REMOTE_WORDS_MAX];
    uint32_t n_words;
};

/* One JSON body there, one back; *out may be NULL. path is of the endpoint. */
enum err remote_call(struct session *s, const char *method, const char *path, const json_t *body,
                     json_t **out, struct diag *d);
/* Prints the objects of list as a table of these members, or as JSON. Lists within become
 * "a, b". */
enum err remote_table(const struct remote *r, const json_t *list, const char *const *members,
                      struct diag *d);
/* Prints one object: a line for each member, or JSON. */
enum err remote_object(const struct remote *r, const json_t *o, struct diag *d);
/* Appends "/word" with everything that a path could misread escaped. */
void remote_segment(struct buf *path, const char *word);
bool remote_format_is_good(const struct remote *r, struct diag *d);
