/* SPDX-License-Identifier: MIT */
/* credentials: a credentials file that loads gives directories that it lists, and only to URIs that fit; the first line of
 * the input is a URI to look up, the rest the file. */
#include "fuzz.h"

static bool listed(const nacre_credentials *c, const char *dir)
{
    for (size_t i = 0; nacre_credentials_at(c, i) != NULL; i++)
        if (strcmp(nacre_credentials_at(c, i), dir) == 0) return true;
    return false;
}

static void look_up(const nacre_credentials *c, const char *uri)
{
    const char *dir = nacre_credentials_find(c, uri);
    if (dir == NULL) return;
    CHECK(dir[0] != '\0' && listed(c, dir));
    CHECK(nacre_credentials_find(c, uri) == dir);
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
        nacre_credentials_free(c);
    } else {
        CHECK(err == NACRE_ERR_BAD_CREDENTIALS && c == NULL);
        fuzz_check_detail(&why);
    }
    fuzz_release();
    return 0;
}
