/* SPDX-License-Identifier: MIT */
/* convert: converts a directory from one layout to the other.
 *
 * The member names of the IDs determine the layout; one atomic replacement of the file that holds them changes it. Before it,
 * sequence.json is written in both forms; after it, in the new form only. So at every moment the state is valid in the layout
 * that the IDs select; readers of one form ignore the other's members. The same replacement adds sequence-required, as the
 * state exists by then. */
#include <nacre/store.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/directory/directory_read.h"
#include "base/hosted/detail.h"
#include "store/advice.h"
#include "store/directory/locked.h"
#include "store/directory/legacy_sequence.h"
#include "store/json/text.h"

enum { MAX_SIZE = 64 * 1024 };

struct conversion {
    const nacre__dirfd *dirfd;
    nacre_layout to;
    nacre_role role;
    nacre_directory_info info;
    nacre__json_doc rest;
    const char *ids_file; /* the file that holds the IDs */
    bool has_algorithm, numbered_elsewhere, has_required;
    nacre_detail *why;
    nacre__generation_writer writer;
};

/* ---- The member names of the IDs ---- */

static const char *const newest_ids[] = { "sender-id", "recipient-id" };
static const char *const legacy_ids[] = { "client-sender-id", "server-sender-id" };
static const char *const generated_ids[] = { "client-id", "server-id" };

/* The suffix after `name` in `member`: "_hex", "_ascii" or ""; NULL: another name. */
static const char *suffix_of(const char *member, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(member, name, len) != 0 || (member[len] != '_' && member[len] != '\0')) return NULL;
    return member + len;
}

/* The new name of an ID's member, and its suffix; NULL: not an ID. Client and sender have index 0 in their pairs; on a server
 * the pairs are swapped. */
static const char *new_name(const struct conversion *c, const char *member, const char **suffix)
{
    for (size_t i = 0; i < 2; i++) {
        size_t other = c->role == NACRE_ROLE_SERVER ? 1 - i : i;
        if (c->to == NACRE_LAYOUT_LEGACY) {
            if ((*suffix = suffix_of(member, newest_ids[i])) != NULL) return legacy_ids[other];
            continue;
        }
        if ((*suffix = suffix_of(member, legacy_ids[i])) != NULL) return newest_ids[other];
        if ((*suffix = suffix_of(member, generated_ids[i])) != NULL) return newest_ids[other];
    }
    return NULL;
}

static nacre_err load_json(const struct conversion *c, nacre__json_doc *doc, bool *found, const char *name)
{
    char label[256];
    nacre__file file;
    *doc = (nacre__json_doc){ NULL, NULL };
    nacre_err err = nacre__file_read(&file, found, c->dirfd, name, MAX_SIZE, c->why);
    if (err != NACRE_OK || !*found) return err;
    snprintf(label, sizeof label, "%s/%s", c->dirfd->path, name);
    err = nacre__json_parse(doc, nacre_bytes_of(file.ptr, file.len), label, NACRE_ERR_BAD_CONTEXT, c->why);
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
    if (nacre__json_member(root, "sequence-required") != NULL) c->has_required = true;
    if (algorithm != NULL) c->has_algorithm = true;
    if (algorithm != NULL && !here && algorithm->type == NACRE__JSON_NUMBER) c->numbered_elsewhere = true;
    if (here && c->ids_file != NULL)
        return nacre__fail(c->why, NACRE_ERR_BAD_CONTEXT,
                           "%s: one ID is in %s and one in %s, which cannot be changed in one step; move both to one "
                           "of them first",
                           c->dirfd->path, c->ids_file, file);
    if (here) c->ids_file = file;
    return NACRE_OK;
}

static nacre_err look(struct conversion *c)
{
    static const char *const files[] = { "secret.json", "secrets.json", "settings.json" };
    bool has_secret = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        nacre__json_doc doc;
        bool found = false;
        nacre_err err = load_json(c, &doc, &found, files[i]);
        bool again = i == 1 && has_secret; /* identical to secret.json, or loading would have failed */
        has_secret = has_secret || (i == 0 && found);
        if (err == NACRE_OK && found && !again) err = look_at(c, doc.root, files[i]);
        nacre__json_free(&doc);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

/* Writes the file with the IDs renamed. The layouts have different default algorithms, so the algorithm is written out. */
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
    if (!c->has_required) nacre__text_put(text, ",\n \"sequence-required\": true"); /* not first: the IDs precede it */
    nacre__text_put(text, "}\n");
}

static nacre_err check_text(const struct conversion *c, const char *name, const nacre__text *text)
{
    if (text->failed) return nacre__fail(c->why, NACRE_ERR_NO_MEMORY, "%s/%s: out of memory", c->dirfd->path, name);
    if (text->len > MAX_SIZE)
        return nacre__fail(c->why, NACRE_ERR_FILE, "%s/%s: would be longer than the %d bytes that can be read",
                           c->dirfd->path, name, (int)MAX_SIZE);
    return NACRE_OK;
}

