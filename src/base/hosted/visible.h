/* SPDX-License-Identifier: MIT */
/* visible: makes text from peers, files and file names safe for terminals. */
#ifndef NACRE_BASE_HOSTED_VISIBLE_H
#define NACRE_BASE_HOSTED_VISIBLE_H

#include <nacre/base.h>

/* nacre__visible returns the length of the UTF-8 character at the start of `in`, which is not empty (RFC 3629); 0 if invalid,
 * or if it controls a terminal: control characters (C0, DEL, C1), line separators, changes of direction. */
size_t nacre__visible(nacre_bytes in);

/* nacre__make_visible replaces each byte of `text` outside visible characters by '?'. */
void nacre__make_visible(char *text);

#endif
