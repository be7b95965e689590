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

bool nacre__claims_has_of(const nacre__claims *claims, const char *name, unsigned generation)
{
    const size_t at = find(claims, name);
    return claims != NULL && at < claims->num &&
           (claims->generations[at] == generation || claims->generations[at] == 0);
}

static nacre__claims *make(char *const *names, const unsigned *generations, size_t num)
{
    size_t len = 0;
    for (size_t i = 0; i < num; i++) len += strlen(names[i]) + 1;
    nacre__claims *made =
        malloc(sizeof *made + (num + 1) * sizeof(char *) + (num > 0 ? num : 1) * sizeof *made->generations + len);
    if (made == NULL) return NULL;
    made->next = NULL;
    made->num = num;
    made->generations = (unsigned *)(void *)(made->names + num + 1);
    char *text = (char *)(made->generations + num);
    for (size_t i = 0; i < num; i++) {
        const size_t size = strlen(names[i]) + 1;
        made->names[i] = memcpy(text, names[i], size);
        made->generations[i] = generations[i];
        text += size;
    }
    made->names[num] = NULL;
    return made;
}

nacre__claims *nacre__claims_with(const nacre__claims *old, const char *name, unsigned generation)
{
    const size_t num_old = old != NULL ? old->num : 0, at = find(old, name);
    char **names = calloc(num_old + 1, sizeof *names);
    unsigned *generations = calloc(num_old + 1, sizeof *generations);
    nacre__claims *made = NULL;
    if (names != NULL && generations != NULL) {
        for (size_t i = 0; i < num_old; i++) {
            names[i] = old->names[i];
            generations[i] = old->generations[i];
        }
        names[at] = (char *)(uintptr_t)name;
        if (at == num_old || generations[at] != 0) generations[at] = generation; /* what was added by itself stays */
        made = make(names, generations, at < num_old ? num_old : num_old + 1);
    }
    free(names);
    free(generations);
    return made;
}

nacre__claims *nacre__claims_since(const nacre__claims *old, unsigned generation)
{
    char **names = calloc(old->num + 1, sizeof *names);
    unsigned *generations = calloc(old->num + 1, sizeof *generations);
    nacre__claims *made = NULL;
    if (names != NULL && generations != NULL) {
        size_t num = 0;
        for (size_t i = 0; i < old->num; i++) {
            if (old->generations[i] != 0 && old->generations[i] < generation) continue;
            names[num] = old->names[i];
            generations[num++] = old->generations[i];
        }
        made = make(names, generations, num);
    }
    free(names);
    free(generations);
    return made;
}

void nacre__claims_free_all(nacre__claims *first)
{
    for (nacre__claims *next; first != NULL; first = next) {
        next = first->next;
        free(first);
    }
}
