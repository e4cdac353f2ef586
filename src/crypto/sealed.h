/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/sealed.h - sealed blocks and files, suite 0x0001, byte by byte as in keys.md
 *
 * File header, 128 bytes, plain:
 *
 *      0 "KSTF"   4 version=1   5 otype   6 suite16   8 account[16]   24 aek_id[16]
 *     40 file_id[16]   56 file_salt[32]   88 file_commit[32]   120 zero[8]
 *
 * Block: 96-byte header (all of it additional data), ciphertext of AES-256-GCM, 16-byte tag:
 *
 *      0 "KSTB"   4 version=1   5 btype   6 suite16   8 account[16]   24 aek_id[16]
 *     40 file_id[16]   56 block_no64   64 len32 (1..16 MiB)   68 zero32   72 block_salt[24]
 *
 * Outer frame of the second layer: 80-byte header, all of it additional data; the ciphertext of
 * ChaCha20-Poly1305 over one sealed block, its header included; 16-byte tag:
 *
 *      0 "KSTO"   4 version=1   5 zero8   6 suite16   8 iek_id[16]   24 file_id[16]
 *     40 frame_no64 = block_no64   48 len32   52 zero32   56 frame_salt[24]
 *
 * A file's blocks are all framed or none is: its key says which, and block_open() refuses the
 * other.
 *
 * Known answers: tests/data/suite0001.json. Numbers of types: docs/formats/sealed.md; never reused.
 */
#pragma once

#include "crypto/hash.h"

#define SUITE_0001       0x0001
#define SUITE_OUTER_0101 0x0101
#define FILE_HEADER_LEN  128
#define BLOCK_HEADER_LEN 96
#define BLOCK_TAG_LEN    16
#define BLOCK_OVERHEAD   (BLOCK_HEADER_LEN + BLOCK_TAG_LEN)
#define BLOCK_LEN_MAX    ((uint32_t)16 << 20) /* bytes of plaintext */
#define OUTER_HEADER_LEN 80
#define OUTER_OVERHEAD   (OUTER_HEADER_LEN + 16)
#define IEK_LEN          32
#define AEK_LEN          32
#define FILE_KEY_LEN     64

/* What a file is. */
enum otype {
    OTYPE_SEGMENT = 1,
    OTYPE_WAL = 2,
    OTYPE_SPOOL = 3,
    OTYPE_CATALOG = 4,
    OTYPE_STATE = 5, /* rows of the sealed key-value store: identity, vault */
};

/* What a block is. */
enum btype {
    BTYPE_DATA = 1,
    BTYPE_WAL = 2,
    BTYPE_META = 3,   /* a segment's schema, row groups and statistics */
    BTYPE_FOOTER = 4, /* the list of all blocks before it */
    BTYPE_ENTRY = 5,  /* a catalog entry */
    BTYPE_STATE = 6,
};

struct file_ident { /* what a file header says */
    uint8_t otype;
    uint16_t suite;
    uint8_t account[16], aek_id[16], file_id[16], file_salt[32], file_commit[32];
};

void file_header_encode(const struct file_ident *f, uint8_t out[FILE_HEADER_LEN]);
enum err file_header_decode(struct bytes in, struct file_ident *out, struct diag *d);

/* aek_commit of keys.md. ERR_INVALID when the AEK is not exactly 32 bytes: HMAC would pad it
 * silently. */
enum err aek_commitment(const struct secret *aek, uint16_t suite, const uint8_t account[16],
                        const uint8_t aek_id[16], uint32_t gen, uint8_t out[32], struct diag *d);

/*
 * keyd's side: derives the file key from the AEK. For a new file (is_new) it fills f->file_commit;
 * for an old one it compares in constant time: ERR_CORRUPT, and no key, when this AEK did not make
 * this file.
 */
enum err file_key_derive(const struct secret *aek, struct file_ident *f, bool is_new,
                         struct secret **out, struct diag *d);

/* The holder's side: a file key ready for use, with its HMAC state and cipher contexts kept. Any
 * number of threads may seal and open with it at once. */
struct file_key;
enum err file_key_new(struct file_key **out, const struct file_ident *f, struct bytes key,
                      struct diag *d);
