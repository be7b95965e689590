/* SPDX-License-Identifier: MIT */
/* option: writing the OSCORE option's value where its length and room have been checked before. */
#ifndef NACRE_OSCORE_OPTION_H
#define NACRE_OSCORE_OPTION_H

#include <nacre/oscore.h>

size_t nacre__oscore_option_size(const nacre_oscore_option *opt);
uint8_t *nacre__oscore_option_put(uint8_t *at, const nacre_oscore_option *opt);

/* nacre_verify_start, which also tells whether there are outer options that keep their meaning after decryption. */
nacre_err nacre__outer_read(nacre_oscore_option *opt, bool *others_stay, const nacre_message *message);

/* Whether an option exists outside only (class U and not E, RFC 8613 4.1). */
bool nacre__only_outer(uint16_t number);

#endif
