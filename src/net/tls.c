/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/tls.c - a private CA and the server certificate it signs
 *
 * (1) A key is written before its certificate: a certificate on disk always has its key.
 * (2) An existing ca.pem is never replaced: clients trust it. Without ca.key it cannot sign, and
 * only a new server certificate needs that; who keeps ca.key elsewhere loses nothing until then.
 */
#include "net/tls.h"

#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/time.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CA_YEARS       10
#define SERVER_YEARS   2
#define RENEW_BEFORE_S (30L * 24 * 3600)
#define CA_WARN_US     (90 * 86400 * US_PER_S)
#define BACKDATED_S    3600L             /* clients' clocks may be a little behind */
#define PEM_MAX        ((size_t)1 << 20) /* bytes */

DEFINE_CLEANUP(X509_free, X509)
DEFINE_CLEANUP(EVP_PKEY_free, EVP_PKEY)
DEFINE_CLEANUP(BIO_free_all, BIO)
DEFINE_CLEANUP(GENERAL_NAMES_free, GENERAL_NAMES)

static enum err openssl_failed(const char *what, struct diag *d)
{
    char reason[160];
    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    ERR_clear_error();
    return FAIL(d, ERR_INTERNAL, "%s: %s", what, reason);
}

/* --- PEM files -------------------------------------------------------------------------------- */

static enum err load_bio(const char *path, BIO **out, struct diag *d)
{
    CLEANUP_BUF struct buf pem = {0};
    TRY(os_read_file(path, PEM_MAX, &pem, d));
    BIO *b = BIO_new(BIO_s_mem());
    if (b == NULL || BIO_write(b, pem.p, (int)pem.len) != (int)pem.len) {
        BIO_free_all(b);
        return openssl_failed(path, d);
    }
    *out = b;
    return OK;
}

static enum err load_cert(const char *path, X509 **out, struct diag *d)
{
    CLEANUP(BIO_free_all) BIO *b = NULL;
    TRY(load_bio(path, &b, d));
    *out = PEM_read_bio_X509(b, NULL, NULL, NULL);
    if (*out != NULL) return OK;
    ERR_clear_error();
    return FAIL(d, ERR_CORRUPT, "%s holds no certificate", path);
}

static enum err load_key(const char *path, EVP_PKEY **out, struct diag *d)
{
    CLEANUP(BIO_free_all) BIO *b = NULL;
    TRY(load_bio(path, &b, d));
    *out = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    if (*out != NULL) return OK;
    ERR_clear_error();
    return FAIL(d, ERR_CORRUPT, "%s holds no private key", path);
}

static enum err store_bio(const char *path, BIO *b, struct diag *d)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);
    if (n <= 0) return openssl_failed(path, d);
    enum err e = os_replace(path, bytes_of(p, (size_t)n), d);
    OPENSSL_cleanse(p, (size_t)n);
    return e;
}

static enum err store_certs(const char *path, X509 *first, X509 *second, struct diag *d)
{
    CLEANUP(BIO_free_all) BIO *b = BIO_new(BIO_s_mem());
    if (b == NULL || !PEM_write_bio_X509(b, first) ||
        (second != NULL && !PEM_write_bio_X509(b, second))) {
        return openssl_failed(path, d);
    }
    return store_bio(path, b, d);
}

static enum err store_key(const char *path, EVP_PKEY *key, struct diag *d)
{
    CLEANUP(BIO_free_all) BIO *b = BIO_new(BIO_s_mem());
    if (b == NULL || !PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL)) {
        return openssl_failed(path, d);
    }
    return store_bio(path, b, d);
}

/* --- making certificates ---------------------------------------------------------------------- */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = ext != NULL && X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    return good;
}

/* 128 random bits; the top one clear and the next one set keep it positive and of one length. */
static bool set_serial(X509 *cert)
{
    uint8_t bytes[16];
    rand_bytes(bytes, sizeof bytes);
    bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool good = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return good;
}

/* The times are the kernel's: TLS does not follow a virtual clock. */
static bool set_basics(X509 *cert, X509 *issuer, EVP_PKEY *key, const char *name, long years)
{
    time_t now = (time_t)(time_kernel_us() / US_PER_S);
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
           X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const uint8_t *)"Keystead", -1,
                                      -1, 0) &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1,
                                      0) &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
           X509_time_adj_ex(X509_getm_notBefore(cert), 0, -BACKDATED_S, &now) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), (int)(years * 365), 0, &now) != NULL &&
           X509_set_pubkey(cert, key);
}