static nacre_err rewrite_ids(const struct conversion *c)
{
    struct stat st;
    nacre__json_doc doc;
    nacre__text text = { NULL, 0, 0, false };
    bool found = false, known = fstatat(c->dirfd->fd, c->ids_file, &st, 0) == 0;
    nacre_err err = load_json(c, &doc, &found, c->ids_file);
    if (err == NACRE_OK && found) {
        bool uncertain;
        put_settings(c, &text, doc.root);
        err = check_text(c, c->ids_file, &text);
        if (err == NACRE_OK) err = nacre__file_replace(c->dirfd, c->ids_file, text.ptr, &uncertain, c->why);
        nacre__text_free(&text);
    }
    nacre__json_free(&doc);
    /* Restores the mode of settings.json; files with secrets keep 0600. */
    if (err == NACRE_OK && known && strcmp(c->ids_file, "settings.json") == 0)
        (void)fchmodat(c->dirfd->fd, c->ids_file, st.st_mode & 0777, 0);
    return err;
}

/* ---- The state ---- */

/* The newest layout holds only one side's state, so the other side is never declared unused when converting from it. */
static nacre__legacy_form form_of(struct conversion *c)
{
    const nacre__sequence state = nacre__sequence_of(&c->info);
    return (nacre__legacy_form){ .sender_id = nacre_bytes_of(c->info.sender_id, c->info.sender_id_len),
                                 .recipient_id = nacre_bytes_of(c->info.recipient_id, c->info.recipient_id_len),
                                 .fresh = c->to == NACRE_LAYOUT_NEWEST && !c->info.has_state,
                                 .rest = c->rest.root,
                                 .writer = nacre__sequence_is_new(&state) ? NULL : &c->writer };
}

static nacre_err write_both_forms(struct conversion *c)
{
    char members[NACRE__SEQUENCE_MAX_TEXT];
    bool uncertain;
    nacre__new_state file;
    nacre__text text = { NULL, 0, 0, false };
    const nacre__sequence state = nacre__sequence_of(&c->info);
    const nacre__legacy_form form = form_of(c);
    nacre_err err = nacre__state_begin(&file, form.writer, c->dirfd, c->why);
    if (err != NACRE_OK) return err;
    nacre__sequence_members(members, &state);
    nacre__text_put(&text, "{%s, ", members);
    nacre__legacy_put(&text, &state, &form, file.mark);
    nacre__text_put(&text, "}\n");
    err = check_text(c, "sequence.json", &text);
    if (err == NACRE_OK) err = nacre__state_commit(&file, text.ptr, &uncertain, c->why);
    else nacre__file_abandon(&file.file);
    nacre__text_free(&text);
    return err;
}

static nacre_err write_new_form(struct conversion *c)
{
    bool uncertain;
    const nacre__sequence state = nacre__sequence_of(&c->info);
    const nacre__legacy_form form = form_of(c);
    if (c->to == NACRE_LAYOUT_LEGACY) return nacre__legacy_write(c->dirfd, &state, &form, &uncertain, c->why);
    return nacre__sequence_write_next(c->dirfd, &state, form.writer, &uncertain, c->why);
}

/* ---- The conversion ---- */

static nacre_err check(const struct conversion *c)
{
    const char *path = c->dirfd->path;
    if (c->to == NACRE_LAYOUT_NEWEST) return NACRE_OK;
    if (!c->info.window_known)
        return nacre__fail(c->why, NACRE_ERR_BAD_CONTEXT,
                           "%s/sequence.json: the replay window is unknown, which the legacy layout cannot say; use "
                           "the directory once and close it cleanly first",
                           path);
    if (c->info.hash != NACRE_SHA256)
        return nacre__fail(c->why, NACRE_ERR_UNSUPPORTED,
                           "%s: \"kdf-hashfun\" is \"%s\"; the legacy layout has \"sha256\" only", path,
                           nacre_hash_name(c->info.hash));
    if (c->numbered_elsewhere)
        return nacre__fail(c->why, NACRE_ERR_UNSUPPORTED,
                           "%s: \"algorithm\" is a number, the legacy layout has names only; write \"%s\"", path,
                           c->info.aead->name);
    return NACRE_OK;
}

