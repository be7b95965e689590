/* SPDX-License-Identifier: MIT */
/* whole_server: the whole endpoint as the serving side; see whole/whole.c. */
#include "whole/whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    whole_run(data, size, WHOLE_SERVER);
    return 0;
}
