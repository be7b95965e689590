/* SPDX-License-Identifier: MIT */
/* whole_client: the whole endpoint as the requesting side; see whole/whole.c. */
#include "whole/whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    whole_run(data, size, WHOLE_CLIENT);
    return 0;
}
