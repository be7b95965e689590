/* SPDX-License-Identifier: MIT */
/* key_file: private keys from files: COSE_Key or PEM. */
#include "base/hosted/detail.h"
#include "crypto/openssl_pem.h"
#include "edhoc/cose_key.h"
#include <nacre/edhoc_hosted.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 16384 };

static nacre_err check_file(int fd, const char *path, nacre_detail *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return nacre__fail(why, NACRE_ERR_FILE, "%s: not a regular file", path);
    if ((st.st_mode & 077) != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: others may read or write this private key; run chmod 600 on it",
                           path);
    if (st.st_uid != geteuid()) return nacre__fail(why, NACRE_ERR_FILE, "%s: belongs to another user", path);
    if (st.st_size > MAX_FILE) return nacre__fail(why, NACRE_ERR_FILE, "%s: longer than a private key is", path);
    return NACRE_OK;
}

static nacre_err read_all(int fd, uint8_t *bytes, size_t *len, const char *path, nacre_detail *why)
{
    *len = 0;
    while (*len < MAX_FILE) {
        ssize_t n = read(fd, bytes + *len, MAX_FILE - *len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: %s", path, strerror(errno));
        if (n == 0) break;
        *len += (size_t)n;
    }
    return NACRE_OK;
}

/* A private key whose public half, if it is in the file, is its own. */
static bool is_sound(const nacre_private_key *key, const nacre_public_key *stated)
{
    uint8_t x[NACRE_MAX_COORDINATE], y[NACRE_MAX_COORDINATE];
    size_t len = nacre_curve_len(key->curve);
    if (nacre_public_key_of(key, x, y) != NACRE_OK) return false;
    if (stated->x.len > 0 && memcmp(stated->x.ptr, x, len) != 0) return false;
    if (stated->y_form == NACRE_Y_ABSENT) return true;
    if (stated->y_form != NACRE_Y_WHOLE) return (y[len - 1] & 1) == (stated->y_form == NACRE_Y_ODD);
    return memcmp(stated->y.ptr, y, len) == 0;
}

static bool parse(nacre_key_file *file, nacre_bytes text)
{
    static const char pem[] = "-----BEGIN";
    nacre__cose_key key = { .kid = NACRE_ABSENT };
    nacre_public_key stated = { .curve = NACRE_CURVE_NONE };
    if (text.len >= sizeof pem - 1 && memcmp(text.ptr, pem, sizeof pem - 1) == 0) {
        if (!nacre__openssl_read_pem(&file->key.curve, file->bytes, text)) return false;
    } else {
        if (!nacre__read_cose_key(&key, text) || key.d.len == 0 || key.kid.len > sizeof file->kid_bytes) return false;
        file->key.curve = key.public_key.curve;
        memcpy(file->bytes, key.d.ptr, key.d.len);
        stated = key.public_key;
        if (!nacre_is_absent(key.kid)) {
            if (key.kid.len > 0) memcpy(file->kid_bytes, key.kid.ptr, key.kid.len);
            file->kid = nacre_bytes_of(file->kid_bytes, key.kid.len);
        }
    }
    file->key.secret.bytes = nacre_bytes_of(file->bytes, nacre_curve_len(file->key.curve));
    return is_sound(&file->key, &stated);
}

nacre_err nacre_key_file_load(nacre_key_file *file, const char *path, nacre_detail *why)
{
    nacre_key_file read = { .kid = NACRE_ABSENT };
    uint8_t *text = malloc(MAX_FILE);
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    nacre_err err = NACRE_OK;
    if (fd < 0) err = nacre__fail(why, NACRE_ERR_FILE, "%s: %s", path, strerror(errno));
    else if (text == NULL) err = nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    if (err == NACRE_OK) err = check_file(fd, path, why);
    if (err == NACRE_OK) err = read_all(fd, text, &len, path, why);
    if (err == NACRE_OK && !parse(&read, nacre_bytes_of(text, len)))
        err = nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS,
                          "%s: not a private key of P-256, P-384, X25519 or Ed25519, as a COSE_Key or in PEM", path);
    if (fd >= 0) (void)close(fd);
    if (text != NULL) nacre_wipe(text, len);
    free(text);
    if (err == NACRE_OK) {
        *file = read;
        file->key.secret.bytes.ptr = file->bytes;
        if (!nacre_is_absent(file->kid)) file->kid.ptr = file->kid_bytes;
    }
    nacre_wipe(&read, sizeof read);
    return err;
}

void nacre_key_file_wipe(nacre_key_file *file)
{
    nacre_wipe(file, sizeof *file);
}
