/* SPDX-License-Identifier: MIT */
/* directories: the two sides of RFC 8613 C.1 as context directories in a scratch directory, and operations on them. */
#ifndef NACRE_TEST_DIRECTORIES_H
#define NACRE_TEST_DIRECTORIES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <nacre/nacre.h>

#include "scratch.h"

#define SECRET "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\", \"salt_hex\": \"9e7ca92223786340\"}"
#define IDS    "\"sender-id_hex\": \"00\", \"recipient-id_hex\": \"01\""

#define STATE(n, received) "{\"next-to-send\": " n ", \"received\": " received "}\n"
#define EMPTY              "{\"index\": 0, \"bitfield\": 0}"
#define UNKNOWN            "\"unknown\""

struct fixture {
    char *dir;
    nacre_crypto crypto;
    char client[4200], server[4200]; /* their paths */
    int next_fd;                     /* the lowest free descriptor */
};

/* cmocka set-up and teardown; the latter also checks for descriptors left open. */
int directories_set_up(void **state);
int directories_tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, directories_set_up, directories_tear_down)

nacre_directory *open_ok(struct fixture *f, const char *path);
nacre_directory *open_as(struct fixture *f, const char *path, nacre_role role);
void close_ok(nacre_directory *dir);
nacre_err serve(nacre_directory *dir, nacre_detail *why);
/* Protects one GET, and unprotects one; neither needs the store. */
nacre_err protect(struct fixture *f, nacre_directory *dir, nacre_bytes *out, nacre_buf buf);
nacre_err unprotect(struct fixture *f, nacre_directory *dir, nacre_bytes datagram);
/* unprotect; serves the store in between if needed. */
nacre_err accept_request(struct fixture *f, nacre_directory *dir, nacre_bytes datagram);

#endif
