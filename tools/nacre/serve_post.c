/* SPDX-License-Identifier: MIT */
/* serve_post: POST to a directory below --root creates a file in it under a generated name (RFC 7252 5.8.2). */
#include "serve_files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LOCATION = 400 }; /* bytes of Location-Path options: a response holds 512 bytes of options */

/* Random digits, so that names are unique, and the extension for the Content-Format. False: there is none. */
static bool make_name(char name[256], nacre_bytes options)
{
    uint8_t random[8];
    uint64_t format = SERVE_FORMAT_OCTETS;
    const nacre_random entropy = nacre_entropy();
    const nacre_bytes option = nacre_option_find(options, NACRE_OPT_CONTENT_FORMAT);
    if (!nacre_is_absent(option) && !nacre_option_uint(option, &format)) return false;
    const char *ending = serve_ending_of(format);
    if (ending == NULL) return false;
    entropy.fill(entropy.self, random, sizeof random);
    nacre_hex_encode(name, NACRE_ARRAY(random));
    (void)snprintf(name + strlen(name), 16, "%s", ending);
    return true;
}

static bool fits_location(nacre_bytes options)
{
    size_t size = 32; /* for the file's name */
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_URI_PATH) size += option.value.len + 3;
    return size <= MAX_LOCATION;
}

int serve_post_begin(const serve_root *root, nacre_bytes options, char name[256], nacre_upload_error *why)
{
    struct stat st;
    char last[256];
    const int dir = serve_walk(root, options, &st, last);
    *why = (nacre_upload_error){ 0, NULL };
    if (dir < 0) return -1;
    if (!S_ISDIR(st.st_mode)) *why = (nacre_upload_error){ NACRE_METHOD_NOT_ALLOWED, "POST is for directories" };
    else if (!fits_location(options))
        *why = (nacre_upload_error){ NACRE_FORBIDDEN, "the path is too long for a Location-Path" };
    else if (!make_name(name, options))
        *why = (nacre_upload_error){ NACRE_UNSUPPORTED_FORMAT, "no ending of a name says that Content-Format" };
    if (why->code == 0) return dir;
    (void)close(dir);
    return -1;
}

void serve_post_location(nacre_options *out, nacre_bytes options, const char *name)
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_URI_PATH && option.value.len > 0)
            nacre_options_add(out, NACRE_OPT_LOCATION_PATH, option.value);
    nacre_options_add(out, NACRE_OPT_LOCATION_PATH, nacre_bytes_of((const uint8_t *)name, strlen(name)));
}
