/* SPDX-License-Identifier: MIT */
/* context_page: see context_page.h. */
#include "store/context_page.h"

#include <sys/mman.h>

nacre_context *nacre__context_page(void)
{
    void *page = mmap(NULL, sizeof(nacre_context), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
#ifdef MADV_WIPEONFORK
    (void)madvise(page, sizeof(nacre_context), MADV_WIPEONFORK);
#endif
    return page;
}

void nacre__context_page_free(nacre_context *ctx)
{
    if (ctx == NULL) return;
    nacre_context_wipe(ctx);
    (void)munmap(ctx, sizeof *ctx);
}
