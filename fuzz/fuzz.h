/* SPDX-License-Identifier: MIT */
/* fuzz: shared by the fuzz targets. Each target states properties of the code it feeds with CHECK; the absence of
 * crashes is the least of them. Bytes and buffers are blocks of exactly their size, so that AddressSanitizer detects
 * each overrun. */
#ifndef NACRE_FUZZ_H
#define NACRE_FUZZ_H

#include <nacre/nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) fuzz_failed(#condition, __FILE__, __LINE__);                                                 \
    } while (0)
_Noreturn void fuzz_failed(const char *condition, const char *file, int line);

/* ---- Reading the input; what is missing reads as zero, or is shorter --------------------------------------------- */
typedef struct fuzz_input {
    const uint8_t *at, *end;
} fuzz_input;
uint8_t fuzz_u8(fuzz_input *in);
uint64_t fuzz_uint(fuzz_input *in, size_t num_bytes);
nacre_bytes fuzz_take(fuzz_input *in, size_t len); /* a separate block, never absent; fuzz_release frees it */
nacre_bytes fuzz_rest(fuzz_input *in);

/* ---- Memory that lives until the end of one input ---- */
void *fuzz_alloc(size_t len);
nacre_buf fuzz_buf(size_t cap);
bool fuzz_is_clean(nacre_buf buf); /* each byte is wiped or as fuzz_buf left it */
nacre_bytes fuzz_copy(nacre_bytes bytes);
void fuzz_release(void);

/* ---- Messages ---- */
bool fuzz_same(nacre_bytes a, nacre_bytes b);
bool fuzz_contains(nacre_bytes haystack, nacre_bytes needle);
bool fuzz_well_formed(nacre_bytes options);
/* Whether a and b have the same values for that number, in the same order. */
bool fuzz_same_values(nacre_bytes a, nacre_bytes b, uint16_t number);
/* Options that are only outer, all numbers of class U and not E; the OSCORE option is one. */
bool fuzz_outer_only(uint16_t number);
/* The expected result of unprotect: the inner options, and the outer-only ones that have no inner option of the same
 * number. */
void fuzz_check_merged(nacre_bytes merged, nacre_bytes inner, nacre_bytes outer);

/* ---- Contexts of RFC 8613 C.1 (`vector` 1) and C.3 (`vector` 3), unused in every call; made once ----------------- */
typedef struct fuzz_pair {
    nacre_context client, server;
} fuzz_pair;
extern const uint8_t fuzz_echo[NACRE_ECHO_LEN]; /* of both servers */
const nacre_crypto *fuzz_crypto(void);
fuzz_pair fuzz_contexts(int vector);
/* True if a and b differ at most in the counter of failed decryptions. */
bool fuzz_unchanged(const nacre_context *before, const nacre_context *after);

/* A protected message made without the code under test: `plaintext` encrypted by `maker`, with `piv` in the nonce as
 * made by `maker_id`, in an outer message with `outer` options, among them the OSCORE option's value. */
typedef struct fuzz_sealed {
    nacre_message message;
    nacre_bytes datagram;
} fuzz_sealed;
fuzz_sealed fuzz_seal(const nacre_context *maker, nacre_bytes maker_id, nacre_bytes piv, nacre_bytes request_kid,
                      nacre_bytes request_piv, nacre_bytes plaintext, nacre_bytes outer, nacre_bytes oscore_value,
                      uint8_t code, nacre_bytes token);
nacre_bytes fuzz_partial_iv(uint64_t seq);

/* ---- Files: a directory of this process, removed at exit --------------------------------------------------------- */
const char *fuzz_directory(void);
void fuzz_write_file(const char *name, nacre_bytes text);
void fuzz_remove_file(const char *name);
/* Checks that an error's text is present and has one line. */
void fuzz_check_detail(const nacre_detail *why);

#endif
