/* SPDX-License-Identifier: MIT */
/* directory_store: the store of an open context directory, which keeps the state of its context.
 *
 * The state on disk is never optimistic: numbers are written as used before they are used (RFC 8613 B.1.1), and the replay
 * window is written as unknown before the first request moves it (B.1.2). A clean close writes the exact window. */
#include <string.h>
#include <unistd.h>

#include "store/directory/directory_struct.h"
#include "base/hosted/detail.h"
#include "store/batch.h"

/* A child of fork would count from the same number and write the same file. */
static nacre_err check_owner(const nacre_directory *dir, nacre_detail *why)
{
    if (dir->owner == getpid()) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s: opened by process %ld before a fork; open it after forking",
                       dir->path, (long)dir->owner);
}

/* Once a change by another program was detected, every write fails with that error. */
static nacre_err check_ours(const nacre_directory *dir, nacre_detail *why)
{
    return dir->lost.text[0] == '\0' ? NACRE_OK : nacre__fail(why, NACRE_ERR_LOCKED, "%s", dir->lost.text);
}

/* A child of fork may find it locked by a thread that it does not have; it writes nothing. */
static void lock(nacre_directory *dir)
{
    if (dir->owner == getpid()) (void)pthread_mutex_lock(&dir->lock);
}

static void unlock(nacre_directory *dir)
{
    if (dir->owner == getpid()) (void)pthread_mutex_unlock(&dir->lock);
}

static nacre_err put_state(nacre_directory *dir, const nacre__sequence *state, bool *uncertain, nacre_detail *why)
{
    if (state->next_to_send < dir->floor)
        return nacre__fail(why, NACRE_ERR_LOCKED,
                           "%s/sequence.json: the next number to send would go down from %llu to %llu, so nothing "
                           "is written any more and this context is stopped",
                           dir->path, (unsigned long long)dir->floor, (unsigned long long)state->next_to_send);
    if (!dir->is_legacy) return nacre__sequence_write_next(&dir->dirfd, state, &dir->generation, uncertain, why);
    const nacre__legacy_form form = { nacre_context_sender_id(dir->ctx), nacre_context_recipient_id(dir->ctx),
                                      dir->fresh, dir->rest.root, &dir->generation };
    return nacre__legacy_write(&dir->dirfd, state, &form, uncertain, why);
}

/* NACRE_ERR_LOCKED is permanent: another program may use the numbers reserved here and accept requests that this window has not
 * seen. The caller, whose thread has the context, stops it. */
static nacre_err write_state(nacre_directory *dir, const nacre__sequence *state, nacre_detail *why)
{
    bool uncertain = false;
    nacre_detail reason = { "" };
    nacre_err err = check_owner(dir, why);
    if (err == NACRE_OK) err = check_ours(dir, why);
    if (err != NACRE_OK) return err;
    err = put_state(dir, state, &uncertain, &reason);
    if (err == NACRE_OK) dir->stored = *state;
    dir->uncertain = err != NACRE_OK && (dir->uncertain || uncertain);
    if (err == NACRE_ERR_LOCKED) dir->lost = reason;
    if (err != NACRE_OK && why != NULL) *why = reason;
    return err;
}

/* RFC 8613 B.1.1, B.1.2: what `ceiling` and `window_lost` add to the stored state. */
static nacre_err write_needs(nacre_directory *dir, uint64_t ceiling, bool window_lost, nacre_detail *why)
{
    nacre__sequence state = dir->stored;
    const bool is_stored = ceiling <= state.next_to_send && !(window_lost && state.window_known);
    if (is_stored && !dir->uncertain) return check_ours(dir, why);
    if (ceiling > state.next_to_send) state.next_to_send = ceiling;
    if (window_lost) state.window_known = false;
    return write_state(dir, &state, why);
}

static nacre_err write_save(nacre_directory *dir, const nacre_stored *saved, nacre_detail *why)
{
    nacre__sequence state = { .next_to_send = saved->next_seq, .window_known = saved->window_known };
    if (state.window_known) {
        state.window_index = saved->window_index;
        memcpy(state.window_bits, saved->window_bits, sizeof state.window_bits);
    }
    if (nacre__sequence_equal(&state, &dir->stored) && !dir->uncertain) return check_ours(dir, why);
    nacre_err err = write_state(dir, &state, why);
    if (err == NACRE_OK) dir->floor = state.next_to_send;
    return err;
}

static nacre_err stop_if_lost(nacre_directory *dir, nacre_err err)
{
    if (err == NACRE_ERR_LOCKED && dir->owner == getpid()) nacre_context_stop(dir->ctx);
    return err;
}

static nacre_err directory_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    nacre_directory *dir = self;
    lock(dir);
    const nacre_err err = write_needs(dir, ceiling, false, why);
    unlock(dir);
    return stop_if_lost(dir, err);
}

static nacre_err directory_window_lost(void *self, nacre_detail *why)
{
    nacre_directory *dir = self;
    lock(dir);
    const nacre_err err = write_needs(dir, 0, true, why);
    unlock(dir);
    return stop_if_lost(dir, err);
}

static nacre_err directory_save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    nacre_directory *dir = self;
    nacre_context_before_save(dir->ctx); /* again, because callers may not use nacre_store_save */
    const nacre_stored state = nacre__stored_of(ctx);
    lock(dir);
    const nacre_err err = write_save(dir, &state, why);
    unlock(dir);
    return stop_if_lost(dir, err);
}

nacre_err nacre__directory_save(nacre_directory *dir, nacre_detail *why)
{
    return directory_save(dir, dir->ctx, why);
}

static void directory_submit(nacre_store_request *const *requests, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        nacre_store_request *request = requests[i];
        nacre_directory *dir = request->self;
        nacre_detail why = { "" };
        lock(dir);
        const nacre_err err = request->state != NULL ? write_save(dir, request->state, &why)
                                                     : write_needs(dir, request->ceiling, request->window_lost, &why);
        unlock(dir);
        nacre_store_done(request, err, err != NACRE_OK ? why.text : NULL);
    }
}

/* Gives the stored state; fails while a failed write leaves it uncertain. */
static nacre_err load_locked(const nacre_directory *dir, nacre_stored *state, nacre_detail *why)
{
    nacre_err err = check_ours(dir, why);
    if (err != NACRE_OK) return err;
    if (dir->uncertain)
        return nacre__fail(why, NACRE_ERR_FILE, "%s/sequence.json: a write failed, and what it says is not certain",
                           dir->path);
    state->next_seq = dir->stored.next_to_send;
    state->window_known = dir->stored.window_known;
    if (!state->window_known) return NACRE_OK;
    state->window_index = dir->stored.window_index;
    memcpy(state->window_bits, dir->stored.window_bits, sizeof state->window_bits);
    return NACRE_OK;
}

static nacre_err directory_load(void *self, nacre_stored *state, nacre_detail *why)
{
    nacre_directory *dir = self;
    lock(dir);
    const nacre_err err = load_locked(dir, state, why);
    unlock(dir);
    return err;
}

nacre_store nacre_directory_store(nacre_directory *dir)
{
    static const nacre_store_ops ops = { .size = sizeof ops,
                                         .version = NACRE_STORE_OPS_VERSION,
                                         .reserve = directory_reserve,
                                         .window_lost = directory_window_lost,
                                         .save = directory_save,
                                         .load = directory_load,
                                         .submit = directory_submit };
    return (nacre_store){ &ops, dir };
}
