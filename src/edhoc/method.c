/* SPDX-License-Identifier: MIT */
/* method: see method.h. */
#include "edhoc/method.h"

const nacre_edhoc_identity *nacre__edhoc_identity(const nacre_edhoc_config *config, nacre_edhoc_role role,
                                                  unsigned method, const nacre_edhoc_suite *suite)
{
    bool is_static = nacre__edhoc_is_static(role, method);
    unsigned use = is_static ? NACRE_EDHOC_AGREES : NACRE_EDHOC_SIGNS;
    unsigned curve = is_static ? suite->curve : suite->signs;
#if defined(NACRE_EDHOC_SMALL)
    if (method != 3) return NULL;
#endif
    for (size_t i = 0; i < config->num_identities; i++) {
        const nacre_edhoc_identity *one = &config->identities[i];
        if ((one->uses & use) != 0 && (unsigned)one->private_key.curve == curve) return one;
    }
    return NULL;
}