static enum err make_ca(EVP_PKEY *key, X509 **out, struct diag *d)
{
    CLEANUP(X509_free) X509 *ca = X509_new();
    uint8_t id[4];
    char hex[9], name[32];
    rand_bytes(id, sizeof id); /* two data directories must not share a subject */
    hex_encode(BYTES_OF(id), hex);
    snprintf(name, sizeof name, "Keystead CA %s", hex);
    if (ca == NULL || !set_basics(ca, ca, key, name, CA_YEARS) ||
        !add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(ca, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(ca, ca, NID_authority_key_identifier, "keyid:always") ||
        X509_sign(ca, key, EVP_sha256()) == 0) {
        return openssl_failed("making the CA certificate", d);
    }
    *out = TAKE(ca);
    return OK;
}

static bool is_ip(const char *name, uint8_t ip[16], int *len)
{
    *len = inet_pton(AF_INET, name, ip) == 1 ? 4 : inet_pton(AF_INET6, name, ip) == 1 ? 16 : 0;
    return *len != 0;
}

/* Not as one string for X509V3_EXT_conf: a comma in a name would start another. */
static bool add_name(GENERAL_NAMES *all, const char *name)
{
    uint8_t ip[16];
    int len = 0;
    bool numeric = is_ip(name, ip, &len);
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_STRING *text = numeric ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool good = one != NULL && text != NULL &&
                ASN1_STRING_set(text, numeric ? (const void *)ip : name, numeric ? len : -1);
    if (good) {
        GENERAL_NAME_set0_value(one, numeric ? GEN_IPADD : GEN_DNS, text);
        text = NULL;
        good = sk_GENERAL_NAME_push(all, one) > 0;
    }
    ASN1_STRING_free(text);
    if (!good) GENERAL_NAME_free(one);
    return good;
}

static bool add_names(X509 *cert, const char *const *names)
{
    CLEANUP(GENERAL_NAMES_free) GENERAL_NAMES *all = GENERAL_NAMES_new();
    bool good = all != NULL;
    for (; good && *names != NULL; names++)
        good = add_name(all, *names);
    return good && X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0) == 1;
}

static enum err make_server(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key, const char *const *names,
                            X509 **out, struct diag *d)
{
    CLEANUP(X509_free) X509 *cert = X509_new();
    if (cert == NULL || !set_basics(cert, ca, key, names[0], SERVER_YEARS) ||
        !add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, ca, NID_ext_key_usage, "serverAuth") ||
        !add_extension(cert, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(cert, ca, NID_authority_key_identifier, "keyid:always") ||
        !add_names(cert, names) || X509_sign(cert, ca_key, EVP_sha256()) == 0) {
        return openssl_failed("making the server certificate", d);
    }
    *out = TAKE(cert);
    return OK;
}

/* --- what is there already
 * ------------------------------------------------------------------------ */

static bool has_name(X509 *cert, const char *name)
{
    uint8_t ip[16];
    int len = 0;
    CLEANUP(GENERAL_NAMES_free)
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool numeric = is_ip(name, ip, &len);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        if (one->type != (numeric ? GEN_IPADD : GEN_DNS)) continue;
        const ASN1_STRING *s = numeric ? one->d.iPAddress : one->d.dNSName;
        struct bytes have = bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
        struct bytes want = numeric ? bytes_of(ip, (size_t)len) : bytes_str(name);
        if (bytes_eq(have, want)) return true;
    }
    return false;
}

static bool ends_soon(X509 *cert)
{
    time_t then = (time_t)(time_kernel_us() / US_PER_S) + RENEW_BEFORE_S;
    return X509_cmp_time(X509_get0_notAfter(cert), &then) <= 0;
}

/* NULL: it serves. Else why it does not. */
static const char *what_is_wrong(const char *cert_path, const char *key_path, X509 *ca,
                                 const char *const *names)
{
    CLEANUP(X509_free) X509 *cert = NULL;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *key = NULL;
    if (!os_exists(cert_path) || !os_exists(key_path)) return "missing";
    if (load_cert(cert_path, &cert, NULL) != OK || load_key(key_path, &key, NULL) != OK) {
        return "unreadable";
    }
    bool paired =
        X509_check_private_key(cert, key) == 1 && X509_verify(cert, X509_get0_pubkey(ca)) == 1;
    ERR_clear_error();
    if (!paired) return "not of this CA and key";
    if (ends_soon(cert)) return "ends soon";
    for (; *names != NULL; names++) {
        if (!has_name(cert, *names)) return "lacks a name";
    }
    return NULL;
}

