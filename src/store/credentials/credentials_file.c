/* SPDX-License-Identifier: MIT */
/* credentials_file: reads the map of credentials from a JSON file in aiocoap's format.
 *
 * Unlike in aiocoap, aliases are always followed, and an unknown entry is an error at load time: a request must never be sent
 * unprotected because its entry was ignored. */
#include <stdlib.h>
#include <string.h>

#include "store/credentials/credentials.h"
#include "base/hosted/detail.h"
#include "store/file/files.h"
#include "store/json/json.h"

enum { MAX_SIZE = 1024 * 1024 };

struct loading {
    nacre_credentials *c;
    const char *path;
    nacre_detail *why;
};

static nacre_err bad(const struct loading *l, size_t line, const char *name, const char *text)
{
    return nacre__fail(l->why, NACRE_ERR_BAD_CREDENTIALS, "%s: line %zu: \"%.120s\": %s", l->path, line, name, text);
}

static nacre_bytes text_of(const nacre__json *value)
{
    return nacre_bytes_of((const uint8_t *)value->text, value->len);
}

/* ---- "oscore" ------------------------------------------------------------------------------------------------------- */

/* DIR, relative to the file's directory. A trailing '/' is removed: it would make one directory look like two. */
static nacre_err set_dir(const struct loading *l, nacre__entry_setting *e, const char *name, const nacre__json *value)
{
    if (value->type != NACRE__JSON_STRING || value->len == 0)
        return bad(l, value->line, name, "\"basedir\" must be a string that names a context directory");
    const char *slash = strrchr(l->path, '/');
    e->target = text_of(value);
    while (e->target.len > 1 && e->target.ptr[e->target.len - 1] == '/') e->target.len--;
    if (slash != NULL && value->text[0] != '/')
        e->dirfd = nacre_bytes_of((const uint8_t *)l->path, (size_t)(slash - l->path) + 1);
    return NACRE_OK;
}

static nacre_err set_role(const struct loading *l, nacre__entry_setting *e, const char *name, const nacre__json *value)
{
    if (value->type == NACRE__JSON_STRING && strcmp(value->text, "client") == 0) e->role = NACRE_ROLE_CLIENT;
    else if (value->type == NACRE__JSON_STRING && strcmp(value->text, "server") == 0) e->role = NACRE_ROLE_SERVER;
    else return bad(l, value->line, name, "\"role\" must be \"client\" or \"server\"");
    return NACRE_OK;
}

static nacre_err read_oscore(const struct loading *l, nacre__entry_setting *e, const char *name,
                             const nacre__json *oscore)
{
    if (oscore->type != NACRE__JSON_OBJECT) return bad(l, oscore->line, name, "\"oscore\" must be an object");
    for (const nacre__json *m = oscore->first; m != NULL; m = m->next) {
        nacre_err err;
        bool is_dir = strcmp(m->name, "basedir") == 0 || strcmp(m->name, "contextfile") == 0;
        if (is_dir && !nacre_is_absent(e->target))
            return bad(l, m->line, name, "both \"basedir\" and \"contextfile\", its old name; leave basedir");
        if (is_dir) err = set_dir(l, e, name, m);
        else if (strcmp(m->name, "role") == 0) err = set_role(l, e, name, m);
        else
            err = nacre__fail(
                l->why, NACRE_ERR_BAD_CREDENTIALS,
                "%s: line %zu: \"%.120s\": \"oscore\" has \"%.60s\"; only \"basedir\" and \"role\" are allowed",
                l->path, m->line, name, m->name);
        if (err != NACRE_OK) return err;
    }
    if (nacre_is_absent(e->target))
        return bad(l, oscore->line, name, "\"oscore\" needs \"basedir\", a context directory");
    e->kind = NACRE__ENTRY_DIRECTORY;
    return NACRE_OK;
}

/* ---- Other types ---------------------------------------------------------------------------------------------------- */

static nacre_err read_plain(const struct loading *l, nacre__entry_setting *e, const char *name,
                            const nacre__json *plain)
{
    if (plain->type != NACRE__JSON_OBJECT || plain->num_children != 0)
        return bad(l, plain->line, name, "\"plain\" must be an empty object");
    e->kind = NACRE__ENTRY_PLAIN;
    return NACRE_OK;
}

