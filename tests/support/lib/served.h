/* SPDX-License-Identifier: MIT */
/* served: a server in a child process, for tests of the client over real sockets. The child exits with 0 only if its
 * contexts were written back. */
#ifndef NACRE_TEST_SERVED_H
#define NACRE_TEST_SERVED_H

#include <nacre/nacre.h>
#include <sys/types.h>

typedef struct served {
    pid_t pid;
    char hostinfo[72]; /* "[::1]:12345" */
    char origin[96];   /* "coap://[::1]:12345" */
    char tcp[96];      /* "coap+tcp://[::1]:12346" if the server accepts connections; else "" */
} served;

/* served_start runs a server bound to `bind` ("[::1]:0"): `fill` adds contexts and resources to it, in the child. */
served served_start(const char *bind, void (*fill)(nacre_server *server, void *user), void *user);

/* served_stop ends it in order, and fails the test if it exits with an error. */
void served_stop(const served *s);

/* served_crash kills it. */
void served_crash(const served *s);

/* served_end ends a server that a failed test left running: for teardowns. */
void served_end(void);

/* served_program starts a program likewise: it prints "WORD coap://HOSTINFO" or "WORD HOSTINFO" when it is ready. */
served served_program(char *const argv[]);

/* served_uri gives origin and path, in one static buffer. */
const char *served_uri(const served *s, const char *path);

#endif
