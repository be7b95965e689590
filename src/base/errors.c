/* SPDX-License-Identifier: MIT */
/* errors: generated from the list in base.h. */
#include <nacre/base.h>

const char *nacre_err_name(nacre_err err)
{
    switch (err) {
    case NACRE_OK: return "NACRE_OK";
#define NAME(name, value, coap, text)                                                                                  \
    case NACRE_ERR_##name: return "NACRE_ERR_" #name;
        NACRE_ERR_MAP(NAME)
#undef NAME
    }
    return "NACRE_ERR_?";
}

const char *nacre_err_text(nacre_err err)
{
    switch (err) {
    case NACRE_OK: return "OK";
#define TEXT(name, value, coap, text)                                                                                  \
    case NACRE_ERR_##name: return text;
        NACRE_ERR_MAP(TEXT)
#undef TEXT
    }
    return "unknown error";
}

uint8_t nacre_err_coap_code(nacre_err err)
{
    switch (err) {
    case NACRE_OK: return 0;
#define COAP(name, value, coap, text)                                                                                  \
    case NACRE_ERR_##name: return coap;
        NACRE_ERR_MAP(COAP)
#undef COAP
    }
    return 0;
}

bool nacre_err_is_protection_invalid(nacre_err err)
{
    return err == NACRE_ERR_DECODE || err == NACRE_ERR_REPLAY || err == NACRE_ERR_REPLAY_ECHO ||
           err == NACRE_ERR_PROTECTION_INVALID;
}
