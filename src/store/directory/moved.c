/* SPDX-License-Identifier: MIT */
/* moved: see moved.h. */
#include "store/directory/moved.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "store/json/decimal.h"
#include "store/json/json.h"
#include "store/json/text.h"

enum { MAX_SIZE = 64 * 1024 };

static void parse(nacre__moved *m, nacre_bytes text)
{
    nacre__json_doc doc;
    if (nacre__json_parse(&doc, text, "moved.json", NACRE_ERR_BAD_CONTEXT, NULL) != NACRE_OK) return;
    const nacre__json *identity = nacre__json_member(doc.root, "identity"),
                      *next = nacre__json_member(doc.root, "next-to-send"),
                      *completed = nacre__json_member(doc.root, "completed");
    m->completed = completed != NULL && completed->type == NACRE__JSON_BOOLEAN && completed->truth;
    m->whole = identity != NULL && identity->type == NACRE__JSON_STRING && identity->len == sizeof m->identity - 1 &&
               next != NULL && next->type == NACRE__JSON_NUMBER &&
               nacre__decimal_to_uint(&m->next_to_send, next->text, next->len) == NACRE__DECIMAL_OK &&
               m->next_to_send <= NACRE_SEQ_MAX + 1;
    if (m->whole) memcpy(m->identity, identity->text, sizeof m->identity);
    const nacre__json *to = nacre__json_member(doc.root, "moved-to");
    const bool is_told = to != NULL && to->type == NACRE__JSON_STRING;
    (void)snprintf(m->to, sizeof m->to, "%s", is_told ? to->text : "?");
    nacre__json_free(&doc);
}

nacre_err nacre__moved_read(nacre__moved *m, const nacre__dirfd *dirfd, nacre_detail *why)
{
    nacre__file file;
    memset(m, 0, sizeof *m);
    nacre_err err = nacre__file_read(&file, &m->found, dirfd, "moved.json", MAX_SIZE, why);
    if (err != NACRE_OK || !m->found) return err;
    parse(m, nacre_bytes_of(file.ptr, file.len));
    nacre__file_free(&file);
    if (m->whole) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s/moved.json: is not what a move writes; if the context was never moved, "
                       "remove this file",
                       dirfd->path);
}

nacre_err nacre__moved_write(const nacre__dirfd *dirfd, const char *to, const char *identity, uint64_t next,
                             bool completed, nacre_detail *why)
{
    nacre__text text = { NULL, 0, 0, false };
    bool uncertain;
    const bool tellable = nacre__utf8_valid(nacre_bytes_of((const uint8_t *)to, strlen(to)));
    nacre__text_put(&text, "{\"moved-to\": ");
    nacre__text_put_string(&text, tellable ? to : "?");
    nacre__text_put(&text, ",\n \"identity\": \"%s\",\n \"next-to-send\": %" PRIu64 ",\n \"completed\": %s}\n",
                    identity, next, completed ? "true" : "false");
    const nacre_err err = text.failed ? nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", dirfd->path)
                                      : nacre__file_replace(dirfd, "moved.json", text.ptr, &uncertain, why);
    nacre__text_free(&text);
    return err;
}

nacre_err nacre__moved_check(const nacre__dirfd *dirfd, nacre_detail *why)
{
    nacre__moved m;
    nacre_err err = nacre__moved_read(&m, dirfd, why);
    if (err != NACRE_OK || !m.found) return err;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       m.completed
                           ? "%s: this context was moved to %s (moved.json); use that, and remove this directory"
                           : "%s: a move to %s was interrupted (moved.json); repeat it to finish it",
                       dirfd->path, m.to);
}