void file_key_free(struct file_key *k); /* wipes */
/* Takes the key away from those who hold it: returns when no call is using it any more and its
 * bytes are wiped; from then on every block_seal() and block_open() with it fails with `why`. The
 * first reason stays. Any thread, any time before file_key_free(). */
void file_key_wipe(struct file_key *k, enum err why);
const struct file_ident *file_key_ident(const struct file_key *k);

/* Every block of this file is framed from now on: block_seal() seals twice, block_open() opens both
 * and takes nothing else. Takes outer, which is wiped with the key. Before k is shared. */
struct outer_key;
void file_key_double(struct file_key *k, struct outer_key *outer);
/* What sealing adds to a plaintext. */
size_t file_key_overhead(const struct file_key *k);
/* What all blocks of the type in this file begin with, up to their number: to search for them.
 * Nothing when the key is gone. */
#define SEALED_NEEDLE_MAX 56
struct bytes file_key_needle(struct file_key *k, enum btype btype, uint8_t out[SEALED_NEEDLE_MAX]);
/* Which keys of one spool are wanted: those of its files, then, if new_file_id is not NULL, that of
 * a new one. record: the wrap of its AEK, as it was given when the spool was made. */
struct spool_ask {
    uint8_t account[16];
    struct bytes record;
    const struct file_ident *files;
    uint32_t n_files;
    const uint8_t *new_file_id;
};

/* Appends one sealed block to out. The caller never uses a block_no twice with one key. */
enum err block_seal(struct file_key *k, enum btype btype, uint64_t block_no, struct bytes plain,
                    struct buf *out, struct diag *d);

/*
 * Opens exactly one block that fills `sealed`; appends the plaintext to out only after the tag is
 * good. All failures read the same to users (ERR_CORRUPT "block cannot be opened"); the exact
 * reason is logged.
 */
enum err block_open(struct file_key *k, enum btype btype, uint64_t block_no, struct bytes sealed,
                    struct buf *out, struct diag *d);

/* As block_open(), but of any type: *btype is what the opened block says. For verify. */
enum err block_open_any(struct file_key *k, uint64_t block_no, struct bytes sealed,
                        enum btype *btype, struct buf *out, struct diag *d);

/* What a block header claims, before any key is at hand: for verify, recovery and scanning. */
struct block_header {
    uint8_t btype;
    uint16_t suite;
    uint8_t account[16], aek_id[16], file_id[16];
    uint64_t block_no;
    uint32_t len;
};
enum err block_header_decode(struct bytes in, struct block_header *out, struct diag *d);

/* What the first bytes of a block or of a frame claim: where it ends, and which it is. */
struct sealed_head {
    bool is_framed;
    uint64_t no;
    size_t length; /* of all of it, header and tag included */
    uint8_t file_id[16];
    struct block_header block; /* not framed */
    uint8_t iek_id[16];        /* framed */
};
enum err sealed_head_decode(struct bytes in, struct sealed_head *out, struct diag *d);

/* --- second layer (keys.md "Second layer"): another algorithm, another key --- */

/* Tells a wrong key at once: X(IEK, "keystead/1 iek-commit" 00 | 0x0101 | iek_id, 32). ERR_INVALID
 * when the key is not exactly 32 bytes. */
enum err iek_commitment(const struct secret *iek, const uint8_t iek_id[16], uint8_t out[32],
                        struct diag *d);
enum err outer_file_key_derive(const struct secret *iek, const uint8_t iek_id[16],
                               const struct file_ident *f, struct secret **out, struct diag *d);
enum err outer_key_new(struct outer_key **out, const uint8_t iek_id[16], const struct file_ident *f,
                       struct bytes key, struct diag *d);
void outer_key_free(struct outer_key *k);
enum err outer_seal(struct outer_key *k, uint64_t frame_no, struct bytes block, struct buf *out,
                    struct diag *d);
enum err outer_open(struct outer_key *k, uint64_t frame_no, struct bytes frame, struct buf *out,
                    struct diag *d);

DEFINE_CLEANUP(file_key_free, struct file_key)
DEFINE_CLEANUP(outer_key_free, struct outer_key)
