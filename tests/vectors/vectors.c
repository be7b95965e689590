/* SPDX-License-Identifier: MIT */
/* vectors: the runner. Reads each file, tells by its members what it is, runs its cases, and counts. */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file is told by any one member that only its kind has: a misspelt or missing section is then a failure of that
 * section, and not of the whole file. */
static const struct kind {
    const char *member;
    void (*run)(vec_run *run, yajl_val root);
} kinds[] = {
    { "format", vec_oscore_vectors_1 }, { "key_derivation", vec_rfc8613 },
    { "messages", vec_rfc8613 },        { "header_compression_6_3", vec_rfc8613 },
    { "nonces", vec_derived_json },     { "all_aead", vec_derived_json },
    { "method0", vec_rfc9529 },         { "method3", vec_rfc9529 },
    { "invalid", vec_rfc9529 },
};

static void (*kind_of(yajl_val root))(vec_run *run, yajl_val root)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (vec_has(root, kinds[i].member)) return kinds[i].run;
    return NULL;
}

/* whole reads a file as a string; NULL when it cannot be read or holds a NUL. */
static char *whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap);
    while (text) {
        len += fread(text + len, 1, cap - len - 1, file);
        if (len < cap - 1) break;
        char *more = realloc(text, cap *= 2);
        if (!more) free(text);
        text = more;
    }
    bool good = text && !ferror(file);
    fclose(file);
    if (good) text[len] = 0;
    if (good && strlen(text) == len) return text;
    free(text);
    return NULL;
}

static void fail_file(vec_run *run, const char *why)
{
    vec_begin(run, "file", "-");
    vec_differs(run, "%s", why);
    vec_end(run);
}

static void run_file(vec_run *run, const char *path)
{
    run->file = path;
    char *text = whole(path);
    if (!text) {
        fail_file(run, "cannot be read, or holds a NUL byte");
        return;
    }
    char why[256] = "";
    yajl_val root = yajl_tree_parse(text, why, sizeof why);
    free(text);
    if (!root) {
        why[strcspn(why, "\r\n")] = 0;
        fail_file(run, why[0] ? why : "empty");
        return;
    }
    void (*kind)(vec_run *, yajl_val) = kind_of(root);
    if (kind) kind(run, root);
    else fail_file(run, "has members of no kind of vector file that is known");
    yajl_tree_free(root);
}

static int usage(FILE *to)
{
    fputs("usage: vectors [--provider NAME] FILE...\n"
          "Runs test vector files; the last line says how many cases passed, failed and were skipped.\n"
          "  --provider NAME  the cryptography to use: openssl (the default), ipsec_mb\n"
          "                   (where it was built in and the processor can run it), or best\n",
          to);
    return to == stdout ? 0 : 2;
}

static nacre_err open_provider(nacre_crypto *crypto, const char *name)
{
    if (strcmp(name, "openssl") == 0) return nacre_openssl_open(crypto);
    if (strcmp(name, "ipsec_mb") == 0) return nacre_ipsec_mb_open(crypto);
    if (strcmp(name, "best") == 0) return nacre_provider_open(crypto);
    return NACRE_ERR_UNSUPPORTED;
}

/* arguments moves *first to the first file; false for options that are not understood. */
static bool arguments(int argc, char **argv, int *first, const char **provider)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strncmp(argv[i], "--provider=", 11) == 0) *provider = argv[i] + 11;
        else if (strcmp(argv[i], "--provider") == 0 && i + 1 < argc) *provider = argv[++i];
        else return false;
    }
    *first = i;
    return i < argc;
}

int main(int argc, char **argv)
{
    const char *provider = "openssl";
    int first;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) return usage(stdout);
    if (!arguments(argc, argv, &first, &provider)) return usage(stderr);
    nacre_crypto crypto;
    nacre_err err = open_provider(&crypto, provider);
    if (err) {
        fprintf(stderr, "vectors: provider %s: %s\n", provider, nacre_err_text(err));
        return err == NACRE_ERR_UNSUPPORTED ? usage(stderr) : 1;
    }
    vec_run run = { .crypto = &crypto };
    for (int i = first; i < argc; i++) run_file(&run, argv[i]);
    nacre_provider_close(&crypto);
    printf("%zu passed, %zu failed, %zu skipped\n", run.passed, run.failed, run.skipped);
    return run.failed || !run.passed;
}
