/* SPDX-License-Identifier: MIT */
/* directories: see directories.h. */
#include "directories.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int next_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

int directories_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = scratch_make();
    assert_int_equal(nacre_openssl_open(&f->crypto), NACRE_OK);
    snprintf(f->client, sizeof f->client, "%s/client", f->dir);
    snprintf(f->server, sizeof f->server, "%s/server", f->dir);
    scratch_mkdir(f->dir, "client");
    scratch_mkdir(f->dir, "server");
    scratch_write(f->client, "secret.json", SECRET);
    scratch_write(f->client, "settings.json", "{\"sender-id_hex\": \"\", \"recipient-id_hex\": \"01\"}");
    scratch_write(f->server, "secret.json", SECRET);
    scratch_write(f->server, "settings.json", "{\"sender-id_hex\": \"01\", \"recipient-id_hex\": \"\"}");
    f->next_fd = next_fd();
    *state = f;
    return 0;
}

int directories_tear_down(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(next_fd(), f->next_fd); /* no descriptor was left open */
    nacre_openssl_close(&f->crypto);
    scratch_remove(f->dir);
    free(f);
    return 0;
}

nacre_directory *open_ok(struct fixture *f, const char *path)
{
    return open_as(f, path, NACRE_ROLE_NONE);
}

nacre_directory *open_as(struct fixture *f, const char *path, nacre_role role)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    if (nacre_directory_open_as(&dir, path, role, &f->crypto, &why) != NACRE_OK) fail_msg("%s", why.text);
    return dir;
}

void close_ok(nacre_directory *dir)
{
    nacre_detail why = { "" };
    if (nacre_directory_close(dir, &why) != NACRE_OK) fail_msg("%s", why.text);
}

nacre_err serve(nacre_directory *dir, nacre_detail *why)
{
    nacre_store store = nacre_directory_store(dir);
    return nacre_store_serve(&store, nacre_directory_context(dir), why);
}

static const nacre_message get_request = { NACRE_CON,   NACRE_GET,  1, { (const uint8_t *)"t", 1 },
                                           { NULL, 0 }, { NULL, 0 } };

nacre_err protect(struct fixture *f, nacre_directory *dir, nacre_bytes *out, nacre_buf buf)
{
    nacre_request_id id;
    return nacre_protect_request(nacre_directory_context(dir), &f->crypto, &id, out, buf, &get_request, NULL);
}

nacre_err unprotect(struct fixture *f, nacre_directory *dir, nacre_bytes datagram)
{
    nacre_request_id id;
    nacre_message outer, plain;
    uint8_t buf[256];
    assert_int_equal(nacre_message_parse(&outer, datagram), NACRE_OK);
    return nacre_unprotect_request(nacre_directory_context(dir), &f->crypto, &id, &plain, NACRE_BUF(buf), &outer);
}

nacre_err accept_request(struct fixture *f, nacre_directory *dir, nacre_bytes datagram)
{
    nacre_err err = unprotect(f, dir, datagram);
    if (err != NACRE_ERR_NOT_YET) return err;
    err = serve(dir, NULL);
    return err == NACRE_OK ? unprotect(f, dir, datagram) : err;
}
