/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/memory.h - search the test's own memory for a secret that must be gone
 *
 * The secret is known by its mask alone, each byte XOR MEMORY_MASK, so that neither the test's text
 * nor the search itself is found. Tests that search stand in a file remains.c: it is linked with
 * the allocator that wipes (base/wipe_malloc.c), as the program is.
 */
#pragma once

#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_MASK 0x15

/* A sanitizer keeps what was freed, and its memory is too large to search. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_SEARCHED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_SEARCHED 0
#endif
#endif
#ifndef MEMORY_SEARCHED
#define MEMORY_SEARCHED 1
#endif

__attribute__((unused)) static void memory_reveal(char *out, const char *masked)
{
    for (size_t i = 0; masked[i] != 0; i++)
        out[i] = (char)(masked[i] ^ MEMORY_MASK);
}

__attribute__((unused)) static void memory_mask(uint8_t *out, const uint8_t *secret, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = secret[i] ^ MEMORY_MASK;
}

static size_t memory_count_in(const uint8_t *p, size_t n, const uint8_t *masked, size_t len)
{
    size_t found = 0;
    for (size_t i = 0; i + len <= n; i++) {
        const uint8_t *at = memchr(p + i, masked[0] ^ MEMORY_MASK, n - len + 1 - i);
        if (at == NULL) break;
        i = (size_t)(at - p);
        size_t k = 0;
        while (k < len && (at[k] ^ MEMORY_MASK) == masked[k])
            k++;
        found += k == len;
    }
    return found;
}

/* How often it stands in all memory that can be written, but for the buffer of the search. */
__attribute__((unused)) static size_t memory_count_bytes(const uint8_t *masked, size_t len)
{
    static uint8_t part[1 << 20];
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    REQUIRE(maps != NULL && mem >= 0);
    size_t found = 0;
    char line[512];
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from = 0, to = 0;
        char mode[8] = "";
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || strncmp(mode, "rw", 2) != 0)
            continue;
        for (unsigned long at = from; at < to;) {
            const unsigned long own = (unsigned long)part;
            if (at >= own && at < own + sizeof part) at = own + sizeof part;
            unsigned long end = to - at < sizeof part ? to : at + sizeof part;
            if (at < own && end > own) end = own;
            if (at >= end) break;
            ssize_t n = pread(mem, part, end - at, (off_t)at);
            if (n > 0) found += memory_count_in(part, (size_t)n, masked, len);
            explicit_bzero(part, sizeof part);
            at = n > (ssize_t)len && end != to && end != own ? end - len + 1 : end; /* overlaps */
        }
    }
    fclose(maps);
    close(mem);
    return found;
}

__attribute__((unused)) static size_t memory_count(const char *masked)
{
    return memory_count_bytes((const uint8_t *)masked, strlen(masked));
}
