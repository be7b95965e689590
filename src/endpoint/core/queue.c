/* SPDX-License-Identifier: MIT */
#include "endpoint/core/queue.h"

/* The position `n` after the head, n <= cap. Subtracts, because a division is far slower. */
static uint32_t position_in(const nacre__queue *queue, uint32_t n)
{
    const uint32_t at = queue->head + n;
    return at < queue->cap ? at : at - queue->cap;
}

nacre__ref nacre__queue_at(const nacre__queue *queue, uint32_t n)
{
    return queue->refs[position_in(queue, n)];
}

void nacre__queue_push(nacre__queue *queue, uint8_t kind, uint32_t index)
{
    queue->refs[position_in(queue, queue->num++)] = (nacre__ref){ kind, index };
}

bool nacre__queue_pop(nacre__queue *queue, nacre__ref *ref)
{
    if (queue->num == 0) return false;
    *ref = queue->refs[queue->head];
    queue->head = position_in(queue, 1);
    queue->num--;
    return true;
}

void nacre__queue_remove(nacre__queue *queue, uint8_t kind, uint32_t index)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < queue->num; i++) {
        const nacre__ref ref = queue->refs[position_in(queue, i)];
        if (ref.kind == kind && ref.index == index) continue;
        queue->refs[position_in(queue, kept++)] = ref;
    }
    queue->num = kept;
}
