/* SPDX-License-Identifier: MIT */
/* wipe_on_fork: see wipe_on_fork.h. */
#include "store/wipe_on_fork.h"

#include <nacre/base.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- By the kernel ---- */

/* qemu-user before 8.0 reports success for any advice and does nothing; it is recognised because it also accepts -1. */
static bool kernel_wipes(void *memory, size_t size)
{
#ifdef MADV_WIPEONFORK
    return madvise(memory, size, -1) != 0 && madvise(memory, size, MADV_WIPEONFORK) == 0;
#else
    (void)memory, (void)size;
    return false;
#endif
}

/* ---- By a fork handler, for mappings that the kernel does not wipe ---- */

typedef struct listed {
    struct listed *next;
    void *memory;
    size_t size;
} listed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static listed *list;
static bool handles_fork;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (const listed *l = list; l != NULL; l = l->next) nacre_wipe(l->memory, l->size);
    after_fork();
}

static bool add_locked(listed *l)
{
    if (!handles_fork) handles_fork = pthread_atfork(before_fork, after_fork, in_child) == 0;
    if (!handles_fork) return false;
    l->next = list;
    list = l;
    return true;
}

static bool add(void *memory, size_t size)
{
    listed *l = malloc(sizeof *l);
    if (l == NULL) return false;
    *l = (listed){ .memory = memory, .size = size };
    (void)pthread_mutex_lock(&lock);
    const bool added = add_locked(l);
    (void)pthread_mutex_unlock(&lock);
    if (!added) free(l);
    return added;
}

/* No effect on memory that the kernel wipes: it is not listed. */
static void remove_listed(const void *memory)
{
    (void)pthread_mutex_lock(&lock);
    listed **at = &list;
    while (*at != NULL && (*at)->memory != memory) at = &(*at)->next;
    listed *found = *at;
    if (found != NULL) *at = found->next;
    (void)pthread_mutex_unlock(&lock);
    free(found);
}

/* ---- Interface ---- */

void *nacre__wipe_on_fork_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    if (kernel_wipes(memory, size) || add(memory, size)) return memory;
    (void)munmap(memory, size);
    return NULL;
}

void nacre__wipe_on_fork_unmap(void *memory, size_t size)
{
    if (memory == NULL) return;
    remove_listed(memory);
    (void)munmap(memory, size);
}
