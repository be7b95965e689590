/* SPDX-License-Identifier: MIT */
/* queue: a FIFO of references to pool entries. Each entry is in a queue at most once, so a capacity of all pools together
 * never overflows. */
#ifndef NACRE_ENDPOINT_CORE_QUEUE_H
#define NACRE_ENDPOINT_CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* The pool of an index; the first three are also the kinds of exchange numbers. */
enum {
    NACRE__OF_CLIENT_EXCHANGE = 0,
    NACRE__OF_SERVER_EXCHANGE = 1,
    NACRE__OF_OBSERVER = 2,
    NACRE__OF_TRANSMISSION = 3
};

typedef struct nacre__ref {
    uint8_t kind;
    uint32_t index;
} nacre__ref;

typedef struct nacre__queue {
    nacre__ref *refs;
    uint32_t cap, head, num;
} nacre__queue;

/* The reference `n` after the head, n < num. */
nacre__ref nacre__queue_at(const nacre__queue *queue, uint32_t n);
void nacre__queue_push(nacre__queue *queue, uint8_t kind, uint32_t index);
/* False if empty. */
bool nacre__queue_pop(nacre__queue *queue, nacre__ref *ref);
void nacre__queue_remove(nacre__queue *queue, uint8_t kind, uint32_t index);

#endif
