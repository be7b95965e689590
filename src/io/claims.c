/* SPDX-License-Identifier: MIT */
/* claims: each list is one block of memory. */
#include "io/claims.h"

#include <stdlib.h>
#include <string.h>

static size_t find(const nacre__claims *claims, const char *name)
{
    size_t i = 0;
    while (claims != NULL && i < claims->num && strcmp(claims->names[i], name) != 0) i++;
    return i;
}

bool nacre__claims_has(const nacre__claims *claims, const char *name)
{
    return claims != NULL && find(claims, name) < claims->num;
}

bool nacre__claims_has_of(const nacre__claims *claims, const char *name, unsigned map)
{
    const size_t at = find(claims, name);
    return claims != NULL && at < claims->num && (claims->maps[at] == map || claims->maps[at] == 0);
}

static nacre__claims *make(char *const *names, const unsigned *maps, size_t num)
{
    size_t len = 0;
    for (size_t i = 0; i < num; i++) len += strlen(names[i]) + 1;
    nacre__claims *made =
        malloc(sizeof *made + (num + 1) * sizeof(char *) + (num > 0 ? num : 1) * sizeof *made->maps + len);
    if (made == NULL) return NULL;
    made->next = NULL;
    made->num = num;
    made->maps = (unsigned *)(void *)(made->names + num + 1);
    char *text = (char *)(made->maps + num);
    for (size_t i = 0; i < num; i++) {
        const size_t size = strlen(names[i]) + 1;
        made->names[i] = memcpy(text, names[i], size);
        made->maps[i] = maps[i];
        text += size;
    }
    made->names[num] = NULL;
    return made;
}

nacre__claims *nacre__claims_with(const nacre__claims *old, const char *name, unsigned map)
{
    const size_t num_old = old != NULL ? old->num : 0, at = find(old, name);
    char **names = calloc(num_old + 1, sizeof *names);
    unsigned *maps = calloc(num_old + 1, sizeof *maps);
    nacre__claims *made = NULL;
    if (names != NULL && maps != NULL) {
        for (size_t i = 0; i < num_old; i++) {
            names[i] = old->names[i];
            maps[i] = old->maps[i];
        }
        names[at] = (char *)(uintptr_t)name;
        if (at == num_old || maps[at] != 0) maps[at] = map; /* what was added by itself stays */
        made = make(names, maps, at < num_old ? num_old : num_old + 1);
    }
    free(names);
    free(maps);
    return made;
}

nacre__claims *nacre__claims_since(const nacre__claims *old, unsigned map)
{
    char **names = calloc(old->num + 1, sizeof *names);
    unsigned *maps = calloc(old->num + 1, sizeof *maps);
    nacre__claims *made = NULL;
    if (names != NULL && maps != NULL) {
        size_t num = 0;
        for (size_t i = 0; i < old->num; i++) {
            if (old->maps[i] != 0 && old->maps[i] < map) continue;
            names[num] = old->names[i];
            maps[num++] = old->maps[i];
        }
        made = make(names, maps, num);
    }
    free(names);
    free(maps);
    return made;
}

void nacre__claims_free_all(nacre__claims *first)
{
    for (nacre__claims *next; first != NULL; first = next) {
        next = first->next;
        free(first);
    }
}
