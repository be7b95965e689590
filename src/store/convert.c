/* SPDX-License-Identifier: MIT */
/* convert: a directory from one layout to the other.
 *
 * The keys of the IDs decide the layout, and they change in one replacement of the one file that holds them. Before it,
 * sequence.json is made to say the state in both forms; after it, in the new one only. So at every moment there is one
 * true state under whichever layout the IDs tell, and each form's readers pass over the other's members. */
#include <nacre/store.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/directory_read.h"
#include "store/fail.h"
#include "store/seed_sequence.h"
#include "store/text.h"

enum { MAX_SIZE = 64 * 1024 };

struct conversion {
    const nacre__folder *folder;
    nacre_layout to;
    nacre_role role;
    nacre_directory_info info;
    nacre__json_doc rest;
    const char *ids_file; /* which file holds the IDs */
    bool has_algorithm, numbered_elsewhere;
    nacre_detail *why;
};

/* ---- The keys of the IDs ---- */

static const char *const newest_ids[] = { "sender-id", "recipient-id" };
static const char *const seed_ids[] = { "client-sender-id", "server-sender-id" };
static const char *const generated_ids[] = { "client-id", "server-id" };

/* What follows `name` in `member`: "_hex", "_ascii"; NULL when it is another name. */
static const char *suffix_of(const char *member, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(member, name, len) != 0 || (member[len] != '_' && member[len] != '\0')) return NULL;
    return member + len;
}

/* The new name of an ID's member and its suffix; NULL for what is no ID. Client and sender are number 0 of their pairs,
 * and the pairs cross when this is the server. */
static const char *new_name(const struct conversion *c, const char *member, const char **suffix)
{
    for (size_t i = 0; i < 2; i++) {
        size_t other = c->role == NACRE_ROLE_SERVER ? 1 - i : i;
        if (c->to == NACRE_LAYOUT_SEED) {
            if ((*suffix = suffix_of(member, newest_ids[i])) != NULL) return seed_ids[other];
            continue;
        }
        if ((*suffix = suffix_of(member, seed_ids[i])) != NULL) return newest_ids[other];
        if ((*suffix = suffix_of(member, generated_ids[i])) != NULL) return newest_ids[other];
    }
    return NULL;
}

static nacre_err load_json(const struct conversion *c, nacre__json_doc *doc, bool *found, const char *name)
{
    char shown[256];
    nacre__file file;
    *doc = (nacre__json_doc){ NULL, NULL };
    nacre_err err = nacre__file_read(&file, found, c->folder, name, MAX_SIZE, c->why);
    if (err != NACRE_OK || !*found) return err;
    snprintf(shown, sizeof shown, "%s/%s", c->folder->path, name);
    err = nacre__json_parse(doc, nacre_bytes_of(file.ptr, file.len), shown, NACRE_ERR_BAD_CONTEXT, c->why);
    nacre__file_free(&file);
    return err;
}

static nacre_err look_at(struct conversion *c, const nacre__json *root, const char *file)
{
    const char *suffix;
    const nacre__json *algorithm = nacre__json_member(root, "algorithm");
    bool here = false;
    for (const nacre__json *m = root->first; m != NULL; m = m->next)
        here = here || new_name(c, m->name, &suffix) != NULL;
    if (algorithm != NULL) c->has_algorithm = true;
    if (algorithm != NULL && !here && algorithm->type == NACRE__JSON_NUMBER) c->numbered_elsewhere = true;
    if (here && c->ids_file != NULL)
        return nacre__store_fail(
            c->why, NACRE_ERR_BAD_CONTEXT,
            "%s: one ID is in %s and one in %s, which cannot be changed in one step; move both to one "
            "of them first",
            c->folder->path, c->ids_file, file);
    if (here) c->ids_file = file;
    return NACRE_OK;
}