static bool is_there(const struct conversion *c, const char *name)
{
    struct stat st;
    return fstatat(c->dirfd->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Refuses a symbolic link: replacing or removing it would leave its target unchanged (Kubernetes mounts secrets as links). */
static nacre_err check_link(const struct conversion *c, const char *name)
{
    struct stat st;
    if (fstatat(c->dirfd->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode)) return NACRE_OK;
    return nacre__fail(c->why, NACRE_ERR_BAD_CONTEXT,
                       "%s/%s: is a symbolic link, which is read and never written, and would have to change; put "
                       "the file itself there first",
                       c->dirfd->path, name);
}

static nacre_err check_links(const struct conversion *c)
{
    nacre_err err = check_link(c, "secrets.json"); /* will be renamed to secret.json */
    return err == NACRE_OK && c->ids_file != NULL ? check_link(c, c->ids_file) : err;
}

static nacre_err cannot_rename(const struct conversion *c)
{
    return nacre__fail(c->why, NACRE_ERR_FILE, "%s/secrets.json: cannot rename to secret.json: %s%s", c->dirfd->path,
                       strerror(errno), nacre__store_advice(errno));
}

/* For file systems without hard links. */
static nacre_err copy_secrets(const struct conversion *c)
{
    nacre__file file;
    nacre__text text = { NULL, 0, 0, false };
    bool found = false, uncertain;
    nacre_err err = nacre__file_read(&file, &found, c->dirfd, "secrets.json", MAX_SIZE, c->why);
    if (err != NACRE_OK) return err;
    if (file.len > 0) nacre__text_put(&text, "%.*s", (int)file.len, (const char *)file.ptr);
    nacre__file_free(&file);
    err = check_text(c, "secret.json", &text);
    if (err == NACRE_OK && text.ptr != NULL)
        err = nacre__file_replace(c->dirfd, "secret.json", text.ptr, &uncertain, c->why);
    nacre__text_free(&text);
    return err;
}

static nacre_err add_secret(const struct conversion *c)
{
    int fd = c->dirfd->fd;
    if (is_there(c, "secret.json") || linkat(fd, "secrets.json", fd, "secret.json", 0) == 0) return NACRE_OK;
    bool no_links = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK;
    return no_links ? copy_secrets(c) : cannot_rename(c);
}

/* Renames secrets.json to secret.json, which all programs read. Not every file system renames atomically, so the new name is
 * durable before the old one is removed; while both exist, they count as one. */
static nacre_err rename_secrets(struct conversion *c)
{
    int fd = c->dirfd->fd;
    if (!is_there(c, "secrets.json")) return NACRE_OK;
    nacre_err err = add_secret(c);
    if (err == NACRE_OK) err = nacre__dirfd_sync(c->dirfd, c->why);
    if (err != NACRE_OK) return err;
    if (unlinkat(fd, "secrets.json", 0) != 0 && errno != ENOENT) return cannot_rename(c);
    if (c->ids_file != NULL && strcmp(c->ids_file, "secrets.json") == 0) c->ids_file = "secret.json";
    return nacre__dirfd_sync(c->dirfd, c->why);
}

/* rename_secrets is first, so that afterwards only one file can hold the IDs. */
static nacre_err convert_loaded(struct conversion *c)
{
    nacre_err err = nacre__directory_check_state(&c->info, c->dirfd, c->why);
    if (err == NACRE_OK) err = nacre__directory_check_identity(&c->info, c->dirfd, c->why);
    if (err == NACRE_OK) err = look(c);
    if (err == NACRE_OK) err = check(c);
    if (err == NACRE_OK) err = check_links(c);
    if (err == NACRE_OK) err = nacre__guard_check(c->dirfd, c->why);
    if (err == NACRE_OK) err = rename_secrets(c);
    if (err == NACRE_OK) err = write_both_forms(c);
    if (err == NACRE_OK) err = rewrite_ids(c);
    if (err == NACRE_OK) err = write_new_form(c);
    return err;
}

static nacre_err convert_locked(struct conversion *c)
{
    nacre_layout from = NACRE_LAYOUT_NEWEST;
    nacre_err err = nacre__directory_layout(&from, c->dirfd, c->why);
    if (err != NACRE_OK || from == c->to) return err;
    if (c->role != NACRE_ROLE_CLIENT && c->role != NACRE_ROLE_SERVER)
        return nacre__fail(c->why, NACRE_ERR_BAD_ARGUMENT, "%s: say which side it is: role client or server (--role)",
                           c->dirfd->path);
    nacre_role read_as = from == NACRE_LAYOUT_LEGACY ? c->role : NACRE_ROLE_NONE;
    err = nacre__directory_load(&c->info, &c->rest, c->dirfd, read_as, c->why);
    if (err != NACRE_OK) return err;
    c->writer.number = c->info.generation;
    err = convert_loaded(c);
    nacre__json_free(&c->rest);
    nacre_wipe(&c->info, sizeof c->info);
    if (err == NACRE_OK) nacre__file_sweep(c->dirfd, "sequence.json");
    if (err == NACRE_OK) nacre__file_sweep(c->dirfd, c->ids_file);
    return err;
}

nacre_err nacre_directory_convert(const char *path, nacre_layout to, nacre_role role, nacre_detail *why)
{
    nacre__dirfd dirfd;
    nacre__guard guard;
    if (to != NACRE_LAYOUT_NEWEST && to != NACRE_LAYOUT_LEGACY)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "there is no such layout");
    nacre_err err = nacre__locked_open(&dirfd, &guard, path, why);
    if (err != NACRE_OK) return err;
    struct conversion c = { .dirfd = &dirfd, .to = to, .role = role, .why = why, .writer.fd = guard.lock_fd };
    err = convert_locked(&c);
    nacre__locked_close(&dirfd, &guard);
    return err;
}