/* {"ascii": TEXT}, or {"hex": DIGITS} in which spaces, '-' and ':' are ignored. Only checked; the value is not used. */
static bool is_byte_string(const nacre__json *value)
{
    if (value->type != NACRE__JSON_OBJECT || value->num_children != 1) return false;
    const nacre__json *text = value->first;
    size_t digits = 0;
    if (text->type != NACRE__JSON_STRING) return false;
    bool is_hex = strcmp(text->name, "hex") == 0;
    if (!is_hex && strcmp(text->name, "ascii") != 0) return false;
    for (size_t i = 0; i < text->len; i++) {
        char c = text->text[i];
        if (!is_hex && (unsigned char)c >= 0x80) return false;
        if (!is_hex || strchr(" -:", c) != NULL) continue;
        if (strchr("0123456789abcdefABCDEF", c) == NULL) return false;
        digits++;
    }
    return digits % 2 == 0;
}

static bool is_member(const char *name, const char *either, const char * or)
{
    return strcmp(name, either) == 0 || strcmp(name, or) == 0;
}

static nacre_err check_dtls(const struct loading *l, const char *name, const nacre__json *dtls)
{
    bool has_psk = false, has_identity = false;
    for (const nacre__json *m = dtls->first; m != NULL; m = m->next) {
        bool is_psk = strcmp(m->name, "psk") == 0;
        bool is_identity = is_member(m->name, "client-identity", "client_identity");
        if (!is_psk && !is_identity) return bad(l, m->line, name, "\"dtls\" has \"psk\" and \"client-identity\" only");
        if (!is_byte_string(m))
            return bad(l, m->line, name, "a byte string is expected: {\"hex\": DIGITS} or {\"ascii\": TEXT}");
        has_psk = has_psk || is_psk;
        has_identity = has_identity || is_identity;
    }
    return has_psk && has_identity ? NACRE_OK
                                   : bad(l, dtls->line, name, "\"dtls\" needs \"psk\" and \"client-identity\"");
}

/* Entries of other security layers: accepted, so that one file serves all, but never as permission to send unprotected. */
static nacre_err read_other(const struct loading *l, nacre__entry_setting *e, const char *name, const nacre__json *type)
{
    static const char *const objects[] = { "dtls", "tlscert", "edhoc-oscore" }, *const lists[] = { "any-of", "all-of" };
    e->kind = NACRE__ENTRY_OTHER;
    e->target = nacre_bytes_of((const uint8_t *)type->name, strlen(type->name));
    for (size_t i = 0; i < 2; i++)
        if (strcmp(type->name, lists[i]) == 0)
            return type->type == NACRE__JSON_ARRAY ? NACRE_OK : bad(l, type->line, name, "a list is expected");
    for (size_t i = 0; i < 3; i++)
        if (strcmp(type->name, objects[i]) == 0 && type->type != NACRE__JSON_OBJECT)
            return bad(l, type->line, name, "an object is expected");
        else if (strcmp(type->name, objects[i]) == 0) return i == 0 ? check_dtls(l, name, type) : NACRE_OK;
    return nacre__fail(l->why, NACRE_ERR_BAD_CREDENTIALS,
                       "%s: line %zu: \"%.120s\": credentials of type \"%.60s\" are not known; write \"oscore\"",
                       l->path, type->line, name, type->name);
}

/* ---- One entry ------------------------------------------------------------------------------------------------------ */

static nacre_err read_object(const struct loading *l, nacre__entry_setting *e, const char *name,
                             const nacre__json *value)
{
    if (value->num_children != 1)
        return bad(l, value->line, name, "exactly one member is expected, {\"oscore\": {\"basedir\": DIR}}");
    const nacre__json *type = value->first;
    if (strcmp(type->name, "oscore") == 0) return read_oscore(l, e, name, type);
    if (strcmp(type->name, "plain") == 0) return read_plain(l, e, name, type);
    return read_other(l, e, name, type);
}

