/* SPDX-License-Identifier: MIT */
/* credentials: credentials loaded from a file are all listed, and found only for matching URIs. The first line of the
 * input is a URI to look up, the rest is the file. */
#include "fuzz.h"

static bool listed(const nacre_credentials *c, const char *name)
{
    nacre_credential each;
    for (size_t cursor = 0; nacre_credentials_next(c, &each, &cursor);)
        if (strcmp(each.name, name) == 0) return true;
    return false;
}

static void look_up(const nacre_credentials *c, const char *uri)
{
    nacre_credential found, again;
    nacre_detail why = { "" };
    nacre_err err = nacre_credentials_find(c, &found, uri, &why);
    CHECK(err == NACRE_OK || err == NACRE_ERR_NO_CREDENTIALS || err == NACRE_ERR_UNSUPPORTED ||
          (err == NACRE_ERR_BAD_URI && strpbrk(uri, ".%") != NULL));
    if (err != NACRE_OK) {
        fuzz_check_detail(&why);
        return;
    }
    CHECK(found.kind == NACRE_CREDENTIAL_PLAIN || (found.directory[0] != '\0' && listed(c, found.name)));
    CHECK(nacre_credentials_find(c, &again, uri, NULL) == NACRE_OK && again.name == found.name);
}

/* An entry added for a URI is found for it, or else the longer pattern that was found before; if none was found before,
 * the entry is. A URI with '%' or a newline may make a pattern that matches nothing. */
static void check_winner(const nacre_credentials *c, const char *uri, nacre_err before, const nacre_credential *old)
{
    nacre_credential found;
    nacre_err err = nacre_credentials_find(c, &found, uri, NULL);
    if (err == NACRE_OK && found.kind == NACRE_CREDENTIAL_DIRECTORY && strcmp(found.directory, "by-hand") == 0) return;
    CHECK(before != NACRE_ERR_NO_CREDENTIALS && err == before);
    if (err == NACRE_OK) CHECK(found.kind == old->kind && strcmp(found.name, old->name) == 0);
}

static void set_by_hand(nacre_credentials *c, const char *uri)
{
    nacre_credential old;
    nacre_err before = nacre_credentials_find(c, &old, uri, NULL);
    if (nacre_credentials_set_directory(c, uri, "by-hand", NACRE_ROLE_NONE, NULL) != NACRE_OK) return;
    if (strncmp(uri, "coap://h/", 9) == 0 && strpbrk(uri, "%\n") == NULL) check_winner(c, uri, before, &old);
    nacre_credentials_remove(c, uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size == 0 ? NULL : memchr(data, '\n', size);
    size_t uri_len = line_end == NULL ? 0 : (size_t)(line_end - data);
    char *uri = fuzz_alloc(uri_len + 1), path[300];
    if (uri_len > 0) memcpy(uri, data, uri_len);
    uri[uri_len] = '\0';
    fuzz_write_file("credentials.json",
                    line_end == NULL ? nacre_bytes_of(data, size) : nacre_bytes_of(line_end + 1, size - uri_len - 1));
    snprintf(path, sizeof path, "%s/credentials.json", fuzz_directory());

    nacre_credentials *c = NULL;
    nacre_detail why = { "" };
    nacre_err err = nacre_credentials_load(&c, path, &why);
    if (err == NACRE_OK) {
        look_up(c, uri);
        look_up(c, "coap://[::1]/hello?a=b");
        look_up(c, "coap://example.com:5683");
        look_up(c, "");
        set_by_hand(c, uri);
        look_up(c, uri);
        nacre_credentials_free(c);
    } else {
        CHECK(err == NACRE_ERR_BAD_CREDENTIALS && c == NULL);
        fuzz_check_detail(&why);
    }
    fuzz_release();
    return 0;
}
