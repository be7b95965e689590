/* SPDX-License-Identifier: MIT */
/* nacre: OSCORE (RFC 8613) for C. This header includes all others. */
#ifndef NACRE_NACRE_H
#define NACRE_NACRE_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/crypto.h>
#include <nacre/public_key.h>
#include <nacre/context.h>
#include <nacre/oscore.h>
#include <nacre/sqlite.h>
#include <nacre/rederive.h>
#include <nacre/edhoc.h>
#include <nacre/edhoc_credentials.h>
#include <nacre/certificates.h>
#include <nacre/edhoc_hosted.h>
#include <nacre/rederivation.h>
#include <nacre/store.h>
#include <nacre/credentials.h>
#include <nacre/exchange.h>
#include <nacre/stats.h>
#include <nacre/endpoint.h>
#include <nacre/stream.h>
#include <nacre/transfer.h>
#include <nacre/site.h>
#include <nacre/system.h>
#include <nacre/address.h>
#include <nacre/udp.h>
#include <nacre/tcp.h>
#include <nacre/loop.h>
#include <nacre/client.h>
#include <nacre/server.h>
#include <nacre/server_stats.h>
#include <nacre/remote.h>

#ifdef __cplusplus
extern "C" {
#endif

const char *nacre_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
