/* SPDX-License-Identifier: MIT */
#include "directory_send.h"

nacre_err directory_send(nacre_directory *dir, uint64_t *number, nacre_err *served)
{
    static const nacre_message request = { .type = NACRE_CON, .code = NACRE_GET };
    const nacre_store store = nacre_directory_store(dir);
    nacre_context *ctx = nacre_directory_context(dir);
    uint8_t buf[64];
    nacre_request_id id;
    nacre_bytes out;
    *served = nacre_store_serve(&store, ctx, NULL);
    const nacre_err err = nacre_protect_request(ctx, test_crypto(), &id, &out, NACRE_BUF(buf), &request, NULL);
    return err == NACRE_OK && !test_number(number, out) ? NACRE_ERR_DECODE : err;
}
