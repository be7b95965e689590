/* SPDX-License-Identifier: MIT */
/* import: makes a context directory from libcoap's OSCORE configuration file: lines of KEYWORD,ENCODING,VALUE. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/json/decimal.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

enum { MAX_SIZE = 64 * 1024 };

enum keyword {
    MASTER_SECRET,
    MASTER_SALT,
    ID_CONTEXT,
    SENDER_ID,
    RECIPIENT_ID,
    REPLAY_WINDOW,
    AEAD_ALG,
    HKDF_ALG,
    SSN_FREQ,
    B_1_2,
    B_2,
    BREAK_SENDER,
    BREAK_RECIPIENT,
    NUM_KEYWORDS
};

/* Type of a keyword's value; SWITCH_OFF_ONLY: "true" is not supported by context directories. */
enum kind { BYTES, NUMBER, NAME_OR_NUMBER, SWITCH, SWITCH_OFF_ONLY };

static const struct {
    const char *name;
    enum kind kind;
} keywords[NUM_KEYWORDS] = {
    [MASTER_SECRET] = { "master_secret", BYTES },
    [MASTER_SALT] = { "master_salt", BYTES },
    [ID_CONTEXT] = { "id_context", BYTES },
    [SENDER_ID] = { "sender_id", BYTES },
    [RECIPIENT_ID] = { "recipient_id", BYTES },
    [REPLAY_WINDOW] = { "replay_window", NUMBER },
    [AEAD_ALG] = { "aead_alg", NAME_OR_NUMBER },
    [HKDF_ALG] = { "hkdf_alg", NAME_OR_NUMBER },
    [SSN_FREQ] = { "ssn_freq", NUMBER },
    [B_1_2] = { "rfc8613_b_1_2", SWITCH },
    [B_2] = { "rfc8613_b_2", SWITCH_OFF_ONLY },
    [BREAK_SENDER] = { "break_sender_key", SWITCH_OFF_ONLY },
    [BREAK_RECIPIENT] = { "break_recipient_key", SWITCH_OFF_ONLY },
};

struct import {
    const char *file, *dir;
    size_t line;
    size_t given[NUM_KEYWORDS]; /* line number; 0: not given */
    uint64_t next_to_send;
    nacre_directory_info info;
};

static int help(void)
{
    printf(
        "Usage: nacre import [--next-to-send N] FILE DIR\n"
        "Make the context directory DIR from libcoap's OSCORE configuration FILE.\n\n"
        "  --next-to-send N   the first sequence number that was not used with these keys. The default is 0, for new\n"
        "                     keys only: a number used twice breaks the encryption\n"
        "  --help             this text\n");
    return tool_flush("import");
}

/* ---- One value. Secrets are never printed ---- */

static int bad(const struct import *m, const char *keyword, const char *text)
{
    return tool_fail("import", NACRE_ERR_BAD_CONTEXT, "%s: line %zu: \"%.40s\" %s", m->file, m->line, keyword, text);
}

static int read_bytes(const struct import *m, enum keyword k, const char *encoding, const char *value, nacre_buf buf,
                      size_t *len)
{
    nacre_bytes out = NACRE_ABSENT;
    size_t value_len = strlen(value);
    bool ascii = strcmp(encoding, "ascii") == 0;
    if (!ascii && strcmp(encoding, "hex") != 0) return bad(m, keywords[k].name, "must be of encoding hex or ascii");
    if ((ascii ? value_len : value_len / 2) > buf.cap) {
        char text[64];
        snprintf(text, sizeof text, "is longer than the %zu bytes that are allowed", buf.cap);
        return bad(m, keywords[k].name, text);
    }
    if (ascii) {
        memcpy(buf.ptr, value, value_len);
        *len = value_len;
        return TOOL_OK;
    }
    if (nacre_hex_decode(&out, buf, value, value_len) != NACRE_OK)
        return bad(m, keywords[k].name, "must be pairs of hex digits");
    *len = out.len;
    return TOOL_OK;
}

static int read_window(struct import *m, const char *value)
{
    uint64_t number = 0;
    if (nacre__decimal_to_uint(&number, value, strlen(value)) != NACRE__DECIMAL_OK || number == 0 ||
        number > NACRE_REPLAY_MAX)
        return bad(m, "replay_window", "must be a whole number from 1 to 1024");
    m->info.window = (uint16_t)number;
    return TOOL_OK;
}

static int read_aead(struct import *m, const char *encoding, const char *value)
{
    uint64_t number = 0;
    bool is_number = strcmp(encoding, "integer") == 0;
    const nacre_aead *aead = is_number ? NULL : nacre_aead_by_name(value);
    if (is_number && nacre__decimal_to_uint(&number, value, strlen(value)) == NACRE__DECIMAL_OK && number <= INT16_MAX)
        aead = nacre_aead_by_number((int)number);
    if (aead == NULL) return bad(m, "aead_alg", "is no algorithm that nacre has (nacre keygen --help lists them)");
    m->info.aead = aead;
    return TOOL_OK;
}

