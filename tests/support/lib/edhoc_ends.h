/* SPDX-License-Identifier: MIT */
/* edhoc_ends: two ends of EDHOC that know each other, for every method, cipher suite and kind of credential. */
#ifndef TEST_EDHOC_ENDS_H
#define TEST_EDHOC_ENDS_H

#include <nacre/nacre.h>

typedef enum edhoc_style { BY_KID, BY_VALUE, BY_X5T, BY_X5CHAIN, BY_X5U, NUM_STYLES } edhoc_style;

/* One end: a key for each curve and use, and the other end's. */
enum { EDHOC_NUM_KEYS = 5 };
typedef struct edhoc_end {
    nacre_edhoc session;
    nacre_edhoc_config config;
    nacre_edhoc_identity identities[EDHOC_NUM_KEYS];
    nacre_edhoc_known known[EDHOC_NUM_KEYS];
    nacre_edhoc_peers peers;
    int8_t suite;
    uint8_t keys[EDHOC_NUM_KEYS][3][NACRE_MAX_COORDINATE]; /* d, x, y */
    uint8_t credentials[EDHOC_NUM_KEYS][200], ids[EDHOC_NUM_KEYS][240];
} edhoc_end;

typedef struct edhoc_pair {
    edhoc_end i, r; /* Initiator, Responder */
    uint8_t i_buf[1024], r_buf[1024];
} edhoc_pair;

const nacre_pk *edhoc_pk(void); /* OpenSSL's, open until the program ends */

/* Keys are made once and used by all pairs. Certificates are of bytes that only look like some: their keys are known. */
edhoc_pair *edhoc_pair_of(unsigned method, int suite, edhoc_style style);

/* Both sessions begun: C_I is 0x01, C_R 0x02 with 0x03 to spare. Gives message_1. */
nacre_bytes edhoc_begin(edhoc_pair *p);
/* One message passed on; the verdict and fault must be these. Gives a copy of what is sent. */
nacre_bytes edhoc_step(edhoc_pair *p, edhoc_end *to, nacre_bytes in, nacre_edhoc_verdict verdict,
                       nacre_edhoc_fault fault);
/* As edhoc_step, and whatever comes of it. */
nacre_edhoc_result edhoc_receive(edhoc_pair *p, edhoc_end *to, nacre_bytes in);
/* A session from message_1 to its end. */
void edhoc_complete(edhoc_pair *p);
/* Both have a context, once, with the same keys and IDs that are crossed. */
void edhoc_agree(edhoc_pair *p);

#endif
