/* SPDX-License-Identifier: MIT */
/* transfer_options: Block options, found and left out. */
#include "transfer_internal.h"

bool nacre__find_block(nacre_bytes options, uint16_t number, bool *has, nacre__block *block)
{
    const nacre_bytes value = nacre_option_find(options, number);
    *has = !nacre_is_absent(value);
    return !*has || nacre__block_read(block, value);
}

void nacre__copy_options(nacre_options *o, nacre_bytes options, uint16_t but)
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_BLOCK1 && option.number != NACRE_OPT_BLOCK2 && option.number != but)
            nacre_options_add(o, option.number, option.value);
}