static nacre_err look(struct conversion *c)
{
    static const char *const files[] = { "secret.json", "secrets.json", "settings.json" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        nacre__json_doc doc;
        bool found = false;
        nacre_err err = load_json(c, &doc, &found, files[i]);
        if (err == NACRE_OK && found) err = look_at(c, doc.root, files[i]);
        nacre__json_free(&doc);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

/* The file with the IDs under their new names. The two layouts differ in their default algorithm, so it is named. */
static void put_settings(const struct conversion *c, nacre__text *text, const nacre__json *root)
{
    const char *separator = "{", *suffix, *name;
    for (const nacre__json *m = root->first; m != NULL; m = m->next) {
        nacre__text_put(text, "%s", separator);
        separator = ",\n ";
        name = new_name(c, m->name, &suffix);
        if (name != NULL) nacre__text_put(text, "\"%s%s\": ", name, suffix);
        else {
            nacre__text_put_string(text, m->name);
            nacre__text_put(text, ": ");
        }
        if (strcmp(m->name, "algorithm") == 0) nacre__text_put_string(text, c->info.aead->name);
        else nacre__text_put_json(text, m);
    }
    if (!c->has_algorithm) nacre__text_put(text, "%s\"algorithm\": \"%s\"", separator, c->info.aead->name);
    nacre__text_put(text, "}\n");
}

static nacre_err replace(const struct conversion *c, const char *name, nacre__text *text)
{
    bool uncertain;
    nacre_err err;
    if (text->failed)
        err = nacre__store_fail(c->why, NACRE_ERR_NO_MEMORY, "%s/%s: out of memory", c->folder->path, name);
    else if (text->len > MAX_SIZE)
        err = nacre__store_fail(c->why, NACRE_ERR_FILE, "%s/%s: would be longer than the %d bytes that can be read",
                                c->folder->path, name, (int)MAX_SIZE);
    else err = nacre__file_replace(c->folder, name, text->ptr, &uncertain, c->why);
    nacre__text_free(text);
    return err;
}

static nacre_err rewrite_ids(const struct conversion *c)
{
    struct stat st;
    nacre__json_doc doc;
    nacre__text text = { NULL, 0, 0, false };
    bool found = false, known = fstatat(c->folder->fd, c->ids_file, &st, 0) == 0;
    nacre_err err = load_json(c, &doc, &found, c->ids_file);
    if (err == NACRE_OK && found) {
        put_settings(c, &text, doc.root);
        err = replace(c, c->ids_file, &text);
    }
    nacre__json_free(&doc);
    /* Who could read the settings still can; files with secrets stay closed. */
    if (err == NACRE_OK && known && strcmp(c->ids_file, "settings.json") == 0)
        (void)fchmodat(c->folder->fd, c->ids_file, st.st_mode & 0777, 0);
    return err;
}

/* ---- The state ---- */

static nacre__seed_form form_of(const struct conversion *c)
{
    /* Of the other side we know nothing when we come from the newest layout: not even that it was never used. */
    return (nacre__seed_form){ nacre_bytes_of(c->info.sender_id, c->info.sender_id_len),
                               nacre_bytes_of(c->info.recipient_id, c->info.recipient_id_len),
                               c->to == NACRE_LAYOUT_NEWEST && !c->info.has_state, c->rest.root };
}

static nacre__sequence state_of(const struct conversion *c)
{
    nacre__sequence state = { .next_to_send = c->info.next_to_send,
                              .window_known = c->info.window_known,
                              .window_index = c->info.window_index };
    memcpy(state.window_bits, c->info.window_bits, sizeof state.window_bits);
    return state;
}

static nacre_err write_both_forms(const struct conversion *c)
{
    char members[NACRE__SEQUENCE_MAX_TEXT];
    nacre__text text = { NULL, 0, 0, false };
    const nacre__sequence state = state_of(c);
    const nacre__seed_form form = form_of(c);
    nacre__sequence_members(members, &state);
    nacre__text_put(&text, "{%s, ", members);
    nacre__seed_put(&text, &state, &form);
    nacre__text_put(&text, "}\n");
    return replace(c, "sequence.json", &text);
}

static nacre_err write_new_form(const struct conversion *c)
{
    bool uncertain;
    const nacre__sequence state = state_of(c);
    const nacre__seed_form form = form_of(c);
    if (c->to == NACRE_LAYOUT_SEED) return nacre__seed_write(c->folder, &state, &form, &uncertain, c->why);
    return nacre__sequence_write(c->folder, &state, &uncertain, c->why);
}

/* ---- All together ---- */

static nacre_err check(const struct conversion *c)
{
    const char *path = c->folder->path;
    if (c->to == NACRE_LAYOUT_NEWEST) return NACRE_OK;
    if (!c->info.window_known)
        return nacre__store_fail(
            c->why, NACRE_ERR_BAD_CONTEXT,
            "%s/sequence.json: the replay window is unknown, which the older layout cannot say; use "
            "the directory once and close it cleanly first",
            path);
    if (c->info.hash != NACRE_SHA256)
        return nacre__store_fail(c->why, NACRE_ERR_UNSUPPORTED,
                                 "%s: \"kdf-hashfun\" is \"%s\"; the older layout has \"sha256\" only", path,
                                 nacre_hash_name(c->info.hash));
    if (c->numbered_elsewhere)
        return nacre__store_fail(c->why, NACRE_ERR_UNSUPPORTED,
                                 "%s: \"algorithm\" is a number, the older layout has names only; write \"%s\"", path,
                                 c->info.aead->name);
    return NACRE_OK;
}

/* The name that all programs read. */
static nacre_err rename_secrets(const struct conversion *c)
{
    struct stat st;
    if (fstatat(c->folder->fd, "secrets.json", &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstatat(c->folder->fd, "secret.json", &st, AT_SYMLINK_NOFOLLOW) == 0)
        return NACRE_OK;
    if (renameat(c->folder->fd, "secrets.json", c->folder->fd, "secret.json") != 0)
        return nacre__store_fail(c->why, NACRE_ERR_FILE, "%s/secrets.json: cannot rename to secret.json",
                                 c->folder->path);
    return nacre__folder_sync(c->folder, c->why);
}

static nacre_err convert_loaded(struct conversion *c)
{
    nacre_err err = look(c);
    if (err == NACRE_OK) err = check(c);
    if (err == NACRE_OK) err = write_both_forms(c);
    if (err == NACRE_OK) err = rewrite_ids(c);
    if (err == NACRE_OK) err = write_new_form(c);
    if (err == NACRE_OK) err = rename_secrets(c);
    return err;
}

static nacre_err convert_locked(struct conversion *c)
{
    nacre_layout from = NACRE_LAYOUT_NEWEST;
    nacre_err err = nacre__directory_layout(&from, c->folder, c->why);
    if (err != NACRE_OK || from == c->to) return err;
    if (c->role != NACRE_ROLE_CLIENT && c->role != NACRE_ROLE_SERVER)
        return nacre__store_fail(c->why, NACRE_ERR_BAD_ARGUMENT,
                                 "%s: say which side it is: role client or server (--role)", c->folder->path);
    nacre_role read_as = from == NACRE_LAYOUT_SEED ? c->role : NACRE_ROLE_NONE;
    err = nacre__directory_load(&c->info, &c->rest, c->folder, read_as, c->why);
    if (err != NACRE_OK) return err;
    err = convert_loaded(c);
    nacre__json_free(&c->rest);
    nacre_wipe(&c->info, sizeof c->info);
    if (err == NACRE_OK) nacre__file_sweep(c->folder, "sequence.json");
    if (err == NACRE_OK) nacre__file_sweep(c->folder, c->ids_file);
    return err;
}

nacre_err nacre_directory_convert(const char *path, nacre_layout to, nacre_role role, nacre_detail *why)
{
    nacre__folder folder;
    int lock_fd = -1;
    if (to != NACRE_LAYOUT_NEWEST && to != NACRE_LAYOUT_SEED)
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT, "there is no such layout");
    nacre_err err = nacre__folder_open(&folder, path, why);
    if (err != NACRE_OK) return err;
    struct conversion c = { .folder = &folder, .to = to, .role = role, .why = why };
    err = nacre__lock_take(&lock_fd, &folder, why);
    if (err == NACRE_OK) err = convert_locked(&c);
    if (lock_fd >= 0) close(lock_fd);
    nacre__folder_close(&folder);
    return err;
}
