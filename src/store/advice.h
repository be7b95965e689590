/* SPDX-License-Identifier: MIT */
/* advice: what to do about a file that cannot be read or written. */
#ifndef NACRE_STORE_ADVICE_H
#define NACRE_STORE_ADVICE_H

/* nacre__store_advice gives it for an errno, to append to an error text: "; …", or "" if there is none. */
const char *nacre__store_advice(int number);

#endif
