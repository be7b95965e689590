/* SPDX-License-Identifier: MIT */
/* directory_struct: an open context directory, shared by the file that opens it and the one that writes its state. */
#ifndef NACRE_STORE_DIRECTORY_DIRECTORY_STRUCT_H
#define NACRE_STORE_DIRECTORY_DIRECTORY_STRUCT_H

#include "store/directory/directory_read.h"
#include "store/directory/legacy_sequence.h"
#include "store/directory/locked.h"
#include "store/directory/sequence_file.h"

#include <nacre/store.h>

#include <pthread.h>
#include <sys/types.h>

struct nacre_directory {
    nacre_context *ctx;   /* in memory that is wiped in a child of fork */
    pthread_mutex_t lock; /* over the state: its user and a store thread may write at once */
    nacre__dirfd dirfd;
    nacre__guard guard;
    pid_t owner;                         /* the process that opened it: a child of fork must not write */
    nacre__sequence stored;              /* the last state known to be in sequence.json */
    bool is_legacy, fresh;               /* legacy layout; no sequence.json when opened */
    nacre__json_doc rest;                /* legacy layout: sequence.json as read, for the entries of other IDs */
    nacre__generation_writer generation; /* last generation written here */
    bool uncertain;                      /* a write failed after the rename: the file may hold a newer, valid state */
    uint64_t floor;    /* numbers below may have been used; next_to_send in the file must not go below it */
    nacre_detail lost; /* the error that stopped all writes; "": none */
    char *path;
    size_t size; /* of this allocation, including the prepared keys at its end */
    size_t keys_at, keys_size;
    uint8_t id_context[255];
    uint64_t window_words[NACRE_REPLAY_MAX / 64];
};

/* directory_store.c: writes the context's true state; errors as the store's `save`. */
NACRE_MUST_USE nacre_err nacre__directory_save(nacre_directory *dir, nacre_detail *why);

#endif