static nacre_err read_entry(const struct loading *l, const char *name, const nacre__json *value)
{
    nacre_err err = NACRE_OK;
    nacre__entry_setting e = { .line = value->line };
    e.name = nacre_bytes_of((const uint8_t *)name, strlen(name));
    const char *fault = nacre__credentials_name_fault(name);
    if (fault != NULL) return bad(l, value->line, name, fault);
    if (value->type == NACRE__JSON_STRING && value->text[0] == ':') {
        e.kind = NACRE__ENTRY_ALIAS;
        e.target = text_of(value);
    } else if (value->type == NACRE__JSON_STRING) {
        return bad(l, value->line, name, "a string stands for another entry and must begin with a colon, \":name\"");
    } else if (value->type == NACRE__JSON_OBJECT) {
        err = read_object(l, &e, name, value);
    } else {
        return bad(l, value->line, name, "an object, a \":name\" or null is expected");
    }
    if (err != NACRE_OK) return err;
    err = nacre__credentials_append(l->c, &e);
    return err == NACRE_OK ? err : nacre__fail(l->why, err, "%s: out of memory", l->path);
}

/* ---- The whole ------------------------------------------------------------------------------------------------------ */

static nacre_err check_aliases(const struct loading *l)
{
    nacre__alias_fault fault;
    if (!nacre__credentials_first_fault(l->c, &fault)) return NACRE_OK;
    if (fault.is_circle) return bad(l, fault.line, fault.name, "stands for itself, through other entries or at once");
    return nacre__fail(l->why, NACRE_ERR_BAD_CREDENTIALS,
                       "%s: line %zu: \"%.120s\": stands for \"%.120s\", which is not there", l->path, fault.line,
                       fault.name, fault.alias);
}

/* A null value is no entry. */
static nacre_err build(const struct loading *l, const nacre__json *root)
{
    if (root->type != NACRE__JSON_OBJECT)
        return nacre__fail(l->why, NACRE_ERR_BAD_CREDENTIALS, "%s: an object is expected, found %s", l->path,
                           nacre__json_type_name(root));
    for (const nacre__json *value = root->first; value != NULL; value = value->next) {
        if (value->type == NACRE__JSON_NULL) continue;
        nacre_err err = read_entry(l, value->name, value);
        if (err != NACRE_OK) return err;
    }
    nacre__credentials_index(l->c);
    return check_aliases(l);
}

static nacre_err read_file(nacre__file *file, const char *path, nacre_detail *why)
{
    /* Errors show the path as given: its directory is the part before the last slash. */
    const char *slash = strrchr(path, '/');
    char *dir_path = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (dir_path == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    nacre__dirfd dirfd;
    bool found = false;
    nacre_err err = nacre__dirfd_open(&dirfd, dir_path, why);
    if (err == NACRE_OK) {
        err = nacre__file_read(file, &found, &dirfd, slash == NULL ? path : slash + 1, MAX_SIZE, why);
        nacre__dirfd_close(&dirfd);
        if (err == NACRE_OK && !found) err = nacre__fail(why, NACRE_ERR_FILE, "%s: no such file", path);
    }
    free(dir_path);
    return err;
}

static nacre_err load(nacre_credentials *c, const char *path, nacre_detail *why)
{
    const struct loading l = { c, path, why };
    nacre__file file = { NULL, 0, 0 };
    nacre__json_doc doc;
    nacre_err err = read_file(&file, path, why);
    if (err != NACRE_OK) return err;
    err = nacre__json_parse(&doc, nacre_bytes_of(file.ptr, file.len), path, NACRE_ERR_BAD_CREDENTIALS, why);
    nacre__file_free(&file);
    if (err != NACRE_OK) return err;
    err = build(&l, doc.root);
    nacre__json_free(&doc);
    return err;
}

nacre_err nacre_credentials_load(nacre_credentials **credentials, const char *path, nacre_detail *why)
{
    nacre_credentials *c;
    nacre_err err = nacre_credentials_new(&c);
    if (err != NACRE_OK) return nacre__fail(why, err, "%s: out of memory", path);
    err = load(c, path, why);
    if (err != NACRE_OK) nacre_credentials_free(c);
    else *credentials = c;
    return err;
}
