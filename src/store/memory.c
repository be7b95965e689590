/* SPDX-License-Identifier: MIT */
/* memory: a store in memory only; it records the calls it gets. */
#include <nacre/store.h>

#include <string.h>

#include "base/hosted/detail.h"

static nacre_err respond(const nacre_memory *memory, nacre_detail *why)
{
    if (memory->result == NACRE_OK) return NACRE_OK;
    return nacre__fail(why, memory->result, "memory store: told to answer %s", nacre_err_name(memory->result));
}

static nacre_err memory_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    nacre_memory *memory = self;
    memory->num_reserve++;
    memory->requested = ceiling;
    nacre_err err = respond(memory, why);
    if (err == NACRE_OK && ceiling > memory->next_seq) memory->next_seq = ceiling;
    return err;
}

static nacre_err memory_window_lost(void *self, nacre_detail *why)
{
    nacre_memory *memory = self;
    memory->num_window_lost++;
    nacre_err err = respond(memory, why);
    if (err == NACRE_OK) memory->window_lost = true;
    return err;
}

static nacre_err memory_save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    nacre_memory *memory = self;
    memory->num_save++;
    nacre_err err = respond(memory, why);
    if (err != NACRE_OK) return err;
    memory->next_seq = nacre_context_next_seq(ctx);
    memset(memory->window_bits, 0, sizeof memory->window_bits);
    memory->window_lost = !nacre_replay_export(nacre_context_replay(ctx), &memory->window_index, memory->window_bits);
    return NACRE_OK;
}

static nacre_err memory_load(void *self, nacre_stored *state, nacre_detail *why)
{
    const nacre_memory *memory = self;
    nacre_err err = respond(memory, why);
    if (err != NACRE_OK) return err;
    state->next_seq = memory->next_seq;
    state->window_known = !memory->window_lost;
    if (memory->window_lost) return NACRE_OK;
    state->window_index = memory->window_index;
    memcpy(state->window_bits, memory->window_bits, sizeof state->window_bits);
    return NACRE_OK;
}

nacre_store nacre_memory_store(nacre_memory *memory)
{
    static const nacre_store_ops ops = { .size = sizeof ops,
                                         .version = NACRE_STORE_OPS_VERSION,
                                         .reserve = memory_reserve,
                                         .window_lost = memory_window_lost,
                                         .save = memory_save,
                                         .load = memory_load };
    return (nacre_store){ &ops, memory };
}
