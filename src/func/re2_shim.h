/* SPDX-License-Identifier: Apache-2.0 */
/* func/re2_shim.h - RE2 for C: only what regex.c needs, in types that both languages know */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct re2_form;
struct re2_span {
    const char *p; /* NULL: the group took no part */
    size_t len;
};

/* NULL with the reason in error when RE2 does not take the pattern or memory is out. */
struct re2_form *re2_form_new(const char *pattern, size_t len, char *error, size_t error_size);
void re2_form_free(struct re2_form *f);
int re2_form_groups(const struct re2_form *f);
int re2_form_named(const struct re2_form *f, const char *name, size_t len); /* -1: no such group */
/* The first match at or after from; spans[0] is the whole. Any thread, at any time. */
bool re2_form_match(const struct re2_form *f, const char *text, size_t len, size_t from,
                    struct re2_span *spans, int n_spans);

#ifdef __cplusplus
}
#endif
