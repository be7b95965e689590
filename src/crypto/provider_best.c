/* SPDX-License-Identifier: MIT */
/* provider_best: the fastest built-in provider that this processor supports. */
#include <nacre/crypto.h>

nacre_err nacre_provider_open(nacre_crypto *crypto)
{
    nacre_err err = nacre_ipsec_mb_open(crypto);
    return err == NACRE_OK ? err : nacre_openssl_open(crypto);
}

static bool is_ipsec_mb(const nacre_crypto *crypto)
{
    return crypto->ops != NULL && crypto->ops->name[0] == 'i';
}

void nacre_provider_close(nacre_crypto *crypto)
{
    if (is_ipsec_mb(crypto)) nacre_ipsec_mb_close(crypto);
    else nacre_openssl_close(crypto);
}