static int read_hkdf(struct import *m, const char *value)
{
    if (strcmp(value, "-10") == 0 || strcmp(value, "direct+HKDF-SHA-256") == 0) m->info.hash = NACRE_SHA256;
    else if (strcmp(value, "-11") == 0 || strcmp(value, "direct+HKDF-SHA-512") == 0) m->info.hash = NACRE_SHA512;
    else return bad(m, "hkdf_alg", "must be -10 (direct+HKDF-SHA-256) or -11 (direct+HKDF-SHA-512)");
    return TOOL_OK;
}

static int read_bytes_of(struct import *m, enum keyword k, const char *encoding, const char *value)
{
    nacre_directory_info *i = &m->info;
    switch (k) {
    case MASTER_SECRET: return read_bytes(m, k, encoding, value, NACRE_BUF(i->secret), &i->secret_len);
    case MASTER_SALT: return read_bytes(m, k, encoding, value, NACRE_BUF(i->salt), &i->salt_len);
    case SENDER_ID: return read_bytes(m, k, encoding, value, NACRE_BUF(i->sender_id), &i->sender_id_len);
    case RECIPIENT_ID: return read_bytes(m, k, encoding, value, NACRE_BUF(i->recipient_id), &i->recipient_id_len);
    default: break;
    }
    int code = read_bytes(m, k, encoding, value, NACRE_BUF(i->id_context), &i->id_context_len);
    i->has_id_context = i->id_context_len > 0; /* for libcoap an empty value means none */
    return code;
}

static int read_switch(const struct import *m, enum keyword k, const char *encoding, const char *value)
{
    bool on = strcmp(value, "true") == 0;
    if (strcmp(encoding, "bool") != 0 || (!on && strcmp(value, "false") != 0))
        return bad(m, keywords[k].name, "must be of encoding bool, true or false");
    if (on && keywords[k].kind == SWITCH_OFF_ONLY)
        return bad(m, keywords[k].name, "is true, which a context directory cannot be told; take the line out");
    return TOOL_OK;
}

static int read_value(struct import *m, enum keyword k, const char *encoding, const char *value)
{
    bool is_integer = strcmp(encoding, "integer") == 0;
    switch (keywords[k].kind) {
    case BYTES: return read_bytes_of(m, k, encoding, value);
    case SWITCH:
    case SWITCH_OFF_ONLY: return read_switch(m, k, encoding, value);
    case NUMBER:
        if (!is_integer) return bad(m, keywords[k].name, "must be of encoding integer");
        return k == REPLAY_WINDOW ? read_window(m, value)
                                  : TOOL_OK; /* the interval between stored numbers is chosen by nacre */
    default: break;
    }
    if (!is_integer && strcmp(encoding, "text") != 0)
        return bad(m, keywords[k].name, "must be of encoding integer or text");
    return k == AEAD_ALG ? read_aead(m, encoding, value) : read_hkdf(m, value);
}

/* ---- One line ---- */

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t') text++;
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) text[--len] = '\0';
    return text;
}

/* Removes enclosing quotes; false when only one is present. */
static bool unquote(char **value)
{
    size_t len = strlen(*value);
    if (len == 0 || (*value)[0] != '"') return strchr(*value, '"') == NULL;
    if (len < 2 || (*value)[len - 1] != '"') return false;
    (*value)[len - 1] = '\0';
    (*value)++;
    return true;
}

static int read_known(struct import *m, enum keyword k, char *encoding, char *value)
{
    if (m->given[k] != 0 && k == RECIPIENT_ID)
        return bad(m, keywords[k].name,
                   "is there twice: a context directory has one peer, and several with one sender_id and secret would "
                   "use the same nonces; give each peer a master_secret or an id_context of its own (RFC 8613 3.3)");
    if (m->given[k] != 0) return bad(m, keywords[k].name, "is there twice; leave one");
    m->given[k] = m->line;
    if (!unquote(&value)) return bad(m, keywords[k].name, "has a quotation mark that is not closed");
    return read_value(m, k, encoding, value);
}

/* A word that may be a key, from a wrong column, is not printed. */
static int unknown_keyword(const struct import *m, const char *keyword)
{
    const size_t len = strlen(keyword);
    const bool is_word = len <= 24 && strspn(keyword, "abcdefghijklmnopqrstuvwxyz_0123456789") == len;
    const bool is_displayed = is_word && (len == 0 || strspn(keyword, "0123456789abcdef") < len);
    return bad(m, is_displayed ? keyword : "...", "is no keyword that is known here");
}

