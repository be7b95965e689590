/* SPDX-License-Identifier: MIT */
/* tool: shared by the subcommands. One file per subcommand; main.c has their table. */
#ifndef NACRE_TOOL_H
#define NACRE_TOOL_H

#include <nacre/nacre.h>

/* Exit codes, stable (man nacre). 1 the peer responded, with an error or an unusable message; 2 the command line is wrong;
 * 3 no response; 4 the response cannot be trusted; 5 this host. */
enum { TOOL_OK = 0, TOOL_PEER_ERROR = 1, TOOL_USAGE = 2, TOOL_NO_RESPONSE = 3, TOOL_SECURITY = 4, TOOL_LOCAL = 5 };

/* tool_exit_code: that of an error of the library, from the table in exit_code.c. */
int tool_exit_code(nacre_err err);

/* Each subcommand gets argv with its own name in argv[0], and returns the exit code. */
int tool_keygen(int argc, char **argv);
int tool_show(int argc, char **argv);
int tool_protect(int argc, char **argv);
int tool_unprotect(int argc, char **argv);
int tool_request(int argc, char **argv); /* get put post delete fetch observe */
int tool_serve(int argc, char **argv);
int tool_plugtest(int argc, char **argv); /* plugtest-server plugtest-client */

int tool_convert(int argc, char **argv);
int tool_adopt(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_export(int argc, char **argv);
int tool_import(int argc, char **argv);
int tool_bench(int argc, char **argv);
int tool_fleet(int argc, char **argv);

/* tool_role reads the value of --role. TOOL_OK, or TOOL_USAGE with a line on stderr. */
int tool_role(const char *subcommand, nacre_role *role, const char *text);

/* tool_kek reads the file of a key-encryption key into `kek`; wipe that. NACRE_OK; NACRE_ERR_FILE: `why` says what to do. */
NACRE_MUST_USE nacre_err tool_kek(nacre_bytes *out, uint8_t kek[NACRE_SQLITE_KEK], const char *path, nacre_detail *why);

/* tool_is_file: the path leads to a regular file, as that of a database does. */
bool tool_is_file(const char *path);

/* tool_fail prints "nacre SUBCOMMAND: TEXT" as one line on stderr (control characters in TEXT replaced by '?') and returns
 * the exit code of `err`. */
int tool_fail(const char *subcommand, nacre_err err, const char *format, ...) NACRE_PRINTF(3, 4);

/* tool_usage prints the error and "; try 'nacre SUBCOMMAND --help'" as one line, and returns TOOL_USAGE. `subcommand` may be
 * NULL. */
int tool_usage(const char *subcommand, const char *format, ...) NACRE_PRINTF(2, 3);

/* tool_flush flushes stdout: TOOL_OK, or TOOL_LOCAL with a line on stderr. Call it last. */
int tool_flush(const char *subcommand);

/* tool_read_hex decodes a hex argument, or all of stdin when it is NULL; white space between digits is
 * allowed. TOOL_OK: `out` is the start of `buf`. Otherwise the exit code, with a line on stderr. */
int tool_read_hex(const char *subcommand, nacre_bytes *out, nacre_buf buf, const char *argument);

/* tool_print_hex writes bytes as lower-case hex, without a newline. */
void tool_print_hex(void *file, nacre_bytes bytes);

/* tool_print_message prints one message: code, options by name, payload as text or hex; `prefix` starts each
 * line. */
void tool_print_message(void *file, const char *prefix, const nacre_message *message);

/* tool_one_message reads `--context DIR [--role ROLE] [HEX]` and passes context and message to `run`. */
enum { TOOL_MAX_MESSAGE = 65535 };
typedef int (*tool_on_message)(const char *context, nacre_role role, const nacre_crypto *crypto, nacre_bytes datagram);
int tool_one_message(const char *name, int argc, char **argv, int (*help)(void), tool_on_message run);

#endif
