/* SPDX-License-Identifier: MIT */
/* state_fault: errors in sequence.json, of either layout, with the line. */
#ifndef NACRE_STORE_STATE_FAULT_H
#define NACRE_STORE_STATE_FAULT_H

#include "store/file/files.h"
#include "store/json/json.h"

/* NACRE_ERR_BAD_CONTEXT with "DIR/sequence.json: line N: TEXT"; nacre__state_fault_value appends the value found. */
nacre_err nacre__state_fault(const nacre__dirfd *dirfd, const nacre__json *where, const char *text, nacre_detail *why);
nacre_err nacre__state_fault_value(const nacre__dirfd *dirfd, const nacre__json *where, const char *text,
                                   nacre_detail *why);

#endif
