/* SPDX-License-Identifier: Apache-2.0 */
/* func/re2_shim.cc - the only file that sees RE2 */
#include "func/re2_shim.h"

#include <re2/re2.h>

#include <cstdio>
#include <new>
#include <string>

#define MEMORY_MAX ((int64_t)32 << 20) /* bytes of one compiled form and its automata */
#define SPANS_MAX  17

struct re2_form {
    re2::RE2 re;
    re2_form(re2::StringPiece pattern, const re2::RE2::Options &options) : re(pattern, options) {}
};

struct re2_form *re2_form_new(const char *pattern, size_t len, char *error, size_t error_size)
{
    try {
        re2::RE2::Options options;
        options.set_log_errors(false);
        options.set_max_mem(MEMORY_MAX);
        auto *f = new re2_form(re2::StringPiece(pattern, len), options);
        if (f->re.ok()) return f;
        snprintf(error, error_size, "%s", f->re.error().c_str());
        delete f;
    } catch (const std::exception &) {
        snprintf(error, error_size, "out of memory");
    }
    return nullptr;
}

void re2_form_free(struct re2_form *f)
{
    delete f;
}

int re2_form_groups(const struct re2_form *f)
{
    return f->re.NumberOfCapturingGroups();
}

int re2_form_named(const struct re2_form *f, const char *name, size_t len)
{
    const auto &names = f->re.NamedCapturingGroups();
    auto found = names.find(std::string(name, len));
    return found == names.end() ? -1 : found->second;
}

bool re2_form_match(const struct re2_form *f, const char *text, size_t len, size_t from,
                    struct re2_span *spans, int n_spans)
{
    re2::StringPiece found[SPANS_MAX];
    if (n_spans > SPANS_MAX) n_spans = SPANS_MAX;
    re2::StringPiece whole(len != 0 ? text : "", len);
    if (from > len || !f->re.Match(whole, from, len, re2::RE2::UNANCHORED, found, n_spans))
        return false;
    for (int i = 0; i < n_spans; i++)
        spans[i] = {found[i].data(), found[i].size()};
    return true;
}
