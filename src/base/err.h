/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/err.h - how a call fails: one enum for programs, one sentence for people
 *
 * `enum err` is [[nodiscard]]: a call whose result is dropped does not compile; a deliberate (void)
 * can be grepped. Out parameters are set only on OK.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

enum [[nodiscard]] err{
    OK = 0,
    ERR_INVALID,     /* the caller's input is wrong; the sentence says what and where */
    ERR_LIMIT,       /* a limit was hit; the sentence names it */
    ERR_NOT_FOUND,   /* no such object */
    ERR_CONFLICT,    /* the object is there already, or in a state that forbids this */
    ERR_DENIED,      /* the caller may not, or the vault answered no */
    ERR_UNAVAILABLE, /* no answer now; trying again may help */
    ERR_KEY_LOCKED,  /* the customer has withdrawn the key */
    ERR_CORRUPT,     /* bytes are not what was written */
    ERR_IO,          /* the disk or the kernel refused */
    ERR_UNSUPPORTED, /* known, but not built: refused by name */
    ERR_CANCELLED,   /* stopped on request */
    ERR_INTERNAL,    /* our own mistake */
};

const char *err_name(enum err e); /* "corrupt": for logs */

#define DIAG_TEXT_MAX 1024 /* bytes, with the terminating zero */
#define DIAG_TAG_MAX  64

struct diag {
    enum err code;
    char text[DIAG_TEXT_MAX]; /* lower case, no full stop, names the object and the limit */
    char tag[DIAG_TAG_MAX];   /* optional machine code of an API, e.g. "SEM0100", "KeyDisabled" */
    int32_t pos;              /* offset in the text that was read, -1 = none */
    const char *file;         /* where it was found */
    int line;
};

#define DIAG_INIT \
    {             \
        .pos = -1 \
    }

/*
 * Fails with a message. The first failure wins: a message already in d is kept. d may be NULL. The
 * value is the code itself and not a function's result, so that compilers and analyzers see that it
 * is not OK.
 */
#define FAIL(d, code, ...) FAIL_TAG((d), (code), "", __VA_ARGS__)

/* As FAIL, with the machine code that an API documents for this failure. */
#define FAIL_TAG(d, code, tag, ...)                                         \
    ({                                                                      \
        const enum err fail_code_ = (code);                                 \
        diag_fail((d), fail_code_, (tag), __FILE__, __LINE__, __VA_ARGS__); \
        fail_code_;                                                         \
    })

void diag_fail(struct diag *d, enum err code, const char *tag, const char *file, int line,
               const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void diag_reset(struct diag *d);

/* Returns the callee's failure. The only macro in the tree that hides a return. */
#define TRY(call)                    \
    do {                             \
        enum err try_ = (call);      \
        if (try_ != OK) return try_; \
    } while (0)

/*
 * Cleanup is declared where the thing is made: CLEANUP(x_free) struct x *x = ...; and TAKE(x) hands
 * it over on the one path on which it outlives the function.
 */
#define DEFINE_CLEANUP(fn, type)               \
    static inline void fn##_cleanup_(type **p) \
    {                                          \
        fn(*p);                                \
    }
#define CLEANUP(fn)       __attribute__((cleanup(fn##_cleanup_)))
#define CLEANUP_LOCAL(fn) __attribute__((cleanup(fn))) /* fn takes the address: x_release() */
#define TAKE(p)                  \
    ({                           \
        __auto_type take_ = (p); \
        (p) = NULL;              \
        take_;                   \
    })

void cleanup_free(void *p); /* free(*(void **)p), for CLEANUP_FREE */
void cleanup_fd(int *fd);
#define CLEANUP_FREE __attribute__((cleanup(cleanup_free)))
#define CLEANUP_FD   __attribute__((cleanup(cleanup_fd)))
