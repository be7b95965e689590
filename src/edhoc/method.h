/* SPDX-License-Identifier: MIT */
/* method: how each side authenticates by a method (RFC 9528 3.2), and with which identity. */
#ifndef NACRE_EDHOC_METHOD_H
#define NACRE_EDHOC_METHOD_H

#include <nacre/edhoc.h>

/* Whether an endpoint in that role authenticates with a static Diffie-Hellman key (RFC 9528 3.2). */
static inline bool nacre__edhoc_is_static(nacre_edhoc_role role, unsigned method)
{
#if defined(NACRE_EDHOC_SMALL)
    (void)role, (void)method;
    return true;
#else
    return role == NACRE_EDHOC_INITIATOR ? method >= 2 : (method & 1) != 0;
#endif
}

/* The identity of this endpoint for a method and suite; NULL if there is none. */
const nacre_edhoc_identity *nacre__edhoc_identity(const nacre_edhoc_config *config, nacre_edhoc_role role,
                                                  unsigned method, const nacre_edhoc_suite *suite);

#endif