static int read_line(struct import *m, char *line)
{
    char *keyword = trim(line);
    if (*keyword == '\0' || *keyword == '#') return TOOL_OK;
    char *encoding = strchr(keyword, ','), *value = encoding != NULL ? strchr(encoding + 1, ',') : NULL;
    if (value == NULL)
        return tool_fail("import", NACRE_ERR_BAD_CONTEXT, "%s: line %zu: KEYWORD,ENCODING,VALUE is expected", m->file,
                         m->line);
    *encoding++ = '\0';
    *value++ = '\0';
    keyword = trim(keyword);
    for (enum keyword k = 0; k < NUM_KEYWORDS; k++)
        if (strcmp(keyword, keywords[k].name) == 0) return read_known(m, k, trim(encoding), trim(value));
    if (strncmp(keyword, "complex_", 8) == 0)
        return bad(m, keyword, "is not read; write its sender_id or recipient_id as a line of its own");
    return unknown_keyword(m, keyword);
}

/* ---- The file ---- */

static int read_lines(struct import *m, char *text, size_t len)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* as in JSON files */
        return tool_fail("import", NACRE_ERR_BAD_CONTEXT,
                         "%s: line 1: starts with a byte order mark; save it as UTF-8 without one", m->file);
    for (size_t at = 0; at < len;) {
        char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end != NULL ? (size_t)(end - text) - at : len - at;
        m->line++;
        if (memchr(text + at, '\0', line_len) != NULL)
            return tool_fail("import", NACRE_ERR_BAD_CONTEXT, "%s: line %zu: a NUL byte", m->file, m->line);
        text[at + line_len] = '\0'; /* there is space for one at the end, too */
        int code = read_line(m, text + at);
        if (code != TOOL_OK) return code;
        at += line_len + 1;
    }
    return TOOL_OK;
}

static int read_text(struct import *m, char *text)
{
    FILE *file = fopen(m->file, "rbe");
    if (file == NULL) return tool_fail("import", NACRE_ERR_FILE, "%s: cannot open: %s", m->file, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0); /* no copy of the secret in a buffer that is not wiped */
    size_t len = fread(text, 1, MAX_SIZE + 1, file);
    bool failed = ferror(file) != 0;
    int reason = errno;
    (void)fclose(file);
    if (failed) return tool_fail("import", NACRE_ERR_FILE, "%s: cannot read: %s", m->file, strerror(reason));
    if (len > MAX_SIZE)
        return tool_fail("import", NACRE_ERR_FILE, "%s: longer than the %d bytes that are allowed", m->file,
                         (int)MAX_SIZE);
    return read_lines(m, text, len);
}

static int check(const struct import *m)
{
    static const enum keyword needed[] = { MASTER_SECRET, SENDER_ID, RECIPIENT_ID };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (m->given[needed[i]] == 0)
            return tool_fail("import", NACRE_ERR_BAD_CONTEXT, "%s: \"%s\" is missing", m->file,
                             keywords[needed[i]].name);
    return TOOL_OK;
}

static int create(struct import *m)
{
    nacre_detail why;
    m->info.next_to_send = m->next_to_send;
    m->info.has_state = m->next_to_send > 0; /* then the window is unknown */
    nacre_err err = nacre_directory_create(m->dir, &m->info, &why);
    if (err != NACRE_OK) return tool_fail("import", err, "%s", why.text);
    printf("%s: begins with sequence number %llu%s\n", m->dir, (unsigned long long)m->next_to_send,
           m->next_to_send == 0 ? ", which is right for keys that were never used; see --next-to-send" : "");
    return tool_flush("import");
}

static int run(struct import *m)
{
    char *text = malloc(MAX_SIZE + 2);
    if (text == NULL) return tool_fail("import", NACRE_ERR_NO_MEMORY, "out of memory");
    m->info.aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    m->info.window = NACRE_REPLAY_DEFAULT;
    int code = read_text(m, text);
    nacre_wipe(text, MAX_SIZE + 2);
    free(text);
    if (code == TOOL_OK) code = check(m);
    if (code == TOOL_OK) code = create(m);
    nacre_wipe(&m->info, sizeof m->info);
    return code;
}

int tool_import(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "next-to-send", required_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct import m = { .line = 0 };
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'n':
            if (nacre__decimal_to_uint(&m.next_to_send, optarg, strlen(optarg)) != NACRE__DECIMAL_OK ||
                m.next_to_send > NACRE_SEQ_MAX)
                return tool_usage("import", "--next-to-send %s: not a number from 0 to 2^40-1, the last that is used",
                                  optarg);
            break;
        case ':': return tool_usage("import", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("import", argv[optind - 1], long_options);
        }
    }
    if (argc - optind != 2)
        return tool_usage("import", "FILE and DIR are expected, found %d argument%s", argc - optind,
                          argc - optind == 1 ? "" : "s");
    m.file = argv[optind];
    m.dir = argv[optind + 1];
    return run(&m);
}