/* --- the files
 * ------------------------------------------------------------------------------------ */

struct paths {
    char *ca_cert, *ca_key, *cert, *key;
};

static void paths_release(struct paths *p)
{
    free(p->ca_cert);
    free(p->ca_key);
    free(p->cert);
    free(p->key);
}

static enum err paths_init(struct paths *p, const char *dir, struct diag *d)
{
    p->ca_cert = os_path(dir, "ca.pem");
    p->ca_key = os_path(dir, "ca.key");
    p->cert = os_path(dir, "server.pem");
    p->key = os_path(dir, "server.key");
    bool good = p->ca_cert != NULL && p->ca_key != NULL && p->cert != NULL && p->key != NULL;
    return good ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

static enum err new_key(EVP_PKEY **out, struct diag *d)
{
    *out = EVP_EC_gen("P-256");
    return *out != NULL ? OK : openssl_failed("making an EC key", d);
}

static enum err ensure_ca(const struct paths *p, X509 **out, struct diag *d)
{
    if (os_exists(p->ca_cert)) return load_cert(p->ca_cert, out, d); /* (2) */
    CLEANUP(EVP_PKEY_free) EVP_PKEY *key = NULL;
    CLEANUP(X509_free) X509 *ca = NULL;
    TRY(new_key(&key, d));
    TRY(make_ca(key, &ca, d));
    TRY(store_key(p->ca_key, key, d)); /* (1) */
    TRY(store_certs(p->ca_cert, ca, NULL, d));
    *out = TAKE(ca);
    return OK;
}

static enum err renew_server(const struct paths *p, X509 *ca, const char *const *names,
                             struct diag *d)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *ca_key = NULL, *key = NULL;
    CLEANUP(X509_free) X509 *cert = NULL;
    if (!os_exists(p->ca_key)) {
        return FAIL(d, ERR_NOT_FOUND, "a new server certificate is due, but %s is not there",
                    p->ca_key);
    }
    TRY(load_key(p->ca_key, &ca_key, d));
    if (X509_check_private_key(ca, ca_key) != 1) {
        ERR_clear_error();
        return FAIL(d, ERR_CORRUPT, "%s is not the key of %s", p->ca_key, p->ca_cert);
    }
    TRY(new_key(&key, d));
    TRY(make_server(ca, ca_key, key, names, &cert, d));
    TRY(store_key(p->key, key, d)); /* (1) */
    return store_certs(p->cert, cert, ca, d);
}

static enum err end_of(X509 *cert, int64_t *end_us, struct diag *d)
{
    struct tm tm = {0};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1) {
        return openssl_failed("reading a certificate's end", d);
    }
    *end_us = (int64_t)timegm(&tm) * US_PER_S;
    return OK;
}

enum err tls_certificate_end(const char *path, int64_t *end_us, struct diag *d)
{
    CLEANUP(X509_free) X509 *cert = NULL;
    TRY(load_cert(path, &cert, d));
    return end_of(cert, end_us, d);
}

static void warn_of_ca(X509 *ca)
{
    int64_t end_us = 0;
    if (end_of(ca, &end_us, NULL) != OK || end_us - time_kernel_us() > CA_WARN_US) return;
    LOG(WARN, "tls.ca_ends_soon", F_I64("days", (end_us - time_kernel_us()) / (86400 * US_PER_S)));
}

enum err tls_ensure_files(const char *dir, const char *const *names, struct diag *d)
{
    CLEANUP_LOCAL(paths_release) struct paths p = {0};
    CLEANUP(X509_free) X509 *ca = NULL;
    if (names[0] == NULL) return FAIL(d, ERR_INVALID, "a server certificate needs a name");
    TRY(os_mkdir(dir, d));
    TRY(paths_init(&p, dir, d));
    TRY(ensure_ca(&p, &ca, d));
    warn_of_ca(ca);
    const char *wrong = what_is_wrong(p.cert, p.key, ca, names);
    if (wrong == NULL) return OK;
    TRY(renew_server(&p, ca, names, d));
    LOG(INFO, "tls.certificate_made", F_STR("name", names[0]), F_STR("because", wrong));
    return OK;
}
