/* SPDX-License-Identifier: MIT */
/* disk_model: what a disk may hold after a power cut.
 *
 * File-system calls are recorded as disk_ops and applied to a disk. A disk keeps for each name the values since its
 * folder was last synced, and for each file the content at its last sync and now. After a power cut, each name may have
 * any of these values, independently: unsynced creations, renames and removals may be undone in any order. An unsynced
 * file may hold its old content, the new one, nothing, a part of the new one, or zeros; one that was since only
 * overwritten in place has each byte from the old or the new content, or garbage where it was written. */
#ifndef TEST_DISK_MODEL_H
#define TEST_DISK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_ABSENT = -1, DISK_ROOT = 0, DISK_MAX_FILE = 1024, DISK_MAX_NAME = 48, DISK_MAX_HISTORY = 256 };

typedef enum disk_op_kind {
    DISK_CREATE,   /* an empty file `name` in `dir` */
    DISK_MKDIR,    /* a folder `name` in `dir` */
    DISK_APPEND,   /* `bytes` to `node` */
    DISK_WRITE,    /* `bytes` in `node` at `at`, which may be beyond its end: zeros fill the gap */
    DISK_TRUNCATE, /* `node` to `len` bytes, not more than it has */
    DISK_SYNC,     /* `node`, a file or a folder */
    DISK_LINK,     /* `name` in `dir` also as `to_name` in `to_dir` */
    DISK_RENAME,   /* `name` in `dir` to `to_name` in `to_dir` */
    DISK_REMOVE,   /* `name` in `dir`, a file or an empty folder */
} disk_op_kind;

typedef struct disk_op {
    disk_op_kind kind;
    int dir, to_dir, node;
    char name[DISK_MAX_NAME], to_name[DISK_MAX_NAME];
    uint8_t bytes[DISK_MAX_FILE];
    size_t len, at;
} disk_op;

/* A disk that ignores syncs, to show that a test detects it; flags. */
typedef enum disk_lie {
    DISK_HONEST = 0,
    DISK_NO_FILE_SYNC = 1, /* syncing a file has no effect */
    DISK_NO_DIR_SYNC = 2,  /* syncing a folder has no effect */
    DISK_RENAME_FIRST = 4, /* a rename is durable at once, before the data */
} disk_lie;

typedef struct disk disk;

/* disk_load makes the disk of a real folder, everything in it durable. It must be small: see the limits above. */
disk *disk_load(const char *path);
disk *disk_copy(const disk *d);
void disk_free(disk *d);

void disk_apply(disk *d, const disk_op *op, unsigned lies);

/* disk_lookup gives the present value of `name` in folder `dir`, or DISK_ABSENT. */
int disk_lookup(const disk *d, int dir, const char *name);

/* ---- States ----
 * A disk_choice picks one state. It starts all zero except for `limit` and `seed`. disk_next_choice advances it:
 * through all states if they are at most `limit`, otherwise through the first `limit` and then as many random ones.
 * False: no more. */
enum { DISK_MAX_CHOICES = 2048 };
typedef struct disk_choice {
    unsigned limit;
    uint64_t seed;
    unsigned tried; /* private */
    bool random, latest;
    size_t at, num;
    uint16_t digits[DISK_MAX_CHOICES], radix[DISK_MAX_CHOICES];
} disk_choice;
bool disk_next_choice(disk_choice *choice);

/* disk_choose_latest picks the state that a killed process leaves: the latest values. */
void disk_choose_latest(disk_choice *choice);

/* disk_put writes the chosen state of `d` into the real folder `path`, which is emptied first. */
void disk_put(const disk *d, disk_choice *choice, const char *path);

#endif
