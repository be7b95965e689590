/* SPDX-License-Identifier: MIT */
/* advice: what to do about a file that cannot be read or written. */
#ifndef NACRE_STORE_ADVICE_H
#define NACRE_STORE_ADVICE_H

/* nacre__store_advice says it for an errno, as the end of a text: "; …", or "" where there is nothing to say. */
const char *nacre__store_advice(int number);

#endif
