/* SPDX-License-Identifier: MIT */
/* visible: text that peers, files and file names bring along, made harmless for a terminal. */
#ifndef NACRE_BASE_HOSTED_VISIBLE_H
#define NACRE_BASE_HOSTED_VISIBLE_H

#include <nacre/base.h>

/* nacre__visible gives the length of the UTF-8 character at the start of `in`, which is not empty (RFC 3629); 0 for none, and for
 * one that steers a terminal: control characters (C0, DEL, C1), line separators, changes of direction. */
size_t nacre__visible(nacre_bytes in);

/* nacre__make_visible puts one '?' for each byte of `text` that is part of no visible character. */
void nacre__make_visible(char *text);

#endif
